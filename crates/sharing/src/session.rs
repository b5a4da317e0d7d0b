//! Sessions of browsers: 256 random bits in a cookie, a keyed hash of them in the database.

use std::net::IpAddr;
use std::time::Duration;

use protocol::{AccountId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::account::{self, Account};
use crate::actor::{Client, Via, Who};
use crate::keys::{SecretHash, Use, from_token, random, to_token};
use crate::{Sharing, SharingError, cut, parse_address};

/// A session unused for this long is over.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// A session older than this is over.
pub const SESSION_AGE_MAX: Duration = Duration::from_secs(180 * 24 * 3600);
/// Most sessions of one account; the one unused for the longest time ends first.
pub const SESSIONS_MAX: u32 = 100;

/// How often the last use is written.
pub(crate) const NOTE_INTERVAL: Duration = Duration::from_secs(60);
const USER_AGENT_BYTES_MAX: usize = 200;
/// 256 random bits.
const TOKEN_BYTES: usize = 32;

/// A session that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub account: Account,
}

impl Session {
    /// The asker it stands for.
    #[must_use]
    pub fn who(&self) -> Who {
        Who::Account {
            id: self.account.id,
            name: self.account.name.clone(),
            owner: self.account.owner,
            via: Via::Session { id: self.id },
        }
    }
}

/// A session as its owner sees it in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used; at most a minute behind.
    pub last_seen: Timestamp,
    /// From where it was begun.
    pub address: Option<IpAddr>,
    /// By which browser.
    pub user_agent: String,
}

impl Sharing {
    /// The session of a cookie's value; `None` if unknown, over or revoked.
    pub fn session(&self, cookie: &str) -> Result<Option<Session>, SharingError> {
        let Some(token) = from_token::<TOKEN_BYTES>(cookie) else {
            return Ok(None);
        };
        let hash = self.0.keys.hash(Use::Session, &[&token]);
        let now = self.now();
        let found = self.read(|c| find(c, &hash))?;
        let Some((session, created, last_seen)) = found else {
            return Ok(None);
        };
        if now.since(created) > SESSION_AGE_MAX || now.since(last_seen) > SESSION_IDLE_MAX {
            return Ok(None);
        }
        if now.since(last_seen) >= NOTE_INTERVAL || last_seen > now {
            let id = session.id;
            // Nobody waits for this: losing it at a crash makes the session seem a minute older.
            drop(self.0.database.write_later(move |tx| {
                tx.prepare_cached("UPDATE session SET last_seen = ?2 WHERE id = ?1")?
                    .execute(params![id, now.0])?;
                Ok::<_, SharingError>(())
            }));
        }
        Ok(Some(session))
    }

    /// The sessions of an account, last used first.
    pub fn sessions(&self, account: AccountId) -> Result<Vec<SessionInfo>, SharingError> {
        let now = self.now();
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT id, created, last_seen, address, user_agent FROM session
                 WHERE account = ?1 ORDER BY last_seen DESC, id DESC",
            )?;
            let rows = statement.query_map([account.0], |row| {
                Ok(SessionInfo {
                    id: row.get(0)?,
                    created: Timestamp(row.get(1)?),
                    last_seen: Timestamp(row.get(2)?),
                    address: parse_address(&row.get::<_, String>(3)?),
                    user_agent: row.get(4)?,
                })
            })?;
            let mut sessions = rows.collect::<Result<Vec<_>, _>>()?;
            sessions.retain(|s| {
                now.since(s.created) <= SESSION_AGE_MAX
                    && now.since(s.last_seen) <= SESSION_IDLE_MAX
            });
            Ok(sessions)
        })
    }

    /// Ends one session of an account from its next request on; false if it is not there.
    pub fn revoke_session(&self, account: AccountId, id: i64) -> Result<bool, SharingError> {
        self.write(move |tx| {
            let sql = "DELETE FROM session WHERE account = ?1 AND id = ?2";
            Ok(tx.execute(sql, [account.0, id])? > 0)
        })
    }

    /// Ends all sessions of an account but one; tells how many.
    pub fn revoke_other_sessions(
        &self,
        account: AccountId,
        keep: Option<i64>,
    ) -> Result<usize, SharingError> {
        self.write(move |tx| end_others(tx, account, keep))
    }

    /// Ends the session of a cookie's value.
    pub fn logout(&self, cookie: &str) -> Result<(), SharingError> {
        let Some(token) = from_token::<TOKEN_BYTES>(cookie) else {
            return Ok(());
        };
        let hash = self.0.keys.hash(Use::Session, &[&token]);
        self.write(move |tx| {
            tx.execute("DELETE FROM session WHERE hash = ?1", [&hash[..]])?;
            Ok(())
        })
    }
}

/// Draws a session's token and the job that stores it.
pub(crate) fn draw(sharing: &Sharing) -> Result<(String, SecretHash), SharingError> {
    let token = random::<TOKEN_BYTES>()?;
    let hash = sharing.0.keys.hash(Use::Session, &[&token]);
    Ok((to_token(&token), hash))
}

/// Stores a session; beyond [`SESSIONS_MAX`] those unused for the longest time end.
pub(crate) fn begin(
    tx: &Connection,
    hash: &SecretHash,
    account: AccountId,
    client: &Client,
    now: Timestamp,
) -> Result<i64, SharingError> {
    tx.execute(
        "INSERT INTO session (hash, account, created, last_seen, address, user_agent)
         VALUES (?1, ?2, ?3, ?3, ?4, ?5)",
        params![
            &hash[..],
            account.0,
            now.0,
            client.address.to_canonical().to_string(),
            cut(&client.user_agent, USER_AGENT_BYTES_MAX)
        ],
    )?;
    let id = tx.last_insert_rowid();
    tx.execute(
        "DELETE FROM session WHERE account = ?1 AND id NOT IN
           (SELECT id FROM session WHERE account = ?1 ORDER BY id = ?3 DESC, last_seen DESC LIMIT ?2)",
        params![account.0, SESSIONS_MAX, id],
    )?;
    Ok(id)
}

pub(crate) fn end_others(
    tx: &Connection,
    account: AccountId,
    keep: Option<i64>,
) -> Result<usize, SharingError> {
    Ok(tx.execute(
        "DELETE FROM session WHERE account = ?1 AND id IS NOT ?2",
        params![account.0, keep],
    )?)
}

/// Removes sessions that are over.
pub(crate) fn forget(tx: &Connection, now: Timestamp) -> Result<usize, SharingError> {
    Ok(tx.execute(
        "DELETE FROM session WHERE created < ?1 OR last_seen < ?2",
        [now.minus(SESSION_AGE_MAX).0, now.minus(SESSION_IDLE_MAX).0],
    )?)
}

type Found = (Session, Timestamp, Timestamp);

fn find(c: &Connection, hash: &SecretHash) -> Result<Option<Found>, SharingError> {
    let mut statement = c.prepare_cached(&format!(
        "SELECT {}, session.id, session.created, session.last_seen
         FROM session JOIN account ON account.id = session.account WHERE session.hash = ?1",
        account::COLUMNS
    ))?;
    let found = statement
        .query_row([&hash[..]], |row| {
            let times = (row.get(8)?, Timestamp(row.get(9)?), Timestamp(row.get(10)?));
            Ok((account::from_row(row)?, times))
        })
        .optional()?;
    let Some((account, (id, created, last_seen))) = found else {
        return Ok(None);
    };
    let account = account?;
    Ok(Some((Session { id, account }, created, last_seen)))
}
