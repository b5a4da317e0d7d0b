//! Who asks, and from where.

use std::net::IpAddr;

use protocol::{AccountId, EntryName};

use crate::friend::FriendId;

/// Where a request comes from. Being on the LAN grants nothing; being away takes LAN-only things
/// away (R105).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// An address of one of the node's own networks, directly.
    Lan,
    /// Everything else: a relay, a mapped port, a foreign network, an untrusted proxy.
    Away,
    /// The admin socket in the state folder: whoever can open it could read the database as well.
    Console,
}

/// How an account proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// A session cookie.
    Session {
        /// Number of the session.
        id: i64,
    },
    /// A device's own password (HTTP Basic).
    AppPassword {
        /// Number of the app password.
        id: i64,
        /// What its owner calls the device.
        label: String,
    },
    /// The account's password by HTTP Basic.
    Password,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A person with an account.
    Account {
        /// The account.
        id: AccountId,
        /// Its name.
        name: EntryName,
        /// Whether it administers the node.
        owner: bool,
        /// How it proved itself.
        via: Via,
    },
    /// Whoever holds the address of a sharing link.
    Link {
        /// Number of the link.
        id: i64,
        /// True if the link has no password or it was given.
        unlocked: bool,
    },
    /// A node that this node's owner and its own agreed on; the link proved its key.
    Friend {
        /// Number of the friend.
        id: FriendId,
        /// What this node's owner calls it.
        name: EntryName,
    },
    /// Nobody we know.
    Nobody,
}

/// One request's who, where and from which address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Who.
    pub who: Who,
    /// From where.
    pub place: Place,
    /// The peer's address.
    pub address: IpAddr,
}

impl Asker {
    /// The account that asks, if one does.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match &self.who {
            Who::Account { id, .. } => Some(*id),
            Who::Link { .. } | Who::Friend { .. } | Who::Nobody => None,
        }
    }

    /// Who holds a lock that is made now: the account, or for a friend the negative of its number,
    /// which no account has. `None` for those who cannot lock.
    #[must_use]
    pub fn lock_holder(&self) -> Option<AccountId> {
        match &self.who {
            Who::Account { id, .. } => Some(*id),
            Who::Friend { id, .. } => Some(AccountId(-id.0)),
            Who::Link { .. } | Who::Nobody => None,
        }
    }

    /// The friend that asks, if one does.
    #[must_use]
    pub fn friend(&self) -> Option<FriendId> {
        match &self.who {
            Who::Friend { id, .. } => Some(*id),
            Who::Account { .. } | Who::Link { .. } | Who::Nobody => None,
        }
    }

    /// The name for audit rows: `alice`, `link 3`, `friend bob`, `console`, `nobody`.
    #[must_use]
    pub fn label(&self) -> String {
        match (&self.who, self.place) {
            (Who::Account { name, .. }, _) => name.to_string(),
            (Who::Link { id, .. }, _) => format!("link {id}"),
            (Who::Friend { name, .. }, _) => format!("friend {name}"),
            (Who::Nobody, Place::Console) => "console".into(),
            (Who::Nobody, Place::Lan | Place::Away) => "nobody".into(),
        }
    }

    /// The means for audit rows: `session 4`, `app-password phone`, `password`, `link`, `node
    /// key`, `console`, or empty.
    #[must_use]
    pub fn via(&self) -> String {
        match (&self.who, self.place) {
            (Who::Account { via, .. }, _) => via.to_string(),
            (Who::Link { .. }, _) => "link".into(),
            (Who::Friend { .. }, _) => "node key".into(),
            (Who::Nobody, Place::Console) => "console".into(),
            (Who::Nobody, Place::Lan | Place::Away) => String::new(),
        }
    }
}

impl std::fmt::Display for Via {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session { id } => write!(f, "session {id}"),
            Self::AppPassword { label, .. } => write!(f, "app-password {label}"),
            Self::Password => f.write_str("password"),
        }
    }
}

/// The device at the other end of a login, kept with its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The peer's address.
    pub address: IpAddr,
    /// The `User-Agent` header; cut to 200 bytes when stored.
    pub user_agent: String,
}
