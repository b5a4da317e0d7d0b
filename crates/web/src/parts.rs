//! Forms in parts (`multipart/form-data`, RFC 7578) from anybody: memory stays the same whatever
//! is sent.
//!
//! The parser keeps what it has read until it has seen the end of a part's head, and it reads on
//! as long as there is something to read. [`Metered`] stands before it: it hands on a piece only
//! when what was read before did not suffice, and between two parts no more than
//! [`HEAD_BYTES_MAX`]. Parts of any kind are counted, and fields that are no files are short.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::body;
use crate::problem::{Fault, Problem};

/// Longest head of a part, with the boundary before it; a name of 255 bytes needs a twentieth.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Longest field that is no file.
const FIELD_BYTES_MAX: usize = 4_096;
/// Most parts of one form, of any kind.
const PARTS_MAX: usize = 10_100;

/// The parts of one form in their order.
pub(crate) struct Parts {
    parser: multer::Multipart<'static>,
    meter: Arc<Meter>,
    seen: usize,
}

/// One part; its content comes as a stream.
pub(crate) struct Part {
    field: multer::Field<'static>,
    meter: Arc<Meter>,
    /// Whether the last piece was handed on, so that the next poll asks for a new one.
    is_answered: bool,
}

/// How much the parser has read since the last part.
#[derive(Default)]
struct Meter {
    /// The parser looks at what it has before it gets more.
    rests: AtomicBool,
    between_parts: AtomicBool,
    read: AtomicUsize,
}

impl Meter {
    fn is_over(&self) -> bool {
        self.between_parts.load(Ordering::Relaxed)
            && self.read.load(Ordering::Relaxed) > HEAD_BYTES_MAX
    }
}

impl Parts {
    /// The form that `headers` announce in `body`.
    pub(crate) fn read(headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let boundary = multer::parse_boundary(kind).map_err(|_| Problem::bad("Content-Type"))?;
        let meter = Arc::new(Meter::default());
        let stream = Metered {
            pieces: body.into_data_stream(),
            meter: Arc::clone(&meter),
        };
        Ok(Self {
            parser: multer::Multipart::new(stream, boundary),
            meter,
            seen: 0,
        })
    }

    /// The next part; `None` after the last one. What is left of the one before counts as part of
    /// this one's head.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, Problem> {
        self.meter.rests.store(true, Ordering::Relaxed);
        self.meter.read.store(0, Ordering::Relaxed);
        self.meter.between_parts.store(true, Ordering::Relaxed);
        let next = tokio::time::timeout(body::IDLE_MAX, self.parser.next_field()).await;
        let is_over = self.meter.is_over();
        self.meter.between_parts.store(false, Ordering::Relaxed);
        let field = match next {
            Err(_) => return Err(Problem::new(Fault::Timeout)),
            Ok(Err(_)) if is_over => {
                return Err(Problem::new(Fault::TooLarge {
                    limit: HEAD_BYTES_MAX as u64,
                }));
            }
            Ok(Err(error)) => return Err(trouble(&error)),
            Ok(Ok(None)) => return Ok(None),
            Ok(Ok(Some(field))) => field,
        };
        self.seen += 1;
        if self.seen > PARTS_MAX {
            return Err(Problem::bad(format!("form: over {PARTS_MAX} parts")));
        }
        Ok(Some(Part {
            field,
            meter: Arc::clone(&self.meter),
            is_answered: true,
        }))
    }
}

impl Part {
    /// The name of the form's field.
    pub(crate) fn name(&self) -> Option<&str> {
        self.field.name()
    }

    /// The name of the file, if it is one.
    pub(crate) fn file_name(&self) -> Option<&str> {
        self.field.file_name()
    }
}

impl Stream for Part {
    type Item = Result<Bytes, multer::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.is_answered) {
            this.meter.rests.store(true, Ordering::Relaxed);
        }
        let next = ready!(this.field.poll_next_unpin(context));
        this.is_answered = true;
        Poll::Ready(next)
    }
}

/// The whole of a field that is no file.
pub(crate) async fn text(mut part: Part) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    loop {
        let chunk = match tokio::time::timeout(body::IDLE_MAX, part.next()).await {
            Err(_) => return Err(Problem::new(Fault::Timeout)),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(trouble(&error)),
            Ok(Some(Ok(chunk))) => chunk,
        };
        if bytes.len() + chunk.len() > FIELD_BYTES_MAX {
            return Err(Problem::new(Fault::TooLarge {
                limit: FIELD_BYTES_MAX as u64,
            }));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| Problem::bad("form"))
}

fn trouble(error: &multer::Error) -> Problem {
    use multer::Error::{DecodeHeaderName, DecodeHeaderValue, ReadHeaderFailed};
    if let ReadHeaderFailed(_) | DecodeHeaderName { .. } | DecodeHeaderValue { .. } = error {
        Problem::bad("form")
    } else {
        // The rest are ways to end early.
        Problem::new(Fault::Incomplete)
    }
}

/// A body piece by piece. Before and after each piece it says once that there is none yet, or the
/// parser would gather all that has arrived before it looks at any.
struct Metered {
    pieces: BodyDataStream,
    meter: Arc<Meter>,
}

/// A part's head does not end.
#[derive(Debug, thiserror::Error)]
#[error("the head of a part is longer than {HEAD_BYTES_MAX} bytes")]
struct HeadTooLong;

impl Stream for Metered {
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.meter.rests.swap(false, Ordering::Relaxed) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if this.meter.is_over() {
            return Poll::Ready(Some(Err(Box::new(HeadTooLong))));
        }
        let next = ready!(this.pieces.poll_next_unpin(context));
        if let Some(Ok(piece)) = &next {
            this.meter.rests.store(true, Ordering::Relaxed);
            this.meter.read.fetch_add(piece.len(), Ordering::Relaxed);
        }
        Poll::Ready(next.map(|piece| piece.map_err(Into::into)))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn headers() -> HeaderMap {
        let kind = "multipart/form-data; boundary=XX".parse().unwrap();
        HeaderMap::from_iter([(CONTENT_TYPE, kind)])
    }

    /// A form that begins with `start` and goes on with `more` without end, and how often it was
    /// asked for a piece.
    fn endless(start: &'static str, more: &'static str) -> (Parts, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let pieces = futures_util::stream::iter(
            std::iter::once(start).chain(std::iter::repeat(more)),
        )
        .map(move |piece| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes()))
        });
        let parts = Parts::read(&headers(), Body::from_stream(pieces)).unwrap();
        (parts, asked)
    }

    async fn first_problem(parts: &mut Parts) -> Problem {
        loop {
            match parts.next().await {
                Err(problem) => return problem,
                Ok(None) => panic!("the form ended"),
                Ok(Some(field)) if field.file_name() == Some("") => {}
                Ok(Some(field)) => {
                    if let Err(problem) = text(field).await {
                        return problem;
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn what_has_no_end_is_refused_after_a_few_kilobytes() {
        let kilobyte: &'static str = "a".repeat(1024).leak();
        let head = "--XX\r\nContent-Disposition: form-data; name=\"";
        let field = "--XX\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n";
        let empty = "--XX\r\nContent-Disposition: form-data; name=\"x\"; filename=\"\"\r\n\r\n";
        for (start, limit) in [
            (head, HEAD_BYTES_MAX),
            ("no boundary", HEAD_BYTES_MAX),
            (empty, HEAD_BYTES_MAX),
            (field, FIELD_BYTES_MAX),
        ] {
            let (mut parts, asked) = endless(start, kilobyte);
            let fault = first_problem(&mut parts).await.fault;
            let limit = limit as u64;
            assert_eq!(fault, Fault::TooLarge { limit }, "{start}");
            let asked = asked.load(Ordering::Relaxed);
            assert!(asked < 24, "{start}: read {asked} KiB");
        }
    }

    #[tokio::test]
    async fn a_form_has_so_many_parts_and_no_more() {
        let part = "--XX\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n\r\n";
        let (mut parts, asked) = endless("", part);
        let fault = first_problem(&mut parts).await.fault;
        assert!(matches!(fault, Fault::BadRequest { .. }), "{fault:?}");
        assert!(asked.load(Ordering::Relaxed) < PARTS_MAX + 10);
    }

    #[tokio::test]
    async fn many_small_parts_that_came_at_once_are_read_before_more_is() {
        let part = "--XX\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\ny\r\n";
        let piece: &'static str = part.repeat(1000).leak();
        let (mut parts, asked) = endless("", piece);
        for _ in 0..900 {
            let part = parts.next().await.unwrap().unwrap();
            assert_eq!(text(part).await.unwrap(), "y");
        }
        let asked = asked.load(Ordering::Relaxed);
        assert!(asked <= 3, "{asked} pieces are held at once");
    }

    #[tokio::test]
    async fn a_large_file_is_handed_on_as_it_comes() {
        let piece: &'static str = "a".repeat(1 << 20).leak();
        let start = "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\n";
        let (mut parts, asked) = endless(start, piece);
        let mut field = parts.next().await.unwrap().unwrap();
        let mut seen = 0;
        while seen < 64 << 20 {
            seen += field.next().await.unwrap().unwrap().len();
            let asked = asked.load(Ordering::Relaxed);
            assert!((asked - 1) << 20 <= seen + (2 << 20), "{asked} MiB, {seen}");
        }
    }
}
