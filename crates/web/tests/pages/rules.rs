//! Rules for every answer and every page: headers, labels, no inline code, no second heading.

use sharing::LinkRight;
use web::routes;
use web::{Caller, Language};

use crate::scene::{Node, Reply};

/// `/rename/{*path}` with something in the place of the braces.
fn fill(pattern: &str, token: &str) -> String {
    let inside = match pattern {
        "/trash/{*path}" => "alice/",
        "/move/{*path}" => "alice/Shared?name=file.txt",
        pattern if pattern.starts_with("/s/{token}/") => "file.txt",
        _ => "alice/Shared/file.txt",
    };
    pattern
        .replace("{*path}", inside)
        .replace("{token}", token)
        .replace("{name}", "bob")
        .replace("{id}", "1")
}

fn check_headers(path: &str, reply: &Reply) {
    let policy = reply.header("content-security-policy");
    assert!(
        policy.contains("frame-ancestors 'none'"),
        "{path}: {policy}"
    );
    assert!(
        policy.starts_with("sandbox") || policy.starts_with("default-src 'self'"),
        "{path}: {policy}"
    );
    assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
    assert_eq!(reply.header("referrer-policy"), "no-referrer", "{path}");
    assert_eq!(reply.header("strict-transport-security"), "", "{path}");
}

#[tokio::test]
async fn what_is_not_in_the_table_does_not_exist() {
    let node = Node::start();
    for path in [
        "/index.html",
        "/files",
        "/admin/secret",
        "/api/",
        "/dav2/files/alice/",
        "/s",
        "/.git/config",
        "/assets/",
        "/remote.php/webdav/",
    ] {
        let reply = node.get(path).by(&node.alice).send().await;
        assert_eq!(reply.status, 404, "{path}");
    }
    let setup = node.get("/setup/AAAAAAAAAAAAAAAAAAAAAA").send().await;
    assert_eq!(setup.status, 404, "a set-up link after the set-up");
    // A method that a row does not name is refused with the ones that there are.
    let reply = node
        .request("DELETE", "/account")
        .by(&node.alice)
        .send()
        .await;
    assert_eq!((reply.status, reply.header("allow")), (405, "GET, HEAD"));
}

/// Every page that the owner may GET, drawn in each language.
#[tokio::test]
async fn r93_every_page_labels_its_fields_and_carries_no_inline_code() {
    let node = Node::start();
    let (_, token) = node.link("/Shared", LinkRight::Edit, None);
    for language in Language::ALL {
        for route in routes::all()
            .filter(|route| route.caller == Caller::Page && route.methods.contains(&"GET"))
        {
            for pattern in route.patterns {
                let path = fill(pattern, &token);
                let reply = node
                    .get(&path)
                    .by(&node.alice)
                    .header("accept-language", language.tag())
                    .send()
                    .await;
                check_headers(&path, &reply);
                if reply.header("content-type").starts_with("text/html") {
                    check_page(&path, reply.text(), language);
                }
            }
        }
    }
}

fn check_page(path: &str, html: &str, language: Language) {
    assert!(
        html.contains(&format!("<html lang=\"{}\"", language.tag())),
        "{path}"
    );
    for bad in [
        " style=\"",
        " onclick=",
        " onload=",
        "<style",
        "javascript:",
        "http://",
    ] {
        let html = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!html.contains(bad), "{path} holds {bad}");
    }
    for script in html.split("<script").skip(1) {
        assert!(script.contains("src=\"/assets/"), "{path}");
    }
    for input in tags(html, "<input").chain(tags(html, "<select")) {
        if input.contains("type=\"hidden\"") {
            continue;
        }
        let id = input
            .split(" id=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let labelled = match id {
            Some(id) => html.contains(&format!("<label for=\"{id}\"")),
            None => {
                let before = &html[..html.find(input).unwrap()];
                before.rfind("<label").unwrap_or(0) > before.rfind("</label>").unwrap_or(0)
            }
        };
        assert!(labelled, "{path}: no label for {input}");
    }
    assert_eq!(html.matches("<h1").count(), 1, "{path}: one main heading");
}

fn tags<'a>(html: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    html.match_indices(start)
        .map(|(at, _)| &html[at..at + html[at..].find('>').unwrap()])
}
