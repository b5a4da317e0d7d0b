//! The changes that are not yet on the model disk, in order, and how each is undone.

use std::collections::HashSet;

use super::damage::Dice;
use crate::{HistoryName, LocalVolume, Spot, TempName, Volume, VolumeError, VolumePath};

/// The shelf of history where removed things wait for their removal to be durable.
pub(super) const ATTIC: &str = "model-attic";

/// A folder whose flush makes changes durable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Ground {
    Tmp,
    /// The top of history.
    History,
    /// A folder in history.
    Shelf(String),
    /// A visible one, by inode.
    At(u64),
}

/// [`Spot`], owned.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Path(VolumePath),
    Temp(TempName),
    History(HistoryName),
}

impl From<Spot<'_>> for Place {
    fn from(spot: Spot<'_>) -> Self {
        match spot {
            Spot::Path(path) => Self::Path(path.clone()),
            Spot::Temp(name) => Self::Temp(name.clone()),
            Spot::History(name) => Self::History(name.clone()),
        }
    }
}

impl Place {
    fn spot(&self) -> Spot<'_> {
        match self {
            Self::Path(path) => Spot::Path(path),
            Self::Temp(name) => Spot::Temp(name),
            Self::History(name) => Spot::History(name),
        }
    }

    fn attic(&self) -> Option<&HistoryName> {
        match self {
            Self::History(name) if name.shelf() == Some(ATTIC) => Some(name),
            Self::Path(_) | Self::Temp(_) | Self::History(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Created {
        temp: TempName,
    },
    Made {
        at: VolumePath,
    },
    /// A removal too: then `to` is in the attic.
    Renamed {
        from: Place,
        to: Place,
        whole_folder: bool,
    },
    Exchanged {
        temp: TempName,
        at: VolumePath,
    },
}

#[derive(Debug)]
struct Entry {
    change: Change,
    folders: Vec<Ground>,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    pending: Vec<Entry>,
    removed: u64,
    /// Gone from where they were, not yet safe on their shelf.
    halves: Vec<HistoryName>,
}

impl Journal {
    pub(super) fn add(&mut self, change: Change, folders: Vec<Ground>) {
        self.pending.push(Entry { change, folders });
    }

    /// A fresh name in the attic.
    pub(super) fn attic(&mut self) -> HistoryName {
        self.removed += 1;
        HistoryName::new(&format!("{ATTIC}/{}", self.removed)).expect("two plain names")
    }

    /// As [`Journal::settle`] by a caller who flushes `folders` and lets go of the rest: of a
    /// rename to a shelf that is not among them only the half in its old folder is durable, until
    /// the shelf is flushed.
    pub(super) fn settle_by_halves(
        &mut self,
        disk: &LocalVolume,
        folders: &[Ground],
    ) -> Result<(), VolumeError> {
        let before = self.to_shelves();
        self.settle(disk, folders)?;
        let still = self.to_shelves();
        self.halves.extend(before);
        let flushed = |name: &HistoryName| folders.contains(&of_history(name));
        self.halves
            .retain(|name| !flushed(name) && !still.contains(name));
        Ok(())
    }

    fn to_shelves(&self) -> Vec<HistoryName> {
        let to = self.pending.iter().filter_map(|entry| match &entry.change {
            Change::Renamed {
                to: Place::History(name),
                ..
            } if name.shelf().is_some_and(|shelf| shelf != ATTIC) => Some(name.clone()),
            Change::Renamed { .. }
            | Change::Created { .. }
            | Change::Made { .. }
            | Change::Exchanged { .. } => None,
        });
        to.collect()
    }

    /// Makes durable what happened in these folders, and everything earlier that shares a folder
    /// with it. After a move of a whole folder the paths of all earlier changes differ, so it
    /// takes all of them along.
    pub(super) fn settle(
        &mut self,
        disk: &LocalVolume,
        folders: &[Ground],
    ) -> Result<(), VolumeError> {
        let mut wanted: HashSet<Ground> = folders.iter().cloned().collect();
        let mut all = false;
        let mut kept = Vec::new();
        for entry in self.pending.drain(..).rev() {
            if !all && !entry.folders.iter().any(|f| wanted.contains(f)) {
                kept.push(entry);
                continue;
            }
            wanted.extend(entry.folders.iter().cloned());
            all |= matches!(
                entry.change,
                Change::Renamed {
                    whole_folder: true,
                    ..
                }
            );
            forget(disk, &entry.change)?;
        }
        kept.reverse();
        self.pending = kept;
        Ok(())
    }

    pub(super) fn settle_all(&mut self, disk: &LocalVolume) -> Result<(), VolumeError> {
        self.halves.clear();
        let mut pending = self.pending.drain(..);
        pending.try_for_each(|entry| forget(disk, &entry.change))
    }

    /// Undoes a random stretch of the latest changes; gives their number.
    pub(super) fn lose(&mut self, disk: &LocalVolume, dice: &mut Dice) -> usize {
        let kept = dice.below(self.pending.len() + 1);
        let lost = self.pending.split_off(kept);
        for entry in lost.iter().rev() {
            undo(disk, &entry.change)
                .unwrap_or_else(|e| panic!("cannot undo {:?}: {e}", entry.change));
        }
        for half in std::mem::take(&mut self.halves) {
            match disk.remove(Spot::History(&half)) {
                Ok(()) | Err(VolumeError::NotFound { .. }) => {}
                Err(error) => panic!("cannot lose {half}: {error}"),
            }
        }
        self.settle_all(disk).expect("what was removed can go");
        lost.len()
    }
}

/// The folder that a name of history lies in.
pub(super) fn of_history(name: &HistoryName) -> Ground {
    match name.shelf() {
        Some(shelf) => Ground::Shelf(shelf.into()),
        None => Ground::History,
    }
}

/// A durable removal needs no way back.
fn forget(disk: &LocalVolume, change: &Change) -> Result<(), VolumeError> {
    match change {
        Change::Renamed { to, .. } => match to.attic() {
            Some(name) => disk.remove(Spot::History(name)),
            None => Ok(()),
        },
        Change::Created { .. } | Change::Made { .. } | Change::Exchanged { .. } => Ok(()),
    }
}

fn undo(disk: &LocalVolume, change: &Change) -> Result<(), VolumeError> {
    match change {
        Change::Created { temp } => disk.remove(Spot::Temp(temp)),
        Change::Made { at } => disk.remove(Spot::Path(at)),
        Change::Renamed { from, to, .. } => disk.rename(to.spot(), from.spot()),
        Change::Exchanged { temp, at } => disk.exchange(temp, at),
    }
}
