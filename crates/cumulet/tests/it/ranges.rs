//! Parts of files: Range, multi-range, If-Range, HEAD (RFC 9110 14, R90).

use testing::Reply;

use crate::scene::{alice_at_home, at, count};

#[test]
fn single_ranges_give_exactly_their_bytes() {
    let (_node, alice) = alice_at_home();
    alice.put(&at("ten"), "0123456789").assert_status(201);
    for (range, content_range, body) in [
        ("bytes=0-3", "bytes 0-3/10", "0123"),
        ("bytes=4-", "bytes 4-9/10", "456789"),
        ("bytes=-2", "bytes 8-9/10", "89"),
        ("bytes=8-99", "bytes 8-9/10", "89"),
        ("bytes=-99", "bytes 0-9/10", "0123456789"),
    ] {
        let reply = alice
            .request("GET", &at("ten"))
            .header("Range", range)
            .send();
        reply.assert_status(206);
        assert_eq!(
            reply.header("content-range"),
            Some(content_range),
            "{range}"
        );
        assert_eq!(reply.text(), body, "{range}");
    }
}

#[test]
fn a_range_behind_the_end_is_416_with_the_size() {
    let (_node, alice) = alice_at_home();
    alice.put(&at("ten"), "0123456789").assert_status(201);
    let reply = alice
        .request("GET", &at("ten"))
        .header("Range", "bytes=10-")
        .send();
    reply.assert_status(416);
    assert_eq!(reply.header("content-range"), Some("bytes */10"));
}

#[test]
fn several_ranges_come_as_multipart() {
    let (_node, alice) = alice_at_home();
    alice.put(&at("ten"), "0123456789").assert_status(201);
    let reply = alice
        .request("GET", &at("ten"))
        .header("Range", "bytes=0-1,4-5,-1")
        .send()
        .expect_status(206);
    let kind = reply.header("content-type").unwrap().to_owned();
    let boundary = kind
        .split("boundary=")
        .nth(1)
        .expect("multipart has a boundary");
    let boundary = boundary.trim_matches('"');
    let text = reply.text();
    assert_eq!(parts(&reply, boundary), ["01", "45", "9"], "{text}");
    for content_range in ["bytes 0-1/10", "bytes 4-5/10", "bytes 9-9/10"] {
        assert_eq!(count(&text, content_range), 1, "{text}");
    }
}

fn parts(reply: &Reply, boundary: &str) -> Vec<String> {
    let text = reply.text();
    let mark = format!("--{boundary}");
    let between = text.split(mark.as_str());
    between
        .filter_map(|part| part.split_once("\r\n\r\n"))
        .map(|(_, body)| body.trim_end_matches("\r\n").to_owned())
        .collect()
}

#[test]
fn an_old_etag_in_if_range_gives_the_whole_new_file() {
    let (_node, alice) = alice_at_home();
    let old = alice
        .put(&at("file"), "old content")
        .expect_status(201)
        .etag();
    let ask = |etag: &str| {
        alice
            .request("GET", &at("file"))
            .header("Range", "bytes=0-2")
            .header("If-Range", etag)
            .send()
    };
    ask(&old).assert_says(206, "old");
    alice.put(&at("file"), "new content").assert_status(204);
    assert_eq!(ask(&old).expect_status(200).text(), "new content");
}

#[test]
fn silly_ranges_are_ignored_or_refused_without_many_copies() {
    let (_node, alice) = alice_at_home();
    alice
        .put(&at("file"), vec![b'x'; 100_000])
        .assert_status(201);
    let many = format!("bytes={}", vec!["0-99999"; 5000].join(","));
    let reply = alice
        .request("GET", &at("file"))
        .header("Range", &many)
        .send();
    assert!(
        reply.body.len() <= 200_000,
        "{} bytes for 5000 equal ranges",
        reply.body.len()
    );
    for wrong in ["bytes=a-b", "lines=1-2", "bytes=5-2", "bytes="] {
        let reply = alice
            .request("GET", &at("file"))
            .header("Range", wrong)
            .send();
        assert!(
            [200, 416].contains(&reply.status),
            "{wrong}: {}",
            reply.status
        );
    }
}

#[test]
fn head_and_get_agree_and_a_known_etag_saves_the_body() {
    let (_node, alice) = alice_at_home();
    let etag = alice.put(&at("file"), "hello").expect_status(201).etag();
    let head = alice.call("HEAD", &at("file")).expect_status(200);
    assert_eq!(head.header("content-length"), Some("5"));
    assert_eq!(head.etag(), etag);
    let known = alice
        .request("GET", &at("file"))
        .header("If-None-Match", &etag)
        .send();
    known.assert_status(304);
    assert!(known.body.is_empty());
}
