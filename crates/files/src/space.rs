//! Spaces: one top folder, one change log, one quota per person.

use protocol::{AccountId, EntryName, Epoch, Fid, Seq, SpaceId};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow};

use pool::{FileKind, Spot, VolumeError, VolumePath};

use crate::row::{TOP, kind_number, name_at, nanos};
use crate::walk::HOME;
use crate::{Files, FilesError, Kind, Space, Usage};

pub(crate) const COLUMNS: &str = "id, name, owner, root, epoch, seq, quota";

impl Files {
    /// Makes the space `name` with its folder on the home volume; one that `owner` has already is
    /// returned.
    ///
    /// # Errors
    /// [`FilesError::SpaceTaken`] if a space of that name was left over by a removed account or
    /// belongs to somebody else: a new person never gets another one's files by their name.
    pub fn create_space(&self, name: &EntryName, owner: AccountId) -> Result<Space, FilesError> {
        self.0.db.read(|tx| check_free(tx, name, Some(owner)))?;
        let home = self
            .0
            .volumes
            .get(HOME)
            .ok_or_else(|| FilesError::Unknown("the home volume".into()))?;
        let folder = VolumePath::top().join(name);
        // Private by default: what is made inside takes after it.
        let stat = match home.make_private_folder(&folder) {
            Ok(stat) => stat,
            Err(VolumeError::Taken { action, at }) => home
                .stat(Spot::Path(&folder))?
                .filter(|stat| stat.kind == FileKind::Folder)
                .ok_or(VolumeError::NotAFolder { action, at })?,
            Err(error) => return Err(error.into()),
        };
        home.sync_folders(&[VolumePath::top().into()])?;
        let mut epoch = [0; 8];
        getrandom::fill(&mut epoch).map_err(|_| FilesError::Random)?;
        // SQLite holds signed numbers; one bit less of chance is no loss.
        let epoch = i64::from_le_bytes(epoch) & i64::MAX;
        let (name, now) = (name.clone(), self.now());
        let (space, new) = self.0.db.write(move |tx| {
            check_free(tx, &name, Some(owner))?;
            let known = tx
                .query_row(
                    "SELECT id FROM spaces WHERE name = ?1 AND owner = ?2 AND retired = 0",
                    (name.as_str(), owner.0),
                    |row| row.get::<_, i64>(0),
                )
                .optional()?;
            let new = known.is_none();
            let id = match known {
                Some(id) => id,
                None => {
                    tx.execute(
                        "INSERT INTO spaces (name, owner, root, epoch) VALUES (?1, ?2, 0, ?3)",
                        (name.as_str(), owner.0, epoch),
                    )?;
                    let id = tx.last_insert_rowid();
                    tx.execute(
                        "INSERT INTO entries (space, parent, name, kind, rev, mrev, size, \
                         mtime_ns, ctime_ns, created, inode, flags, owner) \
                         VALUES (?1, NULL, ?2, ?3, 0, 0, 0, ?4, ?5, ?6, ?7, ?8, ?9)",
                        (
                            id,
                            name.as_str(),
                            kind_number(Kind::Folder),
                            nanos(now),
                            stat.ctime_ns,
                            now.0,
                            stat.inode.cast_signed(),
                            TOP,
                            owner.0,
                        ),
                    )?;
                    let root = tx.last_insert_rowid();
                    tx.execute("UPDATE spaces SET root = ?2 WHERE id = ?1", (id, root))?;
                    id
                }
            };
            let space = by_id(tx, SpaceId(id))?
                .ok_or_else(|| FilesError::Inconsistent(format!("space {id} is gone")))?;
            Ok::<_, FilesError>((space, new))
        })?;
        if new {
            // The folder may hold files already: an older node's, or ones put there by hand.
            self.hint(HOME, Some(folder));
        }
        Ok(space)
    }

    /// All spaces that are not retired, by name.
    pub fn spaces(&self) -> Result<Vec<Space>, FilesError> {
        self.0.db.read(|tx| {
            let sql = format!("SELECT {COLUMNS} FROM spaces WHERE retired = 0 ORDER BY name");
            let mut statement = tx.prepare_cached(&sql)?;
            let rows = statement.query_map([], decode)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The space of that name, unless retired.
    pub fn space(&self, name: &str) -> Result<Option<Space>, FilesError> {
        self.0.db.read(|tx| {
            Ok(tx
                .prepare_cached(
                    "SELECT id, name, owner, root, epoch, seq, quota FROM spaces \
                     WHERE name = ?1 AND retired = 0",
                )?
                .query_row([name], decode)
                .optional()?)
        })
    }

    /// The space of that number, unless retired.
    pub fn space_by_id(&self, id: SpaceId) -> Result<Option<Space>, FilesError> {
        self.0.db.read(|tx| by_id(tx, id))
    }

    /// Whether a new person could have this name, as far as spaces are concerned.
    ///
    /// # Errors
    /// [`FilesError::SpaceTaken`] if there is a space of that name, also one that was left over.
    pub fn check_space_name(&self, name: &EntryName) -> Result<(), FilesError> {
        self.0.db.read(|tx| check_free(tx, name, None))
    }

    /// Hides a space whose person was removed; its files stay on the disk under its name until
    /// somebody hands them over or purges them ([`Files::left_over_spaces`]).
    pub fn retire_space(&self, id: SpaceId) -> Result<(), FilesError> {
        self.change_space(id, "UPDATE spaces SET retired = 1 WHERE id = ?1", None)
    }

    /// Sets or lifts the limit in bytes.
    pub fn set_quota(&self, id: SpaceId, quota: Option<u64>) -> Result<(), FilesError> {
        let quota = quota.map(|quota| i64::try_from(quota).unwrap_or(i64::MAX));
        self.change_space(
            id,
            "UPDATE spaces SET quota = ?2 WHERE id = ?1",
            Some(quota),
        )
    }

    pub(crate) fn change_space(
        &self,
        id: SpaceId,
        sql: &'static str,
        value: Option<Option<i64>>,
    ) -> Result<(), FilesError> {
        self.0.db.write(move |tx| {
            let changed = match value {
                Some(value) => tx.execute(sql, (id.0, value))?,
                None => tx.execute(sql, [id.0])?,
            };
            if changed == 0 {
                return Err(FilesError::Unknown(format!("space {id}")));
            }
            Ok(())
        })
    }

    /// Bytes used, allowed and available.
    pub fn usage(&self, id: SpaceId) -> Result<Usage, FilesError> {
        let found = self.0.db.read(|tx| {
            Ok::<_, FilesError>(
                tx.prepare_cached("SELECT used, quota FROM spaces WHERE id = ?1")?
                    .query_row([id.0], |row| {
                        Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
                    })
                    .optional()?,
            )
        })?;
        let (used, quota) = found.ok_or_else(|| FilesError::Unknown(format!("space {id}")))?;
        let (used, quota) = (used.cast_unsigned(), quota.map(i64::cast_unsigned));
        let free = match self.0.volumes.get(HOME) {
            Some(home) => home.space()?.free,
            None => 0,
        };
        let left = quota.map_or(u64::MAX, |quota| quota.saturating_sub(used));
        Ok(Usage {
            used,
            quota,
            available: left.min(free),
        })
    }
}

fn by_id(tx: &Connection, id: SpaceId) -> Result<Option<Space>, FilesError> {
    Ok(tx
        .prepare_cached(
            "SELECT id, name, owner, root, epoch, seq, quota FROM spaces \
             WHERE id = ?1 AND retired = 0",
        )?
        .query_row([id.0], decode)
        .optional()?)
}

/// Refuses a name that a space has, except one that `owner` has in use. Letter case does not count:
/// some volumes cannot tell `Bob` from `bob`.
fn check_free(
    tx: &Connection,
    name: &EntryName,
    owner: Option<AccountId>,
) -> Result<(), FilesError> {
    let key = name.as_str().to_lowercase();
    let mut statement = tx.prepare_cached("SELECT name, owner, retired FROM spaces")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let there = name_at(row, 0)?;
        let own = !row.get::<_, bool>(2)? && owner == Some(AccountId(row.get(1)?));
        if !own && there.as_str().to_lowercase() == key {
            return Err(FilesError::SpaceTaken(there));
        }
    }
    Ok(())
}

pub(crate) fn decode(row: &SqlRow<'_>) -> rusqlite::Result<Space> {
    Ok(Space {
        id: SpaceId(row.get(0)?),
        name: name_at(row, 1)?,
        owner: AccountId(row.get(2)?),
        root: Fid(row.get(3)?),
        epoch: Epoch(row.get::<_, i64>(4)?.cast_unsigned()),
        seq: Seq(row.get(5)?),
        quota: row.get::<_, Option<i64>>(6)?.map(i64::cast_unsigned),
    })
}
