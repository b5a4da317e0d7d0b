//! Other nodes, as the pages show them.

use std::net::SocketAddr;
use std::time::Duration;

use links::neighborhood::{State, View};
use links::{NodeAddress, Path};
use peers::lookup::Limits;
use protocol::message::lookup::{ContactScope, Term};
use protocol::message::services::Service;
use web::{
    BookReport, ClusterSource, ClusterTrouble, FoundReport, NeighborPath, NeighborReport,
    NeighborState, OfferReport, Pending, PersonReport, SearchReport,
};

use super::Neighbors;
use super::people::FoundPerson;
use crate::admin::neighbors::{FoundNode, search, target};

/// A person waits for the page.
const DEADLINE: Duration = Duration::from_secs(5);
/// And for the list of services of what was found.
const OFFERS_DEADLINE: Duration = Duration::from_secs(2);
/// Nodes of one name whose services are asked for.
const ASKED_MAX: usize = 3;

impl ClusterSource for Neighbors {
    fn neighbors(&self) -> Pending<'_, Result<Vec<NeighborReport>, ClusterTrouble>> {
        Box::pin(async {
            let views = self.list().await.map_err(|_| ClusterTrouble::Away)?;
            Ok(views.iter().map(report).collect())
        })
    }

    fn find<'a>(&'a self, what: &'a str) -> Pending<'a, Result<SearchReport, ClusterTrouble>> {
        Box::pin(async move {
            let target = target(what).map_err(|_| ClusterTrouble::NoName)?;
            let limits = Limits {
                deadline: DEADLINE,
                ..Limits::default()
            };
            let found = search(self, target, limits).await;
            let found = found.map_err(|_| ClusterTrouble::Away)?;
            let mut nodes = Vec::new();
            for (number, node) in found.nodes.iter().enumerate() {
                let offers = if number < ASKED_MAX {
                    self.offers_of(node).await
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
                messages: found.outcome.messages,
                took: found.outcome.took,
            })
        })
    }

    fn people<'a>(
        &'a self,
        term: &'a Term,
    ) -> Pending<'a, Result<Vec<PersonReport>, ClusterTrouble>> {
        Box::pin(async move {
            let scope = ContactScope::FriendsOfFriends;
            let found = Neighbors::people(self, term, scope, DEADLINE).await;
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
