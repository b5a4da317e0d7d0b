//! One inotify watch per folder (inotify(7)): the fall-back without privileges.
//!
//! A folder that comes gets its watch late, so it and all below are named as whole folders once
//! their watches are there. The number of watches is limited by the system; beyond it, folders are
//! left to the hourly scan and the log says which setting to raise.

use std::collections::{BTreeMap, HashMap};
use std::mem::MaybeUninit;
use std::path::PathBuf;

use protocol::EntryName;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::pending::Pending;
use super::{Method, Root, WatchKey};
use crate::VolumePath;

const WATCHED: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW)
    .union(WatchFlags::EXCL_UNLINK);

type Folder = (WatchKey, VolumePath);

#[derive(Debug)]
pub(super) struct Inotify {
    fd: OwnedFd,
    roots: Vec<Root>,
    folders: HashMap<i32, Folder>,
    watches: BTreeMap<Folder, i32>,
}

impl Inotify {
    pub(super) fn open() -> Result<Self, Errno> {
        Ok(Self {
            fd: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            roots: Vec::new(),
            folders: HashMap::new(),
            watches: BTreeMap::new(),
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn add(&mut self, root: Root, pending: &Pending) -> Result<Method, Errno> {
        let key = root.key;
        self.roots.push(root);
        match self.watch_below(key, VolumePath::top(), pending) {
            Ok(()) => Ok(Method::Inotify),
            Err(Errno::NOSPC) => Ok(Method::InotifyInPart),
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn remove(&mut self, key: WatchKey) {
        self.roots.retain(|root| root.key != key);
        self.unwatch_below(key, &VolumePath::top());
    }

    /// Watches a folder and all below it and names each; a folder that vanishes meanwhile has been
    /// named by its parent's watch.
    fn watch_below(
        &mut self,
        key: WatchKey,
        from: VolumePath,
        pending: &Pending,
    ) -> Result<(), Errno> {
        let Some(root) = self.roots.iter().find(|root| root.key == key) else {
            return Ok(());
        };
        let (top, device) = (root.path.clone(), rustix::fs::fstat(&root.fd)?.st_dev);
        let mut folders = vec![from];
        while let Some(folder) = folders.pop() {
            let path = top.join(folder.as_path());
            match inotify::add_watch(&self.fd, &path, WATCHED) {
                Ok(watch) => self.remember(watch, (key, folder.clone())),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => continue,
                Err(Errno::NOSPC) => {
                    tracing::warn!(
                        folder = %path.display(),
                        "no more inotify watches; raise the sysctl fs.inotify.max_user_watches"
                    );
                    return Err(Errno::NOSPC);
                }
                Err(errno) => return Err(errno),
            }
            pending.folder(key, folder.clone());
            folders.extend(subfolders(&path, &folder, device));
        }
        Ok(())
    }

    fn remember(&mut self, watch: i32, folder: Folder) {
        // The kernel gives the same number to the same folder under a new path.
        if let Some(before) = self.folders.insert(watch, folder.clone()) {
            self.watches.remove(&before);
        }
        self.watches.insert(folder, watch);
    }

    fn unwatch_below(&mut self, key: WatchKey, folder: &VolumePath) {
        let first = (key, folder.clone());
        let below: Vec<Folder> = self
            .watches
            .range(first..)
            .map(|(at, _)| at)
            .take_while(|(of, at)| *of == key && at.starts_with(folder))
            .cloned()
            .collect();
        for at in below {
            if let Some(watch) = self.watches.remove(&at) {
                self.folders.remove(&watch);
                // Gone already if the folder is.
                let _ = inotify::remove_watch(&self.fd, watch);
            }
        }
    }

    /// Reads all events that are there.
    pub(super) fn read(&mut self, buffer: &mut [u8], pending: &Pending) {
        let mut events = Vec::new();
        let mut room = vec![MaybeUninit::uninit(); buffer.len()];
        let mut reader = Reader::new(&self.fd, &mut room);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().and_then(|name| name.to_str().ok());
                    let name = name.and_then(|name| EntryName::new(name).ok());
                    events.push((event.wd(), event.events(), name));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => {
                    tracing::warn!(%errno, "inotify");
                    events.push((-1, ReadFlags::QUEUE_OVERFLOW, None));
                    break;
                }
            }
        }
        for (watch, what, name) in events {
            self.take(watch, what, name, pending);
        }
    }

    fn take(&mut self, watch: i32, what: ReadFlags, name: Option<EntryName>, pending: &Pending) {
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.lost(pending);
            return;
        }
        if what.contains(ReadFlags::IGNORED) {
            if let Some(folder) = self.folders.remove(&watch) {
                self.watches.remove(&folder);
            }
            return;
        }
        let (Some((key, folder)), Some(name)) = (self.folders.get(&watch).cloned(), name) else {
            return;
        };
        pending.name(key, folder.clone(), name.as_str());
        if !what.contains(ReadFlags::ISDIR) {
            return;
        }
        let inner = folder.join(&name);
        if what.intersects(ReadFlags::MOVED_FROM | ReadFlags::DELETE) {
            self.unwatch_below(key, &inner);
        }
        if what.intersects(ReadFlags::MOVED_TO | ReadFlags::CREATE)
            && let Err(errno) = self.watch_below(key, inner, pending)
            && errno != Errno::NOSPC
        {
            tracing::warn!(%errno, "inotify");
            pending.everything(key);
        }
    }

    /// Events were lost: new folders may have no watch and everything may have changed.
    fn lost(&mut self, pending: &Pending) {
        tracing::info!("the kernel's queue of changes overflowed; everything is looked at");
        let keys: Vec<WatchKey> = self.roots.iter().map(|root| root.key).collect();
        for key in keys {
            if let Err(errno) = self.watch_below(key, VolumePath::top(), pending) {
                tracing::warn!(%errno, "inotify");
            }
            pending.everything(key);
        }
    }
}

/// Folders in a folder, on the same device and with names that are served.
fn subfolders(path: &PathBuf, folder: &VolumePath, device: u64) -> Vec<VolumePath> {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| entry.metadata().is_ok_and(|m| m.dev() == device))
        .filter_map(|entry| EntryName::new(entry.file_name().to_str()?).ok())
        .map(|name| folder.join(&name))
        .collect()
}
