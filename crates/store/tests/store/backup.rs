//! Backup, restore and check: whole or not there, nothing overwritten, damage found.

use std::path::Path;

use crate::{Home, artifact, child, id, load, names, record};
use wassette_store::{
    BackupError, CheckReport, Copied, Digest, Expected, NewFeed, NewRevocation, OpenStoreError, Snapshot,
    Store, StoreError,
};

/// A store with something of everything.
async fn filled() -> (Home, Store) {
    let home = Home::new();
    let store = home.open().await;
    load(&store, "tool", b"one", Expected::Absent).await.unwrap();
    load(&store, "tool", b"three", Expected::Epoch(1)).await.unwrap();
    load(&store, "other", b"other", Expected::Absent).await.unwrap();
    let revocation = NewRevocation {
        subject: "x".to_owned(),
        reason: String::new(),
        revoked_ms: 1,
    };
    let feed = NewFeed {
        reference: "feed".to_owned(),
        sequence: 1,
        digest: Digest::of(b"feed"),
        checked_ms: 1,
        document: String::new(),
    };
    store.revoke(std::slice::from_ref(&revocation)).await.unwrap();
    store.put_feed(&feed, &[revocation], None).await.unwrap();
    store.put(&artifact(b"garbage")).await.unwrap();
    store.compiled().write("code", b"code").unwrap();
    store.key().unwrap();
    store.audit().unwrap().append(b"line").unwrap();
    (home, store)
}

const COPIED: Copied = Copied {
    records: 2,
    blobs: 3,
    bytes: 13,
};

#[tokio::test]
async fn what_was_backed_up_comes_back() {
    let (home, store) = filled().await;
    let (backup, restored) = (
        home.folder.path().join("new/backup"),
        home.folder.path().join("other/store"),
    );
    let before = store.snapshot().await.unwrap();
    let versions = store.versions(&id("tool")).await.unwrap();
    assert_eq!(store.backup(&backup).await.unwrap(), COPIED);
    assert_eq!(names(&backup), ["audit.jsonl", "blobs", "state.db"]);
    let mut blobs = [b"one".as_slice(), b"three", b"other"].map(|bytes| Digest::of(bytes).hex());
    blobs.sort();
    assert_eq!(names(&backup.join("blobs/sha256")), blobs);
    // The copy is of its moment.
    load(&store, "later", b"later", Expected::Absent).await.unwrap();
    assert_eq!(Store::restore(&backup, &restored).await.unwrap(), COPIED);
    assert_eq!(names(&restored), ["audit.jsonl", "blobs", "state.db"]);
    let again = Store::open(&restored).await.unwrap();
    assert_eq!(again.snapshot().await.unwrap(), before);
    assert_eq!(again.versions(&id("tool")).await.unwrap(), versions);
    assert!(again.check(|_, _| ()).await.unwrap().is_whole());
    assert_eq!(std::fs::read(restored.join("audit.jsonl")).unwrap(), b"line\n");
    assert_ne!(again.key().unwrap().as_bytes(), store.key().unwrap().as_bytes());
    // It goes on where the backup was made.
    let epoch = load(&again, "later", b"later", Expected::Absent).await.unwrap();
    assert_eq!(epoch, before.epoch + 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_backup_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let (home, store) = filled().await;
    let [backup, restored] = ["backup", "restored"].map(|name| home.folder.path().join(name));
    // Also in place of a folder that was not.
    std::fs::create_dir(&backup).unwrap();
    std::fs::set_permissions(&backup, std::fs::Permissions::from_mode(0o755)).unwrap();
    store.backup(&backup).await.unwrap();
    Store::restore(&backup, &restored).await.unwrap();
    let mut folders = vec![backup, restored];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
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
    assert_eq!(files, 2 * 5);
}

#[track_caller]
fn occupied(result: Result<Copied, BackupError>, path: &Path) {
    assert!(
        matches!(&result, Err(BackupError::Occupied(found)) if found == path),
        "{result:?}"
    );
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let (home, store) = filled().await;
    let [backup, file, full] = ["backup", "file", "full"].map(|name| home.folder.path().join(name));
    store.backup(&backup).await.unwrap();
    std::fs::write(&file, b"mine").unwrap();
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("file"), b"mine").unwrap();
    let mut targets = vec![backup.clone(), file.clone(), full.clone(), home.store()];
    #[cfg(unix)]
    {
        let link = home.folder.path().join("link");
        std::os::unix::fs::symlink(home.folder.path().join("nowhere"), &link).unwrap();
        targets.push(link);
    }
    let before = names(home.folder.path());
    for target in &targets {
        occupied(store.backup(target).await, target);
        occupied(Store::restore(&backup, target).await, target);
    }
    assert_eq!(names(home.folder.path()), before);
    assert_eq!(std::fs::read(file).unwrap(), b"mine");
    assert_eq!(names(&full), ["file"]);
}

#[tokio::test]
async fn damaged_blobs_are_reported_and_not_copied() {
    let (home, store) = filled().await;
    let blob = |bytes: &[u8]| home.path("blobs/sha256").join(Digest::of(bytes).hex());
    std::fs::remove_file(blob(b"one")).unwrap();
    std::fs::write(blob(b"other"), b"othes").unwrap();
    let report = store.check(|_, _| ()).await.unwrap();
    let expected = CheckReport {
        records: 2,
        versions: 1,
        revocations: 2,
        feeds: 1,
        blobs: 1,
        bytes: 5,
        missing: vec![Digest::of(b"one")],
        damaged: vec![Digest::of(b"other")],
    };
    assert_eq!(report, expected);
    assert!(!report.is_whole());
    let before = names(home.folder.path());
    let target = home.folder.path().join("backup");
    let error = store.backup(&target).await.unwrap_err();
    assert!(
        matches!(
            error,
            BackupError::Store(StoreError::NoBlob(_) | StoreError::DamagedBlob { .. })
        ),
        "{error:?}"
    );
    assert_eq!(names(home.folder.path()), before);
}

type Damage = (&'static str, fn(&Path), fn(&BackupError) -> bool);

/// What is wrong with a backup, how it came to be, and whether this is the error for it.
const DAMAGES: [Damage; 9] = [
    (
        "no folder",
        |backup| std::fs::remove_dir_all(backup).unwrap(),
        has_no_database,
    ),
    (
        "no database",
        |backup| std::fs::remove_file(backup.join("state.db")).unwrap(),
        has_no_database,
    ),
    (
        "a store in use",
        |backup| std::fs::write(backup.join("state.db-wal"), b"x").unwrap(),
        |error| {
            error
                .to_string()
                .ends_with("it is a store in use, or one that was killed")
        },
    ),
    (
        "text in place of the database",
        |backup| std::fs::write(backup.join("state.db"), "no database ".repeat(1000)).unwrap(),
        |error| matches!(error, BackupError::Open(OpenStoreError::Damaged { .. })),
    ),
    (
        "the database's last pages are others",
        |backup| {
            let mut bytes = std::fs::read(backup.join("state.db")).unwrap();
            bytes[8192..].fill(0xee);
            std::fs::write(backup.join("state.db"), bytes).unwrap();
        },
        |error| {
            matches!(
                error,
                BackupError::Open(OpenStoreError::Damaged { .. })
                    | BackupError::Store(StoreError::Damaged { .. })
            )
        },
    ),
    ("an index does not fit its table", damage_indexes, |error| {
        matches!(error, BackupError::Store(StoreError::Damaged { .. }))
    }),
    (
        "a blob is missing",
        |backup| std::fs::remove_file(blob_of(backup, b"one")).unwrap(),
        |error| matches!(error, BackupError::Store(StoreError::NoBlob(_))),
    ),
    (
        "a blob is another",
        |backup| std::fs::write(blob_of(backup, b"three"), b"thre").unwrap(),
        |error| matches!(error, BackupError::Store(StoreError::DamagedBlob { .. })),
    ),
    (
        "a folder in place of a blob",
        |backup| {
            std::fs::remove_file(blob_of(backup, b"three")).unwrap();
            std::fs::create_dir(blob_of(backup, b"three")).unwrap();
        },
        |error| matches!(error, BackupError::Store(StoreError::Io { .. })),
    ),
];

/// Exchanges a name in every index and in no table: each row can still be read.
fn damage_indexes(folder: &Path) {
    const INDEX_LEAF: u8 = 0x0a;
    let path = folder.join("state.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let mut exchanged = 0;
    for page in bytes.chunks_mut(4096).filter(|page| page[0] == INDEX_LEAF) {
        for at in 0..=page.len() - 4 {
            if page[at..].starts_with(b"tool") {
                page[at..at + 4].copy_from_slice(b"toot");
                exchanged += 1;
            }
        }
    }
    assert!(exchanged > 0);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_check_finds_a_damaged_index() {
    let (home, store) = filled().await;
    store.close().await;
    drop(store);
    damage_indexes(&home.store());
    let store = home.open().await;
    assert_eq!(store.snapshot().await.unwrap().records.len(), 2);
    let error = store.check(|_, _| ()).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

fn has_no_database(error: &BackupError) -> bool {
    error
        .to_string()
        .ends_with("is not a backup: it has no `state.db`")
}

#[tokio::test]
async fn a_damaged_backup_is_not_restored() {
    for (name, damage, is_right) in DAMAGES {
        let (home, store) = filled().await;
        let [backup, restored] = ["backup", "restored"].map(|name| home.folder.path().join(name));
        store.backup(&backup).await.unwrap();
        damage(&backup);
        let before = names(home.folder.path());
        let error = Store::restore(&backup, &restored).await.unwrap_err();
        assert!(is_right(&error), "{name}: {error:?}");
        assert_eq!(names(home.folder.path()), before, "{name}");
    }
}

fn blob_of(backup: &Path, bytes: &[u8]) -> std::path::PathBuf {
    backup.join("blobs/sha256").join(Digest::of(bytes).hex())
}

#[tokio::test]
async fn a_backup_is_of_one_moment_while_others_write() {
    let home = Home::new();
    let store = home.open().await;
    let mut writer = child::start("load until killed", &home.store());
    writer.next().unwrap();
    for round in 0..5 {
        let [backup, restored] =
            ["backup", "restored"].map(|name| home.folder.path().join(format!("{name}{round}")));
        let copied = store.backup(&backup).await.unwrap();
        Store::restore(&backup, &restored).await.unwrap();
        let snapshot = Store::open(&restored).await.unwrap().snapshot().await.unwrap();
        assert_eq!(copied.records, snapshot.epoch);
        assert_eq!(copied.blobs, snapshot.epoch);
    }
}

#[tokio::test]
async fn the_collector_waits_for_a_backup_and_nobody_else_does() {
    let (home, store) = filled().await;
    // What a backup that is on its way holds.
    let file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(home.path("lock-blobs"))
        .unwrap();
    file.lock_shared().unwrap();
    let collecting = tokio::spawn({
        let store = store.clone();
        async move { store.collect().await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!collecting.is_finished(), "collected during a backup");
    load(&store, "later", b"later", Expected::Absent).await.unwrap();
    home.open().await.close().await;
    assert!(store.check(|_, _| ()).await.unwrap().is_whole());
    drop(file);
    assert_eq!(collecting.await.unwrap().unwrap().blobs, 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_leaves_no_half_backup() {
    let home = Home::new();
    let store = home.open().await;
    let large = artifact(&child::numbered(7).repeat(8));
    store.put(&large).await.unwrap();
    store
        .commit(&record("large", &large), Expected::Absent)
        .await
        .unwrap();
    let before = store.snapshot().await.unwrap();
    let names_before = names(home.folder.path());
    child::start_limited("back up to a full disk", &home.store()).ended_well();
    assert_eq!(names(home.folder.path()), names_before);
    assert_eq!(store.snapshot().await.unwrap(), before);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_target_that_cannot_be_made_is_named() {
    let (_home, store) = filled().await;
    let target = Path::new("/proc/wassette/backup");
    let error = store.backup(target).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot make `/proc/wassette/backup`");
    assert!(error.hint().is_some());
    assert_ne!(store.snapshot().await.unwrap(), Snapshot::default());
}
