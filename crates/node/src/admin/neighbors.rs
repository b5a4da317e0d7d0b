//! Commands about other nodes: `neighbors` and `find`.

use std::time::Duration;

use axum::Json;
use links::neighborhood::{self, Candidate, View};
use links::{NodeAddress, Path};
use peers::lookup::{BUDGET_DEFAULT, End, Limits};
use protocol::message::center::Presence;
use protocol::message::lookup::{ContactScope, DEADLINE_MS_MAX, HOPS_MAX, Term};
use protocol::message::services::Service;
use protocol::{NodeId, NodeName};
use serde::Deserialize;
use serde_json::{Value, json};
use sharing::{Action, Reach};

use super::{Admin, Answer, Failure, Kind, Shared, on_disk};
use crate::cluster::{Found, Neighbors, Sought, Source, seek};

impl Admin {
    fn neighbors(&self) -> Result<&Neighbors, Failure> {
        let running = self.running.as_ref().ok_or_else(|| {
            Failure::new(
                Kind::Unreachable,
                "no node is running here, so it has no links",
            )
            .hint("`cumulet serve` starts it")
        })?;
        Ok(&running.neighbors)
    }
}

impl From<neighborhood::Away> for Failure {
    fn from(away: neighborhood::Away) -> Self {
        Self::new(Kind::Unreachable, away.to_string())
            .hint("`cumulet module start neighbors` starts it")
    }
}

pub(super) async fn list(admin: Shared) -> Answer {
    let views = admin.neighbors()?.list().await?;
    Ok(Json(json!({
        "neighbors": views.iter().map(describe).collect::<Vec<_>>(),
    })))
}

fn describe(view: &View) -> Value {
    json!({
        "id": view.id,
        "name": view.name,
        "state": view.state.word(),
        "missed": view.missed,
        "path": view.path.as_ref().map(|path| match path {
            Path::Direct(_) => "direct",
            Path::Relayed(_) => "relayed",
            Path::None => "none",
        }),
        "address": view.path.as_ref().and_then(|path| match path {
            Path::Direct(address) => Some(address.to_string()),
            Path::Relayed(url) => Some(url.clone()),
            Path::None => None,
        }),
        "rtt_ms": view.rtt.map(milliseconds),
        "version": view.version,
        "services": view.services.as_deref().map(names),
        "pinned": view.pinned,
        "friend": view.friend,
        "linked": view.linked,
        "addresses": view.addresses,
        "trouble": view.trouble,
    })
}

fn names(services: &[Service]) -> Vec<&str> {
    services
        .iter()
        .map(|service| service.name.as_str())
        .collect()
}

/// With one decimal.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

#[derive(Deserialize)]
pub(super) struct Pin {
    node: String,
    pinned: bool,
}

pub(super) async fn pin(admin: Shared, Json(wish): Json<Pin>) -> Answer {
    let neighbors = admin.neighbors()?;
    let node = known(neighbors, &wish.node).await?;
    neighbors.pin(node, wish.pinned).await?;
    let done = if wish.pinned { "pinned" } else { "unpinned" };
    note(&admin, node, done).await?;
    Ok(Json(json!({ "id": node, "pinned": wish.pinned })))
}

#[derive(Deserialize)]
pub(super) struct Named {
    node: String,
}

pub(super) async fn forget(admin: Shared, Json(wish): Json<Named>) -> Answer {
    let neighbors = admin.neighbors()?;
    let node = known(neighbors, &wish.node).await?;
    let forgotten = neighbors.forget(node).await?;
    note(&admin, node, "forgotten").await?;
    Ok(Json(json!({ "id": node, "forgotten": forgotten })))
}

/// An id, or the name of one neighbor.
async fn known(neighbors: &Neighbors, text: &str) -> Result<NodeId, Failure> {
    if let Ok(id) = text.parse::<NodeId>() {
        return Ok(id);
    }
    let name: NodeName = text.parse().map_err(|error| {
        Failure::input(format!("{error}, and it is no id either"))
            .hint("`cumulet neighbors` lists ids and names")
    })?;
    let called: Vec<_> = neighbors
        .list()
        .await?
        .into_iter()
        .filter(|view| view.name.as_ref() == Some(&name))
        .map(|view| view.id)
        .collect();
    match called.as_slice() {
        [one] => Ok(*one),
        [] => Err(Failure::missing(format!("no neighbor is called {name}"))
            .hint("`cumulet find` seeks farther away")),
        [_, ..] => Err(Failure::input(format!(
            "{} neighbors are called {name}; write the id",
            called.len()
        ))),
    }
}

#[derive(Deserialize)]
pub(super) struct Add {
    address: String,
}

/// Calls a node at an address that the owner knows, and keeps it if it answers.
pub(super) async fn add(admin: Shared, Json(wish): Json<Add>) -> Answer {
    let neighbors = admin.neighbors()?;
    let endpoint = neighbors.endpoint().ok_or(neighborhood::Away)?;
    let to = resolve(&wish.address).await?;
    let hello = neighbors.own().borrow().hello();
    let pinged = neighborhood::ping(&endpoint, &to, Some(hello), neighbors.clock()).await;
    let (introduction, rtt) =
        pinged.map_err(|error| Failure::of(Kind::Unreachable, &error).hint(
            "the node must run, and UDP to that port must be open; `cumulet status` there shows id and port",
        ))?;
    let name = introduction.and_then(|known| known.record.name);
    neighbors.meet(Candidate {
        id: to.id,
        addresses: to.addresses.clone(),
        name: name.as_ref().map(ToString::to_string),
    });
    note(&admin, to.id, "added").await?;
    Ok(Json(json!({
        "id": to.id,
        "name": name,
        "addresses": to.addresses,
        "rtt_ms": milliseconds(rtt),
    })))
}

/// `ID@HOST:PORT`; HOST may be a name of the DNS.
async fn resolve(text: &str) -> Result<NodeAddress, Failure> {
    let bad = match text.parse::<NodeAddress>() {
        Ok(address) => return Ok(address),
        Err(error) => error,
    };
    let parts = text.split_once('@').and_then(|(id, host)| {
        let (_, port) = host.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        Some((id.parse::<NodeId>().ok()?, host))
    });
    let Some((id, host)) = parts else {
        return Err(Failure::input(bad.to_string()));
    };
    let found = tokio::net::lookup_host(host).await.map_err(|error| {
        Failure::new(
            Kind::Unreachable,
            format!("`{host}` has no address: {error}"),
        )
    })?;
    let addresses = found.take(protocol::ADDRESSES_MAX).collect();
    Ok(NodeAddress::new(id, addresses))
}

async fn note(admin: &Shared, node: NodeId, done: &'static str) -> Result<(), Failure> {
    on_disk(admin, move |admin| {
        admin.note(Action::Settings, format!("neighbor {node}"), done)
    })
    .await
}

#[derive(Deserialize)]
pub(super) struct PeopleSearch {
    term: String,
    /// Also the books of friends of friends.
    friends_of_friends: bool,
    deadline_ms: Option<u64>,
}

/// Seeks people in the books of this node, of friends, and of their friends (R52).
pub(super) async fn find_people(admin: Shared, Json(wish): Json<PeopleSearch>) -> Answer {
    let term = Term::new(&wish.term).map_err(|why| {
        Failure::input(why).hint("write at least two letters of a name or an address")
    })?;
    let deadline = limits(None, wish.deadline_ms)?.deadline;
    let scope = if wish.friends_of_friends {
        ContactScope::FriendsOfFriends
    } else {
        ContactScope::Friends
    };
    let sought = term.0.clone();
    on_disk(&admin, move |admin| {
        admin.note(Action::ContactSearch, sought, scope_word(scope))
    })
    .await?;
    let people = admin.neighbors()?.people(&term, scope, deadline).await?;
    Ok(Json(json!({
        "people": people.iter().map(|person| json!({
            "name": person.card.name,
            "addresses": person.card.addresses,
            "node": person.holder,
            "friend": person.friend,
            "links": person.links,
        })).collect::<Vec<_>>(),
    })))
}

/// How far a search goes, in the words of commands and of the audit.
pub(crate) fn scope_word(scope: ContactScope) -> &'static str {
    match scope {
        ContactScope::Friends => Reach::Friends.word(),
        ContactScope::FriendsOfFriends => Reach::FriendsOfFriends.word(),
    }
}

#[derive(Deserialize)]
pub(super) struct Search {
    what: String,
    max_hops: Option<u16>,
    deadline_ms: Option<u64>,
    /// Also ask the found node what it offers.
    #[serde(default)]
    services: bool,
}

pub(super) async fn find(admin: Shared, Json(wish): Json<Search>) -> Answer {
    let neighbors = admin.neighbors()?;
    let limits = limits(wish.max_hops, wish.deadline_ms)?;
    let center = admin
        .running
        .as_ref()
        .and_then(|running| running.center.clone());
    let sought = Sought::read(&wish.what, center.as_ref()).map_err(Failure::input)?;
    let found = seek(neighbors, center.as_ref(), &sought, limits).await?;
    let mut answer = found.describe();
    if wish.services
        && let (Some(endpoint), Some(first)) = (neighbors.endpoint(), found.nodes.first())
    {
        let asked = neighborhood::services(&endpoint, &NodeAddress::from(&first.record)).await;
        match asked {
            Ok(services) => answer["services"] = json!(services.offers),
            Err(error) => answer["trouble"] = json!(error.to_string()),
        }
    }
    Ok(Json(answer))
}

fn limits(hops: Option<u16>, deadline_ms: Option<u64>) -> Result<Limits, Failure> {
    let default = Limits::default();
    let hops = hops.unwrap_or(default.hops);
    if hops == 0 || hops > HOPS_MAX {
        return Err(Failure::input(format!(
            "{hops} hops: a lookup may cross 1 to {HOPS_MAX} links"
        )));
    }
    let deadline = deadline_ms.map_or(default.deadline, Duration::from_millis);
    if deadline.is_zero() || deadline > Duration::from_millis(u64::from(DEADLINE_MS_MAX)) {
        return Err(Failure::input(
            "a lookup may take more than 0 s and at most 60 s",
        ));
    }
    Ok(Limits {
        hops,
        deadline,
        budget: BUDGET_DEFAULT,
    })
}

impl Found {
    fn describe(&self) -> Value {
        let first = self.nodes.first();
        json!({
            "found": first.is_some(),
            "id": first.map(|node| node.record.node),
            "name": first.and_then(|node| node.record.name.clone()),
            "addresses": first.map(|node| node.record.addresses.clone()),
            "hops": first.map(|node| node.hops),
            "from": first.map(|node| match node.from {
                Source::Local => "local".to_owned(),
                Source::Neighbor(from) => from.to_string(),
                Source::Center(_) => "center".to_owned(),
            }),
            "presence": first.and_then(|node| match node.from {
                Source::Center(Presence::Online) => Some("online"),
                Source::Center(Presence::Unknown) => Some("unknown"),
                Source::Center(Presence::Gone) => Some("gone"),
                Source::Local | Source::Neighbor(_) => None,
            }),
            "center_error": self.center_trouble,
            "messages": self.messages,
            "took_ms": milliseconds(self.took),
            "end": match self.end {
                End::Found => "found",
                End::Exhausted => "exhausted",
                End::Budget => "budget",
                End::Deadline => "deadline",
                End::Abandoned => "abandoned",
                End::Busy => "busy",
            },
            "others": self.nodes.iter().skip(1).map(|node| json!({
                "id": node.record.node,
                "name": node.record.name,
                "addresses": node.record.addresses,
                "hops": node.hops,
            })).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_out_of_bounds_are_refused_before_anybody_is_asked() {
        assert_eq!(limits(None, None).unwrap(), Limits::default());
        for (hops, ms) in [
            (Some(0), None),
            (Some(257), None),
            (None, Some(0)),
            (None, Some(60_001)),
        ] {
            assert!(limits(hops, ms).is_err(), "{hops:?} {ms:?}");
        }
    }

    #[tokio::test]
    async fn a_node_is_added_by_id_and_address() {
        let id = protocol::NodeSecret::from_bytes([7; 32]).id();
        let good = resolve(&format!("{id}@127.0.0.1:8443")).await.unwrap();
        assert_eq!(good.addresses, ["127.0.0.1:8443".parse().unwrap()]);
        let named = resolve(&format!("{id}@localhost:8443")).await.unwrap();
        assert!(
            named
                .addresses
                .iter()
                .all(|address| address.ip().is_loopback())
        );
        for bad in [
            "",
            "127.0.0.1:8443",
            "id@127.0.0.1:8443",
            &format!("{id}@host"),
        ] {
            assert_eq!(resolve(bad).await.unwrap_err().kind, Kind::Input, "{bad}");
        }
    }
}
