//! The local volume on the machine's own file system: with all facts and with each fall-back.

use std::os::unix::fs::symlink;

use super::*;
use crate::suite;

const ALL: Facts = Facts {
    exchange: true,
    noreplace: true,
    hard_links: true,
    reflink: true,
    case_sensitive: true,
    lasting_inodes: true,
    writable: true,
};

fn open(root: &Path, mask: Option<Facts>) -> LocalVolume {
    LocalVolume::open(root, Options { expect: None, mask }).unwrap()
}

fn path(text: &str) -> VolumePath {
    VolumePath::parse(text).unwrap()
}

#[test]
fn keeps_every_promise_of_a_volume() {
    let dir = tempfile::tempdir().unwrap();
    suite::run(&open(dir.path(), None));
}

#[test]
fn keeps_every_promise_without_exchange() {
    let dir = tempfile::tempdir().unwrap();
    let mask = Facts {
        exchange: false,
        noreplace: false,
        reflink: false,
        ..ALL
    };
    suite::run(&open(dir.path(), Some(mask)));
}

#[test]
fn keeps_every_promise_without_exchange_and_hard_links() {
    let dir = tempfile::tempdir().unwrap();
    let mask = Facts {
        exchange: false,
        hard_links: false,
        ..ALL
    };
    suite::run(&open(dir.path(), Some(mask)));
}

#[test]
fn keeps_every_promise_without_lasting_inodes() {
    let dir = tempfile::tempdir().unwrap();
    let mask = Facts {
        lasting_inodes: false,
        exchange: false,
        hard_links: false,
        ..ALL
    };
    suite::run(&open(dir.path(), Some(mask)));
}

#[test]
fn without_lasting_inodes_a_file_is_known_by_size_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let mask = Facts {
        lasting_inodes: false,
        ..ALL
    };
    let volume = open(dir.path(), Some(mask));
    let at = path("photo");
    let on_disk = dir.path().join("photo");
    std::fs::write(&on_disk, "pixels").unwrap();
    let modified = std::fs::metadata(&on_disk).unwrap().modified().unwrap();
    let before = volume.stat(Spot::Path(&at)).unwrap().unwrap();
    // Another inode with the same facts, as after a new mount.
    std::fs::write(dir.path().join("new"), "pixels").unwrap();
    std::fs::rename(dir.path().join("new"), &on_disk).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&on_disk)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    let after = volume.stat(Spot::Path(&at)).unwrap().unwrap();
    assert_eq!(before.inode, after.inode);
    let open = volume.open(Spot::Path(&at)).unwrap();
    assert_eq!(volume.stat_of(&open).unwrap().inode, before.inode);
    assert_eq!(volume.list(&path("")).unwrap()[0].stat.inode, before.inode);
    std::fs::write(&on_disk, "other pixels").unwrap();
    let other = volume.stat(Spot::Path(&at)).unwrap().unwrap();
    assert_ne!(before.inode, other.inode);
}

#[test]
fn a_swap_that_a_crash_broke_off_is_finished_at_the_next_opening() {
    let dir = tempfile::tempdir().unwrap();
    let mask = Some(Facts {
        exchange: false,
        ..ALL
    });
    drop(open(dir.path(), mask));
    let tmp = dir.path().join(".cumulet/tmp");
    // The new file is in place, the old one still parked.
    std::fs::write(tmp.join("one.old"), "old one").unwrap();
    // The old file is in place and parked as well.
    std::fs::write(dir.path().join("two"), "old two").unwrap();
    std::fs::hard_link(dir.path().join("two"), tmp.join("two.old")).unwrap();
    std::fs::write(tmp.join("two"), "new two").unwrap();
    // Two renames: the old file lost its place, the new one has not got it yet.
    std::fs::write(tmp.join("three"), "new three").unwrap();
    std::fs::write(tmp.join("three.old"), "old three").unwrap();
    let volume = open(dir.path(), mask);
    let mut temps = volume.temps().unwrap();
    temps.sort();
    assert_eq!(
        temps.iter().map(TempName::as_str).collect::<Vec<_>>(),
        ["one", "three", "two"]
    );
    let read = |at: &str| std::fs::read_to_string(dir.path().join(at)).unwrap();
    assert_eq!(read(".cumulet/tmp/one"), "old one");
    assert_eq!(read("two"), "old two");
    assert_eq!(read(".cumulet/tmp/two"), "new two");
    assert_eq!(read(".cumulet/history/recovered-three"), "old three");
    assert!(!tmp.join("two.old").exists());
}

#[test]
fn a_symbolic_link_is_neither_followed_nor_opened() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "s").unwrap();
    let volume = open(dir.path(), None);
    symlink(outside.path(), dir.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), dir.path().join("file")).unwrap();
    let below = path("out/secret");
    let check = |result: Result<(), VolumeError>| {
        assert!(
            matches!(result, Err(VolumeError::Symlink { .. })),
            "{result:?}"
        );
    };
    check(volume.open(Spot::Path(&below)).map(drop));
    check(volume.open(Spot::Path(&path("file"))).map(drop));
    check(volume.stat(Spot::Path(&below)).map(drop));
    check(volume.list(&path("out")).map(drop));
    check(volume.make_folder(&path("out/new")).map(drop));
    let temp = volume.temp().unwrap();
    check(volume.rename(Spot::Temp(&temp.name), Spot::Path(&path("out/new"))));
    check(volume.exchange(&temp.name, &below));
    let stat = volume.stat(Spot::Path(&path("out"))).unwrap().unwrap();
    assert_eq!(stat.kind, FileKind::Symlink);
}

#[test]
fn a_volume_that_is_pulled_is_away_and_comes_back_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (root, pulled) = (dir.path().join("disk"), dir.path().join("pulled"));
    std::fs::create_dir(&root).unwrap();
    let volume = open(&root, None);
    volume.make_folder(&path("kept")).unwrap();
    std::fs::rename(&root, &pulled).unwrap();
    std::thread::sleep(LOOK_INTERVAL);
    let away = |state| matches!(state, VolumeState::Away { .. });
    assert!(away(volume.state()), "{:?}", volume.state());
    // An empty mount point in its place is not the volume either.
    std::fs::create_dir(&root).unwrap();
    std::thread::sleep(LOOK_INTERVAL);
    assert!(away(volume.state()), "{:?}", volume.state());
    let listed = volume.list(&path(""));
    assert!(
        matches!(listed, Err(VolumeError::Away { .. })),
        "{listed:?}"
    );
    assert!(
        !root.join(".cumulet").exists(),
        "nothing is made in a stranger's folder"
    );
    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(&pulled, &root).unwrap();
    std::thread::sleep(LOOK_INTERVAL);
    assert_eq!(volume.state(), VolumeState::Ready);
    assert_eq!(volume.list(&path("")).unwrap().len(), 1);
}

#[test]
fn a_volume_that_is_missing_at_the_start_opens_as_away() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("disk");
    std::fs::create_dir(&root).unwrap();
    let identity = open(&root, None).identity();
    assert!(identity.marked);
    let expect = |root: &Path| {
        let expect = Some(identity.clone());
        LocalVolume::open(root, Options { expect, mask: None }).unwrap()
    };
    assert_eq!(expect(&root).state(), VolumeState::Ready);
    std::fs::rename(&root, dir.path().join("moved")).unwrap();
    let absent = expect(&root);
    assert_eq!(
        absent.state(),
        VolumeState::Away {
            why: "its folder does not exist".into()
        }
    );
    // The marker makes it the same volume wherever it is mounted.
    assert_eq!(
        expect(&dir.path().join("moved")).state(),
        VolumeState::Ready
    );
    std::fs::create_dir(&root).unwrap();
    drop(open(&root, None));
    let VolumeState::Away { why } = expect(&root).state() else {
        panic!("a stranger was accepted")
    };
    assert!(why.starts_with("another volume ("), "{why}");
}

#[test]
fn a_full_disk_is_told_as_full() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let volume = open(dir.path(), None);
    let mut from = volume.temp().unwrap();
    std::io::Write::write_all(&mut from.file, b"x").unwrap();
    let name = volume.temp().unwrap().name;
    let copied = volume.copy(&from.file, &Temp { name, file: full });
    assert!(copied.unwrap_err().is_full());
}

#[test]
fn one_flush_of_a_small_file_is_cheap() {
    use std::io::Write as _;
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let volume = open(dir.path(), None);
    let mut times: Vec<Duration> = (0..50)
        .map(|_| {
            let mut temp = volume.temp().unwrap();
            temp.file.write_all(b"small").unwrap();
            let start = Instant::now();
            volume.flush(&temp.file).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("flush: median {:?}, worst {:?}", times[25], times[49]);
    assert!(times[25] < Duration::from_millis(100), "{:?}", times[25]);
}
