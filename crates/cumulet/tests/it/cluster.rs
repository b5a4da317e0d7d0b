//! Nodes among nodes: who is linked, who is found through others, and where a lookup ends (R23,
//! R25, R29 to R34).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use testing::{Node, Wires, until};

const PORT: u16 = 8443;

fn node(name: &str) -> testing::NodeBuilder {
    Node::of(env!("CARGO_BIN_EXE_cumulet"))
        .https_only()
        .arg("--name")
        .arg(name)
}

/// A node on a machine of its own.
fn on(wires: &Wires, machine: usize) -> Node {
    let space = wires.space(machine);
    node(&format!("n{machine}"))
        .listen(&format!("[::]:{PORT}"))
        .under(&["ip", "netns", "exec", &space])
        .start()
}

/// Nodes in a row, each joined with the next; the last with the first too if it is a ring.
fn row(count: usize, ring: bool) -> Option<(Wires, Vec<Node>)> {
    let mut wires = Wires::new(count)?;
    let last = if ring { count } else { count - 1 };
    let cables: Vec<_> = (0..last)
        .map(|left| (left, wires.join(left, (left + 1) % count).1))
        .collect();
    let nodes: Vec<_> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..count)
            .map(|machine| {
                let wires = &wires;
                scope.spawn(move || on(wires, machine))
            })
            .collect();
        starting
            .into_iter()
            .map(|node| node.join().unwrap())
            .collect()
    });
    for (left, address) in cables {
        let right = &nodes[(left + 1) % count];
        add(&nodes[left], &format!("{}@{address}:{PORT}", id(right)));
    }
    for (machine, node) in nodes.iter().enumerate() {
        let ends = !ring && (machine == 0 || machine == count - 1);
        linked(node, if ends { 1 } else { 2 });
    }
    Some((wires, nodes))
}

fn id(node: &Node) -> String {
    node.ready().line["id"].as_str().unwrap().to_owned()
}

/// `ID@ADDRESS:PORT` of a node on this computer.
fn contact(node: &Node) -> String {
    let quic = node.ready().line["quic"].as_str().unwrap();
    format!("{}@{}", id(node), quic.strip_prefix("quic://").unwrap())
}

fn add(node: &Node, contact: &str) {
    node.cli(&["neighbors", "add", contact, "--json"]).ok();
}

fn neighbors(node: &Node) -> Vec<Value> {
    let list = node.cli(&["neighbors", "--json"]).json();
    list.as_array().unwrap().clone()
}

#[track_caller]
fn linked(node: &Node, count: usize) {
    until("linked", Duration::from_secs(15), || {
        let all = neighbors(node);
        let linked = all.iter().filter(|view| view["linked"] == true).count();
        if linked >= count {
            Ok(())
        } else {
            Err(format!("{all:?}"))
        }
    });
}

/// Sent and received lookup messages.
fn messages(node: &Node) -> (u64, u64) {
    let links = node.cli(&["status", "--json"]).json()["links"].clone();
    (
        links["lookup_messages_sent"].as_u64().unwrap(),
        links["lookup_messages_received"].as_u64().unwrap(),
    )
}

struct Found {
    code: i32,
    answer: Value,
}

fn find(node: &Node, what: &str, options: &[&str]) -> Found {
    let outcome = node.cli(&[&["find", what, "--json"], options].concat());
    let answer = serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", outcome.stdout, outcome.stderr));
    Found {
        code: outcome.code,
        answer,
    }
}

#[test]
fn r29_neighbors_are_listed_with_state_path_and_services() {
    let (alice, bob) = (node("alice").start(), node("bob").start());
    assert!(neighbors(&alice).is_empty());
    add(&alice, &contact(&bob));
    for (here, there, name) in [(&alice, &bob, "bob"), (&bob, &alice, "alice")] {
        linked(here, 1);
        let view = until("services", Duration::from_secs(5), || {
            let view = neighbors(here)[0].clone();
            if view["services"].is_array() {
                Ok(view)
            } else {
                Err(view.to_string())
            }
        });
        assert_eq!(view["id"], id(there), "{view}");
        assert_eq!(view["name"], name, "{view}");
        assert_eq!(view["state"], "seen", "{view}");
        assert_eq!(view["missed"], 0, "{view}");
        assert_eq!(view["path"], "direct", "{view}");
        assert!(view["rtt_ms"].as_f64().unwrap() < 1000.0, "{view}");
        assert_eq!(view["pinned"], false, "{view}");
        let services = view["services"].to_string();
        assert!(
            services.contains("webdav") && !services.contains("files"),
            "{services}"
        );
    }
    alice.cli(&["neighbors", "pin", "bob"]).ok();
    assert_eq!(neighbors(&alice)[0]["pinned"], true);
    alice.cli(&["neighbors", "unpin", &id(&bob)]).ok();
    assert_eq!(neighbors(&alice)[0]["pinned"], false);
    assert_eq!(alice.cli(&["neighbors", "pin", "nobody"]).code, 1);
    assert_eq!(alice.cli(&["neighbors", "add", "nobody"]).code, 2);
}

#[test]
fn r30_a_neighbor_is_found_without_a_packet() {
    let (alice, bob) = (node("alice").start(), node("bob").start());
    add(&alice, &contact(&bob));
    linked(&alice, 1);
    let before = messages(&alice);
    for what in ["bob", "BOB.local", &id(&bob)] {
        let found = find(&alice, what, &[]);
        assert_eq!(found.code, 0, "{}", found.answer);
        assert_eq!(found.answer["id"], id(&bob));
        assert_eq!(found.answer["messages"], 0, "{}", found.answer);
        assert_eq!(found.answer["from"], "local", "{}", found.answer);
        assert_eq!(found.answer["hops"], 0, "{}", found.answer);
    }
    assert_eq!(messages(&alice), before);
    let found = find(&alice, "bob", &["--services"]);
    assert!(
        found.answer["services"].to_string().contains("pages"),
        "{}",
        found.answer
    );
}

#[test]
fn r31_r32_a_node_is_found_through_another_and_nobody_is_asked_back() {
    let Some((_wires, nodes)) = row(3, false) else {
        return;
    };
    let (a, b) = (&nodes[0], &nodes[1]);
    let found = find(a, "n2", &[]);
    assert_eq!(found.code, 0, "{}", found.answer);
    assert_eq!(found.answer["id"], id(&nodes[2]));
    assert_eq!(found.answer["from"], id(b));
    assert_eq!(found.answer["hops"], 1, "{}", found.answer);

    let before: Vec<_> = nodes.iter().map(messages).collect();
    let missed = find(a, "nobody", &[]);
    assert_eq!(missed.code, 1, "{}", missed.answer);
    assert_eq!(missed.answer["found"], false);
    assert!(
        missed.answer["took_ms"].as_f64().unwrap() < 5000.0,
        "{}",
        missed.answer
    );
    let after: Vec<_> = nodes.iter().map(messages).collect();
    // C is asked by B alone and has nobody else to ask: what it sends are answers, and no more of
    // them than it was asked questions.
    let c_sent = after[2].0 - before[2].0;
    let c_received = after[2].1 - before[2].1;
    assert!(c_sent <= c_received, "{before:?} {after:?}");
    // A is never asked: it receives only answers to its own questions.
    let a_sent = after[0].0 - before[0].0;
    let a_received = after[0].1 - before[0].1;
    assert!(a_received <= a_sent, "{before:?} {after:?}");
}

#[test]
fn r33_the_first_of_seven_in_a_line_finds_the_last_and_ends_at_its_limits() {
    let Some((_wires, nodes)) = row(7, false) else {
        return;
    };
    let (first, last) = (&nodes[0], &nodes[6]);
    let found = find(first, &id(last), &[]);
    assert_eq!(found.code, 0, "{}", found.answer);
    assert_eq!(found.answer["id"], id(last));
    assert_eq!(found.answer["name"], "n6");
    // The sixth node knows the seventh.
    assert_eq!(found.answer["hops"], 5, "{}", found.answer);

    // The other way, where nobody keeps the answer, and with too few hops.
    let missed = find(last, &id(first), &["--max-hops", "4"]);
    assert_eq!(missed.code, 1, "{}", missed.answer);
    assert_eq!(missed.answer["found"], false);
    assert!(
        missed.answer["took_ms"].as_f64().unwrap() < 9000.0,
        "{}",
        missed.answer
    );
    assert_eq!(find(last, &id(first), &["--max-hops", "5"]).code, 0);

    // A node in the middle that is silent: the answer comes when the time is over.
    rustix::process::kill_process(pid(&nodes[1]), Signal::STOP).unwrap();
    let late = find(first, "nobody", &["--deadline", "2"]);
    rustix::process::kill_process(pid(&nodes[1]), Signal::CONT).unwrap();
    assert_eq!(late.code, 1);
    let took = late.answer["took_ms"].as_f64().unwrap();
    assert!(took < 2100.0, "{}", late.answer);
    for wrong in [
        ["--max-hops", "0"],
        ["--deadline", "0"],
        ["--deadline", "61"],
    ] {
        assert_eq!(first.cli(&[&["find", "x"], &wrong[..]].concat()).code, 2);
    }
}

fn pid(node: &Node) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(i32::try_from(node.pid()).unwrap()).unwrap()
}

#[test]
fn r33_a_lookup_does_not_run_in_circles() {
    let Some((_wires, nodes)) = row(5, true) else {
        return;
    };
    let before: u64 = nodes.iter().map(|node| messages(node).0).sum();
    let missed = find(&nodes[0], "nobody", &[]);
    assert_eq!(missed.code, 1, "{}", missed.answer);
    assert_ne!(missed.answer["end"], "deadline", "{}", missed.answer);
    let sent = nodes.iter().map(|node| messages(node).0).sum::<u64>() - before;
    assert!(sent <= 2 * 5, "{sent} messages on 5 links");
    let found = find(&nodes[0], "n2", &[]);
    assert_eq!(found.answer["id"], id(&nodes[2]), "{}", found.answer);
}

#[test]
fn r33_fifty_nodes_find_each_other_with_few_messages() {
    const COUNT: usize = 50;
    let shared = tempfile::TempDir::new_in("/dev/shm").unwrap();
    let nodes: Vec<Node> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..4)
            .map(|part| {
                let shared = shared.path();
                scope.spawn(move || {
                    (part..COUNT)
                        .step_by(4)
                        .map(|number| {
                            let started = node(&format!("m{number}"))
                                .folder(&shared.join(format!("m{number}")))
                                .arg("--max-neighbors")
                                .arg("8")
                                .start();
                            (number, started)
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let started = starting.into_iter().flat_map(|part| part.join().unwrap());
        let sorted: BTreeMap<_, _> = started.collect();
        sorted.into_values().collect()
    });
    // Each calls the next and the one a third of the way round.
    let contacts: Vec<_> = nodes.iter().map(contact).collect();
    for (number, node) in nodes.iter().enumerate() {
        for step in [1, COUNT / 3] {
            add(node, &contacts[(number + step) % COUNT]);
        }
    }
    for node in &nodes {
        linked(node, 3);
    }
    for number in [7, 23, 31, 49] {
        let found = find(&nodes[0], &format!("m{number}"), &[]);
        assert_eq!(found.code, 0, "{}", found.answer);
        assert_eq!(found.answer["id"], id(&nodes[number]), "{}", found.answer);
    }
    // Links still come and go for a while: what counts is a miss in a net that stayed as it was.
    let ends = || -> usize {
        let linked = |node| {
            neighbors(node)
                .iter()
                .filter(|view| view["linked"] == true)
                .count()
        };
        nodes.iter().map(linked).sum()
    };
    let (edges, sent) = until("a net that stays", Duration::from_secs(30), || {
        let ends_before = ends();
        let before: u64 = nodes.iter().map(|node| messages(node).0).sum();
        let missed = find(&nodes[0], "nobody", &[]);
        assert_eq!(missed.code, 1, "{}", missed.answer);
        let sent = nodes.iter().map(|node| messages(node).0).sum::<u64>() - before;
        let ends_after = ends();
        if ends_before != ends_after || ends_after % 2 != 0 {
            return Err(format!("{ends_before} and {ends_after} ends of links"));
        }
        let edges = ends_after / 2;
        eprintln!(
            "a miss among {COUNT} nodes on {edges} links: {sent} messages, {}",
            missed.answer
        );
        Ok((edges, sent))
    });
    assert!(sent <= 2 * edges as u64, "{sent} messages on {edges} links");
}

#[test]
fn r23_a_neighbor_that_is_cut_off_is_gone_after_three_beats_and_comes_back() {
    let Some((wires, mut nodes)) = row(3, false) else {
        return;
    };
    let state = |node: &Node, of: &str| {
        let all = neighbors(node);
        let view = all.iter().find(|view| view["id"] == of).unwrap();
        (
            view["state"].as_str().unwrap().to_owned(),
            view["missed"].as_u64().unwrap(),
        )
    };
    let ids: Vec<_> = nodes.iter().map(id).collect();
    wires.carries(0, false);
    nodes[2].kill();
    let cut = Instant::now();
    let mut suspected = false;
    until("gone", Duration::from_secs(25), || {
        let seen = state(&nodes[1], &ids[0]);
        suspected |= seen.0 == "suspect";
        if seen.0 == "gone" {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    });
    assert!(suspected, "it was suspect before");
    assert!(
        cut.elapsed() > Duration::from_secs(10),
        "{:?}: not before three beats",
        cut.elapsed()
    );
    until("the killed one too", Duration::from_secs(8), || {
        let seen = state(&nodes[1], &ids[2]);
        if seen.0 == "gone" {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    });
    assert_eq!(find(&nodes[1], &ids[2], &["--deadline", "2"]).code, 1);
    wires.carries(0, true);
    nodes[2].start();
    until("healed", Duration::from_secs(40), || {
        let seen = (state(&nodes[1], &ids[0]), state(&nodes[1], &ids[2]));
        if seen.0.0 == "seen" && seen.1.0 == "seen" {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    });
    assert_eq!(find(&nodes[0], &ids[2], &[]).code, 0);
}

#[test]
fn r25_neighbors_outlive_a_restart_and_a_goodbye_is_noticed_at_once() {
    let (mut alice, mut bob) = (node("alice").start(), node("bob").start());
    add(&alice, &contact(&bob));
    linked(&bob, 1);
    let begun = Instant::now();
    alice.stop();
    until("gone", Duration::from_secs(3), || {
        let seen = neighbors(&bob)[0]["state"].clone();
        if seen == "gone" {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(8));
    alice.start();
    linked(&alice, 1);
    // One module stops and starts by itself.
    alice.cli(&["module", "stop", "links"]).ok();
    alice.cli(&["module", "stop", "neighbors"]).ok();
    assert_eq!(alice.cli(&["neighbors"]).code, 3);
    assert_eq!(alice.cli(&["find", "bob"]).code, 3);
    alice.cli(&["module", "start", "links"]).ok();
    alice.cli(&["module", "start", "neighbors"]).ok();
    linked(&alice, 1);
    // A table that a crash or a hand destroyed costs the neighbors, not the node.
    alice.kill();
    std::fs::write(alice.state().join("neighbors.json"), "{").unwrap();
    alice.start();
    assert!(alice.log().contains("table of neighbors"), "it is told");
    bob.stop();
}
