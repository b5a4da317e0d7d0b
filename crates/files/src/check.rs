//! Is the catalog true? Compares it with the disk, both ways, and with itself.

use protocol::{Fid, SpaceId};
use thiserror::Error;

use crate::{Files, FilesError};

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Finding {
    /// In the catalog, not on the disk.
    #[error("missing on the disk: {path}")]
    Missing {
        /// Where.
        path: String,
    },
    /// On the disk, not in the catalog.
    #[error("not in the catalog: {path}")]
    Unknown {
        /// Where.
        path: String,
    },
    /// The disk has something else there.
    #[error("differs: {path}: {what}")]
    Differs {
        /// Where.
        path: String,
        /// How.
        what: String,
    },
    /// The content is not what its hash says.
    #[error("damaged: {path}: its content does not have its hash")]
    Damaged {
        /// Where.
        path: String,
    },
    /// A version or a thing in the trash whose file is gone.
    #[error("missing in history: {name} of file {fid}")]
    HistoryMissing {
        /// Its name in history.
        name: String,
        /// Whose.
        fid: Fid,
    },
    /// A file in history or among the temporary ones that nobody knows.
    #[error("left over: {path}")]
    LeftOver {
        /// Where.
        path: String,
    },
    /// The catalog contradicts itself.
    #[error("catalog of space {space}: {what}")]
    Catalog {
        /// In which space.
        space: SpaceId,
        /// How.
        what: String,
    },
    /// A folder or volume could not be read.
    #[error("could not be read: {path}: {why}")]
    Unread {
        /// Where.
        path: String,
        /// Why.
        why: String,
    },
}

impl Files {
    /// Compares catalog and disk; empty is clean. `deep` reads all content and compares hashes.
    pub fn check(&self, deep: bool) -> Result<Vec<Finding>, FilesError> {
        let _ = deep;
        todo!()
    }
}
