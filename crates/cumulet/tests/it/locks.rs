//! WebDAV locks: expiry, restart, depth, placeholder (RFC 4918 6-7, R91).

use std::time::Duration;

use testing::{Client, PASSWORD, Reply, wait_until};

use crate::scene::{alice_at_home, at, element};

const EXCLUSIVE: &str = r#"<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner><D:href>mailto:alice</D:href></D:owner></D:lockinfo>"#;
const SHARED: &str = r#"<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>"#;

fn lock(client: &Client, path: &str, body: &str, timeout: &str, depth: &str) -> Reply {
    client
        .request("LOCK", path)
        .header("Timeout", timeout)
        .header("Depth", depth)
        .body(body)
        .send()
}

fn token(reply: &Reply) -> String {
    let token = reply
        .header("lock-token")
        .expect("a new lock has a Lock-Token")
        .to_owned();
    assert!(token.starts_with("<urn:uuid:"), "{token}");
    token
}

#[test]
fn a_lock_ends_with_its_timeout() {
    let (_node, alice) = alice_at_home();
    alice.put(&at("file"), "1").assert_status(201);
    token(&lock(&alice, &at("file"), EXCLUSIVE, "Second-2", "0").expect_status(200));
    alice.put(&at("file"), "2").assert_status(423);
    wait_until("the lock expires", Duration::from_secs(6), || {
        alice.put(&at("file"), "3").status == 204
    });
}

#[test]
fn a_lock_outlives_a_restart_and_a_kill() {
    let (mut node, alice) = alice_at_home();
    alice.put(&at("file"), "1").assert_status(201);
    let token = token(&lock(&alice, &at("file"), EXCLUSIVE, "Second-600", "0"));
    node.stop();
    node.start();
    let alice = node.https().basic("alice", PASSWORD);
    alice.put(&at("file"), "2").assert_status(423);
    node.kill();
    node.start();
    let alice = node.https().basic("alice", PASSWORD);
    alice.put(&at("file"), "2").assert_status(423);
    alice
        .request("UNLOCK", &at("file"))
        .header("Lock-Token", &token)
        .send()
        .assert_status(204);
    alice.put(&at("file"), "2").assert_status(204);
}

#[test]
fn infinite_timeouts_are_clipped_to_an_hour() {
    let (_node, alice) = alice_at_home();
    alice.put(&at("file"), "1").assert_status(201);
    let reply = lock(
        &alice,
        &at("file"),
        EXCLUSIVE,
        "Infinite, Second-4100000000",
        "0",
    );
    let timeout = element(&reply.text(), "timeout").expect("lockdiscovery has a timeout");
    let seconds: u64 = timeout.trim_start_matches("Second-").parse().unwrap();
    assert!((3500..=3600).contains(&seconds), "{timeout}");
}

#[test]
fn a_deep_lock_covers_what_is_made_below_it_later() {
    let (_node, alice) = alice_at_home();
    alice.call("MKCOL", &at("folder")).assert_status(201);
    let token = token(&lock(
        &alice,
        &at("folder"),
        EXCLUSIVE,
        "Second-600",
        "infinity",
    ));
    alice.put(&at("folder/new"), "1").assert_status(423);
    let with_token = |path: &str| {
        alice
            .request("PUT", &at(path))
            .header("If", &format!("<{}> ({token})", at("folder/")))
            .body("1")
            .send()
    };
    with_token("folder/new").assert_status(201);
    alice.put(&at("folder/new"), "2").assert_status(423);
    alice.call("DELETE", &at("folder")).assert_status(423);
    let moved = alice
        .request("MOVE", &at("folder/new"))
        .header("Destination", &at("out"))
        .send();
    moved.assert_status(423);
}

#[test]
fn shared_locks_go_together_and_an_exclusive_one_does_not_join_them() {
    let (_node, alice) = alice_at_home();
    alice.put(&at("file"), "1").assert_status(201);
    let first = token(&lock(&alice, &at("file"), SHARED, "Second-600", "0"));
    let second = token(&lock(&alice, &at("file"), SHARED, "Second-600", "0"));
    assert_ne!(first, second);
    lock(&alice, &at("file"), EXCLUSIVE, "Second-600", "0").assert_status(423);
    let found = alice.propfind(&at("file"), "0").expect_status(207).text();
    assert_eq!(found.matches("urn:uuid:").count(), 2, "{found}");
}

#[test]
fn a_lock_on_a_free_name_holds_it_with_an_empty_file_that_goes_away() {
    let (_node, alice) = alice_at_home();
    lock(&alice, &at("free"), EXCLUSIVE, "Second-2", "0").assert_status(201);
    alice.put(&at("free"), "x").assert_status(423);
    assert_eq!(alice.get(&at("free")).expect_status(200).body, b"");
    wait_until("the placeholder goes away", Duration::from_secs(45), || {
        alice.get(&at("free")).status == 404
    });
}

#[test]
fn a_refresh_lengthens_the_lock_without_a_body() {
    let (_node, alice) = alice_at_home();
    alice.put(&at("file"), "1").assert_status(201);
    let token = token(&lock(&alice, &at("file"), EXCLUSIVE, "Second-2", "0"));
    alice
        .request("LOCK", &at("file"))
        .header("If", &format!("({token})"))
        .header("Timeout", "Second-600")
        .send()
        .assert_status(200);
    std::thread::sleep(Duration::from_millis(2500));
    alice.put(&at("file"), "2").assert_status(423);
}
