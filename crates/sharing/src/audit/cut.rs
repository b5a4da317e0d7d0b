//! Cutting old rows: the log is bounded, and what is left still proves itself.
//!
//! A cut keeps number and hash of the last removed row under the node's signature; the chain goes
//! on from there. Only sealed rows are cut, and the last sealed one stays.

use data_encoding::HEXLOWER;
use protocol::{Hash, NodeId, Signature, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::event::{Action, Event};
use super::row::{number, to_sql};
use crate::{Sharing, SharingError};

/// Most rows of one cut, so that other writers do not wait for long.
const CUT_ROWS_MAX: u64 = 20_000;

/// Rows up to `seq` are gone; row `seq` had this hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
    pub(crate) at: Timestamp,
    pub(crate) signature: Signature,
}

/// As part of an export.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CutFile {
    seq: u64,
    hash: String,
    at_ms: i64,
    signature: String,
}

impl Cut {
    pub(crate) fn load(c: &Connection) -> Result<Option<Self>, rusqlite::Error> {
        c.prepare_cached("SELECT seq, hash, at, signature FROM audit_cut")?
            .query_row([], |row| {
                Ok(Self {
                    seq: number(row, 0)?,
                    hash: Hash(row.get(1)?),
                    at: Timestamp(row.get(2)?),
                    signature: row.get(3)?,
                })
            })
            .optional()
    }

    pub(crate) fn is_genuine(&self, node: &NodeId) -> bool {
        node.verifies(
            &signed_bytes(node, self.seq, &self.hash, self.at),
            &self.signature,
        )
    }

    pub(crate) fn to_file(&self) -> CutFile {
        CutFile {
            seq: self.seq,
            hash: self.hash.to_string(),
            at_ms: self.at.0,
            signature: HEXLOWER.encode(&self.signature),
        }
    }
}

impl CutFile {
    pub(crate) fn to_cut(&self) -> Result<Cut, String> {
        Ok(Cut {
            seq: self.seq,
            hash: self
                .hash
                .parse()
                .map_err(|e: protocol::IdError| e.to_string())?,
            at: Timestamp(self.at_ms),
            signature: signature_from_hex(&self.signature)?,
        })
    }
}

/// Reads a signature as exports write it.
pub(crate) fn signature_from_hex(text: &str) -> Result<Signature, String> {
    HEXLOWER
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| "its signature is not 128 hexadecimal digits".to_owned())
}

fn signed_bytes(node: &NodeId, seq: u64, hash: &Hash, at: Timestamp) -> Vec<u8> {
    [
        b"cumulet audit cut 1\0".as_slice(),
        &node.0,
        &seq.to_be_bytes(),
        &hash.0,
        &at.0.to_be_bytes(),
    ]
    .concat()
}

impl Sharing {
    /// Cuts rows older than `before`, at most 20,000 at once; the cut is signed, recorded, and the
    /// rest stays verifiable. Tells how many rows went: call again while it is not 0.
    pub fn cut_audit(&self, before: Timestamp) -> Result<u64, SharingError> {
        let sealed = self.seal_head()?.count;
        let (sharing, now) = (self.clone(), self.now());
        let gone = self.write(move |tx| sharing.cut_in(tx, before, sealed, now))?;
        if gone > 0 {
            self.seal_head()?;
        }
        Ok(gone)
    }

    fn cut_in(
        &self,
        tx: &Connection,
        before: Timestamp,
        sealed: u64,
        now: Timestamp,
    ) -> Result<u64, SharingError> {
        let first = tx
            .query_row("SELECT seq FROM audit ORDER BY seq LIMIT 1", [], |row| {
                number(row, 0)
            })
            .optional()?;
        // Times may jump, numbers do not: everything before the first row that must stay. A row
        // from the future was written by a wrong clock and must not keep the log for ever.
        let stays = tx
            .query_row(
                "SELECT seq FROM audit WHERE at >= ?1 AND at <= ?2 ORDER BY seq LIMIT 1",
                [before.0, now.0],
                |row| number(row, 0),
            )
            .optional()?;
        let Some(first) = first else {
            return Ok(0);
        };
        let last = stays
            .unwrap_or(sealed)
            .min(sealed)
            .saturating_sub(1)
            .min(first.saturating_add(CUT_ROWS_MAX - 1));
        if last < first {
            return Ok(0);
        }
        let hash = Hash(tx.query_row(
            "SELECT hash FROM audit WHERE seq = ?1",
            [to_sql(last)],
            |row| row.get(0),
        )?);
        let signature = self
            .0
            .secret
            .sign(&signed_bytes(&self.0.log.node, last, &hash, now));
        tx.execute(
            "INSERT OR REPLACE INTO audit_cut (id, seq, at, hash, signature)
             VALUES (1, ?1, ?2, ?3, ?4)",
            params![to_sql(last), now.0, &hash.0[..], &signature[..]],
        )?;
        tx.execute("DELETE FROM audit WHERE seq <= ?1", [to_sql(last)])?;
        self.record_in(
            tx,
            &Event {
                detail: format!("rows {first} to {last}, older than {before}"),
                ..Event::by("node", now, Action::AuditCut, "audit log")
            },
        )?;
        Ok(last - first + 1)
    }
}
