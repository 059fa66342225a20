//! Why a secret could not be kept or read.
//!
//! `Display` says what and where, the source says why, `hint` says what to do. No text holds a value.

use std::path::PathBuf;

use wassette_store::{ComponentId, PrivateFolderError};

use crate::{SecretName, SecretValueError};

/// Why an operation on secrets failed. Nothing was changed unless the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The value cannot be a secret.
    #[error(transparent)]
    Value(#[from] SecretValueError),
    /// The component has as many secrets as it may have; holds how many.
    #[error("`{0}` has {1} secrets already, and a component may not have more")]
    Many(ComponentId, usize),
    /// The folder or a file in it cannot be used.
    #[error(transparent)]
    Folder(#[from] PrivateFolderError),
    /// There are secrets, but the key that opens them is gone.
    #[error("the key `{}` is missing, and secrets were sealed with it", .0.display())]
    NoKey(PathBuf),
    /// The key's file is not what was written.
    #[error("the key `{}` is damaged", .0.display())]
    DamagedKey(PathBuf),
    /// The file was sealed with another key than the one that is there.
    #[error("the secrets `{}` were sealed with another key", .0.display())]
    ForeignKey(PathBuf),
    /// The file was changed, cut, or belongs to another component.
    #[error("the secrets `{}` are damaged", .0.display())]
    Damaged(PathBuf),
    /// The file was written by a newer version of the program.
    #[error("the secrets `{}` were written by a newer version", .0.display())]
    Newer(PathBuf),
    /// The operating system's keyring did not do what it was asked. On a time-out it may still do it later.
    #[error("the keyring failed: {0}")]
    Keyring(KeyringFailure),
    /// The keyring does not give a value that was put there. Some say the same of what they have lost and of what is
    /// locked.
    #[error("the keyring does not give the secret `{name}` of `{id}`, which was put there")]
    Lost {
        /// The component.
        id: ComponentId,
        /// The secret.
        name: SecretName,
    },
    /// The cryptographic library failed; it does not say why.
    #[error("the secrets cannot be sealed")]
    Cryptography,
}

/// What went wrong with the operating system's keyring.
///
/// Its own message is not kept: nobody promises that it does not hold the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringFailure {
    /// There is none, or it cannot be reached.
    #[error("there is none")]
    Absent,
    /// It did not answer in time: perhaps it waits for somebody to unlock it.
    #[error("it did not answer within two seconds")]
    Silent,
    /// It is locked.
    #[error("it is locked")]
    Locked,
    /// It takes no value as long as this.
    #[error("the value is too long for it")]
    Long,
    /// Anything else.
    #[error("it refused")]
    Refused,
}

impl SecretsError {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Value(_) => "a secret is one line of text, as it stands in a header",
            Self::Many(..) => "delete one that is not used",
            Self::Folder(error) => error.hint(),
            Self::NoKey(_) | Self::DamagedKey(_) | Self::ForeignKey(_) => {
                "put the key back from a backup, or move the folder of secrets away and set them again"
            }
            Self::Damaged(_) => "put the file back from a backup, or remove it and set the secrets again",
            Self::Newer(_) => "use the newer version; nothing was changed",
            Self::Keyring(_) => "unlock the keyring and try again, or keep secrets in the encrypted file",
            Self::Lost { .. } => "unlock the keyring, or set the secret again if it is gone",
            Self::Cryptography => "try again; nothing was changed",
        }
    }
}
