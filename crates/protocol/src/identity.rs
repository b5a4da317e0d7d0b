//! The node's identity: 256 secret bits, their 24 words, and the ed25519 key derived from them.
//!
//! The words are the only thing a person must keep to have the same node again (R61 restores from
//! them). Keys for different uses come from the secret by HKDF-SHA256 (RFC 5869) with a label of
//! their own, so that losing one tells nothing of the others.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use curve25519_dalek::edwards::CompressedEdwardsY;
use data_encoding::{Encoding, Specification};
use ring::signature::{Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// 64 bytes of an ed25519 signature (RFC 8032).
pub type Signature = [u8; 64];

/// Salt of every derivation; names the scheme and its version.
const SALT: &[u8] = b"cumulet key derivation 1";

/// Recovery words that do not hold together.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Wrong count, unknown word or wrong checksum (BIP-39).
    #[error("these are not the 24 recovery words of a node: {0}")]
    Words(String),
    /// No entropy from the operating system.
    #[error("the operating system gives no random numbers")]
    Random,
}

/// The 256 bits from which all of a node's long-lived keys are derived. Never printed by `Debug`.
#[derive(Clone)]
pub struct NodeSecret([u8; 32]);

impl fmt::Debug for NodeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeSecret(..)")
    }
}

impl NodeSecret {
    /// Draws a new secret.
    pub fn generate() -> Result<Self, SecretError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| SecretError::Random)?;
        Ok(Self(bytes))
    }

    /// The secret from its stored bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the key file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 24 English words of BIP-39, separated by one space.
    #[must_use]
    pub fn words(&self) -> String {
        bip39::Mnemonic::from_entropy(&self.0)
            .expect("32 bytes are a valid BIP-39 entropy")
            .to_string()
    }

    /// Reads 24 words back, in any case and spacing.
    pub fn from_words(words: &str) -> Result<Self, SecretError> {
        let mnemonic = bip39::Mnemonic::parse_normalized(&words.to_lowercase())
            .map_err(|error| SecretError::Words(error.to_string()))?;
        let bytes = <[u8; 32]>::try_from(mnemonic.to_entropy().as_slice())
            .map_err(|_| SecretError::Words("expected 24 words".into()))?;
        Ok(Self(bytes))
    }

    /// 32 bytes for the use that `label` names (HKDF-SHA256).
    #[must_use]
    pub fn derive(&self, label: &str) -> [u8; 32] {
        let mut out = [0; 32];
        ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, SALT)
            .extract(&self.0)
            .expand(&[label.as_bytes()], ring::hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut out))
            .expect("32 bytes are within the limit of HKDF-SHA256");
        out
    }

    /// The public identity of this node.
    #[must_use]
    pub fn id(&self) -> NodeId {
        let public = self.key_pair();
        NodeId(
            public
                .public_key()
                .as_ref()
                .try_into()
                .expect("an ed25519 key has 32 bytes"),
        )
    }

    /// Signs `message` as this node.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        self.key_pair()
            .sign(message)
            .as_ref()
            .try_into()
            .expect("an ed25519 signature has 64 bytes")
    }

    /// The ed25519 seed of the identity (RFC 8032 5.1.5), for the QUIC stack that proves the
    /// identity in its handshake (RFC 7250).
    #[must_use]
    pub fn identity_seed(&self) -> [u8; 32] {
        self.derive("node identity ed25519")
    }

    /// 32 bytes for the use that `label` names, which only this node and `peer` can compute: X25519
    /// (RFC 7748) over the keys of both identities. `None` if `peer` is no key that anybody can have.
    #[must_use]
    pub fn shared_with(&self, peer: &NodeId, label: &str) -> Option<[u8; 32]> {
        let hash = ring::digest::digest(&ring::digest::SHA512, &self.identity_seed());
        let mut scalar = [0; 32];
        scalar.copy_from_slice(&hash.as_ref()[..32]);
        let point = CompressedEdwardsY(peer.0).decompress()?.to_montgomery();
        let shared = point.mul_clamped(scalar).to_bytes();
        // A point of low order gives zero, which everybody knows (RFC 7748 6.1).
        if shared == [0; 32] {
            return None;
        }
        let own = self.id();
        let (first, second) = (own.min(*peer), own.max(*peer));
        let info = [label.as_bytes(), b"\n", &first.0[..], &second.0[..]];
        let mut out = [0; 32];
        ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, SALT)
            .extract(&shared)
            .expand(&info, ring::hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut out))
            .expect("32 bytes are within the limit of HKDF-SHA256");
        Some(out)
    }

    fn key_pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&self.identity_seed())
            .expect("any 32 bytes are an ed25519 seed")
    }
}

/// A node's public ed25519 key: its name among machines.
///
/// Its text is z-base-32, 52 small letters and digits, which fits one label of a DNS name (at most
/// 63). Reading takes any case, and also 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub [u8; 32]);

/// The alphabet of z-base-32; upper case is read as lower case.
static Z_BASE_32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut alphabet = Specification::new();
    alphabet
        .symbols
        .push_str("ybndrfg8ejkmcpqxot1uwisza345h769");
    alphabet.translate.from.push_str("YBNDRFGEJKMCPQXOTUWISZAH");
    alphabet.translate.to.push_str("ybndrfgejkmcpqxotuwiszah");
    alphabet
        .encoding()
        .expect("32 different symbols are an alphabet")
});

impl NodeId {
    /// True if `signature` over `message` was made by this node.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ring::signature::ED25519, &self.0)
            .verify(message, signature)
            .is_ok()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Z_BASE_32.encode(&self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeId {
    type Err = crate::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 64 {
            return text.parse::<crate::Hash>().map(|hash| Self(hash.0));
        }
        Z_BASE_32
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| {
                crate::ids::bad(
                    "node id",
                    text,
                    "expected the 52 letters and digits that `cumulet status` shows as id",
                )
            })
    }
}

/// Text for people and JSON, the 32 bytes on the wire.
impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            to.collect_str(self)
        } else {
            self.0.serialize(to)
        }
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            let text = String::deserialize(from)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(from).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_share_a_secret_that_no_third_computes() {
        let [a, b, c] = [1, 2, 3].map(|byte| NodeSecret::from_bytes([byte; 32]));
        let shared = a.shared_with(&b.id(), "use").unwrap();
        assert_eq!(b.shared_with(&a.id(), "use"), Some(shared));
        assert_ne!(b.shared_with(&a.id(), "other use"), Some(shared));
        assert_ne!(c.shared_with(&a.id(), "use"), Some(shared));
        assert_ne!(c.shared_with(&b.id(), "use"), Some(shared));
        // The neutral point, and bytes that are no point.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(a.shared_with(&NodeId(neutral), "use"), None);
        assert_eq!(a.shared_with(&NodeId([2; 32]), "use"), None);
    }

    #[test]
    fn words_bring_the_same_node_back() {
        let secret = NodeSecret::from_bytes([7; 32]);
        let words = secret.words();
        assert_eq!(words.split(' ').count(), 24);
        let again = NodeSecret::from_words(&format!("  {}\n", words.to_uppercase())).unwrap();
        assert_eq!(again.id(), secret.id());
    }

    #[test]
    fn wrong_words_are_refused() {
        let words = NodeSecret::from_bytes([7; 32]).words();
        let one_missing = words.rsplit_once(' ').unwrap().0;
        assert!(NodeSecret::from_words(one_missing).is_err());
        assert!(NodeSecret::from_words("abandon ".repeat(24).trim()).is_err());
        assert!(NodeSecret::from_words(&["abandon"; 12].join(" ")).is_err());
    }

    #[test]
    fn a_signature_holds_for_its_message_only() {
        let secret = NodeSecret::generate().unwrap();
        let signature = secret.sign(b"audit head");
        assert!(secret.id().verifies(b"audit head", &signature));
        assert!(!secret.id().verifies(b"audit heap", &signature));
    }

    #[test]
    fn an_id_fits_a_dns_label_and_is_read_in_any_case() {
        let id = NodeSecret::from_bytes([7; 32]).id();
        let text = id.to_string();
        assert_eq!(text.len(), 52);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        let digits = data_encoding::HEXLOWER.encode(&id.0);
        assert_eq!(digits.parse(), Ok(id));
        for wrong in [
            "",
            "y",
            &text[1..],
            &format!("{text}y"),
            &text.replace(&text[..1], "l"),
        ] {
            assert!(wrong.parse::<NodeId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_never_prints_itself() {
        assert_eq!(
            format!("{:?}", NodeSecret::from_bytes([1; 32])),
            "NodeSecret(..)"
        );
    }
}
