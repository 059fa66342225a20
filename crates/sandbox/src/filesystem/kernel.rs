//! The only calls into the kernel that take a path, and none of them follows a link.
//!
//! A path is looked up below the folder of a grant, by `openat2`, which refuses links, `..` and mount points in one
//! step. Where there is none (an old kernel, a filter for system calls, another unix) each component is opened by
//! itself. What is met on the way is reported as a [`Stop`], and the caller decides.

use super::root::Root;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[cfg(target_os = "linux")]
use rustix::fs::{CWD, ResolveFlags, openat2};

/// For looking only: neither reads nor blocks, and a device does not notice.
#[cfg(target_os = "linux")]
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
#[cfg(not(target_os = "linux"))]
const LOOK: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK);

/// Attempts when the kernel says that a rename elsewhere disturbed the look-up.
const DISTURBED_MAX: usize = 16;

/// Why an operation was not done.
#[derive(Debug)]
pub(super) enum Stop {
    /// There is a link on the way.
    Link,
    /// It would have to wait for a disk, and the caller did not want to.
    WouldWait,
    /// It must not be done, for a reason that lies outside the policy: what it lacks, to be read after "it lacks".
    Refused(&'static str),
    /// The kernel's reason.
    Errno(Errno),
    /// A limit of the call was reached.
    OverLimit,
    /// Too much is open already: what it lacks.
    Crowded(&'static str),
}

impl Stop {
    /// Whether the server itself lacks what is needed, so that nothing was found out about the place.
    pub(super) fn is_exhausted(&self) -> bool {
        matches!(
            self,
            Self::Crowded(_) | Self::Errno(Errno::MFILE | Errno::NFILE | Errno::NOMEM)
        )
    }
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// Whether an operation may wait for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Only what the kernel has in memory.
    Cached,
    /// It runs where it may block.
    Patient,
}

/// A path below the folder of a grant: normal, without leading `/`, empty for the folder itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    pub(super) root: &'a Root,
    pub(super) below: &'a str,
}

/// How paths are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// By one call for the whole path.
    #[cfg(target_os = "linux")]
    Openat2,
    /// Component by component.
    Walker,
}

impl Kernel {
    /// What this system offers.
    pub(super) fn detect() -> Self {
        #[cfg(target_os = "linux")]
        if openat2(CWD, "/", LOOK, Mode::empty(), ResolveFlags::NO_SYMLINKS).is_ok() {
            return Self::Openat2;
        }
        Self::Walker
    }

    /// Whether it can tell what is in memory from what is not.
    pub(super) fn has_pace(self) -> bool {
        self != Self::Walker
    }

    /// Opens a path that has no link in it. A link at its end is opened itself if `flags` only look.
    pub(super) fn open(self, spot: Spot<'_>, flags: OFlags, pace: Pace) -> Result<OwnedFd, Stop> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match self {
            #[cfg(target_os = "linux")]
            Self::Openat2 => by_openat2(spot, flags, pace),
            Self::Walker => match spot.below.rsplit_once('/') {
                None if spot.below.is_empty() => Ok(openat(&spot.root.fd, ".", flags, mode(flags))?),
                None => enter(spot.root.fd.as_fd(), spot.below, flags, spot.root),
                Some((folder, name)) => {
                    let folder = walk(spot.root, folder)?;
                    enter(folder.as_fd(), name, flags, spot.root)
                }
            },
        }
    }

    /// The folder a path is in, to do something with its last name there. That name is not looked at.
    pub(super) fn parent(self, spot: Spot<'_>, pace: Pace) -> Result<(OwnedFd, &str), Stop> {
        let (folder, name) = spot.below.rsplit_once('/').unwrap_or(("", spot.below));
        if name.is_empty() {
            return Err(Stop::Refused(
                "a grant for the folder it is in: it is itself what was granted",
            ));
        }
        let folder = Spot {
            root: spot.root,
            below: folder,
        };
        Ok((self.open(folder, LOOK | OFlags::DIRECTORY, pace)?, name))
    }

    /// Looks at what is there without opening it; at a link itself.
    pub(super) fn peek(self, spot: Spot<'_>, pace: Pace) -> Result<Stat, Stop> {
        #[cfg(target_os = "linux")]
        return Ok(fstat(self.open(spot, LOOK, pace)?)?);
        #[cfg(not(target_os = "linux"))]
        {
            if spot.below.is_empty() {
                return Ok(fstat(&spot.root.fd)?);
            }
            let (folder, name) = self.parent(spot, pace)?;
            Ok(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?)
        }
    }

    /// Where a link leads, as it is written.
    pub(super) fn read_link(self, spot: Spot<'_>) -> Result<Vec<u8>, Stop> {
        let (folder, name) = self.parent(spot, Pace::Patient)?;
        Ok(readlinkat(folder, name, Vec::new())?.into_bytes())
    }
}

/// Of what is made: nothing that runs, and the process's mask takes away from it.
fn mode(flags: OFlags) -> Mode {
    if flags.contains(OFlags::CREATE) {
        Mode::from_raw_mode(0o666)
    } else {
        Mode::empty()
    }
}

#[cfg(target_os = "linux")]
fn by_openat2(spot: Spot<'_>, flags: OFlags, pace: Pace) -> Result<OwnedFd, Stop> {
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    resolve.set(ResolveFlags::NO_XDEV, !spot.root.crosses);
    resolve.set(ResolveFlags::CACHED, pace == Pace::Cached);
    let path = if spot.below.is_empty() { "." } else { spot.below };
    for _ in 0..DISTURBED_MAX {
        match openat2(&spot.root.fd, path, flags, mode(flags), resolve) {
            Ok(fd) => return Ok(fd),
            Err(Errno::LOOP) => return Err(Stop::Link),
            Err(Errno::XDEV) => return Err(Stop::Refused(MOUNT_POINT)),
            Err(Errno::AGAIN) if pace == Pace::Cached => return Err(Stop::WouldWait),
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::AGAIN.into())
}

const MOUNT_POINT: &str = "`submounts: true` in the grant: a mount point is on its way";

/// Opens the folders of a path one by one.
fn walk(root: &Root, path: &str) -> Result<OwnedFd, Stop> {
    let mut folder = openat(&root.fd, ".", LOOK | OFlags::DIRECTORY, Mode::empty())?;
    for name in path.split('/') {
        folder = enter(folder.as_fd(), name, LOOK | OFlags::DIRECTORY, root)?;
    }
    Ok(folder)
}

/// Opens one name in a folder.
fn enter(folder: BorrowedFd<'_>, name: &str, flags: OFlags, root: &Root) -> Result<OwnedFd, Stop> {
    let fd = match openat(folder, name, flags | OFlags::NOFOLLOW, mode(flags)) {
        Ok(fd) => fd,
        Err(Errno::LOOP | Errno::MLINK) => return Err(Stop::Link),
        // A folder was wanted: the kernel says the same of a link and of a file.
        Err(Errno::NOTDIR) => {
            let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_link = FileType::from_raw_mode(found.st_mode) == FileType::Symlink;
            return Err(if is_link { Stop::Link } else { Errno::NOTDIR.into() });
        }
        Err(errno) => return Err(errno.into()),
    };
    if !root.crosses && root.mount != MountMark::of(fd.as_fd())? {
        return Err(Stop::Refused(MOUNT_POINT));
    }
    Ok(fd)
}

/// Tells mounted file systems apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MountMark {
    device: u64,
    /// Tells two mounts of one file system apart, where the kernel says it.
    id: Option<u64>,
}

impl MountMark {
    pub(super) fn of(fd: BorrowedFd<'_>) -> Result<Self, Stop> {
        Ok(Self {
            device: device(&fstat(fd)?),
            id: mount_id(fd),
        })
    }
}

#[cfg(target_os = "linux")]
fn mount_id(fd: BorrowedFd<'_>) -> Option<u64> {
    use rustix::fs::{StatxFlags, statx};
    let found = statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id)
}

#[cfg(not(target_os = "linux"))]
fn mount_id(_fd: BorrowedFd<'_>) -> Option<u64> {
    None
}

/// Opens an absolute path that must have no link in it, to look at it.
pub(super) fn look_absolute(kernel: Kernel, path: &str) -> Result<OwnedFd, Stop> {
    match kernel {
        #[cfg(target_os = "linux")]
        Kernel::Openat2 => {
            let resolve = ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
            match openat2(CWD, path, LOOK, Mode::empty(), resolve) {
                Ok(fd) => Ok(fd),
                Err(Errno::LOOP) => Err(Stop::Link),
                Err(errno) => Err(errno.into()),
            }
        }
        Kernel::Walker => {
            let fd = openat(rustix::fs::CWD, "/", LOOK | OFlags::DIRECTORY, Mode::empty())?;
            let mount = MountMark::of(fd.as_fd())?;
            let root = Root::bare(fd, mount);
            let path = path.trim_start_matches('/');
            let spot = Spot {
                root: &root,
                below: path,
            };
            Kernel::Walker.open(spot, LOOK, Pace::Patient)
        }
    }
}

/// The device a file is on.
#[allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    clippy::cast_sign_loss,
    reason = "the type of `st_dev` differs between systems"
)]
pub(super) fn device(stat: &Stat) -> u64 {
    stat.st_dev as u64
}
