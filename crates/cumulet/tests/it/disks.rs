//! Full, pulled, read-only and copy-on-write disks (R4, R68).

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use testing::{Dice, Disk, Mount, PASSWORD, run, wait_until};

use crate::scene::{alice_at_home, at, cloud, names};

#[test]
fn a_full_disk_is_507_and_loses_nothing() {
    let Some(disk) = Mount::memory(48) else {
        return;
    };
    let mut node = cloud().folder(&disk.path().join("cloud")).start();
    let alice = node.owner("alice");
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![0; 8 << 20]).unwrap();
    let mut dice = Dice::new(7);
    let mut kept: Vec<(String, Vec<u8>)> = Vec::new();
    let refused = loop {
        let name = format!("file{}", kept.len());
        let bytes = dice.bytes(1 << 20);
        let reply = alice.put(&at(&name), &bytes);
        match reply.status {
            201 => kept.push((name, bytes)),
            _ => break reply,
        }
        assert!(kept.len() < 64, "a disk of 48 MiB took {} MiB", kept.len());
    };
    refused.assert_says(507, "The disk is full. Free some space");
    // A chunked body of unknown length fills the disk in the middle of the stream. Over plain HTTP,
    // because the TLS library reads no answer once a write has failed.
    let plain = node.http().basic("alice", PASSWORD);
    let mut wire = plain.wire();
    let head = plain
        .request("PUT", &at("stream"))
        .header("Transfer-Encoding", "chunked");
    wire.send(head.bytes(true)).unwrap();
    for _ in 0..64 {
        let piece = wire
            .send("100000\r\n")
            .and_then(|()| wire.send(vec![b'x'; 1 << 20]));
        if piece.and_then(|()| wire.send("\r\n")).is_err() {
            break;
        }
    }
    wire.send("0\r\n\r\n").ok();
    let reply = wire.read_reply("PUT").unwrap();
    reply.assert_says(507, "The disk is full. Free some space");
    for (name, bytes) in &kept {
        assert_eq!(
            &alice.get(&at(name)).expect_status(200).body,
            bytes,
            "{name}"
        );
    }
    let listed = names(&alice.propfind(&at(""), "1").expect_status(207).text());
    assert_eq!(listed.len(), kept.len() + 1, "{listed:?}");
    // Room again: writes go on, also after a restart.
    std::fs::remove_file(&ballast).unwrap();
    alice.put(&at("after"), "room again").assert_status(201);
    node.kill();
    node.start();
    node.cli(&["check"]).ok();
    let alice = node.https().basic("alice", PASSWORD);
    assert_eq!(
        alice.get(&at("after")).expect_status(200).text(),
        "room again"
    );
}

#[test]
fn an_upload_of_unknown_length_may_fill_the_disk_that_it_goes_to() {
    let Some(home) = Mount::memory(24) else {
        return;
    };
    let large = tempfile::TempDir::new().unwrap();
    let node = cloud().folder(&home.path().join("cloud")).start();
    let alice = node.owner("alice");
    node.cli(&["bind", &large.path().to_string_lossy(), "alice:/Large"])
        .ok();
    let ballast = home.path().join("ballast");
    std::fs::write(&ballast, vec![0; 12 << 20]).unwrap();
    let mut wire = alice.wire();
    let head = alice
        .request("PUT", &at("Large/film"))
        .header("Transfer-Encoding", "chunked");
    wire.send(head.bytes(true)).unwrap();
    for _ in 0..16 {
        wire.send("100000\r\n").unwrap();
        wire.send(vec![b'x'; 1 << 20]).unwrap();
        wire.send("\r\n").unwrap();
    }
    wire.send("0\r\n\r\n").unwrap();
    wire.read_reply("PUT").unwrap().assert_status(201);
    assert_eq!(
        std::fs::metadata(large.path().join("film")).unwrap().len(),
        16 << 20
    );
}

#[test]
fn r04_a_pulled_volume_is_away_and_comes_back_whole() {
    let Some(mut disk) = Mount::device(Disk::Ext4, 64) else {
        return;
    };
    let (node, alice) = alice_at_home();
    std::fs::write(disk.path().join("photo"), "pixels").unwrap();
    let place = disk.path().to_string_lossy().into_owned();
    node.cli(&["bind", &place, "alice:/Photos"]).ok();
    wait_until(
        "the bound folder is listed",
        Duration::from_secs(10),
        || alice.get(&at("Photos/photo")).status == 200,
    );
    alice.put(&at("Photos/new"), "made here").assert_status(201);
    alice.put(&at("elsewhere"), "home").assert_status(201);
    let etag = alice.get(&at("Photos/new")).etag();
    disk.pull();
    wait_until("the volume is away", Duration::from_secs(10), || {
        alice.get(&at("Photos/new")).status == 503
    });
    let away = alice.get(&at("Photos/new"));
    away.assert_says(503, "not connected");
    let late = alice.put(&at("Photos/late"), "x");
    late.assert_says(503, "not connected");
    // The rest goes on, and nothing was taken for deleted.
    assert_eq!(
        alice.get(&at("elsewhere")).expect_status(200).text(),
        "home"
    );
    let top = names(&alice.propfind(&at(""), "1").expect_status(207).text());
    assert!(top.iter().any(|name| name == "Photos"), "{top:?}");
    let status = node.cli(&["status"]);
    assert!(
        status.stdout.to_lowercase().contains("away"),
        "{}",
        status.stdout
    );
    assert!(
        !Path::new(&place).join("late").exists(),
        "written under the mount point"
    );
    disk.plug();
    wait_until("the volume is back", Duration::from_secs(15), || {
        alice.get(&at("Photos/new")).status == 200
    });
    let back = alice.get(&at("Photos/new")).expect_status(200);
    assert_eq!((back.text(), back.etag()), ("made here".to_owned(), etag));
    alice.put(&at("Photos/late"), "now").assert_status(201);
    node.cli(&["check"]).ok();
}

#[test]
fn a_node_starts_without_its_pulled_volume() {
    let Some(mut disk) = Mount::device(Disk::Ext4, 64) else {
        return;
    };
    let (mut node, alice) = alice_at_home();
    std::fs::write(disk.path().join("photo"), "pixels").unwrap();
    node.cli(&["bind", &disk.path().to_string_lossy(), "alice:/Photos"])
        .ok();
    wait_until("indexed", Duration::from_secs(10), || {
        alice.get(&at("Photos/photo")).status == 200
    });
    node.stop();
    disk.pull();
    node.start();
    let alice = node.https().basic("alice", PASSWORD);
    alice
        .get(&at("Photos/photo"))
        .assert_says(503, "not connected");
    alice.put(&at("home"), "works").assert_status(201);
    disk.plug();
    wait_until("the volume is back", Duration::from_secs(15), || {
        alice.get(&at("Photos/photo")).status == 200
    });
}

#[test]
fn a_read_only_folder_refuses_writes_and_serves_reads() {
    let Some(disk) = Mount::device(Disk::Ext4, 64) else {
        return;
    };
    let (node, alice) = alice_at_home();
    std::fs::write(disk.path().join("photo"), "pixels").unwrap();
    disk.remount("ro");
    node.cli(&["bind", &disk.path().to_string_lossy(), "alice:/Photos"])
        .ok();
    wait_until("indexed", Duration::from_secs(10), || {
        alice.get(&at("Photos/photo")).status == 200
    });
    for reply in [
        alice.put(&at("Photos/photo"), "changed"),
        alice.put(&at("Photos/new"), "x"),
        alice.call("DELETE", &at("Photos/photo")),
        alice.call("MKCOL", &at("Photos/folder")),
    ] {
        reply.assert_says(403, "The disk or folder can only be read");
    }
    assert_eq!(
        alice.get(&at("Photos/photo")).expect_status(200).text(),
        "pixels"
    );
}

#[test]
fn an_unwritable_folder_on_the_disk_is_a_refusal_and_not_a_crash() {
    let (node, alice) = alice_at_home();
    if !testing::require_root() || testing::require("chattr").is_none() {
        return;
    }
    alice.call("MKCOL", &at("fixed")).assert_status(201);
    alice.put(&at("fixed/file"), "1").assert_status(201);
    let folder = node.space("alice").join("fixed");
    run(Command::new("chattr").arg("+i").arg(&folder));
    let refused = alice.put(&at("fixed/new"), "x");
    let replaced = alice.put(&at("fixed/file"), "2");
    let read = alice.get(&at("fixed/file"));
    run(Command::new("chattr").arg("-i").arg(&folder));
    refused.assert_says(403, "The disk or folder can only be read");
    replaced.assert_says(403, "The disk or folder can only be read");
    assert_eq!(read.expect_status(200).text(), "1");
    alice.put(&at("fixed/new"), "x").assert_status(201);
    node.cli(&["check"]).ok();
}

fn used_kib(disk: &Mount) -> u64 {
    run(Command::new("sync").arg("-f").arg(disk.path()));
    let text = run(Command::new("df")
        .args(["--output=used", "-k"])
        .arg(disk.path()));
    text.lines()
        .last()
        .and_then(|line| line.trim().parse().ok())
        .expect("df prints a number")
}

#[test]
fn a_copy_on_btrfs_shares_its_blocks() {
    let Some(disk) = Mount::device(Disk::Btrfs, 512) else {
        return;
    };
    let node = cloud().folder(&disk.path().join("cloud")).start();
    let alice = node.owner("alice");
    let bytes = Dice::new(3).bytes(64 << 20);
    alice.put(&at("film"), &bytes).assert_status(201);
    let before = used_kib(&disk);
    let began = Instant::now();
    alice
        .request("COPY", &at("film"))
        .header("Destination", &at("copy"))
        .send()
        .assert_status(201);
    let took = began.elapsed();
    let grown = used_kib(&disk).saturating_sub(before);
    eprintln!("reflink: copy of 64 MiB took {took:?} and {grown} KiB");
    assert!(
        grown < 16 * 1024,
        "a copy of 64 MiB took {grown} KiB of the disk"
    );
    assert!(alice.get(&at("copy")).expect_status(200).body == bytes);
    // A change of one leaves the other.
    alice.put(&at("copy"), "short").assert_status(204);
    assert!(alice.get(&at("film")).expect_status(200).body == bytes);
}

#[test]
fn a_stick_with_exfat_is_used_like_any_other_disk() {
    let Some(mut disk) = Mount::device(Disk::Exfat, 64) else {
        return;
    };
    let (mut node, alice) = alice_at_home();
    std::fs::create_dir(disk.path().join("Photos")).unwrap();
    std::fs::write(disk.path().join("Photos/old"), "pixels").unwrap();
    node.cli(&["bind", &disk.path().to_string_lossy(), "alice:/Stick"])
        .ok();
    let photo = at("Stick/Photos/photo");
    wait_until("indexed", Duration::from_secs(10), || {
        alice.get(&at("Stick/Photos/old")).status == 200
    });
    alice.put(&photo, "1").assert_status(201);
    alice.put(&photo, "2").assert_status(204);
    alice
        .request("MOVE", &photo)
        .header("Destination", &at("Stick/moved"))
        .send()
        .assert_status(201);
    alice
        .call("DELETE", &at("Stick/Photos/"))
        .assert_status(204);
    assert_eq!(
        std::fs::read(disk.path().join("moved")).unwrap(),
        b"2",
        "plain on the stick"
    );
    // Names that this file system cannot store.
    for reply in [
        alice.put(&at("Stick/a%3Ab"), "x"),
        alice.call("MKCOL", &at("Stick/what%3F/")),
    ] {
        reply.assert_says(400, "cannot store the name");
    }
    alice.call("MKCOL", &at("Stick/fine/")).assert_status(201);
    let etag = alice.get(&at("Stick/moved")).expect_status(200).etag();
    // Inode numbers are new after each mount; that alone is no change.
    node.stop();
    disk.pull();
    disk.plug();
    node.start();
    let alice = node.https().basic("alice", PASSWORD);
    wait_until("the stick is back", Duration::from_secs(15), || {
        alice.get(&at("Stick/moved")).status == 200
    });
    let back = alice.get(&at("Stick/moved")).expect_status(200);
    assert_eq!((back.text(), back.etag()), ("2".to_owned(), etag));
    alice.put(&at("Stick/moved"), "3").assert_status(204);
    // Killed while it writes: what was acknowledged is there, whole.
    let mut acknowledged = String::new();
    for turn in 0..20 {
        let text = format!("turn {turn}");
        alice.put(&at("Stick/moved"), &text).assert_status(204);
        acknowledged = text;
    }
    node.kill();
    node.start();
    let alice = node.https().basic("alice", PASSWORD);
    assert_eq!(
        alice.get(&at("Stick/moved")).expect_status(200).text(),
        acknowledged
    );
    node.cli(&["check"]).ok();
}

#[test]
fn r04_state_and_data_lie_where_they_are_told() {
    let state = tempfile::TempDir::new().unwrap();
    let place = state.path().join("state");
    let node = cloud().arg("--state").arg(place.to_string_lossy()).start();
    node.cli_state(
        &place,
        &["user", "add", "alice", "--password-stdin", "--owner"],
        PASSWORD,
    )
    .ok();
    let alice = node.https().basic("alice", PASSWORD);
    alice.put(&at("file"), "data").assert_status(201);
    assert_eq!(
        std::fs::read(node.space("alice").join("file")).unwrap(),
        b"data"
    );
    assert!(place.join("catalog.db").is_file());
    assert!(!node.state().join("catalog.db").exists());
}

#[test]
fn a_node_whose_home_is_missing_says_so_and_makes_nothing() {
    let state = tempfile::tempdir().unwrap();
    let place = state.path().to_string_lossy().into_owned();
    let mut node = cloud().arg("--state").arg(place).start();
    let alice = node.owner("alice");
    alice.put(&at("file"), "precious").assert_status(201);
    node.stop();
    let home = node.folder().to_owned();
    let away = node.scratch().join("away");
    std::fs::rename(&home, &away).unwrap();
    node.try_start().unwrap_err();
    let told = node.log();
    for words in [home.to_str().unwrap(), "is not there", "mount the disk"] {
        assert!(told.contains(words), "no `{words}` in {told}");
    }
    assert!(!home.exists());
    std::fs::rename(&away, &home).unwrap();
    node.start();
    let alice = node.https().basic("alice", PASSWORD);
    assert_eq!(alice.get(&at("file")).expect_status(200).text(), "precious");
}
