//! What is done with files, on places that were allowed. All of it may block.

use super::Session;
use super::convert::{describe, describe_above, file_type, identity, inode, size};
use super::descriptors::Place;
use super::kernel::{Pace, Stop};
use super::resolve::{Halt, Request, Spotted, Target};
use super::root::check_entered;
use super::session::File;
use super::types::{DescriptorFlags, DescriptorStat, ErrorCode, MetadataHashValue, OpenFlags};
use crate::gate::{Gate, OverLimit};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timestamps, fstat, ftruncate};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use std::os::fd::OwnedFd;
use wassette_policy::{AbsolutePath, Authority, FileOperation, Permit};

/// Attempts to open what is exchanged all the time by somebody else.
const EXCHANGES_MAX: usize = 8;

const NEITHER: &str = "a file or a folder at its end: devices, pipes and sockets are never opened";

impl From<OverLimit> for Stop {
    fn from(_over: OverLimit) -> Self {
        Self::OverLimit
    }
}

/// What an open leads to.
#[derive(Debug)]
pub(super) enum Opened {
    Above(AbsolutePath),
    /// With what allowed it.
    Folder(AbsolutePath, File, (FileOperation, Permit)),
    /// The same.
    File(AbsolutePath, File, (FileOperation, Permit)),
}

/// What a guest wants to open, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) open: OpenFlags,
    pub(super) flags: DescriptorFlags,
}

impl Opening {
    fn creates(self) -> bool {
        self.open.contains(OpenFlags::CREATE)
    }

    fn writes(self) -> bool {
        self.flags.contains(DescriptorFlags::WRITE) || self.open.contains(OpenFlags::TRUNCATE)
    }

    /// The kernel's flags. Never one that sets the terminal, waits for a pipe's other end or empties a file before
    /// it was looked at.
    fn for_kernel(self) -> OFlags {
        let mode = match (self.flags.contains(DescriptorFlags::READ), self.writes()) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            (true | false, false) => OFlags::RDONLY,
        };
        let mut flags = mode | OFlags::NONBLOCK | OFlags::NOCTTY;
        flags.set(
            OFlags::SYNC,
            self.flags.contains(DescriptorFlags::FILE_INTEGRITY_SYNC),
        );
        flags.set(
            OFlags::DSYNC,
            self.flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC),
        );
        flags
    }
}

impl Session {
    pub(super) fn open(&self, request: &Request, opening: Opening, pace: Pace) -> Result<Opened, Halt> {
        self.act(request, pace, |spotted| match spotted {
            Spotted::Above(path) => Ok(Opened::Above(path.clone())),
            Spotted::Real(target) => self.open_target(target, request.follow, opening),
        })
    }

    fn open_target(&self, target: &Target, follow: bool, opening: Opening) -> Result<Opened, Stop> {
        let place = self.place()?;
        for _ in 0..EXCHANGES_MAX {
            let found = match self.kernel.peek(target.spot(), target.pace) {
                Ok(found) => found,
                Err(Stop::Errno(Errno::NOENT)) if opening.creates() => {
                    if target.is_folder {
                        return Err(Errno::ISDIR.into());
                    }
                    if target.pace == Pace::Cached {
                        return Err(Stop::WouldWait);
                    }
                    match self.create(target, opening) {
                        Err(Stop::Errno(Errno::EXIST)) => continue,
                        Ok(fd) => return Ok(opened_file(target, fd, place)),
                        Err(stop) => return Err(stop),
                    }
                }
                Err(stop) => return Err(stop),
            };
            let flags = open_flags(&found, target, follow, opening)?;
            let fd = self.kernel.open(target.spot(), flags, target.pace)?;
            if inode(&fstat(&fd)?) != inode(&found) {
                continue;
            }
            check_entered(&fd, target.spot(), &|| self.has_any_exceptions())?;
            if file_type(&found) == FileType::Directory {
                let folder = File::new(fd, target.root.is_local, place);
                return Ok(Opened::Folder(target.path.clone(), folder, target.permit.clone()));
            }
            if opening.open.contains(OpenFlags::TRUNCATE) {
                ftruncate(&fd, 0)?;
            }
            return Ok(opened_file(target, fd, place));
        }
        Err(Errno::AGAIN.into())
    }

    fn create(&self, target: &Target, opening: Opening) -> Result<OwnedFd, Stop> {
        self.gate.spend(|m| &m.files, 1)?;
        let flags = opening.for_kernel() | OFlags::CREATE | OFlags::EXCL;
        let fd = self.kernel.open(target.spot(), flags, target.pace)?;
        check_entered(&fd, target.spot(), &|| self.has_any_exceptions())?;
        Ok(fd)
    }

    fn has_any_exceptions(&self) -> bool {
        let authority = self.gate.authority();
        authority.mounts().iter().any(|mount| self.has_exceptions(mount))
    }

    pub(super) fn stat(&self, request: &Request, pace: Pace) -> Result<DescriptorStat, Halt> {
        self.act(request, pace, |spotted| match spotted {
            Spotted::Above(_) => Ok(describe_above()),
            Spotted::Real(target) => Ok(describe(&self.look(target, request.follow)?)),
        })
    }

    pub(super) fn hash(&self, request: &Request, pace: Pace) -> Result<MetadataHashValue, Halt> {
        self.act(request, pace, |spotted| match spotted {
            Spotted::Above(path) => Ok(identity(path)),
            Spotted::Real(target) => Ok(identity(inode(&self.look(target, request.follow)?))),
        })
    }

    pub(super) fn look(&self, target: &Target, follow: bool) -> Result<Stat, Stop> {
        let found = self.kernel.peek(target.spot(), target.pace)?;
        let kind = file_type(&found);
        if kind == FileType::Symlink && follow {
            return Err(Stop::Link);
        }
        if target.is_folder && kind != FileType::Directory {
            return Err(Errno::NOTDIR.into());
        }
        Ok(found)
    }

    pub(super) fn set_times(&self, request: &Request, times: &Timestamps) -> Result<(), Halt> {
        self.act(request, Pace::Patient, |spotted| {
            let target = spotted.real()?;
            self.look(target, request.follow)?;
            if target.below.is_empty() {
                let here = OFlags::RDONLY | OFlags::DIRECTORY;
                let fd = self.kernel.open(target.spot(), here, target.pace)?;
                return Ok(rustix::fs::futimens(&fd, times)?);
            }
            let (folder, name) = self.kernel.parent(target.spot(), target.pace)?;
            Ok(rustix::fs::utimensat(
                folder,
                name,
                times,
                AtFlags::SYMLINK_NOFOLLOW,
            )?)
        })
    }

    pub(super) fn create_folder(&self, request: &Request) -> Result<(), Halt> {
        self.act(request, Pace::Patient, |spotted| {
            let target = match spotted {
                // There is a folder already.
                Spotted::Above(_) => return Err(Errno::EXIST.into()),
                Spotted::Real(target) if target.below.is_empty() => return Err(Errno::EXIST.into()),
                Spotted::Real(target) => target,
            };
            let (folder, name) = self.kernel.parent(target.spot(), target.pace)?;
            self.gate.spend(|m| &m.files, 1)?;
            Ok(rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777))?)
        })
    }

    pub(super) fn remove(&self, request: &Request, flags: AtFlags) -> Result<(), Halt> {
        self.act(request, Pace::Patient, |spotted| {
            let target = spotted.real()?;
            self.refuse_mounts_below(target)?;
            let (folder, name) = self.kernel.parent(target.spot(), target.pace)?;
            Ok(rustix::fs::unlinkat(folder, named(name, target), flags)?)
        })
    }

    pub(super) fn rename(&self, from: &Request, to: &Request) -> Result<(), Halt> {
        self.act_at_both((from, to), |here, there| {
            let (here, there) = (here.real()?, there.real()?);
            self.refuse_mounts_below(here)?;
            self.refuse_mounts_below(there)?;
            self.decide_moved(here, there)?;
            let (folder, name) = self.kernel.parent(here.spot(), here.pace)?;
            let (to_folder, to_name) = self.kernel.parent(there.spot(), there.pace)?;
            let (name, to_name) = (named(name, here), named(to_name, there));
            Ok(rustix::fs::renameat(folder, name, to_folder, to_name)?)
        })
    }

    /// A grant is about a path. Whatever is moved away from that path, or put there, changes what was granted.
    pub(super) fn refuse_mounts_below(&self, target: &Target) -> Result<(), Stop> {
        let authority = self.gate.authority();
        let host = host_below(&authority, &target.mount, &target.path);
        let is_at_or_below = |mount: &wassette_policy::Mount| {
            let by_host = host.as_ref().is_some_and(|host| mount.host.below(host).is_some());
            by_host || mount.guest.below(&target.path).is_some()
        };
        if authority.mounts().iter().any(is_at_or_below) {
            return Err(Stop::Refused(
                "a place where nothing was granted by itself, there or below",
            ));
        }
        Ok(())
    }
}

/// What a guest's path is on this machine, seen from one grant.
pub(super) fn host_below(
    authority: &Authority,
    mount: &AbsolutePath,
    path: &AbsolutePath,
) -> Option<AbsolutePath> {
    let mount = authority.mounts().iter().find(|known| known.guest == *mount)?;
    mount.host.join(path.below(&mount.guest)?).ok()
}

fn opened_file(target: &Target, fd: OwnedFd, place: Place) -> Opened {
    let file = File::new(fd, target.root.is_local, place);
    Opened::File(target.path.clone(), file, target.permit.clone())
}

/// How to open what was found; an error when it must not be opened like that.
fn open_flags(found: &Stat, target: &Target, follow: bool, opening: Opening) -> Result<OFlags, Stop> {
    if opening.creates() && opening.open.contains(OpenFlags::EXCLUSIVE) {
        return Err(Errno::EXIST.into());
    }
    match file_type(found) {
        FileType::Symlink if follow => Err(Stop::Link),
        FileType::Symlink => Err(Errno::LOOP.into()),
        FileType::Directory if opening.writes() || opening.creates() => Err(Errno::ISDIR.into()),
        FileType::Directory => Ok(OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK),
        FileType::RegularFile if target.is_folder || opening.open.contains(OpenFlags::DIRECTORY) => {
            Err(Errno::NOTDIR.into())
        }
        FileType::RegularFile => Ok(opening.for_kernel()),
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Err(Stop::Refused(NEITHER)),
    }
}

/// The name as the guest wrote it: with a slash at its end, the kernel takes only a folder.
pub(super) fn named(name: &str, target: &Target) -> String {
    let slash = if target.is_folder { "/" } else { "" };
    format!("{name}{slash}")
}

/// Bytes read at once.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// Reads some bytes; fewer or none at the end of the file.
pub(super) fn read_at(fd: &OwnedFd, length: usize, at: u64, pace: Pace) -> Result<Vec<u8>, Stop> {
    // No file is as long as that, and the kernel takes the largest of them for "where it was read last".
    if i64::try_from(at).is_err() {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; length.min(CHUNK_BYTES)];
    if bytes.is_empty() {
        return Ok(bytes);
    }
    let count = match pace {
        Pace::Patient => loop {
            match rustix::io::pread(fd, &mut bytes, at) {
                Err(Errno::INTR) => {}
                read => break read?,
            }
        },
        Pace::Cached => read_cached(fd, &mut bytes, at)?,
    };
    bytes.truncate(count);
    Ok(bytes)
}

/// Reads what is in memory. Less than asked for is what the kernel has, or the end of the file.
#[cfg(target_os = "linux")]
fn read_cached(fd: &OwnedFd, bytes: &mut [u8], at: u64) -> Result<usize, Stop> {
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    match rustix::io::preadv2(fd, &mut [IoSliceMut::new(bytes)], at, flags) {
        Ok(count) => Ok(count),
        Err(Errno::AGAIN | Errno::NOTSUP | Errno::NOSYS | Errno::INTR) => Err(Stop::WouldWait),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_fd: &OwnedFd, _bytes: &mut [u8], _at: u64) -> Result<usize, Stop> {
    Err(Stop::WouldWait)
}

/// Where to write.
#[derive(Clone, Copy, Debug)]
pub(super) enum WriteAt {
    Offset(u64),
    End,
}

/// Writes some of the bytes. What lies between the end of the file and the place counts as written too, because the
/// file is that much longer afterwards.
pub(super) fn write_at(gate: &Gate, fd: &OwnedFd, bytes: &[u8], at: WriteAt) -> Result<usize, Stop> {
    let gap = match at {
        WriteAt::Offset(offset) => offset.saturating_sub(size(&fstat(fd)?)),
        WriteAt::End => 0,
    };
    if bytes.is_empty() {
        return Ok(0);
    }
    gate.spend(|m| &m.file_write, gap.saturating_add(bytes.len() as u64))?;
    loop {
        let wrote = match at {
            WriteAt::Offset(offset) => rustix::io::pwrite(fd, bytes, offset),
            WriteAt::End => append(fd, bytes),
        };
        match wrote {
            Err(Errno::INTR) => {}
            wrote => return Ok(wrote?),
        }
    }
}

/// Writes all of the bytes.
pub(super) fn write_all(gate: &Gate, fd: &OwnedFd, mut bytes: &[u8], mut at: WriteAt) -> Result<(), Stop> {
    while !bytes.is_empty() {
        let count = write_at(gate, fd, bytes, at)?;
        if count == 0 {
            return Err(Errno::IO.into());
        }
        bytes = bytes.get(count..).unwrap_or_default();
        if let WriteAt::Offset(offset) = &mut at {
            *offset = offset.saturating_add(count as u64);
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn append(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let flags = rustix::io::ReadWriteFlags::APPEND;
    rustix::io::pwritev2(fd, &[IoSlice::new(bytes)], 0, flags)
}

/// Not atomic: two that append at the same time may overwrite each other's bytes.
#[cfg(not(target_os = "linux"))]
fn append(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    rustix::io::pwrite(fd, bytes, size(&fstat(fd)?))
}

/// Makes a file longer or shorter. What it gains counts as written.
pub(super) fn set_size(gate: &Gate, fd: &OwnedFd, length: u64) -> Result<(), Stop> {
    let gain = length.saturating_sub(size(&fstat(fd)?));
    gate.spend(|m| &m.file_write, gain)?;
    Ok(ftruncate(fd, length)?)
}

/// The guest's error for what went wrong with an open file.
pub(super) fn code(stop: &Stop) -> ErrorCode {
    match stop {
        Stop::Errno(errno) => super::convert::code(*errno),
        Stop::OverLimit => ErrorCode::Quota,
        Stop::Link => ErrorCode::Loop,
        Stop::WouldWait => ErrorCode::WouldBlock,
        Stop::Refused(_) => ErrorCode::Access,
        Stop::Crowded(_) => ErrorCode::Busy,
    }
}
