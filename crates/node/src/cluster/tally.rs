//! Counts the bytes of each friend (R9) and bounds how long a body may stand still.
//!
//! Counts are kept in memory and handed to the ledger by the module `friends`; a crash loses what
//! was counted since, at most half a minute.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use protocol::NodeId;
use sharing::Tally;
use tokio::time::{Instant, Sleep};

/// Sums that the ledger does not have yet.
#[derive(Debug, Default)]
pub(super) struct Tallies(Mutex<HashMap<NodeId, Tally>>);

/// Which way bytes go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Flow {
    Given,
    Taken,
}

impl Tallies {
    fn add(&self, node: NodeId, flow: Flow, bytes: usize) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = sums.entry(node).or_default();
        let sum = match flow {
            Flow::Given => &mut tally.given,
            Flow::Taken => &mut tally.taken,
        };
        *sum = sum.saturating_add(bytes as u64);
    }

    /// Takes all sums out.
    pub(super) fn drain(&self) -> Vec<(NodeId, Tally)> {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sums.drain().collect()
    }

    /// Puts sums back that could not be stored.
    pub(super) fn put_back(&self, sums: &[(NodeId, Tally)]) {
        for (node, tally) in sums {
            self.add(
                *node,
                Flow::Given,
                usize::try_from(tally.given).unwrap_or(0),
            );
            self.add(
                *node,
                Flow::Taken,
                usize::try_from(tally.taken).unwrap_or(0),
            );
        }
    }

    /// What is counted and not stored yet.
    pub(super) fn of(&self, node: NodeId) -> Tally {
        let sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sums.get(&node).copied().unwrap_or_default()
    }
}

/// What an upload waits for at the moment, and since when.
#[derive(Debug)]
pub(super) struct Pace(Mutex<(Waits, Instant)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// The client that sends it.
    Sender,
    /// The friend that takes it.
    Taker,
    /// The friend's answer: all has been taken.
    Answer,
}

impl Pace {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((Waits::Taker, Instant::now()))))
    }

    fn set(&self, waits: Waits) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (waits, Instant::now());
    }

    /// Ends when the friend has taken nothing for `taking`, or has not answered for `answering`
    /// after the last byte. A client that is slow itself is not the friend's fault.
    pub(super) async fn stalled(&self, taking: Duration, answering: Duration) {
        loop {
            let (waits, since) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let until = match waits {
                Waits::Sender => Instant::now() + taking,
                Waits::Taker => since + taking,
                Waits::Answer => since + answering,
            };
            if waits != Waits::Sender && until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// A body whose bytes are counted, and that ends with an error if nothing comes for `patience`.
pub(super) struct Counted<B> {
    body: Pin<Box<B>>,
    node: NodeId,
    flow: Flow,
    tallies: Arc<Tallies>,
    stall: Option<(Duration, Pin<Box<Sleep>>)>,
    pace: Option<Arc<Pace>>,
}

impl<B> Counted<B> {
    pub(super) fn new(body: B, node: NodeId, flow: Flow, tallies: &Arc<Tallies>) -> Self {
        Self {
            body: Box::pin(body),
            node,
            flow,
            tallies: Arc::clone(tallies),
            stall: None,
            pace: None,
        }
    }

    /// Notes in `pace` what the body waits for.
    pub(super) fn at_pace(mut self, pace: &Arc<Pace>) -> Self {
        self.pace = Some(Arc::clone(pace));
        self
    }

    pub(super) fn within(mut self, patience: Duration) -> Self {
        self.stall = Some((patience, Box::pin(tokio::time::sleep(patience))));
        self
    }
}

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let polled = self.body.as_mut().poll_frame(context);
        if let Some(pace) = &self.pace {
            pace.set(match &polled {
                Poll::Pending => Waits::Sender,
                Poll::Ready(Some(_)) if !self.body.is_end_stream() => Waits::Taker,
                Poll::Ready(_) => Waits::Answer,
            });
        }
        if polled.is_pending()
            && let Some((patience, sleep)) = &mut self.stall
        {
            let patience = *patience;
            ready!(sleep.as_mut().poll(context));
            sleep.as_mut().reset(Instant::now() + patience);
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        if let Some((patience, sleep)) = &mut self.stall {
            let patience = *patience;
            sleep.as_mut().reset(Instant::now() + patience);
        }
        Poll::Ready(match ready!(polled) {
            None => None,
            Some(Err(error)) => Some(Err(io::Error::other(error))),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.tallies.add(self.node, self.flow, data.remaining());
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_upload_is_given_up_for_a_friend_that_stands_still_and_not_for_a_slow_sender() {
        let (taking, answering) = (Duration::from_secs(30), Duration::from_secs(120));
        let check = async |waits: Waits, expected: Option<u64>| {
            let pace = Pace::new();
            pace.set(waits);
            let began = Instant::now();
            let patience = Duration::from_secs(1000);
            let ended = tokio::time::timeout(patience, pace.stalled(taking, answering)).await;
            let took = ended.is_ok().then(|| began.elapsed().as_secs());
            assert_eq!(took, expected, "{waits:?}");
        };
        check(Waits::Taker, Some(30)).await;
        check(Waits::Answer, Some(120)).await;
        check(Waits::Sender, None).await;
    }
}
