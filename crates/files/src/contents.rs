//! Recovery of content that was flushed with its intent and not with its file (`commit.md`, N2 and
//! N5): before any rename is done again, each such file is whole, wherever it lies.
//!
//! A file that is there keeps its inode and is written again. One whose making was lost is made
//! anew, and gets its place in the catalog before it gets its name on the disk. May be interrupted
//! and repeated at any step.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, UNIX_EPOCH};

use pool::{FileKind, FileStat, Spot, TempName, Volume, VolumeError};
use protocol::Fid;
use rusqlite::{Connection, OptionalExtension};

use crate::disk::stat_path;
use crate::intent::{Intent, Source};
use crate::stage::{rights_of, rights_of_new};
use crate::{Files, FilesError};

/// A file that was made anew.
struct Renewed {
    id: i64,
    fid: Fid,
    lost: u64,
    name: TempName,
    inode: u64,
}

impl Files {
    /// Makes the content of all written intents durable; gives how many files lacked it. The intents
    /// are to be read again if it is not 0.
    pub(crate) fn recover_contents(
        &self,
        volume: &dyn Volume,
        intents: &[(Intent, bool)],
    ) -> Result<u64, FilesError> {
        if !intents.iter().any(|(intent, _)| intent.is_written()) {
            return Ok(0);
        }
        // An inode that had become free belongs to the last who got it.
        let owners: HashMap<u64, i64> = intents
            .iter()
            .filter(|(intent, _)| matches!(intent.source, Source::Temp { .. }))
            .filter_map(|(intent, _)| Some((intent.source.inode()?, intent.id)))
            .collect();
        let places = Places::look(volume, intents.iter().map(|(intent, _)| intent))?;
        let mut repaired = 0;
        let mut renewed = Vec::new();
        for (intent, _) in intents {
            let (Some(content), Some(inode)) = (&intent.content, intent.source.inode()) else {
                continue;
            };
            if owners.get(&inode) != Some(&intent.id) {
                continue;
            }
            match places.0.get(&inode) {
                Some(at) => {
                    let mtime_ns = self.mtime_of(intent, inode)?;
                    repaired += u64::from(make_whole(volume, *at, content, mtime_ns)?);
                }
                None if self.is_missed(volume, intent, inode)? => {
                    renewed.extend(renew(volume, intent, content)?);
                }
                None => {}
            }
        }
        repaired += renewed.len() as u64;
        fail::fail_point!("renew");
        if !renewed.is_empty() {
            self.0.db.write(move |tx| {
                renewed
                    .iter()
                    .try_for_each(|file| renumber(tx, file))
                    .map_err(FilesError::from)
            })?;
        }
        Ok(repaired)
    }

    /// What the file's mtime is to be: somebody may have set it since.
    fn mtime_of(&self, intent: &Intent, inode: u64) -> Result<i64, FilesError> {
        let Source::Temp { mtime_ns, .. } = &intent.source else {
            return Ok(0);
        };
        let fid = intent.fid.map_or(0, |fid| fid.0);
        self.0.db.read(|tx| {
            let now = tx
                .prepare_cached("SELECT mtime_ns FROM entries WHERE fid = ?1 AND inode = ?2")?
                .query_row((fid, inode.cast_signed()), |row| row.get(0))
                .optional()?;
            Ok(now.unwrap_or(*mtime_ns))
        })
    }

    /// True if the catalog counts on a file that is nowhere, because its making was lost.
    fn is_missed(
        &self,
        volume: &dyn Volume,
        intent: &Intent,
        inode: u64,
    ) -> Result<bool, FilesError> {
        let (Some(fid), Some(rev)) = (intent.fid, intent.rev) else {
            return Ok(false);
        };
        // What it displaced is in history, so it was in its place and another hand took it away.
        if let (Some(_), Some(history)) = (&intent.displaced, &intent.history)
            && volume.stat(Spot::History(history))?.is_some()
        {
            return Ok(false);
        }
        self.0.db.read(|tx| {
            Ok(tx
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM entries WHERE fid = ?1 AND inode = ?2) \
                     OR EXISTS (SELECT 1 FROM versions WHERE fid = ?1 AND rev = ?3)",
                )?
                .query_row((fid.0, inode.cast_signed(), rev.0), |row| row.get(0))?)
        })
    }
}

/// Where the files of all intents lie, by inode.
struct Places<'a>(HashMap<u64, Spot<'a>>);

impl<'a> Places<'a> {
    fn look(
        volume: &dyn Volume,
        intents: impl Iterator<Item = &'a Intent>,
    ) -> Result<Self, VolumeError> {
        let mut places = HashMap::new();
        for intent in intents {
            let source = match &intent.source {
                Source::Temp { name, .. } => Some(Spot::Temp(name)),
                Source::Path { path, .. } => Some(Spot::Path(path)),
                Source::History { name, .. } => Some(Spot::History(name)),
                Source::Nothing | Source::NewFolder => None,
            };
            let history = intent.history.as_ref().map(Spot::History);
            let target = Some(Spot::Path(&intent.target));
            for spot in [source, history, target].into_iter().flatten() {
                let stat = match spot {
                    Spot::Path(path) => stat_path(volume, path)?,
                    Spot::Temp(_) | Spot::History(_) => volume.stat(spot)?,
                };
                if let Some(stat) = stat.filter(|stat| stat.kind == FileKind::File) {
                    places.insert(stat.inode, spot);
                }
            }
        }
        Ok(Self(places))
    }
}

/// Writes a file again if a crash has left less of it; true if so. What another program has written
/// into it since stays.
fn make_whole(
    volume: &dyn Volume,
    at: Spot<'_>,
    content: &[u8],
    mtime_ns: i64,
) -> Result<bool, VolumeError> {
    let mut file = volume.open(at)?;
    let read = |source| VolumeError::Io {
        action: "read",
        at: at.to_string(),
        source,
    };
    let stat = FileStat::of(&file).map_err(read)?;
    let mut found = Vec::new();
    // One byte more than there should be shows whether there is more.
    let limit = content.len() as u64 + 1;
    (&mut file)
        .take(limit)
        .read_to_end(&mut found)
        .map_err(read)?;
    let whole = found == content && stat.mtime_ns == mtime_ns;
    if whole || !is_remains(&found, content) {
        return Ok(false);
    }
    volume.rewrite(at, content, mtime_ns)?;
    Ok(true)
}

/// True if a crash could leave `found` of `content`: a beginning of it, then nothing or zeros.
fn is_remains(found: &[u8], content: &[u8]) -> bool {
    let same = found
        .iter()
        .zip(content)
        .take_while(|(found, wanted)| found == wanted)
        .count();
    found.len() <= content.len() && found[same..].iter().all(|byte| *byte == 0)
}

/// Makes a lost temporary file anew, durable.
fn renew(
    volume: &dyn Volume,
    intent: &Intent,
    content: &[u8],
) -> Result<Option<Renewed>, VolumeError> {
    let (
        Source::Temp {
            inode, mtime_ns, ..
        },
        Some(fid),
    ) = (&intent.source, intent.fid)
    else {
        return Ok(None);
    };
    let temp = volume.temp()?;
    let io = |source| VolumeError::Io {
        action: "write",
        at: temp.name.to_string(),
        source,
    };
    let old = intent.displaced.as_ref();
    let rights = old
        .and_then(|_| rights_of(volume, &intent.target))
        .unwrap_or_else(|| rights_of_new(volume, &intent.target));
    rights
        .give(&temp.file)
        .and_then(|()| fill(&temp.file, content, *mtime_ns))
        .map_err(io)?;
    volume.flush(&temp.file)?;
    let stat = FileStat::of(&temp.file).map_err(io)?;
    Ok(Some(Renewed {
        id: intent.id,
        fid,
        lost: *inode,
        name: temp.name,
        inode: stat.inode,
    }))
}

fn fill(mut file: &File, content: &[u8], mtime_ns: i64) -> std::io::Result<()> {
    file.write_all(content)?;
    let since = Duration::from_nanos(mtime_ns.unsigned_abs());
    let mtime = if mtime_ns >= 0 {
        UNIX_EPOCH + since
    } else {
        UNIX_EPOCH - since
    };
    file.set_modified(mtime)
}

/// From now on the intents and the entry mean the new file.
fn renumber(tx: &Connection, file: &Renewed) -> rusqlite::Result<()> {
    let (lost, inode) = (file.lost.cast_signed(), file.inode.cast_signed());
    tx.prepare_cached("UPDATE intents SET source = ?2, source_inode = ?3 WHERE id = ?1")?
        .execute((file.id, file.name.as_str(), inode))?;
    // Later changes that displace the file or move it.
    tx.prepare_cached(
        "UPDATE intents SET old_inode = ?4 WHERE id > ?1 AND old_fid = ?2 AND old_inode = ?3",
    )?
    .execute((file.id, file.fid.0, lost, inode))?;
    tx.prepare_cached(
        "UPDATE intents SET source_inode = ?4 WHERE id > ?1 AND fid = ?2 AND source_inode = ?3 \
         AND rev IS NULL",
    )?
    .execute((file.id, file.fid.0, lost, inode))?;
    tx.prepare_cached("UPDATE entries SET inode = ?3 WHERE fid = ?1 AND inode = ?2")?
        .execute((file.fid.0, lost, inode))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_remains;

    #[test]
    fn a_beginning_and_zeros_are_what_a_crash_leaves() {
        let content = b"content\0with\0zeros";
        for kept in 0..=content.len() {
            assert!(is_remains(&content[..kept], content));
            let mut zeroed = content.to_vec();
            zeroed[kept..].fill(0);
            assert!(is_remains(&zeroed, content));
        }
        assert!(!is_remains(b"content\0with\0zeros, and more", content));
        assert!(!is_remains(b"contend", content));
        assert!(!is_remains(b"\0\0\0tent", content));
    }
}
