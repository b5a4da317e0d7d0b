//! A volume on a file system of this machine.
use crate::*;
use std::path::PathBuf;

/// How to open a volume.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The volume that must be there. If it is not, the volume opens as away and comes back by
    /// itself. Without it a new marker is written where none is.
    pub expect: Option<Identity>,
}

/// A volume on a file system of this machine.
pub struct LocalVolume {
    root: PathBuf,
    id: VolumeUuid,
}

impl LocalVolume {
    /// Opens the volume at `root`, an existing folder.
    pub fn open(root: &Path, options: Options) -> Result<Self, VolumeError> {
        let _ = (root, options);
        todo!()
    }
}

#[expect(unused_variables)]
impl Volume for LocalVolume {
    fn id(&self) -> &VolumeUuid { &self.id }
    fn identity(&self) -> Identity { todo!() }
    fn root(&self) -> &Path { &self.root }
    fn facts(&self) -> Facts { todo!() }
    fn state(&self) -> VolumeState { todo!() }
    fn space(&self) -> Result<Space, VolumeError> { todo!() }
    fn temp(&self) -> Result<Temp, VolumeError> { todo!() }
    fn flush(&self, file: &File) -> Result<(), VolumeError> { todo!() }
    fn sync_folders(&self, folders: &[VolumePath]) -> Result<(), VolumeError> { todo!() }
    fn sync_all(&self) -> Result<(), VolumeError> { todo!() }
    fn stat(&self, at: Spot<'_>) -> Result<Option<FileStat>, VolumeError> { todo!() }
    fn open(&self, at: Spot<'_>) -> Result<File, VolumeError> { todo!() }
    fn list(&self, at: &VolumePath) -> Result<Vec<Item>, VolumeError> { todo!() }
    fn make_folder(&self, at: &VolumePath) -> Result<FileStat, VolumeError> { todo!() }
    fn rename(&self, from: Spot<'_>, to: Spot<'_>) -> Result<(), VolumeError> { todo!() }
    fn exchange(&self, temp: &TempName, at: &VolumePath) -> Result<(), VolumeError> { todo!() }
    fn remove(&self, at: Spot<'_>) -> Result<(), VolumeError> { todo!() }
    fn copy(&self, from: &File, to: &Temp) -> Result<u64, VolumeError> { todo!() }
    fn temps(&self) -> Result<Vec<TempName>, VolumeError> { todo!() }
    fn histories(&self) -> Result<Vec<HistoryName>, VolumeError> { todo!() }
}
