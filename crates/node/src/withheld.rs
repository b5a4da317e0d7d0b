//! What the HTTP library says by itself is kept back, and our words are said in its place.
//!
//! A head that cannot be read never becomes a request. The library answers it with a bare status
//! and closes at once, so a client that is still sending may be told nothing at all. [`Withheld`]
//! swallows that answer: it is the only thing that the library writes while no answer of ours is
//! under way ([`Pulse::is_silent`]). Then [`Refusal::send`] writes status and words, and reads on for a
//! while, so that the client gets to read them.
//!
//! Left out: garbage behind a request whose answer still waits for its reader. The library puts
//! both into one buffer, and its bare status goes out as it is.

use std::fmt::Write as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::pulse::Pulse;

/// So much is read on after a refusal.
const READ_ON_BYTES_MAX: usize = 8 << 20;
/// How long a client that sends even more has to look up.
const HOLD: Duration = Duration::from_secs(1);
/// Status code within `HTTP/1.1 400 Bad Request`.
const STATUS: std::ops::Range<usize> = 9..12;

/// A connection that keeps back what is no answer of ours.
#[derive(Debug)]
pub(crate) struct Withheld<S> {
    stream: S,
    pulse: Arc<Pulse>,
    status: Option<StatusCode>,
}

impl<S> Withheld<S> {
    pub(crate) fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self {
            stream,
            pulse,
            status: None,
        }
    }

    /// The connection, and the status of the answer that was kept back.
    pub(crate) fn into_parts(self) -> (S, Option<StatusCode>) {
        (self.stream, self.status)
    }

    /// Whether these bytes of the library are to be kept back.
    fn keeps(&mut self, bytes: &[u8]) -> bool {
        if self.status.is_none() && self.pulse.is_silent() {
            let status = bytes.get(STATUS).map(StatusCode::from_bytes);
            self.status = Some(
                status
                    .and_then(Result::ok)
                    .unwrap_or(StatusCode::BAD_REQUEST),
            );
        }
        self.status.is_some()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Withheld<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Withheld<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.keeps(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        if first.is_some_and(|first| self.keeps(first)) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.status.is_some() {
            // The answer is still to come.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What is told about a head that did not become a request.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    words: String,
}

impl Refusal {
    /// For the library's own `status` because of `error`, after so many good requests.
    pub(crate) fn unreadable(
        status: StatusCode,
        error: Option<&hyper::Error>,
        requests_before: usize,
    ) -> Self {
        let place = match requests_before {
            0 => "this request".to_owned(),
            before => format!(
                "what came after request number {before} of this connection, whose body was perhaps \
                 longer than its Content-Length"
            ),
        };
        let words = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => format!(
                "Cumulet cannot take {place}: its first line and headers are longer than {} KiB or \
                 more than {} lines. Send fewer or shorter headers; cookies are often the \
                 longest.\n",
                crate::connection::BUFFER_BYTES_MAX >> 10,
                crate::connection::HEADERS_MAX,
            ),
            StatusCode::URI_TOO_LONG => format!(
                "Cumulet cannot take {place}: its address is longer than 65534 bytes. Shorten the \
                 address.\n"
            ),
            _ => format!(
                "Cumulet cannot read {place}: {}. Nothing of it was carried out. Correct the \
                 program that sent it, or a proxy on the way, and send it on a new connection.\n",
                cause(error)
            ),
        };
        Self { status, words }
    }

    /// For a head that did not end within its time.
    pub(crate) fn too_slow(patience: Duration) -> Self {
        let words = format!(
            "The first line and headers of this request did not arrive within {} s. Send it \
             again on a new connection.\n",
            patience.as_secs_f32()
        );
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            words,
        }
    }

    fn bytes(&self) -> String {
        let mut answer = String::with_capacity(512);
        let reason = self.status.canonical_reason().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(answer, "HTTP/1.1 {} {reason}\r\n", self.status.as_u16());
        answer.push_str("content-type: text/plain; charset=utf-8\r\n");
        answer.push_str("x-content-type-options: nosniff\r\ncache-control: no-store\r\n");
        let _ = write!(answer, "content-length: {}\r\n", self.words.len());
        let date = httpdate::fmt_http_date(SystemTime::now());
        let _ = write!(answer, "date: {date}\r\nconnection: close\r\n\r\n");
        answer + &self.words
    }

    /// Answers, ends the node's half of the connection, and reads on until the client has ended its
    /// own, at most for `linger`.
    pub(crate) async fn send<S>(
        self,
        mut stream: S,
        linger: Duration,
        stop: &CancellationToken,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let told = async {
            stream.write_all(self.bytes().as_bytes()).await?;
            stream.flush().await?;
            stream.shutdown().await?;
            read_on(&mut stream).await
        };
        tokio::select! {
            told = timeout(linger, told) => told.unwrap_or(Ok(())),
            () = stop.cancelled() => Ok(()),
        }
    }
}

/// What is wrong with a head, for the person who made it.
fn cause(error: Option<&hyper::Error>) -> &'static str {
    let said = error.map(ToString::to_string).unwrap_or_default();
    let causes = [
        (
            "content-length",
            "its Content-Length is no number, is too large, or comes twice with different values",
        ),
        (
            "transfer-encoding",
            "its Transfer-Encoding is another than `chunked`, or it comes in HTTP/1.0",
        ),
        (
            "method",
            "its first line does not begin with a method like GET",
        ),
        (
            "version",
            "its first line does not end with HTTP/1.1 or HTTP/1.0",
        ),
        (
            "URI",
            "the address in its first line has a character that must be percent-encoded, such as \
             `#`",
        ),
        ("header", "one of its header lines is not `Name: value`"),
    ];
    let known = causes.iter().find(|(sign, _)| said.contains(sign));
    known.map_or("it is not HTTP/1.1 (RFC 9112)", |(_, words)| words)
}

async fn read_on(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    let mut read = 0;
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            length => read += length,
        }
        if read > READ_ON_BYTES_MAX {
            tokio::time::sleep(HOLD).await;
            return Ok(());
        }
    }
}
