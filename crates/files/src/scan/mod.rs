//! Edits made behind our back: found on the disk, brought into the catalog (`commit.md`, notes).

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use pool::watch::Method;
use protocol::{Fid, Timestamp, VolumeId};

use crate::{Files, FilesError};

/// What a scan found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Folders read.
    pub folders: u64,
    /// New entries.
    pub created: u64,
    /// Files with new content or mtime.
    pub written: u64,
    /// Entries found under another name or place.
    pub moved: u64,
    /// Entries that are gone from the disk.
    pub removed: u64,
    /// Entries left for the next look: being written, or a writer of ours is busy with them.
    pub postponed: u64,
    /// Folders that could not be read; nothing is concluded about what is in them.
    pub unknown: u64,
    /// Names that are not served: not UTF-8, symbolic links, devices, other file systems.
    pub not_served: u64,
}

/// How the scanner works.
#[derive(Debug, Clone)]
pub struct ScannerOptions {
    /// Between two scans of everything.
    pub interval: Duration,
    /// Do not try fanotify.
    pub only_inotify: bool,
    /// Take changes that this process made on the disk by itself for outside edits too; for tests.
    pub own_writes: bool,
}

/// What the scanner is doing.
#[derive(Debug, Clone, Default)]
pub struct ScannerStatus {
    /// How each volume is watched.
    pub watched: Vec<(VolumeId, Method)>,
    /// The end of the last scan of everything.
    pub last_full: Option<Timestamp>,
    /// Totals since the start.
    pub total: ScanReport,
    /// Files whose content waits to be hashed.
    pub to_hash: u64,
    /// What it does now.
    pub doing: String,
}

/// The worker that keeps the catalog true to the disk.
pub struct Scanner;

impl Scanner {
    /// A scanner of all volumes of `files`.
    pub fn new(files: Files, options: ScannerOptions) -> Result<Self, FilesError> {
        let _ = (files, options);
        todo!()
    }

    /// Works until `stop` is set; looks at it at least every half second.
    pub fn run(&self, stop: &AtomicBool) {
        let _ = stop;
        todo!()
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> ScannerStatus {
        todo!()
    }
}

impl Files {
    /// Compares a volume, or one of its folders with all below it, with the catalog, and records
    /// what other programs did.
    pub fn scan(&self, volume: VolumeId, folder: Option<Fid>) -> Result<ScanReport, FilesError> {
        let _ = (volume, folder);
        todo!()
    }
}
