//! Is the catalog true? Compares it with the disk, both ways, and with itself.
//!
//! Changes nothing. It can run beside writers: a difference counts only if it is still there after
//! a moment in which nobody of ours was at it. What another program did a moment ago and the
//! scanner has not seen yet is told as a difference, because it is one.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use pool::{FileKind, HistoryName, Spot, Volume, VolumeError, VolumePath};
use protocol::{EntryName, Fid, SpaceId, VolumeId};
use rusqlite::Connection;
use thiserror::Error;

use crate::reserve::Key;
use crate::row::{self, INDEXING, Row};
use crate::scan::{Difference, Folder, compare_name, ground, hash_at, on_disk};
use crate::walk::HOME;
use crate::{Files, FilesError, Kind};

/// How long a difference must last.
const MOMENT: Duration = Duration::from_millis(100);

/// A temporary file that was not touched for so long belongs to no upload.
const TEMP_AGE: Duration = Duration::from_secs(24 * 3600);

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Finding {
    /// In the catalog, not on the disk.
    #[error("missing on the disk: {path}")]
    Missing {
        /// Where.
        path: String,
    },
    /// On the disk, not in the catalog.
    #[error("not in the catalog: {path}")]
    Unknown {
        /// Where.
        path: String,
    },
    /// The disk has something else there.
    #[error("differs: {path}: {what}")]
    Differs {
        /// Where.
        path: String,
        /// How.
        what: String,
    },
    /// The content is not what its hash says.
    #[error("damaged: {path}: its content does not have its hash")]
    Damaged {
        /// Where.
        path: String,
    },
    /// A version or a thing in the trash whose file is gone.
    #[error("missing in history: {name} of file {fid}")]
    HistoryMissing {
        /// Its name in history.
        name: String,
        /// Whose.
        fid: Fid,
    },
    /// A file in history or among the temporary ones that nobody knows.
    #[error("left over: {path}")]
    LeftOver {
        /// Where.
        path: String,
    },
    /// The catalog contradicts itself.
    #[error("catalog of space {space}: {what}")]
    Catalog {
        /// In which space.
        space: SpaceId,
        /// How.
        what: String,
    },
    /// A folder or volume could not be read.
    #[error("could not be read: {path}: {why}")]
    Unread {
        /// Where.
        path: String,
        /// Why.
        why: String,
    },
}

/// How far a check is. Only grows; another thread may look at it.
#[derive(Debug, Default)]
pub struct CheckCount {
    entries: AtomicU64,
    bytes: AtomicU64,
}

impl CheckCount {
    /// Files and folders of the disk that were compared.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Bytes of content that were read; 0 unless the check is deep.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Files {
    /// Compares catalog and disk; empty is clean. `deep` reads all content and compares hashes.
    pub fn check(&self, deep: bool) -> Result<Vec<Finding>, FilesError> {
        self.check_counting(deep, &CheckCount::default())
    }

    /// The same, and counts in `count` what was done so far.
    pub fn check_counting(
        &self,
        deep: bool,
        count: &CheckCount,
    ) -> Result<Vec<Finding>, FilesError> {
        let mut findings = Vec::new();
        let mut volumes = vec![(HOME, None)];
        let binds = self.binds()?;
        volumes.extend(binds.into_iter().map(|bind| (bind.volume, Some(bind.root))));
        for (id, root) in volumes {
            match self.readable(id) {
                Ok(volume) => self.check_volume(id, &volume, deep, count, &mut findings)?,
                Err(why) => findings.push(Finding::Unread {
                    path: root.map_or("the home volume".into(), |r| r.display().to_string()),
                    why,
                }),
            }
        }
        findings.extend(self.0.db.read(catalog)?);
        Ok(findings)
    }

    fn check_volume(
        &self,
        id: VolumeId,
        volume: &Arc<dyn Volume>,
        deep: bool,
        count: &CheckCount,
        findings: &mut Vec<Finding>,
    ) -> Result<(), FilesError> {
        let top = volume.stat(Spot::Path(&VolumePath::top()))?;
        let mut check = Check {
            files: self,
            volume: volume.as_ref(),
            device: top.map_or(0, |stat| stat.device),
            deep,
            count,
            findings,
        };
        let mut folders = self.0.db.read(|tx| ground::tops(tx, id))?;
        while let Some(fid) = folders.pop() {
            if let Some(folder) = self.0.db.read(|tx| ground::folder(tx, id, fid))? {
                folders.extend(check.folder(&folder)?);
            }
        }
        check.history(id)?;
        check.temps(id)
    }
}

struct Check<'a> {
    files: &'a Files,
    volume: &'a dyn Volume,
    device: u64,
    deep: bool,
    count: &'a CheckCount,
    findings: &'a mut Vec<Finding>,
}

impl Check<'_> {
    /// Checks one folder; gives the folders in it.
    fn folder(&mut self, folder: &Folder) -> Result<Vec<Fid>, FilesError> {
        if folder.row.is(INDEXING) {
            // Nobody has looked into it yet, so nothing is claimed about it, unless nobody can.
            match self.volume.list(&folder.path) {
                Ok(_) | Err(VolumeError::NotFound { .. }) => {}
                Err(error) => self.findings.push(Finding::Unread {
                    path: self.told(&folder.path),
                    why: error.to_string(),
                }),
            }
            return Ok(Vec::new());
        }
        let items = match self.volume.list(&folder.path) {
            Ok(items) => items,
            Err(VolumeError::NotFound { .. }) => {
                self.findings.push(Finding::Missing {
                    path: self.told(&folder.path),
                });
                return Ok(Vec::new());
            }
            Err(error) => {
                self.findings.push(Finding::Unread {
                    path: self.told(&folder.path),
                    why: error.to_string(),
                });
                return Ok(Vec::new());
            }
        };
        let listed = u64::try_from(items.len()).unwrap_or(u64::MAX);
        self.count.entries.fetch_add(listed, Ordering::Relaxed);
        let fid = folder.row.fid;
        let hashed = if self.deep {
            self.files.0.db.read(|tx| ground::hashed_files(tx, fid))?
        } else {
            Vec::new()
        };
        let device = self.device;
        let compare = |tx: &_| ground::compare_folder(tx, fid, items, device);
        let mut compared = self.files.0.db.read(compare)?;
        // A new mode is nothing wrong, and content is looked at below.
        let touched = |difference: &Difference| matches!(difference, Difference::Touched { .. });
        compared
            .differences
            .retain(|difference| !touched(difference));
        if !compared.differences.is_empty() {
            std::thread::sleep(MOMENT);
        }
        let mut differing = HashSet::new();
        for difference in compared.differences {
            let name = difference.name();
            if let Some(difference) = self.again(folder, name)? {
                differing.insert(name.clone());
                let path = self.told(&folder.path.join(name));
                self.findings.push(finding(&difference, path));
            }
        }
        for row in hashed.iter().filter(|row| !differing.contains(&row.name)) {
            self.content(folder, row)?;
        }
        Ok(compared.folders)
    }

    /// Compares one name once more.
    fn again(&self, folder: &Folder, name: &EntryName) -> Result<Option<Difference>, FilesError> {
        let fid = folder.row.fid;
        let mut keys: Vec<Key> = folder.chain.iter().copied().map(Key::Entry).collect();
        keys.push(Key::Slot(fid, name.clone()));
        let wait = self.files.0.settings.wait;
        self.files.0.reservations.wait_free(&keys, wait);
        let row = self
            .files
            .0
            .db
            .read(|tx| Ok::<_, FilesError>(row::by_place(tx, fid, name.as_str())?))?;
        if let Some(row) = &row {
            self.files
                .0
                .reservations
                .wait_free(&[Key::Entry(row.fid), Key::Slot(fid, name.clone())], wait);
        }
        let stat = self.volume.stat(Spot::Path(&folder.path.join(name)))?;
        let difference = compare_name(name, row, on_disk(stat, self.device));
        Ok(difference.filter(|difference| !matches!(difference, Difference::Touched { .. })))
    }

    fn content(&mut self, folder: &Folder, row: &Row) -> Result<(), FilesError> {
        let path = folder.path.join(&row.name);
        let Some(stat) = self.volume.stat(Spot::Path(&path))? else {
            return Ok(());
        };
        let hash = hash_at(self.volume, Spot::Path(&path), &stat);
        self.count.bytes.fetch_add(stat.size, Ordering::Relaxed);
        // A file that was written meanwhile is another one's matter.
        if row.agrees(&stat) && hash.is_some() && hash != row.hash {
            self.findings.push(Finding::Damaged {
                path: self.told(&path),
            });
        }
        Ok(())
    }

    /// Compares history with the versions and the trash.
    fn history(&mut self, id: VolumeId) -> Result<(), FilesError> {
        let (kept, in_work) = self.files.0.db.read(|tx| known_history(tx, id))?;
        let mut known: HashSet<&str> = in_work.iter().map(String::as_str).collect();
        for (name, fid) in &kept {
            known.insert(name);
            let there = match HistoryName::new(name) {
                Ok(name) => self.volume.stat(Spot::History(&name)),
                Err(_) => Ok(None),
            };
            // A volume that cannot be written to has no history and no versions.
            if there?.is_none() {
                self.findings.push(Finding::HistoryMissing {
                    name: name.clone(),
                    fid: *fid,
                });
            }
        }
        let items = match self.volume.list_history(None) {
            Ok(items) => items,
            Err(VolumeError::ReadOnly { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for item in items {
            let name = item.name.to_string_lossy().into_owned();
            if known.contains(name.as_str()) {
                continue;
            }
            match HistoryName::new(&name) {
                Ok(shelf) if item.stat.kind == FileKind::Folder => {
                    self.shelf(&shelf, &known)?;
                }
                Ok(_) | Err(_) => self.left_over("history", &name),
            }
        }
        Ok(())
    }

    fn shelf(&mut self, shelf: &HistoryName, known: &HashSet<&str>) -> Result<(), FilesError> {
        for item in self.volume.list_history(Some(shelf))? {
            let name = format!("{shelf}/{}", item.name.to_string_lossy());
            if !known.contains(name.as_str()) {
                self.left_over("history", &name);
            }
        }
        Ok(())
    }

    fn temps(&mut self, id: VolumeId) -> Result<(), FilesError> {
        let temps = match self.volume.temps() {
            Ok(temps) => temps,
            Err(VolumeError::ReadOnly { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let owned: HashSet<String> = self.files.0.db.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT source FROM intents WHERE volume = ?1 AND source_kind = 1",
            )?;
            let names = statement.query_map([id.0], |row| row.get(0))?;
            Ok::<_, FilesError>(names.collect::<Result<_, _>>()?)
        })?;
        for temp in temps {
            let stat = self.volume.stat(Spot::Temp(&temp))?;
            let old = stat.is_some_and(|stat| age(stat.ctime_ns) > TEMP_AGE);
            if old && !owned.contains(temp.as_str()) {
                self.left_over("tmp", temp.as_str());
            }
        }
        Ok(())
    }

    fn left_over(&mut self, place: &str, name: &str) {
        let path = self.volume.root().join(".cumulet").join(place).join(name);
        self.findings.push(Finding::LeftOver {
            path: path.display().to_string(),
        });
    }

    fn told(&self, path: &VolumePath) -> String {
        self.volume
            .root()
            .join(path.as_path())
            .display()
            .to_string()
    }
}

fn age(ctime_ns: i64) -> Duration {
    let then = Duration::from_nanos(u64::try_from(ctime_ns).unwrap_or(0));
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH + then)
        .unwrap_or_default()
}

fn finding(difference: &Difference, path: String) -> Finding {
    match difference {
        Difference::New { .. } => Finding::Unknown { path },
        Difference::Gone { .. } => Finding::Missing { path },
        Difference::Changed { row, stat } | Difference::Touched { row, stat } => Finding::Differs {
            what: match (row.kind, stat.kind) {
                (Kind::File, FileKind::File) if row.size != stat.size => {
                    format!("{} bytes, the catalog says {}", stat.size, row.size)
                }
                (Kind::File, FileKind::File) if row.mtime_ns != stat.mtime_ns => {
                    "another time of change".into()
                }
                (Kind::File, FileKind::File) | (Kind::Folder, FileKind::Folder) => {
                    "another file or folder of that name".into()
                }
                (Kind::File, _) => "the catalog says it is a file".into(),
                (Kind::Folder, _) => "the catalog says it is a folder".into(),
            },
            path,
        },
    }
}

type Known = (Vec<(String, Fid)>, Vec<String>);

/// Names in history that the catalog counts on, and those that changes and removals under way
/// may use.
fn known_history(tx: &Connection, id: VolumeId) -> Result<Known, FilesError> {
    let mut statement = tx.prepare_cached(
        "SELECT history, fid FROM versions WHERE volume = ?1 AND history <> '' \
         UNION ALL SELECT history, fid FROM trash WHERE volume = ?1",
    )?;
    let kept = statement
        .query_map([id.0], |row| Ok((row.get(0)?, Fid(row.get(1)?))))?
        .collect::<Result<_, _>>()?;
    let mut statement = tx.prepare_cached(
        "SELECT history FROM intents WHERE volume = ?1 AND history IS NOT NULL \
             UNION ALL SELECT history FROM removals WHERE volume = ?1",
    )?;
    let in_work = statement
        .query_map([id.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok((kept, in_work))
}

/// What must hold inside of the catalog, each as a query that counts the exceptions.
const RULES: [(&str, &str); 5] = [
    (
        "entries have a revision newer than the space",
        "SELECT count(*) FROM entries e JOIN spaces s ON s.id = e.space \
         WHERE s.id = ?1 AND max(e.rev, e.mrev) > s.seq",
    ),
    (
        "entries are newer than the folder that holds them",
        "SELECT count(*) FROM entries c JOIN entries p ON p.fid = c.parent \
         WHERE c.space = ?1 AND c.rev > p.rev",
    ),
    (
        "numbers of the change log are missing",
        "SELECT abs(max(0, seq - floor) - (SELECT count(*) FROM changes \
         WHERE space = ?1 AND seq > s.floor)) FROM spaces s WHERE id = ?1",
    ),
    (
        "entries have no folder",
        "SELECT count(*) FROM entries e WHERE e.space = ?1 AND e.parent IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM entries p WHERE p.fid = e.parent)",
    ),
    (
        "bytes differ between the files and the use counted for the quota",
        "WITH RECURSIVE tree (fid, size) AS (SELECT e.fid, e.size FROM entries e JOIN spaces s \
         ON s.root = e.fid WHERE s.id = ?1 UNION ALL SELECT e.fid, e.size FROM entries e \
         JOIN tree t ON e.parent = t.fid) \
         SELECT abs((SELECT used FROM spaces WHERE id = ?1) - (SELECT sum(size) FROM tree))",
    ),
];

fn catalog(tx: &Connection) -> Result<Vec<Finding>, FilesError> {
    let mut statement = tx.prepare_cached("SELECT id FROM spaces")?;
    let spaces: Vec<i64> = statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut findings = Vec::new();
    for space in spaces {
        for (what, sql) in RULES {
            let count: i64 = tx
                .prepare_cached(sql)?
                .query_row([space], |row| row.get(0))?;
            if count != 0 {
                findings.push(Finding::Catalog {
                    space: SpaceId(space),
                    what: format!("{count} {what}"),
                });
            }
        }
    }
    Ok(findings)
}
