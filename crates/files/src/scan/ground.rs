//! Where a folder of the catalog lies on the disk, and the reverse.

use pool::{Item, VolumePath};
use protocol::{EntryName, Fid, VolumeId};
use rusqlite::{Connection, OptionalExtension};

use super::compare::{Compared, compare};
use crate::row::{self, COLUMNS, Row};
use crate::walk::{HOME, walk_up};
use crate::{FilesError, Kind};

/// A folder of the catalog and its place.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) row: Row,
    pub(crate) path: VolumePath,
    /// It and all above it, as reservations name them.
    pub(crate) chain: Vec<Fid>,
}

/// The folder of that number, if it is in the tree and on this volume.
pub(crate) fn folder(
    tx: &Connection,
    volume: VolumeId,
    fid: Fid,
) -> Result<Option<Folder>, FilesError> {
    let Some(spotted) = walk_up(tx, fid)? else {
        return Ok(None);
    };
    let row = spotted.row().clone();
    if spotted.volume != volume || row.kind != Kind::Folder {
        return Ok(None);
    }
    Ok(Some(Folder {
        chain: spotted.fids(),
        path: spotted.path,
        row,
    }))
}

/// Compares what lies in a folder on the disk with its rows.
pub(crate) fn compare_folder(
    tx: &Connection,
    folder: Fid,
    items: Vec<Item>,
    device: u64,
) -> Result<Compared, FilesError> {
    let sql = format!("SELECT {COLUMNS} FROM entries WHERE parent = ?1 ORDER BY name");
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map([folder.0], Row::decode)?;
    Ok(compare(items, rows, device)?)
}

/// The files of a folder whose content has a hash.
pub(crate) fn hashed_files(tx: &Connection, folder: Fid) -> Result<Vec<Row>, FilesError> {
    let sql = format!("SELECT {COLUMNS} FROM entries WHERE parent = ?1 AND hash IS NOT NULL");
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map([folder.0], Row::decode)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The folders of the catalog at which a volume begins: the tops of the spaces, or the bound one.
pub(crate) fn tops(tx: &Connection, volume: VolumeId) -> Result<Vec<Fid>, FilesError> {
    let sql = if volume == HOME {
        "SELECT root FROM spaces WHERE retired = 0 AND ?1 = ?1"
    } else {
        "SELECT mount FROM volumes WHERE id = ?1 AND mount IS NOT NULL"
    };
    let mut statement = tx.prepare_cached(sql)?;
    let fids = statement.query_map([volume.0], |row| row.get(0).map(Fid))?;
    Ok(fids.collect::<Result<_, _>>()?)
}

/// The innermost folder of a path that the catalog knows, and the first name below it that it does
/// not; `None` if the path belongs to no space.
pub(crate) fn nearest(
    tx: &Connection,
    volume: VolumeId,
    path: &VolumePath,
) -> Result<Option<(Fid, Option<EntryName>)>, FilesError> {
    let mut names = path.as_path().iter().map(|name| {
        EntryName::from_bytes(name.as_encoded_bytes())
            .map_err(|_| FilesError::Inconsistent(format!("`{path}` holds what is no name")))
    });
    let top: Option<i64> = if volume == HOME {
        let Some(space) = names.next().transpose()? else {
            return Ok(None);
        };
        tx.prepare_cached("SELECT root FROM spaces WHERE name = ?1 AND retired = 0")?
            .query_row([space.as_str()], |row| row.get(0))
            .optional()?
    } else {
        tx.prepare_cached("SELECT mount FROM volumes WHERE id = ?1")?
            .query_row([volume.0], |row| row.get(0))
            .optional()?
            .flatten()
    };
    let Some(mut at) = top.map(Fid) else {
        return Ok(None);
    };
    for name in names {
        let name = name?;
        match row::by_place(tx, at, name.as_str())? {
            Some(row) if row.kind == Kind::Folder && row.mount.is_none() => at = row.fid,
            Some(_) | None => return Ok(Some((at, Some(name)))),
        }
    }
    Ok(Some((at, None)))
}

/// Entries of this volume that the catalog knows by this inode, with where it believes them.
pub(crate) fn by_inode(
    tx: &Connection,
    volume: VolumeId,
    kind: Kind,
    inode: u64,
) -> Result<Vec<(Row, VolumePath)>, FilesError> {
    let sql = format!("SELECT {COLUMNS} FROM entries WHERE inode = ?1");
    let mut statement = tx.prepare_cached(&sql)?;
    let rows: Vec<Row> = statement
        .query_map([inode.cast_signed()], Row::decode)?
        .collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for row in rows {
        if row.kind != kind || row.mount.is_some() || row.parent.is_none() {
            continue;
        }
        if let Some(spotted) = walk_up(tx, row.fid)?
            && spotted.volume == volume
        {
            found.push((row, spotted.path));
        }
    }
    Ok(found)
}
