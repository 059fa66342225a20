//! A Unix socket that only this user reaches, as a file that goes with the server.

use std::ffi::OsStr;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What a socket, or the folder that it is made in, is called until it listens.
pub(crate) const NEW: &str = ".new";

/// Characters between the name of a socket and that. Few, because the path of a socket has 107 at most.
const RANDOM: usize = 4;

/// The socket in that folder.
const INSIDE: &str = "s";

/// Longest time from making a socket to listening on it.
const START_TIME: Duration = Duration::from_secs(60);

/// The file of a socket; dropping it removes the file.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl SocketFile {
    /// The file of a socket that was made.
    pub(crate) fn of(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Makes a socket in place of one that a killed server left, and of nothing else.
pub(crate) fn bind(path: &Path, now: SystemTime) -> io::Result<(UnixListener, SocketFile)> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "a server listens there"));
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file of that name",
            ));
        }
        Ok(_) | Err(_) => {}
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    let mut prefix = name.to_owned();
    prefix.push(".");
    // Made where nobody else gets, because until its mode is set a socket is as open as the umask lets it be.
    let folder = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(NEW)
        .rand_bytes(RANDOM)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)?;
    let owner = fs::metadata(folder.path())?.uid();
    let inside = folder.path().join(INSIDE);
    let listener = UnixListener::bind(&inside)?;
    fs::set_permissions(&inside, Permissions::from_mode(0o600))?;
    fs::rename(&inside, path)?;
    drop(folder);
    forget_the_dead(parent, &prefix, &Left { owner, now });
    Ok((listener, SocketFile(path.to_owned())))
}

/// Removes what servers left that were killed before their socket had its name. What cannot be removed stays.
fn forget_the_dead(parent: &Path, prefix: &OsStr, left: &Left) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let bytes = name.as_encoded_bytes();
        let is_ours = bytes.len() == prefix.len() + RANDOM + NEW.len()
            && bytes.starts_with(prefix.as_encoded_bytes())
            && bytes.ends_with(NEW.as_bytes());
        let (folder, inside) = (entry.path(), entry.path().join(INSIDE));
        if !is_ours || !left.is_folder(&folder) {
            continue;
        }
        if left.is_socket(&inside) {
            drop(fs::remove_file(&inside));
        }
        // Only if nothing else is in it, which would be somebody's.
        drop(fs::remove_dir(&folder));
    }
}

/// How what a killed process left is told from everything else.
pub(crate) struct Left {
    /// The user we are.
    pub(crate) owner: u32,
    pub(crate) now: SystemTime,
}

impl Left {
    /// A socket of ours on which nobody listens, and nobody is about to.
    pub(crate) fn is_socket(&self, path: &Path) -> bool {
        let is_refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        self.is(path, |found| found.file_type().is_socket())
            && UnixStream::connect(path).is_err_and(is_refused)
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.is(path, Metadata::is_dir)
    }

    /// SECURITY: in a folder of somebody else, what we look at could be exchanged before we remove it.
    fn is(&self, path: &Path, kind: impl FnOnce(&Metadata) -> bool) -> bool {
        let is_old = |made| self.now.duration_since(made).is_ok_and(|age| age > START_TIME);
        fs::symlink_metadata(path).is_ok_and(|found| {
            kind(&found) && found.uid() == self.owner && found.modified().is_ok_and(is_old)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_servers_left_is_removed_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("w.sock");
        let folder = |name: &str| {
            let folder = home.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let with_socket = |name: &str| UnixListener::bind(folder(name).join(INSIDE)).unwrap();
        drop(with_socket("w.sock.dead.new"));
        folder("w.sock.void.new");
        let _listening = with_socket("w.sock.live.new");
        for other in ["w.sock.new", "w.sock.dead", "v.sock.dead.new"] {
            drop(with_socket(other));
        }
        fs::write(folder("w.sock.file.new").join(INSIDE), "mine").unwrap();
        drop(with_socket("w.sock.more.new"));
        fs::write(home.path().join("w.sock.more.new/mine"), "mine").unwrap();
        std::os::unix::fs::symlink("v.sock.dead.new", home.path().join("w.sock.link.new")).unwrap();
        let names = || {
            let entries = fs::read_dir(home.path()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            std::collections::BTreeSet::from_iter(names)
        };
        let mut expected = names();
        expected.insert("w.sock".to_owned());
        // One that was made a moment ago may be about to listen.
        let (listener, file) = bind(&path, SystemTime::now()).unwrap();
        assert_eq!(names(), expected);
        drop((listener, file));
        let (_listener, _file) = bind(&path, SystemTime::now() + 2 * START_TIME).unwrap();
        assert!(expected.remove("w.sock.dead.new") && expected.remove("w.sock.void.new"));
        assert_eq!(names(), expected);
        assert!(home.path().join("v.sock.dead.new").join(INSIDE).exists());
        assert!(home.path().join("w.sock.more.new/mine").exists());
    }
}
