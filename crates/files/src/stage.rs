//! Receiving bytes: a temporary file on the volume of the target, hashed on the way
//! (`commit.md` steps 1 and 2).
//!
//! Invariant: nothing of it is visible before the commit; a dropped staging removes its file.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::{Hash, Timestamp, VolumeId};
use sha1::Digest;

use pool::{Rights, Spot, Temp, TempName, Volume, VolumeError, VolumePath};

use crate::decide::What;
use crate::refusal::{blake3_mismatch, mismatch, volume_refusal};
use crate::walk::{HOME, walk};
use crate::{At, Files, FilesError, Kind, Refusal};

/// Bytes written to the volume at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Content larger than this is flushed before the commit begins, so that no entry stays reserved
/// while a disk takes its time.
const FLUSH_EARLY_BYTES: u64 = 1 << 20;

/// Content up to this size is written down with its intent and needs no flush of its own.
const CONTENT_BYTES: u64 = 16 << 10;

/// What the writer announced; all that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// Bytes.
    pub length: Option<u64>,
    /// BLAKE3.
    pub blake3: Option<Hash>,
    /// SHA-1 (`OC-Checksum`); ask for it with [`Staging::with_sha1`] before the first byte.
    pub sha1: Option<[u8; 20]>,
}

/// Removes a temporary file unless the commit took it over.
struct TempGuard {
    volume: Arc<dyn Volume>,
    name: Option<TempName>,
}

impl Drop for TempGuard {
    fn drop(&mut self) {
        // A panic stands for a crash in tests: recovery shall find the file.
        if let Some(name) = self.name.take().filter(|_| !std::thread::panicking())
            && let Err(error) = self.volume.remove(Spot::Temp(&name))
        {
            tracing::debug!(%name, %error, "a temporary file stays until the next start");
        }
    }
}

/// Content on its way in. Write all bytes, then [`Staging::finish`].
pub struct Staging {
    temp: TempGuard,
    file: File,
    volume_id: VolumeId,
    buffer: Vec<u8>,
    size: u64,
    hasher: blake3::Hasher,
    sha1: Option<sha1::Sha1>,
    full: bool,
}

impl std::fmt::Debug for Staging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staging").field("size", &self.size).finish()
    }
}

/// Content received whole; give it to [`crate::Change::Put`].
pub struct Staged {
    temp: TempGuard,
    pub(crate) file: File,
    pub(crate) volume_id: VolumeId,
    durable: bool,
    /// The bytes themselves, if they are few.
    pub(crate) content: Option<Arc<[u8]>>,
    /// Bytes.
    pub size: u64,
    /// BLAKE3.
    pub hash: Hash,
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { size, hash, .. } = self;
        f.debug_struct("Staged")
            .field("size", size)
            .field("hash", hash)
            .finish_non_exhaustive()
    }
}

impl Files {
    /// Opens a place for new bytes on the volume that holds `at`. The folder must exist.
    pub fn stage(&self, at: &At) -> Result<Staging, Refusal> {
        self.index_on_the_way(at)?;
        let (spotted, exists) = self.0.db.read(|tx| walk(tx, at)?.slot(at))?;
        if exists && spotted.row().kind == Kind::Folder {
            return Err(Refusal::IsAFolder);
        }
        let volume = self.writable(spotted.volume)?;
        let kept = exists.then(|| rights_of(volume.as_ref(), &spotted.path));
        let rights = kept
            .flatten()
            .unwrap_or_else(|| rights_of_new(volume.as_ref(), &spotted.path));
        self.stage_on(spotted.volume, volume, &rights)
    }

    /// Opens a place for new bytes on a volume.
    pub(crate) fn stage_on(
        &self,
        volume_id: VolumeId,
        volume: Arc<dyn Volume>,
        rights: &Rights,
    ) -> Result<Staging, Refusal> {
        let Temp { name, file } = volume.temp().map_err(volume_refusal)?;
        let staging = Staging {
            temp: TempGuard {
                volume,
                name: Some(name),
            },
            file,
            volume_id,
            buffer: Vec::new(),
            size: 0,
            hasher: blake3::Hasher::new(),
            sha1: None,
            full: false,
        };
        let given = rights.give(&staging.file);
        given.map_err(|source| io_refusal("set the mode of", source))?;
        Ok(staging)
    }
}

impl Staging {
    /// Also computes SHA-1; only before the first byte.
    #[must_use]
    pub fn with_sha1(mut self) -> Self {
        self.sha1 = Some(sha1::Sha1::new());
        self
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that the volume of this place can still take.
    pub fn free(&self) -> Result<u64, FilesError> {
        Ok(self.temp.volume.space()?.free)
    }

    /// True after a write that failed because the disk is full.
    #[must_use]
    pub fn disk_was_full(&self) -> bool {
        self.full
    }

    /// Copies the whole of `from`, sharing blocks where the volume can. `hash` is its BLAKE3 if
    /// known, else it is read for it.
    pub(crate) fn copy_from(mut self, from: &File, hash: Option<Hash>) -> Result<Staged, Refusal> {
        let name = self.temp.name.clone().ok_or(Refusal::Busy)?;
        let to = Temp {
            name,
            file: self.file,
        };
        let copied = self.temp.volume.copy(from, &to).map_err(volume_refusal)?;
        self.file = to.file;
        let hash = match hash {
            Some(hash) => hash,
            None => self.read_hash()?,
        };
        Ok(Staged {
            temp: self.temp,
            file: self.file,
            volume_id: self.volume_id,
            durable: false,
            content: None,
            size: copied,
            hash,
        })
    }

    fn read_hash(&mut self) -> Result<Hash, Refusal> {
        let read = self
            .file
            .rewind()
            .and_then(|()| self.hasher.update_reader(&self.file).map(drop));
        read.map_err(|source| io_refusal("read", source))?;
        Ok(Hash(*self.hasher.finalize().as_bytes()))
    }

    /// Checks the whole (`commit.md` step 2). Large content becomes durable here, the rest together
    /// with the first transaction of its commit.
    pub fn finish(mut self, expect: Expect) -> Result<Staged, Refusal> {
        // Only where the catalog lies: what was written to a disk that is pulled must be on it. And
        // only where recovery knows a torn file by its inode.
        let small = self.volume_id == HOME
            && self.temp.volume.facts().lasting_inodes
            && self.size <= CONTENT_BYTES
            && self.buffer.len() as u64 == self.size;
        let content = small.then(|| Arc::from(self.buffer.as_slice()));
        self.write_out()
            .map_err(|source| io_refusal("write", source))?;
        if let Some(expected) = expect.length.filter(|length| *length != self.size) {
            return Err(Refusal::Incomplete {
                expected,
                got: self.size,
            });
        }
        let hash = Hash(*self.hasher.finalize().as_bytes());
        if let Some(expected) = expect.blake3.filter(|expected| *expected != hash) {
            return Err(blake3_mismatch(expected, hash));
        }
        if let Some(expected) = expect.sha1 {
            let Some(sha1) = self.sha1.take() else {
                return Err(FilesError::Inconsistent("SHA-1 was not asked for".into()).into());
            };
            let got: [u8; 20] = sha1.finalize().into();
            if got != expected {
                return Err(mismatch("SHA-1", &expected, &got));
            }
        }
        let durable = self.size > FLUSH_EARLY_BYTES;
        if durable {
            self.temp.volume.flush(&self.file).map_err(volume_refusal)?;
        }
        Ok(Staged {
            temp: self.temp,
            file: self.file,
            volume_id: self.volume_id,
            durable,
            content,
            size: self.size,
            hash,
        })
    }

    fn write_out(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        self.full |= written.as_ref().is_err_and(|error| is_full(error.kind()));
        written
    }
}

impl Write for Staging {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        // BLAKE3 uses SIMD over whole kilobytes: hash what the caller sends, not single bytes.
        self.hasher.update(piece);
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(piece);
        }
        self.size += piece.len() as u64;
        if self.buffer.is_empty() && piece.len() >= PIECE_BYTES {
            let written = self.file.write_all(piece);
            self.full |= written.as_ref().is_err_and(|error| is_full(error.kind()));
            written?;
            return Ok(piece.len());
        }
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() >= PIECE_BYTES {
            self.write_out()?;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out()
    }
}

impl Staged {
    /// The file's name, size and stat for the intent; `mtime` is set on it first.
    pub(crate) fn facts(&self, mtime: Option<Timestamp>) -> Result<What, Refusal> {
        if let Some(mtime) = mtime {
            self.file
                .set_modified(system_time(mtime))
                .map_err(|source| io_refusal("set the mtime of", source))?;
        }
        let stat = self
            .temp
            .volume
            .stat_of(&self.file)
            .map_err(volume_refusal)?;
        let name = self.temp.name.clone().ok_or(Refusal::Busy)?;
        Ok(What::Temp {
            name,
            inode: stat.inode,
            size: self.size,
            mtime_ns: stat.mtime_ns,
            hash: self.hash,
            volume: self.volume_id,
            durable: self.durable,
            content: self.content.clone(),
        })
    }

    pub(crate) fn volume(&self) -> &Arc<dyn Volume> {
        &self.temp.volume
    }

    /// The temporary file belongs to an intent now.
    pub(crate) fn hand_over(mut self) {
        self.temp.name.take();
    }
}

/// New content of a file keeps its owner and permissions; `None` if no file is there.
pub(crate) fn rights_of(volume: &dyn Volume, path: &VolumePath) -> Option<Rights> {
    let opened = volume.open(Spot::Path(path)).ok();
    opened.and_then(|file| Rights::of(&file).ok()).or_else(|| {
        let stat = volume.stat(Spot::Path(path)).ok().flatten()?;
        Some(Rights::of_stat(&stat))
    })
}

/// A new file is as its folder is.
pub(crate) fn rights_of_new(volume: &dyn Volume, path: &VolumePath) -> Rights {
    let folder = path.parent().unwrap_or_else(VolumePath::top);
    match volume.stat(Spot::Path(&folder)) {
        Ok(Some(stat)) => Rights::below(&stat),
        Ok(None) | Err(_) => Rights::private(),
    }
}

/// An instant for the file system.
pub(crate) fn system_time(at: Timestamp) -> SystemTime {
    let since = Duration::from_millis(at.0.unsigned_abs());
    if at.0 >= 0 {
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    } else {
        UNIX_EPOCH.checked_sub(since).unwrap_or(UNIX_EPOCH)
    }
}

fn is_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

pub(crate) fn io_refusal(action: &'static str, source: io::Error) -> Refusal {
    if is_full(source.kind()) {
        return Refusal::DiskFull;
    }
    Refusal::Internal(FilesError::Volume(VolumeError::Io {
        action,
        at: "a temporary file".into(),
        source,
    }))
}
