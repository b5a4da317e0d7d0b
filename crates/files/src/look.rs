//! Looking at the tree: finding and listing.

use std::collections::HashMap;
use std::ops::ControlFlow;

use protocol::{Fid, Hash, Seq, SpaceId, Timestamp, VolumeId};
use rusqlite::{Connection, OptionalExtension};

use crate::conditions::{LockRow, all_locks};
use crate::row::{self, HAS_PROPS, Row, kind_of, millis, name_at};
use crate::walk::{Walk, walk, walk_up};
use crate::{
    At, DeadProp, Entry, Files, FilesError, LockInfo, Order, Page, Trashed, Version, VersionReason,
};

/// Most entries of one page.
const PAGE_MAX: usize = 10_000;

/// Is called for each entry of a listing with its dead properties and locks.
pub type ChildFn<'a> = dyn FnMut(&Entry, &[DeadProp], &[LockInfo]) -> ControlFlow<()> + 'a;

impl Files {
    /// The entry at a place.
    pub fn find(&self, at: &At) -> Result<Option<Entry>, FilesError> {
        let mut found = self.0.db.read(|tx| walk(tx, at))?;
        if !matches!(found, Walk::Found(_)) && self.index_on_the_way(at)? {
            found = self.0.db.read(|tx| walk(tx, at))?;
        }
        Ok(match found {
            Walk::Found(mut spotted) => {
                let away = self.is_away(spotted.volume);
                spotted.chain.pop().map(|row| row.into_entry(away))
            }
            Walk::NoSpace | Walk::Free(_) | Walk::NoParent { .. } | Walk::FileInTheWay => None,
        })
    }

    /// The entry of that number, unless it is gone or in the trash.
    pub fn entry(&self, fid: Fid) -> Result<Option<Entry>, FilesError> {
        let found = self.0.db.read(|tx| walk_up(tx, fid))?;
        Ok(found.and_then(|mut spotted| {
            let away = self.is_away(spotted.volume);
            spotted.chain.pop().map(|row| row.into_entry(away))
        }))
    }

    /// Where an entry is now.
    pub fn locate(&self, fid: Fid) -> Result<At, FilesError> {
        self.0
            .db
            .read(|tx| walk_up(tx, fid))?
            .ok_or_else(|| FilesError::Unknown(format!("entry {fid}")))?
            .at()
    }

    /// The volume that holds what is or would be at a place; `None` if its folder is missing.
    pub fn volume_at(&self, at: &At) -> Result<Option<VolumeId>, FilesError> {
        Ok(match self.0.db.read(|tx| walk(tx, at))? {
            Walk::Found(spotted) | Walk::Free(spotted) => Some(spotted.volume),
            Walk::NoSpace | Walk::NoParent { .. } | Walk::FileInTheWay => None,
        })
    }

    /// The entry and the folders above it, the top of the space last. Also of an entry in the
    /// trash, up to what was deleted.
    pub fn chain(&self, fid: Fid) -> Result<Vec<Fid>, FilesError> {
        self.0.db.read(|tx| {
            let mut statement = tx.prepare_cached("SELECT parent FROM entries WHERE fid = ?1")?;
            let mut chain = Vec::new();
            let mut next = Some(fid);
            while let Some(fid) = next {
                let parent = statement
                    .query_row([fid.0], |row| row.get::<_, Option<i64>>(0))
                    .optional()?
                    .ok_or_else(|| FilesError::Unknown(format!("entry {fid}")))?;
                chain.push(fid);
                next = parent.map(Fid);
            }
            Ok(chain)
        })
    }

    /// One page of a folder.
    pub fn children(&self, folder: Fid, page: &Page) -> Result<Vec<Entry>, FilesError> {
        self.index_folder(folder)?;
        let (column, sign) = match (page.order, page.descending) {
            (Order::Name, false) => ("0", ">"),
            (Order::Name, true) => ("0", "<"),
            (Order::Modified, false) => ("mtime_ns / 1000000", ">"),
            (Order::Modified, true) => ("mtime_ns / 1000000", "<"),
            (Order::Size, false) => ("size", ">"),
            (Order::Size, true) => ("size", "<"),
        };
        let way = if page.descending { "DESC" } else { "ASC" };
        let columns = row::COLUMNS;
        // Names alone walk the index; the other orders sort the folder.
        let (after, order) = match page.order {
            Order::Name => (
                format!("(?2 IS NULL OR name {sign} ?3)"),
                format!("name {way}"),
            ),
            Order::Modified | Order::Size => (
                format!("(?2 IS NULL OR ({column}, name) {sign} (?2, ?3))"),
                format!("{column} {way}, name {way}"),
            ),
        };
        let after = match (page.order, &page.after) {
            // Without a disjunction the index is entered at the right place.
            (Order::Name, Some(_)) => format!("?2 = ?2 AND name {sign} ?3"),
            (Order::Name | Order::Modified | Order::Size, _) => after,
        };
        let sql = format!(
            "SELECT {columns} FROM entries WHERE parent = ?1 AND {after} ORDER BY {order} LIMIT ?4 OFFSET ?5"
        );
        let key = page.after.as_ref().map(|cursor| cursor.key);
        let name = page.after.as_ref().map(|cursor| cursor.name.as_str());
        let limit = i64::try_from(page.limit.min(PAGE_MAX)).unwrap_or(0);
        let skip = i64::try_from(page.skip).unwrap_or(i64::MAX);
        let (rows, volume) = self.0.db.read(|tx| {
            let mut statement = tx.prepare_cached(&sql)?;
            let rows = statement
                .query_map((folder.0, key, name, limit, skip), Row::decode)?
                .collect::<Result<Vec<_>, _>>()?;
            let volume = walk_up(tx, folder)?.map(|spotted| spotted.volume);
            Ok::<_, FilesError>((rows, volume))
        })?;
        let away = volume.is_some_and(|volume| self.is_away(volume));
        Ok(rows.into_iter().map(|row| self.show(row, away)).collect())
    }

    /// An entry of a folder whose volume is away or not; a bound folder has its own.
    fn show(&self, row: Row, away: bool) -> Entry {
        let away = match row.mount {
            Some(volume) => self.is_away(volume),
            None => away,
        };
        row.into_entry(away)
    }

    /// Number of entries in a folder.
    pub fn count_children(&self, folder: Fid) -> Result<u64, FilesError> {
        self.index_folder(folder)?;
        self.0.db.read(|tx| {
            let count: i64 = tx
                .prepare_cached("SELECT count(*) FROM entries WHERE parent = ?1")?
                .query_row([folder.0], |row| row.get(0))?;
            Ok(count.cast_unsigned())
        })
    }

    /// Calls `f` for each entry of a folder in byte order of the names, all from one snapshot, with
    /// its dead properties (if `with_props`) and the locks that reach it. `f` must not call back.
    pub fn for_each_child(
        &self,
        folder: Fid,
        with_props: bool,
        f: &mut ChildFn<'_>,
    ) -> Result<(), FilesError> {
        self.index_folder(folder)?;
        let now = self.now();
        self.0.db.read(|tx| {
            let Some(spotted) = walk_up(tx, folder)? else {
                return Ok(());
            };
            let away = self.is_away(spotted.volume);
            let locks = Reach::look(tx, &spotted.fids(), now)?;
            let mut statement = tx.prepare_cached(CHILDREN)?;
            let mut rows = statement.query([folder.0])?;
            while let Some(row) = rows.next()? {
                let row = Row::decode(row)?;
                let props = if with_props && row.is(HAS_PROPS) {
                    props_of(tx, row.fid)?
                } else {
                    Vec::new()
                };
                let fid = row.fid;
                let entry = self.show(row, away);
                if f(&entry, &props, locks.on(fid)).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The dead properties of an entry, by namespace and name.
    pub fn dead_props(&self, fid: Fid) -> Result<Vec<DeadProp>, FilesError> {
        self.0.db.read(|tx| props_of(tx, fid))
    }

    /// Former content of a file, newest first; refused content comes before all others.
    pub fn versions(&self, fid: Fid) -> Result<Vec<Version>, FilesError> {
        self.0.db.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT rev, size, mtime_ns, hash, kept_at, author, reason FROM versions \
                 WHERE fid = ?1 ORDER BY rev DESC",
            )?;
            let rows = statement.query_map([fid.0], |row| {
                Ok(Version {
                    rev: Seq(row.get(0)?),
                    size: row.get::<_, i64>(1)?.cast_unsigned(),
                    mtime: millis(row.get(2)?),
                    hash: row.get::<_, Option<[u8; 32]>>(3)?.map(Hash),
                    kept_at: Timestamp(row.get(4)?),
                    author: row.get(5)?,
                    reason: match row.get::<_, i64>(6)? {
                        crate::record::REASON_REFUSED => VersionReason::Refused,
                        crate::record::REASON_OUTSIDE => VersionReason::Outside,
                        crate::record::REASON_LOST => VersionReason::Lost,
                        _ => VersionReason::Overwritten,
                    },
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// What was deleted in a space, newest first.
    pub fn trash(&self, space: SpaceId) -> Result<Vec<Trashed>, FilesError> {
        let keep = self.0.settings.keep;
        self.0.db.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT t.id, t.fid, e.name, t.old_path, e.kind, t.size, t.deleted_at, \
                 t.deleted_by, t.old_parent FROM trash t JOIN entries e ON e.fid = t.fid WHERE t.space = ?1 \
                 ORDER BY t.deleted_at DESC, t.id DESC",
            )?;
            let rows = statement.query_map([space.0], |row| {
                let deleted_at = Timestamp(row.get(6)?);
                Ok(Trashed {
                    id: row.get(0)?,
                    fid: Fid(row.get(1)?),
                    name: name_at(row, 2)?,
                    old_path: row.get(3)?,
                    old_parent: Fid(row.get(8)?),
                    kind: kind_of(row.get(4)?),
                    size: row.get::<_, i64>(5)?.cast_unsigned(),
                    deleted_at,
                    deleted_by: row.get(7)?,
                    until: deleted_at.plus(keep),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

const CHILDREN: &str = "SELECT fid, space, parent, name, kind, rev, mrev, size, mtime_ns, \
    ctime_ns, created, inode, hash, flags, mount FROM entries WHERE parent = ?1 ORDER BY name";

fn props_of(tx: &Connection, fid: Fid) -> Result<Vec<DeadProp>, FilesError> {
    let mut statement = tx.prepare_cached(
        "SELECT namespace, name, xml FROM dead_props WHERE fid = ?1 ORDER BY namespace, name",
    )?;
    let rows = statement.query_map([fid.0], |row| {
        Ok(DeadProp {
            namespace: row.get(0)?,
            name: row.get(1)?,
            xml: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The locks that reach the members of one folder.
struct Reach {
    /// Deep locks from above, on every member.
    inherited: Vec<LockInfo>,
    /// Members with locks of their own: those and the inherited ones.
    own: HashMap<Fid, Vec<LockInfo>>,
}

impl Reach {
    fn look(tx: &Connection, chain: &[Fid], now: Timestamp) -> Result<Self, FilesError> {
        let mut reach = Self {
            inherited: Vec::new(),
            own: HashMap::new(),
        };
        let (above, others): (Vec<LockRow>, Vec<LockRow>) = all_locks(tx, now)?
            .into_iter()
            .partition(|lock| chain.contains(&lock.fid));
        for lock in above.into_iter().filter(|lock| lock.deep) {
            reach.inherited.extend(crate::lock::info(tx, lock)?);
        }
        for lock in others {
            let fid = lock.fid;
            let inherited = &reach.inherited;
            let own = reach.own.entry(fid).or_insert_with(|| inherited.clone());
            own.extend(crate::lock::info(tx, lock)?);
        }
        Ok(reach)
    }

    fn on(&self, fid: Fid) -> &[LockInfo] {
        self.own.get(&fid).unwrap_or(&self.inherited)
    }
}
