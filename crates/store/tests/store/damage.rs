//! A database that cannot be used is named, explained and left as it is.

use crate::{Home, load};
use sqlx::{Connection as _, SqliteConnection};
use wassette_store::{Expected, OpenStoreError, Store, StoreError};

async fn sql(home: &Home, statement: &'static str) {
    let path = home.path("state.db");
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A store with one component, closed.
async fn filled() -> Home {
    let home = Home::new();
    let store = home.open().await;
    load(&store, "a", b"a", Expected::Absent).await.unwrap();
    store.close().await;
    home
}

#[tokio::test]
async fn newer_schema_is_named_and_left_alone() {
    let home = filled().await;
    sql(
        &home,
        "INSERT INTO _sqlx_migrations VALUES (9, 'later', CURRENT_TIMESTAMP, true, x'00', 0)",
    )
    .await;
    let before = std::fs::read(home.path("state.db")).unwrap();
    let error = Store::open(&home.store()).await.unwrap_err();
    assert!(
        matches!(&error, OpenStoreError::Newer { path, version: 9 } if *path == home.path("state.db")),
        "{error:?}"
    );
    assert!(error.hint().contains("newer version"));
    assert!(std::fs::read(home.path("state.db")).unwrap() == before);
}

#[tokio::test]
async fn changed_schema_is_damage() {
    let home = filled().await;
    sql(&home, "UPDATE _sqlx_migrations SET checksum = x'00'").await;
    let error = Store::open(&home.store()).await.unwrap_err();
    assert!(matches!(error, OpenStoreError::Damaged { .. }), "{error:?}");
}

#[track_caller]
fn overwrite(home: &Home, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let path = home.path("state.db");
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, &bytes).unwrap();
    bytes
}

#[tokio::test]
async fn damaged_database_is_named_and_left_alone() {
    let changes: [fn(&mut Vec<u8>); 4] = [
        |bytes| *bytes = b"this is a text, and long enough to be no header of a database".repeat(100),
        |bytes| bytes[..16].fill(0),
        |bytes| bytes[100..4096].fill(0xff),
        |bytes| bytes.truncate(5000),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let home = filled().await;
        let written = overwrite(&home, change);
        let error = match Store::open(&home.store()).await {
            Err(OpenStoreError::Damaged { path, .. }) => path,
            other => panic!("{number}: {other:?}"),
        };
        assert_eq!(error, home.path("state.db"), "{number}");
        assert!(
            std::fs::read(home.path("state.db")).unwrap() == written,
            "{number}: it was changed"
        );
    }
}

#[tokio::test]
async fn damaged_record_is_named_and_nothing_is_collected() {
    let home = filled().await;
    sql(&home, "UPDATE component SET digest = 'sha256:00'").await;
    let store = home.open().await;
    let error = store.snapshot().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the record of `a` is damaged: its digest is not a legal one"
    );
    assert!(matches!(store.collect().await, Err(StoreError::Record { .. })));
    store.blob(&wassette_store::Digest::of(b"a")).await.unwrap();
}

#[tokio::test]
async fn damage_below_the_schema_is_an_error_when_it_is_read() {
    let home = filled().await;
    // The pages behind the schema's first.
    overwrite(&home, |bytes| bytes[8192..].fill(0xee));
    let error = match Store::open(&home.store()).await {
        Ok(store) => store.snapshot().await.unwrap_err(),
        Err(OpenStoreError::Damaged { .. }) => return,
        Err(other) => panic!("{other:?}"),
    };
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}
