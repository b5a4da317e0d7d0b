//! What goes wrong between a node and its center without anybody's ill will: a center that hangs,
//! clocks that are wrong, a node from a backup, a copy of a node.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;
use testing::{FakeClock, Node, run, until};

use super::{QUICK, at, center, find, id, quic, registered, row, standing, stands};

const HOUR_S: i64 = 3600;

#[test]
fn a_center_that_hangs_holds_up_neither_the_node_nor_its_stop() {
    let center = center(QUICK);
    let mut anna = at(&center, "anna").start();
    let owner = anna.owner("olga");
    registered(&anna);
    let process = Pid::from_raw(i32::try_from(center.pid()).unwrap()).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    let begun = Instant::now();
    let (code, missed) = find(&anna, "nobody", &["--deadline", "2"]);
    assert_eq!(code, 1, "{missed}");
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    let why = missed["center_error"].as_str().unwrap_or_default();
    assert!(why.contains("did not answer in time"), "{missed}");
    owner
        .put("/dav/files/olga/note", b"meanwhile")
        .assert_status(201);
    let seen = stands(&anna, "away", Duration::from_secs(25));
    assert!(!seen["error"].is_null(), "{seen}");
    // The harness wants an end within 8 s.
    anna.stop();
    anna.start();
    kill_process(process, Signal::CONT).unwrap();
    assert_eq!(registered(&anna)["name"], "anna");
    assert_eq!(row(&center, &anna)["addresses"], json!([quic(&anna)]));
}

#[test]
fn a_node_whose_clock_is_wrong_is_told_so_and_comes_in_when_it_is_right() {
    let scratch = TempDir::new().unwrap();
    let Some(clock) = FakeClock::new(scratch.path()) else {
        return;
    };
    let center = center(QUICK);
    // A day is borne, two are not.
    clock.set_offset_s(48 * HOUR_S);
    let anna = at(&center, "anna").clock(clock).start();
    let seen = stands(&anna, "refused", Duration::from_secs(20));
    assert!(
        seen["error"]
            .as_str()
            .unwrap()
            .contains("compare the clocks"),
        "{seen}"
    );
    anna.clock().set_offset_s(0);
    registered(&anna);
    anna.clock().set_offset_s(-24 * HOUR_S);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(standing(&anna)["state"], "registered");
    assert_eq!(row(&center, &anna)["online"], true);
}

#[test]
fn a_node_from_a_backup_goes_on_above_the_numbers_that_the_center_knows() {
    let scratch = TempDir::new().unwrap();
    let Some(clock) = FakeClock::new(scratch.path()) else {
        return;
    };
    let center = center("");
    clock.set_offset_s(24 * HOUR_S);
    let mut anna = at(&center, "anna").clock(clock).start();
    registered(&anna);
    let number = |node: &Node| {
        let text = std::fs::read_to_string(node.state().join("record-seq")).unwrap();
        text.trim().parse::<u64>().unwrap()
    };
    let known = number(&anna);
    anna.stop();
    // The backup is older than the record, and the clock is right by now.
    std::fs::remove_file(anna.state().join("record-seq")).unwrap();
    anna.clock().set_offset_s(0);
    anna.start();
    registered(&anna);
    assert!(number(&anna) > known, "{} {known}", number(&anna));
    assert_eq!(row(&center, &anna)["addresses"], json!([quic(&anna)]));
}

#[test]
fn a_copy_of_a_node_is_noticed_and_both_owners_are_told() {
    let center = center("");
    let mut anna = at(&center, "anna").start();
    registered(&anna);
    anna.stop();
    let scratch = TempDir::new().unwrap();
    let copy: &Path = &scratch.path().join("copy");
    let mut cp = std::process::Command::new("cp");
    run(cp.arg("-a").arg(anna.folder()).arg(copy));
    anna.start();
    registered(&anna);
    let twin = at(&center, "anna").folder(copy).start();
    assert_eq!(id(&twin), id(&anna));
    for node in [&anna, &twin] {
        until("the reason", Duration::from_secs(20), || {
            let seen = standing(node);
            let told = seen["error"].as_str().unwrap_or_default();
            if told.contains("replaced by a newer link of the same node") {
                Ok(())
            } else {
                Err(seen)
            }
        });
    }
}
