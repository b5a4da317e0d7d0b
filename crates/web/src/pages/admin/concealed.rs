//! Which rows of the audit log would tell names of LAN-only entries to an owner who is away (R105).
//!
//! A row is concealed if its entry is LAN-only now, or the place that it names lies in a LAN-only
//! folder, or its entry is gone so that nobody can tell any more. That hides more than it must, never
//! less.

use files::At;
use protocol::{CloudPath, Fid, SpaceId, TreePath};
use sharing::{Action, AuditRow, Visibility};

use crate::App;
use crate::problem::Problem;

/// Decides for one asker.
pub(super) struct Concealment<'a> {
    app: &'a App,
    visibility: Visibility,
}

impl<'a> Concealment<'a> {
    pub(super) fn new(app: &'a App, visibility: Visibility) -> Self {
        Self { app, visibility }
    }

    /// True if nothing is concealed from this asker.
    pub(super) fn is_empty(&self) -> bool {
        self.visibility.hidden().next().is_none()
    }

    /// Blocks.
    pub(super) fn conceals(&self, row: &AuditRow) -> Result<bool, Problem> {
        if self.is_empty() {
            return Ok(false);
        }
        if let Some(fid) = row.fid
            && !self.shows_all(Fid(fid))
        {
            return Ok(true);
        }
        let Ok(named) = row.target.parse::<CloudPath>() else {
            return Ok(false);
        };
        let space = self.app.files.space(named.space.as_str())?;
        let Some(space) = space else {
            // The space of somebody who left.
            return Ok(true);
        };
        if !self.place_shows(space.id, named.path)? {
            return Ok(true);
        }
        // A move tells where to.
        match (TreePath::parse(&row.detail), row.space) {
            (Ok(to), Some(space)) if row.action == Action::Move.name() => {
                Ok(!self.place_shows(SpaceId(space), to)?)
            }
            (_, _) => Ok(false),
        }
    }

    /// False for what is hidden or gone for good.
    fn shows_all(&self, fid: Fid) -> bool {
        let chain = self.app.files.chain(fid);
        chain.is_ok_and(|chain| chain.iter().all(|fid| self.visibility.shows(*fid)))
    }

    /// Whether the innermost entry on the way to a place is shown.
    fn place_shows(&self, space: SpaceId, path: TreePath) -> Result<bool, Problem> {
        let mut at = At { space, path };
        loop {
            if let Some(entry) = self.app.files.find(&at)? {
                return Ok(self.shows_all(entry.fid));
            }
            match at.path.parent() {
                Some(parent) => at.path = parent,
                None => return Ok(false),
            }
        }
    }
}
