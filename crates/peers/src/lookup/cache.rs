//! Records that came by on their way to others: public ones, for 10 minutes at most.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use protocol::message::lookup::Target;
use protocol::{NodeId, NodeRecord, SignedRecord};

use super::KnownRecord;

/// A record is kept so long.
const KEPT: Duration = Duration::from_secs(600);
/// At most so many are kept, the newest.
const RECORDS_KEPT_MAX: usize = 4096;

#[derive(Debug)]
struct Kept {
    record: SignedRecord,
    seq: u64,
    /// The target that means its name.
    name: Option<Target>,
    until: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    kept: HashMap<NodeId, Kept>,
    order: VecDeque<NodeId>,
}

impl Cache {
    /// Keeps a verified record, unless a newer one is kept.
    pub(super) fn put(&mut self, now: Duration, node: &NodeRecord, record: &SignedRecord) {
        let older = self.kept.get(&node.node).map(|kept| kept.seq);
        if older.is_some_and(|seq| seq >= node.seq) {
            return;
        }
        if older.is_none() {
            self.order.push_back(node.node);
        }
        let kept = Kept {
            record: record.clone(),
            seq: node.seq,
            name: node.name.as_ref().map(Target::named),
            until: now + KEPT,
        };
        self.kept.insert(node.node, kept);
        while self.order.len() > RECORDS_KEPT_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.kept.remove(&oldest);
            }
        }
    }

    /// Kept records that `target` means. Blinded ids are left to those who know the node.
    pub(super) fn get(&self, now: Duration, target: &Target) -> Vec<KnownRecord> {
        let known = |kept: &Kept| KnownRecord {
            record: kept.record.clone(),
            seq: kept.seq,
            keep: true,
        };
        match target {
            Target::Node(node) => self
                .kept
                .get(node)
                .filter(|kept| kept.until > now)
                .map(known)
                .into_iter()
                .collect(),
            Target::Name(_) => self
                .kept
                .values()
                .filter(|kept| kept.until > now && kept.name.as_ref() == Some(target))
                .map(known)
                .collect(),
            Target::Blinded { .. } | Target::Contact { .. } => Vec::new(),
        }
    }

    /// Forgets what is too old, from the oldest on.
    pub(super) fn expire(&mut self, now: Duration) {
        while let Some(oldest) = self.order.front() {
            if self.kept.get(oldest).is_some_and(|kept| kept.until > now) {
                return;
            }
            self.kept.remove(oldest);
            self.order.pop_front();
        }
    }
}
