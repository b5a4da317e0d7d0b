//! A small map of linked neighbors: this node in the middle, the nearer the faster it answers.
//!
//! Drawn from the same reports as the list below it, which says everything in words.

use maud::{Markup, html};

use crate::cluster::{NeighborPath, NeighborReport, NeighborState};
use crate::language::Language;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
/// Room around the outermost nodes, for their names.
const MARGIN: f64 = 46.0;
/// A node is at least so far from the middle, as a part of the way to the edge.
const NEAREST: f64 = 0.55;
/// What answers this slowly, or is not measured, stands at the edge.
const FARTHEST_MS: f64 = 300.0;
/// The nearest ones; the list has the others.
const SHOWN_MAX: usize = 24;
/// With more of them names would cover each other.
const NAMED_MAX: usize = 12;
/// Characters of a name.
const NAME_CHARS_MAX: usize = 14;

/// The map, if anybody is linked.
pub(super) fn map(t: Language, own: &str, neighbors: &[NeighborReport]) -> Option<Markup> {
    let linked: Vec<_> = neighbors
        .iter()
        .filter(|neighbor| neighbor.path != NeighborPath::None)
        .take(SHOWN_MAX)
        .collect();
    if linked.is_empty() {
        return None;
    }
    let (x, y) = (WIDTH / 2.0, HEIGHT / 2.0);
    let places: Vec<_> = (0..linked.len())
        .zip(&linked)
        .map(|(number, neighbor)| place(number, linked.len(), neighbor))
        .collect();
    let label = t.with("cluster-map", &[("count", linked.len().into())]);
    Some(html! {
        svg class="map" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
            @for (neighbor, (to_x, to_y)) in linked.iter().zip(&places) {
                line class=(line_class(neighbor)) x1=(round(x)) y1=(round(y)) x2=(round(*to_x)) y2=(round(*to_y)) {}
            }
            circle class="own" cx=(round(x)) cy=(round(y)) r="13" {}
            text x=(round(x)) y=(round(y)) dy="2em" { (short(own)) }
            @for (neighbor, (x, y)) in linked.iter().zip(&places) {
                g {
                    title { (words(t, neighbor)) }
                    circle class=(node_class(neighbor)) cx=(round(*x)) cy=(round(*y)) r="9" {}
                    @if linked.len() <= NAMED_MAX {
                        text x=(round(*x)) y=(round(*y)) dy=(name_side(*y)) {
                            (short(neighbor.name.as_deref().unwrap_or("…")))
                        }
                    }
                }
            }
        }
    })
}

/// Where the neighbor `number` of `count` stands: on a ray of its own, as far as its RTT says.
#[expect(clippy::cast_precision_loss, reason = "at most SHOWN_MAX")]
fn place(number: usize, count: usize, neighbor: &NeighborReport) -> (f64, f64) {
    // Nobody stands straight below the middle, where the name of this node is.
    let step = std::f64::consts::TAU / count as f64;
    let angle = std::f64::consts::FRAC_PI_2 + step * (number as f64 + 0.5);
    let far = NEAREST + (1.0 - NEAREST) * slowness(neighbor);
    let x = WIDTH / 2.0 + angle.cos() * far * (WIDTH / 2.0 - MARGIN);
    let y = HEIGHT / 2.0 + angle.sin() * far * (HEIGHT / 2.0 - MARGIN);
    (x, y)
}

/// 0 for at once, 1 for [`FARTHEST_MS`] and what is unknown; logarithmic, as people count delays.
fn slowness(neighbor: &NeighborReport) -> f64 {
    let Some(rtt) = neighbor.rtt else { return 1.0 };
    let ms = rtt.as_secs_f64() * 1000.0;
    (ms.ln_1p() / FARTHEST_MS.ln_1p()).clamp(0.0, 1.0)
}

/// Above the node in the upper half, below it in the lower one: never on its line.
fn name_side(y: f64) -> &'static str {
    if y < HEIGHT / 2.0 { "-1.1em" } else { "1.8em" }
}

fn line_class(neighbor: &NeighborReport) -> &'static str {
    match neighbor.path {
        NeighborPath::Direct(_) => "direct",
        NeighborPath::Relayed(_) | NeighborPath::None => "relayed",
    }
}

fn node_class(neighbor: &NeighborReport) -> &'static str {
    match (neighbor.state, neighbor.friend) {
        (NeighborState::Suspect | NeighborState::Gone, _) => "silent",
        (NeighborState::Seen, true) => "friend",
        (NeighborState::Seen, false) => "seen",
    }
}

fn words(t: Language, neighbor: &NeighborReport) -> String {
    let name = neighbor.name.clone();
    let name = name.unwrap_or_else(|| t.text("cluster-nameless"));
    let path = match neighbor.path {
        NeighborPath::Direct(_) => t.text("cluster-direct"),
        NeighborPath::Relayed(_) => t.text("cluster-relayed"),
        NeighborPath::None => t.text("cluster-no-link"),
    };
    match neighbor.rtt {
        Some(rtt) => format!("{name} · {path} · {:.1} ms", rtt.as_secs_f64() * 1000.0),
        None => format!("{name} · {path}"),
    }
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME_CHARS_MAX - 1).collect();
    format!("{kept}…")
}

fn round(number: f64) -> String {
    format!("{number:.1}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use protocol::NodeId;

    use super::*;

    fn neighbor(name: &str, path: NeighborPath, rtt_ms: u64) -> NeighborReport {
        NeighborReport {
            id: NodeId([7; 32]),
            name: Some(name.to_owned()),
            state: NeighborState::Seen,
            path,
            rtt: Some(Duration::from_millis(rtt_ms)),
            version: None,
            offers: None,
            pinned: false,
            friend: false,
        }
    }

    fn direct(name: &str, rtt_ms: u64) -> NeighborReport {
        neighbor(name, NeighborPath::Direct("192.0.2.1:1".to_owned()), rtt_ms)
    }

    #[test]
    fn only_linked_nodes_are_on_the_map_and_a_relayed_one_looks_different() {
        let away = neighbor("away", NeighborPath::None, 1);
        assert!(map(Language::English, "home", std::slice::from_ref(&away)).is_none());
        let relayed = neighbor("far<b>", NeighborPath::Relayed("relay".to_owned()), 80);
        let drawn = map(
            Language::English,
            "home",
            &[direct("near", 1), relayed, away],
        );
        let drawn = drawn.unwrap().into_string();
        assert_eq!(drawn.matches("<line").count(), 2);
        assert_eq!(drawn.matches("class=\"relayed\"").count(), 1);
        assert!(
            drawn.contains("far&lt;b&gt;") && !drawn.contains("away"),
            "{drawn}"
        );
    }

    #[test]
    fn slower_nodes_stand_farther_out_and_all_stay_on_the_map() {
        let far = |rtt_ms| (place(0, 1, &direct("a", rtt_ms)).0 - WIDTH / 2.0).abs();
        let distances = [0, 1, 5, 40, 300, 10_000].map(far);
        assert!(distances.is_sorted(), "{distances:?}");
        assert!(distances[4] > distances[0] * 2.0, "{distances:?}");
        for count in 1..=SHOWN_MAX {
            for number in 0..count {
                let (x, y) = place(number, count, &direct("a", 10_000));
                assert!((MARGIN - 1.0..=WIDTH - MARGIN + 1.0).contains(&x), "{x}");
                assert!((MARGIN - 1.0..=HEIGHT - MARGIN + 1.0).contains(&y), "{y}");
            }
        }
    }
}
