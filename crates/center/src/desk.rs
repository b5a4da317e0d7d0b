//! Serves the links of nodes and clients: one stream may carry many requests, answered in order.
//!
//! The first accepted statement of the node at the other end makes its link a heartbeat. What is
//! no request ends its stream; a peer that goes on with it, or with statements that do not hold,
//! loses its link.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

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
pub struct Desk(pub Arc<Office>);

impl Handler for Desk {
    fn serve(&self, link: Link) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(serve(Arc::clone(&self.0), link))
    }
}

/// What is known of one link. Dropped with it, however it ends.
struct Visit {
    office: Arc<Office>,
    peer: NodeId,
    is_heartbeat: AtomicBool,
    nonsense: AtomicU32,
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.is_heartbeat.load(Ordering::Relaxed) {
            self.office.link_closed(&self.peer);
        }
    }
}

async fn serve(office: Arc<Office>, link: Link) {
    let visit = Arc::new(Visit {
        office,
        peer: link.peer(),
        is_heartbeat: AtomicBool::new(false),
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
        if spoke == Some(visit.peer) && !visit.is_heartbeat.swap(true, Ordering::Relaxed) {
            visit.office.link_opened(&visit.peer);
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
