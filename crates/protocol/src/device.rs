//! The key of somebody's device, with which it speaks the peer protocol to a node (R11).
//!
//! A device has another key for each login, so two nodes cannot tell that it is the same device. At
//! the sign-in it shows that it holds the key: it signs the id of the node that it signs in to. The
//! signature is of use at no other node and for nothing else.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::{NodeId, NodeSecret};

/// What is signed begins with this; the 32 bytes of the node's id follow.
const CONTEXT: &[u8] = b"cumulet device 1\n";

/// The signature by which the device with this secret shows to `node` that the key is its own, in
/// hexadecimal digits.
#[must_use]
pub fn claim(secret: &NodeSecret, node: NodeId) -> String {
    HEXLOWER.encode(&secret.sign(&statement(node)))
}

/// True if `claim` shows to `node` that `key` is that of whoever sent it.
#[must_use]
pub fn is_claimed(key: NodeId, node: NodeId, claim: &str) -> bool {
    let signature = HEXLOWER_PERMISSIVE.decode(claim.as_bytes());
    signature.is_ok_and(|signature| key.verifies(&statement(node), &signature))
}

fn statement(node: NodeId) -> Vec<u8> {
    [CONTEXT, &node.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_for_one_key_at_one_node() {
        let [device, node, other] = [1, 2, 3].map(|n| NodeSecret::from_bytes([n; 32]));
        let signature = claim(&device, node.id());
        assert!(is_claimed(device.id(), node.id(), &signature));
        assert!(!is_claimed(device.id(), other.id(), &signature));
        assert!(!is_claimed(other.id(), node.id(), &signature));
        assert!(!is_claimed(device.id(), node.id(), &signature[2..]));
        assert!(!is_claimed(device.id(), node.id(), "no digits"));
    }
}
