//! How a node's identity vouches for the key of its TLS certificate.
//!
//! Browsers take no ed25519 certificates, so TLS has a key of its own. The identity signs the
//! SHA-256 of that key's SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7). Whoever knows the node's
//! id checks the signature against the key that the other side of the connection has proved to
//! hold, and needs no authority for it.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{IdError, NodeId, NodeSecret, Signature};

/// What is signed begins with this; the 32 bytes of the hash follow.
const CONTEXT: &[u8] = b"cumulet tls spki sha256 1\n";

/// SHA-256 of the SubjectPublicKeyInfo of a TLS key. Its text is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TlsKey(pub [u8; 32]);

impl TlsKey {
    /// The key with this SubjectPublicKeyInfo (DER).
    #[must_use]
    pub fn of_spki(spki: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, spki);
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        Self(hash)
    }

    /// The signature of the node with this secret.
    #[must_use]
    pub fn vouch(&self, secret: &NodeSecret) -> Signature {
        secret.sign(&self.statement())
    }

    /// True if `node` has vouched for this key with `signature`.
    #[must_use]
    pub fn is_vouched(&self, node: NodeId, signature: &[u8]) -> bool {
        node.verifies(&self.statement(), signature)
    }

    fn statement(&self) -> Vec<u8> {
        [CONTEXT, &self.0].concat()
    }
}

impl fmt::Display for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TlsKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| crate::ids::bad("TLS key", text, "expected 64 hexadecimal digits"))
    }
}

impl Serialize for TlsKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TlsKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_node_itself_can_vouch_for_its_tls_key() {
        let (mine, other) = (
            NodeSecret::from_bytes([1; 32]),
            NodeSecret::from_bytes([2; 32]),
        );
        let key = TlsKey::of_spki(b"some key");
        let signature = key.vouch(&mine);
        assert!(key.is_vouched(mine.id(), &signature));
        assert!(!key.is_vouched(other.id(), &signature));
        assert!(!TlsKey::of_spki(b"another key").is_vouched(mine.id(), &signature));
        assert!(!key.is_vouched(mine.id(), &other.sign(b"x")));
        assert!(!key.is_vouched(mine.id(), b"short"));
    }

    #[test]
    fn its_text_reads_back() {
        let key = TlsKey::of_spki(b"some key");
        assert_eq!(key.to_string().parse::<TlsKey>().unwrap(), key);
        assert!("ab".parse::<TlsKey>().is_err());
        assert!("".parse::<TlsKey>().is_err());
    }
}
