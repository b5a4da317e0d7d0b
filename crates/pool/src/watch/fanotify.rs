//! One fanotify mark per file system, reporting folder and name (`FAN_REPORT_DFID_NAME`,
//! Linux 5.9; fanotify(7)).
//!
//! The kernel names a folder by its file handle; [`kernel::open_handle`] turns it into a
//! descriptor and that into a path. Paths are remembered until a folder moves or goes.

use std::collections::HashMap;
use std::path::PathBuf;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

use super::pending::Pending;
use super::{Root, WatchKey, below, path_of};
use crate::VolumePath;

#[path = "fanotify_kernel.rs"]
mod kernel;

/// Most remembered folders; beyond, all are forgotten.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Fanotify {
    fd: OwnedFd,
    roots: Vec<Marked>,
    remembered: HashMap<(WatchKey, Handle), Option<VolumePath>>,
    /// Events of this process are left out.
    skipped_pid: Option<i32>,
}

#[derive(Debug)]
struct Marked {
    root: Root,
    file_system: u64,
}

/// A file handle as name_to_handle_at(2) would give it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Handle {
    kind: i32,
    bytes: Vec<u8>,
}

impl Fanotify {
    pub(super) fn open(own_writes: bool) -> Result<Self, Errno> {
        Ok(Self {
            fd: kernel::init()?,
            roots: Vec::new(),
            remembered: HashMap::new(),
            skipped_pid: (!own_writes).then(|| rustix::process::getpid().as_raw_nonzero().get()),
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Marks the file system of a volume; tries once whether its handles can be opened.
    pub(super) fn add(&mut self, root: Root) -> Result<(), Errno> {
        let file_system = rustix::fs::fstatvfs(&root.fd)?.f_fsid;
        kernel::try_handles(root.fd.as_fd())?;
        if !self.is_marked(file_system) {
            kernel::mark(self.fd.as_fd(), root.fd.as_fd(), true)?;
        }
        self.roots.push(Marked { root, file_system });
        Ok(())
    }

    pub(super) fn remove(&mut self, key: WatchKey) {
        let Some(at) = self.roots.iter().position(|m| m.root.key == key) else {
            return;
        };
        let marked = self.roots.swap_remove(at);
        self.remembered.retain(|(of, _), _| *of != key);
        if !self.is_marked(marked.file_system)
            && let Err(errno) = kernel::mark(self.fd.as_fd(), marked.root.fd.as_fd(), false)
        {
            // An unmounted file system took its mark along.
            tracing::debug!(%errno, root = %marked.root.path.display(), "mark");
        }
    }

    fn is_marked(&self, file_system: u64) -> bool {
        self.roots.iter().any(|m| m.file_system == file_system)
    }

    /// Reads all events that are there.
    pub(super) fn read(&mut self, buffer: &mut [u8], pending: &Pending) {
        loop {
            let read = match rustix::io::read(&self.fd, &mut *buffer) {
                Ok(0) | Err(Errno::AGAIN) => return,
                Ok(read) => read,
                Err(Errno::INTR) => continue,
                Err(errno) => {
                    tracing::warn!(%errno, "fanotify");
                    self.lost(pending);
                    return;
                }
            };
            let mut rest = &buffer[..read];
            while let Some((event, after)) = Event::parse(rest) {
                self.take(&event, pending);
                rest = after;
            }
        }
    }

    fn lost(&mut self, pending: &Pending) {
        self.remembered.clear();
        for marked in &self.roots {
            pending.everything(marked.root.key);
        }
    }

    fn take(&mut self, event: &Event<'_>, pending: &Pending) {
        if event.mask & libc::FAN_Q_OVERFLOW != 0 {
            tracing::info!("the kernel's queue of changes overflowed; everything is looked at");
            self.lost(pending);
            return;
        }
        if event.mask & libc::FAN_ONDIR != 0 && event.mask & kernel::PATHS_CHANGE != 0 {
            self.remembered.clear();
        }
        if self.skipped_pid == Some(event.pid) {
            return;
        }
        for place in event.places() {
            let Ok(name) = std::str::from_utf8(place.name) else {
                continue;
            };
            for at in 0..self.roots.len() {
                if self.roots[at].file_system != place.file_system {
                    continue;
                }
                let key = self.roots[at].root.key;
                let Some(folder) = self.folder(at, &place.handle) else {
                    continue;
                };
                // "." stands for the folder itself, whose own attributes do not matter.
                if name != "." && !(folder.is_top() && name == crate::path::OWN) {
                    pending.name(key, folder, name);
                }
            }
        }
    }

    /// The path of a folder below a root; `None` if it lies elsewhere or is gone.
    fn folder(&mut self, at: usize, handle: &Handle) -> Option<VolumePath> {
        let root = &self.roots[at].root;
        let key = (root.key, handle.clone());
        if let Some(known) = self.remembered.get(&key) {
            return known.clone();
        }
        let opened = kernel::open_handle(root.fd.as_fd(), handle.kind, &handle.bytes);
        let path: Option<PathBuf> = opened.and_then(|fd| path_of(&fd)).ok();
        let folder = path.and_then(|path| below(&root.path, &path));
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        self.remembered.insert(key, folder.clone());
        folder
    }
}

/// One event: `struct fanotify_event_metadata` and its information records.
#[derive(Debug)]
struct Event<'a> {
    mask: u64,
    pid: i32,
    records: &'a [u8],
}

/// Folder and name out of one information record.
#[derive(Debug, PartialEq, Eq)]
struct At<'a> {
    file_system: u64,
    handle: Handle,
    name: &'a [u8],
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(field.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at + 8)?;
    Some(u64::from_ne_bytes(field.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(field.try_into().ok()?))
}

impl<'a> Event<'a> {
    /// Layout: event_len u32, vers u8, reserved u8, metadata_len u16, mask u64, fd i32, pid i32.
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let length = u32_at(bytes, 0)? as usize;
        let head = usize::from(u16_at(bytes, 6)?);
        let event = Self {
            mask: u64_at(bytes, 8)?,
            pid: u32_at(bytes, 20)?.cast_signed(),
            records: bytes.get(head..length)?,
        };
        Some((event, bytes.get(length.max(1)..)?))
    }

    fn places(&self) -> impl Iterator<Item = At<'a>> {
        let mut rest = self.records;
        std::iter::from_fn(move || {
            // Layout: info_type u8, pad u8, len u16.
            let length = usize::from(u16_at(rest, 2)?).max(4);
            let (record, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(record)
        })
        .filter(|record| record[0] == libc::FAN_EVENT_INFO_TYPE_DFID_NAME)
        .filter_map(At::parse)
    }
}

impl<'a> At<'a> {
    /// Layout: header, fsid 8 bytes, handle_bytes u32, handle_type i32, handle, name, NUL.
    fn parse(record: &'a [u8]) -> Option<Self> {
        let length = u32_at(record, 12)? as usize;
        let kind = u32_at(record, 16)?.cast_signed();
        let bytes = record.get(20..20 + length)?;
        let name = record.get(20 + length..)?;
        let end = name.iter().position(|b| *b == 0)?;
        Some(Self {
            file_system: u64_at(record, 4)?,
            handle: Handle {
                kind,
                bytes: bytes.to_vec(),
            },
            name: &name[..end],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(record_length: u16) -> Vec<u8> {
        let mut record = vec![libc::FAN_EVENT_INFO_TYPE_DFID_NAME, 0];
        record.extend(record_length.to_ne_bytes());
        record.extend(7u64.to_ne_bytes());
        record.extend(8u32.to_ne_bytes());
        record.extend(1i32.to_ne_bytes());
        record.extend([9; 8]);
        record.extend(b"name\0\0\0\0");
        let mut event = Vec::new();
        event.extend((24 + record.len() as u32).to_ne_bytes());
        event.extend([3, 0]);
        event.extend(24u16.to_ne_bytes());
        event.extend(0x100u64.to_ne_bytes());
        event.extend((-1i32).to_ne_bytes());
        event.extend(42i32.to_ne_bytes());
        event.extend(record);
        event
    }

    #[test]
    fn an_event_gives_folder_and_name() {
        let bytes = event(36);
        let (event, rest) = Event::parse(&bytes).unwrap();
        assert_eq!((event.pid, rest.len()), (42, 0));
        let places: Vec<_> = event.places().collect();
        assert_eq!(places.len(), 1);
        assert_eq!((places[0].file_system, places[0].name), (7, &b"name"[..]));
    }

    #[test]
    fn cut_and_lying_events_give_nothing() {
        for length in [0, 1, 4, 20, 27, 37, u16::MAX] {
            let bytes = event(length);
            let (event, _) = Event::parse(&bytes).unwrap();
            assert_eq!(event.places().count(), 0, "{length}");
        }
        let whole = event(36);
        for end in 0..whole.len() {
            assert!(Event::parse(&whole[..end]).is_none(), "{end}");
        }
    }
}
