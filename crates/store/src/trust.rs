//! The store's methods about revocations and feeds; what they are: `revocation.rs`.

use crate::{NewFeed, NewRevocation, Store, StoreError};

impl Store {
    /// Writes revocations of the operator's, durably and all or none. Gives the store's epoch.
    ///
    /// Idempotent: one that is there with the same reason stays as it is, and when all are, nothing is written
    /// and the epoch is the present one. Another reason replaces the earlier one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Invalid`], [`StoreError::TooLarge`], [`StoreError::TooMany`], and what the database says.
    pub async fn revoke(&self, revocations: &[NewRevocation]) -> Result<u64, StoreError> {
        self.0.database.revoke(revocations).await
    }

    /// Removes one source's revocation of a subject, durably; the same subject's by another source stays. Gives
    /// the store's epoch, which is the present one when there was nothing to remove.
    ///
    /// A feed's revocation comes back with the feed's next state.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub async fn unrevoke(&self, subject: &str, source: &str) -> Result<u64, StoreError> {
        self.0.database.unrevoke(subject, source).await
    }

    /// Writes a feed's state and replaces all revocations whose source it is, durably and in one change, if the
    /// state it replaces has the sequence `expected` (`None`: there is no such feed). Gives the new epoch.
    ///
    /// # Errors
    ///
    /// [`StoreError::FeedConflict`] when it is not as expected; [`StoreError::FeedSequence`] for a lower sequence
    /// than the one there, or the same with another digest; [`StoreError::Invalid`], [`StoreError::TooLarge`],
    /// [`StoreError::TooMany`], and what the database says. After an error nothing is changed.
    pub async fn put_feed(
        &self,
        feed: &NewFeed,
        revocations: &[NewRevocation],
        expected: Option<u64>,
    ) -> Result<u64, StoreError> {
        self.0.database.put_feed(feed, revocations, expected).await
    }

    /// Notes when a feed was reached whose state is still the one with this sequence. Gives the store's epoch.
    ///
    /// A time less than [`CHECKED_INTERVAL_MS`](crate::CHECKED_INTERVAL_MS) from the one there is not written, so
    /// that servers which poll one feed wake each other at most once in that time.
    ///
    /// # Errors
    ///
    /// [`StoreError::FeedConflict`] when there is no such feed or it is at another sequence, and what the database
    /// says.
    pub async fn feed_checked(
        &self,
        reference: &str,
        expected_sequence: u64,
        checked_ms: u64,
    ) -> Result<u64, StoreError> {
        let database = &self.0.database;
        database
            .feed_checked(reference, expected_sequence, checked_ms)
            .await
    }

    /// Removes a feed and all revocations whose source it is, durably and in one change, if it is at this
    /// sequence. Gives the new epoch.
    ///
    /// # Errors
    ///
    /// [`StoreError::FeedConflict`] when there is no such feed or it is at another sequence, and what the database
    /// says.
    pub async fn remove_feed(&self, reference: &str, expected_sequence: u64) -> Result<u64, StoreError> {
        self.0.database.remove_feed(reference, expected_sequence).await
    }
}
