//! The signed head of the chain, in a file of its own, so that a cut tail shows.

use protocol::{Hash, NodeId, Timestamp};

use crate::{Sharing, SharingError};

/// Name of the head's file in the state folder.
pub const HEAD_FILE: &str = "audit-head.json";

/// How many rows the log had, and the hash of the last one, at an instant; signed by the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of the last row; rows count from 1.
    pub count: u64,
    /// Its hash.
    pub hash: Hash,
    /// When it was sealed.
    pub at: Timestamp,
    /// By which node.
    pub node: NodeId,
    /// ed25519 over the head's canonical bytes.
    pub signature: protocol::Signature,
}

impl Sharing {
    /// Signs the present head into `<state>/audit-head.json` (atomic replace and fsync). Called by
    /// the sealing worker every few seconds and at shutdown; cheap if nothing is new.
    pub fn seal_head(&self) -> Result<Head, SharingError> {
        todo!()
    }

    /// Cuts rows older than `before`; the cut is signed, recorded, and the rest stays verifiable.
    /// Tells how many rows went.
    pub fn cut_audit(&self, before: Timestamp) -> Result<u64, SharingError> {
        todo!()
    }
}
