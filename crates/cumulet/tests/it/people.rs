//! Seeking people in the books of this node, of friends, and of their friends (R52).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testing::Node;

use crate::accounts::signed_in;
use crate::scene::cloud;

/// Three nodes in a row: alice's is a friend of bob's, bob's of carol's. On carol's also lives dora.
struct Row {
    alice: Node,
    bob: Node,
    carol: Node,
}

fn node_of(owner: &str) -> Node {
    let node = cloud().arg("--name").arg(format!("{owner}s-box")).start();
    node.owner(owner);
    node
}

#[track_caller]
fn befriend(one: &Node, other: &Node, called: &str) {
    let made = other.cli(&["friend", "invite", "--json"]).json();
    let ticket = made["ticket"].as_str().unwrap();
    one.cli(&["friend", "accept", ticket, "--name", called])
        .ok();
}

#[track_caller]
fn card(node: &Node, whose: &str, shown_as: &str, found_by: &str) {
    let address = format!("{whose}@example.org");
    let words = [
        "user",
        "card",
        whose,
        "--as",
        shown_as,
        "--address",
        &address,
    ];
    node.cli(&[&words[..], &["--found-by", found_by]].concat())
        .ok();
}

fn row() -> Row {
    let (alice, bob, carol) = (node_of("alice"), node_of("bob"), node_of("carol"));
    befriend(&alice, &bob, "bob");
    befriend(&bob, &carol, "carol");
    carol.member("dora");
    card(&carol, "carol", "Carol Weber 王", "friends-of-friends");
    card(&carol, "dora", "Dora Weber", "friends");
    Row { alice, bob, carol }
}

/// Names that a search from `node` shows, sorted, and all of the answer.
#[track_caller]
fn seek(node: &Node, term: &str, more: &[&str]) -> (Vec<String>, Value) {
    let outcome = node.cli(&[&["find", "--people", term, "--json"], more].concat());
    let people: Value = serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    let rows = people.as_array().unwrap();
    assert_eq!(outcome.code, i32::from(rows.is_empty()), "{people}");
    let name = |person: &Value| person["name"].as_str().unwrap().to_owned();
    let mut names: Vec<_> = rows.iter().map(name).collect();
    names.sort();
    (names, people)
}

/// Friends link within a few seconds.
#[track_caller]
fn seek_until(node: &Node, term: &str, expected: &[&str]) -> Value {
    let begun = Instant::now();
    loop {
        let (names, people) = seek(node, term, &[]);
        if names == expected {
            return people;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{people}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[track_caller]
fn audited(node: &Node, action: &str) -> Vec<Value> {
    let rows = node.cli(&["audit", "show", "--action", action, "--json"]);
    rows.json()["rows"].as_array().unwrap().clone()
}

#[test]
fn r52_a_name_in_the_shared_book_of_a_friends_friend_is_found_and_an_unshared_one_is_not() {
    let row = row();
    let carols = row.carol.ready().line["id"].clone();
    let people = seek_until(&row.alice, "weber", &["Carol Weber 王"]);
    let found = json!({
        "name": "Carol Weber 王",
        "addresses": ["carol@example.org"],
        "node": carols,
        "friend": null,
        "links": 2,
    });
    assert_eq!(people, json!([found]), "dora is for friends only");
    let people = seek_until(&row.bob, "weber", &["Carol Weber 王", "Dora Weber"]);
    for person in people.as_array().unwrap() {
        assert_eq!(person["friend"], "carol");
        assert_eq!(person["links"], 1);
    }
    assert_eq!(seek(&row.alice, "王", &[]).0, ["Carol Weber 王"]);
    let none: [&str; 0] = [];
    assert_eq!(seek(&row.alice, "weber", &["--among", "friends"]).0, none);
    assert_eq!(seek(&row.alice, "webern", &[]).0, none);
    assert_eq!(row.alice.cli(&["find", "--people", "w"]).code, 2);

    card(&row.carol, "carol", "Carol Weber 王", "nobody");
    assert_eq!(seek(&row.alice, "weber", &[]).0, none, "at once");
    row.carol.cli(&["friend", "remove", "bobs-box"]).ok();
    assert_eq!(seek(&row.bob, "weber", &[]).0, none, "no friend, no answer");
}

#[test]
fn r52_a_search_is_in_the_audit_log_of_who_seeks_and_of_who_is_asked() {
    let row = row();
    seek_until(&row.alice, "carol@", &["Carol Weber 王"]);
    let sought = audited(&row.alice, "contact-search");
    assert_eq!(sought[0]["target"], "carol@");
    assert_eq!(sought[0]["detail"], "friends-of-friends");
    let answered = audited(&row.carol, "contact-answer");
    assert_eq!(answered[0]["actor"], "friend bobs-box");
    assert_eq!(answered[0]["target"], "carol@");
    assert_eq!(
        answered[0]["detail"],
        "1 cards, for a friend of this friend"
    );
}

#[test]
fn r52_people_of_the_household_find_each_other_and_nobody_else_finds_them() {
    let home = node_of("alice");
    home.member("bob");
    let bob = signed_in(&home, "bob");
    let none: [&str; 0] = [];
    assert_eq!(seek(&home, "bob", &[]).0, none, "at first nobody is found");
    let form = "name=Bob+Chen&addresses=bob%40example.org&reach=household";
    bob.post_form("/account/card", form).assert_status(303);
    let page = bob.get("/people?term=chen").expect_status(200).text();
    assert!(page.contains("bob@example.org"), "{page}");
    let long = format!("name={}&addresses=&reach=friends", "x".repeat(481));
    bob.post_form("/account/card", &long).assert_status(400);
    assert_eq!(seek(&home, "chen", &[]).0, ["Bob Chen"]);
    home.cli(&["user", "remove", "bob", "--yes"]).ok();
    assert_eq!(seek(&home, "chen", &[]).0, none);
}
