//! How it stands with the center, for commands and pages.

use protocol::NodeName;
use protocol::message::center::{CenterAddress, Refusal};
use serde::{Serialize, Serializer};

/// What does not work while the center is away (R2).
const DEGRADED: [&str; 3] = [
    "the name of this node does not follow a change of its address",
    "nodes that are neither here nor neighbors are not found by their name at the center",
    "certificates that need the center's DNS are not renewed",
];

/// Whether the center serves this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// On the way.
    Connecting,
    /// Registered, and the link is open.
    Registered,
    /// It cannot be reached.
    Away,
    /// It refuses this node.
    Refused,
    /// The module is stopped.
    Stopped,
}

/// Why the center does not serve this node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No link, or no answer.
    #[error("{0}")]
    Away(String),
    /// It said no.
    #[error("the center refuses this node: {0}")]
    Refused(Refusal),
}

/// Why this node has not the name that it wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameTrouble {
    /// The node's name cannot be one in the DNS.
    #[error("`{0}` has no letter or digit that a name in the DNS can have; choose one with --name")]
    NoLabel(String),
    /// The center does not give it.
    #[error("the center does not give the name `{name}`: {why}")]
    Refused {
        /// The name that was wanted.
        name: NodeName,
        /// The center's words.
        why: Refusal,
    },
}

/// What `status` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CenterStatus {
    /// The string that names it.
    pub center: String,
    /// Whether it serves this node.
    pub state: Standing,
    /// Where names are given; known from the last time if it is away now.
    pub zone: Option<String>,
    /// The name that it gave.
    pub name: Option<NodeName>,
    /// Where browsers find this node, if it has a name.
    pub url: Option<String>,
    /// RFC 3339.
    pub last_renewed: Option<String>,
    /// Why it does not serve this node.
    pub trouble: Option<Trouble>,
    /// Why the name is not the wanted one.
    pub name_trouble: Option<NameTrouble>,
    /// The last time that it was caught with a lie, and which.
    pub lie: Option<String>,
}

impl CenterStatus {
    pub(super) fn new(center: &CenterAddress) -> Self {
        Self {
            center: center.to_string(),
            state: Standing::Connecting,
            zone: None,
            name: None,
            url: None,
            last_renewed: None,
            trouble: None,
            name_trouble: None,
            lie: None,
        }
    }

    /// What does not work for now.
    #[must_use]
    pub fn degraded(&self) -> &'static [&'static str] {
        match self.state {
            Standing::Registered => &[],
            Standing::Connecting | Standing::Away | Standing::Refused | Standing::Stopped => {
                &DEGRADED
            }
        }
    }
}

impl Serialize for CenterStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::json!({
            "center": self.center,
            "state": self.state,
            "zone": self.zone,
            "name": self.name,
            "url": self.url,
            "last_renewed": self.last_renewed,
            "error": self.trouble.as_ref().map(ToString::to_string),
            "name_error": self.name_trouble.as_ref().map(ToString::to_string),
            "lie": self.lie,
            "degraded": self.degraded(),
        })
        .serialize(serializer)
    }
}
