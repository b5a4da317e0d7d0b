//! Debian's litmus, the WebDAV server test suite, over HTTPS and HTTP (R90).

use std::path::Path;
use std::process::Command;

use testing::{PASSWORD, require};

use crate::scene::alice_at_home;

/// Suite and number of tests in litmus 0.13.
const SUITES: [(&str, u32); 5] = [
    ("basic", 16),
    ("copymove", 13),
    ("props", 30),
    ("locks", 41),
    ("http", 4),
];

fn run_litmus(litmus: &Path, url: &str, folder: &Path) {
    let output = Command::new(litmus)
        .args(["-k", url, "alice", PASSWORD])
        .env("TESTS", SUITES.map(|(name, _)| name).join(" "))
        .current_dir(folder)
        .output()
        .expect("litmus starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    // litmus draws its progress with carriage returns.
    let text = text.replace('\r', "\n");
    for (suite, tests) in SUITES {
        let summary =
            format!("summary for `{suite}': of {tests} tests run: {tests} passed, 0 failed.");
        assert!(
            text.contains(&summary),
            "{url}: no line {summary:?} in\n{text}"
        );
    }
    assert!(!text.contains("WARNING"), "{url}: litmus warns:\n{text}");
    assert!(
        !text.contains("warnings were issued"),
        "{url}: litmus warns:\n{text}"
    );
}

#[test]
fn r90_litmus_passes_over_https_without_a_warning() {
    let Some(litmus) = require("litmus") else {
        return;
    };
    let (node, _alice) = alice_at_home();
    let url = format!("{}/dav/files/alice/", node.ready().https);
    run_litmus(&litmus, &url, node.scratch());
}

#[test]
fn r90_litmus_passes_over_http_without_a_warning() {
    let Some(litmus) = require("litmus") else {
        return;
    };
    let (node, _alice) = alice_at_home();
    let http = node.ready().http.clone().expect("started with --http");
    run_litmus(&litmus, &format!("{http}/dav/files/alice/"), node.scratch());
}
