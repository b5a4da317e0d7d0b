//! GET and HEAD: content, conditions, ranges (RFC 9110 13, 14).

use crate::scene::{Node, START_S, at};

const DATE: &str = "Tue, 24 Nov 2026 05:04:00 GMT";

async fn with_ten() -> Node {
    let node = Node::start();
    let put = node.request("PUT", &at("ten.html")).body("0123456789");
    let put = put.header("x-oc-mtime", START_S.to_string());
    put.send().await.is(201);
    node
}

#[tokio::test]
async fn content_is_described_and_cannot_run_on_our_origin() {
    let node = with_ten().await;
    let reply = node.get(&at("ten.html")).await.is(200);
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(reply.header("content-length"), "10");
    assert_eq!(reply.header("accept-ranges"), "bytes");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert!(
        reply
            .header("content-security-policy")
            .starts_with("sandbox;")
    );
    assert_eq!(reply.header("last-modified"), DATE);
    let head = node.call("HEAD", &at("ten.html")).await.is(200);
    for name in ["content-length", "etag", "last-modified", "content-type"] {
        assert_eq!(head.header(name), reply.header(name), "{name}");
    }
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn conditions_are_weighed_in_the_order_of_rfc_9110() {
    let node = with_ten().await;
    let etag = node.get(&at("ten.html")).await.header("etag").to_owned();
    let check = async |pairs: &[(&'static str, &str)], status: u16| {
        let mut request = node.request("GET", &at("ten.html"));
        for (name, value) in pairs {
            request = request.header(name, value);
        }
        let reply = request.send().await;
        assert_eq!(reply.status, status, "{pairs:?}");
        if status == 304 {
            assert_eq!(reply.header("etag"), etag);
            assert!(reply.body.is_empty());
        }
    };
    let old = "Sun, 06 Nov 1994 08:49:37 GMT";
    let weak = format!("W/{etag}");
    check(&[("if-none-match", &etag)], 304).await;
    check(&[("if-none-match", &weak)], 304).await;
    check(&[("if-none-match", "*")], 304).await;
    check(&[("if-none-match", "\"x\"")], 200).await;
    check(&[("if-modified-since", DATE)], 304).await;
    check(&[("if-modified-since", old)], 200).await;
    check(&[("if-modified-since", "no date")], 200).await;
    check(
        &[("if-none-match", "\"x\""), ("if-modified-since", DATE)],
        200,
    )
    .await;
    check(&[("if-match", &etag)], 200).await;
    check(&[("if-match", &weak)], 412).await;
    check(&[("if-unmodified-since", old)], 412).await;
    check(&[("if-match", &etag), ("if-unmodified-since", old)], 200).await;
    check(&[("if-match", "not quoted")], 400).await;
}

#[tokio::test]
async fn one_range_is_sent_with_its_place() {
    let node = with_ten().await;
    let get = |range: &str| node.request("GET", &at("ten.html")).header("range", range);
    let reply = get("bytes=2-4").send().await.is(206);
    assert_eq!(reply.text(), "234");
    assert_eq!(reply.header("content-range"), "bytes 2-4/10");
    let reply = get("bytes=10-").send().await.is(416);
    assert_eq!(reply.header("content-range"), "bytes */10");
    assert_eq!(get("bytes=5-2").send().await.is(200).body.len(), 10);
}

#[tokio::test]
async fn several_ranges_are_a_multipart_body_of_the_announced_length() {
    let node = with_ten().await;
    let request = node.request("GET", &at("ten.html"));
    let reply = request.header("range", "bytes=0-1,-2").send().await.is(206);
    let kind = reply.header("content-type");
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let part = |range: &str, bytes: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Range: bytes \
             {range}/10\r\n\r\n{bytes}"
        )
    };
    let whole = part("0-1", "01") + &part("8-9", "89") + &format!("\r\n--{boundary}--\r\n");
    assert_eq!(reply.text(), whole);
    assert_eq!(reply.header("content-length"), whole.len().to_string());
}

#[tokio::test]
async fn a_changed_file_is_sent_whole_under_if_range() {
    let node = with_ten().await;
    let etag = node.get(&at("ten.html")).await.header("etag").to_owned();
    let get = async |if_range: &str| {
        let request = node.request("GET", &at("ten.html"));
        let request = request.header("range", "bytes=0-0");
        request.header("if-range", if_range).send().await.status
    };
    assert_eq!(get(&etag).await, 206);
    assert_eq!(get("\"x\"").await, 200);
    // A date counts only when it is older than any change within its second can be.
    assert_eq!(get(DATE).await, 200);
    node.wait_s(61);
    assert_eq!(get(DATE).await, 206);
}

#[tokio::test]
async fn a_large_file_arrives_whole() {
    let node = Node::start();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 253) as u8).collect();
    node.put(&at("big"), bytes.clone()).await.is(201);
    let reply = node.get(&at("big")).await.is(200);
    assert_eq!(reply.header("content-length"), "3000000");
    assert!(reply.body == bytes);
    node.put(&at("empty"), "").await.is(201);
    let reply = node.get(&at("empty")).await.is(200);
    assert_eq!((reply.header("content-length"), reply.body.len()), ("0", 0));
}

#[tokio::test]
async fn a_folder_leads_people_to_its_page() {
    let node = Node::start();
    node.call("MKCOL", &at("R%26D")).await.is(201);
    let reply = node.get(&at("R%26D")).await.is(303);
    assert_eq!(reply.header("location"), "/files/alice/R%26D/");
    assert_eq!(
        node.get("/dav/").await.is(303).header("location"),
        "/files/"
    );
    node.call("HEAD", &at("R%26D/")).await.is(200);
    node.put(&at("a"), "x").await.is(201);
    node.get(&at("a/")).await.is(404);
}
