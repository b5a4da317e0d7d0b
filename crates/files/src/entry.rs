//! What the tree holds and how it is shown to the other crates: spaces, entries, versions, trash.
//!
//! Plain values without a connection; [`crate::Files`] fills them from the catalog (R90).

use std::fmt;
use std::str::FromStr;

use protocol::{
    AccountId, EntryName, Epoch, Etag, Fid, Hash, Seq, SpaceId, SyncToken, Timestamp, TreePath,
    VolumeId,
};

/// A place in the tree: a space and the names from its top down. Nothing need be there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct At {
    /// The space.
    pub space: SpaceId,
    /// Where inside of it.
    pub path: TreePath,
}

/// One person's top folder with its own change log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// Its number.
    pub id: SpaceId,
    /// Its name, also the name of its folder on the home volume.
    pub name: EntryName,
    /// Whose it is.
    pub owner: AccountId,
    /// The entry of its top folder.
    pub root: Fid,
    /// The life of its change log.
    pub epoch: Epoch,
    /// The newest number of its change log.
    pub seq: Seq,
    /// Most bytes that its files may hold together; `None` is unlimited.
    pub quota: Option<u64>,
}

impl Space {
    /// The token for "everything up to now has been seen".
    #[must_use]
    pub fn token(&self) -> SyncToken {
        SyncToken {
            epoch: self.epoch,
            seq: self.seq,
        }
    }
}

/// Bytes of a space (RFC 4331).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the files now in the tree; versions and trash do not count.
    pub used: u64,
    /// The limit, if there is one.
    pub quota: Option<u64>,
    /// The lesser of what is left of the quota and what is free on the volume.
    pub available: u64,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Holds bytes.
    File,
    /// Holds entries.
    Folder,
}

/// Whether an entry's content can be served and is fully known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryState {
    /// Known and readable.
    Ready,
    /// Found on the disk, usable; its hash or its children are still being read.
    Indexing,
    /// Its volume is not attached or not readable at present.
    Away,
}

/// One file or folder of the tree, as one row of the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, never reused, kept by moves.
    pub fid: Fid,
    /// The space that it lies in.
    pub space: SpaceId,
    /// The folder that holds it; `None` for the top of a space and for what lies in the trash.
    pub parent: Option<Fid>,
    /// Its name in that folder.
    pub name: EntryName,
    /// File or folder.
    pub kind: Kind,
    /// `seq` of the last change of content; for a folder of anything below it.
    pub rev: Seq,
    /// `seq` of the last change of its own metadata (name, place, properties, mtime).
    pub mrev: Seq,
    /// Bytes; 0 for a folder.
    pub size: u64,
    /// Last change of content, as the writer or the volume tells it.
    pub mtime: Timestamp,
    /// When it came into the tree.
    pub created: Timestamp,
    /// BLAKE3 of the content; `None` for folders and while indexing.
    pub hash: Option<Hash>,
    /// Made by a lock on a free name and still empty (RFC 4918 section 7.3); hidden from sync.
    pub placeholder: bool,
    /// The volume whose top this folder shows, if it is a bound folder.
    pub mount: Option<VolumeId>,
    /// Whether it can be served.
    pub state: EntryState,
}

impl Entry {
    /// The strong validator of the entry's present content.
    #[must_use]
    pub fn etag(&self) -> Etag {
        Etag {
            fid: self.fid,
            rev: self.rev,
        }
    }

    /// True for a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }
}

/// A dead property (RFC 4918 section 4.1): kept for clients, never understood by us.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeadProp {
    /// XML namespace; may be empty.
    pub namespace: String,
    /// Local name.
    pub name: String,
    /// The whole element as XML that stands alone (its own namespace declarations, `xml:lang`).
    pub xml: String,
}

/// An open file and the row that describes exactly these bytes.
#[derive(Debug)]
pub struct Content {
    /// The entry; its size and ETag are those of `file`.
    pub entry: Entry,
    /// Open for reading at offset 0; stays whole whatever is written meanwhile.
    pub file: std::fs::File,
}

/// Why a version is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VersionReason {
    /// A newer write took its place.
    Overwritten,
    /// Its writer was refused by 412; it never was the content of the entry.
    Refused,
    /// A write that met an edit from outside at a crash; it never was the content of the entry.
    Outside,
    /// Another program overwrote it in place: the row tells so, its bytes are gone.
    Lost,
}

/// Former (or refused) content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Names it together with the fid. Refused content has a number of its own, below zero.
    pub rev: Seq,
    /// Bytes.
    pub size: u64,
    /// Its mtime.
    pub mtime: Timestamp,
    /// BLAKE3, where known.
    pub hash: Option<Hash>,
    /// When it was put aside.
    pub kept_at: Timestamp,
    /// Who put it aside (for refused content: who sent it).
    pub author: String,
    /// Why it is here.
    pub reason: VersionReason,
}

/// One deleted or overwritten entry with all below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trashed {
    /// Names it in [`crate::Change::Restore`].
    pub id: i64,
    /// The entry.
    pub fid: Fid,
    /// Its name.
    pub name: EntryName,
    /// Where it was, printed from the top of the space.
    pub old_path: String,
    /// The folder that held it; perhaps in the trash itself.
    pub old_parent: Fid,
    /// File or folder.
    pub kind: Kind,
    /// Bytes, with all below it.
    pub size: u64,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// Who did.
    pub deleted_by: String,
    /// When retention removes it at the latest.
    pub until: Timestamp,
}

/// What a listing is sorted by; names decide among equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// Byte order of the names.
    #[default]
    Name,
    /// Last change.
    Modified,
    /// Bytes.
    Size,
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Start behind this place; `None` starts at the top.
    pub after: Option<Cursor>,
    /// Leave so many out before the first one, for jumps to a numbered page.
    pub skip: usize,
    /// Most entries to return.
    pub limit: usize,
    /// Sorted by.
    pub order: Order,
    /// From the greatest down.
    pub descending: bool,
}

/// A place inside a sorted listing; prints as `KEY:NAME` for addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) key: i64,
    pub(crate) name: String,
}

impl Cursor {
    /// The place of `entry` in a listing sorted by `order`.
    #[must_use]
    pub fn of(entry: &Entry, order: Order) -> Self {
        Self {
            key: match order {
                Order::Name => 0,
                Order::Modified => entry.mtime.0,
                Order::Size => i64::try_from(entry.size).unwrap_or(i64::MAX),
            },
            name: entry.name.to_string(),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, self.name)
    }
}

impl FromStr for Cursor {
    type Err = protocol::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || protocol::NameError::NotUtf8;
        let (key, name) = text.split_once(':').ok_or_else(bad)?;
        Ok(Self {
            key: key.parse().map_err(|_| bad())?,
            name: EntryName::new(name)?.to_string(),
        })
    }
}
