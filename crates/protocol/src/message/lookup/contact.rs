//! What a contact search asks for and answers (R52).
//!
//! The node with the book signs its cards together with the number of the query, so that a node in
//! between can neither change them nor give them as the answer to another query.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::QueryId;
use crate::frame::{FrameError, Message};
use crate::{NodeId, NodeSecret, Signature};

/// A term has at most so many bytes.
pub const TERM_BYTES_MAX: usize = 64;
/// One answer holds at most so many cards.
pub const CARDS_MAX: usize = 16;
/// One card has at most so many bytes in all its texts.
pub const CARD_BYTES_MAX: usize = 480;
/// One answer has at most so many bytes.
pub(super) const CARDS_BYTES_MAX: usize = CARDS_MAX * (CARD_BYTES_MAX + 8) + 256;

const CONTEXT: &[u8] = b"cumulet contact cards 1\0";

/// Part of a name or of an address, 2 to [`TERM_BYTES_MAX`] bytes: shorter ones would list a book.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Term(pub String);

impl Term {
    /// Takes a term from a person.
    ///
    /// # Errors
    /// It is too short or too long.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let term = Self(text.trim().to_owned());
        term.check()?;
        Ok(term)
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.0.trim().len() < 2 || self.0.len() > TERM_BYTES_MAX {
            return Err("a term that is not between 2 and 64 bytes");
        }
        Ok(())
    }
}

/// One entry of an address book, as far as it is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactCard {
    /// The person.
    pub name: String,
    /// Where they are reached: mail addresses, numbers, nodes.
    pub addresses: Vec<String>,
}

impl ContactCard {
    /// Bytes that it counts for, at most [`CARD_BYTES_MAX`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        let lengths = self.addresses.iter().map(|address| address.len() + 2);
        self.name.len() + lengths.sum::<usize>()
    }
}

/// Cards of the book of `holder` for one query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cards {
    holder: NodeId,
    qid: QueryId,
    cards: Vec<ContactCard>,
}

impl Message for Cards {
    const WHAT: &'static str = "list of contact cards";
    const BYTES_MAX: usize = CARDS_BYTES_MAX - 128;

    fn check(&self) -> Result<(), &'static str> {
        if self.cards.is_empty() || self.cards.len() > CARDS_MAX {
            return Err("not between 1 and 16 cards");
        }
        if self.cards.iter().any(|card| card.bytes() > CARD_BYTES_MAX) {
            return Err("a card of more than 480 bytes");
        }
        Ok(())
    }
}

/// Cards that cannot be believed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContactError {
    /// No cards.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not signed by the node whose book it is said to be.
    #[error("the cards of {0} are not signed by it")]
    Forged(NodeId),
    /// Signed for another query.
    #[error("the cards of {0} answer another query")]
    OtherQuery(NodeId),
}

/// Cards with the signature of the node whose book they stand in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCards {
    bytes: Vec<u8>,
    #[serde(with = "crate::frame::signature_bytes")]
    signature: Signature,
}

impl SignedCards {
    /// Signs `cards` of the book of `secret`'s node as the answer to `qid`.
    ///
    /// # Errors
    /// No card, more than [`CARDS_MAX`], or one longer than [`CARD_BYTES_MAX`].
    pub fn sign(
        qid: QueryId,
        cards: Vec<ContactCard>,
        secret: &NodeSecret,
    ) -> Result<Self, ContactError> {
        let holder = secret.id();
        let bytes = Cards { holder, qid, cards }.encode()?;
        let signature = secret.sign(&[CONTEXT, &bytes].concat());
        Ok(Self { bytes, signature })
    }

    /// Whose book it is and the cards, if that node signed them for `qid`.
    ///
    /// # Errors
    /// Everything else.
    pub fn open(&self, qid: QueryId) -> Result<(NodeId, Vec<ContactCard>), ContactError> {
        let Cards {
            holder,
            qid: signed_for,
            cards,
        } = Cards::decode(&self.bytes)?;
        if signed_for != qid {
            return Err(ContactError::OtherQuery(holder));
        }
        if !holder.verifies(&[CONTEXT, &self.bytes].concat(), &self.signature) {
            return Err(ContactError::Forged(holder));
        }
        Ok((holder, cards))
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.bytes.len() > Cards::BYTES_MAX {
            return Err("too many bytes of cards");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, LookupMessage, Reply};
    use super::*;

    const QID: QueryId = QueryId([9; 16]);

    fn secret() -> NodeSecret {
        NodeSecret::from_bytes([7; 32])
    }

    fn cards(count: usize, bytes: usize) -> Vec<ContactCard> {
        let card = ContactCard {
            name: "n".repeat(bytes / 2),
            addresses: vec!["a".repeat(bytes - bytes / 2 - 2)],
        };
        vec![card; count]
    }

    #[test]
    fn the_largest_answer_fits_a_message() {
        let cards = SignedCards::sign(QID, cards(CARDS_MAX, CARD_BYTES_MAX), &secret()).unwrap();
        let answer = Answer::Cards { cards, hops: 2 };
        let message = LookupMessage::Reply(Reply { qid: QID, answer });
        let bytes = message.encode().unwrap();
        assert_eq!(LookupMessage::decode(&bytes).unwrap(), message);
    }

    #[test]
    fn cards_out_of_bounds_are_not_signed() {
        assert!(SignedCards::sign(QID, vec![], &secret()).is_err());
        assert!(SignedCards::sign(QID, cards(CARDS_MAX + 1, 20), &secret()).is_err());
        assert!(SignedCards::sign(QID, cards(1, CARD_BYTES_MAX + 1), &secret()).is_err());
    }

    #[test]
    fn cards_hold_for_their_query_and_their_signer_only() {
        let signed = SignedCards::sign(QID, cards(2, 20), &secret()).unwrap();
        assert_eq!(signed.open(QID).unwrap(), (secret().id(), cards(2, 20)));
        assert!(signed.open(QueryId([8; 16])).is_err());
        for bit in 0..signed.bytes.len() * 8 {
            let mut changed = signed.clone();
            changed.bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(changed.open(QID).is_err(), "bit {bit}");
        }
    }
}
