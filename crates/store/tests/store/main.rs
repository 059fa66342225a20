//! The store from outside: one binary, so that the database is linked once.
//!
//! Some tests need a second process, to kill it or because locks belong to processes. It is this very
//! binary: `child::run` does nothing unless the environment tells it what to do.

#![cfg(test)]

mod backup;
mod child;
mod conformance;
mod crash;
mod damage;
mod folder;
mod garbage;
mod migration;
// Elsewhere every look differs; see `look.rs`.
#[cfg(unix)]
mod noticing;
mod records;
mod requests;
mod soak;

use std::path::{Path, PathBuf};

use wassette_store::{Artifact, ComponentId, Expected, NewRecord, Reference, Store, StoreError};

/// A folder for one test, and a store's path in it.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn path(&self, below: &str) -> PathBuf {
        self.store().join(below)
    }

    async fn open(&self) -> Store {
        Store::open(&self.store()).await.unwrap()
    }
}

fn id(text: &str) -> ComponentId {
    text.parse().unwrap()
}

fn artifact(bytes: &[u8]) -> Artifact {
    Artifact::new(bytes.into(), Reference::File("/x/tool.wasm".into()))
}

fn record(name: &str, artifact: &Artifact) -> NewRecord {
    NewRecord {
        id: id(name),
        digest: artifact.digest,
        origin: artifact.origin.to_string(),
        policy: String::new(),
        contract: "[]".to_owned(),
        provenance: "{}".to_owned(),
        presentation: "{}".to_owned(),
        installed_ms: 7,
    }
}

/// Puts and commits as the host does.
async fn load(store: &Store, name: &str, bytes: &[u8], expected: Expected) -> Result<u64, StoreError> {
    let artifact = artifact(bytes);
    let hold = store.begin().await?;
    store.put(&artifact).await?;
    let epoch = store.commit(&record(name, &artifact), expected).await;
    drop(hold);
    epoch
}

/// The names in a folder, sorted.
#[track_caller]
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
