//! Transaction B: what happened on the disk becomes the catalog's truth (`commit.md` step 6).
//!
//! Each changed entry takes one `seq` of its space. The folders above get their new revision once
//! per transaction, however many entries below them changed.

mod lost;
mod removal;
mod results;
mod written;

use std::collections::HashMap;
use std::sync::Arc;

use protocol::{AccountId, EntryName, Fid, Seq, SpaceId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use pool::FileStat;

use crate::conditions::drop_locks;
use crate::intent::{Fate, Intent, Source};
use crate::log::ChangeOp;
use crate::row::{self, HAS_PROPS, INDEXING, PLACEHOLDER, Row, kind_number, nanos};
use crate::walk::walk_up;
use crate::{Action, Author, Done, Fact, FilesError, Kind, Witness};

pub(crate) use lost::not_lost;
pub(crate) use removal::{forget_rows, tree_bytes};
pub(crate) use results::{store_result, stored_result};
use written::CTIME_TO_COME;
pub(crate) use written::settle_ctime;

/// Numbers of refused content begin here, so that they never meet a `seq`.
pub(crate) const REFUSED_BASE: i64 = 1 << 62;

/// Reasons in `versions`.
pub(crate) const REASON_OVERWRITTEN: i64 = 0;
pub(crate) const REASON_REFUSED: i64 = 1;
pub(crate) const REASON_OUTSIDE: i64 = 2;
pub(crate) const REASON_LOST: i64 = 3;

/// How a change ended on the disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Carried {
    /// The target now; `None` after a delete, or if another program has replaced it already.
    pub(crate) stat: Option<FileStat>,
    /// The displaced content is in history.
    pub(crate) old_kept: bool,
}

/// One row for the change log.
pub(crate) struct LogRow<'a> {
    pub(crate) fid: Fid,
    pub(crate) op: ChangeOp,
    pub(crate) parent: Option<Fid>,
    pub(crate) name: &'a EntryName,
    pub(crate) old: Option<(Fid, &'a EntryName)>,
    pub(crate) account: Option<AccountId>,
}

/// Writes changes into one transaction.
pub(crate) struct Recorder<'a> {
    pub(crate) tx: &'a Connection,
    witness: &'a dyn Witness,
    now: Timestamp,
    bumps: HashMap<Fid, Seq>,
    news: HashMap<SpaceId, Seq>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(tx: &'a Connection, witness: &'a dyn Witness, now: Timestamp) -> Self {
        Self {
            tx,
            witness,
            now,
            bumps: HashMap::new(),
            news: HashMap::new(),
        }
    }

    /// Records a carried-out intent and marks it done.
    pub(crate) fn intent(&mut self, intent: &Intent, carried: Carried) -> Result<Done, FilesError> {
        let done = self.change(intent, carried)?;
        self.end(intent)?;
        Ok(done)
    }

    fn change(&mut self, intent: &Intent, carried: Carried) -> Result<Done, FilesError> {
        let trash_id = match (&intent.displaced, intent.fate) {
            (Some(old), Fate::Trash) => {
                self.discard(intent, old.fid, old.inode, carried.old_kept)?
            }
            (Some(_), Fate::Version | Fate::Drop | Fate::Free | Fate::Stays) | (None, _) => None,
        };
        let old_rev = intent.displaced.as_ref().map(|old| old.rev);
        let fid = match &intent.source {
            Source::Nothing => None,
            Source::Temp { .. } | Source::NewFolder => Some(match intent.fate {
                Fate::Version | Fate::Drop => self.new_content(intent, carried)?,
                Fate::Free | Fate::Trash | Fate::Stays => self.new_entry(intent, carried)?,
            }),
            Source::Path { .. } => Some(self.moved(intent, carried)?),
            Source::History { .. } => Some(self.restored(intent, carried)?),
        };
        let entry = match fid {
            Some(fid) => Some(self.row(fid)?.into_entry(false)),
            None => None,
        };
        let done = Done {
            created: old_rev.is_none() && entry.is_some(),
            old_rev,
            trash_id,
            entry,
        };
        let about = fid.or(intent.displaced.as_ref().map(|old| old.fid));
        self.witness_of(intent, about, old_rev, done.entry.as_ref().map(|e| e.rev))?;
        self.result(intent, &done)?;
        Ok(done)
    }

    /// Records that content was put aside as a version of the target, which stays as it is.
    pub(crate) fn kept(&mut self, intent: &Intent, reason: i64) -> Result<(), FilesError> {
        if let (
            Some(old),
            Some(history),
            Source::Temp {
                size,
                mtime_ns,
                hash,
                ..
            },
        ) = (&intent.displaced, &intent.history, &intent.source)
        {
            self.tx.prepare_cached(INSERT_VERSION)?.execute(params![
                old.fid.0,
                REFUSED_BASE + intent.id,
                size.cast_signed(),
                mtime_ns,
                Some(hash.0),
                intent.volume.0,
                history.as_str(),
                self.now.0,
                intent.author.label,
                reason,
            ])?;
            self.fact(
                &intent.author,
                Action::Refused,
                intent.space,
                old.fid,
                &intent.path,
                Some(old.rev),
                None,
            )?;
        }
        self.end(intent)
    }

    fn end(&mut self, intent: &Intent) -> Result<(), FilesError> {
        // A folder is flushed before it is recorded, so nothing of it can be lost any more.
        match intent.source {
            Source::NewFolder if intent.displaced.is_none() => {
                crate::intent::remove(self.tx, intent.id)?;
            }
            Source::Nothing
            | Source::NewFolder
            | Source::Temp { .. }
            | Source::Path { .. }
            | Source::History { .. } => crate::intent::mark_done(self.tx, intent.id)?,
        }
        Ok(())
    }

    fn new_content(&mut self, intent: &Intent, carried: Carried) -> Result<Fid, FilesError> {
        let (
            Some(old),
            Source::Temp {
                size,
                mtime_ns,
                inode,
                hash,
                ..
            },
        ) = (&intent.displaced, &intent.source)
        else {
            return Err(inconsistent(intent, "has no content to replace"));
        };
        let row = self.row(old.fid)?;
        if let (Fate::Version, true, Some(history)) =
            (intent.fate, carried.old_kept, &intent.history)
        {
            self.tx.prepare_cached(INSERT_VERSION)?.execute(params![
                row.fid.0,
                row.rev.0,
                row.size.cast_signed(),
                row.mtime_ns,
                row.hash.map(|hash| hash.0),
                intent.volume.0,
                history.as_str(),
                self.now.0,
                intent.author.label,
                REASON_OVERWRITTEN,
            ])?;
        }
        let was_hidden = row.is(PLACEHOLDER);
        let seq = self.seq(intent.space, size.cast_signed() - row.size.cast_signed())?;
        self.tx
            .prepare_cached(
                "UPDATE entries SET rev = ?2, size = ?3, mtime_ns = ?4, ctime_ns = ?5, inode = ?6, \
                 hash = ?7, flags = flags & ~3 WHERE fid = ?1",
            )?
            .execute(params![
                row.fid.0,
                seq.0,
                size.cast_signed(),
                mtime_ns,
                carried.stat.map_or(CTIME_TO_COME, |stat| stat.ctime_ns),
                inode.cast_signed(),
                Some(hash.0),
            ])?;
        let op = if was_hidden {
            ChangeOp::Created
        } else {
            ChangeOp::Written
        };
        self.log(
            intent.space,
            seq,
            seq,
            &LogRow {
                fid: row.fid,
                op,
                parent: row.parent,
                name: &row.name,
                old: None,
                account: intent.author.account,
            },
        )?;
        self.bump(row.parent, seq);
        Ok(row.fid)
    }

    fn new_entry(&mut self, intent: &Intent, carried: Carried) -> Result<Fid, FilesError> {
        let (size, mtime_ns, hash, kind) = match &intent.source {
            Source::Temp {
                size,
                mtime_ns,
                hash,
                ..
            } => (*size, *mtime_ns, Some(hash.0), Kind::File),
            Source::Nothing | Source::NewFolder | Source::Path { .. } | Source::History { .. } => {
                (0, nanos(intent.at), None, Kind::Folder)
            }
        };
        let inode = intent
            .source
            .inode()
            .or(carried.stat.map(|stat| stat.inode));
        let seq = self.seq(intent.space, size.cast_signed())?;
        let flags = if intent.placeholder { PLACEHOLDER } else { 0 };
        self.tx.prepare_cached(INSERT_ENTRY)?.execute(params![
            intent.space.0,
            intent.parent.0,
            intent.name.as_str(),
            kind_number(kind),
            seq.0,
            size.cast_signed(),
            mtime_ns,
            carried.stat.map_or(CTIME_TO_COME, |stat| stat.ctime_ns),
            self.now.0,
            inode.unwrap_or(0).cast_signed(),
            hash,
            flags,
            intent.author.account.map(|account| account.0),
        ])?;
        let fid = Fid(self.tx.last_insert_rowid());
        if let Some(original) = intent.copy_of {
            self.copy_props(original, fid)?;
        }
        self.log(
            intent.space,
            seq,
            seq,
            &LogRow {
                fid,
                op: ChangeOp::Created,
                parent: Some(intent.parent),
                name: &intent.name,
                old: None,
                account: intent.author.account,
            },
        )?;
        self.bump(Some(intent.parent), seq);
        Ok(fid)
    }

    fn moved(&mut self, intent: &Intent, carried: Carried) -> Result<Fid, FilesError> {
        let (Some(fid), Some(from)) = (intent.fid, &intent.from) else {
            return Err(inconsistent(intent, "moves nothing"));
        };
        drop_locks(self.tx, fid)?;
        if from.space != intent.space {
            return self.moved_between_spaces(intent, carried, fid, from);
        }
        let seq = self.seq(intent.space, 0)?;
        self.place(fid, intent, seq, carried)?;
        let rev = self.row(fid)?.rev;
        self.log(
            intent.space,
            seq,
            rev,
            &LogRow {
                fid,
                op: ChangeOp::Moved,
                parent: Some(intent.parent),
                name: &intent.name,
                old: Some((from.parent, &from.name)),
                account: intent.author.account,
            },
        )?;
        self.bump(Some(from.parent), seq);
        self.bump(Some(intent.parent), seq);
        Ok(fid)
    }

    fn moved_between_spaces(
        &mut self,
        intent: &Intent,
        carried: Carried,
        fid: Fid,
        from: &crate::intent::From,
    ) -> Result<Fid, FilesError> {
        let bytes = intent.moved_bytes.cast_signed();
        let account = intent.author.account;
        let gone = self.seq(from.space, -bytes)?;
        self.log(
            from.space,
            gone,
            gone,
            &LogRow {
                fid,
                op: ChangeOp::Removed,
                parent: Some(from.parent),
                name: &from.name,
                old: None,
                account,
            },
        )?;
        self.bump(Some(from.parent), gone);
        let seq = self.seq(intent.space, bytes)?;
        self.tx
            .prepare_cached(
                "WITH RECURSIVE tree (fid) AS (VALUES (?1) UNION ALL \
                 SELECT e.fid FROM entries e JOIN tree t ON e.parent = t.fid) \
                 UPDATE entries SET space = ?2, rev = ?3, mrev = ?3 \
                 WHERE fid IN (SELECT fid FROM tree)",
            )?
            .execute((fid.0, intent.space.0, seq.0))?;
        self.place(fid, intent, seq, carried)?;
        self.log(
            intent.space,
            seq,
            seq,
            &LogRow {
                fid,
                op: ChangeOp::Created,
                parent: Some(intent.parent),
                name: &intent.name,
                old: None,
                account,
            },
        )?;
        self.bump(Some(intent.parent), seq);
        Ok(fid)
    }

    fn restored(&mut self, intent: &Intent, carried: Carried) -> Result<Fid, FilesError> {
        let (Some(fid), Some(trash_id)) = (intent.fid, intent.trash_id) else {
            return Err(inconsistent(intent, "restores nothing"));
        };
        self.tx
            .prepare_cached("DELETE FROM trash WHERE id = ?1")?
            .execute([trash_id])?;
        let seq = self.seq(intent.space, intent.moved_bytes.cast_signed())?;
        self.place(fid, intent, seq, carried)?;
        let rev = self.row(fid)?.rev;
        self.log(
            intent.space,
            seq,
            rev,
            &LogRow {
                fid,
                op: ChangeOp::Created,
                parent: Some(intent.parent),
                name: &intent.name,
                old: None,
                account: intent.author.account,
            },
        )?;
        self.bump(Some(intent.parent), seq);
        Ok(fid)
    }

    fn place(
        &self,
        fid: Fid,
        intent: &Intent,
        seq: Seq,
        carried: Carried,
    ) -> Result<(), FilesError> {
        self.tx
            .prepare_cached(
                "UPDATE entries SET parent = ?2, name = ?3, mrev = ?4, \
                 ctime_ns = coalesce(?5, ctime_ns) WHERE fid = ?1",
            )?
            .execute(params![
                fid.0,
                intent.parent.0,
                intent.name.as_str(),
                seq.0,
                carried.stat.map(|stat| stat.ctime_ns),
            ])?;
        Ok(())
    }

    /// Records a change of dead properties or mtime; content and ETag stay.
    pub(crate) fn props_changed(
        &mut self,
        row: &Row,
        account: Option<AccountId>,
    ) -> Result<Seq, FilesError> {
        let seq = self.seq(row.space, 0)?;
        self.tx
            .prepare_cached(
                "UPDATE entries SET mrev = ?2, flags = (flags & ~4) | \
                 (4 * EXISTS (SELECT 1 FROM dead_props WHERE fid = ?1)) WHERE fid = ?1",
            )?
            .execute((row.fid.0, seq.0))?;
        self.log(
            row.space,
            seq,
            row.rev,
            &LogRow {
                fid: row.fid,
                op: ChangeOp::Props,
                parent: row.parent,
                name: &row.name,
                old: None,
                account,
            },
        )?;
        Ok(seq)
    }

    /// Takes the next number of a space and adds `grows` bytes to its use.
    pub(crate) fn seq(&mut self, space: SpaceId, grows: i64) -> Result<Seq, FilesError> {
        let seq = Seq(self
            .tx
            .prepare_cached(
                "UPDATE spaces SET seq = seq + 1, used = max(0, used + ?2) WHERE id = ?1 \
                 RETURNING seq",
            )?
            .query_row((space.0, grows), |row| row.get(0))?);
        self.news.insert(space, seq);
        Ok(seq)
    }

    /// Takes `count` numbers of a space at once, which is cheaper; gives the first of them.
    pub(crate) fn seqs(
        &mut self,
        space: SpaceId,
        count: usize,
        grows: i64,
    ) -> Result<Seq, FilesError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let last: i64 = self
            .tx
            .prepare_cached(
                "UPDATE spaces SET seq = seq + ?3, used = max(0, used + ?2) WHERE id = ?1 \
                 RETURNING seq",
            )?
            .query_row((space.0, grows, count), |row| row.get(0))?;
        self.news.insert(space, Seq(last));
        Ok(Seq(last - count + 1))
    }

    /// Writes one row of the change log.
    pub(crate) fn log(
        &self,
        space: SpaceId,
        seq: Seq,
        rev: Seq,
        row: &LogRow<'_>,
    ) -> Result<(), FilesError> {
        self.tx
            .prepare_cached(
                "INSERT INTO changes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                space.0,
                seq.0,
                row.fid.0,
                row.op.number(),
                row.parent.map(|fid| fid.0),
                row.name.as_str(),
                row.old.map(|(fid, _)| fid.0),
                row.old.map(|(_, name)| name.as_str()),
                rev.0,
                row.account.map(|account| account.0),
                self.now.0,
            ])?;
        Ok(())
    }

    /// Notes that content below `folder` changed.
    pub(crate) fn bump(&mut self, folder: Option<Fid>, seq: Seq) {
        if let Some(folder) = folder {
            let newest = self.bumps.entry(folder).or_insert(seq);
            *newest = seq.max(*newest);
        }
    }

    /// Gives the folders up to the tops their new revisions; returns the newest `seq` per space.
    pub(crate) fn finish(self) -> Result<HashMap<SpaceId, Seq>, FilesError> {
        let mut folders: Vec<_> = self.bumps.into_iter().collect();
        // The newest first: a folder that has it already needs no older one, nor do those above.
        folders.sort_unstable_by_key(|(_, seq)| std::cmp::Reverse(*seq));
        let mut bump = self.tx.prepare_cached(
            "UPDATE entries SET rev = ?2, mtime_ns = coalesce(?3, mtime_ns) WHERE fid = ?1 \
             RETURNING parent",
        )?;
        let mut visited = std::collections::HashSet::new();
        for (folder, seq) in folders {
            let mut next = Some(folder.0);
            // Only the folder whose members changed gets a new mtime, as on a POSIX disk.
            let mut mtime = Some(nanos(self.now));
            while let Some(fid) = next {
                if !visited.insert(fid) {
                    break;
                }
                next = bump
                    .query_row((fid, seq.0, mtime.take()), |row| {
                        row.get::<_, Option<i64>>(0)
                    })
                    .optional()?
                    .flatten();
            }
        }
        Ok(self.news)
    }

    pub(crate) fn row(&self, fid: Fid) -> Result<Row, FilesError> {
        row::by_fid(self.tx, fid)?
            .ok_or_else(|| FilesError::Inconsistent(format!("entry {fid} is gone")))
    }

    /// Lets the witness write a fact down.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one column of the audit log"
    )]
    pub(crate) fn fact(
        &self,
        author: &Author,
        action: Action,
        space: SpaceId,
        fid: Fid,
        path: &str,
        old_rev: Option<Seq>,
        new_rev: Option<Seq>,
    ) -> Result<(), FilesError> {
        self.witness.record(
            self.tx,
            &Fact {
                at: self.now,
                author,
                action,
                space,
                fid,
                path: path.to_owned(),
                old_rev,
                new_rev,
            },
        )?;
        Ok(())
    }

    fn witness_of(
        &self,
        intent: &Intent,
        fid: Option<Fid>,
        old_rev: Option<Seq>,
        new_rev: Option<Seq>,
    ) -> Result<(), FilesError> {
        let Some(fid) = fid else {
            return Err(inconsistent(intent, "is about nothing"));
        };
        self.fact(
            &intent.author,
            intent.action,
            intent.space,
            fid,
            &intent.path,
            old_rev,
            new_rev,
        )
    }

    fn result(&self, intent: &Intent, done: &Done) -> Result<(), FilesError> {
        match &intent.operation {
            Some(operation) => store_result(self.tx, operation, done, self.now),
            None => Ok(()),
        }
    }

    fn copy_props(&self, original: Fid, copy: Fid) -> Result<(), FilesError> {
        let copied = self
            .tx
            .prepare_cached(
                "INSERT INTO dead_props SELECT ?2, namespace, name, xml FROM dead_props \
                 WHERE fid = ?1",
            )?
            .execute((original.0, copy.0))?;
        if copied > 0 {
            self.tx
                .prepare_cached("UPDATE entries SET flags = flags | ?2 WHERE fid = ?1")?
                .execute((copy.0, HAS_PROPS))?;
        }
        Ok(())
    }

    /// Another program gave a file new content or a new mtime: its own revision (author "outside").
    pub(crate) fn changed_outside(
        &mut self,
        row: &Row,
        stat: &FileStat,
        hash: Option<protocol::Hash>,
    ) -> Result<(), FilesError> {
        let size = if row.kind == Kind::File { stat.size } else { 0 };
        let seq = self.seq(row.space, size.cast_signed() - row.size.cast_signed())?;
        self.lost(row, hash)?;
        let mut flags = row.flags & !(PLACEHOLDER | INDEXING);
        if hash.is_none() && row.kind == Kind::File {
            flags |= INDEXING;
        }
        self.tx
            .prepare_cached(
                "UPDATE entries SET rev = ?2, size = ?3, mtime_ns = ?4, ctime_ns = ?5, inode = ?6, \
                 hash = ?7, flags = ?8 WHERE fid = ?1",
            )?
            .execute(params![
                row.fid.0,
                seq.0,
                size.cast_signed(),
                stat.mtime_ns,
                stat.ctime_ns,
                stat.inode.cast_signed(),
                hash.map(|hash| hash.0),
                flags,
            ])?;
        self.log_written(row, seq, None)?;
        let path = match walk_up(self.tx, row.fid)? {
            Some(spotted) => spotted.at()?.path.to_string(),
            None => row.name.to_string(),
        };
        self.fact(
            &Author::outside(),
            Action::Write,
            row.space,
            row.fid,
            &path,
            Some(row.rev),
            Some(seq),
        )
    }
}

const INSERT_VERSION: &str = "INSERT OR REPLACE INTO versions (fid, rev, size, mtime_ns, hash, \
    volume, history, kept_at, author, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

pub(crate) const INSERT_ENTRY: &str = "INSERT INTO entries (space, parent, name, kind, rev, mrev, \
    size, mtime_ns, ctime_ns, created, inode, hash, flags, owner) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

fn inconsistent(intent: &Intent, what: &str) -> FilesError {
    FilesError::Inconsistent(format!("intent {} on `{}` {what}", intent.id, intent.path))
}
