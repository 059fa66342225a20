//! The functions of `wasi:filesystem`, each of them short: understand, have it decided, have it done.
//!
//! Long because the interface has that many functions, and each is here once.

use super::action::{self, Opening, WriteAt};
use super::convert::{self, describe, identity, inode};
use super::kernel::{Pace, Stop};
use super::listing::Listing;
use super::resolve::{Halt, Manner, Request, is_overlong};
use super::session::{Body, Entries, File, Node};
use super::stream::{ReadStream, WriteStream};
use super::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use super::{Answer, FileError, Files, intent, preopens};
use crate::control::Ended;
use crate::error::Limit;
use rustix::fs::{AtFlags, fstat};
use rustix::io::Errno;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};
use wassette_policy::{AbsolutePath, FileOperation};

type Handle = Resource<Node>;

impl Files<'_> {
    /// A path below an open folder, decided as text.
    fn request(&self, node: &Handle, path: &str, manner: Manner) -> Answer<Request> {
        let base = self.table.get(node)?.folder()?;
        Ok(self.session.request(base, path, manner)?)
    }

    /// The same for an operation on the name itself.
    fn request_name(&self, node: &Handle, path: &str, operation: FileOperation) -> Answer<Request> {
        let manner = Manner::of(operation, PathFlags::empty());
        Ok(self.request(node, path, manner)?.at_its_name())
    }

    /// Has an operation on an open file decided.
    fn file(&mut self, node: &Handle, operation: FileOperation, flag: DescriptorFlags) -> Answer<Arc<File>> {
        let session = self.session;
        let node = self.table.get_mut(node)?;
        let file = Arc::clone(node.file(flag)?);
        node.authorize(session, operation)?;
        Ok(file)
    }

    /// What is open: a file or folder of the kernel after its decision, or a name.
    fn body(&mut self, node: &Handle, operation: FileOperation) -> Answer<Result<Arc<File>, AbsolutePath>> {
        let session = self.session;
        let node = self.table.get_mut(node)?;
        match node.body.clone() {
            Body::Place => Ok(Err(node.path.clone())),
            Body::Folder(file) | Body::File(file) => {
                node.authorize(session, operation)?;
                Ok(Ok(file))
            }
        }
    }
}

impl preopens::Host for Files<'_> {
    /// Each folder that was granted, and at last the root: a guest that takes the first it gets works, and so does
    /// one that looks for the longest name.
    async fn get_directories(&mut self) -> wasmtime::Result<Vec<(Handle, String)>> {
        let authority = self.session.gate.authority();
        let mut nodes = Vec::new();
        if !authority.mounts().is_empty() {
            nodes = match self.session.patiently(granted_folders).await {
                Ok(nodes) => nodes,
                // A guest that finds none of its folders does something else than it was asked to.
                Err(FileError::Code(_)) => {
                    self.session.gate.control().end(Ended::Limit(Limit::FilesBusy));
                    return Err(wasmtime::format_err!("the folders cannot be opened"));
                }
                Err(FileError::Trap(error)) => return Err(error),
            };
        }
        // Sorted by path, the root would come first.
        let root = nodes.iter().position(|(path, _)| path.is_root());
        let root = root.map_or_else(|| (AbsolutePath::root(), false), |at| nodes.remove(at));
        nodes.push(root);
        let mut listed = Vec::with_capacity(nodes.len());
        for (path, is_writable) in nodes {
            let name = path.to_string();
            listed.push((self.table.push(Node::place(path, is_writable))?, name));
        }
        Ok(listed)
    }
}

/// The grants that are folders, with whether they are writable. What cannot be opened for a reason of its own is left
/// out, and says why when it is used.
fn granted_folders(session: &super::Session) -> Result<Vec<(AbsolutePath, bool)>, Halt> {
    let authority = session.gate.authority();
    let mut folders = Vec::new();
    for mount in authority.mounts() {
        match session.root(mount, Pace::Patient) {
            Ok(root) if root.is_folder() => folders.push((mount.guest.clone(), mount.is_writable)),
            Err(stop) if stop.is_exhausted() => {
                return Err(session.halt(stop, &mount.guest, FileOperation::List));
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(folders)
}

impl types::Host for Files<'_> {
    fn convert_error_code(&mut self, error: FileError) -> wasmtime::Result<ErrorCode> {
        match error {
            FileError::Code(code) => Ok(code),
            FileError::Trap(error) => Err(error),
        }
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime_wasi::p2::bindings::io::error::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(error.downcast_ref::<StreamFailure>().map(|failure| failure.0))
    }
}

/// The reason why a stream failed, as a guest may ask for it.
#[derive(Debug, thiserror::Error)]
#[error("the file operation failed")]
pub(super) struct StreamFailure(pub(super) ErrorCode);

impl types::HostDirectoryEntryStream for Files<'_> {
    async fn read_directory_entry(&mut self, entries: Resource<Entries>) -> Answer<Option<DirectoryEntry>> {
        let session = self.session;
        let entries = self.table.get_mut(&entries)?;
        let next = |listing: &Mutex<Listing>| listing.lock().unwrap_or_else(PoisonError::into_inner).next();
        if let Some(entry) = next(&entries.listing) {
            return entry.transpose().map_err(FileError::Code);
        }
        entries
            .leave
            .authorize(session, &entries.folder, FileOperation::List)?;
        let listing = Arc::clone(&entries.listing);
        let more = session.patiently(move |session| {
            listing
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .read(session);
            Ok(())
        });
        more.await?;
        next(&entries.listing)
            .flatten()
            .transpose()
            .map_err(FileError::Code)
    }

    fn drop(&mut self, entries: Resource<Entries>) -> wasmtime::Result<()> {
        self.table.delete(entries)?;
        Ok(())
    }
}

impl types::HostDescriptor for Files<'_> {
    fn get_type(&mut self, node: Handle) -> Answer<DescriptorType> {
        Ok(self.table.get(&node)?.kind())
    }

    fn get_flags(&mut self, node: Handle) -> Answer<DescriptorFlags> {
        Ok(self.table.get(&node)?.flags)
    }

    async fn is_same_object(&mut self, a: Handle, b: Handle) -> wasmtime::Result<bool> {
        let (a, b) = (self.table.get(&a)?, self.table.get(&b)?);
        let (Body::Folder(one) | Body::File(one), Body::Folder(other) | Body::File(other)) =
            (&a.body, &b.body)
        else {
            return Ok(a.path == b.path);
        };
        let other = Arc::clone(other);
        let same = self.session.quickly_with(one, move |_, fd, pace| {
            if pace == Pace::Cached && !other.is_local {
                return Err(Stop::WouldWait);
            }
            Ok(inode(&fstat(fd)?) == inode(&fstat(&other.fd)?))
        });
        Ok(same.await.unwrap_or(false))
    }

    async fn open_at(
        &mut self,
        node: Handle,
        follow: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Handle> {
        let request = self.request(&node, &path, Manner::of(intent(open, flags), follow))?;
        let makes = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        if open.contains(OpenFlags::DIRECTORY) && open.intersects(makes) {
            return Err(ErrorCode::Invalid.into());
        }
        let opening = Opening { open, flags };
        let opened = if open.intersects(makes) {
            let job = move |session: &super::Session| session.open(&request, opening, Pace::Patient);
            self.session.patiently(job).await?
        } else {
            let job = move |session: &super::Session, pace| session.open(&request, opening, pace);
            self.session.quickly(job).await?
        };
        Ok(self.table.push(Node::opened(self.session, opened, flags))?)
    }

    async fn stat(&mut self, node: Handle) -> Answer<DescriptorStat> {
        match self.body(&node, FileOperation::Inspect)? {
            Ok(file) => {
                self.session
                    .quickly_with(&file, |_, fd, _| Ok(describe(&fstat(fd)?)))
                    .await
            }
            Err(path) => {
                let request = self.session.request_here(&path, FileOperation::Inspect)?;
                self.session
                    .quickly(move |session, pace| session.stat(&request, pace))
                    .await
            }
        }
    }

    async fn stat_at(&mut self, node: Handle, follow: PathFlags, path: String) -> Answer<DescriptorStat> {
        let request = self.request(&node, &path, Manner::of(FileOperation::Inspect, follow))?;
        self.session
            .quickly(move |session, pace| session.stat(&request, pace))
            .await
    }

    async fn metadata_hash(&mut self, node: Handle) -> Answer<MetadataHashValue> {
        match self.body(&node, FileOperation::Inspect)? {
            Ok(file) => {
                let hash = |_: &super::Session, fd: &_, _| Ok(identity(inode(&fstat(fd)?)));
                self.session.quickly_with(&file, hash).await
            }
            Err(path) => {
                let request = self.session.request_here(&path, FileOperation::Inspect)?;
                self.session
                    .quickly(move |session, pace| session.hash(&request, pace))
                    .await
            }
        }
    }

    async fn metadata_hash_at(
        &mut self,
        node: Handle,
        follow: PathFlags,
        path: String,
    ) -> Answer<MetadataHashValue> {
        let request = self.request(&node, &path, Manner::of(FileOperation::Inspect, follow))?;
        self.session
            .quickly(move |session, pace| session.hash(&request, pace))
            .await
    }

    async fn readlink_at(&mut self, node: Handle, path: String) -> Answer<String> {
        let request = self.request(
            &node,
            &path,
            Manner::of(FileOperation::Inspect, PathFlags::empty()),
        )?;
        self.session
            .patiently(move |session| session.read_link(&request))
            .await
    }

    async fn read_directory(&mut self, node: Handle) -> Answer<Resource<Entries>> {
        let session = self.session;
        let node = self.table.get_mut(&node)?;
        let folder = node.folder()?.clone();
        let entries = match node.body.clone() {
            Body::Place => {
                let request = session.request_here(&folder, FileOperation::List)?;
                let list = Opening {
                    open: OpenFlags::DIRECTORY,
                    flags: DescriptorFlags::READ,
                };
                let opened = session
                    .quickly(move |session, pace| session.open(&request, list, pace))
                    .await?;
                Node::opened(session, opened, DescriptorFlags::READ)
            }
            Body::Folder(file) | Body::File(file) => {
                node.authorize(session, FileOperation::List)?;
                Node {
                    path: folder,
                    flags: node.flags,
                    body: Body::Folder(file),
                    leave: node.leave.clone(),
                }
            }
        };
        let Node {
            path, body, leave, ..
        } = entries;
        let folder = path.clone();
        let begun = session.patiently(move |session| {
            let file = match &body {
                Body::Place => None,
                Body::Folder(file) | Body::File(file) => Some(file),
            };
            let begun = Listing::begin(session, &folder, file.map(|file| &file.fd));
            let mut listing = begun.map_err(|stop| session.halt(stop, &folder, FileOperation::List))?;
            listing.read(session);
            Ok(listing)
        });
        let listing = Arc::new(Mutex::new(begun.await?));
        Ok(self.table.push(Entries {
            listing,
            folder: path,
            leave,
        })?)
    }

    async fn read(&mut self, node: Handle, length: Filesize, at: Filesize) -> Answer<(Vec<u8>, bool)> {
        let file = self.file(&node, FileOperation::Read, DescriptorFlags::READ)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let read = move |_: &super::Session, fd: &_, pace| action::read_at(fd, length, at, pace);
        let bytes = self.session.quickly_with(&file, read).await?;
        let spent = self.session.gate.spend(|m| &m.file_read, bytes.len() as u64);
        spent.map_err(|_over| ErrorCode::Quota)?;
        let is_end = bytes.is_empty() && length > 0;
        Ok((bytes, is_end))
    }

    fn read_via_stream(&mut self, node: Handle, at: Filesize) -> Answer<Resource<DynInputStream>> {
        let file = self.file(&node, FileOperation::Read, DescriptorFlags::READ)?;
        let opened = self.table.get(&node)?;
        let stream = ReadStream::new(self.session.clone(), opened, file, at);
        let stream: DynInputStream = Box::new(stream);
        Ok(self.table.push(stream)?)
    }

    async fn advise(&mut self, node: Handle, at: Filesize, length: Filesize, advice: Advice) -> Answer<()> {
        let file = self.file(&node, FileOperation::Inspect, DescriptorFlags::empty())?;
        self.session
            .patiently_with(&file, move |_, fd| advise(fd, at, length, advice))
            .await
    }

    async fn write(&mut self, node: Handle, bytes: Vec<u8>, at: Filesize) -> Answer<Filesize> {
        let file = self.file(&node, FileOperation::Write, DescriptorFlags::WRITE)?;
        let write = move |session: &super::Session, fd: &_| {
            action::write_at(&session.gate, fd, &bytes, WriteAt::Offset(at)).map(|count| count as u64)
        };
        self.session.patiently_with(&file, write).await
    }

    fn write_via_stream(&mut self, node: Handle, at: Filesize) -> Answer<Resource<DynOutputStream>> {
        self.write_stream(&node, WriteAt::Offset(at))
    }

    fn append_via_stream(&mut self, node: Handle) -> Answer<Resource<DynOutputStream>> {
        self.write_stream(&node, WriteAt::End)
    }

    async fn sync(&mut self, node: Handle) -> Answer<()> {
        self.flush(&node, |fd| rustix::fs::fsync(fd)).await
    }

    async fn sync_data(&mut self, node: Handle) -> Answer<()> {
        self.flush(&node, |fd| rustix::fs::fdatasync(fd)).await
    }

    async fn set_size(&mut self, node: Handle, size: Filesize) -> Answer<()> {
        let file = self.file(&node, FileOperation::Write, DescriptorFlags::WRITE)?;
        let set = move |session: &super::Session, fd: &_| action::set_size(&session.gate, fd, size);
        self.session.patiently_with(&file, set).await
    }

    async fn set_times(&mut self, node: Handle, read: NewTimestamp, written: NewTimestamp) -> Answer<()> {
        let times = convert::times(read, written)?;
        match self.body(&node, FileOperation::Write)? {
            Ok(file) => {
                let set = move |_: &super::Session, fd: &_| Ok(rustix::fs::futimens(fd, &times)?);
                self.session.patiently_with(&file, set).await
            }
            Err(path) => {
                let request = self.session.request_here(&path, FileOperation::Write)?;
                self.session
                    .patiently(move |session| session.set_times(&request, &times))
                    .await
            }
        }
    }

    async fn set_times_at(
        &mut self,
        node: Handle,
        follow: PathFlags,
        path: String,
        read: NewTimestamp,
        written: NewTimestamp,
    ) -> Answer<()> {
        let times = convert::times(read, written)?;
        let request = self.request(&node, &path, Manner::of(FileOperation::Write, follow))?;
        self.session
            .patiently(move |session| session.set_times(&request, &times))
            .await
    }

    async fn create_directory_at(&mut self, node: Handle, path: String) -> Answer<()> {
        let request = self.request_name(&node, &path, FileOperation::Create)?;
        self.session
            .patiently(move |session| session.create_folder(&request))
            .await
    }

    async fn symlink_at(&mut self, node: Handle, text: String, path: String) -> Answer<()> {
        if is_overlong(&text) {
            return Err(ErrorCode::NameTooLong.into());
        }
        let request = self.request_name(&node, &path, FileOperation::Create)?;
        self.session
            .patiently(move |session| session.symlink(&text, &request))
            .await
    }

    async fn link_at(
        &mut self,
        node: Handle,
        follow: PathFlags,
        path: String,
        to_node: Handle,
        to_path: String,
    ) -> Answer<()> {
        let from = self.request(&node, &path, Manner::of(FileOperation::Rename, follow))?;
        let to = self.request_name(&to_node, &to_path, FileOperation::Rename)?;
        self.session
            .patiently(move |session| session.link(&from, &to))
            .await
    }

    async fn rename_at(
        &mut self,
        node: Handle,
        path: String,
        to_node: Handle,
        to_path: String,
    ) -> Answer<()> {
        let from = self.request_name(&node, &path, FileOperation::Rename)?;
        let to = self.request_name(&to_node, &to_path, FileOperation::Rename)?;
        self.session
            .patiently(move |session| session.rename(&from, &to))
            .await
    }

    async fn unlink_file_at(&mut self, node: Handle, path: String) -> Answer<()> {
        let request = self.request_name(&node, &path, FileOperation::Remove)?;
        self.session
            .patiently(move |session| session.remove(&request, AtFlags::empty()))
            .await
    }

    async fn remove_directory_at(&mut self, node: Handle, path: String) -> Answer<()> {
        let request = self.request_name(&node, &path, FileOperation::Remove)?;
        self.session
            .patiently(move |session| session.remove(&request, AtFlags::REMOVEDIR))
            .await
    }

    fn drop(&mut self, node: Handle) -> wasmtime::Result<()> {
        self.table.delete(node)?;
        Ok(())
    }
}

impl Files<'_> {
    fn write_stream(&mut self, node: &Handle, at: WriteAt) -> Answer<Resource<DynOutputStream>> {
        let file = self.file(node, FileOperation::Write, DescriptorFlags::WRITE)?;
        let opened = self.table.get(node)?;
        let stream = WriteStream::new(self.session.clone(), opened, file, at);
        let stream: DynOutputStream = Box::new(stream);
        Ok(self.table.push(stream)?)
    }

    /// Waits until what was written is on the disk. Of a folder that is only a name, nothing was.
    async fn flush(
        &mut self,
        node: &Handle,
        flush: fn(&std::os::fd::OwnedFd) -> Result<(), Errno>,
    ) -> Answer<()> {
        match self.body(node, FileOperation::Inspect)? {
            Ok(file) => {
                self.session
                    .patiently_with(&file, move |_, fd| Ok(flush(fd)?))
                    .await
            }
            Err(_path) => Ok(()),
        }
    }
}

#[cfg(target_os = "linux")]
fn advise(fd: &std::os::fd::OwnedFd, at: u64, length: u64, advice: Advice) -> Result<(), Stop> {
    use rustix::fs::Advice as Kernel;
    let advice = match advice {
        Advice::Normal => Kernel::Normal,
        Advice::Sequential => Kernel::Sequential,
        Advice::Random => Kernel::Random,
        Advice::WillNeed => Kernel::WillNeed,
        Advice::DontNeed => Kernel::DontNeed,
        Advice::NoReuse => Kernel::NoReuse,
    };
    Ok(rustix::fs::fadvise(
        fd,
        at,
        std::num::NonZeroU64::new(length),
        advice,
    )?)
}

/// Only advice.
#[cfg(not(target_os = "linux"))]
fn advise(_fd: &std::os::fd::OwnedFd, _at: u64, _length: u64, _advice: Advice) -> Result<(), Stop> {
    Ok(())
}
