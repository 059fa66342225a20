//! What every kind of store must do, written against the store's methods alone.
//!
//! Each case is a function that is given a way to open one and the same new store, as several processes do.
//! `backend!` runs all cases for one kind: another one adds a line, and a home that makes its stores.

use wassette_store::{
    CHECKED_INTERVAL_MS, CheckReport, Collected, DOCUMENT_BYTES_MAX, Digest, Expected, FEEDS_MAX, Feed,
    NewFeed, NewRecord, NewRevocation, OPERATOR, REASON_BYTES_MAX, REVOCATIONS_MAX, Record, Revocation,
    SUBJECT_BYTES_MAX, Snapshot, Store, StoreError, VERSIONS_MAX,
};

use crate::{artifact, id, load, record};

macro_rules! cases {
    ($home:ty: $($case:ident)*) => { $(
        #[tokio::test]
        async fn $case() {
            let home = <$home>::new();
            super::$case(async || home.open().await).await;
        }
    )* };
}

macro_rules! backend {
    ($name:ident, $home:ty) => {
        mod $name {
            cases! { $home:
                a_new_store_is_empty
                what_is_written_is_read_by_others_as_it_was
                only_the_expected_record_is_replaced_or_removed
                one_of_two_writers_wins
                every_change_has_the_next_epoch
                what_is_refused_changes_nothing
                a_snapshot_is_of_one_moment
                what_was_replaced_is_a_version
                the_oldest_versions_go_and_no_bytes_are_there_twice
                order_is_by_epoch_and_not_by_clock
                removing_removes_versions
                revoking_is_idempotent
                one_subject_may_be_revoked_by_two_sources
                texts_of_revocations_are_bounded
                texts_of_feeds_and_records_are_bounded
                numbers_of_rows_are_bounded
                a_feed_is_compared_and_replaced_as_a_whole
                a_feed_never_goes_back
                a_time_is_written_when_it_has_moved
                a_removed_feed_takes_its_revocations_with_it
                blobs_of_versions_are_kept
                a_check_counts_everything
            }
        }
    };
}

backend!(sqlite, crate::Home);

async fn a_new_store_is_empty(open: impl AsyncFn() -> Store) {
    let store = open().await;
    assert_eq!(store.snapshot().await.unwrap(), Snapshot::default());
    assert_eq!(store.versions(&id("a")).await.unwrap(), []);
    assert_eq!(store.collect().await.unwrap(), Collected::default());
    assert_eq!(store.check(|_, _| ()).await.unwrap(), CheckReport::default());
}

fn stored(new: NewRecord, epoch: u64) -> Record {
    Record {
        id: new.id,
        digest: new.digest,
        origin: new.origin,
        policy: new.policy,
        contract: new.contract,
        provenance: new.provenance,
        presentation: new.presentation,
        epoch,
        installed_ms: new.installed_ms,
    }
}

fn revocation(subject: &str) -> NewRevocation {
    NewRevocation {
        subject: subject.to_owned(),
        reason: "it lies".to_owned(),
        revoked_ms: 5,
    }
}

fn revoked(new: NewRevocation, source: &str, epoch: u64) -> Revocation {
    Revocation {
        subject: new.subject,
        source: source.to_owned(),
        reason: new.reason,
        revoked_ms: new.revoked_ms,
        epoch,
    }
}

const FEED: &str = "oci://registry.example/feed";

fn feed(sequence: u64) -> NewFeed {
    NewFeed {
        reference: FEED.to_owned(),
        sequence,
        digest: Digest::of(&sequence.to_le_bytes()),
        checked_ms: 1_000_000,
        document: format!("{{\"sequence\":{sequence}}}"),
    }
}

fn fed(new: NewFeed, epoch: u64) -> Feed {
    Feed {
        reference: new.reference,
        sequence: new.sequence,
        digest: new.digest,
        checked_ms: new.checked_ms,
        document: new.document,
        epoch,
    }
}

async fn what_is_written_is_read_by_others_as_it_was(open: impl AsyncFn() -> Store) {
    let (writer, reader) = (open().await, open().await);
    let odd = "'; DROP TABLE component; -- ünï\u{10ffff} \"\\ %s $1 \t\r\n";
    let bytes = artifact(b"bytes");
    let new = NewRecord {
        origin: odd.to_owned(),
        policy: odd.to_owned(),
        contract: odd.to_owned(),
        provenance: odd.to_owned(),
        presentation: odd.to_owned(),
        installed_ms: i64::MAX as u64,
        ..record("tool", &bytes)
    };
    writer.put(&bytes).await.unwrap();
    writer.commit(&new, Expected::Absent).await.unwrap();
    let against = NewRevocation {
        reason: odd.to_owned(),
        ..revocation(odd)
    };
    writer.revoke(std::slice::from_ref(&against)).await.unwrap();
    let state = NewFeed {
        reference: odd.to_owned(),
        sequence: i64::MAX as u64,
        document: odd.to_owned(),
        ..feed(1)
    };
    writer
        .put_feed(&state, std::slice::from_ref(&against), None)
        .await
        .unwrap();
    let expected = Snapshot {
        epoch: 3,
        records: vec![stored(new, 1)],
        revocations: vec![revoked(against.clone(), odd, 3), revoked(against, OPERATOR, 2)],
        feeds: vec![fed(state, 3)],
    };
    assert_eq!(reader.snapshot().await.unwrap(), expected);
    assert_eq!(reader.blob(&bytes.digest).await.unwrap(), *bytes.bytes);
}

#[track_caller]
fn conflict(result: Result<u64, StoreError>, expected: Expected, found: Option<u64>) {
    match result {
        Err(StoreError::Conflict {
            expected: e,
            found: f,
            ..
        }) => assert_eq!((e, f), (expected, found)),
        other => panic!("{other:?}"),
    }
}

async fn only_the_expected_record_is_replaced_or_removed(open: impl AsyncFn() -> Store) {
    let store = open().await;
    conflict(
        load(&store, "b", b"1", Expected::Epoch(0)).await,
        Expected::Epoch(0),
        None,
    );
    assert_eq!(load(&store, "b", b"1", Expected::Absent).await.unwrap(), 1);
    assert_eq!(load(&store, "a", b"1", Expected::Absent).await.unwrap(), 2);
    conflict(
        load(&store, "b", b"2", Expected::Absent).await,
        Expected::Absent,
        Some(1),
    );
    conflict(
        load(&store, "b", b"2", Expected::Epoch(2)).await,
        Expected::Epoch(2),
        Some(1),
    );
    assert_eq!(load(&store, "b", b"2", Expected::Epoch(1)).await.unwrap(), 3);
    conflict(store.remove(&id("b"), 1).await, Expected::Epoch(1), Some(3));
    conflict(store.remove(&id("c"), 1).await, Expected::Epoch(1), None);
    let found = contents(&store.snapshot().await.unwrap().records);
    assert_eq!(
        found,
        [("a", 2, Digest::of(b"1")), ("b", 3, Digest::of(b"2"))].map(|(name, epoch, digest)| (
            name.to_owned(),
            epoch,
            digest
        ))
    );
    assert_eq!(store.remove(&id("b"), 3).await.unwrap(), 4);
    // A removed record's epoch never comes back: whoever waits with it is refused.
    assert_eq!(load(&store, "b", b"1", Expected::Absent).await.unwrap(), 5);
    conflict(store.remove(&id("b"), 3).await, Expected::Epoch(3), Some(5));
}

fn contents(records: &[Record]) -> Vec<(String, u64, Digest)> {
    let content = |record: &Record| (record.id.to_string(), record.epoch, record.digest);
    records.iter().map(content).collect()
}

async fn one_of_two_writers_wins(open: impl AsyncFn() -> Store) {
    let (one, two) = (open().await, open().await);
    let mut epoch = load(&one, "tool", b"0", Expected::Absent).await.unwrap();
    one.put_feed(&feed(0), &[], None).await.unwrap();
    for round in 1..=20_u64 {
        let bytes = [round.to_le_bytes(), (round + 1000).to_le_bytes()];
        let (first, second) = tokio::join!(
            load(&one, "tool", &bytes[0], Expected::Epoch(epoch)),
            load(&two, "tool", &bytes[1], Expected::Epoch(epoch)),
        );
        let (won, lost, winner) = match (first, second) {
            (Ok(won), Err(lost)) => (won, lost, 0),
            (Err(lost), Ok(won)) => (won, lost, 1),
            other => panic!("{other:?}"),
        };
        assert!(matches!(lost, StoreError::Conflict { .. }), "{lost:?}");
        let record = &one.snapshot().await.unwrap().records[0];
        assert_eq!((record.epoch, record.digest), (won, Digest::of(&bytes[winner])));
        epoch = won;
        let next = feed(round);
        let (first, second) = tokio::join!(
            one.put_feed(&next, &[], Some(round - 1)),
            two.put_feed(&next, &[], Some(round - 1)),
        );
        let ((Ok(_), Err(lost)) | (Err(lost), Ok(_))) = (first, second) else {
            panic!("both or none won");
        };
        assert!(matches!(lost, StoreError::FeedConflict { .. }), "{lost:?}");
    }
}

async fn every_change_has_the_next_epoch(open: impl AsyncFn() -> Store) {
    let (one, two) = (open().await, open().await);
    let mut epochs = vec![
        load(&one, "a", b"1", Expected::Absent).await.unwrap(),
        load(&two, "b", b"1", Expected::Absent).await.unwrap(),
        load(&one, "a", b"2", Expected::Epoch(1)).await.unwrap(),
        two.revoke(&[revocation("x"), revocation("y")]).await.unwrap(),
        one.put_feed(&feed(1), &[revocation("x")], None).await.unwrap(),
        two.feed_checked(FEED, 1, 9_000_000).await.unwrap(),
    ];
    epochs.extend([
        one.put_feed(&feed(2), &[], Some(1)).await.unwrap(),
        two.unrevoke("x", OPERATOR).await.unwrap(),
        one.remove_feed(FEED, 2).await.unwrap(),
        two.remove(&id("b"), 2).await.unwrap(),
    ]);
    let expected: Vec<_> = (1..=10).collect();
    assert_eq!(epochs, expected);
    for store in [one, two] {
        assert_eq!(store.snapshot().await.unwrap().epoch, 10);
    }
}

async fn what_is_refused_changes_nothing(open: impl AsyncFn() -> Store) {
    let (store, other) = (open().await, open().await);
    load(&store, "a", b"1", Expected::Absent).await.unwrap();
    store.revoke(&[revocation("x")]).await.unwrap();
    store.put_feed(&feed(3), &[revocation("x")], None).await.unwrap();
    let before = other.snapshot().await.unwrap();
    let look = other.look().unwrap();
    load(&store, "a", b"2", Expected::Absent).await.unwrap_err();
    store.remove(&id("a"), 7).await.unwrap_err();
    let missing = record("z", &artifact(b"never put"));
    store.commit(&missing, Expected::Absent).await.unwrap_err();
    store
        .revoke(&[revocation("y"), revocation("")])
        .await
        .unwrap_err();
    store.put_feed(&feed(4), &[], Some(2)).await.unwrap_err();
    store.put_feed(&feed(2), &[], Some(3)).await.unwrap_err();
    store
        .put_feed(&feed(4), &[revocation("")], Some(3))
        .await
        .unwrap_err();
    store.feed_checked(FEED, 2, 9_000_000).await.unwrap_err();
    store.remove_feed(FEED, 2).await.unwrap_err();
    // What is as it was is no change either.
    assert_eq!(store.revoke(&[revocation("x")]).await.unwrap(), before.epoch);
    assert_eq!(store.revoke(&[]).await.unwrap(), before.epoch);
    assert_eq!(store.unrevoke("y", OPERATOR).await.unwrap(), before.epoch);
    assert_eq!(
        store.feed_checked(FEED, 3, 1_000_000).await.unwrap(),
        before.epoch
    );
    assert_eq!(other.snapshot().await.unwrap(), before);
    assert_eq!(store.versions(&id("a")).await.unwrap(), []);
    if cfg!(unix) {
        assert_eq!(other.look().unwrap(), look);
    }
}

async fn a_snapshot_is_of_one_moment(open: impl AsyncFn() -> Store) {
    let (writer, reader) = (open().await, open().await);
    let changes = tokio::spawn(async move {
        let mut expected = None;
        for sequence in 1..60 {
            let subjects: Vec<_> = (0..sequence % 7)
                .map(|number| revocation(&format!("{number}")))
                .collect();
            writer
                .put_feed(&feed(sequence), &subjects, expected)
                .await
                .unwrap();
            expected = Some(sequence);
        }
    });
    let mut seen = 0;
    while !changes.is_finished() {
        let snapshot = reader.snapshot().await.unwrap();
        let Some(found) = snapshot.feeds.first() else {
            continue;
        };
        assert!(found.sequence >= seen, "a reader went back in time");
        assert_eq!((found.epoch, snapshot.epoch), (found.sequence, found.sequence));
        let subjects = u64::try_from(snapshot.revocations.len()).unwrap();
        assert_eq!(subjects, found.sequence % 7);
        assert!(snapshot.revocations.iter().all(|one| one.epoch == found.epoch));
        seen = found.sequence;
    }
    changes.await.unwrap();
}

async fn what_was_replaced_is_a_version(open: impl AsyncFn() -> Store) {
    let store = open().await;
    let mut first = record("tool", &artifact(b"1"));
    first.provenance = "\"first\"".to_owned();
    store.put(&artifact(b"1")).await.unwrap();
    store.commit(&first, Expected::Absent).await.unwrap();
    // The same bytes under another policy: the same version.
    first.policy = "granted".to_owned();
    store.commit(&first, Expected::Epoch(1)).await.unwrap();
    assert_eq!(store.versions(&id("tool")).await.unwrap(), []);
    load(&store, "tool", b"2", Expected::Epoch(2)).await.unwrap();
    load(&store, "other", b"1", Expected::Absent).await.unwrap();
    let expected = [stored(first.clone(), 2)];
    assert_eq!(store.versions(&id("tool")).await.unwrap(), expected);
    assert_eq!(store.versions(&id("other")).await.unwrap(), []);
    // The way back: what was left is now a version, what is there no longer one.
    store.commit(&first, Expected::Epoch(3)).await.unwrap();
    let versions = store.versions(&id("tool")).await.unwrap();
    assert_eq!(contents(&versions), [("tool".to_owned(), 3, Digest::of(b"2"))]);
}

async fn the_oldest_versions_go_and_no_bytes_are_there_twice(open: impl AsyncFn() -> Store) {
    let store = open().await;
    let mut expected = Expected::Absent;
    for bytes in 0..10_u8 {
        let epoch = load(&store, "tool", &[bytes], expected).await.unwrap();
        expected = Expected::Epoch(epoch);
    }
    let bytes_of = |versions: &[Record]| -> Vec<_> {
        let byte = |digest| (0..10_u8).find(|byte| Digest::of(&[*byte]) == digest).unwrap();
        versions.iter().map(|version| byte(version.digest)).collect()
    };
    let versions = store.versions(&id("tool")).await.unwrap();
    assert_eq!(versions.len(), VERSIONS_MAX);
    assert_eq!(bytes_of(&versions), [8, 7, 6, 5, 4]);
    // Two that take turns do not push out the others.
    for bytes in [8, 9, 8, 9, 8, 9] {
        let epoch = load(&store, "tool", &[bytes], expected).await.unwrap();
        expected = Expected::Epoch(epoch);
    }
    let versions = store.versions(&id("tool")).await.unwrap();
    assert_eq!(bytes_of(&versions), [8, 7, 6, 5, 4]);
}

async fn order_is_by_epoch_and_not_by_clock(open: impl AsyncFn() -> Store) {
    let store = open().await;
    let mut expected = Expected::Absent;
    for (bytes, installed_ms) in [(b"1", 9000), (b"2", 10), (b"3", 500), (b"4", 0)] {
        let artifact = artifact(bytes);
        store.put(&artifact).await.unwrap();
        let new = NewRecord {
            installed_ms,
            ..record("tool", &artifact)
        };
        expected = Expected::Epoch(store.commit(&new, expected).await.unwrap());
    }
    let versions = store.versions(&id("tool")).await.unwrap();
    let found: Vec<_> = versions.iter().map(|one| (one.epoch, one.installed_ms)).collect();
    assert_eq!(found, [(3, 500), (2, 10), (1, 9000)]);
    store.put_feed(&feed(1), &[revocation("x")], None).await.unwrap();
    let earlier = NewFeed {
        checked_ms: 1,
        ..feed(2)
    };
    store.put_feed(&earlier, &[], Some(1)).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.records[0].installed_ms, 0);
    assert_eq!(snapshot.feeds, [fed(earlier, 6)]);
}

async fn removing_removes_versions(open: impl AsyncFn() -> Store) {
    let store = open().await;
    load(&store, "tool", b"1", Expected::Absent).await.unwrap();
    load(&store, "tool", b"2", Expected::Epoch(1)).await.unwrap();
    load(&store, "other", b"1", Expected::Absent).await.unwrap();
    load(&store, "other", b"2", Expected::Epoch(3)).await.unwrap();
    store.remove(&id("tool"), 2).await.unwrap();
    assert_eq!(store.versions(&id("tool")).await.unwrap(), []);
    assert_eq!(store.versions(&id("other")).await.unwrap().len(), 1);
    load(&store, "tool", b"3", Expected::Absent).await.unwrap();
    assert_eq!(store.versions(&id("tool")).await.unwrap(), []);
}

async fn revoking_is_idempotent(open: impl AsyncFn() -> Store) {
    let store = open().await;
    let both = [revocation("b"), revocation("a")];
    assert_eq!(store.revoke(&both).await.unwrap(), 1);
    let [b, a] = both.clone().map(|new| revoked(new, OPERATOR, 1));
    assert_eq!(
        store.snapshot().await.unwrap().revocations,
        [a.clone(), b.clone()]
    );
    let later = NewRevocation {
        revoked_ms: 99,
        ..revocation("a")
    };
    assert_eq!(store.revoke(&[later, revocation("a")]).await.unwrap(), 1);
    assert_eq!(store.snapshot().await.unwrap().revocations, [a, b.clone()]);
    let reason = NewRevocation {
        reason: "it lies twice".to_owned(),
        revoked_ms: 99,
        ..revocation("a")
    };
    assert_eq!(store.revoke(&[reason.clone(), revocation("b")]).await.unwrap(), 2);
    let a = revoked(reason, OPERATOR, 2);
    assert_eq!(store.snapshot().await.unwrap().revocations, [a, b.clone()]);
    assert_eq!(store.unrevoke("a", OPERATOR).await.unwrap(), 3);
    assert_eq!(store.unrevoke("a", OPERATOR).await.unwrap(), 3);
    assert_eq!(store.snapshot().await.unwrap().revocations, [b]);
}

async fn one_subject_may_be_revoked_by_two_sources(open: impl AsyncFn() -> Store) {
    let store = open().await;
    store.put_feed(&feed(1), &[revocation("x")], None).await.unwrap();
    store.revoke(&[revocation("x")]).await.unwrap();
    let by_feed = revoked(revocation("x"), FEED, 1);
    let by_operator = revoked(revocation("x"), OPERATOR, 2);
    assert_eq!(
        store.snapshot().await.unwrap().revocations,
        [by_feed.clone(), by_operator.clone()]
    );
    store.unrevoke("x", "nobody").await.unwrap();
    store.put_feed(&feed(2), &[], Some(1)).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().revocations, [by_operator]);
    store
        .put_feed(&feed(3), &[revocation("x")], Some(2))
        .await
        .unwrap();
    store.unrevoke("x", OPERATOR).await.unwrap();
    let by_feed = Revocation { epoch: 4, ..by_feed };
    assert_eq!(store.snapshot().await.unwrap().revocations, [by_feed]);
    store.unrevoke("x", FEED).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().revocations, []);
}

#[track_caller]
fn refused(result: Result<u64, StoreError>, text: &str) {
    assert_eq!(result.unwrap_err().to_string(), text);
}

/// A text with so many bytes and fewer characters.
fn text(bytes: usize) -> String {
    "é".repeat(bytes / 2) + &"x".repeat(bytes % 2)
}

async fn texts_of_revocations_are_bounded(open: impl AsyncFn() -> Store) {
    let store = open().await;
    let subject = |subject: String| NewRevocation {
        subject,
        ..revocation("")
    };
    let reason = |reason: String| NewRevocation {
        reason,
        ..revocation("x")
    };
    for (wrong, message) in [
        (subject(String::new()), "the revocation's subject is empty"),
        (
            subject("a\0".to_owned()),
            "the revocation's subject has a zero byte",
        ),
        (
            subject(text(SUBJECT_BYTES_MAX + 1)),
            "the revocation's subject has 1025 bytes, and at most 1024 are taken",
        ),
        (reason("\0".to_owned()), "the revocation's reason has a zero byte"),
        (
            reason(text(REASON_BYTES_MAX + 1)),
            "the revocation's reason has 1001 bytes, and at most 1000 are taken",
        ),
    ] {
        refused(store.revoke(std::slice::from_ref(&wrong)).await, message);
        refused(store.put_feed(&feed(1), &[wrong], None).await, message);
    }
    assert_eq!(store.snapshot().await.unwrap(), Snapshot::default());
    let longest = NewRevocation {
        reason: text(REASON_BYTES_MAX),
        ..subject(text(SUBJECT_BYTES_MAX))
    };
    let ascii = reason("x".repeat(REASON_BYTES_MAX));
    store.revoke(&[longest, ascii]).await.unwrap();
}

async fn texts_of_feeds_and_records_are_bounded(open: impl AsyncFn() -> Store) {
    let store = open().await;
    let reference = |reference: String| NewFeed { reference, ..feed(1) };
    for (wrong, message) in [
        (reference(String::new()), "the feed's reference is empty"),
        (
            reference(OPERATOR.to_owned()),
            "the feed's reference is the operator's name",
        ),
        (
            reference(text(SUBJECT_BYTES_MAX + 1)),
            "the feed's reference has 1025 bytes, and at most 1024 are taken",
        ),
        (
            NewFeed {
                sequence: 1 << 63,
                ..feed(1)
            },
            "the feed's sequence is larger than 9223372036854775807",
        ),
        (
            NewFeed {
                document: text(DOCUMENT_BYTES_MAX + 1),
                ..feed(1)
            },
            "the feed's document has 4194305 bytes, and at most 4194304 are taken",
        ),
    ] {
        refused(store.put_feed(&wrong, &[], None).await, message);
    }
    assert_eq!(store.snapshot().await.unwrap(), Snapshot::default());
    let largest = NewFeed {
        document: text(DOCUMENT_BYTES_MAX),
        ..reference(text(SUBJECT_BYTES_MAX))
    };
    store.put_feed(&largest, &[], None).await.unwrap();
    let mut huge = record("a", &artifact(b"bytes"));
    huge.provenance = "x".repeat(33 << 20);
    store.put(&artifact(b"bytes")).await.unwrap();
    let result = store.commit(&huge, Expected::Absent).await;
    assert!(matches!(result, Err(StoreError::TooLarge { .. })), "{result:?}");
}

async fn numbers_of_rows_are_bounded(open: impl AsyncFn() -> Store) {
    let store = open().await;
    let many = |count: usize| -> Vec<_> {
        let subjects = 0..count;
        subjects.map(|number| revocation(&number.to_string())).collect()
    };
    let text = "at most 10000 revocations of one source are kept";
    refused(store.revoke(&many(REVOCATIONS_MAX + 1)).await, text);
    refused(
        store.put_feed(&feed(1), &many(REVOCATIONS_MAX + 1), None).await,
        text,
    );
    store.revoke(&many(REVOCATIONS_MAX)).await.unwrap();
    refused(store.revoke(&[revocation("one more")]).await, text);
    // What is there may be said again.
    assert_eq!(store.revoke(&many(3)).await.unwrap(), 1);
    for number in 0..FEEDS_MAX {
        let new = NewFeed {
            reference: number.to_string(),
            ..feed(1)
        };
        store.put_feed(&new, &[revocation("x")], None).await.unwrap();
    }
    refused(
        store.put_feed(&feed(1), &[], None).await,
        "at most 16 feeds are kept",
    );
    let next = NewFeed {
        reference: "3".to_owned(),
        ..feed(2)
    };
    store.put_feed(&next, &[], Some(1)).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.revocations.len(), REVOCATIONS_MAX + FEEDS_MAX - 1);
    assert_eq!(snapshot.feeds.len(), FEEDS_MAX);
}

#[track_caller]
fn feed_conflict(result: Result<u64, StoreError>, expected: Option<u64>, found: Option<u64>) {
    match result {
        Err(StoreError::FeedConflict {
            reference,
            expected: e,
            found: f,
        }) => assert_eq!((reference.as_str(), e, f), (FEED, expected, found)),
        other => panic!("{other:?}"),
    }
}

async fn a_feed_is_compared_and_replaced_as_a_whole(open: impl AsyncFn() -> Store) {
    let store = open().await;
    feed_conflict(store.put_feed(&feed(2), &[], Some(1)).await, Some(1), None);
    feed_conflict(store.feed_checked(FEED, 1, 1).await, Some(1), None);
    feed_conflict(store.remove_feed(FEED, 1).await, Some(1), None);
    let first = [revocation("b"), revocation("a")];
    store.put_feed(&feed(2), &first, None).await.unwrap();
    let [b, a] = first.map(|new| revoked(new, FEED, 1));
    assert_eq!(
        store.snapshot().await.unwrap(),
        Snapshot {
            epoch: 1,
            records: Vec::new(),
            revocations: vec![a, b],
            feeds: vec![fed(feed(2), 1)],
        }
    );
    feed_conflict(store.put_feed(&feed(3), &[], None).await, None, Some(2));
    feed_conflict(store.put_feed(&feed(3), &[], Some(1)).await, Some(1), Some(2));
    feed_conflict(store.feed_checked(FEED, 3, 1).await, Some(3), Some(2));
    feed_conflict(store.remove_feed(FEED, 1).await, Some(1), Some(2));
    // A subject may be said twice in one state; the last reason counts.
    let again = NewRevocation {
        reason: "later".to_owned(),
        ..revocation("c")
    };
    let second = [revocation("c"), revocation("b"), again.clone()];
    store.put_feed(&feed(7), &second, Some(2)).await.unwrap();
    assert_eq!(
        store.snapshot().await.unwrap(),
        Snapshot {
            epoch: 2,
            records: Vec::new(),
            revocations: vec![revoked(revocation("b"), FEED, 2), revoked(again, FEED, 2)],
            feeds: vec![fed(feed(7), 2)],
        }
    );
}

async fn a_feed_never_goes_back(open: impl AsyncFn() -> Store) {
    let store = open().await;
    store.put_feed(&feed(5), &[revocation("x")], None).await.unwrap();
    refused(
        store.put_feed(&feed(4), &[], Some(5)).await,
        "the feed `oci://registry.example/feed` is at 5, which 4 does not follow",
    );
    let second = NewFeed {
        digest: Digest::of(b"another state"),
        ..feed(5)
    };
    refused(
        store.put_feed(&second, &[], Some(5)).await,
        "the feed `oci://registry.example/feed` is at 5, which 5 does not follow",
    );
    assert_eq!(store.snapshot().await.unwrap().feeds, [fed(feed(5), 1)]);
    // The very same state may be written again.
    store
        .put_feed(&feed(5), &[revocation("x")], Some(5))
        .await
        .unwrap();
    assert_eq!(store.snapshot().await.unwrap().feeds, [fed(feed(5), 2)]);
}

async fn a_time_is_written_when_it_has_moved(open: impl AsyncFn() -> Store) {
    let (store, other) = (open().await, open().await);
    store.put_feed(&feed(1), &[revocation("x")], None).await.unwrap();
    let at = 1_000_000;
    let mut look = other.look().unwrap();
    for (checked_ms, epoch) in [
        (at + 1, 1),
        (at + CHECKED_INTERVAL_MS - 1, 1),
        (at - CHECKED_INTERVAL_MS + 1, 1),
        (at + CHECKED_INTERVAL_MS, 2),
        (at + CHECKED_INTERVAL_MS + 1, 2),
        // The clock was wrong before.
        (5, 3),
    ] {
        let before = other.snapshot().await.unwrap();
        assert_eq!(store.feed_checked(FEED, 1, checked_ms).await.unwrap(), epoch);
        let now = other.look().unwrap();
        if cfg!(unix) {
            assert_eq!(now != look, before.epoch != epoch, "{checked_ms}");
        }
        look = now;
        let snapshot = other.snapshot().await.unwrap();
        if before.epoch == epoch {
            assert_eq!(snapshot, before, "{checked_ms}");
            continue;
        }
        let expected = Feed {
            checked_ms,
            ..fed(feed(1), epoch)
        };
        assert_eq!(snapshot.feeds, [expected]);
        assert_eq!(snapshot.revocations, before.revocations);
    }
}

async fn a_removed_feed_takes_its_revocations_with_it(open: impl AsyncFn() -> Store) {
    let store = open().await;
    let other = NewFeed {
        reference: "oci://registry.example/other".to_owned(),
        ..feed(1)
    };
    store.put_feed(&feed(9), &[revocation("x")], None).await.unwrap();
    store.put_feed(&other, &[revocation("x")], None).await.unwrap();
    store.revoke(&[revocation("x")]).await.unwrap();
    assert_eq!(store.remove_feed(FEED, 9).await.unwrap(), 4);
    let snapshot = store.snapshot().await.unwrap();
    let sources: Vec<_> = snapshot.revocations.iter().map(|one| &*one.source).collect();
    assert_eq!(sources, [&*other.reference, OPERATOR]);
    assert_eq!(snapshot.feeds, [fed(other, 2)]);
    // It is forgotten: the next one may have any sequence.
    store.put_feed(&feed(1), &[], None).await.unwrap();
}

async fn blobs_of_versions_are_kept(open: impl AsyncFn() -> Store) {
    let store = open().await;
    let mut expected = Expected::Absent;
    for bytes in 0..8_u8 {
        let epoch = load(&store, "tool", &[bytes], expected).await.unwrap();
        expected = Expected::Epoch(epoch);
    }
    let collected = |blobs| Collected {
        blobs,
        temporary: 0,
        bytes: blobs,
    };
    assert_eq!(store.collect().await.unwrap(), collected(2));
    for version in store.versions(&id("tool")).await.unwrap() {
        store.blob(&version.digest).await.unwrap();
    }
    store.remove(&id("tool"), 8).await.unwrap();
    assert_eq!(store.collect().await.unwrap(), collected(6));
}

async fn a_check_counts_everything(open: impl AsyncFn() -> Store) {
    let store = open().await;
    load(&store, "tool", b"one", Expected::Absent).await.unwrap();
    load(&store, "tool", b"three", Expected::Epoch(1)).await.unwrap();
    load(&store, "other", b"one", Expected::Absent).await.unwrap();
    store.put(&artifact(b"garbage")).await.unwrap();
    store.revoke(&[revocation("x"), revocation("y")]).await.unwrap();
    store.put_feed(&feed(1), &[revocation("x")], None).await.unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let report = store
        .check(move |done, all| sender.send((done, all)).unwrap())
        .await
        .unwrap();
    let expected = CheckReport {
        records: 2,
        versions: 1,
        revocations: 3,
        feeds: 1,
        blobs: 2,
        bytes: 8,
        ..CheckReport::default()
    };
    assert_eq!(report, expected);
    assert!(report.is_whole());
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [(1, 2), (2, 2)]);
}
