//! Spaces of removed people: seen, handed over to somebody, or purged.
//!
//! Removing a person keeps their files (R19, R102), and nobody gets them by chance: a left-over
//! space is reached only by naming it here. Handing over changes its owner and moves nothing, so
//! content, versions, trash and history go along. Purging marks the space first, so that nobody can
//! be given it any more, then moves its folder aside, then forgets its rows and notes all its files
//! for removal (`erase.rs`); a purge that broke off is finished at the next start.

use pool::{HistoryName, Spot, VolumeError, VolumePath};
use protocol::{AccountId, EntryName, Fid, SpaceId};
use rusqlite::{Connection, OptionalExtension};

use crate::conditions::drop_locks;
use crate::erase::{note_removal, note_space};
use crate::record::forget_rows;
use crate::space::{COLUMNS, decode};
use crate::walk::HOME;
use crate::{Files, FilesError, Space};

/// A space whose person was removed.
#[derive(Debug, Clone)]
pub struct LeftOver {
    /// The space; its owner is the number of the removed account.
    pub space: Space,
    /// Bytes of the files in its tree.
    pub used: u64,
    /// Files in its tree.
    pub files: u64,
    /// Bytes in its trash and in versions of its files.
    pub kept: u64,
    /// Folders of the disk that are bound somewhere in it; purging never touches them.
    pub binds: Vec<String>,
}

/// `spaces.retired` of a space whose purge has begun; 1 is left over.
const PURGED: i64 = 2;

/// What belongs to a space: its tree, and what was deleted from it.
const TREE: &str = "WITH RECURSIVE tree (fid) AS (\
    SELECT root FROM spaces WHERE id = ?1 \
    UNION SELECT fid FROM trash WHERE space = ?1 \
    UNION ALL SELECT e.fid FROM entries e JOIN tree t ON e.parent = t.fid) ";

impl Files {
    /// The spaces of removed people, by name.
    pub fn left_over_spaces(&self) -> Result<Vec<LeftOver>, FilesError> {
        self.0.db.read(|tx| {
            let sql = format!("SELECT {COLUMNS} FROM spaces WHERE retired <> 0 ORDER BY name");
            let mut statement = tx.prepare_cached(&sql)?;
            let spaces: Vec<Space> = statement.query_map([], decode)?.collect::<Result<_, _>>()?;
            spaces.into_iter().map(|space| weigh(tx, space)).collect()
        })
    }

    /// The left-over space of that name.
    ///
    /// # Errors
    /// [`FilesError::Unknown`] if there is none.
    pub fn left_over_space(&self, name: &str) -> Result<LeftOver, FilesError> {
        let mut all = self.left_over_spaces()?;
        let found = all.iter().position(|one| one.space.name.as_str() == name);
        found
            .map(|at| all.swap_remove(at))
            .ok_or_else(|| FilesError::Unknown(format!("a left-over space `{name}`")))
    }

    /// Gives a left-over space to somebody, beside what they have. Nothing is moved: it keeps its
    /// name, its numbers and all that was kept.
    pub fn hand_over_space(&self, id: SpaceId, to: AccountId) -> Result<Space, FilesError> {
        let space = self.0.db.write(move |tx| {
            let sql = format!(
                "UPDATE spaces SET retired = 0, owner = ?2 WHERE id = ?1 AND retired = 1 \
                 RETURNING {COLUMNS}"
            );
            let space = tx.query_row(&sql, (id.0, to.0), decode).optional()?;
            space.ok_or_else(|| FilesError::Unknown(format!("a left-over space {id}")))
        })?;
        // Nobody watched its folder meanwhile.
        self.hint(HOME, Some(VolumePath::top().join(&space.name)));
        Ok(space)
    }

    /// Removes a left-over space for good: its folder, its trash, its versions, its rows. The name
    /// is free afterwards.
    ///
    /// # Errors
    /// [`FilesError::SpaceHoldsBind`] while a folder of the disk is bound in it: those files belong
    /// to whoever bound them.
    pub fn purge_space(&self, id: SpaceId) -> Result<LeftOver, FilesError> {
        let doomed = self.0.db.write(move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM spaces WHERE id = ?1 AND retired <> 0");
            let space = tx.query_row(&sql, [id.0], decode).optional()?;
            let space =
                space.ok_or_else(|| FilesError::Unknown(format!("a left-over space {id}")))?;
            let doomed = weigh(tx, space)?;
            if let Some(root) = doomed.binds.first() {
                return Err(FilesError::SpaceHoldsBind {
                    space: doomed.space.name,
                    root: root.clone(),
                });
            }
            tx.execute(
                "UPDATE spaces SET retired = ?2 WHERE id = ?1",
                (id.0, PURGED),
            )?;
            Ok(doomed)
        })?;
        self.finish_space_purge(&doomed.space)?;
        self.erase()?;
        Ok(doomed)
    }

    /// Goes on with purges that broke off.
    pub(crate) fn finish_space_purges(&self) -> Result<(), FilesError> {
        let begun: Vec<Space> = self.0.db.read(|tx| {
            let sql = format!("SELECT {COLUMNS} FROM spaces WHERE retired = ?1");
            let mut statement = tx.prepare_cached(&sql)?;
            let rows = statement.query_map([PURGED], decode)?;
            Ok::<_, FilesError>(rows.collect::<Result<_, _>>()?)
        })?;
        begun
            .iter()
            .try_for_each(|space| self.finish_space_purge(space))
    }

    fn finish_space_purge(&self, space: &Space) -> Result<(), FilesError> {
        // Writers that were let in before the space was retired are out after this.
        let _reserved = self.reserve_entry(space.root, self.0.settings.wait)?;
        self.settle()?;
        let aside = self.move_aside(space.id, &space.name)?;
        let id = space.id;
        self.0.db.write(move |tx| forget_space(tx, id, &aside))
    }

    /// Moves the folder into history, so that its name goes at once and whole.
    fn move_aside(&self, id: SpaceId, name: &EntryName) -> Result<HistoryName, FilesError> {
        let home = self
            .0
            .volumes
            .get(HOME)
            .ok_or_else(|| FilesError::Unknown("the home volume".into()))?;
        let aside = HistoryName::new(&format!("00/space-{id}"))
            .map_err(|error| FilesError::Inconsistent(error.to_string()))?;
        let folder = VolumePath::top().join(name);
        if home.stat(Spot::Path(&folder))?.is_some() {
            // A purge that broke off left this.
            absent(home.remove(Spot::History(&aside)))?;
            absent(home.rename(Spot::Path(&folder), Spot::History(&aside)))?;
        }
        let shelf = aside.folder().into_iter();
        let folders: Vec<_> = shelf.chain([VolumePath::top().into()]).collect();
        home.sync_folders(&folders)?;
        Ok(aside)
    }
}

/// What is gone already is as good as removed.
fn absent(result: Result<(), VolumeError>) -> Result<(), VolumeError> {
    match result {
        Err(VolumeError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

fn weigh(tx: &Connection, space: Space) -> Result<LeftOver, FilesError> {
    let id = space.id.0;
    let used: i64 = tx
        .prepare_cached("SELECT used FROM spaces WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    let files: i64 = tx
        .prepare_cached(
            "WITH RECURSIVE tree (fid, kind) AS (SELECT root, 1 FROM spaces WHERE id = ?1 \
             UNION ALL SELECT e.fid, e.kind FROM entries e JOIN tree t ON e.parent = t.fid) \
             SELECT count(*) FROM tree WHERE kind = 0",
        )?
        .query_row([id], |row| row.get(0))?;
    let trashed: i64 = tx
        .prepare_cached("SELECT coalesce(sum(size), 0) FROM trash WHERE space = ?1")?
        .query_row([id], |row| row.get(0))?;
    let versions: i64 = tx
        .prepare_cached(&format!(
            "{TREE} SELECT coalesce(sum(size), 0) FROM versions \
             WHERE fid IN (SELECT fid FROM tree) AND history <> ''"
        ))?
        .query_row([id], |row| row.get(0))?;
    let binds = tx
        .prepare_cached(&format!(
            "{TREE} SELECT root FROM volumes WHERE mount IN (SELECT fid FROM tree)"
        ))?
        .query_map([id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(LeftOver {
        space,
        used: used.cast_unsigned(),
        files: files.cast_unsigned(),
        kept: trashed.saturating_add(versions).cast_unsigned(),
        binds,
    })
}

fn forget_space(tx: &Connection, id: SpaceId, aside: &HistoryName) -> Result<(), FilesError> {
    let retired: Option<i64> = tx
        .query_row(
            "SELECT root FROM spaces WHERE id = ?1 AND retired = ?2",
            (id.0, PURGED),
            |row| row.get(0),
        )
        .optional()?;
    let root = retired.ok_or_else(|| FilesError::Unknown(format!("a left-over space {id}")))?;
    note_space(tx, id, TREE)?;
    note_removal(tx, HOME, aside.as_str())?;
    let trashed: Vec<i64> = tx
        .prepare_cached("SELECT fid FROM trash WHERE space = ?1")?
        .query_map([id.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    tx.execute(
        &format!("{TREE} DELETE FROM versions WHERE fid IN (SELECT fid FROM tree)"),
        [id.0],
    )?;
    for top in trashed.into_iter().chain([root]) {
        drop_locks(tx, Fid(top))?;
        forget_rows(tx, Fid(top))?;
    }
    for sql in [
        "DELETE FROM trash WHERE space = ?1",
        "DELETE FROM changes WHERE space = ?1",
        "DELETE FROM intents WHERE space = ?1 AND state = 1",
        "DELETE FROM spaces WHERE id = ?1",
    ] {
        tx.execute(sql, [id.0])?;
    }
    Ok(())
}
