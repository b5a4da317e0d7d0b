//! The change log of a space: what clients, indexers and pages read to stay up to date
//! (RFC 6578; `docs/formats/catalog.md`).

use protocol::{AccountId, EntryName, Epoch, Fid, Seq, SpaceId, SyncToken, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use crate::row::name_at;
use crate::{ChangesError, Files, FilesError};

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

impl ChangeOp {
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Created => 0,
            Self::Written => 1,
            Self::Moved => 2,
            Self::Removed => 3,
            Self::Props => 4,
        }
    }

    fn of(number: i64) -> Self {
        match number {
            0 => Self::Created,
            1 => Self::Written,
            2 => Self::Moved,
            3 => Self::Removed,
            _ => Self::Props,
        }
    }
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
        self.0.db.read(|tx| {
            let (epoch, seq, floor) = tx
                .prepare_cached(
                    "SELECT epoch, seq, floor FROM spaces WHERE id = ?1 AND retired = 0",
                )
                .map_err(FilesError::from)?
                .query_row([space.0], |row| {
                    Ok((
                        Epoch(row.get::<_, i64>(0)?.cast_unsigned()),
                        row.get::<_, i64>(1)?,
                        row.get::<_, i64>(2)?,
                    ))
                })
                .optional()
                .map_err(FilesError::from)?
                .ok_or_else(|| FilesError::Unknown(format!("space {space}")))?;
            if since.epoch != epoch {
                return Err(ChangesError::InvalidToken("the log has begun anew since"));
            }
            if since.seq.0 > seq {
                return Err(ChangesError::InvalidToken("it is from the future"));
            }
            if since.seq.0 < floor {
                return Err(ChangesError::InvalidToken(
                    "the log does not reach back so far",
                ));
            }
            Ok(page(tx, space, since, limit)?)
        })
    }

    /// Removes rows that are older than the settings keep, or more than they keep; gives their
    /// number.
    pub fn forget_old_changes(&self) -> Result<usize, FilesError> {
        let oldest = self.now().minus(self.0.settings.keep_changes);
        let rows = i64::try_from(self.0.settings.keep_changes_rows).unwrap_or(i64::MAX);
        self.0.db.write(move |tx| {
            let spaces: Vec<i64> = tx
                .prepare_cached("SELECT id FROM spaces")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut removed = 0;
            for space in spaces {
                // `at` may jump with the clock; a number is forgotten only with all before it.
                let floor: i64 = tx
                    .prepare_cached(
                        "SELECT max(floor, seq - ?2, coalesce((SELECT min(seq) - 1 FROM changes \
                         WHERE space = ?1 AND at >= ?3), seq)) FROM spaces WHERE id = ?1",
                    )?
                    .query_row((space, rows, oldest.0), |row| row.get(0))?;
                removed += tx
                    .prepare_cached("DELETE FROM changes WHERE space = ?1 AND seq <= ?2")?
                    .execute((space, floor))?;
                tx.prepare_cached("UPDATE spaces SET floor = ?2 WHERE id = ?1")?
                    .execute((space, floor))?;
            }
            Ok(removed)
        })
    }
}

fn page(
    tx: &Connection,
    space: SpaceId,
    since: SyncToken,
    limit: usize,
) -> Result<Changes, FilesError> {
    let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows: Vec<ChangeRow> = tx
        .prepare_cached(
            "SELECT seq, fid, op, parent, name, old_parent, old_name, rev, account, at \
             FROM changes WHERE space = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?
        .query_map((space.0, since.seq.0, wanted), decode)?
        .collect::<Result<_, _>>()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let seq = rows.last().map_or(since.seq, |row| row.seq);
    Ok(Changes {
        token: SyncToken {
            epoch: since.epoch,
            seq,
        },
        rows,
        more,
    })
}

fn decode(row: &rusqlite::Row<'_>) -> rusqlite::Result<ChangeRow> {
    let old_name: Option<String> = row.get(6)?;
    let moved_from = match old_name {
        Some(_) => Some((row.get::<_, Option<i64>>(5)?.map(Fid), name_at(row, 6)?)),
        None => None,
    };
    Ok(ChangeRow {
        seq: Seq(row.get(0)?),
        fid: Fid(row.get(1)?),
        op: ChangeOp::of(row.get(2)?),
        parent: row.get::<_, Option<i64>>(3)?.map(Fid),
        name: name_at(row, 4)?,
        moved_from,
        rev: Seq(row.get(7)?),
        account: row.get::<_, Option<i64>>(8)?.map(AccountId),
        at: Timestamp(row.get(9)?),
    })
}
