//! Behavior on a real database in a temporary folder, under a clock that the test sets.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use database::Database;
use protocol::{AccountId, Clock, EntryName, NodeSecret, Timestamp};
use rusqlite::Connection;

use crate::{Account, Asker, Client, Place, SCHEMA, Sharing, Via, Who};

mod accounts;
mod basic;
mod friends;
mod links;
mod login;
mod rights;

/// 2026-11-24.
const START: i64 = 1_795_496_640_000;

/// A node's sharing that can be restarted.
pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
    now: Arc<AtomicI64>,
    database: Database,
    pub(crate) sharing: Sharing,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(START));
        let (database, sharing) = open(folder.path(), &now);
        Self {
            folder,
            now,
            database,
            sharing,
        }
    }

    /// Closes everything and opens it again, as a restart of the node does.
    pub(crate) fn restart(&mut self) {
        self.database.close();
        (self.database, self.sharing) = open(self.folder.path(), &self.now);
    }

    pub(crate) fn close(&self) {
        self.database.close();
    }

    pub(crate) fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap();
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn set_clock(&self, to: Timestamp) {
        self.now.store(to.0, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.sharing.now()
    }

    pub(crate) fn account(&self, text: &str, owner: bool) -> Account {
        self.sharing
            .create_account(&name(text), PASSWORD, owner)
            .unwrap()
    }

    /// Waits for what was written without waiting.
    pub(crate) fn settle(&self) {
        self.sharing.write(|_| Ok(())).unwrap();
    }

    pub(crate) fn sql<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        self.settle();
        self.connection()
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }

    /// A connection of its own, as a person with an SQLite shell has.
    pub(crate) fn connection(&self) -> Connection {
        Connection::open(self.folder.path().join("catalog.db")).unwrap()
    }
}

pub(crate) fn secret() -> NodeSecret {
    NodeSecret::from_bytes([5; 32])
}

fn open(folder: &std::path::Path, now: &Arc<AtomicI64>) -> (Database, Sharing) {
    let database = Database::open(&folder.join("catalog.db"), &[("sharing", SCHEMA)]).unwrap();
    let now = now.clone();
    let clock: Clock = Arc::new(move || Timestamp(now.load(Ordering::SeqCst)));
    let sharing = Sharing::open(database.clone(), clock, &secret(), folder).unwrap();
    (database, sharing)
}

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) fn name(text: &str) -> EntryName {
    EntryName::new(text).unwrap()
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn client(from: &str) -> Client {
    Client {
        address: address(from),
        user_agent: "Browser/1.0".into(),
    }
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn minutes(n: u64) -> Duration {
    seconds(60 * n)
}

pub(crate) fn days(n: u64) -> Duration {
    seconds(24 * 3600 * n)
}

pub(crate) fn signed_in(account: &Account, place: Place) -> Asker {
    Asker {
        who: Who::Account {
            id: account.id,
            name: account.name.clone(),
            owner: account.owner,
            via: Via::Session { id: 1 },
        },
        place,
        address: address("192.0.2.9"),
    }
}

pub(crate) fn nobody(from: &str) -> Asker {
    Asker {
        who: Who::Nobody,
        place: Place::Away,
        address: address(from),
    }
}
