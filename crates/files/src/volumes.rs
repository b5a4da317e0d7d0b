//! The volumes that are attached at present, by their number in the catalog.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use database::Database;
use pool::{Volume, VolumeState};
use protocol::VolumeId;
use rusqlite::OptionalExtension;

use crate::walk::HOME;
use crate::{Files, FilesError, Refusal};

/// Attached volumes.
#[derive(Default)]
pub(crate) struct Volumes(RwLock<HashMap<VolumeId, Arc<dyn Volume>>>);

impl Volumes {
    pub(crate) fn insert(&self, id: VolumeId, volume: Arc<dyn Volume>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, volume);
    }

    pub(crate) fn remove(&self, id: VolumeId) -> Option<Arc<dyn Volume>> {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id)
    }

    pub(crate) fn get(&self, id: VolumeId) -> Option<Arc<dyn Volume>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    /// All attached volumes.
    pub(crate) fn all(&self) -> Vec<(VolumeId, Arc<dyn Volume>)> {
        let volumes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        volumes.iter().map(|(id, v)| (*id, Arc::clone(v))).collect()
    }
}

impl Files {
    /// The volume, if it can be read now.
    pub(crate) fn readable(&self, id: VolumeId) -> Result<Arc<dyn Volume>, String> {
        let volume = self
            .0
            .volumes
            .get(id)
            .ok_or_else(|| "it is not attached".to_owned())?;
        match volume.state() {
            VolumeState::Ready | VolumeState::ReadOnly { .. } => Ok(volume),
            VolumeState::Away { why } => Err(why),
        }
    }

    /// The volume, if it can be written now.
    pub(crate) fn writable(&self, id: VolumeId) -> Result<Arc<dyn Volume>, Refusal> {
        let volume = self.0.volumes.get(id).ok_or(Refusal::VolumeAway {
            why: "it is not attached".into(),
        })?;
        match volume.state() {
            VolumeState::Ready => Ok(volume),
            VolumeState::ReadOnly { why } => Err(Refusal::ReadOnly { why }),
            VolumeState::Away { why } => Err(Refusal::VolumeAway { why }),
        }
    }

    /// True if entries on the volume cannot be served now.
    pub(crate) fn is_away(&self, id: VolumeId) -> bool {
        self.readable(id).is_err()
    }
}

/// By what the home volume of a catalog is recognized; `None` for a new catalog. Opened with this
/// ([`pool::Options`]), a home volume that is not mounted is away instead of a new, empty one.
pub fn home_identity(db: &Database) -> Result<Option<pool::Identity>, FilesError> {
    db.read(|tx| {
        let identity = tx
            .query_row(
                "SELECT uuid, marked, file_system, top_inode FROM volumes WHERE id = ?1",
                [HOME.0],
                |row| {
                    let uuid: String = row.get(0)?;
                    Ok(pool::Identity {
                        uuid: uuid
                            .parse()
                            .map_err(|error| crate::row::bad_column(0, error))?,
                        marked: row.get(1)?,
                        file_system: row.get::<_, i64>(2)?.cast_unsigned(),
                        top_inode: row.get::<_, i64>(3)?.cast_unsigned(),
                    })
                },
            )
            .optional()?;
        Ok(identity)
    })
}

/// Writes the home volume into a new catalog, or checks that the catalog was made for it.
pub(crate) fn register_home(db: &Database, home: &dyn Volume) -> Result<(), FilesError> {
    let identity = home.identity();
    let root = home.root().to_string_lossy().into_owned();
    db.write(move |tx| {
        let known: Option<String> = tx
            .query_row("SELECT uuid FROM volumes WHERE id = ?1", [HOME.0], |row| {
                row.get(0)
            })
            .optional()?;
        match known {
            Some(known) if known == identity.uuid.as_str() => {
                tx.execute("UPDATE volumes SET root = ?2 WHERE id = ?1", (HOME.0, root))?;
                Ok(())
            }
            Some(known) => Err(FilesError::OtherVolume {
                expected: known,
                found: identity.uuid.to_string(),
            }),
            None => {
                tx.execute(
                    "INSERT INTO volumes (id, uuid, root, marked, file_system, top_inode, indexed) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)",
                    (
                        HOME.0,
                        identity.uuid.as_str(),
                        root,
                        identity.marked,
                        identity.file_system.cast_signed(),
                        identity.top_inode.cast_signed(),
                    ),
                )?;
                Ok(())
            }
        }
    })
}
