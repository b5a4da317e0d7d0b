//! The opened state of a node: lock, secret, database, tree, people, volumes.
//!
//! Both `serve` and a command that works without a running node open it the same way, and only
//! one of them at a time: the lock is held as long as the state lives. Opening finishes or undoes
//! whatever a crash interrupted (`files::Recovery`). Everything here blocks.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use database::Database;
use files::{Files, Recovery};
use pool::{LocalVolume, Volume};
use protocol::{Clock, NodeSecret, Timestamp};
use sharing::Sharing;

use crate::config::Config;
use crate::keys;
use crate::known_time::{self, KnownTime};
use crate::layout::{Layout, Lock};
use crate::witness::AuditWitness;

/// Everything of a node that lies on disks. Closed by [`State::close`].
pub struct State {
    /// Where it lies.
    pub layout: Layout,
    /// How it shall behave.
    pub config: Config,
    /// The node's secret.
    pub secret: NodeSecret,
    /// True if this is the node's first start.
    pub is_new: bool,
    /// Tells the present.
    pub clock: Clock,
    /// The tree.
    pub files: Files,
    /// People, rights, links, audit.
    pub sharing: Sharing,
    /// The served folder.
    pub home: Arc<dyn Volume>,
    /// Whether the clock can be believed.
    pub known_time: KnownTime,
    /// What was finished or undone while opening.
    pub recovery: Recovery,
    database: Database,
    _lock: Lock,
}

impl State {
    /// Takes the lock and opens everything, or makes what a new node needs.
    pub fn open(layout: Layout, config: Config, clock: Clock) -> anyhow::Result<Self> {
        let lock = layout.lock()?;
        let (secret, is_new) = keys::load_or_make(&layout)?;
        let database = open_database(&layout)?;
        // Before anything notes what the clock says now.
        let known_time = KnownTime::open(database.clone(), Arc::clone(&clock))
            .context("cannot read the last known time")?;
        let sharing = Sharing::open(database.clone(), Arc::clone(&clock), &secret, &layout.state)
            .context("cannot open people and rights")?;
        let options = pool::Options {
            expect: files::home_identity(&database)?,
            ..pool::Options::default()
        };
        let home: Arc<dyn Volume> = Arc::new(
            LocalVolume::open(&layout.volume, options)
                .with_context(|| format!("cannot use the folder {}", layout.volume.display()))?,
        );
        let witness = Arc::new(AuditWitness::new(sharing.clone()));
        let (files, recovery) = Files::open(
            database.clone(),
            Arc::clone(&home),
            Arc::clone(&clock),
            witness,
            files_settings(&config),
        )
        .context("cannot open the tree")?;
        files
            .attach_binds()
            .context("cannot open the bound folders")?;
        match_people(&files, &sharing).context("cannot compare people and spaces")?;
        Ok(Self {
            layout,
            config,
            secret,
            is_new,
            clock,
            files,
            sharing,
            home,
            known_time,
            recovery,
            database,
            _lock: lock,
        })
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Puts on the disk what was written last, seals the audit log and closes the database; the
    /// state must not be used afterwards.
    pub fn close(&self) {
        if let Err(error) = self.files.settle() {
            tracing::warn!(%error, "the last writes are settled at the next start");
        }
        if let Err(error) = self.known_time.keep() {
            tracing::error!(%error, "cannot keep the known time");
        }
        if let Err(error) = self.sharing.finish_audit() {
            tracing::error!(%error, "cannot seal the audit log");
        }
        self.database.close();
    }
}

/// People and spaces change in two steps, so a crash may lie between them: somebody without a space
/// gets one, and the space of somebody who was removed is hidden.
fn match_people(files: &Files, sharing: &Sharing) -> anyhow::Result<()> {
    let people = sharing.accounts()?;
    let spaces = files.spaces()?;
    for space in &spaces {
        if !people.iter().any(|person| person.id == space.owner) {
            tracing::warn!(space = %space.name, "its person was removed; the space is hidden");
            files.retire_space(space.id)?;
        }
    }
    for person in &people {
        let own = |space: &files::Space| space.owner == person.id && space.name == person.name;
        if !spaces.iter().any(own) {
            match files.create_space(&person.name, person.id) {
                Ok(space) => tracing::warn!(space = %space.name, "a missing space was made"),
                Err(error) => tracing::warn!(%error, person = %person.name, "has no space"),
            }
        }
    }
    Ok(())
}

fn open_database(layout: &Layout) -> anyhow::Result<Database> {
    let path = layout.catalog();
    // SQLite gives its journal the mode of the database.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot make {}", path.display()))?;
    let schema = [
        ("files", files::SCHEMA),
        ("sharing", sharing::SCHEMA),
        ("node", known_time::SCHEMA),
    ];
    Database::open(&path, &schema).with_context(|| format!("cannot open {}", path.display()))
}

fn files_settings(config: &Config) -> files::Settings {
    files::Settings {
        keep: config.keep,
        keep_percent_of_free: config.keep_share_percent,
        ..files::Settings::default()
    }
}

/// The wall clock of this computer.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    })
}
