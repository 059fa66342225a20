//! The second process.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use wassette_store::{BackupError, Expected, Store, StoreError};

use crate::{artifact, id, load, record, soak};

const TASK: &str = "STORE_TEST_TASK";
const FOLDER: &str = "STORE_TEST_FOLDER";

/// What a line of the child's begins with, among what the test harness prints.
const MARK: &str = "child: ";

/// A running child; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    /// The next thing the child says; `None` when it has ended.
    pub(crate) fn next(&mut self) -> Option<String> {
        let lines = self.lines.by_ref().map_while(Result::ok);
        lines
            .filter_map(|line| line.strip_prefix(MARK).map(str::to_owned))
            .next()
    }

    #[track_caller]
    pub(crate) fn ended_well(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

pub(crate) fn start(task: &str, folder: &Path) -> Running {
    run_command(Command::new(std::env::current_exe().unwrap()), task, folder)
}

/// Starts a child that can write no file beyond some kilobytes, as on a full disk.
#[cfg(target_os = "linux")]
pub(crate) fn start_limited(task: &str, folder: &Path) -> Running {
    let mut command = Command::new("bash");
    // The signal is ignored, so that the write fails instead.
    command.args(["-c", "trap '' XFSZ; ulimit -f 256; exec \"$0\" \"$@\""]);
    command.arg(std::env::current_exe().unwrap());
    run_command(command, task, folder)
}

fn run_command(mut command: Command, task: &str, folder: &Path) -> Running {
    let mut child = command
        .args(["--exact", "child::run", "--nocapture"])
        .env(TASK, task)
        .env(FOLDER, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Running { child, lines }
}

/// The child's side.
#[tokio::test]
async fn run() {
    let (Ok(task), Some(folder)) = (std::env::var(TASK), std::env::var_os(FOLDER)) else {
        return;
    };
    let store = Store::open(Path::new(&folder)).await.unwrap();
    match task.as_str() {
        "load one" => drop(
            load(&store, "from-child", b"child", Expected::Absent)
                .await
                .unwrap(),
        ),
        "read" => drop(store.snapshot().await.unwrap()),
        "load until killed" => load_until_killed(&store).await,
        "count" => count(&store).await,
        "fill the disk" => fill_the_disk(&store).await,
        "back up to a full disk" => back_up_to_a_full_disk(&store).await,
        "soak: write" => soak::write(&store).await,
        "soak: read" => soak::read(&store).await,
        "hold" => {
            let _hold = store.begin().await.unwrap();
            say("holding");
            std::future::pending::<()>().await;
        }
        task => panic!("no such task: {task}"),
    }
}

pub(crate) fn say(text: &str) {
    // The harness's own line is not ended yet.
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{MARK}{text}").unwrap();
    out.flush().unwrap();
}

/// What the child loads under a number.
pub(crate) fn numbered(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(20_000)
}

async fn load_until_killed(store: &Store) {
    for number in store.snapshot().await.unwrap().epoch.. {
        say(&format!("loading {number}"));
        load(store, &format!("c{number}"), &numbered(number), Expected::Absent)
            .await
            .unwrap();
        say(&format!("loaded {number}"));
    }
}

/// Adds one to a shared number, 40 times, as any number of processes may do at a time.
async fn count(store: &Store) {
    let artifact = artifact(b"counter");
    store.put(&artifact).await.unwrap();
    let mut added = 0;
    while added < 40 {
        let snapshot = store.snapshot().await.unwrap();
        let mut next = record("counter", &artifact);
        let expected = match snapshot.records.as_slice() {
            [] => Expected::Absent,
            [found] => {
                next.installed_ms = found.installed_ms;
                Expected::Epoch(found.epoch)
            }
            _ => panic!("more than one record"),
        };
        next.installed_ms = if expected == Expected::Absent {
            1
        } else {
            next.installed_ms + 1
        };
        match store.commit(&next, expected).await {
            Ok(_) => added += 1,
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

async fn fill_the_disk(store: &Store) {
    let large = artifact(&numbered(7).repeat(8));
    assert!(matches!(store.put(&large).await, Err(StoreError::Full { .. })));
    let small = artifact(b"small");
    store.put(&small).await.unwrap();
    let mut huge = record("huge", &small);
    huge.contract = "x".repeat(1 << 20);
    // SQLite tells only ENOSPC as a full disk; the limit gives EFBIG, an I/O error to it.
    let failed = store.commit(&huge, Expected::Absent).await;
    assert!(
        matches!(failed, Err(StoreError::Database { .. } | StoreError::Full { .. })),
        "{failed:?}"
    );
    assert!(matches!(
        store.compiled().write("x", &large.bytes),
        Err(StoreError::Full { .. })
    ));
    store
        .commit(&record("small", &small), Expected::Absent)
        .await
        .unwrap();
    assert_eq!(
        store.remove(&id("huge"), 1).await.unwrap_err().to_string(),
        "`huge` was changed by someone else"
    );
}

async fn back_up_to_a_full_disk(store: &Store) {
    let target = store.folder().with_file_name("backup");
    let failed = store.backup(&target).await.unwrap_err();
    assert!(
        matches!(failed, BackupError::Store(StoreError::Full { .. })),
        "{failed:?}"
    );
}
