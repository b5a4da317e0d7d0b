//! Group `pair`: two nodes become friends (ALPN `cumulet/pair/1`; `docs/protocol/pair.md`).
//!
//! The link has proven both ids before the first message, so no message names them. Two ways lead
//! to a friendship: a [`Ticket`] that was handed over outside of the network, or the comparison of
//! a [`short_code`] on two screens. One exchange is one question and one answer on a stream of its
//! own; only [`Question::Commit`] is followed by a second question on the same stream.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::NodeId;
use crate::frame::Message;

mod ticket;

pub use ticket::{TICKET_LIFETIME, TICKET_PREFIX, Ticket, TicketError};

/// Secret of a ticket: 128 bits.
pub type Token = [u8; 16];
/// Random number of one side of a comparison.
pub type Nonce = [u8; 32];

/// A node tells at most so many addresses of itself.
pub const PAIR_ADDRESSES_MAX: usize = 8;
/// The name that a node gives itself has at most so many bytes.
pub const PAIR_NAME_BYTES_MAX: usize = 64;

const COMMIT_CONTEXT: &str = "cumulet pair 1 commitment";
const CODE_CONTEXT: &str = "cumulet pair 1 code";

/// How a node presents itself; a claim, except for the id that the link has proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// What its owner calls it.
    pub name: String,
    /// Where it listens, at most [`PAIR_ADDRESSES_MAX`].
    pub addresses: Vec<SocketAddr>,
}

/// From the node that dials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Redeems a ticket: both owners have agreed by making and by taking it.
    Redeem {
        /// The secret of the ticket.
        token: Token,
        /// Who asks.
        me: Introduction,
    },
    /// Begins a comparison: binds the asker to a nonce that it does not tell yet.
    Commit {
        /// [`commitment`] to it.
        commitment: [u8; 32],
        /// Who asks.
        me: Introduction,
    },
    /// Tells the nonce, after the other side has told its own.
    Reveal {
        /// The nonce.
        nonce: Nonce,
    },
    /// The asker's owner has compared the codes and agrees.
    Agree,
}

/// From the node that was dialed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The ticket holds: you are friends.
    Welcome {
        /// Who answers.
        me: Introduction,
    },
    /// The answer to [`Question::Commit`].
    Nonce {
        /// The other nonce.
        nonce: Nonce,
        /// Who answers.
        me: Introduction,
    },
    /// Both nonces are told; both screens show the code.
    Compare,
    /// The answer to [`Question::Agree`].
    Noted {
        /// The owner of the answering node has agreed as well: you are friends.
        both: bool,
    },
    /// No.
    Refused(Refusal),
}

/// Why a pairing is refused. One word for tickets that never were and tickets that are used up, so
/// that guessing teaches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// No such ticket, or used, withdrawn or made for another node.
    Ticket,
    /// The ticket is too old.
    Expired,
    /// The revealed nonce is not the one that was promised.
    Nonce,
    /// There is no comparison with this node.
    NoComparison,
    /// Too many pairings are open; later.
    Busy,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ticket => {
                "the other node does not take this ticket: it was used, withdrawn or made for \
                 another node; ask for a new one"
            }
            Self::Expired => "the ticket is too old; ask for a new one",
            Self::Nonce => "the other node broke off: the numbers do not fit the promise",
            Self::NoComparison => {
                "the other node knows of no comparison with this one; begin again"
            }
            Self::Busy => "the other node has too many pairings open; try again in some minutes",
        })
    }
}

impl Message for Question {
    const WHAT: &'static str = "pairing question";
    const BYTES_MAX: usize = 512;

    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Redeem { me, .. } | Self::Commit { me, .. } => me.check(),
            Self::Reveal { .. } | Self::Agree => Ok(()),
        }
    }
}

impl Message for Reply {
    const WHAT: &'static str = "pairing reply";
    const BYTES_MAX: usize = 512;

    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Welcome { me } | Self::Nonce { me, .. } => me.check(),
            Self::Compare | Self::Noted { .. } | Self::Refused(_) => Ok(()),
        }
    }
}

impl Introduction {
    fn check(&self) -> Result<(), &'static str> {
        if self.addresses.len() > PAIR_ADDRESSES_MAX {
            return Err("more than 8 addresses");
        }
        if self.name.len() > PAIR_NAME_BYTES_MAX || self.name.chars().any(char::is_control) {
            return Err("a name longer than 64 bytes, or with control characters");
        }
        Ok(())
    }
}

/// What binds the node that dials to its nonce: BLAKE3 of its id and the nonce.
#[must_use]
pub fn commitment(dialer: &NodeId, nonce: &Nonce) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(COMMIT_CONTEXT);
    hasher.update(&dialer.0);
    hasher.update(nonce);
    *hasher.finalize().as_bytes()
}

/// The six digits that both screens show.
///
/// Whoever sits in between has to bring two different pairs of ids and nonces to one code, and is
/// bound to its nonce before it sees the other one: one chance in a million per attempt.
#[must_use]
pub fn short_code(dialer: &NodeId, dialer_nonce: &Nonce, dialed: &NodeId, nonce: &Nonce) -> u32 {
    let mut hasher = blake3::Hasher::new_derive_key(CODE_CONTEXT);
    for part in [&dialer.0, &dialed.0, dialer_nonce, nonce] {
        hasher.update(part);
    }
    let bytes = hasher.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&bytes.as_bytes()[..8]);
    u32::try_from(u64::from_be_bytes(first) % 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Introduction {
        Introduction {
            name: "anna".into(),
            addresses: vec!["192.168.1.5:8443".parse().unwrap()],
        }
    }

    #[test]
    fn messages_survive_their_frames() {
        let question = Question::Redeem {
            token: [7; 16],
            me: me(),
        };
        assert_eq!(
            Question::decode(&question.encode().unwrap()).unwrap(),
            question
        );
        let reply = Reply::Refused(Refusal::Expired);
        assert_eq!(Reply::decode(&reply.encode().unwrap()).unwrap(), reply);
    }

    #[test]
    fn an_introduction_out_of_bounds_is_refused() {
        let check = |me: Introduction| Reply::Welcome { me }.encode().is_err();
        let addresses = vec![me().addresses[0]; 9];
        assert!(check(Introduction { addresses, ..me() }));
        let name = "a\u{1b}[2J".into();
        assert!(check(Introduction { name, ..me() }));
        let name = "a".repeat(65);
        assert!(check(Introduction { name, ..me() }));
    }

    #[test]
    fn the_code_depends_on_both_ids_and_both_nonces() {
        let (a, b) = (NodeId([1; 32]), NodeId([2; 32]));
        let code = short_code(&a, &[3; 32], &b, &[4; 32]);
        assert!(code < 1_000_000);
        assert_ne!(code, short_code(&b, &[3; 32], &a, &[4; 32]));
        assert_ne!(code, short_code(&a, &[5; 32], &b, &[4; 32]));
        assert_ne!(code, short_code(&a, &[3; 32], &b, &[5; 32]));
        assert_ne!(commitment(&a, &[3; 32]), commitment(&b, &[3; 32]));
    }
}
