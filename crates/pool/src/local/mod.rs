//! A volume on a file system of this machine.
//!
//! Cheap by design: `tmp`, `history` and the top stay open, so a place costs no lookup or one;
//! whether the volume is still there is looked at once a second at most.

mod beneath;
mod copy;
mod flush;
mod handles;
mod marker;
mod place;
mod probe;
mod swap;
#[cfg(test)]
mod tests;
mod tree;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::rights;
use crate::{
    Facts, FileKind, FileStat, Folder, HistoryName, Identity, Item, Space, Spot, Temp, TempName,
    Volume, VolumeError, VolumePath, VolumeState, VolumeUuid,
};
use handles::Handles;

/// How long an answer of [`Volume::state`] holds.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How to open a volume.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The volume that must be there. If it is not, the volume opens as away and comes back by
    /// itself. Without it a new volume is made where none is.
    pub expect: Option<Identity>,
    /// Pretend that the file system lacks what is false here; for tests of the fall-backs.
    pub mask: Option<Facts>,
}

/// A volume on a file system of this machine.
#[derive(Debug)]
pub struct LocalVolume {
    root: PathBuf,
    id: VolumeUuid,
    mask: Option<Facts>,
    there: RwLock<There>,
    looking: Mutex<()>,
    flushes: flush::FlushGroups,
    /// Holds readers off while a swap of two renames is under way; only taken where needed.
    gate: RwLock<()>,
}

#[derive(Debug)]
struct There {
    handles: Option<Arc<Handles>>,
    identity: Identity,
    state: VolumeState,
    looked: Instant,
}

impl LocalVolume {
    /// Opens the volume at `root`, an existing folder. Fails if there is no expectation and no
    /// folder; with an expectation an absent volume opens as away.
    pub fn open(root: &Path, options: Options) -> Result<Self, VolumeError> {
        let Options { expect, mask } = options;
        let (handles, identity, state) = match Handles::open(root, expect.as_ref()) {
            Ok(handles) => {
                let handles = masked(handles, mask);
                let state = state_of(&handles);
                let identity = handles.identity.clone();
                (Some(Arc::new(handles)), identity, state)
            }
            Err(error) => match expect {
                Some(expect) => (None, expect, VolumeState::Away { why: why(&error) }),
                None => return Err(error),
            },
        };
        Ok(Self {
            root: root.to_owned(),
            id: identity.uuid.clone(),
            mask,
            there: RwLock::new(There {
                handles,
                identity,
                state,
                looked: Instant::now(),
            }),
            looking: Mutex::new(()),
            flushes: flush::FlushGroups::default(),
            gate: RwLock::new(()),
        })
    }

    fn there(&self) -> RwLockReadGuard<'_, There> {
        self.there.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks again if the last look is too old. One thread looks, the others take the old answer.
    fn look(&self) {
        if self.there().looked.elapsed() < LOOK_INTERVAL {
            return;
        }
        let Ok(_one) = self.looking.try_lock() else {
            return;
        };
        let (current, identity) = {
            let there = self.there();
            (there.handles.clone(), there.identity.clone())
        };
        let handles = match current {
            Some(handles) => match handles.check(&self.root) {
                Ok(()) => Ok(handles),
                Err(_) => self.reopen(&identity),
            },
            None => self.reopen(&identity),
        };
        let state = match &handles {
            Ok(handles) => state_of(handles),
            Err(error) => VolumeState::Away { why: why(error) },
        };
        let mut there = self.there.write().unwrap_or_else(PoisonError::into_inner);
        if there.state != state {
            tracing::info!(root = %self.root.display(), ?state, "volume");
        }
        there.handles = handles.ok();
        if let Some(handles) = &there.handles {
            there.identity = handles.identity.clone();
        }
        there.state = state;
        there.looked = Instant::now();
    }

    fn reopen(&self, identity: &Identity) -> Result<Arc<Handles>, VolumeError> {
        let handles = Handles::open(&self.root, Some(identity))?;
        Ok(Arc::new(masked(handles, self.mask)))
    }

    /// The open descriptors, if the volume is there.
    fn handles(&self) -> Result<Arc<Handles>, VolumeError> {
        self.look();
        let there = self.there();
        match (&there.handles, &there.state) {
            (Some(handles), _) => Ok(Arc::clone(handles)),
            (None, VolumeState::Away { why }) => Err(self.away(why)),
            (None, VolumeState::Ready | VolumeState::ReadOnly { .. }) => Err(self.away("closed")),
        }
    }

    /// Makes a folder that is private until `open_up` has seen it and its parent.
    fn make(
        &self,
        at: &VolumePath,
        open_up: impl FnOnce(&File, &FileStat) -> std::io::Result<()>,
    ) -> Result<FileStat, VolumeError> {
        let handles = self.handles()?;
        let fail = |errno| VolumeError::sort_name("make the folder", Spot::Path(at), errno);
        let place = handles.place(Spot::Path(at)).map_err(fail)?;
        rustix::fs::mkdirat(place.folder(), place.name, Mode::RWXU).map_err(fail)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(place.folder(), place.name, flags, Mode::empty());
        let made = File::from(made.map_err(fail)?);
        let parent = rustix::fs::fstat(place.folder()).map_err(fail)?;
        open_up(&made, &FileStat::from_raw(&parent))
            .map_err(|e| VolumeError::sort_io("set the mode of", Spot::Path(at), e))?;
        let stat = rustix::fs::fstat(&made).map_err(fail)?;
        Ok(FileStat::from_raw(&stat).told_by(handles.facts))
    }

    fn away(&self, why: &str) -> VolumeError {
        VolumeError::Away {
            root: self.root.clone(),
            why: why.into(),
        }
    }

    /// Readers wait here only where a swap takes two renames.
    fn read_gate(&self, facts: Facts) -> Option<RwLockReadGuard<'_, ()>> {
        let steps = !facts.exchange && !facts.hard_links;
        steps.then(|| self.gate.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write_gate(&self, steps: bool) -> Option<RwLockWriteGuard<'_, ()>> {
        steps.then(|| self.gate.write().unwrap_or_else(PoisonError::into_inner))
    }
}

fn masked(mut handles: Handles, mask: Option<Facts>) -> Handles {
    if let Some(mask) = mask {
        let facts = &mut handles.facts;
        facts.exchange &= mask.exchange;
        facts.noreplace &= mask.noreplace;
        facts.hard_links &= mask.hard_links;
        facts.reflink &= mask.reflink;
        facts.case_sensitive &= mask.case_sensitive;
        facts.lasting_inodes &= mask.lasting_inodes;
        facts.writable &= mask.writable;
        // The swaps that a crash broke off are those of the masked facts.
        if let Ok(own) = handles.own()
            && let Err(errno) = swap::finish(own, handles.facts)
        {
            tracing::warn!(%errno, "parked files");
        }
    }
    handles
}

fn state_of(handles: &Handles) -> VolumeState {
    match handles.read_only() {
        Some(why) => VolumeState::ReadOnly { why },
        None => VolumeState::Ready,
    }
}

/// Opens what lies at a place, no symbolic link followed. It need not be a regular file.
fn open_at(handles: &Handles, at: Spot<'_>, access: OFlags) -> Result<File, Errno> {
    // NONBLOCK, so that a pipe does not hold us; it means nothing for a regular file.
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = match at {
        Spot::Path(path) if path.is_top() => Err(Errno::ISDIR),
        Spot::Path(path) => handles.beneath.open(path.as_path(), flags),
        Spot::Temp(_) | Spot::History(_) => handles.place(at).and_then(|place| {
            let flags = flags | OFlags::CLOEXEC;
            rustix::fs::openat(place.folder(), place.name, flags, Mode::empty())
        }),
    };
    opened.map(File::from)
}

fn instant(ns: i64) -> SystemTime {
    let since = Duration::from_nanos(ns.unsigned_abs());
    if ns >= 0 {
        SystemTime::UNIX_EPOCH + since
    } else {
        SystemTime::UNIX_EPOCH - since
    }
}

/// Inside of `Away` the reason alone reads better than the whole sentence again.
fn why(error: &VolumeError) -> String {
    if let VolumeError::Away { why, .. } = error {
        return why.clone();
    }
    if let VolumeError::NotFound { .. } = error {
        return "its folder does not exist".into();
    }
    error.to_string()
}

impl Volume for LocalVolume {
    fn id(&self) -> &VolumeUuid {
        &self.id
    }

    fn identity(&self) -> Identity {
        self.there().identity.clone()
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn facts(&self) -> Facts {
        let there = self.there();
        there.handles.as_ref().map(|h| h.facts).unwrap_or_default()
    }

    fn state(&self) -> VolumeState {
        self.look();
        self.there().state.clone()
    }

    fn space(&self) -> Result<Space, VolumeError> {
        let handles = self.handles()?;
        let vfs = rustix::fs::fstatvfs(handles.beneath.top())
            .map_err(|errno| VolumeError::sort("measure", self.root.display(), errno))?;
        Ok(Space {
            total: vfs.f_blocks.saturating_mul(vfs.f_frsize),
            free: vfs.f_bavail.saturating_mul(vfs.f_frsize),
        })
    }

    fn temp(&self) -> Result<Temp, VolumeError> {
        let handles = self.handles()?;
        let fail = |errno| VolumeError::sort("create a file in", self.root.display(), errno);
        let own = handles.own().map_err(fail)?;
        let name = TempName::random().map_err(|_| fail(Errno::IO))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from(0o666);
        let file = rustix::fs::openat(&own.tmp, name.as_str(), flags, mode).map_err(fail)?;
        Ok(Temp {
            name,
            file: file.into(),
        })
    }

    fn flush(&self, file: &File) -> Result<(), VolumeError> {
        let handles = self.handles()?;
        let flushed = self.flushes.flush(file, handles.as_ref());
        flushed.map_err(|errno| VolumeError::sort("flush a file on", self.root.display(), errno))
    }

    fn sync_folders(&self, folders: &[Folder]) -> Result<(), VolumeError> {
        let handles = self.handles()?;
        let failed = |errno| VolumeError::sort("flush", self.root.display(), errno);
        let own = handles.own().map_err(failed)?;
        for folder in folders {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let synced = match folder {
                Folder::Visible(path) if path.is_top() => rustix::fs::fsync(handles.beneath.top()),
                Folder::Visible(path) => {
                    let opened = handles.beneath.open(path.as_path(), flags);
                    opened.and_then(rustix::fs::fsync)
                }
                Folder::Shelf(shelf) => {
                    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let opened =
                        rustix::fs::openat(&own.history, shelf.as_str(), flags, Mode::empty());
                    opened.and_then(rustix::fs::fsync)
                }
            };
            match synced {
                Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => return Err(VolumeError::sort("flush", folder, errno)),
            }
        }
        rustix::fs::fsync(&own.tmp)
            .and_then(|()| rustix::fs::fsync(&own.history))
            .map_err(failed)
    }

    fn sync_all(&self) -> Result<(), VolumeError> {
        let handles = self.handles()?;
        rustix::fs::syncfs(handles.beneath.top())
            .map_err(|errno| VolumeError::sort("flush", self.root.display(), errno))
    }

    fn stat(&self, at: Spot<'_>) -> Result<Option<FileStat>, VolumeError> {
        let handles = self.handles()?;
        let _gate = self.read_gate(handles.facts);
        let found = match at {
            Spot::Path(path) if path.is_top() => rustix::fs::fstat(handles.beneath.top()),
            Spot::Path(_) | Spot::Temp(_) | Spot::History(_) => handles
                .place(at)
                .and_then(|place| place::stat_at(place.folder(), place.name)),
        };
        match found {
            Ok(stat) => Ok(Some(FileStat::from_raw(&stat).told_by(handles.facts))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(VolumeError::sort("look at", at, errno)),
        }
    }

    fn stat_of(&self, file: &File) -> Result<FileStat, VolumeError> {
        let stat = FileStat::of(file).map_err(|source| VolumeError::Io {
            action: "look at",
            at: "an open file".into(),
            source,
        })?;
        Ok(stat.told_by(self.facts()))
    }

    fn open(&self, at: Spot<'_>) -> Result<File, VolumeError> {
        let handles = self.handles()?;
        let _gate = self.read_gate(handles.facts);
        let fail = |errno| VolumeError::sort("open", at, errno);
        let file = open_at(&handles, at, OFlags::RDONLY).map_err(fail)?;
        let stat = FileStat::of(&file).map_err(|e| VolumeError::sort_io("open", at, e))?;
        match stat.kind {
            FileKind::File => Ok(file),
            FileKind::Folder | FileKind::Symlink | FileKind::Other => Err(fail(Errno::ISDIR)),
        }
    }

    fn list(&self, at: &VolumePath) -> Result<Vec<Item>, VolumeError> {
        let handles = self.handles()?;
        let _gate = self.read_gate(handles.facts);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = if at.is_top() {
            rustix::fs::openat(handles.beneath.top(), ".", flags, Mode::empty())
        } else {
            handles.beneath.open(at.as_path(), flags)
        };
        let hidden = at.is_top().then_some(crate::path::OWN);
        folder
            .and_then(|folder| tree::list(folder, hidden, handles.facts))
            .map_err(|errno| VolumeError::sort("list", Spot::Path(at), errno))
    }

    fn make_folder(&self, at: &VolumePath) -> Result<FileStat, VolumeError> {
        self.make(at, rights::settle_folder)
    }

    fn make_private_folder(&self, at: &VolumePath) -> Result<FileStat, VolumeError> {
        self.make(at, |_, _| Ok(()))
    }

    fn rename(&self, from: Spot<'_>, to: Spot<'_>) -> Result<(), VolumeError> {
        let handles = self.handles()?;
        let _gate = self.write_gate(!handles.facts.noreplace);
        let source = handles
            .place(from)
            .map_err(|errno| VolumeError::sort("move", from, errno))?;
        let target = handles
            .place(to)
            .map_err(|errno| VolumeError::sort("move to", to, errno))?;
        let renamed = match (swap::rename(handles.facts, &source, &target), to) {
            (Err(Errno::NOENT), Spot::History(name)) if name.shelf().is_some() => handles
                .own()
                .and_then(|own| swap::make_shelf(own, name))
                .and_then(|()| swap::rename(handles.facts, &source, &target)),
            (result, _) => result,
        };
        renamed.map_err(|errno| match errno {
            Errno::NOENT if place::stat_at(source.folder(), source.name).is_err() => {
                VolumeError::sort("move", from, errno)
            }
            _ => VolumeError::sort_name("move to", to, errno),
        })
    }

    fn exchange(&self, temp: &TempName, at: &VolumePath) -> Result<(), VolumeError> {
        let handles = self.handles()?;
        let facts = handles.facts;
        let _gate = self.write_gate(!facts.exchange && !facts.hard_links);
        let swapped = handles.place(Spot::Path(at)).and_then(|place| {
            use rustix::fd::AsFd as _;
            swap::swap(facts, handles.own()?.tmp.as_fd(), temp, &place)
        });
        swapped.map_err(|errno| VolumeError::sort("replace", at, errno))
    }

    fn rewrite(&self, at: Spot<'_>, content: &[u8], mtime_ns: i64) -> Result<(), VolumeError> {
        let handles = self.handles()?;
        let fail = |errno| VolumeError::sort("write", at, errno);
        let file = open_at(&handles, at, OFlags::WRONLY).map_err(fail)?;
        let written = || {
            use std::os::unix::fs::FileExt as _;
            if !file.metadata()?.is_file() {
                return Err(Errno::ISDIR.into());
            }
            file.set_len(content.len() as u64)?;
            file.write_all_at(content, 0)?;
            file.set_modified(instant(mtime_ns))?;
            file.sync_all()
        };
        written().map_err(|error| VolumeError::sort_io("write", at, error))
    }

    fn remove(&self, at: Spot<'_>) -> Result<(), VolumeError> {
        let handles = self.handles()?;
        let removed = handles.place(at).and_then(|place| match at {
            Spot::Path(_) => {
                let flags = rustix::fs::AtFlags::REMOVEDIR;
                rustix::fs::unlinkat(place.folder(), place.name, flags)
            }
            Spot::Temp(_) | Spot::History(_) => tree::remove(place.folder(), place.name),
        });
        removed.map_err(|errno| VolumeError::sort("remove", at, errno))
    }

    fn copy(&self, from: &File, to: &Temp) -> Result<u64, VolumeError> {
        let facts = self.handles()?.facts;
        copy::copy(from, &to.file, facts.reflink)
            .map_err(|e| VolumeError::sort_io("copy to", Spot::Temp(&to.name), e))
    }

    fn temps(&self) -> Result<Vec<TempName>, VolumeError> {
        let handles = self.handles()?;
        let fail =
            |errno| VolumeError::sort("list files in progress on", self.root.display(), errno);
        let own = handles.own().map_err(fail)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&own.tmp).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if !swap::is_parked(name.as_ref())
                && let Ok(name) = TempName::new(name)
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn list_history(&self, shelf: Option<&HistoryName>) -> Result<Vec<Item>, VolumeError> {
        let handles = self.handles()?;
        let name = shelf.map_or(".", HistoryName::as_str);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let listed = handles.own().and_then(|own| {
            let folder = rustix::fs::openat(&own.history, name, flags, Mode::empty())?;
            tree::list(folder, None, handles.facts)
        });
        listed.map_err(|errno| VolumeError::sort("list history", name, errno))
    }
}
