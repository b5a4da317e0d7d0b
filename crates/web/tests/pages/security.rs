//! Foreign pages, cookies, user content, sign-in.

use sharing::{LinkRight, Place};

use crate::scene::{Node, password, sign_in};

#[tokio::test]
async fn a_foreign_page_changes_nothing() {
    let node = Node::start();
    let form = "name=Mine";
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("referer", "https://evil.example/"),
    ] {
        let reply = node
            .post("/new-folder/alice/", form)
            .untold()
            .header(name, value)
            .by(&node.alice)
            .send()
            .await;
        assert_eq!(reply.status, 403, "{name}: {value}");
    }
    let untold = node
        .post("/new-folder/alice/", form)
        .untold()
        .by(&node.alice);
    assert_eq!(untold.send().await.status, 403);
    assert!(!node.exists("/Mine"));
    let own = node
        .post("/new-folder/alice/", form)
        .untold()
        .header("origin", "https://home.example:8443")
        .by(&node.alice);
    own.send().await.is(303);
    assert!(node.exists("/Mine"));
}

#[tokio::test]
async fn webdav_and_json_do_not_take_what_they_should_not() {
    let node = Node::start();
    // WebDAV knows no cookie.
    let reply = node
        .request("PROPFIND", "/dav/files/alice/")
        .by(&node.alice);
    assert_eq!(reply.send().await.status, 401);
    // Pages know no Basic.
    let reply = node.get("/account").by_device(&node.alice).send().await;
    assert_eq!(reply.leads_to(), "/login?next=%2Faccount");
}

#[tokio::test]
async fn sign_in_tells_nothing_about_who_exists() {
    let node = Node::start();
    let known = node
        .post("/login", "name=alice&password=wrong-wrong")
        .send()
        .await;
    let unknown = node
        .post("/login", "name=mallory&password=wrong-wrong")
        .send()
        .await;
    assert_eq!((known.status, unknown.status), (401, 401));
    let shown = |text: &str| text.replace("alice", "").replace("mallory", "");
    assert_eq!(shown(known.text()), shown(unknown.text()));
    let form = format!(
        "name=alice&password={}",
        password("alice").replace(' ', "+")
    );
    let reply = node
        .post("/login", &format!("{form}&next=//evil.example"))
        .send()
        .await;
    assert_eq!(reply.leads_to(), "/");
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("__Host-cumulet-session="), "{cookie}");
    for part in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] {
        assert!(cookie.contains(part), "{cookie}");
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_with_a_time_to_wait() {
    let node = Node::start();
    for _ in 0..40 {
        let reply = node
            .post("/login", "name=alice&password=wrong-wrong")
            .send()
            .await;
        if reply.status == 429 {
            assert!(reply.header("retry-after").parse::<u64>().unwrap() > 0);
            return;
        }
        assert_eq!(reply.status, 401);
    }
    panic!("40 wrong passwords were all checked");
}

#[tokio::test]
async fn uploaded_pages_do_not_run_on_our_origin() {
    let node = Node::start();
    node.write("/Shared/evil.html", "<script>alert(1)</script>");
    node.write("/Shared/evil.svg", "<svg onload='alert(1)'/>");
    for name in ["evil.html", "evil.svg"] {
        for verb in ["view", "get"] {
            let path = format!("/{verb}/alice/Shared/{name}");
            let reply = node.get(&path).by(&node.alice).send().await.is(200);
            assert!(
                reply
                    .header("content-security-policy")
                    .starts_with("sandbox")
            );
            assert!(
                reply
                    .header("content-disposition")
                    .starts_with("attachment")
            );
            assert_eq!(reply.header("content-type"), "application/octet-stream");
        }
    }
    // A name is text, whatever it looks like.
    node.write("/Shared/<img src=x onerror=alert(1)>", "x");
    let reply = node.get("/files/alice/Shared").by(&node.alice).send().await;
    assert!(!reply.text().contains("<img src=x"), "{}", reply.text());
}

#[tokio::test]
async fn dead_links_of_all_kinds_look_the_same() {
    let node = Node::start();
    let (revoked, token) = node.link("/Shared", LinkRight::Download, None);
    node.app.sharing.revoke_link(revoked).unwrap();
    let away = node.link("/Shared/Home", LinkRight::Download, None).1;
    let never = "AAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let mut texts = Vec::new();
    for token in [token, away, never] {
        let path = format!("/s/{token}");
        let reply = node.get(&path).from(Place::Away).send().await.is(404);
        texts.push(reply.text().to_owned());
        for verb in ["download", "open", "view"] {
            let path = format!("/s/{token}/{verb}/file.txt");
            let reply = node.get(&path).from(Place::Away).send().await.is(404);
            assert_eq!(reply.text(), texts[0]);
        }
    }
    texts.dedup();
    assert_eq!(texts.len(), 1);
}

#[tokio::test]
async fn a_locked_link_shows_nothing_and_opens_with_its_password_only() {
    let node = Node::start();
    let (_, token) = node.link("/Shared", LinkRight::Download, Some("open sesame"));
    let front = format!("/s/{token}");
    let page = node.get(&front).send().await.is(200);
    assert!(!page.text().contains("Shared") && !page.text().contains("alice"));
    // Whether a guessed name is there or not does not show.
    for name in ["file.txt", "nothing"] {
        let reply = node.get(&format!("{front}/open/{name}")).send().await;
        assert_eq!(reply.leads_to(), front);
    }
    let wrong = node
        .post(&format!("{front}/unlock"), "password=wrong")
        .send()
        .await
        .is(401);
    assert_eq!(wrong.header("set-cookie"), "");
    assert!(!wrong.text().contains("Shared"));
    let right = node
        .post(&format!("{front}/unlock"), "password=open+sesame")
        .send()
        .await;
    assert_eq!(right.leads_to(), front);
    let cookie = right
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    assert!(cookie.starts_with("__Host-cumulet-link-"), "{cookie}");
    let open = node
        .get(&front)
        .header("cookie", &cookie)
        .send()
        .await
        .is(200);
    assert!(open.text().contains("file.txt"));
    let file = node
        .get(&format!("{front}/download/file.txt"))
        .header("cookie", &cookie);
    assert_eq!(file.send().await.is(200).text(), "hello");
}

#[tokio::test]
async fn signing_out_ends_the_session_and_not_just_the_cookie() {
    let node = Node::start();
    let session = sign_in(&node.app, "alice");
    node.get("/account")
        .with_session(&session)
        .send()
        .await
        .is(200);
    let out = node.post("/logout", "").with_session(&session).send().await;
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    let reply = node.get("/account").with_session(&session).send().await;
    assert_eq!(reply.leads_to(), "/login?next=%2Faccount");
}
