//! Nodes find each other on the home network (R5, R21, R22, R23, R78), in networks of the test's own.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use testing::{Avahi, Dice, Family, Lan, Node, cpu_ticks, resident_kib, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cumulet");
/// The promise of R21.
const FOUND_WITHIN: Duration = Duration::from_secs(5);
const BEAT: Duration = Duration::from_secs(1);

fn node(lan: &Lan, machine: usize, name: &str, more: &[&str]) -> Node {
    let listen = if lan.address(machine).contains(':') {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    let builder = Node::of(PROGRAM)
        .under(&lan.on(machine))
        .listen(listen)
        .https_only()
        .mdns()
        .arg("--name")
        .arg(name);
    more.iter()
        .fold(builder, |builder, word| builder.arg(*word))
        .start()
}

fn hidden_node(lan: &Lan, machine: usize) -> Node {
    Node::of(PROGRAM)
        .under(&lan.on(machine))
        .listen("0.0.0.0:0")
        .https_only()
        .mdns()
        .arg("--name")
        .arg("secretive")
        .config("hidden = true\n")
        .start()
}

fn id(node: &Node) -> String {
    node.ready().line["id"].as_str().unwrap().to_owned()
}

/// What the node's discovery knows of `other`.
fn nearby(node: &Node, other: &str) -> Option<Value> {
    let status = node.cli(&["--json", "status"]).json();
    let nearby = status["nearby"].as_array().unwrap();
    nearby.iter().find(|row| row["id"] == other).cloned()
}

fn wait_for(node: &Node, other: &str) -> Duration {
    let began = Instant::now();
    wait_until("the other node is nearby", FOUND_WITHIN, || {
        nearby(node, other).is_some()
    });
    began.elapsed()
}

/// `cumulet discover` on a machine without node and settings: exit code and rows.
fn discover(lan: &Lan, machine: usize, seconds: u64) -> (i32, Vec<Value>) {
    let words = lan.on(machine);
    let output = Command::new(words[0])
        .args(&words[1..])
        .arg(PROGRAM)
        .args(["--json", "discover", "--timeout", &seconds.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (output.status.code().unwrap(), rows.collect())
}

fn found_by_all(family: Family) {
    let Some(lan) = Lan::new(3, family) else {
        return;
    };
    assert_eq!(discover(&lan, 2, 1), (1, vec![]), "nobody is there yet");
    let b = node(&lan, 1, "beta", &[]);
    let a = node(&lan, 0, "alpha", &[]);
    let took = wait_for(&b, &id(&a));
    wait_for(&a, &id(&b));
    eprintln!("{family:?}: listed {took:?} after its ready line");
    let (code, rows) = discover(&lan, 2, 3);
    assert_eq!(code, 0);
    let names: Vec<_> = rows.iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["alpha", "beta"]);
    assert_eq!(rows[0]["id"], id(&a).as_str());
    let port = a.ready().line["https"]
        .as_str()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap();
    let addresses: Vec<&str> = rows[0]["addresses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|address| address.as_str().unwrap())
        .collect();
    let expected = match family {
        Family::V4 | Family::Both => format!("{}:{port}", lan.address(0)),
        Family::V6 => format!("[{}]:{port}", lan.address(0)),
    };
    assert_eq!(addresses[0], expected);
    assert!(
        addresses
            .iter()
            .all(|a| !a.contains("127.0.0.1") && !a.contains("[::1]"))
    );
}

#[test]
fn r21_a_started_node_is_listed_by_nodes_and_clients_on_ipv4() {
    found_by_all(Family::V4);
}

#[test]
fn r22_nodes_and_clients_find_each_other_on_ipv6() {
    found_by_all(Family::V6);
}

#[test]
fn r23_a_killed_node_is_gone_after_three_missed_beats_and_not_before() {
    let Some(lan) = Lan::new(2, Family::Both) else {
        return;
    };
    let b = node(&lan, 1, "beta", &["--beat", "1", "--beats-missed", "3"]);
    let mut a = node(&lan, 0, "alpha", &[]);
    let id = id(&a);
    wait_for(&b, &id);
    // A node that answers stays seen.
    let until = Instant::now() + 4 * BEAT;
    while Instant::now() < until {
        let row = nearby(&b, &id).expect("an answering node stays on the list");
        assert_eq!(row["state"], "seen", "{row}");
        std::thread::sleep(BEAT / 5);
    }
    a.kill();
    let killed = Instant::now();
    let mut missed = vec![];
    wait_until("the killed node is gone", 10 * BEAT, || {
        match nearby(&b, &id) {
            Some(row) => {
                let count = row["missed"].as_u64().unwrap();
                if missed.last() != Some(&count) {
                    missed.push(count);
                }
                false
            }
            None => true,
        }
    });
    let took = killed.elapsed();
    eprintln!("gone {took:?} after the kill, seen missed: {missed:?}");
    assert_eq!(missed, [0, 1, 2], "each missed beat shows before the end");
    assert!(
        took > 2 * BEAT,
        "gone after {took:?}, before the third beat"
    );
}

#[test]
fn r23_a_node_that_stops_is_gone_at_once_and_found_again_when_it_starts() {
    let Some(lan) = Lan::new(2, Family::V4) else {
        return;
    };
    // A beat that cannot be what tells.
    let b = node(&lan, 1, "beta", &["--beat", "60"]);
    let mut a = node(&lan, 0, "alpha", &[]);
    let id = id(&a);
    wait_for(&b, &id);
    a.process().signal(Signal::TERM);
    let limit = Duration::from_secs(3);
    wait_until("the node that stopped is gone", limit, || {
        nearby(&b, &id).is_none()
    });
    a.stop();
    a.start();
    wait_for(&b, &id);
    // The module stops and starts like any other.
    a.cli(&["module", "stop", "discovery"]).ok();
    wait_until("a node whose module stopped is gone", limit, || {
        nearby(&b, &id).is_none()
    });
    a.cli(&["module", "start", "discovery"]).ok();
    wait_for(&b, &id);
    wait_for(&a, &self::id(&b));
}

#[test]
fn r05_discovery_follows_interfaces_that_come_and_go() {
    let Some(lan) = Lan::new(2, Family::V4) else {
        return;
    };
    lan.unplug(0, "eth0");
    let a = node(&lan, 0, "alpha", &["--beat", "1"]);
    let b = node(&lan, 1, "beta", &["--beat", "1"]);
    assert!(nearby(&b, &id(&a)).is_none());
    lan.plug(0, "wlan0");
    wait_for(&b, &id(&a));
    wait_for(&a, &id(&b));
    lan.unplug(0, "wlan0");
    let gone = Duration::from_secs(8);
    wait_until("both lose each other", gone, || {
        nearby(&b, &id(&a)).is_none() && nearby(&a, &id(&b)).is_none()
    });
    lan.plug(0, "eth1");
    wait_for(&b, &id(&a));
    wait_for(&a, &id(&b));
}

#[test]
fn r78_discover_tells_two_nodes_of_one_name_apart_by_their_ids() {
    let Some(lan) = Lan::new(3, Family::V4) else {
        return;
    };
    let a = node(&lan, 0, "home", &[]);
    let b = node(&lan, 1, "home", &[]);
    wait_for(&a, &id(&b));
    wait_for(&b, &id(&a));
    let (_, rows) = discover(&lan, 2, 3);
    let names: Vec<_> = rows.iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["home", "home"]);
    let mut ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    let mut expected = [id(&a), id(&b)];
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
}

#[test]
fn r21_the_standard_tools_of_other_systems_see_a_node_but_not_who_hides() {
    let Some(lan) = Lan::new(3, Family::Both) else {
        return;
    };
    let scratch = tempfile::TempDir::new().unwrap();
    let Some(avahi) = Avahi::start(&lan, 2, scratch.path()) else {
        return;
    };
    let a = node(&lan, 0, "alpha", &[]);
    let hidden = hidden_node(&lan, 1);
    let mut seen = String::new();
    wait_until("avahi sees both", Duration::from_secs(15), || {
        seen = avahi.browse("_cumulet._tcp");
        let tagged = seen
            .lines()
            .any(|line| line.starts_with('=') && line.contains("t0="));
        tagged && seen.contains(&format!("id={}", id(&a)))
    });
    for part in ["\"v=1\"", "\"n=alpha\"", "\"a=1\"", "\"p="] {
        assert!(seen.contains(part), "{part} is missing in {seen}");
    }
    let files = avahi.browse("_webdavs._tcp");
    assert!(files.contains("alpha"), "{files}");
    let everything = seen + &files + &avahi.browse("_https._tcp");
    assert!(!everything.contains("secretive") && !everything.contains(&id(&hidden)[..10]));
    let (_, rows) = discover(&lan, 2, 2);
    assert_eq!(rows.len(), 1, "a hidden node is nobody's: {rows:?}");
}

/// Makes `other` a friend whom both owners accepted. The node is stopped meanwhile.
fn befriend(node: &mut Node, other: &str) {
    node.stop();
    let catalog = rusqlite::Connection::open(node.state().join("catalog.db")).unwrap();
    let other = other.parse::<protocol::NodeId>().unwrap().0;
    catalog
        .execute(
            "INSERT INTO friend (node, name, name_key, calls_itself, addresses, scopes, we_agree,
                                 they_agree, since, created)
             VALUES (?1, 'Friend', 'friend', 'friend', '', '', 1, 1, 1, 1)",
            [other.as_slice()],
        )
        .unwrap();
    drop(catalog);
    node.start();
}

#[test]
fn a_hidden_node_is_recognized_by_its_friend_and_by_nobody_else() {
    let Some(lan) = Lan::new(3, Family::V4) else {
        return;
    };
    let mut hidden = hidden_node(&lan, 0);
    let mut friend = node(&lan, 1, "friend", &["--beat", "1"]);
    let stranger = node(&lan, 2, "stranger", &[]);
    befriend(&mut hidden, &id(&friend));
    let hidden_id = id(&hidden);
    befriend(&mut friend, &hidden_id);
    wait_for(&friend, &hidden_id);
    wait_for(&stranger, &id(&friend));
    let row = nearby(&friend, &hidden_id).unwrap();
    assert!(row["name"].is_null(), "{row}");
    let address = row["addresses"][0].as_str().unwrap();
    assert!(address.starts_with("10.88.0.1:"), "{row}");
    assert!(nearby(&stranger, &hidden_id).is_none());
    // It takes neither its own announcement nor that of others for a friend's.
    wait_for(&hidden, &id(&friend));
    wait_for(&hidden, &id(&stranger));
    let status = hidden.cli(&["--json", "status"]).json();
    let mut near: Vec<_> = status["nearby"].as_array().unwrap().iter().collect();
    near.sort_by_key(|row| row["name"].to_string());
    let names: Vec<_> = near.iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["friend", "stranger"]);
    hidden.stop();
    wait_until("a hidden node says goodbye too", FOUND_WITHIN, || {
        nearby(&friend, &hidden_id).is_none()
    });
}

/// A response with one instance of our service whose TXT record is `txt`.
fn forged(label: &[u8], txt: &[u8]) -> Vec<u8> {
    let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    let service = b"\x08_cumulet\x04_tcp\x05local\x00";
    let mut record = |name: &[u8], kind: u8, data: &[u8]| {
        packet.extend(name);
        packet.extend([0, kind, 0, 1, 0, 0, 0, 120]);
        packet.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        packet.extend(data);
    };
    let mut instance = vec![u8::try_from(label.len()).unwrap()];
    instance.extend(label);
    instance.extend(service);
    let host = b"\x04evil\x05local\x00";
    record(service, 12, &instance);
    record(
        &instance,
        33,
        &[&[0, 0, 0, 0, 0x20, 0xfb][..], host].concat(),
    );
    record(&instance, 16, txt);
    record(host, 1, &[10, 88, 0, 3]);
    packet
}

/// Sends packets as mDNS from machine 2, where nobody else has the port.
fn send_all(lan: &Lan, packets: Vec<Vec<u8>>) {
    let space = std::path::Path::new("/run/netns").join(lan.machine(2));
    let work = move || {
        let space = std::fs::File::open(space).unwrap();
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(space.as_fd(), kind).unwrap();
        let socket = UdpSocket::bind("10.88.0.3:5353").unwrap();
        for packet in &packets {
            for to in ["224.0.0.251:5353", "10.88.0.2:5353"] {
                socket.send_to(packet, to).ok();
            }
        }
    };
    std::thread::spawn(work).join().unwrap();
}

fn module(node: &Node) -> Value {
    let modules = node.cli(&["--json", "module", "list"]).json();
    let mut modules = modules.as_array().unwrap().iter();
    modules
        .find(|row| row["name"] == "discovery")
        .unwrap()
        .clone()
}

#[test]
fn garbage_on_the_port_of_mdns_harms_nothing() {
    let Some(lan) = Lan::new(3, Family::V4) else {
        return;
    };
    let mut b = node(&lan, 1, "beta", &["--beat", "1"]);
    let a = node(&lan, 0, "alpha", &[]);
    wait_for(&b, &id(&a));
    let mut dice = Dice::new(5353);
    let mut packets: Vec<Vec<u8>> = (0..400).map(|n| dice.bytes(1 + n * 20)).collect();
    let text = |parts: &[&[u8]]| {
        let with_length = |part: &&[u8]| [&[u8::try_from(part.len()).unwrap()][..], part].concat();
        parts.iter().flat_map(with_length).collect::<Vec<u8>>()
    };
    let long: &[u8] = &[b'x'; 255];
    packets.push(forged(b"empty", b""));
    packets.push(forged(b"broken", &[255, b'v', b'=']));
    packets.push(forged(b"long", &text(&[long; 30])));
    packets.push(forged(
        b"control",
        &text(&[b"v=1", b"id=\x1b[2J", b"n=\x00", b"p=99999", b"a="]),
    ));
    packets.push(forged(
        &[0xff; 63],
        &text(&[b"v=1", b"t0=1234567", b"p=1", b"a=1"]),
    ));
    // Another's id at an address of the forger's: a hint more, and the true one stays.
    let stolen = format!("id={}", id(&a));
    packets.push(forged(
        b"thief",
        &text(&[b"v=1", stolen.as_bytes(), b"n=thief", b"p=9", b"a=1"]),
    ));
    send_all(&lan, packets);
    let until = Instant::now() + 4 * BEAT;
    while Instant::now() < until {
        let row = nearby(&b, &id(&a)).expect("the true node stays on the list");
        assert_eq!(row["name"], "alpha");
        let first = row["addresses"][0].as_str().unwrap();
        assert!(first.starts_with("10.88.0.1:"), "{row}");
        std::thread::sleep(BEAT / 4);
    }
    assert!(b.process().alive());
    let module = module(&b);
    assert_eq!(module["state"], "running");
    assert_eq!(module["restarts"], 0);
    assert!(!b.log().contains("panicked"), "{}", b.log());
}

#[test]
fn a_flood_of_records_is_bounded_and_discovery_goes_on() {
    let Some(lan) = Lan::new(3, Family::V4) else {
        return;
    };
    let b = node(&lan, 1, "beta", &[]);
    let a = node(&lan, 0, "alpha", &[]);
    wait_for(&b, &id(&a));
    let before = resident_kib(b.pid());
    let flood = |number: u32| {
        let count = 50_u8;
        let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, count, 0, 0, 0, 0];
        for record in 0..count {
            packet.extend(format!("\x08{number:06}{record:02}\x05local\x00").bytes());
            packet.extend([0, 1, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 4, 10, 88, 1, record]);
        }
        packet
    };
    // The kernel drops some of a burst: sent in parts until it is too much.
    let mut number = 0;
    wait_until("the flood is noticed", Duration::from_secs(20), || {
        send_all(&lan, (number..number + 100).map(flood).collect());
        number += 100;
        module(&b)["restarts"] != 0
    });
    let error = module(&b)["last_error"].clone();
    assert!(error.as_str().unwrap().contains("flooded"), "{error}");
    wait_until("it goes on", 2 * FOUND_WITHIN, || {
        nearby(&b, &id(&a)).is_some()
    });
    let grown = resident_kib(b.pid()).saturating_sub(before);
    eprintln!("grown by {grown} KiB after {} records", number * 50);
    assert!(grown < 64 * 1024, "{grown} KiB");
}

#[test]
fn without_mdns_nothing_is_sent_and_with_it_an_idle_node_stays_below_a_hundredth_of_a_core() {
    let Some(lan) = Lan::new(3, Family::V4) else {
        return;
    };
    let silent = node(&lan, 0, "silent", &["--no-mdns"]);
    let b = node(&lan, 1, "beta", &[]);
    let c = node(&lan, 2, "gamma", &[]);
    wait_for(&b, &id(&c));
    let told = b.cli(&["--json", "status"]).json();
    assert_eq!(told["nearby"].as_array().map(Vec::len), Some(1));
    let mute = silent.cli(&["--json", "status"]).json();
    assert!(mute["nearby"].is_null(), "{mute}");
    // Announcing is over after some seconds; then it is the beats that cost.
    std::thread::sleep(Duration::from_secs(3));
    let (before, began) = (cpu_ticks(b.pid()), Instant::now());
    std::thread::sleep(Duration::from_secs(8));
    let used = f64::from(u32::try_from(cpu_ticks(b.pid()) - before).unwrap());
    let share = used / began.elapsed().as_secs_f64();
    eprintln!("an idle node with discovery takes {share:.2} % of a core");
    assert!(share < 1.0, "{share:.2} % of a core");
    assert_eq!(lan.sent(0, "eth0"), 0, "--no-mdns sends nothing");
}
