//! Behavior of the writer thread, the readers and the schema on a real file.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const TABLE: &[Migration] = &[Migration {
    name: "1 numbers",
    sql: "CREATE TABLE numbers (n INTEGER PRIMARY KEY)",
}];

fn open(folder: &tempfile::TempDir) -> Database {
    Database::open(&folder.path().join("catalog.db"), &[("test", TABLE)]).unwrap()
}

fn insert(database: &Database, n: i64) -> Result<usize, DatabaseError> {
    database.write(move |c| Ok(c.execute("INSERT INTO numbers VALUES (?1)", [n])?))
}

fn count(database: &Database) -> i64 {
    database
        .read(|c| {
            Ok::<_, DatabaseError>(c.query_row("SELECT count(*) FROM numbers", [], |r| r.get(0))?)
        })
        .unwrap()
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    insert(&database, 1).unwrap();
    database.close();
    assert!(matches!(insert(&database, 2), Err(DatabaseError::Closed)));
    assert_eq!(count(&open(&folder)), 1);
}

#[test]
fn a_refused_job_takes_nothing_of_its_neighbours_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let pending: Vec<_> = (0..100)
        .map(|n| {
            database.write_later(move |c| {
                c.execute("INSERT INTO numbers VALUES (?1)", [n])?;
                if n % 3 == 0 {
                    Err(DatabaseError::Busy(std::time::Duration::ZERO))
                } else {
                    Ok(())
                }
            })
        })
        .collect();
    let kept = pending.into_iter().filter_map(|p| p.wait().ok()).count();
    assert_eq!((kept, count(&database)), (66, 66));
}

#[test]
fn a_panicking_job_is_an_error_and_the_thread_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let result: Result<(), DatabaseError> = database.write(|c| {
        c.execute("INSERT INTO numbers VALUES (1)", [])?;
        panic!("on purpose")
    });
    assert!(matches!(result, Err(DatabaseError::Panicked)));
    insert(&database, 2).unwrap();
    assert_eq!(count(&database), 1);
}

#[test]
fn many_writers_share_flushes() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let done = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for writer in 0..16i64 {
            let (database, done) = (database.clone(), done.clone());
            scope.spawn(move || {
                for n in 0..50 {
                    insert(&database, writer * 1000 + n).unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!((done.load(Ordering::Relaxed), count(&database)), (800, 800));
}

#[test]
fn a_reader_keeps_its_snapshot_while_writers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    insert(&database, 1).unwrap();
    let seen = database
        .read(|c| {
            let look = || c.query_row("SELECT count(*) FROM numbers", [], |r| r.get::<_, i64>(0));
            let before = look()?;
            insert(&database, 2)?;
            Ok::<_, DatabaseError>((before, look()?))
        })
        .unwrap();
    assert_eq!(seen, (1, 1));
    assert_eq!(count(&database), 2);
}

#[test]
fn a_reader_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let result: Result<usize, DatabaseError> =
        database.read(|c| Ok(c.execute("INSERT INTO numbers VALUES (1)", [])?));
    assert!(result.is_err());
    assert_eq!(count(&database), 0);
}

#[test]
fn a_file_of_a_newer_version_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).close();
    let error = Database::open(&folder.path().join("catalog.db"), &[("test", &[])])
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("`1 numbers` of `test`"),
        "{error}"
    );
}

#[test]
fn the_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let mode = std::fs::metadata(database.path())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_backup_is_a_whole_database() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    insert(&database, 5).unwrap();
    let copy = folder.path().join("copy.db");
    database.backup_to(&copy).unwrap();
    assert_eq!(
        count(&Database::open(&copy, &[("test", TABLE)]).unwrap()),
        1
    );
}
