//! Nodes as the owner of a center sees them: `center nodes`, the page and the API show the same
//! fields (R13).

use protocol::message::center::{Presence, Resources, Usage};
use protocol::{NodeId, NodeName};
use serde::Serialize;

use crate::office::Office;
use crate::registry::{Entry, Registry};

/// One node.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// Its key.
    pub id: NodeId,
    /// Its name in the zone.
    pub name: Option<NodeName>,
    /// Where it is reached.
    pub addresses: Vec<String>,
    /// What it has.
    pub resources: Resources,
    /// What of it is in use.
    pub usage: Usage,
    /// `true`, `false`, or `null` while the center does not know after a restart.
    pub online: Option<bool>,
    /// RFC 3339.
    pub last_renewed: String,
    /// Stays in every list of neighbors.
    pub pinned: bool,
}

impl Listed {
    fn of(id: &NodeId, entry: &Entry, renewed: protocol::Timestamp) -> Self {
        let record = entry.record.open_at_any_time().ok();
        let addresses = record.into_iter().flat_map(|record| record.addresses);
        Self {
            id: *id,
            name: entry.name.clone(),
            addresses: addresses.map(|address| address.to_string()).collect(),
            resources: entry.resources,
            usage: entry.usage,
            online: match entry.presence {
                Presence::Online => Some(true),
                Presence::Unknown => None,
                Presence::Gone => Some(false),
            },
            last_renewed: renewed.to_string(),
            pinned: entry.pinned,
        }
    }
}

/// Nodes after `after` in the order of their ids, at most `most`.
#[must_use]
pub fn page(office: &Office, after: Option<NodeId>, most: usize) -> Vec<Listed> {
    let now = office.now();
    let registry: &Registry = &office.registry();
    let later = |id: &NodeId| after.is_none_or(|after| *id > after);
    let mut ids: Vec<&NodeId> = registry
        .iter()
        .map(|(id, _)| id)
        .filter(|id| later(id))
        .collect();
    if ids.len() > most {
        ids.select_nth_unstable(most);
        ids.truncate(most);
    }
    ids.sort_unstable();
    ids.into_iter()
        .filter_map(|id| {
            let entry = registry.get(id)?;
            // An open link renews all the time.
            let linked = registry.is_linked(id) && entry.presence == Presence::Online;
            Some(Listed::of(
                id,
                entry,
                if linked { now } else { entry.last_seen },
            ))
        })
        .collect()
}
