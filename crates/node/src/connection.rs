//! One accepted connection: TLS or plain by its first byte, HTTP/2 or HTTP/1.1 by ALPN, then
//! requests until it is idle, broken or the node stops.
//!
//! On the HTTPS port a first byte of 22 is a TLS handshake (RFC 8446 section 5.1); anything else
//! is answered as plain HTTP with one redirect and closed. Every wait is bounded by
//! [`Patience`]. A handler that panics costs its own request, answered with 500.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::lan::{Door, Network};
use crate::limits::Limits;
use crate::multiplex::{Begun, Multiplexed};
#[cfg(feature = "http")]
use crate::plain;
use crate::pulse::{AnswerBody, Patience, Pulse, RequestBody, Verdict, Watched};
use crate::withheld::{Refusal, Withheld};

/// ContentType `handshake` of a TLS record.
const TLS_HANDSHAKE: u8 = 22;

/// HTTP/1: the head of a request and each of the two buffers are bounded by this.
pub(crate) const BUFFER_BYTES_MAX: usize = 256 << 10;
/// HTTP/1: header lines of a request; the library's own bound.
pub(crate) const HEADERS_MAX: usize = 100;
/// A plain request on the TLS port needs to be read only as far as its Host.
const REDIRECT_HEAD_BYTES_MAX: usize = 16 << 10;
/// HTTP/2: one upload may have this much under way; covers 1 Gbit/s at 8 ms.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// HTTP/2: all uploads of one connection together.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// HTTP/2: the largest frame taken; larger ones mean fewer turns for big files.
const FRAME_BYTES_MAX: u32 = 64 << 10;
/// HTTP/2: requests at once on one connection.
const STREAMS_MAX: u32 = 100;
const HEADER_LIST_BYTES_MAX: u32 = 64 << 10;

/// What all connections of a node share.
pub(crate) struct Entrance {
    /// Answers requests.
    pub(crate) router: axum::Router,
    /// For the HTTPS port.
    pub(crate) tls: TlsAcceptor,
    /// Its real port, for redirects of clients that do not name one.
    pub(crate) https_port: u16,
    /// Refreshed while the node runs.
    pub(crate) network: RwLock<Arc<Network>>,
    /// Counts connections.
    pub(crate) limits: Arc<Limits>,
    /// Bounds every wait.
    pub(crate) patience: Patience,
}

impl Entrance {
    pub(crate) fn network(&self) -> Arc<Network> {
        Arc::clone(&self.network.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_network(&self, network: Network) {
        *self.network.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(network);
    }
}

/// Serves one connection to its end. `stop` lets the running requests finish and takes no more.
pub(crate) async fn serve(
    entrance: Arc<Entrance>,
    stream: TcpStream,
    peer: SocketAddr,
    door: Door,
    stop: CancellationToken,
) {
    // Answers are written whole; waiting to fill a segment only delays small ones.
    let _ = stream.set_nodelay(true);
    let end = match door {
        #[cfg(feature = "http")]
        Door::Http => plain::talk(&entrance, stream, peer, stop).await,
        // `Config::check` lets nobody open that door.
        #[cfg(not(feature = "http"))]
        Door::Http => Ok(()),
        Door::Https => {
            let greeted = tokio::select! {
                greeted = greet(&entrance, stream) => greeted,
                () = stop.cancelled() => Ok(None),
            };
            match greeted {
                Err(error) => Err(error.into()),
                Ok(None) => Ok(()),
                Ok(Some(stream)) => {
                    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    // Boxed, so that a connection that only waits is small.
                    Box::pin(talk(&entrance, stream, peer, is_h2, stop)).await
                }
            }
        }
    };
    if let Err(error) = end {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

pub(crate) type End = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The TLS session of a new connection; `None` if it was something else and is dealt with.
async fn greet(
    entrance: &Arc<Entrance>,
    stream: TcpStream,
) -> Result<Option<TlsStream<TcpStream>>, io::Error> {
    let handshake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Ok(None);
        }
        if first[0] != TLS_HANDSHAKE {
            redirect(entrance, stream).await?;
            return Ok(None);
        }
        entrance.tls.accept(stream).await.map(Some)
    };
    timeout(entrance.patience.header, handshake).await?
}

/// Plain HTTP on the TLS port: one answer, `308 Permanent Redirect` to the same place by https.
async fn redirect(entrance: &Arc<Entrance>, stream: TcpStream) -> Result<(), io::Error> {
    let https_port = entrance.https_port;
    let pulse = Pulse::new(false);
    let service = {
        let pulse = Arc::clone(&pulse);
        service_fn(move |request: Request<Incoming>| {
            let in_flight = pulse.request();
            let answer = redirect_answer(
                request.headers().get(header::HOST),
                request.uri(),
                https_port,
            );
            let answer = answer.map(|body| AnswerBody::new(body, in_flight));
            async move { Ok::<_, Infallible>(answer) }
        })
    };
    let io = Withheld::new(stream, Arc::clone(&pulse));
    let mut library = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(entrance.patience.header)
        .keep_alive(false)
        .max_buf_size(REDIRECT_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Watched::new(io, Arc::clone(&pulse))), service);
    let end = (&mut library).await;
    let connection = library.into_parts().io.into_inner().into_inner();
    let (stream, Some(status)) = connection.into_parts() else {
        return end.map_err(io::Error::other);
    };
    let refusal = Refusal::unreadable(status, end.as_ref().err(), 0);
    // The caller bounds the time of it all.
    let never = CancellationToken::new();
    refusal.send(stream, web::LINGER, &never).await
}

fn redirect_answer(
    host: Option<&HeaderValue>,
    uri: &http::Uri,
    https_port: u16,
) -> Response<String> {
    let authority = host
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.parse::<http::uri::Authority>().ok())
        .filter(|authority| !authority.as_str().contains('@'));
    let mut answer = Response::new(String::new());
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    let Some(authority) = authority else {
        *answer.body_mut() = "This port speaks HTTPS; a request needs a Host.\n".into();
        return answer;
    };
    let authority = match authority.port_u16() {
        Some(_) => authority.to_string(),
        None => format!("{}:{https_port}", authority.host()),
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if let Ok(location) = HeaderValue::try_from(format!("https://{authority}{path}")) {
        *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
        answer.headers_mut().insert(header::LOCATION, location);
        *answer.body_mut() = "This port speaks HTTPS.\n".into();
    }
    answer
}

/// Requests and answers over TLS until the end.
async fn talk<S>(
    entrance: &Arc<Entrance>,
    stream: S,
    peer: SocketAddr,
    is_h2: bool,
    stop: CancellationToken,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pulse = Pulse::new(is_h2);
    let (stream, request_line) = web::FragmentGuard::new(stream);
    let service = {
        let (entrance, pulse) = (Arc::clone(entrance), Arc::clone(&pulse));
        service_fn(move |request| {
            answer(
                Arc::clone(&entrance),
                Arc::clone(&pulse),
                request_line.watch(request),
                peer,
                Door::Https,
            )
        })
    };
    if is_h2 {
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&pulse)));
        let begun = Begun::default();
        let connection = http2(begun.clone()).serve_connection(io, service);
        let mut connection = Multiplexed::new(connection, begun);
        let close = |multiplexed: Pin<&mut &mut Multiplexed<_>>| {
            if let Some(connection) = multiplexed.get_mut().connection() {
                hyper::server::conn::http2::Connection::graceful_shutdown(connection);
            }
        };
        let end = watch(&mut connection, close, &pulse, entrance.patience, stop).await;
        connection.finish().await;
        end?;
        return Ok(());
    }
    let stream = Withheld::new(stream, Arc::clone(&pulse));
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&pulse)));
    let mut library = http1().serve_connection(io, service);
    let end = watch(
        &mut library,
        |library| Pin::new(&mut **library.get_mut()).graceful_shutdown(),
        &pulse,
        entrance.patience,
        stop.clone(),
    )
    .await;
    let (stream, status) = library
        .into_parts()
        .io
        .into_inner()
        .into_inner()
        .into_parts();
    say_why(stream, status, end, &pulse, entrance.patience, &stop).await
}

/// Tells the client why a head of its did not become a request, if that is how the library ended.
pub(crate) async fn say_why<S>(
    stream: S,
    withheld: Option<StatusCode>,
    end: Result<Ended, hyper::Error>,
    pulse: &Pulse,
    patience: Patience,
    stop: &CancellationToken,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(status) = withheld {
        let refusal = Refusal::unreadable(status, end.as_ref().err(), pulse.requests());
        refusal.send(stream, web::LINGER, stop).await?;
    } else if let Ok(Ended::SlowHead) = end {
        // It had its time; what is left is to read the answer.
        let refusal = Refusal::too_slow(patience.header);
        refusal.send(stream, patience.header / 5, stop).await?;
    }
    end?;
    Ok(())
}

/// How HTTP/2 is spoken.
fn http2(begun: Begun) -> hyper::server::conn::http2::Builder<Begun> {
    let mut builder = hyper::server::conn::http2::Builder::new(begun);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_send_buf_size(BUFFER_BYTES_MAX);
    builder
}

/// How HTTP/1 is spoken.
pub(crate) fn http1() -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // `Pulse` bounds the head; hyper's own clock would run between requests too.
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX)
        .writev(true);
    builder
}

/// How the library's part of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// In order, or cut because nobody read.
    Over,
    /// A request's head did not come to its end; nothing was answered.
    SlowHead,
}

/// Drives `connection` and closes it when its pulse or `stop` says so.
pub(crate) async fn watch<C>(
    connection: C,
    close: impl Fn(Pin<&mut C>),
    pulse: &Pulse,
    patience: Patience,
    stop: CancellationToken,
) -> Result<Ended, hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut connection = std::pin::pin!(connection);
    let mut closing = false;
    let mut pause = patience.header / 5;
    loop {
        tokio::select! {
            end = &mut connection => return end.map(|()| Ended::Over),
            () = stop.cancelled(), if !closing => {
                closing = true;
                close(connection.as_mut());
            }
            () = tokio::time::sleep(pause) => match pulse.verdict(patience) {
                Verdict::Fine(again) => pause = again,
                Verdict::Idle if closing => return Ok(Ended::Over),
                Verdict::Idle => {
                    closing = true;
                    close(connection.as_mut());
                }
                Verdict::SlowHead => return Ok(Ended::SlowHead),
                Verdict::Stalled => return Ok(Ended::Over),
            },
        }
    }
}

pub(crate) async fn answer(
    entrance: Arc<Entrance>,
    pulse: Arc<Pulse>,
    mut request: Request<web::Watched<Incoming>>,
    peer: SocketAddr,
    door: Door,
) -> Result<Response<AnswerBody<Body>>, Infallible> {
    let mut in_flight = pulse.request();
    let origin = entrance.network().place(door, peer.ip(), request.headers());
    request.extensions_mut().insert(web::Connection {
        peer: SocketAddr::new(origin.address, peer.port()),
        place: origin.place,
        tls: door == Door::Https || origin.forwarded_tls,
        friend: None,
    });
    let request = request.map(|body| Body::new(RequestBody::new(body, entrance.patience.stall)));
    let handled = std::panic::AssertUnwindSafe(entrance.router.clone().call(request))
        .catch_unwind()
        .await;
    let response = match handled {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            tracing::error!(%peer, "a request handler panicked; this is a fault of Cumulet");
            let mut response = Response::new(Body::from(
                "Cumulet failed on this request; it is logged on the node.\n",
            ));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    };
    in_flight.answered();
    Ok(response.map(|body| AnswerBody::new(body, in_flight)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(host: Option<&str>, target: &str) -> (u16, String) {
        let host = host.map(|h| HeaderValue::from_str(h).unwrap());
        let answer = redirect_answer(host.as_ref(), &target.parse().unwrap(), 8443);
        let location = answer.headers().get(header::LOCATION);
        (
            answer.status().as_u16(),
            location.map_or(String::new(), |l| l.to_str().unwrap().into()),
        )
    }

    #[test]
    fn plain_http_is_sent_to_https_on_the_same_port() {
        let check = |host, target, expected: &str| {
            assert_eq!(location(Some(host), target), (308, expected.into()))
        };
        check(
            "home.local:9443",
            "/dav/files?x=1",
            "https://home.local:9443/dav/files?x=1",
        );
        check("home.local", "/", "https://home.local:8443/");
        check("[::1]:8443", "/a%20b", "https://[::1]:8443/a%20b");
    }

    #[test]
    fn a_redirect_never_leads_to_a_made_up_place() {
        assert_eq!(location(None, "/").0, 400);
        assert_eq!(location(Some("evil.example/x"), "/").0, 400);
        assert_eq!(location(Some("home@evil.example"), "/").0, 400);
    }
}
