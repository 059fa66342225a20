//! What a killed process and a full disk leave behind: everything that was reported, nothing half-done.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use crate::child::{self, numbered};
use crate::{Home, artifact, id, load, names};
use wassette_store::{Expected, StoreError};

/// Every record is what was loaded under its number, and its bytes are there.
async fn check_numbered(home: &Home) -> BTreeSet<u64> {
    let store = home.open().await;
    let snapshot = store.snapshot().await.unwrap();
    let mut numbers = BTreeSet::new();
    for record in &snapshot.records {
        let number: u64 = record.id.as_str().trim_start_matches('c').parse().unwrap();
        let bytes = store.blob(&record.digest).await.unwrap();
        assert!(bytes == numbered(number), "record {} has other bytes", record.id);
        assert!(record.epoch <= snapshot.epoch);
        numbers.insert(number);
    }
    assert_eq!(snapshot.epoch, u64::try_from(numbers.len()).unwrap());
    numbers
}

#[tokio::test]
async fn kill_at_any_point_loses_nothing_that_was_reported() {
    let home = Home::new();
    let mut reported = BTreeSet::new();
    for round in 0..10_u64 {
        let mut child = child::start("load until killed", &home.store());
        // Another distance from the first word each time: before, within and after put and commit.
        let first = child.next().unwrap();
        assert!(first.starts_with("loading "), "{first}");
        thread::sleep(Duration::from_micros(round * round * 700));
        child.child.kill().unwrap();
        let mut last = first;
        while let Some(line) = child.next() {
            last = line;
            if let Some(number) = last.strip_prefix("loaded ") {
                reported.insert(number.parse::<u64>().unwrap());
            }
        }
        let found = check_numbered(&home).await;
        // The one that was on its way may be there or not; no other.
        let mut with_last = reported.clone();
        if let Some(number) = last.strip_prefix("loading ") {
            with_last.insert(number.parse().unwrap());
        }
        assert!(
            found == reported || found == with_last,
            "{found:?} {reported:?} {last}"
        );
        reported = found;
    }
}

#[tokio::test]
async fn half_written_blob_is_never_seen() {
    let home = Home::new();
    let whole = artifact(&numbered(1));
    let store = home.open().await;
    // What a killed process leaves: a temporary file.
    std::fs::write(home.path("blobs/sha256/.tmp-abcdefghijkl"), &whole.bytes[..100]).unwrap();
    assert!(matches!(
        store.blob(&whole.digest).await,
        Err(StoreError::NoBlob(_))
    ));
    // What a broken disk leaves: the right name, the wrong bytes.
    let path = home.path("blobs/sha256").join(whole.digest.hex());
    std::fs::write(&path, &whole.bytes[..100]).unwrap();
    let damaged = store.blob(&whole.digest).await.unwrap_err();
    assert!(
        matches!(&damaged, StoreError::DamagedBlob { path: found } if *found == path),
        "{damaged:?}"
    );
    let mut flipped = whole.bytes.to_vec();
    flipped[77] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    assert!(matches!(
        store.blob(&whole.digest).await,
        Err(StoreError::DamagedBlob { .. })
    ));
    // Loading it again repairs it.
    store.put(&whole).await.unwrap();
    assert_eq!(store.blob(&whole.digest).await.unwrap(), *whole.bytes);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn full_disk_is_an_error_and_leaves_nothing_half_done() {
    let home = Home::new();
    load(&home.open().await, "before", b"before", Expected::Absent)
        .await
        .unwrap();
    child::start_limited("fill the disk", &home.store()).ended_well();
    let store = home.open().await;
    let snapshot = store.snapshot().await.unwrap();
    let ids: Vec<_> = snapshot.records.iter().map(|record| record.id.clone()).collect();
    assert_eq!(ids, [id("before"), id("small")]);
    for record in &snapshot.records {
        store.blob(&record.digest).await.unwrap();
    }
    let mut blobs = [artifact(b"before").digest.hex(), artifact(b"small").digest.hex()];
    blobs.sort();
    assert_eq!(names(&home.path("blobs/sha256")), blobs);
    assert_eq!(names(&home.path("compiled")), [""; 0]);
}
