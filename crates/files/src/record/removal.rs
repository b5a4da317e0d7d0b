//! What a change takes out of the tree: into the trash, into history, or for good.

use super::*;

impl Recorder<'_> {
    pub(super) fn discard(
        &mut self,
        intent: &Intent,
        fid: Fid,
        inode: u64,
        old_kept: bool,
    ) -> Result<Option<i64>, FilesError> {
        let row = self.row(fid)?;
        let (Some(parent), Some(history)) = (row.parent, &intent.history) else {
            return Err(inconsistent(
                intent,
                "deletes what is no member of a folder",
            ));
        };
        if !old_kept {
            self.remove_tree(&row, intent.author.account, intent.displaced_bytes)?;
            return Ok(None);
        }
        let old_path = match walk_up(self.tx, fid)? {
            Some(spotted) => spotted.at()?.path.to_string(),
            None => intent.path.clone(),
        };
        drop_locks(self.tx, fid)?;
        self.tx
            .prepare_cached("UPDATE entries SET parent = NULL, inode = ?2 WHERE fid = ?1")?
            .execute((fid.0, inode.cast_signed()))?;
        self.tx
            .prepare_cached(
                "INSERT INTO trash (fid, space, old_parent, old_path, volume, history, size, \
                 deleted_at, deleted_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                fid.0,
                row.space.0,
                parent.0,
                old_path,
                intent.volume.0,
                history.as_str(),
                intent.displaced_bytes.cast_signed(),
                self.now.0,
                intent.author.label,
            ])?;
        let trash_id = self.tx.last_insert_rowid();
        self.removed(&row, parent, intent.author.account, intent.displaced_bytes)?;
        Ok(Some(trash_id))
    }

    pub(super) fn removed(
        &mut self,
        row: &Row,
        parent: Fid,
        account: Option<AccountId>,
        bytes: u64,
    ) -> Result<Seq, FilesError> {
        let seq = self.seq(row.space, -bytes.cast_signed())?;
        self.log(
            row.space,
            seq,
            row.rev,
            &LogRow {
                fid: row.fid,
                op: ChangeOp::Removed,
                parent: Some(parent),
                name: &row.name,
                old: None,
                account,
            },
        )?;
        self.bump(Some(parent), seq);
        Ok(seq)
    }

    /// Forgets an entry with all below it, whose files are gone; their versions stay until
    /// retention.
    pub(crate) fn remove_tree(
        &mut self,
        row: &Row,
        account: Option<AccountId>,
        bytes: u64,
    ) -> Result<(), FilesError> {
        let Some(parent) = row.parent else {
            return Err(FilesError::Inconsistent(format!(
                "entry {} is a top",
                row.fid
            )));
        };
        drop_locks(self.tx, row.fid)?;
        self.removed(row, parent, account, bytes)?;
        forget_rows(self.tx, row.fid)
    }
}

/// Deletes the rows of an entry and of all below it; versions stay.
pub(crate) fn forget_rows(tx: &Connection, top: Fid) -> Result<(), FilesError> {
    const TREE: &str = "WITH RECURSIVE tree (fid) AS (VALUES (?1) UNION ALL \
        SELECT e.fid FROM entries e JOIN tree t ON e.parent = t.fid) ";
    tx.prepare_cached(&format!(
        "{TREE} DELETE FROM dead_props WHERE fid IN (SELECT fid FROM tree)"
    ))?
    .execute([top.0])?;
    tx.prepare_cached(&format!(
        "{TREE} DELETE FROM entries WHERE fid IN (SELECT fid FROM tree)"
    ))?
    .execute([top.0])?;
    Ok(())
}

/// Bytes of all files of a subtree.
pub(crate) fn tree_bytes(tx: &Connection, top: Fid) -> Result<u64, FilesError> {
    let bytes: i64 = tx
        .prepare_cached(
            "WITH RECURSIVE tree (fid, size) AS (SELECT fid, size FROM entries WHERE fid = ?1 \
             UNION ALL SELECT e.fid, e.size FROM entries e JOIN tree t ON e.parent = t.fid) \
             SELECT coalesce(sum(size), 0) FROM tree",
        )?
        .query_row([top.0], |row| row.get(0))?;
    Ok(bytes.cast_unsigned())
}
