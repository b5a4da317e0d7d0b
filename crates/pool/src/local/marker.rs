//! The marker file `.cumulet/volume.toml`: what makes a folder this volume and no other.
//!
//! Written once, with its folder flushed, before anything else is stored. The file system's id
//! and the top's inode are recorded for people who look at a pulled disk; they do not decide,
//! because some file systems derive their id from the device's number of the day.

use std::io::{Read, Write};
use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::path::OWN;
use crate::{VolumeError, VolumeUuid};

pub(super) const MARKER: &str = "volume.toml";

/// Longer than any marker; a larger file is something else.
const MARKER_BYTES_MAX: u64 = 4096;

/// Reads the id out of `own` (`<root>/.cumulet`); `None` if there is no marker.
pub(super) fn read(own: BorrowedFd<'_>, root: &Path) -> Result<Option<VolumeUuid>, VolumeError> {
    let path = root.join(OWN).join(MARKER);
    let fail = |errno| VolumeError::sort("read", path.display(), errno);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::openat(own, MARKER, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(fail(errno)),
    };
    let mut text = String::new();
    file.take(MARKER_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|e| fail(Errno::from_io_error(&e).unwrap_or(Errno::ILSEQ)))?;
    parse(&text).map(Some).map_err(|why| VolumeError::Marker {
        path: path.clone(),
        why,
    })
}

fn parse(text: &str) -> Result<VolumeUuid, String> {
    let value = |key: &str| {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let mut values = pairs.filter(|(k, _)| k.trim() == key);
        values.next().map(|(_, v)| v.trim().trim_matches('"'))
    };
    match value("format") {
        Some("1") => {}
        Some(other) => return Err(format!("format {other} is newer than this program knows")),
        None => return Err("it has no line `format = 1`".into()),
    }
    let uuid = value("uuid").ok_or("it has no line `uuid = \"…\"`")?;
    uuid.parse::<VolumeUuid>().map_err(|e| e.to_string())
}

/// Writes the marker so that it is whole or absent after a crash.
pub(super) fn write(
    own: BorrowedFd<'_>,
    uuid: &VolumeUuid,
    file_system: u64,
    top_inode: u64,
) -> Result<(), Errno> {
    let text = format!(
        "# A Cumulet volume. Do not copy or remove this file: without it the volume counts as away.\n\
         format = 1\nuuid = \"{uuid}\"\nfile_system = \"{file_system:016x}\"\ntop_inode = {top_inode}\n"
    );
    let draft = format!("{MARKER}.{}", &uuid.as_str()[..8]);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = rustix::fs::openat(own, &draft, flags | OFlags::NOFOLLOW, Mode::from(0o600))?;
    let mut file = std::fs::File::from(file);
    let io = |e: std::io::Error| Errno::from_io_error(&e).unwrap_or(Errno::IO);
    file.write_all(text.as_bytes()).map_err(io)?;
    file.sync_all().map_err(io)?;
    rustix::fs::renameat(own, &draft, own, MARKER)?;
    rustix::fs::fsync(own)
}

/// The marker's inode, as a cheap sign that it is still there.
pub(super) fn inode(top: impl AsFd) -> Result<u64, Errno> {
    let path = format!("{OWN}/{MARKER}");
    Ok(rustix::fs::statat(top, path, AtFlags::SYMLINK_NOFOLLOW)?.st_ino)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_damaged_marker_is_refused_with_the_reason() {
        let check = |text: &str, why: &str| assert_eq!(parse(text).unwrap_err(), why);
        check("", "it has no line `format = 1`");
        check("format = 2\n", "format 2 is newer than this program knows");
        check("format = 1\n", "it has no line `uuid = \"…\"`");
        check(
            "format = 1\nuuid = \"xyz\"",
            "`xyz` is no volume id: expected 32 hexadecimal digits",
        );
        assert!(parse("format = 1\nuuid = \"000102030405060708090a0b0c0d0e0f\"").is_ok());
    }
}
