//! Grants to members and friends, and what is LAN-only (R94, R105).

use protocol::{AccountId, EntryName, Fid, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::account::{self, key_of};
use crate::friend::{FriendId, FriendState};
use crate::permission::{Access, Service};
use crate::{Sharing, SharingError};

/// Most grants on one entry.
pub const GRANTS_MAX: u32 = 1_000;

/// Who is given access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// One account.
    Account(AccountId),
    /// Every account of this node, present and future; no friend.
    Everyone,
    /// One friend.
    Friend(FriendId),
}

/// Access to an entry and all below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Number of the grant.
    pub id: i64,
    /// The entry.
    pub fid: Fid,
    /// To whom.
    pub grantee: Grantee,
    /// How much.
    pub access: Access,
    /// Who gave it: it works while this account owns the entry's space.
    pub by: AccountId,
    /// When.
    pub created: Timestamp,
    /// What a friend sees it as; stays the same when the entry is renamed. `None` for members.
    pub share_name: Option<EntryName>,
}

/// Something that can be made LAN-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LanOnly {
    /// An entry and all below it.
    Entry(Fid),
    /// A service.
    Service(Service),
}

const COLUMNS: &str = "id, fid, account, writes, by, created, friend, share_name";

impl Sharing {
    /// Gives access to members; replaces the grantee's earlier grant on the same entry. A friend
    /// is given access by [`Sharing::share_with_friend`].
    pub fn add_grant(
        &self,
        fid: Fid,
        grantee: Grantee,
        access: Access,
        by: AccountId,
    ) -> Result<Grant, SharingError> {
        let bad = |why: &str| SharingError::BadInput {
            what: "grantee",
            why: why.into(),
        };
        match grantee {
            Grantee::Account(account) if account == by => {
                return Err(bad("the entry is this account's own"));
            }
            Grantee::Friend(_) => return Err(bad("a share with a friend needs a name")),
            Grantee::Account(_) | Grantee::Everyone => {}
        }
        self.insert_grant(fid, grantee, access, by, None)
    }

    /// Gives a friend access to an entry that it will see as `name`, or as `name 2` if it has that
    /// name already; a second grant on the same entry keeps the first one's name.
    pub fn share_with_friend(
        &self,
        fid: Fid,
        friend: FriendId,
        access: Access,
        by: AccountId,
        name: &EntryName,
    ) -> Result<Grant, SharingError> {
        self.insert_grant(fid, Grantee::Friend(friend), access, by, Some(name.clone()))
    }

    fn insert_grant(
        &self,
        fid: Fid,
        grantee: Grantee,
        access: Access,
        by: AccountId,
        name: Option<EntryName>,
    ) -> Result<Grant, SharingError> {
        let (account, friend) = match grantee {
            Grantee::Account(account) => (Some(account.0), None),
            Grantee::Everyone => (None, None),
            Grantee::Friend(friend) => (None, Some(friend.0)),
        };
        let now = self.now();
        let grant = self.write(move |tx| {
            if let Some(account) = account {
                account::by_id(tx, AccountId(account))?
                    .ok_or_else(|| SharingError::NoAccount(account.to_string()))?;
            }
            let share_name = match (friend, &name) {
                (Some(friend), Some(name)) => Some(share_name(tx, fid, friend, name)?),
                (Some(_), None) | (None, _) => None,
            };
            let sql = "DELETE FROM member_grant WHERE fid = ?1 AND account IS ?2 AND friend IS ?3";
            tx.execute(sql, params![fid.0, account, friend])?;
            let sql = "SELECT count(*) FROM member_grant WHERE fid = ?1";
            let count: u32 = tx.query_row(sql, [fid.0], |row| row.get(0))?;
            if count >= GRANTS_MAX {
                return Err(SharingError::TooMany {
                    what: "grants",
                    count: count as usize,
                });
            }
            tx.execute(
                "INSERT INTO member_grant (fid, account, writes, by, created, friend, share_name)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    fid.0,
                    account,
                    access == Access::Write,
                    by.0,
                    now.0,
                    friend,
                    share_name.as_ref().map(EntryName::as_str)
                ],
            )?;
            Ok(Grant {
                id: tx.last_insert_rowid(),
                fid,
                grantee,
                access,
                by,
                created: now,
                share_name,
            })
        })?;
        self.0.rights.void();
        Ok(grant)
    }

    /// Everything that was given to a friend, by name.
    pub fn granted_to_friend(&self, friend: FriendId) -> Result<Vec<Grant>, SharingError> {
        let mut grants = self.read(|c| granted_to_friend(c, friend))?;
        grants.sort_by(|a, b| a.share_name.cmp(&b.share_name));
        Ok(grants)
    }

    /// Grants on an entry itself.
    pub fn grants(&self, fid: Fid) -> Result<Vec<Grant>, SharingError> {
        self.read(|c| select(c, "fid = ?1", fid.0))
    }

    /// Everything that was given to an account by others, newest first.
    pub fn granted_to(&self, account: AccountId) -> Result<Vec<Grant>, SharingError> {
        self.read(|c| granted_to(c, account))
    }

    /// Everything that an account gave to others.
    pub fn granted_by(&self, account: AccountId) -> Result<Vec<Grant>, SharingError> {
        self.read(|c| select(c, "by = ?1", account.0))
    }

    /// A grant by its number.
    pub fn grant(&self, id: i64) -> Result<Option<Grant>, SharingError> {
        self.read(|c| Ok(select(c, "id = ?1", id)?.pop()))
    }

    /// Takes access away; counts from the next request on. False if there is no such grant.
    pub fn remove_grant(&self, id: i64) -> Result<bool, SharingError> {
        let gone = self
            .write(move |tx| Ok(tx.execute("DELETE FROM member_grant WHERE id = ?1", [id])? > 0));
        self.0.rights.void();
        gone
    }

    /// Makes something LAN-only or not; false if it was so already.
    pub fn set_lan_only(&self, what: LanOnly, on: bool) -> Result<bool, SharingError> {
        let changed = self.write(move |tx| {
            let changed = match (what, on) {
                (LanOnly::Entry(fid), true) => tx.execute(
                    "INSERT OR IGNORE INTO lan_only_entry (fid) VALUES (?1)",
                    [fid.0],
                ),
                (LanOnly::Entry(fid), false) => {
                    tx.execute("DELETE FROM lan_only_entry WHERE fid = ?1", [fid.0])
                }
                (LanOnly::Service(service), true) => tx.execute(
                    "INSERT OR IGNORE INTO lan_only_service (name) VALUES (?1)",
                    [service.name()],
                ),
                (LanOnly::Service(service), false) => tx.execute(
                    "DELETE FROM lan_only_service WHERE name = ?1",
                    [service.name()],
                ),
            };
            Ok(changed? > 0)
        });
        self.0.rights.void();
        changed
    }

    /// All that is LAN-only. Listings for somebody who is away leave these entries out, and a
    /// copy, move, delete or archive of a folder asked from away must not hold one of them.
    pub fn lan_only(&self) -> Result<Vec<LanOnly>, SharingError> {
        self.read(lan_only)
    }
}

/// Grants of others that reach an account, through its number or as one of everyone.
pub(crate) fn granted_to(c: &Connection, account: AccountId) -> Result<Vec<Grant>, SharingError> {
    select(
        c,
        "by <> ?1 AND friend IS NULL AND (account = ?1 OR account IS NULL)",
        account.0,
    )
}

pub(crate) fn granted_to_friend(
    c: &Connection,
    friend: FriendId,
) -> Result<Vec<Grant>, SharingError> {
    select(c, "friend = ?1", friend.0)
}

/// The name that a friend knows the entry by already, or the next free one after `wanted`.
fn share_name(
    tx: &Connection,
    fid: Fid,
    friend: i64,
    wanted: &EntryName,
) -> Result<EntryName, SharingError> {
    let friend = FriendId(friend);
    let accepted = crate::friend::accepted(tx)?;
    if !accepted
        .iter()
        .any(|one| one.id == friend && one.state == FriendState::Accepted)
    {
        return Err(SharingError::Missing("friend"));
    }
    let sql = "SELECT share_name FROM member_grant WHERE fid = ?1 AND friend = ?2";
    let earlier: Option<String> = tx
        .query_row(sql, [fid.0, friend.0], |row| row.get(0))
        .optional()?;
    if let Some(earlier) = earlier {
        return stored_name(&earlier);
    }
    let taken: Vec<String> = granted_to_friend(tx, friend)?
        .into_iter()
        .filter_map(|grant| grant.share_name)
        .map(|name| key_of(name.as_str()))
        .collect();
    let stem = crate::cut(wanted.as_str(), protocol::NAME_BYTES_MAX - 8);
    for number in 1.. {
        let text = if number == 1 {
            wanted.as_str().to_owned()
        } else {
            format!("{stem} {number}")
        };
        if !taken.contains(&key_of(&text)) {
            return stored_name(&text);
        }
    }
    Err(SharingError::Missing("free name"))
}

fn stored_name(text: &str) -> Result<EntryName, SharingError> {
    EntryName::new(text).map_err(|error| SharingError::Damaged {
        what: "name of a share",
        why: error.to_string(),
    })
}

pub(crate) fn lan_only(c: &Connection) -> Result<Vec<LanOnly>, SharingError> {
    let mut all = Vec::new();
    let mut statement = c.prepare_cached("SELECT fid FROM lan_only_entry ORDER BY fid")?;
    for fid in statement.query_map([], |row| row.get(0))? {
        all.push(LanOnly::Entry(Fid(fid?)));
    }
    let mut statement = c.prepare_cached("SELECT name FROM lan_only_service ORDER BY name")?;
    for name in statement.query_map([], |row| row.get::<_, String>(0))? {
        let service = name?.parse().map_err(|why| SharingError::Damaged {
            what: "LAN-only service",
            why,
        })?;
        all.push(LanOnly::Service(service));
    }
    Ok(all)
}

/// `filter` uses `?1`, which is `number`.
fn select(c: &Connection, filter: &str, number: i64) -> Result<Vec<Grant>, SharingError> {
    let mut statement = c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM member_grant WHERE {filter} ORDER BY id DESC"
    ))?;
    let rows = statement.query_map([number], |row| {
        let account: Option<i64> = row.get(2)?;
        let writes: bool = row.get(3)?;
        let friend: Option<i64> = row.get(6)?;
        let share_name: Option<String> = row.get(7)?;
        let grantee = match (account, friend) {
            (_, Some(friend)) => Grantee::Friend(FriendId(friend)),
            (Some(account), None) => Grantee::Account(AccountId(account)),
            (None, None) => Grantee::Everyone,
        };
        let grant = Grant {
            id: row.get(0)?,
            fid: Fid(row.get(1)?),
            grantee,
            access: if writes { Access::Write } else { Access::Read },
            by: AccountId(row.get(4)?),
            created: Timestamp(row.get(5)?),
            share_name: None,
        };
        Ok((grant, share_name))
    })?;
    rows.map(|row| {
        let (grant, name) = row?;
        let share_name = name.as_deref().map(stored_name).transpose()?;
        Ok(Grant {
            share_name,
            ..grant
        })
    })
    .collect()
}
