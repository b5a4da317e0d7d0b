//! One row of `entries`, and the few statements that read rows.

use protocol::{EntryName, Fid, Hash, Seq, SpaceId, Timestamp, VolumeId};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow};

use pool::FileStat;

use crate::{Entry, EntryState, Kind};

/// Made by a lock, still empty.
pub(crate) const PLACEHOLDER: u8 = 1;
/// Hash or children not read yet.
pub(crate) const INDEXING: u8 = 2;
/// Has dead properties.
pub(crate) const HAS_PROPS: u8 = 4;
/// The top folder of a space.
pub(crate) const TOP: u8 = 8;

/// The columns that [`Row::decode`] reads, in its order.
pub(crate) const COLUMNS: &str = "fid, space, parent, name, kind, rev, mrev, size, mtime_ns, \
    ctime_ns, created, inode, hash, flags, mount";

/// An entry with what we know of its file on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) fid: Fid,
    pub(crate) space: SpaceId,
    pub(crate) parent: Option<Fid>,
    pub(crate) name: EntryName,
    pub(crate) kind: Kind,
    pub(crate) rev: Seq,
    pub(crate) mrev: Seq,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) ctime_ns: i64,
    pub(crate) created: Timestamp,
    pub(crate) inode: u64,
    pub(crate) hash: Option<Hash>,
    pub(crate) flags: u8,
    pub(crate) mount: Option<VolumeId>,
}

impl Row {
    pub(crate) fn decode(row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            fid: Fid(row.get(0)?),
            space: SpaceId(row.get(1)?),
            parent: row.get::<_, Option<i64>>(2)?.map(Fid),
            name: name_at(row, 3)?,
            kind: kind_of(row.get(4)?),
            rev: Seq(row.get(5)?),
            mrev: Seq(row.get(6)?),
            size: row.get::<_, i64>(7)?.cast_unsigned(),
            mtime_ns: row.get(8)?,
            ctime_ns: row.get(9)?,
            created: Timestamp(row.get(10)?),
            inode: row.get::<_, i64>(11)?.cast_unsigned(),
            hash: row.get::<_, Option<[u8; 32]>>(12)?.map(Hash),
            flags: row.get(13)?,
            mount: row.get::<_, Option<i64>>(14)?.map(VolumeId),
        })
    }

    pub(crate) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The entry as others see it; `away` if its volume cannot be read.
    pub(crate) fn into_entry(self, away: bool) -> Entry {
        Entry {
            state: match (away, self.is(INDEXING)) {
                (true, _) => EntryState::Away,
                (false, true) => EntryState::Indexing,
                (false, false) => EntryState::Ready,
            },
            placeholder: self.is(PLACEHOLDER),
            fid: self.fid,
            space: self.space,
            parent: self.parent,
            name: self.name,
            kind: self.kind,
            rev: self.rev,
            mrev: self.mrev,
            size: self.size,
            mtime: millis(self.mtime_ns),
            created: self.created,
            hash: self.hash,
            mount: self.mount,
        }
    }

    /// True if `stat` is the file that this row describes.
    pub(crate) fn agrees(&self, stat: &FileStat) -> bool {
        same_file(self.kind, self.inode, self.size, self.mtime_ns, stat)
    }
}

/// True if `stat` is the file or folder that the catalog describes by these values.
pub(crate) fn same_file(kind: Kind, inode: u64, size: u64, mtime_ns: i64, stat: &FileStat) -> bool {
    match (kind, stat.kind) {
        (Kind::File, pool::FileKind::File) => {
            stat.inode == inode && stat.size == size && stat.mtime_ns == mtime_ns
        }
        (Kind::Folder, pool::FileKind::Folder) => stat.inode == inode,
        (
            Kind::File | Kind::Folder,
            pool::FileKind::File
            | pool::FileKind::Folder
            | pool::FileKind::Symlink
            | pool::FileKind::Other,
        ) => false,
    }
}

/// Nanoseconds of a file system as an instant.
pub(crate) fn millis(ns: i64) -> Timestamp {
    Timestamp(ns.div_euclid(1_000_000))
}

/// An instant as a file system stores it; saturates.
pub(crate) fn nanos(at: Timestamp) -> i64 {
    at.0.saturating_mul(1_000_000)
}

pub(crate) fn kind_of(number: i64) -> Kind {
    if number == 0 {
        Kind::File
    } else {
        Kind::Folder
    }
}

pub(crate) fn kind_number(kind: Kind) -> i64 {
    match kind {
        Kind::File => 0,
        Kind::Folder => 1,
    }
}

/// Reads a name; a bad one means a damaged catalog.
pub(crate) fn name_at(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<EntryName> {
    let text = row.get_ref(column)?.as_str()?;
    EntryName::new(text).map_err(|error| bad_column(column, error))
}

pub(crate) fn bad_column(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// The row of an entry, in the tree or in the trash.
pub(crate) fn by_fid(tx: &Connection, fid: Fid) -> rusqlite::Result<Option<Row>> {
    tx.prepare_cached(const_str::SELECT_FID)?
        .query_row([fid.0], Row::decode)
        .optional()
}

/// The row of a name in a folder.
pub(crate) fn by_place(tx: &Connection, parent: Fid, name: &str) -> rusqlite::Result<Option<Row>> {
    tx.prepare_cached(const_str::SELECT_PLACE)?
        .query_row((parent.0, name), Row::decode)
        .optional()
}

/// Whole statements, so that looking one up in the cache builds no text.
mod const_str {
    pub(super) const SELECT_FID: &str = "SELECT fid, space, parent, name, kind, rev, mrev, size, \
        mtime_ns, ctime_ns, created, inode, hash, flags, mount FROM entries WHERE fid = ?1";
    pub(super) const SELECT_PLACE: &str = "SELECT fid, space, parent, name, kind, rev, mrev, size, \
        mtime_ns, ctime_ns, created, inode, hash, flags, mount FROM entries \
        WHERE parent = ?1 AND name = ?2";
}
