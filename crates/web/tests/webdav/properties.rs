//! PROPFIND and PROPPATCH (RFC 4918 9.1, 9.2, 15; RFC 4331; RFC 8144).

use crate::scene::{Node, at, element};

const PATCH: &str = r#"<?xml version="1.0"?><D:propertyupdate xmlns:D="DAV:" xmlns:x="urn:x">
<D:set><D:prop><x:color xml:lang="de"><b>r&amp;t</b></x:color></D:prop></D:set>
<D:remove><D:prop><x:old/></D:prop></D:remove></D:propertyupdate>"#;

async fn patch(node: &Node, path: &str, body: &str) -> crate::scene::Reply {
    let request = node.request("PROPPATCH", path);
    request.body(body.to_owned()).send().await
}

#[tokio::test]
async fn a_dead_property_is_kept_as_it_was_sent() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    let etag = node.get(&at("a")).await.header("etag").to_owned();
    let reply = patch(&node, &at("a"), PATCH).await.is(207);
    assert_eq!(
        reply.text().matches("200 OK").count(),
        1,
        "{}",
        reply.text()
    );
    let ask = r#"<propfind xmlns="DAV:"><prop><color xmlns="urn:x"/><old xmlns="urn:x"/></prop></propfind>"#;
    let text = node.propfind(&at("a"), "0", ask).await.is(207).text();
    let kept = r#"<x:color xml:lang="de" xmlns:x="urn:x"><b>r&amp;t</b></x:color>"#;
    assert!(text.contains(kept), "{text}");
    assert!(text.contains("404 Not Found"), "{text}");
    // Properties are no content.
    assert_eq!(node.get(&at("a")).await.header("etag"), etag);
}

#[tokio::test]
async fn what_we_compute_cannot_be_set_and_then_nothing_is() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    let both = PATCH.replace("<D:prop><x:color", "<D:prop><D:getetag/><x:color");
    let text = patch(&node, &at("a"), &both).await.is(207).text();
    assert!(text.contains("cannot-modify-protected-property"), "{text}");
    assert!(text.contains("424 Failed Dependency"), "{text}");
    let all = node.propfind(&at("a"), "0", "").await.is(207).text();
    assert!(!all.contains("color"), "{all}");
    let name = r#"<propertyupdate xmlns="DAV:"><set><prop><displayname>B</displayname></prop></set></propertyupdate>"#;
    patch(&node, &at("a"), name).await.is(207);
    let all = node.propfind(&at("a"), "0", "").await.is(207).text();
    assert_eq!(all.matches("displayname").count(), 2, "{all}");
    assert!(all.contains(">B</displayname>"), "{all}");
}

#[tokio::test]
async fn windows_sets_the_time_of_a_file() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    let body = include_str!("../../../dav/tests/bodies/proppatch-windows-explorer.xml")
        .replace("Tue, 24 Nov 2026 05:04:00", "Sun, 06 Nov 1994 08:49:37");
    patch(&node, &at("a"), &body).await.is(207);
    let head = node.call("HEAD", &at("a")).await;
    assert_eq!(
        head.header("last-modified"),
        "Sun, 06 Nov 1994 08:49:37 GMT"
    );
}

#[tokio::test]
async fn a_listing_is_sorted_and_says_what_each_entry_is() {
    let node = Node::start();
    node.put(&at("b%26.txt"), "12345").await.is(201);
    node.call("MKCOL", &at("a")).await.is(201);
    let reply = node.propfind("/dav/files/alice", "1", "").await.is(207);
    assert_eq!(
        reply.header("content-type"),
        "application/xml; charset=utf-8"
    );
    let text = reply.text();
    let hrefs: Vec<&str> = text
        .split("<D:response><D:href>")
        .skip(1)
        .filter_map(|rest| rest.split_once('<'))
        .map(|(href, _)| href)
        .collect();
    assert_eq!(
        hrefs,
        [
            "/dav/files/alice/",
            "/dav/files/alice/a/",
            "/dav/files/alice/b%26.txt"
        ]
    );
    assert!(
        text.contains("<D:displayname>b&amp;.txt</D:displayname>"),
        "{text}"
    );
    assert!(
        text.contains("<D:displayname>alice</D:displayname>"),
        "{text}"
    );
    assert_eq!(element(&text, "getcontentlength").as_deref(), Some("5"));
    assert_eq!(text.matches("<D:collection/>").count(), 2);
}

#[tokio::test]
async fn depth_infinity_is_refused_on_folders_only() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    for depth in ["infinity", "Infinity"] {
        let reply = node.propfind(&at(""), depth, "").await;
        reply.says(403, "propfind-finite-depth");
    }
    node.call("PROPFIND", &at("")).await.is(403);
    node.propfind("/dav/files/", "infinity", "").await.is(403);
    node.propfind(&at("a"), "infinity", "").await.is(207);
    node.propfind(&at("a"), "2", "").await.is(400);
    node.propfind(&at("none"), "0", "").await.is(404);
    node.propfind(&at("a/"), "0", "").await.is(404);
}

#[tokio::test]
async fn a_long_listing_is_streamed_whole() {
    let node = Node::start();
    for n in 0..300 {
        node.put(&at(&format!("file-{n:04}")), "x").await.is(201);
    }
    let text = node.propfind(&at(""), "1", "").await.is(207).text();
    assert_eq!(text.matches("<D:response>").count(), 301);
    assert!(text.ends_with("</D:multistatus>\n"));
}

#[tokio::test]
async fn quota_and_minimal_replies_are_given_when_asked_for() {
    let node = Node::start();
    node.put(&at("a"), "12345").await.is(201);
    node.app
        .files
        .set_quota(node.alice.space.id, Some(100))
        .unwrap();
    let ask = include_str!("../../../dav/tests/bodies/propfind-finder-quota.xml");
    let text = node.propfind(&at(""), "0", ask).await.is(207).text();
    assert_eq!(element(&text, "quota-used-bytes").as_deref(), Some("5"));
    assert_eq!(
        element(&text, "quota-available-bytes").as_deref(),
        Some("95")
    );
    assert!(text.contains("404 Not Found"), "{text}");
    let request = node.request("PROPFIND", &at("")).header("depth", "0");
    let request = request.header("prefer", "return=minimal");
    let reply = request.body(ask).send().await.is(207);
    assert_eq!(reply.header("preference-applied"), "return=minimal");
    assert!(!reply.text().contains("404"), "{}", reply.text());
    let all = node.propfind(&at(""), "0", "").await.text();
    assert!(!all.contains("quota"), "{all}");
}

#[tokio::test]
async fn bad_bodies_are_refused_with_the_reason() {
    let node = Node::start();
    let check = async |body: &str, status: u16, words: &str| {
        let reply = node.propfind(&at(""), "0", body).await;
        reply.says(status, words);
    };
    check("<!DOCTYPE x><propfind xmlns='DAV:'/>", 400, "DOCTYPE").await;
    check("hello", 400, "not well-formed").await;
    check("<propfind xmlns='DAV:'/>", 400, "allprop").await;
    check(
        &format!("<propfind xmlns='DAV:'>{}", "<prop>".repeat(40)),
        400,
        "32",
    )
    .await;
    check(&" ".repeat((1 << 20) + 1), 413, "1048576").await;
}
