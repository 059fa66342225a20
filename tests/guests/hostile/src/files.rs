//! Files, through `wasi:filesystem`.

pub use wasip2::filesystem::preopens::get_directories;
pub use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};
use wasip2::io::streams::StreamError;

/// The folder that is called this among those the host hands over.
pub fn folder(name: &str) -> Descriptor {
    let mut all = get_directories();
    let at = all.iter().position(|(_, given)| given == name);
    match at {
        Some(at) => all.swap_remove(at).0,
        None => panic!("no folder"),
    }
}

/// The folder of every attack on files.
pub fn cage() -> Descriptor {
    folder("/cage")
}

/// Opens for reading; links are followed.
pub fn open(at: &Descriptor, path: &str) -> Result<Descriptor, ErrorCode> {
    at.open_at(
        PathFlags::SYMLINK_FOLLOW,
        path,
        OpenFlags::empty(),
        DescriptorFlags::READ,
    )
}

/// Opens for writing, and makes the file when it is missing; links are followed.
pub fn create(at: &Descriptor, path: &str) -> Result<Descriptor, ErrorCode> {
    at.open_at(
        PathFlags::SYMLINK_FOLLOW,
        path,
        OpenFlags::CREATE,
        DescriptorFlags::READ | DescriptorFlags::WRITE,
    )
}

/// Opens a folder, to change what is in it if that is allowed.
pub fn enter(at: &Descriptor, path: &str) -> Result<Descriptor, ErrorCode> {
    at.open_at(
        PathFlags::SYMLINK_FOLLOW,
        path,
        OpenFlags::DIRECTORY,
        DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
    )
    .or_else(|_| {
        at.open_at(
            PathFlags::SYMLINK_FOLLOW,
            path,
            OpenFlags::DIRECTORY,
            DescriptorFlags::READ,
        )
    })
}

/// The beginning of a file.
pub fn read(at: &Descriptor, path: &str) -> Result<String, ErrorCode> {
    let (bytes, _) = open(at, path)?.read(4096, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes the beginning of a file.
pub fn write(at: &Descriptor, path: &str, text: &str) -> Result<(), ErrorCode> {
    create(at, path)?.write(text.as_bytes(), 0).map(drop)
}

/// Reads a file by its stream, and gives how many bytes came.
pub fn drain(file: &Descriptor) -> Result<u64, ErrorCode> {
    let stream = file.read_via_stream(0)?;
    let mut bytes = 0;
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(chunk) => bytes += chunk.len() as u64,
            Err(StreamError::Closed | StreamError::LastOperationFailed(_)) => return Ok(bytes),
        }
    }
}

/// Every way to look through a path at something that must not be seen.
pub fn peek(at: &Descriptor, path: &str) -> Vec<(&'static str, Result<(), ErrorCode>)> {
    vec![
        ("open", open(at, path).map(drop)),
        (
            "open without following",
            at.open_at(
                PathFlags::empty(),
                path,
                OpenFlags::empty(),
                DescriptorFlags::READ,
            )
            .map(drop),
        ),
        ("enter", enter(at, path).map(drop)),
        ("stat", at.stat_at(PathFlags::SYMLINK_FOLLOW, path).map(drop)),
        (
            "hash",
            at.metadata_hash_at(PathFlags::SYMLINK_FOLLOW, path).map(drop),
        ),
    ]
}

/// Every way to change something through a path. Only for what the test has made: these tests run as whoever runs
/// them, and where a barrier fails they do what they say.
pub fn spoil(at: &Descriptor, path: &str) -> Vec<(&'static str, Result<(), ErrorCode>)> {
    let now = NewTimestamp::Now;
    let open = |flags| at.open_at(PathFlags::SYMLINK_FOLLOW, path, flags, DescriptorFlags::WRITE);
    vec![
        ("create", open(OpenFlags::CREATE).map(drop)),
        (
            "create anew",
            open(OpenFlags::CREATE | OpenFlags::EXCLUSIVE).map(drop),
        ),
        ("truncate", open(OpenFlags::TRUNCATE).map(drop)),
        (
            "truncate for reading",
            at.open_at(
                PathFlags::SYMLINK_FOLLOW,
                path,
                OpenFlags::TRUNCATE,
                DescriptorFlags::READ,
            )
            .map(drop),
        ),
        (
            "write",
            open(OpenFlags::empty())
                .and_then(|file| file.write(b"spoiled", 0))
                .map(drop),
        ),
        (
            "set times",
            at.set_times_at(PathFlags::SYMLINK_FOLLOW, path, now, now),
        ),
        ("make a folder", at.create_directory_at(path)),
        ("make a link", at.symlink_at("target", path)),
        ("remove a file", at.unlink_file_at(path)),
        ("remove a folder", at.remove_directory_at(path)),
    ]
}

impl crate::Journal {
    /// None of these may have worked.
    pub fn none(&mut self, path: &str, tried: Vec<(&'static str, Result<(), ErrorCode>)>) {
        let path: String = path.chars().take(60).collect();
        for (what, result) in tried {
            let reason = result.map_err(|error| error.name());
            self.held(&format!("{what} {path:?}"), reason);
        }
    }
}

/// The names in a folder.
pub fn list(folder: &Descriptor) -> Result<Vec<String>, ErrorCode> {
    let stream = folder.read_directory()?;
    let mut names = Vec::new();
    while let Some(entry) = stream.read_directory_entry()? {
        names.push(entry.name);
    }
    Ok(names)
}
