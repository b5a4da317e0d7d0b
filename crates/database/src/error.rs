//! What can go wrong with the database as a whole.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// A failure of the database itself; refusals of a job have the job's own type.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// A statement or the file failed.
    #[error("the database failed: {0}")]
    Sqlite(Arc<rusqlite::Error>),
    /// The group's COMMIT failed, so none of its jobs happened.
    #[error("the change was not stored: {0}")]
    Commit(Arc<rusqlite::Error>),
    /// The whole group was rolled back because a neighbour met a full disk or an I/O error.
    #[error("the change was not stored because the disk failed a neighbouring change; try again")]
    GroupLost,
    /// A job panicked; the message is in the log.
    #[error("a database job failed inside the program; this is a bug, see the log")]
    Panicked,
    /// After [`crate::Database::close`].
    #[error("the database is closed")]
    Closed,
    /// All readers were taken for this long.
    #[error("all database readers were busy for {0:?}; try again")]
    Busy(Duration),
    /// The file's schema has a step that this program does not know.
    #[error(
        "the database has the step `{step}` of `{area}`, which this version does not know; \
         it was written by a newer Cumulet, so run that one"
    )]
    Newer {
        /// Part of the program that owns the tables.
        area: String,
        /// Name of the unknown step.
        step: String,
    },
    /// The file could not be made or opened.
    #[error("cannot open the database {path}: {source}")]
    Open {
        /// Which file.
        path: String,
        /// Why.
        source: Arc<std::io::Error>,
    },
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl DatabaseError {
    /// True if the disk had no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Sqlite(error) | Self::Commit(error) => {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            Self::GroupLost
            | Self::Panicked
            | Self::Closed
            | Self::Busy(_)
            | Self::Newer { .. }
            | Self::Open { .. } => false,
        }
    }
}
