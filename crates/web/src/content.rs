//! A file's bytes on their way to a client: the one place that answers GET and HEAD with content,
//! for pages and WebDAV (RFC 9110 sections 9.3.1, 13 and 14).
//!
//! User content never becomes a page of ours: it has a sandbox policy and `nosniff`. A browser
//! is shown it inline only if its kind is in the short list of [`Media`]; all else is an attachment.
//! [`choice`] says which part is wanted, [`body`] brings the bytes.

use std::collections::VecDeque;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};

use axum::body::Body;
use bytes::Bytes;
use dav::{ByteSpan, push_http_date};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use protocol::Timestamp;

use crate::call::Answer;
use crate::headers::CONTENT_POLICY;
use crate::problem::Problem;

mod body;
mod choice;
mod media;

pub use body::FileRange;
pub(crate) use body::Watch;
use body::{Content, Part, SMALL_BYTES, read};
use choice::{Choice, Facts, choose};
pub(crate) use media::Media;

/// What is sent and how.
pub(crate) struct Delivery {
    /// `None` answers HEAD.
    pub(crate) file: Option<File>,
    pub(crate) size: u64,
    /// With quotes; `None` for content that has none (versions).
    pub(crate) etag: Option<String>,
    pub(crate) modified: Timestamp,
    pub(crate) offer: Offer,
    /// Answer `Range`; off for links that count downloads, where a part would be as good as all.
    pub(crate) ranges: bool,
    /// Told when the last byte was handed on, dropped without it if the client went away.
    pub(crate) watch: Option<Box<dyn Watch>>,
}

/// As what content is announced.
pub(crate) enum Offer {
    /// To a program, by its media type.
    Plain(&'static str),
    /// To a browser: under this name, shown if its kind allows, else to be kept.
    Shown(String),
    /// To a browser: to be kept under this name.
    Kept(String),
}

impl Offer {
    fn media_type(&self) -> &'static str {
        match self {
            Self::Plain(media_type) => media_type,
            Self::Shown(name) | Self::Kept(name) => Media::of(name).media_type(),
        }
    }

    fn disposition(&self) -> Option<String> {
        match self {
            Self::Plain(_) => None,
            Self::Shown(name) => Some(disposition(name, Media::of(name).is_shown())),
            Self::Kept(name) => Some(disposition(name, false)),
        }
    }
}

/// Answers a GET or HEAD with content. Reads small content at once: blocks.
pub(crate) fn deliver(request: &HeaderMap, delivery: Delivery, now: Timestamp) -> Answer {
    let size = delivery.size;
    let facts = Facts {
        etag: delivery.etag.as_deref(),
        modified_s: delivery.modified.secs(),
        size,
        ranges: delivery.ranges,
        now_s: now.secs(),
    };
    let mut response = Response::new(Body::empty());
    describe(response.headers_mut(), &delivery);
    let parts: VecDeque<Part> = match choose(request, facts)? {
        Choice::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(CONTENT_TYPE);
            return Ok(response);
        }
        Choice::Whole if size == 0 => VecDeque::new(),
        Choice::Whole => VecDeque::from([Part::Span(ByteSpan {
            start: 0,
            end: size,
        })]),
        Choice::One(span) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let value = format!("bytes {}-{}/{size}", span.start, span.end - 1);
            set(response.headers_mut(), CONTENT_RANGE, &value);
            VecDeque::from([Part::Span(span)])
        }
        Choice::Several(spans) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let boundary = boundary();
            let kind = format!("multipart/byteranges; boundary={boundary}");
            set(response.headers_mut(), CONTENT_TYPE, &kind);
            multipart(&boundary, delivery.offer.media_type(), &spans, size)
        }
    };
    let length: u64 = parts.iter().map(Part::length).sum();
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    if let Some(file) = delivery.file {
        fill(&mut response, file, parts, length, delivery.watch)?;
    }
    Ok(response)
}

/// Small content is read at once, on the thread that opened it.
fn fill(
    response: &mut Response<Body>,
    file: File,
    parts: VecDeque<Part>,
    length: u64,
    watch: Option<Box<dyn Watch>>,
) -> Result<(), Problem> {
    *response.body_mut() = match (parts.front(), watch) {
        (None, None) => Body::empty(),
        (Some(Part::Span(span)), None) if parts.len() == 1 && length <= SMALL_BYTES => {
            let bytes = read(&file, *span).map_err(|error| Problem::internal(&error))?;
            Body::from(bytes)
        }
        (_, watch) => {
            let content = Content::new(file, parts, watch);
            if let Some(range) = content.as_range() {
                response.extensions_mut().insert(range);
            }
            Body::new(content)
        }
    };
    Ok(())
}

fn describe(headers: &mut HeaderMap, delivery: &Delivery) {
    let kind = HeaderValue::from_static(delivery.offer.media_type());
    headers.insert(CONTENT_TYPE, kind);
    if let Some(disposition) = delivery.offer.disposition() {
        set(headers, CONTENT_DISPOSITION, &disposition);
    }
    let ranges = if delivery.ranges { "bytes" } else { "none" };
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static(ranges));
    let policy = HeaderValue::from_static(CONTENT_POLICY);
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    // For the asker's own cache, which asks again each time: rights may have changed.
    let cache = HeaderValue::from_static("private, no-cache");
    headers.insert(CACHE_CONTROL, cache);
    if let Some(etag) = &delivery.etag {
        set(headers, ETAG, etag);
    }
    let mut modified = Vec::with_capacity(32);
    push_http_date(&mut modified, delivery.modified.secs());
    if let Ok(modified) = HeaderValue::from_bytes(&modified) {
        headers.insert(LAST_MODIFIED, modified);
    }
}

/// Sets a header from text that we made; what cannot be one is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// RFC 6266 with both forms of the name: a plain one, and the exact one as RFC 8187 writes it.
pub(crate) fn disposition(name: &str, inline: bool) -> String {
    let kind = if inline { "inline" } else { "attachment" };
    let plain: String = name
        .chars()
        .map(|c| match c {
            ' ' | '!' | '#'..='[' | ']'..='~' => c,
            _ => '_',
        })
        .collect();
    let exact = crate::address::encode_name(name);
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{exact}")
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http_body_util::BodyExt;

    use http::header::RANGE;

    use super::*;
    use crate::problem::Fault;

    fn delivery(name: &str, bytes: &[u8]) -> Delivery {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Delivery {
            offer: Offer::Shown(name.into()),
            file: Some(file),
            size: bytes.len() as u64,
            etag: Some("\"7.9\"".into()),
            modified: Timestamp(0),
            ranges: true,
            watch: None,
        }
    }

    async fn get(pairs: &[(&'static str, &str)], delivery: Delivery) -> (u16, HeaderMap, Bytes) {
        let mut request = HeaderMap::new();
        for (name, value) in pairs {
            request.insert(*name, value.parse().unwrap());
        }
        let response = deliver(&request, delivery, Timestamp(0)).unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), head.headers, body)
    }

    #[tokio::test]
    async fn an_uploaded_page_is_never_shown() {
        for name in [
            "evil.html",
            "evil.svg",
            "evil.xhtml",
            "evil.pdf",
            "evil",
            "a.JS",
        ] {
            let (_, headers, _) = get(&[], delivery(name, b"<script>")).await;
            assert_eq!(headers[CONTENT_TYPE], "application/octet-stream", "{name}");
            let disposition = headers[CONTENT_DISPOSITION].to_str().unwrap();
            assert!(
                disposition.starts_with("attachment"),
                "{name}: {disposition}"
            );
            assert!(
                headers[CONTENT_SECURITY_POLICY]
                    .to_str()
                    .unwrap()
                    .starts_with("sandbox;")
            );
        }
        let (_, headers, _) = get(&[], delivery("a.JPG", b"x")).await;
        assert_eq!(headers[CONTENT_TYPE], "image/jpeg");
        assert!(
            headers[CONTENT_DISPOSITION]
                .to_str()
                .unwrap()
                .starts_with("inline")
        );
    }

    #[tokio::test]
    async fn a_part_is_sent_while_its_tag_holds() {
        let whole = b"0123456789";
        let (status, headers, body) = get(&[("range", "bytes=2-4")], delivery("a", whole)).await;
        assert_eq!((status, &body[..]), (206, &b"234"[..]));
        assert_eq!(headers[CONTENT_RANGE], "bytes 2-4/10");
        let old = [("range", "bytes=2-4"), ("if-range", "\"7.8\"")];
        let (status, _, body) = get(&old, delivery("a", whole)).await;
        assert_eq!((status, body.len()), (200, 10));
        let same = [("range", "bytes=2-4"), ("if-range", "\"7.9\"")];
        assert_eq!(get(&same, delivery("a", whole)).await.0, 206);
        assert_eq!(
            get(&[("if-none-match", "\"7.9\"")], delivery("a", whole))
                .await
                .0,
            304
        );
        let mut request = HeaderMap::new();
        request.insert(RANGE, "bytes=10-".parse().unwrap());
        let problem = deliver(&request, delivery("a", whole), Timestamp(0)).unwrap_err();
        assert_eq!(problem.fault, Fault::Range(10));
    }

    #[tokio::test]
    async fn several_parts_come_to_a_browser_too() {
        let (status, headers, body) = get(
            &[("range", "bytes=0-1,8-")],
            delivery("a.txt", b"0123456789"),
        )
        .await;
        assert_eq!(status, 206);
        let kind = headers[CONTENT_TYPE].to_str().unwrap();
        let boundary = kind
            .strip_prefix("multipart/byteranges; boundary=")
            .unwrap();
        let part = |range: &str, text: &str| {
            format!(
                "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Range: bytes {range}/10\r\n\r\n{text}"
            )
        };
        let expected = part("0-1", "01") + &part("8-9", "89") + &format!("\r\n--{boundary}--\r\n");
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn only_content_that_came_to_its_end_is_told() {
        use std::sync::atomic::{AtomicBool, Ordering};
        struct Told(std::sync::Arc<AtomicBool>);
        impl Watch for Told {
            fn finished(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let bytes = vec![7; 700_000];
        for (taken, by_range) in [(true, false), (false, false), (true, true)] {
            let told = std::sync::Arc::new(AtomicBool::new(false));
            let mut delivery = delivery("a", &bytes);
            delivery.watch = Some(Box::new(Told(std::sync::Arc::clone(&told))));
            let mut response = deliver(&HeaderMap::new(), delivery, Timestamp(0)).unwrap();
            let range = response.extensions_mut().remove::<FileRange>().unwrap();
            assert_eq!(range.span(), 0..700_000);
            if by_range {
                drop(response);
                assert!(!told.load(Ordering::SeqCst));
                range.finished();
            } else if taken {
                response.into_body().collect().await.unwrap();
            }
            assert_eq!(told.load(Ordering::SeqCst), taken);
        }
    }

    #[tokio::test]
    async fn large_content_arrives_whole() {
        let bytes: Vec<u8> = (0..700_000u32).map(|n| n as u8).collect();
        let (_, headers, body) = get(&[], delivery("a", &bytes)).await;
        assert_eq!(headers[CONTENT_LENGTH], "700000");
        assert!(body[..] == bytes[..]);
    }

    #[test]
    fn names_are_safe_in_the_header() {
        assert_eq!(
            disposition("a\"\r\n旅.txt", false),
            "attachment; filename=\"a____.txt\"; filename*=UTF-8''a%22%0D%0A%E6%97%85.txt"
        );
    }
}
