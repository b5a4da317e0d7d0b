//! Renames that never replace, and the swap of a new file with an old one (commit step 5), with
//! fall-backs for file systems without `RENAME_EXCHANGE` or hard links (exFAT, some FUSE).
//!
//! A swap without exchange parks the old file as `tmp/<name>.old`. If a crash comes in between,
//! [`finish`] runs before anybody reads `tmp`: an old file whose place the new one has taken gets
//! the temporary name, as if the swap had been one step; a second name of a file still in place
//! goes away; an old file that lost its place is kept in history.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Dir, Mode, RenameFlags};
use rustix::io::Errno;

use super::place::{Own, Place, stat_at};
use crate::{Facts, FileStat, HistoryName, TempName};

/// Ends the name of a parked file; a [`TempName`] that the volume gives has no dot.
const PARKED: &str = ".old";

pub(super) fn is_parked(name: &OsStr) -> bool {
    name.as_bytes().ends_with(PARKED.as_bytes())
}

/// Renames without replacing.
pub(super) fn rename(facts: Facts, from: &Place<'_>, to: &Place<'_>) -> Result<(), Errno> {
    if facts.noreplace {
        let flags = RenameFlags::NOREPLACE;
        return rustix::fs::renameat_with(from.folder(), from.name, to.folder(), to.name, flags);
    }
    // The caller holds the gate, so only another program could come in between.
    match stat_at(to.folder(), to.name) {
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => rustix::fs::renameat(from.folder(), from.name, to.folder(), to.name),
        Err(errno) => Err(errno),
    }
}

/// Swaps a temporary file and the file in its place.
pub(super) fn swap(
    facts: Facts,
    tmp: BorrowedFd<'_>,
    name: &TempName,
    at: &Place<'_>,
) -> Result<(), Errno> {
    let new = name.as_str();
    if facts.exchange {
        let flags = RenameFlags::EXCHANGE;
        return rustix::fs::renameat_with(tmp, new, at.folder(), at.name, flags);
    }
    let parked = format!("{name}{PARKED}");
    if facts.hard_links {
        rustix::fs::linkat(at.folder(), at.name, tmp, &parked, AtFlags::empty())?;
        if let Err(errno) = rustix::fs::renameat(tmp, new, at.folder(), at.name) {
            rustix::fs::unlinkat(tmp, &parked, AtFlags::empty())?;
            return Err(errno);
        }
    } else {
        // Renaming in this order would leave the new file unseen if it did not exist.
        stat_at(tmp, OsStr::new(new))?;
        rustix::fs::renameat(at.folder(), at.name, tmp, &parked)?;
        if let Err(errno) = rustix::fs::renameat(tmp, new, at.folder(), at.name) {
            rustix::fs::renameat(tmp, &parked, at.folder(), at.name)?;
            return Err(errno);
        }
    }
    rustix::fs::renameat(tmp, &parked, tmp, new)
}

/// Ends swaps that a crash broke off.
pub(super) fn finish(own: &Own, facts: Facts) -> Result<(), Errno> {
    if facts.exchange || !facts.writable {
        return Ok(());
    }
    let tmp = own.tmp.as_fd();
    let names: Vec<_> = Dir::read_from(tmp)?.collect::<Result<_, _>>()?;
    for entry in names {
        let parked = OsStr::from_bytes(entry.file_name().to_bytes());
        let Some(new) = parked.as_bytes().strip_suffix(PARKED.as_bytes()) else {
            continue;
        };
        let stat = FileStat::from_raw(&stat_at(tmp, parked)?);
        match stat_at(tmp, OsStr::from_bytes(new)) {
            Err(Errno::NOENT) => rustix::fs::renameat(tmp, parked, tmp, new)?,
            Ok(_) if stat.links > 1 => rustix::fs::unlinkat(tmp, parked, AtFlags::empty())?,
            Ok(_) => {
                let name = format!("recovered-{}", String::from_utf8_lossy(new));
                tracing::warn!(%name, "an old version whose swap broke off is kept in history");
                rustix::fs::renameat(tmp, parked, &own.history, name)?;
            }
            Err(errno) => return Err(errno),
        }
    }
    rustix::fs::fsync(&own.history)?;
    rustix::fs::fsync(tmp)
}

/// Makes the shelf of a history name, durably: what is put on it shall be found there.
pub(super) fn make_shelf(own: &Own, name: &HistoryName) -> Result<(), Errno> {
    let Some(shelf) = name.shelf() else {
        return Err(Errno::NOENT);
    };
    match rustix::fs::mkdirat(&own.history, shelf, Mode::RWXU) {
        Ok(()) => rustix::fs::fsync(&own.history),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}
