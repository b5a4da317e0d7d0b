//! An HTTP/2 connection and its requests, driven by one task.
//!
//! Our HTTP library asks for a task per request. On a task of its own, the head of an answer could
//! leave while its content still waited for a processor. A client that is still uploading may end
//! its upload early when it reads the head of a refusal (curl does); the library then resets the
//! stream with PROTOCOL_ERROR, because the upload was shorter than announced (RFC 9113 section
//! 8.1.1), throws the content away, and the client sees a broken stream in place of the refusal.
//! Here a head and content that is in memory are queued by one poll, before the connection is
//! polled again: what reads the client's next frame finds the whole answer on its way.
//!
//! A request that panics outside of its handler ends alone. Requests outlive their connection:
//! [`Multiplexed::finish`] waits for them.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use hyper::rt::Executor;

type Exchange = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the library leaves the requests that it has begun. It does so only while its connection
/// is polled, so nobody needs to be woken.
#[derive(Clone, Default)]
pub(crate) struct Begun(Arc<Mutex<Vec<Exchange>>>);

impl Begun {
    fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F> Executor<F> for Begun
where
    F: Future + Send + 'static,
{
    fn execute(&self, exchange: F) {
        let alone = AssertUnwindSafe(exchange).catch_unwind().map(|ended| {
            if ended.is_err() {
                tracing::error!("an answer panicked; this is a fault of Cumulet");
            }
        });
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.push(Box::pin(alone));
    }
}

/// A connection with the requests that it has begun; ends with the connection.
pub(crate) struct Multiplexed<C> {
    /// `None` once it has ended.
    connection: Option<Pin<Box<C>>>,
    begun: Begun,
    running: FuturesUnordered<Exchange>,
}

impl<C> Multiplexed<C> {
    /// `begun` is the executor that `connection` was made with.
    pub(crate) fn new(connection: C, begun: Begun) -> Self {
        Self {
            connection: Some(Box::pin(connection)),
            begun,
            running: FuturesUnordered::new(),
        }
    }

    /// The connection, while it lasts.
    pub(crate) fn connection(&mut self) -> Option<Pin<&mut C>> {
        self.connection.as_mut().map(Pin::as_mut)
    }

    /// Gives the connection up and waits for the requests that are still running.
    pub(crate) async fn finish(mut self) {
        self.connection = None;
        self.running.extend(self.begun.take());
        while self.running.next().await.is_some() {}
    }
}

impl<C: Future> Future for Multiplexed<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        let this = self.get_mut();
        if let Some(connection) = &mut this.connection
            && let Poll::Ready(end) = connection.as_mut().poll(context)
        {
            this.connection = None;
            return Poll::Ready(end);
        }
        this.running.extend(this.begun.take());
        while let Poll::Ready(Some(())) = this.running.poll_next_unpin(context) {}
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A connection that begins `requests` at its first poll and never ends.
    fn connection(begun: &Begun, requests: usize, done: &Arc<AtomicUsize>) -> impl Future + use<> {
        let (begun, done) = (begun.clone(), Arc::clone(done));
        async move {
            for number in 0..requests {
                let done = Arc::clone(&done);
                begun.execute(async move {
                    tokio::task::yield_now().await;
                    assert_ne!(number, 1, "on purpose");
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }
            std::future::pending::<()>().await;
        }
    }

    #[tokio::test]
    async fn requests_run_with_their_connection_and_one_that_panics_ends_alone() {
        let (begun, done) = (Begun::default(), Arc::new(AtomicUsize::new(0)));
        let mut together = Multiplexed::new(connection(&begun, 5, &done), begun);
        tokio::select! {
            _ = &mut together => panic!("the connection has no end"),
            () = async { while done.load(Ordering::Relaxed) < 4 { tokio::task::yield_now().await } } => {}
        }
        together.finish().await;
    }

    #[tokio::test]
    async fn requests_outlive_their_connection() {
        let (begun, done) = (Begun::default(), Arc::new(AtomicUsize::new(0)));
        let mut together = Multiplexed::new(connection(&begun, 1, &done), begun);
        std::future::poll_fn(|context| {
            let _ = Pin::new(&mut together).poll(context);
            Poll::Ready(())
        })
        .await;
        together.finish().await;
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }
}
