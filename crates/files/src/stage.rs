//! Receiving bytes: a temporary file on the volume of the target, hashed on the way
//! (`commit.md` steps 1 and 2).
//!
//! Invariant: nothing of it is visible before the commit; a dropped staging removes its file.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use protocol::{Hash, VolumeId};
use sha1::Digest;

use pool::{Spot, TempName, Volume};

use crate::refusal::{blake3_mismatch, mismatch};
use crate::{At, Files, Refusal};

/// Bytes written to the volume at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Content larger than this is flushed before the commit begins, so that no entry stays reserved
/// while a disk takes its time.
const FLUSH_EARLY_BYTES: u64 = 1 << 20;

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

impl TempGuard {
    fn take(&mut self) -> Option<TempName> {
        self.name.take()
    }
}

impl Drop for TempGuard {
    fn drop(&mut self) {
        if let Some(name) = self.name.take()
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
        let _ = at;
        todo!()
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

    /// Checks the whole (`commit.md` step 2). The content becomes durable here if it is large, else
    /// with the first transaction of its commit.
    pub fn finish(self, expect: Expect) -> Result<Staged, Refusal> {
        let _ = (expect, blake3_mismatch, mismatch, FLUSH_EARLY_BYTES);
        todo!()
    }
}

impl Write for Staging {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let _ = (piece, PIECE_BYTES);
        todo!()
    }

    fn flush(&mut self) -> io::Result<()> {
        todo!()
    }
}
