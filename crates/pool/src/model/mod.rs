//! A disk that forgets: wraps a [`LocalVolume`] and, at a crash, loses what was not flushed.
//!
//! Feature `model`, for durability tests: `kill -9` keeps the page cache and so proves nothing
//! about flushes. The model follows what journaling file systems promise (ext4, xfs, btrfs):
//! a rename, a new name or a removal happens as a whole or not at all; flushing a folder makes
//! durable what happened in it, and everything earlier that this stands on; of the rest some
//! stretch of the latest is lost, never one from the middle. The content of a file that was not
//! flushed may be whole, cut, empty or end in zeros.
//!
//! Power can be cut before any chosen operation ([`ModelVolume::cut_power_after`]): from then on
//! every call fails, as if the process were gone, until [`ModelVolume::crash`].

mod damage;
mod journal;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    Facts, FileKind, FileStat, Folder, HistoryName, Identity, Item, LocalVolume, Space, Spot, Temp,
    TempName, Volume, VolumeError, VolumePath, VolumeState, VolumeUuid,
};
use damage::Dice;
use journal::{ATTIC, Change, Ground, Journal, Place, of_history};

/// A volume that loses what was not flushed when [`ModelVolume::crash`] is called.
#[derive(Debug)]
pub struct ModelVolume {
    disk: LocalVolume,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    off: bool,
    operations: u64,
    cut_at: Option<u64>,
    halves: bool,
    flushes_fail: bool,
    journal: Journal,
    /// Files made since the last crash, by inode: how many bytes of each are safe.
    safe_bytes: HashMap<u64, u64>,
}

impl State {
    fn settle(&mut self, disk: &LocalVolume, folders: &[Ground]) -> Result<(), VolumeError> {
        if self.halves {
            return self.journal.settle_by_halves(disk, folders);
        }
        self.journal.settle(disk, folders)
    }
}

/// What a crash took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loss {
    /// Renames, new names and removals that did not happen.
    pub changes: usize,
    /// Files whose content was damaged.
    pub files: usize,
}

impl ModelVolume {
    /// Wraps a volume whose content so far is safe.
    #[must_use]
    pub fn new(disk: LocalVolume) -> Self {
        Self {
            disk,
            state: Mutex::default(),
        }
    }

    /// Operations so far that could change or flush something.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Lets `count` more operations happen; then the power is off.
    pub fn cut_power_after(&self, count: u64) {
        let mut state = self.lock();
        state.cut_at = Some(state.operations + count);
    }

    /// From now on behaves as a file system without one ordered journal in this: what was moved
    /// to a shelf of history is lost at a crash once its old folder is flushed and until
    /// [`Volume::sync_folders`] is told of the shelf.
    pub fn lose_halves(&self) {
        self.lock().halves = true;
    }

    /// Lets every flush fail, as a broken disk does, or none again.
    pub fn fail_flushes(&self, fail: bool) {
        self.lock().flushes_fail = fail;
    }

    /// Turns the power off now.
    pub fn cut_power(&self) {
        self.lock().off = true;
    }

    /// True once the power is off.
    pub fn is_off(&self) -> bool {
        self.lock().off
    }

    /// Loses what `seed` says of what was not flushed, and turns the power on again. Whoever
    /// used the volume must have let go of it, as a process that died.
    ///
    /// # Panics
    /// If the file system below does not let an operation be undone, which is a bug here.
    pub fn crash(&self, seed: u64) -> Loss {
        let mut state = self.lock();
        let mut dice = Dice::new(seed);
        let changes = state.journal.lose(&self.disk, &mut dice);
        let files = damage::damage(self.disk.root(), &state.safe_bytes, &mut dice);
        let operations = state.operations;
        let halves = state.halves;
        *state = State {
            operations,
            halves,
            ..State::default()
        };
        Loss { changes, files }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state for an operation that only looks.
    fn looking(&self) -> Result<MutexGuard<'_, State>, VolumeError> {
        let state = self.lock();
        if state.off {
            return Err(off());
        }
        Ok(state)
    }

    /// The state for an operation that counts.
    fn acting(&self) -> Result<MutexGuard<'_, State>, VolumeError> {
        let mut state = self.looking()?;
        if state.cut_at == Some(state.operations) {
            state.off = true;
            return Err(off());
        }
        state.operations += 1;
        Ok(state)
    }

    /// The state for an operation that counts and flushes.
    fn flushing(&self) -> Result<MutexGuard<'_, State>, VolumeError> {
        let state = self.acting()?;
        if state.flushes_fail {
            return Err(VolumeError::Io {
                action: "flush",
                at: "the model disk".into(),
                source: std::io::Error::other("it was told to fail"),
            });
        }
        Ok(state)
    }

    /// The folder that a change at `at` happens in.
    fn folder_of(&self, at: Spot<'_>) -> Result<Ground, VolumeError> {
        match at {
            Spot::Temp(_) => Ok(Ground::Tmp),
            Spot::History(name) => Ok(of_history(name)),
            Spot::Path(path) => match path.parent() {
                Some(parent) => self.folder_itself(&parent),
                None => self.folder_itself(path),
            },
        }
    }

    fn folder_itself(&self, path: &VolumePath) -> Result<Ground, VolumeError> {
        let stat = self.disk.stat(Spot::Path(path))?;
        Ok(Ground::At(stat.map_or(0, |stat| stat.inode)))
    }

    fn made(
        &self,
        at: &VolumePath,
        make: fn(&LocalVolume, &VolumePath) -> Result<FileStat, VolumeError>,
    ) -> Result<FileStat, VolumeError> {
        let mut state = self.acting()?;
        let parent = self.folder_of(Spot::Path(at))?;
        let stat = make(&self.disk, at)?;
        let touched = vec![parent, Ground::At(stat.inode)];
        state.journal.add(Change::Made { at: at.clone() }, touched);
        Ok(stat)
    }

    fn renamed(&self, from: Spot<'_>, to: Spot<'_>) -> Result<(Change, Vec<Ground>), VolumeError> {
        let mut touched = vec![self.folder_of(from)?, self.folder_of(to)?];
        let stat = self.disk.stat(from)?;
        let folder = stat.filter(|stat| stat.kind == FileKind::Folder);
        touched.extend(folder.map(|stat| Ground::At(stat.inode)));
        self.disk.rename(from, to)?;
        let change = Change::Renamed {
            from: Place::from(from),
            to: Place::from(to),
            whole_folder: folder.is_some(),
        };
        Ok((change, touched))
    }
}

fn off() -> VolumeError {
    VolumeError::Io {
        action: "use",
        at: "the model disk".into(),
        source: std::io::Error::other("its power is off"),
    }
}

impl Volume for ModelVolume {
    fn id(&self) -> &VolumeUuid {
        self.disk.id()
    }

    fn identity(&self) -> Identity {
        self.disk.identity()
    }

    fn root(&self) -> &Path {
        self.disk.root()
    }

    fn facts(&self) -> Facts {
        self.disk.facts()
    }

    fn state(&self) -> VolumeState {
        self.disk.state()
    }

    fn space(&self) -> Result<Space, VolumeError> {
        let _on = self.looking()?;
        self.disk.space()
    }

    fn temp(&self) -> Result<Temp, VolumeError> {
        let mut state = self.acting()?;
        let temp = self.disk.temp()?;
        let stat = FileStat::of(&temp.file)
            .map_err(|e| VolumeError::sort_io("look at", Spot::Temp(&temp.name), e))?;
        state.safe_bytes.insert(stat.inode, 0);
        let change = Change::Created {
            temp: temp.name.clone(),
        };
        state.journal.add(change, vec![Ground::Tmp]);
        Ok(temp)
    }

    fn flush(&self, file: &File) -> Result<(), VolumeError> {
        let mut state = self.flushing()?;
        let stat = FileStat::of(file).map_err(|source| VolumeError::Io {
            action: "flush",
            at: "a file".into(),
            source,
        })?;
        state.safe_bytes.insert(stat.inode, stat.size);
        state.settle(&self.disk, &[Ground::Tmp])
    }

    fn sync_folders(&self, folders: &[Folder]) -> Result<(), VolumeError> {
        let mut state = self.flushing()?;
        let mut synced = vec![Ground::Tmp, Ground::History];
        for folder in folders {
            synced.push(match folder {
                Folder::Visible(path) => self.folder_itself(path)?,
                Folder::Shelf(shelf) => Ground::Shelf(shelf.as_str().into()),
            });
        }
        state.settle(&self.disk, &synced)
    }

    fn sync_all(&self) -> Result<(), VolumeError> {
        let mut state = self.flushing()?;
        for (_, stat) in damage::files(self.disk.root()) {
            if let Some(safe) = state.safe_bytes.get_mut(&stat.inode) {
                *safe = stat.size;
            }
        }
        state.journal.settle_all(&self.disk)
    }

    fn stat(&self, at: Spot<'_>) -> Result<Option<FileStat>, VolumeError> {
        let _on = self.looking()?;
        self.disk.stat(at)
    }

    fn stat_of(&self, file: &File) -> Result<FileStat, VolumeError> {
        self.disk.stat_of(file)
    }

    fn open(&self, at: Spot<'_>) -> Result<File, VolumeError> {
        let _on = self.looking()?;
        self.disk.open(at)
    }

    fn list(&self, at: &VolumePath) -> Result<Vec<Item>, VolumeError> {
        let _on = self.looking()?;
        self.disk.list(at)
    }

    fn make_folder(&self, at: &VolumePath) -> Result<FileStat, VolumeError> {
        self.made(at, LocalVolume::make_folder)
    }

    fn make_private_folder(&self, at: &VolumePath) -> Result<FileStat, VolumeError> {
        self.made(at, LocalVolume::make_private_folder)
    }

    fn rename(&self, from: Spot<'_>, to: Spot<'_>) -> Result<(), VolumeError> {
        let mut state = self.acting()?;
        let (change, touched) = self.renamed(from, to)?;
        state.journal.add(change, touched);
        Ok(())
    }

    fn exchange(&self, temp: &TempName, at: &VolumePath) -> Result<(), VolumeError> {
        let mut state = self.acting()?;
        let parent = self.folder_of(Spot::Path(at))?;
        self.disk.exchange(temp, at)?;
        let change = Change::Exchanged {
            temp: temp.clone(),
            at: at.clone(),
        };
        state.journal.add(change, vec![Ground::Tmp, parent]);
        Ok(())
    }

    fn rewrite(&self, at: Spot<'_>, content: &[u8], mtime_ns: i64) -> Result<(), VolumeError> {
        let mut state = self.acting()?;
        self.disk.rewrite(at, content, mtime_ns)?;
        if let Some(stat) = self.disk.stat(at)? {
            state.safe_bytes.insert(stat.inode, stat.size);
        }
        Ok(())
    }

    /// Moves the thing where it can come back from if the removal is lost.
    fn remove(&self, at: Spot<'_>) -> Result<(), VolumeError> {
        let mut state = self.acting()?;
        if let Spot::Path(path) = at
            && !self.disk.list(path)?.is_empty()
        {
            return self.disk.remove(at);
        }
        let attic = state.journal.attic();
        let (change, mut touched) = self.renamed(at, Spot::History(&attic))?;
        // The attic is of the model, not of the disk.
        touched.retain(|ground| *ground != of_history(&attic));
        state.journal.add(change, touched);
        Ok(())
    }

    fn copy(&self, from: &File, to: &Temp) -> Result<u64, VolumeError> {
        let _on = self.acting()?;
        self.disk.copy(from, to)
    }

    fn temps(&self) -> Result<Vec<TempName>, VolumeError> {
        let _on = self.looking()?;
        self.disk.temps()
    }

    fn list_history(&self, shelf: Option<&HistoryName>) -> Result<Vec<Item>, VolumeError> {
        let _on = self.looking()?;
        let mut items = self.disk.list_history(shelf)?;
        items.retain(|item| shelf.is_some() || item.name != ATTIC);
        Ok(items)
    }
}

#[cfg(test)]
mod tests;
