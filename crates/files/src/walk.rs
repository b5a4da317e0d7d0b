//! From a place in the tree to rows of the catalog and to a path on a volume, and back.
//!
//! One lookup per name. A bound folder starts a new volume: from there on the path on the disk
//! counts from that volume's top.

use protocol::{EntryName, Fid, SpaceId, TreePath, VolumeId};
use rusqlite::{Connection, OptionalExtension};

use pool::VolumePath;

use crate::reserve::Key;
use crate::row::{self, Row, TOP};
use crate::{At, FilesError, Kind, Refusal};

/// Where a walk along the names of a path ended.
#[derive(Debug)]
pub(crate) enum Walk {
    /// No such space.
    NoSpace,
    /// Something is there.
    Found(Spotted),
    /// The folder is there and the name in it is free; `chain` ends with the folder, `path` with
    /// the free name.
    Free(Spotted),
    /// The folder that should hold the target is missing: the first `depth` names lead to the
    /// missing one.
    NoParent { depth: usize },
    /// A file is where a folder should be.
    FileInTheWay,
}

/// Rows from the top of the space down, and the place on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Spotted {
    pub(crate) chain: Vec<Row>,
    pub(crate) volume: VolumeId,
    pub(crate) path: VolumePath,
}

impl Spotted {
    /// The innermost row.
    pub(crate) fn row(&self) -> &Row {
        self.chain.last().expect("a chain begins with the top")
    }

    /// What its writers have reserved: it and the folders above, and the name, which is all that the
    /// writer of a new entry has.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.fids().into_iter().map(Key::Entry).collect();
        let row = self.row();
        keys.extend(row.parent.map(|parent| Key::Slot(parent, row.name.clone())));
        keys
    }

    /// The numbers of the rows, top first.
    pub(crate) fn fids(&self) -> Vec<Fid> {
        self.chain.iter().map(|row| row.fid).collect()
    }

    /// Where the innermost row is in the tree.
    pub(crate) fn at(&self) -> Result<At, FilesError> {
        let names = self.chain[1..].iter().map(|row| row.name.clone()).collect();
        Ok(At {
            space: self.chain[0].space,
            path: TreePath::new(names)?,
        })
    }
}

/// Follows the path while it is built.
struct Follower {
    chain: Vec<Row>,
    volume: VolumeId,
    path: VolumePath,
}

/// The volume on which the spaces lie.
pub(crate) const HOME: VolumeId = VolumeId(1);

impl Follower {
    fn new() -> Self {
        Self {
            chain: Vec::new(),
            volume: HOME,
            path: VolumePath::top(),
        }
    }

    fn step(&mut self, row: Row) {
        match row.mount {
            Some(volume) => {
                self.volume = volume;
                self.path = VolumePath::top();
            }
            None => self.path = self.path.join(&row.name),
        }
        self.chain.push(row);
    }

    fn end(self) -> Spotted {
        Spotted {
            chain: self.chain,
            volume: self.volume,
            path: self.path,
        }
    }
}

/// Walks from the top of the space along the names.
pub(crate) fn walk(tx: &Connection, at: &At) -> Result<Walk, FilesError> {
    let Some(top) = top_of(tx, at.space)? else {
        return Ok(Walk::NoSpace);
    };
    let mut follower = Follower::new();
    let mut parent = top.fid;
    let mut kind = Kind::Folder;
    follower.step(top);
    let names = at.path.names();
    for (depth, name) in names.iter().enumerate() {
        if kind == Kind::File {
            return Ok(Walk::FileInTheWay);
        }
        match row::by_place(tx, parent, name.as_str())? {
            Some(row) => {
                (parent, kind) = (row.fid, row.kind);
                follower.step(row);
            }
            None if depth + 1 == names.len() => {
                follower.path = follower.path.join(name);
                return Ok(Walk::Free(follower.end()));
            }
            None => return Ok(Walk::NoParent { depth: depth + 1 }),
        }
    }
    Ok(Walk::Found(follower.end()))
}

/// Walks from an entry up to the top of its space; `None` if it is gone or in the trash.
pub(crate) fn walk_up(tx: &Connection, fid: Fid) -> Result<Option<Spotted>, FilesError> {
    let mut rows = Vec::new();
    let mut next = Some(fid);
    while let Some(fid) = next {
        let Some(row) = row::by_fid(tx, fid)? else {
            return Ok(None);
        };
        if rows.len() > protocol::PATH_DEPTH_MAX * 2 {
            return Err(FilesError::Inconsistent(format!(
                "entry {fid} lies deeper than any path, perhaps in a circle"
            )));
        }
        next = row.parent;
        rows.push(row);
    }
    if !rows.last().is_some_and(|top| top.is(TOP)) {
        return Ok(None);
    }
    let mut follower = Follower::new();
    rows.into_iter().rev().for_each(|row| follower.step(row));
    Ok(Some(follower.end()))
}

fn top_of(tx: &Connection, space: SpaceId) -> Result<Option<Row>, FilesError> {
    let root: Option<i64> = tx
        .prepare_cached("SELECT root FROM spaces WHERE id = ?1 AND retired = 0")?
        .query_row([space.0], |row| row.get(0))
        .optional()?;
    match root {
        Some(root) => Ok(row::by_fid(tx, Fid(root))?),
        None => Ok(None),
    }
}

impl Walk {
    /// What is there, or why nothing is.
    pub(crate) fn found(self, at: &At) -> Result<Spotted, Refusal> {
        match self {
            Self::Found(spotted) => Ok(spotted),
            Self::NoSpace | Self::Free(_) | Self::NoParent { .. } | Self::FileInTheWay => {
                let _ = at;
                Err(Refusal::NotFound)
            }
        }
    }

    /// What is there or could be, or why nothing can.
    pub(crate) fn slot(self, at: &At) -> Result<(Spotted, bool), Refusal> {
        match self {
            Self::Found(spotted) => Ok((spotted, true)),
            Self::Free(spotted) if spotted.row().kind == Kind::File => Err(Refusal::NotAFolder),
            Self::Free(spotted) => Ok((spotted, false)),
            Self::NoSpace => Err(Refusal::NotFound),
            Self::FileInTheWay => Err(Refusal::NotAFolder),
            Self::NoParent { depth } => Err(Refusal::ParentMissing(At {
                space: at.space,
                path: TreePath::new(at.path.names()[..depth].to_vec())?,
            })),
        }
    }
}

/// The last name of a path that is not a top.
pub(crate) fn last_name(at: &At) -> Result<EntryName, Refusal> {
    at.path.last().cloned().ok_or(Refusal::IsTop)
}
