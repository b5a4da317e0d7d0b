//! Spaces: one top folder, one change log, one quota per person.

use protocol::{AccountId, EntryName, SpaceId};

use crate::{Files, FilesError, Space, Usage};

impl Files {
    /// Makes the space `name` with its folder on the home volume; an existing one is returned (and
    /// shown again if it was retired).
    pub fn create_space(&self, name: &EntryName, owner: AccountId) -> Result<Space, FilesError> {
        let _ = (name, owner, self.now());
        todo!()
    }

    /// All spaces that are not retired, by name.
    pub fn spaces(&self) -> Result<Vec<Space>, FilesError> {
        todo!()
    }

    /// The space of that name, unless retired.
    pub fn space(&self, name: &str) -> Result<Option<Space>, FilesError> {
        let _ = name;
        todo!()
    }

    /// The space of that number, unless retired.
    pub fn space_by_id(&self, id: SpaceId) -> Result<Option<Space>, FilesError> {
        let _ = id;
        todo!()
    }

    /// Hides a space whose person was removed; its files stay on the disk under its name.
    pub fn retire_space(&self, id: SpaceId) -> Result<(), FilesError> {
        let _ = id;
        todo!()
    }

    /// Sets or lifts the limit in bytes.
    pub fn set_quota(&self, id: SpaceId, quota: Option<u64>) -> Result<(), FilesError> {
        let _ = (id, quota);
        todo!()
    }

    /// Bytes used, allowed and available.
    pub fn usage(&self, id: SpaceId) -> Result<Usage, FilesError> {
        let _ = id;
        todo!()
    }
}
