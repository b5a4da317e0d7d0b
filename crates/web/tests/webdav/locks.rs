//! LOCK and UNLOCK (RFC 4918 6, 7, 9.10, 9.11).

use crate::scene::{Node, Reply, at, element};

const EXCLUSIVE: &str = include_str!("../../../dav/tests/bodies/lock-finder.xml");
const SHARED: &str = include_str!("../../../dav/tests/bodies/lock-shared.xml");

async fn lock(node: &Node, path: &str, body: &str, depth: &str) -> Reply {
    let request = node.request("LOCK", path).header("depth", depth);
    let request = request.header("timeout", "Second-120, Infinite");
    request.body(body.to_owned()).send().await
}

fn token(reply: &Reply) -> String {
    let token = reply.header("lock-token");
    assert!(token.starts_with("<urn:uuid:"), "{reply:?}");
    token.to_owned()
}

async fn put_under(node: &Node, path: &str, condition: &str) -> Reply {
    let request = node.request("PUT", path).header("if", condition);
    request.body("under a lock").send().await
}

#[tokio::test]
async fn a_locked_file_is_423_with_the_locks_root_to_whoever_does_not_hold_it() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    let reply = lock(&node, &at("a"), EXCLUSIVE, "0").await.is(200);
    let text = reply.text();
    assert_eq!(element(&text, "timeout").as_deref(), Some("Second-120"));
    assert!(text.contains("http://www.apple.com/webdav_fs/"), "{text}");
    let refused = node
        .put(&at("a"), "y")
        .await
        .says(423, "lock-token-submitted");
    assert!(
        refused
            .text()
            .contains("<D:href>/dav/files/alice/a</D:href>")
    );
    // What was sent is not lost (R91).
    let versions = node.app.files.versions(node.fid("/a")).unwrap();
    let kept = |version: &&files::Version| version.reason == files::VersionReason::Refused;
    assert_eq!(
        versions
            .iter()
            .filter(kept)
            .map(|v| v.size)
            .collect::<Vec<_>>(),
        [1]
    );
    node.call("DELETE", &at("a")).await.is(423);
    let again = lock(&node, &at("a"), SHARED, "0").await;
    again.says(423, "no-conflicting-lock");
    put_under(&node, &at("a"), &format!("({})", token(&reply)))
        .await
        .is(204);
    let shown = node.propfind(&at("a"), "0", "").await.text();
    assert!(
        shown.contains(token(&reply).trim_matches(['<', '>'])),
        "{shown}"
    );
}

#[tokio::test]
async fn a_corrupt_token_on_a_locked_file_is_423_not_400() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    let reply = lock(&node, &at("a"), EXCLUSIVE, "0").await.is(200);
    let corrupt = token(&reply).replace('>', "x>");
    let condition = format!("({corrupt}) (Not <DAV:no-lock>)");
    put_under(&node, &at("a"), &condition).await.is(423);
    let condition = format!("({} [\"x\"])", token(&reply));
    put_under(&node, &at("a"), &condition).await.is(412);
    // A condition that does not hold comes before the lock.
    let etag = node.get(&at("a")).await.header("etag").to_owned();
    let condition = format!("(<DAV:no-lock> [{etag}])");
    put_under(&node, &at("a"), &condition).await.is(412);
    put_under(&node, &at("a"), "(<unended").await.is(400);
}

#[tokio::test]
async fn a_lock_on_a_free_name_makes_an_empty_file() {
    let node = Node::start();
    let reply = lock(&node, &at("new"), EXCLUSIVE, "0").await.is(201);
    assert_eq!(node.get(&at("new")).await.is(200).body.len(), 0);
    put_under(&node, &at("new"), &format!("({})", token(&reply))).await;
    assert_eq!(node.get(&at("new")).await.text(), "under a lock");
    lock(&node, &at("no/new"), EXCLUSIVE, "0").await.is(409);
    lock(&node, &at("folder/"), EXCLUSIVE, "0").await.is(409);
}

#[tokio::test]
async fn a_deep_lock_reaches_below_and_is_refreshed_from_there() {
    let node = Node::start();
    node.call("MKCOL", &at("d")).await.is(201);
    node.put(&at("d/a"), "x").await.is(201);
    let reply = lock(&node, &at("d/"), EXCLUSIVE, "infinity").await.is(200);
    let token = token(&reply);
    node.put(&at("d/a"), "y").await.is(423);
    node.put(&at("d/b"), "y").await.is(423);
    let tagged = format!("<https://home.example:8443{}> ({token})", at("d/"));
    put_under(&node, &at("d/b"), &tagged).await.is(201);
    let listing = node.propfind(&at("d"), "1", "").await.text();
    let root = "<D:lockroot><D:href>/dav/files/alice/d/</D:href></D:lockroot>";
    assert_eq!(listing.matches(root).count(), 3, "{listing}");
    node.wait_s(100);
    let refresh = node
        .request("LOCK", &at("d/a"))
        .header("if", format!("({token})"));
    let refreshed = refresh.header("timeout", "Second-300").send().await.is(200);
    assert_eq!(
        element(&refreshed.text(), "timeout").as_deref(),
        Some("Second-300")
    );
    node.wait_s(200);
    node.put(&at("d/a"), "y").await.is(423);
    node.wait_s(101);
    node.put(&at("d/a"), "y").await.is(204);
}

#[tokio::test]
async fn a_lock_inside_of_a_folder_keeps_it_from_being_deleted() {
    let node = Node::start();
    node.call("MKCOL", &at("d")).await.is(201);
    node.put(&at("d/a"), "x").await.is(201);
    lock(&node, &at("d/a"), EXCLUSIVE, "0").await.is(200);
    let reply = node.call("DELETE", &at("d")).await.is(207);
    assert!(reply.text().contains("423 Locked"), "{}", reply.text());
    assert!(reply.text().contains(">/dav/files/alice/d/a<"));
    node.get(&at("d/a")).await.is(200);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_said_to_be_so() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    lock(&node, &at("a"), EXCLUSIVE, "1")
        .await
        .says(400, "Depth");
    node.call("LOCK", &at("a")).await.says(400, "If header");
    node.call("UNLOCK", &at("a")).await.says(400, "Lock-Token");
    let unlock = node.request("UNLOCK", &at("a"));
    let reply = unlock.header("lock-token", "<urn:uuid:1>").send().await;
    reply.says(409, "lock-token-matches-request-uri");
    let refresh = node
        .request("LOCK", &at("a"))
        .header("if", "(<urn:uuid:1>)");
    refresh.send().await.is(412);
}

#[tokio::test]
async fn unlocking_frees_and_only_its_holder_may() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    node.app
        .sharing
        .add_grant(
            node.app.files.space("alice").unwrap().unwrap().root,
            sharing::Grantee::Account(node.bob.id),
            sharing::Access::Write,
            node.alice.id,
        )
        .unwrap();
    let reply = lock(&node, &at("a"), SHARED, "0").await.is(200);
    let other = node.request("LOCK", &at("a")).by(&node.bob).body(SHARED);
    other.send().await.is(200);
    let unlock = |person| {
        let request = node.request("UNLOCK", &at("a")).by(person);
        request.header("lock-token", token(&reply)).send()
    };
    unlock(&node.bob).await.is(403);
    unlock(&node.alice).await.is(204);
    node.put(&at("a"), "y").await.is(423);
}
