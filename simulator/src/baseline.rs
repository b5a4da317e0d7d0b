//! What the lookup is compared with: plain random walkers, counted generously.
//!
//! 32 walkers of at most 1024 steps start at the node that seeks; all stop in the moment in which
//! one of them stands at a node that is the target or knows it. Stopping costs nothing, nor does the
//! answer, so a real protocol of walkers is worse. It is the row "32 walkers" of the design.

use peers::Dice;

use crate::Graph;

/// Messages until it was found, or until all walkers ended; and whether it was found.
pub fn walkers(
    graph: &Graph,
    origin: usize,
    target: usize,
    count: usize,
    steps: usize,
    dice: &mut Dice,
) -> (usize, bool) {
    let knows = |node: usize| {
        node == target
            || graph
                .links(target)
                .iter()
                .any(|link| *link as usize == node)
    };
    if knows(origin) {
        return (0, true);
    }
    let mut places = vec![(origin, origin); count];
    let mut messages = 0;
    for _ in 0..steps {
        for (place, came_from) in &mut places {
            let links = graph.links(*place);
            if links.is_empty() {
                return (messages, false);
            }
            let mut next = links[dice.below(links.len())] as usize;
            if next == *came_from && links.len() > 1 {
                next = links[dice.below(links.len())] as usize;
            }
            *came_from = std::mem::replace(place, next);
            messages += 1;
        }
        if places.iter().any(|(place, _)| knows(*place)) {
            return (messages, true);
        }
    }
    (messages, false)
}
