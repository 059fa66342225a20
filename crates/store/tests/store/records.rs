//! Records: one transaction each, compare and set, one epoch for the store.

use std::time::Duration;

use crate::child;
use crate::{Home, artifact, id, load, record};
use wassette_store::{Artifact, Digest, Expected, Record, Snapshot, StoreError};

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let home = Home::new();
    let bytes = artifact(b"bytes");
    let mut new = record("tool", &bytes);
    new.policy = "network: []\n'; DROP TABLE component; --".to_owned();
    new.contract = r#"[{"name":"ünï"}]"#.to_owned();
    let store = home.open().await;
    assert_eq!(store.snapshot().await.unwrap(), Snapshot::default());
    store.put(&bytes).await.unwrap();
    store.put(&bytes).await.unwrap();
    assert_eq!(store.commit(&new, Expected::Absent).await.unwrap(), 1);
    let expected = Record {
        id: id("tool"),
        digest: bytes.digest,
        origin: "file:///x/tool.wasm".to_owned(),
        policy: new.policy.clone(),
        contract: new.contract.clone(),
        provenance: new.provenance.clone(),
        presentation: new.presentation.clone(),
        epoch: 1,
        installed_ms: 7,
    };
    let expected = Snapshot {
        epoch: 1,
        records: vec![expected],
        ..Snapshot::default()
    };
    assert_eq!(store.snapshot().await.unwrap(), expected);
    store.close().await;
    assert!(matches!(store.snapshot().await, Err(StoreError::Stopped)));
    let store = home.open().await;
    assert_eq!(store.snapshot().await.unwrap(), expected);
    assert_eq!(store.blob(&bytes.digest).await.unwrap(), b"bytes");
}

#[tokio::test]
async fn a_record_needs_its_bytes_and_an_artifact_its_digest() {
    let home = Home::new();
    let store = home.open().await;
    let missing = artifact(b"never put");
    let refused = store.commit(&record("a", &missing), Expected::Absent).await;
    assert!(matches!(refused, Err(StoreError::NoBlob(digest)) if digest == missing.digest));
    let wrong = Artifact {
        digest: Digest::of(b"other"),
        ..artifact(b"bytes")
    };
    let refused = store.put(&wrong).await;
    assert!(matches!(refused, Err(StoreError::Digest { found, .. }) if found == Digest::of(b"bytes")));
    let mut huge = record("a", &artifact(b"bytes"));
    huge.contract = "x".repeat(33 << 20);
    store.put(&artifact(b"bytes")).await.unwrap();
    let refused = store.commit(&huge, Expected::Absent).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
    assert_eq!(store.snapshot().await.unwrap(), Snapshot::default());
}

#[tokio::test]
async fn writers_in_several_processes_lose_no_update() {
    let home = Home::new();
    let store = home.open().await;
    let mut children = [
        child::start("count", &home.store()),
        child::start("count", &home.store()),
    ];
    let mut seen = 0;
    while children
        .iter_mut()
        .any(|running| running.child.try_wait().unwrap().is_none())
    {
        let snapshot = store.snapshot().await.unwrap();
        let value = snapshot.records.first().map_or(0, |record| record.installed_ms);
        assert!(value >= seen, "a reader went back in time");
        assert_eq!(snapshot.epoch, value, "a reader saw half of a change");
        seen = value;
    }
    for running in children {
        running.ended_well();
    }
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!((snapshot.epoch, snapshot.records[0].installed_ms), (80, 80));
}

#[tokio::test]
async fn several_processes_may_make_the_store_at_once() {
    let home = Home::new();
    let children: Vec<_> = (0..4).map(|_| child::start("read", &home.store())).collect();
    for running in children {
        running.ended_well();
    }
    assert_eq!(home.open().await.snapshot().await.unwrap(), Snapshot::default());
}

#[tokio::test]
async fn a_caller_who_goes_away_blocks_nobody() {
    let home = Home::new();
    let (store, other) = (home.open().await, home.open().await);
    let bytes = artifact(b"bytes");
    store.put(&bytes).await.unwrap();
    let mut epoch = load(&other, "other", b"0", Expected::Absent).await.unwrap();
    for round in 0..40_u32 {
        // Given up before, within and after the transaction.
        let new = record(&format!("c{round}"), &bytes);
        let commit = store.commit(&new, Expected::Absent);
        drop(tokio::time::timeout(Duration::from_micros(u64::from(round) * 60), commit).await);
        let number = round.to_le_bytes();
        let next = load(&other, "other", &number, Expected::Epoch(epoch));
        epoch = tokio::time::timeout(Duration::from_secs(5), next)
            .await
            .unwrap()
            .unwrap();
    }
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(
        snapshot.epoch,
        40 + u64::try_from(snapshot.records.len()).unwrap()
    );
}
