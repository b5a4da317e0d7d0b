//! The change log of a space: what clients, indexers and pages read to stay up to date
//! (RFC 6578; `docs/formats/catalog.md`).

use protocol::{AccountId, EntryName, Fid, Seq, SpaceId, SyncToken, Timestamp};

use crate::{ChangesError, Files};

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeOp {
    /// It is new here.
    Created,
    /// It has new content.
    Written,
    /// It has another name or place; with it all below.
    Moved,
    /// It is gone; with it all below.
    Removed,
    /// Its properties or mtime changed.
    Props,
}

/// One row of the change log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// Its number.
    pub seq: Seq,
    /// The entry.
    pub fid: Fid,
    /// What happened.
    pub op: ChangeOp,
    /// The folder it is in afterwards; for a removal the one it was in.
    pub parent: Option<Fid>,
    /// Its name there.
    pub name: EntryName,
    /// For a move: the folder it was in, and its name there.
    pub moved_from: Option<(Option<Fid>, EntryName)>,
    /// The revision of its content afterwards.
    pub rev: Seq,
    /// Who did it.
    pub account: Option<AccountId>,
    /// When.
    pub at: Timestamp,
}

/// A part of the change log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// In order of `seq`.
    pub rows: Vec<ChangeRow>,
    /// Stands for everything up to the last row of this part.
    pub token: SyncToken,
    /// There is more behind it.
    pub more: bool,
}

impl Files {
    /// At most `limit` changes after `since`.
    pub fn changes(
        &self,
        space: SpaceId,
        since: SyncToken,
        limit: usize,
    ) -> Result<Changes, ChangesError> {
        let _ = (space, since, limit);
        todo!()
    }

    /// Removes rows that are older than the settings keep; gives their number.
    pub fn forget_old_changes(&self) -> Result<usize, crate::FilesError> {
        todo!()
    }
}
