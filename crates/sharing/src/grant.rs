//! Grants to members, and what is LAN-only (R94, R105).

use protocol::{AccountId, Fid, Timestamp};
use rusqlite::{Connection, params};

use crate::account;
use crate::permission::{Access, Service};
use crate::{Sharing, SharingError};

/// Most grants on one entry.
pub const GRANTS_MAX: u32 = 1_000;

/// Who is given access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// One account.
    Account(AccountId),
    /// Every account of this node, present and future.
    Everyone,
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
}

/// Something that can be made LAN-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LanOnly {
    /// An entry and all below it.
    Entry(Fid),
    /// A service.
    Service(Service),
}

const COLUMNS: &str = "id, fid, account, writes, by, created";

impl Sharing {
    /// Gives access; replaces the grantee's earlier grant on the same entry.
    pub fn add_grant(
        &self,
        fid: Fid,
        grantee: Grantee,
        access: Access,
        by: AccountId,
    ) -> Result<Grant, SharingError> {
        let account = match grantee {
            Grantee::Account(account) if account == by => {
                return Err(SharingError::BadInput {
                    what: "grantee",
                    why: "the entry is this account's own".into(),
                });
            }
            Grantee::Account(account) => Some(account.0),
            Grantee::Everyone => None,
        };
        let now = self.now();
        let grant = self.write(move |tx| {
            if let Some(account) = account {
                account::by_id(tx, AccountId(account))?
                    .ok_or_else(|| SharingError::NoAccount(account.to_string()))?;
            }
            let sql = "DELETE FROM member_grant WHERE fid = ?1 AND account IS ?2";
            tx.execute(sql, params![fid.0, account])?;
            let sql = "SELECT count(*) FROM member_grant WHERE fid = ?1";
            let count: u32 = tx.query_row(sql, [fid.0], |row| row.get(0))?;
            if count >= GRANTS_MAX {
                return Err(SharingError::TooMany {
                    what: "grants",
                    count: count as usize,
                });
            }
            tx.execute(
                "INSERT INTO member_grant (fid, account, writes, by, created)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![fid.0, account, access == Access::Write, by.0, now.0],
            )?;
            Ok(Grant {
                id: tx.last_insert_rowid(),
                fid,
                grantee,
                access,
                by,
                created: now,
            })
        })?;
        self.0.rights.void();
        Ok(grant)
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
        "by <> ?1 AND (account = ?1 OR account IS NULL)",
        account.0,
    )
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
        Ok(Grant {
            id: row.get(0)?,
            fid: Fid(row.get(1)?),
            grantee: account.map_or(Grantee::Everyone, |id| Grantee::Account(AccountId(id))),
            access: if writes { Access::Write } else { Access::Read },
            by: AccountId(row.get(4)?),
            created: Timestamp(row.get(5)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
