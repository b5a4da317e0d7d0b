//! After the answer: renames reach the disk, then their intents go away (`commit.md` step 8).
//!
//! One thread per tree. What it has not done at a crash, recovery does again from the intents. It
//! also tries again what a failing disk left half done ("stuck"): until that is clear nobody else
//! gets at the entry.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pool::VolumePath;
use protocol::VolumeId;

use crate::disk::{Resumed, resume};
use crate::intent::{Intent, remove};
use crate::reserve::Reserved;
use crate::wave::Note;
use crate::{Files, FilesError, Inner};

/// So many finished changes are settled at the next look, without waiting for the interval.
const BATCH: usize = 2048;

/// From this many folders on, the whole file system is flushed instead.
const FOLDERS_MAX: usize = 32;

/// A finished change that waits for its flush.
pub(crate) struct Finished {
    id: i64,
    volume: VolumeId,
    /// The folders that it touched.
    folders: Vec<VolumePath>,
    moves: bool,
}

impl Finished {
    pub(crate) fn of(intent: &Intent) -> Self {
        Self {
            id: intent.id,
            volume: intent.volume,
            folders: intent.folders(),
            moves: intent.moves(),
        }
    }
}

#[derive(Default)]
struct Waiting {
    finished: Vec<Finished>,
    /// Moves that are not settled yet, those of a pass under way too.
    moves: usize,
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
        waiting.finished.extend(finished);
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
        let settling = &self.0.settling;
        let _pass = settling.pass.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = std::mem::take(&mut settling.lock().stuck);
        for (intent, reserved) in stuck {
            self.retry(intent, reserved);
        }
        let finished = std::mem::take(&mut settling.lock().finished);
        if finished.is_empty() {
            return Ok(());
        }
        let flushed = self.flush_folders(&finished);
        if let Err(error) = flushed {
            settling.lock().finished.extend(finished);
            return Err(error);
        }
        fail::fail_point!("n5", |_| Ok(()));
        let moves = finished.iter().filter(|one| one.moves).count();
        let ids: Vec<i64> = finished.iter().map(|one| one.id).collect();
        let forgotten = self.0.db.write(move |tx| {
            for id in ids {
                remove(tx, id)?;
            }
            Ok::<_, FilesError>(())
        });
        if let Err(error) = forgotten {
            settling.lock().finished.extend(finished);
            return Err(error);
        }
        settling.lock().moves -= moves;
        Ok(())
    }

    /// Flushes earlier moves before a next one. Recovery knows a moved file by its inode in its old
    /// place; were it moved away and back between two flushes, it could not tell the first move
    /// from one that never happened.
    pub(crate) fn settle_moves(&self) -> Result<(), FilesError> {
        if self.0.settling.lock().moves == 0 {
            return Ok(());
        }
        self.settle()
    }

    fn flush_folders(&self, finished: &[Finished]) -> Result<(), FilesError> {
        let mut folders: HashMap<VolumeId, BTreeSet<VolumePath>> = HashMap::new();
        for one in finished {
            folders
                .entry(one.volume)
                .or_default()
                .extend(one.folders.iter().cloned());
        }
        for (volume, touched) in folders {
            // What is detached was flushed when it was.
            let Some(volume) = self.0.volumes.get(volume) else {
                continue;
            };
            if touched.len() > FOLDERS_MAX {
                volume.sync_all()?;
            } else {
                let touched: Vec<_> = touched.into_iter().collect();
                volume.sync_folders(&touched)?;
            }
        }
        Ok(())
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
            self.0.settling.push(vec![Finished::of(intent)]);
        }
        self.publish(news);
        Ok(())
    }
}
