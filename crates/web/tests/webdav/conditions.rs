//! If-Match, If-None-Match, If-Unmodified-Since and the If header (RFC 9110 13, RFC 4918 10.4, R91).

use crate::scene::{Node, at};

#[tokio::test]
async fn an_editor_with_an_old_etag_loses_and_its_bytes_are_kept() {
    let node = Node::start();
    let base = node.put(&at("a"), "base").await.header("etag").to_owned();
    let save = |body: &'static str| {
        let request = node.request("PUT", &at("a")).header("if-match", &base);
        request.body(body).send()
    };
    save("first").await.is(204);
    save("second").await.is(412);
    assert_eq!(node.get(&at("a")).await.text(), "first");
    let versions = node.app.files.versions(node.fid("/a")).unwrap();
    let refused = |version: &files::Version| version.reason == files::VersionReason::Refused;
    assert_eq!(versions.iter().filter(|v| refused(v)).count(), 1);
}

#[tokio::test]
async fn create_only_and_replace_only_are_decided_by_the_server() {
    let node = Node::start();
    let put = |path: &str, name: &'static str, value: &'static str| {
        let request = node.request("PUT", &at(path)).header(name, value);
        request.body("x").send()
    };
    put("a", "if-none-match", "*").await.is(201);
    put("a", "if-none-match", "*").await.is(412);
    put("none", "if-match", "*").await.is(412);
    put("none", "if-match", "\"foreign\"").await.is(412);
    put("a", "if-match", "*").await.is(204);
    put("a", "if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")
        .await
        .is(412);
}

#[tokio::test]
async fn a_tagged_list_speaks_of_the_resource_that_it_names() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    let other = node.put(&at("b"), "x").await.header("etag").to_owned();
    let put = async |condition: String, status: u16| {
        let request = node.request("PUT", &at("a")).header("if", &condition);
        let reply = request.body("y").send().await;
        assert_eq!(reply.status, status, "{condition}");
    };
    put(format!("<{}> ([{other}])", at("b")), 204).await;
    put(format!("<{}> (Not [{other}])", at("b")), 412).await;
    put(format!("<{}> ([{other}])", at("none")), 412).await;
    put("<http://other.example/> (<urn:uuid:1>)".into(), 412).await;
    put("<http://other.example/> (Not <urn:uuid:1>)".into(), 204).await;
    put(
        "<https://home.example:8443/elsewhere> (Not <urn:uuid:1>)".into(),
        204,
    )
    .await;
    put("</a/../b> (<urn:uuid:1>)".into(), 400).await;
}

#[tokio::test]
async fn delete_move_and_proppatch_are_conditional_too() {
    let node = Node::start();
    node.put(&at("a"), "x").await.is(201);
    for method in ["DELETE", "MOVE", "COPY", "PROPPATCH", "LOCK"] {
        let request = node.request(method, &at("a"));
        let request = request.header("destination", at("b"));
        let body = match method {
            "PROPPATCH" => {
                "<propertyupdate xmlns='DAV:'><remove><prop><x xmlns=''/></prop></remove></propertyupdate>"
            }
            "LOCK" => include_str!("../../../dav/tests/bodies/lock-shared.xml"),
            _ => "",
        };
        let reply = request.header("if", "([\"0.0\"])").body(body).send().await;
        assert_eq!(reply.status, 412, "{method}: {}", reply.text());
    }
    node.get(&at("a")).await.is(200);
    node.get(&at("b")).await.is(404);
}

#[tokio::test]
async fn the_if_header_holds_for_what_only_reads_as_well() {
    let node = Node::start();
    node.call("MKCOL", &at("d")).await.is(201);
    let etag = node.put(&at("a"), "x").await.header("etag").to_owned();
    let ask = async |method: &str, path: &str, condition: &str| {
        let request = node.request(method, path).header("if", condition);
        request.header("depth", "0").send().await.status
    };
    for method in ["GET", "HEAD", "PROPFIND"] {
        let good = if method == "PROPFIND" { 207 } else { 200 };
        for (condition, status) in [
            (format!("([{etag}])"), good),
            ("([\"0.0\"])".into(), 412),
            ("(<urn:uuid:1>)".into(), 412),
            ("(Not <urn:uuid:1>)".into(), good),
            (format!("<{}> ([{etag}])", at("a")), good),
            (format!("<{}> ([{etag}])", at("d")), 412),
        ] {
            assert_eq!(
                ask(method, &at("a"), &condition).await,
                status,
                "{method} {condition}"
            );
        }
        assert_eq!(ask(method, &at("d"), "([\"0.0\"])").await, 412, "{method}");
        // What the server makes has neither ETag nor lock.
        assert_eq!(
            ask(method, "/dav/files/", "([\"0.0\"])").await,
            412,
            "{method}"
        );
        assert_ne!(
            ask(method, "/dav/files/", "(Not [\"0.0\"])").await,
            412,
            "{method}"
        );
        assert_eq!(ask(method, &at("a"), "(nonsense").await, 400, "{method}");
    }
    // The token of a lock that is there.
    let lock = node.request("LOCK", &at("a"));
    let lock = lock.body(include_str!("../../../dav/tests/bodies/lock-shared.xml"));
    let lock = lock.send().await.is(200);
    let token = lock.header("lock-token").to_owned();
    assert_eq!(ask("GET", &at("a"), &format!("({token})")).await, 200);
    assert_eq!(ask("GET", &at("d"), &format!("({token})")).await, 412);
}
