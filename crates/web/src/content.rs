//! A file's bytes on their way to a browser.
//!
//! User content never becomes a page of ours: it has a sandbox policy, `nosniff`, and is shown
//! inline only if its type is in the short list of [`Media`]; all else is an attachment.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use dav::{EtagList, IfRange, Ranges, ranges};
use futures_util::stream;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use protocol::Timestamp;

use crate::call::Answer;
use crate::headers::CONTENT_POLICY;
use crate::problem::{Fault, Problem};

/// Bytes read from the disk at once.
const PIECE_BYTES: u64 = 256 * 1024;

/// What kind of content a name promises, as far as we show it inline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Picture(&'static str),
    Film(&'static str),
    Sound(&'static str),
    Text,
    /// Downloaded, never shown.
    Other,
}

impl Media {
    /// By the ending of the name; the bytes are not looked at, and browsers must not either.
    pub(crate) fn of(name: &str) -> Self {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => Self::Picture("image/jpeg"),
            "png" => Self::Picture("image/png"),
            "gif" => Self::Picture("image/gif"),
            "webp" => Self::Picture("image/webp"),
            "avif" => Self::Picture("image/avif"),
            "mp4" | "m4v" => Self::Film("video/mp4"),
            "webm" => Self::Film("video/webm"),
            "mp3" => Self::Sound("audio/mpeg"),
            "ogg" | "oga" | "opus" => Self::Sound("audio/ogg"),
            "flac" => Self::Sound("audio/flac"),
            "txt" | "md" | "log" | "csv" | "tsv" | "ini" | "toml" | "yaml" | "yml" | "conf"
            | "json" | "rs" | "c" | "h" | "py" | "sh" | "ics" | "vcf" | "srt" | "journal" => {
                Self::Text
            }
            _ => Self::Other,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Picture(kind) | Self::Film(kind) | Self::Sound(kind) => kind,
            Self::Text => "text/plain; charset=utf-8",
            Self::Other => "application/octet-stream",
        }
    }

    /// True if a browser may show it.
    pub(crate) fn is_shown(self) -> bool {
        self != Self::Other
    }
}

/// What is sent and how.
pub(crate) struct Delivery {
    /// Offered as the name to save under.
    pub(crate) name: String,
    pub(crate) file: File,
    pub(crate) size: u64,
    /// With quotes; `None` for content that has none (versions).
    pub(crate) etag: Option<String>,
    pub(crate) modified: Timestamp,
    /// Show it if its type allows.
    pub(crate) inline: bool,
    /// Answer `Range`; off for links that count downloads, where a part would be as good as all.
    pub(crate) ranges: bool,
    /// Told when the last byte was handed on, dropped without it if the client went away.
    pub(crate) watch: Option<Box<dyn Watch>>,
}

/// Somebody who wants to know whether a delivery came to its end.
pub(crate) trait Watch: Send {
    /// All bytes were handed to the connection.
    fn finished(&mut self);
}

/// Answers a GET or HEAD with content.
pub(crate) fn deliver(request: &HeaderMap, delivery: Delivery) -> Answer {
    let size = delivery.size;
    let text = |name| {
        request
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if let (Some(etag), Some(value)) = (&delivery.etag, text(IF_NONE_MATCH)) {
        let list =
            EtagList::parse("If-None-Match", value).map_err(|_| Problem::bad("If-None-Match"))?;
        let same = match list {
            EtagList::Any => true,
            EtagList::Of(tags) => tags.iter().any(|tag| tag.is_weakly(etag)),
        };
        if same {
            return Ok(head(&delivery, StatusCode::NOT_MODIFIED));
        }
    }
    let wanted = text(RANGE)
        .filter(|_| delivery.ranges && range_still_holds(text(IF_RANGE), &delivery))
        .map_or(Ranges::Whole, |value| ranges(value, size));
    let (status, span) = match wanted {
        Ranges::Unsatisfiable => return Err(Problem::new(Fault::Range(size))),
        // Several parts at once are only worth it over WebDAV; the standard lets us send all.
        Ranges::Parts(parts) if parts.len() == 1 => {
            (StatusCode::PARTIAL_CONTENT, parts[0].start..parts[0].end)
        }
        Ranges::Whole | Ranges::Parts(_) => (StatusCode::OK, 0..size),
    };
    let mut response = head(&delivery, status);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, (span.end - span.start).into());
    if status == StatusCode::PARTIAL_CONTENT {
        let value = format!("bytes {}-{}/{size}", span.start, span.end - 1);
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(CONTENT_RANGE, value);
        }
    }
    *response.body_mut() = Body::from_stream(pieces(Arc::new(delivery.file), span, delivery.watch));
    Ok(response)
}

fn range_still_holds(if_range: Option<&str>, delivery: &Delivery) -> bool {
    let Some(value) = if_range else {
        return true;
    };
    match (IfRange::parse(value), &delivery.etag) {
        (Some(IfRange::Etag(tag)), Some(etag)) => tag.is_strongly(etag),
        _ => false,
    }
}

fn head(delivery: &Delivery, status: StatusCode) -> Response<Body> {
    let media = Media::of(&delivery.name);
    let inline = delivery.inline && media.is_shown();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_POLICY),
    );
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media.media_type()));
    let mut put = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(CONTENT_DISPOSITION, &disposition(&delivery.name, inline));
    put(
        ACCEPT_RANGES,
        if delivery.ranges { "bytes" } else { "none" },
    );
    if let Some(etag) = &delivery.etag {
        put(ETAG, etag);
    }
    let seconds = u64::try_from(delivery.modified.secs()).unwrap_or(0);
    let modified = UNIX_EPOCH + Duration::from_secs(seconds);
    put(LAST_MODIFIED, &httpdate::fmt_http_date(modified));
    // Own cache only, and asked again each time: rights may have changed.
    put(http::header::CACHE_CONTROL, "private, no-cache");
    response
}

/// RFC 6266 with both forms of the name: a plain one, and the exact one as RFC 8187 writes it.
fn disposition(name: &str, inline: bool) -> String {
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

/// The bytes of `span`, one read of the disk at a time and only when the client takes them.
fn pieces(
    file: Arc<File>,
    span: std::ops::Range<u64>,
    watch: Option<Box<dyn Watch>>,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send {
    stream::unfold((file, span, watch), |(file, span, mut watch)| async move {
        if span.is_empty() {
            if let Some(watch) = &mut watch {
                watch.finished();
            }
            return None;
        }
        let end = span.end.min(span.start + PIECE_BYTES);
        let (start, reader) = (span.start, Arc::clone(&file));
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; usize::try_from(end - start).unwrap_or(0)];
            reader.read_exact_at(&mut piece, start)?;
            Ok(Bytes::from(piece))
        })
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let rest = if read.is_ok() { end..span.end } else { 0..0 };
        if read.is_err() {
            // Without the watch: this delivery did not come to its end.
            watch = None;
        }
        if rest.is_empty()
            && let Some(watch) = &mut watch
        {
            watch.finished();
        }
        Some((read, (file, rest, watch)))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http_body_util::BodyExt;

    use super::*;

    fn delivery(name: &str, bytes: &[u8]) -> Delivery {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Delivery {
            name: name.into(),
            file,
            size: bytes.len() as u64,
            etag: Some("\"7.9\"".into()),
            modified: Timestamp(0),
            inline: true,
            ranges: true,
            watch: None,
        }
    }

    async fn get(pairs: &[(&'static str, &str)], delivery: Delivery) -> (u16, HeaderMap, Bytes) {
        let mut request = HeaderMap::new();
        for (name, value) in pairs {
            request.insert(*name, value.parse().unwrap());
        }
        let response = deliver(&request, delivery).unwrap();
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
        let problem = deliver(&request, delivery("a", whole)).unwrap_err();
        assert_eq!(problem.fault, Fault::Range(10));
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
