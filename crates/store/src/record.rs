//! What the store remembers about a component.

use std::fmt;

use crate::{ComponentId, Digest, Feed, Revocation};

/// Most versions of one component that are kept beside the present one; the oldest go.
pub const VERSIONS_MAX: usize = 5;

/// One component as it is stored. Digest and policy are one record, so that no crash can part them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The component's name.
    pub id: ComponentId,
    /// Which bytes it is.
    pub digest: Digest,
    /// Where it was loaded from: a [`Reference`](crate::Reference) in its canonical form.
    pub origin: String,
    /// Its policy; a document that the store does not read.
    pub policy: String,
    /// Its tools; JSON that the store does not read.
    pub contract: String,
    /// Where its bytes came from, who signed them, what is withheld; JSON that the store does not read. `{}`
    /// for what an earlier version of the program has written.
    pub provenance: String,
    /// How its tools are named and described; JSON that the store does not read. `{}`: as it says itself.
    pub presentation: String,
    /// The store's epoch as of the change that wrote this record.
    pub epoch: u64,
    /// When it was written, in milliseconds since 1970, by the writer's clock. For people; never for order.
    pub installed_ms: u64,
}

/// A record to be written; the store adds the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// As in [`Record`].
    pub id: ComponentId,
    /// As in [`Record`]; the blob must have been put.
    pub digest: Digest,
    /// As in [`Record`].
    pub origin: String,
    /// As in [`Record`].
    pub policy: String,
    /// As in [`Record`].
    pub contract: String,
    /// As in [`Record`].
    pub provenance: String,
    /// As in [`Record`].
    pub presentation: String,
    /// As in [`Record`].
    pub installed_ms: u64,
}

/// Records, revocations and feeds as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// How many changes the store has seen.
    pub epoch: u64,
    /// The records, ordered by id.
    pub records: Vec<Record>,
    /// What must not run, ordered by subject and source.
    pub revocations: Vec<Revocation>,
    /// The feeds, ordered by reference.
    pub feeds: Vec<Feed>,
}

/// What a writer believes about the record it changes; when it is wrong, nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// There is no record with this id.
    Absent,
    /// The record was written by this change.
    Epoch(u64),
}

impl Expected {
    pub(crate) fn holds(self, found: Option<u64>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::Epoch(epoch) => found == Some(epoch),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Epoch(epoch) => write!(f, "epoch {epoch}"),
        }
    }
}
