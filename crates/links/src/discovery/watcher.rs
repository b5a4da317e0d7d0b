//! Who is near: `peers::presence` run on the local network (R23).
//!
//! The watcher asks each found node for a sign of life every beat and keeps the list of those that
//! are there. A node is on the list until it said goodbye or missed its beats; links tell signs of
//! life of their own through [`Surroundings::heard`], which saves the question.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use peers::presence::{self, Action, Beat, Presence, Watch};
use protocol::NodeId;
use protocol::announcement::Tag;
use tokio::sync::{Notify, watch};

use super::{DiscoveryError, Event, Lan, Presented, Sighting};

/// The adapter needs so long after its deadline to be sure of an answer.
const VERDICT_TIME: Duration = Duration::from_millis(200);

/// A node that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearby {
    /// What it announces.
    pub sighting: Sighting,
    /// Seen, or suspected after missed beats; never gone.
    pub presence: Presence,
}

/// The nodes that are near, as others see them. Outlives the watcher that keeps it true.
#[derive(Debug, Default)]
pub struct Surroundings {
    list: watch::Sender<Vec<Nearby>>,
    /// Bounded by the list: who is not on it is not noted.
    heard: Mutex<BTreeSet<NodeId>>,
    told: Notify,
}

impl Surroundings {
    /// Who is near now, in the order of ids.
    #[must_use]
    pub fn list(&self) -> Vec<Nearby> {
        self.list.borrow().clone()
    }

    /// The same, whenever it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Vec<Nearby>> {
        self.list.subscribe()
    }

    /// A link tells that it heard `node`.
    pub fn heard(&self, node: NodeId) {
        let near = self
            .list
            .borrow()
            .iter()
            .any(|one| one.sighting.node == node);
        if near {
            self.heard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(node);
            self.told.notify_one();
        }
    }

    fn take_heard(&self) -> BTreeSet<NodeId> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps the list of the nodes on the local network.
pub struct Watcher {
    lan: Lan,
    watch: Watch,
    answer_within: Duration,
    start: Instant,
    near: BTreeMap<NodeId, Nearby>,
    shown: Arc<Surroundings>,
}

impl Watcher {
    /// Watches with this beat and keeps `shown` true.
    #[must_use]
    pub fn new(lan: Lan, beat: Beat, shown: Arc<Surroundings>) -> Self {
        shown.list.send_replace(Vec::new());
        Self {
            lan,
            watch: Watch::new(beat),
            answer_within: beat.answer_within.min(beat.interval),
            start: Instant::now(),
            near: BTreeMap::new(),
            shown,
        }
    }

    /// Announces this node, in place of what was announced before.
    pub async fn announce(&mut self, presented: &Presented) -> Result<(), DiscoveryError> {
        self.lan.announce(presented).await
    }

    /// Recognizes hidden nodes by `recognize` (tags, label) from now on.
    pub fn recognize(
        &mut self,
        recognize: impl Fn(&[Tag], &str) -> Option<NodeId> + Send + Sync + 'static,
    ) {
        self.lan.recognize(recognize);
    }

    /// Works until it fails. May be dropped and called again.
    pub async fn run(&mut self) -> Result<(), DiscoveryError> {
        loop {
            let tick = self.watch.next_deadline().map(|at| self.start + at);
            tokio::select! {
                event = self.lan.next() => self.take(event?),
                () = self.shown.told.notified() => {
                    for node in self.shown.take_heard() {
                        self.alive(node);
                    }
                }
                () = super::lan::sleep_until(tick) => self.tell(presence::Event::Tick),
            }
            self.act().await?;
        }
    }

    /// Says goodbye; nobody is on the list afterwards.
    pub async fn close(self) {
        self.shown.list.send_replace(Vec::new());
        self.lan.close().await;
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Found(sighting) => {
                let node = sighting.node;
                let presence = self.watch.presence(node).unwrap_or(Presence::Seen);
                let nearby = Nearby { sighting, presence };
                if self.near.insert(node, nearby).is_none() {
                    self.tell(presence::Event::Alive(node));
                }
                self.show();
            }
            Event::Alive(node) => self.alive(node),
            Event::Goodbye(node) => self.tell(presence::Event::Goodbye(node)),
        }
    }

    fn alive(&mut self, node: NodeId) {
        if self.near.contains_key(&node) {
            self.tell(presence::Event::Alive(node));
        }
    }

    fn tell(&mut self, event: presence::Event) {
        self.watch.handle(self.start.elapsed(), event);
    }

    async fn act(&mut self) -> Result<(), DiscoveryError> {
        while let Some(action) = self.watch.poll_action() {
            match action {
                Action::Probe { node, .. } => {
                    let time = self.answer_within.saturating_sub(VERDICT_TIME);
                    self.lan.verify(node, time).await?;
                }
                Action::Changed { node, to } => self.changed(node, to),
            }
        }
        Ok(())
    }

    fn changed(&mut self, node: NodeId, to: Presence) {
        match to {
            Presence::Seen | Presence::Suspect(_) => {
                if let Some(near) = self.near.get_mut(&node) {
                    near.presence = to;
                }
            }
            Presence::Gone => {
                self.near.remove(&node);
                self.lan.forget(node);
            }
        }
        tracing::debug!(%node, ?to, "presence on the local network");
        self.show();
    }

    fn show(&self) {
        let near = self.near.values().cloned().collect();
        self.shown.list.send_replace(near);
    }
}
