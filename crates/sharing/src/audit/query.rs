//! Reading the log: filters, pages, export.

use std::io::Write;

use protocol::{Fid, Hash, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::cut::{Cut, CutFile};
use super::head::HeadFile;
use crate::{Sharing, SharingError};

/// Most rows of a page.
pub const PAGE_ROWS_MAX: usize = 1_000;

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

/// Which rows; empty fields do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// From this instant on.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
    /// Exactly this actor.
    pub actor: Option<String>,
    /// Exactly this action.
    pub action: Option<String>,
    /// This entry.
    pub fid: Option<Fid>,
    /// Target or detail holds this text.
    pub text: Option<String>,
    /// Only rows about this account's space, or done by this account.
    pub account: Option<protocol::AccountId>,
    /// With `account`: the account's spaces.
    pub spaces: Vec<protocol::SpaceId>,
}

/// One page, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The rows.
    pub rows: Vec<AuditRow>,
    /// Pass as `before` for the next page; `None` at the end.
    pub next: Option<u64>,
}

/// The columns of a row, in the order of [`row_from`].
const COLUMNS: &str = "seq, at, account, actor, via, address, action, space, target, fid, old_rev, \
     new_rev, outcome, detail, count, hash";

/// The first line of an export.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportHeader {
    pub(crate) format: String,
    pub(crate) version: u32,
    pub(crate) node: String,
    pub(crate) cut: Option<CutFile>,
    pub(crate) head: Option<HeadFile>,
}

pub(crate) const EXPORT_FORMAT: &str = "cumulet-audit";
pub(crate) const EXPORT_VERSION: u32 = 1;

impl Sharing {
    /// Rows that pass `filter`, newest first, with numbers below `before`, at most `limit`
    /// (1 to [`PAGE_ROWS_MAX`]).
    pub fn audit_rows(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AuditPage, SharingError> {
        let limit = limit.clamp(1, PAGE_ROWS_MAX);
        let (conditions, values) = conditions(filter, before);
        let sql = format!(
            "SELECT {COLUMNS} FROM audit WHERE {conditions} ORDER BY seq DESC LIMIT {}",
            limit + 1
        );
        self.await_queued_rows()?;
        self.read(|c| {
            let mut statement = c.prepare(&sql)?;
            let rows = statement.query_map(params_from_iter(values), row_from)?;
            let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
            let more = rows.len() > limit;
            rows.truncate(limit);
            let next = rows.last().filter(|_| more).map(|row| row.seq);
            Ok(AuditPage { rows, next })
        })
    }

    /// Writes the whole log as JSON lines (`docs/formats/audit.md`), which
    /// [`super::verify_offline`] reads; tells the number of rows.
    ///
    /// Holds one reader of the database for as long as `out` takes, so `out` should be a file or
    /// memory and not a slow peer.
    pub fn export_audit(&self, out: &mut dyn Write) -> Result<u64, SharingError> {
        self.await_queued_rows()?;
        let head = self.seal_head()?;
        let failed = |source| SharingError::Io {
            action: "write the export of",
            path: "the audit log".into(),
            source,
        };
        self.read(|c| {
            let header = ExportHeader {
                format: EXPORT_FORMAT.into(),
                version: EXPORT_VERSION,
                node: head.node.to_string(),
                cut: Cut::load(c)?.map(|cut| cut.to_file()),
                head: Some(head.to_file()),
            };
            line(out, &header).map_err(failed)?;
            let mut count = 0;
            for_each_row(c, |row| {
                count += 1;
                line(out, &row?).map_err(failed)
            })?;
            out.flush().map_err(failed)?;
            Ok(count)
        })
    }
}

fn line(out: &mut dyn Write, value: &impl serde::Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    out.write_all(&text)
}

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

fn row_from(row: &Row<'_>) -> Result<AuditRow, rusqlite::Error> {
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

fn conditions(filter: &AuditFilter, before: Option<u64>) -> (String, Vec<Value>) {
    let mut conditions = vec!["1".to_owned()];
    let mut values = Vec::new();
    let mut add = |sql: &str, value: Value| {
        values.push(value);
        conditions.push(sql.replace("?", &format!("?{}", values.len())));
    };
    if let Some(before) = before {
        add("seq < ?", Value::Integer(to_sql(before)));
    }
    if let Some(from) = filter.from {
        add("at >= ?", Value::Integer(from.0));
    }
    if let Some(until) = filter.until {
        add("at < ?", Value::Integer(until.0));
    }
    if let Some(actor) = &filter.actor {
        add("actor = ?", Value::Text(actor.clone()));
    }
    if let Some(action) = &filter.action {
        add("action = ?", Value::Text(action.clone()));
    }
    if let Some(fid) = filter.fid {
        add("fid = ?", Value::Integer(fid.0));
    }
    if let Some(text) = &filter.text {
        add(
            "instr(target || char(10) || detail, ?) > 0",
            Value::Text(text.clone()),
        );
    }
    if let Some(account) = filter.account {
        // The numbers are ours, so they may stand in the text.
        let spaces: Vec<String> = filter.spaces.iter().map(|s| s.0.to_string()).collect();
        let sql = format!("(account = ? OR space IN ({}))", spaces.join(", "));
        add(&sql, Value::Integer(account.0));
    }
    (conditions.join(" AND "), values)
}
