//! What went wrong, as one type for pages, JSON and WebDAV.
//!
//! A [`Fault`] knows its status, a stable code for programs, and its text in each language; who
//! asked decides the form ([`Caller`]). Texts never tell more than the asker may know: a hidden
//! entry, a dead link and a missing page read the same.

use std::time::Duration;

use axum::body::Body;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use protocol::{ByteSize, NAME_BYTES_MAX, NameError, PATH_DEPTH_MAX};

use crate::language::Language;

/// Who asked, and so which form an answer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A person with a browser: HTML, login page instead of 401.
    Page,
    /// A program: JSON, Basic.
    Program,
    /// A WebDAV client: `DAV:error`, Basic.
    Dav,
}

/// The kinds of trouble a request can meet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A form, query or header that does not say what it should; `what` names the field.
    BadRequest {
        /// Name of the field, header or part.
        what: String,
    },
    /// A name or path that cannot be one.
    BadName(NameError),
    /// Nobody is signed in (401).
    SignIn,
    /// Signed in, but this is not theirs to do (403).
    Forbidden,
    /// The request came from a foreign page (403).
    Foreign,
    /// Nothing here, or nothing that the asker may know of (404).
    NotFound,
    /// The address exists, the method does not; the value is the `Allow` header (405).
    Method(String),
    /// The name is taken (409 on pages, 412 or 405 over WebDAV).
    Taken,
    /// The folder that should hold the target is not there (409).
    ParentMissing,
    /// A file where a folder is needed (409).
    NotAFolder,
    /// A folder where a file is needed (409).
    IsAFolder,
    /// A folder cannot go into itself (403 over WebDAV, 409 on pages).
    IntoItself,
    /// Source and target are the same (403 over WebDAV, 409 on pages).
    SameTarget,
    /// An If-Match, If-None-Match or If did not hold (412).
    ConditionFailed,
    /// Another program changed the entry at the same moment (409).
    OutsideEdit,
    /// Asked from away for what tells of LAN-only entries (403).
    AtHomeOnly,
    /// A LAN-only entry would be seen from away at its new place (403).
    LeavesLan,
    /// A WebDAV lock of somebody else (423).
    Locked,
    /// The person's quota (507).
    OverQuota {
        /// Bytes that the write needs.
        need: u64,
        /// Bytes that are left.
        available: u64,
    },
    /// The disk is full (507).
    DiskFull,
    /// The body is larger than this kind of request may be (413).
    TooLarge {
        /// Limit in bytes.
        limit: u64,
    },
    /// The body ended before its announced length (400).
    Incomplete,
    /// The body is not what its checksum says (400 with a text of its own).
    Checksum,
    /// The client sent nothing for too long (408).
    Timeout,
    /// No part of the requested range exists (416); the value is the size of the content.
    Range(u64),
    /// Too many attempts (429).
    TooMany {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The disk that holds this is not there at the moment (503).
    Away,
    /// The disk or folder is read-only (403).
    ReadOnly,
    /// The volume cannot keep this name apart from one that is there (409).
    NameTwin,
    /// The top of a space or of a bound folder stays where it is (403).
    IsTop,
    /// A name that an account cannot have (400).
    BadAccountName,
    /// Another account has the name (409).
    NameTaken,
    /// A removed account left files under the name (409).
    SpaceTaken,
    /// Too short, too long or too easy a password (400).
    WeakPassword,
    /// The node would have no owner (409).
    LastOwner,
    /// A second-factor code that does not fit (403).
    WrongCode,
    /// The person's own password, asked again, was wrong (403).
    WrongPassword,
    /// So many of them already (409).
    LimitReached {
        /// The limit.
        count: usize,
    },
    /// Too many or too large dead properties; the text says which limit (507).
    TooManyProps(String),
    /// The two passwords of a form are not the same (400).
    PasswordsDiffer,
    /// A form that needs at least one entry or file has none (400).
    NothingPicked,
    /// Too much at once, or stopping (503).
    Busy,
    /// The friend's node does not answer (503).
    FriendOffline {
        /// What it is called here.
        name: String,
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The friend's node does not take this one for a friend (403).
    FriendRefuses {
        /// What it is called here.
        name: String,
    },
    /// The friend's node answered nonsense or broke off (502).
    FriendBroken {
        /// What it is called here.
        name: String,
    },
    /// A ticket that is none, or that did not make a friend (400); the text says why.
    Ticket(String),
    /// Our own mistake or a failing disk (500); the details are in the log only.
    Internal,
}

impl Fault {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest { .. }
            | Self::BadName(_)
            | Self::Incomplete
            | Self::Checksum
            | Self::BadAccountName
            | Self::Ticket(_)
            | Self::NothingPicked
            | Self::PasswordsDiffer
            | Self::WeakPassword => StatusCode::BAD_REQUEST,
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::Forbidden
            | Self::FriendRefuses { .. }
            | Self::LeavesLan
            | Self::AtHomeOnly
            | Self::Foreign
            | Self::ReadOnly
            | Self::IsTop
            | Self::WrongCode
            | Self::WrongPassword => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Taken
            | Self::ParentMissing
            | Self::NotAFolder
            | Self::IsAFolder
            | Self::IntoItself
            | Self::SameTarget
            | Self::NameTwin
            | Self::NameTaken
            | Self::SpaceTaken
            | Self::LastOwner
            | Self::LimitReached { .. }
            | Self::OutsideEdit => StatusCode::CONFLICT,
            Self::ConditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::Locked => StatusCode::LOCKED,
            Self::OverQuota { .. } | Self::DiskFull | Self::TooManyProps(_) => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Away | Self::Busy | Self::FriendOffline { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::FriendBroken { .. } => StatusCode::BAD_GATEWAY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest { .. } => "bad_request",
            Self::BadName(_) => "bad_name",
            Self::SignIn => "sign_in",
            Self::Forbidden => "forbidden",
            Self::Foreign => "foreign_origin",
            Self::NotFound => "not_found",
            Self::Method(_) => "method_not_allowed",
            Self::Taken => "taken",
            Self::ParentMissing => "parent_missing",
            Self::NotAFolder => "not_a_folder",
            Self::IsAFolder => "is_a_folder",
            Self::IntoItself => "into_itself",
            Self::SameTarget => "same_target",
            Self::ConditionFailed => "condition_failed",
            Self::OutsideEdit => "outside_edit",
            Self::AtHomeOnly => "at_home_only",
            Self::LeavesLan => "leaves_lan",
            Self::Locked => "locked",
            Self::OverQuota { .. } => "over_quota",
            Self::DiskFull => "disk_full",
            Self::TooLarge { .. } => "too_large",
            Self::Incomplete => "incomplete",
            Self::Checksum => "checksum_mismatch",
            Self::Timeout => "timeout",
            Self::Range(_) => "range",
            Self::TooMany { .. } => "too_many",
            Self::Away => "volume_away",
            Self::ReadOnly => "read_only",
            Self::NameTwin => "name_twin",
            Self::IsTop => "is_top",
            Self::BadAccountName => "bad_account_name",
            Self::NameTaken => "name_taken",
            Self::SpaceTaken => "space_taken",
            Self::WeakPassword => "weak_password",
            Self::LastOwner => "last_owner",
            Self::WrongCode => "wrong_code",
            Self::WrongPassword => "wrong_password",
            Self::LimitReached { .. } => "limit_reached",
            Self::TooManyProps(_) => "too_many_properties",
            Self::PasswordsDiffer => "passwords_differ",
            Self::NothingPicked => "nothing_picked",
            Self::Busy => "busy",
            Self::FriendOffline { .. } => "friend_offline",
            Self::FriendRefuses { .. } => "friend_refuses",
            Self::FriendBroken { .. } => "friend_broken",
            Self::Ticket(_) => "ticket",
            Self::Internal => "internal",
        }
    }

    /// What happened and what to do, for a person.
    #[must_use]
    pub fn message(&self, language: Language) -> String {
        let bytes = |n: &u64| ByteSize(*n).to_string().into();
        match self {
            Self::BadRequest { what } => {
                language.with("problem-bad-request", &[("what", what.clone().into())])
            }
            Self::BadName(error) => name_message(error, language),
            Self::SignIn => language.text("problem-sign-in"),
            Self::Forbidden => language.text("problem-forbidden"),
            Self::Foreign => language.text("problem-foreign"),
            Self::NotFound => language.text("problem-not-found"),
            Self::Method(_) => language.text("problem-method"),
            Self::Taken => language.text("problem-taken"),
            Self::ParentMissing => language.text("problem-parent-missing"),
            Self::NotAFolder => language.text("problem-not-a-folder"),
            Self::IsAFolder => language.text("problem-is-a-folder"),
            Self::IntoItself => language.text("problem-into-itself"),
            Self::SameTarget => language.text("problem-same-target"),
            Self::ConditionFailed => language.text("problem-condition-failed"),
            Self::OutsideEdit => language.text("problem-outside-edit"),
            Self::AtHomeOnly => language.text("problem-at-home-only"),
            Self::LeavesLan => language.text("problem-leaves-lan"),
            Self::Locked => language.text("problem-locked"),
            Self::OverQuota { need, available } => language.with(
                "problem-over-quota",
                &[("need", bytes(need)), ("available", bytes(available))],
            ),
            Self::DiskFull => language.text("problem-disk-full"),
            Self::TooLarge { limit } => {
                language.with("problem-too-large", &[("limit", bytes(limit))])
            }
            Self::Incomplete => language.text("problem-incomplete"),
            Self::Checksum => language.text("problem-checksum"),
            Self::Timeout => language.text("problem-timeout"),
            Self::Range(_) => language.text("problem-range"),
            Self::TooMany { retry_after } => language.with(
                "problem-too-many",
                &[("seconds", seconds(*retry_after).into())],
            ),
            Self::Away => language.text("problem-away"),
            Self::ReadOnly => language.text("problem-read-only"),
            Self::NameTwin => language.text("problem-name-twin"),
            Self::IsTop => language.text("problem-is-top"),
            Self::BadAccountName => language.text("problem-bad-account-name"),
            Self::NameTaken => language.text("problem-name-taken"),
            Self::SpaceTaken => language.text("problem-space-taken"),
            Self::WeakPassword => language.text("problem-weak-password"),
            Self::LastOwner => language.text("problem-last-owner"),
            Self::WrongCode => language.text("problem-wrong-code"),
            Self::WrongPassword => language.text("problem-wrong-password"),
            Self::LimitReached { count } => {
                language.with("problem-limit-reached", &[("count", (*count).into())])
            }
            Self::TooManyProps(_) => language.text("problem-too-many-properties"),
            Self::PasswordsDiffer => language.text("problem-passwords-differ"),
            Self::NothingPicked => language.text("problem-nothing-picked"),
            Self::Busy => language.text("problem-busy"),
            Self::FriendOffline { name, .. } => {
                language.with("problem-friend-offline", &[("name", name.clone().into())])
            }
            Self::FriendRefuses { name } => {
                language.with("problem-friend-refuses", &[("name", name.clone().into())])
            }
            Self::FriendBroken { name } => {
                language.with("problem-friend-broken", &[("name", name.clone().into())])
            }
            Self::Ticket(why) => language.with("problem-ticket", &[("why", why.clone().into())]),
            Self::Internal => language.text("problem-internal"),
        }
    }
}

fn name_message(error: &NameError, language: Language) -> String {
    let shown = |name: &str| name.to_owned().into();
    match error {
        NameError::Empty => language.text("name-empty"),
        NameError::Dots(name) => language.with("name-dots", &[("name", shown(name))]),
        NameError::Separator(name) => language.with("name-separator", &[("name", shown(name))]),
        NameError::TooLong(bytes) => language.with(
            "name-too-long",
            &[("bytes", (*bytes).into()), ("limit", NAME_BYTES_MAX.into())],
        ),
        NameError::Reserved(name) => language.with("name-reserved", &[("name", shown(name))]),
        NameError::NotOnDisk(name) => language.with("name-not-on-disk", &[("name", shown(name))]),
        NameError::NotUtf8 => language.text("name-not-utf8"),
        NameError::TooDeep(depth) => language.with(
            "name-too-deep",
            &[("depth", (*depth).into()), ("limit", PATH_DEPTH_MAX.into())],
        ),
        // The enum may grow; a new kind still reads as a bad name.
        NameError::NotCloudPath(_) | _ => language.text("name-bad"),
    }
}

fn seconds(time: Duration) -> u64 {
    time.as_secs().max(1)
}

/// A fault on its way to the asker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What it is.
    pub fault: Fault,
    /// WebDAV precondition element (`DAV:` namespace) that names it more closely, such as
    /// `lock-token-submitted` (RFC 4918 section 16).
    pub precondition: Option<&'static str>,
    /// Answer with this status where a protocol wants another one than [`Fault::status`].
    pub status: Option<StatusCode>,
}

impl Problem {
    /// 404.
    pub const NOT_FOUND: Self = Self::new(Fault::NotFound);

    /// A problem without protocol details.
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self {
            fault,
            precondition: None,
            status: None,
        }
    }

    /// A field, header or part that does not say what it should.
    #[must_use]
    pub fn bad(what: impl Into<String>) -> Self {
        Self::new(Fault::BadRequest { what: what.into() })
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// The same with a WebDAV precondition.
    #[must_use]
    pub fn with_precondition(mut self, precondition: &'static str) -> Self {
        self.precondition = Some(precondition);
        self
    }

    /// Our own mistake: logs `error` with its causes and tells the asker nothing of it.
    #[must_use]
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!("request failed: {text}");
        Self::new(Fault::Internal)
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| self.fault.status())
    }

    /// The answer for a program or a WebDAV client. Pages are drawn by `pages::problem`.
    #[must_use]
    pub fn plain(&self, caller: Caller, language: Language) -> Response<Body> {
        let (kind, body) = match caller {
            Caller::Page => (
                "text/plain; charset=utf-8",
                self.fault.message(language) + "\n",
            ),
            Caller::Program => ("application/json", self.json(language)),
            Caller::Dav => ("application/xml; charset=utf-8", self.xml(language)),
        };
        let mut response = Response::new(Body::from(body));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.head(caller, &mut response);
        response
    }

    /// Status and headers that go with the fault, whatever the body is.
    pub(crate) fn head(&self, caller: Caller, response: &mut Response<Body>) {
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if self.fault == Fault::SignIn && caller != Caller::Page {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"Cumulet\", charset=\"UTF-8\""),
            );
        }
        if let Fault::TooMany { retry_after } = &self.fault {
            headers.insert(RETRY_AFTER, seconds(*retry_after).into());
        }
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, 5.into());
        }
        if let Fault::FriendOffline { retry_after, .. } = &self.fault {
            headers.insert(RETRY_AFTER, seconds(*retry_after).into());
        }
        if let Fault::Method(allow) = &self.fault
            && let Ok(allow) = HeaderValue::from_str(allow)
        {
            headers.insert(ALLOW, allow);
        }
        if let Fault::Range(size) = &self.fault
            && let Ok(range) = HeaderValue::from_str(&format!("bytes */{size}"))
        {
            headers.insert(http::header::CONTENT_RANGE, range);
        }
    }

    fn json(&self, language: Language) -> String {
        serde_json::json!({
            "error": self.fault.code(),
            "message": self.fault.message(language),
        })
        .to_string()
            + "\n"
    }

    fn xml(&self, language: Language) -> String {
        let precondition = self
            .precondition
            .map_or(String::new(), |name| format!("<D:{name}/>"));
        let message = self
            .fault
            .message(language)
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:error xmlns:D=\"DAV:\">{precondition}\
             <C:message xmlns:C=\"urn:cumulet\">{message}</C:message></D:error>\n"
        )
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::new(Fault::BadName(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_an_answer_follows_the_caller() {
        let problem = Problem::new(Fault::SignIn);
        let page = problem.plain(Caller::Page, Language::English);
        assert!(!page.headers().contains_key(WWW_AUTHENTICATE));
        let program = problem.plain(Caller::Program, Language::English);
        assert!(program.headers().contains_key(WWW_AUTHENTICATE));
        assert_eq!(program.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(program.headers()[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn a_webdav_answer_names_its_precondition_and_escapes_its_text() {
        let xml = Problem::bad("<If>")
            .with_precondition("lock-token-submitted")
            .xml(Language::English);
        assert!(xml.contains("<D:lock-token-submitted/>"), "{xml}");
        assert!(xml.contains("&lt;If&gt;"), "{xml}");
    }
}
