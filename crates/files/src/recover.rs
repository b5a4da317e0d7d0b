//! Recovery of one volume (`commit.md`, N1 to N6): every intent is finished or undone, in the
//! order in which they were decided, and temporary files that belong to none are removed.
//!
//! Repeating it changes nothing more: each step looks where the files are, an intent goes away only
//! after its renames are flushed.

use std::collections::HashSet;
use std::sync::Arc;

use pool::{FileStat, Spot, Volume};
use protocol::{Fid, VolumeId};

use crate::disk::{Resumed, resume};
use crate::intent::{self, Intent, Source};
use crate::note::Note;
use crate::record::settle_ctime;
use crate::{Files, FilesError, Recovery};

impl Files {
    /// Brings the catalog and a volume together after a crash; nobody else may be at it yet.
    pub(crate) fn recover(
        &self,
        id: VolumeId,
        volume: &Arc<dyn Volume>,
    ) -> Result<Recovery, FilesError> {
        let mut found = Recovery::default();
        let mut intents = self.0.db.read(|tx| intent::of_volume(tx, id))?;
        found.repaired = self.recover_contents(volume.as_ref(), &intents)?;
        if found.repaired > 0 {
            intents = self.0.db.read(|tx| intent::of_volume(tx, id))?;
        }
        let mut settled = Vec::new();
        let mut owned = HashSet::new();
        for (intent, done) in intents {
            let resumed = match resume(volume.as_ref(), &intent, done) {
                Ok(resumed) => resumed,
                Err(error) => {
                    // Better a node that runs and one entry in doubt than no node.
                    tracing::error!(%error, path = %intent.path, "a change could not be recovered");
                    if let Source::Temp { name, .. } = &intent.source {
                        owned.insert(name.clone());
                    }
                    continue;
                }
            };
            fail::fail_point!("recover");
            let overtaken = intent.is_written() && matches!(resumed, Resumed::Kept);
            if done && !overtaken {
                found.redone += 1;
                settled.push((intent.id, placed(&intent, resumed)));
                continue;
            }
            let note = match resumed {
                Resumed::Carried(carried) => {
                    found.finished += 1;
                    Note::Carried(carried)
                }
                Resumed::Kept => {
                    found.kept += 1;
                    if intent.fate == crate::intent::Fate::Stays {
                        Note::Refused
                    } else {
                        Note::Outside(None)
                    }
                }
                Resumed::Undone => {
                    found.undone += 1;
                    Note::Undone
                }
            };
            if note.ends(&intent) {
                // What was made, put back or aside must not be lost once the intent is gone.
                volume.sync_all()?;
            }
            let id = intent.id;
            self.record_notes(vec![(intent, note)])
                .map_err(|error| FilesError::Inconsistent(error.to_string()))?;
            if !matches!(note, Note::Undone) {
                settled.push((id, None));
            }
        }
        if !settled.is_empty() {
            volume.sync_all()?;
            self.0.db.write(move |tx| {
                for (id, placed) in settled {
                    if let Some((fid, stat)) = placed {
                        settle_ctime(tx, fid, stat.inode, stat.ctime_ns)?;
                    }
                    intent::remove(tx, id)?;
                }
                Ok::<_, FilesError>(())
            })?;
        }
        for name in volume.temps()? {
            if !owned.contains(&name) {
                volume.remove(Spot::Temp(&name))?;
                found.temps_removed += 1;
            }
        }
        Ok(found)
    }
}

/// What a written intent put in its place, with the stat that its record lacks.
fn placed(intent: &Intent, resumed: Resumed) -> Option<(Fid, FileStat)> {
    let fid = intent.fid.filter(|_| intent.is_written())?;
    match resumed {
        Resumed::Carried(carried) => Some((fid, carried.stat?)),
        Resumed::Kept | Resumed::Undone => None,
    }
}
