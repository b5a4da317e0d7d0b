//! What a node tells each neighbor of its own list, so that a neighbor asks where the answer is.
//!
//! A [`Digest`] is a Bloom filter with a salt of its link: who has an id or a name can see whether
//! the list probably has it, nobody can read the list out of it, and two neighbors cannot compare
//! theirs. It holds only nodes that may be told to anybody. Beside it stands what is
//! [`Near`], by which a node sees whether everybody can be asked.

use std::iter;

use serde::{Deserialize, Serialize};

use super::Target;
use super::near::{NEAR_BYTES, Near};
use crate::{NodeId, NodeName};

/// A digest tells of at most so many nodes.
pub const DIGEST_NODES_MAX: usize = 256;
/// A digest tells what is within one, two, … links of its node, so far.
pub const NEAR_LEVELS: usize = 4;

/// Bits for each id and each name; with [`MARKS`] one in 300 strangers is taken for known.
const BITS_PER_ENTRY: usize = 12;
/// Bits that an entry sets.
const MARKS: usize = 8;
const FILTER_BYTES_MIN: usize = 8;
const FILTER_BYTES_MAX: usize = 2 * DIGEST_NODES_MAX * BITS_PER_ENTRY / 8;
const DIGEST_KEY: &[u8; 16] = b"cumulet digest 1";

/// What a list holds, as a filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    salt: [u8; 16],
    /// Nodes in it, as its sender says.
    nodes: u16,
    filter: Vec<u8>,
    /// What is within 1 to [`NEAR_LEVELS`] links, one after the other.
    near: Vec<u8>,
}

impl Digest {
    /// A digest of `nodes`, the first [`DIGEST_NODES_MAX`] of them, for the link that `salt` was
    /// drawn for; without counts of what is near.
    pub fn new(salt: [u8; 16], nodes: &[(NodeId, Option<NodeName>)]) -> Self {
        let nodes = &nodes[..nodes.len().min(DIGEST_NODES_MAX)];
        let names = nodes.iter().filter(|(_, name)| name.is_some()).count();
        let bytes = ((nodes.len() + names) * BITS_PER_ENTRY).div_ceil(8);
        let mut digest = Self {
            salt,
            nodes: u16::try_from(nodes.len()).unwrap_or(u16::MAX),
            filter: vec![0; bytes.max(FILTER_BYTES_MIN)],
            near: Vec::new(),
        };
        for (node, name) in nodes {
            let name = name.as_ref().map(Target::named);
            for target in iter::once(Target::Node(*node)).chain(name) {
                for (byte, bit) in digest.marks(&target).into_iter().flatten() {
                    digest.filter[byte] |= bit;
                }
            }
        }
        digest
    }

    /// The same list with counts of what is near, [`NEAR_LEVELS`] of them.
    #[must_use]
    pub fn with_near(&self, near: &[Near]) -> Self {
        Self {
            near: Near::bytes(near),
            ..self.clone()
        }
    }

    /// True if `target` is probably in the list; never for blinded ids and contacts.
    #[must_use]
    pub fn may_know(&self, target: &Target) -> bool {
        self.marks(target).is_some_and(|marks| {
            marks
                .iter()
                .all(|(byte, bit)| self.filter[*byte] & bit != 0)
        })
    }

    /// Nodes in the list, as its sender says.
    #[must_use]
    pub fn nodes(&self) -> usize {
        usize::from(self.nodes)
    }

    /// What is within `level` + 1 links of the sender.
    #[must_use]
    pub fn near(&self, level: usize) -> Near {
        let mut levels = self.near.chunks_exact(NEAR_BYTES);
        levels.nth(level).map_or_else(Near::default, Near::of)
    }

    /// About how many bytes it takes on the way, all told.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.salt.len() + self.filter.len() + self.near.len() + 12
    }

    /// Bytes and bits that `target` sets.
    fn marks(&self, target: &Target) -> Option<[(usize, u8); MARKS]> {
        let (kind, sought) = match target {
            Target::Node(node) => (b'i', &node.0),
            Target::Name(name) => (b'n', name),
            Target::Blinded { .. } | Target::Contact { .. } => return None,
        };
        let mut key = [0; 32];
        key[..16].copy_from_slice(&self.salt);
        key[16..].copy_from_slice(DIGEST_KEY);
        let mut entry = [kind; 33];
        entry[1..].copy_from_slice(sought);
        let hash = *blake3::keyed_hash(&key, &entry).as_bytes();
        let bits = self.filter.len() * 8;
        let mut marks = [(0, 0); MARKS];
        for (mark, word) in marks.iter_mut().zip(hash.chunks_exact(4)) {
            let word = word
                .iter()
                .fold(0, |word, byte| word << 8 | usize::from(*byte));
            let place = word % bits.max(1);
            *mark = (place / 8, 1 << (place % 8));
        }
        Some(marks)
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.nodes() > DIGEST_NODES_MAX {
            return Err("a digest of more than 256 nodes");
        }
        if self.filter.len() < FILTER_BYTES_MIN || self.filter.len() > FILTER_BYTES_MAX {
            return Err("a digest that is not between 8 and 768 bytes long");
        }
        // An honest one has half of them; one with all would seem to know everybody.
        let ones: u32 = self.filter.iter().map(|byte| byte.count_ones()).sum();
        let bits = self.filter.len() * 8;
        if ones as usize * 4 > bits * 3 {
            return Err("a digest with more than three quarters of its bits set");
        }
        if self.near.len() != NEAR_LEVELS * NEAR_BYTES {
            return Err("a digest without four counts");
        }
        Near::check(&self.near)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u32) -> NodeId {
        NodeId(*blake3::hash(&number.to_be_bytes()).as_bytes())
    }

    fn digest(nodes: std::ops::Range<u32>) -> Digest {
        let nodes: Vec<_> = nodes
            .map(|number| (node(number), format!("n{number}").parse().ok()))
            .collect();
        Digest::new([9; 16], &nodes).with_near(&[Near::default(); NEAR_LEVELS])
    }

    #[test]
    fn all_that_is_in_it_is_known_and_few_strangers_are() {
        for size in [1, 8, 32, 256] {
            let digest = digest(0..size);
            assert_eq!(digest.check(), Ok(()), "{size}");
            assert!((0..size).all(|number| digest.may_know(&Target::Node(node(number)))));
            let name = Target::named(&format!("n{}", size - 1).parse().unwrap());
            assert!(digest.may_know(&name));
            let wrong = (1000..11_000)
                .filter(|number| digest.may_know(&Target::Node(node(*number))))
                .count();
            assert!(wrong < 80, "{size}: {wrong} of 10000");
            assert!(!digest.may_know(&Target::blinded(node(0), 1)));
        }
    }

    #[test]
    fn two_links_get_digests_that_cannot_be_compared() {
        let nodes = [(node(1), None)];
        let (a, b) = (Digest::new([1; 16], &nodes), Digest::new([2; 16], &nodes));
        assert_ne!(a.filter, b.filter);
    }

    #[test]
    fn a_digest_that_is_none_is_refused() {
        let check = |change: &dyn Fn(&mut Digest), part: &str| {
            let mut digest = digest(0..32);
            change(&mut digest);
            assert!(digest.check().unwrap_err().contains(part), "{digest:?}");
        };
        check(&|digest| digest.nodes = 257, "256 nodes");
        check(&|digest| digest.filter.clear(), "768 bytes");
        check(&|digest| digest.filter = vec![0; 769], "768 bytes");
        check(&|digest| digest.filter.fill(0xff), "three quarters");
        check(&|digest| digest.near.truncate(255), "four counts");
        check(&|digest| digest.near[0] = 59, "rank");
    }
}
