//! The change feed: which spaces have news, for indexers, pages and sync push.
//!
//! A slow listener never holds a writer up: news of one space replace each other, so a listener
//! that comes late sees the newest number and reads the change log from where it stood.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use protocol::{Seq, SpaceId};

#[derive(Default)]
struct Mailbox {
    news: Mutex<HashMap<SpaceId, Seq>>,
    arrived: Condvar,
}

/// One listener; dropping it ends the subscription.
pub struct Feed(Arc<Mailbox>);

impl Feed {
    /// The next space with news and its newest `seq`; `None` after `wait` without any.
    #[must_use]
    pub fn next(&self, wait: Duration) -> Option<(SpaceId, Seq)> {
        let news = self.0.news.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut news, _) = self
            .0
            .arrived
            .wait_timeout_while(news, wait, |news| news.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let space = *news.keys().next()?;
        news.remove_entry(&space)
    }
}

/// All listeners.
#[derive(Default)]
pub(crate) struct Feeds(Mutex<Vec<Weak<Mailbox>>>);

impl Feeds {
    pub(crate) fn subscribe(&self) -> Feed {
        let mailbox = Arc::new(Mailbox::default());
        self.lock().push(Arc::downgrade(&mailbox));
        Feed(mailbox)
    }

    /// Tells all listeners that `space` has changes up to `seq`.
    pub(crate) fn publish(&self, space: SpaceId, seq: Seq) {
        self.lock().retain(|listener| {
            let Some(mailbox) = listener.upgrade() else {
                return false;
            };
            let mut news = mailbox.news.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = news.entry(space).or_insert(seq);
            *newest = seq.max(*newest);
            mailbox.arrived.notify_one();
            true
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Mailbox>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
