//! The audit log: who did what, when, from where, to which revision (R102, R103).
//!
//! Rows are chained by BLAKE3 and the head of the chain is signed by the node's key into a file
//! outside of the database; `docs/formats/audit.md` describes both. No password, token or code is
//! ever part of a row.
//!
//! What the node itself writes: sign-ins and failed sign-ins. Everything else comes from the rim,
//! which knows the asker and the path.
//!
//! At a crash: rows are as durable as the change they tell of; counts of refusals lose at most
//! their present minute; rows since the last seal are chained but not yet signed.

mod chain;
mod cut;
mod event;
mod export;
mod head;
mod query;
mod record;
mod refusal;
mod row;
mod verify;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use protocol::{Fid, Hash, NodeId, Timestamp};

pub use event::{Action, Event, Outcome};
pub use head::{HEAD_FILE, Head};
pub use query::{AuditFilter, AuditPage, PAGE_ROWS_MAX};
pub use row::AuditRow;
pub use verify::{AuditReport, Finding, Source, verify_offline};

/// What the log keeps in memory.
pub(crate) struct Log {
    head_path: PathBuf,
    node: NodeId,
    genesis: Hash,
    sealed: Mutex<Option<Head>>,
    reads: Mutex<HashMap<(String, Fid), Timestamp>>,
    refusals: Mutex<refusal::Refusals>,
}

impl Log {
    pub(crate) fn new(state: &Path, node: NodeId) -> Self {
        Self {
            head_path: state.join(HEAD_FILE),
            node,
            genesis: chain::genesis(&node),
            sealed: Mutex::default(),
            reads: Mutex::default(),
            refusals: Mutex::default(),
        }
    }
}

#[cfg(test)]
mod tests;
