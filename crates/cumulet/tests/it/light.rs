//! Small, quick and quiet: memory, idle work, speed, big shares (R3, R6, R20, R108-R110).

use std::fs;
use std::io::Read;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use testing::{Client, Dice, Disk, Mount, Node, cpu_ticks, open_files, resident_kib, run};

use crate::scene::{alice_at_home, at, cloud};

const IDLE_RSS_KIB: u64 = 64 * 1024;

#[test]
fn r03_memory_is_measured_and_stays_small_under_load() {
    let (node, alice) = alice_at_home();
    let bytes = Dice::new(1).bytes(64 << 20);
    alice.put(&at("film"), &bytes).assert_status(201);
    for _ in 0..3 {
        assert!(alice.get(&at("film")).expect_status(200).body == bytes);
    }
    let resident = resident_kib(node.pid());
    eprintln!("RSS after 64 MiB up and 3 x 64 MiB down: {resident} KiB");
    assert!(resident < IDLE_RSS_KIB, "{resident} KiB");
    let shown = node.cli(&["status", "--json"]).json();
    assert!(
        shown.to_string().contains("rss"),
        "status shows the resident memory: {shown}"
    );
}

/// A node on a file system that nobody else writes to: its watch sees the whole file system, and
/// the work of the tests beside this one is not the node's own.
fn alone_on_a_disk() -> Option<(Node, Client, Mount)> {
    let disk = Mount::device(Disk::Ext4, 256)?;
    let node = cloud().folder(&disk.path().join("cloud")).start();
    let alice = node.owner("alice");
    Some((node, alice, disk))
}

#[test]
fn r108_an_idle_node_is_small_and_does_nearly_nothing() {
    let Some((node, alice, _disk)) = alone_on_a_disk() else {
        return;
    };
    alice.put(&at("file"), "x").assert_status(201);
    std::thread::sleep(Duration::from_secs(7));
    let (before, began) = (cpu_ticks(node.pid()), Instant::now());
    std::thread::sleep(Duration::from_secs(10));
    let ticks = cpu_ticks(node.pid()) - before;
    // 100 ticks a second are one core.
    let percent = ticks as f64 / began.elapsed().as_secs_f64();
    let resident = resident_kib(node.pid());
    eprintln!("idle: {percent:.2} % of a core, RSS {resident} KiB");
    assert!(percent < 1.0, "{percent:.2} % of a core");
    assert!(resident < IDLE_RSS_KIB, "{resident} KiB");
}

#[test]
fn r108_an_idle_node_lets_the_disk_sleep() {
    let Some((node, alice, _disk)) = alone_on_a_disk() else {
        return;
    };
    alice.put(&at("file"), "x").assert_status(201);
    std::thread::sleep(Duration::from_secs(12));
    let written = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix("write_bytes: "))
            .and_then(|number| number.parse::<u64>().ok())
            .expect("/proc shows the bytes written")
    };
    let before = written(node.pid());
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(
        written(node.pid()) - before,
        0,
        "an idle node wrote to its disk"
    );
}

#[test]
fn r07_neither_memory_nor_descriptors_grow_with_requests() {
    let (node, alice) = alice_at_home();
    let work = |rounds: u32| {
        for round in 0..rounds {
            let name = at(&format!("file{}", round % 20));
            alice.put(&name, vec![b'x'; 20_000]);
            alice.get(&name);
            alice.propfind(&at(""), "1");
        }
    };
    work(200);
    let (resident, files) = (resident_kib(node.pid()), open_files(node.pid()));
    work(600);
    let (resident_then, files_then) = (resident_kib(node.pid()), open_files(node.pid()));
    eprintln!(
        "800 rounds: RSS {resident} -> {resident_then} KiB, descriptors {files} -> {files_then}"
    );
    assert!(
        resident_then < resident + 12 * 1024,
        "{resident} -> {resident_then} KiB"
    );
    assert!(files_then <= files + 8, "{files} -> {files_then}");
}

/// Seconds that `client` needs to fetch `path` without looking at the bytes.
fn fetch_s(client: &Client, path: &str, size: usize) -> f64 {
    let mut wire = client.wire();
    let began = Instant::now();
    wire.send(client.request("GET", path).bytes(false)).unwrap();
    wire.read_head().unwrap().assert_status(200);
    let mut taken = 0;
    while taken < size {
        let piece = wire.read_some(1 << 20).unwrap();
        assert!(!piece.is_empty(), "{taken} of {size} bytes");
        taken += piece.len();
    }
    began.elapsed().as_secs_f64()
}

#[test]
fn r109_a_big_file_comes_faster_than_a_gigabit_link() {
    const SIZE: usize = 256 << 20;
    let (node, alice) = alice_at_home();
    fs::File::create(node.scratch().join("zero")).unwrap();
    alice.put(&at("big"), vec![7; SIZE]).assert_status(201);
    // The best of three: other tests run beside this one.
    let best = |client: &Client| {
        let times = (0..3).map(|_| fetch_s(client, &at("big"), SIZE));
        SIZE as f64 / times.fold(f64::INFINITY, f64::min) / 1e6
    };
    let plain = best(&node.http().basic("alice", testing::PASSWORD));
    let secure = best(&alice);
    eprintln!("256 MiB over loopback: {plain:.0} MB/s by HTTP, {secure:.0} MB/s by HTTPS");
    // 90 % of a gigabit link is 112 MB/s.
    assert!(plain > 112.0, "{plain:.0} MB/s by HTTP");
    assert!(secure > 112.0, "{secure:.0} MB/s by HTTPS");
}

/// A file of `size` bytes that are all zero but for a few words, which lie at its begin, across the
/// border of 4 GiB, in the middle and at its end. Its length is real, most of its blocks are not.
fn sparse(path: &Path, size: u64) -> Vec<(u64, &'static [u8])> {
    let words: Vec<(u64, &[u8])> = vec![
        (0, b"begin"),
        ((4 << 30) - 3, b"border"),
        (size / 2 + 12_345, b"middle"),
        (size - 4, b"fine"),
    ];
    let file = fs::File::create(path).unwrap();
    file.set_len(size).unwrap();
    for (place, word) in &words {
        file.write_all_at(word, *place).unwrap();
    }
    words
}

/// Whether `piece`, which lies at `place` of a [`sparse`] file, is what it should be.
fn is_exact(mut piece: Vec<u8>, place: u64, words: &[(u64, &[u8])]) -> bool {
    let end = place + piece.len() as u64;
    for (start, word) in words {
        for (offset, byte) in (*start..).zip(*word) {
            if (place..end).contains(&offset) {
                let here = &mut piece[(offset - place) as usize];
                if here != byte {
                    return false;
                }
                *here = 0;
            }
        }
    }
    piece.iter().fold(0, |all, byte| all | byte) == 0
}

#[test]
fn r110_a_file_of_twenty_gibibytes_is_shared_by_link_to_a_non_user() {
    const SIZE: u64 = 20 << 30;
    let (node, alice) = alice_at_home();
    let place = node.scratch().join("films");
    fs::create_dir(&place).unwrap();
    let words = sparse(&place.join("film.bin"), SIZE);
    node.cli(&["bind", &place.to_string_lossy(), "alice:/Films"])
        .ok();
    testing::wait_until("it is listed", Duration::from_secs(20), || {
        alice.call("HEAD", &at("Films/film.bin")).status == 200
    });
    let link = crate::sharing::link(&node, &["alice:/Films/film.bin", "--right", "download"]);
    let guest = node.https();
    let path = crate::sharing::download_path(&guest, &link);
    let head = guest.call("HEAD", &path).expect_status(200);
    let length = SIZE.to_string();
    assert_eq!(head.header("content-length"), Some(length.as_str()));
    let before = resident_kib(node.pid());
    for (start, word) in &words {
        let range = format!("bytes={start}-{}", start + word.len() as u64 - 1);
        let part = guest.request("GET", &path).header("Range", &range).send();
        assert_eq!(part.expect_status(206).body, *word, "{range}");
    }
    // A few seconds of the stream over HTTPS, and all of it over plain HTTP, which is quicker.
    // Each byte is compared; memory does not grow with them.
    let plain = node.http();
    for (client, until) in [(&guest, Some(Duration::from_secs(4))), (&plain, None)] {
        let began = Instant::now();
        let mut wire = client.wire();
        wire.send(client.request("GET", &path).bytes(false))
            .unwrap();
        wire.read_head().unwrap().assert_status(200);
        let mut taken = 0;
        while taken < SIZE && until.is_none_or(|until| began.elapsed() < until) {
            let piece = wire.read_some(1 << 20).unwrap();
            let length = piece.len() as u64;
            assert!(length > 0, "the stream ends after {taken} bytes");
            assert!(is_exact(piece, taken, &words), "other bytes at {taken}");
            taken += length;
        }
        let grown = resident_kib(node.pid()).saturating_sub(before);
        eprintln!(
            "20 GiB by link: {} MB in {:.1} s, RSS grew by {grown} KiB",
            taken / 1_000_000,
            began.elapsed().as_secs_f64()
        );
        assert!(grown < 32 * 1024, "{grown} KiB");
        assert!(until.is_some() || taken == SIZE, "{taken} bytes");
    }
}

/// A program that the variable `named` names, built otherwise than the one under test; `.ci/run`
/// builds it and names it.
fn built_apart(named: &str, how: &str) -> Option<PathBuf> {
    let program = std::env::var_os(named).map(PathBuf::from);
    if program.is_none() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{named} must name a program in CI"
        );
        eprintln!("skipped: {named} names no program; {how}");
    }
    program
}

#[test]
fn r06_one_static_program_serves_from_a_bare_root() {
    // Built with `-C target-feature=+crt-static`.
    let Some(program) = built_apart(
        "CUMULET_STATIC_BINARY",
        "`cargo xtask dist` builds a static one",
    ) else {
        return;
    };
    if !testing::require_root() {
        return;
    }
    let root = tempfile::TempDir::new().unwrap();
    fs::copy(&program, root.path().join("cumulet")).unwrap();
    for folder in ["srv", "proc", "tmp"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    // Nothing else is in there: no libc, no shell, no /dev, no /etc, no certificates.
    let mut child = Command::new("chroot")
        .arg(root.path())
        .args([
            "/cumulet",
            "serve",
            "/srv/cloud",
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--json",
            "--no-mdns",
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    let mut byte = [0];
    while stdout.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    let outcome = std::panic::catch_unwind(|| {
        let ready: serde_json::Value =
            serde_json::from_slice(&line).expect("the ready line is JSON");
        let https = ready["https"]
            .as_str()
            .expect("https")
            .trim_start_matches("https://");
        let client = Client::pinned(
            https.parse().unwrap(),
            ready["fingerprint"].as_str().unwrap(),
        );
        client.get("/healthz").assert_status(200);
    });
    child.kill().ok();
    child.wait().ok();
    assert!(outcome.is_ok(), "{}", String::from_utf8_lossy(&line));
}

#[test]
fn r20_a_program_of_the_smallest_parts_serves_files() {
    let Some(program) = built_apart(
        "CUMULET_SMALLEST_BINARY",
        "`cargo build -p cumulet --no-default-features` builds one",
    ) else {
        return;
    };
    let node = Node::of(&program.to_string_lossy()).https_only().start();
    let alice = node.owner("alice");
    alice.put(&at("file"), "works").assert_status(201);
    assert_eq!(alice.get(&at("file")).expect_status(200).text(), "works");
    node.https().get("/login").assert_status(200);
    node.cli(&["check", "--deep"]).ok();
    // The parts that it lacks are said to be missing, and the whole program has them.
    let whole = env!("CARGO_BIN_EXE_cumulet");
    let words = ["completions", "bash"];
    let refused = node.cli(&words);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("unrecognized"), "{refused:?}");
    assert!(run(Command::new(whole).args(words)).contains("cumulet"));
    let mut plain = Command::new(&program);
    plain.arg("serve").arg(node.scratch().join("other"));
    let plain = plain.args(["--http", "127.0.0.1:0"]).output().unwrap();
    let told = String::from_utf8_lossy(&plain.stderr);
    assert_eq!(plain.status.code(), Some(1), "{told}");
    assert!(told.contains("built without plain HTTP"), "{told}");
}
