//! What models asked for.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{Database, count};
use crate::request::{DENIED_MAX, REQUESTS_ALL_MAX, REQUESTS_MAX, REQUESTS_OF_ONE_MAX};
use crate::{
    Approval, ComponentId, Expected, NewPermissionRequest, PermissionRequest, StoreError, failpoint,
};

impl Database {
    pub(crate) async fn permission_requests(&self) -> Result<Vec<PermissionRequest>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, id, digest, policy, reason, asked_by, asked_ms, denied_ms \
             FROM permission_request ORDER BY number",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        self.each(&rows, Self::permission_request)
    }

    fn permission_request(&self, row: &SqliteRow) -> Result<PermissionRequest, StoreError> {
        let id = self.text(row, "id")?;
        let damaged = |reason| StoreError::Record {
            id: id.clone(),
            reason,
        };
        Ok(PermissionRequest {
            number: self.number(row, "number")?,
            id: id
                .parse()
                .map_err(|_| damaged("the id of a request is not a legal one"))?,
            digest: self
                .text(row, "digest")?
                .parse()
                .map_err(|_| damaged("the digest of a request is not a legal one"))?,
            policy: self.text(row, "policy")?,
            reason: self.text(row, "reason")?,
            asked_by: self.text(row, "asked_by")?,
            asked_ms: self.number(row, "asked_ms")?,
            denied_ms: self.number_or_none(row, "denied_ms")?,
        })
    }

    /// Writes a request, or gives the one that asks for the same.
    pub(crate) async fn ask(
        &self,
        request: &NewPermissionRequest,
        expected: Expected,
    ) -> Result<PermissionRequest, StoreError> {
        let (mut transaction, epoch) = self.change(&request.id, expected).await?;
        let same = sqlx::query(
            "SELECT number, id, digest, policy, reason, asked_by, asked_ms, denied_ms \
             FROM permission_request WHERE id = $1 AND digest = $2 AND policy = $3",
        )
        .bind(request.id.as_str())
        .bind(request.digest.to_string())
        .bind(&request.policy)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(|error| self.error(error))?;
        if let Some(same) = same {
            return self.permission_request(&same);
        }
        self.require_place(&mut transaction, request).await?;
        sqlx::query(
            "INSERT INTO permission_request (number, id, digest, policy, reason, asked_by, asked_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(epoch)
        .bind(request.id.as_str())
        .bind(request.digest.to_string())
        .bind(&request.policy)
        .bind(&request.reason)
        .bind(&request.asked_by)
        .bind(i64::try_from(request.asked_ms).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.error(error))?;
        failpoint::reached("ask: written");
        self.end_change(&mut transaction).await?;
        let NewPermissionRequest {
            id,
            digest,
            policy,
            reason,
            asked_by,
            asked_ms,
        } = request.clone();
        Ok(PermissionRequest {
            number: count(epoch),
            id,
            digest,
            policy,
            reason,
            asked_by,
            asked_ms,
            denied_ms: None,
        })
    }

    async fn require_place(
        &self,
        transaction: &mut SqliteConnection,
        request: &NewPermissionRequest,
    ) -> Result<(), StoreError> {
        let (of_one, own, all): (i64, i64, i64) = sqlx::query_as(
            "SELECT count(CASE WHEN id = $1 AND asked_by = $2 THEN 1 END), count(CASE WHEN id = $1 THEN 1 END), \
             count(*) FROM permission_request WHERE denied_ms IS NULL",
        )
        .bind(request.id.as_str())
        .bind(&request.asked_by)
        .fetch_one(transaction)
        .await
        .map_err(|error| self.error(error))?;
        let places = [
            (of_one, "requests of one who asks", REQUESTS_OF_ONE_MAX),
            (own, "requests of one component that wait", REQUESTS_MAX),
            (all, "requests that wait", REQUESTS_ALL_MAX),
        ];
        let full = places
            .into_iter()
            .find(|(found, _, count_max)| usize::try_from(*found).unwrap_or(usize::MAX) >= *count_max);
        match full {
            Some((_, what, count_max)) => Err(StoreError::TooMany { what, count_max }),
            None => Ok(()),
        }
    }

    /// Notes that a person denied a request, and forgets the oldest denials of its component.
    pub(crate) async fn deny_request(&self, number: u64, denied_ms: u64) -> Result<bool, StoreError> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let (mut transaction, _epoch) = self.begin_change().await?;
        let deny = async {
            let denied = sqlx::query("UPDATE permission_request SET denied_ms = $1 WHERE number = $2")
                .bind(i64::try_from(denied_ms).unwrap_or(i64::MAX))
                .bind(number)
                .execute(&mut *transaction)
                .await?;
            failpoint::reached("deny: written");
            sqlx::query(
                "DELETE FROM permission_request WHERE denied_ms IS NOT NULL \
                 AND id = (SELECT id FROM permission_request WHERE number = $1) AND number NOT IN \
                 (SELECT number FROM permission_request WHERE denied_ms IS NOT NULL \
                  AND id = (SELECT id FROM permission_request WHERE number = $1) \
                  ORDER BY denied_ms DESC, number DESC LIMIT $2)",
            )
            .bind(number)
            .bind(i64::try_from(DENIED_MAX).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
            Ok(denied.rows_affected() > 0)
        };
        let is_there = deny.await.map_err(|error| self.error(error))?;
        if is_there {
            self.end_change(&mut transaction).await?;
        }
        Ok(is_there)
    }

    pub(crate) async fn take_request(&self, approval: Approval) -> Result<(), StoreError> {
        let (mut transaction, _epoch) = self.begin_change().await?;
        self.take(&mut transaction, approval).await?;
        self.end_change(&mut transaction).await
    }

    /// Removes a request that is approved, if it can be.
    pub(super) async fn take(
        &self,
        transaction: &mut SqliteConnection,
        Approval { number, even_denied }: Approval,
    ) -> Result<(), StoreError> {
        let taken =
            sqlx::query("DELETE FROM permission_request WHERE number = $1 AND (denied_ms IS NULL OR $2)")
                .bind(i64::try_from(number).unwrap_or(i64::MAX))
                .bind(even_denied)
                .execute(transaction)
                .await
                .map_err(|error| self.error(error))?;
        if taken.rows_affected() == 0 {
            return Err(StoreError::NoRequest(number));
        }
        Ok(())
    }
}

/// Removes what was asked for a component; all of it, or but for what is of these bytes.
pub(super) async fn forget_requests(
    transaction: &mut SqliteConnection,
    id: &ComponentId,
    but_for: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM permission_request WHERE id = $1 AND ($2 IS NULL OR digest <> $2)")
        .bind(id.as_str())
        .bind(but_for)
        .execute(transaction)
        .await?;
    Ok(())
}
