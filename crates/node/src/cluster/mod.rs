//! The node among other nodes: the modules that find, reach and remember them.

mod discovery;

pub(crate) use discovery::Discovery;
