//! Which permission each method needs of which entry. All of it blocks.

use files::{At, Author, Entry, Space};
use protocol::Fid;
use sharing::{Asker, Need};

use crate::App;
use crate::gate::gate;
use crate::problem::{Fault, Problem};

use super::names;
use super::place::Named;
use super::refused::{Refused, Step};

/// A name in the tree and what is there.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) space: Space,
    pub(super) at: At,
    pub(super) entry: Option<Entry>,
}

/// A name at which something is, and the asker may do what was asked for.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) space: Space,
    pub(super) at: At,
    pub(super) entry: Entry,
}

fn look(app: &App, asker: &Asker, named: &Named) -> Step<Spot> {
    let (space, at) = names::resolve(app, asker, named)?;
    let entry = app.files.find(&at)?;
    Ok(Spot { space, at, entry })
}

/// What is at a name, if the asker may do `need` to it; else 404 or 403.
pub(super) fn found(app: &App, asker: &Asker, named: &Named, need: &Need) -> Step<Found> {
    let spot = look(app, asker, named)?;
    let entry = spot.entry.ok_or(Refused::NOT_FOUND)?;
    gate(app, asker, need, &entry)?;
    Ok(Found {
        space: spot.space,
        at: spot.at,
        entry,
    })
}

/// A name to write to: what is there must be writable, or its folder must take something new.
pub(super) fn writable(app: &App, asker: &Asker, named: &Named) -> Step<Spot> {
    let spot = look(app, asker, named)?;
    match &spot.entry {
        Some(entry) => gate(app, asker, &Need::ENTRY_WRITE, entry)?,
        None => gate(app, asker, &Need::ENTRY_CREATE, &nearest(app, &spot)?)?,
    };
    Ok(spot)
}

/// A name to copy or move to. What is there goes to the trash, a folder with all that it holds.
pub(super) fn replaceable(app: &App, asker: &Asker, named: &Named) -> Step<Spot> {
    let spot = writable(app, asker, named)?;
    if let Some(entry) = &spot.entry
        && entry.is_folder()
    {
        gate(app, asker, &Need::ENTRY_DELETE, entry)?;
        shows_all(app, asker, entry)?;
    }
    Ok(spot)
}

/// The innermost folder on the way to a free name. The permission is asked of it, so that a missing
/// folder in between tells nothing to somebody who may not know.
fn nearest(app: &App, spot: &Spot) -> Step<Entry> {
    let mut at = spot.at.clone();
    while let Some(parent) = at.path.parent() {
        at.path = parent;
        if let Some(entry) = app.files.find(&at)? {
            return Ok(entry);
        }
    }
    Err(Refused::NOT_FOUND)
}

/// Refuses to take along what the asker may not even see (LAN-only folders, while away).
pub(super) fn shows_all(app: &App, asker: &Asker, entry: &Entry) -> Step<()> {
    if !entry.is_folder() {
        return Ok(());
    }
    for hidden in app.sharing.visibility(asker)?.hidden() {
        // An entry that is gone meanwhile has no chain and hides nothing.
        let chain: Vec<Fid> = app.files.chain(hidden).unwrap_or_default();
        if chain.contains(&entry.fid) {
            return Err(Problem::new(Fault::Forbidden).into());
        }
    }
    Ok(())
}

/// Notes that somebody else than the owner of the space reads an entry (R102).
pub(super) fn note_read(app: &App, asker: &Asker, found: &Found) -> Step<()> {
    if asker.account() != Some(found.space.owner) {
        let path = format!("{}:{}", found.space.name, found.at.path);
        let (owner, fid) = (found.space.owner, found.entry.fid);
        app.sharing.audit_read(asker, owner, fid, &path)?;
    }
    Ok(())
}

/// Who writes.
pub(super) fn author(asker: &Asker) -> Author {
    Author {
        account: asker.account(),
        label: asker.label(),
        via: asker.via(),
        address: Some(asker.address),
    }
}
