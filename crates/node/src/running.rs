//! What there is while a node runs, apart from its state on the disks.

use std::sync::{Arc, OnceLock};

use protocol::Timestamp;

use crate::certificate::Certificate;
use crate::cluster::{Discovery, Neighbors, Registration};
use crate::connection::Entrance;
use crate::modules::Modules;

/// A running node, as the admin API and the pages see it.
pub struct Running {
    /// The node's name.
    pub name: String,
    /// Where people reach it, without a slash at the end.
    pub https_url: String,
    /// The plain listener, if there is one.
    pub http_url: Option<String>,
    /// When it started.
    pub started: Timestamp,
    /// The certificate in use.
    pub certificate: Arc<Certificate>,
    pub(crate) entrance: Arc<Entrance>,
    /// Friends, for commands.
    pub(crate) friends: crate::cluster::Friends,
    /// Other nodes.
    pub(crate) neighbors: Neighbors,
    /// The center, if there is one.
    pub(crate) center: Option<Registration>,
    /// Set once the modules are started; they need what is above.
    pub(crate) modules: OnceLock<Arc<Modules>>,
    /// Who is nearby; `None` if the home network is not to be told or heard.
    pub(crate) discovery: Option<Discovery>,
}

impl Running {
    /// The modules, once they are started.
    #[must_use]
    pub fn modules(&self) -> Option<Arc<Modules>> {
        self.modules.get().cloned()
    }
}
