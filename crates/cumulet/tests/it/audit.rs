//! Who did what, when and from where, and whether somebody meddled with it (R102, R103).

use std::fs;

use rusqlite::Connection;
use testing::{Node, PASSWORD};

use crate::scene::{alice_at_home, at};

fn rows(node: &Node) -> Vec<serde_json::Value> {
    node.cli(&["audit", "export"]).json_lines()
}

#[test]
fn r102_each_change_names_person_place_and_revisions() {
    let (node, alice) = alice_at_home();
    alice.put(&at("file"), "1").assert_status(201);
    alice.put(&at("file"), "2").assert_status(204);
    alice
        .request("MOVE", &at("file"))
        .header("Destination", &at("moved"))
        .send()
        .assert_status(201);
    alice.call("DELETE", &at("moved")).assert_status(204);
    let bob = node.member("bob");
    bob.get(&at("moved"));
    node.https()
        .basic("alice", "wrong-password")
        .get(&at("moved"))
        .assert_status(401);
    let rows = rows(&node);
    let of_file: Vec<_> = rows
        .iter()
        .filter(|row| row.to_string().contains("/file") || row.to_string().contains("/moved"))
        .collect();
    assert!(of_file.len() >= 4, "{rows:#?}");
    for row in &of_file {
        let text = row.to_string();
        assert!(text.contains("127.0.0.1"), "no address: {text}");
    }
    let second = of_file
        .iter()
        .find(|row| row["old_rev"].is_number() && row["new_rev"].is_number())
        .unwrap_or_else(|| panic!("no row with old and new revision: {of_file:#?}"));
    assert!(
        second["old_rev"].as_i64() < second["new_rev"].as_i64(),
        "{second}"
    );
    assert!(second.to_string().contains("alice"), "{second}");
    let shown = node.cli(&["audit", "show"]).ok();
    assert!(shown.contains("alice"), "{shown}");
}

#[test]
fn r102_reads_by_others_and_refusals_are_there_too() {
    let (node, alice) = alice_at_home();
    let bob = node.member("bob");
    alice.call("MKCOL", &at("Team")).assert_status(201);
    alice
        .put(&at("Team/plan"), "secret plan")
        .assert_status(201);
    node.cli(&["share", "add", "alice:/Team", "bob", "r"]).ok();
    bob.get(&at("Team/plan")).assert_status(200);
    bob.put(&at("Team/plan"), "mine").assert_status(403);
    let text = node.cli(&["audit", "export"]).ok();
    let by_bob: Vec<&str> = text.lines().filter(|line| line.contains("bob")).collect();
    assert!(by_bob.iter().any(|line| line.contains("plan")), "{text}");
    assert!(by_bob.len() >= 2, "a read and a refusal: {by_bob:#?}");
}

/// A stopped node with some rows, after a seal.
fn sealed() -> Node {
    let (mut node, alice) = alice_at_home();
    for number in 0..8 {
        alice
            .put(&at(&format!("file{number}")), "x")
            .assert_status(201);
    }
    node.cli(&["audit", "verify"]).ok();
    node.stop();
    node.cli(&["audit", "verify"]).ok();
    node
}

/// The audit table and its columns, by looking into the catalog.
fn table(db: &Connection) -> (String, Vec<String>) {
    let name: String = db
        .query_row("SELECT name FROM sqlite_master WHERE type='table' AND name LIKE '%audit%' AND sql LIKE '%hash%'", [], |row| row.get(0))
        .expect("the catalog has an audit table with hashes");
    let mut columns = db
        .prepare(&format!("SELECT name FROM pragma_table_info('{name}')"))
        .unwrap();
    let columns = columns
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    (name, columns)
}

#[track_caller]
fn assert_caught(node: &Node, what: &str) {
    let outcome = node.cli(&["audit", "verify"]);
    assert_eq!(
        outcome.code, 1,
        "{what} was not caught: {}{}",
        outcome.stdout, outcome.stderr
    );
}

fn meddle(node: &Node, change: impl Fn(&Connection, &str, &[String])) {
    let db = Connection::open(node.state().join("catalog.db")).unwrap();
    let (name, columns) = table(&db);
    change(&db, &name, &columns);
    db.pragma_query(None, "wal_checkpoint", |_| Ok(())).unwrap();
}

#[test]
fn r103_a_changed_row_is_caught() {
    let node = sealed();
    meddle(&node, |db, table, columns| {
        let column = columns
            .iter()
            .find(|name| *name == "actor" || *name == "target" || *name == "action");
        let column = column.unwrap_or_else(|| panic!("{columns:?}"));
        let sql = format!(
            "UPDATE {table} SET {column} = replace({column}, 'a', 'b') WHERE rowid = (SELECT rowid FROM {table} WHERE {column} LIKE '%a%' LIMIT 1 OFFSET 2)"
        );
        assert_eq!(db.execute(&sql, []).unwrap(), 1);
    });
    assert_caught(&node, "a changed byte");
}

#[test]
fn r103_a_dropped_middle_row_is_caught() {
    let node = sealed();
    meddle(&node, |db, table, _| {
        let sql = format!(
            "DELETE FROM {table} WHERE rowid = (SELECT rowid FROM {table} ORDER BY rowid LIMIT 1 OFFSET 3)"
        );
        assert_eq!(db.execute(&sql, []).unwrap(), 1);
    });
    assert_caught(&node, "a dropped middle row");
}

#[test]
fn r103_a_dropped_tail_is_caught() {
    let node = sealed();
    meddle(&node, |db, table, _| {
        let sql =
            format!("DELETE FROM {table} WHERE rowid >= (SELECT max(rowid) - 2 FROM {table})");
        assert!(db.execute(&sql, []).unwrap() >= 1);
    });
    assert_caught(&node, "a dropped tail");
}

#[test]
fn r103_a_rolled_back_database_is_caught() {
    let (mut node, alice) = alice_at_home();
    alice.put(&at("before"), "x").assert_status(201);
    node.stop();
    let (db, old) = (
        node.state().join("catalog.db"),
        node.scratch().join("old.db"),
    );
    fs::copy(&db, &old).unwrap();
    node.start();
    let alice = node.https().basic("alice", PASSWORD);
    alice.put(&at("after"), "x").assert_status(201);
    node.stop();
    node.cli(&["audit", "verify"]).ok();
    for side in ["catalog.db-wal", "catalog.db-shm"] {
        fs::remove_file(node.state().join(side)).ok();
    }
    fs::copy(&old, &db).unwrap();
    assert_caught(&node, "a rolled-back database");
}

#[test]
fn r103_an_export_is_verified_without_the_node() {
    let (mut node, alice) = alice_at_home();
    alice.put(&at("file"), "x").assert_status(201);
    node.stop();
    let export = node.cli(&["audit", "export"]).ok();
    assert!(export.lines().count() >= 2, "{export}");
    let file = node.scratch().join("audit.jsonl");
    fs::write(&file, &export).unwrap();
    let id = node.ready().line["id"].as_str().unwrap().to_owned();
    let path = file.to_string_lossy().into_owned();
    let head = node.state().join("audit-head.json");
    let head = head.to_string_lossy().into_owned();
    let verify = |path: &str| {
        node.cli(&[
            "audit", "verify", "--file", path, "--head", &head, "--node", &id,
        ])
    };
    assert_eq!(verify(&path).code, 0, "{}", verify(&path).stderr);
    fs::write(&file, export.replacen("alice", "mallory", 1)).unwrap();
    assert_eq!(verify(&path).code, 1);
}
