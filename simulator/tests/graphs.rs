//! Lookups in graphs of ten thousand nodes, against plain walkers on the same graph with the same
//! pairs of nodes; and small networks, in which a miss must end early and cheaply.

use std::time::Duration;

use peers::Dice;
use peers::lookup::{BUDGET_DEFAULT, End, Limits, Tuning};
use protocol::message::lookup::Target;
use simulator::{Census, Faults, Graph, Network, Shape, Survey, SurveyOptions};

const SEED: u64 = 5;
/// None of them was looked at when the machine was tuned.
const HELD_OUT: [u64; 2] = [2026, 1124];
const NODES: usize = 10_000;
const QUERIES: usize = 150;
/// 32 walkers of 1024 steps.
const BUDGET_OF_WALKERS: u32 = 32 * 1024;

fn limits(budget: u32, deadline_s: u64) -> Limits {
    Limits {
        budget,
        deadline: Duration::from_secs(deadline_s),
        ..Limits::default()
    }
}

/// At the walkers' budget, and at the default.
fn surveys(shape: Shape, seed: u64) -> [Survey; 2] {
    let census = Census::new(NODES);
    let mut dice = [0; 32];
    dice[..8].copy_from_slice(&seed.to_be_bytes());
    let graph = Graph::new(shape, NODES, &mut Dice::new(dice));
    let faults = Faults::default();
    let mut network = Network::new(&graph, &census, Tuning::default(), faults, seed);
    [(BUDGET_OF_WALKERS, 60), (BUDGET_DEFAULT, 10)].map(|(budget, deadline_s)| {
        let options = SurveyOptions {
            shape,
            nodes: NODES,
            queries: QUERIES,
            seed,
            limits: limits(budget, deadline_s),
        };
        Survey::run(options, &graph, &mut network)
    })
}

/// The walkers are told of a hit for nothing and at once. Where they find all, finding all for no
/// more messages is better than they.
#[expect(clippy::print_stdout, reason = "shown with `--nocapture`")]
fn beats_the_walkers(shape: Shape, seed: u64, found_by_default_min: f64) {
    let [raised, default] = surveys(shape, seed);
    println!("{}\n{raised}\n{default}", Survey::HEAD);
    assert!(
        raised.found >= raised.walkers_found,
        "seed {seed}: {raised}"
    );
    assert!(
        raised.messages_mean() <= raised.walkers_messages,
        "seed {seed}: {raised}"
    );
    assert!(
        default.found_percent() >= found_by_default_min,
        "seed {seed}: {default}"
    );
    let most = default.messages.last().copied().unwrap_or(0);
    assert!(most <= 5100, "seed {seed}: {most} messages of 5000");
}

#[test]
fn a_random_graph_of_ten_thousand_is_searched_for_less_than_walkers_need() {
    for seed in HELD_OUT {
        beats_the_walkers(Shape::Random, seed, 99.0);
    }
}

#[test]
fn a_scale_free_graph_of_ten_thousand_is_searched_for_less_than_walkers_need() {
    for seed in HELD_OUT {
        beats_the_walkers(Shape::ScaleFree, seed, 99.0);
    }
}

#[test]
fn a_small_world_of_ten_thousand_is_searched_for_less_than_walkers_need() {
    for seed in HELD_OUT {
        beats_the_walkers(Shape::SmallWorld, seed, 95.0);
    }
}

#[test]
fn in_a_mesh_of_fifty_a_miss_costs_at_most_two_messages_a_link() {
    let census = Census::new(51);
    let graphs = (1..=5)
        .map(|seed| Graph::new(Shape::Random, 50, &mut Dice::new([seed; 32])))
        .chain([Graph::full(50)]);
    for graph in graphs {
        let faults = Faults::default();
        let mut network = Network::new(&graph, &census, Tuning::default(), faults, SEED);
        for origin in 0..5 {
            let run = network.find(origin, Target::Node(census.id(50)), Limits::default());
            assert!(!run.outcome.found);
            assert!(
                run.messages <= 2 * graph.edges(),
                "seed {SEED}: {} messages, {} links, {:?}",
                run.messages,
                graph.edges(),
                run.outcome
            );
            network.pass(Duration::from_secs(700));
        }
    }
}

#[test]
fn r33_a_line_of_seven_is_searched_to_its_end_and_fails_cleanly_with_four_hops() {
    let census = Census::new(7);
    let graph = Graph::line(7);
    let faults = Faults::default();
    let mut network = Network::new(&graph, &census, Tuning::default(), faults, SEED);
    let target = Target::Node(census.id(6));
    let run = network.find(0, target.clone(), Limits::default());
    assert_eq!(run.found.len(), 1);
    assert_eq!(run.hops, 5, "the sixth node knows the seventh");
    network.pass(Duration::from_secs(700));
    let four = Limits {
        hops: 4,
        ..Limits::default()
    };
    let run = network.find(0, target, four);
    assert!(!run.outcome.found);
    assert_eq!(run.outcome.end, End::Exhausted);
    assert!(
        run.outcome.took < Duration::from_secs(2),
        "{:?}",
        run.outcome
    );
}

#[test]
fn r33_a_ring_does_not_loop() {
    let census = Census::new(13);
    let graph = Graph::ring(12);
    let faults = Faults::default();
    let mut network = Network::new(&graph, &census, Tuning::default(), faults, SEED);
    let run = network.find(0, Target::Node(census.id(12)), Limits::default());
    assert!(!run.outcome.found);
    assert!(run.messages <= 2 * graph.edges(), "{}", run.messages);
    assert_eq!(run.outcome.end, End::Exhausted);
}

#[test]
fn r33_a_deadline_of_two_seconds_is_kept_within_a_tenth() {
    let census = Census::new(3000);
    let graph = Graph::new(Shape::Random, 2999, &mut Dice::new([4; 32]));
    let faults = Faults::default();
    let mut network = Network::new(&graph, &census, Tuning::default(), faults, SEED);
    let run = network.find(
        0,
        Target::Node(census.id(2999)),
        limits(BUDGET_OF_WALKERS, 2),
    );
    assert_eq!(run.outcome.end, End::Deadline);
    let off = run.outcome.took.abs_diff(Duration::from_secs(2));
    assert!(off <= Duration::from_millis(100), "{:?}", run.outcome);
}

#[test]
fn r30_a_hit_in_the_own_list_sends_nothing() {
    let census = Census::new(3);
    let graph = Graph::line(3);
    let faults = Faults::default();
    let mut network = Network::new(&graph, &census, Tuning::default(), faults, SEED);
    let run = network.find(0, Target::Node(census.id(1)), Limits::default());
    assert_eq!((run.found.len(), run.hops, run.messages), (1, 0, 0));
    let run = network.find(0, Target::Node(census.id(2)), Limits::default());
    assert_eq!(
        (run.found.len(), run.hops),
        (1, 1),
        "R31: by way of the one in between"
    );
    assert_eq!(run.messages, 2);
}

#[test]
fn r32_no_query_goes_back_to_the_neighbor_that_it_came_from() {
    let census = Census::new(501);
    for (seed, shape) in (1..).zip(Shape::ALL) {
        let graph = Graph::new(shape, 500, &mut Dice::new([seed; 32]));
        let faults = Faults::default();
        let mut network = Network::new(&graph, &census, Tuning::default(), faults, SEED);
        network.find(0, Target::Node(census.id(500)), Limits::default());
        assert!(network.sent() > 500);
        assert_eq!(network.echoes(), 0, "{shape:?}");
    }
}
