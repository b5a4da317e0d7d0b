//! A TCP port that takes connections: accept, count, hand over, and at the end wait for them.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connection::{self, Entrance};
use crate::lan::Door;

/// Running requests get this long at a stop before they are cut; the whole stop stays below 8 s.
const FAREWELL: Duration = Duration::from_secs(5);
/// After a failed accept (no descriptors left) we try again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One listening address. It keeps its port over stops and starts of the module.
pub(crate) struct Listener {
    address: SocketAddr,
    door: Door,
    bound: Mutex<Option<StdListener>>,
}

impl Listener {
    /// Binds `address`; port 0 becomes a real one. `[::]` falls back to `0.0.0.0` where the
    /// kernel has no IPv6.
    pub(crate) fn bind(address: SocketAddr, door: Door) -> io::Result<Self> {
        let any_v6 = address.is_ipv6() && address.ip().is_unspecified();
        let socket = match StdListener::bind(address) {
            Err(error) if any_v6 && error.kind() != io::ErrorKind::AddrInUse => {
                StdListener::bind((std::net::Ipv4Addr::UNSPECIFIED, address.port()))?
            }
            bound => bound?,
        };
        let address = socket.local_addr()?;
        Ok(Self {
            address,
            door,
            bound: Mutex::new(Some(socket)),
        })
    }

    /// The real address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes connections until `stop`, then lets the running requests finish within [`FAREWELL`].
    pub(crate) async fn run(
        &self,
        entrance: Arc<Entrance>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let bound = self
            .bound
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let socket = match bound {
            Some(socket) => socket,
            None => StdListener::bind(self.address)?,
        };
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        let mut connections = JoinSet::new();
        let farewell = CancellationToken::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => report(ended),
                accepted = socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let is_proxy = self.door == Door::Http
                            && entrance.network().trusted_proxies.iter().any(|p| p.contains(peer.ip()));
                        if let Some(seat) = entrance.limits.take(peer.ip(), is_proxy) {
                            let serve = connection::serve(Arc::clone(&entrance), stream, peer, self.door, farewell.clone());
                            connections.spawn(async move {
                                serve.await;
                                drop(seat);
                            });
                        } else {
                            tracing::debug!(%peer, "too many connections");
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(socket);
        farewell.cancel();
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        };
        if tokio::time::timeout(FAREWELL, all_ended).await.is_err() {
            connections.shutdown().await;
        }
        Ok(())
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection failed; this is a fault of Cumulet");
    }
}

#[cfg(test)]
mod tests;
