//! Group `center`: what nodes and clients ask a center (ALPN `cumulet/center/1`;
//! `docs/protocol/center.md`).
//!
//! One exchange is one [`Request`] and one [`Reply`] on a stream of its own. What changes something
//! is a [`SignedStatement`], so that it counts whoever carries it: a link proves who dials, the
//! statement proves who speaks. It names the center that it is for, and its `seq` must grow, so
//! nobody can repeat it here or elsewhere. Questions need no signature: what they answer is signed
//! by the nodes themselves ([`SignedRecord`]).

use serde::{Deserialize, Serialize};

use crate::frame::Message;
use crate::{NodeId, NodeName, RelayOffer, SignedRecord};

mod address;
mod statement;
mod work;

pub use address::{CENTER_PREFIX, CenterAddress, CenterAddressError};
pub use statement::{SignedStatement, Statement, StatementError};
pub use work::{WORK_BITS_MAX, Work, WorkSalt};

/// A list that a center hands out names at most so many nodes or relays.
pub const LIST_MAX: usize = 32;
/// A node may publish so many texts for certificate challenges at once.
pub const TEXTS_MAX: usize = 4;
/// One text has at most so many bytes: one character-string of a TXT record (RFC 1035 3.3.14).
pub const TEXT_BYTES_MAX: usize = 255;
/// A zone has at most so many bytes, so that `_acme-challenge.NAME.ZONE` is a name (RFC 1035 2.3.4).
pub const ZONE_BYTES_MAX: usize = 180;

/// What a node has (R13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resources {
    /// Room on its volumes.
    pub storage_bytes: u64,
    /// Main memory.
    pub memory_bytes: u64,
    /// Processor cores.
    pub cores: u16,
}

/// What of it is in use (R13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Of the room.
    pub storage_bytes: u64,
    /// Of the memory.
    pub memory_bytes: u64,
    /// Of the cores, 0 to 100.
    pub cpu_percent: u8,
}

/// What a node tells a center about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Registers, or renews: here I am, this is what I have.
    Renew {
        /// Where it is reached; given to everybody who asks.
        record: SignedRecord,
        /// What it has.
        resources: Resources,
        /// What of it is in use.
        usage: Usage,
        /// Why it may register, where that is asked for.
        admission: Option<Admission>,
    },
    /// Wants this name in the center's zone; first come.
    ClaimName {
        /// One label.
        name: NodeName,
    },
    /// Publishes exactly these texts at `_acme-challenge.NAME.ZONE` (RFC 8555 8.4).
    SetTexts {
        /// At most [`TEXTS_MAX`]; none takes them back.
        texts: Vec<String>,
    },
    /// Goes away: gone at once, not after silence.
    Goodbye,
}

/// Why an unknown node may register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admission {
    /// Somebody who runs the center gave it this.
    Invite([u8; 16]),
    /// It has worked for it.
    Work(Work),
}

/// Whom a question is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The node with this key.
    Id(NodeId),
    /// The node with this name in the center's zone.
    Name(NodeName),
}

/// From a node or client to a center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// A node says something about itself.
    State(SignedStatement),
    /// Where is this node (R26)?
    Find(Target),
    /// Who is near the asking node, or important (R25)?
    Neighbors {
        /// At most so many, and never more than [`LIST_MAX`].
        most: u8,
    },
    /// Who forwards for others?
    Relays {
        /// At most so many, and never more than [`LIST_MAX`].
        most: u8,
    },
}

/// Whether a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// It keeps its link or renews in time.
    Online,
    /// The center was started and has not heard of it yet; its last answer is kept.
    Unknown,
    /// Three renewals are missing, or it said goodbye.
    Gone,
}

/// A node that forwards for others, as a center lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRelay {
    /// Who.
    pub node: NodeId,
    /// What it offers.
    pub offer: RelayOffer,
}

/// From a center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The statement holds and is on the center's disk.
    Accepted {
        /// The zone in which names are given.
        zone: String,
        /// The node's name in it.
        name: Option<NodeName>,
        /// Without an open link, renew after so many seconds.
        renew_after_s: u32,
    },
    /// The node is registered and is or was there.
    Found {
        /// As the node signed it.
        record: SignedRecord,
        /// Whether it is there.
        presence: Presence,
    },
    /// Nobody of this name or id.
    NotFound,
    /// The nearest and most important ones.
    Neighbors(Vec<SignedRecord>),
    /// Relays with room first.
    Relays(Vec<ListedRelay>),
    /// Registration is not free here: an invite, or work on this salt.
    Work {
        /// To be worked on; it changes every day.
        salt: WorkSalt,
        /// Leading zero bits wanted.
        bits: u8,
    },
    /// No.
    Refused(Refusal),
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The center knows a statement or record with this `seq`: sign a higher one.
    Stale {
        /// The highest that it knows.
        have: u64,
    },
    /// Signature, center or time do not fit.
    NotValid,
    /// The record and the statement speak of different nodes.
    OtherNode,
    /// Register first.
    Unknown,
    /// Somebody else has this name.
    NameTaken,
    /// Somebody has a name that looks like this one.
    NameLooksLike {
        /// That name.
        other: NodeName,
    },
    /// The zone needs this name for itself.
    NameReserved,
    /// The invite is unknown, used up or too old.
    Invite,
    /// The work was done on an old salt, or is no work.
    WorkWrong,
    /// Too many requests; slower.
    TooMany,
    /// The center cannot write to its database now; later.
    Unavailable,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self {
            Self::Stale { have } => {
                return write!(f, "the center has number {have} of this node already");
            }
            Self::NameLooksLike { other } => {
                return write!(
                    f,
                    "the name looks like `{other}`, which another node has; choose another one"
                );
            }
            Self::NotValid => {
                "the statement is not valid here: its signature, its center or its time is wrong; \
                 compare the clocks"
            }
            Self::OtherNode => "the statement and its record speak of different nodes",
            Self::Unknown => "the node is not registered at this center",
            Self::NameTaken => "another node has this name; choose another one",
            Self::NameReserved => {
                "the center keeps this name for services of its own; choose another one"
            }
            Self::Invite => {
                "the invite is unknown, used up or too old; ask the center's owner for a new one"
            }
            Self::WorkWrong => "the proof of work does not hold; it is done anew",
            Self::TooMany => "too many requests; try again later",
            Self::Unavailable => "the center cannot write to its database now; try again later",
        };
        f.write_str(text)
    }
}

impl Message for Request {
    const WHAT: &'static str = "question to a center";
    const BYTES_MAX: usize = 4096;

    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::State(_) | Self::Find(_) => Ok(()),
            Self::Neighbors { most } | Self::Relays { most } => {
                if *most == 0 || usize::from(*most) > LIST_MAX {
                    return Err("a list that is not of 1 to 32");
                }
                Ok(())
            }
        }
    }
}

impl Message for Reply {
    const WHAT: &'static str = "answer of a center";
    const BYTES_MAX: usize = 48 * 1024;

    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Accepted { zone, .. } if zone.len() > ZONE_BYTES_MAX => {
                Err("a zone longer than 180 bytes")
            }
            Self::Neighbors(list) if list.len() > LIST_MAX => Err("more than 32 neighbors"),
            Self::Relays(list) if list.len() > LIST_MAX => Err("more than 32 relays"),
            Self::Work { bits, .. } if *bits > WORK_BITS_MAX => {
                Err("more work than a node would do")
            }
            Self::Accepted { .. }
            | Self::Found { .. }
            | Self::NotFound
            | Self::Neighbors(_)
            | Self::Relays(_)
            | Self::Work { .. }
            | Self::Refused(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_their_frames() {
        let request = Request::Find(Target::Name("anna".parse().unwrap()));
        assert_eq!(
            Request::decode(&request.encode().unwrap()).unwrap(),
            request
        );
        let reply = Reply::Refused(Refusal::Stale { have: 7 });
        assert_eq!(Reply::decode(&reply.encode().unwrap()).unwrap(), reply);
    }

    #[test]
    fn lists_and_work_are_bounded() {
        for most in [0, 33, 255] {
            assert!(Request::Neighbors { most }.encode().is_err(), "{most}");
        }
        let work = |bits| {
            Reply::Work {
                salt: [1; 16],
                bits,
            }
            .encode()
        };
        assert!(work(WORK_BITS_MAX).is_ok());
        assert!(work(WORK_BITS_MAX + 1).is_err());
        let zone = "z".repeat(ZONE_BYTES_MAX + 1);
        let accepted = Reply::Accepted {
            zone,
            name: None,
            renew_after_s: 60,
        };
        assert!(accepted.encode().is_err());
    }
}
