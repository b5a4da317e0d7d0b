//! Looking at the log: filters and pages, newest first.

use protocol::{Fid, Timestamp};
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::row::{AuditRow, COLUMNS, row_from, to_sql};
use crate::{Sharing, SharingError};

/// Most rows of a page.
pub const PAGE_ROWS_MAX: usize = 1_000;

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
