//! From the errors of `files` and `sharing` to what a client is told.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "errors that another crate may add are our fault until they have a text"
)]

use files::{FilesError, ReadError, Refusal};
use sharing::SharingError;

use crate::problem::{Fault, Problem};

impl From<FilesError> for Problem {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::Unknown(_) => Self::NOT_FOUND,
            FilesError::Name(error) => error.into(),
            FilesError::SpaceTaken(_) => Self::new(Fault::SpaceTaken),
            FilesError::Busy(_) => Self::new(Fault::Busy),
            other => Self::internal(&other),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotFound => Self::NOT_FOUND,
            ReadError::IsAFolder => Self::new(Fault::IsAFolder),
            ReadError::VolumeAway { .. } => Self::new(Fault::Away),
            ReadError::Busy => Self::new(Fault::Busy),
            ReadError::Internal(error) => error.into(),
            other => Self::internal(&other),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let fault = match refusal {
            Refusal::NotFound => Fault::NotFound,
            Refusal::ParentMissing(_) => Fault::ParentMissing,
            Refusal::Exists => Fault::Taken,
            Refusal::NameTwin { .. } => Fault::NameTwin,
            Refusal::NotAFolder => Fault::NotAFolder,
            Refusal::IsAFolder => Fault::IsAFolder,
            Refusal::ConditionFailed { .. } => Fault::ConditionFailed,
            Refusal::Locked { .. } => Fault::Locked,
            Refusal::OverQuota { need, available } => Fault::OverQuota { need, available },
            Refusal::DiskFull => Fault::DiskFull,
            Refusal::BadName(error) => Fault::BadName(error),
            Refusal::IntoItself => Fault::IntoItself,
            Refusal::SameTarget => Fault::SameTarget,
            Refusal::IsTop => Fault::IsTop,
            Refusal::Incomplete { .. } => Fault::Incomplete,
            Refusal::ChecksumMismatch { .. } => Fault::Checksum,
            Refusal::TooManyProps(what) => Fault::TooManyProps(what),
            Refusal::VolumeAway { .. } => Fault::Away,
            Refusal::ReadOnly { .. } => Fault::ReadOnly,
            Refusal::OutsideEdit => Fault::OutsideEdit,
            Refusal::Busy => Fault::Busy,
            Refusal::Internal(error) => return error.into(),
            other => return Self::internal(&other),
        };
        Self::new(fault)
    }
}

impl From<SharingError> for Problem {
    fn from(error: SharingError) -> Self {
        let fault = match error {
            SharingError::BadAccountName { .. } => Fault::BadAccountName,
            SharingError::NameTaken(_) => Fault::NameTaken,
            SharingError::NoAccount(_) | SharingError::Missing(_) | SharingError::BadSetupToken => {
                Fault::NotFound
            }
            SharingError::WeakPassword => Fault::WeakPassword,
            SharingError::LastOwner(_) => Fault::LastOwner,
            SharingError::BadInput { what, .. } => Fault::BadRequest { what: what.into() },
            SharingError::TooMany { count, .. } => Fault::LimitReached { count },
            SharingError::WrongCode => Fault::WrongCode,
            SharingError::Busy => Fault::Busy,
            other => return Self::internal(&other),
        };
        Self::new(fault)
    }
}
