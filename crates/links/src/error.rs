//! What can go wrong on the way to another node.

use std::time::Duration;

use protocol::NodeId;
use protocol::frame::FrameError;
use thiserror::Error;

use crate::Protocol;

/// Why a link was closed, as the other side reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// Nothing more to say.
    Done = 0,
    /// Too many links or requests; try later.
    Busy = 1,
    /// This id may not do this here.
    NotAllowed = 2,
    /// What came was no message.
    Garbage = 3,
    /// The node stops or changes its network.
    GoingAway = 4,
    /// It took too long.
    Late = 5,
}

impl CloseCode {
    const ALL: [Self; 6] = [
        Self::Done,
        Self::Busy,
        Self::NotAllowed,
        Self::Garbage,
        Self::GoingAway,
        Self::Late,
    ];

    pub(crate) fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u64 == number)
    }
}

/// A link or stream that failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No UDP port could be opened.
    #[error("cannot open UDP {addresses} for QUIC; another program may have the port: {why}")]
    Bind {
        /// Where.
        addresses: String,
        /// What the system said.
        why: String,
    },
    /// These 32 bytes are no ed25519 public key.
    #[error("{0} is the id of no node: it is no ed25519 key")]
    NoKey(NodeId),
    /// A node does not dial itself.
    #[error("{0} is this node itself")]
    Myself(NodeId),
    /// The owner has stopped the links of this node.
    #[error("the links of this node are stopped; `cumulet module start links` starts them")]
    Stopped,
    /// No address is known.
    #[error("no address of {0} is known")]
    NoAddress(NodeId),
    /// Nobody with this id answered in time.
    #[error("{node} did not answer within {limit:?} at {addresses}")]
    Timeout {
        /// Who was called.
        node: NodeId,
        /// How long.
        limit: Duration,
        /// Where.
        addresses: String,
    },
    /// Somebody answered, but not this node, or it does not speak this protocol.
    #[error("no link for {protocol} to {node}: {why}")]
    Handshake {
        /// Who was called.
        node: NodeId,
        /// What for.
        protocol: Protocol,
        /// What the QUIC stack said.
        why: String,
    },
    /// The other side closed the link and said why.
    #[error("closed by the other node: {why} ({code:?})")]
    Refused {
        /// The reason as a code; `None` is one of a later version.
        code: Option<CloseCode>,
        /// The reason as text of the other side, printable and short.
        why: String,
    },
    /// The link ended: silence, a reset or our own end.
    #[error("the link ended: {0}")]
    Ended(String),
    /// What came was no message, or what should go would be refused.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The stream ended inside a message.
    #[error("the stream ended inside a {what}")]
    Truncated {
        /// What was expected.
        what: &'static str,
    },
    /// A message began and did not end in time, or was not taken in time.
    #[error("a {what} took longer than {limit:?}")]
    Late {
        /// What was expected.
        what: &'static str,
        /// How long it may take.
        limit: Duration,
    },
}

impl LinkError {
    pub(crate) fn ended(error: &iroh::endpoint::ConnectionError) -> Self {
        use iroh::endpoint::ConnectionError as Quic;
        match error {
            Quic::ApplicationClosed(close) => Self::Refused {
                code: CloseCode::from_number(close.error_code.into_inner()),
                why: printable(&close.reason),
            },
            Quic::TimedOut => Self::Ended("the other node is silent".into()),
            Quic::LocallyClosed => Self::Ended("closed on this side".into()),
            Quic::VersionMismatch
            | Quic::TransportError(_)
            | Quic::ConnectionClosed(_)
            | Quic::Reset
            | Quic::CidsExhausted => Self::Ended(error.to_string()),
        }
    }
}

/// Text of another machine for a log or terminal: short, without control characters.
pub(crate) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|letter| !letter.is_control())
        .take(120)
        .collect()
}
