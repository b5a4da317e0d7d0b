//! OPTIONS, MKCOL, DELETE and the addresses of the tree (RFC 4918 9.3, 9.6, 10.1).

use crate::scene::{Node, at};

#[tokio::test]
async fn options_tell_the_classes_without_a_login() {
    let node = Node::start();
    for path in ["/", "/dav/", "/dav/files", &at("not/there")] {
        let reply = node
            .request("OPTIONS", path)
            .by_nobody()
            .send()
            .await
            .is(200);
        assert_eq!(reply.header("dav"), "1, 2, 3", "{path}");
        assert_eq!(reply.header("ms-author-via"), "DAV");
    }
    let allow = node.call("OPTIONS", &at("")).await;
    assert!(allow.header("allow").contains("LOCK"));
    node.call("REPORT", &at("")).await.is(405);
}

#[tokio::test]
async fn folders_are_made_once_and_only_in_folders() {
    let node = Node::start();
    let reply = node.call("MKCOL", &at("d/")).await.is(201);
    assert!(!reply.header("oc-fileid").is_empty());
    node.call("MKCOL", &at("d")).await.is(405);
    node.call("MKCOL", &at("no/d")).await.is(409);
    node.call("MKCOL", "/dav/files/alice").await.is(405);
    node.call("MKCOL", "/dav/new").await.is(404);
    let body = node.request("MKCOL", &at("e")).body("x");
    body.send().await.is(415);
    node.put(&at("a"), "x").await.is(201);
    node.call("MKCOL", &at("a")).await.is(405);
    node.call("MKCOL", &at("a/d")).await.is(409);
}

#[tokio::test]
async fn a_folder_is_deleted_with_all_that_it_holds_or_not_at_all() {
    let node = Node::start();
    node.call("MKCOL", &at("d")).await.is(201);
    node.put(&at("d/a"), "x").await.is(201);
    let shallow = node.request("DELETE", &at("d")).header("depth", "0");
    shallow.send().await.says(400, "Depth");
    node.call("DELETE", &at("d/a/")).await.is(404);
    node.call("DELETE", &at("d")).await.is(204);
    node.get(&at("d/a")).await.is(404);
    node.call("DELETE", &at("d")).await.is(404);
    node.call("DELETE", "/dav/files/alice/").await.is(403);
    let trash = node.app.files.trash(node.alice.space.id).unwrap();
    assert_eq!(trash.len(), 1);
}

#[tokio::test]
async fn path_tricks_are_refused_with_the_reason() {
    let node = Node::start();
    let check = async |path: &str, status: u16, words: &str| {
        node.put(path, "x").await.says(status, words);
    };
    check("/dav/files/alice/../bob/x", 400, "`..`").await;
    check("/dav/files/alice/%2e%2e/bob/x", 400, "`..`").await;
    check("/dav/files/alice/a%2fb", 400, "encoded slash").await;
    check("/dav/files/alice/a%00", 400, "NUL").await;
    check("/dav/files/alice/%ff", 400, "UTF-8").await;
    check("/dav/files/alice/%zz", 400, "hexadecimal").await;
    check("/dav/files/alice//x", 400, "empty segment").await;
    check("/dav/files/alice/.cumulet/x", 400, "reserved").await;
    check(&at(&"n".repeat(256)), 400, "255").await;
    check(&at(&vec!["d"; 5000].join("/")), 414, "8192").await;
}

#[tokio::test]
async fn calendars_are_looked_for_below_dav() {
    let node = Node::start();
    let reply = node.call("PROPFIND", "/.well-known/caldav").await.is(301);
    assert_eq!(reply.header("location"), "/dav/");
}
