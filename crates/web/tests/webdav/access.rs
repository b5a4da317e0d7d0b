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

/// The hrefs of a listing of depth 1.
async fn listed(node: &Node, path: &str, place: Place) -> Vec<String> {
    let request = node.request("PROPFIND", path).by(&node.bob).from(place);
    let reply = request.header("depth", "1").send().await.is(207);
    let text = reply.text();
    let hrefs = text.split(":href>").skip(1).step_by(2);
    hrefs
        .filter_map(|rest| rest.split_once("</"))
        .map(|(href, _)| href.to_owned())
        .collect()
}

#[tokio::test]
async fn the_way_to_a_deep_share_is_found_and_shows_nothing_else() {
    let node = Node::start();
    for folder in ["p", "p/2026", "p/2026/trip", "p/2025", "q"] {
        node.call("MKCOL", &at(folder)).await.is(201);
    }
    node.put(&at("p/2026/secret"), "x").await.is(201);
    node.put(&at("p/2026/trip/a"), "x").await.is(201);
    node.put(&at("note"), "x").await.is(201);
    share(&node, "/p/2026/trip", Access::Write);
    share(&node, "/note", Access::Read);
    let check = async |path: &str, expected: &[&str]| {
        assert_eq!(listed(&node, path, Place::Lan).await, expected, "{path}");
    };
    check(
        "/dav/files/",
        &["/dav/files/", "/dav/files/alice/", "/dav/files/bob/"],
    )
    .await;
    let (way, note) = (at(""), at("note"));
    check(&way, &[&way, &note, &at("p/")]).await;
    check(&at("p"), &[&at("p/"), &at("p/2026/")]).await;
    check(&at("p/2026"), &[&at("p/2026/"), &at("p/2026/trip/")]).await;
    check(
        &at("p/2026/trip"),
        &[&at("p/2026/trip/"), &at("p/2026/trip/a")],
    )
    .await;
    for hidden in ["p/2025", "p/2026/secret", "q", "none"] {
        bob(&node, "PROPFIND", &at(hidden)).await.is(404);
    }
    // The way can be listed and nothing more.
    for method in ["GET", "PUT", "DELETE", "MOVE", "COPY", "LOCK", "PROPPATCH"] {
        let reply = bob(&node, method, &at("p/2026")).await;
        assert_eq!(
            reply.status,
            if method == "PROPPATCH" { 400 } else { 404 },
            "{method}"
        );
    }
    bob(&node, "MKCOL", &at("p/2026/new")).await.is(404);
    // Revoked, it is gone with the next request.
    for grant in node.app.sharing.granted_to(node.bob.id).unwrap() {
        node.app.sharing.remove_grant(grant.id).unwrap();
    }
    check("/dav/files/", &["/dav/files/", "/dav/files/bob/"]).await;
    bob(&node, "PROPFIND", &way).await.is(404);
}

#[tokio::test]
async fn a_lan_only_share_has_no_way_from_away() {
    let node = Node::start();
    node.call("MKCOL", &at("p")).await.is(201);
    node.call("MKCOL", &at("p/d")).await.is(201);
    share(&node, "/p/d", Access::Read);
    let secret = LanOnly::Entry(node.fid("/p"));
    node.app.sharing.set_lan_only(secret, true).unwrap();
    assert_eq!(
        listed(&node, &at("p"), Place::Lan).await,
        [at("p/"), at("p/d/")]
    );
    let spaces = listed(&node, "/dav/files/", Place::Away).await;
    assert_eq!(spaces, ["/dav/files/", "/dav/files/bob/"]);
    let away = node.request("PROPFIND", &at("p")).by(&node.bob);
    away.from(Place::Away)
        .header("depth", "1")
        .send()
        .await
        .is(404);
}

#[tokio::test]
async fn r105_lan_only_content_is_not_copied_to_where_it_is_seen_from_away() {
    let node = Node::start();
    for folder in ["home", "home/sub", "around", "around/secret", "open"] {
        node.call("MKCOL", &at(folder)).await.is(201);
    }
    node.put(&at("home/a"), "x").await.is(201);
    let flag = |path: &str| {
        let entry = LanOnly::Entry(node.fid(path));
        node.app.sharing.set_lan_only(entry, true).unwrap();
    };
    flag("/home");
    flag("/around/secret");
    let go = async |method: &str, from: &str, to: &str| {
        let request = node
            .request(method, &at(from))
            .header("destination", at(to));
        request.send().await
    };
    for (method, from) in [
        ("COPY", "home/a"),
        ("MOVE", "home/a"),
        ("COPY", "home"),
        ("COPY", "around"),
    ] {
        let refused = go(method, from, "open/x").await;
        refused.says(403, "LAN-only");
        node.call("PROPFIND", &at("open/x")).await.is(404);
    }
    // Where it stays LAN-only it may go.
    go("COPY", "home/a", "home/sub/b").await.is(201);
    go("MOVE", "home/a", "around/secret/a").await.is(201);
    // What is LAN-only itself takes that along when it moves.
    go("MOVE", "around", "open/around").await.is(201);
    let away = node.request("GET", &at("open/around/secret/a"));
    away.from(Place::Away).send().await.is(404);
    // Made LAN-only first, the new place takes it.
    flag("/open");
    go("COPY", "home", "open/home").await.is(201);
}
