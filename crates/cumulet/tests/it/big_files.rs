//! Big files over plain HTTP, which the kernel sends from its own memory: the same answers as over
//! HTTPS, and never a part that looks like the whole (docs/decisions/0011, R109).

use std::time::{Duration, Instant};

use testing::{Client, Node, PASSWORD, Wire, wait_until};

use crate::scene::{alice_at_home, at, cloud};
use crate::sharing::{download_path, link};

const MIB: usize = 1 << 20;

/// Bytes that tell where they are.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

fn over_http(node: &Node) -> Client {
    node.http().basic("alice", PASSWORD)
}

/// Reads until the connection ends; how many bytes came.
fn drain(wire: &mut Wire) -> usize {
    let mut total = 0;
    while let Ok(bytes) = wire.read_some(MIB)
        && !bytes.is_empty()
    {
        total += bytes.len();
    }
    total
}

#[test]
fn whole_files_and_ranges_are_exact_on_one_connection() {
    let (node, alice) = alice_at_home();
    let bytes = pattern(9 * MIB + 7);
    alice.put(&at("big"), &bytes).assert_status(201);
    alice.put(&at("small"), "small").assert_status(201);
    let plain = over_http(&node);
    let mut wire = plain.wire();
    for _ in 0..2 {
        let reply = plain.request("GET", &at("big")).send_on(&mut wire).unwrap();
        reply.assert_status(200);
        assert!(reply.body == bytes);
        for name in ["etag", "last-modified", "content-security-policy", "date"] {
            assert!(reply.header(name).is_some(), "{name}");
        }
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let small = plain.request("GET", &at("small")).send_on(&mut wire);
        small.unwrap().assert_says(200, "small");
        let (start, end) = (MIB + 3, 7 * MIB + 1);
        let part = plain
            .request("GET", &at("big"))
            .header("Range", &format!("bytes={start}-{}", end - 1))
            .send_on(&mut wire)
            .unwrap();
        part.assert_status(206);
        let range = format!("bytes {start}-{}/{}", end - 1, bytes.len());
        assert_eq!(part.header("content-range"), Some(range.as_str()));
        assert!(part.body == bytes[start..end]);
        let head = plain
            .request("HEAD", &at("big"))
            .send_on(&mut wire)
            .unwrap();
        let length = bytes.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()));
        let same = plain
            .request("GET", &at("big"))
            .header("If-None-Match", &reply.etag())
            .send_on(&mut wire);
        same.unwrap().assert_status(304);
    }
    let last = plain.request("GET", &at("big")).send();
    assert_eq!(last.header("connection"), Some("close"));
    assert!(last.body == bytes);
}

#[test]
fn requests_sent_all_at_once_are_answered_in_their_order() {
    let (node, alice) = alice_at_home();
    let bytes = pattern(3 * MIB);
    let middle = pattern(900_000);
    alice.put(&at("big"), &bytes).assert_status(201);
    alice.put(&at("middle"), &middle).assert_status(201);
    let plain = over_http(&node);
    let mut wire = plain.wire();
    let wanted = ["middle", "big", "middle", "middle", "big", "big", "middle"];
    let all: Vec<u8> = wanted
        .iter()
        .flat_map(|name| plain.request("GET", &at(name)).bytes(true))
        .collect();
    wire.send(all).unwrap();
    for name in wanted {
        // Slower than the node, so that its buffers are full when it turns to the next.
        std::thread::sleep(Duration::from_millis(100));
        let reply = wire.read_reply("GET").unwrap();
        reply.assert_status(200);
        let expected = if name == "big" { &bytes } else { &middle };
        assert!(reply.body == *expected, "{name}");
    }
}

#[test]
fn a_client_of_http_1_0_gets_the_file_and_the_end() {
    let (node, alice) = alice_at_home();
    let bytes = pattern(2 * MIB);
    alice.put(&at("big"), &bytes).assert_status(201);
    let plain = over_http(&node);
    let request = plain.request("GET", &at("big")).bytes(true);
    let request = String::from_utf8(request)
        .unwrap()
        .replace("HTTP/1.1", "HTTP/1.0");
    let mut wire = plain.wire();
    wire.send(request).unwrap();
    let reply = wire.read_reply("GET").unwrap();
    assert!(reply.status == 200 && reply.body == bytes);
    assert!(wire.closed());
}

#[test]
fn a_file_cut_in_mid_download_never_looks_whole() {
    let (node, alice) = alice_at_home();
    let length = 64 * MIB;
    alice.put(&at("big"), pattern(length)).assert_status(201);
    let plain = over_http(&node);
    let mut wire = plain.wire();
    wire.send(plain.request("GET", &at("big")).bytes(true))
        .unwrap();
    let head = wire.read_head().unwrap();
    assert_eq!(
        head.header("content-length"),
        Some(length.to_string().as_str())
    );
    let path = node.space("alice").join("big");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(MIB as u64).unwrap();
    assert!(drain(&mut wire) < length);
    alice.get("/").assert_status(303);
}

#[test]
fn a_client_that_stops_reading_is_cut() {
    let node = cloud().config("stall_timeout_s = 5\n").start();
    let alice = node.owner("alice");
    let length = 64 * MIB;
    alice.put(&at("big"), pattern(length)).assert_status(201);
    let plain = over_http(&node);
    let mut wire = plain.wire();
    wire.send(plain.request("GET", &at("big")).bytes(true))
        .unwrap();
    wire.read_head().unwrap();
    std::thread::sleep(Duration::from_secs(8));
    assert!(drain(&mut wire) < length);
}

#[test]
fn a_stop_of_the_node_does_not_wait_for_a_slow_download() {
    let (mut node, alice) = alice_at_home();
    alice.put(&at("big"), pattern(64 * MIB)).assert_status(201);
    let plain = over_http(&node);
    let mut wire = plain.wire();
    wire.send(plain.request("GET", &at("big")).bytes(true))
        .unwrap();
    wire.read_head().unwrap();
    let begun = Instant::now();
    node.stop();
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_download_that_breaks_off_does_not_count_for_a_link() {
    let (node, alice) = alice_at_home();
    let bytes = pattern(64 * MIB);
    alice.put(&at("big"), &bytes).assert_status(201);
    let once = link(
        &node,
        &["alice:/big", "--right", "download", "--limit", "1"],
    );
    let guest = node.http();
    let path = download_path(&guest, &once);
    let mut wire = guest.wire();
    wire.send(guest.request("GET", &path).bytes(true)).unwrap();
    wire.read_head().unwrap().assert_status(200);
    drop(wire);
    wait_until("the link is open again", Duration::from_secs(20), || {
        let reply = guest.get(&path);
        reply.status == 200 && reply.body == bytes
    });
    guest.get(&path).assert_status(404);
}
