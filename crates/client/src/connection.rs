//! One HTTPS connection to a node, with the key that it has proved to hold.

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
use hyper_util::rt::TokioIo;
use protocol::TlsKey;
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
/// A document of the API.
const DOCUMENT_BYTES_MAX: usize = 8 << 20;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A body in memory.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

pub(crate) struct Connection {
    sender: SendRequest<Body>,
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
            sender,
            authority,
            key,
        })
    }

    pub(crate) fn key(&self) -> TlsKey {
        self.key
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request and waits for the head of its answer; without a bound, because an upload
    /// takes as long as it takes.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, ClientError> {
        let host = HeaderValue::from_str(&self.authority)
            .map_err(|_| ClientError::fault("a host that cannot be sent"))?;
        request.headers_mut().insert(header::HOST, host);
        let agent = concat!("cumulet/", env!("CARGO_PKG_VERSION"));
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        self.sender.ready().await.map_err(|error| broken(&error))?;
        self.sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))
    }
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
