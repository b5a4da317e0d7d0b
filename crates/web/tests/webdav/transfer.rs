//! COPY and MOVE (RFC 4918 9.8, 9.9).

use crate::scene::{Node, Reply, at};

async fn transfer(node: &Node, method: &str, from: &str, to: &str, overwrite: &str) -> Reply {
    let request = node.request(method, &at(from)).header("destination", to);
    request.header("overwrite", overwrite).send().await
}

#[tokio::test]
async fn a_move_keeps_the_entry_and_a_copy_makes_another() {
    let node = Node::start();
    let id = node.put(&at("a"), "x").await.header("oc-fileid").to_owned();
    let moved = transfer(&node, "MOVE", "a", &at("b%20c"), "T")
        .await
        .is(201);
    assert_eq!(moved.header("oc-fileid"), id);
    assert_eq!(moved.header("location"), at("b%20c"));
    let address = format!("https://home.example:8443{}", at("d"));
    let copied = transfer(&node, "COPY", "b%20c", &address, "F")
        .await
        .is(201);
    assert_ne!(copied.header("oc-fileid"), id);
    node.get(&at("a")).await.is(404);
    assert_eq!(node.get(&at("d")).await.text(), "x");
}

#[tokio::test]
async fn a_taken_name_is_overwritten_only_if_that_is_wanted() {
    let node = Node::start();
    node.put(&at("a"), "a").await.is(201);
    node.put(&at("b"), "b").await.is(201);
    for method in ["COPY", "MOVE"] {
        transfer(&node, method, "a", &at("b"), "F").await.is(412);
    }
    transfer(&node, "COPY", "a", &at("b"), "T").await.is(204);
    assert_eq!(node.get(&at("b")).await.text(), "a");
    transfer(&node, "MOVE", "a", &at("b"), "maybe")
        .await
        .is(400);
    transfer(&node, "MOVE", "a", &at("b"), "T").await.is(204);
}

#[tokio::test]
async fn a_folder_goes_with_all_that_it_holds_or_alone() {
    let node = Node::start();
    node.call("MKCOL", &at("d")).await.is(201);
    node.put(&at("d/a"), "x").await.is(201);
    let shallow = node
        .request("COPY", &at("d"))
        .header("destination", at("e"));
    shallow.header("depth", "0").send().await.is(201);
    node.get(&at("e/a")).await.is(404);
    transfer(&node, "COPY", "d/", &at("f/"), "F").await.is(201);
    node.get(&at("f/a")).await.is(200);
    let one = node
        .request("COPY", &at("d"))
        .header("destination", at("g"));
    one.header("depth", "1").send().await.is(400);
    let shallow = node
        .request("MOVE", &at("d"))
        .header("destination", at("g"));
    shallow.header("depth", "0").send().await.is(400);
    transfer(&node, "MOVE", "d", &at("d/below"), "T")
        .await
        .is(403);
    transfer(&node, "MOVE", "d", &at("d"), "T").await.is(403);
    transfer(&node, "MOVE", "d", &at("no/d"), "T").await.is(409);
    transfer(&node, "MOVE", "none", &at("x"), "T").await.is(404);
    node.get(&at("d/a")).await.is(200);
}

#[tokio::test]
async fn destinations_are_checked_like_addresses() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    for (destination, status) in [
        ("http://other.example/dav/files/alice/b", 502),
        ("https://home.example/dav/files/alice/b", 502),
        ("/dav/files/alice/../b", 400),
        ("/dav/files/alice/%2e%2e/b", 400),
        ("/dav/files/alice/b#c", 400),
        ("relative", 400),
        ("/dav/files/", 403),
        ("/elsewhere", 404),
        ("/dav/files/nobody/b", 404),
        ("/dav/files/bob/b", 404),
    ] {
        let reply = transfer(&node, "MOVE", "a", destination, "T").await;
        assert_eq!(reply.status, status, "{destination}: {}", reply.text());
    }
    node.call("COPY", &at("a")).await.says(400, "Destination");
    node.get(&at("a")).await.is(200);
}
