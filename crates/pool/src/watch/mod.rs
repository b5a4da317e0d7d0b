//! Hints that something changed on a volume behind our back.
//!
//! Hints only say where to look; whoever looks decides what happened. Where the system allows it
//! (CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH, a file system with handles), one fanotify mark covers a
//! whole file system and misses nothing. Else each folder has an inotify watch, and a new folder
//! is named as a whole, because files may have come before its watch did.
//!
//! Invariant: what is lost on the way (an overflow in the kernel, more hints than
//! [`NAMES_MAX`] waiting) turns into [`Hint::Everything`], so that nothing is missed silently.
//! Never reported: `.cumulet`, names that are not UTF-8, a file that stays open for writing.

mod fanotify;
mod inotify;
mod pending;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use crate::{VolumeError, VolumePath};
use fanotify::Fanotify;
use inotify::Inotify;
use pending::Pending;
pub use pending::{FOLDER_NAMES_MAX, NAMES_MAX};

/// The caller's number for a watched volume.
pub type WatchKey = i64;

/// How long the first of some changes waits for the others. The kernel's queue holds 16,384.
const CROWD: Duration = Duration::from_millis(30);

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// At some names in a folder.
    Names {
        /// The folder.
        folder: VolumePath,
        /// The names that came, went or changed.
        names: BTreeSet<String>,
    },
    /// At all that lies directly in a folder.
    Folder(VolumePath),
    /// At the whole volume.
    Everything,
}

/// How a volume is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// One mark on its file system; nothing is missed.
    Fanotify,
    /// A watch on each folder.
    Inotify,
    /// As [`Method::Inotify`], but the system's limit of watches was reached; some folders are
    /// only seen by the hourly scan.
    InotifyInPart,
}

/// What to watch with, and whose writes count.
#[derive(Debug, Clone, Copy, Default)]
pub struct WatchOptions {
    /// Do not try fanotify.
    pub only_inotify: bool,
    /// Report the writes of this process too; fanotify leaves them out otherwise. (inotify cannot
    /// tell.)
    pub own_writes: bool,
}

/// Watches volumes on a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    pending: Pending,
    backends: Mutex<Backends>,
    /// Readable once the thread has to look at changed descriptors or to end.
    wake: OwnedFd,
}

#[derive(Debug)]
struct Backends {
    fanotify: Option<Fanotify>,
    inotify: Option<Inotify>,
    ending: bool,
}

/// A watched top folder.
#[derive(Debug)]
struct Root {
    key: WatchKey,
    /// As the kernel spells it.
    path: PathBuf,
    fd: OwnedFd,
}

impl Root {
    fn open(key: WatchKey, root: &Path) -> Result<Self, Errno> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(root, flags, Mode::empty())?;
        let path = path_of(&fd)?;
        Ok(Self { key, path, fd })
    }
}

/// The path of an open file as the kernel spells it now.
fn path_of(fd: &OwnedFd) -> Result<PathBuf, Errno> {
    use std::os::fd::AsRawFd;
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
        .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
}

impl Watcher {
    /// Starts without volumes.
    pub fn start(options: WatchOptions) -> Result<Self, VolumeError> {
        let fail = |errno| VolumeError::sort("watch", "volumes", errno);
        let fanotify = if options.only_inotify {
            None
        } else {
            match Fanotify::open(options.own_writes) {
                Ok(fanotify) => Some(fanotify),
                Err(errno) => {
                    tracing::info!(%errno, "no fanotify here; folders are watched by inotify");
                    None
                }
            }
        };
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let shared = Arc::new(Shared {
            pending: Pending::default(),
            backends: Mutex::new(Backends {
                fanotify,
                inotify: None,
                ending: false,
            }),
            wake: rustix::event::eventfd(0, flags).map_err(fail)?,
        });
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("watcher".into())
            .spawn(move || worker.run())
            .map_err(|e| fail(Errno::from_io_error(&e).unwrap_or(Errno::AGAIN)))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Watches the volume at `root` under the number `key`. Everything counts as changed then,
    /// because nobody looked before.
    pub fn add(&self, key: WatchKey, root: &Path) -> Result<Method, VolumeError> {
        self.remove(key);
        let fail = |errno| VolumeError::sort("watch", root.display(), errno);
        let mut backends = self.shared.lock();
        let method = backends
            .add(key, root, &self.shared.pending)
            .map_err(fail)?;
        drop(backends);
        self.shared.pending.everything(key);
        self.shared.poke();
        tracing::info!(root = %root.display(), ?method, "watching");
        Ok(method)
    }

    /// Stops watching a volume and forgets its hints.
    pub fn remove(&self, key: WatchKey) {
        let mut backends = self.shared.lock();
        if let Some(fanotify) = &mut backends.fanotify {
            fanotify.remove(key);
        }
        if let Some(inotify) = &mut backends.inotify {
            inotify.remove(key);
        }
        drop(backends);
        self.shared.pending.forget(key);
    }

    /// Waits for hints and takes them all; empty after `timeout` or [`Watcher::wake`].
    pub fn wait(&self, timeout: Duration) -> Vec<(WatchKey, Vec<Hint>)> {
        self.shared.pending.take(timeout)
    }

    /// Lets a [`Watcher::wait`] return at once.
    pub fn wake(&self) {
        self.shared.pending.wake();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.lock().ending = true;
        self.shared.poke();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by its hook.
            let _ = thread.join();
        }
    }
}

impl Backends {
    fn add(&mut self, key: WatchKey, root: &Path, pending: &Pending) -> Result<Method, Errno> {
        if let Some(fanotify) = &mut self.fanotify {
            match fanotify.add(Root::open(key, root)?) {
                Ok(()) => return Ok(Method::Fanotify),
                Err(errno) => {
                    tracing::info!(root = %root.display(), %errno, "no fanotify on this file system");
                }
            }
        }
        let inotify = match &mut self.inotify {
            Some(inotify) => inotify,
            none => none.insert(Inotify::open()?),
        };
        inotify.add(Root::open(key, root)?, pending)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Backends> {
        self.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poke(&self) {
        // A full counter is as awake as can be.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    fn run(&self) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let fds: Vec<OwnedFd> = {
                let backends = self.lock();
                if backends.ending {
                    return;
                }
                let fanotify = backends
                    .fanotify
                    .as_ref()
                    .map(|f| f.fd().try_clone_to_owned());
                let inotify = backends
                    .inotify
                    .as_ref()
                    .map(|i| i.fd().try_clone_to_owned());
                fanotify.into_iter().chain(inotify).flatten().collect()
            };
            let mut polls: Vec<_> = fds
                .iter()
                .map(AsFd::as_fd)
                .chain([self.wake.as_fd()])
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                .collect();
            if let Err(errno) = rustix::event::poll(&mut polls, None)
                && errno != Errno::INTR
            {
                tracing::error!(%errno, "watching ends; changes are found by scans only");
                return;
            }
            if polls[..fds.len()]
                .iter()
                .any(|poll| !poll.revents().is_empty())
            {
                // Changes come in crowds; one turn for all of them.
                std::thread::sleep(CROWD);
            }
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
            let mut backends = self.lock();
            if let Some(fanotify) = &mut backends.fanotify {
                fanotify.read(&mut buffer, &self.pending);
            }
            if let Some(inotify) = &mut backends.inotify {
                inotify.read(&mut buffer, &self.pending);
            }
        }
    }
}

/// The path of something below `root`; `None` for what is not served.
fn below(root: &Path, path: &Path) -> Option<VolumePath> {
    let inner = path.strip_prefix(root).ok()?.to_str()?;
    VolumePath::parse(inner).ok()
}

#[cfg(test)]
mod tests;
