//! The operating system's keyring, which may be absent, locked or hang.
//!
//! Each request has a thread of its own, because the libraries below block without a time limit and must not be
//! called from a thread of an async runtime. A thread that hangs is left behind; there are never more than
//! [`WAITING_MAX`] of them.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::error::KeyringFailure;

/// Longest wait for one answer. A person who has to type a password takes longer and repeats the command.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// Most threads that may wait for a keyring which does not answer.
const WAITING_MAX: usize = 4;

/// How our entries are called in the keyring.
const SERVICE: &str = "wassette";

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Something that keeps values under names.
pub(crate) trait Vault: Debug + Send + Sync {
    /// Keeps a value; replaces an older one.
    fn put(&self, entry: &str, value: &SecretString) -> Result<(), KeyringFailure>;
    /// The value, or `None` when there is none.
    fn take(&self, entry: &str) -> Result<Option<SecretString>, KeyringFailure>;
    /// Removes a value; fine when there is none.
    fn remove(&self, entry: &str) -> Result<(), KeyringFailure>;
}

/// The keyring of the operating system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemKeyring;

impl SystemKeyring {
    /// Asks the keyring for something it does not have, to see whether it answers.
    pub(crate) fn find() -> Result<Arc<dyn Vault>, KeyringFailure> {
        Self.take("is anybody there")?;
        Ok(Arc::new(Self))
    }
}

impl Vault for SystemKeyring {
    fn put(&self, entry: &str, value: &SecretString) -> Result<(), KeyringFailure> {
        let value = value.clone();
        ask(entry, move |entry| entry.set_password(value.expose_secret()))?;
        Ok(())
    }

    fn take(&self, entry: &str) -> Result<Option<SecretString>, KeyringFailure> {
        let value = ask(entry, |entry| entry.get_password().map(Zeroizing::new))?;
        Ok(value.map(|value| SecretString::from(value.as_str())))
    }

    fn remove(&self, entry: &str) -> Result<(), KeyringFailure> {
        ask(entry, keyring::Entry::delete_credential)?;
        Ok(())
    }
}

/// Does one thing with an entry; `None` when the keyring does not have it.
fn ask<T: Send + 'static>(
    entry: &str,
    action: impl FnOnce(&keyring::Entry) -> keyring::Result<T> + Send + 'static,
) -> Result<Option<T>, KeyringFailure> {
    let entry = entry.to_owned();
    let answer = answer_within(ANSWER_TIME_MAX, move || {
        let entry = keyring::Entry::new(SERVICE, &entry)?;
        action(&entry)
    })?;
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(keyring::Error::NoEntry) => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

/// Runs something that may hang; gives up waiting after `time_max`.
fn answer_within<T: Send + 'static>(
    time_max: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, KeyringFailure> {
    let others = WAITING.fetch_add(1, Ordering::Relaxed);
    let place = Place;
    if others >= WAITING_MAX {
        return Err(KeyringFailure::Silent);
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("keyring".to_owned());
    let started = thread.spawn(move || {
        let done = work();
        // The place is free before the answer is seen, so that the next request finds it free.
        drop(place);
        // Nobody waits any more: what comes late is dropped, and wiped.
        drop(answer.send(done));
    });
    started.map_err(|_| KeyringFailure::Refused)?;
    answered
        .recv_timeout(time_max)
        .map_err(|_| KeyringFailure::Silent)
}

/// One of the threads that may wait.
struct Place;

impl Drop for Place {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may add kinds of failure, and all others are one to us"
)]
fn failure(error: &keyring::Error) -> KeyringFailure {
    match error {
        keyring::Error::NoStorageAccess(_) => KeyringFailure::Locked,
        keyring::Error::TooLong(..) => KeyringFailure::Long,
        keyring::Error::NoDefaultStore => KeyringFailure::Absent,
        _ => KeyringFailure::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_that_hangs_is_not_waited_for_and_holds_few_threads() {
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(std::sync::Mutex::new(ended));
        let hang = || {
            let ended = Arc::clone(&ended);
            answer_within(Duration::from_millis(20), move || {
                ended.lock().unwrap().recv().unwrap_err();
            })
        };
        for _ in 0..WAITING_MAX + 2 {
            assert_eq!(hang(), Err(KeyringFailure::Silent));
        }
        assert_eq!(WAITING.load(Ordering::Relaxed), WAITING_MAX);
        drop(end);
        while WAITING.load(Ordering::Relaxed) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(answer_within(Duration::from_secs(9), || 7), Ok(7));
        // A panic of the library is no answer either. In this test because all of them share the count.
        let result = answer_within::<()>(Duration::from_secs(9), || std::panic::resume_unwind(Box::new(())));
        assert_eq!(result, Err(KeyringFailure::Silent));
        assert_eq!(WAITING.load(Ordering::Relaxed), 0);
    }
}
