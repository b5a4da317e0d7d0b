//! Proof of work: what an unknown node without an invite pays to register, against floods.
//!
//! The center names a salt that it changes every day; the node looks for a number such that the
//! hash of salt, node and number begins with so many zero bits. Each bit doubles the work of the
//! node; the center checks with one hash and keeps nothing.

use serde::{Deserialize, Serialize};

use crate::NodeId;

/// Names the day and the center.
pub type WorkSalt = [u8; 16];

/// A node refuses to work for more: some minutes on a small computer.
pub const WORK_BITS_MAX: u8 = 28;

const CONTEXT: &str = "cumulet center 1 work";

/// Work that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// For this day and center.
    pub salt: WorkSalt,
    /// The number that was found.
    pub number: u64,
}

impl Work {
    /// True if the work was done by `node` with at least `bits` zero bits.
    #[must_use]
    pub fn holds(&self, node: &NodeId, bits: u8) -> bool {
        zero_bits(&self.salt, node, self.number) >= u32::from(bits)
    }

    /// Tries the numbers from `from` on, at most `tries` of them. The caller decides how long it
    /// goes on, so that it can give way to other work and stop.
    #[must_use]
    pub fn seek(salt: WorkSalt, node: &NodeId, bits: u8, from: u64, tries: u64) -> Option<Self> {
        (from..from.saturating_add(tries))
            .find(|number| zero_bits(&salt, node, *number) >= u32::from(bits))
            .map(|number| Self { salt, number })
    }
}

fn zero_bits(salt: &WorkSalt, node: &NodeId, number: u64) -> u32 {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher
        .update(salt)
        .update(&node.0)
        .update(&number.to_be_bytes());
    let hash = hasher.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_be_bytes(first).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_holds_for_its_node_its_salt_and_its_bits_only() {
        let node = NodeId([1; 32]);
        let work = Work::seek([2; 16], &node, 8, 0, 1 << 16).unwrap();
        assert!(work.holds(&node, 8));
        assert!(!work.holds(&node, 63));
        let other = (3..=255).map(|byte| NodeId([byte; 32]));
        assert!(other.filter(|other| work.holds(other, 8)).count() < 20);
        assert!(Work::seek([2; 16], &node, 60, 0, 100).is_none());
    }
}
