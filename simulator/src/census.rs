//! Keys and records of the nodes.
//!
//! Each node has a real ed25519 key. Its record is signed when it is first asked for; a record is
//! opened by the real code once, and the result is remembered for its exact bytes, because the
//! same few records travel through thousands of nodes.

use std::cell::RefCell;
use std::collections::HashMap;

use protocol::frame::Message;
use protocol::{NodeId, NodeRecord, NodeSecret, RecordError, SignedRecord, Timestamp};

/// Noon of a day in 2026; what all right clocks show at the start.
pub(crate) const NOON: Timestamp = Timestamp(1_795_521_600_000);
/// Records are issued so long before.
const ISSUED_BEFORE_MS: i64 = 3_600_000;

/// Exact bytes at an hour of a clock.
type Shown = (Vec<u8>, i64);

/// The nodes of a simulation.
pub struct Census {
    ids: Vec<NodeId>,
    index: HashMap<NodeId, u32>,
    names: HashMap<u32, String>,
    records: RefCell<HashMap<(u32, u64), SignedRecord>>,
    opened: RefCell<HashMap<Shown, Option<NodeRecord>>>,
    verified: RefCell<usize>,
}

fn secret(node: u32) -> NodeSecret {
    let mut bytes = [0x5a; 32];
    bytes[..4].copy_from_slice(&node.to_be_bytes());
    NodeSecret::from_bytes(bytes)
}

impl Census {
    /// `nodes` nodes; a call with the same number gives the same keys.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        let count = u32::try_from(nodes).expect("fewer than 2^32 nodes");
        let ids: Vec<NodeId> = (0..count).map(|node| secret(node).id()).collect();
        let index = ids.iter().copied().zip(0..).collect();
        Self {
            ids,
            index,
            names: HashMap::new(),
            records: RefCell::default(),
            opened: RefCell::default(),
            verified: RefCell::default(),
        }
    }

    /// Gives `node` a name, before its record is first asked for.
    pub fn name(&mut self, node: u32, name: &str) {
        self.names.insert(node, name.to_owned());
    }

    /// The id of `node`.
    #[must_use]
    pub fn id(&self, node: usize) -> NodeId {
        self.ids[node]
    }

    /// The number of a node.
    #[must_use]
    pub fn number(&self, id: NodeId) -> Option<u32> {
        self.index.get(&id).copied()
    }

    /// The name of `node`, if it has one.
    pub(crate) fn name_of(&self, node: u32) -> Option<&str> {
        self.names.get(&node).map(String::as_str)
    }

    /// Nodes with a name.
    pub(crate) fn named(&self) -> impl Iterator<Item = (u32, &str)> {
        self.names.iter().map(|(node, name)| (*node, name.as_str()))
    }

    /// The record of `node` with number `seq`.
    #[must_use]
    pub fn record(&self, node: u32, seq: u64) -> SignedRecord {
        let mut records = self.records.borrow_mut();
        let make = || {
            let issued_at_ms = NOON.0 - ISSUED_BEFORE_MS;
            self.sign(node, seq, issued_at_ms)
        };
        records.entry((node, seq)).or_insert_with(make).clone()
    }

    /// A record of `node` that was issued at `issued_at_ms` and held for a day.
    #[must_use]
    pub fn sign(&self, node: u32, seq: u64, issued_at_ms: i64) -> SignedRecord {
        let record = NodeRecord {
            node: self.ids[node as usize],
            name: self.names.get(&node).and_then(|name| name.parse().ok()),
            seq,
            issued_at_ms,
            expires_at_ms: issued_at_ms + 24 * 3_600_000,
            addresses: vec![([10, 0, 0, 1], 8443).into()],
            relays: vec![],
            offer: None,
            services_digest: [0; 8],
        };
        SignedRecord::sign(&record, &secret(node)).expect("a record within all bounds")
    }

    /// [`SignedRecord::open`], by the real code for bytes that were not seen at that time.
    pub(crate) fn open(
        &self,
        record: &SignedRecord,
        now: Timestamp,
    ) -> Result<NodeRecord, RecordError> {
        let bytes = record.encode()?;
        // Clocks are looked at by the hour: an hour decides nothing about records of a day.
        let hour = now.0.div_euclid(3_600_000);
        let key = (bytes, hour);
        if let Some(Some(node)) = self.opened.borrow().get(&key) {
            return Ok(node.clone());
        }
        *self.verified.borrow_mut() += 1;
        let opened = record.open(now);
        let node = opened.as_ref().ok().cloned();
        self.opened.borrow_mut().insert(key, node);
        opened
    }

    /// How often a signature was really checked.
    #[must_use]
    pub fn verified(&self) -> usize {
        *self.verified.borrow()
    }
}
