//! A center gives names and addresses: real `cumulet center` processes, real links, real `dig`.
//!
//! The nodes of this file are endpoints in the test, so that they can also say what no honest node
//! would.

mod faults;
mod guest;
mod resolver;

use std::time::{Duration, Instant};

use protocol::message::center::{Presence, Refusal, Reply, Target};
use testing::{Center, Postgres, require_all, wait_until};

use guest::Guest;

const BINARY: &str = env!("CARGO_BIN_EXE_cumulet");
/// Nodes without a link renew every second and are gone after three.
const QUICK: &str = "renew_s = 1\n";

fn center(settings: &str) -> Center {
    Center::start(BINARY, settings, &[])
}

fn name(text: &str) -> protocol::NodeName {
    text.parse().unwrap()
}

fn listed(center: &Center, name: &str) -> serde_json::Value {
    let nodes = center.owner().get("/api/nodes").expect_status(200).json();
    let nodes = nodes["nodes"].as_array().unwrap();
    nodes
        .iter()
        .find(|node| node["name"] == name)
        .cloned()
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_a_center_that_was_killed_has_lost_nothing() {
    if !require_all(&["dig"]) {
        return;
    }
    let mut center = center("");
    let mut anna = Guest::arrive(&center, 1).await;
    anna.register("192.0.2.1:8443").await;
    anna.claim("anna").await;
    anna.set_texts(&["proof of anna"]).await;
    center.kill();
    center.run();
    // Unknown after a restart, and its answers are kept.
    assert_eq!(center.dig(&["anna.cloud.test", "A"]), ["192.0.2.1"]);
    assert_eq!(
        center.dig(&["_acme-challenge.anna.cloud.test", "TXT"]),
        ["\"proof of anna\""]
    );
    assert_eq!(listed(&center, "anna")["online"], serde_json::Value::Null);
    assert!(center.folder().join("center.db").is_file());
    // The name is still given, and its owner still knows its number.
    let mut bob = Guest::arrive(&center, 2).await;
    bob.register("192.0.2.2:8443").await;
    assert_eq!(
        bob.try_claim("anna").await,
        Reply::Refused(Refusal::NameTaken)
    );
    let mut anna = anna.dial_again(&center).await;
    anna.register("192.0.2.9:8443").await;
    assert_eq!(center.dig(&["anna.cloud.test", "A"]), ["192.0.2.9"]);
    assert_eq!(listed(&center, "anna")["online"], true);
    assert!(center.stop() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_address_resources_usage_and_presence_of_each_node_are_shown_and_change_live() {
    let center = center("");
    let mut anna = Guest::arrive(&center, 1).await;
    anna.resources.storage_bytes = 4_000_000_000_000;
    anna.resources.cores = 4;
    anna.register("192.0.2.1:8443").await;
    anna.claim("anna").await;
    let before = listed(&center, "anna");
    assert_eq!(before["addresses"], serde_json::json!(["192.0.2.1:8443"]));
    assert_eq!(before["resources"]["storage_bytes"], 4_000_000_000_000_u64);
    assert_eq!(before["resources"]["cores"], 4);
    assert_eq!(before["usage"]["cpu_percent"], 0);
    assert_eq!(before["online"], true);
    anna.usage.cpu_percent = 73;
    anna.register("192.0.2.5:8443").await;
    let after = listed(&center, "anna");
    assert_eq!(after["addresses"], serde_json::json!(["192.0.2.5:8443"]));
    assert_eq!(after["usage"]["cpu_percent"], 73);
    // The same on the page, in two languages, and on the command line.
    let page = center.owner().get("/").expect_status(200).text();
    for part in ["anna", "192.0.2.5:8443", "4.0 TB", "73 %", "online"] {
        assert!(page.contains(part), "{part} is not on the page: {page}");
    }
    let page = center
        .owner()
        .with("Accept-Language", "zh-CN")
        .get("/")
        .text();
    assert!(page.contains("在线") && page.contains("lang=\"zh-CN\""));
    assert_eq!(center.cli(&["nodes"])[0]["name"], "anna");
    anna.goodbye().await;
    assert_eq!(listed(&center, "anna")["online"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_sees_the_list() {
    let center = center("");
    for path in ["/api/nodes", "/api/status"] {
        center.guest().get(path).assert_status(401);
        let wrong = center.guest().with("Authorization", "Bearer abc");
        wrong.get(path).assert_status(401);
    }
    assert_eq!(center.guest().get("/").header("location"), Some("/login"));
    let form = format!("token={}", center.owner_token());
    let reply = center.guest().post_form("/login", &form).expect_status(303);
    let cookie = reply
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    center
        .guest()
        .with("Cookie", &cookie)
        .get("/")
        .assert_status(200);
    // A foreign page that makes the browser send the cookie gets nowhere.
    let foreign = center
        .guest()
        .with("Cookie", &cookie)
        .with("Sec-Fetch-Site", "cross-site");
    foreign.call("POST", "/api/invites").assert_status(401);
    center
        .guest()
        .post_form("/login", "token=abc")
        .assert_status(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_registration_is_renewed() {
    let center = center("");
    let mut anna = Guest::arrive(&center, 1).await;
    anna.register("192.0.2.1:8443").await;
    anna.claim("anna").await;
    let renewed = || {
        listed(&center, "anna")["last_renewed"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    };
    // Two renewals may fall in one millisecond, not three seconds of them.
    let (first, began) = (renewed(), std::time::Instant::now());
    let mut second = first.clone();
    while second <= first {
        assert!(began.elapsed() < Duration::from_secs(3), "still {first}");
        anna.renew().await;
        second = renewed();
    }
    // The open link renews by itself.
    wait_until("the link renews", Duration::from_secs(2), || {
        renewed() > second
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_neighbor_lists_are_bounded_and_keep_what_is_important() {
    let center = center("");
    let mut guests = Vec::new();
    for number in 1..=9 {
        let mut guest = Guest::arrive(&center, number).await;
        guest
            .register(&format!("127.0.{}.1:8443", 10 * number))
            .await;
        guests.push(guest);
    }
    let far = guests[8].id();
    let list = guests[0].neighbors(3).await;
    assert_eq!(list.len(), 3);
    assert!(
        !list.contains(&far) && !list.contains(&guests[0].id()),
        "{list:?}"
    );
    assert_eq!(center.cli(&["pin", &far.to_string()])["done"], true);
    let list = guests[0].neighbors(3).await;
    assert_eq!((list.len(), list[0]), (3, far));
    let mut near = Guest::arrive(&center, 20).await;
    near.register("127.0.0.2:8443").await;
    let list = guests[0].neighbors(2).await;
    assert_eq!(list, [far, near.id()]);
    assert_eq!(guests[0].neighbors(32).await.len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn r26_others_find_a_node_by_its_name_and_check_what_they_get() {
    let center = center("");
    let mut anna = Guest::arrive(&center, 1).await;
    anna.name = Some(name("anna"));
    anna.register("192.0.2.1:8443").await;
    anna.claim("anna").await;
    // A client that is no node.
    let client = Guest::arrive(&center, 99).await;
    let found = client
        .find(Target::Name(name("anna")))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.record.node, anna.id());
    assert_eq!(found.record.addresses, ["192.0.2.1:8443".parse().unwrap()]);
    assert_eq!(found.presence, Presence::Online);
    let found = client.find(Target::Id(anna.id())).await.unwrap().unwrap();
    assert_eq!(found.record.node, anna.id());
    assert!(
        client
            .find(Target::Name(name("bob")))
            .await
            .unwrap()
            .is_none()
    );
    // A node that has a name but does not claim it in its record is not believed to have it.
    let mut carol = Guest::arrive(&center, 3).await;
    carol.register("192.0.2.3:8443").await;
    carol.claim("carol").await;
    let lied = client
        .find(Target::Name(name("carol")))
        .await
        .unwrap_err()
        .to_string();
    assert!(lied.contains("does not claim"), "{lied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_a_changed_address_is_in_dns_within_two_seconds() {
    if !require_all(&["dig"]) {
        return;
    }
    let center = center("");
    let mut anna = Guest::arrive(&center, 1).await;
    anna.register("192.0.2.1:8443").await;
    anna.claim("anna").await;
    assert_eq!(center.dig(&["anna.cloud.test", "A"]), ["192.0.2.1"]);
    for change in 2..7 {
        let address = format!("192.0.2.{change}");
        let began = Instant::now();
        anna.register(&format!("{address}:8443")).await;
        let dig = || center.dig(&["anna.cloud.test", "A"]) == [address.as_str()];
        wait_until("DNS shows the new address", Duration::from_secs(2), dig);
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
    }
    anna.register("[2001:db8::5]:8443").await;
    assert_eq!(center.dig(&["anna.cloud.test", "AAAA"]), ["2001:db8::5"]);
    assert!(center.dig(&["anna.cloud.test", "A"]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_after_silence_a_node_is_gone_and_its_address_withdrawn() {
    if !require_all(&["dig"]) {
        return;
    }
    let center = center(QUICK);
    let mut anna = Guest::arrive(&center, 1).await;
    anna.register("192.0.2.1:8443").await;
    anna.claim("anna").await;
    // Its own link is its heartbeat, longer than three renewals.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        assert_eq!(
            listed(&center, "anna")["online"],
            true,
            "{:?}",
            began.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let left = Instant::now();
    anna.vanish().await;
    wait_until("the node is gone", Duration::from_secs(10), || {
        listed(&center, "anna")["online"] == false
    });
    assert!(
        left.elapsed() > Duration::from_secs(2),
        "gone after {:?}",
        left.elapsed()
    );
    assert!(center.dig(&["anna.cloud.test", "A"]).is_empty());
    // It comes back under its name.
    let mut anna = anna.dial_again(&center).await;
    anna.register("192.0.2.7:8443").await;
    assert_eq!(center.dig(&["anna.cloud.test", "A"]), ["192.0.2.7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_zone_is_one_that_dig_accepts() {
    if !require_all(&["dig"]) {
        return;
    }
    let center = center("caa_issuers = [\"letsencrypt.org\"]\n");
    let mut anna = Guest::arrive(&center, 1).await;
    anna.register("192.0.2.1:8443").await;
    anna.claim("anna").await;
    let dig = |words: &[&str]| center.dig(words);
    assert_eq!(dig(&["cloud.test", "NS"]), ["ns1.cloud.test."]);
    assert_eq!(dig(&["ns1.cloud.test", "A"]), ["127.0.0.1"]);
    let soa = dig(&["cloud.test", "SOA"]);
    assert!(
        soa[0].starts_with("ns1.cloud.test. hostmaster.cloud.test. "),
        "{soa:?}"
    );
    assert!(soa[0].ends_with(" 3600 600 604800 60"), "{soa:?}");
    for name in ["anna.cloud.test", "ANNA.cloud.test", "www.anna.cloud.test"] {
        assert_eq!(dig(&[name, "A"]), ["192.0.2.1"], "{name}");
        assert_eq!(dig(&["+tcp", name, "A"]), ["192.0.2.1"], "{name}");
    }
    let id = format!("{}.cloud.test", anna.id());
    assert_eq!(dig(&[&id, "A"]), ["192.0.2.1"]);
    assert_eq!(
        dig(&["anna.cloud.test", "CAA"]),
        ["0 issue \"letsencrypt.org\""]
    );
    // Absent kinds and absent names are told apart, with the SOA for how long that holds.
    let words = |name: &str, kind: &str| {
        dig(&["+noshort", "+comments", "+authority", name, kind]).join("\n")
    };
    let no_data = words("anna.cloud.test", "AAAA");
    assert!(
        no_data.contains("NOERROR") && no_data.contains("SOA"),
        "{no_data}"
    );
    let no_name = words("nobody.cloud.test", "A");
    assert!(
        no_name.contains("NXDOMAIN") && no_name.contains("SOA"),
        "{no_name}"
    );
    assert!(no_name.contains(" aa "), "{no_name}");
    assert!(words("example.org", "A").contains("REFUSED"));
    // Nobody gets the list of all.
    let transfer = words("cloud.test", "AXFR");
    assert!(!transfer.contains("anna"), "{transfer}");
    anna.set_texts(&["one", "two"]).await;
    let mut texts = dig(&["_acme-challenge.anna.cloud.test", "TXT"]);
    texts.sort();
    assert_eq!(texts, ["\"one\"", "\"two\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_serves_the_same_center_and_may_go_away_and_return() {
    let Some(mut server) = Postgres::start() else {
        return;
    };
    let url = server.url();
    let mut center = Center::start(BINARY, "", &["--database", &url]);
    let mut anna = Guest::arrive(&center, 1).await;
    anna.register("192.0.2.1:8443").await;
    anna.claim("anna").await;
    assert!(!center.folder().join("center.db").exists());
    server.stop();
    // Changes are refused with the reason, questions and heartbeats go on.
    let refused = anna.try_register("192.0.2.2:8443").await;
    assert_eq!(refused, Reply::Refused(Refusal::Unavailable));
    anna.renew_unchanged().await;
    let found = anna.find(Target::Id(anna.id())).await.unwrap().unwrap();
    assert_eq!(found.record.addresses, ["192.0.2.1:8443".parse().unwrap()]);
    let status = center.owner().get("/api/status").json();
    assert!(
        status["database"]
            .as_str()
            .unwrap_or("")
            .contains("database"),
        "{status}"
    );
    server.run();
    anna.register("192.0.2.3:8443").await;
    assert_eq!(
        center.owner().get("/api/status").json()["database"],
        serde_json::Value::Null
    );
    center.kill();
    center.run();
    assert_eq!(
        listed(&center, "anna")["addresses"],
        serde_json::json!(["192.0.2.3:8443"])
    );
}
