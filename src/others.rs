//! The folder in which processes that serve the same store find each other: a socket each, which only this user reaches.

use crate::socket::{Left, NEW, SocketFile};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use wassette_mcp::{Connection, Listener, Membership, Others, ProcessName};

/// The folder in that of a store.
const FOLDER: &str = "processes";

/// The others of a store.
#[derive(Debug)]
struct InFolder {
    folder: PathBuf,
    own: ProcessName,
}

/// How long it is looked whether a process is there.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// Makes this process one of those that serve a store, for as long as the file lives, and others reach it there.
pub(crate) async fn join(store: &Path, now: SystemTime) -> io::Result<(Membership, Listener, SocketFile)> {
    let folder = store.join(FOLDER);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&folder)?;
    // SECURITY: whoever reaches a socket in it is believed who a request is from.
    fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    let owner = fs::metadata(&folder)?.uid();
    let name = ProcessName::make()?;
    let (path, new) = (folder.join(name.as_str()), folder.join(format!("{name}{NEW}")));
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, Permissions::from_mode(0o600))?;
    // Whoever finds it finds that it listens.
    fs::rename(&new, &path)?;
    let file = SocketFile::of(path);
    let listener = Listener::unix(listener)?;
    let others = InFolder {
        folder,
        own: name.clone(),
    };
    others.forget_the_dead().await?;
    others.forget_the_unborn(&Left { owner, now })?;
    let others = Arc::new(others);
    Ok((Membership { name, others }, listener, file))
}

impl InFolder {
    /// Removes the sockets that killed processes left. One that does not answer may be stopped: it stays.
    async fn forget_the_dead(&self) -> io::Result<()> {
        for name in self.names()? {
            let connected = timeout(LOOK_TIME, self.connect(&name)).await;
            let is_dead = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
            if connected.is_ok_and(|connected| connected.is_err_and(is_dead)) {
                drop(fs::remove_file(self.folder.join(name.as_str())));
            }
        }
        Ok(())
    }

    /// Removes those of processes that were killed before others could find them.
    fn forget_the_unborn(&self, left: &Left) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(NEW));
            if name.and_then(ProcessName::parse).is_some() && left.is_socket(&entry.path()) {
                drop(fs::remove_file(entry.path()));
            }
        }
        Ok(())
    }
}

impl Others for InFolder {
    fn connect(&self, name: &ProcessName) -> BoxFuture<'static, io::Result<Box<dyn Connection>>> {
        let path = self.folder.join(name.as_str());
        async move {
            let stream = tokio::net::UnixStream::connect(path).await?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        }
        .boxed()
    }

    fn names(&self) -> io::Result<Vec<ProcessName>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let name = name.to_str().and_then(ProcessName::parse);
            names.extend(name.filter(|name| *name != self.own));
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn processes_find_each_other_and_the_dead_are_forgotten() {
        let store = tempfile::tempdir().unwrap();
        let (one, listener, file) = join(store.path(), SystemTime::now()).await.unwrap();
        let (two, _listener, _file) = join(store.path(), SystemTime::now()).await.unwrap();
        assert_eq!(one.others.names().unwrap(), std::slice::from_ref(&two.name));
        assert!(two.others.connect(&one.name).await.is_ok());
        let folder = store.path().join(FOLDER);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        let socket = folder.join(one.name.as_str());
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        // As one that was killed leaves it.
        std::mem::forget(file);
        drop(listener);
        assert!(two.others.connect(&ProcessName::make().unwrap()).await.is_err());
        let (three, _other, _file) = join(store.path(), SystemTime::now()).await.unwrap();
        assert_eq!(three.others.names().unwrap(), std::slice::from_ref(&two.name));
        assert!(!socket.exists());
    }

    #[tokio::test]
    async fn those_that_were_killed_before_they_had_a_name_are_forgotten() {
        let store = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let (_one, _listener, _file) = join(store.path(), now).await.unwrap();
        let new = |name: &str| store.path().join(FOLDER).join(format!("{name}{NEW}"));
        let made = || new(ProcessName::make().unwrap().as_str());
        let (dead, listening, file, other) = (made(), made(), made(), new("other"));
        drop((
            UnixListener::bind(&dead).unwrap(),
            UnixListener::bind(&other).unwrap(),
        ));
        let _listener = UnixListener::bind(&listening).unwrap();
        fs::write(&file, "mine").unwrap();
        let (_two, _listener, _file) = join(store.path(), now).await.unwrap();
        assert!(dead.exists(), "it may be about to listen");
        let later = now + Duration::from_secs(120);
        let (_three, _listener, _file) = join(store.path(), later).await.unwrap();
        let left = [&dead, &listening, &file, &other].map(|path| path.exists());
        assert_eq!(left, [false, true, true, true]);
    }
}
