//! The neighbors of a node: drives the machines of `peers` on real links.
//!
//! One owner task has the table, the lookups and the links; everything that happens comes to it
//! through bounded channels, and it never waits for a link. Tasks beside it read and write links
//! and decide nothing. Active neighbors are those with a lookup link: QUIC keeps it alive every 5 s,
//! three missed beats end it (R23). What is lost at a crash: neighbors that were met in the last
//! five minutes, who are met again.

mod dialer;
mod owner;
mod talk;
mod view;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use peers::lookup::{Limits, Outcome};
use peers::neighbors::{Size, Snapshot};
use protocol::message::lookup::{ContactCard, QueryId, SignedCards, Target, Term};
use protocol::message::presence::{Hello, Visible};
use protocol::{Clock, NodeId, NodeRecord, SignedRecord};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

pub use talk::{ping, services};
pub use view::{State, View};

use crate::{Handler, Link};

/// Orders that wait for the owner task.
const ORDERS_MAX: usize = 64;
/// What links told and the owner has not heard yet.
const EVENTS_MAX: usize = 1024;

/// What a lookup has found and nobody has read yet.
const FINDINGS_MAX: usize = 256;

/// A node that may be at some addresses: from mDNS, a center or a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub id: NodeId,
    /// Where.
    pub addresses: Vec<SocketAddr>,
    /// What it is called there; only a hint.
    pub name: Option<String>,
}

/// What this node says of itself. A new one is told to all neighbors.
#[derive(Debug, Clone)]
pub struct Own {
    /// The record, opened.
    pub record: NodeRecord,
    /// The record, signed.
    pub signed: SignedRecord,
    /// To whom it may be given.
    pub visible: Visible,
    /// When this node started.
    pub started: Instant,
    /// Version of the program.
    pub version: String,
}

impl Own {
    /// The hello of this moment.
    #[must_use]
    pub fn hello(&self) -> Hello {
        Hello {
            record: self.signed.clone(),
            visible: self.visible,
            uptime_s: self.started.elapsed().as_secs(),
            load_percent: 0,
            version: self.version.clone(),
        }
    }
}

/// What another node said of itself, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Its record, opened.
    pub record: NodeRecord,
    /// The rest.
    pub hello: Hello,
}

/// Keeps the table over restarts. Called on a thread that may block.
pub trait Shelf: Send + Sync + 'static {
    /// Saves `snapshot` so that a crash leaves this or the one before.
    fn save(&self, snapshot: &Snapshot);
}

/// The address book that friends of this node, and their friends, may search (R52).
pub trait Book: Send + Sync + 'static {
    /// Cards that `term` means and that are shared with one whom `links` links between friends (1
    /// or 2) join to this node, signed as the answer to `qid`; `from` is the friend that asked.
    /// Called by the owner task: must not wait, so an audit is written elsewhere.
    fn search(&self, from: NodeId, qid: QueryId, links: u8, term: &Term) -> Option<SignedCards>;
}

/// What a neighborhood begins with.
pub struct Settings {
    /// Bounds of the table.
    pub size: Size,
    /// The table as it was saved.
    pub saved: Snapshot,
    /// Where it is saved to.
    pub shelf: Arc<dyn Shelf>,
    /// What friends find of people.
    pub book: Arc<dyn Book>,
    /// This node's record, and each new one.
    pub own: watch::Receiver<Own>,
    /// For the ages of records.
    pub clock: Clock,
    /// Random, for lookups.
    pub seed: [u8; 32],
}

/// What a lookup brings, until it is finished.
#[derive(Debug, Clone)]
pub enum Finding {
    /// A node was found, or a newer record of it.
    Found {
        /// The record.
        record: Box<NodeRecord>,
        /// As it was signed.
        signed: SignedRecord,
        /// Links to the node that knew it; 0: this one.
        hops: u16,
        /// The neighbor that the answer came from.
        from: Option<NodeId>,
    },
    /// Cards in the book of another node (R52).
    Cards {
        /// Whose book it is.
        holder: NodeId,
        /// What it shares.
        cards: Vec<ContactCard>,
        /// Links to that node.
        hops: u16,
    },
    /// It is over.
    Finished(Outcome),
}

/// The neighborhood does not answer: it is stopped, or has too much to do.
#[derive(Debug, Error)]
#[error("the module `links` does not run or is busy; `cumulet module list` shows it")]
pub struct Away;

enum Order {
    Meet(Candidate),
    Friend(NodeId, bool),
    Pin(NodeId, bool),
    Forget(NodeId, oneshot::Sender<bool>),
    List(oneshot::Sender<Vec<View>>),
    Find(Target, Limits, mpsc::Sender<Finding>),
}

/// Counters that only grow.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    said: AtomicU64,
    heard: AtomicU64,
    digests: AtomicU64,
}

/// A handle to the owner task. Clones are the same neighborhood.
#[derive(Clone)]
pub struct Neighborhood {
    orders: mpsc::Sender<Order>,
    voice: talk::Voice,
    counters: Arc<Counters>,
}

impl Neighborhood {
    /// A neighborhood and the work that must run for it: `owner.run(endpoint, stop)`.
    #[must_use]
    pub fn new(settings: Settings) -> (Self, Owner) {
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let (events, told) = mpsc::channel(EVENTS_MAX);
        let voice = talk::Voice {
            events,
            own: settings.own.clone(),
            clock: Arc::clone(&settings.clock),
        };
        let counters = Arc::new(Counters::default());
        let owner = Owner {
            orders: received,
            told,
            voice: voice.clone(),
            counters: Arc::clone(&counters),
            settings,
        };
        let neighborhood = Self {
            orders,
            voice,
            counters,
        };
        (neighborhood, owner)
    }

    /// A node may be there. Dropped if there is too much to do: hints come again.
    pub fn meet(&self, candidate: Candidate) {
        let _ = self.orders.try_send(Order::Meet(candidate));
    }

    /// `node` is a friend now, or none any more.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn befriend(&self, node: NodeId, friend: bool) -> Result<(), Away> {
        self.order(Order::Friend(node, friend)).await
    }

    /// The owner wants `node` as a neighbor before all others, or no longer.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn pin(&self, node: NodeId, pinned: bool) -> Result<(), Away> {
        self.order(Order::Pin(node, pinned)).await
    }

    /// The owner does not want to know `node`; false if it was not known.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn forget(&self, node: NodeId) -> Result<bool, Away> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Forget(node, reply)).await?;
        answer.await.map_err(|_| Away)
    }

    /// All known nodes, linked ones first.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn list(&self) -> Result<Vec<View>, Away> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::List(reply)).await?;
        answer.await.map_err(|_| Away)
    }

    /// Seeks a node or people. Ends with [`Finding::Finished`]; dropping the receiver gives it up.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn find(
        &self,
        target: Target,
        limits: Limits,
    ) -> Result<mpsc::Receiver<Finding>, Away> {
        let (findings, receiver) = mpsc::channel(FINDINGS_MAX);
        self.order(Order::Find(target, limits, findings)).await?;
        Ok(receiver)
    }

    /// Digests of the own list that were told since the start.
    #[must_use]
    pub fn digests(&self) -> u64 {
        self.counters.digests.load(Ordering::Relaxed)
    }

    /// Lookup messages sent to and received from neighbors since the start, without digests.
    #[must_use]
    pub fn messages(&self) -> (u64, u64) {
        (
            self.counters.said.load(Ordering::Relaxed),
            self.counters.heard.load(Ordering::Relaxed),
        )
    }

    async fn order(&self, order: Order) -> Result<(), Away> {
        let sent = self.orders.send_timeout(order, Duration::from_secs(2));
        sent.await.map_err(|_| Away)
    }
}

/// Serves the lookup links of other nodes.
impl Handler for Neighborhood {
    fn serve(&self, link: Link) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.voice.clone().answer(link))
    }
}

/// The work of a neighborhood.
pub struct Owner {
    orders: mpsc::Receiver<Order>,
    told: mpsc::Receiver<talk::Event>,
    voice: talk::Voice,
    counters: Arc<Counters>,
    settings: Settings,
}
