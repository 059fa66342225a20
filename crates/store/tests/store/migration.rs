//! Databases that earlier versions of the program have written. Killed migrations: the crate's failpoint tests.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection as _, SqlSafeStr as _, SqliteConnection};

use crate::{Home, artifact, id, load};
use wassette_store::{Digest, Expected, Record, Snapshot, Store};

/// A store whose database has the first schema and two records.
async fn first_schema() -> (Home, Snapshot) {
    let home = Home::new();
    // The folders, with the blobs.
    let store = home.open().await;
    for bytes in [b"one", b"two"] {
        store.put(&artifact(bytes)).await.unwrap();
    }
    store.close().await;
    drop(store);
    let path = home.path("state.db");
    std::fs::write(&path, b"").unwrap();
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let sql = include_str!("../../migrations/0001_records.sql").into_sql_str();
    let first = Migration::new(1, "records".into(), MigrationType::Simple, sql, false);
    Migrator::with_migrations(vec![first])
        .run(&mut connection)
        .await
        .unwrap();
    let record = |name: &str, bytes: &[u8], epoch| Record {
        id: id(name),
        digest: Digest::of(bytes),
        origin: format!("file:///x/{name}.wasm"),
        policy: "version: \"1.0\"\n".to_owned(),
        contract: "[]".to_owned(),
        provenance: "{}".to_owned(),
        presentation: "{}".to_owned(),
        epoch,
        installed_ms: 1_700_000_000_000 - epoch,
    };
    let records = vec![record("one", b"one", 4), record("two", b"two", 3)];
    for record in &records {
        sqlx::query(
            "INSERT INTO component (id, digest, origin, policy, contract, epoch, installed_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
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
    }
    sqlx::query("UPDATE store_epoch SET epoch = 4")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let snapshot = Snapshot {
        epoch: 4,
        records,
        ..Snapshot::default()
    };
    (home, snapshot)
}

#[tokio::test]
async fn a_store_of_the_first_schema_keeps_its_records() {
    let (home, expected) = first_schema().await;
    for _ in 0..2 {
        let store = home.open().await;
        assert_eq!(store.snapshot().await.unwrap(), expected);
        assert!(store.check(|_, _| ()).await.unwrap().is_whole());
        assert_eq!(store.collect().await.unwrap().blobs, 0);
        store.close().await;
    }
    let store = home.open().await;
    let epoch = load(&store, "two", b"three", Expected::Epoch(3)).await.unwrap();
    assert_eq!(epoch, 5);
    assert_eq!(store.versions(&id("two")).await.unwrap(), expected.records[1..]);
}

#[tokio::test]
async fn several_processes_may_migrate_at_once() {
    let (home, expected) = first_schema().await;
    let children: Vec<_> = (0..4)
        .map(|_| crate::child::start("read", &home.store()))
        .collect();
    for running in children {
        running.ended_well();
    }
    assert_eq!(home.open().await.snapshot().await.unwrap(), expected);
}

#[tokio::test]
async fn a_backup_of_the_first_schema_is_migrated_when_it_is_restored() {
    let (home, expected) = first_schema().await;
    for name in ["state.db-wal", "state.db-shm"] {
        drop(std::fs::remove_file(home.path(name)));
    }
    let restored = home.folder.path().join("restored");
    Store::restore(&home.store(), &restored).await.unwrap();
    let store = Store::open(&restored).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap(), expected);
    assert!(store.check(|_, _| ()).await.unwrap().is_whole());
}
