//! Changes that are recorded before the disk has them: small new content, whose intent holds it
//! (`commit.md` steps 4 and 6 in one transaction).
//!
//! Such a record counts on the renames that follow. Where they fail it is taken back by a newer
//! revision, never by removing it: nobody has had its answer, but a reader may have seen it.

use super::*;

/// In `entries.ctime_ns` until the renames are settled; no file has been changed then.
pub(crate) const CTIME_TO_COME: i64 = 0;

/// In `entries.ctime_ns` where the file was touched by a change that was taken back: equal to that
/// of no file, so that the scanner compares the content.
const CTIME_UNKNOWN: i64 = -1;

impl Recorder<'_> {
    /// Records a decided change that brings `content`, and writes its intent down as done.
    pub(crate) fn written(
        &mut self,
        intent: &mut Intent,
        content: Arc<[u8]>,
    ) -> Result<Done, FilesError> {
        let to_come = Carried {
            stat: None,
            old_kept: true,
        };
        let done = self.change(intent, to_come)?;
        let Some(entry) = &done.entry else {
            return Err(inconsistent(intent, "wrote nothing"));
        };
        intent.fid = Some(entry.fid);
        intent.rev = Some(entry.rev);
        intent.content = Some(content);
        intent.insert(self.tx)?;
        Ok(done)
    }

    /// The former content had been removed by another program, so it is no version.
    pub(crate) fn old_is_gone(&self, intent: &Intent) -> Result<(), FilesError> {
        if let (Some(old), Fate::Version) = (&intent.displaced, intent.fate) {
            self.forget_version(old.fid, old.rev)?;
        }
        Ok(())
    }

    /// Takes a written change back: the entry is again what it was, or is gone again.
    pub(crate) fn retract(&mut self, intent: &Intent) -> Result<(), FilesError> {
        let (Some(fid), Some(rev)) = (intent.fid, intent.rev) else {
            return Err(inconsistent(intent, "was not recorded"));
        };
        if let Some(operation) = &intent.operation {
            self.tx
                .prepare_cached("DELETE FROM results WHERE operation = ?1")?
                .execute([operation])?;
        }
        let Some(row) = row::by_fid(self.tx, fid)?.filter(|row| row.rev == rev) else {
            // Somebody else has taken note of what the disk holds.
            return Ok(());
        };
        match &intent.displaced {
            None => self.remove_tree(&row, intent.author.account, row.size)?,
            Some(old) => self.give_back(intent, &row, old)?,
        }
        self.fact(
            &intent.author,
            Action::Refused,
            intent.space,
            fid,
            &intent.path,
            Some(rev),
            None,
        )
    }

    fn give_back(
        &mut self,
        intent: &Intent,
        row: &Row,
        old: &crate::intent::Displaced,
    ) -> Result<(), FilesError> {
        let hash: Option<[u8; 32]> = self
            .tx
            .prepare_cached("SELECT hash FROM versions WHERE fid = ?1 AND rev = ?2")?
            .query_row((old.fid.0, old.rev.0), |row| row.get(0))
            .optional()?
            .flatten();
        self.forget_version(old.fid, old.rev)?;
        let grows = old.size.cast_signed() - row.size.cast_signed();
        let seq = self.seq(row.space, grows)?;
        let indexing = if hash.is_none() { INDEXING } else { 0 };
        self.tx
            .prepare_cached(
                "UPDATE entries SET rev = ?2, size = ?3, mtime_ns = ?4, ctime_ns = ?5, inode = ?6, \
                 hash = ?7, flags = flags | ?8 WHERE fid = ?1",
            )?
            .execute(params![
                old.fid.0,
                seq.0,
                old.size.cast_signed(),
                old.mtime_ns,
                CTIME_UNKNOWN,
                old.inode.cast_signed(),
                hash,
                indexing,
            ])?;
        self.log_written(row, seq, intent.author.account)?;
        Ok(())
    }

    /// The change log's row of new content under the old name.
    pub(super) fn log_written(
        &mut self,
        row: &Row,
        seq: Seq,
        account: Option<AccountId>,
    ) -> Result<(), FilesError> {
        let written = LogRow {
            fid: row.fid,
            op: ChangeOp::Written,
            parent: row.parent,
            name: &row.name,
            old: None,
            account,
        };
        self.log(row.space, seq, seq, &written)?;
        self.bump(row.parent, seq);
        Ok(())
    }

    fn forget_version(&self, fid: Fid, rev: Seq) -> Result<(), FilesError> {
        self.tx
            .prepare_cached("DELETE FROM versions WHERE fid = ?1 AND rev = ?2")?
            .execute((fid.0, rev.0))?;
        Ok(())
    }
}

/// The change time of a file whose renames are settled.
pub(crate) fn settle_ctime(
    tx: &Connection,
    fid: Fid,
    inode: u64,
    ctime_ns: i64,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE entries SET ctime_ns = ?3 WHERE fid = ?1 AND inode = ?2 AND ctime_ns = ?4",
    )?
    .execute((fid.0, inode.cast_signed(), ctime_ns, CTIME_TO_COME))?;
    Ok(())
}
