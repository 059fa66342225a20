//! What must hold of secrets on a disk and in a keyring, without touching the keyring of whoever runs the tests.

use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;
use std::thread;

use super::*;
use wassette_store::PrivateFolderError;

/// A keyring in memory that can be told to fail.
#[derive(Debug, Default)]
struct FakeKeyring {
    values: Mutex<HashMap<String, String>>,
    failure: Mutex<Option<KeyringFailure>>,
}

impl FakeKeyring {
    fn fail(&self, failure: Option<KeyringFailure>) {
        *self.failure.lock().unwrap() = failure;
    }

    fn answer(&self) -> Result<(), KeyringFailure> {
        self.failure.lock().unwrap().map_or(Ok(()), Err)
    }

    fn count(&self) -> usize {
        self.values.lock().unwrap().len()
    }
}

impl Vault for FakeKeyring {
    fn put(&self, entry: &str, value: &SecretString) -> Result<(), KeyringFailure> {
        self.answer()?;
        let value = value.expose_secret().to_owned();
        self.values.lock().unwrap().insert(entry.to_owned(), value);
        Ok(())
    }

    fn take(&self, entry: &str) -> Result<Option<SecretString>, KeyringFailure> {
        self.answer()?;
        let values = self.values.lock().unwrap();
        Ok(values.get(entry).map(|value| SecretString::from(value.as_str())))
    }

    fn remove(&self, entry: &str) -> Result<(), KeyringFailure> {
        self.answer()?;
        self.values.lock().unwrap().remove(entry);
        Ok(())
    }
}

struct Place {
    home: tempfile::TempDir,
    keyring: Arc<FakeKeyring>,
}

impl Place {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            keyring: Arc::default(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("secrets")
    }

    fn open(&self, used: UsedBackend) -> Result<Secrets, SecretsError> {
        let keyring: Arc<dyn Vault> = self.keyring.clone();
        let vault = (used == UsedBackend::Keyring).then(|| Arc::clone(&keyring));
        Secrets::open_with(&self.folder(), vault, keyring)
    }

    fn file(&self) -> Secrets {
        self.open(UsedBackend::File).unwrap()
    }

    fn keyring(&self) -> Secrets {
        self.open(UsedBackend::Keyring).unwrap()
    }
}

fn id(text: &str) -> ComponentId {
    text.parse().unwrap()
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn set(secrets: &Secrets, component: &str, secret: &str, value: &str) -> Result<(), SecretsError> {
    secrets.set(&id(component), &name(secret), SecretString::from(value))
}

#[track_caller]
fn holds(secrets: &Secrets, component: &str, expected: &[(&str, &str)]) {
    let names = secrets.names(&id(component)).unwrap();
    let value = |name: &SecretName| secrets.get(&id(component), name).unwrap().unwrap();
    let found: Vec<_> = names
        .iter()
        .map(|name| (name.as_str().to_owned(), value(name).expose_secret().to_owned()))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_secret_is_there_after_a_restart_for_its_component_only() {
    for used in [UsedBackend::File, UsedBackend::Keyring] {
        let place = Place::new();
        let secrets = place.open(used).unwrap();
        assert_eq!(secrets.backend(), used);
        set(&secrets, "one", "token", "1").unwrap();
        set(&secrets, "one", "other", "2").unwrap();
        set(&secrets, "two", "token", "3").unwrap();
        set(&secrets, "one", "token", "4").unwrap();
        let secrets = place.open(used).unwrap();
        holds(&secrets, "one", &[("other", "2"), ("token", "4")]);
        holds(&secrets, "two", &[("token", "3")]);
        holds(&secrets, "three", &[]);
        assert!(secrets.get(&id("three"), &name("token")).unwrap().is_none());
    }
}

#[test]
fn what_is_deleted_is_gone_everywhere() {
    for used in [UsedBackend::File, UsedBackend::Keyring] {
        let place = Place::new();
        let secrets = place.open(used).unwrap();
        for secret in ["a", "b", "c"] {
            set(&secrets, "one", secret, "value").unwrap();
        }
        set(&secrets, "two", "a", "value").unwrap();
        assert!(secrets.delete(&id("one"), &name("a")).unwrap());
        assert!(!secrets.delete(&id("one"), &name("a")).unwrap());
        assert!(!secrets.delete(&id("none"), &name("a")).unwrap());
        holds(&secrets, "one", &[("b", "value"), ("c", "value")]);
        assert_eq!(secrets.delete_all(&id("one")).unwrap(), 2);
        assert_eq!(secrets.delete_all(&id("one")).unwrap(), 0);
        holds(&secrets, "one", &[]);
        holds(&secrets, "two", &[("a", "value")]);
        assert!(!place.folder().join("of-one").exists());
        let in_keyring = if used == UsedBackend::Keyring { 1 } else { 0 };
        assert_eq!(place.keyring.count(), in_keyring);
    }
}

#[test]
fn a_value_is_found_where_it_was_put() {
    let place = Place::new();
    set(&place.keyring(), "one", "old", "1").unwrap();
    let secrets = place.file();
    set(&secrets, "one", "new", "2").unwrap();
    holds(&secrets, "one", &[("new", "2"), ("old", "1")]);
    // Set again, it moves, and the keyring forgets it.
    set(&secrets, "one", "old", "3").unwrap();
    holds(&secrets, "one", &[("new", "2"), ("old", "3")]);
    assert_eq!(place.keyring.count(), 0);
    set(&place.keyring(), "one", "new", "4").unwrap();
    holds(&secrets, "one", &[("new", "4"), ("old", "3")]);
    assert_eq!(place.keyring.count(), 1);
}

#[test]
fn a_keyring_that_fails_is_an_error_and_changes_nothing() {
    let place = Place::new();
    let secrets = place.keyring();
    set(&secrets, "one", "token", "1").unwrap();
    place.keyring.fail(Some(KeyringFailure::Locked));
    #[track_caller]
    fn locked<T: std::fmt::Debug>(result: Result<T, SecretsError>) {
        assert!(
            matches!(result, Err(SecretsError::Keyring(KeyringFailure::Locked))),
            "{result:?}"
        );
    }
    locked(set(&secrets, "one", "token", "2"));
    locked(set(&secrets, "one", "other", "2"));
    locked(secrets.get(&id("one"), &name("token")));
    locked(secrets.delete(&id("one"), &name("token")));
    locked(secrets.delete_all(&id("one")));
    assert_eq!(secrets.names(&id("one")).unwrap(), [name("token")]);
    place.keyring.fail(None);
    holds(&secrets, "one", &[("token", "1")]);
    place.keyring.values.lock().unwrap().clear();
    let lost = secrets.get(&id("one"), &name("token"));
    assert!(matches!(lost, Err(SecretsError::Lost { .. })), "{lost:?}");
    assert!(secrets.delete(&id("one"), &name("token")).unwrap());
}

#[test]
fn two_folders_share_a_keyring_and_no_secret() {
    let keyring: Arc<FakeKeyring> = Arc::default();
    let place = || Place {
        keyring: Arc::clone(&keyring),
        ..Place::new()
    };
    let (one, two) = (place(), place());
    set(&one.keyring(), "x", "token", "1").unwrap();
    set(&two.keyring(), "x", "token", "2").unwrap();
    holds(&one.keyring(), "x", &[("token", "1")]);
    holds(&two.keyring(), "x", &[("token", "2")]);
}

#[test]
fn what_no_header_can_carry_is_refused() {
    let place = Place::new();
    let secrets = place.file();
    for value in ["", "a\nb", "a\0b"] {
        let result = set(&secrets, "one", "token", value);
        assert!(matches!(result, Err(SecretsError::Value(_))), "{result:?}");
    }
    holds(&secrets, "one", &[]);
}

#[test]
fn a_component_has_at_most_so_many_secrets() {
    let place = Place::new();
    let secrets = place.file();
    for index in 0..sealed::SECRETS_MAX {
        set(&secrets, "one", &format!("s{index}"), "value").unwrap();
    }
    let more = set(&secrets, "one", "more", "value");
    assert!(
        matches!(more, Err(SecretsError::Many(_, sealed::SECRETS_MAX))),
        "{more:?}"
    );
    set(&secrets, "one", "s1", "other").unwrap();
}

#[test]
fn a_file_that_was_touched_is_an_error_and_not_empty() {
    let place = Place::new();
    let secrets = place.file();
    set(&secrets, "one", "token", "a very secret value").unwrap();
    set(&secrets, "two", "token", "2").unwrap();
    let path = place.folder().join("of-one");
    let bytes = fs::read(&path).unwrap();
    let is_there = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!is_there("secret") && !is_there("token"), "written as it is");
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    for damaged in [changed.as_slice(), &bytes[..bytes.len() - 1], &bytes[..5], b""] {
        fs::write(&path, damaged).unwrap();
        for result in [
            secrets.get(&id("one"), &name("token")).map(drop),
            secrets.names(&id("one")).map(drop),
            set(&secrets, "one", "token", "new"),
            secrets.delete(&id("one"), &name("token")).map(drop),
        ] {
            assert!(
                matches!(&result, Err(SecretsError::Damaged(at)) if *at == path),
                "{result:?}"
            );
        }
        assert_eq!(fs::read(&path).unwrap(), damaged, "not overwritten");
    }
    // Another component's file under this name: authentic, and still not this component's.
    fs::copy(place.folder().join("of-two"), &path).unwrap();
    let swapped = secrets.names(&id("one"));
    assert!(matches!(swapped, Err(SecretsError::Damaged(_))), "{swapped:?}");
    holds(&secrets, "two", &[("token", "2")]);
    assert_eq!(secrets.delete_all(&id("one")).unwrap(), 0);
    holds(&secrets, "one", &[]);
}

#[test]
fn a_key_that_is_gone_damaged_or_another_is_an_error() {
    let place = Place::new();
    set(&place.file(), "one", "token", "1").unwrap();
    let key = place.folder().join("keys/secrets");
    let bytes = fs::read(&key).unwrap();
    assert_eq!(bytes.len(), 32);
    fs::remove_file(&key).unwrap();
    let gone = place.open(UsedBackend::File);
    assert!(
        matches!(&gone, Err(SecretsError::NoKey(path)) if *path == key),
        "{gone:?}"
    );
    assert!(!key.exists(), "no other key is made");
    let write = |bytes: &[u8]| {
        drop(fs::remove_file(&key));
        PrivateFolder::open(key.parent().unwrap())
            .unwrap()
            .write("secrets", bytes)
            .unwrap();
    };
    write(&bytes[1..]);
    let damaged = place.open(UsedBackend::File);
    assert!(matches!(damaged, Err(SecretsError::DamagedKey(_))), "{damaged:?}");
    write(&[7; 32]);
    let foreign = place.file().get(&id("one"), &name("token"));
    assert!(matches!(foreign, Err(SecretsError::ForeignKey(_))), "{foreign:?}");
    write(&bytes);
    holds(&place.file(), "one", &[("token", "1")]);
}

#[cfg(unix)]
#[test]
fn what_other_users_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let secrets = place.file();
    set(&secrets, "one", "token", "1").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let paths = [".", "keys", "keys/secrets", "of-one"].map(|name| place.folder().join(name));
    assert_eq!(
        paths.each_ref().map(|path| mode(path)),
        [0o700, 0o700, 0o600, 0o600]
    );
    for path in paths {
        let before = mode(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(before | 0o040)).unwrap();
        let opened = place.open(UsedBackend::File);
        let result = opened.and_then(|secrets| secrets.get(&id("one"), &name("token")));
        let exposed = matches!(result, Err(SecretsError::Folder(PrivateFolderError::Exposed(_))));
        assert!(exposed, "{}: {result:?}", path.display());
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
    }
    holds(&place.file(), "one", &[("token", "1")]);
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed() {
    let place = Place::new();
    let secrets = place.file();
    set(&secrets, "one", "token", "1").unwrap();
    let (path, moved) = (place.folder().join("of-one"), place.home.path().join("moved"));
    fs::rename(&path, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &path).unwrap();
    let linked = secrets.get(&id("one"), &name("token"));
    let is_refused = matches!(linked, Err(SecretsError::Folder(PrivateFolderError::Io { .. })));
    assert!(is_refused, "{linked:?}");
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let place = Place::new();
    thread::scope(|scope| {
        for writer in 0..4 {
            let place = &place;
            scope.spawn(move || {
                // Opened by each, so that each has its own lock, as another process would.
                let secrets = place.file();
                for index in 0..8 {
                    set(&secrets, "one", &format!("s{writer}-{index}"), "value").unwrap();
                }
            });
        }
    });
    assert_eq!(place.file().names(&id("one")).unwrap().len(), 32);
}

#[test]
fn nothing_that_is_printed_holds_a_value() {
    let place = Place::new();
    let secrets = place.file();
    set(&secrets, "one", "token", "hidden-value").unwrap();
    let value = secrets.get(&id("one"), &name("token")).unwrap();
    assert!(!format!("{secrets:?} {value:?}").contains("hidden-value"));
    let refused = set(&secrets, "one", "token", "hidden\nvalue").unwrap_err();
    let text = format!("{refused} {refused:?} {}", refused.hint());
    assert!(!text.contains("hidden"), "{text}");
}

#[test]
fn the_file_is_used_without_asking_the_keyring() {
    let place = Place::new();
    let config = SecretsConfig {
        folder: place.folder(),
        backend: Backend::File,
    };
    assert_eq!(Secrets::open(&config).unwrap().backend(), UsedBackend::File);
}
