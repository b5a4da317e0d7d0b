//! Who changes the tree, and the witness who writes it down.
//!
//! `files` knows no accounts beyond their number and no audit log: the composition root supplies a
//! [`Witness`], which is called inside the transaction that makes the change, so that the row about
//! a change is exactly as durable as the change (R102).

use std::net::IpAddr;

use protocol::{AccountId, Fid, Seq, SpaceId, Timestamp};

/// Who asks for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The account, if it is one of ours.
    pub account: Option<AccountId>,
    /// For people: `alice`, `link 3`, `outside`.
    pub label: String,
    /// By what: `session`, `app-password phone`, `link`.
    pub via: String,
    /// From where.
    pub address: Option<IpAddr>,
}

impl Author {
    /// A lock that ended.
    pub(crate) fn lock_expiry() -> Self {
        Self {
            account: None,
            label: "lock".into(),
            via: "expiry".into(),
            address: None,
        }
    }

    /// Some other program that wrote to the disk behind our back.
    #[must_use]
    pub fn outside() -> Self {
        Self {
            account: None,
            label: "outside".into(),
            via: "disk".into(),
            address: None,
        }
    }
}

/// What was done to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A new file.
    Create,
    /// New content of a file.
    Write,
    /// A new folder.
    MakeFolder,
    /// Into the trash, or gone from the disk.
    Delete,
    /// Another name or place.
    Move,
    /// Made as a copy.
    Copy,
    /// Properties or mtime.
    SetProps,
    /// Out of the trash.
    Restore,
    /// Former content made current again.
    RestoreVersion,
    /// Content sent too late or under a wrong condition, kept aside.
    Refused,
    /// Locked.
    Lock,
    /// Unlocked by its holder.
    Unlock,
    /// Unlocked by the owner of the space.
    BreakLock,
    /// A folder of the disk was bound.
    Bind,
    /// A bound folder was let go.
    Unbind,
}

impl Action {
    /// The word for logs and the catalog.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Write => "write",
            Self::MakeFolder => "make-folder",
            Self::Delete => "delete",
            Self::Move => "move",
            Self::Copy => "copy",
            Self::SetProps => "set-props",
            Self::Restore => "restore",
            Self::RestoreVersion => "restore-version",
            Self::Refused => "refused",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::BreakLock => "break-lock",
            Self::Bind => "bind",
            Self::Unbind => "unbind",
        }
    }
}

/// One change, as it is about to become durable.
#[derive(Debug)]
pub struct Fact<'a> {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: &'a Author,
    /// What.
    pub action: Action,
    /// In which space.
    pub space: SpaceId,
    /// Which entry.
    pub fid: Fid,
    /// Where, printed from the top of the space; for a move `OLD -> NEW`.
    pub path: String,
    /// Revision before.
    pub old_rev: Option<Seq>,
    /// Revision after.
    pub new_rev: Option<Seq>,
}

/// Writes facts down inside the transaction that makes them true.
pub trait Witness: Send + Sync {
    /// Records `fact` with `tx`; an error refuses the change.
    fn record(&self, tx: &rusqlite::Connection, fact: &Fact<'_>) -> Result<(), rusqlite::Error>;
}

/// A witness that keeps nothing, for tools and tests that have no audit log.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWitness;

impl Witness for NoWitness {
    fn record(&self, _: &rusqlite::Connection, _: &Fact<'_>) -> Result<(), rusqlite::Error> {
        Ok(())
    }
}
