//! Tickets: one copyable string that makes whoever holds it a friend, once.
//!
//! `cumulet-friend:` and then base 32 (RFC 4648, without padding, any case) of the postcard
//! encoding and 4 bytes of its BLAKE3, so that a slip is told apart from a refusal. In capitals it
//! is one alphanumeric segment of a QR code.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{PAIR_ADDRESSES_MAX, Token};
use crate::frame::Message;
use crate::{NodeId, Timestamp};

/// A ticket holds so long, unless its maker says otherwise.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// What every ticket begins with.
pub const TICKET_PREFIX: &str = "cumulet-friend:";

const CHECKSUM_BYTES: usize = 4;
/// Longer texts are no tickets and are not decoded.
const TEXT_CHARS_MAX: usize = 600;

/// Where a friend is found, and the one-time secret that makes the bearer their friend.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The node that made it; the link to it proves this id or does not come about.
    pub node: NodeId,
    /// Where it listened when it made the ticket.
    pub addresses: Vec<SocketAddr>,
    /// Its secret.
    pub token: Token,
    /// Milliseconds since 1970, on the maker's clock.
    pub expires_ms: i64,
}

/// The secret is never printed by `Debug`.
impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({}, {:?}, ..)", self.node, self.addresses)
    }
}

impl Message for Ticket {
    const WHAT: &'static str = "ticket";
    const BYTES_MAX: usize = 320;

    fn check(&self) -> Result<(), &'static str> {
        if self.addresses.len() > PAIR_ADDRESSES_MAX {
            return Err("more than 8 addresses");
        }
        Ok(())
    }
}

/// A text that is no ticket.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TicketError {
    /// Something else.
    #[error("this is no ticket: a ticket begins with {TICKET_PREFIX}")]
    NoTicket,
    /// A letter is wrong or missing.
    #[error("the ticket is damaged or not complete; copy all of it again")]
    Damaged,
    /// Of a later version.
    #[error("the ticket is of a kind that this version of Cumulet does not know")]
    Unknown,
}

impl Ticket {
    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        Timestamp(self.expires_ms)
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.encode().map_err(|_| fmt::Error)?;
        let checksum = blake3::hash(&bytes);
        bytes.extend_from_slice(&checksum.as_bytes()[..CHECKSUM_BYTES]);
        let text = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        write!(f, "{TICKET_PREFIX}{text}")
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        // Mail programs and terminals break long lines.
        let text: String = text
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .take(TEXT_CHARS_MAX)
            .collect::<String>()
            .to_ascii_uppercase();
        let body = text
            .strip_prefix(&TICKET_PREFIX.to_ascii_uppercase())
            .ok_or(TicketError::NoTicket)?;
        let bytes = BASE32_NOPAD
            .decode(body.as_bytes())
            .map_err(|_| TicketError::Damaged)?;
        let (ticket, checksum) = bytes
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or(TicketError::Damaged)?;
        if blake3::hash(ticket).as_bytes()[..CHECKSUM_BYTES] != checksum[..] {
            return Err(TicketError::Damaged);
        }
        Self::decode(ticket).map_err(|_| TicketError::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            node: NodeId([9; 32]),
            addresses: vec![
                "192.168.1.5:8443".parse().unwrap(),
                "[fd00::5]:8443".parse().unwrap(),
            ],
            token: [5; 16],
            expires_ms: 1_790_000_000_000,
        }
    }

    #[test]
    fn a_ticket_survives_a_journey_by_mail() {
        let text = ticket().to_string();
        assert!(text.starts_with("cumulet-friend:"), "{text}");
        assert_eq!(text.parse(), Ok(ticket()));
        assert_eq!(text.to_uppercase().parse(), Ok(ticket()));
        let broken = format!(" {}\r\n {}\n", &text[..40], &text[40..]);
        assert_eq!(broken.parse(), Ok(ticket()));
    }

    #[test]
    fn the_largest_ticket_can_be_read_back() {
        let full = Ticket {
            addresses: vec![
                "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
                    .parse()
                    .unwrap();
                PAIR_ADDRESSES_MAX
            ],
            ..ticket()
        };
        assert_eq!(full.to_string().parse(), Ok(full));
    }

    #[test]
    fn each_slip_is_noticed() {
        let text = ticket().to_string();
        for at in TICKET_PREFIX.len()..text.len() {
            let other = if &text[at..=at] == "a" { "b" } else { "a" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(changed.parse::<Ticket>(), Err(TicketError::Damaged));
            assert_eq!(text[..at].parse::<Ticket>(), Err(TicketError::Damaged));
        }
        assert_eq!("hello".parse::<Ticket>(), Err(TicketError::NoTicket));
    }

    #[test]
    fn a_ticket_does_not_print_its_secret() {
        assert!(!format!("{:?}", ticket()).contains('5'.to_string().repeat(3).as_str()));
        assert!(format!("{:?}", ticket()).ends_with("..)"));
    }
}
