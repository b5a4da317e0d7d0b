//! Both ways of watching tell where to look.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use super::*;

/// A watcher of one fresh folder; `None` (with a line that says so) where it is not allowed.
fn watch(only_inotify: bool) -> Option<(tempfile::TempDir, Watcher)> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(".cumulet/tmp")).unwrap();
    fs::create_dir(dir.path().join("old")).unwrap();
    let options = WatchOptions {
        only_inotify,
        own_writes: true,
    };
    let watcher = Watcher::start(options).unwrap();
    let method = watcher.add(5, dir.path()).unwrap();
    if !only_inotify && method != Method::Fanotify {
        assert!(std::env::var_os("CI").is_none(), "CI must have fanotify");
        println!("skipped: fanotify needs CAP_SYS_ADMIN");
        return None;
    }
    assert_eq!(
        watcher.wait(Duration::from_secs(5)),
        [(5, vec![Hint::Everything])]
    );
    Some((dir, watcher))
}

/// Collects hints until `wanted` (folder, name) are all covered by a name or its folder.
fn expect(watcher: &Watcher, wanted: &[(&str, &str)]) {
    let mut missing: BTreeSet<_> = wanted.iter().copied().collect();
    let end = Instant::now() + Duration::from_secs(20);
    while !missing.is_empty() {
        assert!(Instant::now() < end, "no hint for {missing:?}");
        for (_, hints) in watcher.wait(Duration::from_millis(200)) {
            for hint in hints {
                let (at, named) = match &hint {
                    Hint::Names { folder, names } => (folder, Some(names)),
                    Hint::Folder(folder) => (folder, None),
                    Hint::Everything => return,
                };
                assert!(!at.to_string().contains(".cumulet"), "{hint:?}");
                missing.retain(|(folder, name)| {
                    at.to_string() != *folder || named.is_some_and(|n| !n.contains(*name))
                });
            }
        }
    }
}

fn sees_what_other_programs_do(only_inotify: bool) {
    let Some((dir, watcher)) = watch(only_inotify) else {
        return;
    };
    let at = |name: &str| dir.path().join(name);
    fs::write(at(".cumulet/tmp/x"), "ours").unwrap();
    fs::write(at("new"), "1").unwrap();
    expect(&watcher, &[("", "new")]);
    fs::write(at("old/deep"), "1").unwrap();
    expect(&watcher, &[("old", "deep")]);
    fs::write(at("old/deep"), "2").unwrap();
    expect(&watcher, &[("old", "deep")]);
    fs::create_dir_all(at("a/b")).unwrap();
    fs::write(at("a/b/c"), "1").unwrap();
    expect(&watcher, &[("", "a"), ("a/b", "c")]);
    fs::rename(at("a"), at("old/moved")).unwrap();
    expect(&watcher, &[("", "a"), ("old", "moved")]);
    fs::write(at("old/moved/b/d"), "1").unwrap();
    expect(&watcher, &[("old/moved/b", "d")]);
    fs::remove_file(at("new")).unwrap();
    expect(&watcher, &[("", "new")]);
    watcher.remove(5);
    fs::write(at("unwatched"), "1").unwrap();
    assert_eq!(watcher.wait(Duration::from_millis(300)), []);
}

#[test]
fn fanotify_sees_what_other_programs_do() {
    sees_what_other_programs_do(false);
}

#[test]
fn inotify_sees_what_other_programs_do() {
    sees_what_other_programs_do(true);
}

/// New folders with files in them at once, the case in which inotify is known to miss events.
fn misses_no_file_in_new_folders(only_inotify: bool) {
    let Some((dir, watcher)) = watch(only_inotify) else {
        return;
    };
    let names: Vec<String> = (0..60).map(|n| format!("n{n}")).collect();
    for name in &names {
        fs::create_dir(dir.path().join(name)).unwrap();
        for file in 0..50 {
            fs::write(dir.path().join(name).join(file.to_string()), "x").unwrap();
        }
    }
    let wanted: Vec<_> = names.iter().map(|name| (name.as_str(), "49")).collect();
    expect(&watcher, &wanted);
}

#[test]
fn fanotify_misses_no_file_in_new_folders() {
    misses_no_file_in_new_folders(false);
}

#[test]
fn inotify_misses_no_file_in_new_folders() {
    misses_no_file_in_new_folders(true);
}

#[test]
fn fanotify_leaves_out_our_own_writes() {
    let dir = tempfile::tempdir().unwrap();
    let watcher = Watcher::start(WatchOptions::default()).unwrap();
    if watcher.add(1, dir.path()).unwrap() != Method::Fanotify {
        println!("skipped: fanotify needs CAP_SYS_ADMIN");
        return;
    }
    watcher.wait(Duration::from_secs(5));
    fs::write(dir.path().join("ours"), "x").unwrap();
    let path = dir.path().join("theirs");
    let status = std::process::Command::new("touch").arg(path).status();
    assert!(status.unwrap().success());
    let hints = watcher.wait(Duration::from_secs(5));
    let names = BTreeSet::from(["theirs".to_owned()]);
    let folder = VolumePath::top();
    assert_eq!(hints, [(1, vec![Hint::Names { folder, names }])]);
}
