//! The pages in a real browser: Playwright drives Debian's Chromium (R17, R93).
//!
//! The scripts lie in `testing/browser`; `npm ci` there installs their one dependency.

use std::path::{Path, PathBuf};
use std::process::Command;

use testing::{Node, require};

use crate::scene::cloud;

fn scripts() -> Option<PathBuf> {
    require("node")?;
    require("chromium")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testing/browser");
    if folder.join("node_modules/playwright-core").is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "run npm ci in testing/browser"
    );
    eprintln!("skipped: playwright-core is not installed; run npm ci in testing/browser");
    None
}

/// Runs one script against a fresh node.
fn play(script: &str, variables: &[(&str, &str)]) {
    let Some(folder) = scripts() else { return };
    let node: Node = cloud().start();
    let output = Command::new("node")
        .arg(folder.join(script))
        .env("CUMULET_URL", &node.ready().https)
        .env(
            "CUMULET_SETUP_URL",
            node.ready().setup_url.as_ref().expect("a fresh node"),
        )
        .env("CUMULET_SCRATCH", node.scratch())
        .env("CUMULET_PROGRAM", env!("CARGO_BIN_EXE_cumulet"))
        .env("CUMULET_STATE", node.state())
        .envs(variables.iter().copied())
        .output()
        .expect("node starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{script} {variables:?}:\n{out}\n{err}"
    );
}

#[test]
fn r93_set_up_upload_and_share_in_english_with_javascript() {
    play(
        "story.mjs",
        &[("CUMULET_LANGUAGE", "en"), ("CUMULET_JAVASCRIPT", "yes")],
    );
}

#[test]
fn r93_set_up_upload_and_share_in_english_without_javascript() {
    play(
        "story.mjs",
        &[("CUMULET_LANGUAGE", "en"), ("CUMULET_JAVASCRIPT", "no")],
    );
}

#[test]
fn r93_set_up_upload_and_share_in_chinese_with_javascript() {
    play(
        "story.mjs",
        &[("CUMULET_LANGUAGE", "zh-CN"), ("CUMULET_JAVASCRIPT", "yes")],
    );
}

#[test]
fn r93_set_up_upload_and_share_in_chinese_without_javascript() {
    play(
        "story.mjs",
        &[("CUMULET_LANGUAGE", "zh-CN"), ("CUMULET_JAVASCRIPT", "no")],
    );
}

#[test]
fn r17_every_page_is_readable_and_within_reach_in_both_themes_and_languages() {
    play("looks.mjs", &[]);
}

#[test]
fn r17_pages_fit_a_telephone_and_need_no_mouse() {
    play("small.mjs", &[]);
}
