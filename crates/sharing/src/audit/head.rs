//! The signed head of the chain, in a file of its own, so that a cut tail or an older database
//! shows.
//!
//! The node compares log and head when it starts and before each new seal. If they do not fit it
//! goes on, since a person may have restored a backup, but it keeps the old head aside and writes
//! a row that says so, which every later check reports.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use data_encoding::HEXLOWER;
use protocol::{Hash, NodeId, Signature, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::chain;
use super::cut::{Cut, signature_from_hex};
use super::event::{Action, Event, Outcome};
use super::row::to_sql;
use crate::{Sharing, SharingError};

/// Name of the head's file in the state folder.
pub const HEAD_FILE: &str = "audit-head.json";

const FORMAT: &str = "cumulet-audit-head";
const VERSION: u32 = 1;
/// A head's file is about 400 bytes; more is no head.
const HEAD_BYTES_MAX: u64 = 4_096;

/// How many rows the log had, and the hash of the last one, at an instant; signed by the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of the last row; rows count from 1.
    pub count: u64,
    /// Its hash.
    pub hash: Hash,
    /// When it was sealed.
    pub at: Timestamp,
    /// By which node.
    pub node: NodeId,
    /// ed25519 over the head's canonical bytes.
    pub signature: Signature,
}

/// The file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeadFile {
    format: String,
    version: u32,
    node: String,
    count: u64,
    hash: String,
    at_ms: i64,
    signature: String,
}

impl Head {
    /// True if `node` signed exactly this.
    #[must_use]
    pub fn is_genuine(&self, node: &NodeId) -> bool {
        self.node == *node
            && node.verifies(
                &signed_bytes(node, self.count, &self.hash, self.at),
                &self.signature,
            )
    }

    pub(crate) fn to_file(&self) -> HeadFile {
        HeadFile {
            format: FORMAT.into(),
            version: VERSION,
            node: self.node.to_string(),
            count: self.count,
            hash: self.hash.to_string(),
            at_ms: self.at.0,
            signature: HEXLOWER.encode(&self.signature),
        }
    }

    /// Reads a head's file; `Ok(None)` if there is none, `Err` with the reason if it is no head.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, String> {
        let size = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
            Ok(metadata) => metadata.len(),
        };
        if size > HEAD_BYTES_MAX {
            return Err(format!("it is {size} bytes long, a head is shorter"));
        }
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let file: HeadFile = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        file.to_head().map(Some)
    }
}

impl HeadFile {
    pub(crate) fn to_head(&self) -> Result<Head, String> {
        if self.format != FORMAT || self.version != VERSION {
            return Err(format!("it is not `{FORMAT}` version {VERSION}"));
        }
        Ok(Head {
            count: self.count,
            hash: self
                .hash
                .parse()
                .map_err(|e: protocol::IdError| e.to_string())?,
            at: Timestamp(self.at_ms),
            node: self
                .node
                .parse()
                .map_err(|e: protocol::IdError| e.to_string())?,
            signature: signature_from_hex(&self.signature)?,
        })
    }
}

fn signed_bytes(node: &NodeId, count: u64, hash: &Hash, at: Timestamp) -> Vec<u8> {
    [
        b"cumulet audit head 1\0".as_slice(),
        &node.0,
        &count.to_be_bytes(),
        &hash.0,
        &at.0.to_be_bytes(),
    ]
    .concat()
}

impl Sharing {
    /// Signs the present head into `<state>/audit-head.json` (atomic replace and fsync). Called by
    /// the sealing worker every few seconds and at shutdown; cheap if nothing is new.
    pub fn seal_head(&self) -> Result<Head, SharingError> {
        self.flush_refusals()?;
        let mut sealed = self
            .0
            .log
            .sealed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = sealed.clone();
        if let Some(before) = &before
            && let Some(why) = self.read(|c| Ok(misfit(c, &self.0.log.genesis, before)?))?
        {
            self.report_broken(&why)?;
        }
        let (count, hash) = self.read(|c| Ok(chain::last(c, &self.0.log.genesis)?))?;
        if let Some(before) = before.filter(|head| head.count == count && head.hash == hash) {
            return Ok(before);
        }
        let (node, at) = (self.0.log.node, self.now());
        let head = Head {
            count,
            hash,
            at,
            node,
            signature: self.0.secret.sign(&signed_bytes(&node, count, &hash, at)),
        };
        replace(&self.0.log.head_path, &head)?;
        *sealed = Some(head.clone());
        Ok(head)
    }

    /// Compares log and head at the start.
    pub(crate) fn examine_head(&self) -> Result<(), SharingError> {
        let log = &self.0.log;
        let (count, _) = self.read(|c| Ok(chain::last(c, &log.genesis)?))?;
        let why = match Head::read(&log.head_path) {
            Err(why) => Some(format!("the head cannot be read: {why}")),
            Ok(None) if count == 0 => None,
            Ok(None) => Some(format!("there are {count} rows and no head")),
            Ok(Some(head)) if !head.is_genuine(&log.node) => {
                Some("the head is not signed by this node".into())
            }
            Ok(Some(head)) => {
                let why = self.read(|c| Ok(misfit(c, &log.genesis, &head)?))?;
                if why.is_none() {
                    *log.sealed.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
                }
                why
            }
        };
        match why {
            Some(why) => self.report_broken(&why),
            None => Ok(()),
        }
    }

    fn report_broken(&self, why: &str) -> Result<(), SharingError> {
        let now = self.now();
        tracing::error!(why, "the audit log does not fit its sealed head");
        let head = &self.0.log.head_path;
        if head.exists() {
            let aside = head.with_file_name(format!("audit-head.broken-{}.json", now.0));
            fs::rename(head, &aside).map_err(|source| SharingError::Io {
                action: "put aside the audit head",
                path: head.clone(),
                source,
            })?;
        }
        self.audit(Event {
            outcome: Outcome::Failed,
            detail: why.to_owned(),
            ..Event::by("node", now, Action::AuditBroken, "audit log")
        })
    }
}

/// Why the log is not a continuation of what `head` has sealed.
fn misfit(c: &Connection, genesis: &Hash, head: &Head) -> Result<Option<String>, rusqlite::Error> {
    let (count, _) = chain::last(c, genesis)?;
    if head.count > count {
        return Ok(Some(format!(
            "{} rows were sealed and {count} are there",
            head.count
        )));
    }
    let cut = Cut::load(c)?.filter(|cut| cut.is_genuine(&head.node));
    let there = match cut {
        _ if head.count == 0 => Some(*genesis),
        // What was cut went with a signature of its own.
        Some(cut) if head.count < cut.seq => return Ok(None),
        Some(cut) if head.count == cut.seq => Some(cut.hash),
        Some(_) | None => c
            .prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?
            .query_row([to_sql(head.count)], |row| Ok(Hash(row.get(0)?)))
            .optional()?,
    };
    Ok((there != Some(head.hash))
        .then(|| format!("row {} is not the one that was sealed", head.count)))
}

/// Writes beside, flushes, renames, flushes the folder: at a crash the old or the new head.
fn replace(path: &Path, head: &Head) -> Result<(), SharingError> {
    let new: PathBuf = path.with_extension("json.new");
    let text =
        serde_json::to_string_pretty(&head.to_file()).expect("a head is plain text and numbers");
    let write = || -> std::io::Result<()> {
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|source| SharingError::Io {
        action: "write the audit head",
        path: path.to_owned(),
        source,
    })
}
