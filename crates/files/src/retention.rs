//! Retention: how long versions and trash stay, and how much room they may take.
//!
//! Two rules. Age: trash and versions go after 30 days, refused content after 7; before that,
//! versions of one file are thinned: the newest of each hour for a day, then of each day. Room: what
//! is kept takes at most half of the free space of its volume, else the oldest goes first.
//!
//! How something goes is in `erase.rs`. A pass works from a list that may be old when its turn
//! comes: each thing is looked at again under its reservation.

use protocol::{Fid, Timestamp, VolumeId};

use crate::erase::Kept;
use crate::record::REASON_REFUSED;
use crate::{Files, FilesError};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Things removed between two looks at the catalog.
const CHUNK: usize = 512;

/// What a pass removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Versions removed.
    pub versions: usize,
    /// Things in the trash removed.
    pub trashed: usize,
    /// Bytes freed.
    pub bytes: u64,
    /// Disks whose free room could not be told, each with the reason: nothing went there for room.
    pub skipped: Vec<String>,
}

#[derive(Debug, Clone)]
struct Row {
    kept: Kept,
    volume: VolumeId,
    size: u64,
    at: Timestamp,
    refused: bool,
}

impl Files {
    /// Removes what is too old or too much. A disk that does not answer is left out and told.
    pub fn retention_pass(&self, now: Timestamp) -> Result<RetentionReport, FilesError> {
        let mut report = RetentionReport::default();
        let kept = self.kept()?;
        let (doomed, kept) = self.split_by_age(kept, now);
        self.remove_all(doomed, &mut report)?;
        for (id, volume) in self.0.volumes.all() {
            let free = match volume.space() {
                Ok(space) => space.free,
                Err(error) => {
                    let root = volume.root().display();
                    report.skipped.push(format!("{root}: {error}"));
                    continue;
                }
            };
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
                        history: row.get(3)?,
                    },
                    volume: VolumeId(row.get(2)?),
                    size: row.get::<_, i64>(4)?.cast_unsigned(),
                    at: Timestamp(row.get(5)?),
                    refused: row.get::<_, i64>(6)? == REASON_REFUSED,
                })
            })?;
            for row in found {
                rows.push(row?);
            }
            let mut trash =
                tx.prepare_cached("SELECT id, fid, volume, size, deleted_at FROM trash")?;
            let found = trash.query_map([], |row| {
                Ok(Row {
                    kept: Kept::Trash {
                        id: row.get(0)?,
                        fid: Fid(row.get(1)?),
                    },
                    volume: VolumeId(row.get(2)?),
                    size: row.get::<_, i64>(3)?.cast_unsigned(),
                    at: Timestamp(row.get(4)?),
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

    /// Busy things are left for the next pass, and so is what lies on a disk that is away: without
    /// its room known, nothing of it is too much.
    fn remove_all(&self, rows: Vec<Row>, report: &mut RetentionReport) -> Result<(), FilesError> {
        for chunk in rows.chunks(CHUNK) {
            let here: Vec<&Row> = chunk.iter().filter(|r| !self.is_away(r.volume)).collect();
            let things: Vec<Kept> = here.iter().map(|row| row.kept.clone()).collect();
            let gone = self.take_out(&things)?;
            for (row, _) in here.into_iter().zip(gone).filter(|(_, gone)| *gone) {
                match row.kept {
                    Kept::Version { .. } => report.versions += 1,
                    Kept::Trash { .. } => report.trashed += 1,
                }
                report.bytes += row.size;
            }
            self.erase()?;
        }
        Ok(())
    }
}
