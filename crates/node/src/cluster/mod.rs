//! The node among other nodes: its QUIC endpoint and what is served and asked over it.
//!
//! One [`links::Endpoint`] at the port of HTTPS. [`pairing`] makes friends, [`door`] serves them,
//! [`dial`] asks them, [`tally`] counts what is given and taken. [`Friends`] is all of that for
//! pages and commands. [`Discovery`] knows who is on the home network, [`Neighbors`] keeps links to
//! other nodes and finds nodes and people without a server in the middle; [`book`] is what others
//! find of the people here. [`Registration`] is the node at its center, if it has one. A node whose
//! UDP port is taken serves its own people all the same, and its module `links` says why it is
//! alone.

mod book;
mod center;
mod dial;
mod discovery;
mod door;
mod friends;
mod neighbors;
mod offers;
mod page;
mod pairing;
mod people;
mod record;
mod seek;
mod tally;

pub use center::Registration;
pub(crate) use discovery::Discovery;
pub use friends::Friends;
pub(crate) use friends::{module, remove};
pub use neighbors::Neighbors;
pub use pairing::Comparison;
pub(crate) use seek::{Found, Sought, Source, seek};

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::rt::Executor;
use links::{Endpoint, Router};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::modules::{Module, Task};
use crate::state::State;

/// Where the HTTP library runs the tasks of a session.
#[derive(Clone)]
struct Tasks(TaskTracker);

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// The endpoint of a running node and what it offers.
pub(crate) struct Cluster {
    /// Without it the node is alone, for this reason.
    endpoint: Result<Endpoint, String>,
    /// Those who are served, and asked.
    pub(crate) friends: Friends,
    /// Those that are linked and found.
    pub(crate) neighbors: Neighbors,
    /// The center, if the settings name one.
    pub(crate) center: Option<Registration>,
    router: Router,
}

impl Cluster {
    /// Opens UDP at the port of HTTPS.
    pub(crate) async fn open(
        state: &Arc<State>,
        name: &str,
        https: SocketAddr,
        own_addresses: &[IpAddr],
    ) -> anyhow::Result<Self> {
        let friends = Friends::new(state, name);
        let neighbors = open_neighbors(state, name, https, own_addresses).await?;
        let router = neighbors.serve_on(friends.serve_on(Router::default()));
        let protocols = router.protocols();
        let acquaintance = friends.acquaintance();
        let endpoint = Endpoint::bind(&state.secret, &[https], &protocols, acquaintance).await;
        if let Ok(endpoint) = &endpoint {
            friends.attach(endpoint.clone());
        }
        let endpoint = endpoint.map_err(|error| {
            tracing::error!(%error, "no links to other nodes");
            error.to_string()
        });
        Ok(Self {
            endpoint,
            friends,
            neighbors,
            center: Registration::of(state, name, https.port()),
            router,
        })
    }

    /// The modules of the cluster.
    pub(crate) fn modules(&self) -> Vec<Module> {
        let mut modules = vec![module(&self.friends)];
        let what = "links to other nodes over QUIC";
        match &self.endpoint {
            Ok(endpoint) => {
                let (router, accepting) = (self.router.clone(), endpoint.clone());
                let center = self.center.clone();
                modules.push(Module::new("links", what, move |task: Task| {
                    let (router, endpoint) = (router.clone(), accepting.clone());
                    let center = center.clone();
                    async move {
                        link(&router, &endpoint, center.as_ref(), task).await;
                        Ok(())
                    }
                }));
                modules.push(self.neighbors.module(endpoint));
                let center = self.center.iter();
                modules.extend(center.map(|center| center.module(endpoint, &self.neighbors)));
            }
            Err(why) => {
                let why = why.clone();
                modules.push(Module::new("links", what, move |_| {
                    let why = why.clone();
                    async move { anyhow::bail!("{why}; start the node again when it is free") }
                }));
            }
        }
        modules
    }

    /// Neighbors and center for the pages.
    pub(crate) fn others(&self) -> page::OtherNodes {
        page::OtherNodes {
            neighbors: self.neighbors.clone(),
            center: self.center.clone(),
        }
    }

    /// The UDP port, for the ready line.
    pub(crate) fn quic(&self) -> Option<u16> {
        self.endpoint.as_ref().ok().map(Endpoint::port)
    }

    /// Closes all links; the others are told.
    pub(crate) async fn close(&self) {
        if let Ok(endpoint) = &self.endpoint {
            endpoint.close().await;
        }
    }
}

/// Lets links stand until the module stops; the center hears of the end before they do.
async fn link(router: &Router, endpoint: &Endpoint, center: Option<&Registration>, task: Task) {
    let end = CancellationToken::new();
    if let Some(center) = center {
        center.come_back();
    }
    let leaving = async {
        task.stop.cancelled().await;
        if let Some(center) = center {
            center.leave().await;
        }
        end.cancel();
    };
    tokio::join!(router.run(endpoint, end.clone()), leaving);
}

async fn open_neighbors(
    state: &Arc<State>,
    name: &str,
    https: SocketAddr,
    own_addresses: &[IpAddr],
) -> anyhow::Result<Neighbors> {
    let addresses: Vec<_> = if https.ip().is_unspecified() {
        let own = own_addresses.iter().take(protocol::ADDRESSES_MAX);
        own.map(|ip| SocketAddr::new(*ip, https.port())).collect()
    } else {
        vec![https]
    };
    let (state, name) = (Arc::clone(state), name.to_owned());
    let opening = tokio::task::spawn_blocking(move || {
        Neighbors::open(&state, &name, &addresses, https.port())
    });
    opening.await?
}
