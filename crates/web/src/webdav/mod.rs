//! WebDAV, classes 1, 2 and 3 (RFC 4918), over the tree.
//!
//! How a request runs: [`place`] decodes the address, [`conditions`] reads what must hold, the
//! method's module asks [`access`] for the permission of every entry that it touches, `files` makes
//! the change under the conditions, and [`refused`] turns a refusal into status and precondition.
//! All work on the catalog runs on the blocking pool; bodies stream in bounded pieces either way.
//!
//! Invariants: nothing is looked up for somebody whose right was not asked for; what is hidden is
//! 404; conditions are decided inside of the commit, a check before the body is a courtesy.

mod access;
mod body;
pub(crate) mod conditions;
mod fragment;
mod friends;
mod get;
mod lock;
mod media;
mod names;
mod place;
mod propfind;
mod proppatch;
mod put;
mod refused;
mod remove;
mod shared;
mod transfer;
mod views;

use std::sync::Arc;

use axum::body::Body;
use http::header::{ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, ETAG, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use sharing::Asker;

use crate::App;
use crate::call::{Answer, Call};
use crate::problem::{Fault, Problem};

use place::Place;
use refused::{Refused, Step};

pub(crate) use media::media_type;

pub use fragment::{FragmentGuard, RequestLine, Watched};

/// The methods of the tree, for Allow.
const METHODS: &str = "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, \
                       LOCK, UNLOCK";

/// A request whose route is permitted; the entries that it names are still to be asked for.
struct Request {
    app: Arc<App>,
    asker: Asker,
    place: Place,
    head: Parts,
    body: Body,
}

/// What work on the blocking pool needs to know of a request.
#[derive(Clone)]
struct Context {
    app: Arc<App>,
    asker: Asker,
}

impl Request {
    fn context(&self) -> Context {
        Context {
            app: Arc::clone(&self.app),
            asker: self.asker.clone(),
        }
    }

    fn header(&self, name: &'static str) -> Step<Option<&str>> {
        header(&self.head.headers, name)
    }
}

/// The value of a header as text; one that is no text is refused.
fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Step<Option<&'a str>> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    // A list may be spread over several lines; only the If header and Range are ever that long.
    value.to_str().map(Some).map_err(|_| {
        Refused::text(
            StatusCode::BAD_REQUEST,
            &format!("the {name} header is not plain text"),
        )
    })
}

/// Answers every method of the `/dav` rows, and the probes of WebDAV clients at `/`.
pub(crate) async fn handle(call: Call) -> Answer {
    match answer(call).await {
        Ok(response) => Ok(response),
        Err(Refused::Reply(response)) => Ok(*response),
        Err(Refused::Problem(problem)) => Err(problem),
    }
}

async fn answer(call: Call) -> Step<Response<Body>> {
    let place = Place::parse(call.head.uri.path())?;
    let body = call.take_body();
    let request = Request {
        app: call.app,
        asker: call.asker,
        place,
        head: call.head,
        body,
    };
    if matches!(request.place, Place::WellKnown) {
        return Ok(moved(StatusCode::MOVED_PERMANENTLY, "/dav/"));
    }
    if let Place::Tree(named) = &request.place {
        let (context, named) = (request.context(), named.clone());
        let below = blocking(move || friends::below(&context.app, &context.asker, &named)).await?;
        if let Some(below) = below {
            return friends::answer(request, below).await;
        }
    }
    // RFC 4918 section 10.1; a REPORT is for calendars and does not exist here.
    match request.head.method.as_str() {
        "OPTIONS" => Ok(options(&request)),
        "GET" | "HEAD" => get::get(request).await,
        "PUT" => put::put(request).await,
        "DELETE" => remove::delete(request).await,
        "MKCOL" => remove::make_folder(request).await,
        "COPY" => transfer::copy(request).await,
        "MOVE" => transfer::move_(request).await,
        "PROPFIND" => propfind::propfind(request).await,
        "PROPPATCH" => proppatch::proppatch(request).await,
        "LOCK" => lock::lock(request).await,
        "UNLOCK" => lock::unlock(request).await,
        _ => Err(Problem::new(Fault::Method(METHODS.into())).into()),
    }
}

/// What we can do (RFC 4918 sections 10.1 and 18). `MS-Author-Via` makes Windows and Office choose
/// WebDAV rather than FrontPage.
fn options(request: &Request) -> Response<Body> {
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    let allow = match &request.place {
        Place::Tree(_) => METHODS,
        Place::Top | Place::Dav | Place::Spaces | Place::Principals | Place::WellKnown => {
            "OPTIONS, GET, HEAD, PROPFIND"
        }
    };
    headers.insert(ALLOW, HeaderValue::from_static(allow));
    headers.insert("dav", HeaderValue::from_static("1, 2, 3"));
    headers.insert("ms-author-via", HeaderValue::from_static("DAV"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

/// A response without a body.
fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        let none = HeaderValue::from_static("0");
        response.headers_mut().insert(CONTENT_LENGTH, none);
    }
    response
}

fn moved(status: StatusCode, to: &str) -> Response<Body> {
    let mut response = empty(status);
    set(response.headers_mut(), LOCATION, to);
    response
}

/// An XML body.
fn xml(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static(dav::multistatus::CONTENT_TYPE),
    );
    response
}

/// Sets a header from text that we made; what cannot be one is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The headers by which a client knows the entry that it has just made or written: ETag, and those
/// of ownCloud and Nextcloud.
fn identify(headers: &mut HeaderMap, app: &App, entry: &files::Entry) {
    let etag = entry.etag().to_string();
    set(headers, ETAG, &etag);
    set(headers, HeaderName::from_static("oc-etag"), &etag);
    let node = app.settings.node_id.to_string();
    let instance = node.get(..10).unwrap_or_default();
    let id = format!("{:08}{instance}", entry.fid);
    set(headers, HeaderName::from_static("oc-fileid"), &id);
}

/// Runs blocking work; its panic is our mistake, not the end of the server.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Step<T> + Send + 'static) -> Step<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| refused::broken(&error))?
}

/// Commits one change; `target` is what the request named. Blocks.
fn commit(context: &Context, target: &files::At, op: files::Op) -> Step<files::Done> {
    let author = access::author(&context.asker);
    let done = context.app.files.commit(&author, vec![op]).pop();
    match done {
        Some(Ok(done)) => Ok(done),
        Some(Err(refusal)) => Err(refused::refused(context, target, refusal)),
        None => Err(Problem::new(Fault::Internal).into()),
    }
}

/// 201 for something new, else 204 (RFC 4918).
fn created(created: bool) -> StatusCode {
    if created {
        StatusCode::CREATED
    } else {
        StatusCode::NO_CONTENT
    }
}

fn is_head(method: &Method) -> bool {
    method == Method::HEAD
}
