//! Opening a connection and bringing the tables up to date.
//!
//! Each area (one crate) owns its tables and lists its steps in order; a step runs once, in one
//! transaction with the note that it ran.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::DatabaseError;

/// One step of an area's schema. Never changed once released; a change is a new step.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Unique inside its area.
    pub name: &'static str,
    /// Statements, separated by semicolons.
    pub sql: &'static str,
}

/// How long a statement waits for another process (`cumulet check` on a stopped node's files).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages of write-ahead log after which COMMIT moves them into the file: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4096;

/// Pages that the writing connection keeps between transactions, in KiB; behind it is the kernel's
/// cache. A transaction may hold more: with `cache_spill` off its pages go to the log once, at COMMIT,
/// and what is above the limit is given back then. Small, so that it is full soon and memory stays
/// flat from then on (docs/decisions/0013-memory-that-stays-flat.md).
const WRITER_CACHE_KIB: u32 = 1536;

/// Pages that a reading connection keeps, in KiB: the inner nodes of the trees of 100,000 entries.
const READER_CACHE_KIB: u32 = 256;

/// Opens the file for writing, with the settings that make a COMMIT durable.
pub(crate) fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    create_private(path)?;
    let connection = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;
         PRAGMA temp_store=MEMORY; PRAGMA cache_size=-{WRITER_CACHE_KIB}; PRAGMA cache_spill=OFF;
         PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}; PRAGMA journal_size_limit=67108864;"
    ))?;
    keep_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Makes the file if it is missing, readable by its owner alone: it holds password hashes.
pub(crate) fn create_private(path: &Path) -> Result<(), DatabaseError> {
    let made = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|source| DatabaseError::Open {
        path: path.display().to_string(),
        source: Arc::new(source),
    })
}

/// Opens the file for reading only.
pub(crate) fn connect_reader(path: &Path) -> Result<Connection, DatabaseError> {
    // Read-write access to the file is needed to share the write-ahead log; `query_only` refuses
    // changes.
    let connection = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(&format!(
        "PRAGMA query_only=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-{READER_CACHE_KIB};"
    ))?;
    keep_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// A statement keeps its plan whatever is bound to it. Without this guarantee SQLite compiles a cached
/// statement anew at each run wherever a bound value might have chosen another (partial) index.
fn keep_plans(connection: &Connection) -> Result<(), DatabaseError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn flags(access: OpenFlags) -> OpenFlags {
    // Each connection stays with one thread at a time, so SQLite's own mutexes are not needed.
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE
}

/// Applies the steps that the file has not had yet.
pub(crate) fn migrate(
    connection: &mut Connection,
    schema: &[(&'static str, &[Migration])],
) -> Result<(), DatabaseError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_steps (
            area TEXT NOT NULL, step TEXT NOT NULL, PRIMARY KEY (area, step)) WITHOUT ROWID",
    )?;
    let done = steps_done(&transaction)?;
    for (area, steps) in schema {
        let had = done.get(*area).map_or(&[][..], Vec::as_slice);
        if let Some(unknown) = had
            .iter()
            .find(|step| !steps.iter().any(|s| s.name == *step))
        {
            return Err(DatabaseError::Newer {
                area: (*area).into(),
                step: unknown.clone(),
            });
        }
        for step in steps
            .iter()
            .filter(|step| !had.iter().any(|name| name == step.name))
        {
            transaction.execute_batch(step.sql)?;
            transaction.execute(
                "INSERT INTO schema_steps VALUES (?1, ?2)",
                [area, step.name],
            )?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn steps_done(connection: &Connection) -> Result<HashMap<String, Vec<String>>, DatabaseError> {
    let mut done: HashMap<String, Vec<String>> = HashMap::new();
    let mut statement = connection.prepare("SELECT area, step FROM schema_steps")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        done.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(done)
}
