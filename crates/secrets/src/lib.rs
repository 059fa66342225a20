//! Secrets at rest: kept for a component, shown to nobody.
//!
//! A secret belongs to one component and has a name. Its value is in the operating system's keyring where there is
//! one that answers, else in an encrypted file; its name is always in that file, because a keyring does not list
//! what it has. INVARIANT: what cannot be opened is an error, never "no secret"; where the value was put is where it
//! is looked for, whatever is configured later.
//!
//! ```text
//! of-<component id>    names, and the values that are not in a keyring: one file per component, see `sealed.rs`
//! keys/secrets         the key all files are sealed with
//! ```
//!
//! SECURITY: the key lies beside what it opens. It protects a file that is copied, backed up or sent alone, and finds
//! every change; who can read all of the user's files can read secrets. A keyring does better.
//! Every function blocks.

mod error;
mod name;
mod sealed;
mod vault;

use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use wassette_store::{ComponentId, PrivateFolder};
use zeroize::Zeroizing;

pub use error::{KeyringFailure, SecretsError};
pub use name::{
    ParseSecretNameError, SECRET_NAME_BYTES_MAX, SECRET_VALUE_BYTES_MAX, SecretName, SecretValueError,
};

use sealed::{Entries, Held, SealingKey, Unopened};
use vault::{SystemKeyring, Vault};

/// How the file of a component begins. No id begins like a device of Windows (`con`, `nul`) then.
const PREFIX: &str = "of-";

/// The file of the key.
const KEY: &str = "secrets";

/// Where secrets are kept.
#[derive(Clone, Debug)]
pub struct SecretsConfig {
    /// The folder; made when it is missing.
    pub folder: PathBuf,
    /// Where values go.
    pub backend: Backend,
}

/// Where the values of secrets go that are set from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Into the keyring when one answers, else into the encrypted file.
    #[default]
    Auto,
    /// Into the keyring, or nowhere.
    Keyring,
    /// Into the encrypted file.
    File,
}

/// Which of the two is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedBackend {
    /// The operating system's keyring.
    Keyring,
    /// The encrypted file.
    File,
}

/// The secrets of all components. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Secrets {
    folder: PrivateFolder,
    key: Arc<SealingKey>,
    /// Where new values go; without one, into the file.
    vault: Option<Arc<dyn Vault>>,
    /// Where values are looked for that were put into the keyring, whatever is configured now.
    keyring: Arc<dyn Vault>,
}

impl Secrets {
    /// Opens the folder of secrets; makes it, and its key, the first time.
    ///
    /// Asks the keyring whether it is there, for at most two seconds, unless the file is wanted.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Folder`] when others can read the folder, [`SecretsError::NoKey`] and
    /// [`SecretsError::DamagedKey`] for a key that is not what it was, [`SecretsError::Keyring`] when the keyring is
    /// wanted and does not answer, [`SecretsError::Cryptography`] without randomness.
    pub fn open(config: &SecretsConfig) -> Result<Self, SecretsError> {
        let vault = match config.backend {
            Backend::File => None,
            Backend::Auto => SystemKeyring::find().ok(),
            Backend::Keyring => Some(SystemKeyring::find().map_err(SecretsError::Keyring)?),
        };
        Self::open_with(&config.folder, vault, Arc::new(SystemKeyring))
    }

    fn open_with(
        path: &Path,
        vault: Option<Arc<dyn Vault>>,
        keyring: Arc<dyn Vault>,
    ) -> Result<Self, SecretsError> {
        let folder = PrivateFolder::open(path)?;
        let key = Arc::new(open_key(&folder)?);
        Ok(Self {
            folder,
            key,
            vault,
            keyring,
        })
    }

    /// Where values go that are set.
    pub fn backend(&self) -> UsedBackend {
        match self.vault {
            Some(_) => UsedBackend::Keyring,
            None => UsedBackend::File,
        }
    }

    /// The folder, absolute.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps a value under a name; replaces an older one.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Value`] for what no header can carry, [`SecretsError::Many`] when the component has 64 secrets,
    /// [`SecretsError::Keyring`], and whatever says that the file cannot be read or written.
    pub fn set(&self, id: &ComponentId, name: &SecretName, value: SecretString) -> Result<(), SecretsError> {
        name::check_value(value.expose_secret())?;
        let _held = self.folder.lock()?;
        let mut entries = self.read(id)?;
        if entries.len() >= sealed::SECRETS_MAX && !entries.contains_key(name) {
            return Err(SecretsError::Many(id.clone(), sealed::SECRETS_MAX));
        }
        let was_in_keyring = matches!(entries.get(name), Some(Held::Keyring));
        let held = match &self.vault {
            Some(vault) => {
                vault
                    .put(&self.entry(id, name), &value)
                    .map_err(SecretsError::Keyring)?;
                Held::Keyring
            }
            None => Held::Here(value),
        };
        let is_here = matches!(held, Held::Here(_));
        entries.insert(name.clone(), held);
        self.write(id, &entries)?;
        if was_in_keyring && is_here {
            // The new value is in force already; that the old one stays in the keyring must still be told.
            let removed = self.keyring.remove(&self.entry(id, name));
            removed.map_err(SecretsError::Keyring)?;
        }
        Ok(())
    }

    /// The value, or `None` when no such secret was set.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Lost`] and [`SecretsError::Keyring`] when it is in the keyring and does not come, and whatever
    /// says that the file cannot be read.
    pub fn get(&self, id: &ComponentId, name: &SecretName) -> Result<Option<SecretString>, SecretsError> {
        match self.read(id)?.remove(name) {
            None => Ok(None),
            Some(Held::Here(value)) => Ok(Some(value)),
            Some(Held::Keyring) => {
                let value = self.keyring.take(&self.entry(id, name));
                let lost = || SecretsError::Lost {
                    id: id.clone(),
                    name: name.clone(),
                };
                value.map_err(SecretsError::Keyring)?.ok_or_else(lost).map(Some)
            }
        }
    }

    /// The names of a component's secrets, in order.
    ///
    /// # Errors
    ///
    /// Whatever says that the file cannot be read.
    pub fn names(&self, id: &ComponentId) -> Result<Vec<SecretName>, SecretsError> {
        Ok(self.read(id)?.into_keys().collect())
    }

    /// Forgets a secret; `false` when there was none.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Keyring`], and whatever says that the file cannot be read or written.
    pub fn delete(&self, id: &ComponentId, name: &SecretName) -> Result<bool, SecretsError> {
        let _held = self.folder.lock()?;
        let mut entries = self.read(id)?;
        let Entry::Occupied(entry) = entries.entry(name.clone()) else {
            return Ok(false);
        };
        // First the value: a name without a value is an error that can be mended, a value without a name is forgotten.
        self.forget(id, name, entry.get())?;
        entry.remove();
        self.write(id, &entries)?;
        Ok(true)
    }

    /// Forgets all secrets of a component, also those of a file that does not open; gives how many were forgotten
    /// that could be counted.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Keyring`], and whatever says that the file cannot be removed.
    pub fn delete_all(&self, id: &ComponentId) -> Result<usize, SecretsError> {
        let _held = self.folder.lock()?;
        let entries = match self.read(id) {
            Ok(entries) => entries,
            Err(SecretsError::Damaged(_) | SecretsError::ForeignKey(_)) => Entries::new(),
            Err(error) => return Err(error),
        };
        for (name, held) in &entries {
            self.forget(id, name, held)?;
        }
        self.folder.remove(&file(id))?;
        Ok(entries.len())
    }

    fn forget(&self, id: &ComponentId, name: &SecretName, held: &Held) -> Result<(), SecretsError> {
        match held {
            Held::Here(_) => Ok(()),
            Held::Keyring => {
                let removed = self.keyring.remove(&self.entry(id, name));
                removed.map_err(SecretsError::Keyring)
            }
        }
    }

    fn read(&self, id: &ComponentId) -> Result<Entries, SecretsError> {
        let Some(sealed) = self.folder.read(&file(id), sealed::FILE_BYTES_MAX)? else {
            return Ok(Entries::new());
        };
        self.key.open(id, &sealed).map_err(|reason| {
            let path = self.folder.path().join(file(id));
            match reason {
                Unopened::Damaged => SecretsError::Damaged(path),
                Unopened::ForeignKey => SecretsError::ForeignKey(path),
                Unopened::Newer => SecretsError::Newer(path),
            }
        })
    }

    fn write(&self, id: &ComponentId, entries: &Entries) -> Result<(), SecretsError> {
        if entries.is_empty() {
            self.folder.remove(&file(id))?;
            return Ok(());
        }
        let sealed = self.key.seal(id, entries).ok_or(SecretsError::Cryptography)?;
        Ok(self.folder.write(&file(id), &sealed)?)
    }

    /// What a secret is called in the keyring, which all folders of this user share: the key names the folder.
    fn entry(&self, id: &ComponentId, name: &SecretName) -> String {
        format!("{}/{id}/{name}", self.key.name())
    }
}

/// The file of a component. No two ids have the same one, also where case does not count: ids have no upper case.
fn file(id: &ComponentId) -> String {
    format!("{PREFIX}{id}")
}

/// Reads the key, or makes it when there is nothing yet that could have been sealed with another one.
fn open_key(folder: &PrivateFolder) -> Result<SealingKey, SecretsError> {
    let keys = PrivateFolder::open(&folder.path().join("keys"))?;
    if let Some(bytes) = read_key(&keys)? {
        return sealing_key(&keys, &bytes);
    }
    // Under the lock, because another process may be making the key and sealing with it at this moment.
    let _held = folder.lock()?;
    if read_key(&keys)?.is_none() {
        if folder.names()?.iter().any(|name| name.starts_with(PREFIX)) {
            return Err(SecretsError::NoKey(keys.path().join(KEY)));
        }
        let bytes = sealed::random_key().ok_or(SecretsError::Cryptography)?;
        keys.write_once(KEY, bytes.as_slice())?;
    }
    let Some(bytes) = read_key(&keys)? else {
        return Err(SecretsError::NoKey(keys.path().join(KEY)));
    };
    sealing_key(&keys, &bytes)
}

fn read_key(keys: &PrivateFolder) -> Result<Option<Zeroizing<Vec<u8>>>, SecretsError> {
    Ok(keys.read(KEY, 2 * sealed::KEY_BYTES as u64)?)
}

fn sealing_key(keys: &PrivateFolder, bytes: &[u8]) -> Result<SealingKey, SecretsError> {
    SealingKey::new(bytes).ok_or_else(|| SecretsError::DamagedKey(keys.path().join(KEY)))
}

#[cfg(test)]
mod tests;
