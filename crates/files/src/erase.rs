//! Removing kept content for good, in two steps that a crash may part.
//!
//! First, while the entry is reserved, one transaction looks again, takes the rows away and notes
//! the names in history in `removals`: from then on nothing leads to the content. Then the files
//! go, then their notes. A restore holds the same reservation, so it finds the whole thing or
//! nothing of it. What a crash or a missing disk leaves is in the notes
//! ([`Files::finish_removals`]).

use std::collections::{HashMap, HashSet};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use pool::{HistoryName, Spot, VolumeError};
use protocol::{Fid, SpaceId, VolumeId};
use rusqlite::{Connection, OptionalExtension};

use crate::record::forget_rows;
use crate::reserve::{Claims, Key, Reserved};
use crate::{Files, FilesError};

/// Files removed between two looks at the notes.
const CHUNK: i64 = 512;

/// One kept thing, as it was when somebody looked.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    Version { fid: Fid, rev: i64, history: String },
    Trash { id: i64, fid: Fid },
}

impl Kept {
    fn fid(&self) -> Fid {
        match self {
            Self::Version { fid, .. } | Self::Trash { fid, .. } => *fid,
        }
    }
}

/// Names in history that lead nowhere any more.
struct Note {
    id: i64,
    volume: VolumeId,
    history: String,
}

impl Files {
    /// Takes things out of the catalog; true for each that was still there and that nobody was
    /// busy with. Their files are there until [`Files::erase`].
    pub(crate) fn take_out(&self, things: &[Kept]) -> Result<Vec<bool>, FilesError> {
        let mut reserved: HashMap<Fid, Option<Reserved>> = HashMap::new();
        let mut free = Vec::new();
        for thing in things {
            let held = reserved
                .entry(thing.fid())
                .or_insert_with_key(|fid| self.0.reservations.try_claim(&alone(*fid)));
            free.push(held.is_some().then(|| thing.clone()));
        }
        self.0.db.write(move |tx| {
            let out = |thing: Option<Kept>| thing.map_or(Ok(false), |thing| take_one(tx, &thing));
            free.into_iter().map(out).collect()
        })
    }

    /// Waits until nobody is busy with an entry and reserves it.
    pub(crate) fn reserve_entry(&self, fid: Fid, wait: Duration) -> Result<Reserved, FilesError> {
        let reserved = self.0.reservations.claim(&alone(fid), wait);
        reserved.ok_or(FilesError::Busy(fid))
    }

    /// Removes one thing from the trash for good.
    ///
    /// # Errors
    /// [`FilesError::Unknown`] if it is not in the trash, or was restored meanwhile.
    pub fn purge(&self, trash_id: i64) -> Result<(), FilesError> {
        let unknown = || FilesError::Unknown(format!("trash {trash_id}"));
        let fid = self.0.db.read(|tx| {
            Ok::<_, FilesError>(
                tx.prepare_cached("SELECT fid FROM trash WHERE id = ?1")?
                    .query_row([trash_id], |row| row.get(0).map(Fid))
                    .optional()?,
            )
        })?;
        let fid = fid.ok_or_else(unknown)?;
        let reserved = self.reserve_entry(fid, self.0.settings.wait)?;
        let thing = Kept::Trash { id: trash_id, fid };
        let gone = self.0.db.write(move |tx| take_one(tx, &thing))?;
        drop(reserved);
        if !gone {
            return Err(unknown());
        }
        self.erase()
    }

    /// Finishes what a crash, or a disk that was away, left of earlier removals.
    ///
    /// # Errors
    /// If the catalog or the home volume does not answer; what is left is tried again.
    pub fn finish_removals(&self) -> Result<(), FilesError> {
        self.finish_space_purges()?;
        self.erase()
    }

    /// Removes the files of all notes, as far as their disks are here.
    pub(crate) fn erase(&self) -> Result<(), FilesError> {
        let mut after = 0;
        loop {
            let (notes, last) = self.claim_notes(after)?;
            let Some(last) = last else {
                return Ok(());
            };
            after = last;
            let claimed = Claimed {
                files: self,
                ids: notes.iter().map(|note| note.id).collect(),
            };
            // A finished change may still name such a file until its renames are flushed.
            let unsettled = self.settle_volumes()?;
            let here = notes
                .iter()
                .filter(|note| !unsettled.contains_key(&note.volume));
            let mut gone = Vec::new();
            for note in here {
                if self.remove_history(note.volume, &note.history)? {
                    gone.push(note.id);
                }
            }
            self.0.db.write(move |tx| {
                let mut forget = tx.prepare_cached("DELETE FROM removals WHERE id = ?1")?;
                for id in gone {
                    forget.execute([id])?;
                }
                Ok::<_, FilesError>(())
            })?;
            drop(claimed);
        }
    }

    /// The next notes, without those that somebody else is at, and the last number looked at.
    fn claim_notes(&self, after: i64) -> Result<(Vec<Note>, Option<i64>), FilesError> {
        let mut busy = self.erasing();
        let mut notes: Vec<Note> = self.0.db.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT id, volume, history FROM removals WHERE id > ?1 ORDER BY id LIMIT ?2",
            )?;
            let rows = statement.query_map((after, CHUNK), |row| {
                Ok(Note {
                    id: row.get(0)?,
                    volume: VolumeId(row.get(1)?),
                    history: row.get(2)?,
                })
            })?;
            Ok::<_, FilesError>(rows.collect::<Result<_, _>>()?)
        })?;
        let last = notes.last().map(|note| note.id);
        notes.retain(|note| !busy.contains(&note.id));
        busy.extend(notes.iter().map(|note| note.id));
        Ok((notes, last))
    }

    fn erasing(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.0
            .erasing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a file or tree from history; false if its volume is not here.
    fn remove_history(&self, volume: VolumeId, history: &str) -> Result<bool, FilesError> {
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
}

/// Notes that are being worked on, until this is dropped.
struct Claimed<'a> {
    files: &'a Files,
    ids: Vec<i64>,
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        let mut busy = self.files.erasing();
        for id in &self.ids {
            busy.remove(id);
        }
    }
}

fn alone(fid: Fid) -> Claims {
    let mut claims = Claims::default();
    claims.alone(Key::Entry(fid));
    claims
}

/// Notes that a file in history shall go.
pub(crate) fn note_removal(
    tx: &Connection,
    volume: VolumeId,
    history: &str,
) -> Result<(), FilesError> {
    tx.prepare_cached("INSERT INTO removals (volume, history) VALUES (?1, ?2)")?
        .execute((volume.0, history))?;
    Ok(())
}

fn take_one(tx: &Connection, thing: &Kept) -> Result<bool, FilesError> {
    match thing {
        Kept::Version { fid, rev, history } => {
            // Content that another program overwrote left a row and no file.
            let volume = tx
                .prepare_cached(
                    "DELETE FROM versions WHERE fid = ?1 AND rev = ?2 AND history = ?3 \
                     RETURNING volume",
                )?
                .query_row((fid.0, rev, history), |row| row.get(0).map(VolumeId))
                .optional()?;
            if let Some(volume) = volume.filter(|_| !history.is_empty()) {
                note_removal(tx, volume, history)?;
            }
            Ok(volume.is_some())
        }
        Kept::Trash { id, fid } => {
            let noted = tx
                .prepare_cached(
                    "INSERT INTO removals (volume, history) \
                     SELECT volume, history FROM trash WHERE id = ?1 AND fid = ?2",
                )?
                .execute((id, fid.0))?;
            if noted == 0 {
                return Ok(false);
            }
            for sql in [
                "INSERT INTO removals (volume, history) SELECT volume, history FROM versions \
                 WHERE history <> '' AND fid IN (SELECT fid FROM tree)",
                "DELETE FROM versions WHERE fid IN (SELECT fid FROM tree)",
            ] {
                tx.prepare_cached(&format!(
                    "WITH RECURSIVE tree (fid) AS (VALUES (?1) UNION ALL \
                     SELECT e.fid FROM entries e JOIN tree t ON e.parent = t.fid) {sql}"
                ))?
                .execute([fid.0])?;
            }
            forget_rows(tx, *fid)?;
            tx.prepare_cached("DELETE FROM trash WHERE id = ?1")?
                .execute([id])?;
            Ok(true)
        }
    }
}

/// As [`note_removal`], for all that was kept of a space.
pub(crate) fn note_space(tx: &Connection, id: SpaceId, tree: &str) -> Result<(), FilesError> {
    tx.execute(
        &format!(
            "{tree} INSERT INTO removals (volume, history) \
             SELECT volume, history FROM versions \
             WHERE history <> '' AND fid IN (SELECT fid FROM tree) \
             UNION ALL SELECT volume, history FROM trash WHERE space = ?1"
        ),
        [id.0],
    )?;
    Ok(())
}
