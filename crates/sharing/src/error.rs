//! What can go wrong with people, links, grants and the audit log.

use std::path::PathBuf;
use std::time::Duration;

use database::DatabaseError;
use protocol::AccountId;
use thiserror::Error;

use crate::account::ACCOUNT_NAME_BYTES_MAX;
use crate::password::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};

/// A refusal or failure of everything but a login.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SharingError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The operating system gave no random numbers or refused a thread.
    #[error("the operating system gives no random numbers")]
    Random,
    /// A file beside the database could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A stored row does not hold together.
    #[error("the stored {what} is damaged: {why}")]
    Damaged {
        /// Which kind of row.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Unfit name of an account.
    #[error("`{name}` cannot be the name of an account: {why}")]
    BadAccountName {
        /// As given, cut.
        name: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// Somebody has the name already (letter case does not count).
    #[error("there is an account `{0}` already")]
    NameTaken(String),
    /// No account of this number or name.
    #[error("there is no account `{0}`")]
    NoAccount(String),
    /// Unfit password.
    #[error(
        "a password has at least {PASSWORD_CHARS_MIN} characters and at most \
         {PASSWORD_BYTES_MAX} bytes, and is not the account's name"
    )]
    WeakPassword,
    /// The node would have no owner.
    #[error("this account is the only owner; make another account owner first")]
    LastOwner(AccountId),
    /// Wrong, old or used set-up link.
    #[error("this set-up link does not hold; the node prints a new one when it starts")]
    BadSetupToken,
    /// An unfit label, name or number.
    #[error("{what}: {why}")]
    BadInput {
        /// Which input.
        what: &'static str,
        /// What to do.
        why: String,
    },
    /// Something of that kind does not exist or is not the account's own.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// A bound was reached.
    #[error("there are {count} {what} already, which is the limit; remove one first")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        count: usize,
    },
    /// The code does not match the enrolment, or none was begun.
    #[error("the code is wrong or too old; check the clock of the phone and try the next code")]
    WrongCode,
    /// Too many passwords are being checked at once.
    #[error("too many passwords are being checked; try again in a moment")]
    Busy,
}

impl From<rusqlite::Error> for SharingError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<getrandom::Error> for SharingError {
    fn from(_: getrandom::Error) -> Self {
        Self::Random
    }
}

/// Why nobody is logged in. `Wrong` is the same, and takes the same time, whether the account
/// exists, the password or the code is wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoginError {
    /// Unknown name, wrong password, wrong code or a pending login that is over.
    #[error("name, password or code is wrong")]
    Wrong,
    /// Too many wrong tries for this account from this network.
    #[error("too many wrong tries; wait {} s", retry_after.as_secs().max(1))]
    TooMany {
        /// How long until a try counts again; at least 1 s.
        retry_after: Duration,
    },
    /// More passwords at once than the machine should check; answer 503.
    #[error("too many people are logging in; try again in a moment")]
    Busy,
    /// Not the caller's fault.
    #[error(transparent)]
    Failed(#[from] SharingError),
}

impl From<DatabaseError> for LoginError {
    fn from(error: DatabaseError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<rusqlite::Error> for LoginError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}

const _: () = assert!(ACCOUNT_NAME_BYTES_MAX < protocol::NAME_BYTES_MAX);
