//! The module `discovery`: announces this node on the home network and knows which others are there.
//!
//! With `hidden = true` the announcement is drawn anew each day and whenever the friends change.
//! Without mDNS, or for a node that only this computer can reach, there is no such module.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use links::discovery::{Disguise, Lan, Nearby, Presented, Surroundings, Watcher};
use links::neighborhood::Candidate;
use peers::presence::{Beat, Presence};
use protocol::announcement::{FriendSecret, Tag, recognize};
use protocol::{NodeId, NodeName};
use serde_json::{Value, json};
use sharing::FriendState;
use tokio::time::MissedTickBehavior;

use super::Neighbors;
use crate::modules::{Module, Progress, Task};
use crate::state::State;

/// An answer to a beat may take so long.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Friends are looked up this often: who is one now may be recognized, and may recognize this node.
const FRIENDS_EVERY: Duration = Duration::from_secs(20);
/// What the secret of two friends is for (`NodeSecret::shared_with`).
const FRIEND_USE: &str = "recognize a hidden node 1";
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Who is nearby, and what it takes to know.
#[derive(Clone)]
pub(crate) struct Discovery {
    state: Arc<State>,
    around: Arc<Surroundings>,
    neighbors: Neighbors,
    presented: Presented,
    beat: Beat,
}

impl Discovery {
    /// Discovery for the node called `name` that listens on `https`; `None` if it shall not be
    /// announced or cannot be reached from elsewhere.
    pub(crate) fn of(
        state: &Arc<State>,
        name: &str,
        https: SocketAddr,
        neighbors: &Neighbors,
    ) -> Option<Self> {
        let config = &state.config;
        if !config.mdns || https.ip().is_loopback() {
            return None;
        }
        let presented = Presented {
            node: state.secret.id(),
            name: NodeName::nearest(name).or_else(|| "node".parse().ok())?,
            https_port: https.port(),
            quic_port: https.port(),
            listen: https.ip(),
            disguise: None,
        };
        let beat = Beat {
            interval: config.beat,
            answer_within: ANSWER_WITHIN.min(config.beat),
            missed_max: config.beats_missed,
        };
        Some(Self {
            state: Arc::clone(state),
            around: Arc::default(),
            neighbors: neighbors.clone(),
            presented,
            beat,
        })
    }

    /// The module that keeps the list.
    pub(crate) fn module(&self) -> Module {
        let discovery = self.clone();
        Module::new(
            "discovery",
            "announces the node on the home network and finds others",
            move |task: Task| {
                let discovery = discovery.clone();
                async move {
                    let lan = Lan::open(Some(discovery.presented.node))?;
                    let around = Arc::clone(&discovery.around);
                    let mut watcher = Watcher::new(lan, discovery.beat, around);
                    let worked = discovery.work(&mut watcher, &task).await;
                    watcher.close().await;
                    worked
                }
            },
        )
    }

    /// The nodes nearby, for the admin API.
    pub(crate) fn nearby(&self) -> Value {
        self.around.list().iter().map(told).collect()
    }

    /// Where a node that is nearby listens for QUIC; hints, which the handshake proves.
    pub(crate) fn addresses_of(&self, node: NodeId) -> Vec<SocketAddr> {
        let list = self.around.list();
        let here = list.into_iter().find(|one| one.sighting.node == node);
        here.map_or_else(Vec::new, |one| one.sighting.addresses)
    }

    async fn work(&self, watcher: &mut Watcher, task: &Task) -> anyhow::Result<()> {
        let mut list = self.around.watch();
        let mut shown = self.face().await?;
        watcher.recognize(recognizing(&self.state, &shown.friends));
        watcher.announce(&self.presented(&shown)).await?;
        let mut look = tokio::time::interval(FRIENDS_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let near = list.borrow_and_update().clone();
            for node in &near {
                self.neighbors.meet(candidate(node));
            }
            let count = near.len();
            task.progress((count > 0).then(|| Progress {
                what: format!("{count} nearby"),
                done: count as u64,
                total: None,
            }));
            tokio::select! {
                () = task.stop.cancelled() => return Ok(()),
                failed = watcher.run() => return Ok(failed?),
                _ = list.changed() => {}
                _ = look.tick() => {
                    let face = self.face().await?;
                    if face == shown {
                        continue;
                    }
                    shown = face;
                    watcher.recognize(recognizing(&self.state, &shown.friends));
                    if self.state.config.hidden {
                        watcher.announce(&self.presented(&shown)).await?;
                    }
                }
            }
        }
    }

    /// What the announcement of a hidden node depends on.
    async fn face(&self) -> anyhow::Result<Shown> {
        let state = Arc::clone(&self.state);
        let friends = tokio::task::spawn_blocking(move || {
            let friends = state.sharing.friends()?;
            let accepted = friends
                .iter()
                .filter(|friend| friend.state == FriendState::Accepted);
            let shared = accepted.filter_map(|friend| {
                let secret = state.secret.shared_with(&friend.node, FRIEND_USE)?;
                Some((friend.node, secret))
            });
            anyhow::Ok(shared.collect::<Vec<_>>())
        });
        Ok(Shown {
            friends: friends.await??,
            day: today(&self.state),
        })
    }

    fn presented(&self, shown: &Shown) -> Presented {
        let disguise = self.state.config.hidden.then(|| {
            let secrets = shown.friends.iter().map(|(_, secret)| *secret);
            Disguise::draw(secrets.collect(), shown.day)
        });
        Presented {
            disguise,
            ..self.presented.clone()
        }
    }
}

/// The friends and the day of an announcement.
#[derive(PartialEq, Eq)]
struct Shown {
    friends: Vec<(NodeId, FriendSecret)>,
    day: i64,
}

fn today(state: &State) -> i64 {
    state.now().0.div_euclid(DAY_MS)
}

fn recognizing(
    state: &Arc<State>,
    friends: &[(NodeId, FriendSecret)],
) -> impl Fn(&[Tag], &str) -> Option<NodeId> + Send + Sync + 'static {
    let (state, friends) = (Arc::clone(state), friends.to_vec());
    move |tags, label| {
        let friends = friends.iter().map(|(node, secret)| (*node, secret));
        recognize(tags, label, today(&state), friends)
    }
}

/// Where the node says that it listens for QUIC; its key is proven when it is called.
fn candidate(near: &Nearby) -> Candidate {
    let sighting = &near.sighting;
    Candidate {
        id: sighting.node,
        addresses: sighting.addresses.clone(),
        name: sighting.name.as_ref().map(ToString::to_string),
    }
}

fn told(near: &Nearby) -> Value {
    let (state, missed) = match near.presence {
        Presence::Seen => ("seen", 0),
        Presence::Suspect(missed) => ("suspect", missed),
        Presence::Gone => ("gone", 0),
    };
    let sighting = &near.sighting;
    let addresses: Vec<_> = sighting.addresses.iter().map(ToString::to_string).collect();
    json!({
        "id": sighting.node.to_string(),
        "name": sighting.name.as_ref().map(ToString::to_string),
        "addresses": addresses,
        "https_port": sighting.https_port,
        "state": state,
        "missed": missed,
    })
}
