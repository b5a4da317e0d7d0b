//! What becomes of a request's body that nobody read to its end.
//!
//! A client that is still sending when its connection or stream is reset may lose the answer that
//! came before: TCP throws away what the client has not read yet, and over HTTP/2 some versions of
//! curl take RST_STREAM (NO_ERROR, RFC 9113 section 8.1) for a failure, whatever came before it.
//! So a request lends its body to the handler, gets back what is left, and reads on beside the
//! answer: first as much as a client may send that looks up only when it is done, then nothing
//! more for [`HOLD`], so that flow control stops a longer one while it reads the answer. All ends
//! after [`LINGER`]; then the body is let go, and hyper ends stream or connection.
//!
//! Nothing is kept of what is read. A client that waits for `100 Continue` and did not get it
//! sends nothing that could be in the way (RFC 9110 section 10.1.1).

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

/// Longest time from the answer to the end of its stream or connection.
pub const LINGER: Duration = Duration::from_secs(15);
/// How long a client whose body is longer than that has to look up.
const HOLD: Duration = Duration::from_secs(1);
/// How much is read for somebody who is known here: more than a connection's window.
const KNOWN_BYTES_MAX: usize = 32 << 20;
/// How much is read for strangers.
const STRANGER_BYTES_MAX: usize = 8 << 20;

/// Where a lent body comes back to.
pub(crate) struct Unread {
    back: Arc<Mutex<Option<Body>>>,
}

impl Unread {
    /// Lends out the body of a request with `headers`.
    pub(crate) fn lend(headers: &HeaderMap, body: Body) -> (Self, Body) {
        let back = Arc::new(Mutex::new(None));
        if http_body::Body::is_end_stream(&body) {
            return (Self { back }, body);
        }
        let lent = Lent {
            body: Some(body),
            begun: false,
            back: Arc::clone(&back),
            waits: headers.contains_key(EXPECT),
        };
        (Self { back }, Body::new(lent))
    }

    /// Reads on in what came back, while the answer is on its way. The task ends with its
    /// connection, or when its time is over.
    pub(crate) fn read_on(self, is_known: bool) {
        let back = self
            .back
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(body) = back {
            let bytes_max = if is_known {
                KNOWN_BYTES_MAX
            } else {
                STRANGER_BYTES_MAX
            };
            drop(tokio::spawn(linger(body, bytes_max)));
        }
    }
}

async fn linger(mut body: Body, bytes_max: usize) {
    let read = async {
        let mut left = bytes_max;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(less) = left.checked_sub(length) else {
                tokio::time::sleep(HOLD).await;
                return;
            };
            left = less;
        }
    };
    let _ = tokio::time::timeout(LINGER, read).await;
}

/// A body that goes back when it is dropped before its end.
struct Lent {
    /// `None` once it came to an end of any kind.
    body: Option<Body>,
    begun: bool,
    waits: bool,
    back: Arc<Mutex<Option<Body>>>,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        this.begun = true;
        let next = ready!(Pin::new(&mut *body).poll_frame(context));
        let is_over = !matches!(next, Some(Ok(_))) || body.is_end_stream();
        if is_over {
            this.body = None;
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body
            .as_ref()
            .is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.waits && !self.begun {
            return;
        }
        let mut back = self.back.lock().unwrap_or_else(PoisonError::into_inner);
        *back = self.body.take();
    }
}
