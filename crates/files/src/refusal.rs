//! Why a change or a read did not happen, sorted by whose move it is.

use pool::VolumeError;
use protocol::{Etag, Hash, NameError};
use thiserror::Error;

use crate::At;

/// Faults of the catalog or the volume that no caller can do anything about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The catalog does not answer.
    #[error("the catalog failed")]
    Database(#[from] database::DatabaseError),
    /// The volume does not answer.
    #[error("the volume failed")]
    Volume(#[from] pool::VolumeError),
    /// A row that cannot be.
    #[error("the catalog contradicts itself: {0}")]
    Inconsistent(String),
    /// The catalog belongs to another volume.
    #[error(
        "the catalog belongs to volume {expected}, but the volume here is {found}: pass the folder that it was made for, or another state folder"
    )]
    OtherVolume {
        /// Written in the catalog.
        expected: String,
        /// Written in the volume's marker.
        found: String,
    },
    /// A space of this name was left over by a removed account, or is somebody else's.
    #[error(
        "there is a space `{0}` already: a removed account left it, or it was handed over to somebody"
    )]
    SpaceTaken(protocol::EntryName),
    /// A left-over space that cannot be purged yet.
    #[error("the space `{space}` shows the bound folder {root}; unbind that one first")]
    SpaceHoldsBind {
        /// The space.
        space: protocol::EntryName,
        /// The folder on the disk.
        root: String,
    },
    /// No such entry, space or bind.
    #[error("{0} does not exist")]
    Unknown(String),
    /// A folder whose content is needed and could not be read.
    #[error("folder {0} could not be read yet; try again")]
    Unread(protocol::Fid),
    /// Somebody else is at it for too long.
    #[error("another change is at work on entry {0}; try again")]
    Busy(protocol::Fid),
    /// A name that cannot be.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No entropy from the operating system.
    #[error("the operating system gives no random numbers")]
    Random,
}

impl From<rusqlite::Error> for FilesError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Why a change was not made; the target is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing is there (404).
    #[error("nothing is there")]
    NotFound,
    /// The folder that should hold the target is missing (409).
    #[error("the folder `{}` does not exist", .0.path)]
    ParentMissing(At),
    /// The name is taken (405 for MKCOL, 412 for `Overwrite: F`).
    #[error("something is there already")]
    Exists,
    /// The volume cannot tell this name from one that is there (409).
    #[error("the volume cannot keep `{name}` apart from a name that is there already")]
    NameTwin {
        /// The name asked for.
        name: String,
    },
    /// A file where a folder is needed (409).
    #[error("a file is in the place of a folder")]
    NotAFolder,
    /// A folder where a file is needed (405).
    #[error("a folder is in the place of a file")]
    IsAFolder,
    /// `If`, `If-Match` or `If-None-Match` does not hold (412).
    #[error("the condition of the request does not hold")]
    ConditionFailed {
        /// The present ETag of the target.
        current: Option<Etag>,
        /// The bytes sent are kept for 7 days as a version of the target.
        kept_version: bool,
    },
    /// Locked, and the request does not hold the lock (423).
    #[error("`{}` is locked", .token_root.path)]
    Locked {
        /// What the request may not touch.
        at: At,
        /// The root of the lock in the way.
        token_root: At,
    },
    /// The quota does not suffice (507).
    #[error("{need} bytes are needed, {available} are left of the quota")]
    OverQuota {
        /// Bytes needed.
        need: u64,
        /// Bytes left.
        available: u64,
    },
    /// No room on the volume (507).
    #[error("the volume is full")]
    DiskFull,
    /// The name or path is too long or not allowed (400).
    #[error(transparent)]
    BadName(#[from] NameError),
    /// A folder into itself (403 or 409).
    #[error("a folder cannot go into itself")]
    IntoItself,
    /// Source and target are one (403).
    #[error("source and target are the same")]
    SameTarget,
    /// The top of a space or of a bound folder cannot be deleted, moved or replaced (403).
    #[error("the top of a space or of a bound folder stays where it is")]
    IsTop,
    /// The body ended early or late (400).
    #[error("the body has {got} bytes, announced were {expected}")]
    Incomplete {
        /// Announced.
        expected: u64,
        /// Received.
        got: u64,
    },
    /// The body is not what its checksum says (400).
    #[error("the {algorithm} of the body is {got}, announced was {expected}")]
    ChecksumMismatch {
        /// Name of the algorithm.
        algorithm: &'static str,
        /// Announced, in hexadecimal digits.
        expected: String,
        /// Computed, in hexadecimal digits.
        got: String,
    },
    /// Too many or too large properties (507).
    #[error("{0}")]
    TooManyProps(String),
    /// The volume is not there at present (503).
    #[error("the volume is away: {why}")]
    VolumeAway {
        /// What is missing.
        why: String,
    },
    /// The volume cannot be written (403).
    #[error("the volume is read-only: {why}")]
    ReadOnly {
        /// Why.
        why: String,
    },
    /// Another program changed the target meanwhile; its edit stays (409).
    #[error("another program changed the file meanwhile; its edit was kept")]
    OutsideEdit,
    /// Another writer holds the target for too long; try again (503).
    #[error("another writer is busy with this entry")]
    Busy,
    /// Our fault (500).
    #[error("the change failed")]
    Internal(#[from] FilesError),
}

impl Refusal {
    /// The same after the bytes sent could not be kept.
    pub(crate) fn without_version(self) -> Self {
        if let Self::ConditionFailed { current, .. } = self {
            return Self::ConditionFailed {
                current,
                kept_version: false,
            };
        }
        self
    }
}

impl From<database::DatabaseError> for Refusal {
    fn from(error: database::DatabaseError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Internal(error.into())
    }
}

/// Why content cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No such entry or version.
    #[error("nothing is there")]
    NotFound,
    /// A folder has no content.
    #[error("a folder has no content")]
    IsAFolder,
    /// The volume is not there at present (503).
    #[error("the volume is away: {why}")]
    VolumeAway {
        /// What is missing.
        why: String,
    },
    /// A writer holds the entry for too long; try again (503).
    #[error("a writer is busy with this entry")]
    Busy,
    /// Our fault (500).
    #[error("the read failed")]
    Internal(#[from] FilesError),
}

impl From<database::DatabaseError> for ReadError {
    fn from(error: database::DatabaseError) -> Self {
        Self::Internal(error.into())
    }
}

/// Why the change log cannot answer (RFC 6578 section 3.2, `valid-sync-token`).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChangesError {
    /// Another life of the log, a number of the future, or one that is forgotten already: the
    /// client must list everything again and merge.
    #[error("the sync token is not valid: {0}")]
    InvalidToken(&'static str),
    /// Our fault (500).
    #[error("the change log failed")]
    Internal(#[from] FilesError),
}

impl From<database::DatabaseError> for ChangesError {
    fn from(error: database::DatabaseError) -> Self {
        Self::Internal(error.into())
    }
}

/// An announced checksum with what the body has.
pub(crate) fn mismatch(algorithm: &'static str, expected: &[u8], got: &[u8]) -> Refusal {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Refusal::ChecksumMismatch {
        algorithm,
        expected: hex(expected),
        got: hex(got),
    }
}

/// BLAKE3 as [`mismatch`] wants it.
pub(crate) fn blake3_mismatch(expected: Hash, got: Hash) -> Refusal {
    mismatch("BLAKE3", &expected.0, &got.0)
}

/// What a volume's error means for a writer.
pub(crate) fn volume_refusal(error: VolumeError) -> Refusal {
    match error {
        VolumeError::Full { .. } => Refusal::DiskFull,
        VolumeError::ReadOnly { .. } | VolumeError::Denied { .. } => Refusal::ReadOnly {
            why: error.to_string(),
        },
        VolumeError::Away { why, .. } => Refusal::VolumeAway { why },
        VolumeError::NotFound { .. }
        | VolumeError::Taken { .. }
        | VolumeError::NotAFolder { .. }
        | VolumeError::NotAFile { .. }
        | VolumeError::NotEmpty { .. }
        | VolumeError::CrossDevice { .. }
        | VolumeError::Symlink { .. } => Refusal::OutsideEdit,
        VolumeError::NameTooLong { .. } => {
            Refusal::BadName(NameError::TooLong(protocol::NAME_BYTES_MAX))
        }
        VolumeError::NameRefused { at, .. } => {
            let name = at.rsplit('/').next().unwrap_or_default();
            Refusal::BadName(NameError::NotOnDisk(name.to_owned()))
        }
        error @ (VolumeError::Marker { .. } | VolumeError::Io { .. } | _) => {
            Refusal::Internal(FilesError::Volume(error))
        }
    }
}
