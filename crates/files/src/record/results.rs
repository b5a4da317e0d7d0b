//! Answers that are kept, so that an operation sent twice is done once.

use super::*;

/// Keeps the answer to an operation for a writer that asks again.
pub(crate) fn store_result(
    tx: &Connection,
    operation: &str,
    done: &Done,
    now: Timestamp,
) -> Result<(), FilesError> {
    tx.prepare_cached("INSERT OR REPLACE INTO results VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            operation,
            done.entry.as_ref().map(|entry| entry.fid.0),
            done.created,
            done.old_rev.map(|rev| rev.0),
            done.trash_id,
            now.0,
        ])?;
    Ok(())
}

/// The answer that an operation has got already.
pub(crate) fn stored_result(tx: &Connection, operation: &str) -> Result<Option<Done>, FilesError> {
    let stored = tx
        .prepare_cached("SELECT fid, created, old_rev, trash_id FROM results WHERE operation = ?1")?
        .query_row([operation], |row| {
            Ok((
                row.get::<_, Option<i64>>(0)?,
                Done {
                    entry: None,
                    created: row.get(1)?,
                    old_rev: row.get::<_, Option<i64>>(2)?.map(Seq),
                    trash_id: row.get(3)?,
                },
            ))
        })
        .optional()?;
    let Some((fid, mut done)) = stored else {
        return Ok(None);
    };
    if let Some(fid) = fid {
        done.entry = row::by_fid(tx, Fid(fid))?.map(|row| row.into_entry(false));
    }
    Ok(Some(done))
}
