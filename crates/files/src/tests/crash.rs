//! Power cuts on a disk that loses what was not flushed: no acknowledged write is lost, no file is
//! torn, the catalog agrees with the disk, at whatever operation the cut comes, also in recovery.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use pool::model::ModelVolume;
use pool::{LocalVolume, Options};
use protocol::{EntryName, TreePath};

use super::oracle::{Oracle, Random, Real, Step};
use super::support::{ALICE, author, database, open, settings};
use crate::{At, Change, Conditions, EtagSet, Expect, Files, Op, Refusal, Space, VersionReason};

struct Machine {
    folder: tempfile::TempDir,
    disk: Arc<ModelVolume>,
    now: Arc<AtomicI64>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let volume = LocalVolume::open(&home, Options::default()).unwrap();
        Self {
            folder,
            disk: Arc::new(ModelVolume::new(volume)),
            now: Arc::new(AtomicI64::new(1_800_000_000_000)),
        }
    }

    fn home(&self) -> std::path::PathBuf {
        self.folder.path().join("home")
    }

    fn start(&self) -> Files {
        let db = database(self.folder.path());
        let disk: Arc<ModelVolume> = Arc::clone(&self.disk);
        open(db, disk, &self.now, settings()).0
    }

    /// Starts with the power failing again after some operations of recovery; then for good.
    fn start_with_cuts(&self, random: &mut Random) -> Files {
        for _ in 0..random.below(3) {
            self.disk.cut_power_after(random.below(8));
            let db = database(self.folder.path());
            let clock_now = Arc::clone(&self.now);
            let disk: Arc<ModelVolume> = Arc::clone(&self.disk);
            let clock = Arc::new(move || {
                protocol::Timestamp(clock_now.load(std::sync::atomic::Ordering::SeqCst))
            });
            let witness = Arc::new(crate::NoWitness);
            let opened = Files::open(db.clone(), disk, clock, witness, settings());
            drop(opened);
            db.close();
            self.disk.crash(random.below(u64::MAX));
        }
        self.start()
    }
}

fn stop(files: Files) {
    let db = files.0.db.clone();
    drop(files);
    db.close();
}

/// One life of the machine: steps until the power fails; the step under way may have happened or
/// not.
fn live(
    real: &Real<'_>,
    random: &mut Random,
    oracle: &mut Oracle,
    disk: &ModelVolume,
) -> (Oracle, Option<String>) {
    loop {
        let step = random.step();
        let mut after = oracle.clone();
        let possible = after.apply(&step);
        let got = real.take(&step);
        // Shown when the test fails.
        println!("{step:?}: {}", got.is_ok());
        if disk.is_off() {
            if got.is_ok() {
                *oracle = after.clone();
            }
            let after = if possible { after } else { oracle.clone() };
            // A copy of a tree is made entry by entry.
            let in_parts = match (step, got) {
                (Step::Copy(_, to), Err(_)) => Some(to),
                _ => None,
            };
            return (after, in_parts);
        }
        assert_eq!(got.is_ok(), possible, "{step:?}: {got:?}");
        *oracle = after;
    }
}

/// The tree is as before the last step or as after it. Of a tree copied to `in_parts` a part may be
/// there, and what it replaces in the trash.
fn check(found: &Oracle, before: &Oracle, (after, in_parts): &(Oracle, Option<String>), seed: u64) {
    if found == before || found == after {
        return;
    }
    let message = format!("seed {seed}\nfound {found:?}\nbefore {before:?}\nafter {after:?}");
    let to = in_parts.as_ref().unwrap_or_else(|| panic!("{message}"));
    let inside = |path: &str| path == to || path.starts_with(&format!("{to}/"));
    let outside = |tree: &Oracle| {
        let mut rest = tree.clone();
        rest.0.retain(|path, _| !inside(path));
        rest
    };
    assert_eq!(outside(found), outside(before), "{message}");
    let copied = found.0.iter().filter(|(path, _)| inside(path));
    for (path, content) in copied {
        assert_eq!(after.0.get(path), Some(content), "{path}: {message}");
    }
}

fn run(seed: u64, lives: usize) {
    println!("seed {seed}");
    let machine = Machine::new();
    let mut random = Random(seed);
    let mut oracle = Oracle::default();
    let mut files = machine.start();
    let name = EntryName::new("alice").unwrap();
    let space: Space = files.create_space(&name, ALICE).unwrap();
    for life in 0..lives {
        let real = Real {
            files: &files,
            space: &space,
        };
        machine.disk.cut_power_after(random.below(40));
        let after = live(&real, &mut random, &mut oracle, &machine.disk);
        stop(files);
        machine.disk.crash(random.below(u64::MAX));
        println!("life {life} ends");
        files = machine.start_with_cuts(&mut random);
        let real = Real {
            files: &files,
            space: &space,
        };
        let found = real.look();
        check(&found, &oracle, &after, seed);
        let on_disk = real.look_at_disk(&machine.home());
        assert_eq!(found, on_disk, "seed {seed} life {life}: catalog and disk");
        real.check(&found);
        assert_eq!(temps(&machine.home()), 0, "seed {seed}");
        oracle = found;
    }
    stop(files);
}

fn temps(home: &Path) -> usize {
    std::fs::read_dir(home.join(".cumulet/tmp"))
        .unwrap()
        .count()
}

/// A file system without one ordered journal keeps only what was flushed: the old version and the
/// deleted file lie on shelves of history, and their intents are gone.
#[test]
fn what_history_holds_is_flushed_before_its_intents_go() {
    for seed in 0..8 {
        let machine = Machine::new();
        machine.disk.lose_halves();
        let files = machine.start();
        let name = EntryName::new("alice").unwrap();
        let space = files.create_space(&name, ALICE).unwrap();
        let real = Real {
            files: &files,
            space: &space,
        };
        for step in [
            Step::Put("a".into(), b"one".to_vec()),
            Step::Put("b".into(), b"deleted".to_vec()),
            // Else small content that is displaced at once would have all of the disk flushed.
            Step::Settle,
            Step::Put("a".into(), b"two".to_vec()),
            Step::Delete("b".into()),
        ] {
            real.take(&step).unwrap();
        }
        files.settle().unwrap();
        stop(files);
        machine.disk.crash(seed);
        let files = machine.start();
        assert_eq!(files.trash(space.id).unwrap().len(), 1);
        assert_eq!(files.check(true).unwrap(), [], "seed {seed}");
        stop(files);
    }
}

/// The answer to a refused write does not promise a version that is not there.
#[test]
fn refused_content_that_cannot_be_flushed_is_not_called_kept() {
    let machine = Machine::new();
    let files = machine.start();
    let name = EntryName::new("alice").unwrap();
    let space = files.create_space(&name, ALICE).unwrap();
    let at = At {
        space: space.id,
        path: TreePath::parse("/f").unwrap(),
    };
    let put = |content: &[u8], if_match| {
        let mut staging = files.stage(&at).unwrap();
        staging.write_all(content).unwrap();
        let op = Op::new(Change::Put {
            content: staging.finish(Expect::default()).unwrap(),
            at: at.clone(),
            mtime: None,
            no_overwrite: false,
        });
        let conditions = Conditions {
            if_match,
            ..Conditions::default()
        };
        let mut answers = files.commit(&author(), vec![op.when(conditions)]);
        answers.pop().unwrap()
    };
    let first = put(b"one", None).unwrap().entry.unwrap();
    let second = put(b"two", None).unwrap().entry.unwrap();
    machine.disk.fail_flushes(true);
    let refused = put(b"loser", Some(EtagSet::OneOf(vec![first.etag()])));
    machine.disk.fail_flushes(false);
    let Err(Refusal::ConditionFailed { kept_version, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(!kept_version);
    let versions = files.versions(second.fid).unwrap();
    let is_refused = |version: &crate::Version| version.reason == VersionReason::Refused;
    assert!(!versions.iter().any(is_refused), "{versions:?}");
    assert_eq!(files.check(true).unwrap(), []);
    assert_eq!(temps(&machine.home()), 0);
    stop(files);
}

#[test]
fn power_cuts_lose_nothing_acknowledged_and_tear_nothing() {
    let seeds: u64 = std::env::var("CRASH_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(16);
    let first: u64 = std::env::var("CRASH_FIRST")
        .ok()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0);
    for seed in first..first + seeds {
        run(seed, 6);
    }
}
