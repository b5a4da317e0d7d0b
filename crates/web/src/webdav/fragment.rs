//! Refuses requests whose target carries a fragment.
//!
//! `DELETE /folder/#note HTTP/1.1` is no request (RFC 9112 section 3.2), but our HTTP library cuts
//! the fragment off and hands `/folder/` on (`PathAndQuery` of the crate `http`), and a mistyped
//! address would delete the folder around it. So the bytes of each request's head are looked at
//! before the library sees them: a `#` in the target becomes a byte that it must refuse. Over
//! HTTP/1 the answer is 400; over HTTP/2 the stream is reset with PROTOCOL_ERROR, as RFC 9113
//! section 8.1.1 asks of a malformed request.
//!
//! Invariant: content is never touched. Over HTTP/1 a line is looked at only when the body of the
//! request before it has ended or was given up, so what comes next begins a request. Over HTTP/2
//! [`http2`] finds the heads among the frames and [`hpack`] the target in them.

mod hpack;
mod http2;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use http2::{Frames, PREFACE};

/// DEL: in no request target (RFC 3986 section 2), refused by every parser.
const REFUSED: u8 = 0x7F;

/// A connection that looks at the targets of its requests.
#[derive(Debug)]
pub struct FragmentGuard<C> {
    connection: C,
    line: RequestLine,
    protocol: Protocol,
}

/// Which protocol the client speaks.
#[derive(Debug)]
enum Protocol {
    /// So many of the first bytes are those of HTTP/2.
    Open(usize),
    Http1,
    Http2(Box<Frames>),
}

/// Tells the guard of its connection when the next request line begins.
#[derive(Debug, Clone)]
pub struct RequestLine {
    expected: Arc<AtomicBool>,
}

impl<C> FragmentGuard<C> {
    /// Guards a fresh connection. Every request of it must go through [`RequestLine::watch`].
    pub fn new(connection: C) -> (Self, RequestLine) {
        let line = RequestLine {
            expected: Arc::new(AtomicBool::new(true)),
        };
        let guard = Self {
            connection,
            line: line.clone(),
            protocol: Protocol::Open(0),
        };
        (guard, line)
    }

    /// The connection that it guarded.
    pub fn into_inner(self) -> C {
        self.connection
    }
}

impl<C> FragmentGuard<C> {
    /// Looks at bytes that were just read.
    fn look(&mut self, mut bytes: &mut [u8]) {
        if let Protocol::Open(matched) = self.protocol {
            let wanted = &PREFACE[matched..];
            let length = wanted.len().min(bytes.len());
            if bytes[..length] != wanted[..length] {
                // What went through already is the beginning of the preface, so without a `#`.
                self.protocol = Protocol::Http1;
            } else if length < wanted.len() {
                self.protocol = Protocol::Open(matched + length);
                return;
            } else {
                self.protocol = Protocol::Http2(Box::new(Frames::new()));
                bytes = &mut bytes[length..];
            }
        }
        match &mut self.protocol {
            Protocol::Open(_) => {}
            Protocol::Http1 => self.line.look(bytes),
            Protocol::Http2(frames) => frames.look(bytes),
        }
    }
}

impl RequestLine {
    /// Watches for the end of a request's body.
    pub fn watch<B>(&self, request: Request<B>) -> Request<Watched<B>> {
        let http1 = request.version() <= Version::HTTP_11;
        request.map(|body| Watched {
            body,
            line: http1.then(|| self.clone()),
        })
    }

    fn begin(&self) {
        self.expected.store(true, Ordering::Release);
    }

    /// Looks at bytes that were just read.
    fn look(&self, bytes: &mut [u8]) {
        if !self.expected.load(Ordering::Acquire) {
            return;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        if end.is_some() {
            self.expected.store(false, Ordering::Release);
        }
        let end = end.unwrap_or(bytes.len());
        let line = &mut bytes[..end];
        if let Some(fragment) = line.iter_mut().find(|byte| **byte == b'#') {
            *fragment = REFUSED;
            self.expected.store(false, Ordering::Release);
        }
    }
}

/// A request's body that tells its end.
#[derive(Debug)]
pub struct Watched<B> {
    body: B,
    line: Option<RequestLine>,
}

impl<B> Watched<B> {
    fn ended(&mut self) {
        if let Some(line) = self.line.take() {
            line.begin();
        }
    }
}

impl<B> Drop for Watched<B> {
    fn drop(&mut self) {
        self.ended();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for FragmentGuard<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.connection).poll_read(context, buffer))?;
        if let Some(new) = buffer.filled_mut().get_mut(before..) {
            self.look(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for FragmentGuard<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn read(guard: &mut FragmentGuard<tokio::io::DuplexStream>) -> Vec<u8> {
        let mut bytes = vec![0; 256];
        let length = guard.read(&mut bytes).await.unwrap();
        bytes.truncate(length);
        bytes
    }

    #[tokio::test]
    async fn a_fragment_in_a_request_line_is_made_unreadable() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (mut guard, _) = FragmentGuard::new(server);
        client.write_all(b"DELETE /a/").await.unwrap();
        assert_eq!(read(&mut guard).await, b"DELETE /a/");
        client
            .write_all(b"#b HTTP/1.1\r\nX: #\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(read(&mut guard).await, b"\x7Fb HTTP/1.1\r\nX: #\r\n\r\n");
    }

    #[tokio::test]
    async fn content_is_never_touched_and_the_next_line_is_looked_at() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (mut guard, line) = FragmentGuard::new(server);
        client.write_all(b"PUT /a HTTP/1.1\r\n\r\n").await.unwrap();
        read(&mut guard).await;
        let request = Request::new(Full::new(Bytes::from_static(b"x")));
        let mut request = line.watch(request);
        client.write_all(b"DELETE /b#c HTTP/1.1\r\n").await.unwrap();
        assert_eq!(read(&mut guard).await, b"DELETE /b#c HTTP/1.1\r\n");
        // Now the body has been read to its end.
        while request.body_mut().frame().await.is_some() {}
        client.write_all(b"DELETE /b#c HTTP/1.1\r\n").await.unwrap();
        assert_eq!(read(&mut guard).await, b"DELETE /b\x7Fc HTTP/1.1\r\n");
    }

    #[tokio::test]
    async fn over_http_2_only_the_target_is_looked_at() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (mut guard, line) = FragmentGuard::new(server);
        let (one, two) = PREFACE.split_at(9);
        client.write_all(one).await.unwrap();
        assert_eq!(read(&mut guard).await, one);
        // The rest of the preface, a head with `:path` and `x: #`, and content.
        let rest = |path: &[u8]| {
            let head = [b"\x44\x04", path, b"\x40\x01x\x01#"].concat();
            let length = u8::try_from(head.len()).unwrap();
            [
                two,
                &[0, 0, length, 1, 4, 0, 0, 0, 1],
                &head,
                &[0, 0, 1, 0, 1, 0, 0, 0, 1, b'#'],
            ]
            .concat()
        };
        client.write_all(&rest(b"/a/#")).await.unwrap();
        assert_eq!(read(&mut guard).await, rest(b"/a/>"));
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.version_mut() = Version::HTTP_2;
        drop(line.watch(request));
        client.write_all(b"\0\0\x01\0\0\0\0\0\x01#").await.unwrap();
        assert_eq!(read(&mut guard).await, b"\0\0\x01\0\0\0\0\0\x01#");
    }
}
