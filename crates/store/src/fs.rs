//! Every touch of the file system, in one place: nothing else in the workspace names `std::fs`.
//!
//! What is written by us appears whole or not at all (temporary file in the same folder, sync, rename,
//! sync of the folder), is private to the user (folders 0700, files 0600 on Unix), and is never reached
//! through a symbolic link below the store's folder. SECURITY: the store holds keys and native code.

use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::failpoint;

pub(crate) use std::fs::{File, TryLockError};

/// How temporary files begin. A name that no blob and no compiled file can have.
pub(crate) const TEMPORARY_PREFIX: &str = ".tmp-";

/// A file to be read that is known to be a regular one: no folder, pipe, socket or device.
#[derive(Debug)]
pub struct RegularFile {
    file: File,
    bytes: u64,
}

/// Why a path could not be opened as a regular file.
#[derive(Debug, thiserror::Error)]
pub enum OpenRegularError {
    /// The path is a folder.
    #[error("it is a folder")]
    Folder,
    /// The path is a pipe, a socket or a device, which may never end or block.
    #[error("it is not a regular file")]
    Special,
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl RegularFile {
    /// Opens a file that a user named. Symbolic links are followed; a pipe does not block.
    ///
    /// # Errors
    ///
    /// [`OpenRegularError::Folder`] and [`OpenRegularError::Special`] for what is no regular file, else
    /// the system's error.
    pub fn open(path: &Path) -> Result<Self, OpenRegularError> {
        // Asked before opening because opening a device can have effects, and after because the path may
        // have been exchanged in between.
        regular(&fs::metadata(path)?)?;
        Self::opened(options(FollowLinks::Yes).read(true).open(path)?)
    }

    /// Opens a file of our own; a symbolic link is an error.
    pub(crate) fn open_own(path: &Path) -> Result<Self, OpenRegularError> {
        Self::opened(options(FollowLinks::No).read(true).open(path)?)
    }

    fn opened(file: File) -> Result<Self, OpenRegularError> {
        let metadata = file.metadata()?;
        regular(&metadata)?;
        Ok(Self {
            file,
            bytes: metadata.len(),
        })
    }

    /// The size when it was opened; the file may grow while it is read.
    pub fn length(&self) -> u64 {
        self.bytes
    }

    /// Says who may touch the open file, by its mode alone.
    pub(crate) fn exposure(&self) -> io::Result<Exposure> {
        Ok(exposure(&self.file.metadata()?, None))
    }

    /// Notes that the file was used now. A failure only makes eviction less exact.
    pub(crate) fn touch(&self) {
        drop(self.file.set_modified(SystemTime::now()));
    }
}

impl io::Read for RegularFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

fn regular(metadata: &Metadata) -> Result<(), OpenRegularError> {
    if metadata.is_dir() {
        return Err(OpenRegularError::Folder);
    }
    if !metadata.is_file() {
        return Err(OpenRegularError::Special);
    }
    Ok(())
}

impl From<OpenRegularError> for io::Error {
    fn from(error: OpenRegularError) -> Self {
        match error {
            OpenRegularError::Folder => Self::from(io::ErrorKind::IsADirectory),
            OpenRegularError::Special => Self::other("not a regular file"),
            OpenRegularError::Io(error) => error,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FollowLinks {
    Yes,
    No,
}

/// Options for a file only its owner may touch, that never block on a pipe.
fn options(follow_links: FollowLinks) -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let no_follow = if follow_links == FollowLinks::No {
            libc::O_NOFOLLOW
        } else {
            0
        };
        options.mode(0o600).custom_flags(no_follow | libc::O_NONBLOCK);
    }
    #[cfg(not(unix))]
    let _ = follow_links;
    options
}

/// Reads a whole file of our own.
///
/// A file larger than `bytes_max` is [`io::ErrorKind::FileTooLarge`].
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = RegularFile::open_own(path)?;
    read_opened(file, bytes_max)
}

/// As [`read`], for a file that is already open.
pub(crate) fn read_opened(file: RegularFile, bytes_max: u64) -> io::Result<Vec<u8>> {
    if file.length() > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(file.length()).unwrap_or(0));
    // One more than allowed tells a file that grew from one that just fits.
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Writes a file so that it is seen whole or not at all, even after a power cut; replaces an older one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = parent(path)?;
    let temporary = temporary(folder, bytes)?;
    failpoint::reached("write: temporary file written");
    temporary.persist(path).map_err(|error| error.error)?;
    failpoint::reached("write: renamed");
    sync_folder(folder)
}

/// As [`write`], but never replaces: `false` means that another process was first.
pub(crate) fn write_once(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let folder = parent(path)?;
    match temporary(folder, bytes)?.persist_noclobber(path) {
        Ok(_) => sync_folder(folder).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

/// A synced temporary file, removed when it is dropped. `tempfile` creates it exclusively with mode 0600.
fn temporary(folder: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = make_temporary(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn make_temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let made = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .rand_bytes(12)
        .tempfile_in(folder);
    made.map_err(without_path)
}

/// The library adds the random name to the system's reason, which helps nobody who reads the message.
fn without_path(error: io::Error) -> io::Error {
    use io::ErrorKind::{NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let is_clear_alone = matches!(
        error.kind(),
        NotFound | PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull
    );
    if is_clear_alone {
        error.kind().into()
    } else {
        error
    }
}

pub(crate) fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows has no such call: NTFS writes names through its journal.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Creates an empty private file unless there is one.
///
/// Never opens an existing one: closing any descriptor of a database file drops the locks `SQLite` holds
/// on it in this process.
pub(crate) fn create_if_missing(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        Ok(_) => return Err(io::Error::other("not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    match options(FollowLinks::No).write(true).create_new(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens the file whose only purpose is to be locked.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    let file = options(FollowLinks::No)
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    RegularFile::opened(file)
        .map(|opened| opened.file)
        .map_err(Into::into)
}

/// Opens a file for appending; makes it if it is missing. Readable, to see how it ends.
pub(crate) fn open_append(path: &Path) -> io::Result<File> {
    let file = options(FollowLinks::No)
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    RegularFile::opened(file)
        .map(|opened| opened.file)
        .map_err(Into::into)
}

/// Whether the path still names this open file.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let there = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let open = file.metadata()?;
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

/// Whether the path still names this open file: Windows does not let go of a name while a file is open.
#[cfg(not(unix))]
pub(crate) fn is_at(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Device and inode of a regular file, without opening it.
#[cfg(unix)]
pub(crate) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::symlink_metadata(path)?;
    regular(&metadata)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Opens the database's shared-memory file; the caller never closes it.
///
/// Nothing may fail after it is open: an error would close it.
#[cfg(unix)]
pub(crate) fn open_shared_memory(path: &Path) -> io::Result<File> {
    options(FollowLinks::No).read(true).open(path)
}

/// Makes a folder and those above it that are missing, for this user only.
pub(crate) fn make_folders(path: &Path) -> io::Result<()> {
    private_folder().recursive(true).create(path)
}

/// Makes one folder; one that is there must be a folder and no link to one.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    match private_folder().create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(path)?.is_dir() {
                return Ok(());
            }
            Err(io::ErrorKind::NotADirectory.into())
        }
        Err(error) => Err(error),
    }
}

fn private_folder() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is no mode to set"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Who else may touch a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// Only its owner, who is this process's user (or root).
    Private,
    /// Others may read it.
    Readable,
    /// Others may write it, or another user owns it.
    Writable,
}

/// Says who may touch a folder, and proves by a temporary file that we may write to it.
pub(crate) fn probe(folder: &Path) -> io::Result<Exposure> {
    let metadata = fs::metadata(folder)?;
    let file = make_temporary(folder)?;
    Ok(exposure(&metadata, Some(&file.as_file().metadata()?)))
}

/// Says who may touch a file, by its mode alone.
pub(crate) fn file_exposure(path: &Path) -> io::Result<Exposure> {
    Ok(exposure(&fs::symlink_metadata(path)?, None))
}

/// `own` is the metadata of something this process has just made: std has no other way to its user.
#[cfg(unix)]
fn exposure(metadata: &Metadata, own: Option<&Metadata>) -> Exposure {
    use std::os::unix::fs::MetadataExt as _;
    let foreign = own.is_some_and(|own| metadata.uid() != own.uid() && metadata.uid() != 0);
    if foreign || metadata.mode() & 0o022 != 0 {
        return Exposure::Writable;
    }
    if metadata.mode() & 0o044 != 0 {
        Exposure::Readable
    } else {
        Exposure::Private
    }
}

#[cfg(not(unix))]
fn exposure(_metadata: &Metadata, _own: Option<&Metadata>) -> Exposure {
    Exposure::Private
}

/// A regular file in a folder.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) modified: SystemTime,
}

/// The regular files in a folder whose names are UTF-8; everything else is not ours.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Another process may remove files while we list them.
        let (Ok(metadata), Ok(name)) = (entry.metadata(), entry.file_name().into_string()) else {
            continue;
        };
        if metadata.is_file() {
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            entries.push(Entry {
                name,
                path: entry.path(),
                bytes: metadata.len(),
                modified,
            });
        }
    }
    Ok(entries)
}

/// The size of a regular file of our own, or `None` when there is nothing.
pub(crate) fn size(path: &Path) -> io::Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => Err(io::Error::other("not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file; `false` when it was not there.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// How much is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Reads a file of our own piece by piece; says how many bytes there were.
pub(crate) fn read_pieces(path: &Path, piece: &mut dyn FnMut(&[u8])) -> io::Result<u64> {
    let mut file = RegularFile::open_own(path)?;
    let mut buffer = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let Some(found @ [_, ..]) = buffer.get(..read) else {
            return Ok(bytes);
        };
        piece(found);
        bytes += count(found.len());
    }
}

/// Copies a file of our own to a new one, and syncs it; the caller syncs its folder.
///
/// As much as there was at the start: what is added meanwhile may be half a line.
pub(crate) fn copy(source: &Path, target: &Path, mut piece: impl FnMut(&[u8])) -> io::Result<u64> {
    let file = RegularFile::open_own(source)?;
    let bytes = file.length();
    let mut file = file.take(bytes);
    let mut copy = options(FollowLinks::No)
        .write(true)
        .create_new(true)
        .open(target)?;
    let mut buffer = vec![0; PIECE_BYTES];
    let mut copied = 0;
    while copied < bytes {
        let read = file.read(&mut buffer)?;
        let Some(found @ [_, ..]) = buffer.get(..read) else {
            break;
        };
        copy.write_all(found)?;
        piece(found);
        copied += count(found.len());
    }
    copy.sync_all()?;
    Ok(copied)
}

/// Makes the bytes of a file durable.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    options(FollowLinks::No).write(true).open(path)?.sync_all()
}

/// A length as a number that is stored or reported.
pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Whether there is nothing at a path, or an empty folder that is no link to one.
pub(crate) fn is_vacant(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(fs::read_dir(path)?.next().is_none()),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Makes a private folder with a random name; it is removed when the result is dropped.
pub(crate) fn temporary_folder(above: &Path) -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX).rand_bytes(12);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(above).map_err(without_path)
}

/// Moves a folder to where nothing is or an empty folder; `false` when there is something else.
pub(crate) fn move_folder(folder: &Path, target: &Path) -> io::Result<bool> {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
    // Elsewhere a folder does not take the place of an empty one.
    #[cfg(not(unix))]
    drop(fs::remove_dir(target));
    match fs::rename(folder, target) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), AlreadyExists | DirectoryNotEmpty | NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an error says that nothing more can be written: the disk, a quota or a size limit is reached.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    // `FileTooLarge` is EFBIG when writing; our own reads use it too, but no write passes them on.
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_made_is_no_random_name_in_the_message() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("missing/file"), b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!error.to_string().contains(TEMPORARY_PREFIX), "{error}");
    }
}
