//! From the database to the decision: grants, links and LAN-only flags of one chain.

use protocol::Fid;

use crate::actor::Asker;
use crate::permission::{Decision, Need, Right, Service, Target};
use crate::{Sharing, SharingError};

/// What somebody may see in listings: which children to leave out.
#[derive(Debug, Clone, Default)]
pub struct Visibility {
    hidden: std::sync::Arc<std::collections::HashSet<Fid>>,
}

impl Visibility {
    /// False if this entry must not appear in a listing.
    #[must_use]
    pub fn shows(&self, fid: Fid) -> bool {
        !self.hidden.contains(&fid)
    }

    /// The entries that must not appear; for the check that a folder to be copied, moved, deleted
    /// or packed holds none of them.
    pub fn hidden(&self) -> impl Iterator<Item = Fid> {
        self.hidden.iter().copied()
    }
}

impl Sharing {
    /// THE decision: may `asker` do `right` to `target` through `service`?
    pub fn decide(
        &self,
        asker: &Asker,
        service: Service,
        target: &Target<'_>,
        right: Right,
    ) -> Result<Decision, SharingError> {
        todo!()
    }

    /// What can be said of a route before its target is known; see [`Need::gate`].
    pub fn gate(&self, asker: &Asker, need: &Need) -> Result<Decision, SharingError> {
        todo!()
    }

    /// What listings for `asker` leave out: LAN-only entries for everybody who is away.
    pub fn visibility(&self, asker: &Asker) -> Result<Visibility, SharingError> {
        todo!()
    }
}
