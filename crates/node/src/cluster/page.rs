//! Other nodes, as the pages show them.

use std::net::SocketAddr;
use std::time::Duration;

use links::neighborhood::{State, View};
use links::{NodeAddress, Path};
use peers::lookup::Limits;
use protocol::message::center::Refusal;
use protocol::message::lookup::{ContactScope, Term};
use protocol::message::services::Service;
use web::{
    BookReport, CenterRefusal, CenterReport, CenterState, ClusterSource, ClusterTrouble,
    FoundReport, NeighborPath, NeighborReport, NeighborState, OfferReport, Pending, PersonReport,
    SearchReport,
};

use super::center::{CenterStatus, NameTrouble, Standing, Trouble};
use super::people::FoundPerson;
use super::seek::{FoundNode, Sought, seek};
use super::{Neighbors, Registration};

/// A person waits for the page.
const DEADLINE: Duration = Duration::from_secs(5);
/// And for the list of services of what was found.
const OFFERS_DEADLINE: Duration = Duration::from_secs(2);
/// Nodes of one name whose services are asked for.
const ASKED_MAX: usize = 3;

/// Neighbors and center.
pub(crate) struct OtherNodes {
    pub(super) neighbors: Neighbors,
    pub(super) center: Option<Registration>,
}

impl ClusterSource for OtherNodes {
    fn neighbors(&self) -> Pending<'_, Result<Vec<NeighborReport>, ClusterTrouble>> {
        Box::pin(async {
            let views = self
                .neighbors
                .list()
                .await
                .map_err(|_| ClusterTrouble::Away)?;
            Ok(views.iter().map(report).collect())
        })
    }

    fn center(&self) -> Option<CenterReport> {
        self.center.as_ref().map(|center| describe(center.status()))
    }

    fn find<'a>(&'a self, what: &'a str) -> Pending<'a, Result<SearchReport, ClusterTrouble>> {
        Box::pin(async move {
            let center = self.center.as_ref();
            let sought = Sought::read(what, center).map_err(|_| ClusterTrouble::NoName)?;
            let limits = Limits {
                deadline: DEADLINE,
                ..Limits::default()
            };
            let found = seek(&self.neighbors, center, &sought, limits).await;
            let found = found.map_err(|_| ClusterTrouble::Away)?;
            let mut nodes = Vec::new();
            for (number, node) in found.nodes.iter().enumerate() {
                let offers = if number < ASKED_MAX {
                    self.neighbors.offers_of(node).await
                } else {
                    None
                };
                nodes.push(FoundReport {
                    id: node.record.node,
                    name: node.record.name.as_ref().map(ToString::to_string),
                    addresses: node
                        .record
                        .addresses
                        .iter()
                        .map(ToString::to_string)
                        .collect(),
                    hops: node.hops,
                    offers,
                });
            }
            Ok(SearchReport {
                nodes,
                center_trouble: found.center_trouble,
                messages: found.messages,
                took: found.took,
            })
        })
    }

    fn people<'a>(
        &'a self,
        term: &'a Term,
    ) -> Pending<'a, Result<Vec<PersonReport>, ClusterTrouble>> {
        Box::pin(async move {
            let scope = ContactScope::FriendsOfFriends;
            let found = self.neighbors.people(term, scope, DEADLINE).await;
            let found = found.map_err(|_| ClusterTrouble::Away)?;
            let report = |person: FoundPerson| PersonReport {
                name: person.card.name,
                addresses: person.card.addresses,
                book: match (person.holder, person.friend) {
                    (None, _) => BookReport::Own,
                    (Some(_), Some(friend)) => BookReport::Friend(friend),
                    (Some(holder), None) => BookReport::Farther(holder),
                },
            };
            Ok(found.into_iter().map(report).collect())
        })
    }
}

impl Neighbors {
    async fn offers_of(&self, node: &FoundNode) -> Option<Vec<OfferReport>> {
        let endpoint = self.endpoint()?;
        let to = NodeAddress::from(&node.record);
        let asked = links::neighborhood::services(&endpoint, &to);
        let services = tokio::time::timeout(OFFERS_DEADLINE, asked)
            .await
            .ok()?
            .ok()?;
        Some(offers(
            &services.offers,
            node.record.addresses.first().copied(),
        ))
    }
}

fn describe(status: CenterStatus) -> CenterReport {
    let away = || match &status.trouble {
        Some(Trouble::Away(why)) => why.clone(),
        Some(Trouble::Refused(_)) | None => String::new(),
    };
    let refused = || match &status.trouble {
        Some(Trouble::Refused(why)) => refusal(why),
        Some(Trouble::Away(_)) | None => CenterRefusal::NotValid,
    };
    CenterReport {
        state: match status.state {
            Standing::Connecting => CenterState::Connecting,
            Standing::Registered => CenterState::Registered,
            Standing::Away => CenterState::Away(away()),
            Standing::Refused => CenterState::Refused(refused()),
            Standing::Stopped => CenterState::Stopped,
        },
        name_refused: status.name_trouble.as_ref().map(|trouble| match trouble {
            NameTrouble::NoLabel(name) => (name.clone(), CenterRefusal::NoLabel),
            NameTrouble::Refused { name, why } => (name.to_string(), refusal(why)),
        }),
        center: status.center,
        url: status.url,
        last_renewed: status.last_renewed,
        lie: status.lie,
    }
}

fn refusal(why: &Refusal) -> CenterRefusal {
    match why {
        Refusal::NameTaken => CenterRefusal::NameTaken,
        Refusal::NameLooksLike { other } => CenterRefusal::NameLooksLike(other.to_string()),
        Refusal::NameReserved => CenterRefusal::NameReserved,
        Refusal::Invite => CenterRefusal::Invite,
        Refusal::NotValid => CenterRefusal::NotValid,
        Refusal::Stale { .. }
        | Refusal::OtherNode
        | Refusal::Unknown
        | Refusal::WorkWrong
        | Refusal::TooMany
        | Refusal::Unavailable => CenterRefusal::Other(why.to_string()),
    }
}

fn report(view: &View) -> NeighborReport {
    let address = match &view.path {
        Some(Path::Direct(address)) => Some(*address),
        Some(Path::Relayed(_) | Path::None) | None => view.addresses.first().copied(),
    };
    NeighborReport {
        id: view.id,
        name: view.name.as_ref().map(ToString::to_string),
        state: match view.state {
            State::Seen => NeighborState::Seen,
            State::Suspect => NeighborState::Suspect,
            State::Gone => NeighborState::Gone,
        },
        path: match &view.path {
            Some(Path::Direct(address)) => NeighborPath::Direct(address.to_string()),
            Some(Path::Relayed(relay)) => NeighborPath::Relayed(relay.clone()),
            Some(Path::None) | None => NeighborPath::None,
        },
        rtt: view.rtt,
        version: view.version.clone(),
        offers: view
            .services
            .as_deref()
            .map(|services| offers(services, address)),
        pinned: view.pinned,
        friend: view.friend,
    }
}

/// A service at a port gets the URL that a browser opens; others have none.
fn offers(services: &[Service], at: Option<SocketAddr>) -> Vec<OfferReport> {
    services
        .iter()
        .map(|service| OfferReport {
            name: service.name.clone(),
            url: at.filter(|_| service.port != 0).map(|at| {
                let at = SocketAddr::new(at.ip(), service.port);
                format!("https://{at}{}", service.path)
            }),
        })
        .collect()
}
