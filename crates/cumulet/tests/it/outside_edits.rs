//! Edits that other programs make on the disk become commits (fanotify and inotify).

use std::fs;
use std::time::Duration;

use testing::{Client, Node, require, wait_until};

use crate::scene::{at, cloud, names};

const SOON: Duration = Duration::from_secs(15);

fn story(node: &Node, alice: &Client) {
    let space = node.space("alice");
    alice
        .put(&at("known"), "through the cloud")
        .assert_status(201);
    // A new file, a new tree, a change, a rename and a removal.
    fs::write(space.join("dropped"), "from outside").unwrap();
    fs::create_dir_all(space.join("tree/of/folders")).unwrap();
    fs::write(space.join("tree/of/folders/leaf"), "leaf").unwrap();
    wait_until("a new file is seen", SOON, || {
        alice.get(&at("dropped")).status == 200
    });
    wait_until("a new tree is seen", SOON, || {
        alice.get(&at("tree/of/folders/leaf")).text() == "leaf"
    });
    let before = alice.get(&at("known")).etag();
    fs::write(space.join("known"), "changed outside").unwrap();
    wait_until("a change is seen", SOON, || {
        let now = alice.get(&at("known"));
        now.text() == "changed outside" && now.etag() != before
    });
    // Whoever saves with the old ETag learns of it.
    let late = alice
        .request("PUT", &at("known"))
        .header("If-Match", &before)
        .body("mine")
        .send();
    late.assert_status(412);
    fs::rename(space.join("dropped"), space.join("renamed")).unwrap();
    wait_until("a rename is seen", SOON, || {
        alice.get(&at("renamed")).status == 200 && alice.get(&at("dropped")).status == 404
    });
    fs::remove_file(space.join("renamed")).unwrap();
    wait_until("a removal is seen", SOON, || {
        alice.get(&at("renamed")).status == 404
    });
    wait_until("the listing follows", SOON, || {
        let listed = names(&alice.propfind(&at(""), "1").expect_status(207).text());
        !listed
            .iter()
            .any(|name| name == "renamed" || name == "dropped")
    });
    wait_until("the catalog equals the disk", SOON, || {
        node.cli(&["check"]).code == 0
    });
    let audit = node.cli(&["audit", "show"]).ok();
    assert!(audit.contains("outside"), "{audit}");
}

#[test]
fn edits_on_the_disk_are_found_with_fanotify() {
    if !testing::require_root() {
        return;
    }
    let node = cloud().start();
    let alice = node.owner("alice");
    story(&node, &alice);
}

#[test]
fn edits_on_the_disk_are_found_with_inotify() {
    let Some(setpriv) = require("setpriv") else {
        return;
    };
    // Without CAP_SYS_ADMIN fanotify marks on file systems are not allowed.
    let setpriv = setpriv.to_string_lossy();
    let less = ["--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"];
    let wrapper: Vec<&str> = std::iter::once(&*setpriv).chain(less).collect();
    let node = if rustix::process::geteuid().is_root() {
        cloud().under(&wrapper).start()
    } else {
        cloud().start()
    };
    let alice = node.owner("alice");
    story(&node, &alice);
}

#[test]
fn edits_made_while_the_node_was_off_are_found_at_the_start() {
    let node = cloud().start();
    let alice = node.owner("alice");
    alice.put(&at("gone"), "1").assert_status(201);
    alice.put(&at("changed"), "1").assert_status(201);
    let mut node = node;
    node.stop();
    let space = node.space("alice");
    fs::remove_file(space.join("gone")).unwrap();
    fs::write(space.join("changed"), "while away").unwrap();
    fs::write(space.join("added"), "while away").unwrap();
    node.start();
    let alice = node.https().basic("alice", testing::PASSWORD);
    wait_until("all three are found", SOON, || {
        alice.get(&at("gone")).status == 404
            && alice.get(&at("changed")).text() == "while away"
            && alice.get(&at("added")).text() == "while away"
    });
}

#[test]
fn a_write_that_meets_an_outside_edit_does_not_overwrite_it_unseen() {
    let node = cloud().start();
    let alice = node.owner("alice");
    for round in 0..10 {
        let name = format!("file{round}");
        let etag = alice.put(&at(&name), "base").expect_status(201).etag();
        fs::write(node.space("alice").join(&name), "outside edit").unwrap();
        let reply = alice
            .request("PUT", &at(&name))
            .header("If-Match", &etag)
            .body("mine")
            .send();
        assert!(
            [409, 412].contains(&reply.status),
            "round {round}: {}",
            reply.status
        );
        assert_eq!(
            alice.get(&at(&name)).expect_status(200).text(),
            "outside edit"
        );
    }
}
