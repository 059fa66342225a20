//! What models asked people to allow, until it is decided; and what was denied, so that it is not asked again.

use crate::{ComponentId, Digest, Expected, NewRecord, Store, StoreError};

/// Most requests of one component that wait for a person. Nobody reads more.
pub const REQUESTS_MAX: usize = 16;

/// Most of them that are of one who asks.
pub const REQUESTS_OF_ONE_MAX: usize = 8;

/// Most requests of all components that wait.
pub const REQUESTS_ALL_MAX: usize = 256;

/// Most denied requests of one component that are remembered; the oldest go.
pub const DENIED_MAX: usize = 64;

/// Longest policy of a request in bytes.
pub const REQUEST_POLICY_BYTES_MAX: usize = 64 << 10;

/// Something that a model asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionRequest {
    /// By what a person names it. Never used twice in one store.
    pub number: u64,
    /// For which component.
    pub id: ComponentId,
    /// Which bytes that was. A request for one version is not approved for another.
    pub digest: Digest,
    /// What is asked for, as a policy that the store does not read.
    pub policy: String,
    /// What the model says it is for; empty when it says nothing. Not to be believed.
    pub reason: String,
    /// Who asked.
    pub asked_by: String,
    /// When, in milliseconds since 1970. For people; never for order.
    pub asked_ms: u64,
    /// When a person denied it; `None` as long as it waits.
    pub denied_ms: Option<u64>,
}

/// A request to be written; the store adds the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPermissionRequest {
    /// As in [`PermissionRequest`].
    pub id: ComponentId,
    /// As in [`PermissionRequest`].
    pub digest: Digest,
    /// As in [`PermissionRequest`]; at most [`REQUEST_POLICY_BYTES_MAX`]. The same text is the same request.
    pub policy: String,
    /// As in [`PermissionRequest`]; at most 1,000 bytes.
    pub reason: String,
    /// As in [`PermissionRequest`]; at most 1,000 bytes.
    pub asked_by: String,
    /// As in [`PermissionRequest`].
    pub asked_ms: u64,
}

/// The request that a change decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Its number.
    pub number: u64,
    /// Whether one that was denied can be approved all the same.
    pub even_denied: bool,
}

impl Store {
    /// [`Store::commit`] of what a request asked for. The request goes in the same change, so that it cannot be denied
    /// as well.
    ///
    /// # Errors
    ///
    /// As [`Store::commit`], and [`StoreError::NoRequest`] when there is none that can be approved.
    pub async fn commit_approved(
        &self,
        record: &NewRecord,
        expected: Expected,
        approval: Approval,
    ) -> Result<u64, StoreError> {
        self.commit_with(record, expected, Some(approval)).await
    }

    /// Removes a request that is granted already.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoRequest`], and what the database says.
    pub async fn take_request(&self, approval: Approval) -> Result<(), StoreError> {
        self.0.database.take_request(approval).await
    }

    /// Writes a request, if the component's record was written by the change `expected_epoch`. Gives the one that is
    /// there already when the same was asked for before, denied or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`], [`StoreError::TooMany`] while too many wait, [`StoreError::TooLarge`] and
    /// [`StoreError::Invalid`] for what cannot be kept, and what the database says.
    pub async fn ask(
        &self,
        request: &NewPermissionRequest,
        expected_epoch: u64,
    ) -> Result<PermissionRequest, StoreError> {
        check(request)?;
        let expected = Expected::Epoch(expected_epoch);
        self.0.database.ask(request, expected).await
    }

    /// Reads all requests, by number: those that wait, and the denied ones.
    ///
    /// # Errors
    ///
    /// As [`Store::snapshot`].
    pub async fn permission_requests(&self) -> Result<Vec<PermissionRequest>, StoreError> {
        self.0.database.permission_requests().await
    }

    /// Notes that a person denied a request. Gives whether there is one of this number.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub async fn deny_request(&self, number: u64, denied_ms: u64) -> Result<bool, StoreError> {
        self.0.database.deny_request(number, denied_ms).await
    }
}

/// Refuses what the store cannot keep.
fn check(request: &NewPermissionRequest) -> Result<(), StoreError> {
    if request.policy.len() > REQUEST_POLICY_BYTES_MAX {
        return Err(StoreError::TooLarge {
            what: "what is asked for",
            bytes: u64::try_from(request.policy.len()).unwrap_or(u64::MAX),
            bytes_max: u64::try_from(REQUEST_POLICY_BYTES_MAX).unwrap_or(u64::MAX),
        });
    }
    let texts = [("its reason", &request.reason), ("who asks", &request.asked_by)];
    for (what, text) in texts {
        if text.len() > 1_000 || text.contains('\0') {
            return Err(StoreError::Invalid {
                what,
                reason: "is longer than 1000 bytes or has a zero byte",
            });
        }
    }
    Ok(())
}
