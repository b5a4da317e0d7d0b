//! A refusal arrives, whatever the client is still sending: over HTTP/1.1 and HTTP/2, for bodies of
//! any length, told by a real curl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testing::{Client, Node, PASSWORD};

use crate::scene::{alice_at_home, at};

const LOCK: &str = r#"<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>"#;

/// Asks curl to upload `file`; its exit code and the status that it saw.
fn upload(curl: &Path, node: &Node, file: &Path, arguments: &[&str], path: &str) -> String {
    let done = Command::new(curl)
        .args(["-sk", "--max-time", "30", "-o", "/dev/null"])
        .args(["-w", "%{http_code}", "-H", "Expect:"])
        .args(arguments)
        .arg("-T")
        .arg(file)
        .arg(format!("https://{}{path}", node.https().address()))
        .output()
        .unwrap();
    let exit = done.status.code().unwrap_or(-1);
    format!("{exit} {}", String::from_utf8(done.stdout).unwrap())
}

/// What each refusal is asked for with, and where.
fn refusals(alice: &Client) -> Vec<(u16, Vec<&'static str>, String)> {
    let lock = alice.request("LOCK", &at("locked")).body(LOCK).send();
    assert!([200, 201].contains(&lock.status), "{}", lock.text());
    let alice = ["-u", "alice:correct-horse-battery-staple"];
    assert_eq!(alice[1], format!("alice:{PASSWORD}"));
    let signed_in = |more: &[&'static str]| [&alice[..], more].concat();
    vec![
        (401, vec![], at("x")),
        (400, signed_in(&[]), at("x%00y")),
        (
            403,
            signed_in(&["-H", "Origin: https://elsewhere"]),
            at("x"),
        ),
        (409, signed_in(&[]), at("no/such/folder")),
        (412, signed_in(&["-H", "If-Match: \"none\""]), at("x")),
        (423, signed_in(&[]), at("locked")),
        (
            507,
            vec!["-u", "bob:correct-horse-battery-staple"],
            "/dav/files/bob/x".into(),
        ),
    ]
}

#[test]
fn every_refusal_arrives_over_either_protocol_for_bodies_of_any_length() {
    let Some(curl) = testing::require("curl") else {
        return;
    };
    let (node, alice) = alice_at_home();
    node.member("bob")
        .put("/dav/files/bob/full", "x")
        .assert_status(201);
    node.cli(&["quota", "set", "bob", "1"]).ok();
    let files: Vec<PathBuf> = [1, 3_000_000, 30_000_000]
        .into_iter()
        .map(|length| {
            let file = node.scratch().join(format!("body-{length}"));
            fs::write(&file, vec![b'x'; length]).unwrap();
            file
        })
        .collect();
    let mut wrong = Vec::new();
    for (status, arguments, path) in refusals(&alice) {
        for protocol in ["--http1.1", "--http2"] {
            for file in &files {
                let arguments = [&[protocol][..], &arguments].concat();
                let seen = upload(&curl, &node, file, &arguments, &path);
                if seen != format!("0 {status}") {
                    wrong.push(format!("{status} {protocol} {}: {seen}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    alice.propfind(&at(""), "0").assert_status(207);
}

#[test]
fn a_guests_form_without_end_takes_no_memory() {
    let (node, alice) = alice_at_home();
    alice.call("MKCOL", &at("drop")).assert_status(201);
    let link = crate::sharing::link(&node, &["alice:/drop", "--right", "upload"]);
    let guest = node.https();
    for part in [
        "Content-Disposition: form-data; name=\"",
        "Content-Disposition: form-data; name=\"x\"\r\n\r\n",
        "Content-Disposition: form-data; name=\"x\"; filename=\"\"\r\n\r\n",
    ] {
        let before = testing::resident_kib(node.pid());
        let mut wire = guest.wire();
        let head = guest
            .request("POST", &format!("{link}/upload"))
            .header("Content-Type", "multipart/form-data; boundary=XX")
            .header("Content-Length", "1000000000");
        wire.send(head.bytes(true)).unwrap();
        wire.send(format!("--XX\r\n{part}")).unwrap();
        let mut peak = before;
        for _ in 0..96 {
            if wire.send(vec![b'a'; 1 << 20]).is_err() {
                break;
            }
            peak = peak.max(testing::resident_kib(node.pid()));
            if peak > before + 48 * 1024 {
                break;
            }
        }
        assert!(peak < before + 32 * 1024, "{part}: {before} to {peak} KiB");
    }
    // A head that is too long is told.
    let body = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"{}",
        "a".repeat(400_000)
    );
    let reply = guest
        .request("POST", &format!("{link}/upload"))
        .header("Content-Type", "multipart/form-data; boundary=XX")
        .body(&body)
        .send();
    assert_eq!(reply.status, 413, "{}", reply.text());
}

#[test]
fn a_refused_sender_that_goes_on_slowly_does_not_hold_up_a_stop() {
    let (mut node, alice) = alice_at_home();
    let guest = node.https();
    let mut wires = Vec::new();
    for (client, path) in [(&guest, "x"), (&alice, "no/such/folder")] {
        let mut wire = client.wire();
        let head = client
            .request("PUT", &at(path))
            .header("Content-Length", "1000000");
        wire.send(head.bytes(true)).unwrap();
        wire.send("a little").unwrap();
        let status = wire.read_head().unwrap().status;
        assert!([401, 409].contains(&status), "{status}");
        wires.push(wire);
    }
    // They go on, a byte at a time, until the node is gone.
    let senders: Vec<_> = wires
        .into_iter()
        .map(|mut wire| {
            std::thread::spawn(move || {
                while wire.send("x").is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
            })
        })
        .collect();
    let took = node.stop();
    assert!(took < Duration::from_secs(8), "{took:?}");
    for sender in senders {
        sender.join().unwrap();
    }
}
