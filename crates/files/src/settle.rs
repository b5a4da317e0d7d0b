//! After the answer: renames reach the disk, then their intents go away (`commit.md` step 8).
//!
//! One thread per tree. What it has not done at a crash, recovery does again from the intents. It
//! also tries again what a failing disk left half done ("stuck"): until that is clear nobody else
//! gets at the entry.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pool::{FileStat, Folder, Spot, Volume, VolumeError};
use protocol::{Fid, VolumeId};

use crate::disk::{Resumed, resume};
use crate::intent::{Intent, remove};
use crate::note::{Finished, Note, Wrote};
use crate::record::settle_ctime;
use crate::reserve::Reserved;
use crate::{Files, FilesError, Inner, Kind};

/// So many finished changes are settled at the next look, without waiting for the interval.
const BATCH: usize = 2048;

/// From this many folders on, the whole file system is flushed instead.
const FOLDERS_MAX: usize = 32;

/// From this many written files on, the whole file system is flushed instead.
const FILES_MAX: usize = 16;

/// So many intents go away in one transaction.
const FORGET_PIECE: usize = 256;

/// What finished changes touched on one volume.
#[derive(Default)]
struct Touched<'a> {
    folders: BTreeSet<&'a Folder>,
    wrote: Vec<&'a Wrote>,
}

#[derive(Default)]
struct Waiting {
    finished: Vec<Finished>,
    /// Moves that are not settled yet, those of a pass under way too.
    moves: usize,
    /// Contents that only their intents hold for sure, those of a pass under way too.
    contents: usize,
    /// The files that were written, as they were put in place.
    written: HashMap<Fid, FileStat>,
    stuck: Vec<(Intent, Reserved)>,
    stopped: bool,
}

/// What waits for its flush.
#[derive(Default)]
pub(crate) struct Settling {
    waiting: Mutex<Waiting>,
    /// One pass at a time, so that a caller of `settle` knows that all is done.
    pass: Mutex<()>,
}

impl Settling {
    pub(crate) fn push(&self, finished: Vec<Finished>) {
        let mut waiting = self.lock();
        waiting.moves += finished.iter().filter(|one| one.moves).count();
        waiting.contents += finished.iter().filter(|one| one.wrote.is_some()).count();
        let written = finished.iter().filter_map(Finished::written);
        waiting.written.extend(written);
        waiting.finished.extend(finished);
    }

    /// True if a file is as a writer has put it in place, a moment ago.
    pub(crate) fn has_written(&self, fid: Fid, stat: &FileStat) -> bool {
        let as_put = |put: &FileStat| (put.inode, put.ctime_ns) == (stat.inode, stat.ctime_ns);
        self.lock().written.get(&fid).is_some_and(as_put)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The thread holds no strong handle while it waits; the next look ends it.
        self.settling.lock().stopped = true;
    }
}

/// Flushes a few written files where they were put; false if they are many, or one is no longer
/// there.
fn flush_each(volume: &dyn Volume, wrote: &[&Wrote]) -> Result<bool, VolumeError> {
    if wrote.len() > FILES_MAX {
        return Ok(false);
    }
    for one in wrote {
        let file = match volume.open(Spot::Path(&one.target)) {
            Ok(file) => file,
            Err(VolumeError::Away { root, why }) => return Err(VolumeError::Away { root, why }),
            Err(_) => return Ok(false),
        };
        let Some(written) = &one.stat else {
            return Ok(false);
        };
        if !FileStat::of(&file).is_ok_and(|now| now.inode == written.inode) {
            return Ok(false);
        }
        volume.flush(&file)?;
    }
    Ok(true)
}

fn flush_touched(volume: &dyn Volume, touched: Touched<'_>) -> Result<(), VolumeError> {
    if touched.folders.len() > FOLDERS_MAX || !flush_each(volume, &touched.wrote)? {
        return volume.sync_all();
    }
    let folders: Vec<_> = touched.folders.into_iter().cloned().collect();
    volume.sync_folders(&folders)
}

/// Starts the thread; it ends when the last handle is gone.
pub(crate) fn start(inner: &Arc<Inner>) -> Result<(), FilesError> {
    let weak = Arc::downgrade(inner);
    let interval = inner.settings.settle;
    std::thread::Builder::new()
        .name("files-settle".into())
        .spawn(move || {
            while let Some(files) = wait(&weak, interval) {
                if let Err(error) = files.settle() {
                    tracing::warn!(%error, "finished changes stay in the intents for now");
                }
            }
        })
        .map(drop)
        .map_err(|error| FilesError::Inconsistent(format!("no thread could be started: {error}")))
}

/// Sleeps in slices, so that a dropped tree is not kept alive by its own thread.
fn wait(weak: &Weak<Inner>, interval: std::time::Duration) -> Option<Files> {
    const SLICE: std::time::Duration = std::time::Duration::from_secs(1);
    let deadline = std::time::Instant::now() + interval;
    loop {
        let inner = weak.upgrade()?;
        let waiting = inner.settling.lock();
        if waiting.stopped {
            return None;
        }
        let due = std::time::Instant::now() >= deadline;
        if waiting.finished.len() >= BATCH || due {
            drop(waiting);
            return Some(Files(inner));
        }
        drop(waiting);
        drop(inner);
        std::thread::sleep(SLICE.min(interval));
    }
}

impl Files {
    /// Makes the renames of all finished changes durable and forgets their intents; tries stuck
    /// changes again. Runs by itself every few seconds; call it before a clean shutdown.
    ///
    /// # Errors
    /// If a volume or the catalog does not answer; the intents stay then.
    pub fn settle(&self) -> Result<(), FilesError> {
        let failed = self.settle_volumes()?;
        failed.into_values().next().map_or(Ok(()), Err)
    }

    /// As [`Files::settle`]; gives the volumes that do not answer, whose changes wait on. A disk
    /// that is away does not hold up the others.
    pub(crate) fn settle_volumes(&self) -> Result<HashMap<VolumeId, FilesError>, FilesError> {
        let settling = &self.0.settling;
        let _pass = settling.pass.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = std::mem::take(&mut settling.lock().stuck);
        for (intent, reserved) in stuck {
            self.retry(intent, reserved);
        }
        let finished = std::mem::take(&mut settling.lock().finished);
        if finished.is_empty() {
            return Ok(HashMap::new());
        }
        let failed = self.flush_finished(&finished);
        let (waiting, finished): (Vec<_>, Vec<_>) = finished
            .into_iter()
            .partition(|one| failed.contains_key(&one.volume));
        settling.lock().finished.extend(waiting);
        fail::fail_point!("n5", |_| Ok(HashMap::new()));
        let moves = finished.iter().filter(|one| one.moves).count();
        let contents = finished.iter().filter(|one| one.wrote.is_some()).count();
        if let Err(error) = self.forget_settled(&finished) {
            settling.lock().finished.extend(finished);
            return Err(error);
        }
        let mut waiting = settling.lock();
        waiting.moves -= moves;
        waiting.contents -= contents;
        for (fid, stat) in finished.iter().filter_map(Finished::written) {
            if waiting.written.get(&fid) == Some(&stat) {
                waiting.written.remove(&fid);
            }
        }
        Ok(failed)
    }

    /// Takes the intents away and notes the change times of what they wrote.
    fn forget_settled(&self, finished: &[Finished]) -> Result<(), FilesError> {
        // In pieces, so that writers need not wait long for the one transaction.
        for piece in finished.chunks(FORGET_PIECE) {
            let piece: Vec<_> = piece.iter().map(|one| (one.id, one.written())).collect();
            self.0.db.write(move |tx| {
                for (id, stat) in piece {
                    if let Some((fid, stat)) = stat {
                        settle_ctime(tx, fid, stat.inode, stat.ctime_ns)?;
                    }
                    remove(tx, id)?;
                }
                Ok::<_, FilesError>(())
            })?;
        }
        Ok(())
    }

    /// Flushes what recovery could not tell apart any more after the steps of `intent`.
    ///
    /// Recovery knows a moved file by its inode in its old place; were it moved away and back
    /// between two flushes, it could not tell the first move from one that never happened. And it
    /// looks for content that was not flushed where the intents say, not below a folder that has
    /// moved.
    pub(crate) fn settle_before(&self, intent: &Intent) -> Result<(), FilesError> {
        let displaces_folder = intent
            .displaced
            .as_ref()
            .is_some_and(|old| old.kind == Kind::Folder);
        if !intent.moves() && !displaces_folder {
            return Ok(());
        }
        let waiting = self.0.settling.lock();
        let clear = waiting.contents == 0 && (waiting.moves == 0 || !intent.moves());
        drop(waiting);
        if clear {
            return Ok(());
        }
        let mut failed = self.settle_volumes()?;
        failed.remove(&intent.volume).map_or(Ok(()), Err)
    }

    /// Flushes what the changes touched; gives the volumes where that failed.
    fn flush_finished(&self, finished: &[Finished]) -> HashMap<VolumeId, FilesError> {
        let mut touched: HashMap<VolumeId, Touched<'_>> = HashMap::new();
        for one in finished {
            let touched = touched.entry(one.volume).or_default();
            touched.folders.extend(&one.folders);
            touched.wrote.extend(&one.wrote);
        }
        let mut failed = HashMap::new();
        for (id, touched) in touched {
            // What is detached was flushed when it was.
            let Some(volume) = self.0.volumes.get(id) else {
                continue;
            };
            if let Err(error) = flush_touched(volume.as_ref(), touched) {
                failed.insert(id, FilesError::from(error));
            }
        }
        failed
    }

    /// Keeps a change whose disk steps or record failed half-way, with its reservation.
    pub(crate) fn stuck(&self, intent: Intent, reserved: Reserved) {
        tracing::error!(path = %intent.path, "a change is half done; it is tried again");
        self.0.settling.lock().stuck.push((intent, reserved));
    }

    fn retry(&self, intent: Intent, reserved: Reserved) {
        match self.resume_one(&intent) {
            Ok(()) => drop(reserved),
            Err(error) => {
                tracing::warn!(%error, path = %intent.path, "still half done");
                self.0.settling.lock().stuck.push((intent, reserved));
            }
        }
    }

    fn resume_one(&self, intent: &Intent) -> Result<(), FilesError> {
        let volume = self
            .0
            .volumes
            .get(intent.volume)
            .ok_or_else(|| FilesError::Unknown(format!("volume {}", intent.volume)))?;
        let note = match resume(volume.as_ref(), intent, false)? {
            Resumed::Carried(carried) => Note::Carried(carried),
            Resumed::Kept => Note::Outside(None),
            Resumed::Undone => Note::Undone,
        };
        if note.ends(intent) {
            volume.sync_all()?;
        }
        let (_, news) = self
            .record_notes(vec![(intent.clone(), note)])
            .map_err(|error| FilesError::Inconsistent(error.to_string()))?;
        if !matches!(note, Note::Undone) {
            let stat = match note {
                Note::Carried(carried) => carried.stat,
                Note::Refused | Note::Outside(_) | Note::Undone => None,
            };
            self.0.settling.push(vec![Finished::of(intent, stat)]);
        }
        self.publish(news);
        Ok(())
    }
}
