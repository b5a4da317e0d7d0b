//! The steps of a change on the disk (`commit.md` step 5), and how far a crash let them come.
//!
//! [`carry_out`] runs right after the decision and either does all or puts all back. [`resume`] is
//! its twin for recovery: it looks where each file is, by inode, and goes on from there.

use pool::{FileKind, FileStat, HistoryName, Spot, Volume, VolumeError, VolumePath};

use crate::intent::{Displaced, Fate, Intent, Source};
use crate::record::Carried;
use crate::row::same_file;

/// Why the steps were not done. Except after [`Fault::Stuck`] everything is as before.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Another program has been at the target; its present stat, if it is a file.
    Outside(Option<FileStat>),
    /// The volume refused.
    Volume(VolumeError),
    /// A step failed and putting back failed too; recovery has to look again.
    Stuck(VolumeError),
}

impl From<VolumeError> for Fault {
    fn from(error: VolumeError) -> Self {
        Self::Volume(error)
    }
}

/// Does the steps of an intent that was just decided.
pub(crate) fn carry_out(volume: &dyn Volume, intent: &Intent) -> Result<Carried, Fault> {
    if intent.fate == Fate::Stays {
        put_aside(volume, intent)?;
        return Ok(Carried {
            stat: None,
            old_kept: false,
        });
    }
    let target = &intent.target;
    match (&intent.source, &intent.displaced) {
        (Source::Temp { name, .. }, Some(old)) if intent.fate != Fate::Trash => {
            swap(volume, name, target, old, intent)
        }
        (source, old) => {
            let old_kept = match (old, &intent.history) {
                (Some(old), Some(history)) => displace(volume, target, old, history)?,
                (Some(_) | None, _) => false,
            };
            let put = bring(volume, source, target);
            match (put, old_kept, &intent.history) {
                (Ok(stat), _, _) => Ok(Carried { stat, old_kept }),
                (Err(fault), true, Some(history)) => {
                    put_back(volume, Spot::History(history), Spot::Path(target))?;
                    Err(fault)
                }
                (Err(fault), _, _) => Err(fault),
            }
        }
    }
}

/// New content under a name that keeps pointing to a whole file all the time.
fn swap(
    volume: &dyn Volume,
    temp: &pool::TempName,
    target: &VolumePath,
    old: &Displaced,
    intent: &Intent,
) -> Result<Carried, Fault> {
    match volume.exchange(temp, target) {
        Ok(()) => {}
        Err(VolumeError::NotFound { .. }) => {
            // Removed behind our back. Nothing is lost by taking the free name, and the writer
            // meant to replace that file anyway.
            volume.rename(Spot::Temp(temp), Spot::Path(target))?;
            return Ok(Carried {
                stat: volume.stat(Spot::Path(target))?,
                old_kept: false,
            });
        }
        Err(error) => return Err(error.into()),
    }
    let found = volume.stat(Spot::Temp(temp)).ok().flatten();
    if !found.is_some_and(|stat| is_displaced(old, &stat)) {
        volume.exchange(temp, target).map_err(Fault::Stuck)?;
        return Err(Fault::Outside(found));
    }
    fail::fail_point!("n6", |_| {
        volume.exchange(temp, target).map_err(Fault::Stuck)?;
        Err(Fault::Volume(VolumeError::Full {
            action: "move to history",
            at: target.to_string(),
        }))
    });
    let aside = match (&intent.history, intent.fate) {
        (Some(history), Fate::Version) => volume.rename(Spot::Temp(temp), Spot::History(history)),
        (_, Fate::Version | Fate::Drop | Fate::Free | Fate::Trash | Fate::Stays) => {
            volume.remove(Spot::Temp(temp))
        }
    };
    if let Err(error) = aside {
        volume.exchange(temp, target).map_err(Fault::Stuck)?;
        return Err(error.into());
    }
    Ok(Carried {
        stat: volume.stat(Spot::Path(target)).ok().flatten(),
        old_kept: true,
    })
}

/// Moves what is at the target to history; false if nothing was there any more.
fn displace(
    volume: &dyn Volume,
    target: &VolumePath,
    old: &Displaced,
    history: &HistoryName,
) -> Result<bool, Fault> {
    match volume.rename(Spot::Path(target), Spot::History(history)) {
        Ok(()) => {}
        Err(VolumeError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let found = volume.stat(Spot::History(history)).ok().flatten();
    if found.is_some_and(|stat| is_displaced(old, &stat)) {
        return Ok(true);
    }
    put_back(volume, Spot::History(history), Spot::Path(target))?;
    Err(Fault::Outside(found))
}

fn bring(
    volume: &dyn Volume,
    source: &Source,
    target: &VolumePath,
) -> Result<Option<FileStat>, Fault> {
    fail::fail_point!("n6", |_| Err(Fault::Volume(VolumeError::Full {
        action: "rename",
        at: target.to_string(),
    })));
    match source {
        Source::Nothing => return Ok(None),
        Source::NewFolder => return Ok(Some(volume.make_folder(target)?)),
        Source::Temp { name, .. } => volume.rename(Spot::Temp(name), Spot::Path(target))?,
        Source::Path { path, inode } => {
            let found = volume.stat(Spot::Path(path))?;
            if found.is_none_or(|stat| stat.inode != *inode) {
                return Err(Fault::Outside(None));
            }
            volume.rename(Spot::Path(path), Spot::Path(target))?;
        }
        Source::History { name, .. } => volume.rename(Spot::History(name), Spot::Path(target))?,
    }
    Ok(volume.stat(Spot::Path(target)).ok().flatten())
}

fn put_back(volume: &dyn Volume, from: Spot<'_>, to: Spot<'_>) -> Result<(), Fault> {
    volume.rename(from, to).map_err(Fault::Stuck)
}

/// Received content goes to history without touching the target.
pub(crate) fn put_aside(volume: &dyn Volume, intent: &Intent) -> Result<(), VolumeError> {
    match (&intent.source, &intent.history) {
        (Source::Temp { name, .. }, Some(history)) => {
            volume.rename(Spot::Temp(name), Spot::History(history))
        }
        (
            Source::Nothing
            | Source::NewFolder
            | Source::Path { .. }
            | Source::History { .. }
            | Source::Temp { .. },
            _,
        ) => Ok(()),
    }
}

fn is_displaced(old: &Displaced, stat: &FileStat) -> bool {
    same_file(old.kind, old.inode, old.size, old.mtime_ns, stat)
}

/// What recovery found and did.
#[derive(Debug)]
pub(crate) enum Resumed {
    /// The disk is as the intent wants it.
    Carried(Carried),
    /// Another program is at the target: ours became a version.
    Kept,
    /// Nothing of it is on the disk.
    Undone,
}

/// Goes on with an intent after a crash, from wherever the files are. `done` tells that the catalog
/// has it already. May itself be interrupted and repeated.
pub(crate) fn resume(
    volume: &dyn Volume,
    intent: &Intent,
    done: bool,
) -> Result<Resumed, VolumeError> {
    let here = Here::look(volume, intent)?;
    if intent.fate == Fate::Stays {
        return resume_aside(volume, intent, &here);
    }
    match &intent.source {
        Source::Temp { .. } => resume_temp(volume, intent, &here, done),
        Source::Nothing => resume_delete(volume, intent, &here),
        Source::NewFolder => resume_folder(volume, intent, &here, done),
        Source::Path { path, inode } => {
            resume_rename(volume, intent, &here, Spot::Path(path), *inode, done)
        }
        Source::History { name, inode } => {
            resume_rename(volume, intent, &here, Spot::History(name), *inode, done)
        }
    }
}

/// Where the files of an intent are.
struct Here {
    temp: Option<FileStat>,
    target: Option<FileStat>,
    history: Option<FileStat>,
}

impl Here {
    fn look(volume: &dyn Volume, intent: &Intent) -> Result<Self, VolumeError> {
        let temp = match &intent.source {
            Source::Temp { name, .. } => volume.stat(Spot::Temp(name))?,
            Source::Nothing | Source::NewFolder | Source::Path { .. } | Source::History { .. } => {
                None
            }
        };
        let history = match &intent.history {
            Some(name) => volume.stat(Spot::History(name))?,
            None => None,
        };
        Ok(Self {
            temp,
            target: stat_path(volume, &intent.target)?,
            history,
        })
    }

    fn target_is(&self, inode: u64) -> bool {
        self.target.is_some_and(|stat| stat.inode == inode)
    }
}

/// A missing folder on the way means that nothing is there.
pub(crate) fn stat_path(
    volume: &dyn Volume,
    path: &VolumePath,
) -> Result<Option<FileStat>, VolumeError> {
    match volume.stat(Spot::Path(path)) {
        Err(VolumeError::NotFound { .. } | VolumeError::NotAFolder { .. }) => Ok(None),
        other => other,
    }
}

fn resume_aside(volume: &dyn Volume, intent: &Intent, here: &Here) -> Result<Resumed, VolumeError> {
    if here.temp.is_some() {
        put_aside(volume, intent)?;
        return Ok(Resumed::Kept);
    }
    Ok(if here.history.is_some() {
        Resumed::Kept
    } else {
        Resumed::Undone
    })
}

fn resume_temp(
    volume: &dyn Volume,
    intent: &Intent,
    here: &Here,
    done: bool,
) -> Result<Resumed, VolumeError> {
    let Source::Temp { name, inode, .. } = &intent.source else {
        return Ok(Resumed::Undone);
    };
    let old = intent.displaced.as_ref();
    let old_inode = old.map(|old| old.inode);
    let carried = |old_kept| {
        Ok(Resumed::Carried(Carried {
            stat: stat_path(volume, &intent.target)?.filter(|stat| stat.inode == *inode),
            old_kept,
        }))
    };
    match here.temp {
        Some(temp) if temp.inode == *inode => {
            if !done && !intent.durable && !is_whole(volume, intent)? {
                // The decision reached the disk before the data did: nothing was acknowledged.
                undo_displaced(volume, intent, here)?;
                volume.remove(Spot::Temp(name))?;
                return Ok(Resumed::Undone);
            }
            let target = &intent.target;
            match here.target {
                // After an answer the inode must do: a crash may have cost the old file its mtime.
                // Before it, an edit in place by another program counts.
                Some(stat)
                    if old.is_some_and(|old| {
                        (done && stat.inode == old.inode) || is_displaced(old, &stat)
                    }) =>
                {
                    let history = intent.history.as_ref();
                    if let (Fate::Trash, Some(history)) = (intent.fate, history) {
                        volume.rename(Spot::Path(target), Spot::History(history))?;
                        volume.rename(Spot::Temp(name), Spot::Path(target))?;
                    } else {
                        volume.exchange(name, target)?;
                        finish_aside(volume, intent, name)?;
                    }
                    carried(true)
                }
                None => {
                    let put = volume.rename(Spot::Temp(name), Spot::Path(target));
                    match put {
                        Ok(()) => carried(here.history.is_some()),
                        // The folder itself is gone.
                        Err(VolumeError::NotFound { .. }) if !done => {
                            volume.remove(Spot::Temp(name))?;
                            Ok(Resumed::Undone)
                        }
                        // Earlier moves are done again, so another hand has taken it away, with
                        // all that was in it.
                        Err(VolumeError::NotFound { .. }) if intent.is_written() => {
                            volume.remove(Spot::Temp(name))?;
                            carried(here.history.is_some())
                        }
                        Err(error) => Err(error),
                    }
                }
                Some(_) if old.is_some() && intent.history.is_some() => {
                    put_aside_anew(volume, intent, here)?;
                    Ok(Resumed::Kept)
                }
                // The name was free when the write was decided, so ours is nobody's version. It was
                // acknowledged: it stays where it is, with its intent, for a person to look at.
                Some(_) if done => Err(VolumeError::Taken {
                    action: "put again",
                    at: target.to_string(),
                }),
                Some(_) => {
                    volume.remove(Spot::Temp(name))?;
                    Ok(Resumed::Undone)
                }
            }
        }
        Some(temp) if Some(temp.inode) == old_inode => {
            finish_aside(volume, intent, name)?;
            carried(true)
        }
        Some(_) | None if here.target_is(*inode) => carried(here.history.is_some()),
        // Ours had been put in place (its former content is in history) and is gone again.
        Some(_) | None if done || here.history.is_some() => carried(here.history.is_some()),
        Some(_) | None => Ok(Resumed::Undone),
    }
}

/// The displaced file leaves the temporary name.
fn finish_aside(
    volume: &dyn Volume,
    intent: &Intent,
    name: &pool::TempName,
) -> Result<(), VolumeError> {
    match (&intent.history, intent.fate) {
        (Some(history), Fate::Version) => volume.rename(Spot::Temp(name), Spot::History(history)),
        (_, Fate::Version | Fate::Drop | Fate::Free | Fate::Trash | Fate::Stays) => {
            volume.remove(Spot::Temp(name))
        }
    }
}

fn put_aside_anew(volume: &dyn Volume, intent: &Intent, here: &Here) -> Result<(), VolumeError> {
    if here.history.is_none() {
        return put_aside(volume, intent);
    }
    // The displaced content has taken the name in history already; ours gives way.
    match &intent.source {
        Source::Temp { name, .. } => volume.remove(Spot::Temp(name)),
        Source::Nothing | Source::NewFolder | Source::Path { .. } | Source::History { .. } => {
            Ok(())
        }
    }
}

fn undo_displaced(volume: &dyn Volume, intent: &Intent, here: &Here) -> Result<(), VolumeError> {
    match (&intent.history, here.history, here.target) {
        (Some(history), Some(_), None) => {
            volume.rename(Spot::History(history), Spot::Path(&intent.target))
        }
        (_, _, _) => Ok(()),
    }
}

/// True if the temporary file holds all the bytes that were received.
fn is_whole(volume: &dyn Volume, intent: &Intent) -> Result<bool, VolumeError> {
    let Source::Temp {
        name, size, hash, ..
    } = &intent.source
    else {
        return Ok(false);
    };
    let file = volume.open(Spot::Temp(name))?;
    let io = |source| VolumeError::Io {
        action: "read",
        at: name.to_string(),
        source,
    };
    if file.metadata().map_err(io)?.len() != *size {
        return Ok(false);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(io)?;
    Ok(*hasher.finalize().as_bytes() == hash.0)
}

fn resume_delete(
    volume: &dyn Volume,
    intent: &Intent,
    here: &Here,
) -> Result<Resumed, VolumeError> {
    let (Some(old), Some(history)) = (&intent.displaced, &intent.history) else {
        return Ok(Resumed::Undone);
    };
    let carried = Resumed::Carried(Carried {
        stat: None,
        old_kept: true,
    });
    if here.history.is_some() {
        return Ok(carried);
    }
    if here.target_is(old.inode) {
        volume.rename(Spot::Path(&intent.target), Spot::History(history))?;
        return Ok(carried);
    }
    Ok(Resumed::Undone)
}

fn resume_folder(
    volume: &dyn Volume,
    intent: &Intent,
    here: &Here,
    done: bool,
) -> Result<Resumed, VolumeError> {
    if let (Some(old), Some(history), None) = (&intent.displaced, &intent.history, here.history)
        && here.target_is(old.inode)
    {
        volume.rename(Spot::Path(&intent.target), Spot::History(history))?;
        let stat = volume.make_folder(&intent.target)?;
        return Ok(Resumed::Carried(Carried {
            stat: Some(stat),
            old_kept: true,
        }));
    }
    let stat = match here.target {
        Some(stat) if stat.kind == FileKind::Folder => stat,
        Some(_) => return Ok(Resumed::Undone),
        None if done => return Ok(Resumed::Undone),
        None => match volume.make_folder(&intent.target) {
            Ok(stat) => stat,
            Err(VolumeError::NotFound { .. }) => return Ok(Resumed::Undone),
            Err(error) => return Err(error),
        },
    };
    Ok(Resumed::Carried(Carried {
        stat: Some(stat),
        old_kept: here.history.is_some(),
    }))
}

fn resume_rename(
    volume: &dyn Volume,
    intent: &Intent,
    here: &Here,
    from: Spot<'_>,
    inode: u64,
    done: bool,
) -> Result<Resumed, VolumeError> {
    let source = match from {
        Spot::Path(path) => stat_path(volume, path)?,
        Spot::Temp(_) | Spot::History(_) => volume.stat(from)?,
    };
    let at_source = source.is_some_and(|stat| stat.inode == inode);
    if at_source && !here.target_is(inode) {
        let mut free = here.target.is_none();
        if let (Some(old), Some(history)) = (&intent.displaced, &intent.history)
            && here.history.is_none()
            && here.target_is(old.inode)
        {
            volume.rename(Spot::Path(&intent.target), Spot::History(history))?;
            free = true;
        }
        if !free {
            return Ok(Resumed::Undone);
        }
        match volume.rename(from, Spot::Path(&intent.target)) {
            Ok(()) => {}
            Err(VolumeError::NotFound { .. }) if !done => {
                undo_displaced(volume, intent, &Here::look(volume, intent)?)?;
                return Ok(Resumed::Undone);
            }
            Err(error) => return Err(error),
        }
    } else if !at_source && !here.target_is(inode) && !done {
        // The source vanished by another hand.
        undo_displaced(volume, intent, here)?;
        return Ok(Resumed::Undone);
    }
    let now = Here::look(volume, intent)?;
    Ok(Resumed::Carried(Carried {
        stat: now.target.filter(|stat| stat.inode == inode),
        old_kept: now.history.is_some(),
    }))
}
