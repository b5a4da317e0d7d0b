//! Serves the links of nodes and clients: one stream may carry many requests, answered in order.
//!
//! The first accepted statement of the node at the other end makes its link a heartbeat. What is
//! no request ends its stream; a peer that goes on with it, or with statements that do not hold,
//! loses its link.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use links::{CloseCode, Handler, Link, Stream};
use protocol::NodeId;
use protocol::message::center::{Refusal, Reply, Request};
use tokio::task::JoinSet;

use crate::office::{Caller, Office};

/// Streams of one link that are served at the same time.
const STREAMS_MAX: usize = 16;
/// So many times a peer may send what is no request or does not hold.
const NONSENSE_MAX: u32 = 50;

/// The handler of `cumulet/center/1`.
pub struct Desk {
    office: Arc<Office>,
    heartbeats: Arc<Heartbeats>,
}

impl Desk {
    /// The desk of an office.
    #[must_use]
    pub fn new(office: Arc<Office>) -> Self {
        let heartbeats = Arc::default();
        Self { office, heartbeats }
    }
}

impl Handler for Desk {
    fn serve(&self, link: Link) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let (office, heartbeats) = (Arc::clone(&self.office), Arc::clone(&self.heartbeats));
        Box::pin(serve(office, heartbeats, link))
    }
}

/// The link on which each node spoke last. A node has one at a time: one that moves to another
/// network dials anew, and its old links would count until their silence is noticed.
#[derive(Default)]
struct Heartbeats {
    links: Mutex<HashMap<NodeId, (u64, Link)>>,
    next: AtomicU64,
}

impl Heartbeats {
    /// `link` is the heartbeat of its peer now; the one before is closed.
    fn begin(&self, link: &Link) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let before = links.insert(link.peer(), (number, link.clone()));
        drop(links);
        if let Some((_, before)) = before {
            before.close(CloseCode::Done, "replaced by a newer link of the same node");
        }
        number
    }

    fn end(&self, peer: &NodeId, number: u64) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.get(peer).is_some_and(|(last, _)| *last == number) {
            links.remove(peer);
        }
    }
}

/// What is known of one link. Dropped with it, however it ends.
struct Visit {
    office: Arc<Office>,
    heartbeats: Arc<Heartbeats>,
    peer: NodeId,
    /// Its number, once it is one.
    heartbeat: OnceLock<u64>,
    nonsense: AtomicU32,
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(number) = self.heartbeat.get() {
            self.heartbeats.end(&self.peer, *number);
            self.office.link_closed(&self.peer);
        }
    }
}

async fn serve(office: Arc<Office>, heartbeats: Arc<Heartbeats>, link: Link) {
    let visit = Arc::new(Visit {
        office,
        heartbeats,
        peer: link.peer(),
        heartbeat: OnceLock::new(),
        nonsense: AtomicU32::new(0),
    });
    let mut streams = JoinSet::new();
    loop {
        while streams.len() >= STREAMS_MAX {
            streams.join_next().await;
        }
        let Some(stream) = link.accept_stream().await else {
            return;
        };
        while streams.try_join_next().is_some() {}
        if visit.nonsense.load(Ordering::Relaxed) > NONSENSE_MAX {
            link.close(CloseCode::Garbage, "too much that was no valid request");
            return;
        }
        streams.spawn(converse(Arc::clone(&visit), link.clone(), stream));
    }
}

async fn converse(visit: Arc<Visit>, link: Link, mut stream: Stream) {
    loop {
        let request = match stream.receive::<Request>().await {
            Ok(Some(request)) => request,
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(peer = %visit.peer, %error, "no request");
                visit.nonsense.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        let caller = Caller {
            peer: visit.peer,
            ip: link.remote_address().map(|address| address.ip()),
        };
        let (reply, spoke) = visit.office.answer(request, caller).await;
        if spoke == Some(visit.peer) {
            visit.heartbeat.get_or_init(|| {
                visit.office.link_opened(&visit.peer);
                visit.heartbeats.begin(&link)
            });
        }
        if matches!(
            reply,
            Reply::Refused(Refusal::NotValid | Refusal::OtherNode)
        ) {
            let count = visit.nonsense.fetch_add(1, Ordering::Relaxed);
            if count > NONSENSE_MAX {
                link.close(CloseCode::Garbage, "too many statements that do not hold");
                return;
            }
        }
        if let Err(error) = stream.send(&reply).await {
            tracing::debug!(peer = %visit.peer, %error, "no answer could be sent");
            return;
        }
    }
    stream.finish();
}
