//! Nodes at their center: real `cumulet serve --center` and real `cumulet center` (R2, R10, R13,
//! R24 to R28, R34, R35).

mod faults;
mod lies;
mod moving;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testing::{Center, Node, NodeBuilder, until};

const BINARY: &str = env!("CARGO_BIN_EXE_cumulet");
/// Nodes without a link are gone after three seconds.
const QUICK: &str = "renew_s = 1\n";

fn center(settings: &str) -> Center {
    Center::start(BINARY, settings, &[])
}

/// A node of this name at a center.
fn at(center: &Center, name: &str) -> NodeBuilder {
    Node::of(BINARY)
        .https_only()
        .arg("--name")
        .arg(name)
        .arg("--center")
        .arg(center.address())
}

fn id(node: &Node) -> String {
    node.ready().line["id"].as_str().unwrap().to_owned()
}

/// Where the node says that it is reached.
fn quic(node: &Node) -> String {
    let quic = node.ready().line["quic"].as_str().unwrap();
    quic.strip_prefix("quic://").unwrap().to_owned()
}

/// What the node says about its center.
fn standing(node: &Node) -> Value {
    node.cli(&["status", "--json"]).json()["center"].take()
}

/// What the center's owner sees of a node.
fn row(center: &Center, node: &Node) -> Value {
    let rows = center.cli(&["nodes"]);
    let id = id(node);
    let row = rows.as_array().unwrap().iter().find(|row| row["id"] == *id);
    row.cloned().unwrap_or_default()
}

/// Waits until the node is in this state at its center and gives what it says.
#[track_caller]
fn stands(node: &Node, state: &str, within: Duration) -> Value {
    until(state, within, || {
        let seen = standing(node);
        // The name is asked for after the registration.
        let settled =
            state != "registered" || !seen["name"].is_null() || !seen["name_error"].is_null();
        if seen["state"] == state && settled {
            Ok(seen)
        } else {
            Err(seen)
        }
    })
}

#[track_caller]
fn registered(node: &Node) -> Value {
    stands(node, "registered", Duration::from_secs(20))
}

#[track_caller]
fn online(center: &Center, node: &Node, wanted: &Value, within: Duration) {
    until("presence", within, || {
        let row = row(center, node);
        if row["online"] == *wanted {
            Ok(())
        } else {
            Err(row)
        }
    });
}

fn find(node: &Node, what: &str, options: &[&str]) -> (i32, Value) {
    let outcome = node.cli(&[&["find", what, "--json"], options].concat());
    let answer = serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", outcome.stdout, outcome.stderr));
    (outcome.code, answer)
}

#[test]
fn r24_a_node_registers_under_its_name_and_goes_on_renewing() {
    let center = center(QUICK);
    let anna = at(&center, "anna").start();
    let seen = registered(&anna);
    assert_eq!(
        (&seen["name"], &seen["zone"]),
        (&json!("anna"), &json!("cloud.test"))
    );
    let port = quic(&anna).rsplit_once(':').unwrap().1.to_owned();
    assert_eq!(seen["url"], format!("https://anna.cloud.test:{port}/"));
    assert_eq!(
        (&seen["error"], &seen["degraded"]),
        (&Value::Null, &json!([]))
    );
    let first = row(&center, &anna);
    assert_eq!(first["addresses"], json!([quic(&anna)]));
    until("renewed", Duration::from_secs(5), || {
        let now = row(&center, &anna);
        let (a, b) = (first["last_renewed"].as_str(), now["last_renewed"].as_str());
        if a < b { Ok(()) } else { Err(now) }
    });
    let text = anna.cli(&["status"]).ok();
    assert!(
        text.contains("registered, https://anna.cloud.test:"),
        "{text}"
    );
}

#[test]
fn r24_a_name_that_is_taken_or_looks_like_another_is_refused_with_the_reason() {
    let center = center("");
    let anna = at(&center, "anna").start();
    registered(&anna);
    for (name, why) in [
        ("Anna", "another node has this name; choose another one"),
        (
            "an-na",
            "the name looks like `anna`, which another node has",
        ),
        ("www", "the center keeps this name for services of its own"),
    ] {
        let mut other = at(&center, name).start();
        let seen = registered(&other);
        let told = seen["name_error"].as_str().unwrap_or_default();
        assert!(told.contains(why), "{name}: {seen}");
        // It has no name and is at the center all the same.
        assert_eq!((&seen["name"], &seen["url"]), (&Value::Null, &Value::Null));
        assert_eq!(row(&center, &other)["online"], true, "{name}");
        let text = other.cli(&["status"]).ok();
        assert!(text.contains(why), "{text}");
        // The page says it too, in both languages.
        let owner = signed_in(&other);
        let page = |language| {
            owner
                .clone()
                .with("Accept-Language", language)
                .get("/cluster")
                .text()
        };
        let (en, zh) = (page("en"), page("zh-CN"));
        assert!(en.contains("The center does not give the name"), "{en}");
        assert!(zh.contains("中心没有给出名称"), "{zh}");
        other.stop();
    }
    let found = find(&anna, "anna.cloud.test", &[]).1;
    assert_eq!(
        (&found["id"], &found["from"]),
        (&json!(id(&anna)), &json!("center"))
    );
}

/// A browser of the node's owner.
fn signed_in(node: &Node) -> testing::Client {
    node.owner("olga");
    crate::accounts::signed_in(node, "olga")
}

#[test]
fn r24_a_stranger_registers_with_an_invite_or_works_for_it() {
    let center = center("open_on_private = false\nwork_bits = 0\n");
    let mut anna = at(&center, "anna").start();
    let seen = stands(&anna, "refused", Duration::from_secs(20));
    let told = seen["error"].as_str().unwrap();
    assert!(told.contains("invite"), "{seen}");
    assert_eq!(seen["degraded"].as_array().unwrap().len(), 3);
    assert!(anna.cli(&["status"]).ok().contains("invite"));
    // Its own people are served all the same.
    anna.https().get("/healthz").assert_status(200);
    let folder = anna.folder().to_owned();
    anna.stop();
    let token = center.cli(&["invite"])["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let again = at(&center, "anna")
        .folder(&folder)
        .arg("--invite")
        .arg(&token);
    registered(&again.start());
    let bad = Node::of(BINARY).arg("--invite").arg("abc");
    let told = std::panic::catch_unwind(|| bad.start());
    assert!(
        told.is_err(),
        "a word that is no invite is refused at the start"
    );

    let busy = self::center("open_on_private = false\nwork_bits = 16\n");
    let bob = at(&busy, "bob").start();
    assert_eq!(registered(&bob)["name"], "bob");
}

#[test]
fn r13_address_resources_usage_and_presence_of_a_node_are_seen_at_the_center_live() {
    let center = center(QUICK);
    let mut anna = at(&center, "anna").start();
    registered(&anna);
    let seen = row(&center, &anna);
    assert_eq!(
        (&seen["name"], &seen["online"]),
        (&json!("anna"), &json!(true))
    );
    assert_eq!(seen["addresses"], json!([quic(&anna)]));
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(seen["resources"]["cores"], cores);
    assert!(
        seen["resources"]["memory_bytes"].as_u64() > Some(1 << 28),
        "{seen}"
    );
    let used = seen["usage"]["storage_bytes"].as_u64().unwrap();
    assert!(
        seen["resources"]["storage_bytes"].as_u64() > Some(used),
        "{seen}"
    );
    // More in use, and the center knows it with the next renewal. Others write to this disk too.
    std::fs::write(anna.scratch().join("much"), vec![7; 64 << 20]).unwrap();
    until("usage", Duration::from_secs(15), || {
        let now = row(&center, &anna);
        let told = now["usage"]["storage_bytes"].as_u64().unwrap();
        let disk = rustix::fs::statvfs(anna.folder()).unwrap();
        let there = (disk.f_blocks - disk.f_bfree) * disk.f_frsize;
        if told != used && told.abs_diff(there) < 48 << 20 {
            Ok(())
        } else {
            Err(now)
        }
    });
    // A node that stops says goodbye.
    anna.stop();
    online(&center, &anna, &json!(false), Duration::from_millis(500));
}

#[test]
fn r28_a_node_that_was_killed_is_gone_after_silence_and_its_address_withdrawn() {
    if !testing::require_all(&["dig"]) {
        return;
    }
    let center = center(QUICK);
    let mut anna = at(&center, "anna").start();
    registered(&anna);
    assert_eq!(center.dig(&["anna.cloud.test", "A"]), ["127.0.0.1"]);
    // The link is its heartbeat, longer than three renewals.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        assert_eq!(row(&center, &anna)["online"], true);
        std::thread::sleep(Duration::from_millis(200));
    }
    let left = Instant::now();
    anna.kill();
    // 15 s without a packet end the link, three missed renewals the presence.
    online(&center, &anna, &json!(false), Duration::from_secs(25));
    assert!(
        left.elapsed() > Duration::from_secs(3),
        "{:?}",
        left.elapsed()
    );
    assert!(center.dig(&["anna.cloud.test", "A"]).is_empty());
    anna.start();
    registered(&anna);
    assert_eq!(center.dig(&["anna.cloud.test", "A"]), ["127.0.0.1"]);
}

#[test]
fn r02_without_its_center_a_node_works_and_says_what_is_degraded() {
    let mut center = center(QUICK);
    let anna = at(&center, "anna").start();
    let owner = anna.owner("olga");
    let bob = at(&center, "bob").start();
    registered(&anna);
    registered(&bob);
    // A clean stop is noticed at once.
    center.stop();
    let seen = stands(&anna, "away", Duration::from_secs(5));
    assert_eq!(seen["degraded"].as_array().unwrap().len(), 3, "{seen}");
    assert!(seen["error"].as_str().unwrap().contains("center"), "{seen}");
    assert_eq!(
        seen["url"],
        registered_url(&anna),
        "its address is still known"
    );
    let text = anna.cli(&["status"]).ok();
    assert!(
        text.contains("for now: the name of this node does not follow"),
        "{text}"
    );
    // Files are written and read, neighbors are found.
    owner
        .put("/dav/files/olga/note", b"without a center")
        .assert_status(201);
    assert_eq!(owner.get("/dav/files/olga/note").text(), "without a center");
    let contact = format!("{}@{}", id(&bob), quic(&bob));
    anna.cli(&["neighbors", "add", &contact]).ok();
    until("found", Duration::from_secs(5), || {
        match find(&anna, "bob", &[]) {
            (0, found) => Ok(found),
            (_, found) => Err(found),
        }
    });
    // It returns, and so do they.
    center.run();
    for node in [&anna, &bob] {
        let seen = registered(node);
        assert_eq!(seen["degraded"], json!([]));
        online(&center, node, &json!(true), Duration::from_secs(2));
    }
}

fn registered_url(node: &Node) -> String {
    let port = quic(node).rsplit_once(':').unwrap().1.to_owned();
    format!("https://anna.cloud.test:{port}/")
}

#[test]
fn r12_a_center_killed_in_the_middle_loses_nothing_and_its_nodes_come_back() {
    let mut center = center("");
    let nodes = ["anna", "bob", "carol"].map(|name| at(&center, name).start());
    for node in &nodes {
        registered(node);
    }
    let before: Vec<_> = nodes.iter().map(|node| row(&center, node)).collect();
    center.kill();
    center.run();
    for (node, before) in nodes.iter().zip(&before) {
        let now = row(&center, node);
        for key in ["name", "addresses", "resources"] {
            assert_eq!(now[key], before[key]);
        }
        assert_eq!(now["online"], Value::Null, "unknown until it is heard of");
    }
    for node in &nodes {
        online(&center, node, &json!(true), Duration::from_secs(40));
    }
}

#[test]
fn r25_the_centers_list_is_bounded_and_goes_into_the_table_of_neighbors() {
    let center = center("");
    let at_address = |name: &str, address: &str| at(&center, name).listen(&format!("{address}:0"));
    let far = at_address("far", "127.200.0.1").start();
    registered(&far);
    assert_eq!(center.cli(&["pin", &id(&far)])["done"], true);
    let near = at_address("near", "127.0.10.1").start();
    let others = ["127.64.0.1", "127.90.0.1"].map(|address| {
        let name = format!("n{}", address.replace('.', "-"));
        at_address(&name, address).start()
    });
    for node in others.iter().chain([&near]) {
        registered(node);
    }
    // They know each other without mDNS, without a word of their owners.
    until("known", Duration::from_secs(10), || {
        let known = linked(&others[1]);
        if known.len() == 3 {
            Ok(())
        } else {
            Err(json!(known))
        }
    });
    // Two places: one for what is important, one for what is near.
    let asker = at_address("asker", "127.0.10.2")
        .arg("--max-neighbors")
        .arg("2")
        .start();
    let mut wanted = vec![id(&far), id(&near)];
    wanted.sort();
    until("the two", Duration::from_secs(10), || {
        let known = linked(&asker);
        if known == wanted {
            Ok(())
        } else {
            Err(json!(known))
        }
    });
}

/// Ids of the neighbors to which a link stands.
fn linked(node: &Node) -> Vec<String> {
    let list = node.cli(&["neighbors", "--json"]).json();
    let linked = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|view| view["linked"] == true);
    let mut ids: Vec<_> = linked
        .map(|view| view["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

#[test]
fn r35_a_node_is_found_through_the_center_and_each_opens_a_service_of_the_other() {
    let center = center("");
    let nodes = ["anna", "bob"].map(|name| at(&center, name).start());
    let [anna, bob] = &nodes;
    registered(anna);
    registered(bob);
    for (here, there, name) in [
        (anna, bob, "bob.cloud.test"),
        (bob, anna, "anna.cloud.test"),
    ] {
        let (code, found) = find(here, name, &["--services"]);
        assert_eq!(code, 0, "{found}");
        assert_eq!(
            (&found["id"], &found["from"]),
            (&json!(id(there)), &json!("center"))
        );
        assert_eq!(
            (&found["presence"], &found["messages"]),
            (&json!("online"), &json!(1))
        );
        assert_eq!(found["addresses"], json!([quic(there)]));
        let offers = found["services"].as_array().unwrap();
        let pages = offers
            .iter()
            .find(|offer| offer["name"] == "pages")
            .unwrap();
        // The address that the center gave and the port that the node offers lead to its page.
        let port = pages["port"].as_u64().unwrap();
        assert!(
            there.ready().https.ends_with(&format!(":{port}")),
            "{pages}"
        );
        there.https().get("/login").assert_status(200);
        let page = signed_in(here).get(&format!("/cluster?node={name}")).text();
        assert!(
            page.contains(&format!("https://127.0.0.1:{port}/")),
            "{page}"
        );
    }
    let (code, missed) = find(anna, "nobody", &[]);
    assert_eq!(
        (code, &missed["center_error"]),
        (1, &Value::Null),
        "{missed}"
    );
}

#[test]
fn nodes_outlast_a_database_that_goes_away_and_returns() {
    let Some(mut database) = testing::Postgres::start() else {
        return;
    };
    let url = database.url();
    let center = Center::start(BINARY, QUICK, &["--database", &url]);
    let anna = at(&center, "anna").start();
    let mut bob = at(&center, "bob").start();
    registered(&anna);
    registered(&bob);
    bob.stop();
    database.stop();
    // Who changes nothing is served and stays online, longer than three renewals.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        assert_eq!(row(&center, &anna)["online"], true);
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(standing(&anna)["state"], "registered");
    let (code, found) = find(&anna, "bob.cloud.test", &[]);
    assert_eq!((code, &found["presence"]), (0, &json!("gone")), "{found}");
    // Who comes with a new record is told why it must wait.
    bob.start();
    let seen = stands(&bob, "refused", Duration::from_secs(20));
    assert!(
        seen["error"].as_str().unwrap().contains("database"),
        "{seen}"
    );
    database.run();
    registered(&bob);
    online(&center, &bob, &json!(true), Duration::from_secs(2));
    assert_eq!(row(&center, &bob)["addresses"], json!([quic(&bob)]));
}
