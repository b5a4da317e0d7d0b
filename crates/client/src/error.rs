//! What went wrong, with what to do about it.

use thiserror::Error;

/// Whose matter it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was typed cannot be.
    Input,
    /// It is not there.
    Missing,
    /// Something stands in the way that may be replaced only when that is asked for.
    Conflict,
    /// The node does not answer.
    Unreachable,
    /// The node, or our own rule about whom we trust, says no.
    Refused,
    /// Files of this computer stand against it.
    Local,
    /// The node answered what it should not.
    Fault,
}

/// A failure for a person.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct ClientError {
    /// Whose matter it is.
    pub kind: Kind,
    /// What was attempted on which thing, and why it failed.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl ClientError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file of this computer.
    pub(crate) fn local(action: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            Kind::Local,
            format!("cannot {action} {}: {error}", path.display()),
        )
    }

    /// The node answered something that makes no sense.
    pub(crate) fn fault(message: impl Into<String>) -> Self {
        Self::new(Kind::Fault, message)
    }
}
