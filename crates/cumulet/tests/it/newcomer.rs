//! What somebody new does by mistake is told in words that help (R79, and the trial of a newcomer).

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::{Command, Output};

use crate::accounts::signed_in;
use crate::scene::{alice_at_home, cloud};

/// A user of the system who owns nothing.
const NOBODY: u32 = 65_534;

fn cumulet(home: &std::path::Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cumulet"))
        .args(words)
        .env("HOME", home)
        .env_remove("CUMULET_STATE")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for words in words {
        assert!(said.contains(words), "no `{words}`: {said}");
    }
}

#[test]
fn without_a_node_it_is_told_how_to_start_one_and_nothing_is_asked() {
    let home = tempfile::tempdir().unwrap();
    for words in [
        &["status"][..],
        &["recovery", "show"],
        &["user", "add", "bob"],
    ] {
        refused(
            &cumulet(home.path(), words),
            2,
            &["`cumulet serve ~/cumulet` starts one"],
        );
    }
}

#[test]
fn an_address_that_this_computer_does_not_have_is_no_taken_port() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cloud").display().to_string();
    let wrong = cumulet(
        home.path(),
        &["serve", &folder, "--listen", "203.0.113.9:8443"],
    );
    refused(
        &wrong,
        1,
        &["203.0.113.9:8443", "does not have the address"],
    );
    let (node, _alice) = alice_at_home();
    let taken = node.ready().https.trim_start_matches("https://").to_owned();
    let wrong = cumulet(home.path(), &["serve", &folder, "--listen", &taken]);
    refused(
        &wrong,
        1,
        &["another program has the port", "--listen ADDRESS:PORT"],
    );
    let own = node.folder().display().to_string();
    let wrong = cumulet(home.path(), &["serve", &own]);
    refused(&wrong, 4, &[&format!("`kill {}` stops it", node.pid())]);
}

#[test]
fn each_module_has_a_name_for_people_in_both_languages() {
    let (node, _alice) = alice_at_home();
    let status = node.cli(&["status", "--json"]).json();
    for language in ["en", "zh-CN"] {
        let browser = signed_in(&node, "alice").with("accept-language", language);
        let page = browser.get("/admin").expect_status(200).text();
        for module in status["modules"].as_array().unwrap() {
            let name = module["name"].as_str().unwrap();
            assert!(page.contains(&format!(">{name}<")), "{name}: {page}");
            assert!(
                !page.contains(&format!("<b>{name}</b>")),
                "{name} in {language}"
            );
        }
    }
}

#[test]
fn what_the_node_may_not_read_or_write_is_told_at_the_bind_and_by_check() {
    if !testing::require_root() || !testing::require_all(&["setpriv"]) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (home, photos) = (scratch.path().join("cloud"), scratch.path().join("photos"));
    for folder in [&home, &photos, &photos.join("locked")] {
        fs::create_dir(folder).unwrap();
    }
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(photos.join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
    let user = NOBODY.to_string();
    let node = cloud()
        .folder(&home)
        .under(&[
            "setpriv",
            "--reuid",
            &user,
            "--regid",
            &user,
            "--clear-groups",
        ])
        .start();
    let _alice = node.owner("alice");
    let path = photos.display().to_string();
    let told = node.cli(&["bind", &path, "alice:/Photos"]).ok();
    assert!(told.contains("note: "), "{told}");
    testing::wait_until(
        "the folder is known",
        std::time::Duration::from_secs(10),
        || {
            let list = node.cli(&["check"]);
            list.code == 1 && list.stdout.contains("locked")
        },
    );
    // Somebody else's node: whose it is, and what to do.
    let foreign = Command::new("setpriv")
        .args(["--reuid", "65533", "--regid", "65533", "--clear-groups"])
        .arg(env!("CARGO_BIN_EXE_cumulet"))
        .args(["status", "--state"])
        .arg(&home)
        .output()
        .unwrap();
    refused(
        &foreign,
        1,
        &["run the command as the user that runs the node"],
    );
}
