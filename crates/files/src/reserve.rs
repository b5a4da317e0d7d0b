//! Who is busy with which entry: reservations in memory, one for each change between its decision
//! and its record (`commit.md`, "until B an intent reserves its entry").
//!
//! A change claims its target for itself and the folders above it together with others, so that two
//! writers in one folder do not wait for each other, but a folder cannot be moved away under a
//! writer below it. Claims are taken all at once or not at all, so no two changes wait for each
//! other forever. The process holds the state folder's lock, so memory suffices; after a crash
//! recovery runs before anyone can claim.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::{EntryName, Fid};

/// What can be claimed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// An entry with all below it.
    Entry(Fid),
    /// A name in a folder, free or taken.
    Slot(Fid, EntryName),
}

/// What one change needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims {
    alone: Vec<Key>,
    shared: Vec<Key>,
}

impl Claims {
    /// Adds `key` for this change alone.
    pub(crate) fn alone(&mut self, key: Key) {
        if !self.alone.contains(&key) {
            self.shared.retain(|other| *other != key);
            self.alone.push(key);
        }
    }

    /// Adds folders that must stay where they are.
    pub(crate) fn shared(&mut self, fids: impl IntoIterator<Item = Fid>) {
        for key in fids.into_iter().map(Key::Entry) {
            if !self.alone.contains(&key) && !self.shared.contains(&key) {
                self.shared.push(key);
            }
        }
    }
}

#[derive(Default)]
struct Held {
    alone: bool,
    shared: u32,
}

/// All claims of the process.
#[derive(Default)]
pub(crate) struct Reservations {
    held: Mutex<HashMap<Key, Held>>,
    freed: Condvar,
    /// Threads that wait or are about to; counted before they take the lock, so that a drop which
    /// sees none need not notify (a system call per change).
    waiting: AtomicUsize,
}

/// Claims that hold until this is dropped.
pub(crate) struct Reserved {
    table: Arc<Reservations>,
    claims: Claims,
}

impl Reservations {
    /// Takes the claims if all are free.
    pub(crate) fn try_claim(self: &Arc<Self>, claims: &Claims) -> Option<Reserved> {
        let mut held = self.lock();
        free(&held, claims).then(|| self.take(&mut held, claims))
    }

    /// Takes the claims as soon as all are free; `None` after `wait`.
    pub(crate) fn claim(self: &Arc<Self>, claims: &Claims, wait: Duration) -> Option<Reserved> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let (mut held, timeout) = self
            .freed
            .wait_timeout_while(self.lock(), wait, |held| !free(held, claims))
            .unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        (!timeout.timed_out()).then(|| self.take(&mut held, claims))
    }

    /// Waits until nobody has any of these for himself; false after `wait`.
    pub(crate) fn wait_free(&self, keys: &[Key], wait: Duration) -> bool {
        let busy = |held: &mut HashMap<Key, Held>| is_taken(held, keys);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waited = self.freed.wait_timeout_while(self.lock(), wait, busy);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// True if someone has one of these for himself.
    pub(crate) fn is_busy(&self, keys: &[Key]) -> bool {
        is_taken(&self.lock(), keys)
    }

    fn take(self: &Arc<Self>, held: &mut HashMap<Key, Held>, claims: &Claims) -> Reserved {
        for key in &claims.alone {
            held.entry(key.clone()).or_default().alone = true;
        }
        for key in &claims.shared {
            held.entry(key.clone()).or_default().shared += 1;
        }
        Reserved {
            table: Arc::clone(self),
            claims: claims.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_taken(held: &HashMap<Key, Held>, keys: &[Key]) -> bool {
    keys.iter()
        .any(|key| held.get(key).is_some_and(|held| held.alone))
}

fn free(held: &HashMap<Key, Held>, claims: &Claims) -> bool {
    claims.alone.iter().all(|key| !held.contains_key(key))
        && claims
            .shared
            .iter()
            .all(|key| held.get(key).is_none_or(|h| !h.alone))
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut held = self.table.lock();
        for key in self.claims.alone.drain(..) {
            held.remove(&key);
        }
        for key in self.claims.shared.drain(..) {
            if let Entry::Occupied(mut entry) = held.entry(key) {
                entry.get_mut().shared -= 1;
                if entry.get().shared == 0 {
                    entry.remove();
                }
            }
        }
        if self.table.waiting.load(Ordering::SeqCst) > 0 {
            self.table.freed.notify_all();
        }
    }
}

/// How long is left until `deadline`.
pub(crate) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(alone: &[i64], shared: &[i64]) -> Claims {
        let mut claims = Claims::default();
        alone
            .iter()
            .for_each(|fid| claims.alone(Key::Entry(Fid(*fid))));
        claims.shared(shared.iter().copied().map(Fid));
        claims
    }

    #[test]
    fn writers_share_a_folder_but_not_an_entry() {
        let table = Arc::new(Reservations::default());
        let first = table.try_claim(&claims(&[10], &[1])).unwrap();
        let second = table.try_claim(&claims(&[11], &[1])).unwrap();
        assert!(table.try_claim(&claims(&[10], &[1])).is_none());
        assert!(table.try_claim(&claims(&[1], &[])).is_none(), "moved away");
        drop(first);
        assert!(table.try_claim(&claims(&[1], &[])).is_none());
        drop(second);
        let folder = table.try_claim(&claims(&[1], &[])).unwrap();
        assert!(table.try_claim(&claims(&[10], &[1])).is_none());
        drop(folder);
        assert!(table.lock().is_empty());
    }

    #[test]
    fn a_waiter_gets_its_turn_or_gives_up() {
        let table = Arc::new(Reservations::default());
        let held = table.try_claim(&claims(&[1], &[])).unwrap();
        assert!(
            table
                .claim(&claims(&[1], &[]), Duration::from_millis(5))
                .is_none()
        );
        assert!(!table.wait_free(&[Key::Entry(Fid(1))], Duration::from_millis(5)));
        let waiting = Arc::clone(&table);
        let thread = std::thread::spawn(move || {
            waiting
                .claim(&claims(&[1], &[]), Duration::from_secs(30))
                .is_some()
        });
        drop(held);
        assert!(thread.join().unwrap());
    }
}
