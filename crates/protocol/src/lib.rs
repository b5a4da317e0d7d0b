//! The words that all parts of Cumulet share: ids, names, paths, sizes, instants, keys.
//!
//! Nothing here reads a clock, a file or a socket: every value is made from bytes or text by a
//! checking constructor, and its error says which input is bad and why.
#![forbid(unsafe_code)]

mod identity;
mod ids;
mod name;
mod size;
mod timestamp;

pub use identity::{NodeId, NodeSecret, SecretError, Signature};
pub use ids::{AccountId, Epoch, Etag, Fid, Hash, IdError, Seq, SpaceId, SyncToken, VolumeId};
pub use name::{CloudPath, EntryName, NAME_BYTES_MAX, NameError, PATH_DEPTH_MAX, TreePath};
pub use size::{ByteSize, SizeError};
pub use timestamp::{Clock, Timestamp};
