//! How the asker sees the tree: members by the names of spaces, a friend's node by the names of
//! what was shared with it.
//!
//! A friend gets no name of anything above or beside its shares: `/dav/files/Photos/…` is the
//! folder that was shared as `Photos`, wherever it lies and whatever it is called now. All of it
//! blocks.

use files::{At, Entry, Space};
use protocol::{EntryName, TreePath};
use sharing::{Asker, FriendId, Grant, Need};

use crate::App;
use crate::gate::{may, space_of};
use crate::problem::Problem;

use super::place::{self, Named};
use super::refused::{Refused, Step};

/// Something that is shared with the friend that asks.
pub(super) struct Share {
    pub(super) name: EntryName,
    pub(super) space: Space,
    pub(super) at: At,
    pub(super) entry: Entry,
}

/// The names that answers to one asker are written in.
pub(super) enum Names {
    /// Those of spaces.
    Spaces,
    /// Those of shares.
    Shares(Vec<Share>),
}

impl Names {
    pub(super) fn of(app: &App, asker: &Asker) -> Result<Self, Problem> {
        match asker.friend() {
            None => Ok(Self::Spaces),
            Some(friend) => Ok(Self::Shares(shares(app, asker, friend)?)),
        }
    }

    /// The address of an entry. Of what lies above all shares a friend sees the top only.
    pub(super) fn href(&self, space: &EntryName, path: &TreePath, folder: bool) -> String {
        let shares = match self {
            Self::Spaces => return place::href(space, path, folder),
            Self::Shares(shares) => shares,
        };
        let innermost = shares
            .iter()
            .filter(|share| share.space.name == *space && path.starts_with(&share.at.path))
            .max_by_key(|share| share.at.path.names().len());
        let below = innermost.and_then(|share| {
            let rest = path.names().get(share.at.path.names().len()..)?;
            let rest = TreePath::new(rest.to_vec()).ok()?;
            Some(place::href(&share.name, &rest, folder))
        });
        below.unwrap_or_else(|| "/dav/files/".into())
    }
}

/// All shares that the friend may list now.
pub(super) fn shares(app: &App, asker: &Asker, friend: FriendId) -> Result<Vec<Share>, Problem> {
    let mut shares = Vec::new();
    for grant in app.sharing.granted_to_friend(friend)? {
        let Some(share) = share(app, &grant)? else {
            continue;
        };
        let chain = app.files.chain(share.entry.fid)?;
        if may(app, asker, &Need::ENTRY_LIST, &share.space, &chain)? {
            shares.push(share);
        }
    }
    Ok(shares)
}

/// The entry of a grant; `None` while it is in the trash or its space is hidden.
fn share(app: &App, grant: &Grant) -> Result<Option<Share>, Problem> {
    let (Some(name), Some(entry)) = (grant.share_name.clone(), app.files.entry(grant.fid)?) else {
        return Ok(None);
    };
    let (Ok(at), Ok(space)) = (app.files.locate(grant.fid), space_of(app, &entry)) else {
        return Ok(None);
    };
    Ok(Some(Share {
        name,
        space,
        at,
        entry,
    }))
}

/// The space and place that an address means to the asker; nothing need be there.
pub(super) fn resolve(app: &App, asker: &Asker, named: &Named) -> Step<(Space, At)> {
    let Some(friend) = asker.friend() else {
        let space = app.files.space(named.space.as_str())?;
        let space = space.ok_or(Refused::NOT_FOUND)?;
        let at = At {
            space: space.id,
            path: named.path.clone(),
        };
        return Ok((space, at));
    };
    let grants = app.sharing.granted_to_friend(friend)?;
    let grant = grants
        .into_iter()
        .find(|grant| grant.share_name.as_ref() == Some(&named.space));
    let share = match grant {
        Some(grant) => share(app, &grant)?,
        None => None,
    };
    let share = share.ok_or(Refused::NOT_FOUND)?;
    let mut names = share.at.path.names().to_vec();
    names.extend_from_slice(named.path.names());
    let at = At {
        space: share.at.space,
        path: TreePath::new(names)?,
    };
    Ok((share.space, at))
}
