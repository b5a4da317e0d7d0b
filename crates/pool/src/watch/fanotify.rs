//! One fanotify mark per file system, reporting folder and name (`FAN_REPORT_DFID_NAME`,
//! Linux 5.9; fanotify(7)).
//!
//! The kernel names a folder by its file handle; [`kernel::open_handle`] turns it into a
//! descriptor and that into a path. Paths are remembered until a folder moves or goes.
//!
//! The mark covers the whole file system, so other programs' work beside our volumes is reported
//! too. A folder outside of every volume that is heard of again and again gets an ignore mark of
//! its own (Linux 6.0): the kernel then says nothing more about it, and a busy neighbor costs nothing.
//!
//! Invariant: no folder inside a volume has an ignore mark once its arrival there was read. A
//! folder that moves into a volume is reported by the folder that it moves to, which has no such
//! mark; all ignore marks go then, before the hint, so that who follows the hint sees what was
//! not reported, and what comes later is reported.

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

/// A folder outside of every volume is ignored after so many events of it: most are heard of once.
const HEARD_MAX: u32 = 4;

/// Most ignore marks; beyond, all are let go. The kernel also drops one with its folder's inode.
const IGNORED_MAX: usize = 20_000;

#[derive(Debug)]
pub(super) struct Fanotify {
    fd: OwnedFd,
    roots: Vec<Marked>,
    remembered: HashMap<Folder, Place>,
    /// Ignore marks that were set since all were let go; `None` where the kernel has none.
    ignored: Option<usize>,
    /// Events of this process are left out.
    skipped_pid: Option<i32>,
}

#[derive(Debug)]
struct Marked {
    root: Root,
    file_system: u64,
}

/// A folder as the kernel names it.
type Folder = (u64, Handle);

/// Where a folder lies.
#[derive(Debug, Clone)]
enum Place {
    /// In a volume, or in several that lie in each other.
    Inside(Vec<(WatchKey, VolumePath)>),
    /// In none, or gone; with the number of events of it so far.
    Outside(u32),
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
            ignored: Some(0),
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
        // What was outside may be inside now.
        self.forget();
        Ok(())
    }

    pub(super) fn remove(&mut self, key: WatchKey) {
        let Some(at) = self.roots.iter().position(|m| m.root.key == key) else {
            return;
        };
        let marked = self.roots.swap_remove(at);
        self.remembered.clear();
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
        self.forget();
        for marked in &self.roots {
            pending.everything(marked.root.key);
        }
    }

    /// Forgets all paths and lets go of all ignore marks.
    fn forget(&mut self) {
        self.remembered.clear();
        if self.ignored.is_some_and(|count| count > 0)
            && let Err(errno) = kernel::heed_all(self.fd.as_fd())
        {
            tracing::warn!(%errno, "fanotify");
        }
        self.ignored = self.ignored.and(Some(0));
    }

    /// A folder came, went or moved inside a volume.
    fn moved(&mut self, mask: u64) {
        if mask & libc::FAN_MOVED_TO != 0 {
            self.forget();
        } else {
            self.remembered.clear();
        }
    }

    fn take(&mut self, event: &Event<'_>, pending: &Pending) {
        if event.mask & libc::FAN_Q_OVERFLOW != 0 {
            tracing::info!("the kernel's queue of changes overflowed; everything is looked at");
            self.lost(pending);
            return;
        }
        let own = self.skipped_pid == Some(event.pid);
        let paths_change =
            event.mask & libc::FAN_ONDIR != 0 && event.mask & kernel::PATHS_CHANGE != 0;
        if own {
            if paths_change {
                self.moved(event.mask);
            }
            return;
        }
        for place in event.places() {
            if !self.is_marked(place.file_system) {
                continue;
            }
            let inside = self.find(place.file_system, &place.handle);
            // Folders that move about outside change no path inside.
            if paths_change && !inside.is_empty() {
                self.moved(event.mask);
            }
            let Ok(name) = std::str::from_utf8(place.name) else {
                continue;
            };
            for (key, folder) in inside {
                // "." stands for the folder itself, whose own attributes do not matter.
                if name != "." && !(folder.is_top() && name == crate::path::OWN) {
                    pending.name(key, folder, name);
                }
            }
        }
    }

    /// Where a folder lies in the volumes; empty if it lies elsewhere or is gone.
    fn find(&mut self, file_system: u64, handle: &Handle) -> Vec<(WatchKey, VolumePath)> {
        let folder = (file_system, handle.clone());
        match self.remembered.get_mut(&folder) {
            Some(Place::Inside(places)) => return places.clone(),
            Some(Place::Outside(heard)) if *heard < HEARD_MAX => {
                *heard += 1;
                return Vec::new();
            }
            Some(Place::Outside(_)) | None => {}
        }
        let known = self.remembered.remove(&folder).is_some();
        let (places, opened) = self.resolve(file_system, handle);
        if known && places.is_empty() {
            self.ignore(opened);
        }
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        let place = if places.is_empty() {
            Place::Outside(1)
        } else {
            Place::Inside(places.clone())
        };
        self.remembered.insert(folder, place);
        places
    }

    /// Asks the kernel where a folder lies; gives a descriptor of it too, if it is still there.
    fn resolve(
        &self,
        file_system: u64,
        handle: &Handle,
    ) -> (Vec<(WatchKey, VolumePath)>, Option<OwnedFd>) {
        let mut places = Vec::new();
        let mut last = None;
        for Marked { root, .. } in self.roots.iter().filter(|m| m.file_system == file_system) {
            let Ok(opened) = kernel::open_handle(root.fd.as_fd(), handle.kind, &handle.bytes)
            else {
                continue;
            };
            // A folder above the volume may have another name by now.
            let paths: Result<(PathBuf, PathBuf), Errno> =
                path_of(&root.fd).and_then(|top| Ok((top, path_of(&opened)?)));
            if let Ok((top, path)) = paths
                && let Some(folder) = below(&top, &path)
            {
                places.push((root.key, folder));
            }
            last = Some(opened);
        }
        (places, last)
    }

    /// Wants no more events of a folder that lies in no volume.
    fn ignore(&mut self, folder: Option<OwnedFd>) {
        let (Some(folder), Some(count)) = (folder, self.ignored) else {
            return;
        };
        if count >= IGNORED_MAX {
            self.forget();
            return;
        }
        match kernel::ignore(self.fd.as_fd(), folder.as_fd()) {
            Ok(()) => self.ignored = Some(count + 1),
            // Before Linux 6.0.
            Err(Errno::INVAL) => self.ignored = None,
            // Gone, or too many marks.
            Err(errno) => tracing::debug!(%errno, "a folder outside of all volumes stays watched"),
        }
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
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::watch::Hint;

    /// Reads until the kernel has no more; true if an event named `name`.
    fn names(fanotify: &Fanotify, name: &str) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        let mut found = false;
        while let Ok(read) = rustix::io::read(&fanotify.fd, &mut *buffer) {
            let mut rest = &buffer[..read];
            while let Some((event, after)) = Event::parse(rest) {
                found |= event.places().any(|place| place.name == name.as_bytes());
                rest = after;
            }
        }
        found
    }

    fn hints(fanotify: &mut Fanotify, pending: &Pending) -> Vec<(WatchKey, Vec<Hint>)> {
        fanotify.read(&mut [0; 64 * 1024], pending);
        pending.take(Duration::ZERO)
    }

    #[test]
    fn a_busy_folder_outside_is_not_heard_of_until_it_moves_inside() {
        let both = tempfile::tempdir().unwrap();
        let (inside, outside) = (both.path().join("inside"), both.path().join("outside"));
        fs::create_dir(&inside).unwrap();
        fs::create_dir(&outside).unwrap();
        let (Ok(mut fanotify), pending) = (Fanotify::open(true), Pending::default()) else {
            println!("skipped: fanotify needs CAP_SYS_ADMIN");
            return;
        };
        fanotify.add(Root::open(1, &inside).unwrap()).unwrap();
        for number in 0..=HEARD_MAX {
            fs::write(outside.join("busy"), number.to_string()).unwrap();
            assert_eq!(hints(&mut fanotify, &pending), []);
        }
        assert!(fanotify.ignored.unwrap() > 0);
        fs::write(outside.join("not heard of"), "x").unwrap();
        assert!(!names(&fanotify, "not heard of"));
        fs::write(inside.join("heard of"), "x").unwrap();
        assert!(names(&fanotify, "heard of"));

        fs::rename(&outside, inside.join("moved")).unwrap();
        let names_of = |names: [&str; 1]| names.map(String::from).into();
        let (folder, names) = (VolumePath::top(), names_of(["moved"]));
        assert_eq!(
            hints(&mut fanotify, &pending),
            [(1, vec![Hint::Names { folder, names }])]
        );
        fs::write(inside.join("moved/later"), "x").unwrap();
        let (folder, names) = (VolumePath::parse("moved").unwrap(), names_of(["later"]));
        assert_eq!(
            hints(&mut fanotify, &pending),
            [(1, vec![Hint::Names { folder, names }])]
        );
    }

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
