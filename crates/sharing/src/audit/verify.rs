//! Checking the log against its head and the node's id, without the node (R103).

use std::path::Path;

use protocol::NodeId;

use crate::{Sharing, SharingError};

/// Where the rows are.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A `catalog.db`, opened read only.
    Database(&'a Path),
    /// An export in JSON lines.
    Export(&'a Path),
}

/// Something that should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Row `seq` does not have the hash of its content and its predecessor.
    Altered {
        /// Number of the row.
        seq: u64,
    },
    /// After row `seq` some are missing.
    Gap {
        /// Last number before the gap.
        after: u64,
        /// Next number that is there.
        next: u64,
    },
    /// The signed head counts more rows than there are: the end was cut, or the database is older
    /// than the head.
    Shortened {
        /// Rows that the head has seen.
        head: u64,
        /// Last row that is there.
        rows: u64,
    },
    /// The row at the head's number is another one than was sealed.
    HeadMismatch {
        /// The number.
        seq: u64,
    },
    /// The head's or checkpoint's signature is not the node's.
    Forged {
        /// `head` or `checkpoint`.
        what: &'static str,
    },
    /// There is no head.
    NoHead,
    /// A row, head or checkpoint cannot be read.
    Unreadable {
        /// Where and why.
        what: String,
    },
    /// The node itself found at a start that the log did not fit its head.
    Recorded {
        /// Number of the row that tells so.
        seq: u64,
        /// What it says.
        detail: String,
    },
}

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Rows checked.
    pub rows: u64,
    /// Number of the first row; above 1 after a cut.
    pub first: u64,
    /// Rows behind the head, not sealed yet.
    pub unsealed: u64,
    /// All that is wrong; the first 100.
    pub findings: Vec<Finding>,
}

impl AuditReport {
    /// True if nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Checks a database file or an export against a head file, knowing nothing but the node's id.
pub fn verify_offline(
    source: Source<'_>,
    head: &Path,
    node: &NodeId,
) -> Result<AuditReport, SharingError> {
    todo!()
}

impl Sharing {
    /// Checks this node's own log.
    pub fn verify_audit(&self) -> Result<AuditReport, SharingError> {
        todo!()
    }
}
