//! The UDP ports of a node: dials nodes by id, accepts links, knows its own addresses.
//!
//! The port number is that of HTTPS, so that one mapping rule of a router covers both. IPv4 and
//! IPv6 have a socket each; one family may be missing. Keep-alive is 5 s and a silent link ends
//! after 15 s, three beats. The receive window of a stream stays at the stack's default: from
//! 4 MiB on, transfers died with "too many gaps in stream buffer" (noq-proto 1.4.0).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use iroh::endpoint::{
    BindOpts, ConnectError, Connection, ConnectionError, Incoming, IncomingAddr, PortmapperConfig,
    QuicTransportConfig, VarInt, presets,
};
use iroh::{EndpointAddr, RelayMode, RelayUrl, SecretKey, TransportAddr, Watcher};
use protocol::{NodeId, NodeRecord, NodeSecret};
use thiserror::Error;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::accept::{Gate, Knock, Limits};
use crate::{Acquaintance, CloseCode, Link, LinkError, Protocol};

/// A dial that has no answer after this has failed.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A handshake of somebody else may take this long.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// A link without a packet for so long has ended: three beats of 5 s.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Others may tell the end of their links for so long when the endpoint closes.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// Accepted links that nobody has taken yet.
const WAITING_MAX: usize = 64;
/// Streams that a peer may have open at the same time on one link.
const STREAMS_MAX: u32 = 64;
/// Bytes on one link that came and were not read.
const LINK_WINDOW_BYTES: u32 = 8 << 20;

/// Where a node can be reached: hints, which the handshake with the id proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// Who it is.
    pub id: NodeId,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// URLs of relays that forward to it.
    pub relays: Vec<String>,
}

impl NodeAddress {
    /// A node at known addresses, without a relay.
    #[must_use]
    pub fn new(id: NodeId, addresses: Vec<SocketAddr>) -> Self {
        Self {
            id,
            addresses,
            relays: Vec::new(),
        }
    }
}

impl From<&NodeRecord> for NodeAddress {
    fn from(record: &NodeRecord) -> Self {
        Self {
            id: record.node,
            addresses: record.addresses.clone(),
            relays: record.relays.clone(),
        }
    }
}

/// A text that is no `ID@ADDRESS:PORT`.
#[derive(Debug, Error)]
#[error(
    "`{input}` is no address of a node: {why}; write ID@ADDRESS:PORT as `cumulet status` shows"
)]
pub struct NodeAddressError {
    input: String,
    why: String,
}

/// `ID@ADDRESS:PORT`, with further addresses after commas.
impl FromStr for NodeAddress {
    type Err = NodeAddressError;

    fn from_str(text: &str) -> Result<Self, NodeAddressError> {
        let bad = |why: String| NodeAddressError {
            input: text.chars().take(120).collect(),
            why,
        };
        let (id, addresses) = text
            .split_once('@')
            .ok_or_else(|| bad("there is no @ in it".into()))?;
        let id = id.parse().map_err(|error| bad(format!("{error}")))?;
        let addresses = addresses
            .split(',')
            .map(|address| {
                address
                    .trim()
                    .parse()
                    .map_err(|_| bad(format!("`{address}` is no ADDRESS:PORT")))
            })
            .collect::<Result<Vec<SocketAddr>, _>>()?;
        if addresses.len() > protocol::ADDRESSES_MAX {
            return Err(bad(format!(
                "more than {} addresses",
                protocol::ADDRESSES_MAX
            )));
        }
        Ok(Self::new(id, addresses))
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, listed(&self.addresses))
    }
}

/// An open endpoint. Clones are the same one.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    iroh: iroh::Endpoint,
    id: NodeId,
    port: u16,
    gate: Arc<Gate>,
    waiting: Mutex<mpsc::Receiver<Link>>,
    addresses: watch::Receiver<Vec<SocketAddr>>,
    open: Arc<AtomicBool>,
    stop: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({} port {})", self.0.id, self.0.port)
    }
}

impl Endpoint {
    /// Opens UDP at `addresses` as the node that `secret` is, for links of `protocols`. With
    /// `[::]` IPv4 is opened at the same port too. What others may do follows from
    /// `acquaintance`, with the [`Limits`] of a home node.
    ///
    /// # Errors
    /// [`LinkError::Bind`] if no address can be opened.
    pub async fn bind(
        secret: &NodeSecret,
        addresses: &[SocketAddr],
        protocols: &[Protocol],
        acquaintance: Arc<dyn Acquaintance>,
    ) -> Result<Self, LinkError> {
        Self::bind_with(secret, addresses, protocols, acquaintance, Limits::node()).await
    }

    /// As [`Endpoint::bind`], with limits of your own.
    ///
    /// # Errors
    /// As [`Endpoint::bind`].
    pub async fn bind_with(
        secret: &NodeSecret,
        addresses: &[SocketAddr],
        protocols: &[Protocol],
        acquaintance: Arc<dyn Acquaintance>,
        limits: Limits,
    ) -> Result<Self, LinkError> {
        let iroh = open(secret, addresses, protocols).await?;
        let port = iroh.bound_sockets().first().map_or(0, SocketAddr::port);
        let gate = Gate::new(limits, acquaintance);
        let stop = CancellationToken::new();
        let (accepted, waiting) = mpsc::channel(WAITING_MAX);
        let (known, addresses) = watch::channel(own_addresses(&iroh.addr()));
        let open = Arc::new(AtomicBool::new(true));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept_links(
            iroh.clone(),
            Arc::clone(&gate),
            Arc::clone(&open),
            accepted,
            stop.clone(),
        ));
        tasks.spawn(follow_addresses(iroh.clone(), known, stop.clone()));
        Ok(Self(Arc::new(Inner {
            iroh,
            id: secret.id(),
            port,
            gate,
            waiting: Mutex::new(waiting),
            addresses,
            open,
            stop,
            tasks: Mutex::new(tasks),
        })))
    }

    /// Who this endpoint is.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// The UDP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// The sockets that are open, one per address family.
    #[must_use]
    pub fn sockets(&self) -> Vec<SocketAddr> {
        self.0.iroh.bound_sockets()
    }

    /// Where this node can be reached, at most [`protocol::ADDRESSES_MAX`]; changes as interfaces
    /// come and go.
    #[must_use]
    pub fn watch_addresses(&self) -> watch::Receiver<Vec<SocketAddr>> {
        self.0.addresses.clone()
    }

    /// How many links of others are open.
    #[must_use]
    pub fn incoming_links(&self) -> usize {
        self.0.gate.incoming()
    }

    /// UDP datagrams that this endpoint has sent since it was opened.
    #[must_use]
    pub fn datagrams_sent(&self) -> u64 {
        let metrics = &self.0.iroh.metrics().socket;
        metrics.send_ipv4.get() + metrics.send_ipv6.get() + metrics.send_relay.get()
    }

    /// Opens a link to `to`, at most [`CONNECT_LIMIT`] long.
    ///
    /// # Errors
    /// [`LinkError`]: no or a wrong address, silence, another node at that address, refused.
    pub async fn connect(&self, to: &NodeAddress, protocol: Protocol) -> Result<Link, LinkError> {
        if !self.0.open.load(Ordering::Relaxed) {
            return Err(LinkError::Stopped);
        }
        let address = dialed(self.0.id, to)?;
        let call = self.0.iroh.connect(address, protocol.alpn().as_bytes());
        let connection = timeout(CONNECT_LIMIT, call)
            .await
            .map_err(|_| LinkError::Timeout {
                node: to.id,
                limit: CONNECT_LIMIT,
                addresses: listed(&to.addresses),
            })?
            .map_err(|error| failed_call(to, protocol, &error))?;
        let (place, standing) = self.0.gate.own(to.id);
        let streams = self.0.gate.limits().streams_of(standing);
        Ok(Link::new(connection, protocol, (place, standing), streams))
    }

    /// The next link that the accept rule lets in; `None` when the endpoint is closed.
    pub async fn accept(&self) -> Option<Link> {
        let mut waiting = self.0.waiting.lock().await;
        tokio::select! {
            () = self.0.stop.cancelled() => None,
            link = waiting.recv() => link,
        }
    }

    /// Lets links stand, or ends all of them and refuses new ones in both directions.
    pub fn set_open(&self, open: bool) {
        self.0.open.store(open, Ordering::Relaxed);
        if !open {
            for connection in self.0.gate.all_connections() {
                if let Some(connection) = connection.upgrade() {
                    let code = VarInt::from_u32(CloseCode::GoingAway as u32);
                    connection.close(code, b"this node ends its links");
                }
            }
        }
    }

    /// Closes every link with `peer`, after its standing has changed.
    pub fn close_links(&self, peer: &NodeId, code: CloseCode, why: &str) {
        for connection in self.0.gate.connections(peer) {
            if let Some(connection) = connection.upgrade() {
                connection.close(VarInt::from_u32(code as u32), why.as_bytes());
            }
        }
    }

    /// Closes all links and the ports. Takes about a second at most.
    pub async fn close(&self) {
        self.0.stop.cancel();
        let mut tasks = self.0.tasks.lock().await;
        let _ = timeout(CLOSE_PATIENCE, async {
            self.0.iroh.close().await;
            while tasks.join_next().await.is_some() {}
        })
        .await;
        tasks.abort_all();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn open(
    secret: &NodeSecret,
    addresses: &[SocketAddr],
    protocols: &[Protocol],
) -> Result<iroh::Endpoint, LinkError> {
    let asked = listed(addresses);
    let bind = |why: String| LinkError::Bind {
        addresses: asked.clone(),
        why,
    };
    let transport = QuicTransportConfig::builder()
        .max_idle_timeout(Some(
            SILENCE_MAX.try_into().expect("15 s fit a QUIC timeout"),
        ))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(LINK_WINDOW_BYTES))
        .datagram_receive_buffer_size(None)
        .build();
    let alpns = protocols.iter().map(|p| p.alpn().as_bytes().to_vec());
    let mut builder = iroh::Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&secret.identity_seed()))
        .alpns(alpns.collect())
        .transport_config(transport)
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .clear_ip_transports();
    for address in both_families(addresses) {
        builder = builder
            .bind_addr_with_opts(address, BindOpts::default().set_is_required(false))
            .map_err(|error| bind(error.to_string()))?;
    }
    let iroh = builder
        .bind()
        .await
        .map_err(|error| bind(error.to_string()))?;
    if iroh.bound_sockets().is_empty() {
        iroh.close().await;
        return Err(bind("none of the addresses could be opened".into()));
    }
    Ok(iroh)
}

/// `[::]` for TCP takes IPv4 too; the UDP sockets are one per family.
fn both_families(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut all = Vec::new();
    for address in addresses {
        all.push(*address);
        if address.ip() == IpAddr::from([0_u16; 8]) {
            all.push(SocketAddr::new([0, 0, 0, 0].into(), address.port()));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn own_addresses(known: &EndpointAddr) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = known
        .ip_addrs()
        .copied()
        .filter(|address| !is_link_local(address.ip()))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(protocol::ADDRESSES_MAX);
    addresses
}

/// Means nothing to another machine without the name of its interface.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

async fn follow_addresses(
    iroh: iroh::Endpoint,
    known: watch::Sender<Vec<SocketAddr>>,
    stop: CancellationToken,
) {
    let mut watcher = iroh.watch_addr();
    loop {
        let addresses = own_addresses(&watcher.get());
        known.send_if_modified(|old| {
            let changed = *old != addresses;
            *old = addresses;
            changed
        });
        tokio::select! {
            () = stop.cancelled() => return,
            changed = watcher.updated() => if changed.is_err() { return },
        }
    }
}

/// Runs the handshakes of others, a bounded number at a time.
async fn accept_links(
    iroh: iroh::Endpoint,
    gate: Arc<Gate>,
    open: Arc<AtomicBool>,
    accepted: mpsc::Sender<Link>,
    stop: CancellationToken,
) {
    let mut handshakes = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            () = stop.cancelled() => return,
            incoming = iroh.accept() => incoming,
            Some(_) = handshakes.join_next() => continue,
        };
        let Some(incoming) = incoming else { return };
        if !open.load(Ordering::Relaxed) {
            incoming.refuse();
            continue;
        }
        let proven = incoming.remote_addr_validated();
        // Relays prove ids to each other; all that come by one share its bucket.
        let from = if let IncomingAddr::Ip(address) = incoming.remote_addr() {
            address.ip()
        } else {
            IpAddr::from([0_u8; 4])
        };
        match gate.knock(from, proven, handshakes.len(), Instant::now()) {
            Knock::Ignore => incoming.ignore(),
            Knock::Prove => {
                if let Err(error) = incoming.retry() {
                    error.into_incoming().ignore();
                }
            }
            Knock::Come => {
                handshakes.spawn(welcome(incoming, Arc::clone(&gate), accepted.clone()));
            }
        }
    }
}

async fn welcome(incoming: Incoming, gate: Arc<Gate>, accepted: mpsc::Sender<Link>) {
    let from = incoming.remote_addr();
    let connection = match timeout(HANDSHAKE_LIMIT, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(?from, %error, "a handshake failed");
            return;
        }
        Err(_) => return,
    };
    let Some(link) = admitted(connection, &gate) else {
        return;
    };
    if let Err(error) = accepted.try_send(link) {
        let link = error.into_inner();
        link.close(CloseCode::Busy, "this node is busy; try again in a minute");
    }
}

fn admitted(connection: Connection, gate: &Arc<Gate>) -> Option<Link> {
    let peer = NodeId(*connection.remote_id().as_bytes());
    let protocol = Protocol::from_alpn(connection.alpn())?;
    match gate.admit(peer, protocol, Instant::now()) {
        Ok(admitted) => {
            let streams = gate.limits().streams_of(admitted.1);
            Some(Link::new(connection, protocol, admitted, streams))
        }
        Err(refusal) => {
            tracing::debug!(%peer, %protocol, why = refusal.why, "a link was refused");
            let code = VarInt::from_u32(refusal.code as u32);
            connection.close(code, refusal.why.as_bytes());
            None
        }
    }
}

fn dialed(me: NodeId, to: &NodeAddress) -> Result<EndpointAddr, LinkError> {
    if to.id == me {
        return Err(LinkError::Myself(to.id));
    }
    let id = iroh::EndpointId::from_bytes(&to.id.0).map_err(|_| LinkError::NoKey(to.id))?;
    let relays = to.relays.iter().filter_map(|url| {
        let url: RelayUrl = url.parse().ok()?;
        Some(TransportAddr::Relay(url))
    });
    let addresses = to.addresses.iter().copied().map(TransportAddr::Ip);
    let address = EndpointAddr::from_parts(id, addresses.chain(relays));
    if address.is_empty() {
        return Err(LinkError::NoAddress(to.id));
    }
    Ok(address)
}

fn failed_call(to: &NodeAddress, protocol: Protocol, error: &ConnectError) -> LinkError {
    if let ConnectError::Connecting { source, .. } = error
        && let iroh::endpoint::ConnectingError::ConnectionError { source, .. } = source
    {
        return failed_connection(to, protocol, source);
    }
    if let ConnectError::Connection { source, .. } = error {
        return failed_connection(to, protocol, source);
    }
    LinkError::Handshake {
        node: to.id,
        protocol,
        why: error.to_string(),
    }
}

fn failed_connection(to: &NodeAddress, protocol: Protocol, error: &ConnectionError) -> LinkError {
    match error {
        ConnectionError::TimedOut => LinkError::Timeout {
            node: to.id,
            limit: SILENCE_MAX,
            addresses: listed(&to.addresses),
        },
        ConnectionError::ApplicationClosed(_) => LinkError::ended(error),
        ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::Reset
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => LinkError::Handshake {
            node: to.id,
            protocol,
            why: error.to_string(),
        },
    }
}

fn listed(addresses: &[SocketAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(",")
}
