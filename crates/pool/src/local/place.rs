//! `.cumulet`'s open folders, and a place as the `*at` system calls take it: a folder and a name.

use std::ffi::OsStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

pub(super) const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// `.cumulet`'s folders.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) tmp: OwnedFd,
    pub(super) history: OwnedFd,
}

/// A folder and a name in it: what the `*at` system calls take.
pub(super) struct Place<'a> {
    pub(super) folder: Folder<'a>,
    pub(super) name: &'a OsStr,
}

pub(super) enum Folder<'a> {
    Kept(BorrowedFd<'a>),
    Opened(OwnedFd),
}

impl Place<'_> {
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        match &self.folder {
            Folder::Kept(fd) => *fd,
            Folder::Opened(fd) => fd.as_fd(),
        }
    }
}

impl Own {
    pub(super) fn open(own: BorrowedFd<'_>) -> Result<Option<Self>, Errno> {
        let folder = |name: &str| {
            match rustix::fs::mkdirat(own, name, Mode::RWXU) {
                Ok(()) => rustix::fs::fsync(own)?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            rustix::fs::openat(own, name, FOLDER, Mode::empty())
        };
        match folder("tmp").and_then(|tmp| Ok((tmp, folder("history")?))) {
            Ok((tmp, history)) => Ok(Some(Self { tmp, history })),
            Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// The raw stat of a name in a folder, symbolic links not followed.
pub(super) fn stat_at(folder: BorrowedFd<'_>, name: &OsStr) -> Result<rustix::fs::Stat, Errno> {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}
