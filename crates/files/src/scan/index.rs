//! The first reading of a folder: all its names at once, in a few large transactions.
//!
//! Until then a folder carries the flag "indexing" and nothing is known about what is in it. It is
//! read in the background, or at once when somebody looks into it, so that a bound folder can be
//! used from the start. What comes in this way gets no audit row of its own: the bind, or the new
//! folder, has one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use database::Pending;
use pool::{FileKind, FileStat, VolumePath};
use protocol::{EntryName, Fid};
use rusqlite::params;

use super::compare::Difference;
use super::ground;
use crate::log::ChangeOp;
use crate::record::{INSERT_ENTRY, LogRow, Recorder};
use crate::reserve::{Claims, Key, Reserved};
use crate::row::{self, INDEXING, Row, kind_number};
use crate::walk::{Walk, walk, walk_up};
use crate::{At, Files, FilesError, Kind};

/// Rows of one transaction: other writers wait for no more than these.
const CHUNK: usize = 5_000;

/// Transactions on their way at the same time.
const AHEAD: usize = 2;

type Names = Vec<(EntryName, FileStat)>;

impl Files {
    /// Reads a folder if nobody has yet; gives the number of new entries. A folder whose volume
    /// does not answer stays as it is.
    pub(crate) fn index_folder(&self, fid: Fid) -> Result<u64, FilesError> {
        if !self.0.unread.load(Ordering::Relaxed) || !self.is_unread(fid)? {
            return Ok(0);
        }
        let Some(reserved) = self.reserve_folder(fid)? else {
            return Ok(0);
        };
        // Somebody else may have read it while we waited.
        if !self.is_unread(fid)? {
            return Ok(0);
        }
        let found = self.0.db.read(|tx| walk_up(tx, fid))?;
        let Some(spotted) = found else {
            return Ok(0);
        };
        let Ok(volume) = self.readable(spotted.volume) else {
            return Ok(0);
        };
        let path = &spotted.path;
        let listed = volume.list(path).and_then(|items| {
            let top = volume.stat(pool::Spot::Path(&VolumePath::top()))?;
            Ok((items, top.map_or(0, |stat| stat.device)))
        });
        let (items, device) = match listed {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, "a folder could not be read");
                return Ok(0);
            }
        };
        let compare = |tx: &_| ground::compare_folder(tx, fid, items, device);
        let compared = self.0.db.read(compare)?;
        let names: Names = compared
            .differences
            .into_iter()
            .filter_map(|difference| match difference {
                Difference::New { name, stat } => Some((name, stat)),
                Difference::Changed { .. }
                | Difference::Touched { .. }
                | Difference::Gone { .. } => None,
            })
            .collect();
        let count = names.len() as u64;
        if names.iter().any(|(_, stat)| stat.kind == FileKind::Folder) {
            self.note_unread();
        }
        self.insert_all(spotted.row(), names)?;
        drop(reserved);
        Ok(count)
    }

    /// Notes that some folder may be unread from now on.
    pub(crate) fn note_unread(&self) {
        self.0.unread.store(true, Ordering::Relaxed);
    }

    /// Looks whether any folder is unread; only while none is, can looking be saved.
    pub(super) fn count_unread(&self) -> Result<u64, FilesError> {
        self.0.unread.store(false, Ordering::Relaxed);
        let count: i64 = self.0.db.read(|tx| {
            let sql = format!("SELECT count(*) FROM entries WHERE kind = 1 AND flags & {INDEXING}");
            Ok::<_, FilesError>(tx.prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
        })?;
        if count > 0 {
            self.note_unread();
        }
        Ok(count.cast_unsigned())
    }

    /// Reads the folders on the way to a place that nobody has read yet; true if there were any.
    pub(crate) fn index_on_the_way(&self, at: &At) -> Result<bool, FilesError> {
        if !self.0.unread.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let mut read = false;
        // Each round reads one more folder of the path.
        for _ in 0..=at.path.names().len() {
            let unread = self.0.db.read(|tx| {
                Ok::<_, FilesError>(
                    match walk(tx, at)? {
                        Walk::Free(spotted) => Some(spotted.row().clone()),
                        Walk::NoParent { depth } => {
                            let names = at.path.names()[..depth].to_vec();
                            let missing = At {
                                space: at.space,
                                path: protocol::TreePath::new(names)?,
                            };
                            match walk(tx, &missing)? {
                                Walk::Free(spotted) => Some(spotted.row().clone()),
                                Walk::Found(_)
                                | Walk::NoSpace
                                | Walk::NoParent { .. }
                                | Walk::FileInTheWay => None,
                            }
                        }
                        Walk::Found(_) | Walk::NoSpace | Walk::FileInTheWay => None,
                    }
                    .filter(|row| row.kind == Kind::Folder && row.is(INDEXING)),
                )
            })?;
            match unread {
                Some(row) => read |= self.index_folder(row.fid)? > 0,
                None => break,
            }
        }
        Ok(read)
    }

    /// Reads all folders of a tree that nobody has read yet, so that a copy of it is whole.
    pub(crate) fn index_tree(&self, top: Fid) -> Result<(), FilesError> {
        while self.0.unread.load(Ordering::Relaxed) {
            let unread = self.0.db.read(|tx| unread_below(tx, top))?;
            let Some(first) = unread.first() else {
                return Ok(());
            };
            for fid in &unread {
                self.index_folder(*fid)?;
            }
            if self.is_unread(*first)? {
                return Err(FilesError::Unread(*first));
            }
        }
        Ok(())
    }

    fn is_unread(&self, fid: Fid) -> Result<bool, FilesError> {
        self.0.db.read(|tx| {
            let row = row::by_fid(tx, fid)?;
            Ok(row.is_some_and(|row| row.kind == Kind::Folder && row.is(INDEXING)))
        })
    }

    /// The folder for us alone: nobody writes in it meanwhile.
    pub(super) fn reserve_folder(&self, fid: Fid) -> Result<Option<Reserved>, FilesError> {
        let chain = self.chain(fid)?;
        let mut claims = Claims::default();
        claims.alone(Key::Entry(fid));
        claims.shared(chain.into_iter().skip(1));
        Ok(self.0.reservations.claim(&claims, self.0.settings.wait))
    }

    fn insert_all(&self, folder: &Row, mut names: Names) -> Result<(), FilesError> {
        let mut waiting = std::collections::VecDeque::new();
        loop {
            let rest = names.split_off(names.len().min(CHUNK));
            let last = rest.is_empty();
            waiting.push_back(self.insert_chunk(folder, names, last));
            if waiting.len() >= AHEAD
                && let Some(first) = waiting.pop_front()
            {
                self.publish(Pending::wait(first)?);
            }
            if last {
                break;
            }
            names = rest;
        }
        for pending in waiting {
            self.publish(pending.wait()?);
        }
        Ok(())
    }

    fn insert_chunk(&self, folder: &Row, names: Names, last: bool) -> Pending<News, FilesError> {
        let witness = Arc::clone(&self.0.witness);
        let (now, folder) = (self.now(), folder.clone());
        self.0.db.write_later(move |tx| {
            let mut recorder = Recorder::new(tx, witness.as_ref(), now);
            insert(&mut recorder, &folder, &names)?;
            if last {
                tx.prepare_cached("UPDATE entries SET flags = flags & ~?2 WHERE fid = ?1")?
                    .execute((folder.fid.0, INDEXING))?;
            }
            recorder.finish()
        })
    }
}

fn unread_below(tx: &rusqlite::Connection, top: Fid) -> Result<Vec<Fid>, FilesError> {
    let mut statement = tx.prepare_cached(
        "WITH RECURSIVE tree (fid, flags) AS (SELECT fid, flags FROM entries WHERE fid = ?1 AND kind = 1 \
         UNION ALL SELECT e.fid, e.flags FROM entries e JOIN tree t ON e.parent = t.fid \
         WHERE e.kind = 1) SELECT fid FROM tree WHERE flags & ?2",
    )?;
    let fids = statement.query_map((top.0, INDEXING), |row| row.get(0).map(Fid))?;
    Ok(fids.collect::<Result<_, _>>()?)
}

type News = std::collections::HashMap<protocol::SpaceId, protocol::Seq>;

fn insert(
    recorder: &mut Recorder<'_>,
    folder: &Row,
    names: &[(EntryName, FileStat)],
) -> Result<(), FilesError> {
    if names.is_empty() {
        return Ok(());
    }
    let files = names.iter().filter(|(_, stat)| stat.kind == FileKind::File);
    let bytes = files.map(|(_, stat)| stat.size).sum::<u64>();
    let first = recorder.seqs(folder.space, names.len(), bytes.cast_signed())?;
    let tx = recorder.tx;
    let mut statement = tx.prepare_cached(INSERT_ENTRY)?;
    let mut seq = first;
    for (name, stat) in names {
        let (kind, size) = match stat.kind {
            FileKind::File => (Kind::File, stat.size),
            FileKind::Folder | FileKind::Symlink | FileKind::Other => (Kind::Folder, 0),
        };
        statement.execute(params![
            folder.space.0,
            folder.fid.0,
            name.as_str(),
            kind_number(kind),
            seq.0,
            size.cast_signed(),
            stat.mtime_ns,
            stat.ctime_ns,
            row::millis(stat.mtime_ns).0,
            stat.inode.cast_signed(),
            None::<[u8; 32]>,
            INDEXING,
            None::<i64>,
        ])?;
        let fid = Fid(tx.last_insert_rowid());
        let change = LogRow {
            fid,
            op: ChangeOp::Created,
            parent: Some(folder.fid),
            name,
            old: None,
            account: None,
        };
        recorder.log(folder.space, seq, seq, &change)?;
        seq.0 += 1;
    }
    recorder.bump(Some(folder.fid), protocol::Seq(seq.0 - 1));
    Ok(())
}
