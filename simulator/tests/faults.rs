//! Lookups in networks where something goes wrong. What must hold: nothing forged is believed,
//! every lookup ends, and what is there is mostly found.

use std::time::Duration;

use peers::Dice;
use peers::lookup::{Fault, Limits, Tuning};
use protocol::message::lookup::Target;
use simulator::{Census, Conduct, Faults, Graph, Network, Partition, Shape};

const SEED: u64 = 11;
const NODES: usize = 600;

struct Result {
    found: usize,
    wrong: usize,
    faults: Vec<Fault>,
    messages: usize,
    messages_most: usize,
}

fn run(census: &Census, faults: &Faults, queries: u32) -> Result {
    let graph = Graph::new(Shape::Random, NODES, &mut Dice::new([2; 32]));
    let liars = faults.conduct.clone();
    let mut network = Network::new(&graph, census, Tuning::default(), faults.clone(), SEED);
    let mut result = Result {
        found: 0,
        wrong: 0,
        faults: Vec::new(),
        messages: 0,
        messages_most: 0,
    };
    let honest: Vec<u32> = (0..600).filter(|node| !liars.contains_key(node)).collect();
    for number in 0..queries {
        let at = |step: u32| honest[((number * 37 + step) as usize) % honest.len()];
        let (origin, target) = (at(0), at(311));
        let id = census.id(target as usize);
        let run = network.find(origin, Target::Node(id), Limits::default());
        assert!(
            run.outcome.took <= Duration::from_millis(10_100),
            "{:?}",
            run.outcome
        );
        result.found += usize::from(run.outcome.found);
        result.wrong += run.found.iter().filter(|node| node.node != id).count();
        result.messages += run.messages;
        result.messages_most = result.messages_most.max(run.messages);
        network.pass(Duration::from_secs(700));
    }
    result.faults = network.faults_seen().iter().map(|seen| seen.2).collect();
    assert_eq!(result.wrong, 0, "seed {SEED}");
    result
}

fn some_are(conduct: Conduct) -> Faults {
    Faults {
        conduct: (0..600).step_by(10).map(|node| (node, conduct)).collect(),
        ..Faults::default()
    }
}

fn check(faults: &Faults, found_min: usize) -> Result {
    let result = run(&Census::new(NODES), faults, 40);
    assert!(
        result.found >= found_min,
        "seed {SEED}: {} of 40 found with {faults:?}",
        result.found
    );
    result
}

#[test]
fn without_faults_everything_is_found() {
    let result = check(&Faults::default(), 40);
    assert_eq!(result.faults, []);
}

#[test]
fn lost_late_and_doubled_messages_cost_few_hits() {
    let faults = Faults {
        lost_percent: 10,
        doubled_percent: 10,
        late_percent: 10,
        ..Faults::default()
    };
    check(&faults, 36);
}

#[test]
fn forged_records_are_neither_believed_nor_passed_on() {
    let result = check(&some_are(Conduct::Forges), 36);
    assert!(result.faults.contains(&Fault::BadRecord));
    let result = check(&some_are(Conduct::Replaces), 36);
    assert!(result.faults.contains(&Fault::BadRecord));
}

#[test]
fn stale_records_are_not_believed() {
    let result = check(&some_are(Conduct::Stale), 36);
    assert!(result.faults.contains(&Fault::BadRecord));
}

#[test]
fn a_neighbor_that_denies_everything_or_says_nothing_hides_little() {
    check(&some_are(Conduct::Denies), 36);
    check(&some_are(Conduct::Silent), 36);
}

#[test]
fn digests_that_claim_everything_cost_a_bounded_number_of_messages() {
    let honest = check(&Faults::default(), 40);
    let lured = check(&some_are(Conduct::Lures), 36);
    assert_eq!(lured.faults, [], "a claim is no fault: a filter may err");
    assert!(
        lured.messages <= 6 * honest.messages,
        "{} messages, {} without",
        lured.messages,
        honest.messages
    );
}

#[test]
fn a_neighbor_that_answers_everything_and_floods_is_noticed_and_bounded() {
    let result = check(&some_are(Conduct::Floods), 34);
    assert!(result.faults.contains(&Fault::BadRecord));
    assert!(result.messages_most < 200_000, "{}", result.messages_most);
}

#[test]
fn clocks_that_are_a_day_wrong_hinder_nobody() {
    let day_ms = 24 * 3_600_000;
    let faults = Faults {
        clock_error_ms: (0..600)
            .filter(|node| node % 3 != 0)
            .map(|node| (node, if node % 3 == 1 { day_ms } else { -day_ms }))
            .collect(),
        ..Faults::default()
    };
    check(&faults, 40);
}

#[test]
fn a_partition_that_heals_leaves_nothing_stuck() {
    let census = Census::new(NODES);
    let graph = Graph::new(Shape::Random, NODES, &mut Dice::new([2; 32]));
    let faults = Faults {
        partition: Some(Partition {
            below: 300,
            from: Duration::ZERO,
            until: Duration::from_secs(100),
        }),
        ..Faults::default()
    };
    let mut network = Network::new(&graph, &census, Tuning::default(), faults, SEED);
    let near = graph.links(10).to_vec();
    let far = (300..600).find(|node| !near.contains(node)).unwrap();
    let target = Target::Node(census.id(far as usize));
    let known = |node: &u32| {
        graph
            .links(*node as usize)
            .iter()
            .any(|other| *other >= 300)
    };
    let run = network.find(10, target.clone(), Limits::default());
    // Records cross no partition, but who knows the node from before may still tell.
    assert!(!run.outcome.found || (0..300).any(|node| known(&node)));
    network.pass(Duration::from_secs(700));
    let run = network.find(10, target, Limits::default());
    assert!(run.outcome.found, "seed {SEED}: {:?}", run.outcome);
}

#[test]
fn a_storm_of_lookups_ends_and_takes_bounded_memory() {
    let census = Census::new(NODES);
    let graph = Graph::new(Shape::Random, NODES, &mut Dice::new([2; 32]));
    let faults = Faults::default();
    let mut network = Network::new(&graph, &census, Tuning::default(), faults, SEED);
    let finds: Vec<_> = (0..200)
        .map(|number| {
            let target = Target::Node(census.id((number * 7 + 3) % NODES));
            network.begin(5, target, Limits::default())
        })
        .collect();
    network.rest();
    for find in finds {
        let run = network.run_of(find);
        assert!(run.outcome.took <= Duration::from_millis(10_100));
    }
    let seen = network.faults_seen();
    assert!(seen.iter().all(|(.., fault)| *fault == Fault::TooMany));
    assert!(
        !seen.is_empty(),
        "ten queries a second and neighbor are the limit"
    );
    assert!(network.remembered_most() <= 200);
}

#[test]
fn two_nodes_with_the_same_name_are_both_found() {
    let mut census = Census::new(NODES);
    census.name(100, "anna");
    census.name(400, "anna");
    let graph = Graph::new(Shape::Random, NODES, &mut Dice::new([2; 32]));
    let faults = Faults::default();
    let mut network = Network::new(&graph, &census, Tuning::default(), faults, SEED);
    let mut both = 0;
    for origin in 0..20 {
        let target = Target::named(&"anna".parse().unwrap());
        let run = network.find(origin, target, Limits::default());
        assert!(run.outcome.found);
        both += usize::from(run.found.len() == 2);
        network.pass(Duration::from_secs(700));
    }

    assert!(both >= 18, "seed {SEED}: both in {both} of 20");
}

#[test]
fn a_blinded_id_is_found_by_those_who_know_the_node() {
    let census = Census::new(NODES);
    let graph = Graph::new(Shape::Random, NODES, &mut Dice::new([2; 32]));
    let faults = Faults::default();
    let mut network = Network::new(&graph, &census, Tuning::default(), faults, SEED);
    let target = Target::blinded(census.id(321), 20_781);
    let run = network.find(7, target, Limits::default());
    assert_eq!(run.found.len(), 1);
    assert_eq!(run.found[0].node, census.id(321));
}
