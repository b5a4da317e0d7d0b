//! A crash at each of the named points N1 to N6 of the commit, on a disk that loses what was not
//! flushed. A binary of its own: fail points hold for the whole process.
#![expect(clippy::unwrap_used, reason = "a test may fail at any step")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use database::Database;
use fail::FailScenario;
use files::{
    At, Author, Change, Expect, Files, NoWitness, Op, Recovery, Refusal, SCHEMA, Settings, Space,
};
use pool::model::ModelVolume;
use pool::{LocalVolume, Options};
use protocol::{AccountId, EntryName, Timestamp, TreePath};

/// So many crashes per point and change; `CRASH_SEEDS` sets another number.
const SEEDS: u64 = 8;

fn seeds() -> std::ops::Range<u64> {
    let more = std::env::var("CRASH_SEEDS").ok();
    0..more.and_then(|n| n.parse().ok()).unwrap_or(SEEDS)
}

struct Machine {
    folder: tempfile::TempDir,
    disk: Arc<ModelVolume>,
}

/// A running tree; letting go of it is the death of its process.
struct Node {
    files: Files,
    db: Database,
    space: Space,
    recovery: Recovery,
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
        }
    }

    fn start(&self) -> Node {
        let path = self.folder.path().join("catalog.db");
        let db = Database::open(&path, &[("files", SCHEMA)]).unwrap();
        let settings = Settings {
            settle: std::time::Duration::from_secs(3600),
            ..Settings::default()
        };
        let (files, recovery) = Files::open(
            db.clone(),
            Arc::clone(&self.disk) as Arc<dyn pool::Volume>,
            Arc::new(|| Timestamp(1_800_000_000_000)),
            Arc::new(NoWitness),
            settings,
        )
        .unwrap();
        let space = files
            .create_space(&EntryName::new("alice").unwrap(), AccountId(1))
            .unwrap();
        Node {
            files,
            db,
            space,
            recovery,
        }
    }

    fn crash(&self, node: Node, seed: u64) -> Node {
        let Node { files, db, .. } = node;
        drop(files);
        db.close();
        self.disk.crash(seed);
        self.start()
    }

    fn on_disk(&self) -> BTreeMap<String, Vec<u8>> {
        let top = self.folder.path().join("home/alice");
        let mut found = BTreeMap::new();
        let mut folders = vec![(top, String::new())];
        while let Some((folder, path)) = folders.pop() {
            for item in std::fs::read_dir(folder).unwrap() {
                let item = item.unwrap();
                let path = format!("{path}/{}", item.file_name().to_str().unwrap());
                if item.file_type().unwrap().is_dir() {
                    folders.push((item.path(), path));
                } else {
                    found.insert(path, std::fs::read(item.path()).unwrap());
                }
            }
        }
        found
    }

    fn temps(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("home/.cumulet/tmp"))
            .unwrap()
            .count()
    }
}

impl Node {
    fn at(&self, path: &str) -> At {
        At {
            space: self.space.id,
            path: TreePath::parse(path).unwrap(),
        }
    }

    fn put(&self, path: &str, content: &[u8]) -> Result<(), Refusal> {
        let at = self.at(path);
        let mut staging = self.files.stage(&at)?;
        staging.write_all(content).unwrap();
        let content = staging.finish(Expect::default())?;
        self.act(Change::Put {
            at,
            content,
            mtime: None,
            no_overwrite: false,
        })
    }

    fn act(&self, change: Change) -> Result<(), Refusal> {
        let author = Author {
            account: Some(AccountId(1)),
            label: "alice".into(),
            via: "test".into(),
            address: None,
        };
        let mut answers = self.files.commit(&author, vec![Op::new(change)]);
        answers.pop().unwrap().map(drop)
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let entry = self.files.find(&self.at(path)).unwrap()?;
        let mut bytes = Vec::new();
        let mut content = self.files.open_content(entry.fid).unwrap();
        content.file.read_to_end(&mut bytes).unwrap();
        assert_eq!(
            entry.hash.unwrap().0,
            *blake3::hash(&bytes).as_bytes(),
            "{path} is torn"
        );
        Some(bytes)
    }
}

/// The changes under way when the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Under {
    /// Content that its intent holds.
    Overwrite,
    Create,
    /// Content that is flushed by itself, and recorded after its renames.
    OverwriteLong,
    CreateLong,
    Move,
    Delete,
    MoveOver,
}

const ALL: [Under; 7] = [
    Under::Overwrite,
    Under::Create,
    Under::OverwriteLong,
    Under::CreateLong,
    Under::Move,
    Under::Delete,
    Under::MoveOver,
];

const NEW: &[u8] = b"the new content";

/// More than an intent holds.
const LONG: &[u8] = &[b'l'; 20_000];

/// `/d/f` holds "old" and `/d/g` "other", durable or at least acknowledged.
fn prepare(node: &Node, settled: bool) {
    node.act(Change::MakeFolder { at: node.at("/d") }).unwrap();
    node.act(Change::MakeFolder { at: node.at("/e") }).unwrap();
    node.put("/d/f", b"old").unwrap();
    node.put("/d/g", b"other").unwrap();
    if settled {
        node.files.settle().unwrap();
    }
}

fn act(node: &Node, under: Under) -> Result<(), Refusal> {
    let to = |path: &str, overwrite| Change::Move {
        from: node.at("/d/f"),
        to: node.at(path),
        overwrite,
    };
    match under {
        Under::Overwrite => node.put("/d/f", NEW),
        Under::Create => node.put("/d/new", NEW),
        Under::OverwriteLong => node.put("/d/f", LONG),
        Under::CreateLong => node.put("/d/new", LONG),
        Under::Move => node.act(to("/e/moved", false)),
        Under::MoveOver => node.act(to("/d/g", true)),
        Under::Delete => node.act(Change::Delete {
            at: node.at("/d/f"),
        }),
    }
}

fn expected(under: Option<Under>) -> BTreeMap<String, Vec<u8>> {
    let mut tree: BTreeMap<String, Vec<u8>> = [
        ("/d/f".into(), b"old".to_vec()),
        ("/d/g".into(), b"other".to_vec()),
    ]
    .into();
    let mut put = |path: &str, content: &[u8]| drop(tree.insert(path.into(), content.to_vec()));
    match under {
        None => {}
        Some(Under::Overwrite) => put("/d/f", NEW),
        Some(Under::Create) => put("/d/new", NEW),
        Some(Under::OverwriteLong) => put("/d/f", LONG),
        Some(Under::CreateLong) => put("/d/new", LONG),
        Some(Under::Delete) => drop(tree.remove("/d/f")),
        Some(Under::Move) => {
            let content = tree.remove("/d/f").unwrap();
            tree.insert("/e/moved".into(), content);
        }
        Some(Under::MoveOver) => {
            let content = tree.remove("/d/f").unwrap();
            tree.insert("/d/g".into(), content);
        }
    }
    tree
}

fn check(machine: &Machine, node: &Node, wanted: &BTreeMap<String, Vec<u8>>, what: &str) {
    assert_eq!(machine.on_disk(), *wanted, "{what}: disk");
    for path in ["/d/f", "/d/g", "/d/new", "/e/moved"] {
        assert_eq!(node.read(path), wanted.get(path).cloned(), "{what}: {path}");
    }
    assert_eq!(machine.temps(), 0, "{what}: temporary files");
}

/// Crashes at a fail point; `outcome` says whether the change is to be found after the restart.
fn crash_at(point: &str, happened: bool) {
    let scenario = FailScenario::setup();
    for seed in seeds() {
        for under in ALL {
            let machine = Machine::new();
            let node = machine.start();
            prepare(&node, seed % 2 == 0);
            fail::cfg(point, "panic").unwrap();
            let died = catch_unwind(AssertUnwindSafe(|| act(&node, under)));
            fail::remove(point);
            assert!(died.is_err(), "{point} was not passed by {under:?}");
            let mut node = machine.crash(node, seed);
            let wanted = expected(happened.then_some(under));
            let what = format!("{point} {under:?} seed {seed}");
            check(&machine, &node, &wanted, &what);
            node = machine.crash(node, seed + 1);
            assert_eq!(node.recovery.finished + node.recovery.undone, 0, "{what}");
            check(&machine, &node, &wanted, &what);
        }
    }
    scenario.teardown();
}

#[test]
fn n1_before_the_decision_nothing_has_happened() {
    crash_at("n1", false);
}

#[test]
fn n2_after_the_decision_the_change_is_finished() {
    crash_at("n2", true);
}

#[test]
fn n3_after_the_renames_the_change_is_finished() {
    crash_at("n3", true);
}

#[test]
fn n4_after_the_record_the_change_stays() {
    crash_at("n4", true);
}

#[test]
fn n2_a_decision_without_its_data_is_undone() {
    let scenario = FailScenario::setup();
    let mut damaged = 0;
    for seed in seeds() {
        for under in [Under::OverwriteLong, Under::CreateLong] {
            let machine = Machine::new();
            let node = machine.start();
            prepare(&node, true);
            fail::cfg("n2", "panic").unwrap();
            // The temporary file can still be made, the flush of its data fails.
            machine.disk.cut_power_after(1);
            let died = catch_unwind(AssertUnwindSafe(|| act(&node, under)));
            fail::remove("n2");
            assert!(died.is_err());
            let node = machine.crash(node, seed);
            let finished = node.recovery.finished == 1;
            damaged += usize::from(!finished);
            let wanted = expected(finished.then_some(under));
            check(&machine, &node, &wanted, &format!("{under:?} seed {seed}"));
        }
    }
    assert!(damaged > 0, "the disk never lost the data");
    scenario.teardown();
}

#[test]
fn n2_small_content_outlives_the_loss_of_its_file() {
    let scenario = FailScenario::setup();
    let mut repaired = 0;
    for seed in seeds() {
        for under in [Under::Overwrite, Under::Create] {
            let machine = Machine::new();
            let node = machine.start();
            prepare(&node, true);
            fail::cfg("n2", "panic").unwrap();
            let died = catch_unwind(AssertUnwindSafe(|| act(&node, under)));
            fail::remove("n2");
            assert!(died.is_err());
            let node = machine.crash(node, seed);
            repaired += node.recovery.repaired;
            let what = format!("{under:?} seed {seed}");
            check(&machine, &node, &expected(Some(under)), &what);
            // All of it is durable now: nothing is left to be repaired.
            let node = machine.crash(node, seed + 1);
            assert_eq!(node.recovery.repaired, 0, "{what}");
            check(&machine, &node, &expected(Some(under)), &what);
        }
    }
    assert!(repaired > 0, "the disk never lost a file");
    scenario.teardown();
}

/// Each acknowledged content is there after a crash, the last as the file, the others as versions.
fn check_chain(node: &Node, path: &str, contents: &[Vec<u8>], what: &str) {
    let entry = node.files.find(&node.at(path)).unwrap().unwrap();
    let (last, former) = contents.split_last().unwrap();
    assert_eq!(node.read(path).as_ref(), Some(last), "{what}");
    let versions = node.files.versions(entry.fid).unwrap();
    let mut found = Vec::new();
    for version in versions.iter().rev() {
        let mut file = node.files.open_version(entry.fid, version.rev).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(
            version.hash.unwrap().0,
            *blake3::hash(&bytes).as_bytes(),
            "{what}: a torn version"
        );
        found.push(bytes);
    }
    assert_eq!(found, former, "{what}");
}

#[test]
fn n5_small_contents_one_over_the_other_all_outlive_a_crash() {
    let scenario = FailScenario::setup();
    let mut repaired = 0;
    for seed in seeds() {
        let machine = Machine::new();
        let node = machine.start();
        node.act(Change::MakeFolder { at: node.at("/d") }).unwrap();
        let contents: Vec<Vec<u8>> = (0..5_u8)
            .map(|n| vec![b'a' + n; 1000 + 500 * usize::from(n)])
            .collect();
        for (n, content) in (0_u64..).zip(&contents) {
            node.put("/d/f", content).unwrap();
            if n == seed % 7 {
                node.files.settle().unwrap();
            }
        }
        // The crash comes while the next is written: recovery itself is interrupted too.
        machine.disk.cut_power();
        drop(node.put("/d/f", b"never"));
        let Node { files, db, .. } = node;
        drop(files);
        db.close();
        machine.disk.crash(seed);
        let point = ["renew", "recover"][usize::from(seed % 2 == 0)];
        fail::cfg(point, "panic").unwrap();
        let died = catch_unwind(AssertUnwindSafe(|| machine.start()));
        fail::remove(point);
        let node = match died {
            Ok(node) => node,
            Err(_) => {
                machine.disk.crash(seed + 1);
                machine.start()
            }
        };
        repaired += node.recovery.repaired;
        check_chain(&node, "/d/f", &contents, &format!("seed {seed}"));
        let node = machine.crash(node, seed + 2);
        check_chain(&node, "/d/f", &contents, &format!("seed {seed}, again"));
        assert_eq!(machine.temps(), 0);
    }
    assert!(repaired > 0, "the disk never lost a file");
    scenario.teardown();
}

#[test]
fn n5_small_content_below_a_folder_whose_move_was_lost_comes_back() {
    let scenario = FailScenario::setup();
    for seed in seeds() {
        let machine = Machine::new();
        let node = machine.start();
        prepare(&node, true);
        let to = node.at("/moved");
        let from = node.at("/d");
        node.act(Change::Move {
            from,
            to,
            overwrite: false,
        })
        .unwrap();
        node.put("/moved/f", NEW).unwrap();
        node.put("/moved/new", NEW).unwrap();
        let node = machine.crash(node, seed);
        for path in ["/moved/f", "/moved/new"] {
            assert_eq!(node.read(path).unwrap(), NEW, "{path} seed {seed}");
        }
        assert_eq!(node.read("/moved/g").unwrap(), b"other");
        assert_eq!(machine.temps(), 0);
    }
    scenario.teardown();
}

#[test]
fn n5_an_edit_by_another_program_after_the_answer_is_not_taken_for_damage() {
    let scenario = FailScenario::setup();
    for seed in seeds() {
        let machine = Machine::new();
        let node = machine.start();
        prepare(&node, true);
        node.put("/d/f", NEW).unwrap();
        let place = machine.folder.path().join("home/alice/d/f");
        let edited = b"edited in place by somebody else";
        std::fs::write(&place, edited).unwrap();
        // The process dies, the disk does not.
        let Node { files, db, .. } = node;
        drop(files);
        db.close();
        let node = machine.start();
        assert_eq!(std::fs::read(&place).unwrap(), edited, "seed {seed}");
        assert_eq!(node.recovery.repaired, 0);
    }
    scenario.teardown();
}

#[test]
fn n6_a_recorded_change_is_taken_back_by_a_newer_revision() {
    let scenario = FailScenario::setup();
    for under in [Under::Overwrite, Under::Create] {
        let machine = Machine::new();
        let node = machine.start();
        prepare(&node, true);
        let look = |path: &str| node.files.find(&node.at(path)).unwrap();
        let before = look("/d/f").unwrap();
        let used = node.files.usage(node.space.id).unwrap().used;
        let from = node.files.space("alice").unwrap().unwrap().seq;
        fail::cfg("n6", "return").unwrap();
        assert!(matches!(act(&node, under), Err(Refusal::DiskFull)));
        fail::remove("n6");
        let after = look("/d/f").unwrap();
        assert_eq!((after.size, after.hash), (before.size, before.hash));
        assert_eq!(node.files.usage(node.space.id).unwrap().used, used);
        assert_eq!(node.files.versions(after.fid).unwrap().len(), 0);
        assert!(look("/d/new").is_none());
        // One number for the change, one for what took it back.
        let now = node.files.space("alice").unwrap().unwrap().seq;
        assert_eq!(now.0, from.0 + 2, "{under:?}");
        if under == Under::Overwrite {
            assert!(after.rev > before.rev, "a revision was given twice");
        }
        assert_eq!(machine.temps(), 0);
        act(&node, under).unwrap();
        let node = machine.crash(node, 1);
        check(&machine, &node, &expected(Some(under)), "after it");
    }
    scenario.teardown();
}

#[test]
fn n5_after_the_answer_renames_are_done_again() {
    let scenario = FailScenario::setup();
    for seed in seeds() {
        for under in ALL {
            let machine = Machine::new();
            let node = machine.start();
            prepare(&node, seed % 2 == 0);
            act(&node, under).unwrap();
            if seed % 3 == 0 {
                // Flushed, but the intents are still there.
                fail::cfg("n5", "return").unwrap();
                node.files.settle().unwrap();
                fail::remove("n5");
            }
            let node = machine.crash(node, seed);
            assert!(node.recovery.redone > 0);
            let what = format!("{under:?} seed {seed}");
            check(&machine, &node, &expected(Some(under)), &what);
        }
    }
    scenario.teardown();
}

#[test]
fn n6_a_failing_rename_is_put_back_and_answered() {
    let scenario = FailScenario::setup();
    for seed in seeds() {
        for under in ALL {
            let machine = Machine::new();
            let node = machine.start();
            prepare(&node, seed % 2 == 0);
            fail::cfg("n6", "return").unwrap();
            let answer = act(&node, under);
            fail::remove("n6");
            assert!(matches!(answer, Err(Refusal::DiskFull)), "{answer:?}");
            let what = format!("{under:?} seed {seed}");
            check(&machine, &node, &expected(None), &what);
            let node = machine.crash(node, seed);
            check(&machine, &node, &expected(None), &what);
            // The next attempt works.
            act(&node, under).unwrap();
            check(&machine, &node, &expected(Some(under)), &what);
        }
    }
    scenario.teardown();
}

#[test]
fn a_crash_in_recovery_is_recovered_from() {
    let scenario = FailScenario::setup();
    for seed in seeds() {
        for under in ALL {
            let machine = Machine::new();
            let node = machine.start();
            prepare(&node, false);
            fail::cfg("n2", "panic").unwrap();
            let died = catch_unwind(AssertUnwindSafe(|| act(&node, under)));
            fail::remove("n2");
            assert!(died.is_err());
            let Node { files, db, .. } = node;
            drop(files);
            db.close();
            machine.disk.crash(seed);
            fail::cfg("recover", "panic").unwrap();
            let died = catch_unwind(AssertUnwindSafe(|| machine.start()));
            fail::remove("recover");
            assert!(died.is_err());
            machine.disk.crash(seed + 1);
            let node = machine.start();
            let what = format!("{under:?} seed {seed}");
            check(&machine, &node, &expected(Some(under)), &what);
        }
    }
    scenario.teardown();
}
