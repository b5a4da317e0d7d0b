//! Looking at the tree: finding, listing, opening.

use std::fs::File;
use std::ops::ControlFlow;

use protocol::{Fid, Seq, SpaceId};

use crate::{
    At, Content, DeadProp, Entry, Files, FilesError, LockInfo, Page, ReadError, Trashed, Version,
};

impl Files {
    /// The entry at a place.
    pub fn find(&self, at: &At) -> Result<Option<Entry>, FilesError> {
        let _ = (at, &self.0.db, &self.0.witness, &self.0.settings);
        todo!()
    }

    /// The entry of that number, unless it is gone or in the trash.
    pub fn entry(&self, fid: Fid) -> Result<Option<Entry>, FilesError> {
        let _ = fid;
        todo!()
    }

    /// Where an entry is now.
    pub fn locate(&self, fid: Fid) -> Result<At, FilesError> {
        let _ = fid;
        todo!()
    }

    /// The entry and the folders above it, the top of the space last.
    pub fn chain(&self, fid: Fid) -> Result<Vec<Fid>, FilesError> {
        let _ = fid;
        todo!()
    }

    /// One page of a folder.
    pub fn children(&self, folder: Fid, page: &Page) -> Result<Vec<Entry>, FilesError> {
        let _ = (folder, page);
        todo!()
    }

    /// Number of entries in a folder.
    pub fn count_children(&self, folder: Fid) -> Result<u64, FilesError> {
        let _ = folder;
        todo!()
    }

    /// Calls `f` for each entry of a folder in byte order of the names, all from one snapshot, with
    /// its dead properties (if `with_props`) and the locks on it. `f` must not call back.
    pub fn for_each_child(
        &self,
        folder: Fid,
        with_props: bool,
        f: &mut dyn FnMut(&Entry, &[DeadProp], &[LockInfo]) -> ControlFlow<()>,
    ) -> Result<(), FilesError> {
        let _ = (folder, with_props, f);
        todo!()
    }

    /// Opens a file for reading: the whole old or the whole new content.
    pub fn open_content(&self, fid: Fid) -> Result<Content, ReadError> {
        let _ = fid;
        todo!()
    }

    /// The dead properties of an entry, by namespace and name.
    pub fn dead_props(&self, fid: Fid) -> Result<Vec<DeadProp>, FilesError> {
        let _ = fid;
        todo!()
    }

    /// Former content of a file, newest first.
    pub fn versions(&self, fid: Fid) -> Result<Vec<Version>, FilesError> {
        let _ = fid;
        todo!()
    }

    /// Opens former content.
    pub fn open_version(&self, fid: Fid, rev: Seq) -> Result<File, ReadError> {
        let _ = (fid, rev);
        todo!()
    }

    /// What was deleted in a space, newest first.
    pub fn trash(&self, space: SpaceId) -> Result<Vec<Trashed>, FilesError> {
        let _ = space;
        todo!()
    }
}
