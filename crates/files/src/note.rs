//! What became of an intent on the disk: as the record is told, and as the flush that follows it is.

use pool::{FileStat, Folder, VolumePath};
use protocol::{Fid, VolumeId};

use crate::intent::{Intent, Source};
use crate::record::Carried;

/// What transaction B is told about an intent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Note {
    Carried(Carried),
    Refused,
    Outside(Option<FileStat>),
    Undone,
}

impl Note {
    /// True if the record takes the intent away at once, so that nothing could be done again.
    pub(crate) fn ends(&self, intent: &Intent) -> bool {
        match self {
            Self::Carried(_) => matches!(intent.source, Source::NewFolder),
            Self::Refused | Self::Outside(_) | Self::Undone => true,
        }
    }
}

/// A finished change that waits for its flush.
pub(crate) struct Finished {
    pub(crate) id: i64,
    pub(crate) volume: VolumeId,
    /// The folders that it touched.
    pub(crate) folders: Vec<Folder>,
    pub(crate) moves: bool,
    /// What it wrote, if its intent holds the content and the file is yet to be flushed.
    pub(crate) wrote: Option<Wrote>,
}

/// Content that its intent holds until the file is flushed.
pub(crate) struct Wrote {
    pub(crate) fid: Fid,
    pub(crate) target: VolumePath,
    pub(crate) stat: Option<FileStat>,
}

impl Finished {
    /// `stat` is that of the target.
    pub(crate) fn of(intent: &Intent, stat: Option<FileStat>) -> Self {
        let fid = intent.fid.filter(|_| intent.is_written());
        let wrote = fid.map(|fid| Wrote {
            fid,
            target: intent.target.clone(),
            stat: stat.filter(|stat| Some(stat.inode) == intent.source.inode()),
        });
        Self {
            wrote,
            id: intent.id,
            volume: intent.volume,
            folders: intent.folders(),
            moves: intent.moves(),
        }
    }

    pub(crate) fn written(&self) -> Option<(Fid, FileStat)> {
        let wrote = self.wrote.as_ref()?;
        Some((wrote.fid, wrote.stat?))
    }
}
