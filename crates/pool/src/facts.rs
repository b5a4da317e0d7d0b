//! What a volume says about itself and about what lies on it.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::str::FromStr;

use crate::TempName;

/// The random name of a volume, written once into its marker file `.cumulet/volume.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VolumeUuid(String);

/// A text that is no volume id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no volume id: expected 32 hexadecimal digits")]
pub struct BadUuid(String);

impl VolumeUuid {
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)?;
        Ok(Self(data_encoding::HEXLOWER.encode(&bits)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VolumeUuid {
    type Err = BadUuid;

    fn from_str(text: &str) -> Result<Self, BadUuid> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 32 && text.bytes().all(hex) {
            return Ok(Self(text.into()));
        }
        Err(BadUuid(text.chars().take(80).collect()))
    }
}

impl fmt::Display for VolumeUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// By what a volume is recognized again; the catalog keeps it.
///
/// A marked volume is known by its marker wherever it is mounted. One that could not be written
/// to has no marker and is known by its file system and the inode of its top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The volume's id.
    pub uuid: VolumeUuid,
    /// True if the marker file carries the id.
    pub marked: bool,
    /// `f_fsid` of the file system.
    pub file_system: u64,
    /// Inode of the volume's top.
    pub top_inode: u64,
}

/// What the volume's file system can do, probed when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one probed fact")]
pub struct Facts {
    /// `RENAME_EXCHANGE`.
    pub exchange: bool,
    /// `RENAME_NOREPLACE`.
    pub noreplace: bool,
    /// Two names for one file.
    pub hard_links: bool,
    /// `FICLONE`: a copy that shares its blocks.
    pub reflink: bool,
    /// `a` and `A` are two names.
    pub case_sensitive: bool,
    /// A file keeps its inode number when it is mounted again; where not (FAT, exFAT, FUSE, SMB) a
    /// [`FileStat`] of this volume carries a number made of size and mtime instead.
    pub lasting_inodes: bool,
    /// Files can be made.
    pub writable: bool,
}

/// Whether a volume can be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeState {
    /// Read and write.
    Ready,
    /// Read only.
    ReadOnly {
        /// What stands against writing.
        why: String,
    },
    /// Not there; what the catalog knows of it stays.
    Away {
        /// What is wrong.
        why: String,
    },
}

/// Room on a volume in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Size of the file system.
    pub total: u64,
    /// What an unprivileged program can still write.
    pub free: u64,
}

/// The kind of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Regular file.
    File,
    /// Directory.
    Folder,
    /// Symbolic link; never followed, never served.
    Symlink,
    /// Device, socket or pipe; never served.
    Other,
}

/// What the file system knows of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Device number; not stable over a reboot.
    pub device: u64,
    /// Inode number, or what stands in for it ([`Facts::lasting_inodes`]).
    pub inode: u64,
    /// Bytes; of a folder whatever the file system says.
    pub size: u64,
    /// Last change of content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of content or metadata, nanoseconds since 1970; cannot be set by programs.
    pub ctime_ns: i64,
    /// Kind.
    pub kind: FileKind,
    /// Number of names.
    pub links: u64,
    /// Permission bits.
    pub mode: u32,
    /// User number of the owner.
    pub owner: u32,
    /// Group number.
    pub group: u32,
}

impl FileStat {
    /// The stat of an open file.
    pub fn of(file: &File) -> std::io::Result<Self> {
        Ok(Self::from_raw(&rustix::fs::fstat(file)?))
    }

    /// As a volume with these facts tells it.
    pub(crate) fn told_by(self, facts: Facts) -> Self {
        if facts.lasting_inodes {
            return self;
        }
        let inode = match self.kind {
            // Fibonacci hashing of the one, so that a change of one does not cancel a change of the other.
            FileKind::File => {
                self.size.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.mtime_ns.cast_unsigned()
            }
            FileKind::Folder | FileKind::Symlink | FileKind::Other => 1,
        };
        Self { inode, ..self }
    }

    #[expect(
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        reason = "the widths of these fields differ between architectures"
    )]
    pub(crate) fn from_raw(stat: &rustix::fs::Stat) -> Self {
        use rustix::fs::FileType;
        let nanos = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            mtime_ns: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime_ns: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => FileKind::File,
                FileType::Directory => FileKind::Folder,
                FileType::Symlink => FileKind::Symlink,
                FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => FileKind::Other,
            },
            links: stat.st_nlink as u64,
            mode: stat.st_mode & 0o7777,
            owner: stat.st_uid,
            group: stat.st_gid,
        }
    }
}

/// One row of a listing.
#[derive(Debug, Clone)]
pub struct Item {
    /// The name, not necessarily UTF-8.
    pub name: OsString,
    /// Its stat, symbolic links not followed.
    pub stat: FileStat,
}

/// A new temporary file, open for reading and writing.
#[derive(Debug)]
pub struct Temp {
    /// Its name in `.cumulet/tmp`.
    pub name: TempName,
    /// The file.
    pub file: File,
}
