//! A process that is killed at each step of each operation: everything before is there, nothing is half there.
//!
//! The process is this very binary: `child` does nothing unless the environment tells it what to do.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use crate::database::migrator;
use crate::{
    Approval, Artifact, BackupError, ComponentId, Digest, Expected, NewFeed, NewPermissionRequest, NewRecord,
    NewRevocation, OPERATOR, PermissionRequest, Record, Reference, Snapshot, Store, StoreError,
};

const TASK: &str = "STORE_KILL_TASK";
const FOLDER: &str = "STORE_KILL_FOLDER";
const STEP: &str = "STORE_KILL_STEP";
const TIMES: &str = "STORE_KILL_TIMES";

/// How often the step was reached.
static REACHED: AtomicU64 = AtomicU64::new(0);

pub(crate) fn reached(step: &'static str) {
    if std::env::var(STEP).is_ok_and(|wanted| wanted == step)
        && REACHED.fetch_add(1, Ordering::Relaxed) + 1 == times()
    {
        kill_self();
    }
}

fn times() -> u64 {
    std::env::var(TIMES).unwrap().parse().unwrap()
}

/// Dies as by `kill -9`; this thread does not go on until then.
fn kill_self() -> ! {
    drop(Command::new("sh").args(["-c", "kill -9 $PPID"]).status());
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn run_child(task: &str, folder: &Path, step: &str, times: u64) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "failpoint::tests::child"])
        .env(TASK, task)
        .env(FOLDER, folder)
        .env(STEP, step)
        .env(TIMES, times.to_string())
        .stdout(Stdio::null())
        .status()
        .unwrap()
}

#[tokio::test]
async fn child() {
    let (Ok(task), Some(folder)) = (std::env::var(TASK), std::env::var_os(FOLDER)) else {
        return;
    };
    let folder = PathBuf::from(folder);
    if task == "migrate" {
        return migrate(&folder.join("store/state.db"), times()).await;
    }
    run(&task, &folder).await.unwrap();
}

fn id(text: &str) -> ComponentId {
    text.parse().unwrap()
}

fn artifact(bytes: &str) -> Artifact {
    Artifact::new(bytes.as_bytes().into(), Reference::File("/x/tool.wasm".into()))
}

fn record(name: &str, bytes: &str) -> NewRecord {
    NewRecord {
        id: id(name),
        digest: Digest::of(bytes.as_bytes()),
        origin: "file:///x/tool.wasm".to_owned(),
        policy: bytes.to_owned(),
        contract: "[]".to_owned(),
        provenance: format!("\"{bytes}\""),
        presentation: "{}".to_owned(),
        installed_ms: 7,
    }
}

fn revocations(subjects: &[&str]) -> Vec<NewRevocation> {
    let revocation = |subject: &&str| NewRevocation {
        subject: (*subject).to_owned(),
        reason: "test".to_owned(),
        revoked_ms: 1,
    };
    subjects.iter().map(revocation).collect()
}

const FEED: &str = "oci://registry.example/feed";

fn feed(sequence: u64) -> NewFeed {
    NewFeed {
        reference: FEED.to_owned(),
        sequence,
        digest: Digest::of(&sequence.to_le_bytes()),
        checked_ms: 0,
        document: "{}".to_owned(),
    }
}

/// The number of the first request in a store that is [`filled`].
const REQUEST: u64 = 6;

fn request(name: &str, policy: &str) -> NewPermissionRequest {
    let bytes = if name == "tool" { "two" } else { name };
    NewPermissionRequest {
        id: id(name),
        digest: Digest::of(bytes.as_bytes()),
        policy: policy.to_owned(),
        reason: "test".to_owned(),
        asked_by: "agent:test".to_owned(),
        asked_ms: 1,
    }
}

async fn load(store: &Store, name: &str, bytes: &str) -> Result<u64, StoreError> {
    let snapshot = store.snapshot().await?;
    let there = snapshot.records.iter().find(|record| record.id == id(name));
    let expected = there.map_or(Expected::Absent, |record| Expected::Epoch(record.epoch));
    let hold = store.begin().await?;
    store.put(&artifact(bytes)).await?;
    let epoch = store.commit(&record(name, bytes), expected).await;
    drop(hold);
    epoch
}

/// A store with something of everything, and garbage.
async fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).await.unwrap();
    for (name, bytes) in [("tool", "one"), ("tool", "two"), ("other", "other")] {
        load(&store, name, bytes).await.unwrap();
    }
    store.revoke(&revocations(&["a", "b"])).await.unwrap();
    store
        .put_feed(&feed(1), &revocations(&["b", "c"]), None)
        .await
        .unwrap();
    assert_eq!(
        store.ask(&request("other", "some"), 3).await.unwrap().number,
        REQUEST
    );
    store.ask(&request("tool", "some"), 2).await.unwrap();
    for bytes in ["garbage", "more garbage"] {
        store.put(&artifact(bytes)).await.unwrap();
    }
    store.audit().unwrap().append(b"line").unwrap();
    store.backup(&folder.path().join("earlier")).await.unwrap();
    store.close().await;
    folder
}

/// One change, or one operation that changes nothing.
async fn run(task: &str, folder: &Path) -> Result<(), BackupError> {
    if task == "restore" {
        return Store::restore(&folder.join("earlier"), &folder.join("restored"))
            .await
            .map(drop);
    }
    let store = Store::open(&folder.join("store")).await?;
    match task {
        "commit" => drop(load(&store, "tool", "three").await?),
        "remove" => {
            let snapshot = store.snapshot().await?;
            let found = snapshot.records.iter().find(|record| record.id == id("tool"));
            store
                .remove(&id("tool"), found.map_or(0, |record| record.epoch))
                .await?;
        }
        "revoke" => drop(store.revoke(&revocations(&["d", "e"])).await?),
        "unrevoke" => drop(store.unrevoke("b", OPERATOR).await?),
        "put feed" => {
            let new = revocations(&["c", "d", "e"]);
            store.put_feed(&feed(2), &new, Some(1)).await?;
        }
        "ask" => drop(store.ask(&request("other", "more"), 3).await?),
        "deny request" => drop(store.deny_request(REQUEST, 9).await?),
        "approve" => {
            let mut granted = record("other", "other");
            granted.policy = "granted".to_owned();
            let approval = Approval {
                number: REQUEST,
                even_denied: false,
            };
            store
                .commit_approved(&granted, Expected::Epoch(3), approval)
                .await?;
        }
        "feed checked" => drop(store.feed_checked(FEED, 1, 1_000_000).await?),
        "remove feed" => drop(store.remove_feed(FEED, 1).await?),
        "collect" => drop(store.collect().await?),
        "backup" => drop(store.backup(&folder.join("backup")).await?),
        other => panic!("no such task: {other}"),
    }
    store.close().await;
    Ok(())
}

/// All that a store holds.
#[derive(Debug, PartialEq)]
struct State {
    snapshot: Snapshot,
    versions: BTreeMap<String, Vec<Record>>,
    requests: Vec<PermissionRequest>,
}

/// What is in the store; everything in it must be whole.
async fn state(folder: &Path) -> State {
    let store = Store::open(folder).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let mut versions = BTreeMap::new();
    for name in ["tool", "other"] {
        versions.insert(name.to_owned(), store.versions(&id(name)).await.unwrap());
    }
    let requests = store.permission_requests().await.unwrap();
    let report = store.check(|_, _| ()).await.unwrap();
    assert!(report.is_whole(), "{report:?}");
    store.close().await;
    State {
        snapshot,
        versions,
        requests,
    }
}

/// Kills a process when it has reached the step this many times. Then nothing of the operation is there, or all.
async fn check(task: &str, step: &str, times: u64, is_done: bool) {
    let case = format!("{task}: {step} {times}");
    let folder = filled().await;
    let store = folder.path().join("store");
    let before = state(&store).await;
    let status = run_child(task, folder.path(), step, times);
    assert_eq!(status.signal(), Some(9), "{case}: {status}");
    let found = state(&store).await;
    if is_done {
        assert_eq!(found, after(task).await, "{case}");
    } else {
        assert_eq!(found, before, "{case}");
        run(task, folder.path()).await.unwrap();
        assert_eq!(state(&store).await, after(task).await, "{case}: again");
    }
    let opened = Store::open(&store).await.unwrap();
    opened.collect().await.unwrap();
    load(&opened, "later", "later").await.unwrap();
    opened.close().await;
}

/// The state after the operation when nothing kills it.
async fn after(task: &str) -> State {
    let folder = filled().await;
    run(task, folder.path()).await.unwrap();
    state(&folder.path().join("store")).await
}

const WRITTEN: (&str, u64, bool) = ("change: written", 1, false);
const COMMITTED: (&str, u64, bool) = ("change: committed", 1, true);

async fn check_each(task: &str, steps: &[(&str, u64, bool)]) {
    for (step, times, is_done) in steps {
        check(task, step, *times, *is_done).await;
    }
}

#[tokio::test]
async fn killed_while_a_component_is_replaced() {
    let steps = [
        ("write: temporary file written", 1, false),
        ("write: renamed", 1, false),
        ("commit: begun", 1, false),
        ("commit: version kept", 1, false),
        WRITTEN,
        COMMITTED,
    ];
    check_each("commit", &steps).await;
}

#[tokio::test]
async fn killed_while_a_component_is_removed() {
    check_each(
        "remove",
        &[("remove: versions removed", 1, false), WRITTEN, COMMITTED],
    )
    .await;
}

#[tokio::test]
async fn killed_while_something_is_revoked_or_taken_back() {
    let steps = [
        ("revoke: one written", 1, false),
        ("revoke: one written", 2, false),
        WRITTEN,
        COMMITTED,
    ];
    check_each("revoke", &steps).await;
    check_each("unrevoke", &[WRITTEN, COMMITTED]).await;
}

#[tokio::test]
async fn killed_while_a_feed_is_written_or_removed() {
    let steps = [
        ("put feed: state written", 1, false),
        ("put feed: old ones removed", 1, false),
        ("put feed: one written", 1, false),
        ("put feed: one written", 3, false),
        WRITTEN,
        COMMITTED,
    ];
    check_each("put feed", &steps).await;
    check_each("feed checked", &[WRITTEN, COMMITTED]).await;
    let steps = [("remove feed: revocations removed", 1, false), WRITTEN, COMMITTED];
    check_each("remove feed", &steps).await;
}

#[tokio::test]
async fn killed_while_something_is_asked_for_or_decided() {
    check_each("ask", &[("ask: written", 1, false), WRITTEN, COMMITTED]).await;
    check_each("deny request", &[("deny: written", 1, false), WRITTEN, COMMITTED]).await;
    let steps = [("commit: version kept", 1, false), WRITTEN, COMMITTED];
    check_each("approve", &steps).await;
}

#[tokio::test]
async fn killed_while_garbage_is_collected() {
    let steps = [
        ("collect: one blob removed", 1, false),
        ("collect: one blob removed", 2, false),
        ("collect: blobs removed", 1, false),
    ];
    check_each("collect", &steps).await;
}

/// What is beside the store, without what a killed process left.
fn beside(folder: &Path) -> (Vec<String>, usize) {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let all = names.len();
    names.retain(|name| !name.starts_with(crate::fs::TEMPORARY_PREFIX));
    let left = all - names.len();
    (names, left)
}

#[tokio::test]
async fn killed_while_a_backup_is_made() {
    let steps = [
        ("backup: database copied", 1),
        ("backup: one blob copied", 1),
        ("backup: one blob copied", 3),
        ("backup: complete", 1),
    ];
    check_each("backup", &steps.map(|(step, times)| (step, times, false))).await;
    for (step, times) in steps {
        let folder = filled().await;
        assert_eq!(run_child("backup", folder.path(), step, times).signal(), Some(9));
        let names = ["earlier", "store"].map(str::to_owned).to_vec();
        assert_eq!(beside(folder.path()), (names, 1), "{step}");
    }
    let folder = filled().await;
    let status = run_child("backup", folder.path(), "backup: renamed", 1);
    assert_eq!(status.signal(), Some(9));
    let names = ["backup", "earlier", "store"].map(str::to_owned).to_vec();
    assert_eq!(beside(folder.path()), (names, 0));
    let restored = folder.path().join("restored");
    Store::restore(&folder.path().join("backup"), &restored)
        .await
        .unwrap();
    let expected = state(&folder.path().join("store")).await;
    assert_eq!(state(&restored).await, expected);
}

#[tokio::test]
async fn killed_while_a_backup_is_restored() {
    let steps = [
        ("restore: database copied", 1, false),
        ("backup: one blob copied", 2, false),
        ("backup: complete", 1, false),
        ("backup: renamed", 1, true),
    ];
    for (step, times, is_done) in steps {
        let folder = filled().await;
        let status = run_child("restore", folder.path(), step, times);
        assert_eq!(status.signal(), Some(9), "{step}");
        let restored = folder.path().join("restored");
        assert_eq!(restored.exists(), is_done, "{step}");
        if !is_done {
            run("restore", folder.path()).await.unwrap();
        }
        let expected = state(&folder.path().join("store")).await;
        assert_eq!(state(&restored).await, expected, "{step}");
    }
}

/// A store as the first version of the schema left it.
async fn first_schema() -> (tempfile::TempDir, Snapshot) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    std::fs::create_dir_all(&path).unwrap();
    let first = migrator().iter().next().unwrap().clone();
    let mut connection = connect(&path.join("state.db")).await;
    Migrator::with_migrations(vec![first])
        .run(&mut connection)
        .await
        .unwrap();
    let mut snapshot = Snapshot {
        epoch: 20,
        ..Snapshot::default()
    };
    for number in 0..20_u64 {
        let new = record(&format!("c{number:02}"), &number.to_string());
        let record = Record {
            id: new.id,
            digest: new.digest,
            origin: new.origin,
            policy: new.policy,
            contract: "x".repeat(3000),
            provenance: "{}".to_owned(),
            presentation: "{}".to_owned(),
            epoch: number + 1,
            installed_ms: new.installed_ms,
        };
        sqlx::query("INSERT INTO component VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(record.id.as_str())
            .bind(record.digest.to_string())
            .bind(&record.origin)
            .bind(&record.policy)
            .bind(&record.contract)
            .bind(i64::try_from(record.epoch).unwrap())
            .bind(i64::try_from(record.installed_ms).unwrap())
            .execute(&mut connection)
            .await
            .unwrap();
        snapshot.records.push(record);
    }
    sqlx::query("UPDATE store_epoch SET epoch = 20")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    (folder, snapshot)
}

async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    options.connect().await.unwrap()
}

/// Migrates as opening does, and dies after so many operations of the database's own machine.
async fn migrate(path: &Path, operations: u64) {
    let mut connection = connect(path).await;
    let mut done = 0;
    let mut handle = connection.lock_handle().await.unwrap();
    handle.set_progress_handler(1, move || {
        done += 1;
        if done == operations {
            kill_self();
        }
        true
    });
    drop(handle);
    migrator().run(&mut connection).await.unwrap();
}

#[tokio::test]
async fn killed_at_any_point_of_a_migration() {
    let (mut operations, mut kills) = (1_u64, 0);
    loop {
        let (folder, expected) = first_schema().await;
        let status = run_child("migrate", folder.path(), "", operations);
        let store = Store::open(&folder.path().join("store")).await.unwrap();
        assert_eq!(store.snapshot().await.unwrap(), expected, "after {operations}");
        load(&store, "c00", "other").await.unwrap();
        assert_eq!(
            store.versions(&id("c00")).await.unwrap(),
            expected.records[..1],
            "after {operations}"
        );
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(9));
        kills += 1;
        operations += operations.div_ceil(3);
    }
    assert!(kills >= 10, "only {kills} kills: is the migration tested at all?");
}
