//! Checking the log against its head and the node's id, without the node (R103).

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use protocol::{Hash, NodeId};
use rusqlite::{Connection, OpenFlags};

use super::chain;
use super::cut::Cut;
use super::event::Action;
use super::export::{EXPORT_FORMAT, EXPORT_VERSION, ExportHeader};
use super::head::Head;
use super::row::{AuditRow, for_each_row};
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

/// Findings of one report; a log that is all wrong needs no longer list.
const FINDINGS_MAX: usize = 100;
/// Longest line of an export; a row with all texts at their limits is shorter.
const LINE_BYTES_MAX: u64 = 65_536;

/// Checks a database file or an export against a head file, knowing nothing but the node's id.
/// An export carries a head of its own, so `head` may be `None` for it; if both are there, both
/// must hold.
pub fn verify_offline(
    source: Source<'_>,
    head: Option<&Path>,
    node: &NodeId,
) -> Result<AuditReport, SharingError> {
    let mut checker = Checker::new(node);
    if let Some(path) = head {
        checker.head(Head::read(path));
    }
    match source {
        Source::Database(path) => check_database(&mut checker, path)?,
        Source::Export(path) => check_export(&mut checker, path)?,
    }
    Ok(checker.finish())
}

impl Sharing {
    /// Checks this node's own log.
    pub fn verify_audit(&self) -> Result<AuditReport, SharingError> {
        // The head first: the log only grows, so it cannot fall behind a head read earlier.
        let mut checker = Checker::new(&self.0.log.node);
        checker.head(Head::read(&self.0.log.head_path));
        self.read(|c| {
            check_rows(&mut checker, c);
            Ok(())
        })?;
        Ok(checker.finish())
    }
}

fn check_database(checker: &mut Checker, path: &Path) -> Result<(), SharingError> {
    // SQLite would make an empty database of a missing file's name.
    File::open(path).map_err(cannot_open(path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let readable = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    if readable.is_err() && !has_log_beside(path) {
        // Evidence on a disk without write permission: SQLite cannot make its shared memory there,
        // and needs none while nobody writes.
        let address = format!("file:{}?immutable=1", uri_path(path));
        let flags = flags | OpenFlags::SQLITE_OPEN_URI;
        check_rows(checker, &Connection::open_with_flags(address, flags)?);
        return Ok(());
    }
    check_rows(checker, &connection);
    Ok(())
}

/// True if a write-ahead log with content lies beside the database: it is part of it.
fn has_log_beside(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|metadata| metadata.len() > 0)
}

fn uri_path(path: &Path) -> String {
    path.to_string_lossy()
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23")
}

/// One snapshot; whatever SQLite cannot read is a finding and no failure.
fn check_rows(checker: &mut Checker, c: &Connection) {
    let result = (|| {
        checker.cut(Cut::load(c)?);
        for_each_row(c, |row| {
            match row {
                Ok(row) => checker.row(&row),
                Err(error) => checker.unreadable(format!("after row {}: {error}", checker.last)),
            }
            Ok::<_, rusqlite::Error>(())
        })
    })();
    if let Err(error) = result {
        checker.unreadable(format!("the table: {error}"));
    }
}

fn check_export(checker: &mut Checker, path: &Path) -> Result<(), SharingError> {
    let mut reader = BufReader::new(File::open(path).map_err(cannot_open(path))?);
    let mut number = 0u64;
    loop {
        let mut line = Vec::new();
        let read = reader
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .map_err(cannot_open(path))?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        let checked = if number == 1 {
            checker.export_header(&line)
        } else {
            serde_json::from_slice(&line)
                .map_err(|error| error.to_string())
                .map(|row| checker.row(&row))
        };
        if let Err(why) = checked {
            checker.unreadable(format!("line {number}: {why}"));
            if number == 1 {
                return Ok(());
            }
        }
    }
}

fn cannot_open(path: &Path) -> impl Fn(std::io::Error) -> SharingError {
    let path = path.to_owned();
    move |source| SharingError::Io {
        action: "read the audit log from",
        path: path.clone(),
        source,
    }
}

/// Takes a log row by row.
struct Checker {
    node: NodeId,
    heads: Vec<Head>,
    last: u64,
    previous: Hash,
    cut: u64,
    report: AuditReport,
}

impl Checker {
    fn new(node: &NodeId) -> Self {
        Self {
            node: *node,
            heads: Vec::new(),
            last: 0,
            previous: chain::genesis(node),
            cut: 0,
            report: AuditReport::default(),
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(finding);
        }
    }

    fn unreadable(&mut self, what: String) {
        self.find(Finding::Unreadable { what });
    }

    fn head(&mut self, read: Result<Option<Head>, String>) {
        match read {
            Ok(None) => {}
            Ok(Some(head)) if head.is_genuine(&self.node) => self.heads.push(head),
            Ok(Some(_)) => self.find(Finding::Forged { what: "head" }),
            Err(why) => self.unreadable(format!("head: {why}")),
        }
    }

    fn cut(&mut self, cut: Option<Cut>) {
        let Some(cut) = cut else {
            return;
        };
        if !cut.is_genuine(&self.node) {
            self.find(Finding::Forged { what: "checkpoint" });
        }
        (self.cut, self.last, self.previous) = (cut.seq, cut.seq, cut.hash);
        self.compare_with_heads(cut.seq, cut.hash);
    }

    fn export_header(&mut self, line: &[u8]) -> Result<(), String> {
        let header: ExportHeader =
            serde_json::from_slice(line).map_err(|error| error.to_string())?;
        if header.format != EXPORT_FORMAT || header.version != EXPORT_VERSION {
            return Err(format!(
                "it is not `{EXPORT_FORMAT}` version {EXPORT_VERSION}"
            ));
        }
        let head = header.head.map(|head| head.to_head()).transpose();
        self.head(head);
        let cut = header.cut.map(|cut| cut.to_cut()).transpose()?;
        self.cut(cut);
        Ok(())
    }

    fn row(&mut self, row: &AuditRow) {
        let Ok(stored) = row.hash.parse::<Hash>() else {
            return self.find(Finding::Altered { seq: row.seq });
        };
        if row.seq <= self.last {
            return self.find(Finding::Altered { seq: row.seq });
        }
        if row.seq != self.last + 1 {
            // Nothing is known of what this row followed on.
            self.find(Finding::Gap {
                after: self.last,
                next: row.seq,
            });
        } else if chain::row_hash(&self.previous, row) != stored {
            self.find(Finding::Altered { seq: row.seq });
        }
        if row.action == Action::AuditBroken.name() {
            self.find(Finding::Recorded {
                seq: row.seq,
                detail: row.detail.clone(),
            });
        }
        self.compare_with_heads(row.seq, stored);
        if self.report.rows == 0 {
            self.report.first = row.seq;
        }
        self.report.rows += 1;
        (self.last, self.previous) = (row.seq, stored);
    }

    fn compare_with_heads(&mut self, seq: u64, hash: Hash) {
        if self
            .heads
            .iter()
            .any(|head| head.count == seq && head.hash != hash)
        {
            self.find(Finding::HeadMismatch { seq });
        }
    }

    fn finish(mut self) -> AuditReport {
        let genesis = chain::genesis(&self.node);
        if self
            .heads
            .iter()
            .any(|head| head.count == 0 && head.hash != genesis)
        {
            self.find(Finding::HeadMismatch { seq: 0 });
        }
        match self.heads.iter().map(|head| head.count).max() {
            None => self.find(Finding::NoHead),
            Some(head) if head > self.last => self.find(Finding::Shortened {
                head,
                rows: self.last,
            }),
            Some(head) => self.report.unsealed = self.last - head.max(self.cut),
        }
        self.report
    }
}
