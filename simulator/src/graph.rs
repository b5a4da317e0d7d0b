//! Who is linked with whom.

use std::collections::BTreeSet;

use peers::Dice;

/// Links of a node, on average, in the large graphs.
const DEGREE: usize = 8;

/// How the links lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Each link between two random nodes (Erdős and Rényi); a few nodes have none.
    Random,
    /// New nodes link to those with many links (Barabási and Albert).
    ScaleFree,
    /// A ring in which each node knows its eight next, 10 % of the links rewired at random (Watts
    /// and Strogatz).
    SmallWorld,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Random, Self::ScaleFree, Self::SmallWorld];

    /// As the command line names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::ScaleFree => "scale-free",
            Self::SmallWorld => "small-world",
        }
    }
}

/// Nodes 0 to n - 1 and their links, which go both ways.
#[derive(Debug, Clone)]
pub struct Graph {
    links: Vec<Vec<u32>>,
}

impl Graph {
    /// `nodes` nodes with eight links on average.
    #[must_use]
    pub fn new(shape: Shape, nodes: usize, dice: &mut Dice) -> Self {
        let mut edges = Edges::default();
        match shape {
            Shape::Random => edges.random(nodes, nodes * DEGREE / 2, dice),
            Shape::ScaleFree => edges.scale_free(nodes, DEGREE / 2, dice),
            Shape::SmallWorld => edges.small_world(nodes, DEGREE / 2, dice),
        }
        Self::of(nodes, edges.all)
    }

    /// `nodes` nodes in a line; each knows the one before and the one after.
    #[must_use]
    pub fn line(nodes: usize) -> Self {
        Self::of(nodes, (1..nodes).map(|node| (node - 1, node)))
    }

    /// A line whose ends know each other.
    #[must_use]
    pub fn ring(nodes: usize) -> Self {
        Self::of(nodes, (0..nodes).map(|node| (node, (node + 1) % nodes)))
    }

    /// Everybody knows everybody.
    #[must_use]
    pub fn full(nodes: usize) -> Self {
        Self::of(
            nodes,
            (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| (a, b))),
        )
    }

    /// A graph from its links.
    #[must_use]
    pub fn of(nodes: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut links = vec![Vec::new(); nodes];
        let number = |node: usize| u32::try_from(node).expect("fewer than 2^32 nodes");
        for (a, b) in edges {
            if a != b && !links[a].contains(&number(b)) {
                links[a].push(number(b));
                links[b].push(number(a));
            }
        }
        Self { links }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.links.len()
    }

    /// How many links there are.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.links.iter().map(Vec::len).sum::<usize>() / 2
    }

    /// Whom `node` is linked with.
    #[must_use]
    pub fn links(&self, node: usize) -> &[u32] {
        &self.links[node]
    }
}

#[derive(Default)]
struct Edges {
    all: BTreeSet<(usize, usize)>,
}

impl Edges {
    fn add(&mut self, a: usize, b: usize) -> bool {
        a != b && self.all.insert((a.min(b), a.max(b)))
    }

    fn random(&mut self, nodes: usize, edges: usize, dice: &mut Dice) {
        while self.all.len() < edges {
            self.add(dice.below(nodes), dice.below(nodes));
        }
    }

    fn scale_free(&mut self, nodes: usize, each: usize, dice: &mut Dice) {
        // Every end of every link once: a random one is a node in proportion to its links.
        let mut ends = Vec::new();
        for node in 0..=each {
            for other in 0..node {
                self.add(node, other);
                ends.extend([node, other]);
            }
        }
        for node in each + 1..nodes {
            let mut added = 0;
            while added < each {
                let other = ends[dice.below(ends.len())];
                if self.add(node, other) {
                    ends.extend([node, other]);
                    added += 1;
                }
            }
        }
    }

    fn small_world(&mut self, nodes: usize, each_side: usize, dice: &mut Dice) {
        for node in 0..nodes {
            for step in 1..=each_side {
                let next = (node + step) % nodes;
                let rewired = dice.below(10) == 0;
                while !self.add(node, if rewired { dice.below(nodes) } else { next }) {
                    if !rewired {
                        break;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graphs_have_eight_links_on_average_and_their_shape() {
        for shape in Shape::ALL {
            let graph = Graph::new(shape, 2000, &mut Dice::new([1; 32]));
            let degrees: Vec<usize> = (0..2000).map(|node| graph.links(node).len()).collect();
            let edges = graph.edges();
            assert!((7900..=8000).contains(&edges), "{shape:?} {edges}");
            let most = degrees.iter().max().copied().unwrap_or(0);
            match shape {
                Shape::Random => assert!((15..30).contains(&most), "{most}"),
                Shape::ScaleFree => assert!(most > 80, "{most}"),
                Shape::SmallWorld => assert!((9..20).contains(&most), "{most}"),
            }
        }
    }
}
