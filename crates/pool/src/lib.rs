//! Volumes: where bytes live (R68, `docs/formats`).
//!
//! A volume is a folder of plain files with a hidden `.cumulet` of its own at the top: the marker
//! `volume.toml`, `tmp` for files being written, `history` for old versions and trash. All three
//! lie on one file system, so putting a file in its place is one rename.
//!
//! Invariants: nothing outside of the volume's top is ever reached, whatever a path or a symbolic
//! link says; nothing is replaced that was not named; an error while looking means "unknown" and
//! never "not there"; a volume whose marker is missing is away, and nothing is deleted for that.
//!
//! What a crash may lose: temporary files that were not [`Volume::flush`]ed, and renames until
//! the next [`Volume::sync_folders`] or [`Volume::sync_all`]. `files` redoes those from its
//! intents.

mod error;
mod facts;
mod local;
#[cfg(any(test, feature = "model"))]
pub mod model;
mod path;
mod rights;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
pub mod watch;

use std::fs::File;
use std::path::Path;

pub use error::VolumeError;
pub use facts::{
    BadUuid, Facts, FileKind, FileStat, Identity, Item, Space, Temp, VolumeState, VolumeUuid,
};
pub use local::{LocalVolume, Options};
pub use path::{BadPlace, Folder, HistoryName, Shelf, Spot, TempName, VolumePath};
pub use rights::Rights;

/// A place for files; see the crate's head for its invariants.
pub trait Volume: Send + Sync {
    /// The volume's own id.
    fn id(&self) -> &VolumeUuid;

    /// By what the volume is recognized after a restart.
    fn identity(&self) -> Identity;

    /// Its top on the local file system.
    fn root(&self) -> &Path;

    /// What its file system can do.
    fn facts(&self) -> Facts;

    /// Whether it is there and writable; looks at most once a second, and brings a volume back
    /// that was put back.
    fn state(&self) -> VolumeState;

    /// Room on it.
    fn space(&self) -> Result<Space, VolumeError>;

    /// A new temporary file of a random name.
    fn temp(&self) -> Result<Temp, VolumeError>;

    /// Returns once the content of a temporary file and its name are on the disk. Shares the
    /// work with other writers that wait for the same.
    fn flush(&self, file: &File) -> Result<(), VolumeError>;

    /// Makes renames, new folders and removals in these folders durable, in `tmp` and the top of
    /// `history` too, but on none of its shelves that is not named. A folder that is gone
    /// meanwhile counts as done.
    fn sync_folders(&self, folders: &[Folder]) -> Result<(), VolumeError>;

    /// Makes everything on the volume durable.
    fn sync_all(&self) -> Result<(), VolumeError>;

    /// The stat of a place, `None` if nothing is there; a symbolic link is reported as one, a
    /// symbolic link on the way is an error.
    fn stat(&self, at: Spot<'_>) -> Result<Option<FileStat>, VolumeError>;

    /// The stat of an open file of this volume.
    fn stat_of(&self, file: &File) -> Result<FileStat, VolumeError>;

    /// Opens a regular file for reading.
    fn open(&self, at: Spot<'_>) -> Result<File, VolumeError>;

    /// What lies in a folder, in no order, without the volume's own `.cumulet`. An error means
    /// that the content is unknown.
    fn list(&self, at: &VolumePath) -> Result<Vec<Item>, VolumeError>;

    /// Makes a folder whose parent exists; its mode and, for root, its owner and group are as the
    /// parent's.
    fn make_folder(&self, at: &VolumePath) -> Result<FileStat, VolumeError>;

    /// Makes a folder that nobody else on this computer may look into.
    fn make_private_folder(&self, at: &VolumePath) -> Result<FileStat, VolumeError>;

    /// Renames a file or a folder; never replaces ([`VolumeError::Taken`]).
    fn rename(&self, from: Spot<'_>, to: Spot<'_>) -> Result<(), VolumeError>;

    /// Swaps a temporary file with the file at `at`: afterwards the temporary name holds the old
    /// content. `at` never lacks a file in between, except on volumes with neither exchange nor
    /// hard links, where readers of this process are held off.
    fn exchange(&self, temp: &TempName, at: &VolumePath) -> Result<(), VolumeError>;

    /// Gives a regular file that is there this content and mtime, in nanoseconds since 1970, and
    /// makes both durable. For files that a crash has left incomplete: not for one that is read.
    fn rewrite(&self, at: Spot<'_>, content: &[u8], mtime_ns: i64) -> Result<(), VolumeError>;

    /// Removes a temporary or history file or tree; of a visible path only an empty folder.
    fn remove(&self, at: Spot<'_>) -> Result<(), VolumeError>;

    /// Copies all of `from` into a new temporary file, sharing blocks where the file system can;
    /// gives the number of bytes.
    fn copy(&self, from: &File, to: &Temp) -> Result<u64, VolumeError>;

    /// All temporary files.
    fn temps(&self) -> Result<Vec<TempName>, VolumeError>;

    /// What lies in history, or on one shelf of it.
    fn list_history(&self, shelf: Option<&HistoryName>) -> Result<Vec<Item>, VolumeError>;
}
