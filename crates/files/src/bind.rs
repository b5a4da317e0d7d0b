//! Bound folders: an existing folder of the disk, served in place (R68).
//!
//! A bound folder is a volume of its own with its own `.cumulet`; in the tree it is a folder whose
//! `mount` names that volume. Where its top cannot be written to it has no `.cumulet` and is
//! read-only. It can be used at once: a folder that nobody has listed yet is read when somebody
//! looks into it, the rest in the background.
//!
//! Letting go of a bound folder removes its rows, never a file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use pool::{Identity, LocalVolume, Options, Spot, Volume, VolumeError, VolumeState};
use protocol::{Fid, VolumeId};
use rusqlite::{Connection, params};
use thiserror::Error;

use crate::apart::Ground;
use crate::log::ChangeOp;
use crate::record::{LogRow, Recorder, forget_rows, tree_bytes};
use crate::reserve::{Claims, Key};
use crate::row::{self, INDEXING, kind_number};
use crate::walk::{HOME, Spotted, Walk, last_name, walk, walk_up};
use crate::{Action, At, Author, Entry, Files, FilesError, Kind};

/// One bound folder.
#[derive(Debug, Clone)]
pub struct Bind {
    /// Its volume.
    pub volume: VolumeId,
    /// The folder in the tree.
    pub fid: Fid,
    /// Where that is.
    pub at: At,
    /// The folder on the disk.
    pub root: PathBuf,
    /// Whether it can be used now.
    pub state: VolumeState,
    /// All of its folders have been read at least once.
    pub indexed: bool,
}

/// Why a folder was not bound or let go.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The folder on the disk cannot be used.
    #[error("cannot bind {}", root.display())]
    Volume {
        /// The folder.
        root: PathBuf,
        /// Why.
        source: VolumeError,
    },
    /// It lies in, or holds, a folder that is served already.
    #[error("cannot bind {}: it overlaps {}, which is served already", root.display(), other.display())]
    Overlap {
        /// The folder.
        root: PathBuf,
        /// The one in the way.
        other: PathBuf,
    },
    /// It overlaps the node's own state, in which its keys lie.
    #[error(
        "cannot bind {}: it overlaps {}, where this node keeps its keys and its catalog",
        root.display(),
        state.display()
    )]
    State {
        /// The folder.
        root: PathBuf,
        /// The state folder.
        state: PathBuf,
    },
    /// It is a folder of the system; [`Files::bind_anyway`] does it.
    #[error("cannot bind {}: {system} belongs to the system of this computer", root.display())]
    System {
        /// The folder.
        root: PathBuf,
        /// The folder of the system that it is or lies in.
        system: &'static str,
    },
    /// The name in the tree is taken.
    #[error("cannot bind to `{0}`: something is there already")]
    Taken(String),
    /// The folder of the tree that should hold it is missing.
    #[error("cannot bind to `{0}`: the folder that should hold it does not exist")]
    NoParent(String),
    /// Not a bound folder.
    #[error("`{0}` is not a bound folder")]
    NotBound(String),
    /// Another bound folder lies below.
    #[error("another bound folder lies below `{0}`; unbind that one first")]
    Nested(String),
    /// Writers are busy there.
    #[error("writers are busy at `{0}`; try again")]
    Busy(String),
    /// Our fault.
    #[error(transparent)]
    Internal(#[from] FilesError),
}

impl From<database::DatabaseError> for BindError {
    fn from(error: database::DatabaseError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<rusqlite::Error> for BindError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl Files {
    /// Binds the folder `root` of the disk to the free place `at`.
    ///
    /// # Errors
    /// Refuses what overlaps another served folder or the node's own state, and folders of the
    /// system.
    pub fn bind(&self, root: &Path, at: &At, author: &Author) -> Result<Entry, BindError> {
        if let Some(system) = Ground::of(root).system() {
            // What can never be bound is told first: there nothing can be done about.
            self.check_apart(root)?;
            return Err(BindError::System {
                root: root.to_owned(),
                system,
            });
        }
        self.bind_anyway(root, at, author)
    }

    /// As [`Files::bind`], of folders of the system too.
    pub fn bind_anyway(&self, root: &Path, at: &At, author: &Author) -> Result<Entry, BindError> {
        let fail = |source| BindError::Volume {
            root: root.to_owned(),
            source,
        };
        let real = root.canonicalize().map_err(|source| {
            fail(VolumeError::Io {
                action: "open",
                at: root.display().to_string(),
                source,
            })
        })?;
        self.check_apart(&real)?;
        // Before anything is written into the folder.
        let found = self.0.db.read(|tx| walk(tx, at))?;
        free(found, at)?;
        let volume = LocalVolume::open(&real, Options::default()).map_err(fail)?;
        self.bind_volume(Arc::new(volume), at, author)
    }

    /// As [`Files::bind`], with a volume that is open already.
    pub fn bind_volume(
        &self,
        volume: Arc<dyn Volume>,
        at: &At,
        author: &Author,
    ) -> Result<Entry, BindError> {
        self.check_apart(volume.root())?;
        let slot = free(self.0.db.read(|tx| walk(tx, at))?, at)?;
        let name = last_name(at).map_err(|_| BindError::Taken(at.path.to_string()))?;
        let mut claims = Claims::default();
        claims.alone(Key::Slot(slot.row().fid, name.clone()));
        claims.shared(slot.fids());
        let wait = self.0.settings.wait;
        let reserved = self.0.reservations.claim(&claims, wait);
        let _reserved = reserved.ok_or_else(|| BindError::Busy(at.path.to_string()))?;
        let shadowed = self.readable(slot.volume).ok();
        let shadowed = shadowed.and_then(|v| v.stat(Spot::Path(&slot.path)).ok().flatten());
        if shadowed.is_some() {
            return Err(BindError::Taken(at.path.to_string()));
        }
        let (identity, root) = (volume.identity(), path_text(volume.root())?);
        let (at, author, now) = (at.clone(), author.clone(), self.now());
        let witness = Arc::clone(&self.0.witness);
        let (id, fid, news) = self.0.db.write(move |tx| {
            let slot = free(walk(tx, &at)?, &at)?;
            let id = insert_volume(tx, &identity, &root)?;
            let mut recorder = Recorder::new(tx, witness.as_ref(), now);
            let (parent, space) = (slot.row().fid, slot.row().space);
            let seq = recorder.seq(space, 0)?;
            tx.execute(
                "INSERT INTO entries (space, parent, name, kind, rev, mrev, size, mtime_ns, \
                 ctime_ns, created, inode, flags, mount, owner) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, ?6, 0, ?7, ?8, ?9, ?10, ?11)",
                params![
                    space.0,
                    parent.0,
                    name.as_str(),
                    kind_number(Kind::Folder),
                    seq.0,
                    row::nanos(now),
                    now.0,
                    identity.top_inode.cast_signed(),
                    INDEXING,
                    id.0,
                    author.account.map(|account| account.0),
                ],
            )?;
            let fid = Fid(tx.last_insert_rowid());
            tx.execute("UPDATE volumes SET mount = ?2 WHERE id = ?1", (id.0, fid.0))?;
            let change = LogRow {
                fid,
                op: ChangeOp::Created,
                parent: Some(parent),
                name: &name,
                old: None,
                account: author.account,
            };
            recorder.log(space, seq, seq, &change)?;
            recorder.bump(Some(parent), seq);
            let path = at.path.to_string();
            recorder.fact(&author, Action::Bind, space, fid, &path, None, Some(seq))?;
            Ok::<_, BindError>((id, fid, recorder.finish()?))
        })?;
        self.take_in(id, &volume)?;
        self.publish(news);
        let entry = self.entry(fid)?;
        entry.ok_or_else(|| FilesError::Unknown(format!("entry {fid}")).into())
    }

    /// Lets go of the folder bound to `at`; its files stay where they are, its versions and trash
    /// stay in its `.cumulet` and are forgotten here.
    pub fn unbind(&self, at: &At, author: &Author) -> Result<(), BindError> {
        let not_bound = || BindError::NotBound(at.path.to_string());
        let Walk::Found(spotted) = self.0.db.read(|tx| walk(tx, at))? else {
            return Err(not_bound());
        };
        let (fid, id) = (
            spotted.row().fid,
            spotted.row().mount.ok_or_else(not_bound)?,
        );
        let nested = self.0.db.read(|tx| holds_other_bind(tx, fid))?;
        if nested {
            return Err(BindError::Nested(at.path.to_string()));
        }
        let mut claims = Claims::default();
        claims.alone(Key::Entry(fid));
        if let Some(parent) = spotted.row().parent {
            claims.alone(Key::Slot(parent, spotted.row().name.clone()));
        }
        claims.shared(spotted.fids().into_iter().filter(|other| *other != fid));
        let wait = self.0.settings.wait;
        let reserved = self.0.reservations.claim(&claims, wait);
        let _reserved = reserved.ok_or_else(|| BindError::Busy(at.path.to_string()))?;
        // What writers were told is done has to be on the disk before its intents are forgotten.
        if let Ok(volume) = self.writable(id) {
            volume.sync_all().map_err(FilesError::from)?;
        }
        let (author, now, path) = (author.clone(), self.now(), at.path.to_string());
        let witness = Arc::clone(&self.0.witness);
        let news = self.0.db.write(move |tx| {
            let mut recorder = Recorder::new(tx, witness.as_ref(), now);
            let row = recorder.row(fid)?;
            let bytes = tree_bytes(tx, fid)?;
            recorder.remove_tree(&row, author.account, bytes)?;
            let rev = Some(row.rev);
            recorder.fact(&author, Action::Unbind, row.space, fid, &path, rev, None)?;
            forget_volume(tx, id)?;
            recorder.finish()
        })?;
        self.0.volumes.remove(id);
        let mut returning = self
            .0
            .returning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        returning.retain(|(other, _)| *other != id);
        drop(returning);
        self.publish(news);
        Ok(())
    }

    /// How many files and folders below a bound folder are known so far; takes time that grows with
    /// their number.
    pub fn bound_entries(&self, bind: &Bind) -> Result<u64, FilesError> {
        let top = bind.fid;
        self.0.db.read(|tx| {
            let sql = "WITH RECURSIVE tree (fid) AS (SELECT fid FROM entries WHERE parent = ?1 \
                 UNION ALL SELECT e.fid FROM entries e JOIN tree t ON e.parent = t.fid) \
                 SELECT count(*) FROM tree";
            let known: i64 = tx
                .prepare_cached(sql)?
                .query_row([top.0], |row| row.get(0))?;
            Ok::<_, FilesError>(u64::try_from(known).unwrap_or(0))
        })
    }

    /// All bound folders.
    pub fn binds(&self) -> Result<Vec<Bind>, FilesError> {
        let rows = self.0.db.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT id, mount, root, indexed FROM volumes WHERE mount IS NOT NULL ORDER BY id",
            )?;
            let rows: Vec<(VolumeId, Fid, String, bool)> = statement
                .query_map([], |row| {
                    let (id, mount) = (VolumeId(row.get(0)?), Fid(row.get(1)?));
                    Ok((id, mount, row.get(2)?, row.get(3)?))
                })?
                .collect::<Result<_, _>>()?;
            let mut placed = Vec::new();
            for row in rows {
                if let Some(spotted) = walk_up(tx, row.1)? {
                    placed.push((row, spotted.at()?));
                }
            }
            Ok::<_, FilesError>(placed)
        })?;
        Ok(rows
            .into_iter()
            .map(|((volume, fid, root, indexed), at)| Bind {
                volume,
                fid,
                at,
                root: root.into(),
                state: self.state_of(volume),
                indexed,
            })
            .collect())
    }

    fn state_of(&self, id: VolumeId) -> VolumeState {
        if let Some(volume) = self.0.volumes.get(id) {
            return volume.state();
        }
        let returning = self
            .0
            .returning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waiting = returning.iter().find(|(other, _)| *other == id);
        match waiting.map(|(_, volume)| volume.state()) {
            Some(away @ VolumeState::Away { .. }) => away,
            Some(VolumeState::Ready | VolumeState::ReadOnly { .. }) | None => VolumeState::Away {
                why: "it is not attached".into(),
            },
        }
    }

    /// Opens the volumes of all bound folders and finishes what a crash interrupted on them; one
    /// that is away is taken in when it comes back. To be called once after [`Files::open`].
    pub fn attach_binds(&self) -> Result<Vec<Bind>, FilesError> {
        let known = self.0.db.read(identities)?;
        for (id, root, identity) in known {
            if let Some(state) = self.state_in_the_way(&Ground::of(Path::new(&root))) {
                tracing::error!(%root, state = %state.display(), "a bound folder is not served: it overlaps the folder with the node's keys; unbind it or move the state");
                continue;
            }
            let options = Options {
                expect: Some(identity),
                mask: None,
            };
            let volume: Arc<dyn Volume> = Arc::new(LocalVolume::open(Path::new(&root), options)?);
            let mut returning = self
                .0
                .returning
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            returning.push((id, volume));
        }
        self.attach_returned()?;
        self.binds()
    }

    /// Takes in bound folders that were away at the start and are there now; gives their number.
    pub(crate) fn attach_returned(&self) -> Result<usize, FilesError> {
        let mut returning = self
            .0
            .returning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let here = |volume: &Arc<dyn Volume>| !matches!(volume.state(), VolumeState::Away { .. });
        let returned: Vec<_> = returning
            .extract_if(.., |(_, volume)| here(volume))
            .collect();
        drop(returning);
        for (id, volume) in &returned {
            self.take_in(*id, volume)?;
        }
        Ok(returned.len())
    }

    /// Recovers a volume, then lets readers and writers at it.
    fn take_in(&self, id: VolumeId, volume: &Arc<dyn Volume>) -> Result<(), FilesError> {
        if volume.state() == VolumeState::Ready {
            self.recover(id, volume)?;
        }
        let identity = volume.identity();
        self.0.db.write(move |tx| {
            tx.execute(
                "UPDATE volumes SET marked = ?2, file_system = ?3, top_inode = ?4 WHERE id = ?1",
                (
                    id.0,
                    identity.marked,
                    identity.file_system.cast_signed(),
                    identity.top_inode.cast_signed(),
                ),
            )?;
            Ok::<_, FilesError>(())
        })?;
        self.0.volumes.insert(id, Arc::clone(volume));
        self.note_unread();
        self.hint(id, None);
        Ok(())
    }

    /// Two volumes of which one lies in the other would serve a file twice; a volume that overlaps
    /// the state would serve the node's keys.
    fn check_apart(&self, root: &Path) -> Result<(), BindError> {
        let ground = Ground::of(root);
        let attached = self.0.volumes.all();
        let mut roots: Vec<PathBuf> = attached.iter().map(|(_, v)| v.root().to_owned()).collect();
        roots.extend(self.binds()?.into_iter().map(|bind| bind.root));
        if let Some(other) = roots.into_iter().find(|r| Ground::of(r).overlaps(&ground)) {
            return Err(BindError::Overlap {
                root: root.to_owned(),
                other,
            });
        }
        match self.state_in_the_way(&ground) {
            Some(state) => Err(BindError::State {
                root: root.to_owned(),
                state,
            }),
            None => Ok(()),
        }
    }

    /// The state folder, which holds the catalog, if `ground` overlaps it.
    fn state_in_the_way(&self, ground: &Ground) -> Option<PathBuf> {
        let state = self.0.db.path().parent()?;
        Ground::of(state).overlaps(ground).then(|| state.to_owned())
    }
}

/// The free place that a walk ended at.
fn free(found: Walk, at: &At) -> Result<Spotted, BindError> {
    let path = at.path.to_string();
    match found {
        Walk::Free(slot) if slot.row().kind == Kind::Folder => Ok(slot),
        Walk::Found(_) => Err(BindError::Taken(path)),
        Walk::Free(_) | Walk::NoSpace | Walk::NoParent { .. } | Walk::FileInTheWay => {
            Err(BindError::NoParent(path))
        }
    }
}

fn path_text(path: &Path) -> Result<String, BindError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| BindError::Volume {
        root: path.to_owned(),
        source: VolumeError::Io {
            action: "open",
            at: path.display().to_string(),
            source: std::io::Error::other("its path is not UTF-8"),
        },
    })
}

fn insert_volume(tx: &Connection, identity: &Identity, root: &str) -> Result<VolumeId, BindError> {
    let other: Option<String> = rusqlite::OptionalExtension::optional(tx.query_row(
        "SELECT root FROM volumes WHERE uuid = ?1",
        [identity.uuid.as_str()],
        |row| row.get(0),
    ))?;
    if let Some(other) = other {
        return Err(BindError::Overlap {
            root: root.into(),
            other: other.into(),
        });
    }
    tx.execute(
        "INSERT INTO volumes (uuid, root, marked, file_system, top_inode) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            identity.uuid.as_str(),
            root,
            identity.marked,
            identity.file_system.cast_signed(),
            identity.top_inode.cast_signed(),
        ),
    )?;
    Ok(VolumeId(tx.last_insert_rowid()))
}

fn identities(tx: &Connection) -> Result<Vec<(VolumeId, String, Identity)>, FilesError> {
    let mut statement = tx.prepare_cached(
        "SELECT id, root, uuid, marked, file_system, top_inode FROM volumes WHERE id <> ?1 \
         ORDER BY id",
    )?;
    let rows = statement.query_map([HOME.0], |row| {
        let uuid: String = row.get(2)?;
        let identity = Identity {
            uuid: uuid.parse().map_err(|error| row::bad_column(2, error))?,
            marked: row.get(3)?,
            file_system: row.get::<_, i64>(4)?.cast_unsigned(),
            top_inode: row.get::<_, i64>(5)?.cast_unsigned(),
        };
        Ok((VolumeId(row.get(0)?), row.get(1)?, identity))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn holds_other_bind(tx: &Connection, fid: Fid) -> Result<bool, FilesError> {
    let mut statement = tx.prepare_cached("SELECT mount FROM volumes WHERE mount IS NOT NULL")?;
    let mounts: Vec<Fid> = statement
        .query_map([], |row| row.get(0).map(Fid))?
        .collect::<Result<_, _>>()?;
    for mount in mounts.into_iter().filter(|mount| *mount != fid) {
        if walk_up(tx, mount)?.is_some_and(|spotted| spotted.fids().contains(&fid)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Forgets versions, trash and intents of a volume, and the volume.
fn forget_volume(tx: &Connection, id: VolumeId) -> Result<(), FilesError> {
    let mut statement = tx.prepare_cached("SELECT fid FROM trash WHERE volume = ?1")?;
    let trashed: Vec<Fid> = statement
        .query_map([id.0], |row| row.get(0).map(Fid))?
        .collect::<Result<_, _>>()?;
    for fid in trashed {
        forget_rows(tx, fid)?;
    }
    for sql in [
        "DELETE FROM trash WHERE volume = ?1",
        "DELETE FROM versions WHERE volume = ?1",
        "DELETE FROM intents WHERE volume = ?1",
        "DELETE FROM removals WHERE volume = ?1",
        "DELETE FROM volumes WHERE id = ?1",
    ] {
        tx.execute(sql, [id.0])?;
    }
    Ok(())
}
