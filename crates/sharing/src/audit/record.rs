//! Appending rows.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Duration;

use protocol::{AccountId, Fid, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::chain;
use super::event::{Action, Event};
use super::row::{AuditRow, to_sql};
use crate::actor::Asker;
use crate::{Sharing, SharingError, cut};

/// Reads of one entry by one actor make one row in this time.
const READ_WINDOW: Duration = Duration::from_secs(600);
/// Remembered reads; beyond it the database is asked.
const READS_MAX: usize = 8_192;
const TEXT_BYTES_MAX: usize = 1_000;
const TARGET_BYTES_MAX: usize = 4_000;

impl Sharing {
    /// Appends a row inside the caller's transaction, so that it is as durable as the change that
    /// it tells of. Only on the database's writer.
    pub fn record_in(&self, tx: &Connection, event: &Event) -> Result<(), rusqlite::Error> {
        let (last, previous) = chain::last(tx, &self.0.log.genesis)?;
        let row = row_of(event, last + 1);
        let hash = chain::row_hash(&previous, &row);
        tx.prepare_cached(
            "INSERT INTO audit (seq, at, account, actor, via, address, action, space, target, fid,
               old_rev, new_rev, outcome, detail, count, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            to_sql(row.seq),
            row.at_ms,
            row.account,
            row.actor,
            row.via,
            row.address,
            row.action,
            row.space,
            row.target,
            row.fid,
            row.old_rev,
            row.new_rev,
            row.outcome,
            row.detail,
            row.count,
            &hash.0[..]
        ])?;
        Ok(())
    }

    /// Appends a row; returns when it is durable.
    pub fn audit(&self, event: Event) -> Result<(), SharingError> {
        let sharing = self.clone();
        self.write(move |tx| Ok(sharing.record_in(tx, &event)?))
    }

    /// Appends a row without waiting; for what a crash may lose.
    pub fn audit_soon(&self, event: Event) {
        let sharing = self.clone();
        drop(self.0.database.write_later(move |tx| {
            sharing.record_in(tx, &event).map_err(|error| {
                tracing::error!(%error, "an audit row was not written");
                SharingError::from(error)
            })
        }));
    }

    /// Waits for the rows that were appended without waiting: the writer takes jobs in their order,
    /// and a job without a change costs no flush.
    pub(crate) fn await_queued_rows(&self) -> Result<(), SharingError> {
        self.write(|_| Ok(()))
    }

    /// Notes that `asker` read something that lies on another node: one row per actor, path and 10
    /// minutes. Does not block.
    pub fn audit_read_elsewhere(&self, asker: &Asker, path: &str) {
        let now = self.now();
        // A number that no entry has stands for the path.
        let hash = blake3::hash(path.as_bytes());
        let mut number = [0; 8];
        number.copy_from_slice(&hash.as_bytes()[..8]);
        let fid = Fid(-(i64::from_be_bytes(number) & i64::MAX) - 1);
        let key = (asker.label(), fid);
        {
            let mut reads = self
                .0
                .log
                .reads
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if reads.get(&key).is_some_and(|at| inside(*at, now)) {
                return;
            }
            make_room(&mut reads, now);
            reads.insert(key, now);
        }
        self.audit_soon(Event::of(asker, now, Action::Read, path));
    }

    /// Notes that `asker` read an entry. Nothing for the space's owner; else one row per actor,
    /// entry and 10 minutes.
    pub fn audit_read(
        &self,
        asker: &Asker,
        space_owner: AccountId,
        fid: Fid,
        path: &str,
    ) -> Result<(), SharingError> {
        if asker.account() == Some(space_owner) {
            return Ok(());
        }
        let now = self.now();
        let key = (asker.label(), fid);
        {
            let mut reads = self
                .0
                .log
                .reads
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if reads.get(&key).is_some_and(|at| inside(*at, now)) {
                return Ok(());
            }
            make_room(&mut reads, now);
        }
        let event = Event {
            fid: Some(fid),
            ..Event::of(asker, now, Action::Read, path)
        };
        let sharing = self.clone();
        let noted = self.write(move |tx| {
            if let Some(earlier) = noted_read(tx, &event, fid)? {
                return Ok(earlier);
            }
            sharing.record_in(tx, &event)?;
            Ok(event.at)
        })?;
        self.0
            .log
            .reads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, noted);
        Ok(())
    }

    /// A wrong name, password or code. The name that was typed is no part of the row unless it is
    /// an account's: people type passwords into the wrong field.
    pub(crate) fn note_failure(&self, address: IpAddr, account: Option<&crate::Account>) {
        let target = account.map_or("", |account| account.name.as_str());
        self.note_wrong_secret(address, target, "wrong name, password or code");
    }

    pub(crate) fn note_wrong_link_password(&self, link: i64, address: IpAddr) {
        self.note_wrong_secret(address, &format!("link {link}"), "wrong password");
    }
}

fn inside(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now.since(at) < READ_WINDOW
}

fn make_room(reads: &mut HashMap<(String, Fid), Timestamp>, now: Timestamp) {
    if reads.len() >= READS_MAX {
        reads.retain(|_, at| inside(*at, now));
    }
    if reads.len() >= READS_MAX {
        reads.clear();
    }
}

/// When the row of this window was written, for what memory has lost: after a restart, or when it
/// was full.
fn noted_read(
    tx: &Connection,
    event: &Event,
    fid: Fid,
) -> Result<Option<Timestamp>, rusqlite::Error> {
    let from = event.at.minus(READ_WINDOW);
    tx.prepare_cached(
        "SELECT at FROM audit WHERE fid = ?1 AND action = 'read' AND actor = ?2
           AND at > ?3 AND at <= ?4 ORDER BY seq DESC LIMIT 1",
    )?
    .query_row(params![fid.0, event.actor, from.0, event.at.0], |row| {
        Ok(Timestamp(row.get(0)?))
    })
    .optional()
}

fn row_of(event: &Event, seq: u64) -> AuditRow {
    AuditRow {
        seq,
        at_ms: event.at.0,
        account: event.account.map(|id| id.0),
        actor: cut(&event.actor, TEXT_BYTES_MAX).to_owned(),
        via: cut(&event.via, TEXT_BYTES_MAX).to_owned(),
        address: event
            .address
            .map(|address| address.to_canonical().to_string())
            .unwrap_or_default(),
        action: event.action.name().to_owned(),
        space: event.space.map(|id| id.0),
        target: cut(&event.target, TARGET_BYTES_MAX).to_owned(),
        fid: event.fid.map(|id| id.0),
        old_rev: event.old_rev.map(|rev| rev.0),
        new_rev: event.new_rev.map(|rev| rev.0),
        outcome: event.outcome.name().to_owned(),
        detail: cut(&event.detail, TEXT_BYTES_MAX).to_owned(),
        count: event.count,
        hash: String::new(),
    }
}
