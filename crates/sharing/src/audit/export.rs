//! The whole log as JSON lines, for whoever checks it without this node.

use std::io::Write;

use super::cut::{Cut, CutFile};
use super::head::HeadFile;
use super::row::for_each_row;
use crate::{Sharing, SharingError};

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
