//! The signs of life of one connection, and how long each may be missing.
//!
//! [`Watched`] wraps the connection's bytes and notes when they move; [`Pulse::verdict`] is a pure
//! function of those notes and the time. It tells apart an unused connection, a request head
//! that drips in, and a client that stopped reading, from a handler that takes its time (which
//! may last: a copy of a terabyte answers when it is done).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// How long each sign of life may be missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) header: Duration,
    pub(crate) idle: Duration,
    pub(crate) stall: Duration,
}

/// What to do with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Look again after this time.
    Fine(Duration),
    /// Nobody uses it: close in order.
    Idle,
    /// A request's head that does not end: refuse it.
    SlowHead,
    /// A reader that does not read: cut.
    Stalled,
}

/// Notes in milliseconds since the connection began; 0 = not now.
#[derive(Debug)]
pub(crate) struct Pulse {
    begun: Instant,
    /// Requests so far.
    requests: AtomicUsize,
    /// Requests whose answer has not been sent whole.
    in_flight: AtomicUsize,
    /// Of these, the ones whose handler has not answered yet.
    working: AtomicUsize,
    moved_ms: AtomicU64,
    head_since_ms: AtomicU64,
    blocked_since_ms: AtomicU64,
    /// An answer has ended, and the HTTP library's buffer may still hold bytes of it.
    unflushed: AtomicBool,
    flushed: Notify,
    /// HTTP/2 carries other frames between requests, so bytes alone are no request head.
    multiplexed: bool,
}

impl Pulse {
    pub(crate) fn new(multiplexed: bool) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            requests: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
            moved_ms: AtomicU64::new(1),
            head_since_ms: AtomicU64::new(0),
            blocked_since_ms: AtomicU64::new(0),
            unflushed: AtomicBool::new(false),
            flushed: Notify::new(),
            multiplexed,
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    fn bytes_read(&self) {
        let now_ms = self.now_ms();
        self.moved_ms.store(now_ms, Ordering::Relaxed);
        if !self.multiplexed && self.in_flight.load(Ordering::Relaxed) == 0 {
            let _ = self.head_since_ms.compare_exchange(
                0,
                now_ms,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    pub(crate) fn bytes_written(&self) {
        self.moved_ms.store(self.now_ms(), Ordering::Relaxed);
        self.blocked_since_ms.store(0, Ordering::Relaxed);
    }

    pub(crate) fn write_blocked(&self) {
        let _ = self.blocked_since_ms.compare_exchange(
            0,
            self.now_ms(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Waits until the HTTP library has handed on all answers that have ended: it flushes the
    /// connection below it only when its own buffer is empty.
    #[cfg(feature = "http")]
    pub(crate) async fn all_flushed(&self) {
        loop {
            let flushed = self.flushed.notified();
            if !self.unflushed.load(Ordering::Acquire) {
                return;
            }
            flushed.await;
        }
    }

    fn note_flush(&self) {
        if self.unflushed.swap(false, Ordering::AcqRel) {
            self.flushed.notify_waiters();
        }
    }

    /// No answer of ours is under way, nor any rest of one in the HTTP library's buffer.
    pub(crate) fn is_silent(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) == 0 && !self.unflushed.load(Ordering::Acquire)
    }

    /// How many requests have come.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Notes that a request's head has arrived; the guard lasts until its answer is sent.
    pub(crate) fn request(self: &Arc<Self>) -> InFlight {
        self.head_since_ms.store(0, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.working.fetch_add(1, Ordering::Relaxed);
        InFlight {
            pulse: Arc::clone(self),
            answered: false,
        }
    }

    pub(crate) fn verdict(&self, patience: Patience) -> Verdict {
        self.verdict_at(patience, self.now_ms())
    }

    fn verdict_at(&self, patience: Patience, now_ms: u64) -> Verdict {
        let since = |note: &AtomicU64| match note.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            then_ms => Duration::from_millis(now_ms.saturating_sub(then_ms)),
        };
        let quiet = since(&self.moved_ms);
        let waits_for_reader =
            self.working.load(Ordering::Relaxed) == 0 && quiet >= 2 * patience.stall;
        match self.in_flight.load(Ordering::Relaxed) {
            0 if since(&self.head_since_ms) >= patience.header => Verdict::SlowHead,
            0 if quiet >= patience.idle => Verdict::Idle,
            0 => Verdict::Fine((patience.header / 5).max(Duration::from_millis(200))),
            _ if since(&self.blocked_since_ms) >= patience.stall || waits_for_reader => {
                Verdict::Stalled
            }
            _ => Verdict::Fine((patience.stall / 5).max(Duration::from_millis(200))),
        }
    }
}

/// A request between its head and the last byte of its answer.
#[derive(Debug)]
pub(crate) struct InFlight {
    pulse: Arc<Pulse>,
    answered: bool,
}

impl InFlight {
    /// The handler has answered; the body may still be sent.
    pub(crate) fn answered(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.pulse.working.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.answered();
        self.pulse.unflushed.store(true, Ordering::Release);
        self.pulse.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.pulse
            .moved_ms
            .store(self.pulse.now_ms(), Ordering::Relaxed);
    }
}

/// An answer's body that keeps its request in flight until it was sent or given up.
pub(crate) struct AnswerBody<B> {
    body: B,
    #[cfg_attr(
        not(feature = "http"),
        expect(dead_code, reason = "only its end counts here")
    )]
    in_flight: InFlight,
}

impl<B> AnswerBody<B> {
    pub(crate) fn new(body: B, in_flight: InFlight) -> Self {
        Self { body, in_flight }
    }

    /// Gives the body up; the answer is sent by other means.
    #[cfg(feature = "http")]
    pub(crate) fn into_in_flight(self) -> InFlight {
        self.in_flight
    }
}

impl<B: Body + Unpin> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body that fails once nothing has come for the time given.
pub(crate) struct RequestBody<B> {
    body: B,
    stall: Duration,
    /// Made at the first wait: most requests have no body.
    alarm: Option<Pin<Box<tokio::time::Sleep>>>,
    is_set: bool,
}

impl<B> RequestBody<B> {
    pub(crate) fn new(body: B, stall: Duration) -> Self {
        Self {
            body,
            stall,
            alarm: None,
            is_set: false,
        }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Data = B::Data;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.is_set = false;
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let end = tokio::time::Instant::now() + this.stall;
                let alarm = this
                    .alarm
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
                if !std::mem::replace(&mut this.is_set, true) {
                    alarm.as_mut().reset(end);
                }
                std::task::ready!(alarm.as_mut().poll(cx));
                let why = format!("the client sent nothing for {} s", this.stall.as_secs());
                Poll::Ready(Some(Err(
                    io::Error::new(io::ErrorKind::TimedOut, why).into()
                )))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection's bytes, noted in its pulse.
pub(crate) struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse }
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(_)) => self.pulse.bytes_written(),
            Poll::Pending => self.pulse.write_blocked(),
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.bytes_read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        match &flushed {
            Poll::Ready(Ok(())) => self.pulse.note_flush(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.pulse.write_blocked(),
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        stall: Duration::from_secs(60),
    };

    fn is_fine(pulse: &Pulse, at_s: u64) -> bool {
        matches!(pulse.verdict_at(PATIENCE, at_s * 1000), Verdict::Fine(_))
    }

    #[test]
    fn a_dripping_request_head_is_refused_after_its_time() {
        let pulse = Pulse::new(false);
        pulse.bytes_read();
        assert!(is_fine(&pulse, 9));
        assert_eq!(pulse.verdict_at(PATIENCE, 11_000), Verdict::SlowHead);
        let _request = pulse.request();
        assert!(is_fine(&pulse, 11));
    }

    #[test]
    fn an_unused_connection_is_closed_in_order() {
        for multiplexed in [false, true] {
            let pulse = Pulse::new(multiplexed);
            drop(pulse.request());
            assert!(is_fine(&pulse, 70));
            assert_eq!(pulse.verdict_at(PATIENCE, 80_000), Verdict::Idle);
        }
    }

    #[test]
    fn a_slow_handler_is_left_alone() {
        let pulse = Pulse::new(false);
        let mut request = pulse.request();
        assert!(is_fine(&pulse, 100_000));
        request.answered();
        assert_eq!(pulse.verdict_at(PATIENCE, 100_000_000), Verdict::Stalled);
    }

    #[test]
    fn a_client_that_does_not_read_is_cut() {
        let pulse = Pulse::new(false);
        let _request = pulse.request();
        pulse.write_blocked();
        assert!(is_fine(&pulse, 59));
        assert_eq!(pulse.verdict_at(PATIENCE, 61_000), Verdict::Stalled);
        pulse.bytes_written();
        assert!(is_fine(&pulse, 61));
    }

    #[test]
    fn frames_between_requests_of_http_2_are_no_request_head() {
        let pulse = Pulse::new(true);
        pulse.bytes_read();
        assert!(is_fine(&pulse, 30));
    }
}
