//! Retention: how long versions and trash stay, and how much room they may take.
//!
//! Two rules. Age: trash and versions go after 30 days, refused content after 7; before that,
//! versions of one file are thinned: the newest of each hour for a day, then of each day. Room: what
//! is kept takes at most half of the free space of its volume, else the oldest goes first.
//!
//! A file goes before its row: a crash in between leaves a row without a file, which the next pass
//! removes.

use pool::{HistoryName, Spot, VolumeError};
use protocol::{Fid, Timestamp, VolumeId};
use rusqlite::OptionalExtension;

use crate::record::{REASON_REFUSED, forget_rows};
use crate::{Files, FilesError};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Things removed between two looks at the catalog.
const CHUNK: usize = 512;

/// What a pass removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Versions removed.
    pub versions: usize,
    /// Things in the trash removed.
    pub trashed: usize,
    /// Bytes freed.
    pub bytes: u64,
}

/// One kept thing.
#[derive(Debug, Clone)]
enum Kept {
    Version { fid: Fid, rev: i64 },
    Trash { id: i64, fid: Fid },
}

#[derive(Debug, Clone)]
struct Row {
    kept: Kept,
    volume: VolumeId,
    history: String,
    size: u64,
    at: Timestamp,
    refused: bool,
}

impl Files {
    /// Removes what is too old or too much.
    pub fn retention_pass(&self, now: Timestamp) -> Result<RetentionReport, FilesError> {
        // An intent may still name a history file; after this, none does.
        self.settle()?;
        let mut report = RetentionReport::default();
        let kept = self.kept()?;
        let (doomed, kept) = self.split_by_age(kept, now);
        self.remove_all(doomed, &mut report)?;
        for (id, volume) in self.0.volumes.all() {
            let free = volume.space()?.free;
            let mut here: Vec<Row> = kept.iter().filter(|r| r.volume == id).cloned().collect();
            here.sort_by_key(|row| row.at);
            let mut total: u64 = here.iter().map(|row| row.size).sum();
            let share = u64::from(self.0.settings.keep_percent_of_free.min(100));
            let mut doomed = Vec::new();
            let mut freed = 0;
            for row in here {
                if total <= (free + freed) / 100 * share {
                    break;
                }
                total -= row.size;
                freed += row.size;
                doomed.push(row);
            }
            self.remove_all(doomed, &mut report)?;
        }
        let oldest = now.minus(self.0.settings.keep_refused);
        self.0.db.write(move |tx| {
            tx.execute("DELETE FROM results WHERE at < ?1", [oldest.0])?;
            Ok::<_, FilesError>(())
        })?;
        Ok(report)
    }

    fn kept(&self) -> Result<Vec<Row>, FilesError> {
        self.0.db.read(|tx| {
            let mut rows = Vec::new();
            let mut versions = tx.prepare_cached(
                "SELECT fid, rev, volume, history, iif(history = '', 0, size), kept_at, reason FROM versions \
                 ORDER BY fid, kept_at DESC",
            )?;
            let found = versions.query_map([], |row| {
                Ok(Row {
                    kept: Kept::Version {
                        fid: Fid(row.get(0)?),
                        rev: row.get(1)?,
                    },
                    volume: VolumeId(row.get(2)?),
                    history: row.get(3)?,
                    size: row.get::<_, i64>(4)?.cast_unsigned(),
                    at: Timestamp(row.get(5)?),
                    refused: row.get::<_, i64>(6)? == REASON_REFUSED,
                })
            })?;
            for row in found {
                rows.push(row?);
            }
            let mut trash =
                tx.prepare_cached("SELECT id, fid, volume, history, size, deleted_at FROM trash")?;
            let found = trash.query_map([], |row| {
                Ok(Row {
                    kept: Kept::Trash {
                        id: row.get(0)?,
                        fid: Fid(row.get(1)?),
                    },
                    volume: VolumeId(row.get(2)?),
                    history: row.get(3)?,
                    size: row.get::<_, i64>(4)?.cast_unsigned(),
                    at: Timestamp(row.get(5)?),
                    refused: false,
                })
            })?;
            for row in found {
                rows.push(row?);
            }
            Ok(rows)
        })
    }

    /// What age removes, and what stays. `rows` come by file, newest first.
    fn split_by_age(&self, rows: Vec<Row>, now: Timestamp) -> (Vec<Row>, Vec<Row>) {
        let settings = &self.0.settings;
        let (oldest, oldest_refused) = (now.minus(settings.keep), now.minus(settings.keep_refused));
        let mut last = None;
        rows.into_iter().partition(|row| {
            if row.at < if row.refused { oldest_refused } else { oldest } {
                return true;
            }
            let Kept::Version { fid, .. } = row.kept else {
                return false;
            };
            if row.refused {
                return false;
            }
            let age = now.0.saturating_sub(row.at.0);
            // Within the last hour every version stays.
            let slot = match age {
                ..HOUR_MS => return false,
                HOUR_MS..DAY_MS => (fid, 1, row.at.0 / HOUR_MS),
                DAY_MS.. => (fid, 2, row.at.0 / DAY_MS),
            };
            let thinned = last == Some(slot);
            last = Some(slot);
            thinned
        })
    }

    fn remove_all(&self, rows: Vec<Row>, report: &mut RetentionReport) -> Result<(), FilesError> {
        for chunk in rows.chunks(CHUNK) {
            let mut gone = Vec::new();
            for row in chunk {
                if self.remove_history(row.volume, &row.history)? {
                    match row.kept {
                        Kept::Version { .. } => report.versions += 1,
                        Kept::Trash { .. } => report.trashed += 1,
                    }
                    report.bytes += row.size;
                    gone.push(row.kept.clone());
                }
            }
            self.forget(gone)?;
        }
        Ok(())
    }

    /// Removes a file or tree from history; false if its volume is not here.
    pub(crate) fn remove_history(
        &self,
        volume: VolumeId,
        history: &str,
    ) -> Result<bool, FilesError> {
        // Content that another program overwrote left a row and no file.
        if history.is_empty() {
            return Ok(true);
        }
        let Ok(volume) = self.readable(volume) else {
            return Ok(false);
        };
        let name = HistoryName::new(history)
            .map_err(|error| FilesError::Inconsistent(error.to_string()))?;
        match volume.remove(Spot::History(&name)) {
            Ok(()) | Err(VolumeError::NotFound { .. }) => Ok(true),
            Err(error) => {
                tracing::warn!(%error, %name, "kept content could not be removed");
                Ok(false)
            }
        }
    }

    fn forget(&self, gone: Vec<Kept>) -> Result<(), FilesError> {
        // Versions of what was in the trash go with it: their files first.
        let trashed = gone.iter().filter_map(|kept| match kept {
            Kept::Trash { fid, .. } => Some(*fid),
            Kept::Version { .. } => None,
        });
        for fid in trashed.collect::<Vec<_>>() {
            for (volume, history) in self.versions_below(fid)? {
                self.remove_history(volume, &history)?;
            }
        }
        self.0.db.write(move |tx| {
            for kept in gone {
                match kept {
                    Kept::Version { fid, rev } => {
                        tx.prepare_cached("DELETE FROM versions WHERE fid = ?1 AND rev = ?2")?
                            .execute((fid.0, rev))?;
                    }
                    Kept::Trash { id, fid } => {
                        tx.prepare_cached(
                            "WITH RECURSIVE tree (fid) AS (VALUES (?1) UNION ALL \
                             SELECT e.fid FROM entries e JOIN tree t ON e.parent = t.fid) \
                             DELETE FROM versions WHERE fid IN (SELECT fid FROM tree)",
                        )?
                        .execute([fid.0])?;
                        forget_rows(tx, fid)?;
                        tx.prepare_cached("DELETE FROM trash WHERE id = ?1")?
                            .execute([id])?;
                    }
                }
            }
            Ok(())
        })
    }

    fn versions_below(&self, top: Fid) -> Result<Vec<(VolumeId, String)>, FilesError> {
        self.0.db.read(|tx| {
            let mut statement = tx.prepare_cached(
                "WITH RECURSIVE tree (fid) AS (VALUES (?1) UNION ALL \
                 SELECT e.fid FROM entries e JOIN tree t ON e.parent = t.fid) \
                 SELECT volume, history FROM versions WHERE fid IN (SELECT fid FROM tree)",
            )?;
            let rows = statement.query_map([top.0], |row| {
                Ok((VolumeId(row.get(0)?), row.get::<_, String>(1)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Removes one thing from the trash for good.
    pub fn purge(&self, trash_id: i64) -> Result<(), FilesError> {
        self.settle()?;
        let found = self.0.db.read(|tx| {
            Ok::<_, FilesError>(
                tx.prepare_cached("SELECT fid, volume, history FROM trash WHERE id = ?1")?
                    .query_row([trash_id], |row| {
                        Ok((
                            Fid(row.get(0)?),
                            VolumeId(row.get(1)?),
                            row.get::<_, String>(2)?,
                        ))
                    })
                    .optional()?,
            )
        })?;
        let Some((fid, volume, history)) = found else {
            return Err(FilesError::Unknown(format!("trash {trash_id}")));
        };
        if self.remove_history(volume, &history)? {
            self.forget(vec![Kept::Trash { id: trash_id, fid }])?;
        }
        Ok(())
    }
}
