//! What people do with the pages, without JavaScript.

use sharing::{Action, Event, LinkRight, NewLink, Place};

use crate::proof::proof;
use crate::scene::Node;

#[tokio::test]
async fn r93_a_file_is_uploaded_renamed_deleted_and_brought_back() {
    let node = Node::start();
    let alice = &node.alice;
    let up = node.upload(
        "/upload/alice/",
        "number",
        &[("a.txt", "one"), ("b 旅.txt", "two")],
    );
    let to = up.by(alice).send().await.leads_to();
    assert_eq!(to, "/files/alice/?done=uploaded&count=2");
    assert_eq!(node.content("/b 旅.txt"), "two");
    let list = node.get(&to).by(alice).send().await.is(200);
    assert!(list.text().contains("b 旅.txt"));
    node.post("/rename/alice/a.txt", "name=c.txt")
        .by(alice)
        .send()
        .await
        .is(303);
    assert!(!node.exists("/a.txt") && node.exists("/c.txt"));
    let gone = node
        .post("/delete/alice/", "only=c.txt")
        .by(alice)
        .send()
        .await
        .leads_to();
    assert!(!node.exists("/c.txt"));
    let offer = node.get(&gone).by(alice).send().await.is(200);
    assert!(
        offer.text().contains("action=\"/restore/alice/\""),
        "{}",
        offer.text()
    );
    let id = gone.split("undo=").nth(1).unwrap();
    node.post("/restore/alice/", &format!("id={id}"))
        .by(alice)
        .send()
        .await
        .is(303);
    assert_eq!(node.content("/c.txt"), "one");
}

#[tokio::test]
async fn a_taken_name_is_kept_numbered_replaced_or_refused_as_chosen() {
    let node = Node::start();
    let send = |clash: &'static str, text: &'static str| {
        let call = node.upload("/upload/alice/Shared", clash, &[("file.txt", text)]);
        call.by(&node.alice).send()
    };
    let to = send("number", "second").await.leads_to();
    assert!(to.contains("renamed=file.txt%2Ffile%20%282%29.txt"), "{to}");
    assert_eq!(node.content("/Shared/file.txt"), "hello");
    assert_eq!(node.content("/Shared/file (2).txt"), "second");
    send("refuse", "third").await.is(409);
    assert_eq!(node.content("/Shared/file.txt"), "hello");
    send("replace", "fourth").await.is(303);
    assert_eq!(node.content("/Shared/file.txt"), "fourth");
    // What was replaced is a version, and comes back.
    let page = node
        .get("/files/alice/Shared/file.txt")
        .by(&node.alice)
        .send()
        .await
        .is(200);
    let text = page.text();
    let rev: String = text
        .split("?rev=")
        .nth(1)
        .unwrap()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let old = node
        .get(&format!("/version/alice/Shared/file.txt?rev={rev}"))
        .by(&node.alice);
    assert_eq!(old.send().await.is(200).text(), "hello");
    let back = node
        .post("/version/alice/Shared/file.txt", &format!("rev={rev}"))
        .by(&node.alice);
    back.send().await.is(303);
    assert_eq!(node.content("/Shared/file.txt"), "hello");
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let node = Node::start();
    let body =
        "--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"half\"\r\n\r\nhal";
    let call = node
        .request("POST", "/upload/alice/")
        .header("content-type", "multipart/form-data; boundary=line")
        .body(body)
        .by(&node.alice);
    let reply = call.send().await.is(400);
    assert!(reply.text().contains("data-problem"), "{}", reply.text());
    assert!(!node.exists("/half"));
}

#[tokio::test]
async fn picked_entries_move_and_copy_to_another_folder() {
    let node = Node::start();
    let alice = &node.alice;
    let choose = node
        .get("/move/alice/Shared?name=file.txt&to=%2FPrivate")
        .by(alice);
    assert!(
        choose
            .send()
            .await
            .is(200)
            .text()
            .contains("value=\"/Private\"")
    );
    node.write("/Shared/other", "x");
    let form = "name=other&to=%2FPrivate&do=move";
    node.post("/move/alice/Shared", form)
        .by(alice)
        .send()
        .await
        .is(303);
    assert!(node.exists("/Private/other") && !node.exists("/Shared/other"));
    let form = "name=other&to=%2FShared&do=copy";
    node.post("/move/alice/Private", form)
        .by(alice)
        .send()
        .await
        .is(303);
    assert!(node.exists("/Private/other") && node.exists("/Shared/other"));
    // Nothing is overwritten on the way.
    node.post("/move/alice/Private", form)
        .by(alice)
        .send()
        .await
        .is(409);
    // Dave may write Shared, and only that.
    let out = node
        .post("/move/alice/Shared", "name=other&to=%2FPrivate&do=copy")
        .by(&node.dave);
    out.send().await.is(404);
}

#[tokio::test]
async fn what_is_shared_moves_and_copies_between_spaces_of_people_who_may_write_there() {
    let node = Node::start();
    let dave = &node.dave;
    node.write("/Shared/plan", "x");
    // Dave writes alice's Shared; from there his own space is offered, and the other way round.
    let choose = node
        .get("/move/alice/Shared?name=plan")
        .by(dave)
        .send()
        .await
        .is(200);
    assert!(choose.text().contains("space=dave"), "{}", choose.text());
    assert!(!choose.text().contains("space=bob"), "{}", choose.text());
    let go = async |from: &str, form: &str| {
        let call = node.post(&format!("/move/{from}"), form).by(dave);
        call.send().await
    };
    let reply = go("alice/Shared", "name=plan&space=dave&to=%2F&do=move").await;
    assert_eq!(reply.leads_to(), "/files/dave/?done=moved&count=1");
    assert!(!node.exists("/Shared/plan"));
    let choose = node
        .get("/move/dave/?name=plan&space=alice&to=%2FShared")
        .by(dave);
    let choose = choose.send().await.is(200);
    // The way up ends at what is shared: alice's other folders are none of his business.
    assert!(
        !choose.text().contains("space=alice&amp;to=%2F&amp;"),
        "{}",
        choose.text()
    );
    go("dave/", "name=plan&space=alice&to=%2FShared&do=copy")
        .await
        .is(303);
    assert!(node.exists("/Shared/plan"));
    // Nobody gets further than they may.
    go("dave/", "name=plan&space=alice&to=%2FPrivate&do=copy")
        .await
        .is(404);
    go("dave/", "name=plan&space=bob&to=%2F&do=copy")
        .await
        .is(404);
    let read_only = node.post("/move/alice/Shared", "name=plan&space=carol&to=%2F&do=move");
    read_only.by(&node.carol).send().await.is(403);
}

#[tokio::test]
async fn r105_a_copy_between_folders_keeps_lan_only_at_home() {
    let node = Node::start();
    node.write("/Shared/Home/diary", "x");
    let form = "name=diary&to=%2FPrivate&do=copy";
    let call = node.post("/move/alice/Shared/Home", form).by(&node.alice);
    let reply = call.send().await.is(403);
    assert!(reply.text().contains("LAN-only"), "{}", reply.text());
    assert!(!node.exists("/Private/diary"));
}

#[tokio::test]
async fn r105_the_audit_log_read_from_away_tells_no_lan_only_names() {
    let node = Node::start();
    node.write("/Shared/Home/diary", "x");
    let sharing = &node.app.sharing;
    let note = |target: &str, fid| {
        let event = Event::by("alice", (node.app.clock)(), Action::Write, target);
        sharing.audit(Event { fid, ..event }).unwrap();
    };
    note(
        "alice:/Shared/Home/diary",
        Some(node.fid("/Shared/Home/diary")),
    );
    note("alice:/Shared/Home/refused-before-it-was", None);
    note("alice:/Private", Some(node.fid("/Private")));
    note("somebody", None);
    let show = async |place, query: &str| {
        let call = node.get(&format!("/admin/audit{query}")).by(&node.alice);
        call.from(place).send().await
    };
    let home = show(Place::Lan, "").await.is(200);
    assert!(home.text().contains("diary") && home.text().contains("refused-before"));
    let away = show(Place::Away, "").await.is(200);
    for name in ["diary", "refused-before", "/Home"] {
        assert!(!away.text().contains(name), "{name}: {}", away.text());
    }
    assert_eq!(away.text().matches("LAN-only: shown").count(), 2);
    assert!(away.text().contains("alice:/Private") && away.text().contains("somebody"));
    // A search for a name must not tell that it is there.
    let search = show(Place::Away, "?text=diary").await.is(200);
    assert!(
        !search.text().contains("LAN-only: shown"),
        "{}",
        search.text()
    );
    show(Place::Lan, "/export").await.is(200);
    show(Place::Away, "/export").await.is(403);
}

#[tokio::test]
async fn nobody_away_takes_a_lan_only_folder_along() {
    let node = Node::start();
    let away = |form: &str| {
        node.post("/delete/alice/", form)
            .by(&node.alice)
            .from(sharing::Place::Away)
    };
    away("only=Shared").send().await.is(403);
    assert!(node.exists("/Shared/Home"));
    let list = node
        .get("/files/alice/Shared")
        .by(&node.alice)
        .from(sharing::Place::Away);
    let list = list.send().await.is(200);
    assert!(!list.text().contains("Home"), "{}", list.text());
}

#[tokio::test]
async fn a_list_of_many_has_pages_and_an_order() {
    let node = Node::start();
    for number in 0..205 {
        node.write(&format!("/Private/n{number:03}"), &"x".repeat(number));
    }
    let rows = |text: &str| text.matches("<td class=\"name\">").count();
    let first = node
        .get("/files/alice/Private")
        .by(&node.alice)
        .send()
        .await
        .is(200);
    assert_eq!(rows(first.text()), 200);
    assert!(first.text().contains("206 entries"));
    let second = node
        .get("/files/alice/Private?sort=name&order=asc&page=2")
        .by(&node.alice);
    let second = second.send().await.is(200);
    assert_eq!(rows(second.text()), 6);
    assert!(second.text().contains("n204") && !second.text().contains("n100"));
    let largest = node
        .get("/files/alice/Private?sort=size&order=desc")
        .by(&node.alice);
    let largest = largest.send().await.is(200);
    let at = |name| largest.text().find(name).unwrap();
    assert!(at(">n204<") < at(">n203<"));
}

#[tokio::test]
async fn r19_an_upload_only_link_takes_files_and_shows_nothing() {
    let node = Node::start();
    let (_, token) = node.link("/Shared", LinkRight::Upload, None);
    let page = node.get(&format!("/s/{token}")).send().await.is(200);
    assert!(!page.text().contains("file.txt"));
    for _ in 0..2 {
        let up = node.upload(
            &format!("/s/{token}/upload"),
            "replace",
            &[("file.txt", "guest")],
        );
        assert!(up.send().await.leads_to().contains("done=sent"));
    }
    assert_eq!(node.content("/Shared/file.txt"), "hello");
    assert_eq!(node.content("/Shared/file (2).txt"), "guest");
    assert_eq!(node.content("/Shared/file (3).txt"), "guest");
}

#[tokio::test]
async fn r19_downloads_are_counted_whole_and_run_out() {
    let node = Node::start();
    let (link, token) = node
        .app
        .sharing
        .add_link(NewLink {
            fid: node.fid("/Shared/file.txt"),
            right: LinkRight::Download,
            label: String::new(),
            password: None,
            expires: None,
            downloads_max: Some(1),
            created_by: node.alice.id,
        })
        .unwrap();
    let path = format!("/s/{token}/download");
    node.request("HEAD", &path).send().await.is(200);
    // A part is no way around the limit: all is sent, and counted.
    let part = node
        .get(&path)
        .header("range", "bytes=1-")
        .send()
        .await
        .is(200);
    assert_eq!(part.text(), "hello");
    node.get(&path).send().await.is(404);
    assert_eq!(
        node.app.sharing.link(link.id).unwrap().unwrap().downloads,
        1
    );
}

#[tokio::test]
async fn r94_a_link_and_a_share_are_made_and_taken_back_on_the_page() {
    let node = Node::start();
    let alice = &node.alice;
    let form = "right=download&password=open+sesame&expires=2026-12-24&limit=5&label=for+eve";
    let to = node
        .post("/share-link/alice/Shared", form)
        .by(alice)
        .send()
        .await
        .leads_to();
    let page = node.get(&to).by(alice).send().await.is(200);
    let token = page
        .text()
        .split("/s/")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(token.len(), 22);
    assert!(page.text().contains("<svg"), "no QR code");
    node.get(&format!("/s/{token}")).send().await.is(200);
    // Somebody else's link is not there for bob.
    let id = to
        .split('/')
        .nth(2)
        .unwrap()
        .split('?')
        .next()
        .unwrap()
        .to_owned();
    node.get(&format!("/links/{id}"))
        .by(&node.bob)
        .send()
        .await
        .is(404);
    node.post("/links/revoke", &format!("id={id}"))
        .by(&node.bob)
        .send()
        .await
        .is(404);
    node.post("/links/revoke", &format!("id={id}"))
        .by(alice)
        .send()
        .await
        .is(303);
    node.get(&format!("/s/{token}")).send().await.is(404);
    node.post("/share-member/alice/Private", "who=bob&access=r")
        .by(alice)
        .send()
        .await
        .is(303);
    let shared = node.get("/shared").by(&node.bob).send().await.is(200);
    assert!(shared.text().contains("/files/alice/Private"));
    node.get("/get/alice/Private/file.txt")
        .by(&node.bob)
        .send()
        .await
        .is(200);
    for bad in [
        "right=upload",
        "right=x",
        "right=view&expires=2020-01-01",
        "right=view&limit=0",
    ] {
        let reply = node
            .post("/share-link/alice/Shared/file.txt", bad)
            .by(alice);
        assert_eq!(reply.send().await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_device_gets_its_password_once_and_loses_it_at_once() {
    let node = Node::start();
    let made = node
        .post(
            "/account/app-passwords",
            &format!("label=phone&{}", proof()),
        )
        .by(&node.alice)
        .send()
        .await
        .is(200);
    let secret = made
        .text()
        .split("translate=\"no\">")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("alice:{secret}"));
    let phone = || {
        let call = node
            .get("/api/status")
            .header("authorization", format!("Basic {pair}"));
        call.send()
    };
    assert!(
        phone()
            .await
            .is(200)
            .text()
            .contains("\"account\":\"alice\"")
    );
    let list = node.get("/account").by(&node.alice).send().await.is(200);
    assert!(!list.text().contains(secret) && list.text().contains("phone"));
    let newest = node.app.sharing.app_passwords(node.alice.id).unwrap()[0].id;
    let form = format!("id={newest}");
    node.post("/account/app-passwords/revoke", &form)
        .by(&node.alice)
        .send()
        .await
        .is(303);
    phone().await.is(401);
}

#[tokio::test]
async fn an_owner_adds_limits_and_removes_a_person() {
    let node = Node::start();
    let alice = &node.alice;
    let form = "name=erin&password=correct+horse+erin&quota=1GB";
    node.post("/admin/people", form)
        .by(alice)
        .send()
        .await
        .is(303);
    let space = node.app.files.space("erin").unwrap().unwrap();
    assert_eq!(space.quota, Some(1_000_000_000));
    node.post("/admin/people/erin/quota", "quota=2KB")
        .by(alice)
        .send()
        .await
        .is(303);
    let session = crate::scene::sign_in(&node.app, "erin");
    let big = "x".repeat(3_000);
    let up = node
        .upload("/upload/erin/", "number", &[("big", &big)])
        .with_session(&session);
    up.send().await.is(507);
    node.post("/admin/people/erin/remove", "confirm=wrong")
        .by(alice)
        .send()
        .await
        .is(400);
    node.post("/admin/people/erin/remove", "confirm=erin")
        .by(alice)
        .send()
        .await
        .is(303);
    let reply = node.get("/files/erin/").with_session(&session).send().await;
    assert!(reply.leads_to().starts_with("/login"));
    node.post("/admin/people/alice/remove", "confirm=alice")
        .by(alice)
        .send()
        .await
        .is(403);
}

#[tokio::test]
async fn the_audit_log_is_filtered_paged_and_exported() {
    let node = Node::start();
    for _ in 0..3 {
        node.post("/account/app-passwords", &format!("label=x&{}", proof()))
            .by(&node.alice)
            .send()
            .await
            .is(200);
    }
    node.wait_s(1);
    let page = node
        .get("/admin/audit?action=app-password-create")
        .by(&node.alice)
        .send()
        .await;
    assert_eq!(
        page.is(200)
            .text()
            .matches("title=\"app-password-create\">Device password made")
            .count(),
        3
    );
    let export = node
        .get("/admin/audit/export")
        .by(&node.alice)
        .send()
        .await
        .is(200);
    let rows = export
        .text()
        .lines()
        .filter(|row| row.contains("app-password-create"))
        .count();
    assert_eq!(rows, 3);
}

#[tokio::test]
async fn the_language_follows_the_browser_and_then_the_choice() {
    let node = Node::start();
    let page = node
        .get("/login")
        .header("accept-language", "zh-CN")
        .send()
        .await
        .is(200);
    assert!(page.text().contains("登录"));
    let set = node
        .post("/language", "language=zh-CN&back=%2Flogin")
        .send()
        .await;
    assert_eq!(set.leads_to(), "/login");
    let cookie = set
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let page = node
        .get("/login")
        .header("cookie", &cookie)
        .send()
        .await
        .is(200);
    assert!(page.text().contains("lang=\"zh-CN\""));
    node.post("/language", "language=zh-CN")
        .by(&node.alice)
        .send()
        .await
        .is(303);
    let page = node.get("/account").by(&node.alice).send().await.is(200);
    assert!(page.text().contains("<html lang=\"zh-CN\""));
    node.post("/language", "language=xx").send().await.is(400);
}

#[tokio::test]
async fn a_script_lists_makes_moves_and_deletes_with_its_app_password() {
    let node = Node::start();
    let alice = &node.alice;
    let post = |path: &str, body: &str| {
        let call = node.request("POST", path).untold().by_device(alice);
        call.body(body).send()
    };
    let made = post("/api/folders/alice/", "{\"name\":\"New\"}")
        .await
        .is(201);
    assert!(
        made.text().contains("\"path\":\"alice/New\""),
        "{}",
        made.text()
    );
    post("/api/folders/alice/", "{\"name\":\"New\"}")
        .await
        .is(409);
    post("/api/folders/alice/", "{\"name\":\"..\"}")
        .await
        .is(400);
    post("/api/folders/alice/", "{\"nome\":\"x\"}")
        .await
        .is(400);
    let form = "{\"to\":\"/New/moved.txt\"}";
    post("/api/move/alice/Shared/file.txt", form).await.is(200);
    let list = node
        .get("/api/files/alice/New")
        .by_device(alice)
        .send()
        .await
        .is(200);
    assert!(
        list.text().contains("alice/New/moved.txt"),
        "{}",
        list.text()
    );
    let gone = node.request("DELETE", "/api/files/alice/New/moved.txt");
    let gone = gone.untold().by_device(alice).send().await.is(200);
    assert!(gone.text().contains("trash_id"));
    assert!(!node.exists("/New/moved.txt"));
    // A foreign page cannot use the password that a browser may have kept.
    let foreign = node.request("DELETE", "/api/files/alice/New").untold();
    let foreign = foreign
        .header("origin", "https://evil.example")
        .by_device(alice);
    foreign.send().await.is(403);
    node.link("/Private", LinkRight::View, None);
    let links = node.get("/api/links").by_device(alice).send().await.is(200);
    assert!(
        links.text().contains("\"path\":\"alice/Private\""),
        "{}",
        links.text()
    );
    node.get("/metrics")
        .by_device(&node.bob)
        .send()
        .await
        .is(403);
    node.get("/metrics").by_device(alice).send().await.is(200);
}
