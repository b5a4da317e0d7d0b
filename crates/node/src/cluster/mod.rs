//! The node among other nodes: its QUIC endpoint and what is served and asked over it.
//!
//! One [`links::Endpoint`] at the port of HTTPS. [`pairing`] makes friends, [`door`] serves them,
//! [`dial`] asks them, [`tally`] counts what is given and taken. [`Friends`] is all of that for
//! pages and commands. [`Discovery`] knows who is on the home network.

mod dial;
mod discovery;
mod door;
mod friends;
mod pairing;
mod tally;

pub(crate) use discovery::Discovery;
pub use friends::Friends;
pub(crate) use friends::{module, remove};
pub use pairing::Comparison;

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::rt::Executor;
use links::{Endpoint, Router};
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
    /// `None` if the UDP port could not be opened: the node serves its own people and says so.
    pub(crate) endpoint: Option<Endpoint>,
    /// Those who are served, and asked.
    pub(crate) friends: Friends,
    router: Router,
}

impl Cluster {
    /// Opens UDP at the port of HTTPS.
    pub(crate) async fn open(state: &Arc<State>, name: &str, https: SocketAddr) -> Self {
        let friends = Friends::new(state, name);
        let router = friends.serve_on(Router::default());
        let protocols = router.protocols();
        let acquaintance = friends.acquaintance();
        let endpoint = Endpoint::bind(&state.secret, &[https], &protocols, acquaintance).await;
        let endpoint = match endpoint {
            Ok(endpoint) => {
                friends.attach(endpoint.clone());
                Some(endpoint)
            }
            Err(error) => {
                tracing::error!(%error, "no links to other nodes");
                None
            }
        };
        Self {
            endpoint,
            friends,
            router,
        }
    }

    /// The modules of the cluster.
    pub(crate) fn modules(&self) -> Vec<Module> {
        let mut modules = vec![module(&self.friends)];
        if let Some(endpoint) = &self.endpoint {
            let (router, endpoint) = (self.router.clone(), endpoint.clone());
            modules.push(Module::new(
                "links",
                "links to other nodes over QUIC",
                move |task: Task| {
                    let (router, endpoint) = (router.clone(), endpoint.clone());
                    async move {
                        router.run(&endpoint, task.stop).await;
                        Ok(())
                    }
                },
            ));
        }
        modules
    }

    /// Closes all links; the others are told.
    pub(crate) async fn close(&self) {
        if let Some(endpoint) = &self.endpoint {
            endpoint.close().await;
        }
    }
}
