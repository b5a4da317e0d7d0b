//! GET and HEAD (RFC 9110 sections 9.3.1, 13 and 14; RFC 4918 section 9.4).
//!
//! User content is sent with `nosniff` and a `sandbox` policy: whatever it is, it does not run on
//! our origin. Ranges, several at once, If-Range, If-None-Match and If-Modified-Since are honored in
//! the order of RFC 9110 section 13.2.2.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};

use axum::body::Body;
use bytes::Bytes;
use dav::{ByteSpan, EtagList, IfRange, Ranges, push_http_date, ranges};
use files::Entry;
use http::header::{
    ACCEPT, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use sharing::Need;

use crate::headers::CONTENT_POLICY;
use crate::problem::{Fault, Problem};

use super::access::{self, Found};
use super::conditions::date;
use super::content::{Content, Part, SMALL_BYTES, read};
use super::media::media_type;
use super::place::Place;
use super::refused::{Refused, Step};
use super::{Context, Request, blocking, empty, header, is_head, moved, set};

pub(super) async fn get(request: Request) -> Step<Response<Body>> {
    let named = match &request.place {
        Place::Tree(named) => named.clone(),
        Place::Top | Place::Dav | Place::Spaces | Place::Principals | Place::WellKnown => {
            return Ok(folder(&request.head, "/files/"));
        }
    };
    let context = request.context();
    let head = request.head;
    blocking(move || {
        let (app, asker) = (&context.app, &context.asker);
        let found = access::found(app, asker, &named, &Need::ENTRY_DOWNLOAD)?;
        if found.entry.is_folder() {
            let page = super::place::href(&found.space.name, &found.at.path, true);
            let page = page.strip_prefix("/dav").unwrap_or("/files/");
            return Ok(folder(&head, page));
        }
        if named.trailing_slash {
            return Err(Refused::NOT_FOUND);
        }
        file(&context, &head, &found)
    })
    .await
}

/// A folder has no content of its own: people are led to its page, programs that only ask whether
/// it is there are told so.
fn folder(head: &http::request::Parts, page: &str) -> Response<Body> {
    let accept = head.headers.get(ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    if is_head(&head.method) && !accept.is_some_and(|accept| accept.contains("text/html")) {
        let mut response = empty(StatusCode::OK);
        let kind = HeaderValue::from_static("httpd/unix-directory");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        return response;
    }
    moved(StatusCode::SEE_OTHER, page)
}

fn file(context: &Context, head: &http::request::Parts, found: &Found) -> Step<Response<Body>> {
    let (app, headers) = (&context.app, &head.headers);
    let now_s = app.now().secs();
    if is_head(&head.method) {
        let answer = choose(headers, &found.entry, now_s)?;
        return Ok(answer.response(&found.entry, None)?.map(|_| Body::empty()));
    }
    let content = app.files.open_content(found.entry.fid)?;
    let answer = choose(headers, &content.entry, now_s)?;
    access::note_read(app, &context.asker, found)?;
    answer.response(&content.entry, Some(content.file))
}

/// What the conditions and ranges of a request come to.
enum Answer {
    NotModified,
    Whole,
    One(ByteSpan),
    Several(Vec<ByteSpan>),
}

fn choose(headers: &HeaderMap, entry: &Entry, now_s: i64) -> Step<Answer> {
    let etag = entry.etag().to_string();
    let modified_s = entry.mtime.secs();
    let failed = || Refused::from(Problem::new(Fault::ConditionFailed));
    if let Some(value) = header(headers, "if-match")? {
        let holds = match EtagList::parse("If-Match", value)? {
            EtagList::Any => true,
            EtagList::Of(tags) => tags.iter().any(|tag| tag.is_strongly(&etag)),
        };
        if !holds {
            return Err(failed());
        }
    } else if date(headers, "if-unmodified-since")?.is_some_and(|since| modified_s > since) {
        return Err(failed());
    }
    if let Some(value) = header(headers, "if-none-match")? {
        let same = match EtagList::parse("If-None-Match", value)? {
            EtagList::Any => true,
            EtagList::Of(tags) => tags.iter().any(|tag| tag.is_weakly(&etag)),
        };
        if same {
            return Ok(Answer::NotModified);
        }
    } else if date(headers, "if-modified-since")?.is_some_and(|since| modified_s <= since) {
        return Ok(Answer::NotModified);
    }
    let Some(value) = header(headers, "range")? else {
        return Ok(Answer::Whole);
    };
    if let Some(if_range) = header(headers, "if-range")? {
        let holds = IfRange::parse(if_range);
        if !holds.is_some_and(|if_range| if_range.holds(&etag, modified_s, now_s)) {
            return Ok(Answer::Whole);
        }
    }
    match ranges(value, entry.size) {
        Ranges::Whole => Ok(Answer::Whole),
        Ranges::Unsatisfiable => Err(Problem::new(Fault::Range(entry.size)).into()),
        Ranges::Parts(parts) => Ok(match parts.as_slice() {
            [one] => Answer::One(*one),
            _ => Answer::Several(parts),
        }),
    }
}

impl Answer {
    /// The response; without a file only its head.
    fn response(&self, entry: &Entry, file: Option<std::fs::File>) -> Step<Response<Body>> {
        let mut response = Response::new(Body::empty());
        describe(response.headers_mut(), entry);
        let whole = ByteSpan {
            start: 0,
            end: entry.size,
        };
        let size = entry.size;
        let parts: VecDeque<Part> = match self {
            Self::NotModified => {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response.headers_mut().remove(CONTENT_TYPE);
                return Ok(response);
            }
            Self::Whole if size == 0 => VecDeque::new(),
            Self::Whole => VecDeque::from([Part::Span(whole)]),
            Self::One(span) => {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let value = format!("bytes {}-{}/{size}", span.start, span.end - 1);
                set(response.headers_mut(), CONTENT_RANGE, &value);
                VecDeque::from([Part::Span(*span)])
            }
            Self::Several(spans) => {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let boundary = boundary();
                let kind = format!("multipart/byteranges; boundary={boundary}");
                set(response.headers_mut(), CONTENT_TYPE, &kind);
                multipart(&boundary, media_type(entry.name.as_str()), spans, size)
            }
        };
        let length: u64 = parts.iter().map(length_of).sum();
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        if let Some(file) = file {
            *response.body_mut() = body(file, parts, length)?;
        }
        Ok(response)
    }
}

fn length_of(part: &Part) -> u64 {
    match part {
        Part::Text(text) => text.len() as u64,
        Part::Span(span) => span.length(),
    }
}

/// Small content is read at once, on the thread that opened it.
fn body(file: std::fs::File, parts: VecDeque<Part>, length: u64) -> Step<Body> {
    match parts.front() {
        None => Ok(Body::empty()),
        Some(Part::Span(span)) if parts.len() == 1 && length <= SMALL_BYTES => {
            let bytes = read(&file, *span).map_err(|error| Problem::internal(&error))?;
            Ok(Body::from(bytes))
        }
        Some(_) => Ok(Body::new(Content::new(file, parts))),
    }
}

fn describe(headers: &mut HeaderMap, entry: &Entry) {
    let kind = HeaderValue::from_static(media_type(entry.name.as_str()));
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let policy = HeaderValue::from_static(CONTENT_POLICY);
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    // For the asker's own cache, which asks again each time: rights may have changed.
    let cache = HeaderValue::from_static("private, no-cache");
    headers.insert(CACHE_CONTROL, cache);
    set(headers, ETAG, &entry.etag().to_string());
    let mut modified = Vec::with_capacity(32);
    push_http_date(&mut modified, entry.mtime.secs());
    if let Ok(modified) = HeaderValue::from_bytes(&modified) {
        headers.insert(LAST_MODIFIED, modified);
    }
}

/// A boundary that nobody who wrote the content could have known.
fn boundary() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// RFC 9110 section 14.6.
fn multipart(boundary: &str, kind: &str, spans: &[ByteSpan], size: u64) -> VecDeque<Part> {
    let mut parts = VecDeque::with_capacity(2 * spans.len() + 1);
    for span in spans {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: bytes {}-{}/{size}\r\n\r\n",
            span.start,
            span.end - 1
        );
        parts.push_back(Part::Text(Bytes::from(head)));
        parts.push_back(Part::Span(*span));
    }
    let end = format!("\r\n--{boundary}--\r\n");
    parts.push_back(Part::Text(Bytes::from(end)));
    parts
}
