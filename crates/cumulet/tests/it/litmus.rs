//! Debian's litmus, the WebDAV server test suite, over HTTPS and HTTP (R90).

use std::path::Path;
use std::process::Command;

use testing::{PASSWORD, require};

use crate::scene::alice_at_home;

/// Suite and number of tests in litmus 0.13.
const SUITES: [(&str, u32); 4] = [
    ("basic", 16),
    ("copymove", 13),
    ("props", 30),
    ("locks", 41),
];
/// The `http` suite; over TLS litmus itself leaves out one of the four (`expect100`).
const HTTP_TESTS: u32 = 4;
const HTTP_TESTS_OVER_TLS: u32 = 3;

fn run_litmus(litmus: &Path, url: &str, folder: &Path) {
    let http_tests = if url.starts_with("https:") {
        HTTP_TESTS_OVER_TLS
    } else {
        HTTP_TESTS
    };
    let mut suites = SUITES.to_vec();
    suites.push(("http", http_tests));
    let output = Command::new(litmus)
        .args(["-k", url, "alice", PASSWORD])
        .env("TESTS", "basic copymove props locks http")
        .current_dir(folder)
        .output()
        .expect("litmus starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    // litmus draws its progress with carriage returns.
    let text = text.replace('\r', "\n");
    for (suite, tests) in suites {
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
