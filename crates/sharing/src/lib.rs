//! People, friends, sessions, app passwords, sharing links, grants, LAN-only, the permission decision and
//! the audit log (R19, R94, R102, R103, R105).
//!
//! The rim asks [`Sharing::decide`] before everything it does, and hands on what happened to
//! [`Sharing::audit`]. This crate knows no service and no tree: an entry is a chain of file ids.
//!
//! Invariants: closed by default; LAN-only beats every right; no secret is stored in clear (only
//! hashes, and link tokens and second-factor secrets sealed under a key derived from the node's
//! secret), logged, or part of an audit row; all state but short caches survives a restart.
//!
//! Everything here blocks; an async caller wraps it in `spawn_blocking`.
#![forbid(unsafe_code)]

mod access;
mod account;
mod actor;
mod app_password;
pub mod audit;
mod basic;
mod card;
mod error;
mod friend;
mod grant;
mod keys;
mod ledger;
mod link;
mod login;
mod new_password;
mod password;
pub mod permission;
mod schema;
mod session;
mod setup;
#[cfg(test)]
mod tests;
mod throttle;
mod totp;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use database::Database;
use protocol::{Clock, NodeSecret, Timestamp};
use rusqlite::Connection;

use keys::Keys;
use password::Passwords;

pub use access::Visibility;
pub use account::{ACCOUNT_NAME_BYTES_MAX, ACCOUNTS_MAX, Account};
pub use actor::{Asker, Client, Place, Via, Who};
pub use app_password::{APP_PASSWORDS_MAX, AppPassword};
pub use audit::{Action, AuditFilter, AuditPage, AuditReport, AuditRow, Event, Outcome};
pub use card::{CARD_ADDRESSES_MAX, Card, Reach};
pub use error::{LoginError, SharingError};
pub use friend::{
    FRIENDS_MAX, Friend, FriendId, FriendState, INVITATION_AGE_MAX, INVITATIONS_MAX, Invitation,
    NewInvitation, RedeemError, Scope, Scopes, Side,
};
pub use grant::{GRANTS_MAX, Grant, Grantee, LanOnly};
pub use ledger::{DayEntry, LEDGER_DAYS_MAX, Tally};
pub use link::{LINKS_MAX, Link, LinkRight, LinkState, LinksOf, NewLink};
pub use login::Step;
pub use password::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};
pub use permission::{Access, Decision, Need, Object, Right, Service, Target};
pub use schema::SCHEMA;
pub use session::{SESSION_AGE_MAX, SESSION_IDLE_MAX, SESSIONS_MAX, Session, SessionInfo};
pub use totp::{Enrolment, RECOVERY_CODES};

/// Handle to all of it; clones share everything.
#[derive(Clone)]
pub struct Sharing(Arc<Inner>);

struct Inner {
    database: Database,
    clock: Clock,
    secret: NodeSecret,
    keys: Keys,
    passwords: Passwords,
    credentials: basic::Credentials,
    rights: access::Rights,
    log: audit::Log,
}

impl Sharing {
    /// Opens people, links and audit log in `database` (area `"sharing"`, [`SCHEMA`]).
    ///
    /// `state` is the folder for the audit log's head. Compares the log with its sealed head; if
    /// they do not fit, the log itself says so from then on.
    pub fn open(
        database: Database,
        clock: Clock,
        secret: &NodeSecret,
        state: &Path,
    ) -> Result<Self, SharingError> {
        let sharing = Self(Arc::new(Inner {
            database,
            clock,
            secret: secret.clone(),
            keys: Keys::new(secret),
            passwords: Passwords::default(),
            credentials: basic::Credentials::default(),
            rights: access::Rights::default(),
            log: audit::Log::new(state, secret.id()),
        }));
        sharing.examine_head()?;
        sharing.seal_head()?;
        Ok(sharing)
    }

    /// The present, by the clock this was opened with.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// Removes sessions and invitations that are over, delays that are forgotten and old rows of
    /// the ledger; for a worker, about hourly.
    /// Tells how many rows went.
    pub fn forget_expired(&self) -> Result<usize, SharingError> {
        let now = self.now();
        self.write(move |tx| {
            Ok(session::forget(tx, now)?
                + throttle::forget(tx, now)?
                + friend::forget_invitations(tx, now)?
                + ledger::forget(tx, now)?)
        })
    }

    fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, SharingError> + Send + 'static,
    ) -> Result<T, SharingError> {
        self.0.database.write(job)
    }

    fn read<T>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, SharingError>,
    ) -> Result<T, SharingError> {
        self.0.database.read(look)
    }
}

/// Cuts `text` to at most `bytes`, between characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}
