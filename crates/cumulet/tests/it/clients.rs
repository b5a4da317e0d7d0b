//! Real WebDAV clients: curl, cadaver, rclone, davfs2 and GNOME's gio (R90).

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use testing::{Dice, Node, PASSWORD, require, require_all, require_root, run, wait_until};

use crate::scene::{alice_at_home, at};

fn url(node: &Node, path: &str) -> String {
    format!("{}{}", node.ready().https, at(path))
}

fn plain_url(node: &Node, path: &str) -> String {
    let http = node.ready().http.as_ref().expect("started with --http");
    format!("{http}{}", at(path))
}

#[test]
fn curl_uploads_downloads_resumes_and_deletes() {
    let Some(curl) = require("curl") else { return };
    let (node, alice) = alice_at_home();
    let bytes = Dice::new(1).bytes(5 << 20);
    let local = node.scratch().join("local");
    fs::write(&local, &bytes).unwrap();
    let user = format!("alice:{PASSWORD}");
    let curl = |arguments: &[&str]| {
        run(Command::new(&curl)
            .args(["-sS", "--fail", "-k", "-u", &user])
            .args(arguments))
    };
    let local = local.to_string_lossy().into_owned();
    let code = curl(&["-T", &local, "-w", "%{http_code}", &url(&node, "big")]);
    assert_eq!(code, "201");
    // From standard input: a chunked body without a length.
    let mut child = Command::new("curl")
        .args([
            "-sS",
            "--fail",
            "-k",
            "-u",
            &user,
            "-T",
            "-",
            &url(&node, "piped"),
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(alice.get(&at("piped")).expect_status(200).body == bytes);
    // A download that was cut goes on where it stopped.
    let target = node.scratch().join("target");
    fs::write(&target, &bytes[..1_000_000]).unwrap();
    let target = target.to_string_lossy().into_owned();
    curl(&["-C", "-", "-o", &target, &url(&node, "big")]);
    assert!(fs::read(&target).unwrap() == bytes);
    curl(&["-X", "DELETE", &url(&node, "big")]);
    alice.get(&at("big")).assert_status(404);
    // HTTP/2 and HTTP/1.1 are both offered.
    for (version, flag) in [("2", "--http2"), ("1.1", "--http1.1")] {
        let used = curl(&[
            flag,
            "-o",
            "/dev/null",
            "-w",
            "%{http_version}",
            &url(&node, "piped"),
        ]);
        assert_eq!(used, version);
    }
}

#[test]
fn curl_waits_for_a_refusal_before_it_sends_the_body() {
    let Some(curl) = require("curl") else { return };
    let (node, _alice) = alice_at_home();
    let local = node.scratch().join("large");
    fs::File::create(&local).unwrap().set_len(50 << 20).unwrap();
    let out = run(Command::new(curl)
        .args(["-sS", "-k", "--http1.1", "-u", &format!("alice:{PASSWORD}")])
        .args([
            "-H",
            "Expect: 100-continue",
            "-H",
            "If-None-Match: \"x\"",
            "-H",
            "If-Match: \"none\"",
        ])
        .args(["-o", "/dev/null", "-w", "%{http_code} %{size_upload}", "-T"])
        .arg(&local)
        .arg(url(&node, "large")));
    assert_eq!(
        out, "412 0",
        "the body was sent although the answer was known"
    );
}

#[test]
fn cadaver_walks_through_its_commands() {
    let Some(cadaver) = require("cadaver") else {
        return;
    };
    let (node, alice) = alice_at_home();
    let home = node.scratch();
    fs::write(
        home.join(".netrc"),
        format!("machine 127.0.0.1 login alice password {PASSWORD}\n"),
    )
    .unwrap();
    fs::write(home.join("local.txt"), "from cadaver").unwrap();
    let script = "mkcol folder\ncd folder\nput local.txt\ncopy local.txt copy.txt\nmove copy.txt moved.txt\nlock moved.txt\nunlock moved.txt\npropset local.txt color blue\npropget local.txt color\nget moved.txt fetched.txt\ndelete local.txt\nls\nquit\n";
    let mut child = Command::new(cadaver)
        .arg(plain_url(&node, ""))
        .env("HOME", home)
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("failed"), "{text}");
    assert!(text.contains("blue"), "{text}");
    assert_eq!(
        fs::read_to_string(home.join("fetched.txt")).unwrap(),
        "from cadaver",
        "{text}"
    );
    alice.get(&at("folder/local.txt")).assert_status(404);
    assert_eq!(
        alice.get(&at("folder/moved.txt")).expect_status(200).text(),
        "from cadaver"
    );
}

/// A small tree with names that clients get wrong.
fn tree(top: &Path) -> PathBuf {
    let mut dice = Dice::new(5);
    for name in [
        "plain.txt",
        "with space.txt",
        "umlaut-\u{e4}\u{f6}\u{fc}.txt",
        "\u{4e2d}\u{6587}/\u{6587}\u{4ef6}.txt",
        "deep/er/and/deeper.bin",
        "percent%20sign",
        "hash#and?question",
        "plus+amp&semi;colon",
    ] {
        let file = top.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, dice.bytes(10_000)).unwrap();
    }
    fs::write(top.join("empty"), "").unwrap();
    top.to_owned()
}

pub(crate) fn rclone(node: &Node, url: &str) -> Option<impl Fn(&[&str]) -> String + use<>> {
    let rclone = require("rclone")?;
    let obscured = run(Command::new(&rclone).args(["obscure", PASSWORD]))
        .trim()
        .to_owned();
    let (url, home) = (url.to_owned(), node.scratch().to_owned());
    Some(move |arguments: &[&str]| {
        run(Command::new(&rclone)
            .env("HOME", &home)
            .args([
                "--no-check-certificate",
                "--webdav-vendor",
                "other",
                "--retries",
                "1",
            ])
            .args([
                "--webdav-url",
                &url,
                "--webdav-user",
                "alice",
                "--webdav-pass",
                &obscured,
            ])
            .args(arguments))
    })
}

#[test]
fn rclone_copies_both_ways_and_its_check_is_clean() {
    let (node, _alice) = alice_at_home();
    let Some(rclone) = rclone(&node, &url(&node, "")) else {
        return;
    };
    let source = tree(&node.scratch().join("source"));
    let back = node.scratch().join("back");
    let (source, back) = (source.to_string_lossy(), back.to_string_lossy());
    rclone(&["copy", &source, ":webdav:tree"]);
    rclone(&["check", "--download", &source, ":webdav:tree"]);
    rclone(&["copy", ":webdav:tree", &back]);
    run(Command::new("diff").args(["-r", &source, &back]));
    rclone(&["moveto", ":webdav:tree/deep", ":webdav:tree/moved"]);
    rclone(&["purge", ":webdav:tree/moved"]);
    let listed = rclone(&["lsf", "-R", "--files-only", ":webdav:tree"]);
    assert_eq!(listed.lines().count(), 8, "{listed}");
}

#[test]
fn rclone_sees_times_and_checksums_as_from_owncloud() {
    let (node, alice) = alice_at_home();
    let reply = alice
        .request("PUT", &at("dated"))
        .header("X-OC-Mtime", "1500000000")
        .body("hello")
        .send()
        .expect_status(201);
    assert_eq!(reply.header("x-oc-mtime"), Some("accepted"));
    let Some(rclone) = rclone(&node, &url(&node, "")) else {
        return;
    };
    let listed = rclone(&["lsjson", ":webdav:"]);
    assert!(listed.contains("2017-07-14"), "{listed}");
    let modified = fs::metadata(node.space("alice").join("dated"))
        .unwrap()
        .modified()
        .unwrap();
    let since = modified
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert_eq!(since, 1_500_000_000);
}

/// Unmounts on drop.
struct Davfs(PathBuf);

impl Drop for Davfs {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
        Command::new("umount")
            .arg("--lazy")
            .arg(&self.0)
            .stderr(Stdio::null())
            .status()
            .ok();
    }
}

#[test]
fn davfs2_mounts_the_space_as_a_folder() {
    if !require_root() || !require_all(&["mount.davfs"]) {
        return;
    }
    if !Path::new("/dev/fuse").exists() {
        eprintln!("not run: this machine has no /dev/fuse, so nothing can be mounted by davfs2");
        return;
    }
    let (node, alice) = alice_at_home();
    let place = node.scratch().join("mount");
    fs::create_dir(&place).unwrap();
    let url = plain_url(&node, "");
    let (conf, secrets, cache) = (
        node.scratch().join("davfs2.conf"),
        node.scratch().join("secrets"),
        node.scratch().join("cache"),
    );
    fs::write(&secrets, format!("{url} alice {PASSWORD}\n")).unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(&cache).unwrap();
    // davfs2 keeps its cache as a user of its own.
    for (folder, mode) in [(node.scratch(), 0o755), (&cache, 0o777)] {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    }
    let settings = format!(
        "secrets {}\ncache_dir {}\ndelay_upload 0\nuse_locks 1\nask_auth 0\n",
        secrets.display(),
        cache.display()
    );
    fs::write(&conf, settings).unwrap();
    run(Command::new("mount")
        .args(["-t", "davfs", "-o", &format!("conf={}", conf.display())])
        .arg(&url)
        .arg(&place));
    let _mounted = Davfs(place.clone());
    fs::create_dir(place.join("folder")).unwrap();
    fs::write(place.join("folder/file"), "through the kernel").unwrap();
    wait_until("davfs2 uploads", Duration::from_secs(20), || {
        alice.get(&at("folder/file")).text() == "through the kernel"
    });
    alice
        .put(&at("served"), "from the server")
        .assert_status(201);
    wait_until("davfs2 sees a new file", Duration::from_secs(20), || {
        fs::read_to_string(place.join("served")).is_ok_and(|text| text == "from the server")
    });
    fs::rename(place.join("folder/file"), place.join("folder/renamed")).unwrap();
    fs::remove_file(place.join("served")).unwrap();
    alice.get(&at("served")).assert_status(404);
    assert_eq!(
        alice.get(&at("folder/renamed")).expect_status(200).text(),
        "through the kernel"
    );
}

#[test]
fn gnome_mounts_and_copies_with_gio() {
    if !require_all(&["gio", "gvfsd", "dbus-run-session"]) {
        return;
    }
    let (node, alice) = alice_at_home();
    let address = node.http().address();
    let url = format!("dav://alice@{address}{}", at(""));
    let script = format!(
        "set -e
printf '%s\\n' '{PASSWORD}' | gio mount '{url}'
gio mkdir '{url}folder'
printf 'from gnome' > local
gio copy local '{url}folder/file'
gio list '{url}folder'
gio cat '{url}folder/file'
gio move '{url}folder/file' '{url}folder/moved'
gio mount -u '{url}'
"
    );
    let output = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", &script])
        .env("HOME", node.scratch())
        .env("XDG_RUNTIME_DIR", node.scratch())
        .env("GVFS_DISABLE_FUSE", "1")
        .current_dir(node.scratch())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{error}");
    assert!(text.contains("from gnome"), "{text}");
    alice.get(&at("folder/file")).assert_status(404);
    assert_eq!(
        alice.get(&at("folder/moved")).expect_status(200).text(),
        "from gnome"
    );
}
