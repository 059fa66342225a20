//! What one call has open, and how its operations get to the kernel.

use super::FileError;
use super::action::{Opened, code};
use super::descriptors::{Descriptors, Full, LISTINGS_MAX, OPEN_MAX, Place};
use super::jobs::Jobs;
use super::kernel::{Kernel, Pace, Stop};
use super::listing::Listing;
use super::resolve::Halt;
use super::root::Roots;
use super::types::{DescriptorFlags, DescriptorType, ErrorCode};
use crate::control::Ended;
use crate::error::Limit;
use crate::gate::Gate;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use wassette_policy::{AbsolutePath, Access, Authority, FileOperation, Permit};

/// What all calls share: threads that may block, and how the kernel is asked.
#[derive(Debug)]
pub(crate) struct FileHost {
    pub(super) jobs: Jobs,
    pub(super) kernel: Kernel,
    /// How much guests have open.
    open: Arc<AtomicUsize>,
}

impl FileHost {
    pub(crate) fn new() -> Self {
        Self {
            jobs: Jobs::new(),
            kernel: Kernel::detect(),
            open: Arc::default(),
        }
    }

    /// As on a system where paths must be walked.
    #[cfg(test)]
    pub(crate) fn walking() -> Self {
        Self {
            jobs: Jobs::new(),
            kernel: Kernel::Walker,
            open: Arc::default(),
        }
    }

    /// See [`Jobs::lingering`].
    pub(crate) fn lingering(&self) -> usize {
        self.jobs.lingering()
    }
}

/// What is lacking where too much is open. A call sees the same few times only: see `crowded`.
pub(super) const CROWDED: &str = "a free descriptor of the server: calls have too many files open";
const _: () = assert!(LISTINGS_MAX == 16, "the text says so");
const LISTINGS: &str = "one listing less: a call may have 16 open";

/// The files of one call. Clones are of the same call.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(super) gate: Gate,
    pub(super) kernel: Kernel,
    pub(super) roots: Arc<Roots>,
    descriptors: Descriptors,
    host: Arc<FileHost>,
}

impl Session {
    pub(crate) fn new(gate: Gate, host: Arc<FileHost>) -> Self {
        let descriptors = Descriptors::new(gate.control().pace().open(), &host.open);
        Self {
            gate,
            kernel: host.kernel,
            roots: Arc::new(Roots::new(host.kernel, descriptors.clone())),
            descriptors,
            host,
        }
    }

    /// A place for a file or folder that is going to be open.
    pub(super) fn place(&self) -> Result<Place, Stop> {
        self.descriptors.of_file().map_err(|full| self.crowded(full))
    }

    /// A place for a listing.
    pub(super) fn place_of_listing(&self) -> Result<Place, Stop> {
        self.descriptors.of_listing().map_err(|full| self.crowded(full))
    }

    /// As with everything else a call may have, one more than it may ends it. Listings are an exception: programs that
    /// hold one for each folder on their way down can do something else.
    fn crowded(&self, full: Full) -> Stop {
        match full {
            Full::Call => {
                let limit = Limit::OpenFiles { max: OPEN_MAX };
                self.gate.control().end(Ended::Limit(limit));
                Stop::OverLimit
            }
            Full::Listings => Stop::Crowded(LISTINGS),
            Full::All => Stop::Crowded(CROWDED),
        }
    }

    pub(super) fn jobs(&self) -> &Jobs {
        &self.host.jobs
    }

    /// Does something at once if all that is needed is in memory, else where it may wait.
    pub(super) async fn quickly<T, F>(&self, job: F) -> Result<T, FileError>
    where
        F: Fn(&Self, Pace) -> Result<T, Halt> + Send + 'static,
        T: Send + 'static,
    {
        match job(self, Pace::Cached) {
            Err(Halt::WouldWait) => self.patiently(move |session| job(session, Pace::Patient)).await,
            done => done.map_err(told),
        }
    }

    /// Does something where it may wait.
    pub(super) async fn patiently<T, F>(&self, job: F) -> Result<T, FileError>
    where
        F: FnOnce(&Self) -> Result<T, Halt> + Send + 'static,
        T: Send + 'static,
    {
        let session = self.clone();
        match self.jobs().run(move || job(&session)).await {
            Ok(done) => done.map_err(told),
            Err(_no_job) => Err(ErrorCode::Busy.into()),
        }
    }

    /// As [`Session::quickly`], with an open file.
    pub(super) async fn quickly_with<T, F>(&self, file: &Arc<File>, job: F) -> Result<T, FileError>
    where
        F: Fn(&Self, &OwnedFd, Pace) -> Result<T, Stop> + Send + 'static,
        T: Send + 'static,
    {
        if file.is_local {
            match job(self, &file.fd, Pace::Cached) {
                Err(Stop::WouldWait) => {}
                done => return done.map_err(|stop| code(&stop).into()),
            }
        }
        let file = Arc::clone(file);
        let job = move |session: &Self| {
            let done = job(session, &file.fd, Pace::Patient);
            done.map_err(|stop| Halt::Code(code(&stop)))
        };
        self.patiently(job).await
    }

    /// As [`Session::patiently`], with an open file.
    pub(super) async fn patiently_with<T, F>(&self, file: &Arc<File>, job: F) -> Result<T, FileError>
    where
        F: FnOnce(&Self, &OwnedFd) -> Result<T, Stop> + Send + 'static,
        T: Send + 'static,
    {
        let file = Arc::clone(file);
        let job = move |session: &Self| {
            let done = job(session, &file.fd);
            done.map_err(|stop| Halt::Code(code(&stop)))
        };
        self.patiently(job).await
    }
}

fn told(halt: Halt) -> FileError {
    match halt {
        Halt::Code(code) => code.into(),
        Halt::WouldWait => ErrorCode::WouldBlock.into(),
    }
}

/// A file or folder the kernel has open.
#[derive(Debug)]
pub(super) struct File {
    pub(super) fd: OwnedFd,
    /// Whether the kernel answers from this machine.
    pub(super) is_local: bool,
    _place: Place,
}

impl File {
    pub(super) fn new(fd: OwnedFd, is_local: bool, place: Place) -> Self {
        Self {
            fd,
            is_local,
            _place: place,
        }
    }
}

/// Something open in a guest.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Debug)]
pub struct Node {
    /// As the guest names it, without links.
    pub(super) path: AbsolutePath,
    pub(super) flags: DescriptorFlags,
    pub(super) body: Body,
    pub(super) leave: Leave,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    /// A folder that was handed out at the start, or is above what was granted: a name so far.
    Place,
    Folder(Arc<File>),
    File(Arc<File>),
}

impl Node {
    /// A folder by its name.
    pub(super) fn place(path: AbsolutePath, is_writable: bool) -> Self {
        let flags = if is_writable {
            DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY
        } else {
            DescriptorFlags::READ
        };
        Self {
            path,
            flags,
            body: Body::Place,
            leave: Leave::default(),
        }
    }

    pub(super) fn opened(session: &Session, opened: Opened, flags: DescriptorFlags) -> Self {
        let (path, file, body, permit): (_, _, fn(Arc<File>) -> Body, _) = match opened {
            Opened::Above(path) => return Self::place(path, false),
            Opened::Folder(path, file, permit) => (path, file, Body::Folder, permit),
            Opened::File(path, file, permit) => (path, file, Body::File, permit),
        };
        Self {
            path,
            flags,
            body: body(Arc::new(file)),
            leave: Leave::of(session, permit),
        }
    }

    pub(super) fn kind(&self) -> DescriptorType {
        match self.body {
            Body::Place | Body::Folder(_) => DescriptorType::Directory,
            Body::File(_) => DescriptorType::RegularFile,
        }
    }

    /// The folder's name, to look below it.
    pub(super) fn folder(&self) -> Result<&AbsolutePath, ErrorCode> {
        match self.body {
            Body::Place | Body::Folder(_) => Ok(&self.path),
            Body::File(_) => Err(ErrorCode::NotDirectory),
        }
    }

    /// The file, opened with this flag.
    pub(super) fn file(&self, flag: DescriptorFlags) -> Result<&Arc<File>, ErrorCode> {
        match &self.body {
            Body::Place | Body::Folder(_) => Err(ErrorCode::IsDirectory),
            Body::File(file) if self.flags.contains(flag) => Ok(file),
            Body::File(_) => Err(ErrorCode::BadDescriptor),
        }
    }

    /// Decides about an operation on what is open, once for each authority and kind of operation.
    pub(super) fn authorize(
        &mut self,
        session: &Session,
        operation: FileOperation,
    ) -> Result<Permit, ErrorCode> {
        self.leave.authorize(session, &self.path, operation)
    }
}

/// What was allowed for something open, as long as the authority is the one that allowed it.
#[derive(Clone, Debug, Default)]
pub(super) struct Leave {
    authority: Option<Arc<Authority>>,
    read: Option<Permit>,
    write: Option<Permit>,
}

impl Leave {
    fn of(session: &Session, (operation, permit): (FileOperation, Permit)) -> Self {
        let mut leave = Self {
            authority: Some(session.gate.authority()),
            ..Self::default()
        };
        *leave.slot(operation) = Some(permit);
        leave
    }

    fn slot(&mut self, operation: FileOperation) -> &mut Option<Permit> {
        match operation {
            FileOperation::Read | FileOperation::List | FileOperation::Inspect => &mut self.read,
            FileOperation::Write | FileOperation::Create | FileOperation::Remove | FileOperation::Rename => {
                &mut self.write
            }
        }
    }

    pub(super) fn authorize(
        &mut self,
        session: &Session,
        path: &AbsolutePath,
        operation: FileOperation,
    ) -> Result<Permit, ErrorCode> {
        let now = session.gate.authority();
        if !self
            .authority
            .as_ref()
            .is_some_and(|then| Arc::ptr_eq(then, &now))
        {
            *self = Self {
                authority: Some(now),
                ..Self::default()
            };
        }
        let slot = self.slot(operation);
        if let Some(permit) = slot {
            return Ok(permit.clone());
        }
        let permit = session.gate.authorize(&Access::File { path, operation });
        let permit = permit.map_err(|_denied| ErrorCode::Access)?;
        Ok(slot.insert(permit).clone())
    }
}

/// A listing open in a guest.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Clone, Debug)]
pub struct Entries {
    pub(super) listing: Arc<Mutex<Listing>>,
    pub(super) folder: AbsolutePath,
    pub(super) leave: Leave,
}
