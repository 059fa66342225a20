//! What models asked for: found again, bounded, and gone with what it was for.

use crate::{Home, artifact, id, load, record};
use wassette_store::{
    Approval, DENIED_MAX, Expected, NewPermissionRequest, PermissionRequest, REQUEST_POLICY_BYTES_MAX,
    REQUESTS_ALL_MAX, REQUESTS_MAX, Store, StoreError,
};

fn request(name: &str, bytes: &[u8], policy: &str) -> NewPermissionRequest {
    NewPermissionRequest {
        id: id(name),
        digest: artifact(bytes).digest,
        policy: policy.to_owned(),
        reason: "why".to_owned(),
        asked_by: "agent:test".to_owned(),
        asked_ms: 5,
    }
}

async fn numbers(store: &Store) -> Vec<u64> {
    let requests = store.permission_requests().await.unwrap();
    requests.iter().map(|request| request.number).collect()
}

#[tokio::test]
async fn a_request_is_kept_with_a_number_of_its_own() {
    let home = Home::new();
    let store = home.open().await;
    let epoch = load(&store, "a", b"one", Expected::Absent).await.unwrap();
    let first = store.ask(&request("a", b"one", "p"), epoch).await.unwrap();
    let expected = PermissionRequest {
        number: 2,
        id: id("a"),
        digest: artifact(b"one").digest,
        policy: "p".to_owned(),
        reason: "why".to_owned(),
        asked_by: "agent:test".to_owned(),
        asked_ms: 5,
        denied_ms: None,
    };
    assert_eq!(first, expected);
    let again = store.ask(&request("a", b"one", "p"), epoch).await.unwrap();
    assert_eq!(again, expected, "the same is asked once");
    let approval = Approval {
        number: 2,
        even_denied: false,
    };
    store.take_request(approval).await.unwrap();
    let taken = store.take_request(approval).await;
    assert!(matches!(taken, Err(StoreError::NoRequest(2))), "{taken:?}");
    let next = store.ask(&request("a", b"one", "p"), epoch).await.unwrap();
    assert_eq!(next.number, 4, "no number is used twice");
    store.close().await;
    let store = home.open().await;
    assert_eq!(store.permission_requests().await.unwrap(), [next]);
}

#[tokio::test]
async fn a_denial_is_remembered() {
    let home = Home::new();
    let store = home.open().await;
    let epoch = load(&store, "a", b"one", Expected::Absent).await.unwrap();
    let other = load(&store, "b", b"one", Expected::Absent).await.unwrap();
    let of_other = store.ask(&request("b", b"one", "p"), other).await.unwrap();
    assert!(store.deny_request(of_other.number, 1).await.unwrap());
    let mut denied = Vec::new();
    for number in 0..=DENIED_MAX {
        let asked = store
            .ask(&request("a", b"one", &number.to_string()), epoch)
            .await
            .unwrap();
        assert!(store.deny_request(asked.number, 9).await.unwrap());
        denied.push(asked.number);
    }
    let again = store.ask(&request("a", b"one", "3"), epoch).await.unwrap();
    assert_eq!((again.number, again.denied_ms), (denied[3], Some(9)));
    // The oldest of this component is forgotten, and nothing of others.
    let expected: Vec<_> = std::iter::once(of_other.number)
        .chain(denied.into_iter().skip(1))
        .collect();
    assert_eq!(numbers(&store).await, expected);
    assert!(!store.deny_request(7_000, 1).await.unwrap());
}

/// A grant and the end of its request are one change: whoever denies it before or after learns of it.
#[tokio::test]
async fn what_is_approved_cannot_be_denied_as_well() {
    let home = Home::new();
    let store = home.open().await;
    let mut epoch = load(&store, "a", b"one", Expected::Absent).await.unwrap();
    let mut approved = record("a", &artifact(b"one"));
    for (is_denied, even_denied) in [(false, false), (true, false), (true, true)] {
        approved.policy.push('p');
        let asked = store
            .ask(&request("a", b"one", &approved.policy), epoch)
            .await
            .unwrap();
        let approval = Approval {
            number: asked.number,
            even_denied,
        };
        if is_denied {
            store.deny_request(asked.number, 1).await.unwrap();
        }
        let committed = store
            .commit_approved(&approved, Expected::Epoch(epoch), approval)
            .await;
        if is_denied && !even_denied {
            assert!(
                matches!(committed, Err(StoreError::NoRequest(_))),
                "{committed:?}"
            );
            let snapshot = store.snapshot().await.unwrap();
            assert_eq!(snapshot.records[0].epoch, epoch, "nothing is granted");
            assert_eq!(numbers(&store).await, [asked.number]);
            store
                .take_request(Approval {
                    even_denied: true,
                    ..approval
                })
                .await
                .unwrap();
        } else {
            epoch = committed.unwrap();
            assert!(!store.deny_request(asked.number, 1).await.unwrap());
            assert_eq!(numbers(&store).await, [0; 0]);
        }
    }
}

#[tokio::test]
async fn requests_go_with_the_bytes_they_were_for() {
    let home = Home::new();
    let store = home.open().await;
    let a = load(&store, "a", b"one", Expected::Absent).await.unwrap();
    let b = load(&store, "b", b"one", Expected::Absent).await.unwrap();
    store.ask(&request("a", b"one", "p"), a).await.unwrap();
    let of_b = store.ask(&request("b", b"one", "p"), b).await.unwrap();
    // The same bytes with another policy.
    let a = load(&store, "a", b"one", Expected::Epoch(a)).await.unwrap();
    assert_eq!(numbers(&store).await.len(), 2);
    let a = load(&store, "a", b"two", Expected::Epoch(a)).await.unwrap();
    assert_eq!(numbers(&store).await, [of_b.number]);
    store.ask(&request("a", b"two", "p"), a).await.unwrap();
    store.remove(&id("a"), a).await.unwrap();
    assert_eq!(numbers(&store).await, [of_b.number]);
}

#[tokio::test]
async fn only_so_many_wait_and_only_for_what_is_there() {
    let home = Home::new();
    let store = home.open().await;
    let mut asked = 0;
    for component in 0..REQUESTS_ALL_MAX / REQUESTS_MAX {
        let name = format!("a{component}");
        let epoch = load(&store, &name, b"one", Expected::Absent).await.unwrap();
        for number in 0..REQUESTS_MAX {
            let mut request = request(&name, b"one", &number.to_string());
            request.asked_by = format!("agent:{}", number % 2);
            store.ask(&request, epoch).await.unwrap();
            asked += 1;
        }
        let full = store.ask(&request(&name, b"one", "more"), epoch).await;
        assert!(matches!(full, Err(StoreError::TooMany { .. })), "{full:?}");
    }
    assert_eq!(asked, REQUESTS_ALL_MAX);
    let epoch = load(&store, "b", b"one", Expected::Absent).await.unwrap();
    let full = store.ask(&request("b", b"one", "p"), epoch).await;
    assert!(
        matches!(
            full,
            Err(StoreError::TooMany {
                count_max: REQUESTS_ALL_MAX,
                ..
            })
        ),
        "{full:?}"
    );
    // One that is decided makes room.
    let first = numbers(&store).await[0];
    store.deny_request(first, 1).await.unwrap();
    store.ask(&request("b", b"one", "p"), epoch).await.unwrap();
    for (name, epoch) in [("b", epoch - 1), ("c", epoch)] {
        let conflict = store.ask(&request(name, b"one", "p"), epoch).await;
        assert!(
            matches!(conflict, Err(StoreError::Conflict { .. })),
            "{conflict:?}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let home = Home::new();
    let store = home.open().await;
    let epoch = load(&store, "a", b"one", Expected::Absent).await.unwrap();
    let large = "p".repeat(REQUEST_POLICY_BYTES_MAX + 1);
    let refused = store.ask(&request("a", b"one", &large), epoch).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    for text in ["r".repeat(1_001), "a\0b".to_owned()] {
        let mut asked = request("a", b"one", "p");
        asked.reason = text;
        let refused = store.ask(&asked, epoch).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    }
    store
        .ask(
            &request("a", b"one", &"p".repeat(REQUEST_POLICY_BYTES_MAX)),
            epoch,
        )
        .await
        .unwrap();
}
