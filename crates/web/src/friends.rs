//! What friends share with this node: served live from their nodes, never kept here (R8, R19).
//!
//! `web` knows no network of nodes: it names what it needs as [`FriendReach`], and the node
//! supplies it. A request for something below `Friends/NAME/` goes out as a WebDAV request to the
//! friend's own router, which decides by its own permissions; its answer comes back with the
//! addresses turned into ours ([`hrefs`]). Bodies stream both ways. Nothing that a friend's node
//! says is trusted beyond that: only a few headers pass, the type of content is what its name says
//! here, and an address outside of the friend's own folder breaks the answer off.

mod hrefs;

use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use http::header::{
    ACCEPT_LANGUAGE, ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use protocol::message::pair::{Ticket, Token};
use protocol::{EntryName, NodeId, Timestamp};
use sharing::{Action, Asker, Event, Friend, Outcome};

use crate::headers::CONTENT_POLICY;
use crate::problem::{Fault, Problem};
use crate::{App, address};

use hrefs::Hrefs;

/// The reserved folder of friends, the same in every language.
pub(crate) const TOP: &str = "Friends";
/// The header in which a friend's node says what its asker may do in a folder: `r` or `rw`.
pub(crate) const ACCESS_HEADER: HeaderName = HeaderName::from_static("cumulet-access");

/// Why a friend's node gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// It does not answer; worth another try after this time.
    Offline {
        /// When.
        retry_after: Duration,
    },
    /// It answers and does not take this node for a friend.
    Stranger,
    /// It answered nonsense, or the link broke in the middle.
    Broken,
}

/// Why somebody did not become a friend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAccepted {
    /// The friend waits; the ticket is kept and tried again while it holds.
    Later(String),
    /// The reason, for a person.
    Refused(String),
}

/// A promise of an answer.
pub type Promise<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The network of nodes as far as the rim needs it; the node supplies it.
pub trait FriendReach: Send + Sync {
    /// Sends a request to a friend's router. Bounded in time until the head of the answer; the
    /// bodies end with an error when nothing moves for long.
    fn send(
        &self,
        friend: &Friend,
        request: Request<Body>,
    ) -> Promise<Result<Response<Body>, Unreached>>;

    /// The ticket for an invitation: where this node is, and its secret.
    fn ticket(&self, token: Token, expires: Timestamp) -> Ticket;

    /// Takes a ticket of somebody else: this owner agrees, and the other node is asked.
    fn accept(
        &self,
        ticket: Ticket,
        name: Option<EntryName>,
    ) -> Promise<Result<Friend, NotAccepted>>;

    /// Ends all links of a node that is no friend any more.
    fn cut(&self, node: NodeId);
}

/// Headers of a request that a friend's node may see.
const ASKED: [HeaderName; 8] = [
    ACCEPT_LANGUAGE,
    CONTENT_LENGTH,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
];
const ASKED_DAV: [&str; 12] = [
    "brief",
    "content-range",
    "content-type",
    "depth",
    "lock-token",
    "oc-checksum",
    "oc-total-length",
    "overwrite",
    "prefer",
    "timeout",
    "x-expected-entity-length",
    "x-oc-mtime",
];
/// Headers of an answer that a client here may see.
const ANSWERED: [HeaderName; 7] = [
    ACCEPT_RANGES,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    ETAG,
    LAST_MODIFIED,
    RETRY_AFTER,
    ACCESS_HEADER,
];
const ANSWERED_DAV: [&str; 6] = [
    "allow",
    "lock-token",
    "oc-etag",
    "oc-fileid",
    "preference-applied",
    "x-oc-mtime",
];

/// The authority in requests to friends; their identity is the key of the link.
const AUTHORITY: &str = "friend";

/// One request on its way to a friend.
pub(crate) struct Outgoing<'a> {
    pub(crate) friend: &'a Friend,
    pub(crate) method: Method,
    /// Below the friend's folder; the first name is that of a share.
    pub(crate) path: &'a [EntryName],
    /// The address means a collection.
    pub(crate) folder: bool,
    /// The client's headers, of which a few are passed on.
    pub(crate) headers: &'a HeaderMap,
    /// Headers that name addresses, already turned into the friend's.
    pub(crate) own: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    /// Where the friend's folder is for the client, with a slash at the end.
    pub(crate) base: &'a str,
}

/// The address of a path in the friend's own router.
pub(crate) fn remote_path(path: &[EntryName], folder: bool) -> String {
    let mut to = "/dav/files".to_owned();
    for name in path {
        to.push('/');
        to.push_str(&address::encode_name(name.as_str()));
    }
    if folder || path.is_empty() {
        to.push('/');
    }
    to
}

/// The same as an absolute address, for Destination and If.
pub(crate) fn remote_address(path: &[EntryName], folder: bool) -> String {
    format!("http://{AUTHORITY}{}", remote_path(path, folder))
}

/// Asks a friend's node and gives its answer as ours.
pub(crate) async fn relay(
    app: &App,
    asker: &Asker,
    outgoing: Outgoing<'_>,
) -> Result<Response<Body>, Problem> {
    let Outgoing {
        friend,
        method,
        path,
        base,
        ..
    } = &outgoing;
    let (method, base) = (method.clone(), (*base).to_owned());
    let friend = (*friend).clone();
    let name = path.last().cloned();
    let target = target(&friend, path);
    let request = request(outgoing)?;
    let answer = app.friends.send(&friend, request).await;
    let answer = answer.map_err(|why| problem(&friend, why))?;
    note(app, asker, &method, &target, &answer)?;
    Ok(translate(answer, &method, name.as_ref(), &base))
}

fn request(outgoing: Outgoing<'_>) -> Result<Request<Body>, Problem> {
    let uri = remote_address(outgoing.path, outgoing.folder);
    let mut request = Request::new(outgoing.body);
    *request.method_mut() = outgoing.method;
    *request.uri_mut() = uri.parse().map_err(|_| Problem::bad("address"))?;
    let headers = request.headers_mut();
    let dav = ASKED_DAV.iter().map(|name| HeaderName::from_static(name));
    for name in ASKED.into_iter().chain(dav) {
        for value in outgoing.headers.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    for (name, value) in outgoing.own {
        let value = HeaderValue::from_str(&value).map_err(|_| Problem::bad(name))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(request)
}

/// A friend that gave no answer, as a problem.
pub(crate) fn problem(friend: &Friend, why: Unreached) -> Problem {
    let name = friend.name.to_string();
    Problem::new(match why {
        Unreached::Offline { retry_after } => Fault::FriendOffline { name, retry_after },
        Unreached::Stranger => Fault::FriendRefuses { name },
        Unreached::Broken => Fault::FriendBroken { name },
    })
}

/// The answer of a friend's node as the client gets it.
fn translate(
    answer: Response<Body>,
    method: &Method,
    name: Option<&EntryName>,
    base: &str,
) -> Response<Body> {
    let (head, body) = answer.into_parts();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = match head.status {
        // Whom the friend's node does not know is a matter between the nodes, not a sign-in.
        StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
        status => status,
    };
    let headers = response.headers_mut();
    let dav = ANSWERED_DAV
        .iter()
        .map(|name| HeaderName::from_static(name));
    for name in ANSWERED.into_iter().chain(dav) {
        if let Some(value) = head.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let is_xml = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/xml"));
    let is_content = matches!(*method, Method::GET | Method::HEAD) && head.status.is_success();
    if is_content {
        let kind = head
            .headers
            .get(CONTENT_TYPE)
            .filter(|kind| kind.as_bytes().starts_with(b"multipart/byteranges"));
        let named = name.map_or("application/octet-stream", |name| {
            crate::webdav::media_type(name.as_str())
        });
        let kind = kind.cloned().unwrap_or(HeaderValue::from_static(named));
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONTENT_POLICY),
        );
        *response.body_mut() = body;
    } else if is_xml {
        let kind = HeaderValue::from_static(dav::multistatus::CONTENT_TYPE);
        headers.insert(CONTENT_TYPE, kind);
        // Our addresses are longer than the friend's.
        headers.remove(CONTENT_LENGTH);
        *response.body_mut() = Body::new(Hrefs::new(body, base));
    } else if head.status.is_success() {
        *response.body_mut() = body;
    } else {
        headers.remove(CONTENT_LENGTH);
    }
    response
}

/// The name of an entry in audit rows.
fn target(friend: &Friend, path: &[EntryName]) -> String {
    let mut text = format!("{TOP}/{}", friend.name);
    for name in path {
        text.push('/');
        text.push_str(name.as_str());
    }
    text
}

/// What was read and changed at a friend's is noted on this side as well (R102).
fn note(
    app: &App,
    asker: &Asker,
    method: &Method,
    target: &str,
    answer: &Response<Body>,
) -> Result<(), Problem> {
    let status = answer.status();
    let action = match method.as_str() {
        "PUT" if status == StatusCode::CREATED => Action::Create,
        "PUT" => Action::Write,
        "MKCOL" => Action::Create,
        "DELETE" => Action::Delete,
        "MOVE" => Action::Move,
        "COPY" => Action::Copy,
        "PROPPATCH" => Action::Properties,
        "LOCK" => Action::Lock,
        "UNLOCK" => Action::Unlock,
        _ => {
            if status.is_success() && method == Method::GET {
                app.sharing.audit_read_elsewhere(asker, target);
            }
            return Ok(());
        }
    };
    let outcome = if status.is_success() {
        Outcome::Done
    } else if status.is_client_error() {
        Outcome::Refused
    } else {
        Outcome::Failed
    };
    app.sharing.audit_soon(Event {
        outcome,
        detail: format!("status {}", status.as_u16()),
        ..Event::of(asker, app.now(), action, target)
    });
    Ok(())
}
