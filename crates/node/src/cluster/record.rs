//! This node's own record: made anew when an address, the name or the services change, and in time
//! before it ends.
//!
//! Its `seq` is on the disk before anybody sees the record, so that a crash, a restart or a clock
//! that was set back never makes two records with one number.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use links::neighborhood::Own;
use protocol::message::presence::Visible;
use protocol::{Clock, NodeName, NodeRecord, NodeSecret, RECORD_LIFETIME_MAX, SignedRecord};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::layout;

/// A record is made anew at half of its life.
const RENEW_AFTER: Duration = RECORD_LIFETIME_MAX.checked_div(2).expect("2 is not 0");
/// After the disk refused the number.
const RETRY: Duration = Duration::from_secs(30);
/// Several addresses that change at once make one record.
const SETTLE: Duration = Duration::from_millis(100);

/// Makes the records of this node.
pub(super) struct Author {
    secret: NodeSecret,
    clock: Clock,
    name: Option<NodeName>,
    services_digest: [u8; 8],
    visible: Visible,
    started: Instant,
    /// Where the last `seq` is kept.
    file: PathBuf,
    /// The highest `seq` that others say they know.
    known: watch::Sender<u64>,
}

impl Author {
    pub(super) fn new(
        state: &crate::State,
        name: &str,
        services_digest: [u8; 8],
        visible: Visible,
    ) -> Self {
        Self {
            secret: state.secret.clone(),
            clock: Arc::clone(&state.clock),
            name: NodeName::nearest(name),
            services_digest,
            visible,
            started: Instant::now(),
            file: state.layout.state.join("record-seq"),
            known: watch::Sender::new(0),
        }
    }

    /// Others know a record with number `have`; the next one gets a higher number, at once if the
    /// last has none.
    pub(super) fn raise(&self, have: u64) {
        self.known.send_if_modified(|known| {
            let news = have > *known;
            *known = have.max(*known);
            news
        });
    }

    /// A new record for `addresses`. Blocks on the disk.
    pub(super) fn write(&self, addresses: &[SocketAddr]) -> anyhow::Result<Own> {
        let now = (self.clock)();
        let last = self.last_seq()?.max(*self.known.borrow());
        let seq = last
            .saturating_add(1)
            .max(u64::try_from(now.0).unwrap_or(0));
        layout::replace(&self.file, format!("{seq}\n").as_bytes(), 0o600)?;
        let record = NodeRecord {
            node: self.secret.id(),
            name: self.name.clone(),
            seq,
            issued_at_ms: now.0,
            expires_at_ms: now.plus(RECORD_LIFETIME_MAX).0,
            addresses: addresses.to_vec(),
            relays: Vec::new(),
            offer: None,
            services_digest: self.services_digest,
        };
        let signed = SignedRecord::sign(&record, &self.secret)?;
        Ok(Own {
            record,
            signed,
            visible: self.visible,
            started: self.started,
            version: env!("CARGO_PKG_VERSION").into(),
        })
    }

    fn last_seq(&self) -> anyhow::Result<u64> {
        match std::fs::read_to_string(&self.file) {
            Ok(text) => text.trim().parse().with_context(|| {
                format!(
                    "{} holds no number; remove it, others then take the clock's word for it",
                    self.file.display()
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => {
                Err(error).with_context(|| format!("cannot read {}", self.file.display()))
            }
        }
    }

    /// Publishes a new record to `own` whenever one is needed, until `stop`.
    pub(super) async fn follow(
        self: Arc<Self>,
        mut addresses: watch::Receiver<Vec<SocketAddr>>,
        own: watch::Sender<Own>,
        stop: CancellationToken,
    ) {
        let mut wait = RENEW_AFTER;
        let mut known = self.known.subscribe();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                // This holds the sender.
                _ = known.changed() => {}
                changed = addresses.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::time::sleep(SETTLE).await;
                }
            }
            let new = addresses.borrow_and_update().clone();
            let author = Arc::clone(&self);
            let written = tokio::task::spawn_blocking(move || author.write(&new)).await;
            match written.map_err(anyhow::Error::from).flatten() {
                Ok(record) => {
                    tracing::info!(seq = record.record.seq, addresses = ?record.record.addresses, "a new record of this node");
                    own.send_replace(record);
                    wait = RENEW_AFTER;
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "no new record of this node");
                    wait = RETRY;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use protocol::Timestamp;

    use super::*;

    #[test]
    fn the_number_grows_over_restarts_and_when_the_clock_is_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(1_000_000));
        let clock = Arc::clone(&now);
        let author = || Author {
            secret: NodeSecret::from_bytes([1; 32]),
            clock: {
                let clock = Arc::clone(&clock);
                Arc::new(move || Timestamp(clock.load(Ordering::SeqCst)))
            },
            name: None,
            services_digest: [0; 8],
            visible: Visible::Everybody,
            started: Instant::now(),
            file: folder.path().join("record-seq"),
            known: watch::Sender::new(0),
        };
        let seq = || author().write(&[]).unwrap().record.seq;
        assert_eq!(seq(), 1_000_000);
        assert_eq!(seq(), 1_000_001);
        now.store(500, Ordering::SeqCst);
        assert_eq!(seq(), 1_000_002);
        now.store(2_000_000, Ordering::SeqCst);
        assert_eq!(seq(), 2_000_000);
        // Somebody knows a higher one: this node was restored from a backup.
        let restored = author();
        restored.raise(5_000_000);
        restored.raise(4_000_000);
        assert_eq!(restored.write(&[]).unwrap().record.seq, 5_000_001);
        assert_eq!(seq(), 5_000_002);
        std::fs::write(folder.path().join("record-seq"), "torn").unwrap();
        assert!(author().write(&[]).is_err(), "never a guessed number");
    }
}
