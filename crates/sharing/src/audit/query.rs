//! Reading the log: filters, pages, export.

use std::io::Write;

use protocol::{Fid, Timestamp};

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

impl Sharing {
    /// Rows that pass `filter`, newest first, with numbers below `before`, at most `limit`.
    pub fn audit_rows(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AuditPage, SharingError> {
        todo!()
    }

    /// Writes the whole log as JSON lines (`docs/formats/audit.md`), which
    /// [`super::verify_offline`] reads; tells the number of rows.
    pub fn export_audit(&self, out: &mut dyn Write) -> Result<u64, SharingError> {
        todo!()
    }
}
