//! From a refusal to status and precondition element (RFC 4918 sections 11 and 16, RFC 4331).

use axum::body::Body;
use dav::multistatus;
use files::{At, FilesError, ReadError, Refusal};
use http::{Response, StatusCode};
use protocol::NameError;
use sharing::SharingError;

use crate::problem::{Fault, Problem};

use super::Context;
use super::names::Names;

/// Why a request ends early.
pub(super) enum Refused {
    /// In the words of the whole rim, in the asker's language.
    Problem(Problem),
    /// An answer that needs more than that: hrefs, a multistatus, a reason from the grammar.
    Reply(Box<Response<Body>>),
}

/// Shorthand for the steps of a method.
pub(super) type Step<T> = Result<T, Refused>;

impl Refused {
    pub(super) const NOT_FOUND: Self = Self::Problem(Problem::NOT_FOUND);

    /// A status with a sentence that says what is wrong.
    pub(super) fn text(status: StatusCode, message: &str) -> Self {
        Self::reply(status, multistatus::message(message))
    }

    /// A status with a precondition element.
    pub(super) fn condition(
        status: StatusCode,
        condition: &str,
        hrefs: &[&str],
        message: &str,
    ) -> Self {
        Self::reply(status, multistatus::error(condition, hrefs, message))
    }

    pub(super) fn reply(status: StatusCode, body: Vec<u8>) -> Self {
        Self::Reply(Box::new(super::xml(status, body)))
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<FilesError> for Refused {
    fn from(error: FilesError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<SharingError> for Refused {
    fn from(error: SharingError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<NameError> for Refused {
    fn from(error: NameError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<dav::PathError> for Refused {
    fn from(error: dav::PathError) -> Self {
        let status = if let dav::PathError::TooLong(_) = error {
            StatusCode::URI_TOO_LONG
        } else {
            StatusCode::BAD_REQUEST
        };
        Self::text(status, &error.to_string())
    }
}

impl From<dav::HeaderError> for Refused {
    fn from(error: dav::HeaderError) -> Self {
        Self::text(StatusCode::BAD_REQUEST, &error.to_string())
    }
}

impl From<dav::XmlError> for Refused {
    fn from(error: dav::XmlError) -> Self {
        use dav::XmlError::{PropertyTooLong, TooLong};
        let status = if matches!(error, TooLong(_) | PropertyTooLong { .. }) {
            StatusCode::PAYLOAD_TOO_LARGE
        } else {
            StatusCode::BAD_REQUEST
        };
        Self::text(status, &error.to_string())
    }
}

/// A refusal of `files` as an answer. `target` is what the request named: a lock below it is the
/// matter of a member and goes into a multistatus (section 9.6.1).
pub(super) fn refused(context: &Context, target: &At, refusal: Refusal) -> Refused {
    if let Refusal::Locked { token_root, .. } = refusal {
        return locked(context, target, &token_root);
    }
    // RFC 4331 section 6; RFC 4918 sections 9.7.2, 9.8.5 and 9.9.4.
    let problem = Problem::from(refusal);
    let fault = &problem.fault;
    if matches!(fault, Fault::OverQuota { .. }) {
        problem.with_precondition("quota-not-exceeded").into()
    } else if matches!(fault, Fault::DiskFull) {
        problem.with_precondition("sufficient-disk-space").into()
    } else if matches!(fault, Fault::SameTarget | Fault::IntoItself) {
        problem.with_status(StatusCode::FORBIDDEN).into()
    } else if matches!(fault, Fault::IsAFolder) {
        problem.with_status(StatusCode::METHOD_NOT_ALLOWED).into()
    } else {
        problem.into()
    }
}

fn locked(context: &Context, target: &At, root: &At) -> Refused {
    let href = address(context, root);
    let inside =
        root.space == target.space && root != target && root.path.starts_with(&target.path);
    if inside {
        let mut body = multistatus::OPEN.to_vec();
        multistatus::push_failure(&mut body, &href, 423, Some("lock-token-submitted"));
        body.extend_from_slice(multistatus::CLOSE);
        return Refused::reply(StatusCode::MULTI_STATUS, body);
    }
    Refused::condition(
        StatusCode::LOCKED,
        "lock-token-submitted",
        &[&href],
        "a lock is in the way, and the request does not hold it",
    )
}

/// The href of a place. Whether it is a folder is asked for, so that the slash is right.
pub(super) fn address(context: &Context, at: &At) -> String {
    let app = &context.app;
    let Ok(names) = Names::of(app, &context.asker) else {
        return String::new();
    };
    let space = app.files.space_by_id(at.space).ok().flatten();
    let folder = app.files.find(at).ok().flatten();
    let folder = folder.is_some_and(|entry| entry.is_folder());
    space.map_or_else(String::new, |space| {
        names.href(&space.name, &at.path, folder)
    })
}

/// The work on the blocking pool did not come to an end.
pub(super) fn broken(error: &(dyn std::error::Error + 'static)) -> Refused {
    Refused::Problem(Problem::internal(error))
}

/// Nothing arrived for too long.
pub(super) fn too_slow() -> Refused {
    Problem::new(Fault::Timeout).into()
}
