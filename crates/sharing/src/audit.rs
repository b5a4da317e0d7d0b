//! The audit log: who did what, when, from where, to which revision (R102, R103).
//!
//! Rows are chained by BLAKE3 and the head of the chain is signed by the node's key into a file
//! outside of the database; `docs/formats/audit.md` describes both. No password, token or code is
//! ever part of a row.

mod event;
mod head;
mod query;
mod verify;

pub use event::{Action, Event, Outcome};
pub use head::Head;
pub use query::{AuditFilter, AuditPage, AuditRow};
pub use verify::{AuditReport, Finding, Source, verify_offline};
