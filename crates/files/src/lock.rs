//! Locks of class 2 (RFC 4918 sections 6, 7, 9.10): shared and exclusive, on one entry or with all
//! below, kept in the catalog, so they outlive a restart.

use std::time::Duration;

use protocol::{AccountId, Fid, Timestamp};

use crate::{At, Author, Conditions, Files, FilesError, Refusal};

/// Life of a lock whose client asks for none.
pub const LOCK_DEFAULT: Duration = Duration::from_secs(600);

/// Longest life of a lock; `Infinite` is clipped to it.
pub const LOCK_MAX: Duration = Duration::from_secs(3600);

/// Shortest life of a lock.
pub const LOCK_MIN: Duration = Duration::from_secs(1);

/// Longest `owner` element in bytes.
pub const LOCK_OWNER_BYTES_MAX: usize = 8192;

/// A request for a new lock.
#[derive(Debug, Clone)]
pub struct LockRequest {
    /// What to lock; a free name becomes a placeholder.
    pub at: At,
    /// Exclusive, else shared.
    pub exclusive: bool,
    /// With all below (`Depth: infinity`).
    pub deep: bool,
    /// The `owner` element as sent; at most [`LOCK_OWNER_BYTES_MAX`].
    pub owner_xml: String,
    /// Clipped to [`LOCK_MIN`]`..=`[`LOCK_MAX`].
    pub timeout: Duration,
    /// Whose it shall be.
    pub account: AccountId,
    /// What must hold.
    pub conditions: Conditions,
}

/// A lock that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockInfo {
    /// `urn:uuid:…`.
    pub token: String,
    /// Its root.
    pub root: At,
    /// The entry at its root.
    pub fid: Fid,
    /// Exclusive, else shared.
    pub exclusive: bool,
    /// With all below.
    pub deep: bool,
    /// The `owner` element as sent.
    pub owner_xml: String,
    /// Whose it is.
    pub account: AccountId,
    /// When it ends.
    pub expires: Timestamp,
}

impl Files {
    /// Locks an entry, or a free name; the second value tells that a placeholder was made (201).
    pub fn lock(&self, author: &Author, request: LockRequest) -> Result<(LockInfo, bool), Refusal> {
        let _ = (author, request);
        todo!()
    }

    /// Starts the life of the lock `token` on `at` (its root or below) again.
    pub fn refresh_lock(
        &self,
        token: &str,
        at: &At,
        account: AccountId,
        timeout: Duration,
        conditions: &Conditions,
    ) -> Result<LockInfo, Refusal> {
        let _ = (token, at, account, timeout, conditions);
        todo!()
    }

    /// Ends a lock of the author's own account. [`Refusal::ConditionFailed`] if `at` is not in the
    /// scope of `token` (409 with `lock-token-matches-request-uri`), [`Refusal::Locked`] if it is
    /// someone else's.
    pub fn unlock(&self, author: &Author, at: &At, token: &str) -> Result<(), Refusal> {
        let _ = (author, at, token);
        todo!()
    }

    /// Ends anyone's lock; the rim lets only the owner of the space do it.
    pub fn break_lock(&self, author: &Author, token: &str) -> Result<(), Refusal> {
        let _ = (author, token);
        todo!()
    }

    /// The locks on an entry, its own and those of folders above that reach down to it.
    pub fn locks_on(&self, fid: Fid) -> Result<Vec<LockInfo>, FilesError> {
        let _ = fid;
        todo!()
    }

    /// Removes expired locks and placeholders that are still empty; gives the number of locks.
    pub fn expire_locks(&self) -> Result<usize, FilesError> {
        todo!()
    }
}
