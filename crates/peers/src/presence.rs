//! Who is there (R23): a node that misses three beats in a row is gone, and not before.
//!
//! Every interval without a sign of life the machine asks (`Probe`); a question without an answer in
//! time is a missed beat. Seen, after a missed beat Suspect(1), then Suspect(2), at the third Gone;
//! any sign of life makes it Seen again, a goodbye makes it Gone at once.
//!
//! The clock may jump and the computer may sleep: a question whose time ran out while nobody polled
//! is asked again instead of being counted, so nobody is gone who was not asked three times by a
//! machine that was awake to hear the answer.
//! Nothing is kept on disk; after a start everybody is unknown until seen.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::NodeId;

/// How often to ask and how many missed answers are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Time between two questions; `--beat`.
    pub interval: Duration,
    /// An answer that comes later is missed; not more than the interval.
    pub answer_within: Duration,
    /// Missed in a row until a node is gone, at least 1; `--beats-missed`.
    pub missed_max: u32,
}

impl Default for Beat {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
            answer_within: Duration::from_secs(2),
            missed_max: 3,
        }
    }
}

/// At most so many nodes are watched; a sign of life of one more is not noted.
pub const WATCHED_MAX: usize = 1024;

/// What is known of a node's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It answered the last beat.
    Seen,
    /// It has missed so many beats in a row.
    Suspect(u32),
    /// It has missed too many, or said goodbye.
    Gone,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A sign of life: an announcement, an answer, any message over a link.
    Alive(NodeId),
    /// It said that it leaves.
    Goodbye(NodeId),
    /// It is of no interest any more; it is forgotten without an action.
    Forget(NodeId),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ask for a sign of life; tell [`Event::Alive`] when one comes.
    Probe {
        /// Whom.
        node: NodeId,
        /// How many beats it has missed in a row: from 1 on ask it directly, not by multicast.
        missed: u32,
    },
    /// The presence of a node is another one now; `Gone` is said once, then it is forgotten.
    Changed {
        /// Whose.
        node: NodeId,
        /// What it is now.
        to: Presence,
    },
}

#[derive(Debug)]
struct Watched {
    missed: u32,
    waits: Waits,
}

#[derive(Debug, Clone, Copy)]
enum Waits {
    /// To ask, then.
    ToAsk(Duration),
    /// For an answer to the question of `asked`.
    Answer { asked: Duration },
}

/// The machine.
#[derive(Debug)]
pub struct Watch {
    beat: Beat,
    nodes: BTreeMap<NodeId, Watched>,
    actions: VecDeque<Action>,
}

impl Watch {
    /// Watches nobody yet. An interval below 10 ms is taken as 10 ms.
    #[must_use]
    pub fn new(beat: Beat) -> Self {
        let interval = beat.interval.max(Duration::from_millis(10));
        let beat = Beat {
            interval,
            answer_within: beat.answer_within.min(interval),
            missed_max: beat.missed_max.max(1),
        };
        Self {
            beat,
            nodes: BTreeMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// Tells what happened.
    pub fn handle(&mut self, now: Duration, event: Event) {
        match event {
            Event::Alive(node) => self.alive(now, node),
            Event::Goodbye(node) => {
                if self.nodes.remove(&node).is_some() {
                    self.changed(node, Presence::Gone);
                }
            }
            Event::Forget(node) => {
                self.nodes.remove(&node);
            }
            Event::Tick => self.tick(now),
        }
    }

    /// What is to be done next; `None` when all is done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When the next [`Event::Tick`] is wanted.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.nodes
            .values()
            .map(|watched| match watched.waits {
                Waits::ToAsk(at) => at,
                Waits::Answer { asked } => asked + self.beat.answer_within,
            })
            .min()
    }

    /// What is known of `node`; `None` if it is not watched, which includes gone ones.
    #[must_use]
    pub fn presence(&self, node: NodeId) -> Option<Presence> {
        self.nodes.get(&node).map(|watched| match watched.missed {
            0 => Presence::Seen,
            missed => Presence::Suspect(missed),
        })
    }

    /// All watched nodes.
    pub fn watched(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied()
    }

    fn alive(&mut self, now: Duration, node: NodeId) {
        let waits = Waits::ToAsk(now + self.beat.interval);
        if let Some(watched) = self.nodes.get_mut(&node) {
            let missed = std::mem::take(&mut watched.missed);
            watched.waits = waits;
            if missed > 0 {
                self.changed(node, Presence::Seen);
            }
        } else if self.nodes.len() < WATCHED_MAX {
            self.nodes.insert(node, Watched { missed: 0, waits });
            self.changed(node, Presence::Seen);
        }
    }

    fn tick(&mut self, now: Duration) {
        let mut gone = Vec::new();
        for (node, watched) in &mut self.nodes {
            match watched.waits {
                Waits::ToAsk(at) if at > now + self.beat.interval => {
                    // The clock was set back; else the question would be as late.
                    watched.waits = Waits::ToAsk(now + self.beat.interval);
                }
                Waits::ToAsk(at) if at > now => {}
                Waits::ToAsk(_) => {
                    watched.waits = Waits::Answer { asked: now };
                    self.actions.push_back(probe(*node, watched.missed));
                }
                Waits::Answer { asked } => {
                    let slept = now > asked + self.beat.answer_within + self.beat.interval;
                    if slept || now < asked {
                        watched.waits = Waits::Answer { asked: now };
                        self.actions.push_back(probe(*node, watched.missed));
                    } else if now >= asked + self.beat.answer_within {
                        watched.missed += 1;
                        watched.waits = Waits::ToAsk(asked + self.beat.interval);
                        if watched.missed >= self.beat.missed_max {
                            gone.push(*node);
                        } else {
                            let to = Presence::Suspect(watched.missed);
                            self.actions.push_back(Action::Changed { node: *node, to });
                        }
                    }
                }
            }
        }
        for node in gone {
            self.nodes.remove(&node);
            self.changed(node, Presence::Gone);
        }
    }

    fn changed(&mut self, node: NodeId, to: Presence) {
        self.actions.push_back(Action::Changed { node, to });
    }
}

fn probe(node: NodeId, missed: u32) -> Action {
    Action::Probe { node, missed }
}
