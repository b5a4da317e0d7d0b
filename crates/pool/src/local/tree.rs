//! Listing a folder and removing a tree, by descriptor and without following anything.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::{Facts, FileStat, Item};

/// Deepest tree that is removed; each level holds one descriptor.
const DEPTH_MAX: usize = 400;

/// What lies in an open folder. What vanishes while looking is left out.
pub(super) fn list(
    folder: OwnedFd,
    hidden: Option<&str>,
    facts: Facts,
) -> Result<Vec<Item>, Errno> {
    let mut items = Vec::new();
    let mut dir = Dir::new(folder)?;
    let mut names = Vec::new();
    while let Some(entry) = dir.read() {
        let entry = entry?;
        let name = entry.file_name();
        if !is_dots(name) && hidden.is_none_or(|h| h.as_bytes() != name.to_bytes()) {
            names.push(name.to_owned());
        }
    }
    items.reserve_exact(names.len());
    let fd = dir.fd()?;
    for name in names {
        match rustix::fs::statat(fd, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => items.push(Item {
                name: OsStr::from_bytes(name.to_bytes()).to_owned(),
                stat: FileStat::from_raw(&stat).told_by(facts),
            }),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(items)
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Removes a file, or a folder with all that is in it.
pub(super) fn remove(dir: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => remove_folder(dir, name, DEPTH_MAX),
        result => result,
    }
}

fn remove_folder(dir: BorrowedFd<'_>, name: &OsStr, depth: usize) -> Result<(), Errno> {
    if depth == 0 {
        return Err(Errno::MLINK);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        if !is_dots(entry.file_name()) {
            names.push(entry.file_name().to_owned());
        }
    }
    for inner in names {
        let inner = OsStr::from_bytes(inner.to_bytes());
        match rustix::fs::unlinkat(&folder, inner, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => remove_folder(folder.as_fd(), inner, depth - 1)?,
            Err(Errno::NOENT) | Ok(()) => {}
            Err(errno) => return Err(errno),
        }
    }
    rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
}
