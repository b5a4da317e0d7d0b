//! The one SQLite database of a node: a writer thread with group commit, a few readers, a schema.
//!
//! Every change goes through one thread. While the disk is busy with one group's COMMIT the next
//! jobs gather, and then share one transaction and one flush; each job has a savepoint of its own,
//! so that a refused one takes nothing of its neighbours with it.
//!
//! Invariants: what [`Database::write`] has answered with `Ok` is on the disk (WAL with
//! `synchronous=FULL`, architecture decision 17); a reader sees one snapshot for as long as its
//! closure runs; no closure may call back into the same [`Database`].
#![forbid(unsafe_code)]

mod error;
mod readers;
mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::DatabaseError;
pub use rusqlite::Connection;
pub use schema::Migration;
pub use writer::Pending;

use readers::Readers;
use writer::Writer;

/// Handle to the database; clones share the writer thread and the readers.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    path: PathBuf,
    writer: Writer,
    readers: Readers,
}

impl Database {
    /// Opens or creates the file (mode 0600) and applies what is missing of each area's schema.
    ///
    /// `schema` pairs an area's name (`"files"`) with its migrations in their order.
    ///
    /// # Errors
    /// If the file cannot be opened, is no database, or was written by a newer version.
    pub fn open(
        path: &Path,
        schema: &[(&'static str, &[Migration])],
    ) -> Result<Self, DatabaseError> {
        let mut connection = schema::connect(path)?;
        schema::migrate(&mut connection, schema)?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            writer: Writer::start(connection)?,
            readers: Readers::new(path),
        })))
    }

    /// Where the file lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Runs `job` on the writer thread; an `Err` undoes this job alone. Returns when the change is
    /// durable. Blocks; must not be called from inside another job or reader.
    ///
    /// # Errors
    /// What `job` returns, or why the group could not be committed; then nothing of it happened.
    pub fn write<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        self.write_later(job).wait()
    }

    /// As [`Database::write`], without waiting: the caller does other work in between.
    pub fn write_later<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Pending<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        self.0.writer.submit(job)
    }

    /// Runs `look` on a reader with one snapshot. Blocks while all readers are taken.
    ///
    /// # Errors
    /// What `look` returns, or [`DatabaseError::Busy`] if no reader came free in time.
    pub fn read<T, E>(&self, look: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<DatabaseError>,
    {
        self.0.readers.read(look)
    }

    /// Writes a consistent copy to `path` (a new file) while writers go on.
    ///
    /// # Errors
    /// If the target exists or cannot be written.
    pub fn backup_to(&self, path: &Path) -> Result<(), DatabaseError> {
        schema::create_private(path)?;
        // A connection of its own: VACUUM takes its own snapshot and wants no other.
        let connection = Connection::open(&self.0.path)?;
        connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
        Ok(())
    }

    /// Finishes the queued jobs, moves the write-ahead log into the file and ends the writer
    /// thread. Later writes fail with [`DatabaseError::Closed`].
    pub fn close(&self) {
        self.0.readers.close();
        self.0.writer.close();
    }
}

#[cfg(test)]
mod tests;
