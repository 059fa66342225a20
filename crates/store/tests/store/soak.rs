//! Two processes that write and ten that read, for a while: no change is lost, and nobody sees half of one.
//!
//! For five seconds; `STORE_SOAK_SECONDS=60` for a minute.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::child::{self, say};
use crate::{Home, artifact, id, record};
use wassette_store::{
    Digest, Expected, NewFeed, NewRecord, NewRevocation, Record, Snapshot, Store, StoreError, VERSIONS_MAX,
};

const SECONDS: &str = "STORE_SOAK_SECONDS";
const COMPONENTS: u64 = 6;
const FEED: &str = "feed";

fn end() -> Instant {
    let seconds = std::env::var(SECONDS).map_or(5, |text| text.parse().unwrap());
    Instant::now() + Duration::from_secs(seconds)
}

/// Numbers that are different in each process.
struct Numbers(u64);

impl Numbers {
    fn new() -> Self {
        Self(u64::from(std::process::id()))
    }

    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

fn content(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(500)
}

/// All of its parts say the same number.
fn numbered(name: &str, number: u64) -> NewRecord {
    NewRecord {
        policy: number.to_string(),
        contract: number.to_string(),
        provenance: number.to_string(),
        presentation: number.to_string(),
        installed_ms: number,
        ..record(name, &artifact(&content(number)))
    }
}

#[track_caller]
fn check_record(record: &Record) {
    let number = record.installed_ms;
    let new = numbered(record.id.as_str(), number);
    let expected = Record {
        id: new.id,
        digest: new.digest,
        origin: new.origin,
        policy: new.policy,
        contract: new.contract,
        provenance: new.provenance,
        presentation: new.presentation,
        epoch: record.epoch,
        installed_ms: number,
    };
    assert_eq!(*record, expected);
}

/// Changes what it likes, and says which epochs it was given.
pub(crate) async fn write(store: &Store) {
    let (end, mut numbers, mut epochs, mut conflicts) = (end(), Numbers::new(), Vec::new(), 0_u64);
    while Instant::now() < end {
        match change(store, &mut numbers).await {
            Ok(epoch) => epochs.extend(epoch),
            Err(StoreError::Conflict { .. } | StoreError::FeedConflict { .. }) => conflicts += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    let epochs: Vec<_> = epochs.iter().map(u64::to_string).collect();
    say(&format!("conflicts {conflicts}"));
    say(&format!("epochs {}", epochs.join(" ")));
}

async fn change(store: &Store, numbers: &mut Numbers) -> Result<Option<u64>, StoreError> {
    let snapshot = store.snapshot().await?;
    let name = format!("c{}", numbers.next() % COMPONENTS);
    let there = snapshot.records.iter().find(|record| record.id == id(&name));
    let number = numbers.next();
    match numbers.next() % 20 {
        0 => {
            store.collect().await?;
            Ok(None)
        }
        1 | 2 => match there {
            Some(record) => store.remove(&record.id, record.epoch).await.map(Some),
            None => Ok(None),
        },
        3 | 4 => {
            // A reason that was never there: always a change.
            let revocation = NewRevocation {
                subject: (number % 10).to_string(),
                reason: format!("{number} {}", std::process::id()),
                revoked_ms: number,
            };
            store.revoke(&[revocation]).await.map(Some)
        }
        5..8 => put_feed(store, &snapshot).await.map(Some),
        _ => {
            let new = numbered(&name, number);
            let hold = store.begin().await?;
            store.put(&artifact(&content(number))).await?;
            let expected = there.map_or(Expected::Absent, |record| Expected::Epoch(record.epoch));
            let epoch = store.commit(&new, expected).await;
            drop(hold);
            epoch.map(Some)
        }
    }
}

async fn put_feed(store: &Store, snapshot: &Snapshot) -> Result<u64, StoreError> {
    let expected = snapshot.feeds.first().map(|feed| feed.sequence);
    let sequence = expected.map_or(1, |sequence| sequence + 1);
    let feed = NewFeed {
        reference: FEED.to_owned(),
        sequence,
        digest: Digest::of(&sequence.to_le_bytes()),
        checked_ms: sequence,
        document: sequence.to_string(),
    };
    let revocation = |number: u64| NewRevocation {
        subject: number.to_string(),
        reason: sequence.to_string(),
        revoked_ms: sequence,
    };
    let revocations: Vec<_> = (0..sequence % 7).map(revocation).collect();
    store.put_feed(&feed, &revocations, expected).await
}

/// Reads whatever is there; all of it must fit together.
pub(crate) async fn read(store: &Store) {
    let (end, mut numbers, mut epoch, mut reads) = (end(), Numbers::new(), 0, 0_u64);
    let mut look = None;
    while Instant::now() < end {
        let now = Some(store.look().unwrap());
        let is_same = cfg!(unix) && now == look;
        look = now;
        let snapshot = store.snapshot().await.unwrap();
        assert!(snapshot.epoch >= epoch, "a reader went back in time");
        // A change between the look and the snapshot shows at the next look.
        assert!(!is_same || snapshot.epoch == epoch || store.look().unwrap() != look.clone().unwrap());
        epoch = snapshot.epoch;
        check_snapshot(&snapshot);
        let name = format!("c{}", numbers.next() % COMPONENTS);
        let versions = store.versions(&id(&name)).await.unwrap();
        assert!(versions.len() <= VERSIONS_MAX);
        assert!(versions.is_sorted_by(|one, next| one.epoch > next.epoch));
        versions.iter().for_each(check_record);
        for record in snapshot.records.iter().chain(versions.last()) {
            check_blob(store, record).await;
        }
        reads += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    say(&format!("reads {reads}"));
}

#[track_caller]
fn check_snapshot(snapshot: &Snapshot) {
    snapshot.records.iter().for_each(check_record);
    assert!(
        snapshot
            .records
            .iter()
            .all(|record| record.epoch <= snapshot.epoch)
    );
    let Some(feed) = snapshot.feeds.first() else {
        return;
    };
    assert_eq!(feed.document, feed.sequence.to_string());
    let of_feed = |source: &str| source == FEED;
    let revocations: Vec<_> = snapshot
        .revocations
        .iter()
        .filter(|one| of_feed(&one.source))
        .collect();
    assert_eq!(u64::try_from(revocations.len()).unwrap(), feed.sequence % 7);
    let is_of_state = |epoch, reason: &str| epoch == feed.epoch && reason == feed.document;
    assert!(revocations.iter().all(|one| is_of_state(one.epoch, &one.reason)));
}

/// Reads the bytes, unless the record is gone by now.
async fn check_blob(store: &Store, record: &Record) {
    match store.blob(&record.digest).await {
        Ok(bytes) => assert!(bytes == content(record.installed_ms)),
        Err(StoreError::NoBlob(_)) => {
            let snapshot = store.snapshot().await.unwrap();
            let versions = store.versions(&record.id).await.unwrap();
            let mut all = snapshot.records.iter().chain(&versions);
            assert!(all.all(|one| one != record), "{record:?} has lost its bytes");
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// For whoever has asked for so many seconds.
fn report(text: &str) {
    if std::env::var_os(SECONDS).is_some() {
        writeln!(std::io::stderr(), "{text}").unwrap();
    }
}

#[tokio::test]
async fn two_writers_and_ten_readers_agree() {
    let home = Home::new();
    home.open().await.close().await;
    let start = |task| child::start(task, &home.store());
    let mut writers = [start("soak: write"), start("soak: write")];
    let mut readers: Vec<_> = (0..10).map(|_| start("soak: read")).collect();
    let (mut epochs, mut count) = (BTreeSet::new(), 0);
    for writer in &mut writers {
        while let Some(line) = writer.next() {
            let Some(list) = line.strip_prefix("epochs ") else {
                report(&line);
                continue;
            };
            let list: Vec<u64> = list.split(' ').map(|epoch| epoch.parse().unwrap()).collect();
            count += list.len();
            epochs.extend(list);
        }
    }
    for reader in &mut readers {
        report(&reader.next().unwrap());
    }
    for running in writers.into_iter().chain(readers) {
        running.ended_well();
    }
    let store = home.open().await;
    let snapshot = store.snapshot().await.unwrap();
    report(&format!("epoch {}", snapshot.epoch));
    check_snapshot(&snapshot);
    // Each change has its own epoch, and there is none without one.
    assert_eq!(epochs.len(), count);
    assert!(epochs.iter().copied().eq(1..=snapshot.epoch));
    store.collect().await.unwrap();
    assert!(store.check(|_, _| ()).await.unwrap().is_whole());
}
