//! The registry in one SQLite file: `center.db`, through the writer thread of `database`.

use std::path::Path;

use database::{Connection, Database, DatabaseError, Migration};
use protocol::frame::Message as _;
use protocol::message::center::{Resources, Usage};
use protocol::{NodeId, NodeName, SignedRecord, Timestamp};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Later, NodeRow, Outcome, RestingName, Seen, Store, StoreError, Write};
use crate::names;

/// The tables; `docs/formats/center.md` describes them.
const SCHEMA: &[Migration] = &[Migration {
    name: "nodes, names, invites",
    sql: "
        CREATE TABLE node (
            id BLOB PRIMARY KEY, said INTEGER NOT NULL, seq INTEGER NOT NULL, record BLOB NOT NULL,
            addresses TEXT NOT NULL,
            storage_bytes INTEGER NOT NULL, memory_bytes INTEGER NOT NULL, cores INTEGER NOT NULL,
            storage_used_bytes INTEGER NOT NULL, memory_used_bytes INTEGER NOT NULL,
            cpu_percent INTEGER NOT NULL,
            online INTEGER NOT NULL, first_seen_ms INTEGER NOT NULL, last_seen_ms INTEGER NOT NULL,
            texts TEXT NOT NULL DEFAULT '[]', pinned INTEGER NOT NULL DEFAULT 0
        ) WITHOUT ROWID;
        CREATE TABLE name (
            label TEXT PRIMARY KEY, skeleton TEXT NOT NULL UNIQUE, node BLOB NOT NULL,
            since_ms INTEGER NOT NULL, released_ms INTEGER
        ) WITHOUT ROWID;
        CREATE INDEX name_of_node ON name (node);
        CREATE TABLE invite (
            key BLOB PRIMARY KEY, uses INTEGER NOT NULL, until_ms INTEGER NOT NULL
        ) WITHOUT ROWID;",
}];

/// The default store.
pub struct Sqlite(Database);

impl Sqlite {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// If it cannot be opened, is no database, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Database::open(path, &[("center", SCHEMA)])?;
        Ok(Self(database))
    }

    fn on_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Later<'_, T> {
        let database = self.0.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&database)).await;
            done.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
        })
    }
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Store for Sqlite {
    fn commit(&self, writes: Vec<Write>) -> Later<'_, Vec<Outcome>> {
        self.on_blocking(move |database| {
            database.write(move |connection| {
                writes
                    .iter()
                    .map(|write| perform(connection, write))
                    .collect()
            })
        })
    }

    fn note(&self, seen: Vec<Seen>) -> Later<'_, ()> {
        self.on_blocking(move |database| {
            database.write(move |connection| seen.iter().try_for_each(|row| note(connection, row)))
        })
    }

    fn load<'a>(
        &'a self,
        each: &'a mut (dyn FnMut(NodeRow) + Send),
    ) -> Later<'a, Vec<RestingName>> {
        Box::pin(async move {
            // In pieces, so that the rows of a million nodes are not in memory twice.
            let mut after: Option<NodeId> = None;
            loop {
                let piece = self
                    .on_blocking(move |database| {
                        database.read(|connection| piece(connection, after))
                    })
                    .await?;
                let Some(last) = piece.last() else { break };
                after = Some(last.id);
                piece.into_iter().for_each(&mut *each);
            }
            self.on_blocking(|database| database.read(resting)).await
        })
    }

    fn close(&self) -> Later<'_, ()> {
        self.on_blocking(|database| {
            database.close();
            Ok(())
        })
    }
}

/// SQLite and PostgreSQL have signed numbers only; larger ones are refused before they come here.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn perform(connection: &Connection, write: &Write) -> Result<Outcome, StoreError> {
    match write {
        Write::Node { .. } => put_node(connection, write),
        Write::Name {
            id,
            said,
            name,
            at,
            free_before,
        } => {
            let taken = take_name(connection, id, name, *at, *free_before)?;
            if taken == Outcome::Done {
                said_now(connection, id, *said)?;
            }
            Ok(taken)
        }
        Write::Texts { id, said, texts } => {
            let texts = super::json(texts)?;
            connection
                .prepare_cached("UPDATE node SET texts = ?2 WHERE id = ?1 AND said < ?3")?
                .execute(params![id.0, texts, signed(*said)])?;
            said_now(connection, id, *said)
        }
        Write::Invite { key, uses, until } => {
            connection
                .prepare_cached("INSERT INTO invite VALUES (?1, ?2, ?3)")?
                .execute(params![key.0, uses, until.0])?;
            Ok(Outcome::Done)
        }
        Write::Pin { id, pinned } => {
            let changed = connection
                .prepare_cached("UPDATE node SET pinned = ?2 WHERE id = ?1")?
                .execute(params![id.0, pinned])?;
            Ok(if changed == 0 {
                Outcome::NoNode
            } else {
                Outcome::Done
            })
        }
        Write::Remove { id } => {
            connection
                .prepare_cached("DELETE FROM name WHERE node = ?1")?
                .execute([id.0])?;
            let changed = connection
                .prepare_cached("DELETE FROM node WHERE id = ?1")?
                .execute([id.0])?;
            Ok(if changed == 0 {
                Outcome::NoNode
            } else {
                Outcome::Done
            })
        }
    }
}

fn put_node(connection: &Connection, write: &Write) -> Result<Outcome, StoreError> {
    let Write::Node {
        id,
        said,
        seq,
        record,
        addresses,
        resources,
        usage,
        at,
        invite,
    } = write
    else {
        return Err(StoreError::Failed("not a node".into()));
    };
    if let Some(key) = invite {
        let used = connection
            .prepare_cached(
                "UPDATE invite SET uses = uses - 1 WHERE key = ?1 AND uses > 0 AND until_ms > ?2",
            )?
            .execute(params![key.0, at.0])?;
        if used == 0 {
            return Ok(Outcome::InviteSpent);
        }
    }
    let record = record
        .encode()
        .map_err(|error| StoreError::Failed(error.to_string()))?;
    let changed = connection
        .prepare_cached(
            "INSERT INTO node (id, said, seq, record, addresses, storage_bytes, memory_bytes, cores,
                storage_used_bytes, memory_used_bytes, cpu_percent, online, first_seen_ms,
                last_seen_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 1, ?12, ?12)
             ON CONFLICT (id) DO UPDATE SET said = excluded.said, seq = excluded.seq,
                record = excluded.record, addresses = excluded.addresses,
                storage_bytes = excluded.storage_bytes, memory_bytes = excluded.memory_bytes,
                cores = excluded.cores, storage_used_bytes = excluded.storage_used_bytes,
                memory_used_bytes = excluded.memory_used_bytes, cpu_percent = excluded.cpu_percent,
                online = 1, last_seen_ms = excluded.last_seen_ms
             WHERE node.said < excluded.said AND node.seq <= excluded.seq",
        )?
        .execute(params![
            id.0,
            signed(*said),
            signed(*seq),
            record,
            super::json(addresses)?,
            signed(resources.storage_bytes),
            signed(resources.memory_bytes),
            resources.cores,
            signed(usage.storage_bytes),
            signed(usage.memory_bytes),
            usage.cpu_percent,
            at.0,
        ])?;
    if changed > 0 {
        return Ok(Outcome::Done);
    }
    Ok(Outcome::Stale {
        have: have(connection, id)?,
    })
}

fn have(connection: &Connection, id: &NodeId) -> Result<u64, StoreError> {
    let have: i64 = connection
        .prepare_cached("SELECT max(said, seq) FROM node WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0))?;
    Ok(unsigned(have))
}

fn said_now(connection: &Connection, id: &NodeId, said: u64) -> Result<Outcome, StoreError> {
    let changed = connection
        .prepare_cached("UPDATE node SET said = ?2 WHERE id = ?1 AND said < ?2")?
        .execute(params![id.0, signed(said)])?;
    if changed > 0 {
        return Ok(Outcome::Done);
    }
    Ok(Outcome::Stale {
        have: have(connection, id)?,
    })
}

fn take_name(
    connection: &Connection,
    id: &NodeId,
    name: &NodeName,
    at: Timestamp,
    free_before: Timestamp,
) -> Result<Outcome, StoreError> {
    let skeleton = names::skeleton(name);
    // Its own former name, or one that rested long enough, gives way.
    connection
        .prepare_cached(
            "DELETE FROM name WHERE skeleton = ?1
                AND (node = ?2 OR (released_ms IS NOT NULL AND released_ms < ?3))",
        )?
        .execute(params![skeleton, id.0, free_before.0])?;
    let owner: Option<Vec<u8>> = connection
        .prepare_cached("SELECT node FROM name WHERE skeleton = ?1")?
        .query_row([&skeleton], |row| row.get(0))
        .optional()?;
    if owner.is_some() {
        return Ok(Outcome::NameTaken);
    }
    connection
        .prepare_cached("UPDATE name SET released_ms = ?2 WHERE node = ?1 AND released_ms IS NULL")?
        .execute(params![id.0, at.0])?;
    connection
        .prepare_cached("INSERT INTO name VALUES (?1, ?2, ?3, ?4, NULL)")?
        .execute(params![name.as_str(), skeleton, id.0, at.0])?;
    Ok(Outcome::Done)
}

fn note(connection: &Connection, row: &Seen) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE node SET online = ?2, last_seen_ms = ?3, storage_used_bytes = ?4,
                memory_used_bytes = ?5, cpu_percent = ?6 WHERE id = ?1",
        )?
        .execute(params![
            row.id.0,
            row.online,
            row.last_seen.0,
            signed(row.usage.storage_bytes),
            signed(row.usage.memory_bytes),
            row.usage.cpu_percent,
        ])?;
    Ok(())
}

fn piece(connection: &Connection, after: Option<NodeId>) -> Result<Vec<NodeRow>, StoreError> {
    let after = after.map_or(Vec::new(), |node| node.0.to_vec());
    let mut statement = connection.prepare_cached(
        "SELECT id, said, record, label, storage_bytes, memory_bytes, cores, storage_used_bytes,
            memory_used_bytes, cpu_percent, texts, online, pinned, first_seen_ms, last_seen_ms
         FROM node LEFT JOIN name ON name.node = node.id AND released_ms IS NULL
         WHERE id > ?1 ORDER BY id LIMIT 10000",
    )?;
    let rows = statement.query_map([after], node_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn node_row(row: &Row<'_>) -> rusqlite::Result<NodeRow> {
    let damaged = |column, why: String| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, why.into())
    };
    let record: Vec<u8> = row.get(2)?;
    let name: Option<String> = row.get(3)?;
    let texts: String = row.get(10)?;
    Ok(NodeRow {
        id: NodeId(row.get(0)?),
        said: unsigned(row.get(1)?),
        record: SignedRecord::decode(&record).map_err(|error| damaged(2, error.to_string()))?,
        name: name
            .map(|name| name.parse::<NodeName>())
            .transpose()
            .map_err(|error| damaged(3, error.to_string()))?,
        resources: Resources {
            storage_bytes: unsigned(row.get(4)?),
            memory_bytes: unsigned(row.get(5)?),
            cores: row.get(6)?,
        },
        usage: Usage {
            storage_bytes: unsigned(row.get(7)?),
            memory_bytes: unsigned(row.get(8)?),
            cpu_percent: row.get(9)?,
        },
        texts: serde_json::from_str(&texts).map_err(|error| damaged(10, error.to_string()))?,
        online: row.get(11)?,
        pinned: row.get(12)?,
        first_seen: Timestamp(row.get(13)?),
        last_seen: Timestamp(row.get(14)?),
    })
}

fn resting(connection: &Connection) -> Result<Vec<RestingName>, StoreError> {
    let mut statement = connection
        .prepare("SELECT label, node, released_ms FROM name WHERE released_ms IS NOT NULL")?;
    let rows = statement.query_map([], |row| {
        let label: String = row.get(0)?;
        Ok((label, NodeId(row.get(1)?), Timestamp(row.get(2)?)))
    })?;
    let mut names = Vec::new();
    for row in rows {
        let (label, node, released) = row?;
        let name = label
            .parse()
            .map_err(|error: protocol::NodeNameError| StoreError::Foreign(error.to_string()))?;
        names.push(RestingName {
            name,
            node,
            released,
        });
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::super::suite;
    use super::*;

    #[tokio::test]
    async fn sqlite_keeps_what_a_center_needs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("center.db");
        suite::run(|| async { Box::new(Sqlite::open(&path).unwrap()) as Box<dyn Store> }).await;
    }
}
