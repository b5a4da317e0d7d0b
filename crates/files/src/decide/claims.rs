//! Before the decision: which entries a plan reserves, what it saw on the way, and how heavy the
//! subtrees are that it takes along.

use protocol::Fid;
use rusqlite::{Connection, OptionalExtension};

use super::{Over, Plan, Seen};
use crate::reserve::{Claims, Key};
use crate::row;
use crate::walk::{Spotted, last_name, walk};
use crate::{At, FilesError, Refusal};

/// What a plan has to claim, and what it saw.
pub(crate) fn claims(tx: &Connection, plan: &Plan) -> Result<(Claims, Seen), Refusal> {
    let mut claims = Claims::default();
    let mut seen = Seen::default();
    match plan {
        Plan::Place { at, .. } => {
            seen.target = claim_slot(tx, at, &mut claims)?;
        }
        Plan::Delete { at } | Plan::Props { at, .. } => {
            let spotted = walk(tx, at)?.found(at)?;
            claim_entry(&spotted, &mut claims);
            seen.target = spotted.fids();
        }
        Plan::Move { from, to, .. } => {
            check_ways(from, to)?;
            let source = walk(tx, from)?.found(from)?;
            claim_entry(&source, &mut claims);
            seen.source = source.fids();
            seen.target = claim_slot(tx, to, &mut claims)?;
        }
        Plan::Restore { trash_id, to } => {
            let (fid, at) = trashed(tx, *trash_id, to.as_ref())?;
            claims.alone(Key::Entry(fid));
            seen.source = vec![fid];
            seen.target = claim_slot(tx, &at, &mut claims)?;
        }
    }
    Ok((claims, seen))
}

/// Bytes of the subtrees concerned; exact, since the reservation holds.
pub(crate) fn weigh(tx: &Connection, plan: &Plan, seen: &mut Seen) -> Result<(), FilesError> {
    let bytes = |fid: Option<&Fid>| match fid {
        Some(fid) => crate::record::tree_bytes(tx, *fid),
        None => Ok(0),
    };
    match plan {
        Plan::Place { at, over, .. } => {
            if *over == Over::Trash && seen.target.len() > at.path.names().len() {
                seen.displaced_bytes = bytes(seen.target.last())?;
            }
        }
        Plan::Delete { .. } => seen.displaced_bytes = bytes(seen.target.last())?,
        Plan::Move { from, to, .. } => {
            if seen.target.len() > to.path.names().len() {
                seen.displaced_bytes = bytes(seen.target.last())?;
            }
            if from.space != to.space {
                seen.moved_bytes = bytes(seen.source.last())?;
            }
        }
        Plan::Props { .. } | Plan::Restore { .. } => {}
    }
    Ok(())
}

fn claim_slot(tx: &Connection, at: &At, claims: &mut Claims) -> Result<Vec<Fid>, Refusal> {
    let (spotted, exists) = walk(tx, at)?.slot(at)?;
    if exists {
        claim_entry(&spotted, claims);
    } else {
        claims.alone(Key::Slot(spotted.row().fid, last_name(at)?));
        claims.shared(spotted.fids());
    }
    Ok(spotted.fids())
}

fn claim_entry(spotted: &Spotted, claims: &mut Claims) {
    let row = spotted.row();
    claims.alone(Key::Entry(row.fid));
    if let Some(parent) = row.parent {
        claims.alone(Key::Slot(parent, row.name.clone()));
    }
    claims.shared(
        spotted.chain[..spotted.chain.len() - 1]
            .iter()
            .map(|row| row.fid),
    );
}

fn check_ways(from: &At, to: &At) -> Result<(), Refusal> {
    if from == to {
        return Err(Refusal::SameTarget);
    }
    let same_space = from.space == to.space;
    if same_space && (to.path.starts_with(&from.path) || from.path.starts_with(&to.path)) {
        return Err(Refusal::IntoItself);
    }
    Ok(())
}

/// The entry of a thing in the trash, and where it is to go.
pub(super) fn trashed(
    tx: &Connection,
    trash_id: i64,
    to: Option<&At>,
) -> Result<(Fid, At), Refusal> {
    let found = tx
        .prepare_cached("SELECT fid, old_parent FROM trash WHERE id = ?1")?
        .query_row([trash_id], |row| Ok((Fid(row.get(0)?), Fid(row.get(1)?))))
        .optional()?;
    let (fid, parent) = found.ok_or(Refusal::NotFound)?;
    if let Some(to) = to {
        return Ok((fid, to.clone()));
    }
    let row = row::by_fid(tx, fid)?.ok_or(Refusal::NotFound)?;
    let folder = crate::walk::walk_up(tx, parent)?.ok_or(Refusal::NotFound)?;
    let mut at = folder.at()?;
    at.path = at.path.join(row.name)?;
    Ok((fid, at))
}
