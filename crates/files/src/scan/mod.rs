//! Edits made behind our back: found on the disk, brought into the catalog (`docs/formats/commit.md`, readers).
//!
//! Hints say where to look ([`pool::watch`], readers and writers that met a difference); a scan of
//! everything runs once an hour and finds what no hint told. [`compare`] says what differs,
//! [`pass`] makes commits of it, [`index`] reads a folder for the first time, [`hash`] reads
//! content in the background, [`worker`] is the thread.
//!
//! Invariants: a listing error means unknown, never deleted; a volume that is away loses no entry;
//! what our own writers do is never taken for an edit from outside; a symbolic link or a mount
//! below a volume's top is not followed; a file whose writer may not be
//! done waits ([`crate::Settings::quiet`]).

mod compare;
pub(crate) mod ground;
mod hash;
mod index;
mod pass;
#[cfg(test)]
mod tests;
mod worker;

use pool::VolumePath;
use protocol::{EntryName, Fid, VolumeId};

use crate::{Files, FilesError};
pub(crate) use compare::{Difference, compare_name, on_disk};
pub(crate) use ground::Folder;
pub(crate) use hash::hash_at;
use pass::Pass;
pub use worker::{Scanner, ScannerOptions, ScannerStatus};

/// What a scan found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Folders read.
    pub folders: u64,
    /// New entries.
    pub created: u64,
    /// Files with new content.
    pub written: u64,
    /// Entries found under another name or place.
    pub moved: u64,
    /// Entries that are gone from the disk.
    pub removed: u64,
    /// Entries left for the next look: being written, or a writer of ours is busy with them.
    pub postponed: u64,
    /// Places that could not be read; nothing is concluded about what is there.
    pub unknown: u64,
    /// Names that are not served: not UTF-8, symbolic links, devices, other file systems.
    pub not_served: u64,
}

impl ScanReport {
    fn add(&mut self, other: &Self) {
        self.folders += other.folders;
        self.created += other.created;
        self.written += other.written;
        self.moved += other.moved;
        self.removed += other.removed;
        self.postponed += other.postponed;
        self.unknown += other.unknown;
        self.not_served += other.not_served;
    }
}

impl Files {
    /// Compares a volume, or one of its folders with all below it, with the catalog, and records
    /// what other programs did. A volume that is away gives an empty report.
    pub fn scan(&self, volume: VolumeId, folder: Option<Fid>) -> Result<ScanReport, FilesError> {
        match folder {
            None => Ok(self.scan_volume(volume)?.0),
            Some(fid) => {
                let Some(mut pass) = Pass::new(self, volume) else {
                    return Ok(ScanReport::default());
                };
                pass.tree(fid)?;
                pass.conclude()?;
                Ok(pass.report)
            }
        }
    }

    /// Compares a whole volume; gives also what has to be looked at again.
    fn scan_volume(
        &self,
        volume: VolumeId,
    ) -> Result<(ScanReport, Vec<(VolumePath, EntryName)>), FilesError> {
        let Some(mut pass) = Pass::new(self, volume) else {
            return Ok((ScanReport::default(), Vec::new()));
        };
        for top in self.0.db.read(|tx| ground::tops(tx, volume))? {
            pass.tree(top)?;
        }
        pass.conclude()?;
        if pass.report.unknown == 0 {
            self.0.db.write(move |tx| {
                tx.execute(
                    "UPDATE volumes SET indexed = 1 WHERE id = ?1 AND indexed = 0",
                    [volume.0],
                )?;
                Ok::<_, FilesError>(())
            })?;
        }
        self.count_unread()?;
        Ok((pass.report, pass.again))
    }
}
