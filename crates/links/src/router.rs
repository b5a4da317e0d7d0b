//! Hands each accepted link to whoever serves its protocol.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{CloseCode, Endpoint, Link, Protocol};

/// Handlers that are told to stop may take this long.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Serves the links of one protocol. One call lives as long as its link; it is dropped when the
/// router stops.
pub trait Handler: Send + Sync + 'static {
    /// Serves `link` until it ends.
    fn serve(&self, link: Link) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The protocols that a node offers, each with its handler.
#[derive(Default, Clone)]
pub struct Router {
    handlers: BTreeMap<Protocol, Arc<dyn Handler>>,
}

impl Router {
    /// Offers `protocol`; a second handler replaces the first.
    #[must_use]
    pub fn with(mut self, protocol: Protocol, handler: Arc<dyn Handler>) -> Self {
        self.handlers.insert(protocol, handler);
        self
    }

    /// What is offered, for [`Endpoint::bind`].
    #[must_use]
    pub fn protocols(&self) -> Vec<Protocol> {
        self.handlers.keys().copied().collect()
    }

    /// Serves the links that `endpoint` accepts until `stop` or the end of the endpoint. The
    /// number of links is bounded by the accept rule.
    pub async fn run(&self, endpoint: &Endpoint, stop: CancellationToken) {
        let mut serving = JoinSet::new();
        endpoint.set_open(true);
        loop {
            let link = tokio::select! {
                () = stop.cancelled() => break,
                link = endpoint.accept() => link,
                Some(_) = serving.join_next() => continue,
            };
            let Some(link) = link else { break };
            let Some(handler) = self.handlers.get(&link.protocol()).map(Arc::clone) else {
                link.close(CloseCode::NotAllowed, "this node does not offer that");
                continue;
            };
            serving.spawn(async move {
                let mut serve = handler.serve(link.clone());
                tokio::select! {
                    () = &mut serve => link.close(CloseCode::Done, ""),
                    // The handler notices it as well, and may have to tell others.
                    _ = link.closed() => {
                        let _ = tokio::time::timeout(STOP_PATIENCE, serve).await;
                    }
                }
            });
        }
        endpoint.set_open(false);
        serving.abort_all();
        let _ = tokio::time::timeout(STOP_PATIENCE, async {
            while serving.join_next().await.is_some() {}
        })
        .await;
    }
}
