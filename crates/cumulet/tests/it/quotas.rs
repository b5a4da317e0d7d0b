//! Quotas: refused before the body is read, told to clients, and changed by the owner.

use crate::scene::{alice_at_home, at, element};

#[test]
fn a_full_quota_is_507_before_the_body_is_sent() {
    let (node, alice) = alice_at_home();
    node.cli(&["quota", "set", "alice", "1MiB"]).ok();
    alice
        .put(&at("half"), vec![b'x'; 600_000])
        .assert_status(201);
    let mut wire = alice.wire();
    let head = alice
        .request("PUT", &at("more"))
        .header("Content-Length", "600000")
        .header("Expect", "100-continue");
    wire.send(head.bytes(true)).unwrap();
    let refused = wire.read_reply("PUT").unwrap();
    refused.assert_says(507, "left of the quota");
    alice.get(&at("more")).assert_status(404);
    // Without a length the limit is met in the middle.
    let mut wire = alice.wire();
    let head = alice
        .request("PUT", &at("stream"))
        .header("Transfer-Encoding", "chunked");
    wire.send(head.bytes(true)).unwrap();
    for _ in 0..10 {
        if wire
            .send("186a0\r\n")
            .and_then(|()| wire.send(vec![b'y'; 100_000]))
            .and_then(|()| wire.send("\r\n"))
            .is_err()
        {
            break;
        }
    }
    wire.send("0\r\n\r\n").ok();
    let reply = wire.read_reply("PUT").unwrap();
    reply.assert_says(507, "left of the quota");
    alice.get(&at("stream")).assert_status(404);
    node.cli(&["quota", "set", "alice", "10MiB"]).ok();
    alice
        .put(&at("more"), vec![b'x'; 600_000])
        .assert_status(201);
}

#[test]
fn clients_are_told_used_and_available_bytes() {
    let (node, alice) = alice_at_home();
    node.cli(&["quota", "set", "alice", "1MiB"]).ok();
    alice
        .put(&at("file"), vec![b'x'; 100_000])
        .assert_status(201);
    let ask = r#"<propfind xmlns="DAV:"><prop><quota-used-bytes/><quota-available-bytes/></prop></propfind>"#;
    let found = alice
        .request("PROPFIND", &at(""))
        .header("Depth", "0")
        .body(ask)
        .send()
        .expect_status(207)
        .text();
    let number = |name: &str| element(&found, name).and_then(|text| text.parse::<u64>().ok());
    assert_eq!(number("quota-used-bytes"), Some(100_000), "{found}");
    assert_eq!(
        number("quota-available-bytes"),
        Some((1 << 20) - 100_000),
        "{found}"
    );
}

#[test]
fn copies_count_and_replacing_counts_once() {
    let (node, alice) = alice_at_home();
    node.cli(&["quota", "set", "alice", "1MiB"]).ok();
    alice
        .put(&at("file"), vec![b'x'; 700_000])
        .assert_status(201);
    let copy = alice
        .request("COPY", &at("file"))
        .header("Destination", &at("copy"))
        .send();
    copy.assert_says(507, "left of the quota");
    alice
        .put(&at("file"), vec![b'y'; 800_000])
        .assert_status(204);
}

#[test]
fn a_wrong_size_is_a_usage_error() {
    let (node, _alice) = alice_at_home();
    let outcome = node.cli(&["quota", "set", "alice", "lots"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("lots"), "{}", outcome.stderr);
}
