//! From nothing to a cloud: keys, certificate, set-up link, restart, clean stop (R1, R7).

use std::time::Duration;

use testing::{Client, FakeClock, Node, wait_until};

use crate::scene::{alice_at_home, at, cloud};

#[test]
fn a_first_start_shows_its_fingerprint_and_a_one_time_link() {
    let node = cloud().start();
    let ready = node.ready().clone();
    assert!(ready.https.starts_with("https://127.0.0.1:"), "{ready:?}");
    let setup = ready
        .setup_url
        .clone()
        .expect("no owner yet: a link to make one");
    assert!(setup.starts_with(&ready.https), "{setup}");
    assert!(
        ready.line["id"].as_str().is_some_and(|id| id.len() > 20),
        "{ready:?}"
    );
    // The client checks the certificate against the printed fingerprint.
    node.https().get("/healthz").assert_status(200);
}

#[test]
fn recovery_words_are_shown_with_the_set_up_and_never_again() {
    let mut node = cloud().start();
    let words = |node: &Node| {
        let url = node.ready().setup_url.clone().expect("no owner yet");
        let path = url.strip_prefix(&node.ready().https).unwrap().to_owned();
        let page = node.https().get(&path).expect_status(200).text();
        let list = page
            .split("class=\"words\"")
            .nth(1)
            .expect("the page shows the words");
        let list = list.split("</ol>").next().unwrap_or_default().to_owned();
        assert_eq!(list.matches("<li>").count(), 24, "{list}");
        list
    };
    let first = words(&node);
    node.stop();
    node.start();
    assert_eq!(
        words(&node),
        first,
        "until they were kept they stay the same"
    );
    node.owner("alice");
    node.stop();
    node.start();
    assert!(node.ready().setup_url.is_none(), "{:?}", node.ready());
}

#[test]
fn another_certificate_is_not_accepted() {
    let node = cloud().start();
    let stranger = Client::pinned(node.https().address(), &"00".repeat(32));
    let refused = stranger.request("GET", "/healthz").try_send();
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn identity_and_certificate_stay_over_a_restart() {
    let mut node = cloud().start();
    let before = node.ready().clone();
    node.stop();
    node.start();
    let after = node.ready();
    assert_eq!(before.line["id"], after.line["id"]);
    assert_eq!(before.fingerprint, after.fingerprint);
}

#[test]
fn plain_http_on_the_https_port_is_redirected() {
    let node = cloud().start();
    let plain = Client::plain(node.https().address());
    let reply = plain.get("/some/page?x=1");
    assert!([301, 307, 308].contains(&reply.status), "{reply:?}");
    let target = reply.header("location").expect("a redirect says where to");
    assert_eq!(target, format!("{}/some/page?x=1", node.ready().https));
}

#[test]
fn sigterm_ends_within_eight_seconds_even_during_an_upload() {
    let (mut node, alice) = alice_at_home();
    let mut wire = alice.wire();
    let head = alice
        .request("PUT", &at("big"))
        .header("Content-Length", "1000000");
    wire.send(head.bytes(true)).unwrap();
    wire.send(vec![b'x'; 1000]).unwrap();
    let took = node.stop();
    assert!(took < Duration::from_secs(8), "{took:?}");
    node.start();
    let alice = node.https().basic("alice", testing::PASSWORD);
    alice.get(&at("big")).assert_status(404);
}

#[test]
fn a_second_node_on_the_same_folder_is_refused() {
    let node = cloud().start();
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_cumulet"))
        .arg("serve")
        .arg(node.folder())
        .args(["--listen", "127.0.0.1:0", "--no-mdns"])
        .output()
        .unwrap();
    assert!(!second.status.success());
    let stderr = String::from_utf8_lossy(&second.stderr);
    assert!(stderr.contains("already in use"), "{stderr}");
}

#[test]
fn people_can_be_managed_with_the_server_stopped() {
    let (mut node, _alice) = alice_at_home();
    node.stop();
    node.cli_with_input(
        &["user", "add", "bob", "--password-stdin"],
        testing::PASSWORD,
    )
    .ok();
    let listed = node.cli(&["user", "list"]).ok();
    assert!(
        listed.contains("alice") && listed.contains("bob"),
        "{listed}"
    );
    node.start();
    let bob = node.https().basic("bob", testing::PASSWORD);
    bob.propfind("/dav/files/bob/", "0").assert_status(207);
}

#[test]
fn r07_the_node_comes_back_after_kill_9_with_all_that_it_acknowledged() {
    let (mut node, alice) = alice_at_home();
    alice.put(&at("kept"), "still here").assert_status(201);
    for _ in 0..3 {
        node.kill();
        node.start();
        let alice = node.https().basic("alice", testing::PASSWORD);
        assert_eq!(
            alice.get(&at("kept")).expect_status(200).text(),
            "still here"
        );
    }
    node.cli(&["check"]).ok();
}

#[test]
fn r01_each_module_can_be_stopped_while_the_others_run() {
    let (node, alice) = alice_at_home();
    let modules = modules(&node);
    assert!(modules.len() >= 4, "{modules:?}");
    alice.put(&at("file"), "1").assert_status(201);
    for (name, running) in modules {
        if !running || name.starts_with("web") {
            continue;
        }
        node.cli(&["module", "stop", &name]).ok();
        wait_until(&format!("{name} stops"), Duration::from_secs(8), || {
            !self::modules(&node)
                .iter()
                .any(|(other, up)| *other == name && *up)
        });
        assert_eq!(
            alice.get(&at("file")).expect_status(200).text(),
            "1",
            "without {name}"
        );
        node.cli(&["module", "start", &name]).ok();
        wait_until(&format!("{name} starts"), Duration::from_secs(8), || {
            self::modules(&node)
                .iter()
                .any(|(other, up)| *other == name && *up)
        });
    }
}

fn modules(node: &Node) -> Vec<(String, bool)> {
    node.cli(&["module", "list", "--json"])
        .json_lines()
        .into_iter()
        .flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value]))
        .map(|module| {
            let name = module["name"]
                .as_str()
                .expect("a module has a name")
                .to_owned();
            let up = module["state"]
                .as_str()
                .is_some_and(|state| state == "running");
            (name, up)
        })
        .collect()
}

#[test]
fn status_is_the_same_story_for_people_and_programs() {
    let (node, _alice) = alice_at_home();
    let text = node.cli(&["status"]).ok();
    let json = node.cli(&["status", "--json"]).json();
    let id = node.ready().line["id"].as_str().unwrap().to_owned();
    assert_eq!(json["id"].as_str(), Some(id.as_str()), "{json}");
    assert!(text.contains(&id[..8]), "{text}");
}

#[test]
fn config_explains_each_key_and_an_unknown_key_is_an_error() {
    let node = cloud().start();
    let explained = node.cli(&["config", "--explain"]).ok();
    assert!(explained.lines().count() > 10, "{explained}");
    drop(node);
    let folder = tempfile::TempDir::new().unwrap();
    let mut node = cloud().folder(folder.path()).start();
    node.stop();
    std::fs::write(node.state().join("cumulet.toml"), "retention_dayz = 3\n").unwrap();
    let refused = node.try_start();
    assert!(refused.is_err());
    assert!(node.log().contains("retention_dayz"), "{}", node.log());
}

#[test]
fn a_wrong_wall_clock_does_not_stop_a_start() {
    let folder = tempfile::TempDir::new().unwrap();
    let Some(clock) = FakeClock::new(folder.path()) else {
        return;
    };
    clock.set_offset_s(-20 * 365 * 86_400);
    let node = cloud().clock(clock).start();
    let alice = node.owner("alice");
    alice.put(&at("old"), "1").assert_status(201);
    node.clock().set_offset_s(0);
    alice.put(&at("new"), "2").assert_status(201);
    assert_eq!(alice.get(&at("old")).expect_status(200).text(), "1");
}
