//! `look`: the cheap answer to "did anyone change anything?".

use std::collections::BTreeSet;

use crate::child;
use crate::{Home, load};
use wassette_store::Expected;

#[tokio::test]
async fn commit_of_another_process_is_seen_and_idle_looks_are_equal() {
    let home = Home::new();
    let store = home.open().await;
    let before = store.look().unwrap();
    assert_eq!(store.look().unwrap(), before);
    child::start("read", &home.store()).ended_well();
    assert_eq!(
        store.look().unwrap(),
        before,
        "opening and reading changes nothing"
    );
    child::start("load one", &home.store()).ended_well();
    let after = store.look().unwrap();
    assert_ne!(after, before);
    assert_eq!(store.look().unwrap(), after);
    assert_eq!(
        store.snapshot().await.unwrap().records[0].id.as_str(),
        "from-child"
    );
    assert_eq!(store.look().unwrap(), after, "reading changes nothing");
}

#[tokio::test]
async fn every_commit_of_another_store_gives_a_new_look() {
    let home = Home::new();
    let (reader, writer) = (home.open().await, home.open().await);
    let mut looks = vec![reader.look().unwrap()];
    // Large enough for the log to be copied into the database and begun anew several times.
    for number in 0..60 {
        let mut bytes = vec![number; 1000];
        bytes.push(1);
        let expected = Expected::Absent;
        load_large(&writer, &format!("c{number}"), &bytes, expected).await;
        let look = reader.look().unwrap();
        assert!(!looks.contains(&look), "commit {number} was not seen");
        assert_eq!(reader.look().unwrap(), look);
        looks.push(look);
    }
    assert_eq!(reader.snapshot().await.unwrap().epoch, 60);
    assert_eq!(writer.look().unwrap(), reader.look().unwrap());
}

async fn load_large(store: &wassette_store::Store, name: &str, bytes: &[u8], expected: Expected) {
    let artifact = crate::artifact(bytes);
    store.put(&artifact).await.unwrap();
    let mut record = crate::record(name, &artifact);
    record.contract = "x".repeat(300_000);
    store.commit(&record, expected).await.unwrap();
}

#[tokio::test]
async fn what_was_refused_is_no_change() {
    let home = Home::new();
    let (reader, writer) = (home.open().await, home.open().await);
    load(&writer, "a", b"a", Expected::Absent).await.unwrap();
    let before = reader.look().unwrap();
    load(&writer, "a", b"b", Expected::Absent).await.unwrap_err();
    assert_eq!(reader.look().unwrap(), before);
    assert_eq!(reader.snapshot().await.unwrap().epoch, 1);
}

/// POSIX drops all locks of a process on a file when it closes any descriptor of it: a store that closes
/// the file it looks at would unlock the database of every other store of this process.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn closing_one_store_keeps_the_locks_of_another() {
    use std::os::unix::fs::MetadataExt as _;
    let home = Home::new();
    let (kept, closed) = (home.open().await, home.open().await);
    closed.look().unwrap();
    let inode = std::fs::metadata(home.path("state.db-shm")).unwrap().ino();
    let locks = || {
        let text = std::fs::read_to_string("/proc/locks").unwrap();
        let mine = |line: &&str| line.contains(&format!(" {} ", std::process::id()));
        let ranges = text
            .lines()
            .filter(mine)
            .filter(|line| line.contains(&format!(":{inode} ")));
        ranges
            .map(|line| line.split(':').skip(1).collect::<String>())
            .collect::<BTreeSet<_>>()
    };
    let before = locks();
    assert_eq!(
        before.len(),
        1,
        "SQLite keeps one lock while it has the file open"
    );
    closed.close().await;
    drop(closed);
    assert_eq!(locks(), before);
    child::start("load one", &home.store()).ended_well();
    assert_eq!(kept.snapshot().await.unwrap().epoch, 1);
}

#[tokio::test]
async fn removed_shared_memory_is_an_error_and_a_new_store_looks_different() {
    let home = Home::new();
    let store = home.open().await;
    let before = store.look().unwrap();
    store.close().await;
    drop(store);
    let again = home.open().await;
    assert_ne!(again.look().unwrap(), before);
    std::fs::remove_file(home.path("state.db-shm")).unwrap();
    // Longer than the interval at which the file's name is looked at.
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    assert_eq!(again.look().unwrap_err().kind(), std::io::ErrorKind::NotFound);
}
