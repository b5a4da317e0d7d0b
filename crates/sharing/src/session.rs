//! Sessions of browsers: 256 random bits in a cookie, a keyed hash of them in the database.

use std::net::IpAddr;
use std::time::Duration;

use protocol::{AccountId, Timestamp};

use crate::account::Account;
use crate::actor::{Via, Who};
use crate::{Sharing, SharingError};

/// A session unused for this long is over.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// A session older than this is over.
pub const SESSION_AGE_MAX: Duration = Duration::from_secs(180 * 24 * 3600);
/// Most sessions of one account; the one unused for the longest time ends first.
pub const SESSIONS_MAX: usize = 100;

/// A session that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub account: Account,
}

impl Session {
    /// The asker it stands for.
    #[must_use]
    pub fn who(&self) -> Who {
        Who::Account {
            id: self.account.id,
            name: self.account.name.clone(),
            owner: self.account.owner,
            via: Via::Session { id: self.id },
        }
    }
}

/// A session as its owner sees it in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used; at most a minute behind.
    pub last_seen: Timestamp,
    /// From where it was begun.
    pub address: Option<IpAddr>,
    /// By which browser.
    pub user_agent: String,
}

impl Sharing {
    /// The session of a cookie's value; `None` if unknown, over or revoked.
    pub fn session(&self, cookie: &str) -> Result<Option<Session>, SharingError> {
        todo!()
    }

    /// The sessions of an account, last used first.
    pub fn sessions(&self, account: AccountId) -> Result<Vec<SessionInfo>, SharingError> {
        todo!()
    }

    /// Ends one session of an account from its next request on; false if it is not there.
    pub fn revoke_session(&self, account: AccountId, id: i64) -> Result<bool, SharingError> {
        todo!()
    }

    /// Ends all sessions of an account but one; tells how many.
    pub fn revoke_other_sessions(
        &self,
        account: AccountId,
        keep: Option<i64>,
    ) -> Result<usize, SharingError> {
        todo!()
    }

    /// Ends the session of a cookie's value.
    pub fn logout(&self, cookie: &str) -> Result<(), SharingError> {
        todo!()
    }
}
