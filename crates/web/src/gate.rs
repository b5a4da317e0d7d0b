//! The one way from a request to `sharing`'s decision (R94, R105).

use files::{At, Entry, Space};
use protocol::{EntryName, Fid, TreePath};
use sharing::{Asker, Decision, Link, Need, Right, Target};

use crate::problem::{Fault, Problem};
use crate::{App, Caller};

/// What a decision means for the answer; `Ok` to go on.
pub(crate) fn settle(decision: Decision) -> Result<(), Problem> {
    match decision {
        Decision::Allow => Ok(()),
        Decision::AskLogin => Err(Problem::new(Fault::SignIn)),
        Decision::Forbid => Err(Problem::new(Fault::Forbidden)),
        Decision::Hide => Err(Problem::NOT_FOUND),
    }
}

/// May `asker` do `need` to `entry`? The answer is the entry's chain up to the root of its space.
///
/// Blocks. A refusal is noted in the audit log.
///
/// # Errors
/// [`Fault::SignIn`], [`Fault::Forbidden`] or [`Fault::NotFound`] by the permission table.
pub fn gate(app: &App, asker: &Asker, need: &Need, entry: &Entry) -> Result<Vec<Fid>, Problem> {
    let space = space_of(app, entry)?;
    let chain = app.files.chain(entry.fid)?;
    let target = Target::Entry {
        space_owner: space.owner,
        chain: &chain,
    };
    let decision = app
        .sharing
        .decide(asker, need.service, &target, need.right)?;
    if let Err(problem) = settle(decision) {
        if decision != Decision::AskLogin {
            let path = match app.files.locate(entry.fid) {
                Ok(at) => format!("{}:{}", space.name, at.path),
                Err(_) => format!("{}: entry {}", space.name, entry.fid),
            };
            app.sharing.audit_refusal(asker, &path, need.name)?;
        }
        return Err(problem);
    }
    Ok(chain)
}

/// [`gate`] for something that takes all below `entry` along (delete, move, copy, pack): nothing in
/// there may be hidden from the asker. Blocks.
///
/// # Errors
/// As [`gate`]; [`Fault::Forbidden`] if something below is LAN-only and the asker is away.
pub fn gate_whole(
    app: &App,
    asker: &Asker,
    need: &Need,
    entry: &Entry,
) -> Result<Vec<Fid>, Problem> {
    let chain = gate(app, asker, need, entry)?;
    if entry.is_folder() {
        for hidden in app.sharing.visibility(asker)?.hidden() {
            // An entry that is gone hides nothing.
            let above = app.files.chain(hidden).unwrap_or_default();
            if above.contains(&entry.fid) {
                return Err(Problem::new(Fault::Forbidden));
            }
        }
    }
    Ok(chain)
}

/// Refuses to bring LAN-only content to where it is seen from away (R105: LAN-only wins). A move in
/// one volume keeps the entry, and with it the flags of the entry and of all below; what it has only
/// from a folder above it would lose. A copy, and a move to another volume, is a new entry. Blocks.
///
/// # Errors
/// [`Fault::LeavesLan`] if the new place is not LAN-only itself.
pub(crate) fn gate_leaving(
    app: &App,
    from: &At,
    entry: &Entry,
    to: &At,
    moves: bool,
) -> Result<(), Problem> {
    let flagged = app.sharing.lan_only_entries()?;
    if flagged.is_empty() {
        return Ok(());
    }
    let parent = to.path.parent().unwrap_or_else(TreePath::root);
    let folder = At {
        space: to.space,
        path: parent,
    };
    // A folder that is missing is refused by the commit.
    let Some(folder) = app.files.find(&folder)? else {
        return Ok(());
    };
    let is_flagged = |fid: &Fid| flagged.contains(fid);
    if app.files.chain(folder.fid)?.iter().any(is_flagged) {
        return Ok(());
    }
    let keeps_flags = moves && app.files.volume_at(from)? == app.files.volume_at(to)?;
    let chain = app.files.chain(entry.fid)?;
    let own = if keeps_flags { &chain[1..] } else { &chain[..] };
    let mut leaves = own.iter().any(is_flagged);
    if !keeps_flags && entry.is_folder() {
        for fid in flagged.iter() {
            // An entry that is gone has no chain.
            let above = app.files.chain(*fid).unwrap_or_default();
            leaves |= above.contains(&entry.fid);
        }
    }
    if leaves {
        return Err(Problem::new(Fault::LeavesLan));
    }
    Ok(())
}

/// True if `asker` may do `need` to `entry`; nothing is noted. For drawing controls.
pub(crate) fn may(
    app: &App,
    asker: &Asker,
    need: &Need,
    space: &Space,
    chain: &[Fid],
) -> Result<bool, Problem> {
    let target = Target::Entry {
        space_owner: space.owner,
        chain,
    };
    let decision = app
        .sharing
        .decide(asker, need.service, &target, need.right)?;
    Ok(decision == Decision::Allow)
}

/// The space that holds `entry`.
pub(crate) fn space_of(app: &App, entry: &Entry) -> Result<Space, Problem> {
    app.files
        .space_by_id(entry.space)?
        .ok_or(Problem::NOT_FOUND)
}

/// An entry that the asker may have what the route needs of.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// Its space.
    pub(crate) space: Space,
    /// Where it is.
    pub(crate) at: At,
    /// The entry.
    pub(crate) entry: Entry,
    /// From the entry to the root of its space.
    pub(crate) chain: Vec<Fid>,
    /// The link that led here.
    pub(crate) link: Option<Link>,
}

/// Notes that somebody else than the owner of the space has seen an entry (R102).
pub(crate) fn note_read(app: &App, asker: &Asker, visit: &Visit) -> Result<(), Problem> {
    if asker.account() != Some(visit.space.owner) {
        let path = format!("{}:{}", visit.space.name, visit.at.path);
        let (owner, fid) = (visit.space.owner, visit.entry.fid);
        app.sharing.audit_read(asker, owner, fid, &path)?;
    }
    Ok(())
}

/// Looks `SPACE/path` up and asks. A name that leads nowhere is not found, whatever the asker may.
pub(crate) fn visit(
    app: &App,
    asker: &Asker,
    need: &Need,
    space: &EntryName,
    path: TreePath,
) -> Result<Visit, Problem> {
    let space = app.files.space(space.as_str())?.ok_or(Problem::NOT_FOUND)?;
    let at = At {
        space: space.id,
        path,
    };
    let entry = app.files.find(&at)?.ok_or(Problem::NOT_FOUND)?;
    let chain = gate(app, asker, need, &entry)?;
    Ok(Visit {
        space,
        at,
        entry,
        chain,
        link: None,
    })
}

/// Looks `path` up below a link's entry and asks. Every way to miss reads the same.
pub(crate) fn visit_link(
    app: &App,
    asker: &Asker,
    need: &Need,
    link: Link,
    path: TreePath,
) -> Result<Visit, Problem> {
    let top = app.files.entry(link.fid)?.ok_or(Problem::NOT_FOUND)?;
    let space = space_of(app, &top)?;
    let base = app.files.locate(link.fid)?;
    if need.object == sharing::Object::LinkPage {
        let chain = app.files.chain(top.fid)?;
        let target = Target::Link {
            link: &link,
            space_owner: space.owner,
            chain: &chain,
        };
        settle(
            app.sharing
                .decide(asker, need.service, &target, need.right)?,
        )?;
        return Ok(Visit {
            space,
            at: base,
            entry: top,
            chain,
            link: Some(link),
        });
    }
    // The top first: a guess below a locked link must not tell whether it is there. What may be
    // deleted below the top must be writable there; the top itself may not be deleted.
    let at_top = if need.right == Right::Delete && !path.is_root() {
        &Need::LINK_WRITE
    } else {
        need
    };
    gate(app, asker, at_top, &top)?;
    let mut names = base.path.names().to_vec();
    names.extend_from_slice(path.names());
    let at = At {
        space: base.space,
        path: TreePath::new(names)?,
    };
    let entry = app.files.find(&at)?.ok_or(Problem::NOT_FOUND)?;
    let chain = gate(app, asker, need, &entry)?;
    Ok(Visit {
        space,
        at,
        entry,
        chain,
        link: Some(link),
    })
}

impl Caller {
    /// True for callers that prove themselves with every request instead of a cookie.
    pub(crate) fn uses_basic(self) -> bool {
        match self {
            Self::Page => false,
            Self::Program | Self::Dav => true,
        }
    }
}
