//! How many links and nodes there are around, so that nobody is counted twice.
//!
//! A count is a sketch (HyperLogLog, Flajolet et al. 2007) of 64 registers, right within about
//! 13 %. Sketches of the same things can be united; nobody can read out of one what was counted.

use crate::NodeId;

/// Registers of a sketch.
const REGISTERS: usize = 64;
pub(super) const NEAR_BYTES: usize = 2 * REGISTERS;
/// The bits of a hash that make a rank, and one.
const RANK_MAX: u8 = 57;
const LINK_KEY: &[u8; 32] = b"cumulet lookup 1 links of a net\0";
const NODE_KEY: &[u8; 32] = b"cumulet lookup 1 nodes of a net\0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sketch([u8; REGISTERS]);

/// The links and nodes that are within some links of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Near {
    links: Sketch,
    nodes: Sketch,
}

impl Default for Near {
    fn default() -> Self {
        Self {
            links: Sketch([0; REGISTERS]),
            nodes: Sketch([0; REGISTERS]),
        }
    }
}

impl Near {
    /// Counts the link between `a` and `b`, and both; the same from both sides.
    pub fn count_link(&mut self, a: NodeId, b: NodeId) {
        let mut ends = [0; 64];
        ends[..32].copy_from_slice(&a.min(b).0);
        ends[32..].copy_from_slice(&a.max(b).0);
        self.links.count(&blake3::keyed_hash(LINK_KEY, &ends));
        for node in [a, b] {
            self.nodes.count(&blake3::keyed_hash(NODE_KEY, &node.0));
        }
    }

    /// Counts what `other` has counted.
    pub fn unite(&mut self, other: &Self) {
        self.links.unite(&other.links);
        self.nodes.unite(&other.nodes);
    }

    /// About how many links were counted.
    #[must_use]
    pub fn links(&self) -> usize {
        self.links.counted()
    }

    /// About how many nodes were counted.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.counted()
    }

    /// All of `levels`, one after the other.
    #[must_use]
    pub fn bytes(levels: &[Self]) -> Vec<u8> {
        let bytes = |near: &Self| near.links.0.into_iter().chain(near.nodes.0);
        levels.iter().flat_map(bytes).collect()
    }

    /// From its bytes; of another number of bytes what fits.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut near = Self::default();
        let registers = near.links.0.iter_mut().chain(&mut near.nodes.0);
        for (register, byte) in registers.zip(bytes) {
            *register = *byte;
        }
        near
    }

    pub(super) fn check(bytes: &[u8]) -> Result<(), &'static str> {
        if bytes.iter().any(|rank| *rank > RANK_MAX) {
            return Err("a count with a rank that no hash has");
        }
        Ok(())
    }
}

impl Sketch {
    fn count(&mut self, hash: &blake3::Hash) {
        let [register, bits @ ..] = hash.as_bytes();
        let bits = bits
            .iter()
            .take(7)
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let zeros = (bits << 8).leading_zeros();
        let rank = u8::try_from(zeros + 1).unwrap_or(RANK_MAX).min(RANK_MAX);
        let register = &mut self.0[usize::from(*register) % REGISTERS];
        *register = rank.max(*register);
    }

    fn unite(&mut self, other: &Self) {
        for (own, theirs) in self.0.iter_mut().zip(other.0) {
            *own = theirs.max(*own);
        }
    }

    fn counted(&self) -> usize {
        let registers = REGISTERS as f64;
        let sum: f64 = self
            .0
            .iter()
            .map(|rank| 0.5_f64.powi(i32::from(*rank)))
            .sum();
        let many = 0.709 * registers * registers / sum;
        let empty = self.0.iter().filter(|rank| **rank == 0).count();
        // With few the empty registers say more.
        let few = many <= 2.5 * registers && empty > 0;
        let counted = if few {
            registers * (registers / empty as f64).ln()
        } else {
            many
        };
        counted.round() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u32) -> NodeId {
        NodeId(*blake3::hash(&number.to_be_bytes()).as_bytes())
    }

    /// A row of links between nodes from `first` on, counted from both ends of each.
    fn row(first: u32, links: u32) -> Near {
        let (mut here, mut there) = (Near::default(), Near::default());
        for link in first..first + links {
            here.count_link(node(link), node(link + 1));
            there.count_link(node(link + 1), node(link));
        }
        here.unite(&there);
        assert_eq!(here, there, "none is counted twice");
        here
    }

    #[test]
    fn links_and_nodes_are_counted_right_on_average_and_seldom_far_off() {
        const ROWS: u32 = 50;
        assert_eq!((row(0, 0).links(), row(0, 0).nodes()), (0, 0));
        for links in [5_u32, 100, 228, 1000, 20_000] {
            let errors: Vec<f64> = (0..ROWS)
                .map(|number| row(number * 100_000, links))
                .flat_map(|near| [(near.links(), links), (near.nodes(), links + 1)])
                .map(|(told, right)| told as f64 / f64::from(right) - 1.0)
                .collect();
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let squares: Vec<f64> = errors.iter().map(|error| error * error).collect();
            let (bias, spread) = (mean(&errors), mean(&squares).sqrt());
            assert!(bias.abs() < 0.05, "{links} links: off by {bias} on average");
            assert!(spread < 0.17, "{links} links: off by {spread}");
        }
    }

    #[test]
    fn a_count_comes_back_from_its_bytes() {
        let mut near = Near::default();
        (0..100).for_each(|link| near.count_link(node(link), node(2 * link + 1)));
        let bytes = Near::bytes(&[near]);
        assert_eq!(bytes.len(), NEAR_BYTES);
        assert_eq!(Near::check(&bytes), Ok(()));
        assert_eq!(Near::of(&bytes), near);
    }
}
