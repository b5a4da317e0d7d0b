//! Each kind of bad input has its status and message, and the node stays up.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use testing::{Client, FakeClock, PASSWORD, open_files, wait_until};

use crate::scene::{alice_at_home, at, cloud, names};

/// The node answers still, and the space holds exactly `expected`.
#[track_caller]
fn unharmed(alice: &Client, expected: &[&str]) {
    let listing = alice.propfind(&at(""), "1").expect_status(207).text();
    let mut found = names(&listing);
    found.retain(|name| name != "alice");
    found.sort();
    assert_eq!(found, expected, "{listing}");
}

#[test]
fn path_tricks_are_refused_by_name() {
    let (node, alice) = alice_at_home();
    for (path, words) in [
        ("../bob/x", "the segment `..`"),
        ("%2e%2e/bob/x", "the segment `..`"),
        ("..%2f..%2fx", "an encoded slash"),
        ("a%2fb", "an encoded slash"),
        ("a%00b", "holds NUL"),
        ("%ff%fe", "is not UTF-8"),
        ("%zz", "without two hexadecimal digits"),
        (".", "the segment `.`"),
        ("/x", "an empty segment (`//`)"),
        (".cumulet/x", "`.cumulet` is reserved"),
        (".cumulet", "`.cumulet` is reserved"),
    ] {
        alice.put(&at(path), "x").assert_says(400, words);
    }
    // Over-long: one name of 256 bytes, and a path beyond any file system.
    let long_name = alice.put(&at(&"n".repeat(256)), "x");
    long_name.assert_says(400, "256 bytes long, the limit is 255");
    let long_path = vec!["d"; 5000].join("/");
    let reply = alice.put(&at(&long_path), "x");
    reply.assert_says(414, "the limit is 8192");
    unharmed(&alice, &[]);
    assert!(!node.folder().join("bob").exists());
    assert!(!node.folder().join("x").exists());
}

#[test]
fn destinations_are_checked_like_paths() {
    let (_node, alice) = alice_at_home();
    alice.put(&at("file"), "1").assert_status(201);
    let outside = "http://example.com/dav/files/alice/x";
    for (destination, status, words) in [
        ("/dav/files/alice/../../etc/passwd", 400, "the segment `..`"),
        ("/dav/files/alice/a%2fb", 400, "an encoded slash"),
        ("/dav/files/alice/a%00", 400, "holds NUL"),
        (outside, 502, "on another server"),
        ("/elsewhere", 404, "nothing at this address"),
        ("/dav/files/nobody/x", 404, "nothing at this address"),
        (
            "not a url",
            400,
            "neither an http or https address nor a path",
        ),
    ] {
        let reply = alice
            .request("MOVE", &at("file"))
            .header("Destination", destination)
            .send();
        reply.assert_says(status, words);
    }
    let without = alice.call("MOVE", &at("file"));
    without.assert_says(400, "the Destination header is missing");
    unharmed(&alice, &["file"]);
}

#[test]
fn xml_bombs_and_deep_nesting_are_refused_at_once() {
    let (node, alice) = alice_at_home();
    let bomb = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE p [<!ENTITY a \"{}\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]><propfind xmlns=\"DAV:\"><prop>&b;</prop></propfind>",
        "a".repeat(1000)
    );
    let deep = format!(
        "<propfind xmlns=\"DAV:\">{}{}</propfind>",
        "<prop>".repeat(5000),
        "</prop>".repeat(5000)
    );
    let began = Instant::now();
    for (what, body, words) in [
        ("entity bomb", bomb.as_str(), "has a DOCTYPE"),
        ("deep nesting", &deep, "deeper than 32 elements"),
        (
            "cut off",
            "<propfind xmlns=\"DAV:\"><prop>",
            "ends inside of an element",
        ),
        ("not XML", "hello", "text outside of the root element"),
        (
            "unbound prefix",
            "<D:propfind><D:allprop/></D:propfind>",
            "the prefix `D` is not bound",
        ),
    ] {
        let reply = alice
            .request("PROPFIND", &at(""))
            .header("Depth", "0")
            .body(body)
            .send();
        assert_eq!(reply.status, 400, "{what}: {}", reply.text());
        reply.assert_says(400, words);
    }
    let huge = format!(
        "<propfind xmlns=\"DAV:\"><prop>{}</prop></propfind>",
        " ".repeat(2 << 20)
    );
    let reply = alice
        .request("PROPFIND", &at(""))
        .header("Depth", "0")
        .body(&huge)
        .send();
    reply.assert_says(413, "the limit");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(testing::resident_kib(node.pid()) < 300 * 1024);
    unharmed(&alice, &[]);
}

#[test]
fn depth_infinity_is_refused_with_its_precondition() {
    let (_node, alice) = alice_at_home();
    alice
        .propfind(&at(""), "infinity")
        .assert_says(403, "propfind-finite-depth");
}

#[test]
fn a_body_shorter_than_its_length_leaves_the_old_file() {
    let (node, alice) = alice_at_home();
    alice.put(&at("file"), "old").assert_status(201);
    for name in ["file", "new"] {
        let mut wire = alice.wire();
        let head = alice
            .request("PUT", &at(name))
            .header("Content-Length", "1000");
        wire.send(head.bytes(true)).unwrap();
        wire.send("only this").unwrap();
        wire.finish_sending();
        let reply = wire.read_reply("PUT").unwrap();
        reply.assert_says(400, "The upload broke off before its end");
    }
    // The same with a chunked body that ends in the middle.
    let mut wire = alice.wire();
    let head = alice
        .request("PUT", &at("chunky"))
        .header("Transfer-Encoding", "chunked");
    wire.send(head.bytes(true)).unwrap();
    wire.send("5\r\nhello\r\n10\r\nhalf").unwrap();
    wire.finish_sending();
    let reply = wire.read_reply("PUT").unwrap();
    reply.assert_says(400, "The upload broke off before its end");
    assert_eq!(alice.get(&at("file")).expect_status(200).text(), "old");
    unharmed(&alice, &["file"]);
    wait_until("temporary files are gone", Duration::from_secs(10), || {
        temps(node.folder()) == 0
    });
}

/// Temporary files of the home volume.
fn temps(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder.join(".cumulet/tmp")).map_or(0, Iterator::count)
}

#[test]
fn a_body_longer_than_its_length_ends_where_it_said() {
    let (_node, alice) = alice_at_home();
    let mut wire = alice.wire();
    let head = alice
        .request("PUT", &at("file"))
        .header("Content-Length", "5");
    wire.send(head.bytes(true)).unwrap();
    wire.send("helloGARBAGE / HTTP/9.9\r\n\r\n").unwrap();
    wire.read_reply("PUT").unwrap().assert_status(201);
    // What follows is a broken request of its own.
    let reply = wire.read_reply("GET").unwrap();
    reply.assert_says(400, "what came after request number 1 of this connection");
    reply.assert_says(400, "whose body was perhaps longer than its Content-Length");
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(wire.closed());
    assert_eq!(alice.get(&at("file")).expect_status(200).text(), "hello");
}

#[test]
fn contradictory_lengths_are_refused() {
    let (_node, alice) = alice_at_home();
    for (headers, words) in [
        (
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "its Content-Length is no number, is too large, or comes twice",
        ),
        ("Content-Length: -1\r\n", "its Content-Length is no number"),
        (
            "Content-Length: 99999999999999999999999\r\n",
            "its Content-Length is no number, is too large",
        ),
        (
            "Transfer-Encoding: gzip\r\n",
            "its Transfer-Encoding is another than `chunked`",
        ),
        (
            "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n",
            "its Transfer-Encoding is another than `chunked`",
        ),
    ] {
        let mut wire = alice.wire();
        let head = String::from_utf8(alice.request("PUT", &at("file")).bytes(true)).unwrap();
        let head = head.replace("\r\n\r\n", &format!("\r\n{headers}\r\n"));
        wire.send(head + "hello").unwrap();
        let reply = wire.read_reply("PUT").unwrap();
        reply.assert_says(400, words);
        reply.assert_says(400, "Nothing of it was carried out");
        assert_eq!(reply.header("connection"), Some("close"), "{headers:?}");
        assert!(wire.closed(), "{headers:?}");
    }
    unharmed(&alice, &[]);
    // Chunks say where the body ends, whatever the length says, and nothing may follow them on the
    // connection (RFC 9112 section 6.3).
    let mut wire = alice.wire();
    let head = alice
        .request("PUT", &at("chunks"))
        .header("Content-Length", "3")
        .header("Transfer-Encoding", "chunked");
    wire.send(head.bytes(true)).unwrap();
    wire.send("5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    wire.read_reply("PUT").unwrap().assert_status(201);
    assert!(wire.closed());
    assert_eq!(alice.get(&at("chunks")).expect_status(200).text(), "hello");
}

#[test]
fn garbage_as_a_request_line_is_refused_with_words() {
    let (_node, alice) = alice_at_home();
    for (garbage, words) in [
        ("\u{1}\u{2}\u{3}\r\n\r\n", "a method like GET"),
        ("GET /a b HTTP/1.1\r\n\r\n", "HTTP/1.1 or HTTP/1.0"),
        ("GET /a#b HTTP/1.1\r\n\r\n", "percent-encoded, such as `#`"),
        (
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "one of its header lines is not `Name: value`",
        ),
    ] {
        let mut wire = alice.wire();
        wire.send(garbage).unwrap();
        let reply = wire.read_reply("GET").unwrap();
        reply.assert_says(400, words);
        assert_eq!(reply.header("connection"), Some("close"), "{garbage:?}");
        assert!(wire.closed(), "{garbage:?}");
    }
    unharmed(&alice, &[]);
}

#[test]
fn partial_puts_are_refused() {
    let (_node, alice) = alice_at_home();
    let reply = alice
        .request("PUT", &at("file"))
        .header("Content-Range", "bytes 0-4/10")
        .body("hello")
        .send();
    reply.assert_says(400, "Content-Range");
    unharmed(&alice, &[]);
}

#[test]
fn a_wrong_checksum_leaves_nothing() {
    let (_node, alice) = alice_at_home();
    let wrong = format!("SHA1:{}", "0".repeat(40));
    let reply = alice
        .request("PUT", &at("file"))
        .header("OC-Checksum", &wrong)
        .body("hello")
        .send();
    reply.assert_says(400, "it does not match its checksum");
    unharmed(&alice, &[]);
    let right = "SHA1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";
    alice
        .request("PUT", &at("file"))
        .header("OC-Checksum", right)
        .body("hello")
        .send()
        .assert_status(201);
}

#[test]
fn slow_and_half_open_clients_do_not_keep_others_waiting() {
    let (node, alice) = alice_at_home();
    alice.put(&at("file"), "quick").assert_status(201);
    let mut open = Vec::new();
    for kind in 0..150 {
        let mut wire = alice.wire();
        match kind % 3 {
            0 => {}
            1 => wire.send("GET /dav/files/ali").unwrap(),
            _ => {
                let head = alice
                    .request("PUT", &at("slow"))
                    .header("Content-Length", "100000");
                wire.send(head.bytes(true)).unwrap();
                wire.send("x").unwrap();
            }
        }
        open.push(wire);
    }
    // A TCP connection without a word of TLS.
    let half_open = std::net::TcpStream::connect(alice.address()).unwrap();
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(alice.get(&at("file")).expect_status(200).text(), "quick");
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    drop((open, half_open));
    wait_until(
        "descriptors are given back",
        Duration::from_secs(30),
        || open_files(node.pid()) < 80,
    );
    unharmed(&alice, &["file"]);
}

#[test]
fn a_client_that_says_nothing_is_sent_away() {
    let (_node, alice) = alice_at_home();
    let patience = Duration::from_secs(90);
    let began = Instant::now();
    let mut wire = alice.wire_with_patience(patience);
    wire.send("GET / HTTP/1.1\r\nHost: slow\r\n").unwrap();
    let reply = wire.read_reply("GET").unwrap();
    reply.assert_says(408, "did not arrive within 10 s");
    assert!(began.elapsed() < patience, "{:?}", began.elapsed());
}

#[test]
fn headers_without_end_are_refused() {
    let (_node, alice) = alice_at_home();
    let long = "x".repeat(2 << 20);
    let reply = alice.request("GET", &at("")).header("X-Long", &long).send();
    reply.assert_says(431, "longer than 256 KiB or more than 100 lines");
    assert_eq!(reply.header("connection"), Some("close"));
    let many = (0..101).fold(alice.request("GET", &at("")), |request, number| {
        request.header(&format!("X-{number}"), "1")
    });
    many.send()
        .assert_says(431, "Send fewer or shorter headers");
    unharmed(&alice, &[]);
}

#[test]
fn a_symlink_that_leads_out_of_the_space_is_not_there() {
    let (node, alice) = alice_at_home();
    let secret = node.scratch().join("secret");
    std::fs::write(&secret, "not for the web").unwrap();
    symlink(&secret, node.space("alice").join("link")).unwrap();
    symlink("/etc", node.space("alice").join("etc")).unwrap();
    for reply in [
        alice.get(&at("link")),
        alice.get(&at("etc/passwd")),
        alice.propfind(&at("etc"), "1"),
    ] {
        reply.assert_says(404, "nothing at this address");
    }
    node.cli(&["check"]);
    let through = alice.put(&at("etc/cumulet-test"), "x");
    through.assert_says(409, "folder");
    assert!(!std::path::Path::new("/etc/cumulet-test").exists());
    // A write to the link's name must not go through the link.
    let over = alice.put(&at("link"), "mine");
    assert!([201, 403, 409].contains(&over.status), "{}", over.text());
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "not for the web");
}

#[test]
fn conditions_that_make_no_sense_are_400() {
    let (_node, alice) = alice_at_home();
    alice.put(&at("file"), "1").assert_status(201);
    for (wrong, words) in [
        ("(", "`&lt;`, `[` or `)` expected"),
        ("(<urn:x>", "`&lt;`, `[` or `)` expected"),
        ("no parentheses", "`(` or `&lt;` expected"),
        ("<a> <b> (<urn:x>)", "not followed by its lists"),
        ("()", "a list is empty"),
    ] {
        let reply = alice
            .request("PUT", &at("file"))
            .header("If", wrong)
            .body("2")
            .send();
        reply.assert_says(400, "the If header cannot be read");
        reply.assert_says(400, words);
    }
    assert_eq!(alice.get(&at("file")).text(), "1");
}

#[test]
fn unknown_methods_and_addresses_are_said_to_be_so() {
    let (_node, alice) = alice_at_home();
    let reply = alice.call("BREW", &at("coffee"));
    reply.assert_says(405, "does not do that");
    let missing = alice.get("/no/such/page");
    missing.assert_says(404, "nothing at this address");
    for reply in [
        alice.call("MKCOL", &at("a/b/c")),
        alice.put(&at("a/b/c"), "x"),
    ] {
        reply.assert_says(409, "Make the folder first");
    }
    let with_body = alice
        .request("MKCOL", &at("x"))
        .header("Content-Type", "text/x")
        .body("body")
        .send();
    with_body.assert_says(415, "MKCOL takes no body");
}

#[test]
fn a_clock_that_jumps_loses_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let Some(clock) = FakeClock::new(folder.path()) else {
        return;
    };
    let mut node = cloud().clock(clock).start();
    let alice = node.owner("alice");
    let mut etags = Vec::new();
    for (step, offset) in [0, 400 * 86_400, -400 * 86_400, 3600, 0]
        .into_iter()
        .enumerate()
    {
        node.clock().set_offset_s(offset);
        let reply = alice.put(&at("file"), format!("step {step}"));
        assert!(
            [201, 204].contains(&reply.status),
            "step {step}: {}",
            reply.text()
        );
        let etag = reply.etag();
        assert!(!etags.contains(&etag), "an ETag came twice: {etag}");
        etags.push(etag);
        let body = alice.get(&at("file")).expect_status(200).text();
        assert_eq!(body, format!("step {step}"));
    }
    node.clock().set_offset_s(-3600);
    node.kill();
    node.start();
    let alice = node.https().basic("alice", PASSWORD);
    assert_eq!(alice.get(&at("file")).expect_status(200).text(), "step 4");
    node.cli(&["check"]).ok();
    node.cli(&["audit", "verify"]).ok();
}

#[test]
fn a_fragment_in_the_target_deletes_nothing_over_either_protocol() {
    let Some(curl) = testing::require("curl") else {
        return;
    };
    let (_node, alice) = alice_at_home();
    alice.call("MKCOL", &at("a")).assert_status(201);
    alice.put(&at("a/file"), "precious").assert_status(201);
    // Curl sends a request target as it is told; the exit code and the status come back.
    let delete = |protocol: &str, target: &str| {
        let done = std::process::Command::new(&curl)
            .args([
                "-sk",
                "-o",
                "/dev/null",
                "-w",
                "%{http_version} %{http_code}",
            ])
            .args(["-u", &format!("alice:{PASSWORD}"), protocol, "-X", "DELETE"])
            .args(["--request-target", target])
            .arg(format!("https://{}/", alice.address()))
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    for target in [
        "/dav/files/alice/a#b",
        "/dav/files/alice/a/#b",
        "/dav/files/alice/a/?x#b",
    ] {
        let (_, answer) = delete("--http1.1", target);
        assert_eq!(answer, "1.1 400", "{target}");
        // RFC 9113 section 8.1.1: a malformed request is a stream error, PROTOCOL_ERROR.
        let (exit, answer) = delete("--http2", target);
        // Without an answer some versions of curl tell no HTTP version.
        assert!(
            exit == Some(92) && answer.ends_with(" 000"),
            "{target}: {answer}"
        );
    }
    unharmed(&alice, &["a"]);
    alice.get(&at("a/file")).assert_status(200);
    // What is written as it should be works over both.
    alice.put(&at("a%23b"), "x").assert_status(201);
    assert_eq!(delete("--http2", "/dav/files/alice/a%23b").1, "2 204");
    assert_eq!(delete("--http1.1", "/dav/files/alice/a").1, "1.1 204");
}
