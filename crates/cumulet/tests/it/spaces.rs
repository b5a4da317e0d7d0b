//! What removed people leave: nobody gets it by their name; the owner hands it over or purges it.

use testing::{Client, Node, PASSWORD};

use crate::scene::{alice_at_home, names};

/// Bob was a member, wrote, deleted and overwrote, and is removed.
fn bob_is_gone() -> (Node, Client) {
    let (node, alice) = alice_at_home();
    let bob = node.member("bob");
    bob.put("/dav/files/bob/diary", "first").assert_status(201);
    bob.put("/dav/files/bob/diary", "bobs secret")
        .assert_status(204);
    bob.put("/dav/files/bob/gone", "thrown away")
        .assert_status(201);
    bob.call("DELETE", "/dav/files/bob/gone").assert_status(204);
    node.cli(&["user", "remove", "bob", "--yes"]).ok();
    (node, alice)
}

fn add(node: &Node, more: &[&str]) -> testing::Outcome {
    let mut words = vec!["user", "add", "bob", "--password-stdin"];
    words.extend_from_slice(more);
    node.cli_with_input(&words, PASSWORD)
}

fn state_of(node: &Node, space: &str) -> Option<serde_json::Value> {
    let list = node.cli(&["space", "list", "--json"]).json();
    let rows = list.as_array().cloned().unwrap_or_default();
    rows.into_iter().find(|row| row["name"] == space)
}

#[test]
fn a_new_account_never_takes_over_what_a_removed_one_left() {
    let (node, _alice) = bob_is_gone();
    let refused = add(&node, &[]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("cumulet space list"), "{refused:?}");
    // Nothing is half made: no account, and the files are where they were.
    let users = node.cli(&["user", "list", "--json"]).json();
    assert_eq!(users.as_array().unwrap().len(), 1, "{users}");
    let left = state_of(&node, "bob").expect("the space is listed");
    assert_eq!(left["state"], "left-over");
    assert_eq!(left["files"], 1);
    assert_eq!(left["used_bytes"], 11);
    assert_eq!(left["kept_bytes"], 5 + 11);
    let diary = std::fs::read_to_string(node.space("bob").join("diary")).unwrap();
    assert_eq!(diary, "bobs secret");
}

#[test]
fn the_owner_says_so_and_the_same_person_gets_everything_back() {
    let (node, _alice) = bob_is_gone();
    add(&node, &["--with-left-over"]).ok();
    let bob = node.https().basic("bob", PASSWORD);
    let diary = bob.get("/dav/files/bob/diary").expect_status(200);
    assert_eq!(diary.text(), "bobs secret");
    let trash = node.cli(&["trash", "list", "bob", "--json"]).json();
    assert_eq!(trash.as_array().unwrap().len(), 1, "{trash}");
    assert_eq!(state_of(&node, "bob").unwrap()["state"], "in-use");
    let log = node.cli(&["audit", "show", "--action", "space-hand-over", "--json"]);
    assert!(log.ok().contains("bob:/"));
}

#[test]
fn a_left_over_space_is_given_to_somebody_else_beside_their_own() {
    let (node, alice) = bob_is_gone();
    node.cli(&["space", "give", "bob", "alice"]).ok();
    let listed = alice.propfind("/dav/files/", "1").expect_status(207).text();
    let listed = names(&listed);
    assert!(
        listed.contains(&"alice".into()) && listed.contains(&"bob".into()),
        "{listed:?}"
    );
    let diary = alice.get("/dav/files/bob/diary").expect_status(200);
    assert_eq!(diary.text(), "bobs secret");
    // The name stays taken while somebody has the space.
    assert_eq!(add(&node, &[]).code, 4);
}

#[test]
fn a_left_over_space_is_purged_only_when_that_is_said_and_then_wholly() {
    let (mut node, _alice) = bob_is_gone();
    let folder = node.space("bob");
    let dry = node
        .cli(&["space", "purge", "bob", "--dry-run", "--json"])
        .json();
    assert_eq!(
        (&dry["purged"], &dry["space"]["files"]),
        (&false.into(), &1.into())
    );
    // A script that says nothing gets nothing.
    assert_eq!(node.cli(&["space", "purge", "bob"]).code, 4);
    assert!(folder.join("diary").exists());
    node.cli(&["space", "purge", "bob", "--yes"]).ok();
    assert!(!folder.exists());
    assert_eq!(state_of(&node, "bob"), None);
    node.cli(&["check"]).ok();
    let living = node.cli(&["space", "purge", "alice", "--yes"]);
    assert_eq!(
        living.code, 1,
        "a space in use is nothing left over: {living:?}"
    );
    // The name is free, and its new bearer begins with nothing, also after a restart.
    add(&node, &[]).ok();
    node.stop();
    node.start();
    let bob = node.https().basic("bob", PASSWORD);
    let listed = bob
        .propfind("/dav/files/bob/", "1")
        .expect_status(207)
        .text();
    assert_eq!(names(&listed), ["bob"]);
    assert_eq!(
        node.cli(&["trash", "list", "bob", "--json"])
            .json()
            .as_array()
            .unwrap()
            .len(),
        0
    );
}
