//! What commands say: before something is removed, while something takes its time, and when the
//! words make no sense.

use std::fs;
use std::process::Command;

use testing::{Node, PASSWORD, run};

use crate::scene::{alice_at_home, at, cloud};
use crate::sharing::link;

#[test]
fn removing_a_person_is_asked_for_and_can_be_tried_first() {
    let (node, _alice) = alice_at_home();
    let bob = node.member("bob");
    bob.put("/dav/files/bob/diary", "1").assert_status(201);
    link(&node, &["bob:/diary"]);
    let refused = node.cli(&["user", "remove", "bob"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    for words in ["nothing was removed", "--dry-run", "--yes"] {
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    let told = node.cli(&["user", "remove", "bob", "--dry-run"]).ok();
    assert!(told.contains("would remove bob with 1 link"), "{told}");
    let told = node.cli(&["user", "remove", "bob", "--dry-run", "--json"]);
    assert_eq!(told.json()["removed"], false);
    bob.get("/dav/files/bob/diary").assert_status(200);
    let done = node.cli(&["user", "remove", "bob", "--yes"]).ok();
    assert!(done.contains("bob is removed with 1 link"), "{done}");
    bob.get("/dav/files/bob/diary").assert_status(401);
}

#[test]
fn the_only_owner_is_named_when_nobody_else_could_rule() {
    let (node, _alice) = alice_at_home();
    for more in ["--dry-run", "--yes"] {
        let refused = node.cli(&["user", "remove", "alice", more]);
        assert_eq!(refused.code, 4, "{refused:?}");
        for words in ["alice is the only owner", "user add NAME --owner"] {
            assert!(refused.stderr.contains(words), "{refused:?}");
        }
    }
    let mut words = vec!["user", "add", "carol", "--password-stdin", "--owner"];
    node.cli_with_input(&words, PASSWORD).ok();
    words = vec!["user", "remove", "alice", "--yes"];
    node.cli(&words).ok();
}

#[test]
fn letting_a_folder_go_is_asked_for_and_tells_what_stays() {
    let (node, alice) = alice_at_home();
    let place = node.scratch().join("photos");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("old"), "pixels").unwrap();
    let path = place.to_string_lossy().into_owned();
    let bound = node.cli(&["bind", &path, "alice:/Photos", "--wait"]).ok();
    assert!(bound.contains("and indexed"), "{bound}");
    let refused = node.cli(&["unbind", "alice:/Photos"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    let own = place.join(".cumulet");
    let tried = node.cli(&["unbind", "alice:/Photos", "--dry-run"]).ok();
    assert!(
        tried.contains("would let alice:/Photos go with 1 entry"),
        "{tried}"
    );
    alice.get(&at("Photos/old")).assert_status(200);
    let done = node.cli(&["unbind", "alice:/Photos", "--yes"]).ok();
    for words in [&path, own.to_str().unwrap(), "delete that folder"] {
        assert!(done.contains(words), "no {words:?} in {done}");
    }
    assert!(own.is_dir());
    // As it was said: the folder can go, and the files stay.
    fs::remove_dir_all(&own).unwrap();
    assert_eq!(fs::read_to_string(place.join("old")).unwrap(), "pixels");
}

#[test]
fn wrong_words_are_json_for_programs() {
    let node = cloud().start();
    for (words, message) in [
        (&["statis"][..], "unrecognized subcommand 'statis'"),
        (&["user", "remove"], "not provided: <NAME>"),
        (&["check", "--depe"], "unexpected argument '--depe'"),
    ] {
        let refused = node.cli(&[words, &["--json"]].concat());
        assert_eq!(refused.code, 2, "{refused:?}");
        assert_eq!(refused.stdout, "");
        let said: serde_json::Value = serde_json::from_str(&refused.stderr).unwrap();
        assert_eq!(said["error"]["kind"], "input", "{said}");
        let told = said["error"]["message"].as_str().unwrap();
        assert!(told.contains(message), "{said}");
        assert!(said["error"]["hint"].is_string(), "{said}");
        let refused = node.cli(words);
        assert_eq!(refused.code, 2);
        assert!(refused.stderr.starts_with("error: "), "{refused:?}");
    }
    assert!(node.cli(&["--help", "--json"]).ok().contains("Usage"));
}

/// All that a terminal shows while the command runs.
fn on_a_terminal(node: &Node, words: &str) -> String {
    let program = env!("CARGO_BIN_EXE_cumulet");
    let command = format!("{program} --state '{}' {words}", node.folder().display());
    run(Command::new("script").env("TERM", "xterm").args([
        "--quiet",
        "--return",
        "--command",
        &command,
        "/dev/null",
    ]))
}

#[test]
fn long_work_counts_on_a_terminal_and_is_silent_for_programs() {
    if testing::require("script").is_none() {
        return;
    }
    let (node, alice) = alice_at_home();
    alice.put(&at("big"), vec![7; 768 << 20]).assert_status(201);
    let shown = on_a_terminal(&node, "check --deep");
    let clean = "catalog and disk agree: 1 entry compared, 805 MB read";
    assert!(shown.contains(clean), "{shown}");
    let sign = "comparing the catalog with the disk: ";
    let counted = shown
        .match_indices(sign)
        .any(|(at, _)| shown[at + sign.len()..].starts_with(|c: char| c.is_ascii_digit()));
    assert!(counted, "{shown}");
    let shown = on_a_terminal(&node, "check --deep --json");
    assert!(shown.trim().starts_with('{'), "{shown}");
    assert!(!shown.contains(sign), "{shown}");
    let piped = node.cli(&["check"]);
    assert_eq!(piped.stderr, "");
    piped.ok();
}
