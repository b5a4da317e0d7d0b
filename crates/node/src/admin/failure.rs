//! What a command says when it cannot do what was asked: sorted by whose turn it is, with a hint.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sharing::SharingError;

/// Whose turn it is. The exit code of the command follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What was typed cannot be; exit code 2.
    Input,
    /// It is not there; exit code 1.
    Missing,
    /// Refused for lack of a right or by a rule; exit code 4.
    Refused,
    /// Files or settings of this computer stand against it; exit code 1.
    Configuration,
    /// Somebody or something else does not answer; exit code 3.
    Unreachable,
    /// Our bug; exit code 1.
    Fault,
}

impl Kind {
    /// The exit code of a command that ends so.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Missing | Self::Configuration | Self::Fault => 1,
            Self::Input => 2,
            Self::Unreachable => 3,
            Self::Refused => 4,
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Input => StatusCode::BAD_REQUEST,
            Self::Missing => StatusCode::NOT_FOUND,
            Self::Refused => StatusCode::FORBIDDEN,
            Self::Configuration => StatusCode::CONFLICT,
            Self::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Whose turn it is.
    pub kind: Kind,
    /// What could not be done and why.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// The input is at fault.
    #[must_use]
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Kind::Input, message)
    }

    /// Something is not there.
    #[must_use]
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(Kind::Missing, message)
    }

    /// We are at fault.
    #[must_use]
    pub fn fault(message: impl Into<String>) -> Self {
        Self::new(Kind::Fault, message)
            .hint("this should not happen; please report it with the log of the node")
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The failure that `error` and its causes tell.
    #[must_use]
    pub fn of(kind: Kind, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.ends_with(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        Self::new(kind, message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (
            self.kind.status(),
            axum::Json(serde_json::json!({ "error": self })),
        )
            .into_response()
    }
}

impl From<SharingError> for Failure {
    fn from(error: SharingError) -> Self {
        use SharingError as E;
        let kind = match &error {
            E::BadAccountName { .. } | E::WeakPassword | E::BadInput { .. } => Kind::Input,
            E::NameTaken(_)
            | E::LastOwner(_)
            | E::TooMany { .. }
            | E::WrongCode
            | E::BadSetupToken => Kind::Refused,
            E::NoAccount(_) | E::Missing(_) => Kind::Missing,
            E::Database(_) | E::Random | E::Io { .. } | E::Damaged { .. } => Kind::Configuration,
            E::Busy => Kind::Unreachable,
            // Only for kinds that a later version of the crate adds.
            _ => Kind::Fault,
        };
        let failure = Self::of(kind, &error);
        if matches!(error, E::NoAccount(_)) {
            return failure.hint("`cumulet user list` shows everybody");
        }
        failure
    }
}

impl From<files::FilesError> for Failure {
    fn from(error: files::FilesError) -> Self {
        use files::FilesError as E;
        match &error {
            E::Name(_) => Self::of(Kind::Input, &error),
            E::Unknown(_) => Self::of(Kind::Missing, &error),
            E::Busy(_) => Self::of(Kind::Unreachable, &error),
            E::Database(_) | E::Volume(_) | E::Unread(_) | E::OtherVolume { .. } | E::Random => {
                Self::of(Kind::Configuration, &error)
            }
            E::SpaceTaken(name) => Self::of(Kind::Refused, &error).hint(format!(
                "`cumulet space list` shows it; then `cumulet user add {name} --with-left-over`, \
                 `cumulet space give {name} PERSON`, or `cumulet space purge {name}`"
            )),
            E::SpaceHoldsBind { .. } => Self::of(Kind::Refused, &error).hint(
                "hand the space over with `cumulet space give`, then `cumulet unbind` the folder",
            ),
            E::Inconsistent(_) => Self::of(Kind::Fault, &error).hint("`cumulet check` tells more"),
            _ => Self::of(Kind::Fault, &error),
        }
    }
}

impl From<files::Refusal> for Failure {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all that is not named here is a rule of the tree"
    )]
    fn from(refusal: files::Refusal) -> Self {
        use files::Refusal as R;
        match refusal {
            R::Internal(error) => error.into(),
            R::NotFound | R::ParentMissing(_) => Self::of(Kind::Missing, &refusal),
            R::BadName(_) => Self::of(Kind::Input, &refusal),
            R::VolumeAway { .. } | R::Busy => Self::of(Kind::Unreachable, &refusal),
            R::DiskFull | R::ReadOnly { .. } => Self::of(Kind::Configuration, &refusal),
            _ => Self::of(Kind::Refused, &refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_whose_turn_it_is() {
        let check =
            |failure: Failure, code| assert_eq!(failure.kind.exit_code(), code, "{failure:?}");
        check(SharingError::WeakPassword.into(), 2);
        check(SharingError::NoAccount("bob".into()).into(), 1);
        check(SharingError::NameTaken("bob".into()).into(), 4);
        check(
            files::Refusal::VolumeAway {
                why: "no marker".into(),
            }
            .into(),
            3,
        );
        check(files::Refusal::Exists.into(), 4);
    }

    #[test]
    fn a_failure_reads_back_on_the_other_side() {
        let failure = Failure::input("no").hint("yes");
        let text = serde_json::to_string(&failure).unwrap();
        assert_eq!(serde_json::from_str::<Failure>(&text).unwrap(), failure);
    }
}
