//! What is kept, how long, and that nothing of it is left behind.

use std::time::Duration;

use super::support::*;
use crate::*;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn history_files(tree: &Tree) -> usize {
    let shelves = std::fs::read_dir(tree.home.join(".cumulet/history")).unwrap();
    shelves
        .map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap().count())
        .sum()
}

#[test]
fn versions_and_trash_go_after_thirty_days_with_their_files() {
    let tree = Tree::new();
    tree.mkdir("/d");
    tree.put("/d/f", b"1");
    tree.put("/d/f", b"2");
    tree.put("/g", b"1");
    tree.put("/g", b"2");
    tree.delete("/d").unwrap();
    assert_eq!(history_files(&tree), 3);
    tree.pass(29 * DAY);
    let report = tree.files.retention_pass(tree.now()).unwrap();
    assert_eq!(report, RetentionReport::default());
    tree.pass(2 * DAY);
    let report = tree.files.retention_pass(tree.now()).unwrap();
    assert_eq!((report.versions, report.trashed), (2, 1));
    assert_eq!(history_files(&tree), 0);
    assert!(tree.files.trash(tree.space.id).unwrap().is_empty());
    assert_eq!(tree.read("/g"), b"2");
}

#[test]
fn older_versions_are_thinned_to_one_an_hour_then_one_a_day() {
    let tree = Tree::new();
    let file = tree.put("/f", b"0");
    for round in 0..48 {
        tree.put("/f", format!("{round}").as_bytes());
        tree.pass(HOUR / 4);
    }
    assert_eq!(tree.files.versions(file.fid).unwrap().len(), 48);
    tree.files.retention_pass(tree.now()).unwrap();
    let left = tree.files.versions(file.fid).unwrap().len();
    assert!((14..=18).contains(&left), "{left} after 12 hours");
    tree.pass(2 * DAY);
    tree.files.retention_pass(tree.now()).unwrap();
    let left = tree.files.versions(file.fid).unwrap();
    assert!((1..=2).contains(&left.len()), "{left:?}");
    assert_eq!(history_files(&tree), left.len());
    assert_eq!(tree.read("/f"), b"47");
}

#[test]
fn where_room_is_short_the_oldest_goes_first() {
    let tree = Tree::with(Settings {
        keep_percent_of_free: 0,
        ..settings()
    });
    tree.put("/f", b"1");
    tree.put("/f", b"2");
    tree.delete("/f").unwrap();
    let report = tree.files.retention_pass(tree.now()).unwrap();
    assert_eq!((report.versions, report.trashed, report.bytes), (1, 1, 2));
    assert_eq!(history_files(&tree), 0);
}

#[test]
fn purging_removes_a_thing_for_good() {
    let tree = Tree::new();
    tree.mkdir("/d");
    tree.put("/d/f", b"1");
    tree.put("/d/f", b"2");
    let trash_id = tree.delete("/d").unwrap().trash_id.unwrap();
    tree.files.purge(trash_id).unwrap();
    assert_eq!(history_files(&tree), 0);
    assert!(matches!(
        tree.act(Change::Restore { trash_id, to: None }),
        Err(Refusal::NotFound)
    ));
    assert!(tree.files.purge(trash_id).is_err());
    let left: i64 = tree
        .files
        .0
        .db
        .read(|tx| {
            tx.query_row(
                "SELECT (SELECT count(*) FROM entries) + (SELECT count(*) FROM versions)",
                [],
                |row| row.get(0),
            )
            .map_err(FilesError::from)
        })
        .unwrap();
    assert_eq!(left, 1, "the top alone");
}

#[test]
fn settled_changes_leave_no_intents() {
    let tree = Tree::new();
    tree.mkdir("/d");
    tree.put("/d/f", b"1");
    tree.put("/d/f", b"2");
    let intents = || -> i64 {
        let count = tree.files.0.db.read(|tx| {
            tx.query_row("SELECT count(*) FROM intents", [], |row| row.get(0))
                .map_err(FilesError::from)
        });
        count.unwrap()
    };
    assert_eq!(intents(), 2);
    tree.rename("/d/f", "/g", false).unwrap();
    assert_eq!(intents(), 1, "a move settles what was written before");
    tree.files.settle().unwrap();
    assert_eq!(intents(), 0);
}

#[test]
fn what_is_written_to_a_disk_that_can_be_pulled_is_on_it_and_not_in_the_catalog() {
    let tree = Tree::new();
    let disk = tempfile::tempdir().unwrap();
    let place = tree.at("/Photos");
    tree.files.bind(disk.path(), &place, &author()).unwrap();
    tree.put("/at-home", b"small");
    tree.put("/Photos/away", b"small");
    let held = tree.files.0.db.read(|tx| {
        let mut statement = tx.prepare("SELECT path, content IS NOT NULL FROM intents")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok::<Vec<(String, bool)>, FilesError>(rows.collect::<Result<_, _>>()?)
    });
    let expected = [("/at-home", true), ("/Photos/away", false)];
    assert_eq!(
        held.unwrap(),
        expected.map(|(path, held)| (path.to_owned(), held))
    );
}

#[test]
fn readers_see_whole_content_while_writers_replace_it() {
    use std::io::Read;
    let tree = Tree::new();
    tree.put("/f", &[0; 10_000]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (tree, stop) = (&tree, &stop);
            scope.spawn(move || {
                let fid = tree.entry("/f").unwrap().fid;
                while !stop.load(order) {
                    let mut content = tree.files.open_content(fid).unwrap();
                    let mut bytes = Vec::new();
                    content.file.read_to_end(&mut bytes).unwrap();
                    let hash = content.entry.hash.unwrap();
                    assert_eq!(hash.0, *blake3::hash(&bytes).as_bytes());
                }
            });
        }
        for round in 1..60_u8 {
            tree.put("/f", &vec![round; usize::from(round) * 200]);
            if round % 10 == 0 {
                tree.rename("/f", "/tmp", false).unwrap();
                tree.rename("/tmp", "/f", false).unwrap();
            }
            if round == 59 {
                stop.store(true, order);
            }
        }
    });
    assert!(
        tree.files
            .versions(tree.entry("/f").unwrap().fid)
            .unwrap()
            .iter()
            .all(|version| version.reason == VersionReason::Overwritten)
    );
}

fn check_is_clean(tree: &Tree) {
    assert_eq!(tree.files.check(true).unwrap(), []);
}

#[test]
fn what_was_restored_since_a_pass_took_its_list_stays() {
    let tree = Tree::new();
    tree.mkdir("/d");
    tree.put("/d/f", b"1");
    tree.put("/d/f", b"2");
    let trash_id = tree.delete("/d").unwrap().trash_id.unwrap();
    let fid = tree.files.trash(tree.space.id).unwrap()[0].fid;
    tree.act(Change::Restore { trash_id, to: None }).unwrap();
    let listed = [crate::erase::Kept::Trash { id: trash_id, fid }];
    assert_eq!(tree.files.take_out(&listed).unwrap(), [false]);
    assert!(tree.files.purge(trash_id).is_err());
    tree.files.finish_removals().unwrap();
    assert_eq!(tree.read("/d/f"), b"2");
    let file = tree.entry("/d/f").unwrap().fid;
    assert_eq!(tree.files.versions(file).unwrap().len(), 1);
    assert_eq!(history_files(&tree), 1);
    check_is_clean(&tree);
}

#[test]
fn a_folder_that_is_restored_and_purged_at_once_comes_back_whole_or_not_at_all() {
    let tree = Tree::new();
    let mut ends = [0, 0];
    for round in 0..12_u64 {
        let top = format!("/d{round}");
        tree.mkdir(&top);
        for file in 0..40 {
            tree.put(&format!("{top}/{file}"), b"precious");
        }
        let trash_id = tree.delete(&top).unwrap().trash_id.unwrap();
        let restored = std::thread::scope(|scope| {
            let files = &tree.files;
            let purge = scope.spawn(move || files.purge(trash_id));
            std::thread::sleep(Duration::from_micros(200 * round));
            let restored = tree.act(Change::Restore { trash_id, to: None }).is_ok();
            assert_ne!(purge.join().unwrap().is_ok(), restored, "one of the two");
            restored
        });
        ends[usize::from(restored)] += 1;
        let there = tree.disk(&top).read_dir().map_or(0, Iterator::count);
        assert_eq!(there, if restored { 40 } else { 0 });
        assert_eq!(tree.entry(&top).is_some(), restored);
    }
    println!("purged and restored: {ends:?}");
    check_is_clean(&tree);
    let usage = tree.files.usage(tree.space.id).unwrap().used;
    assert_eq!(usage, ends[1] * 40 * 8);
}

#[test]
fn nothing_is_purged_while_a_restore_has_it() {
    let tree = Tree::with(Settings {
        wait: Duration::from_millis(20),
        keep_percent_of_free: 0,
        ..settings()
    });
    tree.put("/f", b"1");
    let trash_id = tree.delete("/f").unwrap().trash_id.unwrap();
    let fid = tree.files.trash(tree.space.id).unwrap()[0].fid;
    let held = tree.files.reserve_entry(fid, Duration::ZERO).unwrap();
    assert!(matches!(
        tree.files.purge(trash_id),
        Err(FilesError::Busy(_))
    ));
    let report = tree.files.retention_pass(tree.now()).unwrap();
    assert_eq!(report, RetentionReport::default());
    assert_eq!(history_files(&tree), 1);
    drop(held);
    assert_eq!(tree.files.retention_pass(tree.now()).unwrap().trashed, 1);
    assert_eq!(history_files(&tree), 0);
}

#[test]
fn a_removal_that_a_crash_cut_is_finished_at_the_next_start() {
    let tree = Tree::new();
    tree.mkdir("/d");
    tree.put("/d/f", b"1");
    tree.put("/d/f", b"2");
    let trash_id = tree.delete("/d").unwrap().trash_id.unwrap();
    let fid = tree.files.trash(tree.space.id).unwrap()[0].fid;
    let listed = [crate::erase::Kept::Trash { id: trash_id, fid }];
    assert_eq!(tree.files.take_out(&listed).unwrap(), [true]);
    check_is_clean(&tree);
    let tree = tree.reopen();
    assert!(matches!(
        tree.act(Change::Restore { trash_id, to: None }),
        Err(Refusal::NotFound)
    ));
    assert_eq!(history_files(&tree), 2);
    tree.files.finish_removals().unwrap();
    assert_eq!(history_files(&tree), 0);
    check_is_clean(&tree);
}

/// A disk is looked at once in a second.
fn look_again() {
    std::thread::sleep(Duration::from_millis(1100));
}

#[test]
fn a_disk_that_is_away_does_not_keep_others_from_their_turn() {
    let tree = Tree::with(Settings {
        keep_percent_of_free: 0,
        ..settings()
    });
    let outer = tempfile::tempdir().unwrap();
    let disk = outer.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    tree.files
        .bind(&disk, &tree.at("/disk"), &author())
        .unwrap();
    tree.put("/disk/f", b"1");
    tree.put("/disk/f", b"2");
    tree.files.settle().unwrap();
    tree.put("/f", b"1");
    tree.put("/f", b"2");
    // A change that waits for its flush when the disk is pulled.
    tree.put("/disk/f", b"3");
    let pulled = outer.path().join("pulled");
    std::fs::rename(&disk, &pulled).unwrap();
    std::fs::create_dir(&disk).unwrap();
    look_again();
    let report = tree.files.retention_pass(tree.now()).unwrap();
    assert_eq!(report.versions, 1, "{report:?}");
    assert_eq!(report.skipped.len(), 1, "{report:?}");
    assert_eq!(history_files(&tree), 0);
    std::fs::remove_dir(&disk).unwrap();
    std::fs::rename(&pulled, &disk).unwrap();
    look_again();
    let report = tree.files.retention_pass(tree.now()).unwrap();
    assert_eq!(
        (report.versions, report.skipped.len()),
        (2, 0),
        "{report:?}"
    );
}
