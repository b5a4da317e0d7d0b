//! Friends: nodes of other owners that this node and they agreed on (R8, R94, decision 16).
//!
//! A friend is pinned by its node id; the name is what this node's owner calls it. Two ways lead
//! here: an [`invitation`](Sharing::invite) that the friend redeems, and the comparison of a code,
//! after which each side says that it agrees. Only when both have agreed is the friend accepted
//! and may do what its scopes and grants say; removing it takes all of that away with its row.
//!
//! The secret of an invitation is stored as a keyed hash where it was made, and sealed where it is
//! still to be redeemed. A crash loses nothing: every step is one transaction.

use std::net::SocketAddr;

use protocol::message::pair::{Introduction, PAIR_ADDRESSES_MAX, Token};
use protocol::{EntryName, NodeId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::account::{ACCOUNT_NAME_BYTES_MAX, key_of};
use crate::{Sharing, SharingError, cut};

mod invitation;

pub(crate) use invitation::forget_invitations;
pub use invitation::{INVITATION_AGE_MAX, INVITATIONS_MAX, Invitation, NewInvitation, RedeemError};

/// Most friends of one node, pending ones included.
pub const FRIENDS_MAX: u32 = 1_000;
/// Number of a friend; never given to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FriendId(pub i64);

/// What a friend may ask of this node at all; each single folder is granted besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The folders that are shared with it.
    Files,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Files];

    /// The name that commands and the database use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
        }
    }
}

/// A set of scopes; its text is their names with commas, or `none`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// What a friend has unless its invitation says otherwise.
    #[must_use]
    pub fn usual() -> Self {
        Self(vec![Scope::Files])
    }

    /// True if `scope` is one of them.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Their names.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|scope| scope.name()).collect()
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.names().join(","))
    }
}

impl std::str::FromStr for Scopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut scopes = Vec::new();
        for name in text.split(',').map(str::trim) {
            if name.is_empty() || name == "none" {
                continue;
            }
            let scope = Scope::ALL.into_iter().find(|scope| scope.name() == name);
            scopes.push(scope.ok_or_else(|| {
                let names = Scope::ALL.map(Scope::name).join(", ");
                format!(
                    "`{}` is no scope of a friend; there are {names}, or none",
                    cut(name, 40)
                )
            })?);
        }
        scopes.sort_unstable();
        scopes.dedup();
        Ok(Self(scopes))
    }
}

/// How far a friendship is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FriendState {
    /// Both owners agreed.
    Accepted,
    /// This node's owner agreed; the other node has not answered yet.
    WaitsForThem,
    /// The other owner agreed; this node's owner has not yet.
    WaitsForUs,
}

impl FriendState {
    /// The word that commands use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::WaitsForThem | Self::WaitsForUs => "pending",
        }
    }
}

/// A friend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Friend {
    /// Its number.
    pub id: FriendId,
    /// Its identity; a node without this key is not this friend, whatever it says.
    pub node: NodeId,
    /// What this node's owner calls it; also its folder below `Friends`.
    pub name: EntryName,
    /// What it called itself when they met.
    pub calls_itself: String,
    /// Where it was last known to listen.
    pub addresses: Vec<SocketAddr>,
    /// What it may ask for.
    pub scopes: Scopes,
    /// How far the friendship is.
    pub state: FriendState,
    /// When it was accepted.
    pub since: Option<Timestamp>,
    /// When it was first heard of.
    pub created: Timestamp,
}

/// Which side of a friendship agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This node's owner.
    Us,
    /// The other node.
    Them,
}

const COLUMNS: &str =
    "id, node, name, calls_itself, addresses, scopes, we_agree, they_agree, since, created";

impl Sharing {
    /// Keeps somebody else's ticket until it is redeemed: a friend that waits for the other node.
    pub fn hold_ticket(
        &self,
        node: NodeId,
        token: &Token,
        expires: Timestamp,
        me: &Introduction,
        name: Option<&EntryName>,
        scopes: &Scopes,
    ) -> Result<Friend, SharingError> {
        let sealed = self.0.keys.seal(&node.0, token)?;
        let (me, name, scopes) = (me.clone(), name.cloned(), scopes.clone());
        let now = self.now();
        let friend = self.write(move |tx| {
            meet(tx, node, &me, name.as_ref(), &scopes, now)?;
            agree(tx, node, Side::Us, now)?;
            tx.execute(
                "UPDATE friend SET sealed_token = ?2, token_expires = ?3
                 WHERE node = ?1 AND NOT they_agree",
                params![&node.0[..], sealed, expires.0],
            )?;
            by_node(tx, node)?.ok_or(SharingError::Missing("friend"))
        })?;
        self.0.rights.void();
        Ok(friend)
    }

    /// Friends whose tickets are to be redeemed, with the tickets' secrets.
    pub fn held_tickets(&self) -> Result<Vec<(Friend, Token)>, SharingError> {
        let now = self.now();
        let rows = self.read(|c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT {COLUMNS}, sealed_token FROM friend
                 WHERE sealed_token IS NOT NULL AND token_expires > ?1 ORDER BY id"
            ))?;
            let rows =
                statement.query_map([now.0], |row| Ok((raw(row)?, row.get::<_, Vec<u8>>(10)?)))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        let mut held = Vec::new();
        for (row, sealed) in rows {
            let friend = row.into_friend()?;
            let token = self
                .0
                .keys
                .open("ticket of a friend", &friend.node.0, &sealed)?;
            let token = token.try_into().map_err(|_| SharingError::Damaged {
                what: "ticket of a friend",
                why: "it has not 16 bytes".into(),
            })?;
            held.push((friend, token));
        }
        Ok(held)
    }

    /// Notes that one side agrees; makes the friend's row if there is none yet.
    pub fn friend_agrees(
        &self,
        node: NodeId,
        side: Side,
        me: &Introduction,
        name: Option<&EntryName>,
        scopes: &Scopes,
    ) -> Result<Friend, SharingError> {
        let (me, name, scopes) = (me.clone(), name.cloned(), scopes.clone());
        let now = self.now();
        let friend = self.write(move |tx| {
            meet(tx, node, &me, name.as_ref(), &scopes, now)?;
            agree(tx, node, side, now)?;
            by_node(tx, node)?.ok_or(SharingError::Missing("friend"))
        })?;
        self.0.rights.void();
        Ok(friend)
    }

    /// All friends, by name.
    pub fn friends(&self) -> Result<Vec<Friend>, SharingError> {
        self.read(|c| select(c, "1 ORDER BY name_key", []))
    }

    /// A friend by the name that this node's owner gave it; letter case does not count.
    pub fn friend(&self, name: &str) -> Result<Option<Friend>, SharingError> {
        let key = key_of(name);
        self.read(|c| Ok(select(c, "name_key = ?1", [key])?.pop()))
    }

    /// A friend by its number.
    pub fn friend_by_id(&self, id: FriendId) -> Result<Option<Friend>, SharingError> {
        self.read(|c| Ok(select(c, "id = ?1", [id.0])?.pop()))
    }

    /// A friend by its identity, pending or not.
    pub fn friend_by_node(&self, node: NodeId) -> Result<Option<Friend>, SharingError> {
        self.read(|c| by_node(c, node))
    }

    /// Calls a friend something else; its shares move with it to another folder below `Friends`.
    pub fn rename_friend(&self, id: FriendId, name: &EntryName) -> Result<(), SharingError> {
        let name = name.clone();
        self.write(move |tx| {
            check_friend_name(tx, &name, Some(id))?;
            let sql = "UPDATE friend SET name = ?2, name_key = ?3 WHERE id = ?1";
            let changed = tx.execute(sql, params![id.0, name.as_str(), key_of(name.as_str())])?;
            if changed == 0 {
                return Err(SharingError::Missing("friend"));
            }
            Ok(())
        })?;
        self.0.rights.void();
        Ok(())
    }

    /// Changes what a friend may ask for; counts from the next request on.
    pub fn set_friend_scopes(&self, id: FriendId, scopes: &Scopes) -> Result<(), SharingError> {
        let text = scopes.to_string();
        self.write(move |tx| {
            let sql = "UPDATE friend SET scopes = ?2 WHERE id = ?1";
            if tx.execute(sql, params![id.0, text])? == 0 {
                return Err(SharingError::Missing("friend"));
            }
            Ok(())
        })?;
        self.0.rights.void();
        Ok(())
    }

    /// Notes where a friend was reached; false if that was known.
    pub fn note_friend_addresses(
        &self,
        id: FriendId,
        addresses: &[SocketAddr],
    ) -> Result<bool, SharingError> {
        let text = addresses_text(addresses);
        let changed = self.write(move |tx| {
            let sql = "UPDATE friend SET addresses = ?2 WHERE id = ?1 AND addresses <> ?2";
            Ok(tx.execute(sql, params![id.0, text])? > 0)
        })?;
        if changed {
            self.0.rights.void();
        }
        Ok(changed)
    }

    /// Ends a friendship from this side, with all that was shared; counts from the next request
    /// on. False if there is no such friend.
    pub fn remove_friend(&self, id: FriendId) -> Result<bool, SharingError> {
        let removed = self.write(move |tx| {
            // A used ticket must not bring back whom its maker has removed.
            tx.execute(
                "DELETE FROM friend_invitation
                 WHERE redeemed_by = (SELECT node FROM friend WHERE id = ?1)",
                [id.0],
            )?;
            Ok(tx.execute("DELETE FROM friend WHERE id = ?1", [id.0])? > 0)
        });
        self.0.rights.void();
        removed
    }
}

/// The friend's row: a new one that nobody has agreed to, or the one that is there with what it
/// says of itself brought up to date.
fn meet(
    tx: &Connection,
    node: NodeId,
    me: &Introduction,
    name: Option<&EntryName>,
    scopes: &Scopes,
    now: Timestamp,
) -> Result<(), SharingError> {
    let addresses = addresses_text(&me.addresses);
    if by_node(tx, node)?.is_some() {
        tx.execute(
            "UPDATE friend SET calls_itself = ?2, addresses = ?3 WHERE node = ?1",
            params![&node.0[..], cut(&me.name, 64), addresses],
        )?;
        return Ok(());
    }
    let count: u32 = tx.query_row("SELECT count(*) FROM friend", [], |row| row.get(0))?;
    if count >= FRIENDS_MAX {
        return Err(SharingError::TooMany {
            what: "friends",
            count: count as usize,
        });
    }
    let name = match name {
        Some(name) => {
            check_friend_name(tx, name, None)?;
            name.clone()
        }
        None => free_name(tx, &me.name)?,
    };
    tx.execute(
        "INSERT INTO friend (node, name, name_key, calls_itself, addresses, scopes, we_agree,
           they_agree, created)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?7)",
        params![
            &node.0[..],
            name.as_str(),
            key_of(name.as_str()),
            cut(&me.name, 64),
            addresses,
            scopes.to_string(),
            now.0
        ],
    )?;
    Ok(())
}

fn agree(tx: &Connection, node: NodeId, side: Side, now: Timestamp) -> Result<(), SharingError> {
    let column = match side {
        Side::Us => "we_agree",
        Side::Them => "they_agree",
    };
    tx.execute(
        &format!("UPDATE friend SET {column} = 1 WHERE node = ?1"),
        [&node.0[..]],
    )?;
    tx.execute(
        "UPDATE friend SET since = ?2, sealed_token = NULL, token_expires = NULL
         WHERE node = ?1 AND we_agree AND they_agree AND since IS NULL",
        params![&node.0[..], now.0],
    )?;
    Ok(())
}

/// A name that can be a folder, is no part of `friend:NAME` by itself, and nobody else has.
fn check_friend_name(
    c: &Connection,
    name: &EntryName,
    but: Option<FriendId>,
) -> Result<(), SharingError> {
    let bad = |why: &str| SharingError::BadInput {
        what: "name of a friend",
        why: format!("`{}` {why}", cut(name.as_str(), 80)),
    };
    let text = name.as_str();
    if text.len() > ACCOUNT_NAME_BYTES_MAX {
        return Err(bad("is longer than 64 bytes"));
    }
    if text.contains([':', '\\']) || text.contains(char::is_control) {
        return Err(bad("holds a colon, a backslash or a control character"));
    }
    if text.trim() != text || text.starts_with('.') || text.ends_with('.') {
        return Err(bad("begins or ends with a space or a dot"));
    }
    let sql = "SELECT id FROM friend WHERE name_key = ?1";
    let holder: Option<i64> = c
        .query_row(sql, [key_of(text)], |row| row.get(0))
        .optional()?;
    if holder.is_some_and(|holder| Some(FriendId(holder)) != but) {
        return Err(bad("is the name of another friend"));
    }
    Ok(())
}

/// The name that comes nearest to what the node calls itself and is free.
fn free_name(c: &Connection, wanted: &str) -> Result<EntryName, SharingError> {
    let clean: String = wanted
        .chars()
        .map(|letter| match letter {
            '/' | '\\' | ':' => '-',
            letter if letter.is_control() => '-',
            letter => letter,
        })
        .collect();
    let clean = cut(&clean, ACCOUNT_NAME_BYTES_MAX - 8).trim_matches(['.', ' ']);
    let clean = if clean.is_empty() { "friend" } else { clean };
    for number in 1..=FRIENDS_MAX + 1 {
        let text = if number == 1 {
            clean.to_owned()
        } else {
            format!("{clean} {number}")
        };
        let Ok(name) = EntryName::new(&text) else {
            break;
        };
        if check_friend_name(c, &name, None).is_ok() {
            return Ok(name);
        }
    }
    Err(SharingError::BadInput {
        what: "name of a friend",
        why: "give it a name of your own".into(),
    })
}

fn by_node(c: &Connection, node: NodeId) -> Result<Option<Friend>, SharingError> {
    Ok(select(c, "node = ?1", [&node.0[..]])?.pop())
}

pub(crate) fn accepted(c: &Connection) -> Result<Vec<Friend>, SharingError> {
    select(c, "we_agree AND they_agree", [])
}

fn select(
    c: &Connection,
    filter: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<Friend>, SharingError> {
    let mut statement =
        c.prepare_cached(&format!("SELECT {COLUMNS} FROM friend WHERE {filter}"))?;
    let rows = statement.query_map(values, raw)?;
    rows.map(|row| row?.into_friend()).collect()
}

/// A row as it lies in the table.
struct Raw {
    id: i64,
    node: Vec<u8>,
    name: String,
    calls_itself: String,
    addresses: String,
    scopes: String,
    we_agree: bool,
    they_agree: bool,
    since: Option<i64>,
    created: i64,
}

fn raw(row: &Row<'_>) -> Result<Raw, rusqlite::Error> {
    Ok(Raw {
        id: row.get(0)?,
        node: row.get(1)?,
        name: row.get(2)?,
        calls_itself: row.get(3)?,
        addresses: row.get(4)?,
        scopes: row.get(5)?,
        we_agree: row.get(6)?,
        they_agree: row.get(7)?,
        since: row.get(8)?,
        created: row.get(9)?,
    })
}

impl Raw {
    fn into_friend(self) -> Result<Friend, SharingError> {
        let state = match (self.we_agree, self.they_agree) {
            (true, true) => FriendState::Accepted,
            (true, false) => FriendState::WaitsForThem,
            (false, _) => FriendState::WaitsForUs,
        };
        Ok(Friend {
            id: FriendId(self.id),
            node: stored_node(&self.node)?,
            name: stored_name(&self.name)?,
            calls_itself: self.calls_itself,
            addresses: self
                .addresses
                .split_whitespace()
                .filter_map(|address| address.parse().ok())
                .collect(),
            scopes: stored_scopes(&self.scopes)?,
            state,
            since: self.since.map(Timestamp),
            created: Timestamp(self.created),
        })
    }
}

fn addresses_text(addresses: &[SocketAddr]) -> String {
    let kept = addresses.iter().take(PAIR_ADDRESSES_MAX);
    kept.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn stored_node(bytes: &[u8]) -> Result<NodeId, SharingError> {
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| SharingError::Damaged {
        what: "friend",
        why: "its id has not 32 bytes".into(),
    })?;
    Ok(NodeId(bytes))
}

fn stored_name(text: &str) -> Result<EntryName, SharingError> {
    EntryName::new(text).map_err(|error| SharingError::Damaged {
        what: "friend",
        why: error.to_string(),
    })
}

fn stored_scopes(text: &str) -> Result<Scopes, SharingError> {
    text.parse().map_err(|why| SharingError::Damaged {
        what: "friend",
        why,
    })
}
