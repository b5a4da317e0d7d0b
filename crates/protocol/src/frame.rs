//! Frames: how a message is cut from a stream, and what makes bytes a message.
//!
//! A frame is its length (4 bytes, big-endian) and so many bytes; the bytes are the message in
//! postcard encoding. The version stands in the ALPN of the link (`cumulet/lookup/1`), not in the
//! frame. A decoder never allocates more than it was given bytes, takes no rest behind a message,
//! and answers garbage with an error that says what was expected.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// No frame is longer.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the length in front.
pub const LENGTH_BYTES: usize = 4;

/// Bytes that are no message.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// More than the limit of this kind of message.
    #[error("a {what} of {bytes} bytes, the limit is {limit}")]
    Long {
        /// What was expected.
        what: &'static str,
        /// Its claimed or real length.
        bytes: usize,
        /// The most allowed.
        limit: usize,
    },
    /// Not the encoding of a message.
    #[error("these {bytes} bytes are no {what}")]
    Garbage {
        /// What was expected.
        what: &'static str,
        /// How many bytes came.
        bytes: usize,
        /// What the decoder missed.
        #[source]
        source: postcard::Error,
    },
    /// A whole message, then more.
    #[error("{rest} bytes follow a {what}")]
    Rest {
        /// What was expected.
        what: &'static str,
        /// How many bytes are too many.
        rest: usize,
    },
    /// A message whose content breaks a rule of its kind.
    #[error("a {what} that breaks a rule: {why}")]
    Rule {
        /// What was expected.
        what: &'static str,
        /// The rule.
        why: &'static str,
    },
}

/// Something that one machine tells another in one frame.
pub trait Message: Serialize + DeserializeOwned {
    /// For errors: `lookup query`.
    const WHAT: &'static str;
    /// No message of this kind is longer; at most [`FRAME_BYTES_MAX`].
    const BYTES_MAX: usize;

    /// Rules that the encoding alone does not keep: counts, ranges, relations.
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }

    /// The bytes of the message, without a length in front.
    ///
    /// # Errors
    /// [`FrameError::Rule`] and [`FrameError::Long`] for what a receiver would refuse.
    fn encode(&self) -> Result<Vec<u8>, FrameError> {
        self.check().map_err(|why| rule::<Self>(why))?;
        let bytes = postcard::to_stdvec(self).map_err(|source| FrameError::Garbage {
            what: Self::WHAT,
            bytes: 0,
            source,
        })?;
        fits::<Self>(bytes.len())?;
        Ok(bytes)
    }

    /// The message from exactly these bytes.
    ///
    /// # Errors
    /// Everything that a stranger may send instead of a message.
    fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        fits::<Self>(bytes.len())?;
        let (message, rest) =
            postcard::take_from_bytes::<Self>(bytes).map_err(|source| FrameError::Garbage {
                what: Self::WHAT,
                bytes: bytes.len(),
                source,
            })?;
        if !rest.is_empty() {
            return Err(FrameError::Rest {
                what: Self::WHAT,
                rest: rest.len(),
            });
        }
        message.check().map_err(|why| rule::<Self>(why))?;
        Ok(message)
    }

    /// The whole frame: length and message.
    ///
    /// # Errors
    /// As [`Message::encode`].
    fn to_frame(&self) -> Result<Vec<u8>, FrameError> {
        let message = self.encode()?;
        let length = u32::try_from(message.len()).expect("a message is at most 64 KiB");
        Ok([length.to_be_bytes().as_slice(), &message].concat())
    }

    /// How many bytes follow the length `head`.
    ///
    /// # Errors
    /// [`FrameError::Long`], before anything is allocated.
    fn length(head: [u8; LENGTH_BYTES]) -> Result<usize, FrameError> {
        let bytes = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
        fits::<Self>(bytes)?;
        Ok(bytes)
    }
}

fn rule<M: Message>(why: &'static str) -> FrameError {
    FrameError::Rule { what: M::WHAT, why }
}

fn fits<M: Message>(bytes: usize) -> Result<(), FrameError> {
    let limit = M::BYTES_MAX.min(FRAME_BYTES_MAX);
    if bytes > limit {
        return Err(FrameError::Long {
            what: M::WHAT,
            bytes,
            limit,
        });
    }
    Ok(())
}

/// 64 bytes for serde, which knows arrays up to 32 only.
pub mod signature_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::Signature;

    /// Writes two halves.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(signature: &Signature, to: S) -> Result<S::Ok, S::Error> {
        let (left, right) = signature.split_at(32);
        (
            <[u8; 32]>::try_from(left).unwrap_or_default(),
            <[u8; 32]>::try_from(right).unwrap_or_default(),
        )
            .serialize(to)
    }

    /// Reads two halves.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Signature, D::Error> {
        let (left, right) = <([u8; 32], [u8; 32])>::deserialize(from)?;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&left);
        signature[32..].copy_from_slice(&right);
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Greeting {
        words: Vec<String>,
    }

    impl Message for Greeting {
        const WHAT: &'static str = "greeting";
        const BYTES_MAX: usize = 64;

        fn check(&self) -> Result<(), &'static str> {
            if self.words.is_empty() {
                return Err("no words");
            }
            Ok(())
        }
    }

    fn greeting(words: &[&str]) -> Greeting {
        Greeting {
            words: words.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_message_survives_its_frame() {
        let frame = greeting(&["good", "day"]).to_frame().unwrap();
        let (head, body) = frame.split_first_chunk::<LENGTH_BYTES>().unwrap();
        assert_eq!(Greeting::length(*head).unwrap(), body.len());
        assert_eq!(Greeting::decode(body).unwrap(), greeting(&["good", "day"]));
    }

    #[test]
    fn what_is_no_message_is_refused_with_the_reason() {
        let check = |bytes: &[u8], why: &str| {
            assert_eq!(Greeting::decode(bytes).unwrap_err().to_string(), why);
        };
        let good = greeting(&["day"]).encode().unwrap();
        check(&good[..3], "these 3 bytes are no greeting");
        check(&[&good[..], b"!"].concat(), "1 bytes follow a greeting");
        check(&[0], "a greeting that breaks a rule: no words");
        check(&[1; 65], "a greeting of 65 bytes, the limit is 64");
        // A count of 4 thousand million words in 5 bytes.
        check(
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            "these 5 bytes are no greeting",
        );
        assert!(Greeting::length([0, 1, 0, 0]).is_err());
    }

    #[test]
    fn what_others_would_refuse_is_not_sent() {
        assert!(greeting(&[]).encode().is_err());
        assert!(greeting(&["long"; 20]).encode().is_err());
    }
}
