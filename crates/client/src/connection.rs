//! One connection to a node: HTTPS, with the key that it has proved to hold, or HTTP/2 on a stream of
//! a link over QUIC, where both sides prove their keys (`files/1`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use links::{CloseCode, Endpoint, Link, LinkError, NodeAddress, Protocol};
use protocol::{NodeId, TlsKey};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::place::Address;
use crate::{ClientError, Kind, trust};

/// To an address that may be in a network where we are not.
const DIAL_TIME: Duration = Duration::from_secs(5);
/// The node sends nothing, or takes nothing, for this long.
pub(crate) const STALL: Duration = Duration::from_secs(60);
/// After a link failed, the reason comes within this time.
const VERDICT_TIME: Duration = Duration::from_millis(500);
/// Of one stream and of all, in flight; from 4 MiB a stream on, QUIC itself has trouble.
const WINDOW_BYTES: u32 = 1 << 20;
const SESSION_WINDOW_BYTES: u32 = 4 << 20;
/// A document of the API.
const DOCUMENT_BYTES_MAX: usize = 8 << 20;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A body in memory.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// What requests go over.
enum Way {
    Tls(SendRequest<Body>),
    /// The link lives as long as somebody holds it.
    Link(http2::SendRequest<Body>, Link),
}

pub(crate) struct Connection {
    way: Way,
    /// Named in `Host`; the node's own name where the address is only a way there.
    authority: String,
    key: TlsKey,
}

impl Connection {
    /// Connects to `address` and finds out the other side's key.
    pub(crate) async fn open(address: &Address, authority: String) -> Result<Self, ClientError> {
        let unreachable = |why: String| {
            ClientError::new(Kind::Unreachable, format!("cannot reach {address}: {why}"))
        };
        let dial = TcpStream::connect((address.host.as_str(), address.port));
        let stream = match timeout(DIAL_TIME, dial).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable(format!("no answer within {DIAL_TIME:?}"))),
        };
        // Requests are written whole.
        let _ = stream.set_nodelay(true);
        let (config, proved) =
            trust::config().map_err(|error| ClientError::fault(format!("TLS: {error}")))?;
        let name = ServerName::try_from(address.bare_host().to_owned())
            .map_err(|_| ClientError::new(Kind::Input, format!("`{address}` names no host")))?;
        let tls = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = match timeout(DIAL_TIME, tls).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(unreachable(format!(
                    "it does not speak HTTPS there: {error}"
                )));
            }
            Err(_) => return Err(unreachable("it does not answer to TLS".into())),
        };
        let key = proved
            .key()
            .ok_or_else(|| ClientError::fault("TLS ended without a key"))?;
        let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        // Ends with the sender, at the latest with the runtime of the command.
        drop(tokio::spawn(driver));
        Ok(Self {
            way: Way::Tls(sender),
            authority,
            key,
        })
    }

    /// Links to `node` at `address` with the key of `endpoint`. The handshake proves who is there;
    /// `key`, that of its certificate, is only carried along.
    pub(crate) async fn link(
        endpoint: &Endpoint,
        node: NodeId,
        address: &Address,
        (authority, key): (String, TlsKey),
    ) -> Result<Self, ClientError> {
        let unreachable = |why: String| {
            let message = format!("cannot reach {address} over QUIC: {why}");
            ClientError::new(Kind::Unreachable, message)
        };
        let look = tokio::net::lookup_host((address.host.as_str(), address.port));
        let found = match timeout(DIAL_TIME, look).await {
            Ok(Ok(found)) => found.take(protocol::ADDRESSES_MAX).collect::<Vec<_>>(),
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable("its name is not resolved".into())),
        };
        let to = NodeAddress::new(node, found);
        let dial = async {
            let link = endpoint.connect(&to, Protocol::Files).await?;
            let stream = link.open().await?;
            let (mut sender, driver) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(SESSION_WINDOW_BYTES)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(|error| LinkError::Ended(error.to_string()))?;
            drop(tokio::spawn(driver));
            if sender.ready().await.is_err() {
                return Err(link.closed().await);
            }
            Ok((sender, link))
        };
        let (sender, link) = match timeout(DIAL_TIME, dial).await {
            Ok(Ok(there)) => there,
            Ok(Err(error)) if is_refusal(&error) => return Err(not_taken()),
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable(format!("no answer within {DIAL_TIME:?}"))),
        };
        Ok(Self {
            way: Way::Link(sender, link),
            authority,
            key,
        })
    }

    /// Both sides prove who they are, so no password is sent.
    pub(crate) fn is_link(&self) -> bool {
        matches!(self.way, Way::Link(..))
    }

    pub(crate) fn key(&self) -> TlsKey {
        self.key
    }

    pub(crate) fn is_closed(&self) -> bool {
        match &self.way {
            Way::Tls(sender) => sender.is_closed(),
            Way::Link(sender, link) => sender.is_closed() || link.is_closed(),
        }
    }

    /// Sends a request and waits for the head of its answer; without a bound, because an upload
    /// takes as long as it takes.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, ClientError> {
        let bad_host = || ClientError::fault("a host that cannot be sent");
        let agent = concat!("cumulet/", env!("CARGO_PKG_VERSION"));
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        match &mut self.way {
            Way::Tls(sender) => {
                let host = HeaderValue::from_str(&self.authority).map_err(|_| bad_host())?;
                request.headers_mut().insert(header::HOST, host);
                sender.ready().await.map_err(|error| broken(&error))?;
                let answer = sender.send_request(request).await;
                answer.map_err(|error| broken(&error))
            }
            Way::Link(sender, link) => {
                // RFC 9113 section 8.3.1: scheme and authority are part of the request.
                let mut parts = std::mem::take(request.uri_mut()).into_parts();
                parts.scheme = Some(http::uri::Scheme::HTTPS);
                parts.authority = Some(self.authority.parse().map_err(|_| bad_host())?);
                *request.uri_mut() = http::Uri::from_parts(parts).map_err(|_| bad_host())?;
                let sent = match sender.ready().await {
                    Ok(()) => sender.send_request(request).await,
                    Err(error) => Err(error),
                };
                match sent {
                    Ok(answer) => Ok(answer),
                    // The refusal of the link may still be on its way.
                    Err(error) => match timeout(VERDICT_TIME, link.closed()).await {
                        Ok(end) if is_refusal(&end) => Err(not_taken()),
                        Ok(_) | Err(_) => Err(broken(&error)),
                    },
                }
            }
        }
    }
}

/// The node does not offer files to the key of this device.
fn is_refusal(end: &LinkError) -> bool {
    let code = Some(CloseCode::NotAllowed);
    matches!(end, LinkError::Refused { code: refused, .. } if *refused == code)
}

fn not_taken() -> ClientError {
    let message = "the node does not take the key of this device (any more)";
    ClientError::new(Kind::Refused, message)
        .hint("it was taken back on the account page; sign in again with `cumulet login`")
}

/// The connection ended too early.
pub(crate) fn broken(error: &dyn std::error::Error) -> ClientError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    ClientError::new(
        Kind::Unreachable,
        format!("the connection to the node broke off: {text}"),
    )
    .hint("try again; what has been fetched is kept and continued")
}

/// A whole small answer.
pub(crate) async fn document(
    response: Response<Incoming>,
) -> Result<(StatusCode, Bytes), ClientError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX);
    match timeout(STALL, body.collect()).await {
        Ok(Ok(collected)) => Ok((status, collected.to_bytes())),
        Ok(Err(error)) => Err(broken(&*error)),
        Err(_) => Err(stalled()),
    }
}

/// The next piece of an answer's body.
pub(crate) async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, ClientError> {
    loop {
        let frame = timeout(STALL, Pin::new(&mut *body).frame()).await;
        match frame {
            Err(_) => return Err(stalled()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(broken(&error)),
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

pub(crate) fn stalled() -> ClientError {
    ClientError::new(
        Kind::Unreachable,
        format!("the node has been silent for {} s", STALL.as_secs()),
    )
    .hint("look at the network, then try again")
}
