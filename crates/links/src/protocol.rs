//! The protocols that nodes speak, by the name in the handshake (ALPN, RFC 7301).

use std::fmt;

/// What a link is for. The text is `cumulet/NAME/VERSION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Are you there, and what is your record.
    Ping,
    /// Who knows this node; kept open between neighbors.
    Lookup,
    /// What do you offer to me (R34).
    Services,
    /// Becoming friends.
    Pair,
    /// The HTTP router of a node for its friends.
    Files,
    /// Requests to a center.
    Center,
    /// Do you forward for others (R38).
    RelayOffer,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 7] = [
        Self::Ping,
        Self::Lookup,
        Self::Services,
        Self::Pair,
        Self::Files,
        Self::Center,
        Self::RelayOffer,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn alpn(self) -> &'static str {
        match self {
            Self::Ping => "cumulet/ping/1",
            Self::Lookup => "cumulet/lookup/1",
            Self::Services => "cumulet/services/1",
            Self::Pair => "cumulet/pair/1",
            Self::Files => "cumulet/files/1",
            Self::Center => "cumulet/center/1",
            Self::RelayOffer => "cumulet/relay-offer/1",
        }
    }

    /// The protocol with this name on the wire.
    #[must_use]
    pub fn from_alpn(alpn: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.alpn().as_bytes() == alpn)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.alpn())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_has_a_name_of_its_own() {
        for protocol in Protocol::ALL {
            assert_eq!(
                Protocol::from_alpn(protocol.alpn().as_bytes()),
                Some(protocol)
            );
        }
        assert_eq!(Protocol::from_alpn(b"cumulet/ping/2"), None);
        assert_eq!(Protocol::from_alpn(b""), None);
    }
}
