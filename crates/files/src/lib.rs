//! The tree: entries, versions, locks, trash, change log, and the one commit for every writer.
//!
//! Content lies as plain files on volumes (`pool`); the catalog beside them holds what a file
//! system does not: stable ids, revisions, hashes, history, locks, the change log. All writers go
//! through [`Files::commit`].
//!
//! Invariants: nothing acknowledged is ever lost (R4); a reader sees a whole old or a whole new
//! file; `seq` is gapless inside a space and epoch, `rev` is the `seq` of an entry's last content
//! change; an ETag changes exactly when content at or below the entry does; what is overwritten or
//! deleted goes to history or trash first.
//!
//! A crash is finished or undone from the intents when [`Files::open`] runs; an unfinished upload
//! is lost. Synchronous throughout: the rim calls from blocking threads.
#![forbid(unsafe_code)]

mod apart;
mod author;
mod bind;
mod check;
mod commit;
mod conditions;
mod contents;
mod copy;
mod decide;
mod disk;
mod entry;
mod erase;
mod feed;
mod intent;
mod left_over;
mod lock;
mod log;
mod look;
mod note;
mod op;
mod outside;
mod read;
mod record;
mod recover;
mod refusal;
mod reserve;
mod retention;
mod row;
mod scan;
mod schema;
mod settle;
mod space;
mod stage;
mod volumes;
mod walk;
mod wave;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use database::Database;
use pool::Volume;
use protocol::Clock;

pub use author::{Action, Author, Fact, NoWitness, Witness};
pub use bind::{Bind, BindError};
pub use check::{CheckCount, Finding};
pub use decide::{PROP_BYTES_MAX, PROPS_MAX};
pub use entry::{
    At, Content, Cursor, DeadProp, Entry, EntryState, Kind, Order, Page, Space, Trashed, Usage,
    Version, VersionReason,
};
pub use feed::Feed;
pub use left_over::LeftOver;
pub use lock::{LOCK_DEFAULT, LOCK_MAX, LOCK_MIN, LOCK_OWNER_BYTES_MAX, LockInfo, LockRequest};
pub use log::{ChangeOp, ChangeRow, Changes};
pub use look::ChildFn;
pub use op::{Change, ConditionList, Conditions, Done, EtagSet, Op, PropPatch, Test};
pub use outside::{Hint, OutsideEdit};
pub use refusal::{ChangesError, FilesError, ReadError, Refusal};
pub use retention::RetentionReport;
pub use scan::{ScanReport, Scanner, ScannerOptions, ScannerStatus};
pub use schema::SCHEMA;
pub use stage::{Expect, Staged, Staging};
pub use volumes::home_identity;

/// What an operator may choose.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long versions and trash are kept at most.
    pub keep: Duration,
    /// History and trash take at most this share of the free space, in percent.
    pub keep_percent_of_free: u8,
    /// How long refused content is kept.
    pub keep_refused: Duration,
    /// How long the change log is kept.
    pub keep_changes: Duration,
    /// Rows of the change log kept per space.
    pub keep_changes_rows: u64,
    /// How long a writer waits for another one on the same entry.
    pub wait: Duration,
    /// How long a finished change may wait for its renames to be flushed.
    pub settle: Duration,
    /// A file that another program touched less than this ago may not be written to its end.
    pub quiet: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            keep: 30 * DAY,
            keep_percent_of_free: 50,
            keep_refused: 7 * DAY,
            keep_changes: 180 * DAY,
            keep_changes_rows: 1_000_000,
            wait: Duration::from_secs(10),
            settle: Duration::from_secs(5),
            quiet: Duration::from_secs(2),
        }
    }
}

/// What was found and done when the catalog was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Temporary files without an intent, removed (N1).
    pub temps_removed: usize,
    /// Changes that were decided and are finished now (N2, N3).
    pub finished: usize,
    /// Changes that were decided and could not be finished: undone, nothing of it was acknowledged.
    pub undone: usize,
    /// Acknowledged changes whose renames were done again (N5).
    pub redone: usize,
    /// Files that got their content from the catalog (N2, N5).
    pub repaired: u64,
    /// Content kept as a version because another program wrote in between.
    pub kept: usize,
}

/// Handle to the tree; clones share everything.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    db: Database,
    clock: Clock,
    witness: Arc<dyn Witness>,
    settings: Settings,
    feeds: feed::Feeds,
    volumes: volumes::Volumes,
    reservations: Arc<reserve::Reservations>,
    settling: settle::Settling,
    hints: outside::Hints,
    /// Some folder may not have been read yet.
    unread: AtomicBool,
    /// Bound folders that are away and not recovered yet.
    returning: Mutex<Vec<(protocol::VolumeId, Arc<dyn Volume>)>>,
    /// Notes of removals that somebody is at.
    erasing: Mutex<std::collections::HashSet<i64>>,
    /// Makes names in history unique: random for each life of the process, then counted.
    names: (u32, AtomicU64),
}

impl Files {
    /// Opens the tree over the catalog `db` and the home volume; finishes or undoes every change
    /// that a crash interrupted.
    ///
    /// # Errors
    /// If the catalog belongs to another volume, or either does not answer.
    pub fn open(
        db: Database,
        home: Arc<dyn Volume>,
        clock: Clock,
        witness: Arc<dyn Witness>,
        settings: Settings,
    ) -> Result<(Self, Recovery), FilesError> {
        volumes::register_home(&db, home.as_ref())?;
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(|_| FilesError::Random)?;
        let files = Self(Arc::new(Inner {
            db,
            clock,
            witness,
            settings,
            feeds: feed::Feeds::default(),
            volumes: volumes::Volumes::default(),
            reservations: Arc::default(),
            settling: settle::Settling::default(),
            hints: outside::Hints::default(),
            unread: AtomicBool::new(true),
            returning: Mutex::default(),
            erasing: Mutex::default(),
            names: (u32::from_le_bytes(random), AtomicU64::new(0)),
        }));
        let recovery = files.recover(walk::HOME, &home)?;
        files.0.volumes.insert(walk::HOME, home);
        settle::start(&files.0)?;
        Ok((files, recovery))
    }

    /// A listener to the change feed.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.0.feeds.subscribe()
    }

    fn now(&self) -> protocol::Timestamp {
        (self.0.clock)()
    }

    /// A suffix for a name in history that no other has.
    fn suffix(&self) -> String {
        let (random, count) = &self.0.names;
        format!("{random:08x}{:x}", count.fetch_add(1, Ordering::Relaxed))
    }
}

/// A PUT that is about to be received.
#[derive(Debug, Clone, Copy)]
pub struct Precheck<'a> {
    /// Where to.
    pub at: &'a At,
    /// What must hold.
    pub conditions: &'a Conditions,
    /// Announced bytes.
    pub length: Option<u64>,
    /// As in [`Change::Put`].
    pub no_overwrite: bool,
}

#[cfg(test)]
mod tests;
