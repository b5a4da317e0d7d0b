//! Power cuts on a disk that loses what was not flushed: no acknowledged write is lost, no file is
//! torn, the catalog agrees with the disk, at whatever operation the cut comes, also in recovery.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use pool::model::ModelVolume;
use pool::{LocalVolume, Options};
use protocol::EntryName;

use super::oracle::{Oracle, Random, Real, Step};
use super::support::{ALICE, database, open, settings};
use crate::{Files, Space};

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
