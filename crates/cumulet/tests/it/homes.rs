//! Nodes and laptops on networks of their own: friends on different machines, of whom one falls
//! silent (R8, R19, R94), and a laptop that finds its node at home and away (R18, R26, R101).

use std::process::Command;
use std::time::{Duration, Instant};

use testing::{Center, Family, Lan, Net, Node, PASSWORD, require_all, run, wait_until};

use crate::client::Laptop;

const BINARY: &str = env!("CARGO_BIN_EXE_cumulet");

/// A node in somebody's home.
#[track_caller]
fn home(under: &[&str], owner: &str, more: &[&str]) -> Node {
    let node = more
        .iter()
        .fold(Node::of(BINARY).under(under), |node, word| node.arg(*word))
        .listen("0.0.0.0:0")
        .https_only()
        .arg("--name")
        .arg(format!("{owner}s-box"))
        .start();
    let words = ["user", "add", owner, "--owner", "--password-stdin"];
    node.cli_with_input(&words, PASSWORD).ok();
    node
}

/// What a machine's curl got.
#[derive(Debug)]
struct Got {
    status: u16,
    text: String,
    took: Duration,
}

/// Asks a node as its owner, from the node's own machine.
#[track_caller]
fn curl(lan: &Lan, machine: usize, node: &Node, owner: &str, words: &[&str]) -> Got {
    let (path, options) = words.split_last().unwrap();
    let began = Instant::now();
    let output = Command::new("ip")
        .args([
            "netns",
            "exec",
            lan.machine(machine),
            "curl",
            "-sk",
            "-m",
            "60",
        ])
        .args(["-w", "\n%{http_code}", "-u", &format!("{owner}:{PASSWORD}")])
        .args(options)
        .arg(format!("{}{path}", node.ready().https))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (text, status) = text.rsplit_once('\n').unwrap();
    Got {
        status: status.parse().unwrap(),
        text: text.to_owned(),
        took: began.elapsed(),
    }
}

#[track_caller]
fn befriend(one: &Node, other: &Node, (one_is, other_is): (&str, &str)) {
    let made = other
        .cli(&["friend", "invite", "--name", one_is, "--json"])
        .json();
    let ticket = made["ticket"].as_str().unwrap();
    let accepted = one.cli(&["friend", "accept", ticket, "--name", other_is, "--json"]);
    assert_eq!(accepted.json()["state"], "accepted");
}

/// Lets the machine hear everything and say nothing, without a word to the others.
fn silence(machine: &str, on: bool) {
    let change = if on { "add" } else { "del" };
    run(Command::new("ip").args(["-n", machine, "rule", change, "pref", "1", "blackhole"]));
}

#[test]
fn r19_friends_on_other_machines_are_read_and_written_and_a_silent_one_stalls_nobody() {
    if !require_all(&["curl"]) {
        return;
    }
    let Some(lan) = Lan::new(3, Family::V4) else {
        return;
    };
    let alice = home(&lan.on(0), "alice", &[]);
    let bob = home(&lan.on(1), "bob", &[]);
    let carl = home(&lan.on(2), "carl", &[]);
    for (owner, node, access) in [("bob", &bob, "rw"), ("carl", &carl, "r")] {
        befriend(&alice, node, ("alice", owner));
        let folder = node.space(owner).join("Photos");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("sun.txt"), owner).unwrap();
        let place = format!("{owner}:/Photos");
        wait_until("the folder is known", Duration::from_secs(10), || {
            node.cli(&["share", "add", &place, "friend:alice", access])
                .code
                == 0
        });
    }
    let ask = |words: &[&str]| curl(&lan, 0, &alice, "alice", words);
    let list = |path: &str| ask(&["-X", "PROPFIND", "-H", "Depth: 1", path]);
    let below = |owner: &str, rest: &str| format!("/dav/files/alice/Friends/{owner}/Photos/{rest}");
    // Read and written, over the network between the machines.
    assert_eq!(ask(&[&below("carl", "sun.txt")]).text, "carl");
    let put = ask(&[
        "-X",
        "PUT",
        "--data",
        "from alice",
        &below("bob", "new.txt"),
    ]);
    assert_eq!(put.status, 201, "{put:?}");
    let there = std::fs::read_to_string(bob.space("bob").join("Photos/new.txt")).unwrap();
    assert_eq!(there, "from alice");
    let denied = ask(&["-X", "PUT", "--data", "x", &below("carl", "new.txt")]);
    assert_eq!(denied.status, 403, "{denied:?}");

    silence(lan.machine(1), true);
    std::thread::scope(|scope| {
        let (sun, other) = (below("bob", "sun.txt"), below("bob", "other.txt"));
        let reading = scope.spawn(move || ask(&[&sun]));
        let writing = scope.spawn(move || ask(&["-X", "PUT", "--data", "x", &other]));
        // While they wait for bob, everything else goes on.
        for path in [
            "/dav/files/",
            "/dav/files/alice/",
            "/dav/files/alice/Friends/",
        ] {
            let listed = list(path);
            assert_eq!(listed.status, 207, "{listed:?}");
            assert!(listed.took < Duration::from_secs(1), "{path}: {listed:?}");
        }
        let carls = list(&below("carl", ""));
        assert!(carls.text.contains("sun.txt"), "{carls:?}");
        assert!(carls.took < Duration::from_secs(1), "{carls:?}");
        for waiting in [reading, writing] {
            let given_up = waiting.join().unwrap();
            assert_eq!(given_up.status, 503, "{given_up:?}");
            assert!(given_up.text.contains("bob"), "{given_up:?}");
            assert!(given_up.took < Duration::from_secs(13), "{given_up:?}");
        }
    });
    // It is remembered for a while: nobody waits again.
    let again = ask(&[&below("bob", "sun.txt")]);
    assert_eq!(again.status, 503);
    assert!(again.took < Duration::from_secs(4), "{again:?}");
    silence(lan.machine(1), false);
    wait_until("bob is reached again", Duration::from_secs(15), || {
        ask(&[&below("bob", "sun.txt")]).text == "bob"
    });
}

#[test]
fn r101_a_laptop_finds_its_node_by_one_name_at_home_and_away() {
    let Some(net) = Net::new() else {
        return;
    };
    let (home_space, lan, away) = (net.home(), net.lan(), net.away());
    let on = |space: &str| ["ip", "netns", "exec", space].map(str::to_owned);
    fn words(on: &[String; 4]) -> Vec<&str> {
        on.iter().map(String::as_str).collect()
    }
    let (on_home, on_lan, on_away) = (on(&home_space), on(&lan), on(&away));
    // The center stands where both networks reach it.
    let center = Center::start_on(BINARY, (&words(&on_lan), "192.0.2.1"), "", &[]);
    let address = center.address();
    let node = home(&words(&on_home), "alice", &["--center", &address]);
    let status = || node.cli(&["status", "--json"]).json();
    wait_until("the node has its name", Duration::from_secs(15), || {
        let center = &status()["center"];
        center["state"] == "registered" && !center["name"].is_null()
    });
    let id = status()["id"].as_str().unwrap().to_owned();

    // At home, by name; without mDNS here it is the center that knows it.
    let mut laptop = Laptop::under(&words(&on_lan));
    std::fs::write(laptop.path("letter.txt"), "dear home").unwrap();
    let login = ["login", "alices-box", "--user", "alice", "--password-stdin"];
    let with_center = [&login[..], &["--center", &address, "--id", &id]].concat();
    laptop.run_with_input(&with_center, PASSWORD).ok();
    laptop
        .run(&["put", "letter.txt", "alices-box:/letter.txt"])
        .ok();

    // Meanwhile the home gets another address, and the laptop another network.
    let at_home = |words: &[&str]| run(Command::new("ip").arg("-n").arg(&home_space).args(words));
    let cable = at_home(&["-o", "-4", "address", "show"]);
    let cable = cable
        .lines()
        .find(|line| line.contains("10.77.0.1/24"))
        .unwrap();
    let cable = cable.split_whitespace().nth(1).unwrap();
    at_home(&["address", "add", "10.77.0.9/32", "dev", cable]);
    at_home(&["address", "del", "10.77.0.1/24", "dev", cable]);
    at_home(&["address", "del", "10.77.0.9/32", "dev", cable]);
    at_home(&["address", "add", "10.77.0.9/24", "dev", cable]);
    at_home(&["route", "replace", "default", "via", "10.77.0.2"]);
    laptop.move_to(&words(&on_away));
    let listed = || laptop.run(&["ls", "alices-box:/"]);
    let mut last = listed();
    let found = Instant::now();
    while last.code != 0 && found.elapsed() < Duration::from_secs(20) {
        last = listed();
    }
    assert!(
        last.stdout.contains("letter.txt"),
        "{last:?}\n{}",
        node.log()
    );
    laptop
        .run(&["get", "alices-box:/letter.txt", "back.txt"])
        .ok();
    assert_eq!(
        std::fs::read_to_string(laptop.path("back.txt")).unwrap(),
        "dear home"
    );
    assert!(!last.stderr.contains("iroh"), "{last:?}");
    let known = laptop.run(&["logins", "--json"]).json();
    assert_eq!(known[0]["center"], address.as_str());
    assert!(
        known[0]["address"]
            .as_str()
            .unwrap()
            .starts_with("10.77.0.9:"),
        "{known}"
    );

    // Another laptop, away from the start, with nothing but the name, the account and the center.
    let stranger = Laptop::under(&words(&on_away));
    stranger.run_with_input(&with_center, PASSWORD).ok();
    assert!(
        stranger
            .run(&["ls", "alices-box:/"])
            .ok()
            .contains("letter.txt")
    );
    let unknown = [&login[..1], &["nobodys-box"], &with_center[2..]].concat();
    stranger.refused(&unknown, 3, &["no node called `nobodys-box`"]);
    // A center with another key is not asked.
    let other = address.replace(&address[15..67], &id);
    let wrong = [
        &login[..],
        &["--center", &other, "--trust", "--as", "other"],
    ]
    .concat();
    stranger.refused(&wrong, 3, &["at the center 192.0.2.1", "cannot be reached"]);
}

#[test]
fn r11_a_laptop_speaks_the_peer_protocol_with_a_key_of_its_own() {
    let node = Node::of(BINARY).https_only().start();
    let alice = node.owner("alice");
    let laptop = Laptop::new();
    laptop.login(node.https().address());
    let picture: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::create_dir_all(laptop.path("trip/day")).unwrap();
    std::fs::write(laptop.path("trip/day/sea.jpg"), &picture).unwrap();
    let quic = |words: &[&str]| {
        let outcome = laptop.run(&[words, &["--via", "quic"]].concat());
        // What ends in order leaves no word of the libraries below.
        assert!(!outcome.stderr.contains("iroh"), "{outcome:?}");
        outcome
    };
    let links = || node.cli(&["status", "--json"]).json()["links"].clone();
    let before = links()["datagrams_sent"].as_u64().unwrap();
    quic(&["put", "-r", "trip", "home:/"]).ok();
    assert!(quic(&["ls", "home:/trip/day"]).ok().contains("sea.jpg"));
    quic(&["get", "-r", "home:/trip", "back"]).ok();
    assert_eq!(
        std::fs::read(laptop.path("back/day/sea.jpg")).unwrap(),
        picture
    );
    // It was not HTTPS in disguise: the file went out in datagrams.
    let sent = links()["datagrams_sent"].as_u64().unwrap() - before;
    assert!(sent > 1500, "{sent}");
    // The same rules as over HTTPS: nothing is replaced unasked, and the log names the device.
    let taken = quic(&["put", "trip/day/sea.jpg", "home:/trip/day/sea.jpg"]);
    assert_eq!(taken.code, 1, "{taken:?}");
    assert!(taken.stderr.contains("is there already"), "{taken:?}");
    let missing = quic(&["ls", "home:/nope"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    let log = node.cli(&["audit", "show", "--json"]).ok();
    let made = log.lines().find(|line| line.contains("sea.jpg")).unwrap();
    assert!(
        made.contains("alice") && made.contains("cumulet on"),
        "{made}"
    );
    alice
        .get("/dav/files/alice/trip/day/sea.jpg")
        .assert_status(200);

    // Another key is nobody's, whatever the rest of the login says.
    let file = laptop.path(".local/state/cumulet/logins/home.json");
    let own = std::fs::read_to_string(&file).unwrap();
    let mut forged: serde_json::Value = serde_json::from_str(&own).unwrap();
    forged["device"] = "11".repeat(32).into();
    std::fs::write(&file, forged.to_string()).unwrap();
    let refused = quic(&["ls", "home:/"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("does not take the key of this device"),
        "{refused:?}"
    );
    std::fs::write(&file, own).unwrap();
    quic(&["ls", "home:/"]).ok();
    // Taken back on the account page: neither the password nor the key opens anything.
    let devices = node
        .cli(&["app-password", "list", "alice", "--json"])
        .json();
    let device = devices[0]["id"].to_string();
    node.cli(&["app-password", "revoke", "alice", &device]).ok();
    for via in ["quic", "https"] {
        let refused = laptop.run(&["ls", "home:/", "--via", via]);
        assert_eq!(refused.code, 4, "{via}: {refused:?}");
    }
}
