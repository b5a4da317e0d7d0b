//! Bound folders: an existing folder of the disk, served in place (R68).
//!
//! A bound folder is a volume of its own with its own `.cumulet`; in the tree it is a folder whose
//! `mount` names that volume. Where its top cannot be written to it has no `.cumulet` and is
//! read-only. It can be used at once: a folder that nobody has listed yet is read when somebody
//! looks into it, the rest in the background.
//!
//! Letting go of a bound folder removes its rows, never a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pool::{Volume, VolumeError, VolumeState};
use protocol::{Fid, VolumeId};
use thiserror::Error;

use crate::{At, Author, Entry, Files, FilesError};

/// One bound folder.
#[derive(Debug, Clone)]
pub struct Bind {
    /// Its volume.
    pub volume: VolumeId,
    /// The folder in the tree.
    pub fid: Fid,
    /// Where that is.
    pub at: At,
    /// The folder on the disk.
    pub root: PathBuf,
    /// Whether it can be used now.
    pub state: VolumeState,
    /// All of its folders have been read at least once.
    pub indexed: bool,
}

/// Why a folder was not bound or let go.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The folder on the disk cannot be used.
    #[error("cannot bind {}", root.display())]
    Volume {
        /// The folder.
        root: PathBuf,
        /// Why.
        source: VolumeError,
    },
    /// It lies in, or holds, a folder that is served already.
    #[error("cannot bind {}: it overlaps {}, which is served already", root.display(), other.display())]
    Overlap {
        /// The folder.
        root: PathBuf,
        /// The one in the way.
        other: PathBuf,
    },
    /// The name in the tree is taken.
    #[error("cannot bind to `{0}`: something is there already")]
    Taken(String),
    /// The folder of the tree that should hold it is missing.
    #[error("cannot bind to `{0}`: the folder that should hold it does not exist")]
    NoParent(String),
    /// Not a bound folder.
    #[error("`{0}` is not a bound folder")]
    NotBound(String),
    /// Writers are busy there.
    #[error("writers are busy at `{0}`; try again")]
    Busy(String),
    /// Our fault.
    #[error(transparent)]
    Internal(#[from] FilesError),
}

impl From<database::DatabaseError> for BindError {
    fn from(error: database::DatabaseError) -> Self {
        Self::Internal(error.into())
    }
}

impl Files {
    /// Binds the folder `root` of the disk to the free place `at`.
    pub fn bind(&self, root: &Path, at: &At, author: &Author) -> Result<Entry, BindError> {
        let _ = (root, at, author);
        todo!()
    }

    /// As [`Files::bind`], with a volume that is open already.
    pub fn bind_volume(
        &self,
        volume: Arc<dyn Volume>,
        at: &At,
        author: &Author,
    ) -> Result<Entry, BindError> {
        let _ = (volume, at, author);
        todo!()
    }

    /// Lets go of the folder bound to `at`; its files stay where they are, its versions and trash
    /// stay in its `.cumulet` and are forgotten here.
    pub fn unbind(&self, at: &At, author: &Author) -> Result<(), BindError> {
        let _ = (at, author);
        todo!()
    }

    /// All bound folders.
    pub fn binds(&self) -> Result<Vec<Bind>, FilesError> {
        todo!()
    }

    /// Opens the volumes of all bound folders, those that are away too, and finishes what a crash
    /// interrupted on them. To be called once after [`Files::open`].
    pub fn attach_binds(&self) -> Result<Vec<Bind>, FilesError> {
        todo!()
    }
}
