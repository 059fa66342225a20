//! Listing a folder, some names at a time: a folder with a million names is never in memory as a whole.

use super::Session;
use super::convert::kind;
use super::descriptors::Place;
use super::kernel::{Pace, Stop};
use super::types::{DescriptorType, DirectoryEntry, ErrorCode};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;
use std::collections::{BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use wassette_policy::{AbsolutePath, Access, FileOperation};

/// Names read at once. They are kept outside of the guest's memory.
const NAMES_MAX: usize = 64;

/// One listing.
#[derive(Debug)]
pub(super) struct Listing {
    folder: AbsolutePath,
    /// The kernel's listing; none of a folder that is there only because a grant is below it.
    dir: Option<Dir>,
    /// Grants that a guest sees right below, or something below them. They are listed once, whether the folder has
    /// something of that name or not.
    mounts: BTreeSet<String>,
    is_done: bool,
    ready: VecDeque<Result<DirectoryEntry, ErrorCode>>,
    _place: Place,
}

impl Listing {
    pub(super) fn begin(
        session: &Session,
        folder: &AbsolutePath,
        fd: Option<&OwnedFd>,
    ) -> Result<Self, Stop> {
        let place = session.place_of_listing()?;
        // A description of its own, because two listings must not share a position.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = match fd {
            Some(fd) => Some(Dir::new(openat(fd, ".", flags, Mode::empty())?)?),
            None => None,
        };
        let authority = session.gate.authority();
        let below = authority
            .mounts()
            .iter()
            .filter_map(|mount| mount.guest.below(folder));
        let names = below.filter_map(|below| below.split('/').next());
        Ok(Self {
            folder: folder.clone(),
            dir,
            mounts: names.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            is_done: false,
            ready: VecDeque::new(),
            _place: place,
        })
    }

    /// What was read ahead: `None` when more must be read, `Some(None)` at the end.
    pub(super) fn next(&mut self) -> Option<Option<Result<DirectoryEntry, ErrorCode>>> {
        match self.ready.pop_front() {
            Some(entry) => Some(Some(entry)),
            None if self.is_done => Some(None),
            None => None,
        }
    }

    /// Reads ahead.
    pub(super) fn read(&mut self, session: &Session) {
        while self.ready.len() < NAMES_MAX && !self.is_done {
            let Some(entry) = self.dir.as_mut().and_then(Dir::read) else {
                self.is_done = true;
                self.add_mounts(session);
                return;
            };
            match entry {
                Ok(entry) => self.add(session, entry.file_name().to_str().ok(), entry.file_type()),
                Err(errno) => {
                    self.ready.push_back(Err(super::convert::code(errno)));
                    self.is_done = true;
                }
            }
        }
    }

    fn add(&mut self, session: &Session, name: Option<&str>, file_type: FileType) {
        let Some(name) = name else {
            self.ready.push_back(Err(ErrorCode::IllegalByteSequence));
            return;
        };
        if matches!(name, "." | "..") || self.mounts.contains(name) || self.is_hidden(session, name) {
            return;
        }
        let file_type = match (file_type, &self.dir) {
            // Some file systems do not say.
            (FileType::Unknown, Some(dir)) => {
                let found = dir
                    .fd()
                    .and_then(|fd| statat(fd, name, AtFlags::SYMLINK_NOFOLLOW));
                match found {
                    Ok(found) => FileType::from_raw_mode(found.st_mode),
                    Err(Errno::NOENT) => return,
                    Err(_) => FileType::Unknown,
                }
            }
            (file_type, _) => file_type,
        };
        self.ready.push_back(Ok(DirectoryEntry {
            type_: kind(file_type),
            name: name.to_owned(),
        }));
    }

    /// Whether a guest could not even look at what it would see here. The C library of WASI looks at each name that it
    /// lists, and gives up at the first that is denied, so that one deny rule would hide the whole folder.
    fn is_hidden(&self, session: &Session, name: &str) -> bool {
        let Ok(path) = self.folder.join(name) else {
            return false;
        };
        let look = Access::File {
            path: &path,
            operation: FileOperation::Inspect,
        };
        session.gate.authority().authorize(&look).is_err()
    }

    fn add_mounts(&mut self, session: &Session) {
        let authority = session.gate.authority();
        for name in std::mem::take(&mut self.mounts) {
            let Ok(path) = self.folder.join(&name) else {
                continue;
            };
            let type_ = match authority.mounts().iter().find(|mount| mount.guest == path) {
                None => DescriptorType::Directory,
                Some(mount) => match session.root(mount, Pace::Patient).ok().and_then(|root| root.kind) {
                    Some(file_type) => kind(file_type),
                    // Nothing is there yet, or it must not be entered.
                    None => continue,
                },
            };
            self.ready.push_back(Ok(DirectoryEntry { type_, name }));
        }
    }
}
