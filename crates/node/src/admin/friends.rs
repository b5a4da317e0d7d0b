//! Commands about friends: tickets, comparisons, the list with its ledger, the end.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use protocol::message::pair::{TICKET_LIFETIME, Ticket};
use protocol::{EntryName, NodeId};
use serde::Deserialize;
use serde_json::{Value, json};
use sharing::{Action, Friend, FriendState, NewInvitation, Scopes, Tally};
use web::{FriendReach as _, NotAccepted};

use super::{Admin, Answer, Failure, Kind, Shared, on_disk};
use crate::cluster::{self, Friends};

/// Days of the ledger that a list shows.
const DAYS_SHOWN: u32 = 30;

impl Admin {
    fn friends(&self) -> Result<&Friends, Failure> {
        let running = self.running.as_ref().ok_or_else(|| {
            Failure::new(
                Kind::Unreachable,
                "this needs a running node, which the other one can answer",
            )
            .hint("start it with `cumulet serve`")
        })?;
        Ok(&running.friends)
    }

    /// A friend by its name or id.
    fn friend(&self, who: &str) -> Result<Friend, Failure> {
        let who = who.strip_prefix("friend:").unwrap_or(who);
        let sharing = &self.state.sharing;
        let mut found = sharing.friend(who)?;
        if found.is_none()
            && let Ok(node) = who.parse::<NodeId>()
        {
            found = sharing.friend_by_node(node)?;
        }
        found.ok_or_else(|| {
            let who: String = who.chars().take(80).collect();
            Failure::missing(format!("there is no friend `{who}`"))
                .hint("`cumulet friend list` shows all friends")
        })
    }

    fn describe_friend(&self, friend: &Friend) -> Result<Value, Failure> {
        let sharing = &self.state.sharing;
        let fresh = match &self.running {
            Some(running) => running.friends.uncounted(friend.node),
            None => Tally::default(),
        };
        let stored = sharing.ledger_total(friend.node)?;
        let days: Vec<Value> = sharing
            .ledger(friend.node, DAYS_SHOWN)?
            .into_iter()
            .map(|row| {
                let day = row.day.to_string();
                json!({
                    "day": day.split('T').next(),
                    "given_bytes": row.tally.given,
                    "taken_bytes": row.tally.taken,
                })
            })
            .collect();
        Ok(json!({
            "name": friend.name.as_str(),
            "id": friend.node.to_string(),
            "calls_itself": friend.calls_itself,
            "state": friend.state.name(),
            "waits_for": match friend.state {
                FriendState::Accepted => None,
                FriendState::WaitsForThem => Some("them"),
                FriendState::WaitsForUs => Some("us"),
            },
            "scopes": friend.scopes.names(),
            "since": friend.since.map(|at| at.to_string()),
            "addresses": friend.addresses,
            "shares": sharing.granted_to_friend(friend.id)?.len(),
            "linked": self
                .running
                .as_ref()
                .is_some_and(|running| running.friends.is_linked(friend.node)),
            "given_bytes": stored.given.saturating_add(fresh.given),
            "taken_bytes": stored.taken.saturating_add(fresh.taken),
            "days": days,
        }))
    }
}

pub(super) async fn list(admin: Shared) -> Answer {
    let comparisons: Vec<Value> = match &admin.running {
        Some(running) => running
            .friends
            .comparisons()
            .iter()
            .map(|one| {
                json!({
                    "name": one.me.name,
                    "id": one.node.to_string(),
                    "calls_itself": one.me.name,
                    "state": "pending",
                    "waits_for": "us",
                    "code": digits(one.code),
                })
            })
            .collect(),
        None => Vec::new(),
    };
    let (friends, invitations) = on_disk(&admin, |admin| {
        let friends = admin.state.sharing.friends()?;
        let friends: Result<Vec<_>, _> = friends
            .iter()
            .map(|friend| admin.describe_friend(friend))
            .collect();
        let invitations: Vec<Value> = admin
            .state
            .sharing
            .invitations()?
            .into_iter()
            .map(|one| {
                json!({
                    "id": one.id,
                    "name": one.name.as_ref().map(EntryName::as_str),
                    "for": one.node.map(|node| node.to_string()),
                    "scopes": one.scopes.names(),
                    "expires": one.expires.to_string(),
                })
            })
            .collect();
        Ok((friends?, invitations))
    })
    .await?;
    let friends: Vec<Value> = friends.into_iter().chain(comparisons).collect();
    Ok(Json(
        json!({ "friends": friends, "invitations": invitations }),
    ))
}

#[derive(Deserialize)]
pub(super) struct Invite {
    scope: Option<String>,
    name: Option<String>,
    /// Only this node may use it.
    node: Option<String>,
    lifetime_s: Option<u64>,
}

fn name_of(text: Option<&str>) -> Result<Option<EntryName>, Failure> {
    text.map(|text| EntryName::new(text).map_err(|error| Failure::input(error.to_string())))
        .transpose()
}

fn node_of(text: &str) -> Result<NodeId, Failure> {
    text.parse()
        .map_err(|error: protocol::IdError| Failure::input(error.to_string()))
}

pub(super) async fn invite(admin: Shared, Json(wish): Json<Invite>) -> Answer {
    let friends = admin.friends()?.clone();
    let scopes = match wish.scope.as_deref() {
        Some(text) => text.parse().map_err(Failure::input)?,
        None => Scopes::usual(),
    };
    let new = NewInvitation {
        name: name_of(wish.name.as_deref())?,
        node: wish.node.as_deref().map(node_of).transpose()?,
        scopes,
        lifetime: wish.lifetime_s.map_or(TICKET_LIFETIME, Duration::from_secs),
    };
    let (invitation, token) = on_disk(&admin, move |admin| {
        let made = admin.state.sharing.invite(new)?;
        admin.note(
            Action::FriendInvite,
            format!("invitation {}", made.0.id),
            made.0.scopes.to_string(),
        )?;
        Ok(made)
    })
    .await?;
    let ticket = friends.ticket(token, invitation.expires);
    if ticket.addresses.is_empty() {
        return Err(Failure::fault(
            "this node has no address that a friend could reach; the log says why",
        ));
    }
    Ok(Json(json!({
        "id": invitation.id,
        "ticket": ticket.to_string(),
        "expires": invitation.expires.to_string(),
        "scopes": invitation.scopes.names(),
    })))
}

#[derive(Deserialize)]
pub(super) struct Accept {
    ticket: String,
    name: Option<String>,
}

pub(super) async fn accept(admin: Shared, Json(wish): Json<Accept>) -> Answer {
    let ticket: Ticket = wish
        .ticket
        .parse()
        .map_err(|error: protocol::message::pair::TicketError| Failure::input(error.to_string()))?;
    let node = ticket.node;
    let accepted = admin
        .friends()?
        .accept(ticket, name_of(wish.name.as_deref())?)
        .await;
    match accepted {
        Ok(friend) => {
            let shown = on_disk(&admin, move |admin| admin.describe_friend(&friend)).await?;
            Ok(Json(json!({ "friend": shown })))
        }
        Err(NotAccepted::Later(why)) => {
            let waiting = on_disk(&admin, move |admin| {
                let friend = admin.state.sharing.friend_by_node(node)?;
                let friend = friend.ok_or_else(|| Failure::fault("the friend is gone"))?;
                admin.describe_friend(&friend)
            });
            Ok(Json(json!({ "friend": waiting.await?, "later": why })))
        }
        Err(NotAccepted::Refused(why)) => Err(Failure::new(Kind::Refused, why)),
    }
}

#[derive(Deserialize)]
pub(super) struct Numbered {
    id: i64,
}

pub(super) async fn withdraw(admin: Shared, Json(Numbered { id }): Json<Numbered>) -> Answer {
    on_disk(&admin, move |admin| {
        if !admin.state.sharing.withdraw_invitation(id)? {
            return Err(
                Failure::missing(format!("there is no open invitation {id}"))
                    .hint("`cumulet friend list` shows them"),
            );
        }
        admin.note(Action::FriendWithdraw, format!("invitation {id}"), "")
    })
    .await?;
    Ok(Json(json!({ "withdrawn": true })))
}

fn digits(code: u32) -> String {
    format!("{:03} {:03}", code / 1000, code % 1000)
}

#[derive(Deserialize)]
pub(super) struct Compare {
    /// `ID@ADDRESS:PORT`
    node: String,
}

pub(super) async fn compare(admin: Shared, Json(wish): Json<Compare>) -> Answer {
    let bad = || {
        Failure::input(format!(
            "`{}` is no address of a node; write ID@ADDRESS:PORT",
            wish.node.chars().take(120).collect::<String>()
        ))
    };
    let (id, address) = wish.node.split_once('@').ok_or_else(bad)?;
    let node = node_of(id)?;
    let address: SocketAddr = address.parse().map_err(|_| bad())?;
    let comparison = admin.friends()?.compare(node, &[address]).await;
    let comparison = comparison.map_err(|why| Failure::new(Kind::Unreachable, why))?;
    Ok(Json(json!({
        "id": comparison.node.to_string(),
        "calls_itself": comparison.me.name,
        "code": digits(comparison.code),
    })))
}

#[derive(Deserialize)]
pub(super) struct Confirm {
    node: String,
    code: String,
    name: Option<String>,
}

pub(super) async fn confirm(admin: Shared, Json(wish): Json<Confirm>) -> Answer {
    let node = node_of(&wish.node)?;
    let code: String = wish.code.chars().filter(|c| !c.is_whitespace()).collect();
    let code = match code.parse::<u32>() {
        Ok(number) if code.len() == 6 => number,
        Ok(_) | Err(_) => return Err(Failure::input("the code has six digits")),
    };
    let name = name_of(wish.name.as_deref())?;
    let friend = admin.friends()?.confirm(node, code, name).await;
    let friend = friend.map_err(|why| Failure::new(Kind::Refused, why))?;
    let shown = on_disk(&admin, move |admin| admin.describe_friend(&friend)).await?;
    Ok(Json(json!({ "friend": shown })))
}

#[derive(Deserialize)]
pub(super) struct Change {
    friend: String,
    name: Option<String>,
    scope: Option<String>,
}

pub(super) async fn change(admin: Shared, Json(wish): Json<Change>) -> Answer {
    let name = name_of(wish.name.as_deref())?;
    let scopes: Option<Scopes> = wish
        .scope
        .as_deref()
        .map(|text| text.parse().map_err(Failure::input))
        .transpose()?;
    let shown = on_disk(&admin, move |admin| {
        let friend = admin.friend(&wish.friend)?;
        let sharing = &admin.state.sharing;
        let mut words = Vec::new();
        if let Some(name) = &name {
            sharing.rename_friend(friend.id, name)?;
            words.push(format!("now {name}"));
        }
        if let Some(scopes) = &scopes {
            sharing.set_friend_scopes(friend.id, scopes)?;
            words.push(format!("scopes {scopes}"));
        }
        let target = format!("friend {}", friend.name);
        admin.note(Action::FriendChange, target, words.join(", "))?;
        let changed = sharing.friend_by_id(friend.id)?;
        admin.describe_friend(&changed.unwrap_or(friend))
    });
    Ok(Json(json!({ "friend": shown.await? })))
}

#[derive(Deserialize)]
pub(super) struct Named {
    friend: String,
}

pub(super) async fn remove(admin: Shared, Json(wish): Json<Named>) -> Answer {
    let friend = on_disk(&admin, move |admin| {
        let friend = admin.friend(&wish.friend)?;
        cluster::remove(&admin.state, &friend)?;
        Ok(friend)
    })
    .await?;
    if let Some(running) = &admin.running {
        running.friends.cut(friend.node);
    }
    Ok(Json(json!({ "removed": friend.name.as_str() })))
}
