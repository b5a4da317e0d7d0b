//! What can go wrong on a volume, sorted by what a caller does about it.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

use crate::Spot;

/// A failed operation on a volume; every message says what was attempted on which thing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// Nothing is there.
    #[error("cannot {action} `{at}`: it does not exist")]
    NotFound {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// Something is there already.
    #[error("cannot {action} `{at}`: something of that name is there already")]
    Taken {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// A file stands where a folder is needed.
    #[error("cannot {action} `{at}`: a part of the path is not a folder")]
    NotAFolder {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// Not a regular file.
    #[error("cannot {action} `{at}`: it is not a regular file")]
    NotAFile {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// A folder that should be empty is not.
    #[error("cannot {action} `{at}`: the folder is not empty")]
    NotEmpty {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// The disk or the system's quota on it is full.
    #[error("cannot {action} `{at}`: the disk is full")]
    Full {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// The volume cannot be written to.
    #[error("cannot {action} `{at}`: the volume is read-only")]
    ReadOnly {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// The system's permissions forbid it.
    #[error("cannot {action} `{at}`: the system denies it; look at owner and mode")]
    Denied {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// The volume is not there: unplugged, unmounted or another one in its place.
    #[error("the volume at {} is away: {why}", root.display())]
    Away {
        /// Where it should be.
        root: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another file system is mounted below the volume's top; it must be bound by itself.
    #[error("cannot {action} `{at}`: it lies on another file system; bind that one by itself")]
    CrossDevice {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// A symbolic link is in the way; none is followed.
    #[error("cannot {action} `{at}`: a symbolic link is in the way")]
    Symlink {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// The name or path is longer than the volume can store.
    #[error("cannot {action} `{at}`: the name is longer than the volume can store")]
    NameTooLong {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// The file system of the volume does not take this name (FAT, exFAT, NTFS).
    #[error("cannot {action} `{at}`: the file system does not take this name")]
    NameRefused {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
    },
    /// The marker file is damaged.
    #[error("{} is damaged: {why}; restore it or remove it to make this a new volume", path.display())]
    Marker {
        /// The marker file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Anything else.
    #[error("cannot {action} `{at}`")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// Where.
        at: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl VolumeError {
    /// Sorts a system error.
    pub(crate) fn sort(action: &'static str, at: impl ToString, errno: Errno) -> Self {
        let at = at.to_string();
        match errno {
            Errno::NOENT => Self::NotFound { action, at },
            Errno::EXIST => Self::Taken { action, at },
            Errno::NOTDIR => Self::NotAFolder { action, at },
            Errno::ISDIR => Self::NotAFile { action, at },
            Errno::NOTEMPTY => Self::NotEmpty { action, at },
            Errno::NOSPC | Errno::DQUOT => Self::Full { action, at },
            Errno::ROFS => Self::ReadOnly { action, at },
            Errno::ACCESS | Errno::PERM => Self::Denied { action, at },
            Errno::XDEV => Self::CrossDevice { action, at },
            Errno::LOOP => Self::Symlink { action, at },
            Errno::NAMETOOLONG => Self::NameTooLong { action, at },
            _ => Self::Io {
                action,
                at,
                source: errno.into(),
            },
        }
    }

    /// Sorts an error of making the name `at`: a file system that does not take a name says EINVAL, or, over
    /// FUSE, that nothing is there.
    pub(crate) fn sort_name(action: &'static str, at: Spot<'_>, errno: Errno) -> Self {
        let refused = match errno {
            Errno::INVAL | Errno::ILSEQ => true,
            Errno::NOENT => at.is_odd_on_fat(),
            _ => false,
        };
        if refused {
            return Self::NameRefused {
                action,
                at: at.to_string(),
            };
        }
        Self::sort(action, at, errno)
    }

    /// Sorts an error of the standard library.
    pub(crate) fn sort_io(action: &'static str, at: Spot<'_>, source: io::Error) -> Self {
        match Errno::from_io_error(&source) {
            Some(errno) => Self::sort(action, at, errno),
            None => Self::Io {
                action,
                at: at.to_string(),
                source,
            },
        }
    }

    /// True where a failed write could not have changed anything because there was no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
