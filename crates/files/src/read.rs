//! Opening content so that a reader gets the whole old or the whole new file, with the row that
//! belongs to it (`commit.md`, "Readers").

use std::fs::File;
use std::time::Instant;

use pool::{FileStat, HistoryName, Spot, VolumeError};
use protocol::{Fid, Seq, VolumeId};
use rusqlite::OptionalExtension;

use crate::outside::OutsideEdit;
use crate::reserve::left;
use crate::walk::{Spotted, walk_up};
use crate::{Content, Files, FilesError, Kind, ReadError};

/// Differences without a writer of ours before it is another program's edit.
const LOOKS: usize = 3;

impl Files {
    /// Opens a file for reading: the whole old or the whole new content.
    pub fn open_content(&self, fid: Fid) -> Result<Content, ReadError> {
        let deadline = Instant::now() + self.0.settings.wait;
        let mut looks = 0;
        loop {
            let spotted = self.spot(fid)?;
            if spotted.row().kind == Kind::Folder {
                return Err(ReadError::IsAFolder);
            }
            let opened = self.open_at(&spotted)?;
            if let Some((file, stat)) = &opened
                && spotted.row().agrees(stat)
            {
                let file = file.try_clone().map_err(io_error)?;
                let entry = spotted.row().clone().into_entry(false);
                return Ok(Content { entry, file });
            }
            let keys = spotted.keys();
            if self.0.reservations.is_busy(&keys) {
                if !self.0.reservations.wait_free(&keys, left(deadline)) {
                    return Err(ReadError::Busy);
                }
                continue;
            }
            // The writer may have finished between the row and the file.
            let again = self.spot(fid)?;
            let changed = again.path != spotted.path
                || again.row().rev != spotted.row().rev
                || again.row().inode != spotted.row().inode
                || again.row().mtime_ns != spotted.row().mtime_ns;
            if changed && Instant::now() < deadline {
                continue;
            }
            looks += 1;
            self.hint(spotted.volume, spotted.path.parent());
            match opened {
                _ if looks > LOOKS => return Err(ReadError::Busy),
                Some((_, stat)) => {
                    let edit = OutsideEdit::Changed {
                        fid,
                        stat,
                        hash: None,
                    };
                    self.commit_outside(vec![edit])?;
                }
                None => return Err(ReadError::NotFound),
            }
        }
    }

    fn spot(&self, fid: Fid) -> Result<Spotted, ReadError> {
        self.0
            .db
            .read(|tx| walk_up(tx, fid))?
            .ok_or(ReadError::NotFound)
    }

    fn open_at(&self, spotted: &Spotted) -> Result<Option<(File, FileStat)>, ReadError> {
        let volume = self
            .readable(spotted.volume)
            .map_err(|why| ReadError::VolumeAway { why })?;
        match volume.open(Spot::Path(&spotted.path)) {
            Ok(file) => {
                let stat = volume.stat_of(&file).map_err(FilesError::Volume)?;
                Ok(Some((file, stat)))
            }
            Err(
                VolumeError::NotFound { .. }
                | VolumeError::NotAFolder { .. }
                | VolumeError::NotAFile { .. }
                | VolumeError::Symlink { .. },
            ) => Ok(None),
            Err(VolumeError::Away { why, .. }) => Err(ReadError::VolumeAway { why }),
            Err(error) => Err(ReadError::Internal(error.into())),
        }
    }

    /// Opens former content.
    pub fn open_version(&self, fid: Fid, rev: Seq) -> Result<File, ReadError> {
        let found = self.0.db.read(|tx| {
            Ok::<_, FilesError>(
                tx.prepare_cached(
                    "SELECT volume, history FROM versions WHERE fid = ?1 AND rev = ?2",
                )?
                .query_row((fid.0, rev.0), |row| {
                    Ok((VolumeId(row.get(0)?), row.get::<_, String>(1)?))
                })
                .optional()?,
            )
        })?;
        // A version whose bytes are gone has no name in history.
        let found = found.filter(|(_, name)| !name.is_empty());
        let (volume, name) = found.ok_or(ReadError::NotFound)?;
        let volume = self
            .readable(volume)
            .map_err(|why| ReadError::VolumeAway { why })?;
        let name =
            HistoryName::new(&name).map_err(|error| FilesError::Inconsistent(error.to_string()))?;
        match volume.open(Spot::History(&name)) {
            Ok(file) => Ok(file),
            Err(VolumeError::NotFound { .. }) => Err(ReadError::NotFound),
            Err(VolumeError::Away { why, .. }) => Err(ReadError::VolumeAway { why }),
            Err(error) => Err(ReadError::Internal(error.into())),
        }
    }
}

fn io_error(source: std::io::Error) -> FilesError {
    FilesError::Volume(VolumeError::Io {
        action: "look at",
        at: "an open file".into(),
        source,
    })
}
