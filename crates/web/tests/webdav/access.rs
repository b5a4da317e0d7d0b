//! Who may do what: strangers, readers, writers, and LAN-only folders from away (R94, R105).

use sharing::{Access, Grantee, LanOnly, Place};

use crate::scene::{Node, Reply, at};

const SHARED: &str = include_str!("../../../dav/tests/bodies/lock-shared.xml");

async fn bob(node: &Node, method: &str, path: &str) -> Reply {
    let mut request = node.request(method, path).by(&node.bob);
    match method {
        "PROPFIND" => request = request.header("depth", "1"),
        "LOCK" => request = request.body(SHARED),
        _ => {}
    }
    request
        .header("destination", "/dav/files/bob/x")
        .send()
        .await
}

fn share(node: &Node, path: &str, access: Access) {
    let to = Grantee::Account(node.bob.id);
    let fid = node.fid(path);
    node.app
        .sharing
        .add_grant(fid, to, access, node.alice.id)
        .unwrap();
}

#[tokio::test]
async fn nobody_is_asked_to_log_in_and_strangers_see_nothing() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    for method in ["GET", "PROPFIND", "PUT", "DELETE", "LOCK", "MKCOL"] {
        for path in [at("a"), at("none"), "/dav/files/nobody/a".into()] {
            let reply = node.request(method, &path).by_nobody().send().await.is(401);
            assert!(reply.header("www-authenticate").starts_with("Basic"));
            let reply = bob(&node, method, &path).await;
            assert_eq!(reply.status, 404, "{method} {path}");
        }
    }
    let found = bob(&node, "PROPFIND", "/dav/files/").await.is(207).text();
    assert!(found.contains("/dav/files/bob/"), "{found}");
    assert!(!found.contains("alice"), "{found}");
}

#[tokio::test]
async fn a_reader_reads_and_a_writer_writes() {
    let node = Node::start();
    node.call("MKCOL", &at("d")).await.is(201);
    node.put(&at("d/a"), "x").await.is(201);
    share(&node, "/d", Access::Read);
    bob(&node, "GET", &at("d/a")).await.is(200);
    bob(&node, "PROPFIND", &at("d")).await.is(207);
    bob(&node, "COPY", &at("d/a")).await.is(201);
    for (method, path) in [
        ("PUT", at("d/a")),
        ("PUT", at("d/b")),
        ("MKCOL", at("d/e")),
        ("DELETE", at("d/a")),
        ("MOVE", at("d/a")),
        ("LOCK", at("d/b")),
    ] {
        let request = node.request(method, &path).by(&node.bob);
        let request = request.header("destination", "/dav/files/bob/y");
        let body = match method {
            "LOCK" => SHARED,
            _ => "",
        };
        let reply = request.body(body).send().await;
        assert_eq!(reply.status, 403, "{method} {path}: {}", reply.text());
    }
    bob(&node, "PROPFIND", &at("")).await.is(404);
    share(&node, "/d", Access::Write);
    bob(&node, "PUT", &at("d/b")).await.is(201);
    bob(&node, "DELETE", &at("d/b")).await.is(204);
    bob(&node, "DELETE", &at("d")).await.is(403);
    bob(&node, "MOVE", &at("d/a")).await;
    let to_alice = node.request("COPY", "/dav/files/bob/x").by(&node.bob);
    let to_alice = to_alice.header("destination", at("d/x"));
    to_alice.send().await.is(201);
}

#[tokio::test]
async fn lan_only_folders_do_not_exist_away_from_home() {
    let node = Node::start();
    node.call("MKCOL", &at("p")).await.is(201);
    node.call("MKCOL", &at("p/d")).await.is(201);
    node.put(&at("p/d/a"), "x").await.is(201);
    let secret = LanOnly::Entry(node.fid("/p/d"));
    node.app.sharing.set_lan_only(secret, true).unwrap();
    let away = |method: &str, path: &str| {
        let mut request = node.request(method, path).from(Place::Away);
        if method == "PROPFIND" {
            request = request.header("depth", "1");
        }
        request.header("destination", at("q")).send()
    };
    away("GET", &at("p/d/a")).await.is(404);
    away("PROPFIND", &at("p/d")).await.is(404);
    let listing = away("PROPFIND", &at("p")).await;
    assert_eq!(listing.status, 207);
    assert!(!listing.text().contains("/p/d/"), "{}", listing.text());
    // Nobody takes along what they may not see.
    away("COPY", &at("p")).await.is(403);
    away("MOVE", &at("p")).await.is(403);
    let delete = node.request("DELETE", &at("p")).from(Place::Away);
    delete.send().await.is(403);
    node.get(&at("p/d/a")).await.is(200);
    node.call("DELETE", &at("p")).await.is(204);
}
