//! Deleted and replaced files are kept, shown, restored, and forgotten in time.

use testing::FakeClock;

use crate::scene::{alice_at_home, at, cloud};

const DAY_S: i64 = 86_400;

#[test]
fn a_deleted_folder_comes_back_whole() {
    let (node, alice) = alice_at_home();
    alice.call("MKCOL", &at("folder")).assert_status(201);
    alice.put(&at("folder/file"), "precious").assert_status(201);
    alice.call("DELETE", &at("folder")).assert_status(204);
    alice.get(&at("folder/file")).assert_status(404);
    let rows = node.cli(&["trash", "list", "alice", "--json"]).json_lines();
    let rows: Vec<_> = rows
        .into_iter()
        .flat_map(|row| row.as_array().cloned().unwrap_or_else(|| vec![row]))
        .collect();
    let row = rows
        .iter()
        .find(|row| row["name"] == "folder")
        .unwrap_or_else(|| panic!("{rows:?}"));
    node.cli(&["trash", "restore", &row["id"].to_string()]).ok();
    assert_eq!(
        alice.get(&at("folder/file")).expect_status(200).text(),
        "precious"
    );
    node.cli(&["check"]).ok();
}

#[test]
fn a_restore_does_not_overwrite_what_came_after() {
    let (node, alice) = alice_at_home();
    alice.put(&at("file"), "old").assert_status(201);
    alice.call("DELETE", &at("file")).assert_status(204);
    alice.put(&at("file"), "new").assert_status(201);
    let rows = node.cli(&["trash", "list", "alice", "--json"]).json_lines();
    let rows: Vec<_> = rows
        .into_iter()
        .flat_map(|row| row.as_array().cloned().unwrap_or_else(|| vec![row]))
        .collect();
    let outcome = node.cli(&["trash", "restore", &rows[0]["id"].to_string()]);
    assert_eq!(alice.get(&at("file")).expect_status(200).text(), "new");
    if outcome.code != 0 {
        assert!(!outcome.stderr.is_empty());
    }
}

#[test]
fn trash_and_old_versions_are_forgotten_after_thirty_days_and_not_before() {
    let folder = tempfile::TempDir::new().unwrap();
    let Some(clock) = FakeClock::new(folder.path()) else {
        return;
    };
    let mut node = cloud().clock(clock).start();
    let alice = node.owner("alice");
    alice.put(&at("deleted"), "in the trash").assert_status(201);
    alice.call("DELETE", &at("deleted")).assert_status(204);
    alice.put(&at("edited"), "first version").assert_status(201);
    alice
        .put(&at("edited"), "second version")
        .assert_status(204);
    let kept = |node: &testing::Node| {
        let history = node.folder().join(".cumulet/history");
        let text = files_below(&history);
        (
            text.iter().any(|body| body == "in the trash"),
            text.iter().any(|body| body == "first version"),
        )
    };
    assert_eq!(kept(&node), (true, true));
    node.stop();
    node.clock().set_offset_s(29 * DAY_S);
    node.start();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(kept(&node), (true, true), "after 29 days");
    node.stop();
    node.clock().set_offset_s(32 * DAY_S);
    node.start();
    node.cli(&["trash", "confirm-clock"]).ok();
    testing::wait_until(
        "the trash is emptied",
        std::time::Duration::from_secs(30),
        || kept(&node) == (false, false),
    );
    let alice = node.https().basic("alice", testing::PASSWORD);
    assert_eq!(
        alice.get(&at("edited")).expect_status(200).text(),
        "second version"
    );
    node.cli(&["check"]).ok();
}

#[test]
fn a_clock_that_jumped_ahead_removes_nothing_until_the_owner_confirms_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let Some(clock) = FakeClock::new(folder.path()) else {
        return;
    };
    let mut node = cloud().clock(clock).start();
    let alice = node.owner("alice");
    alice.put(&at("deleted"), "in the trash").assert_status(201);
    alice.call("DELETE", &at("deleted")).assert_status(204);
    let kept = |node: &testing::Node| {
        files_below(&node.folder().join(".cumulet/history"))
            .iter()
            .any(|body| body == "in the trash")
    };
    let trouble = |node: &testing::Node| {
        let status = node.cli(&["status", "--json"]).json_lines().remove(0);
        status["clock"]["trouble"].clone()
    };
    assert_eq!(trouble(&node), serde_json::Value::Null);
    node.stop();
    node.clock().set_offset_s(40 * DAY_S);
    node.start();
    let told = trouble(&node).to_string();
    assert!(told.contains("40 days ahead"), "{told}");
    let turn = |node: &testing::Node| {
        let modules = node.cli(&["module", "list", "--json"]).stdout;
        assert!(modules.contains("retention"), "{modules}");
        modules.contains("nothing old is removed")
    };
    testing::wait_until(
        "the first turn has been",
        std::time::Duration::from_secs(40),
        || turn(&node),
    );
    assert!(kept(&node));
    let answer = node.cli(&["trash", "confirm-clock", "--json"]).json_lines();
    assert_eq!(answer[0]["confirmed"], true);
    assert_eq!(trouble(&node), serde_json::Value::Null);
    node.cli(&["module", "stop", "retention"]).ok();
    node.cli(&["module", "start", "retention"]).ok();
    testing::wait_until(
        "the trash is emptied",
        std::time::Duration::from_secs(40),
        || !kept(&node),
    );
    node.cli(&["check"]).ok();
}

fn files_below(folder: &std::path::Path) -> Vec<String> {
    let mut texts = Vec::new();
    for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = item.path();
        if path.is_dir() {
            texts.extend(files_below(&path));
        } else {
            texts.extend(std::fs::read_to_string(&path));
        }
    }
    texts
}

#[test]
fn a_name_cannot_give_orders_to_the_owners_terminal() {
    let (node, alice) = alice_at_home();
    for name in ["a%1b%5b31m", "b%0dc%0ad", "e%e2%80%aef"] {
        let stored = alice.put(&at(name), "x");
        if stored.status == 201 {
            alice.call("DELETE", &at(name)).assert_status(204);
        }
    }
    let shown = node.cli(&["trash", "list", "alice"]).ok();
    assert!(shown.contains("a\\u{1b}[31m"), "{shown}");
    let audit = node.cli(&["audit", "show"]).ok();
    assert!(audit.contains("a\\u{1b}[31m"), "{audit}");
    for text in [shown, audit, node.log()] {
        let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text.contains(obeyed), "{text:?}");
    }
    let exact = node.cli(&["trash", "list", "alice", "--json"]).ok();
    assert!(exact.contains(r"a\u001b[31m"), "{exact}");
}
