//! Nodes and their center on machines of their own: who dials whom, addresses that change, two
//! interfaces, IPv6. No machine has a default route.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testing::{Center, Family, Lan, Node, until};

use super::{BINARY, QUICK, at, find, id, registered, row, standing};

/// A change of address is in DNS within this time (R27).
const AT_ONCE: Duration = Duration::from_secs(2);

fn center_on(lan: &Lan, number: usize) -> Center {
    let address = lan.address(number);
    let host = if address.contains(':') {
        format!("[{address}]")
    } else {
        address
    };
    Center::start_on(BINARY, (&lan.on(number), &host), QUICK, &[])
}

fn node_on(lan: &Lan, number: usize, center: &Center, name: &str) -> Node {
    at(center, name)
        .listen("[::]:8443")
        .under(&lan.on(number))
        .start()
}

/// Polls DNS until it says this and nothing else; how long that took.
#[track_caller]
fn resolves(center: &Center, name: &str, kind: &str, wanted: &[&str], begun: Instant) -> Duration {
    until("the answer of DNS", Duration::from_secs(10), || {
        let mut seen = center.dig(&[name, kind]);
        seen.sort();
        if seen == wanted {
            Ok(())
        } else {
            Err(json!(seen))
        }
    });
    begun.elapsed()
}

#[test]
fn r10_a_node_dials_its_center_and_is_never_dialed_by_it() {
    if !testing::require_all(&["nft"]) {
        return;
    }
    let Some(lan) = Lan::new(2, Family::V4) else {
        return;
    };
    // The node's machine lets in answers to what it has asked, and nothing else; the center's
    // machine counts what it begins itself.
    let _ = lan.run(1, "nft -f - <<E
table inet t {
  chain in { type filter hook input priority 0; iif lo accept; ct state established accept; counter drop; }
}
E");
    let _ = lan.run(
        0,
        "nft -f - <<E
table inet t {
  chain out { type filter hook output priority 0; oif lo accept; ct state new counter; }
}
E",
    );
    let center = center_on(&lan, 0);
    let mut anna = node_on(&lan, 1, &center, "anna");
    assert_eq!(registered(&anna)["name"], "anna");
    assert_eq!(row(&center, &anna)["online"], true);
    lan.move_to(1, "10.88.0.70");
    resolves(
        &center,
        "anna.cloud.test",
        "A",
        &["10.88.0.70"],
        Instant::now(),
    );
    anna.stop();
    until("goodbye", Duration::from_secs(1), || {
        let row = row(&center, &anna);
        if row["online"] == false {
            Ok(())
        } else {
            Err(row)
        }
    });
    let begun_there = lan.run(0, "nft list ruleset");
    assert!(begun_there.contains("counter packets 0 "), "{begun_there}");
}

#[test]
fn r27_an_address_that_really_changes_is_in_dns_within_two_seconds() {
    if !testing::require_all(&["dig"]) {
        return;
    }
    let Some(lan) = Lan::new(2, Family::V4) else {
        return;
    };
    let center = center_on(&lan, 0);
    let anna = node_on(&lan, 1, &center, "anna");
    registered(&anna);
    resolves(
        &center,
        "anna.cloud.test",
        "A",
        &["10.88.0.2"],
        Instant::now(),
    );
    for last in [50, 51, 52, 2, 53, 54, 2] {
        let address = format!("10.88.0.{last}");
        let begun = Instant::now();
        lan.move_to(1, &address);
        let took = resolves(&center, "anna.cloud.test", "A", &[&address], begun);
        eprintln!("{address} was in DNS after {took:?}");
        assert!(took < AT_ONCE, "{address} after {took:?}");
    }
    let seen = row(&center, &anna);
    assert_eq!(seen["addresses"], json!(["10.88.0.2:8443"]));
    assert_eq!(seen["online"], true);
}

#[test]
fn r26_a_node_finds_another_by_name_through_the_center_alone() {
    if !testing::require_all(&["nft"]) {
        return;
    }
    let Some(lan) = Lan::new(3, Family::V4) else {
        return;
    };
    // The two cannot reach each other, so that none is the other's neighbor.
    let _ = lan.run(
        1,
        "nft -f - <<E
table inet t {
  chain in { type filter hook input priority 0; ip saddr 10.88.0.3 drop; }
}
E",
    );
    let mut center = center_on(&lan, 0);
    let anna = node_on(&lan, 1, &center, "anna");
    let bob = node_on(&lan, 2, &center, "bob");
    registered(&anna);
    registered(&bob);
    for what in ["anna".to_owned(), id(&anna), "anna.cloud.test".to_owned()] {
        let (code, found) = find(&bob, &what, &[]);
        assert_eq!(code, 0, "{what}: {found}");
        assert_eq!(
            (&found["id"], &found["from"]),
            (&json!(id(&anna)), &json!("center"))
        );
        assert_eq!(found["addresses"], json!(["10.88.0.2:8443"]), "{what}");
        assert!(found["took_ms"].as_f64() < Some(1000.0), "{found}");
    }
    // Found, it can be reached as soon as the way is open.
    let _ = lan.run(1, "nft flush ruleset");
    let (_, found) = find(&bob, "anna.cloud.test", &["--services"]);
    assert!(found["services"].to_string().contains("pages"), "{found}");
    // Without the center it says so, and seeks among neighbors all the same.
    center.stop();
    super::stands(&bob, "away", Duration::from_secs(5));
    let (code, missed) = find(&bob, "nobody", &[]);
    assert_eq!(code, 1);
    let why = missed["center_error"].as_str().unwrap_or_default();
    assert!(why.contains("no link to the center"), "{missed}");
}

#[test]
fn a_node_with_two_interfaces_tells_both_and_follows_the_one_that_stays() {
    if !testing::require_all(&["dig"]) {
        return;
    }
    let Some(lan) = Lan::new(2, Family::V4) else {
        return;
    };
    let _ = lan.run(
        1,
        "ip link add other type veth peer name rehto && ip link set rehto up && ip address add 10.99.0.1/24 dev other && ip link set other up",
    );
    let center = center_on(&lan, 0);
    let anna = node_on(&lan, 1, &center, "anna");
    registered(&anna);
    resolves(
        &center,
        "anna.cloud.test",
        "A",
        &["10.88.0.2", "10.99.0.1"],
        Instant::now(),
    );
    let begun = Instant::now();
    lan.unplug(1, "other");
    let took = resolves(&center, "anna.cloud.test", "A", &["10.88.0.2"], begun);
    assert!(took < AT_ONCE, "{took:?}");
    // The way to the center is pulled and comes back; the node follows by itself.
    lan.unplug(1, "eth0");
    super::stands(&anna, "away", Duration::from_secs(25));
    lan.plug(1, "eth0");
    assert_eq!(registered(&anna)["error"], Value::Null);
    resolves(
        &center,
        "anna.cloud.test",
        "A",
        &["10.88.0.2"],
        Instant::now(),
    );
}

#[test]
fn a_node_that_has_ipv6_alone_registers_and_its_change_is_followed() {
    if !testing::require_all(&["dig"]) {
        return;
    }
    let Some(lan) = Lan::new(2, Family::V6) else {
        return;
    };
    let center = center_on(&lan, 0);
    let anna = node_on(&lan, 1, &center, "anna");
    registered(&anna);
    resolves(
        &center,
        "anna.cloud.test",
        "AAAA",
        &["fd88::2"],
        Instant::now(),
    );
    assert!(center.dig(&["anna.cloud.test", "A"]).is_empty());
    let begun = Instant::now();
    let _ = lan.run(
        1,
        "ip address del fd88::2/64 dev eth0 && ip address add fd88::77/64 dev eth0 nodad",
    );
    let took = resolves(&center, "anna.cloud.test", "AAAA", &["fd88::77"], begun);
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(standing(&anna)["state"], "registered");
}
