//! What the tree should hold: a map from path to content, kept beside the real one.

use std::collections::BTreeMap;
use std::io::Read;

use super::support::author;
use crate::*;

/// Folders are `None`.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Oracle(pub(crate) BTreeMap<String, Option<Vec<u8>>>);

/// Content as its length and first byte.
impl std::fmt::Debug for Oracle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let brief = |content: &Option<Vec<u8>>| match content {
            None => "folder".to_owned(),
            Some(bytes) => format!("{} x {:?}", bytes.len(), bytes.first()),
        };
        f.debug_map()
            .entries(self.0.iter().map(|(path, content)| (path, brief(content))))
            .finish()
    }
}

/// One step of a random writer.
#[derive(Clone)]
pub(crate) enum Step {
    Put(String, Vec<u8>),
    MakeFolder(String),
    Delete(String),
    Move(String, String),
    Copy(String, String),
    Settle,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Put(path, content) => write!(f, "put {path} ({} bytes)", content.len()),
            Self::MakeFolder(path) => write!(f, "make folder {path}"),
            Self::Delete(path) => write!(f, "delete {path}"),
            Self::Move(from, to) => write!(f, "move {from} to {to}"),
            Self::Copy(from, to) => write!(f, "copy {from} to {to}"),
            Self::Settle => f.write_str("settle"),
        }
    }
}

/// A small generator of numbers that a seed repeats (Steele, Lea, Flood 2014: SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// One of few paths, so that steps meet each other.
    fn path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..=self.below(3) {
            path.push('/');
            path.push(char::from(b'a' + u8::try_from(self.below(3)).unwrap()));
        }
        path
    }

    pub(crate) fn step(&mut self) -> Step {
        match self.below(12) {
            0..=4 => {
                let len = self.below(3) * 3000 + self.below(50);
                let byte = u8::try_from(self.below(256)).unwrap();
                Step::Put(self.path(), vec![byte; usize::try_from(len).unwrap()])
            }
            5..=6 => Step::MakeFolder(self.path()),
            7 => Step::Delete(self.path()),
            8..=9 => Step::Move(self.path(), self.path()),
            10 => Step::Copy(self.path(), self.path()),
            _ => Step::Settle,
        }
    }
}

impl Oracle {
    fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || matches!(self.0.get(path), Some(None))
    }

    fn parent_is_folder(&self, path: &str) -> bool {
        self.is_folder(&path[..path.rfind('/').unwrap()])
    }

    fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        self.0
            .retain(|other, _| other != path && !other.starts_with(&below));
    }

    fn subtree(&self, path: &str, to: &str) -> Vec<(String, Option<Vec<u8>>)> {
        let below = format!("{path}/");
        self.0
            .iter()
            .filter(|(other, _)| *other == path || other.starts_with(&below))
            .map(|(other, content)| (format!("{to}{}", &other[path.len()..]), content.clone()))
            .collect()
    }

    /// True if the step is to succeed; then it is applied.
    pub(crate) fn apply(&mut self, step: &Step) -> bool {
        match step {
            Step::Put(path, content) => {
                if !self.parent_is_folder(path) || self.is_folder(path) {
                    return false;
                }
                self.0.insert(path.clone(), Some(content.clone()));
            }
            Step::MakeFolder(path) => {
                if !self.parent_is_folder(path) || self.0.contains_key(path) {
                    return false;
                }
                self.0.insert(path.clone(), None);
            }
            Step::Delete(path) => {
                if !self.0.contains_key(path) {
                    return false;
                }
                self.remove(path);
            }
            Step::Move(from, to) | Step::Copy(from, to) => {
                let inside = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}/"));
                if inside(from, to)
                    || inside(to, from)
                    || !self.0.contains_key(from)
                    || !self.parent_is_folder(to)
                {
                    return false;
                }
                let tree = self.subtree(from, to);
                self.remove(to);
                if matches!(step, Step::Move(..)) {
                    self.remove(from);
                }
                self.0.extend(tree);
            }
            Step::Settle => {}
        }
        true
    }
}

/// The real tree: one step, and all that it holds.
pub(crate) struct Real<'a> {
    pub(crate) files: &'a Files,
    pub(crate) space: &'a Space,
}

impl Real<'_> {
    pub(crate) fn at(&self, path: &str) -> At {
        At {
            space: self.space.id,
            path: protocol::TreePath::parse(path).unwrap(),
        }
    }

    pub(crate) fn take(&self, step: &Step) -> Result<(), Refusal> {
        let change = match step {
            Step::Put(path, content) => {
                let at = self.at(path);
                let mut staging = self.files.stage(&at)?;
                std::io::Write::write_all(&mut staging, content).map_err(|_| Refusal::DiskFull)?;
                Change::Put {
                    content: staging.finish(Expect::default())?,
                    at,
                    mtime: None,
                    no_overwrite: false,
                }
            }
            Step::MakeFolder(path) => Change::MakeFolder { at: self.at(path) },
            Step::Delete(path) => Change::Delete { at: self.at(path) },
            Step::Move(from, to) => Change::Move {
                from: self.at(from),
                to: self.at(to),
                overwrite: true,
            },
            Step::Copy(from, to) => Change::Copy {
                from: self.at(from),
                to: self.at(to),
                overwrite: true,
                deep: true,
            },
            Step::Settle => return self.files.settle().map_err(Refusal::Internal),
        };
        let mut answers = self.files.commit(&author(), vec![Op::new(change)]);
        answers.pop().unwrap().map(drop)
    }

    /// All entries with the content that readers get.
    pub(crate) fn look(&self) -> Oracle {
        let mut found = Oracle::default();
        self.look_into(self.space.root, "", &mut found);
        found
    }

    fn look_into(&self, folder: protocol::Fid, path: &str, found: &mut Oracle) {
        let mut children = Vec::new();
        self.files
            .for_each_child(folder, false, &mut |entry, _, _| {
                children.push(entry.clone());
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        for child in children {
            let path = format!("{path}/{}", child.name);
            if child.is_folder() {
                self.look_into(child.fid, &path, found);
                found.0.insert(path, None);
                continue;
            }
            let mut content = self
                .files
                .open_content(child.fid)
                .unwrap_or_else(|error| panic!("{path}: {error:?}"));
            assert_eq!(
                content.entry.etag(),
                child.etag(),
                "{path} is not as recorded"
            );
            let mut bytes = Vec::new();
            content.file.read_to_end(&mut bytes).unwrap();
            let hash = child.hash.unwrap();
            assert_eq!(hash.0, *blake3::hash(&bytes).as_bytes(), "{path} is torn");
            found.0.insert(path, Some(bytes));
        }
    }

    /// What lies on the disk, read without the catalog.
    pub(crate) fn look_at_disk(&self, home: &std::path::Path) -> Oracle {
        let mut found = Oracle::default();
        let top = home.join(self.space.name.as_str());
        let mut folders = vec![(top, String::new())];
        while let Some((folder, path)) = folders.pop() {
            for item in std::fs::read_dir(folder).unwrap() {
                let item = item.unwrap();
                let path = format!("{path}/{}", item.file_name().to_str().unwrap());
                if item.file_type().unwrap().is_dir() {
                    folders.push((item.path(), path.clone()));
                    found.0.insert(path, None);
                } else {
                    found
                        .0
                        .insert(path, Some(std::fs::read(item.path()).unwrap()));
                }
            }
        }
        found
    }

    /// The catalog agrees with itself: use, numbers, versions and trash with their files.
    pub(crate) fn check(&self, expected: &Oracle) {
        let bytes: usize = expected.0.values().flatten().map(Vec::len).sum();
        let used = self.files.usage(self.space.id).unwrap().used;
        assert_eq!(used, bytes as u64, "bytes in use");
        let space = self.files.space_by_id(self.space.id).unwrap().unwrap();
        let start = protocol::SyncToken {
            epoch: space.epoch,
            seq: protocol::Seq(0),
        };
        let all = self
            .files
            .changes(space.id, start, usize::MAX >> 1)
            .unwrap();
        let seqs: Vec<i64> = all.rows.iter().map(|row| row.seq.0).collect();
        let gapless: Vec<i64> = (1..=space.seq.0).collect();
        assert_eq!(seqs, gapless);
        self.files
            .0
            .db
            .read(|tx| {
                let mut rows =
                    tx.prepare("SELECT history FROM versions WHERE history <> '' UNION ALL SELECT history FROM trash")?;
                let names: Vec<String> = rows
                    .query_map([], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                let volume = self.files.0.volumes.get(crate::walk::HOME).unwrap();
                for name in names {
                    let name = pool::HistoryName::new(&name).unwrap();
                    let stat = volume.stat(pool::Spot::History(&name)).unwrap();
                    assert!(stat.is_some(), "{name} is missing in history");
                }
                Ok::<_, FilesError>(())
            })
            .unwrap();
    }
}

#[test]
fn random_steps_end_as_the_oracle_says() {
    for seed in 0..12 {
        let mut random = Random(seed);
        let mut oracle = Oracle::default();
        let tree = super::support::Tree::new();
        let real = Real {
            files: &tree.files,
            space: &tree.space,
        };
        for number in 0..150 {
            let step = random.step();
            let expected = oracle.apply(&step);
            let got = real.take(&step);
            assert_eq!(
                got.is_ok(),
                expected,
                "seed {seed} step {number} {step:?}: {got:?}"
            );
        }
        assert_eq!(real.look(), oracle, "seed {seed}");
        assert_eq!(real.look_at_disk(&tree.home), oracle, "seed {seed}");
        real.check(&oracle);
        assert_eq!(tree.temps(), 0);
    }
}
