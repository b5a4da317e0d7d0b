//! Existing folders bound in place (R68 in part).

use std::fs;
use std::time::{Duration, Instant};

use testing::{Dice, Disk, Mount, wait_until};

use crate::scene::{alice_at_home, at, count, names};

const SOON: Duration = Duration::from_secs(15);

#[test]
fn r68_one_folder_over_two_disks_lists_as_one() {
    let Some(first) = Mount::device(Disk::Ext4, 64) else {
        return;
    };
    let Some(second) = Mount::device(Disk::Ext4, 64) else {
        return;
    };
    let (node, alice) = alice_at_home();
    fs::write(first.path().join("one"), "1").unwrap();
    fs::write(second.path().join("two"), "2").unwrap();
    alice.call("MKCOL", &at("All")).assert_status(201);
    for (disk, name) in [(&first, "First"), (&second, "Second")] {
        let place = disk.path().to_string_lossy().into_owned();
        node.cli(&["bind", &place, &format!("alice:/All/{name}")])
            .ok();
    }
    wait_until("both are indexed", SOON, || {
        alice.get(&at("All/First/one")).status == 200
            && alice.get(&at("All/Second/two")).status == 200
    });
    let listed = names(&alice.propfind(&at("All/"), "1").expect_status(207).text());
    assert_eq!(
        listed
            .iter()
            .filter(|name| *name == "First" || *name == "Second")
            .count(),
        2,
        "{listed:?}"
    );
    // Across disks: a copy, a move of a file and a move of a folder.
    let go = |method: &str, from: &str, to: &str| {
        alice
            .request(method, &at(from))
            .header("Destination", &at(to))
            .send()
            .assert_status(201);
    };
    go("COPY", "All/First/one", "All/Second/one");
    go("MOVE", "All/First/one", "All/Second/moved");
    alice
        .call("MKCOL", &at("All/First/folder"))
        .assert_status(201);
    alice
        .put(&at("All/First/folder/inside"), "deep")
        .assert_status(201);
    go("MOVE", "All/First/folder", "All/Second/folder");
    assert_eq!(
        fs::read_to_string(second.path().join("moved")).unwrap(),
        "1"
    );
    assert_eq!(
        fs::read_to_string(second.path().join("folder/inside")).unwrap(),
        "deep"
    );
    assert!(!first.path().join("folder").exists());
    assert!(!first.path().join("one").exists());
    node.cli(&["check"]).ok();
}

#[test]
fn r68_one_disk_shows_as_two_roots() {
    let Some(disk) = Mount::device(Disk::Ext4, 64) else {
        return;
    };
    let (node, alice) = alice_at_home();
    for name in ["music", "photos"] {
        fs::create_dir(disk.path().join(name)).unwrap();
        fs::write(disk.path().join(name).join("file"), name).unwrap();
        let place = disk.path().join(name).to_string_lossy().into_owned();
        node.cli(&["bind", &place, &format!("alice:/{name}")]).ok();
    }
    wait_until("both are indexed", SOON, || {
        alice.get(&at("music/file")).text() == "music"
            && alice.get(&at("photos/file")).text() == "photos"
    });
}

#[test]
fn unbind_leaves_the_files_untouched() {
    let (node, alice) = alice_at_home();
    let place = node.scratch().join("photos");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("old"), "was here before").unwrap();
    node.cli(&["bind", &place.to_string_lossy(), "alice:/Photos"])
        .ok();
    wait_until("indexed", SOON, || {
        alice.get(&at("Photos/old")).status == 200
    });
    alice
        .put(&at("Photos/new"), "through the cloud")
        .assert_status(201);
    node.cli(&["unbind", "alice:/Photos", "--yes"]).ok();
    alice.get(&at("Photos/old")).assert_status(404);
    assert_eq!(
        fs::read_to_string(place.join("old")).unwrap(),
        "was here before"
    );
    assert_eq!(
        fs::read_to_string(place.join("new")).unwrap(),
        "through the cloud"
    );
}

/// Tells the keys from everything else: nothing of the state may be bound, whatever the way to it.
#[test]
fn the_state_folder_cannot_be_bound_by_any_way() {
    let apart = tempfile::tempdir().unwrap();
    let state = apart.path().join("state");
    let node = crate::scene::cloud()
        .arg("--state")
        .arg(state.to_string_lossy())
        .start();
    node.owner("alice");
    let link = node.scratch().join("link");
    std::os::unix::fs::symlink(&state, &link).unwrap();
    let mounted = node.scratch().join("mounted");
    fs::create_dir(&mounted).unwrap();
    let keys = state.join("keys");
    let mut ways = vec![state.clone(), keys.clone(), apart.path().to_owned(), link];
    let mount = std::process::Command::new("mount")
        .arg("--bind")
        .args([&keys, &mounted])
        .status();
    let is_mounted = mount.is_ok_and(|status| status.success());
    if is_mounted {
        ways.push(mounted.clone());
    }
    let outcomes: Vec<_> = ways
        .iter()
        .map(|way| {
            let way = way.to_string_lossy().into_owned();
            (node.cli(&["bind", &way, "alice:/state", "--force"]), way)
        })
        .collect();
    if is_mounted {
        let unmounted = std::process::Command::new("umount").arg(&mounted).status();
        assert!(unmounted.unwrap().success());
    }
    for (outcome, way) in outcomes {
        assert_ne!(outcome.code, 0, "{way}");
        assert!(outcome.stderr.contains("keys"), "{way}: {}", outcome.stderr);
    }
}

#[test]
fn foolish_binds_are_refused_with_a_reason() {
    let (node, _alice) = alice_at_home();
    let own = node.folder().to_string_lossy().into_owned();
    for (place, target) in [
        ("/no/such/folder", "alice:/A"),
        ("/etc/hostname", "alice:/B"),
        ("/etc", "alice:/B"),
        (own.as_str(), "alice:/C"),
        ("/tmp", "nobody:/D"),
        ("/tmp", "alice:/../E"),
    ] {
        let outcome = node.cli(&["bind", place, target]);
        assert_ne!(outcome.code, 0, "{place} {target}");
        assert!(
            !outcome.stderr.trim().is_empty(),
            "{place} {target}: no reason"
        );
    }
}

#[test]
fn r110_a_bound_folder_of_100000_files_is_listed_within_a_second_of_the_start() {
    const FILES: usize = 100_000;
    let (mut node, alice) = alice_at_home();
    let place = node.scratch().join("many");
    fs::create_dir(&place).unwrap();
    for number in 0..FILES {
        fs::write(place.join(format!("file-{number:06}.txt")), "").unwrap();
    }
    // Usable at once, while it is indexed.
    let began = Instant::now();
    node.cli(&["bind", &place.to_string_lossy(), "alice:/Many"])
        .ok();
    alice.put(&at("Many/meanwhile.txt"), "x").assert_status(201);
    eprintln!(
        "100,000 files: first write {:?} after bind",
        began.elapsed()
    );
    wait_until("all are indexed", Duration::from_secs(240), || {
        alice.get(&at("Many/file-099999.txt")).status == 200
            && count(&alice.propfind(&at("Many/"), "1").text(), ":response>") / 2 >= FILES
    });
    eprintln!("100,000 files: all listed {:?} after bind", began.elapsed());
    node.stop();
    node.start();
    let alice = node.http().basic("alice", testing::PASSWORD);
    let began = Instant::now();
    let mut wire = alice.wire();
    wire.send(
        alice
            .request("PROPFIND", &at("Many/"))
            .header("Depth", "1")
            .bytes(false),
    )
    .unwrap();
    wire.read_head().unwrap().assert_status(207);
    let first = wire.read_some(4096).unwrap();
    let first_took = began.elapsed();
    assert!(
        String::from_utf8_lossy(&first).contains("Many"),
        "{first:?}"
    );
    eprintln!("100,000 files: first entries {first_took:?} after the start");
    assert!(first_took < Duration::from_secs(1), "{first_took:?}");
    let all = alice.propfind(&at("Many/"), "1").expect_status(207).text();
    assert!(count(&all, ":response>") / 2 > FILES);
    eprintln!(
        "100,000 files: idle RSS {} KiB, PROPFIND of {} MB",
        testing::resident_kib(node.pid()),
        all.len() / 1_000_000
    );
}

#[test]
fn a_copy_into_and_out_of_a_bind_keeps_bytes() {
    let (node, alice) = alice_at_home();
    let place = node.scratch().join("bound");
    fs::create_dir(&place).unwrap();
    node.cli(&["bind", &place.to_string_lossy(), "alice:/Bound"])
        .ok();
    let bytes = Dice::new(11).bytes(3 << 20);
    alice.put(&at("home"), &bytes).assert_status(201);
    for (from, to) in [("home", "Bound/in"), ("Bound/in", "back")] {
        alice
            .request("COPY", &at(from))
            .header("Destination", &at(to))
            .send()
            .assert_status(201);
    }
    assert!(alice.get(&at("back")).expect_status(200).body == bytes);
    assert!(fs::read(place.join("in")).unwrap() == bytes);
}
