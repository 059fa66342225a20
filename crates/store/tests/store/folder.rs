//! The folder itself: who may touch it, and what is refused.

use std::path::Path;

use crate::{Home, load};
use wassette_store::{Expected, OpenStoreError, Store, StoreError};

async fn refused(folder: &Path) -> OpenStoreError {
    Store::open(folder).await.unwrap_err()
}

#[tokio::test]
async fn a_file_in_place_of_a_folder_is_refused() {
    let home = Home::new();
    std::fs::write(home.store(), b"a file").unwrap();
    let error = refused(&home.store()).await;
    assert!(
        matches!(&error, OpenStoreError::NotAFolder(path) if *path == home.store()),
        "{error:?}"
    );
    let error = refused(&home.path("below")).await;
    assert!(
        matches!(&error, OpenStoreError::NotAFolder(path) if *path == home.path("below")),
        "{error:?}"
    );
    assert_eq!(std::fs::read(home.store()).unwrap(), b"a file");
    for name in ["blobs", "compiled", "keys"] {
        let home = Home::new();
        std::fs::create_dir(home.store()).unwrap();
        std::fs::write(home.path(name), b"a file").unwrap();
        let error = refused(&home.store()).await;
        assert!(
            matches!(&error, OpenStoreError::NotAFolder(path) if *path == home.path(name)),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_folder_in_place_of_a_file_is_refused() {
    for name in ["state.db", "lock"] {
        let home = Home::new();
        std::fs::create_dir_all(home.path(name)).unwrap();
        let error = refused(&home.store()).await;
        assert!(
            matches!(&error, OpenStoreError::Unusable { path, .. } if *path == home.path(name)),
            "{error:?}"
        );
    }
    let home = Home::new();
    std::fs::create_dir_all(home.path("audit.jsonl")).unwrap();
    let error = home.open().await.audit().unwrap_err();
    assert!(
        matches!(error, StoreError::Io { action: "open", .. }),
        "{error:?}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    // Refused for every user, root too.
    let error = refused(Path::new("/proc/wassette/store")).await;
    assert!(matches!(error, OpenStoreError::Unusable { .. }), "{error:?}");
    assert_eq!(error.to_string(), "cannot use the store `/proc/wassette/store`");
}

#[tokio::test]
async fn a_folder_name_that_looks_like_a_url_is_only_a_name() {
    let home = Home::new();
    let folder = home.path("a b?mode=memory#c%20d");
    let store = Store::open(&folder).await.unwrap();
    load(&store, "a", b"a", Expected::Absent).await.unwrap();
    store.close().await;
    assert!(folder.join("state.db").is_file());
    assert_eq!(
        Store::open(&folder)
            .await
            .unwrap()
            .snapshot()
            .await
            .unwrap()
            .epoch,
        1
    );
}

#[cfg(unix)]
mod unix {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn everything_is_private() {
        let home = Home::new();
        let store = home.open().await;
        load(&store, "a", b"a", Expected::Absent).await.unwrap();
        store.compiled().write("code", b"code").unwrap();
        store.key().unwrap();
        store.audit().unwrap().append(b"line").unwrap();
        let mut folders = vec![home.store()];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            assert_eq!(mode(&folder), 0o700, "{folder:?}");
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                assert_eq!(mode(&path), 0o600, "{path:?}");
                files += 1;
            }
        }
        // state.db, -wal, -shm, lock, audit.jsonl, the blob, the code, the key
        assert_eq!(files, 8);
    }

    #[tokio::test]
    async fn a_folder_others_can_write_is_refused() {
        for bits in [0o720, 0o702, 0o777] {
            let home = Home::new();
            std::fs::create_dir(home.store()).unwrap();
            set_permissions(home.store(), Permissions::from_mode(bits)).unwrap();
            let error = refused(&home.store()).await;
            assert!(
                matches!(&error, OpenStoreError::Exposed(path) if *path == home.store()),
                "{error:?}"
            );
        }
    }

    #[tokio::test]
    async fn links_below_the_folder_are_refused() {
        let elsewhere = tempfile::tempdir().unwrap();
        for name in [
            "blobs",
            "compiled",
            "keys",
            "state.db",
            "state.db-wal",
            "state.db-shm",
            "lock",
        ] {
            let home = Home::new();
            std::fs::create_dir(home.store()).unwrap();
            symlink(elsewhere.path().join("target"), home.path(name)).unwrap();
            let error = refused(&home.store()).await;
            let (OpenStoreError::NotAFolder(named) | OpenStoreError::Unusable { path: named, .. }) = error
            else {
                panic!("{name}: {error:?}");
            };
            assert_eq!(named, home.path(name));
        }
        assert_eq!(crate::names(elsewhere.path()), [""; 0]);
    }

    #[tokio::test]
    async fn the_key_is_made_once_and_guarded() {
        let home = Home::new();
        let store = home.open().await;
        let keys: Vec<_> = std::thread::scope(|scope| {
            let racing: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| *store.key().unwrap().as_bytes()))
                .collect();
            racing.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "two keys were made");
        assert_ne!(keys[0], [0; 32]);
        assert_eq!(format!("{:?}", store.key().unwrap()), "Key(***)");
        assert_eq!(crate::names(&home.path("keys")), ["compiled"]);
        let path = home.path("keys/compiled");
        for length in [0, 31, 33] {
            std::fs::write(&path, vec![1; length]).unwrap();
            assert!(matches!(store.key(), Err(StoreError::Key { .. })), "{length}");
        }
        std::fs::write(&path, [1; 32]).unwrap();
        assert_eq!(*store.key().unwrap().as_bytes(), [1; 32]);
        set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = store.key().unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Key {
                    reason: "other users can read it",
                    ..
                }
            ),
            "{error:?}"
        );
        std::fs::remove_file(&path).unwrap();
        symlink("/etc/hostname", &path).unwrap();
        assert!(matches!(store.key(), Err(StoreError::Io { .. })));
    }
}
