//! Content that another program overwrote in place: its bytes are gone, and history says so.
//!
//! Such a version has no name in history. A file that another program writes all the time gets one
//! such row an hour, not one for each look.

use super::*;

/// One row for this time.
const TOLD_MS: i64 = 3_600_000;

impl Recorder<'_> {
    /// Notes that the content described by `row` is no more; `now` is what is there instead.
    pub(super) fn lost(&self, row: &Row, now: Option<protocol::Hash>) -> Result<(), FilesError> {
        let touched_only = now.is_some() && now == row.hash;
        if row.kind != Kind::File || row.is(PLACEHOLDER) || touched_only {
            return Ok(());
        }
        let Some(spotted) = walk_up(self.tx, row.fid)? else {
            return Ok(());
        };
        let told: bool = self
            .tx
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM versions WHERE fid = ?1 AND history = '' \
                 AND kept_at > ?2)",
            )?
            .query_row((row.fid.0, self.now.0 - TOLD_MS), |row| row.get(0))?;
        if told {
            return Ok(());
        }
        self.tx.prepare_cached(INSERT_VERSION)?.execute(params![
            row.fid.0,
            row.rev.0,
            row.size.cast_signed(),
            row.mtime_ns,
            row.hash.map(|hash| hash.0),
            spotted.volume.0,
            "",
            self.now.0,
            Author::outside().label,
            REASON_LOST,
        ])?;
        Ok(())
    }
}

/// The file has `hash` after all: it was touched, and nothing was lost.
pub(crate) fn not_lost(tx: &Connection, fid: Fid, hash: protocol::Hash) -> Result<(), FilesError> {
    tx.prepare_cached("DELETE FROM versions WHERE fid = ?1 AND history = '' AND hash = ?2")?
        .execute((fid.0, hash.0))?;
    Ok(())
}
