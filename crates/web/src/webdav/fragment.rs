//! Refuses request lines that carry a fragment.
//!
//! `DELETE /folder/#note HTTP/1.1` is no request (RFC 9112 section 3.2), but our HTTP library cuts
//! the fragment off and hands `/folder/` on, and a mistyped address would delete the folder around
//! it. So the bytes of each request line are looked at before the library sees them: a `#` becomes a
//! byte that it must refuse with 400.
//!
//! Invariant: content is never touched. A line is looked at only when the body of the request before
//! it has ended or was given up, so what comes next begins a request. HTTP/2 packs its heads so that
//! they cannot be looked at here, and is left alone: a client that put a fragment into `:path` (RFC
//! 9113 section 8.3.1 forbids it, none is known) would name the folder before it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// DEL: in no request target (RFC 3986 section 2), refused by every parser.
const REFUSED: u8 = 0x7F;

/// A connection that looks at its request lines.
#[derive(Debug)]
pub struct FragmentGuard<C> {
    connection: C,
    line: RequestLine,
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
        };
        (guard, line)
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
            self.line.look(new);
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
    async fn http_2_is_left_alone() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (mut guard, line) = FragmentGuard::new(server);
        client
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        read(&mut guard).await;
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.version_mut() = Version::HTTP_2;
        drop(line.watch(request));
        client.write_all(b"\0#\0").await.unwrap();
        assert_eq!(read(&mut guard).await, b"\0#\0");
    }
}
