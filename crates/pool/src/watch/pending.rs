//! Hints that wait to be taken: joined where they say the same, bounded in number.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Hint, WatchKey};
use crate::VolumePath;

/// Most names and folders that wait for all volumes together; beyond, everything counts as changed.
pub const NAMES_MAX: usize = 20_000;

/// Most names of one folder; beyond, the folder is listed as a whole.
pub const FOLDER_NAMES_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Pending {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct State {
    volumes: HashMap<WatchKey, Changed>,
    count: usize,
    awake: bool,
}

#[derive(Debug)]
enum Changed {
    Everything,
    /// By folder; `None` is the folder as a whole.
    Some(BTreeMap<VolumePath, Option<BTreeSet<String>>>),
}

impl Changed {
    fn count(&self) -> usize {
        match self {
            Self::Everything => 1,
            Self::Some(folders) => folders.values().map(weight).sum(),
        }
    }
}

fn weight(names: &Option<BTreeSet<String>>) -> usize {
    names.as_ref().map_or(1, BTreeSet::len)
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn everything(&self, key: WatchKey) {
        self.lock().everything(key);
        self.came.notify_all();
    }

    pub(super) fn name(&self, key: WatchKey, folder: VolumePath, name: &str) {
        let mut state = self.lock();
        let names = state.names(key, folder);
        let grown = match names {
            Some(Some(names)) => names.insert(name.to_owned()),
            Some(None) | None => false,
        };
        if let Some(entry) = names
            && entry
                .as_ref()
                .is_some_and(|names| names.len() > FOLDER_NAMES_MAX)
        {
            *entry = None;
            state.count -= FOLDER_NAMES_MAX - 1;
        } else if grown {
            state.count += 1;
        }
        state.bound(key);
        drop(state);
        self.came.notify_all();
    }

    pub(super) fn folder(&self, key: WatchKey, folder: VolumePath) {
        let mut state = self.lock();
        if let Some(entry) = state.names(key, folder)
            && entry.is_some()
        {
            let before = weight(entry);
            *entry = None;
            state.count = state.count + 1 - before;
        }
        state.bound(key);
        drop(state);
        self.came.notify_all();
    }

    pub(super) fn forget(&self, key: WatchKey) {
        let mut state = self.lock();
        if let Some(changed) = state.volumes.remove(&key) {
            state.count -= changed.count();
        }
    }

    pub(super) fn wake(&self) {
        self.lock().awake = true;
        self.came.notify_all();
    }

    pub(super) fn take(&self, timeout: Duration) -> Vec<(WatchKey, Vec<Hint>)> {
        let end = Instant::now() + timeout;
        let mut state = self.lock();
        while state.volumes.is_empty() && !state.awake {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.came.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.awake = false;
        state.count = 0;
        let volumes = std::mem::take(&mut state.volumes);
        drop(state);
        volumes
            .into_iter()
            .map(|(key, changed)| (key, hints(changed)))
            .collect()
    }
}

impl State {
    /// The waiting names of a folder; `None` if the whole volume waits anyway.
    fn names(
        &mut self,
        key: WatchKey,
        folder: VolumePath,
    ) -> Option<&mut Option<BTreeSet<String>>> {
        let fresh = || Changed::Some(BTreeMap::new());
        match self.volumes.entry(key).or_insert_with(fresh) {
            Changed::Everything => None,
            Changed::Some(folders) => Some(
                folders
                    .entry(folder)
                    .or_insert_with(|| Some(BTreeSet::new())),
            ),
        }
    }

    fn everything(&mut self, key: WatchKey) {
        if let Some(before) = self.volumes.insert(key, Changed::Everything) {
            self.count -= before.count();
        }
        self.count += 1;
    }

    fn bound(&mut self, key: WatchKey) {
        if self.count > NAMES_MAX {
            self.everything(key);
        }
    }
}

fn hints(changed: Changed) -> Vec<Hint> {
    match changed {
        Changed::Everything => vec![Hint::Everything],
        Changed::Some(folders) => folders
            .into_iter()
            .map(|(folder, names)| match names {
                Some(names) => Hint::Names { folder, names },
                None => Hint::Folder(folder),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> VolumePath {
        VolumePath::parse(text).unwrap()
    }

    #[test]
    fn hints_of_one_folder_are_joined_and_many_names_become_the_folder() {
        let pending = Pending::default();
        pending.name(1, path("a"), "x");
        pending.name(1, path("a"), "x");
        pending.name(1, path("a"), "y");
        let names = ["x", "y"].map(String::from).into();
        let folder = path("a");
        assert_eq!(
            pending.take(Duration::ZERO),
            [(1, vec![Hint::Names { folder, names }])]
        );
        for n in 0..200 {
            pending.name(1, path("a"), &n.to_string());
        }
        assert_eq!(pending.lock().count, 1);
        assert_eq!(
            pending.take(Duration::ZERO),
            [(1, vec![Hint::Folder(path("a"))])]
        );
    }

    #[test]
    fn too_many_hints_become_everything() {
        let pending = Pending::default();
        for n in 0..NAMES_MAX + 1 {
            pending.name(7, path(&n.to_string()), "x");
        }
        pending.folder(7, path("late"));
        assert_eq!(pending.lock().count, 1);
        assert_eq!(pending.take(Duration::ZERO), [(7, vec![Hint::Everything])]);
        assert_eq!(pending.take(Duration::ZERO), []);
    }

    #[test]
    fn a_folder_hint_takes_the_place_of_its_names() {
        let pending = Pending::default();
        pending.name(1, path("a"), "x");
        pending.name(1, path("a"), "y");
        pending.folder(1, path("a"));
        pending.folder(1, path("b"));
        assert_eq!(pending.lock().count, 2);
        pending.forget(1);
        assert_eq!(pending.lock().count, 0);
    }
}
