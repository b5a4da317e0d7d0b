//! The writer thread: jobs gather into groups, a group shares one transaction and one flush.
//!
//! A crash loses whole groups only, and only such whose jobs have not been answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use crate::DatabaseError;

/// Jobs in one transaction; bounds how long the first one waits.
const GROUP_MAX: usize = 128;

/// Jobs that may queue before submitting blocks.
const QUEUE_MAX: usize = 1024;

/// After this long without a job the write-ahead log is moved into the file, once.
const IDLE: Duration = Duration::from_secs(2);

/// Tells a job's outcome to who waits for it, after the group's fate is known.
type Reply = Box<dyn FnOnce(Result<(), DatabaseError>) + Send>;
/// Runs on the connection, or hears why there is no transaction to run in.
type Job = Box<dyn FnOnce(Result<&Connection, DatabaseError>) -> Ran + Send>;

struct Ran {
    keep: bool,
    reply: Reply,
}

/// A submitted job's result, to be waited for.
pub struct Pending<T, E>(Receiver<Result<T, E>>);

impl<T, E: From<DatabaseError>> Pending<T, E> {
    /// Blocks until the change is durable or refused.
    ///
    /// # Errors
    /// As [`crate::Database::write`].
    pub fn wait(self) -> Result<T, E> {
        self.0
            .recv()
            .unwrap_or_else(|_| Err(DatabaseError::Closed.into()))
    }
}

pub(crate) struct Writer {
    queue: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> Result<Self, DatabaseError> {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("database".into())
            .spawn(move || write_groups(connection, &jobs))
            .map_err(|source| DatabaseError::Open {
                path: "writer thread".into(),
                source: Arc::new(source),
            })?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(crate) fn submit<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Pending<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let (answer, pending) = sync_channel(1);
        let job: Job = Box::new(move |connection| {
            let result = match connection {
                Ok(connection) => catch_unwind(AssertUnwindSafe(|| job(connection)))
                    .unwrap_or_else(|_| Err(DatabaseError::Panicked.into())),
                Err(error) => Err(error.into()),
            };
            let keep = result.is_ok();
            // A waiter that has gone away needs no answer.
            let reply: Reply = Box::new(move |group| {
                let _ = answer.send(match group {
                    Ok(()) => result,
                    Err(lost) => result.and(Err(lost.into())),
                });
            });
            Ran { keep, reply }
        });
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(queue) = queue {
            // A send error drops the job and with it the sender, which `wait` reports as closed.
            let _ = queue.send(job);
        }
        Pending(pending)
    }

    pub(crate) fn close(&self) {
        drop(
            self.queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        if let Some(thread) = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn write_groups(connection: Connection, jobs: &Receiver<Job>) {
    let mut log_is_behind = false;
    loop {
        match jobs.recv_timeout(IDLE) {
            Ok(first) => {
                write_group(&connection, first, jobs);
                log_is_behind = true;
            }
            Err(RecvTimeoutError::Timeout) if log_is_behind => {
                checkpoint(&connection, "PASSIVE");
                log_is_behind = false;
            }
            Err(RecvTimeoutError::Timeout) => match jobs.recv() {
                Ok(first) => {
                    write_group(&connection, first, jobs);
                    log_is_behind = true;
                }
                Err(_) => break,
            },
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    checkpoint(&connection, "TRUNCATE");
}

fn checkpoint(connection: &Connection, mode: &str) {
    if let Err(error) =
        connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
    {
        tracing::warn!(%error, "the write-ahead log stays for later");
    }
}

fn write_group(connection: &Connection, first: Job, jobs: &Receiver<Job>) {
    let mut replies: Vec<Reply> = Vec::new();
    let mut lost = run(connection, "BEGIN IMMEDIATE").err();
    let mut next = Some(first);
    while let Some(job) = next.take() {
        // Also after a failure: the job must give its waiter the reason.
        replies.push(run_job(connection, job, &mut lost));
        if replies.len() < GROUP_MAX && lost.is_none() {
            next = jobs.try_recv().ok();
        }
    }
    let fate = match lost {
        Some(error) => {
            let _ = run(connection, "ROLLBACK");
            Err(error)
        }
        None => commit(connection).inspect_err(|_| {
            let _ = run(connection, "ROLLBACK");
        }),
    };
    for reply in replies {
        reply(fate.clone());
    }
}

/// Runs one job in its savepoint; sets `lost` if the whole transaction is gone.
fn run_job(connection: &Connection, job: Job, lost: &mut Option<DatabaseError>) -> Reply {
    if lost.is_none() {
        *lost = run(connection, "SAVEPOINT job").err();
    }
    let ran = match lost.clone() {
        Some(error) => return job(Err(error)).reply,
        None => job(Ok(connection)),
    };
    // A full disk or an I/O error makes SQLite end the transaction itself.
    if connection.is_autocommit() {
        *lost = Some(DatabaseError::GroupLost);
        return ran.reply;
    }
    let undo = if ran.keep {
        Ok(())
    } else {
        run(connection, "ROLLBACK TO job")
    };
    if let Err(error) = undo.and_then(|()| run(connection, "RELEASE job")) {
        *lost = Some(error);
    }
    ran.reply
}

fn commit(connection: &Connection) -> Result<(), DatabaseError> {
    let stored = connection
        .prepare_cached("COMMIT")
        .and_then(|mut commit| commit.execute([]));
    stored
        .map(drop)
        .map_err(|error| DatabaseError::Commit(Arc::new(error)))
}

fn run(connection: &Connection, sql: &str) -> Result<(), DatabaseError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
