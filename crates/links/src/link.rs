//! A connection to one other node for one protocol.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iroh::TransportAddr;
use iroh::endpoint::{Connection, VarInt};
use protocol::NodeId;
use tokio::sync::Mutex;

use crate::accept::Place;
use crate::bucket::Bucket;
use crate::{CloseCode, LinkError, Protocol, Rate, Standing, Stream};

/// The way that the packets of a link take now; may change while it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// Straight to this address.
    Direct(SocketAddr),
    /// Through a relay, by its URL.
    Relayed(String),
    /// No way at the moment.
    None,
}

/// An authenticated link. Clones are the same link; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    connection: Connection,
    peer: NodeId,
    protocol: Protocol,
    standing: Standing,
    streams: Rate,
    pace: Mutex<Bucket>,
    _place: Place,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({} {})", self.protocol(), self.peer())
    }
}

impl Link {
    pub(crate) fn new(
        connection: Connection,
        protocol: Protocol,
        (place, standing): (Place, Standing),
        streams: Rate,
    ) -> Self {
        place.remember(connection.weak_handle());
        Self(Arc::new(Inner {
            peer: NodeId(*connection.remote_id().as_bytes()),
            connection,
            protocol,
            standing,
            streams,
            pace: Mutex::new(Bucket::full(streams, Instant::now())),
            _place: place,
        }))
    }

    /// Who is at the other end; proven in the handshake.
    #[must_use]
    pub fn peer(&self) -> NodeId {
        self.0.peer
    }

    /// What the link is for.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.0.protocol
    }

    /// How this node stood to the peer when the link began. Ask again per request where it counts.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.0.standing
    }

    /// The time a packet takes there and back, as QUIC measures it.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        let paths = self.0.connection.paths();
        let selected = paths.iter().find(|path| path.is_selected());
        selected
            .or_else(|| paths.iter().next())
            .map_or(Duration::ZERO, |path| path.rtt())
    }

    /// The way that the packets take now.
    #[must_use]
    pub fn path(&self) -> Path {
        let paths = self.0.connection.paths();
        let selected = paths.iter().find(|path| path.is_selected());
        match selected
            .or_else(|| paths.iter().next())
            .map(|path| path.remote_addr().clone())
        {
            Some(TransportAddr::Ip(address)) => Path::Direct(canonical(address)),
            Some(TransportAddr::Relay(url)) => Path::Relayed(url.to_string()),
            Some(_) | None => Path::None,
        }
    }

    /// The peer's address on a direct path.
    #[must_use]
    pub fn remote_address(&self) -> Option<SocketAddr> {
        match self.path() {
            Path::Direct(address) => Some(address),
            Path::Relayed(_) | Path::None => None,
        }
    }

    /// UDP datagrams sent and received on this link.
    #[must_use]
    pub fn datagrams(&self) -> (u64, u64) {
        let stats = self.0.connection.stats();
        (stats.udp_tx.datagrams, stats.udp_rx.datagrams)
    }

    /// Opens a stream. The peer notices it with the first byte.
    ///
    /// # Errors
    /// The end of the link. Waits while too many streams are open.
    pub async fn open(&self) -> Result<Stream, LinkError> {
        match self.0.connection.open_bi().await {
            Ok(pair) => Ok(Stream::new(pair)),
            Err(error) => Err(LinkError::ended(&error)),
        }
    }

    /// The next stream that the peer opens, at the pace of the accept rule; `None` when the link
    /// has ended.
    pub async fn accept_stream(&self) -> Option<Stream> {
        let pair = self.0.connection.accept_bi().await.ok()?;
        loop {
            let wait = self
                .0
                .pace
                .lock()
                .await
                .take(self.0.streams, Instant::now());
            match wait {
                Ok(()) => return Some(Stream::new(pair)),
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Closes the link at once; what is on the way may be lost. The peer reads code and reason.
    pub fn close(&self, code: CloseCode, why: &str) {
        self.0
            .connection
            .close(VarInt::from_u32(code as u32), why.as_bytes());
    }

    /// Waits for the end of the link and says why it ended.
    pub async fn closed(&self) -> LinkError {
        LinkError::ended(&self.0.connection.closed().await)
    }

    /// True once the link has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.connection.close_reason().is_some()
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
