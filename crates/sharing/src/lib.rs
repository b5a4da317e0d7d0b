//! People, sessions, app passwords, sharing links, grants, LAN-only, the permission decision and
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
mod error;
mod grant;
mod link;
mod login;
pub mod permission;
mod schema;
mod session;
mod totp;

use std::path::Path;
use std::sync::Arc;

use database::Database;
use protocol::{Clock, NodeSecret};

pub use access::Visibility;
pub use account::{
    ACCOUNT_NAME_BYTES_MAX, ACCOUNTS_MAX, Account, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN,
};
pub use actor::{Asker, Client, Place, Via, Who};
pub use app_password::{APP_PASSWORDS_MAX, AppPassword};
pub use audit::{Action, AuditFilter, AuditPage, AuditReport, AuditRow, Event, Outcome};
pub use error::{LoginError, SharingError};
pub use grant::{Grant, Grantee, LanOnly};
pub use link::{Link, LinkRight, LinkState, LinksOf, NewLink};
pub use login::Step;
pub use permission::{Access, Decision, Need, Object, Right, Service, Target};
pub use schema::SCHEMA;
pub use session::{SESSION_AGE_MAX, SESSION_IDLE_MAX, Session, SessionInfo};
pub use totp::{Enrolment, RECOVERY_CODES};

/// Handle to all of it; clones share everything.
#[derive(Clone)]
pub struct Sharing(Arc<Inner>);

struct Inner {
    database: Database,
    clock: Clock,
}

impl Sharing {
    /// Opens people, links and audit log in `database` (area `"sharing"`, [`SCHEMA`]).
    ///
    /// `state` is the folder for the audit log's head.
    pub fn open(
        database: Database,
        clock: Clock,
        secret: &NodeSecret,
        state: &Path,
    ) -> Result<Self, SharingError> {
        todo!()
    }

    /// The present, by the clock this was opened with.
    #[must_use]
    pub fn now(&self) -> protocol::Timestamp {
        (self.0.clock)()
    }
}
