//! The kernel's words in those of `wasi:filesystem`, and back.

use super::types::{DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue, NewTimestamp};
use rustix::fs::{FileType, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use super::kernel::device;

/// The guest's word for the kernel's reason.
pub(super) fn code(errno: Errno) -> ErrorCode {
    const TABLE: [(Errno, ErrorCode); 34] = [
        (Errno::ACCESS, ErrorCode::Access),
        (Errno::AGAIN, ErrorCode::WouldBlock),
        (Errno::ALREADY, ErrorCode::Already),
        (Errno::BADF, ErrorCode::BadDescriptor),
        (Errno::BUSY, ErrorCode::Busy),
        (Errno::DEADLK, ErrorCode::Deadlock),
        (Errno::DQUOT, ErrorCode::Quota),
        (Errno::EXIST, ErrorCode::Exist),
        (Errno::FBIG, ErrorCode::FileTooLarge),
        (Errno::ILSEQ, ErrorCode::IllegalByteSequence),
        (Errno::INTR, ErrorCode::Interrupted),
        (Errno::INVAL, ErrorCode::Invalid),
        (Errno::IO, ErrorCode::Io),
        (Errno::ISDIR, ErrorCode::IsDirectory),
        (Errno::LOOP, ErrorCode::Loop),
        (Errno::MLINK, ErrorCode::TooManyLinks),
        (Errno::NAMETOOLONG, ErrorCode::NameTooLong),
        (Errno::NODEV, ErrorCode::NoDevice),
        (Errno::NOENT, ErrorCode::NoEntry),
        (Errno::NOLCK, ErrorCode::NoLock),
        (Errno::NOMEM, ErrorCode::InsufficientMemory),
        (Errno::NOSPC, ErrorCode::InsufficientSpace),
        (Errno::NOTDIR, ErrorCode::NotDirectory),
        (Errno::NOTEMPTY, ErrorCode::NotEmpty),
        (Errno::NOSYS, ErrorCode::Unsupported),
        (Errno::NOTSUP, ErrorCode::Unsupported),
        (Errno::NXIO, ErrorCode::NoSuchDevice),
        (Errno::OVERFLOW, ErrorCode::Overflow),
        (Errno::PERM, ErrorCode::NotPermitted),
        (Errno::PIPE, ErrorCode::Pipe),
        (Errno::ROFS, ErrorCode::ReadOnly),
        (Errno::SPIPE, ErrorCode::InvalidSeek),
        (Errno::TXTBSY, ErrorCode::TextFileBusy),
        (Errno::XDEV, ErrorCode::CrossDevice),
    ];
    let known = TABLE.iter().find(|(known, _)| *known == errno);
    known.map_or(ErrorCode::Io, |(_, code)| *code)
}

pub(super) fn kind(file_type: FileType) -> DescriptorType {
    match file_type {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Unknown,
    }
}

pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// What a guest is told of a file. Times before 1970 cannot be told.
#[allow(clippy::useless_conversion, reason = "the types differ between systems")]
pub(super) fn describe(stat: &Stat) -> DescriptorStat {
    let time = |seconds, nanoseconds: Option<u32>| {
        Some(Datetime {
            seconds: u64::try_from(seconds).ok()?,
            nanoseconds: nanoseconds?,
        })
    };
    DescriptorStat {
        type_: kind(file_type(stat)),
        link_count: u64::try_from(stat.st_nlink).unwrap_or(u64::MAX),
        size: size(stat),
        data_access_timestamp: time(stat.st_atime, u32::try_from(stat.st_atime_nsec).ok()),
        data_modification_timestamp: time(stat.st_mtime, u32::try_from(stat.st_mtime_nsec).ok()),
        status_change_timestamp: time(stat.st_ctime, u32::try_from(stat.st_ctime_nsec).ok()),
    }
}

/// What a guest is told of a folder that is there only because a grant is below it.
pub(super) fn describe_above() -> DescriptorStat {
    DescriptorStat {
        type_: DescriptorType::Directory,
        link_count: 1,
        size: 0,
        data_access_timestamp: None,
        data_modification_timestamp: None,
        status_change_timestamp: None,
    }
}

/// A number that two descriptors share if they are the same file. The key is this process's own, so that nothing can
/// be learned from it.
pub(super) fn identity(of: impl std::hash::Hash) -> MetadataHashValue {
    static KEYS: OnceLock<(RandomState, RandomState)> = OnceLock::new();
    let (lower, upper) = KEYS.get_or_init(|| (RandomState::new(), RandomState::new()));
    MetadataHashValue {
        lower: lower.hash_one(&of),
        upper: upper.hash_one(&of),
    }
}

#[allow(clippy::useless_conversion, reason = "the types differ between systems")]
pub(super) fn inode(stat: &Stat) -> (u64, u64) {
    (device(stat), u64::from(stat.st_ino))
}

/// The times a guest wants to set.
pub(super) fn times(read: NewTimestamp, written: NewTimestamp) -> Result<Timestamps, ErrorCode> {
    Ok(Timestamps {
        last_access: time(read)?,
        last_modification: time(written)?,
    })
}

fn time(new: NewTimestamp) -> Result<Timespec, ErrorCode> {
    let special = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    match new {
        NewTimestamp::NoChange => Ok(special(UTIME_OMIT)),
        NewTimestamp::Now => Ok(special(UTIME_NOW)),
        NewTimestamp::Timestamp(time) if time.nanoseconds < 1_000_000_000 => Ok(Timespec {
            tv_sec: i64::try_from(time.seconds).map_err(|_too_far| ErrorCode::Overflow)?,
            tv_nsec: time.nanoseconds.into(),
        }),
        NewTimestamp::Timestamp(_) => Err(ErrorCode::Invalid),
    }
}
