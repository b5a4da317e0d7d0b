//! The chain: canonical bytes of a row, and its hash over its predecessor's.
//!
//! `docs/formats/audit.md` describes these bytes; changing them breaks every log there is.

use protocol::{Hash, NodeId};
use rusqlite::{Connection, OptionalExtension};

use super::row::{AuditRow, number};

/// The hash that row 1 follows on; binds a log to its node.
pub(crate) fn genesis(node: &NodeId) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"cumulet audit log 1\0");
    hasher.update(&node.0);
    Hash(*hasher.finalize().as_bytes())
}

/// BLAKE3 of the predecessor's hash and the row's canonical bytes.
pub(crate) fn row_hash(previous: &Hash, row: &AuditRow) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&previous.0);
    hasher.update(&canonical(row));
    Hash(*hasher.finalize().as_bytes())
}

/// Numbers are 8 bytes, big-endian; an optional number has 0 or 1 in front; a text has its length
/// in bytes (8 bytes) in front.
fn canonical(row: &AuditRow) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend(row.seq.to_be_bytes());
    out.extend(row.at_ms.to_be_bytes());
    optional(&mut out, row.account);
    text(&mut out, &row.actor);
    text(&mut out, &row.via);
    text(&mut out, &row.address);
    text(&mut out, &row.action);
    optional(&mut out, row.space);
    text(&mut out, &row.target);
    optional(&mut out, row.fid);
    optional(&mut out, row.old_rev);
    optional(&mut out, row.new_rev);
    text(&mut out, &row.outcome);
    text(&mut out, &row.detail);
    out.extend(u64::from(row.count).to_be_bytes());
    out
}

fn optional(out: &mut Vec<u8>, number: Option<i64>) {
    match number {
        None => out.push(0),
        Some(number) => {
            out.push(1);
            out.extend(number.to_be_bytes());
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_be_bytes());
    out.extend(text.as_bytes());
}

/// Number and hash of the last row: of the cut if all rows are gone, of the genesis if there never
/// was one.
pub(crate) fn last(c: &Connection, genesis: &Hash) -> Result<(u64, Hash), rusqlite::Error> {
    for sql in [
        "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1",
        "SELECT seq, hash FROM audit_cut",
    ] {
        let found = c
            .prepare_cached(sql)?
            .query_row([], |row| Ok((number(row, 0)?, Hash(row.get(1)?))))
            .optional()?;
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Ok((0, *genesis))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixed row with a fixed hash: fails when the format changes by accident.
    #[test]
    fn the_canonical_bytes_are_stable() {
        let node = NodeId([7; 32]);
        let row = AuditRow {
            seq: 1,
            at_ms: 1_795_496_640_123,
            account: Some(1),
            actor: "alice".into(),
            via: "session 4".into(),
            address: "192.0.2.1".into(),
            action: "write".into(),
            space: Some(1),
            target: "alice:/旅行.jpg".into(),
            fid: Some(12),
            old_rev: Some(3),
            new_rev: None,
            outcome: "done".into(),
            detail: String::new(),
            count: 1,
            hash: String::new(),
        };
        let bytes = canonical(&row);
        assert_eq!(
            bytes.len(),
            8 + 8 + 9 + 13 + 17 + 17 + 13 + 9 + 25 + 9 + 9 + 1 + 12 + 8 + 8
        );
        assert_eq!(
            row_hash(&genesis(&node), &row).to_string(),
            "0308a08b927640f878122fdc8fd94e61124e8c68035378b04092535c9d19979f"
        );
    }
}
