//! A big file over plain HTTP/1.1, sent by the kernel from its own memory (`sendfile`).
//!
//! Our HTTP library has no body that is a file. So it never learns of such an answer: the service
//! keeps the [`Download`] and ends with [`HandedOver`], which ends the library's part of the
//! connection before it has written anything for this request. The connection then sends head and
//! file by itself and starts the library again for the next request (`plain`). No content passes
//! through the library, so none can be mixed up in it.
//!
//! Invariants: only a GET of HTTP/1.1 without a body, answered with [`web::FileRange`], is handed over,
//! and not before every earlier answer has left the library's buffer ([`Pulse::all_flushed`]). Head
//! and length are those that the library would send. A file that is shorter than announced, a client that
//! stops reading and a failed read close the connection short of the length, so that no client takes
//! a part for the whole (docs/decisions/0011).

use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use http::{HeaderMap, Method, Request, Response, Version, header};
use rustix::io::ReadWriteFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::pulse::{AnswerBody, InFlight, Pulse};

/// Smaller content is not worth a new start of the library.
const LENGTH_MIN: u64 = 1 << 20;
/// Bytes that the kernel is asked to send at once.
const PIECE_BYTES: u64 = 1 << 20;
/// The same where the kernel cannot, and we read.
const COPIED_BYTES: u64 = 256 << 10;
/// After so many bytes other connections get their turn.
const TURN_BYTES: u64 = 8 << 20;

/// Ends the library's part of a connection; see the top.
#[derive(Debug, thiserror::Error)]
#[error("the answer is sent without the HTTP library")]
pub(crate) struct HandedOver;

/// What a request must be for its answer to be handed over; noted before it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Eligible {
    close: bool,
}

impl Eligible {
    pub(crate) fn of<B: http_body::Body>(request: &Request<B>) -> Option<Self> {
        let headers = request.headers();
        let plain = request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && request.body().is_end_stream()
            && !headers.contains_key(header::EXPECT)
            && !headers.contains_key(header::UPGRADE);
        let connection = headers.get_all(header::CONNECTION);
        let close = connection.iter().any(|value| {
            let options = value.to_str().unwrap_or("close").split(',');
            options
                .into_iter()
                .any(|option| option.trim().eq_ignore_ascii_case("close"))
        });
        plain.then_some(Self { close })
    }
}

/// An answer that waits to be sent.
pub(crate) struct Download {
    head: String,
    range: web::FileRange,
    /// The client wants no more requests on this connection.
    pub(crate) close: bool,
    _in_flight: InFlight,
}

/// Where the service leaves a download for its connection.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Download>>>);

impl Slot {
    pub(crate) fn put(&self, download: Download) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(download);
    }

    pub(crate) fn take(&self) -> Option<Download> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Takes the answer over if it is a big range of a file; else gives it back.
pub(crate) fn take_over(
    eligible: Eligible,
    mut response: Response<AnswerBody<Body>>,
) -> Result<Download, Box<Response<AnswerBody<Body>>>> {
    let Some(range) = response.extensions_mut().remove::<web::FileRange>() else {
        return Err(Box::new(response));
    };
    let length = range.span().end - range.span().start;
    let told = response.headers().get(header::CONTENT_LENGTH);
    let told = told.and_then(|value| value.to_str().ok()?.parse().ok());
    if length < LENGTH_MIN || told != Some(length) {
        return Err(Box::new(response));
    }
    let (parts, body) = response.into_parts();
    Ok(Download {
        head: head(parts.status, &parts.headers, eligible.close),
        range,
        close: eligible.close,
        _in_flight: body.into_in_flight(),
    })
}

/// Status line and headers (RFC 9112 sections 4 and 5), as the library writes them. Values that are no
/// text are left out; we make none.
fn head(status: http::StatusCode, headers: &HeaderMap, close: bool) -> String {
    let mut head = String::with_capacity(1024);
    let reason = status.canonical_reason().unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = write!(head, "HTTP/1.1 {} {reason}\r\n", status.as_u16());
    for (name, value) in headers {
        if let Ok(value) = value.to_str() {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    if close {
        head.push_str("connection: close\r\n");
    }
    let date = httpdate::fmt_http_date(SystemTime::now());
    let _ = write!(head, "date: {date}\r\n\r\n");
    head
}

impl Download {
    /// Sends head and content. An error leaves the client with less than it was told; the caller
    /// closes the connection then.
    pub(crate) async fn send(
        self,
        stream: &Arc<TcpStream>,
        pulse: &Pulse,
        stall: Duration,
    ) -> io::Result<()> {
        let mut way = Way {
            stream,
            pulse,
            stall,
        };
        way.bytes(self.head.as_bytes()).await?;
        let (mut at, end) = (self.range.span().start, self.range.span().end);
        let mut turn = 0;
        while at < end {
            let sent = way
                .piece(&self.range, at, end.min(at + PIECE_BYTES))
                .await?;
            at += sent;
            turn += sent;
            if turn >= TURN_BYTES {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
        self.range.finished();
        Ok(())
    }
}

/// The way to one client.
struct Way<'a> {
    stream: &'a Arc<TcpStream>,
    pulse: &'a Pulse,
    stall: Duration,
}

impl Way<'_> {
    /// Waits until the client takes more.
    async fn writable(&self) -> io::Result<()> {
        timeout(self.stall, self.stream.writable()).await?
    }

    /// Notes what an attempt to send came to; `None` = the client has to read first.
    fn note(&self, sent: io::Result<usize>) -> io::Result<Option<usize>> {
        match sent {
            Ok(sent) => {
                self.pulse.bytes_written();
                Ok(Some(sent))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.pulse.write_blocked();
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.writable().await?;
            if let Some(sent) = self.note(self.stream.try_write(bytes))? {
                bytes = bytes.get(sent..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// The same on a file system that cannot send.
    async fn copied(&mut self, range: &web::FileRange, start: u64, end: u64) -> io::Result<u64> {
        let length = (end - start).min(COPIED_BYTES);
        let file = Arc::clone(range.file());
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            file.read_exact_at(&mut bytes, start)?;
            Ok::<_, io::Error>(bytes)
        });
        self.bytes(&read.await??).await?;
        Ok(length)
    }

    /// Sends some of a piece of the file; gives how many bytes.
    async fn piece(&mut self, range: &web::FileRange, start: u64, end: u64) -> io::Result<u64> {
        loop {
            self.writable().await?;
            let sent = if is_cached(range.file(), start, end) {
                send_file(self.stream, range.file(), start, end)
            } else {
                // It waits for the disk, so not on this thread.
                let (stream, file) = (Arc::clone(self.stream), Arc::clone(range.file()));
                tokio::task::spawn_blocking(move || send_file(&stream, &file, start, end)).await?
            };
            if sent.as_ref().is_err_and(is_unable) {
                return self.copied(range, start, end).await;
            }
            match self.note(sent)? {
                Some(0) => {
                    let why = format!("the file ends at byte {start}, before its announced end");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
                }
                Some(sent) => return Ok(sent as u64),
                None => {}
            }
        }
    }
}

/// The file system cannot do it.
fn is_unable(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
    )
}

/// One `sendfile`; 0 = the file ends here.
fn send_file(stream: &TcpStream, file: &std::fs::File, start: u64, end: u64) -> io::Result<usize> {
    let mut offset = start;
    let length = usize::try_from(end - start).unwrap_or(usize::MAX);
    stream.try_io(Interest::WRITABLE, || {
        Ok(rustix::fs::sendfile(
            stream,
            file,
            Some(&mut offset),
            length,
        )?)
    })
}

/// True if both ends of a piece are in the kernel's memory, as all between them is then after reading
/// ahead. If it is not, this thread waits for the disk once.
fn is_cached(file: &std::fs::File, start: u64, end: u64) -> bool {
    let is_there = |at: u64| {
        let mut byte = [0];
        let mut room = [io::IoSliceMut::new(&mut byte)];
        let read = rustix::io::preadv2(file, &mut room, at, ReadWriteFlags::NOWAIT);
        // The end of the file needs no disk.
        read.is_ok()
    };
    is_there(start) && is_there(end - 1)
}
