//! Intents: what a change is about to do on the disk, written down before it is done.
//!
//! An open intent was decided (transaction A) and perhaps carried out in part; a done one is in the
//! catalog, its renames perhaps not yet on the disk. Each names the files by inode, so that recovery
//! can tell how far it came. An intent concerns one volume.
//!
//! A written intent brings small content: it is done from the start and holds the content itself, so
//! that the flush of the write-ahead log that makes its record durable makes the content durable too.

use std::net::IpAddr;
use std::sync::Arc;

use protocol::{AccountId, EntryName, Fid, Hash, Seq, SpaceId, Timestamp, VolumeId};
use rusqlite::{Connection, Row as SqlRow, params};

use pool::{Folder, HistoryName, TempName, VolumePath};

use crate::row::{bad_column, kind_number, kind_of, name_at};
use crate::{Action, Author, FilesError, Kind};

/// What comes to the target.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Nothing: a delete.
    Nothing,
    /// A received file.
    Temp {
        name: TempName,
        inode: u64,
        size: u64,
        mtime_ns: i64,
        hash: Hash,
    },
    /// A folder that is made there.
    NewFolder,
    /// A file or folder from elsewhere on the same volume.
    Path { path: VolumePath, inode: u64 },
    /// A file or folder out of the trash.
    History { name: HistoryName, inode: u64 },
}

/// What becomes of the present content of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// There is none.
    Free,
    /// A version of the same entry.
    Version,
    /// Into the trash as an entry of its own.
    Trash,
    /// Removed: an empty placeholder.
    Drop,
    /// The target stays; the source becomes a version of it (refused content).
    Stays,
}

/// The present content of the target, as the catalog knows it.
#[derive(Debug, Clone)]
pub(crate) struct Displaced {
    pub(crate) fid: Fid,
    pub(crate) kind: Kind,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) rev: Seq,
}

/// Where a moved entry comes from.
#[derive(Debug, Clone)]
pub(crate) struct From {
    pub(crate) space: SpaceId,
    pub(crate) parent: Fid,
    pub(crate) name: EntryName,
}

/// One decided change.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) id: i64,
    pub(crate) action: Action,
    pub(crate) space: SpaceId,
    pub(crate) volume: VolumeId,
    /// The entry that the change is about; `None` for a new one that is not recorded yet.
    pub(crate) fid: Option<Fid>,
    pub(crate) parent: Fid,
    pub(crate) name: EntryName,
    pub(crate) target: VolumePath,
    pub(crate) source: Source,
    pub(crate) displaced: Option<Displaced>,
    /// Where the displaced (or refused) content goes.
    pub(crate) history: Option<HistoryName>,
    pub(crate) fate: Fate,
    /// Bytes that the displaced subtree takes off the space (`Fate::Trash`), or that a restored or
    /// moved subtree brings.
    pub(crate) displaced_bytes: u64,
    pub(crate) moved_bytes: u64,
    pub(crate) from: Option<From>,
    /// Dead properties are copied from this entry.
    pub(crate) copy_of: Option<Fid>,
    pub(crate) trash_id: Option<i64>,
    /// The new entry is a placeholder.
    pub(crate) placeholder: bool,
    /// The temporary file was flushed before the intent was written.
    pub(crate) durable: bool,
    /// Of a written intent: what is or will be in the file.
    pub(crate) content: Option<Arc<[u8]>>,
    /// Of a written intent: the revision that its record gave the entry.
    pub(crate) rev: Option<Seq>,
    pub(crate) author: Author,
    pub(crate) at: Timestamp,
    pub(crate) operation: Option<String>,
    /// For people: where.
    pub(crate) path: String,
}

const COLUMNS: &str = "id, action, space, volume, fid, parent, name, target, source_kind, source, \
    source_inode, size, mtime_ns, hash, old_fid, old_kind, old_inode, old_size, old_mtime_ns, \
    old_rev, history, fate, displaced_bytes, moved_bytes, from_space, from_parent, from_name, \
    copy_of, trash_id, flags, account, label, via, address, at, operation, path, content, rev";

const INSERT: &str = "INSERT INTO intents (action, space, volume, fid, parent, name, target, \
    source_kind, source, source_inode, size, mtime_ns, hash, old_fid, old_kind, old_inode, \
    old_size, old_mtime_ns, old_rev, history, fate, displaced_bytes, moved_bytes, from_space, \
    from_parent, from_name, copy_of, trash_id, flags, account, label, via, address, at, operation, \
    path, content, rev, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, \
    ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39)";

const FLAG_PLACEHOLDER: i64 = 1;
const FLAG_DURABLE: i64 = 2;

const ACTIONS: [Action; 15] = [
    Action::Create,
    Action::Write,
    Action::MakeFolder,
    Action::Delete,
    Action::Move,
    Action::Copy,
    Action::SetProps,
    Action::Restore,
    Action::RestoreVersion,
    Action::Refused,
    Action::Lock,
    Action::Unlock,
    Action::BreakLock,
    Action::Bind,
    Action::Unbind,
];

const FATES: [Fate; 5] = [
    Fate::Free,
    Fate::Version,
    Fate::Trash,
    Fate::Drop,
    Fate::Stays,
];

impl Source {
    fn number(&self) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::Temp { .. } => 1,
            Self::NewFolder => 2,
            Self::Path { .. } => 3,
            Self::History { .. } => 4,
        }
    }

    fn place(&self) -> &str {
        match self {
            Self::Nothing | Self::NewFolder => "",
            Self::Temp { name, .. } => name.as_str(),
            Self::Path { path, .. } => path.as_path().to_str().unwrap_or_default(),
            Self::History { name, .. } => name.as_str(),
        }
    }

    /// The inode that the target shall have; `None` where it is made there.
    pub(crate) fn inode(&self) -> Option<u64> {
        match self {
            Self::Nothing | Self::NewFolder => None,
            Self::Temp { inode, .. } | Self::Path { inode, .. } | Self::History { inode, .. } => {
                Some(*inode)
            }
        }
    }
}

impl Intent {
    /// Writes the intent down; afterwards `id` is set.
    pub(crate) fn insert(&mut self, tx: &Connection) -> rusqlite::Result<()> {
        let (size, mtime_ns, hash) = match &self.source {
            Source::Temp {
                size,
                mtime_ns,
                hash,
                ..
            } => (size.cast_signed(), *mtime_ns, Some(hash.0)),
            Source::Nothing | Source::NewFolder | Source::Path { .. } | Source::History { .. } => {
                (0, 0, None)
            }
        };
        let old = self.displaced.as_ref();
        let from = self.from.as_ref();
        let flags =
            i64::from(self.placeholder) * FLAG_PLACEHOLDER + i64::from(self.durable) * FLAG_DURABLE;
        tx.prepare_cached(INSERT)?.execute(params![
            number_in(&ACTIONS, self.action),
            self.space.0,
            self.volume.0,
            self.fid.map(|fid| fid.0),
            self.parent.0,
            self.name.as_str(),
            self.target.as_path().to_str().unwrap_or_default(),
            self.source.number(),
            self.source.place(),
            self.source.inode().unwrap_or(0).cast_signed(),
            size,
            mtime_ns,
            hash,
            old.map(|d| d.fid.0),
            old.map(|d| kind_number(d.kind)),
            old.map(|d| d.inode.cast_signed()),
            old.map(|d| d.size.cast_signed()),
            old.map(|d| d.mtime_ns),
            old.map(|d| d.rev.0),
            self.history.as_ref().map(HistoryName::as_str),
            number_in(&FATES, self.fate),
            self.displaced_bytes.cast_signed(),
            self.moved_bytes.cast_signed(),
            from.map(|f| f.space.0),
            from.map(|f| f.parent.0),
            from.map(|f| f.name.as_str()),
            self.copy_of.map(|fid| fid.0),
            self.trash_id,
            flags,
            self.author.account.map(|account| account.0),
            self.author.label,
            self.author.via,
            self.author.address.map(|address| address.to_string()),
            self.at.0,
            self.operation,
            self.path,
            self.content.as_deref(),
            self.rev.map(|rev| rev.0),
            self.is_written(),
        ])?;
        self.id = tx.last_insert_rowid();
        Ok(())
    }

    fn decode(row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        let place: String = row.get(9)?;
        let inode = row.get::<_, i64>(10)?.cast_unsigned();
        let source = match row.get::<_, i64>(8)? {
            1 => Source::Temp {
                name: TempName::new(&place).map_err(|error| bad_column(9, error))?,
                inode,
                size: row.get::<_, i64>(11)?.cast_unsigned(),
                mtime_ns: row.get(12)?,
                hash: Hash(row.get(13)?),
            },
            2 => Source::NewFolder,
            3 => Source::Path {
                path: VolumePath::parse(&place).map_err(|error| bad_column(9, error))?,
                inode,
            },
            4 => Source::History {
                name: HistoryName::new(&place).map_err(|error| bad_column(9, error))?,
                inode,
            },
            _ => Source::Nothing,
        };
        let displaced = match row.get::<_, Option<i64>>(14)? {
            Some(fid) => Some(Displaced {
                fid: Fid(fid),
                kind: kind_of(row.get(15)?),
                inode: row.get::<_, i64>(16)?.cast_unsigned(),
                size: row.get::<_, i64>(17)?.cast_unsigned(),
                mtime_ns: row.get(18)?,
                rev: Seq(row.get(19)?),
            }),
            None => None,
        };
        let history = match row.get::<_, Option<String>>(20)? {
            Some(name) => Some(HistoryName::new(&name).map_err(|error| bad_column(20, error))?),
            None => None,
        };
        let from = match row.get::<_, Option<i64>>(24)? {
            Some(space) => Some(From {
                space: SpaceId(space),
                parent: Fid(row.get(25)?),
                name: name_at(row, 26)?,
            }),
            None => None,
        };
        let flags: i64 = row.get(29)?;
        let target: String = row.get(7)?;
        Ok(Self {
            id: row.get(0)?,
            action: value_in(&ACTIONS, row.get(1)?),
            space: SpaceId(row.get(2)?),
            volume: VolumeId(row.get(3)?),
            fid: row.get::<_, Option<i64>>(4)?.map(Fid),
            parent: Fid(row.get(5)?),
            name: name_at(row, 6)?,
            target: VolumePath::parse(&target).map_err(|error| bad_column(7, error))?,
            source,
            displaced,
            history,
            fate: value_in(&FATES, row.get(21)?),
            displaced_bytes: row.get::<_, i64>(22)?.cast_unsigned(),
            moved_bytes: row.get::<_, i64>(23)?.cast_unsigned(),
            from,
            copy_of: row.get::<_, Option<i64>>(27)?.map(Fid),
            trash_id: row.get(28)?,
            placeholder: flags & FLAG_PLACEHOLDER != 0,
            durable: flags & FLAG_DURABLE != 0,
            author: Author {
                account: row.get::<_, Option<i64>>(30)?.map(AccountId),
                label: row.get(31)?,
                via: row.get(32)?,
                address: row
                    .get::<_, Option<String>>(33)?
                    .and_then(|text| text.parse::<IpAddr>().ok()),
            },
            at: Timestamp(row.get(34)?),
            operation: row.get(35)?,
            path: row.get(36)?,
            content: row.get::<_, Option<Vec<u8>>>(37)?.map(Arc::from),
            rev: row.get::<_, Option<i64>>(38)?.map(Seq),
        })
    }

    /// True if its change was recorded together with it.
    pub(crate) fn is_written(&self) -> bool {
        self.rev.is_some()
    }

    /// True if the change gives an existing file or folder another place in the tree.
    pub(crate) fn moves(&self) -> bool {
        match self.source {
            Source::Path { .. } | Source::History { .. } => true,
            Source::Nothing | Source::Temp { .. } | Source::NewFolder => false,
        }
    }

    /// The folders whose entries the change touches, to be flushed later; where something comes
    /// to before where it comes from.
    pub(crate) fn folders(&self) -> Vec<Folder> {
        let shelf = self.history.as_ref().and_then(HistoryName::folder);
        let target = self.target.parent().map(Folder::from);
        let from = match &self.source {
            Source::Path { path, .. } => path.parent().map(Folder::from),
            Source::History { name, .. } => name.folder(),
            Source::Nothing | Source::Temp { .. } | Source::NewFolder => None,
        };
        shelf.into_iter().chain(target).chain(from).collect()
    }
}

fn number_in<T: PartialEq>(all: &[T], value: T) -> i64 {
    let at = all.iter().position(|other| *other == value);
    i64::try_from(at.unwrap_or(all.len())).unwrap_or(i64::MAX)
}

fn value_in<T: Copy>(all: &[T], number: i64) -> T {
    let at = usize::try_from(number).unwrap_or(0);
    all[at.min(all.len() - 1)]
}

/// All intents of one volume with whether each is done, oldest first.
pub(crate) fn of_volume(
    tx: &Connection,
    volume: VolumeId,
) -> Result<Vec<(Intent, bool)>, FilesError> {
    let sql = format!("SELECT {COLUMNS}, state FROM intents WHERE volume = ?1 ORDER BY id");
    let mut statement = tx.prepare(&sql)?;
    let rows = statement.query_map([volume.0], |row| {
        Ok((Intent::decode(row)?, row.get::<_, i64>(39)? == 1))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Marks an intent as recorded in the catalog.
pub(crate) fn mark_done(tx: &Connection, id: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE intents SET state = 1 WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Forgets an intent: it is on the disk, or nothing of it is.
pub(crate) fn remove(tx: &Connection, id: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM intents WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}
