//! A node's signed word to one center.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Change, TEXT_BYTES_MAX, TEXTS_MAX};
use crate::frame::{FrameError, Message};
use crate::{CLOCK_ERROR_MAX, NodeId, NodeSecret, Signature, Timestamp};

/// The signature covers these bytes and then the encoded statement.
const CONTEXT: &[u8] = b"cumulet center statement 1\0";

/// What a node says about itself to a center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Who speaks.
    pub node: NodeId,
    /// To whom; another center refuses it.
    pub center: NodeId,
    /// Grows with each statement of this node: the larger of the last one plus 1 and the
    /// milliseconds of its clock.
    pub seq: u64,
    /// The sender's clock, milliseconds since 1970.
    pub at_ms: i64,
    /// What it says.
    pub change: Change,
}

impl Message for Statement {
    const WHAT: &'static str = "statement to a center";
    const BYTES_MAX: usize = 2048;

    fn check(&self) -> Result<(), &'static str> {
        match &self.change {
            Change::SetTexts { texts } => {
                if texts.len() > TEXTS_MAX {
                    return Err("more than 4 texts");
                }
                if texts
                    .iter()
                    .any(|text| text.is_empty() || text.len() > TEXT_BYTES_MAX)
                {
                    return Err("a text that is not of 1 to 255 bytes");
                }
                Ok(())
            }
            Change::Renew { .. } | Change::ClaimName { .. } | Change::Goodbye => Ok(()),
        }
    }
}

/// Why a statement does not count.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StatementError {
    /// No statement.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not signed by the node that it names.
    #[error("the statement of {0} is not signed by it")]
    Forged(NodeId),
    /// Made for another center.
    #[error("the statement of {node} is for the center {center}")]
    OtherCenter {
        /// Whose.
        node: NodeId,
        /// For whom.
        center: NodeId,
    },
    /// From a time that no clock error explains.
    #[error("the statement of {node} is from {at} and does not hold at {now}")]
    Time {
        /// Whose.
        node: NodeId,
        /// When it says it was made.
        at: Timestamp,
        /// The receiver's clock.
        now: Timestamp,
    },
}

/// A statement with its node's signature, as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedStatement {
    bytes: Vec<u8>,
    #[serde(with = "crate::frame::signature_bytes")]
    signature: Signature,
}

impl SignedStatement {
    /// Signs `statement`, whose `node` must be the id of `secret`.
    ///
    /// # Errors
    /// [`StatementError::Forged`] for another node's, and what [`Message::check`] refuses.
    pub fn sign(statement: &Statement, secret: &NodeSecret) -> Result<Self, StatementError> {
        if statement.node != secret.id() {
            return Err(StatementError::Forged(statement.node));
        }
        let bytes = statement.encode()?;
        let signature = secret.sign(&[CONTEXT, &bytes].concat());
        Ok(Self { bytes, signature })
    }

    /// The statement, if its node signed it for `center` and it holds at `now`.
    ///
    /// # Errors
    /// Everything else.
    pub fn open(&self, center: &NodeId, now: Timestamp) -> Result<Statement, StatementError> {
        let statement = Statement::decode(&self.bytes)?;
        let node = statement.node;
        if statement.center != *center {
            return Err(StatementError::OtherCenter {
                node,
                center: statement.center,
            });
        }
        let at = Timestamp(statement.at_ms);
        if at > now.plus(CLOCK_ERROR_MAX) || at.plus(CLOCK_ERROR_MAX) < now {
            return Err(StatementError::Time { node, at, now });
        }
        // Last, because it costs most.
        if !node.verifies(&[CONTEXT, &self.bytes].concat(), &self.signature) {
            return Err(StatementError::Forged(node));
        }
        Ok(statement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const NOW: Timestamp = Timestamp(1000 * HOUR_MS);

    fn secret() -> NodeSecret {
        NodeSecret::from_bytes([7; 32])
    }

    fn center() -> NodeId {
        NodeId([9; 32])
    }

    fn goodbye() -> Statement {
        Statement {
            node: secret().id(),
            center: center(),
            seq: 1,
            at_ms: NOW.0,
            change: Change::Goodbye,
        }
    }

    #[test]
    fn one_changed_bit_anywhere_is_noticed() {
        let sent = SignedStatement::sign(&goodbye(), &secret()).unwrap();
        assert_eq!(sent.open(&center(), NOW).unwrap(), goodbye());
        for bit in 0..sent.bytes.len() * 8 {
            let mut changed = sent.clone();
            changed.bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(changed.open(&center(), NOW).is_err(), "bit {bit}");
        }
        for bit in 0..512 {
            let mut changed = sent.clone();
            changed.signature[bit / 8] ^= 1 << (bit % 8);
            assert!(
                changed.open(&center(), NOW).is_err(),
                "bit {bit} of the signature"
            );
        }
    }

    #[test]
    fn a_statement_counts_at_its_own_center_only_and_not_for_ever() {
        let sent = SignedStatement::sign(&goodbye(), &secret()).unwrap();
        let elsewhere = sent.open(&NodeId([8; 32]), NOW).unwrap_err();
        assert!(
            matches!(elsewhere, StatementError::OtherCenter { .. }),
            "{elsewhere}"
        );
        for hours in [-24, 24] {
            assert!(
                sent.open(&center(), Timestamp(NOW.0 + hours * HOUR_MS))
                    .is_ok()
            );
        }
        for hours in [-100, 100] {
            assert!(
                sent.open(&center(), Timestamp(NOW.0 + hours * HOUR_MS))
                    .is_err()
            );
        }
    }

    #[test]
    fn nobody_signs_for_another_and_texts_are_bounded() {
        assert!(SignedStatement::sign(&goodbye(), &NodeSecret::from_bytes([1; 32])).is_err());
        for texts in [
            vec!["a".into(); 5],
            vec![String::new()],
            vec!["a".repeat(256)],
        ] {
            let change = Change::SetTexts { texts };
            assert!(
                SignedStatement::sign(
                    &Statement {
                        change,
                        ..goodbye()
                    },
                    &secret()
                )
                .is_err()
            );
        }
    }
}
