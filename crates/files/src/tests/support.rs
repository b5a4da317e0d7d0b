//! A tree on a temporary volume with a clock that tests set.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use database::Database;
use pool::{LocalVolume, Options, Volume};
use protocol::{AccountId, EntryName, Timestamp, TreePath};

use crate::{
    At, Author, Change, Done, Entry, Expect, Files, NoWitness, Op, Recovery, Refusal, SCHEMA,
    Settings, Space, Staged,
};

pub(crate) const ALICE: AccountId = AccountId(1);

/// Noon of some day.
const START: i64 = 1_800_000_000_000;

pub(crate) struct Tree {
    pub(crate) files: Files,
    pub(crate) space: Space,
    pub(crate) recovery: Recovery,
    now: Arc<AtomicI64>,
    pub(crate) home: PathBuf,
    folder: tempfile::TempDir,
    settings: Settings,
}

pub(crate) fn settings() -> Settings {
    Settings {
        wait: Duration::from_secs(5),
        // Tests settle when they say so.
        settle: Duration::from_secs(3600),
        ..Settings::default()
    }
}

pub(crate) fn author() -> Author {
    Author {
        account: Some(ALICE),
        label: "alice".into(),
        via: "session".into(),
        address: None,
    }
}

pub(crate) fn open(
    db: Database,
    home: Arc<dyn Volume>,
    now: &Arc<AtomicI64>,
    settings: Settings,
) -> (Files, Recovery) {
    let clock = Arc::clone(now);
    let clock = Arc::new(move || Timestamp(clock.load(Ordering::SeqCst)));
    Files::open(db, home, clock, Arc::new(NoWitness), settings).unwrap()
}

pub(crate) fn database(folder: &std::path::Path) -> Database {
    Database::open(&folder.join("catalog.db"), &[("files", SCHEMA)]).unwrap()
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let now = Arc::new(AtomicI64::new(START));
        let volume = LocalVolume::open(&home, Options::default()).unwrap();
        let db = database(folder.path());
        let (files, recovery) = open(db, Arc::new(volume), &now, settings.clone());
        let name = EntryName::new("alice").unwrap();
        let space = files.create_space(&name, ALICE).unwrap();
        Self {
            files,
            space,
            recovery,
            now,
            home,
            folder,
            settings,
        }
    }

    /// Lets go of the tree as a process that died, and opens it again.
    pub(crate) fn reopen(self) -> Self {
        let Self {
            files,
            space,
            now,
            home,
            folder,
            settings,
            ..
        } = self;
        let db = files.0.db.clone();
        drop(files);
        db.close();
        drop(db);
        let volume = LocalVolume::open(&home, Options::default()).unwrap();
        let db = database(folder.path());
        let (files, recovery) = open(db, Arc::new(volume), &now, settings.clone());
        Self {
            files,
            space,
            recovery,
            now,
            home,
            folder,
            settings,
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap();
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.files.now()
    }

    pub(crate) fn at(&self, path: &str) -> At {
        At {
            space: self.space.id,
            path: TreePath::parse(path).unwrap(),
        }
    }

    pub(crate) fn staged(&self, path: &str, content: &[u8]) -> Staged {
        let mut staging = self.files.stage(&self.at(path)).unwrap();
        staging.write_all(content).unwrap();
        staging.finish(Expect::default()).unwrap()
    }

    pub(crate) fn try_put(&self, path: &str, content: &[u8]) -> Result<Done, Refusal> {
        let op = self.put_op(path, content)?;
        self.run(op)
    }

    pub(crate) fn put_op(&self, path: &str, content: &[u8]) -> Result<Op, Refusal> {
        let at = self.at(path);
        let mut staging = self.files.stage(&at)?;
        staging.write_all(content).unwrap();
        Ok(Op::new(Change::Put {
            content: staging.finish(Expect::default())?,
            at,
            mtime: None,
            no_overwrite: false,
        }))
    }

    pub(crate) fn put(&self, path: &str, content: &[u8]) -> Entry {
        self.try_put(path, content).unwrap().entry.unwrap()
    }

    pub(crate) fn mkdir(&self, path: &str) -> Entry {
        self.act(Change::MakeFolder { at: self.at(path) })
            .unwrap()
            .entry
            .unwrap()
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Done, Refusal> {
        self.act(Change::Delete { at: self.at(path) })
    }

    pub(crate) fn rename(&self, from: &str, to: &str, overwrite: bool) -> Result<Done, Refusal> {
        self.act(Change::Move {
            from: self.at(from),
            to: self.at(to),
            overwrite,
        })
    }

    pub(crate) fn copy(&self, from: &str, to: &str, overwrite: bool) -> Result<Done, Refusal> {
        self.act(Change::Copy {
            from: self.at(from),
            to: self.at(to),
            overwrite,
            deep: true,
        })
    }

    pub(crate) fn act(&self, change: Change) -> Result<Done, Refusal> {
        self.run(Op::new(change))
    }

    pub(crate) fn run(&self, op: Op) -> Result<Done, Refusal> {
        let mut answers = self.files.commit(&author(), vec![op]);
        assert_eq!(answers.len(), 1);
        answers.pop().unwrap()
    }

    pub(crate) fn entry(&self, path: &str) -> Option<Entry> {
        self.files.find(&self.at(path)).unwrap()
    }

    /// The content through the tree.
    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        let entry = self.entry(path).unwrap_or_else(|| panic!("no {path}"));
        let mut content = self.files.open_content(entry.fid).unwrap();
        let mut bytes = Vec::new();
        content.file.read_to_end(&mut bytes).unwrap();
        assert_eq!(content.entry.size, bytes.len() as u64);
        bytes
    }

    /// The place on the disk.
    pub(crate) fn disk(&self, path: &str) -> PathBuf {
        self.home.join("alice").join(path.trim_start_matches('/'))
    }

    /// Temporary files on the disk.
    pub(crate) fn temps(&self) -> usize {
        std::fs::read_dir(self.home.join(".cumulet/tmp"))
            .unwrap()
            .count()
    }

    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let fid = self.entry(path).unwrap().fid;
        let mut names = Vec::new();
        self.files
            .for_each_child(fid, true, &mut |entry, _, _| {
                names.push(entry.name.to_string());
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        names
    }

    pub(crate) fn used(&self) -> u64 {
        self.files.usage(self.space.id).unwrap().used
    }
}
