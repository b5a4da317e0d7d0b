//! The words that all parts of Cumulet share: ids, names, paths, sizes, instants, keys.
//!
//! What machines say to each other is here too: [`NodeRecord`] is what a node states about itself,
//! [`frame`] how a message is cut from a stream.
//!
//! Nothing here reads a clock, a file or a socket: every value is made from bytes or text by a
//! checking constructor, and its error says which input is bad and why.
#![forbid(unsafe_code)]

pub mod announcement;
pub mod device;
pub mod frame;
mod identity;
mod ids;
pub mod message;
mod name;
mod node_name;
mod record;
mod size;
mod timestamp;
mod tls_key;

pub use identity::{NodeId, NodeSecret, SecretError, Signature};
pub use ids::{AccountId, Epoch, Etag, Fid, Hash, IdError, Seq, SpaceId, SyncToken, VolumeId};
pub use name::{CloudPath, EntryName, NAME_BYTES_MAX, NameError, PATH_DEPTH_MAX, TreePath};
pub use node_name::{NODE_NAME_CHARS_MAX, NodeName, NodeNameError};
pub use record::{
    ADDRESSES_MAX, CLOCK_ERROR_MAX, NodeRecord, RECORD_BYTES_MAX, RECORD_LIFETIME_MAX, RELAYS_MAX,
    RecordError, RelayOffer, SignedRecord,
};
pub use size::{ByteSize, SizeError};
pub use timestamp::{Clock, Timestamp};
pub use tls_key::TlsKey;
