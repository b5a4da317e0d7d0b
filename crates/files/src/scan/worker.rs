//! The worker that keeps the catalog true to the disk: takes hints, looks, hashes when idle.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pool::watch::{Hint as WatchHint, Method, WatchOptions, Watcher};
use pool::{VolumePath, VolumeState};
use protocol::{EntryName, Timestamp, VolumeId};

use super::hash::{Cursor, Round, Step};
use super::pass::Pass;
use super::{ScanReport, ground};
use crate::outside::Hint;
use crate::{Files, FilesError};

/// At rest: between two looks whether a volume went or came back. Hints come at once.
const REST: Duration = Duration::from_secs(1);

/// While there is something to hash: the pause after each step of it.
const HASH_PAUSE: Duration = Duration::from_millis(125);

/// What a step of hashing takes: with the pause, half of one core.
const HASH_BUDGET: Duration = Duration::from_millis(125);

/// What is gone may show up under another name; the hint for that comes within this time.
const MOVE_GRACE: Duration = Duration::from_millis(500);

/// Names that wait for another look; beyond, their whole volume is looked at.
const AGAIN_MAX: usize = 10_000;

/// How the scanner works.
#[derive(Debug, Clone)]
pub struct ScannerOptions {
    /// Between two scans of everything.
    pub interval: Duration,
    /// Do not try fanotify.
    pub only_inotify: bool,
    /// Report what this process does on the disk by itself as well; for tests.
    pub own_writes: bool,
}

impl Default for ScannerOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(3600),
            only_inotify: false,
            own_writes: false,
        }
    }
}

/// What the scanner is doing.
#[derive(Debug, Clone, Default)]
pub struct ScannerStatus {
    /// How each volume is watched.
    pub watched: Vec<(VolumeId, Method)>,
    /// The end of the last scan of everything.
    pub last_full: Option<Timestamp>,
    /// Totals since the start.
    pub total: ScanReport,
    /// Files whose content waits to be hashed.
    pub to_hash: u64,
    /// What it does now.
    pub doing: String,
}

/// Told at each change of what the scanner is doing.
type Told = Box<dyn Fn(&ScannerStatus) + Send + Sync>;

/// The worker; [`Scanner::run`] is its thread.
pub struct Scanner {
    files: Files,
    watcher: Arc<Watcher>,
    options: ScannerOptions,
    status: Mutex<ScannerStatus>,
    told: Told,
}

/// What waits to be looked at on one volume.
#[derive(Debug, Default)]
struct Todo {
    everything: bool,
    folders: BTreeSet<VolumePath>,
    names: BTreeMap<VolumePath, BTreeSet<EntryName>>,
}

/// Names that are looked at again, each with its time.
type Again = BTreeMap<(VolumeId, VolumePath, EntryName), Instant>;

struct Work {
    todo: HashMap<VolumeId, Todo>,
    again: Again,
    watched: HashMap<VolumeId, Method>,
    next_full: Instant,
    cursor: Cursor,
    hashing: Hashing,
}

/// Whether files lack their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hashing {
    /// Some may.
    Due,
    /// None does.
    Done,
    /// Some do and cannot be read; they are tried again at that time, or when something changes.
    Stuck(Instant),
}

impl Scanner {
    /// A scanner of all volumes of `files`.
    pub fn new(files: Files, options: ScannerOptions) -> Result<Self, FilesError> {
        let watcher = Arc::new(Watcher::start(WatchOptions {
            only_inotify: options.only_inotify,
            own_writes: options.own_writes,
        })?);
        let woken = Arc::downgrade(&watcher);
        files.0.hints.ring(move || {
            if let Some(watcher) = woken.upgrade() {
                watcher.wake();
            }
        });
        Ok(Self {
            files,
            watcher,
            options,
            status: Mutex::default(),
            told: Box::new(|_| ()),
        })
    }

    /// Calls `told` whenever it turns to something else.
    #[must_use]
    pub fn telling(mut self, told: impl Fn(&ScannerStatus) + Send + Sync + 'static) -> Self {
        self.told = Box::new(told);
        self
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> ScannerStatus {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, ScannerStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doing(&self, what: impl Into<String>) {
        let what = what.into();
        let mut status = self.lock();
        if status.doing == what && status.to_hash == 0 {
            return;
        }
        status.doing = what;
        let now = status.clone();
        drop(status);
        (self.told)(&now);
    }

    /// Lets it look at its stop, or at the volumes, now.
    pub fn wake(&self) {
        self.watcher.wake();
    }

    /// Works until `stop` is set; looks at it every second and at each [`Scanner::wake`], though
    /// not within the look at one folder.
    pub fn run(&self, stop: &AtomicBool) {
        let mut work = Work {
            todo: HashMap::new(),
            again: BTreeMap::new(),
            watched: HashMap::new(),
            next_full: Instant::now() + self.options.interval,
            cursor: Cursor::default(),
            hashing: Hashing::Due,
        };
        while !stop.load(Ordering::Relaxed) {
            if let Err(error) = self.files.attach_returned() {
                tracing::warn!(%error, "a bound folder came back and could not be taken in");
            }
            self.watch(&mut work);
            self.gather(&mut work);
            if let Err(error) = self.turn(&mut work, stop) {
                // The catalog may come back; what was not done is found by the next full scan.
                tracing::warn!(%error, "the scan stopped short");
                std::thread::sleep(REST);
            }
        }
        self.doing("stopped");
    }

    /// Watches volumes that came, lets go of those that went.
    fn watch(&self, work: &mut Work) {
        let volumes = self.files.0.volumes.all();
        let here: HashMap<VolumeId, _> = volumes
            .into_iter()
            .filter(|(_, volume)| !matches!(volume.state(), VolumeState::Away { .. }))
            .collect();
        let gone: Vec<VolumeId> = work.watched.keys().copied().collect();
        for id in gone.into_iter().filter(|id| !here.contains_key(id)) {
            self.watcher.remove(id.0);
            work.watched.remove(&id);
            work.todo.remove(&id);
        }
        for (id, volume) in here {
            if work.watched.contains_key(&id) {
                continue;
            }
            match self.watcher.add(id.0, volume.root()) {
                Ok(method) => {
                    work.watched.insert(id, method);
                }
                Err(error) => tracing::warn!(%error, "not watched; found by full scans only"),
            }
        }
        let mut watched: Vec<_> = work.watched.iter().map(|(id, m)| (*id, *m)).collect();
        watched.sort_by_key(|(id, _)| *id);
        self.lock().watched = watched;
    }

    /// Takes hints from all sources.
    fn gather(&self, work: &mut Work) {
        for (key, hints) in self.watcher.wait(work.pause(Instant::now())) {
            let todo = work.todo.entry(VolumeId(key)).or_default();
            for hint in hints {
                todo.add(hint);
            }
        }
        for hint in self.files.hints(Duration::ZERO) {
            match hint {
                Hint::Folder(id, folder) => {
                    work.todo.entry(id).or_default().folders.insert(folder);
                }
                Hint::Volume(id) => work.todo.entry(id).or_default().everything = true,
            }
        }
        if Instant::now() >= work.next_full {
            work.next_full = Instant::now() + self.options.interval;
            for (id, _) in self.files.0.volumes.all() {
                work.todo.entry(id).or_default().everything = true;
            }
        }
    }

    fn turn(&self, work: &mut Work, stop: &AtomicBool) -> Result<(), FilesError> {
        let idle = work.todo.is_empty();
        for (id, todo) in std::mem::take(&mut work.todo) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            work.hashing = Hashing::Due;
            self.look(work, id, todo)?;
        }
        self.look_again(work)?;
        if idle && work.is_hashing(Instant::now()) {
            self.doing("hashing");
            if let Step::Over(round) = self.files.hash_some(&mut work.cursor, HASH_BUDGET)? {
                work.hashing = match round {
                    Round { found: 0, .. } => Hashing::Done,
                    Round { hashed: 0, .. } => {
                        Hashing::Stuck(Instant::now() + self.options.interval)
                    }
                    Round { .. } => Hashing::Due,
                };
            }
            self.lock().to_hash = self.files.count_unhashed()?;
        } else {
            self.doing("waiting");
        }
        Ok(())
    }

    /// Follows the hints of one volume.
    fn look(&self, work: &mut Work, id: VolumeId, todo: Todo) -> Result<(), FilesError> {
        self.doing(format!("looking at volume {id}"));
        if todo.everything {
            let (report, again) = self.files.scan_volume(id)?;
            self.lock().last_full = Some(self.files.now());
            self.note(work, id, &report, again);
            return Ok(());
        }
        let Some(mut pass) = Pass::new(&self.files, id) else {
            return Ok(());
        };
        for folder in todo.folders {
            self.files.look_into(&mut pass, id, &folder, None)?;
        }
        for (folder, names) in todo.names {
            self.files.look_into(&mut pass, id, &folder, Some(&names))?;
        }
        // What went may have come elsewhere; the hint for that may still be on its way.
        pass.defer_gone();
        self.note(work, id, &pass.report, pass.again);
        Ok(())
    }

    /// Looks at postponed names whose time has come; now what is gone is gone.
    fn look_again(&self, work: &mut Work) -> Result<(), FilesError> {
        let now = Instant::now();
        let due = work.again.extract_if(.., |_, time| *time <= now);
        let mut todo: HashMap<VolumeId, Todo> = HashMap::new();
        for ((id, folder, name), _) in due {
            let names = &mut todo.entry(id).or_default().names;
            names.entry(folder).or_default().insert(name);
        }
        for (id, todo) in todo {
            let Some(mut pass) = Pass::new(&self.files, id) else {
                continue;
            };
            for (folder, names) in todo.names {
                self.files.look_into(&mut pass, id, &folder, Some(&names))?;
            }
            pass.conclude()?;
            work.hashing = Hashing::Due;
            self.note(work, id, &pass.report, pass.again);
        }
        Ok(())
    }

    fn note(
        &self,
        work: &mut Work,
        id: VolumeId,
        report: &ScanReport,
        again: Vec<(VolumePath, EntryName)>,
    ) {
        self.lock().total.add(report);
        if work.again.len() + again.len() > AGAIN_MAX {
            work.again.retain(|(of, _, _), _| *of != id);
            work.todo.entry(id).or_default().everything = true;
            return;
        }
        let due = Instant::now() + self.files.0.settings.quiet.max(MOVE_GRACE);
        for (folder, name) in again {
            work.again.entry((id, folder, name)).or_insert(due);
        }
    }
}

impl Work {
    fn is_hashing(&self, now: Instant) -> bool {
        match self.hashing {
            Hashing::Due => true,
            Hashing::Done => false,
            Hashing::Stuck(until) => now >= until,
        }
    }

    /// How long it may sleep if nobody wakes it.
    fn pause(&self, now: Instant) -> Duration {
        if self.is_hashing(now) || !self.todo.is_empty() {
            return HASH_PAUSE;
        }
        let due = self.again.values().copied().min();
        let next = due.map_or(self.next_full, |due| due.min(self.next_full));
        next.saturating_duration_since(now).min(REST)
    }
}

impl Todo {
    fn add(&mut self, hint: WatchHint) {
        match hint {
            WatchHint::Everything => self.everything = true,
            WatchHint::Folder(folder) => {
                self.folders.insert(folder);
            }
            WatchHint::Names { folder, names } => {
                let names = names.iter().filter_map(|name| EntryName::new(name).ok());
                self.names.entry(folder).or_default().extend(names);
            }
        }
    }
}

impl Files {
    /// Looks at some names of a folder, or at all of it. Where the catalog does not know the folder,
    /// the first unknown name on the way to it is looked at.
    fn look_into(
        &self,
        pass: &mut Pass<'_>,
        id: VolumeId,
        path: &VolumePath,
        names: Option<&BTreeSet<EntryName>>,
    ) -> Result<(), FilesError> {
        let found = self.0.db.read(|tx| {
            let Some((fid, missing)) = ground::nearest(tx, id, path)? else {
                return Ok(None);
            };
            Ok::<_, FilesError>(ground::folder(tx, id, fid)?.map(|folder| (folder, missing)))
        })?;
        match (found, names) {
            (None, _) => Ok(()),
            (Some((folder, Some(missing))), _) => pass.names(&folder, [&missing]),
            (Some((folder, None)), Some(names)) => pass.names(&folder, names),
            (Some((folder, None)), None) => {
                let (_, fresh) = pass.folder(&folder)?;
                fresh.into_iter().try_for_each(|fid| pass.tree(fid))
            }
        }
    }
}
