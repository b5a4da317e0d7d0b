//! JSON for scripts with an app password, mirroring what pages do.

pub(crate) mod device;
pub(crate) mod friends;
pub(crate) mod node;
pub(crate) mod tree;
