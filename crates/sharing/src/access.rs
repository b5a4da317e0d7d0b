//! From the database to the decision: grants, links and LAN-only flags of one chain.
//!
//! What is LAN-only and what was granted to whom is small and read all the time, so it is kept in
//! memory under a generation that every change raises after its commit: a stale copy is dropped at
//! the latest by the first question asked after the change was answered.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::{AccountId, Fid, NodeId};
use rusqlite::Connection;

use crate::actor::{Asker, Place, Who};
use crate::app_password::Devices;
use crate::card::{self, Card};
use crate::friend::{self, Friend, FriendId, Scope};
use crate::grant::{self, Grant, Grantee, LanOnly};
use crate::link::{self, LinkState};
use crate::permission::{self, Access, Decision, Facts, LinkFacts, Need, Right, Service, Target};
use crate::{Sharing, SharingError};

/// Accounts and friends whose grants are kept in memory.
const GRANTEES_KEPT: usize = 256;

/// What is LAN-only.
#[derive(Debug, Default)]
struct Flags {
    entries: Arc<HashSet<Fid>>,
    services: HashSet<Service>,
}

/// Grants by entry.
type Granted = HashMap<Fid, Vec<Grant>>;

/// Copies of small tables in memory.
#[derive(Default)]
pub(crate) struct Rights {
    generation: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    generation: u64,
    flags: Option<Arc<Flags>>,
    grants: HashMap<Grantee, Arc<Granted>>,
    friends: Option<Arc<HashMap<NodeId, Friend>>>,
    devices: Option<Arc<Devices>>,
    cards: Option<Arc<[Card]>>,
}

impl Rights {
    /// Drops all copies; called after each change of what [`Kept`] holds.
    pub(crate) fn void(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// The copy that `get` finds, or what `load` reads; kept only if nothing changed meanwhile.
    fn kept_or<T: Clone>(
        &self,
        get: impl Fn(&Kept) -> Option<T>,
        load: impl FnOnce() -> Result<T, SharingError>,
        put: impl FnOnce(&mut Kept, T),
    ) -> Result<T, SharingError> {
        let generation = self.generation.load(Ordering::SeqCst);
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = lock();
            if kept.generation < generation {
                *kept = Kept {
                    generation,
                    ..Kept::default()
                };
            }
            if kept.generation == generation
                && let Some(found) = get(&kept)
            {
                return Ok(found);
            }
        }
        let loaded = load()?;
        let mut kept = lock();
        if kept.generation == generation {
            put(&mut kept, loaded.clone());
        }
        Ok(loaded)
    }
}

/// What somebody may see in listings: which children to leave out.
#[derive(Debug, Clone, Default)]
pub struct Visibility {
    hidden: Arc<HashSet<Fid>>,
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
        let facts = self.facts(asker, service, target)?;
        Ok(permission::decide(asker, service, target, &facts, right))
    }

    /// What can be said of a route before its target is known; see [`Need::gate`].
    pub fn gate(&self, asker: &Asker, need: &Need) -> Result<Decision, SharingError> {
        let lan_only = self.flags()?.services.contains(&need.service);
        Ok(need.gate(asker, lan_only))
    }

    /// What listings for `asker` leave out: LAN-only entries for everybody who is away.
    pub fn visibility(&self, asker: &Asker) -> Result<Visibility, SharingError> {
        let hidden = match asker.place {
            Place::Away => self.flags()?.entries.clone(),
            Place::Lan | Place::Console => Arc::default(),
        };
        Ok(Visibility { hidden })
    }

    /// The entries that are LAN-only themselves, whoever asks.
    pub fn lan_only_entries(&self) -> Result<Arc<HashSet<Fid>>, SharingError> {
        Ok(Arc::clone(&self.flags()?.entries))
    }

    fn facts(
        &self,
        asker: &Asker,
        service: Service,
        target: &Target<'_>,
    ) -> Result<Facts, SharingError> {
        let flags = self.flags()?;
        let mut facts = Facts {
            service_lan_only: flags.services.contains(&service),
            ..Facts::default()
        };
        let (space_owner, chain, link) = match target {
            Target::Nothing | Target::Account(_) | Target::Node | Target::FriendTree => {
                return Ok(facts);
            }
            Target::Entry { space_owner, chain } => (*space_owner, *chain, asker_link(asker)),
            Target::Link {
                link,
                space_owner,
                chain,
            } => (*space_owner, *chain, Some(link.id)),
        };
        facts.entry_lan_only = chain.iter().any(|fid| flags.entries.contains(fid));
        if let Some(grants) = self.grants_for(asker, space_owner)? {
            facts.grant = best(&grants, space_owner, chain);
            facts.grant_from_above = best(&grants, space_owner, chain.get(1..).unwrap_or(&[]));
        }
        if let Some(id) = link {
            let now = self.now();
            let link = self.read(|c| link::by_id(c, id))?;
            facts.link = link
                .filter(|link| link.state(now) == LinkState::Usable)
                .map(|link| LinkFacts {
                    right: link.right,
                    covers: link.created_by == space_owner && chain.contains(&link.fid),
                    covers_from_above: link.created_by == space_owner
                        && chain.iter().skip(1).any(|fid| *fid == link.fid),
                });
        }
        Ok(facts)
    }

    fn flags(&self) -> Result<Arc<Flags>, SharingError> {
        self.0.rights.kept_or(
            |kept| kept.flags.clone(),
            || self.read(load_flags),
            |kept, flags| kept.flags = Some(flags),
        )
    }

    /// The accepted friend with this identity that may use `scope`; asked at every request, so that
    /// a removal counts from the next one on.
    pub fn friend_at_the_door(
        &self,
        node: NodeId,
        scope: Scope,
    ) -> Result<Option<Friend>, SharingError> {
        let friends = self.accepted_friends()?;
        Ok(friends
            .get(&node)
            .filter(|friend| friend.scopes.has(scope))
            .cloned())
    }

    /// All accepted friends by their identity.
    pub fn accepted_friends(&self) -> Result<Arc<HashMap<NodeId, Friend>>, SharingError> {
        self.0.rights.kept_or(
            |kept| kept.friends.clone(),
            || {
                let friends = self.read(friend::accepted)?;
                let by_node = friends.into_iter().map(|friend| (friend.node, friend));
                Ok(Arc::new(by_node.collect()))
            },
            |kept, friends| kept.friends = Some(friends),
        )
    }

    /// What people let others find of them.
    pub fn directory(&self) -> Result<Arc<[Card]>, SharingError> {
        self.0.rights.kept_or(
            |kept| kept.cards.clone(),
            || Ok(self.read(card::all)?.into()),
            |kept, cards| kept.cards = Some(cards),
        )
    }

    /// The devices that come with keys of their own.
    pub(crate) fn devices(&self) -> Result<Arc<Devices>, SharingError> {
        self.0.rights.kept_or(
            |kept| kept.devices.clone(),
            || self.read_devices().map(Arc::new),
            |kept, devices| kept.devices = Some(devices),
        )
    }

    /// What was given to the asker; `None` for those who are given nothing: links and nobody, and
    /// the owner, who needs none.
    fn grants_for(
        &self,
        asker: &Asker,
        space_owner: AccountId,
    ) -> Result<Option<Arc<Granted>>, SharingError> {
        let grantee = match &asker.who {
            Who::Account { id, .. } if *id == space_owner => return Ok(None),
            Who::Account { id, .. } => Grantee::Account(*id),
            Who::Friend { id, .. } if self.may_have_files(*id)? => Grantee::Friend(*id),
            Who::Friend { .. } | Who::Link { .. } | Who::Nobody => return Ok(None),
        };
        self.grants_of(grantee).map(Some)
    }

    fn may_have_files(&self, id: FriendId) -> Result<bool, SharingError> {
        let friends = self.accepted_friends()?;
        Ok(friends
            .values()
            .any(|friend| friend.id == id && friend.scopes.has(Scope::Files)))
    }

    /// Grants by entry.
    fn grants_of(&self, to: Grantee) -> Result<Arc<Granted>, SharingError> {
        self.0.rights.kept_or(
            |kept| kept.grants.get(&to).cloned(),
            || {
                let grants = match to {
                    Grantee::Account(account) => self.read(|c| grant::granted_to(c, account))?,
                    Grantee::Friend(friend) => {
                        self.read(|c| grant::granted_to_friend(c, friend))?
                    }
                    Grantee::Everyone => Vec::new(),
                };
                let mut by_entry = Granted::new();
                for grant in grants {
                    by_entry.entry(grant.fid).or_default().push(grant);
                }
                Ok(Arc::new(by_entry))
            },
            |kept, grants| {
                if kept.grants.len() >= GRANTEES_KEPT {
                    kept.grants.clear();
                }
                kept.grants.insert(to, grants);
            },
        )
    }
}

fn asker_link(asker: &Asker) -> Option<i64> {
    match &asker.who {
        Who::Link { id, .. } => Some(*id),
        Who::Account { .. } | Who::Friend { .. } | Who::Nobody => None,
    }
}

/// The best grant on one of `chain`; only the owner of the space can have given it.
fn best(grants: &Granted, space_owner: AccountId, chain: &[Fid]) -> Option<Access> {
    // Most accounts were given nothing at all.
    if grants.is_empty() {
        return None;
    }
    chain
        .iter()
        .filter_map(|fid| grants.get(fid))
        .flatten()
        .filter(|grant| grant.by == space_owner)
        .map(|grant| grant.access)
        .max()
}

fn load_flags(c: &Connection) -> Result<Arc<Flags>, SharingError> {
    let mut entries = HashSet::new();
    let mut services = HashSet::new();
    for what in grant::lan_only(c)? {
        match what {
            LanOnly::Entry(fid) => {
                entries.insert(fid);
            }
            LanOnly::Service(service) => {
                services.insert(service);
            }
        }
    }
    Ok(Arc::new(Flags {
        entries: Arc::new(entries),
        services,
    }))
}
