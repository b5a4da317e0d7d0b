//! Hashes of content that came without one: read in the background, a part of the time only.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use pool::{FileStat, Spot, Volume, VolumePath};
use protocol::{Fid, Hash, VolumeId};
use rusqlite::params;

use crate::row::{COLUMNS, INDEXING, Row};
use crate::walk::walk_up;
use crate::{Files, FilesError};

const PIECE: usize = 256 * 1024;

/// Rows looked at in one step.
const STEP_ROWS: usize = 256;

/// Where the background hashing stands; it goes round and round through the files by number.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    after: i64,
    round: Round,
}

/// What one round through the files came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round {
    /// Files that lacked their hash.
    pub(super) found: u64,
    /// Of these, the ones that could be read.
    pub(super) hashed: u64,
}

/// A file with its place.
type Placed = (Row, VolumeId, VolumePath);

/// How one step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more.
    More,
    /// The round is over.
    Over(Round),
}

/// Hashes all of an open file; `None` if it changed meanwhile.
pub(super) fn hash_file(file: &mut File, before: &FileStat) -> std::io::Result<Option<Hash>> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => hasher.update(&piece[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
    let after = FileStat::of(file)?;
    let same = (after.size, after.mtime_ns, after.ctime_ns)
        == (before.size, before.mtime_ns, before.ctime_ns);
    Ok(same.then(|| Hash(*hasher.finalize().as_bytes())))
}

/// Opens and hashes what lies at a place, if it is the file that `stat` describes and stays so.
pub(crate) fn hash_at(volume: &dyn Volume, at: Spot<'_>, stat: &FileStat) -> Option<Hash> {
    let mut file = volume.open(at).ok()?;
    let now = volume.stat_of(&file).ok()?;
    if (now.inode, now.size, now.ctime_ns) != (stat.inode, stat.size, stat.ctime_ns) {
        return None;
    }
    hash_file(&mut file, &now).ok().flatten()
}

impl Files {
    /// Hashes files that lack it for about `budget`, from where `cursor` stands.
    pub(super) fn hash_some(
        &self,
        cursor: &mut Cursor,
        budget: Duration,
    ) -> Result<Step, FilesError> {
        let start = Instant::now();
        loop {
            let (rows, end) = self.unhashed(cursor.after)?;
            let Some(end) = end else {
                return Ok(Step::Over(std::mem::take(cursor).round));
            };
            let mut hashed = Vec::new();
            for (row, volume, path) in &rows {
                cursor.after = row.fid.0;
                cursor.round.found += 1;
                if let Some(volume) = self.readable(*volume).ok()
                    && let Ok(Some(stat)) = volume.stat(Spot::Path(path))
                    && row.agrees(&stat)
                    && let Some(hash) = hash_at(volume.as_ref(), Spot::Path(path), &stat)
                {
                    cursor.round.hashed += 1;
                    hashed.push((row.clone(), hash));
                }
                if start.elapsed() > budget {
                    self.store_hashes(hashed)?;
                    return Ok(Step::More);
                }
            }
            self.store_hashes(hashed)?;
            cursor.after = end.0;
        }
    }

    /// Some files without a hash and where they are, and the last number looked at.
    fn unhashed(&self, after: i64) -> Result<(Vec<Placed>, Option<Fid>), FilesError> {
        self.0.db.read(|tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM entries WHERE fid > ?1 AND kind = 0 AND flags & {INDEXING} \
                 ORDER BY fid LIMIT {STEP_ROWS}"
            );
            let mut statement = tx.prepare_cached(&sql)?;
            let rows: Vec<Row> = statement
                .query_map([after], Row::decode)?
                .collect::<Result<_, _>>()?;
            let end = rows.last().map(|row| row.fid);
            let mut placed = Vec::new();
            for row in rows {
                if let Some(spotted) = walk_up(tx, row.fid)? {
                    placed.push((row, spotted.volume, spotted.path));
                }
            }
            Ok((placed, end))
        })
    }

    /// The content is what it was, so neither its revision nor its ETag changes.
    fn store_hashes(&self, hashed: Vec<(Row, Hash)>) -> Result<(), FilesError> {
        if hashed.is_empty() {
            return Ok(());
        }
        self.0.db.write(move |tx| {
            let mut update = tx.prepare_cached(&format!(
                "UPDATE entries SET hash = ?2, flags = flags & ~{INDEXING} WHERE fid = ?1 \
                 AND kind = 0 AND inode = ?3 AND size = ?4 AND mtime_ns = ?5"
            ))?;
            for (row, hash) in hashed {
                update.execute(params![
                    row.fid.0,
                    hash.0,
                    row.inode.cast_signed(),
                    row.size.cast_signed(),
                    row.mtime_ns,
                ])?;
            }
            Ok::<_, FilesError>(())
        })
    }

    /// Number of files that lack their hash.
    pub(super) fn count_unhashed(&self) -> Result<u64, FilesError> {
        self.0.db.read(|tx| {
            let sql = format!(
                "SELECT count(*) FROM entries WHERE kind = 0 AND flags & {INDEXING} AND parent IS NOT NULL"
            );
            let count: i64 = tx.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
            Ok(count.cast_unsigned())
        })
    }
}
