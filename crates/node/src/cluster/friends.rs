//! Friends as pages and commands work with them: tickets, comparisons, requests, the end.
//!
//! [`Core`] is shared by the handlers of links, the pages and the admin API. Its module retries
//! tickets whose maker was off, hands counted bytes to the ledger and closes idle links.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use links::{Acquaintance, Endpoint, LinkError, Protocol, Router, Standing};
use protocol::message::pair::{
    Introduction, PAIR_ADDRESSES_MAX, PAIR_NAME_BYTES_MAX, Question, Refusal, Reply, Ticket, Token,
};
use protocol::{EntryName, NodeId, Timestamp};
use sharing::{Action, Event, Friend, FriendState, RedeemError, Scopes, SharingError, Side, Tally};
use web::{FriendReach, NotAccepted, Promise, Unreached};

use super::Discovery;
use super::dial::Dialer;
use super::door::{Door, Surroundings};
use super::pairing::{self, Comparison, Comparisons, Greeter};
use super::tally::Tallies;
use crate::modules::{Module, Task};
use crate::state::State;

/// Time between two turns of the module: the ledger is at most so much behind.
const TURN: Duration = Duration::from_secs(20);

/// Friends of a running node. Clones are the same.
#[derive(Clone)]
pub struct Friends(Arc<Core>);

/// What all parts share.
pub(super) struct Core {
    state: Arc<State>,
    name: String,
    pub(super) comparisons: Comparisons,
    dialer: Dialer,
    door: Arc<Door>,
    tallies: Arc<Tallies>,
}

impl Friends {
    /// Friends of the node that `state` is and that is called `name`.
    #[must_use]
    pub fn new(state: &Arc<State>, name: &str) -> Self {
        let tallies = Arc::new(Tallies::default());
        let end = name.floor_char_boundary(PAIR_NAME_BYTES_MAX);
        Self(Arc::new(Core {
            name: name[..end].replace(char::is_control, " "),
            comparisons: Comparisons::default(),
            dialer: Dialer::new(Arc::clone(&tallies)),
            door: Arc::new(Door {
                router: std::sync::OnceLock::new(),
                surroundings: std::sync::OnceLock::new(),
                tallies: Arc::clone(&tallies),
                stall: state.config.stall_timeout,
                state: Arc::clone(state),
            }),
            tallies,
            state: Arc::clone(state),
        }))
    }

    /// Offers what friends and those who want to be ask for.
    #[must_use]
    pub fn serve_on(&self, router: Router) -> Router {
        router
            .with(Protocol::Pair, Arc::new(Greeter(Arc::clone(&self.0))))
            .with(Protocol::Files, Arc::clone(&self.0.door) as Arc<_>)
    }

    /// Friends and devices are served from now on, by `router`; `surroundings` tells where an
    /// address is.
    pub(crate) fn open_door(&self, router: axum::Router, surroundings: Surroundings) {
        let _ = self.0.door.surroundings.set(surroundings);
        let _ = self.0.door.router.set(router);
    }

    /// Other nodes are reached from now on.
    pub fn attach(&self, endpoint: Endpoint) {
        let _ = self.0.dialer.endpoint.set(endpoint);
    }

    /// Who is on the home network is known from now on.
    pub(crate) fn look_around(&self, discovery: Discovery) {
        let _ = self.0.dialer.nearby.set(discovery);
    }

    /// How this node stands to others, for the accept rule.
    #[must_use]
    pub fn acquaintance(&self) -> Arc<dyn Acquaintance> {
        Arc::new(self.clone())
    }

    /// Begins a comparison with a node at these addresses.
    ///
    /// # Errors
    /// Why not, for a person.
    pub async fn compare(
        &self,
        node: NodeId,
        addresses: &[SocketAddr],
    ) -> Result<Comparison, String> {
        let link = self.0.dialer.link(node, addresses, Protocol::Pair).await;
        let link = link.map_err(|error| error.to_string())?;
        pairing::begin(&self.0, &link).await
    }

    /// Comparisons that wait for this owner.
    #[must_use]
    pub fn comparisons(&self) -> Vec<Comparison> {
        self.0.comparisons.all()
    }

    /// This owner has compared: the digits are those of the other screen. Tells the other node.
    ///
    /// # Errors
    /// Why not, for a person; other digits end the comparison.
    pub async fn confirm(
        &self,
        node: NodeId,
        code: u32,
        name: Option<EntryName>,
    ) -> Result<Friend, String> {
        let comparison = self
            .0
            .comparisons
            .with(node)
            .ok_or("there is no comparison with this node, or it took too long; begin again")?;
        self.0.comparisons.end(node);
        if comparison.code != code {
            self.0
                .note_refusal(node, "the digits of a comparison differ")
                .await;
            return Err(
                "the digits are not those of this screen: the other node may not be the \
                        one you think; nothing was agreed"
                    .into(),
            );
        }
        let me = comparison.me.clone();
        let friend = self.0.agree(node, Side::Us, me.clone(), name).await?;
        let link = self
            .0
            .dialer
            .link(node, &me.addresses, Protocol::Pair)
            .await;
        let told = match link {
            Ok(link) => pairing::ask(&link, &Question::Agree).await,
            Err(error) => Err(error),
        };
        match told {
            Ok(Reply::Noted { both: true }) => self.0.agree(node, Side::Them, me, None).await,
            Ok(Reply::Refused(why)) => Err(why.to_string()),
            Ok(
                Reply::Noted { both: false }
                | Reply::Welcome { .. }
                | Reply::Nonce { .. }
                | Reply::Compare,
            ) => Ok(friend),
            // Its own agreement will come, and with it the answer that this side agreed.
            Err(error) => {
                tracing::info!(%error, "a friend was not told that this side agrees");
                Ok(friend)
            }
        }
    }

    /// True if a link to the friend is open now; nobody is asked.
    #[must_use]
    pub fn is_linked(&self, node: NodeId) -> bool {
        self.0.dialer.is_linked(node)
    }

    /// Bytes that the ledger does not have yet.
    #[must_use]
    pub fn uncounted(&self, node: NodeId) -> Tally {
        self.0.tallies.of(node)
    }
}

impl Core {
    pub(super) fn id(&self) -> NodeId {
        self.state.secret.id()
    }

    /// How this node presents itself.
    pub(super) fn introduction(&self) -> Introduction {
        Introduction {
            name: self.name.clone(),
            addresses: self.addresses(),
        }
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let Some(endpoint) = self.dialer.endpoint.get() else {
            return Vec::new();
        };
        let mut addresses = endpoint.watch_addresses().borrow().clone();
        addresses.truncate(PAIR_ADDRESSES_MAX);
        addresses
    }

    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, String> {
        let state = Arc::clone(&self.state);
        tokio::task::spawn_blocking(move || work(&state))
            .await
            .map_err(|error| format!("the work broke off: {error}"))
    }

    /// A ticket that this node made is brought by `peer`.
    pub(super) async fn redeemed(
        self: &Arc<Self>,
        peer: NodeId,
        token: Token,
        me: Introduction,
    ) -> Reply {
        let done = self.blocking(move |state| {
            let friend = state.sharing.redeem_invitation(&token, peer, &me);
            match &friend {
                Ok(friend) => note(state, Action::FriendAccept, friend, "ticket redeemed"),
                Err(error) => refusal(state, peer, &error.to_string()),
            }
            friend
        });
        match done.await {
            Ok(Ok(_)) => {
                self.dialer.forget_failure(peer);
                Reply::Welcome {
                    me: self.introduction(),
                }
            }
            Ok(Err(RedeemError::Unknown)) => Reply::Refused(Refusal::Ticket),
            Ok(Err(RedeemError::Expired)) => Reply::Refused(Refusal::Expired),
            Ok(Err(error)) => {
                tracing::error!(%error, "a ticket could not be redeemed");
                Reply::Refused(Refusal::Busy)
            }
            Err(error) => {
                tracing::error!(%error, "a ticket could not be redeemed");
                Reply::Refused(Refusal::Busy)
            }
        }
    }

    /// The owner of `peer` has compared and agrees.
    pub(super) async fn other_agrees(self: &Arc<Self>, peer: NodeId) -> Reply {
        let known = self.blocking(move |state| state.sharing.friend_by_node(peer));
        let known = match known.await {
            Ok(Ok(known)) => known,
            Ok(Err(_)) | Err(_) => return Reply::Refused(Refusal::Busy),
        };
        let me = match (self.comparisons.with(peer), &known) {
            (Some(comparison), _) => comparison.me,
            (None, Some(friend)) => Introduction {
                name: friend.calls_itself.clone(),
                addresses: friend.addresses.clone(),
            },
            (None, None) => return Reply::Refused(Refusal::NoComparison),
        };
        match self.agree(peer, Side::Them, me, None).await {
            Ok(friend) => Reply::Noted {
                both: friend.state == FriendState::Accepted,
            },
            Err(_) => Reply::Refused(Refusal::Busy),
        }
    }

    async fn agree(
        self: &Arc<Self>,
        node: NodeId,
        side: Side,
        me: Introduction,
        name: Option<EntryName>,
    ) -> Result<Friend, String> {
        self.blocking(move |state| {
            let usual = Scopes::usual();
            let friend = state
                .sharing
                .friend_agrees(node, side, &me, name.as_ref(), &usual)
                .map_err(|error| error.to_string())?;
            let action = match friend.state {
                FriendState::Accepted => Action::FriendAccept,
                FriendState::WaitsForThem | FriendState::WaitsForUs => Action::FriendAgree,
            };
            let who = match side {
                Side::Us => "this side",
                Side::Them => "the other side",
            };
            note(state, action, &friend, who);
            Ok(friend)
        })
        .await?
    }

    async fn note_refusal(self: &Arc<Self>, node: NodeId, why: &'static str) {
        let noted = self.blocking(move |state| refusal(state, node, why)).await;
        if let Err(error) = noted {
            tracing::error!(%error, "a refusal was not noted");
        }
    }

    async fn take(
        self: &Arc<Self>,
        ticket: Ticket,
        name: Option<EntryName>,
    ) -> Result<Friend, NotAccepted> {
        let refused = |why: String| NotAccepted::Refused(why);
        if ticket.node == self.id() {
            return Err(refused(
                "this ticket is this node's own; give it to your friend".into(),
            ));
        }
        let (expires, held) = (ticket.expires(), ticket.clone());
        let friend = self.blocking(move |state| {
            let me = Introduction {
                name: String::new(),
                addresses: held.addresses.clone(),
            };
            let usual = Scopes::usual();
            let named = name.as_ref();
            let friend =
                state
                    .sharing
                    .hold_ticket(held.node, &held.token, expires, &me, named, &usual);
            if let Ok(friend) = &friend {
                note(state, Action::FriendAgree, friend, "ticket taken");
            }
            friend.map_err(|error| error.to_string())
        });
        let friend = friend.await.and_then(|held| held).map_err(refused)?;
        if friend.state == FriendState::Accepted {
            return Ok(friend);
        }
        self.redeem(&friend, ticket.token, &ticket.addresses).await
    }

    /// Asks the maker of a ticket; a refusal ends the friendship that waits for it.
    async fn redeem(
        self: &Arc<Self>,
        friend: &Friend,
        token: Token,
        addresses: &[SocketAddr],
    ) -> Result<Friend, NotAccepted> {
        let later = |error: LinkError| NotAccepted::Later(error.to_string());
        let link = self
            .dialer
            .link(friend.node, addresses, Protocol::Pair)
            .await
            .map_err(later)?;
        let question = Question::Redeem {
            token,
            me: self.introduction(),
        };
        let why = match pairing::ask(&link, &question).await.map_err(later)? {
            Reply::Welcome { mut me } => {
                if me.addresses.is_empty() {
                    me.addresses = addresses.to_vec();
                }
                self.dialer.forget_failure(friend.node);
                return self
                    .welcomed(friend.clone(), me)
                    .await
                    .map_err(NotAccepted::Refused);
            }
            Reply::Refused(Refusal::Busy) => {
                return Err(NotAccepted::Later(Refusal::Busy.to_string()));
            }
            Reply::Refused(why) => why.to_string(),
            Reply::Nonce { .. } | Reply::Compare | Reply::Noted { .. } => {
                "the other node answered something else".into()
            }
        };
        let (gone, text) = (friend.clone(), why.clone());
        let removed = self.blocking(move |state| {
            note(state, Action::FriendRemove, &gone, &text);
            state.sharing.remove_friend(gone.id)
        });
        if let Err(error) = removed.await {
            tracing::error!(%error, "a refused friend was not removed");
        }
        Err(NotAccepted::Refused(why))
    }

    /// The maker of the ticket has agreed; a friend that has no name of its owner's gets its own.
    async fn welcomed(
        self: &Arc<Self>,
        friend: Friend,
        me: Introduction,
    ) -> Result<Friend, String> {
        let own_name = me.name.clone();
        let node = friend.node;
        let welcomed = self.agree(node, Side::Them, me, None).await?;
        if friend.name.as_str() != UNNAMED && !friend.name.as_str().starts_with("friend ") {
            return Ok(welcomed);
        }
        self.blocking(move |state| {
            let sharing = &state.sharing;
            if let Some(name) = free_name(&own_name) {
                // Taken by another friend: the provisional one stays.
                let _ = sharing.rename_friend(welcomed.id, &name);
            }
            let named = sharing.friend_by_id(welcomed.id).ok().flatten();
            Ok(named.unwrap_or(welcomed))
        })
        .await?
    }

    async fn turn(self: &Arc<Self>) -> Result<(), String> {
        self.dialer.close_idle();
        self.count().await?;
        let held = self.blocking(|state| state.sharing.held_tickets());
        for (friend, token) in held.await?.map_err(|error| error.to_string())? {
            let addresses = friend.addresses.clone();
            match self.redeem(&friend, token, &addresses).await {
                Ok(friend) => tracing::info!(friend = %friend.name, "is a friend now"),
                Err(NotAccepted::Later(why)) => {
                    tracing::debug!(friend = %friend.name, why, "does not answer yet");
                }
                Err(NotAccepted::Refused(why)) => {
                    tracing::warn!(friend = %friend.name, why, "is no friend");
                }
            }
        }
        Ok(())
    }

    /// Hands the counted bytes to the ledger.
    async fn count(self: &Arc<Self>) -> Result<(), String> {
        let sums = self.tallies.drain();
        let kept = sums.clone();
        let counted = self
            .blocking(move |state| state.sharing.count_bytes(sums))
            .await
            .and_then(|counted| counted.map_err(|error| error.to_string()));
        if counted.is_err() {
            self.tallies.put_back(&kept);
        }
        counted
    }
}

/// What a friend is called until it has told its name.
const UNNAMED: &str = "friend";

/// The node's name for itself, if it can be the name of a folder.
fn free_name(own: &str) -> Option<EntryName> {
    EntryName::new(own.trim()).ok()
}

fn note(state: &State, action: Action, friend: &Friend, detail: &str) {
    state.sharing.audit_soon(Event {
        via: "node key".into(),
        detail: format!("{}: {detail}", friend.node),
        ..Event::by(
            "node",
            state.now(),
            action,
            format!("friend {}", friend.name),
        )
    });
}

fn refusal(state: &State, node: NodeId, why: &str) {
    state.sharing.audit_soon(Event {
        outcome: sharing::Outcome::Refused,
        detail: why.to_owned(),
        ..Event::by(
            "node",
            state.now(),
            Action::FriendAccept,
            format!("node {node}"),
        )
    });
}

impl Acquaintance for Friends {
    fn standing(&self, node: &NodeId) -> Standing {
        match self.0.state.sharing.accepted_friends() {
            Ok(friends) if friends.contains_key(node) => Standing::Friend,
            Ok(_) if self.0.state.sharing.is_device(node).unwrap_or(false) => Standing::Device,
            Ok(_) => Standing::Unknown,
            Err(error) => {
                tracing::error!(%error, "cannot tell who is a friend");
                Standing::Unknown
            }
        }
    }
}

impl FriendReach for Friends {
    fn send(
        &self,
        friend: &Friend,
        request: Request<Body>,
    ) -> Promise<Result<Response<Body>, Unreached>> {
        let (core, friend) = (Arc::clone(&self.0), friend.clone());
        Box::pin(async move { core.dialer.send(&friend, request).await })
    }

    fn ticket(&self, token: Token, expires: Timestamp) -> Ticket {
        Ticket {
            node: self.0.id(),
            addresses: self.0.addresses(),
            token,
            expires_ms: expires.0,
        }
    }

    fn accept(
        &self,
        ticket: Ticket,
        name: Option<EntryName>,
    ) -> Promise<Result<Friend, NotAccepted>> {
        let core = Arc::clone(&self.0);
        Box::pin(async move { core.take(ticket, name).await })
    }

    fn cut(&self, node: NodeId) {
        self.0.comparisons.end(node);
        self.0.dialer.forget(node);
    }
}

/// The module that looks after friends.
pub(crate) fn module(friends: &Friends) -> Module {
    let core = Arc::clone(&friends.0);
    Module::new(
        "friends",
        "asks the makers of tickets, keeps the ledger, closes idle links",
        move |task: Task| {
            let core = Arc::clone(&core);
            async move {
                while task.pause(TURN).await {
                    let result = core.turn().await;
                    task.turn(core.state.now(), result);
                }
                core.count()
                    .await
                    .map_err(|error| anyhow::anyhow!("the last bytes were not counted: {error}"))
            }
        },
    )
}

/// For commands that remove: [`SharingError`] is all that can go wrong.
pub(crate) fn remove(state: &State, friend: &Friend) -> Result<bool, SharingError> {
    let removed = state.sharing.remove_friend(friend.id)?;
    if removed {
        note(state, Action::FriendRemove, friend, "by this side");
    }
    Ok(removed)
}
