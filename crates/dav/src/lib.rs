//! The grammar of WebDAV (RFC 4918) and of the HTTP headers around it (RFC 9110): bytes in, values
//! out, and back.
//!
//! Nothing here reads a socket, a file or a clock. Every decoder takes bytes of a stranger, is
//! bounded, and answers with an error that says what is wrong; none of them panics (each has a fuzz
//! target). The handler that acts on these values is `web::webdav`.
//!
//! - XML bodies: [`PropFind`], [`PropPatch`], [`LockBody`], all over one strict reader ([`xml`]).
//! - Replies: [`Reply`] and [`multistatus`], which append to a byte buffer.
//! - Headers: [`IfHeader`], [`EtagList`], [`Depth`], [`Timeout`], [`Destination`], [`ranges`], …
//! - Addresses: [`decode_path`], [`push_encoded`].
#![forbid(unsafe_code)]

mod conditional;
mod headers;
mod if_header;
mod listing;
mod lock_body;
pub mod multistatus;
mod print;
mod propfind;
mod proppatch;
mod range;
mod reply;
mod target;
pub mod xml;

pub use conditional::{EtagList, EtagTag, IfRange};
pub use headers::{
    Checksum, ChecksumKind, Depth, HeaderError, Timeout, content_range, lock_token, oc_checksum,
    oc_mtime, overwrite, wants_minimal,
};
pub use if_header::{IfHeader, IfList, IfTest};
pub use listing::{LISTING_BYTES_MAX, LISTING_QUERY, Listed, read_listing};
pub use lock_body::LockBody;
pub use print::{push_escaped, push_http_date, push_number, push_rfc3339};
pub use propfind::{PROPS_MAX, PropFind, PropName};
pub use proppatch::{DEAD_PROPERTY_BYTES_MAX, Patch, PropPatch};
pub use range::{ByteSpan, RANGES_MAX, Ranges, ranges};
pub use reply::{ActiveLock, DeadRef, Live, Quota, Reply, Resource};
pub use target::{Destination, PATH_BYTES_MAX, PathError, TargetPath, decode_path, push_encoded};
pub use xml::{BODY_BYTES_MAX, DEPTH_MAX, XmlError};
