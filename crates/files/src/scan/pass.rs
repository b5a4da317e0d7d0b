//! One look at a volume: folders or names are compared with the catalog, differences become
//! commits of the author "outside".
//!
//! The comparison runs without holding anything up; each difference is looked at again under a
//! reservation before it counts ([`Files::still_holds`]), so a writer of ours that comes in between
//! is never taken for somebody else. What is gone is concluded last, when everything new has been
//! seen: a file under a new name is a move, known by its inode, and keeps its number.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pool::{FileKind, FileStat, Spot, Volume, VolumeError, VolumePath};
use protocol::{EntryName, Fid, VolumeId};

use super::ScanReport;
use super::compare::{Difference, compare_name, on_disk};
use super::ground::{self, Folder};
use super::hash::hash_at;
use crate::outside::OutsideEdit;
use crate::row::{self, INDEXING, Row};
use crate::walk::walk_up;
use crate::{Files, FilesError, Kind};

/// Edits of one transaction.
const BATCH: usize = 500;

/// Files up to this size are hashed at once, so that an edit is complete when it shows.
const HASH_AT_ONCE_BYTES: u64 = 4 << 20;

/// With more differences in a folder than this, hashing is left to the background.
const HASH_AT_ONCE_FILES: usize = 64;

/// A look that is under way.
pub(super) struct Pass<'a> {
    files: &'a Files,
    id: VolumeId,
    volume: Arc<dyn Volume>,
    device: u64,
    pub(super) report: ScanReport,
    /// In the catalog only; concluded by [`Pass::conclude`].
    gone: Vec<(VolumePath, Row)>,
    /// To be looked at again soon.
    pub(super) again: Vec<(VolumePath, EntryName)>,
}

impl<'a> Pass<'a> {
    /// `None` if the volume cannot be read now.
    pub(super) fn new(files: &'a Files, id: VolumeId) -> Option<Self> {
        let volume = files.readable(id).ok()?;
        let top = volume.stat(Spot::Path(&VolumePath::top())).ok()??;
        Some(Self {
            files,
            id,
            volume,
            device: top.device,
            report: ScanReport::default(),
            gone: Vec::new(),
            again: Vec::new(),
        })
    }

    /// Looks at a folder and all below it.
    pub(super) fn tree(&mut self, top: Fid) -> Result<(), FilesError> {
        let mut folders = vec![top];
        while let Some(fid) = folders.pop() {
            let folder = self
                .files
                .0
                .db
                .read(|tx| ground::folder(tx, self.id, fid))?;
            let Some(folder) = folder else { continue };
            if folder.row.is(INDEXING) {
                self.report.created += self.files.index_folder(fid)?;
            }
            let (known, fresh) = self.folder(&folder)?;
            folders.extend(known);
            folders.extend(fresh);
        }
        Ok(())
    }

    /// Looks at one folder; gives the folders in it that are as they were, and those that are new
    /// or replaced and have to be read.
    pub(super) fn folder(&mut self, folder: &Folder) -> Result<(Vec<Fid>, Vec<Fid>), FilesError> {
        self.report.folders += 1;
        let items = match self.volume.list(&folder.path) {
            Ok(items) => items,
            Err(error) => {
                self.unread(&folder.path, &error);
                return Ok((Vec::new(), Vec::new()));
            }
        };
        let (fid, device) = (folder.row.fid, self.device);
        let compare = |tx: &_| ground::compare_folder(tx, fid, items, device);
        let compared = self.files.0.db.read(compare)?;
        if compared.not_served > 0 {
            let count = compared.not_served;
            tracing::info!(folder = %folder.path, count, "names that are not served");
        }
        self.report.not_served += compared.not_served;
        let fresh = self.settle(folder, compared.differences)?;
        Ok((compared.folders, fresh))
    }

    /// Looks at some names in a folder, and at all below those that are new folders.
    pub(super) fn names<'n>(
        &mut self,
        folder: &Folder,
        names: impl IntoIterator<Item = &'n EntryName>,
    ) -> Result<(), FilesError> {
        let mut differences = Vec::new();
        for name in names {
            let path = folder.path.join(name);
            let stat = match self.volume.stat(Spot::Path(&path)) {
                Ok(stat) => stat,
                Err(error) => {
                    self.unread(&path, &error);
                    continue;
                }
            };
            let fid = folder.row.fid;
            let row = self
                .files
                .0
                .db
                .read(|tx| Ok::<_, FilesError>(row::by_place(tx, fid, name.as_str())?))?;
            differences.extend(compare_name(name, row, on_disk(stat, self.device)));
        }
        for fid in self.settle(folder, differences)? {
            self.tree(fid)?;
        }
        Ok(())
    }

    /// A listing error means unknown, never deleted.
    fn unread(&mut self, path: &VolumePath, error: &VolumeError) {
        self.report.unknown += 1;
        tracing::warn!(%path, %error, "could not be looked at");
    }

    /// Commits what differs in one folder; gives the folders that are to be read now.
    fn settle(
        &mut self,
        folder: &Folder,
        differences: Vec<Difference>,
    ) -> Result<Vec<Fid>, FilesError> {
        let hash = differences.len() <= HASH_AT_ONCE_FILES;
        let mut edits = Vec::new();
        let mut folders = Vec::new();
        for difference in differences {
            let path = folder.path.join(difference.name());
            match difference {
                Difference::Gone { row } => self.gone.push((folder.path.clone(), row)),
                Difference::New { name, stat }
                | Difference::Changed {
                    row: Row { name, .. },
                    stat,
                } if self.is_young(&stat) => {
                    self.postpone(&folder.path, &name);
                }
                // Its row learns the change time when the write is settled.
                Difference::Touched { row, stat }
                    if self.files.0.settling.has_written(row.fid, &stat) => {}
                Difference::Touched { row, stat } => {
                    let edit = self.changed_edit(&row, &path, stat, hash);
                    // Without a hash nothing says that its content is another one.
                    let told = !matches!(edit, OutsideEdit::Changed { hash: None, .. });
                    if told && !self.is_young(&stat) {
                        edits.push(edit);
                    } else {
                        self.postpone(&folder.path, &row.name);
                    }
                }
                Difference::New { name, stat } => {
                    edits.push(self.new_edit(folder, name, stat, hash)?);
                }
                Difference::Changed { row, stat } => match (row.kind, stat.kind) {
                    (Kind::File, FileKind::File) => {
                        edits.push(self.changed_edit(&row, &path, stat, hash));
                    }
                    (Kind::Folder, FileKind::Folder) => {
                        folders.push(row.fid);
                        edits.push(OutsideEdit::Same { fid: row.fid, stat });
                    }
                    (Kind::File | Kind::Folder, _) => {
                        edits.push(OutsideEdit::Removed { fid: row.fid });
                        // Once its name is free, the new thing is found as new.
                        self.postpone(&folder.path, &row.name);
                    }
                },
            }
        }
        folders.extend(self.commit(&folder.path, edits)?);
        Ok(folders)
    }

    fn new_edit(
        &self,
        folder: &Folder,
        name: EntryName,
        stat: FileStat,
        hash: bool,
    ) -> Result<OutsideEdit, FilesError> {
        let parent = folder.row.fid;
        if let Some(fid) = self.moved_from(folder, &stat)? {
            return Ok(OutsideEdit::Moved {
                fid,
                parent,
                name,
                stat,
            });
        }
        let at_once = hash && stat.kind == FileKind::File && stat.size <= HASH_AT_ONCE_BYTES;
        let path = folder.path.join(&name);
        let hash = at_once
            .then(|| hash_at(self.volume.as_ref(), Spot::Path(&path), &stat))
            .flatten();
        Ok(OutsideEdit::Added {
            parent,
            name,
            stat,
            hash,
        })
    }

    /// The entry that had this inode and is not at its place any more.
    fn moved_from(&self, folder: &Folder, stat: &FileStat) -> Result<Option<Fid>, FilesError> {
        let kind = match stat.kind {
            FileKind::File => Kind::File,
            FileKind::Folder => Kind::Folder,
            FileKind::Symlink | FileKind::Other => return Ok(None),
        };
        let (id, inode) = (self.id, stat.inode);
        let known = self
            .files
            .0
            .db
            .read(|tx| ground::by_inode(tx, id, kind, inode))?;
        for (row, path) in known {
            let inside_itself = folder.chain.contains(&row.fid);
            if row.space != folder.row.space || inside_itself {
                continue;
            }
            let there = self.volume.stat(Spot::Path(&path));
            if there.is_ok_and(|stat| stat.is_none_or(|stat| stat.inode != inode)) {
                return Ok(Some(row.fid));
            }
        }
        Ok(None)
    }

    fn changed_edit(
        &self,
        row: &Row,
        path: &VolumePath,
        stat: FileStat,
        hash: bool,
    ) -> OutsideEdit {
        let fid = row.fid;
        // Of the same size it may be the same content: only touched, or restored from a backup.
        let perhaps_same = row.hash.is_some() && row.size == stat.size;
        let at_once = perhaps_same || (hash && stat.size <= HASH_AT_ONCE_BYTES);
        let hash = at_once
            .then(|| hash_at(self.volume.as_ref(), Spot::Path(path), &stat))
            .flatten();
        if perhaps_same && hash == row.hash {
            return OutsideEdit::Same { fid, stat };
        }
        OutsideEdit::Changed { fid, stat, hash }
    }

    /// True if the file was touched so recently that its writer may not be done. The change time
    /// counts, because a program cannot set it; both clocks are the kernel's.
    fn is_young(&self, stat: &FileStat) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
        let quiet = self.files.0.settings.quiet.as_nanos();
        let quiet = i64::try_from(quiet).unwrap_or(i64::MAX);
        stat.kind == FileKind::File && (0..quiet).contains(&now.saturating_sub(stat.ctime_ns))
    }

    fn postpone(&mut self, folder: &VolumePath, name: &EntryName) {
        self.report.postponed += 1;
        self.again.push((folder.clone(), name.clone()));
    }

    /// Commits in batches; gives the folders that are new.
    fn commit(
        &mut self,
        folder: &VolumePath,
        edits: Vec<OutsideEdit>,
    ) -> Result<Vec<Fid>, FilesError> {
        let mut folders = Vec::new();
        for batch in edits.chunks(BATCH) {
            let ended = self.files.commit_outside(batch.to_vec())?;
            for (edit, fid) in batch.iter().zip(ended) {
                match (edit, fid) {
                    (OutsideEdit::Added { stat, .. }, Some(fid)) => {
                        self.report.created += 1;
                        if stat.kind == FileKind::Folder {
                            self.files.note_unread();
                            folders.push(fid);
                        }
                    }
                    (OutsideEdit::Changed { .. }, Some(_)) => self.report.written += 1,
                    (OutsideEdit::Removed { .. }, Some(_)) => self.report.removed += 1,
                    (OutsideEdit::Moved { stat, name, .. }, Some(fid)) => {
                        self.report.moved += 1;
                        match stat.kind {
                            FileKind::Folder => folders.push(fid),
                            // It may have been changed before or after its move.
                            FileKind::File | FileKind::Symlink | FileKind::Other => {
                                self.again.push((folder.clone(), name.clone()));
                            }
                        }
                    }
                    (OutsideEdit::Same { .. } | OutsideEdit::Hashed { .. }, Some(_)) => {}
                    (OutsideEdit::Added { name, .. } | OutsideEdit::Moved { name, .. }, None) => {
                        self.postpone(folder, name);
                    }
                    (
                        OutsideEdit::Changed { .. }
                        | OutsideEdit::Removed { .. }
                        | OutsideEdit::Same { .. }
                        | OutsideEdit::Hashed { .. },
                        None,
                    ) => self.report.postponed += 1,
                }
            }
        }
        Ok(folders)
    }

    /// What is gone: looked at again later, in case it shows up under another name.
    pub(super) fn defer_gone(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        self.again
            .extend(gone.into_iter().map(|(folder, row)| (folder, row.name)));
    }

    /// Removes what is gone from the catalog.
    pub(super) fn conclude(&mut self) -> Result<(), FilesError> {
        let mut gone = std::mem::take(&mut self.gone);
        // A bound folder below keeps its folders in the tree; they come back when it is let go.
        let holds_binds = self.files.0.db.read(above_binds)?;
        gone.retain(|(_, row)| !holds_binds.contains(&row.fid));
        let edits = gone
            .iter()
            .map(|(_, row)| OutsideEdit::Removed { fid: row.fid });
        self.commit(&VolumePath::top(), edits.collect())?;
        Ok(())
    }
}

/// The folders above all bound folders.
fn above_binds(tx: &rusqlite::Connection) -> Result<std::collections::HashSet<Fid>, FilesError> {
    let mut statement = tx.prepare_cached("SELECT mount FROM volumes WHERE mount IS NOT NULL")?;
    let mounts: Vec<Fid> = statement
        .query_map([], |row| row.get(0).map(Fid))?
        .collect::<Result<_, _>>()?;
    let mut above = std::collections::HashSet::new();
    for mount in mounts {
        if let Some(spotted) = walk_up(tx, mount)? {
            above.extend(spotted.fids());
        }
    }
    Ok(above)
}

impl Files {
    /// Looks at a difference once more, now that nobody of ours is at it.
    pub(crate) fn still_holds(&self, edit: &OutsideEdit) -> bool {
        self.looks_so(edit).unwrap_or_else(|error| {
            tracing::warn!(%error, "an outside edit could not be looked at again");
            false
        })
    }

    fn looks_so(&self, edit: &OutsideEdit) -> Result<bool, FilesError> {
        Ok(match edit {
            OutsideEdit::Added {
                parent, name, stat, ..
            } => self.disk_at(*parent, Some(name))?.1 == Seen::Is(*stat),
            OutsideEdit::Changed { fid, stat, .. } | OutsideEdit::Same { fid, stat } => {
                let (row, seen) = self.disk_at(*fid, None)?;
                let differs = |row: Row| !row.agrees(stat) || row.ctime_ns != stat.ctime_ns;
                seen == Seen::Is(*stat) && row.is_some_and(differs)
            }
            OutsideEdit::Hashed { fid, stat, .. } => self.disk_at(*fid, None)?.1 == Seen::Is(*stat),
            OutsideEdit::Removed { fid } => match self.disk_at(*fid, None)? {
                (Some(_), Seen::Nothing) => true,
                (Some(row), Seen::Is(stat)) => !same_kind(row.kind, stat.kind),
                (_, Seen::Is(_) | Seen::Nothing | Seen::Unknown) => false,
            },
            OutsideEdit::Moved {
                fid,
                parent,
                name,
                stat,
            } => {
                let left = match self.disk_at(*fid, None)?.1 {
                    Seen::Nothing => true,
                    Seen::Is(other) => other.inode != stat.inode,
                    Seen::Unknown => false,
                };
                left && self.disk_at(*parent, Some(name))?.1 == Seen::Is(*stat)
            }
        })
    }

    /// What the disk has where the catalog believes an entry, or a name in a folder.
    fn disk_at(
        &self,
        fid: Fid,
        name: Option<&EntryName>,
    ) -> Result<(Option<Row>, Seen), FilesError> {
        let Some(spotted) = self.0.db.read(|tx| walk_up(tx, fid))? else {
            return Ok((None, Seen::Unknown));
        };
        let row = spotted.row().clone();
        let Ok(volume) = self.readable(spotted.volume) else {
            return Ok((Some(row), Seen::Unknown));
        };
        let path = match name {
            Some(name) => spotted.path.join(name),
            None => spotted.path,
        };
        let seen = match volume.stat(Spot::Path(&path)) {
            Ok(Some(stat)) => Seen::Is(stat),
            Ok(None) => Seen::Nothing,
            // Something of another kind is on the way now: the path leads nowhere.
            Err(VolumeError::Symlink { .. } | VolumeError::NotAFolder { .. }) => Seen::Nothing,
            Err(_) => Seen::Unknown,
        };
        Ok((Some(row), seen))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Is(FileStat),
    Nothing,
    Unknown,
}

fn same_kind(kind: Kind, disk: FileKind) -> bool {
    matches!(
        (kind, disk),
        (Kind::File, FileKind::File) | (Kind::Folder, FileKind::Folder)
    )
}
