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
