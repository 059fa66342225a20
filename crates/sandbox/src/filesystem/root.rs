//! The folders and files of grants, opened once for each call.
//!
//! The host refuses to grant what can never be granted, `/proc` for example. What is found at the path when a guest
//! uses the grant may be something else by then, so it is looked at again here.

use super::descriptors::{Descriptors, Place};
use super::kernel::{Kernel, MountMark, Pace, Spot, Stop, look_absolute};
use super::session::CROWDED;
use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use wassette_policy::{AbsolutePath, Mount};

/// Where the kernel begins to look for the paths of one grant.
#[derive(Debug)]
pub(super) struct Root {
    /// The granted folder; for a file the folder it is in.
    pub(super) fd: OwnedFd,
    /// The granted file's name in `fd`; empty for a folder.
    pub(super) name: String,
    /// Whether mount points on the way are entered.
    pub(super) crosses: bool,
    pub(super) mount: MountMark,
    /// Whether the kernel answers from this machine, not from a network or another program.
    pub(super) is_local: bool,
    /// What is there; `None`: nothing yet.
    pub(super) kind: Option<FileType>,
    _place: Option<Place>,
}

impl Root {
    /// A folder nothing is known of.
    pub(super) fn bare(fd: OwnedFd, mount: MountMark) -> Self {
        Self {
            fd,
            name: String::new(),
            crosses: true,
            mount,
            is_local: false,
            kind: Some(FileType::Directory),
            _place: None,
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        self.kind == Some(FileType::Directory)
    }

    /// The kernel's path of what a guest names below the grant.
    pub(super) fn kernel_path(&self, below: &str) -> String {
        match (self.name.is_empty(), below.is_empty()) {
            (true, _) => below.to_owned(),
            (false, true) => self.name.clone(),
            (false, false) => format!("{}/{below}", self.name),
        }
    }
}

/// What one call has opened.
#[derive(Debug)]
pub(super) struct Roots {
    kernel: Kernel,
    descriptors: Descriptors,
    open: Mutex<HashMap<(AbsolutePath, bool), Arc<Root>>>,
}

impl Roots {
    pub(super) fn new(kernel: Kernel, descriptors: Descriptors) -> Self {
        Self {
            kernel,
            descriptors,
            open: Mutex::default(),
        }
    }

    /// The root of a mount; opened if it is not open yet and the caller can wait.
    pub(super) fn of(
        &self,
        mount: &Mount,
        exceptions: Exceptions<'_>,
        pace: Pace,
    ) -> Result<Arc<Root>, Stop> {
        let key = (mount.host.clone(), mount.enters_submounts);
        let known = self.lock().get(&key).map(Arc::clone);
        let root = match (known, pace) {
            (Some(root), _) => root,
            (None, Pace::Cached) => return Err(Stop::WouldWait),
            (None, Pace::Patient) => {
                let place = self.descriptors.of_root();
                let place = place.map_err(|_full| Stop::Crowded(CROWDED))?;
                let mut root = open(self.kernel, mount, exceptions)?;
                root._place = Some(place);
                let root = Arc::new(root);
                // Something that may still be made is looked for again each time.
                if root.kind.is_some() {
                    self.lock().insert(key, Arc::clone(&root));
                }
                root
            }
        };
        if pace == Pace::Cached && !(root.is_local && self.kernel.has_pace()) {
            return Err(Stop::WouldWait);
        }
        Ok(root)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(AbsolutePath, bool), Arc<Root>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const LINK: &str = "what was there when it was granted: a link is in its place";

fn open(kernel: Kernel, mount: &Mount, exceptions: Exceptions<'_>) -> Result<Root, Stop> {
    let look = |path: &AbsolutePath| look_absolute(kernel, path.as_str());
    let link = |stop| {
        if matches!(stop, Stop::Link) {
            Stop::Refused(LINK)
        } else {
            stop
        }
    };
    let found = match look(&mount.host) {
        Ok(fd) => Some(fd),
        Err(Stop::Errno(Errno::NOENT)) => None,
        Err(stop) => return Err(link(stop)),
    };
    let kind = match &found {
        Some(fd) => Some(FileType::from_raw_mode(fstat(fd)?.st_mode)),
        None => None,
    };
    if kind == Some(FileType::Symlink) {
        return Err(Stop::Refused(LINK));
    }
    let nature = found
        .as_ref()
        .map(|fd| nature(fd.as_fd(), exceptions))
        .transpose()?;
    let (fd, name) = match (found, kind) {
        (Some(fd), Some(FileType::Directory)) => (fd, String::new()),
        (Some(_) | None, _) => {
            let (folder, name) = mount.host.parent().zip(mount.host.name()).ok_or(Errno::NOENT)?;
            (look(&folder).map_err(link)?, name.to_owned())
        }
    };
    Ok(Root {
        // A file that was granted may be a mount point itself, as containers have them.
        crosses: mount.enters_submounts || !name.is_empty(),
        mount: MountMark::of(fd.as_fd())?,
        is_local: nature == Some(Nature::Local),
        fd,
        name,
        kind,
        _place: None,
    })
}

/// Whether there are exceptions by name below a grant. Asked only where it matters, because there may be many.
pub(super) type Exceptions<'a> = &'a dyn Fn() -> bool;

/// What kind of file system it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// On a disk or in the memory of this machine, and known to answer at once what is in memory.
    Local,
    /// Any other that holds files.
    Other,
}

/// Looks at the file system of what was opened.
///
/// # Errors
///
/// [`Stop::Refused`]: one that holds the insides of the kernel, or one where names have several spellings while there
/// are exceptions by name.
#[cfg(target_os = "linux")]
pub(super) fn nature(fd: std::os::fd::BorrowedFd<'_>, exceptions: Exceptions<'_>) -> Result<Nature, Stop> {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "the type of `f_type` differs between systems, the number has 32 bits"
    )]
    let magic = rustix::fs::fstatfs(fd)?.f_type as u32;
    if magic::NEVER.contains(&magic) {
        return Err(Stop::Refused(
            "a file system that may be entered: this one shows the insides of the kernel",
        ));
    }
    if (magic::SEVERAL_SPELLINGS.contains(&magic) || (magic::MAY_FOLD.contains(&magic) && folds_case(fd)))
        && exceptions()
    {
        return Err(Stop::Refused(
            "a file system on which names have one spelling: exceptions by name cannot be kept on this one",
        ));
    }
    Ok(if magic::LOCAL.contains(&magic) {
        Nature::Local
    } else {
        Nature::Other
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn nature(_fd: std::os::fd::BorrowedFd<'_>, exceptions: Exceptions<'_>) -> Result<Nature, Stop> {
    if exceptions() {
        return Err(Stop::Refused(
            "a system on which names have one spelling: exceptions by name cannot be kept on this one",
        ));
    }
    Ok(Nature::Other)
}

/// Whether a folder of ext4, f2fs or tmpfs ignores case. Asked of the granted folder; one below it that was set to
/// ignore case by itself is not noticed.
#[cfg(target_os = "linux")]
fn folds_case(fd: std::os::fd::BorrowedFd<'_>) -> bool {
    /// `FS_CASEFOLD_FL` of `linux/fs.h`.
    const CASEFOLD: u32 = 0x4000_0000;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(fd, ".", flags, rustix::fs::Mode::empty());
    folder
        .and_then(rustix::fs::ioctl_getflags)
        .is_ok_and(|flags| flags.bits() & CASEFOLD != 0)
}

/// Looks at what was opened below a root, if it may be on another file system than the root.
pub(super) fn check_entered(fd: &OwnedFd, spot: Spot<'_>, exceptions: Exceptions<'_>) -> Result<(), Stop> {
    if spot.root.crosses && MountMark::of(fd.as_fd())? != spot.root.mount {
        nature(fd.as_fd(), exceptions)?;
    }
    Ok(())
}

/// Numbers of `linux/magic.h` and of the file systems' own headers.
#[cfg(target_os = "linux")]
mod magic {
    /// proc, sysfs, cgroup, cgroup2, devpts, debugfs, tracefs, securityfs, bpf, configfs, pstore, efivarfs,
    /// selinuxfs, smackfs, binfmt_misc, nsfs, resctrl, fusectl, apparmorfs, nfsd, binder.
    pub(super) const NEVER: [u32; 21] = [
        0x9fa0,
        0x6265_6572,
        0x0027_e0eb,
        0x6367_7270,
        0x1cd1,
        0x6462_6720,
        0x7472_6163,
        0x7363_6673,
        0xcafe_4a11,
        0x6265_6570,
        0x6165_676c,
        0xde5e_81e4,
        0xf97c_ff8c,
        0x4341_5d53,
        0x4249_4e4d,
        0x6e73_6673,
        0x0765_5821,
        0x6573_5543,
        0x5a3c_69f0,
        0x6e66_7364,
        0x6c6f_6f70,
    ];

    /// vfat, exfat, ntfs, ntfs3, hfsplus, hfs, smb, cifs, smb2, isofs, udf.
    pub(super) const SEVERAL_SPELLINGS: [u32; 11] = [
        0x4d44,
        0x2011_bab0,
        0x5346_544e,
        0x7366_746e,
        0x482b,
        0x4244,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x9660,
        0x1501_3346,
    ];

    /// ext4, f2fs, tmpfs.
    pub(super) const MAY_FOLD: [u32; 3] = [0xef53, 0xf2f5_2010, 0x0102_1994];

    /// ext2 to ext4, xfs, btrfs, tmpfs, ramfs, overlay, f2fs, erofs, squashfs.
    pub(super) const LOCAL: [u32; 9] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0x0102_1994,
        0x8584_58f6,
        0x794c_7630,
        0xf2f5_2010,
        0xe0f5_e1e2,
        0x7371_7368,
    ];
}
