//! The registry in PostgreSQL, over one connection that is made anew when it is lost.
//!
//! Batches of nodes are one statement with arrays, so that a transaction costs three round trips
//! whatever its size. A connection is only given back after its transaction has ended; after an
//! error it is dropped, and the next call dials again. Without TLS: the server belongs on the same
//! computer (a unix socket) or into a network of its own.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use protocol::frame::Message as _;
use protocol::message::center::{Resources, Usage};
use protocol::{NodeId, NodeName, SignedRecord, Timestamp};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls, Row, Transaction};
use tokio_util::task::AbortOnDropHandle;

use super::sqlite::{signed, unsigned};
use super::{Later, NodeRow, Outcome, RestingName, Seen, Store, StoreError, Write};
use crate::names;

/// A server that does not answer a dial for so long is away.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// A batch that takes longer is given up with its connection.
const BATCH_TIMEOUT: Duration = Duration::from_secs(20);
/// Rows of one piece while everything is loaded.
const PIECE_ROWS: i64 = 10_000;

/// The tables; `docs/formats/center.md` describes them.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS node (
        id bytea PRIMARY KEY, said bigint NOT NULL, seq bigint NOT NULL, record bytea NOT NULL,
        addresses text NOT NULL,
        storage_bytes bigint NOT NULL, memory_bytes bigint NOT NULL, cores integer NOT NULL,
        storage_used_bytes bigint NOT NULL, memory_used_bytes bigint NOT NULL,
        cpu_percent integer NOT NULL,
        online boolean NOT NULL, first_seen_ms bigint NOT NULL, last_seen_ms bigint NOT NULL,
        texts text NOT NULL DEFAULT '[]', pinned boolean NOT NULL DEFAULT false);
    CREATE TABLE IF NOT EXISTS name (
        label text PRIMARY KEY, skeleton text NOT NULL UNIQUE, node bytea NOT NULL,
        since_ms bigint NOT NULL, released_ms bigint);
    CREATE INDEX IF NOT EXISTS name_of_node ON name (node);
    CREATE TABLE IF NOT EXISTS invite (
        key bytea PRIMARY KEY, uses integer NOT NULL, until_ms bigint NOT NULL);";

const PUT_NODES: &str = "
    INSERT INTO node (id, said, seq, record, addresses, storage_bytes, memory_bytes, cores,
        storage_used_bytes, memory_used_bytes, cpu_percent, online, first_seen_ms, last_seen_ms)
    SELECT id, said, seq, record, addresses, storage, memory, cores, used, memory_used, cpu, true,
        at, at
    FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bytea[], $5::text[], $6::bigint[],
        $7::bigint[], $8::integer[], $9::bigint[], $10::bigint[], $11::integer[], $12::bigint[])
        AS given (id, said, seq, record, addresses, storage, memory, cores, used, memory_used, cpu,
            at)
    ON CONFLICT (id) DO UPDATE SET said = excluded.said, seq = excluded.seq,
        record = excluded.record, addresses = excluded.addresses,
        storage_bytes = excluded.storage_bytes, memory_bytes = excluded.memory_bytes,
        cores = excluded.cores, storage_used_bytes = excluded.storage_used_bytes,
        memory_used_bytes = excluded.memory_used_bytes, cpu_percent = excluded.cpu_percent,
        online = true, last_seen_ms = excluded.last_seen_ms
    WHERE node.said < excluded.said AND node.seq <= excluded.seq
    RETURNING id";

/// A store on a PostgreSQL server.
pub struct Postgres {
    config: Config,
    place: String,
    connection: Mutex<Option<Connected>>,
}

struct Connected {
    client: Client,
    /// Ends with the connection.
    _driver: AbortOnDropHandle<()>,
}

impl Postgres {
    /// For a connection URL; dials, and makes the tables where they are missing.
    ///
    /// # Errors
    /// If the URL is none, or the server cannot be reached or refuses.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let config: Config = url
            .parse()
            .map_err(|error| StoreError::Failed(format!("this is no PostgreSQL URL: {error}")))?;
        let place = place_of(&config);
        let store = Self {
            config,
            place,
            connection: Mutex::new(None),
        };
        let connected = store.dial().await?;
        connected.client.batch_execute(SCHEMA).await?;
        *store.connection.lock().await = Some(connected);
        Ok(store)
    }

    async fn dial(&self) -> Result<Connected, StoreError> {
        let away = |why: String| StoreError::Away {
            place: self.place.clone(),
            why,
        };
        let dial = tokio::time::timeout(DIAL_TIMEOUT, self.config.connect(NoTls)).await;
        let (client, connection) = dial
            .map_err(|_| away("no answer within 5 s".into()))?
            .map_err(|error| away(told(&error)))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(error = %told(&error), "the connection to PostgreSQL was lost");
            }
        });
        Ok(Connected {
            client,
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    /// Runs `work` on the connection; it is kept only if `work` succeeds.
    async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut place = self.connection.lock().await;
        let mut connected = match place.take().filter(|known| !known.client.is_closed()) {
            Some(connected) => connected,
            None => self.dial().await?,
        };
        let done = tokio::time::timeout(BATCH_TIMEOUT, work(&mut connected.client)).await;
        let value = done.map_err(|_| StoreError::Away {
            place: self.place.clone(),
            why: "no answer within 20 s".into(),
        })??;
        *place = Some(connected);
        Ok(value)
    }
}

/// The server and the database, without user and password.
fn place_of(config: &Config) -> String {
    let host = config.get_hosts().first().map_or_else(
        || "localhost".to_owned(),
        |host| match host {
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        },
    );
    format!("{} at {host}", config.get_dbname().unwrap_or("postgres"))
}

/// What the server said, not only that it said something.
fn told(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(
        || {
            let cause = std::error::Error::source(error);
            cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        },
        |error| error.message().to_owned(),
    )
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(told(&error))
    }
}

impl Store for Postgres {
    fn commit(&self, writes: Vec<Write>) -> Later<'_, Vec<Outcome>> {
        Box::pin(self.with(async move |client: &mut Client| {
            let transaction = client.transaction().await?;
            let mut outcomes = vec![None; writes.len()];
            put_nodes(&transaction, &writes, &mut outcomes).await?;
            let mut done = Vec::with_capacity(writes.len());
            for (write, outcome) in writes.iter().zip(outcomes) {
                done.push(match outcome {
                    Some(outcome) => outcome,
                    None => perform(&transaction, write).await?,
                });
            }
            transaction.commit().await?;
            Ok(done)
        }))
    }

    fn note(&self, seen: Vec<Seen>) -> Later<'_, ()> {
        Box::pin(self.with(async move |client: &mut Client| note(client, &seen).await))
    }

    fn load<'a>(
        &'a self,
        each: &'a mut (dyn FnMut(NodeRow) + Send),
    ) -> Later<'a, Vec<RestingName>> {
        Box::pin(async move {
            let mut after: Vec<u8> = Vec::new();
            loop {
                let from = after.clone();
                let piece = self
                    .with(async move |client: &mut Client| piece(client, &from).await)
                    .await?;
                let Some(last) = piece.last() else { break };
                after = last.id.0.to_vec();
                piece.into_iter().for_each(&mut *each);
            }
            self.with(async |client: &mut Client| resting(client).await)
                .await
        })
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async move {
            self.connection.lock().await.take();
            Ok(())
        })
    }
}

/// All nodes without an invite in one statement; the others stay `None`.
async fn put_nodes(
    transaction: &Transaction<'_>,
    writes: &[Write],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), StoreError> {
    let batched: Vec<usize> = (0..writes.len())
        .filter(|index| matches!(&writes[*index], Write::Node { invite: None, .. }))
        .collect();
    if batched.is_empty() {
        return Ok(());
    }
    let mut columns = Columns::default();
    for index in &batched {
        columns.push(&writes[*index])?;
    }
    let stored = columns.put(transaction).await?;
    let refused: Vec<&[u8]> = batched
        .iter()
        .filter_map(|index| writes[*index].node())
        .map(|node| node.0.as_slice())
        .filter(|id| !stored.contains(*id))
        .collect();
    let known = numbers(transaction, &refused).await?;
    for index in batched {
        let id = writes[index].node().map_or(&[][..], |node| &node.0);
        outcomes[index] = Some(if stored.contains(id) {
            Outcome::Done
        } else {
            Outcome::Stale {
                have: known.get(id).copied().unwrap_or(0),
            }
        });
    }
    Ok(())
}

/// Columns of the rows of a batch.
#[derive(Default)]
struct Columns {
    ids: Vec<Vec<u8>>,
    said: Vec<i64>,
    seq: Vec<i64>,
    records: Vec<Vec<u8>>,
    addresses: Vec<String>,
    storage: Vec<i64>,
    memory: Vec<i64>,
    cores: Vec<i32>,
    storage_used: Vec<i64>,
    memory_used: Vec<i64>,
    cpu: Vec<i32>,
    at: Vec<i64>,
}

impl Columns {
    fn push(&mut self, write: &Write) -> Result<(), StoreError> {
        let Write::Node {
            id,
            said,
            seq,
            record,
            addresses,
            resources,
            usage,
            at,
            ..
        } = write
        else {
            return Err(StoreError::Failed("not a node".into()));
        };
        let record = record
            .encode()
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        self.ids.push(id.0.to_vec());
        self.said.push(signed(*said));
        self.seq.push(signed(*seq));
        self.records.push(record);
        self.addresses.push(super::json(addresses)?);
        self.storage.push(signed(resources.storage_bytes));
        self.memory.push(signed(resources.memory_bytes));
        self.cores.push(i32::from(resources.cores));
        self.storage_used.push(signed(usage.storage_bytes));
        self.memory_used.push(signed(usage.memory_bytes));
        self.cpu.push(i32::from(usage.cpu_percent));
        self.at.push(at.0);
        Ok(())
    }

    /// Ids of those that were written.
    async fn put(&self, transaction: &Transaction<'_>) -> Result<HashSet<Vec<u8>>, StoreError> {
        let rows = transaction
            .query(
                PUT_NODES,
                &[
                    &self.ids,
                    &self.said,
                    &self.seq,
                    &self.records,
                    &self.addresses,
                    &self.storage,
                    &self.memory,
                    &self.cores,
                    &self.storage_used,
                    &self.memory_used,
                    &self.cpu,
                    &self.at,
                ],
            )
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

/// The highest number that is known of each node.
async fn numbers(
    transaction: &Transaction<'_>,
    ids: &[&[u8]],
) -> Result<HashMap<Vec<u8>, u64>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = transaction
        .query(
            "SELECT id, greatest(said, seq) FROM node WHERE id = ANY($1)",
            &[&ids],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), unsigned(row.get(1))))
        .collect())
}

async fn perform(transaction: &Transaction<'_>, write: &Write) -> Result<Outcome, StoreError> {
    let counted = |changed: u64| {
        if changed == 0 {
            Outcome::NoNode
        } else {
            Outcome::Done
        }
    };
    match write {
        Write::Node { id, at, invite, .. } => {
            let Some(key) = invite else {
                return Err(StoreError::Failed("a node outside of its batch".into()));
            };
            let used = transaction
                .execute(
                    "UPDATE invite SET uses = uses - 1
                     WHERE key = $1 AND uses > 0 AND until_ms > $2",
                    &[&key.0.as_slice(), &at.0],
                )
                .await?;
            if used == 0 {
                return Ok(Outcome::InviteSpent);
            }
            let mut columns = Columns::default();
            columns.push(write)?;
            if columns.put(transaction).await?.is_empty() {
                let known = numbers(transaction, &[&id.0]).await?;
                let have = known.values().copied().next().unwrap_or(0);
                return Ok(Outcome::Stale { have });
            }
            Ok(Outcome::Done)
        }
        Write::Name {
            id,
            said,
            name,
            at,
            free_before,
        } => {
            let taken = take_name(transaction, id, name, *at, *free_before).await?;
            if taken == Outcome::Done {
                said_now(transaction, id, *said).await?;
            }
            Ok(taken)
        }
        Write::Texts { id, said, texts } => {
            transaction
                .execute(
                    "UPDATE node SET texts = $2 WHERE id = $1 AND said < $3",
                    &[&id.0.as_slice(), &super::json(texts)?, &signed(*said)],
                )
                .await?;
            said_now(transaction, id, *said).await
        }
        Write::Invite { key, uses, until } => {
            let uses = i32::try_from(*uses).unwrap_or(i32::MAX);
            transaction
                .execute(
                    "INSERT INTO invite VALUES ($1, $2, $3)",
                    &[&key.0.as_slice(), &uses, &until.0],
                )
                .await?;
            Ok(Outcome::Done)
        }
        Write::Pin { id, pinned } => {
            let sql = "UPDATE node SET pinned = $2 WHERE id = $1";
            Ok(counted(
                transaction
                    .execute(sql, &[&id.0.as_slice(), pinned])
                    .await?,
            ))
        }
        Write::Remove { id } => {
            let id = id.0.as_slice();
            transaction
                .execute("DELETE FROM name WHERE node = $1", &[&id])
                .await?;
            let sql = "DELETE FROM node WHERE id = $1";
            Ok(counted(transaction.execute(sql, &[&id]).await?))
        }
    }
}

async fn said_now(
    transaction: &Transaction<'_>,
    id: &NodeId,
    said: u64,
) -> Result<Outcome, StoreError> {
    let changed = transaction
        .execute(
            "UPDATE node SET said = $2 WHERE id = $1 AND said < $2",
            &[&id.0.as_slice(), &signed(said)],
        )
        .await?;
    if changed > 0 {
        return Ok(Outcome::Done);
    }
    let known = numbers(transaction, &[&id.0]).await?;
    let have = known.values().copied().next().unwrap_or(0);
    Ok(Outcome::Stale { have })
}

async fn take_name(
    transaction: &Transaction<'_>,
    id: &NodeId,
    name: &NodeName,
    at: Timestamp,
    free_before: Timestamp,
) -> Result<Outcome, StoreError> {
    let skeleton = names::skeleton(name);
    let (skeleton, node) = (skeleton.as_ref(), id.0.as_slice());
    transaction
        .execute(
            "DELETE FROM name WHERE skeleton = $1
                AND (node = $2 OR (released_ms IS NOT NULL AND released_ms < $3))",
            &[&skeleton, &node, &free_before.0],
        )
        .await?;
    // Another center process may give it at the same time: the insert decides, not a look before.
    let given = transaction
        .execute(
            "INSERT INTO name VALUES ($1, $2, $3, $4, NULL) ON CONFLICT DO NOTHING",
            &[&name.as_str(), &skeleton, &node, &at.0],
        )
        .await?;
    if given == 0 {
        return Ok(Outcome::NameTaken);
    }
    transaction
        .execute(
            "UPDATE name SET released_ms = $2
             WHERE node = $1 AND released_ms IS NULL AND label <> $3",
            &[&node, &at.0, &name.as_str()],
        )
        .await?;
    Ok(Outcome::Done)
}

async fn note(client: &Client, seen: &[Seen]) -> Result<(), StoreError> {
    let ids: Vec<&[u8]> = seen.iter().map(|row| row.id.0.as_slice()).collect();
    let online: Vec<bool> = seen.iter().map(|row| row.online).collect();
    let last_seen: Vec<i64> = seen.iter().map(|row| row.last_seen.0).collect();
    let storage: Vec<i64> = seen
        .iter()
        .map(|row| signed(row.usage.storage_bytes))
        .collect();
    let memory: Vec<i64> = seen
        .iter()
        .map(|row| signed(row.usage.memory_bytes))
        .collect();
    let cpu: Vec<i32> = seen
        .iter()
        .map(|row| i32::from(row.usage.cpu_percent))
        .collect();
    client
        .execute(
            "UPDATE node SET online = given.online, last_seen_ms = given.at,
                storage_used_bytes = given.storage, memory_used_bytes = given.memory,
                cpu_percent = given.cpu
             FROM unnest($1::bytea[], $2::boolean[], $3::bigint[], $4::bigint[], $5::bigint[],
                $6::integer[]) AS given (id, online, at, storage, memory, cpu)
             WHERE node.id = given.id",
            &[&ids, &online, &last_seen, &storage, &memory, &cpu],
        )
        .await?;
    Ok(())
}

async fn piece(client: &Client, after: &[u8]) -> Result<Vec<NodeRow>, StoreError> {
    let rows = client
        .query(
            "SELECT node.id, said, record, label, storage_bytes, memory_bytes, cores,
                storage_used_bytes, memory_used_bytes, cpu_percent, texts, online, pinned,
                first_seen_ms, last_seen_ms
             FROM node LEFT JOIN name ON name.node = node.id AND released_ms IS NULL
             WHERE node.id > $1 ORDER BY node.id LIMIT $2",
            &[&after, &PIECE_ROWS],
        )
        .await?;
    rows.iter().map(node_row).collect()
}

fn foreign(error: impl std::fmt::Display) -> StoreError {
    StoreError::Foreign(error.to_string())
}

fn id_of(bytes: &[u8]) -> Result<NodeId, StoreError> {
    bytes.try_into().map(NodeId).map_err(foreign)
}

fn node_row(row: &Row) -> Result<NodeRow, StoreError> {
    let name: Option<&str> = row.try_get(3)?;
    let size = |column: usize| Ok::<_, StoreError>(unsigned(row.try_get(column)?));
    Ok(NodeRow {
        id: id_of(row.try_get(0)?)?,
        said: size(1)?,
        record: SignedRecord::decode(row.try_get(2)?).map_err(foreign)?,
        name: name.map(str::parse).transpose().map_err(foreign)?,
        resources: Resources {
            storage_bytes: size(4)?,
            memory_bytes: size(5)?,
            cores: u16::try_from(row.try_get::<_, i32>(6)?).unwrap_or(u16::MAX),
        },
        usage: Usage {
            storage_bytes: size(7)?,
            memory_bytes: size(8)?,
            cpu_percent: u8::try_from(row.try_get::<_, i32>(9)?).unwrap_or(u8::MAX),
        },
        texts: serde_json::from_str(row.try_get(10)?).map_err(foreign)?,
        online: row.try_get(11)?,
        pinned: row.try_get(12)?,
        first_seen: Timestamp(row.try_get(13)?),
        last_seen: Timestamp(row.try_get(14)?),
    })
}

async fn resting(client: &Client) -> Result<Vec<RestingName>, StoreError> {
    let rows = client
        .query(
            "SELECT label, node, released_ms FROM name WHERE released_ms IS NOT NULL",
            &[],
        )
        .await?;
    let name = |row: &Row| {
        Ok(RestingName {
            name: row.try_get::<_, &str>(0)?.parse().map_err(foreign)?,
            node: id_of(row.try_get(1)?)?,
            released: Timestamp(row.try_get(2)?),
        })
    };
    rows.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::suite;
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres_keeps_what_a_center_needs() {
        let Some(server) = testing::Postgres::start() else {
            return;
        };
        let url = server.url();
        suite::run(|| async { Box::new(Postgres::open(&url).await.unwrap()) as Box<dyn Store> })
            .await;
    }
}
