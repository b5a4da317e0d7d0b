//! `files/1`, the asking side: one link and one HTTP/2 session per friend, opened when something is
//! asked and closed when nothing was for five minutes.
//!
//! A friend that does not answer costs its first asker [`DIAL_PATIENCE`] and, for a short while
//! after, nobody anything: the failure is remembered. Nothing here waits for another friend.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex as SyncMutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Method, Request, Response};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioIo, TokioTimer};
use links::{CloseCode, Endpoint, Link, LinkError, NodeAddress, Protocol};
use protocol::NodeId;
use sharing::Friend;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use web::Unreached;

use super::tally::{Counted, Flow, Pace, Tallies};
use super::{Discovery, Tasks};

/// A friend answers a dial within this time or is taken to be off.
const DIAL_PATIENCE: Duration = Duration::from_secs(3);
/// The head of an answer to a request without a body comes within this time.
const HEAD_PATIENCE: Duration = Duration::from_secs(8);
/// A friend that takes nothing of an upload for so long is given up.
const TAKE_PATIENCE: Duration = Duration::from_secs(30);
/// After the last byte the friend's node makes an upload durable, and answers within this time.
const DURABLE_PATIENCE: Duration = Duration::from_secs(120);
/// A body that stands still for so long is broken off.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// For so long after a failed dial nobody dials again.
const REMEMBERED: Duration = Duration::from_secs(5);
/// What clients are told.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// A link that nobody used for so long is closed (R108).
const IDLE_MAX: Duration = Duration::from_secs(300);
const WINDOW_BYTES: u32 = 1 << 20;
const SESSION_WINDOW_BYTES: u32 = 4 << 20;

/// Reaches the routers of friends.
pub(super) struct Dialer {
    pub(super) endpoint: OnceLock<Endpoint>,
    /// Tells where a node is on the home network now.
    pub(super) nearby: OnceLock<Discovery>,
    pub(super) tallies: Arc<Tallies>,
    slots: SyncMutex<HashMap<NodeId, Arc<Mutex<Slot>>>>,
    /// The tasks that drive the sessions.
    drivers: TaskTracker,
}

#[derive(Default)]
struct Slot {
    session: Option<Session>,
    failed: Option<(Instant, Unreached)>,
}

#[derive(Clone)]
struct Session {
    link: Link,
    sender: SendRequest<Body>,
    used: Instant,
}

impl Dialer {
    pub(super) fn new(tallies: Arc<Tallies>) -> Self {
        Self {
            endpoint: OnceLock::new(),
            nearby: OnceLock::new(),
            tallies,
            slots: SyncMutex::default(),
            drivers: TaskTracker::new(),
        }
    }

    /// Sends a request; bounded until the head of the answer.
    pub(super) async fn send(
        &self,
        friend: &Friend,
        request: Request<Body>,
    ) -> Result<Response<Body>, Unreached> {
        let node = friend.node;
        let mut session = self.session(friend).await?;
        let brings_body = matches!(request.method(), &Method::PUT);
        let pace = Pace::new();
        let request = request.map(|body| {
            Body::new(Counted::new(body, node, Flow::Given, &self.tallies).at_pace(&pace))
        });
        let patience = async {
            if brings_body {
                // As long as bytes move; a node that is gone ends its link after 15 s.
                pace.stalled(TAKE_PATIENCE, DURABLE_PATIENCE).await;
            } else {
                tokio::time::sleep(HEAD_PATIENCE).await;
            }
        };
        let answer = tokio::select! {
            answer = session.sender.send_request(request) => answer,
            () = patience => {
                self.drop_session(node, "no answer").await;
                return Err(offline());
            }
        };
        match answer {
            Ok(answer) => Ok(answer.map(|body| {
                let body = Counted::new(body, node, Flow::Taken, &self.tallies);
                Body::new(body.within(BODY_PATIENCE))
            })),
            Err(error) => {
                tracing::debug!(friend = %friend.name, %error, "no answer");
                let why = verdict(&session.link).await;
                self.drop_session(node, "the session failed").await;
                Err(why)
            }
        }
    }

    async fn session(&self, friend: &Friend) -> Result<Session, Unreached> {
        let slot = self.slot(friend.node);
        let mut slot = slot.lock().await;
        if let Some(session) = &mut slot.session {
            // A friend that answers to nothing has no stream left; nobody waits for one for long.
            let ready = timeout(HEAD_PATIENCE, session.sender.ready()).await;
            if !session.link.is_closed() && matches!(ready, Ok(Ok(()))) {
                session.used = Instant::now();
                return Ok(session.clone());
            }
            slot.session = None;
        }
        if let Some((at, why)) = &slot.failed
            && at.elapsed() < REMEMBERED
        {
            return Err(why.clone());
        }
        match self.open(friend).await {
            Ok(session) => {
                slot.failed = None;
                slot.session = Some(session.clone());
                Ok(session)
            }
            Err(why) => {
                slot.failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    fn slot(&self, node: NodeId) -> Arc<Mutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(node).or_default())
    }

    async fn open(&self, friend: &Friend) -> Result<Session, Unreached> {
        let link = self
            .link(friend.node, &friend.addresses, Protocol::Files)
            .await
            .map_err(|error| {
                tracing::debug!(friend = %friend.name, %error, "cannot be reached");
                refusal(&error)
            })?;
        let opening = async {
            let stream = link.open().await.map_err(|error| refusal(&error))?;
            let opened = hyper::client::conn::http2::Builder::new(Tasks(self.drivers.clone()))
                .timer(TokioTimer::new())
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(SESSION_WINDOW_BYTES)
                .handshake(TokioIo::new(stream))
                .await;
            let Ok((mut sender, driver)) = opened else {
                return Err(verdict(&link).await);
            };
            self.drivers.spawn(async move {
                if let Err(error) = driver.await {
                    tracing::debug!(%error, "a session with a friend ended");
                }
            });
            match sender.ready().await {
                Ok(()) => Ok(sender),
                Err(_) => Err(verdict(&link).await),
            }
        };
        let sender = timeout(DIAL_PATIENCE, opening)
            .await
            .unwrap_or_else(|_| Err(offline()))?;
        Ok(Session {
            link,
            sender,
            used: Instant::now(),
        })
    }

    /// A link to a node; its key is proven, or there is none.
    pub(super) async fn link(
        &self,
        node: NodeId,
        addresses: &[SocketAddr],
        protocol: Protocol,
    ) -> Result<Link, LinkError> {
        let Some(endpoint) = self.endpoint.get() else {
            return Err(LinkError::Ended("the node is still starting".into()));
        };
        let mut known = addresses.to_vec();
        if let Some(nearby) = self.nearby.get() {
            known.extend(nearby.addresses_of(node));
        }
        known.sort_unstable();
        known.dedup();
        known.truncate(protocol::ADDRESSES_MAX);
        let to = NodeAddress::new(node, known);
        timeout(DIAL_PATIENCE, endpoint.connect(&to, protocol))
            .await
            .unwrap_or_else(|_| {
                Err(LinkError::Timeout {
                    node,
                    limit: DIAL_PATIENCE,
                    addresses: addresses
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(", "),
                })
            })
    }

    /// True if a session with this node is open, without asking it.
    pub(super) fn is_linked(&self, node: NodeId) -> bool {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = slots.get(&node) else {
            return false;
        };
        slot.try_lock()
            .is_ok_and(|slot| slot.session.as_ref().is_some_and(|s| !s.link.is_closed()))
    }

    async fn drop_session(&self, node: NodeId, why: &str) {
        let slot = self.slot(node);
        let mut slot = slot.lock().await;
        if let Some(session) = slot.session.take() {
            session.link.close(CloseCode::Done, why);
        }
    }

    /// The node has just answered; what was remembered of it holds no more.
    pub(super) fn forget_failure(&self, node: NodeId) {
        if let Ok(mut slot) = self.slot(node).try_lock() {
            slot.failed = None;
        }
    }

    /// Forgets everything about a node: its session and that it failed.
    pub(super) fn forget(&self, node: NodeId) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.remove(&node);
        if let Some(endpoint) = self.endpoint.get() {
            endpoint.close_links(&node, CloseCode::NotAllowed, "no friend any more");
        }
    }

    /// Closes what nobody uses.
    pub(super) fn close_idle(&self) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| {
            let Ok(mut slot) = slot.try_lock() else {
                return true;
            };
            let idle =
                |session: &Session| session.link.is_closed() || session.used.elapsed() > IDLE_MAX;
            if slot.session.as_ref().is_some_and(idle) {
                slot.session = None;
            }
            let remembers = slot
                .failed
                .as_ref()
                .is_some_and(|(at, _)| at.elapsed() < REMEMBERED);
            slot.session.is_some() || remembers
        });
    }
}

fn offline() -> Unreached {
    Unreached::Offline {
        retry_after: RETRY_AFTER,
    }
}

/// What the end of a link means for the asker.
fn refusal(error: &LinkError) -> Unreached {
    let not_allowed = matches!(
        error,
        LinkError::Refused {
            code: Some(CloseCode::NotAllowed),
            ..
        }
    );
    if not_allowed {
        Unreached::Stranger
    } else {
        offline()
    }
}

/// A session failed: was the link refused, is it gone, or was it the session alone?
async fn verdict(link: &Link) -> Unreached {
    // The refusal may still be on its way.
    match timeout(Duration::from_millis(500), link.closed()).await {
        Ok(error) => refusal(&error),
        Err(_) => Unreached::Broken,
    }
}
