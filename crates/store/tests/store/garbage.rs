//! Garbage collection: never what a record needs or is about to need, never what is not ours.

use std::time::{Duration, SystemTime};

use crate::child;
use crate::{Home, artifact, id, load, names};
use wassette_store::{Collected, Expected};

fn write_aged(path: &std::path::Path, bytes: &[u8], age: Duration) {
    std::fs::write(path, bytes).unwrap();
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[tokio::test]
async fn only_our_garbage_is_removed() {
    let home = Home::new();
    let store = home.open().await;
    let epoch = load(&store, "gone", b"gone", Expected::Absent).await.unwrap();
    load(&store, "kept", b"kept", Expected::Absent).await.unwrap();
    load(&store, "same", b"kept", Expected::Absent).await.unwrap();
    store.remove(&id("gone"), epoch).await.unwrap();
    assert_eq!(store.blob(&artifact(b"gone").digest).await.unwrap(), b"gone");
    let (young, old) = (Duration::from_secs(3500), Duration::from_secs(3700));
    let blobs = home.path("blobs/sha256");
    write_aged(&blobs.join(".tmp-young"), b"123", young);
    write_aged(&blobs.join(".tmp-old"), b"123", old);
    write_aged(&home.path(".tmp-old"), b"123", old);
    write_aged(&blobs.join("README"), b"foreign", old);
    write_aged(&blobs.join("AA".repeat(32)), b"foreign", old);
    std::fs::create_dir(blobs.join("b".repeat(64))).unwrap();
    write_aged(&home.path("notes.txt"), b"foreign", old);
    store.compiled().write("code", b"code").unwrap();
    let before = names(&home.store());
    assert_eq!(
        store.collect().await.unwrap(),
        Collected {
            blobs: 1,
            temporary: 2,
            bytes: 4 + 6
        }
    );
    let mut left = vec![
        ".tmp-young".to_owned(),
        "README".to_owned(),
        "AA".repeat(32),
        "b".repeat(64),
    ];
    left.push(artifact(b"kept").digest.hex());
    left.sort();
    assert_eq!(names(&blobs), left);
    let mut expected: Vec<_> = before.into_iter().filter(|name| name != ".tmp-old").collect();
    expected.push("lock-blobs".to_owned());
    expected.sort();
    assert_eq!(names(&home.store()), expected);
    assert!(store.compiled().read("code").unwrap().is_some());
    assert_eq!(store.collect().await.unwrap(), Collected::default());
}

#[tokio::test]
async fn a_blob_about_to_be_committed_is_not_garbage() {
    let home = Home::new();
    let store = home.open().await;
    let hold = store.begin().await.unwrap();
    store.put(&artifact(b"x")).await.unwrap();
    let other = home.store();
    let collecting = tokio::spawn({
        let store = store.clone();
        async move { store.collect().await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        !collecting.is_finished(),
        "collected while something was being loaded"
    );
    store
        .commit(&crate::record("x", &artifact(b"x")), Expected::Absent)
        .await
        .unwrap();
    drop(hold);
    assert_eq!(collecting.await.unwrap().unwrap(), Collected::default());
    assert_eq!(names(&other.join("blobs/sha256")).len(), 1);
}

#[tokio::test]
async fn a_lock_ends_with_the_process_that_held_it() {
    let home = Home::new();
    let store = home.open().await;
    let mut holder = child::start("hold", &home.store());
    assert_eq!(holder.next().as_deref(), Some("holding"));
    let collecting = tokio::spawn({
        let store = store.clone();
        async move { store.collect().await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        !collecting.is_finished(),
        "collected while another process was loading"
    );
    drop(holder);
    assert_eq!(collecting.await.unwrap().unwrap(), Collected::default());
}
