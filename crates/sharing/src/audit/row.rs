//! A stored row: its columns, and how it is read.

use protocol::Hash;
use rusqlite::{Connection, Row};

/// A stored row as text and numbers, the way it is hashed and exported.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRow {
    /// Number; counts from 1 without gaps.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Account, if one did it.
    pub account: Option<i64>,
    /// Who.
    pub actor: String,
    /// By which means.
    pub via: String,
    /// From where, or empty.
    pub address: String,
    /// What, see [`super::Action`].
    pub action: String,
    /// Space, where it is about an entry.
    pub space: Option<i64>,
    /// Of what.
    pub target: String,
    /// File id.
    pub fid: Option<i64>,
    /// Revision before.
    pub old_rev: Option<i64>,
    /// Revision after.
    pub new_rev: Option<i64>,
    /// `done`, `refused`, `failed`.
    pub outcome: String,
    /// More in words.
    pub detail: String,
    /// How many times.
    pub count: u32,
    /// Hash of this row, 64 hexadecimal digits.
    pub hash: String,
}

/// The columns of a row, in the order of [`row_from`].
pub(super) const COLUMNS: &str = "seq, at, account, actor, via, address, action, space, target, fid, old_rev, \
     new_rev, outcome, detail, count, hash";

/// All rows in their order, in one snapshot.
pub(crate) fn for_each_row<E: From<rusqlite::Error>>(
    c: &Connection,
    mut each: impl FnMut(Result<AuditRow, rusqlite::Error>) -> Result<(), E>,
) -> Result<(), E> {
    let mut statement = c.prepare(&format!("SELECT {COLUMNS} FROM audit ORDER BY seq"))?;
    for row in statement.query_map([], row_from)? {
        each(row)?;
    }
    Ok(())
}

pub(super) fn row_from(row: &Row<'_>) -> Result<AuditRow, rusqlite::Error> {
    Ok(AuditRow {
        seq: number(row, 0)?,
        at_ms: row.get(1)?,
        account: row.get(2)?,
        actor: row.get(3)?,
        via: row.get(4)?,
        address: row.get(5)?,
        action: row.get(6)?,
        space: row.get(7)?,
        target: row.get(8)?,
        fid: row.get(9)?,
        old_rev: row.get(10)?,
        new_rev: row.get(11)?,
        outcome: row.get(12)?,
        detail: row.get(13)?,
        count: row.get(14)?,
        hash: Hash(row.get(15)?).to_string(),
    })
}

/// A number of a row; SQLite has no unsigned numbers, so a negative one is damage.
pub(crate) fn number(row: &Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// A number of a row as SQLite takes it; a log never gets near the limit.
pub(crate) fn to_sql(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
