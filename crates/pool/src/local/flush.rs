//! Writers share flushes (commit step 3).
//!
//! A group starts as soon as the one before it has ended; there is no timer, so a single writer
//! never waits and many writers gather while the disk is busy. Members flush their own files at
//! the same time, which lets the file system's journal and the device merge them, and the last
//! one flushes the folder of temporary files for all. From [`TOGETHER_MIN`] writers on, one
//! `syncfs` replaces all of that.
//!
//! `syncfs` reports a failed write once and does not say of which file. Then every member of the
//! group asks for its own file, and so does the next group, whose files may have been meant.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

/// Most writers of one group.
const GROUP_MAX: usize = 64;

/// From this many writers on, one `syncfs` is cheaper than flushing each file.
const TOGETHER_MIN: usize = 32;

/// The system calls, apart so that tests can count them and make them fail.
pub(super) trait Disk {
    fn flush_file(&self, file: &File) -> Result<(), Errno>;
    fn flush_folder(&self) -> Result<(), Errno>;
    fn flush_all(&self) -> Result<(), Errno>;
}

#[derive(Debug, Default)]
pub(super) struct FlushGroups {
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    running: bool,
    waiting: VecDeque<Arc<Group>>,
    /// The last `syncfs` failed.
    suspect: bool,
}

#[derive(Debug, Default)]
struct Group {
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    members: usize,
    started: bool,
    /// How the whole group is flushed by its first member; set at the start.
    together: bool,
    first_claimed: bool,
    together_failed: bool,
    flushed: usize,
    outcome: Option<Result<(), Errno>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FlushGroups {
    /// Returns once `file` and the folder of temporary files are durable.
    pub(super) fn flush(&self, file: &File, disk: &dyn Disk) -> Result<(), Errno> {
        let group = self.join();
        let together = {
            let mut progress = lock(&group.progress);
            while !progress.started {
                progress = wait(&group, progress);
            }
            progress.together
        };
        if together && self.flush_together(&group, disk)? {
            return Ok(());
        }
        self.flush_each(&group, file, disk)
    }

    /// Gives the group that this writer belongs to; it may have to wait for its start.
    fn join(&self) -> Arc<Group> {
        let mut line = lock(&self.line);
        if !line.running {
            line.running = true;
            let group = Arc::new(Group::default());
            let mut progress = lock(&group.progress);
            progress.members = 1;
            progress.started = true;
            drop(progress);
            return group;
        }
        if let Some(last) = line.waiting.back() {
            let mut progress = lock(&last.progress);
            if progress.members < GROUP_MAX {
                progress.members += 1;
                return Arc::clone(last);
            }
        }
        let group = Arc::new(Group::default());
        lock(&group.progress).members = 1;
        line.waiting.push_back(Arc::clone(&group));
        group
    }

    /// One `syncfs` for all; `false` if each has to flush its own.
    fn flush_together(&self, group: &Group, disk: &dyn Disk) -> Result<bool, Errno> {
        let mut progress = lock(&group.progress);
        if !progress.first_claimed {
            progress.first_claimed = true;
            drop(progress);
            let result = disk.flush_all();
            lock(&self.line).suspect = result.is_err();
            let mut progress = lock(&group.progress);
            match result {
                Ok(()) => {
                    progress.outcome = Some(Ok(()));
                    drop(progress);
                    self.end(group);
                    return Ok(true);
                }
                Err(errno) => {
                    tracing::warn!(%errno, "syncfs failed; each file is flushed by itself");
                    progress.together_failed = true;
                    group.moved.notify_all();
                    return Ok(false);
                }
            }
        }
        while progress.outcome.is_none() && !progress.together_failed {
            progress = wait(group, progress);
        }
        Ok(!progress.together_failed)
    }

    fn flush_each(&self, group: &Group, file: &File, disk: &dyn Disk) -> Result<(), Errno> {
        let own = disk.flush_file(file);
        let mut progress = lock(&group.progress);
        progress.flushed += 1;
        if progress.flushed == progress.members {
            drop(progress);
            let folder = disk.flush_folder();
            lock(&group.progress).outcome = Some(folder);
            self.end(group);
            return own.and(folder);
        }
        loop {
            if let Some(folder) = progress.outcome {
                return own.and(folder);
            }
            progress = wait(group, progress);
        }
    }

    /// Wakes the members of an ended group and starts the next one.
    fn end(&self, group: &Group) {
        group.moved.notify_all();
        let mut line = lock(&self.line);
        match line.waiting.pop_front() {
            Some(next) => {
                let mut progress = lock(&next.progress);
                progress.started = true;
                progress.together = progress.members >= TOGETHER_MIN && !line.suspect;
                line.suspect = false;
                drop(progress);
                next.moved.notify_all();
            }
            None => line.running = false,
        }
    }
}

fn wait<'a>(group: &Group, progress: MutexGuard<'a, Progress>) -> MutexGuard<'a, Progress> {
    let woken = group.moved.wait(progress);
    woken.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    #[derive(Default)]
    struct Counted {
        files: AtomicUsize,
        folders: AtomicUsize,
        alls: AtomicUsize,
        all_fails: AtomicBool,
        hold: Mutex<()>,
    }

    impl Disk for Counted {
        fn flush_file(&self, file: &File) -> Result<(), Errno> {
            drop(lock(&self.hold));
            self.files.fetch_add(1, Ordering::SeqCst);
            // A file open for reading only stands for one whose writes failed.
            match rustix::fs::fcntl_getfl(file)?.contains(rustix::fs::OFlags::RDWR) {
                true => Ok(()),
                false => Err(Errno::IO),
            }
        }

        fn flush_folder(&self) -> Result<(), Errno> {
            self.folders.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }

        fn flush_all(&self) -> Result<(), Errno> {
            self.alls.fetch_add(1, Ordering::SeqCst);
            match self.all_fails.load(Ordering::SeqCst) {
                true => Err(Errno::IO),
                false => Ok(()),
            }
        }
    }

    /// One writer holds the disk while `writers` others gather; gives how many of them failed.
    fn gather(disk: &Counted, good: &File, bad: &File, writers: usize, broken: usize) -> usize {
        let groups = FlushGroups::default();
        let failed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let held = lock(&disk.hold);
            scope.spawn(|| groups.flush(good, disk).unwrap());
            while !lock(&groups.line).running {
                std::thread::yield_now();
            }
            for n in 0..writers {
                let (groups, failed) = (&groups, &failed);
                scope.spawn(move || {
                    let file = if n < broken { bad } else { good };
                    if groups.flush(file, disk).is_err() {
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            let gathered = || {
                let line = lock(&groups.line);
                let members = line.waiting.iter().map(|g| lock(&g.progress).members);
                members.sum::<usize>()
            };
            while gathered() < writers {
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(held);
        });
        failed.into_inner()
    }

    fn files() -> (tempfile::TempDir, File, File) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut options = File::options();
        let good = options.read(true).write(true).create_new(true).open(&path);
        let good = good.unwrap();
        (dir, good, File::open(path).unwrap())
    }

    #[test]
    fn writers_that_gather_share_one_flush_of_the_folder() {
        let (_dir, good, bad) = files();
        let disk = Counted::default();
        assert_eq!(gather(&disk, &good, &bad, 10, 0), 0);
        assert_eq!(disk.files.load(Ordering::SeqCst), 11);
        assert_eq!(disk.folders.load(Ordering::SeqCst), 2);
        assert_eq!(disk.alls.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn many_writers_share_one_syncfs_and_a_group_has_at_most_64() {
        let (_dir, good, bad) = files();
        let disk = Counted::default();
        assert_eq!(gather(&disk, &good, &bad, 100, 0), 0);
        // 64 in one group and 36 in the next, both by syncfs; the holder alone by itself.
        assert_eq!(disk.alls.load(Ordering::SeqCst), 2);
        assert_eq!(disk.files.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_failed_syncfs_fails_only_the_writers_whose_file_is_broken() {
        let (_dir, good, bad) = files();
        let disk = Counted::default();
        disk.all_fails.store(true, Ordering::SeqCst);
        assert_eq!(gather(&disk, &good, &bad, 100, 3), 3);
        // The second group does not trust syncfs, which may have eaten its error.
        assert_eq!(disk.alls.load(Ordering::SeqCst), 1);
        assert_eq!(disk.files.load(Ordering::SeqCst), 101);
    }

    #[test]
    fn a_writer_whose_own_file_fails_does_not_fail_the_others() {
        let (_dir, good, bad) = files();
        let disk = Counted::default();
        assert_eq!(gather(&disk, &good, &bad, 10, 2), 2);
    }
}
