//! What of the table outlives the process. Its encoding (JSON or another) is the node's affair.

use protocol::{NodeId, NodeName, SignedRecord};
use serde::{Deserialize, Serialize};

use super::{Neighbor, Standing, Visibility};

/// The table at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Best first.
    pub neighbors: Vec<SnapshotEntry>,
}

/// One known node. Uptime and presence are not kept: after a start everybody is met anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEntry {
    /// Its id.
    pub node: NodeId,
    /// The name in its record.
    pub name: Option<NodeName>,
    /// Its newest record.
    pub record: Option<SignedRecord>,
    /// `seq` of the record.
    pub seq: u64,
    /// When the record ends, milliseconds since 1970.
    pub expires_at_ms: i64,
    /// To whom the record may be given.
    pub visibility: Visibility,
    /// What it was worth.
    pub standing: Standing,
}

impl From<&Neighbor> for SnapshotEntry {
    fn from(neighbor: &Neighbor) -> Self {
        Self {
            node: neighbor.node,
            name: neighbor.name.clone(),
            record: neighbor.record.clone(),
            seq: neighbor.seq,
            expires_at_ms: neighbor.expires_at_ms,
            visibility: neighbor.visibility,
            standing: Standing {
                uptime: std::time::Duration::ZERO,
                ..neighbor.standing
            },
        }
    }
}

impl From<SnapshotEntry> for Neighbor {
    fn from(entry: SnapshotEntry) -> Self {
        Self {
            node: entry.node,
            name: entry.name,
            record: entry.record,
            seq: entry.seq,
            expires_at_ms: entry.expires_at_ms,
            visibility: entry.visibility,
            standing: entry.standing,
            present: false,
            active: false,
        }
    }
}
