//! `files/1`, the serving side: HTTP/2 on each stream of a friend's link, to the node's own router.
//!
//! The identity is the key that the link proved; whether it still is a friend, and what it may do,
//! is asked per request (`web::Connection::friend`). A friend is always away: LAN-only things stay
//! at home even if its node stands beside this one. A person's own device comes with a key as well
//! (R11); it is at home or away as it would be over HTTPS, and away on any path but a direct one.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use links::{Handler, Link, Path};
use sharing::Place;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use super::Tasks;
use super::tally::{Counted, Flow, Tallies};
use crate::pulse::RequestBody;
use crate::state::State;

/// HTTP/2 sessions at once on one link; a friend's node needs one.
const SESSIONS_MAX: usize = 4;
/// Requests at once of one session.
const REQUESTS_MAX: u32 = 64;
const WINDOW_BYTES: u32 = 1 << 20;
const SESSION_WINDOW_BYTES: u32 = 4 << 20;
const HEADER_LIST_BYTES_MAX: u32 = 64 << 10;
const SEND_BYTES_MAX: usize = 256 << 10;

/// Where an address is, as this node knows its surroundings now.
pub(crate) type Surroundings = Arc<dyn Fn(IpAddr) -> Place + Send + Sync>;

/// Serves friends, and devices of people with an account.
pub(super) struct Door {
    /// Set with the router.
    pub(super) surroundings: OnceLock<Surroundings>,
    /// Set once the router is built.
    pub(super) router: OnceLock<axum::Router>,
    pub(super) tallies: Arc<Tallies>,
    /// A friend that sends nothing of a body for this long is given up.
    pub(super) stall: Duration,
    /// Notes from where a friend was reached.
    pub(super) state: Arc<State>,
}

/// Addresses that are kept of a friend.
const ADDRESSES_KEPT: usize = 8;

impl Handler for Door {
    fn serve(&self, link: Link) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            self.learn(&link);
            self.sessions(link).await;
        })
    }
}

impl Door {
    /// A friend sends from the port that it listens on, so that is where it can be reached now.
    fn learn(&self, link: &Link) {
        let (node, address) = (link.peer(), link.remote_address());
        let Some(address) = address else { return };
        let state = Arc::clone(&self.state);
        // Ends by itself; nobody waits for it.
        tokio::task::spawn_blocking(move || {
            let friends = state.sharing.accepted_friends();
            let Some(friend) = friends.ok().and_then(|all| all.get(&node).cloned()) else {
                return;
            };
            if friend.addresses.first() == Some(&address) {
                return;
            }
            let mut addresses = vec![address];
            addresses.extend(friend.addresses.iter().filter(|old| **old != address));
            addresses.truncate(ADDRESSES_KEPT);
            if let Err(error) = state.sharing.note_friend_addresses(friend.id, &addresses) {
                tracing::warn!(%error, "the address of a friend was not noted");
            }
        });
    }

    async fn sessions(&self, link: Link) {
        let mut sessions = JoinSet::new();
        loop {
            let stream = tokio::select! {
                stream = link.accept_stream(), if sessions.len() < SESSIONS_MAX => stream,
                Some(_) = sessions.join_next() => continue,
            };
            let (Some(stream), Some(router)) = (stream, self.router.get()) else {
                break;
            };
            sessions.spawn(session(
                Guest {
                    router: router.clone(),
                    surroundings: self.surroundings.get().cloned(),
                    state: Arc::clone(&self.state),
                    tallies: Arc::clone(&self.tallies),
                    stall: self.stall,
                    link: link.clone(),
                },
                stream,
            ));
        }
    }
}

/// What the requests of one session share.
#[derive(Clone)]
struct Guest {
    router: axum::Router,
    surroundings: Option<Surroundings>,
    state: Arc<State>,
    tallies: Arc<Tallies>,
    stall: Duration,
    link: Link,
}

impl Guest {
    fn place(&self, is_device: bool) -> Place {
        match (is_device, self.link.path(), &self.surroundings) {
            (true, Path::Direct(address), Some(surroundings)) => surroundings(address.ip()),
            (_, Path::Direct(_) | Path::Relayed(_) | Path::None, _) => Place::Away,
        }
    }
}

async fn session(guest: Guest, stream: links::Stream) {
    let tasks = TaskTracker::new();
    let peer = guest.link.peer();
    let service = service_fn(move |request| answer(guest.clone(), request));
    let served = hyper::server::conn::http2::Builder::new(Tasks(tasks.clone()))
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(SESSION_WINDOW_BYTES)
        .max_concurrent_streams(REQUESTS_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a friend's session ended");
    }
    tasks.close();
    tasks.wait().await;
}

async fn answer(
    guest: Guest,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let node = guest.link.peer();
    let unknown = || SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let is_device = guest.state.sharing.is_device(&node).unwrap_or(false);
    request.extensions_mut().insert(web::Connection {
        peer: guest.link.remote_address().unwrap_or_else(unknown),
        place: guest.place(is_device),
        tls: true,
        friend: Some(node),
    });
    let request = request.map(|body| {
        let body = RequestBody::new(body, guest.stall);
        if is_device {
            return Body::new(body);
        }
        Body::new(Counted::new(body, node, Flow::Taken, &guest.tallies))
    });
    let handled = std::panic::AssertUnwindSafe(guest.router.clone().call(request))
        .catch_unwind()
        .await;
    let response = match handled {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            tracing::error!(friend = %node, "a request handler panicked; this is a fault of Cumulet");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    };
    if is_device {
        // The ledger is of friends.
        return Ok(response);
    }
    Ok(response.map(|body| Body::new(Counted::new(body, node, Flow::Given, &guest.tallies))))
}
