//! A small pool of reading connections, opened when first needed.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::{DatabaseError, schema};

/// Connections that may read at the same time.
const READERS_MAX: usize = 12;

/// Connections kept open while nobody reads; each holds a small page cache.
const READERS_KEPT: usize = 4;

/// How long a reader waits for a connection.
const WAIT_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Readers {
    path: PathBuf,
    state: Mutex<State>,
    freed: Condvar,
}

struct State {
    idle: Vec<Connection>,
    in_use: usize,
    /// Threads that wait for a connection: to notify nobody costs a system call per read as well.
    waiting: usize,
    closed: bool,
}

impl Readers {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            state: Mutex::new(State {
                idle: Vec::new(),
                in_use: 0,
                waiting: 0,
                closed: false,
            }),
            freed: Condvar::new(),
        }
    }

    pub(crate) fn read<T, E>(&self, look: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<DatabaseError>,
    {
        let lease = self.lease()?;
        let connection = lease
            .connection
            .as_ref()
            .expect("a lease holds its connection until drop");
        run(connection, "BEGIN")?;
        let result = look(connection);
        // A read transaction has nothing to lose: however it ends, the connection is fresh again.
        run(connection, "COMMIT").or_else(|_| run(connection, "ROLLBACK"))?;
        result
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.idle.clear();
        self.freed.notify_all();
    }

    fn lease(&self) -> Result<Lease<'_>, DatabaseError> {
        let mut state = self.lock();
        state.waiting += 1;
        let (mut state, waited) = self
            .freed
            .wait_timeout_while(state, WAIT_MAX, |s| !s.closed && s.in_use >= READERS_MAX)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        if state.closed {
            return Err(DatabaseError::Closed);
        }
        if waited.timed_out() {
            return Err(DatabaseError::Busy(WAIT_MAX));
        }
        state.in_use += 1;
        let idle = state.idle.pop();
        drop(state);
        let mut lease = Lease {
            readers: self,
            connection: idle,
        };
        if lease.connection.is_none() {
            lease.connection = Some(schema::connect_reader(&self.path)?);
        }
        Ok(lease)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(connection: &Connection, sql: &str) -> Result<(), DatabaseError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// One connection on loan; comes back when dropped, also by a panic.
struct Lease<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.readers.lock();
        state.in_use -= 1;
        if let Some(connection) = self.connection.take()
            && connection.is_autocommit()
            && state.idle.len() < READERS_KEPT
            && !state.closed
        {
            state.idle.push(connection);
        }
        if state.waiting > 0 {
            self.readers.freed.notify_one();
        }
    }
}
