//! Retention: how long versions and trash stay, and how much room they may take.

use protocol::Timestamp;

use crate::{Files, FilesError};

/// What a pass removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Versions removed.
    pub versions: usize,
    /// Things in the trash removed.
    pub trashed: usize,
    /// Bytes freed.
    pub bytes: u64,
}

impl Files {
    /// Removes what is too old or too much.
    pub fn retention_pass(&self, now: Timestamp) -> Result<RetentionReport, FilesError> {
        let _ = now;
        todo!()
    }

    /// Removes one thing from the trash for good.
    pub fn purge(&self, trash_id: i64) -> Result<(), FilesError> {
        let _ = trash_id;
        todo!()
    }
}
