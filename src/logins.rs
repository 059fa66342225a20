//! The file of `wassette registry login`: names and passwords of registries, in the form of Docker's own file.
//!
//! Readable for its user alone, like Docker's, and like it not encrypted: whoever can read it is this user.

use crate::config::Config;
use crate::exit::Exit;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use wassette_host::{ExposeSecret as _, SecretString};

/// The file, read.
pub(crate) struct Logins {
    path: PathBuf,
    auths: Map<String, Json>,
}

impl Logins {
    pub(crate) fn read(config: &Config) -> Result<Self, Exit> {
        let path = config.logins();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "{}".to_owned(),
            Err(error) => return Err(Exit::unreadable(&path, error)),
        };
        let damaged = || {
            Exit::failed(anyhow::anyhow!("`{}` is damaged", path.display()))
                .with_hint("remove it and log in again")
        };
        let mut document: Json = serde_json::from_str(&text).map_err(|_| damaged())?;
        let auths = match document.get_mut("auths").map(Json::take) {
            None => Map::new(),
            Some(Json::Object(auths)) => auths,
            Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) => {
                return Err(damaged());
            }
        };
        Ok(Self { path, auths })
    }

    pub(crate) fn insert(&mut self, registry: &str, username: &str, password: &SecretString) {
        let text = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
        self.auths.insert(registry.to_owned(), json!({"auth": text}));
    }

    /// Whether there was one.
    pub(crate) fn remove(&mut self, registry: &str) -> bool {
        self.auths.remove(registry).is_some()
    }

    /// Writes the whole file or nothing.
    pub(crate) fn write(&self) -> Result<(), Exit> {
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        let text = json!({"auths": self.auths}).to_string();
        // A temporary file is its maker's alone, and stays so under its new name.
        let written = std::fs::create_dir_all(folder).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.path).map_err(|error| error.error)
        });
        written.map(drop).map_err(|error| unwritable(&self.path, error))
    }
}

fn unwritable(path: &Path, error: std::io::Error) -> Exit {
    Exit::failed(anyhow::Error::new(error).context(format!("cannot write `{}`", path.display())))
}

/// Makes a file for this user alone; says no when there is one.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> Result<bool, Exit> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)
    });
    match written {
        Ok(_file) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(unwritable(path, error)),
    }
}

/// Makes a file that is not there yet.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), Exit> {
    let mut file = std::fs::File::create_new(path).map_err(|error| unwritable(path, error))?;
    file.write_all(bytes).map_err(|error| unwritable(path, error))
}
