//! What a node states about itself, signed: where it can be reached, under which name, with what.
//!
//! Records travel through machines that nobody trusts; each hop may keep and repeat one, none can
//! make or change one. The highest `seq` of a node wins. A receiver must not rely on its own clock
//! or the sender's being right: a record is taken if it would be valid on a clock that is at most
//! [`CLOCK_ERROR_MAX`] off. An old record that is repeated can only lead to an address where the
//! handshake does not prove the id.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::frame::{FrameError, Message};
use crate::{NodeId, NodeName, NodeSecret, Signature, Timestamp};

/// A signed record is at most so long, so that it fits one packet.
pub const RECORD_BYTES_MAX: usize = 1200;
/// A record names at most as many addresses.
pub const ADDRESSES_MAX: usize = 16;
/// A record names at most as many relays.
pub const RELAYS_MAX: usize = 2;
/// A record is valid for at most as long after it was made.
pub const RECORD_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// Clocks of honest machines may be wrong by as much, in either direction.
pub const CLOCK_ERROR_MAX: Duration = Duration::from_secs(36 * 3600);

/// The signature covers these bytes and then the encoded record.
const CONTEXT: &[u8] = b"cumulet node record 1\0";

/// A node that forwards for others says so (R38).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayOffer {
    /// Where it is reached from everywhere.
    pub address: SocketAddr,
    /// Bits per second that it gives at most.
    pub rate_bps: u64,
    /// How much of that is in use, 0 to 100.
    pub load_percent: u8,
}

/// What a node states about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Whose record it is.
    pub node: NodeId,
    /// What its owner calls it; a claim, not an identity.
    pub name: Option<NodeName>,
    /// Grows with each record of this node: the larger of the last one plus 1 and the milliseconds
    /// of the node's clock. Saved before it is published.
    pub seq: u64,
    /// The sender's clock when it was made, milliseconds since 1970.
    pub issued_at_ms: i64,
    /// On the same clock: the sender makes a new one before.
    pub expires_at_ms: i64,
    /// Where it listens (UDP for QUIC, TCP for HTTPS, the same port), at most [`ADDRESSES_MAX`].
    pub addresses: Vec<SocketAddr>,
    /// Relays that forward to it, at most [`RELAYS_MAX`].
    pub relays: Vec<String>,
    /// It forwards for others.
    pub offer: Option<RelayOffer>,
    /// Changes when the list of services changes.
    pub services_digest: [u8; 8],
}

impl Message for NodeRecord {
    const WHAT: &'static str = "node record";
    const BYTES_MAX: usize = RECORD_BYTES_MAX - 64 - 4;

    fn check(&self) -> Result<(), &'static str> {
        let lifetime = self.expires_at_ms.saturating_sub(self.issued_at_ms);
        if self.addresses.len() > ADDRESSES_MAX {
            return Err("more than 16 addresses");
        }
        if self.relays.len() > RELAYS_MAX || self.relays.iter().any(|relay| relay.len() > 200) {
            return Err("more than 2 relays, or one longer than 200 bytes");
        }
        if lifetime <= 0 || i128::from(lifetime) > RECORD_LIFETIME_MAX.as_millis().cast_signed() {
            return Err("a lifetime that is not between 0 and 24 hours");
        }
        if self
            .offer
            .as_ref()
            .is_some_and(|offer| offer.load_percent > 100)
        {
            return Err("a load of more than 100 percent");
        }
        Ok(())
    }
}

/// Why a record is not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// No record.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not signed by the node that it speaks of.
    #[error("the record of {0} is not signed by it")]
    Forged(NodeId),
    /// Too old, or from a future that no clock error explains.
    #[error("the record of {node} is from {issued_at} and does not hold at {now}")]
    Time {
        /// Whose.
        node: NodeId,
        /// When it says it was made.
        issued_at: Timestamp,
        /// The receiver's clock.
        now: Timestamp,
    },
}

/// A record with its node's signature, as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRecord {
    bytes: Vec<u8>,
    #[serde(with = "crate::frame::signature_bytes")]
    signature: Signature,
}

impl Message for SignedRecord {
    const WHAT: &'static str = "signed node record";
    const BYTES_MAX: usize = RECORD_BYTES_MAX;
}

impl SignedRecord {
    /// Signs `record`, whose `node` must be the id of `secret`.
    ///
    /// # Errors
    /// [`RecordError::Forged`] for another node's record, and what [`NodeRecord::check`] refuses.
    pub fn sign(record: &NodeRecord, secret: &NodeSecret) -> Result<Self, RecordError> {
        if record.node != secret.id() {
            return Err(RecordError::Forged(record.node));
        }
        let bytes = record.encode()?;
        let signature = secret.sign(&signed_bytes(&bytes));
        Ok(Self { bytes, signature })
    }

    /// The record, if its node signed it and it holds at `now`.
    ///
    /// # Errors
    /// Everything else.
    pub fn open(&self, now: Timestamp) -> Result<NodeRecord, RecordError> {
        let record = self.open_at_any_time()?;
        let issued_at = Timestamp(record.issued_at_ms);
        let early = issued_at > now.plus(CLOCK_ERROR_MAX);
        let late = Timestamp(record.expires_at_ms).plus(CLOCK_ERROR_MAX) < now;
        if early || late {
            return Err(RecordError::Time {
                node: record.node,
                issued_at,
                now,
            });
        }
        Ok(record)
    }

    /// The record, if its node signed it; for records that were checked before they were stored.
    ///
    /// # Errors
    /// [`RecordError::Frame`] and [`RecordError::Forged`].
    pub fn open_at_any_time(&self) -> Result<NodeRecord, RecordError> {
        let record = NodeRecord::decode(&self.bytes)?;
        if !record
            .node
            .verifies(&signed_bytes(&self.bytes), &self.signature)
        {
            return Err(RecordError::Forged(record.node));
        }
        Ok(record)
    }
}

fn signed_bytes(record: &[u8]) -> Vec<u8> {
    [CONTEXT, record].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn secret() -> NodeSecret {
        NodeSecret::from_bytes([7; 32])
    }

    fn record() -> NodeRecord {
        NodeRecord {
            node: secret().id(),
            name: Some("anna".parse().unwrap()),
            seq: 5,
            issued_at_ms: 100 * HOUR_MS,
            expires_at_ms: 101 * HOUR_MS,
            addresses: vec![
                "192.168.1.5:8443".parse().unwrap(),
                "[fd00::5]:8443".parse().unwrap(),
            ],
            relays: vec![],
            offer: None,
            services_digest: [1; 8],
        }
    }

    fn signed(change: impl FnOnce(&mut NodeRecord)) -> Result<SignedRecord, RecordError> {
        let mut record = record();
        change(&mut record);
        SignedRecord::sign(&record, &secret())
    }

    #[test]
    fn a_signed_record_comes_back_whole_after_a_journey() {
        let sent = signed(|_| {}).unwrap().encode().unwrap();
        let received = SignedRecord::decode(&sent).unwrap();
        assert_eq!(received.open(Timestamp(100 * HOUR_MS)).unwrap(), record());
    }

    #[test]
    fn the_largest_record_fits_its_limit() {
        let full = signed(|record| {
            record.name = Some("a".repeat(40).parse().unwrap());
            record.addresses = vec![
                "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
                    .parse()
                    .unwrap();
                16
            ];
            record.relays = vec!["r".repeat(200); 2];
            record.seq = u64::MAX;
            record.offer = Some(RelayOffer {
                address: "[2001:db8::1]:65535".parse().unwrap(),
                rate_bps: u64::MAX,
                load_percent: 100,
            });
        });
        assert!(full.unwrap().encode().unwrap().len() <= RECORD_BYTES_MAX);
    }

    #[test]
    fn one_changed_bit_anywhere_is_noticed() {
        let sent = signed(|_| {}).unwrap().encode().unwrap();
        for bit in 0..sent.len() * 8 {
            let mut changed = sent.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let opened = SignedRecord::decode(&changed)
                .ok()
                .and_then(|record| record.open(Timestamp(100 * HOUR_MS)).ok());
            assert_eq!(opened, None, "bit {bit}");
        }
    }

    #[test]
    fn nobody_signs_for_another() {
        let other = NodeSecret::from_bytes([8; 32]);
        let error = SignedRecord::sign(&record(), &other).unwrap_err();
        assert!(matches!(error, RecordError::Forged(_)), "{error}");
    }

    #[test]
    fn a_clock_that_is_a_day_off_is_forgiven_and_a_week_is_not() {
        let sent = signed(|_| {}).unwrap();
        for hours in [100 - 24, 100, 100 + 24] {
            assert!(sent.open(Timestamp(hours * HOUR_MS)).is_ok(), "{hours}");
        }
        for hours in [100 - 168, 100 + 168] {
            assert!(sent.open(Timestamp(hours * HOUR_MS)).is_err(), "{hours}");
        }
    }

    #[test]
    fn a_record_out_of_bounds_is_not_signed() {
        assert!(signed(|r| r.addresses = vec![r.addresses[0]; 17]).is_err());
        assert!(signed(|r| r.relays = vec!["a".into(); 3]).is_err());
        assert!(signed(|r| r.expires_at_ms = r.issued_at_ms).is_err());
        assert!(signed(|r| r.expires_at_ms = r.issued_at_ms + 25 * HOUR_MS).is_err());
    }
}
