//! Edits by other programs: how they enter the tree, and who is told to look for them.
//!
//! The scanner compares a folder with its rows and hands the differences to
//! [`Files::commit_outside`], all of one folder in one transaction. Readers and writers that meet a
//! difference leave a [`Hint`].

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use pool::{FileKind, FileStat, VolumePath};
use protocol::{EntryName, Fid, Hash, VolumeId};
use rusqlite::{Connection, params};

use crate::log::ChangeOp;
use crate::record::{INSERT_ENTRY, LogRow, Recorder, not_lost, tree_bytes};
use crate::reserve::{Claims, Key};
use crate::row::{self, INDEXING, Row, kind_number};
use crate::{Action, Author, Files, FilesError, Kind};

/// Hints that are kept apart; more become "look everywhere".
const HINTS_MAX: usize = 10_000;

/// Where another program may have been.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hint {
    /// In this folder of a volume.
    Folder(VolumeId, VolumePath),
    /// Anywhere on a volume.
    Volume(VolumeId),
}

/// Called when a hint has come.
type Bell = Box<dyn Fn() + Send + Sync>;

/// Hints that nobody has taken yet.
#[derive(Default)]
pub(crate) struct Hints {
    waiting: Mutex<HashSet<Hint>>,
    arrived: Condvar,
    bell: Mutex<Option<Bell>>,
}

impl Hints {
    pub(crate) fn push(&self, volume: VolumeId, folder: Option<VolumePath>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= HINTS_MAX {
            waiting.retain(|hint| !matches!(hint, Hint::Folder(of, _) if *of == volume));
            waiting.insert(Hint::Volume(volume));
        } else {
            waiting.insert(match folder {
                Some(folder) => Hint::Folder(volume, folder),
                None => Hint::Volume(volume),
            });
        }
        drop(waiting);
        self.arrived.notify_one();
        if let Some(bell) = &*self.bell.lock().unwrap_or_else(PoisonError::into_inner) {
            bell();
        }
    }

    /// Calls `bell` at each hint from now on, instead of the one before.
    pub(crate) fn ring(&self, bell: impl Fn() + Send + Sync + 'static) {
        *self.bell.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(bell));
    }

    fn take(&self, wait: Duration) -> Vec<Hint> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut waiting, _) = self
            .arrived
            .wait_timeout_while(waiting, wait, |hints| hints.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        waiting.drain().collect()
    }
}

/// One difference between a folder on the disk and its rows.
#[derive(Debug, Clone)]
pub enum OutsideEdit {
    /// Something new.
    Added {
        /// The folder that it is in.
        parent: Fid,
        /// Its name.
        name: EntryName,
        /// Its stat.
        stat: FileStat,
        /// Of a file, if read already; else it is "indexing".
        hash: Option<Hash>,
    },
    /// New content or mtime, or a new inode, of a file.
    Changed {
        /// Which.
        fid: Fid,
        /// Its stat.
        stat: FileStat,
        /// If read already; else it is "indexing".
        hash: Option<Hash>,
    },
    /// The content is read: the hash of an entry whose stat is still this one. No new revision.
    Hashed {
        /// Which.
        fid: Fid,
        /// The stat before and after reading.
        stat: FileStat,
        /// Of the content.
        hash: Hash,
    },
    /// Only inode or ctime differ, the content is the same. No new revision.
    Same {
        /// Which.
        fid: Fid,
        /// Its stat.
        stat: FileStat,
    },
    /// Gone from the disk, with all below.
    Removed {
        /// Which.
        fid: Fid,
    },
    /// The same inode under another name.
    Moved {
        /// Which.
        fid: Fid,
        /// The folder that it is in now.
        parent: Fid,
        /// Its name there.
        name: EntryName,
        /// Its stat.
        stat: FileStat,
    },
}

impl OutsideEdit {
    /// The entry itself with its name: the writer of a new entry has reserved no more than that.
    fn claims(&self, tx: &Connection) -> Result<Claims, FilesError> {
        let mut claims = Claims::default();
        let known = match self {
            // The writer of a new entry has its inode still under a temporary name.
            Self::Added { .. } | Self::Moved { .. } => None,
            Self::Changed { fid, .. }
            | Self::Hashed { fid, .. }
            | Self::Same { fid, .. }
            | Self::Removed { fid } => row::by_fid(tx, *fid)?,
        };
        if let Some(row) = known
            && let Some(parent) = row.parent
        {
            claims.alone(Key::Slot(parent, row.name));
        }
        match self {
            Self::Added { parent, name, .. } => {
                claims.alone(Key::Slot(*parent, name.clone()));
                claims.shared([*parent]);
            }
            Self::Changed { fid, .. }
            | Self::Hashed { fid, .. }
            | Self::Same { fid, .. }
            | Self::Removed { fid } => claims.alone(Key::Entry(*fid)),
            Self::Moved {
                fid, parent, name, ..
            } => {
                claims.alone(Key::Entry(*fid));
                claims.alone(Key::Slot(*parent, name.clone()));
                claims.shared([*parent]);
            }
        }
        Ok(claims)
    }
}

impl Files {
    /// Takes all hints, waiting up to `wait` for the first.
    pub fn hints(&self, wait: Duration) -> Vec<Hint> {
        self.0.hints.take(wait)
    }

    /// Commits edits that other programs made, in one transaction, author "outside". Gives for each
    /// the entry concerned, or `None` where a writer of ours is at it or the rows have changed
    /// meanwhile: the caller looks again later.
    pub fn commit_outside(&self, edits: Vec<OutsideEdit>) -> Result<Vec<Option<Fid>>, FilesError> {
        let claims: Vec<Claims> = self.0.db.read(|tx| {
            edits
                .iter()
                .map(|edit| edit.claims(tx))
                .collect::<Result<_, _>>()
        })?;
        let reserved: Vec<_> = claims
            .iter()
            .map(|claims| self.0.reservations.try_claim(claims))
            .collect();
        let free: Vec<bool> = reserved
            .iter()
            .zip(&edits)
            .map(|(reserved, edit)| reserved.is_some() && self.still_holds(edit))
            .collect();
        let witness = Arc::clone(&self.0.witness);
        let now = self.now();
        let (fids, news) = self.0.db.write(move |tx| {
            let mut recorder = Recorder::new(tx, witness.as_ref(), now);
            let mut fids = Vec::with_capacity(edits.len());
            for (edit, free) in edits.iter().zip(free) {
                fids.push(if free {
                    apply(&mut recorder, edit)?
                } else {
                    None
                });
            }
            Ok::<_, FilesError>((fids, recorder.finish()?))
        })?;
        drop(reserved);
        self.publish(news);
        Ok(fids)
    }
}

fn apply(recorder: &mut Recorder<'_>, edit: &OutsideEdit) -> Result<Option<Fid>, FilesError> {
    let tx = recorder.tx;
    let live = |fid: Fid| -> Result<Option<Row>, FilesError> {
        Ok(row::by_fid(tx, fid)?.filter(|row| row.parent.is_some()))
    };
    match edit {
        OutsideEdit::Added {
            parent,
            name,
            stat,
            hash,
        } => added(recorder, *parent, name, stat, *hash),
        OutsideEdit::Changed { fid, stat, hash } => {
            let Some(row) = live(*fid)?.filter(|row| row.kind == Kind::File) else {
                return Ok(None);
            };
            recorder.changed_outside(&row, stat, *hash)?;
            Ok(Some(*fid))
        }
        OutsideEdit::Hashed { fid, stat, hash } => {
            let Some(row) = live(*fid)?.filter(|row| row.agrees(stat)) else {
                return Ok(None);
            };
            tx.prepare_cached("UPDATE entries SET hash = ?2, flags = ?3 WHERE fid = ?1")?
                .execute((fid.0, hash.0, row.flags & !INDEXING))?;
            not_lost(tx, *fid, *hash)?;
            Ok(Some(*fid))
        }
        OutsideEdit::Same { fid, stat } => {
            tx.prepare_cached(
                "UPDATE entries SET inode = ?2, ctime_ns = ?3, \
                 mtime_ns = CASE kind WHEN 0 THEN ?4 ELSE mtime_ns END WHERE fid = ?1",
            )?
            .execute((
                fid.0,
                stat.inode.cast_signed(),
                stat.ctime_ns,
                stat.mtime_ns,
            ))?;
            Ok(Some(*fid))
        }
        OutsideEdit::Removed { fid } => {
            let Some(row) = live(*fid)? else {
                return Ok(None);
            };
            let path = path_of(recorder, &row)?;
            let bytes = tree_bytes(tx, *fid)?;
            recorder.remove_tree(&row, None, bytes)?;
            recorder.fact(
                &Author::outside(),
                Action::Delete,
                row.space,
                row.fid,
                &path,
                Some(row.rev),
                None,
            )?;
            Ok(Some(*fid))
        }
        OutsideEdit::Moved {
            fid,
            parent,
            name,
            stat,
        } => moved(recorder, *fid, *parent, name, stat),
    }
}

fn added(
    recorder: &mut Recorder<'_>,
    parent: Fid,
    name: &EntryName,
    stat: &FileStat,
    hash: Option<Hash>,
) -> Result<Option<Fid>, FilesError> {
    let tx = recorder.tx;
    let kind = match stat.kind {
        FileKind::File => Kind::File,
        FileKind::Folder => Kind::Folder,
        FileKind::Symlink | FileKind::Other => return Ok(None),
    };
    let Some(folder) = row::by_fid(tx, parent)?.filter(|row| row.kind == Kind::Folder) else {
        return Ok(None);
    };
    if row::by_place(tx, parent, name.as_str())?.is_some() {
        return Ok(None);
    }
    let size = if kind == Kind::File { stat.size } else { 0 };
    let seq = recorder.seq(folder.space, size.cast_signed())?;
    let flags = if hash.is_none() { INDEXING } else { 0 };
    tx.prepare_cached(INSERT_ENTRY)?.execute(params![
        folder.space.0,
        parent.0,
        name.as_str(),
        kind_number(kind),
        seq.0,
        size.cast_signed(),
        stat.mtime_ns,
        stat.ctime_ns,
        row::millis(stat.mtime_ns).0,
        stat.inode.cast_signed(),
        hash.map(|hash| hash.0),
        flags,
        None::<i64>,
    ])?;
    let fid = Fid(tx.last_insert_rowid());
    let change = LogRow {
        fid,
        op: ChangeOp::Created,
        parent: Some(parent),
        name,
        old: None,
        account: None,
    };
    recorder.log(folder.space, seq, seq, &change)?;
    recorder.bump(Some(parent), seq);
    let row = recorder.row(fid)?;
    let path = path_of(recorder, &row)?;
    let action = match kind {
        Kind::File => Action::Create,
        Kind::Folder => Action::MakeFolder,
    };
    recorder.fact(
        &Author::outside(),
        action,
        row.space,
        fid,
        &path,
        None,
        Some(seq),
    )?;
    Ok(Some(fid))
}

fn moved(
    recorder: &mut Recorder<'_>,
    fid: Fid,
    parent: Fid,
    name: &EntryName,
    stat: &FileStat,
) -> Result<Option<Fid>, FilesError> {
    let tx = recorder.tx;
    let (Some(row), Some(folder)) = (row::by_fid(tx, fid)?, row::by_fid(tx, parent)?) else {
        return Ok(None);
    };
    let Some(old_parent) = row.parent else {
        return Ok(None);
    };
    let taken = row::by_place(tx, parent, name.as_str())?.is_some();
    if taken || row.space != folder.space || crate::conditions::is_below(tx, parent, fid)? {
        return Ok(None);
    }
    let old_path = path_of(recorder, &row)?;
    let seq = recorder.seq(row.space, 0)?;
    tx.prepare_cached(
        "UPDATE entries SET parent = ?2, name = ?3, mrev = ?4, ctime_ns = ?5 WHERE fid = ?1",
    )?
    .execute((fid.0, parent.0, name.as_str(), seq.0, stat.ctime_ns))?;
    let change = LogRow {
        fid,
        op: ChangeOp::Moved,
        parent: Some(parent),
        name,
        old: Some((old_parent, &row.name)),
        account: None,
    };
    recorder.log(row.space, seq, row.rev, &change)?;
    recorder.bump(Some(old_parent), seq);
    recorder.bump(Some(parent), seq);
    let after = recorder.row(fid)?;
    let path = format!("{old_path} -> {}", path_of(recorder, &after)?);
    recorder.fact(
        &Author::outside(),
        Action::Move,
        row.space,
        fid,
        &path,
        Some(row.rev),
        Some(row.rev),
    )?;
    Ok(Some(fid))
}

fn path_of(recorder: &Recorder<'_>, row: &Row) -> Result<String, FilesError> {
    Ok(match crate::walk::walk_up(recorder.tx, row.fid)? {
        Some(spotted) => spotted.at()?.path.to_string(),
        None => row.name.to_string(),
    })
}
