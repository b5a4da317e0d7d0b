//! A file's bytes as the body of a response: read ahead by one piece on the blocking pool, handed to
//! the connection without a copy, buffers used again.
//!
//! No thread waits for a slow client: a piece is read when the one before it was taken. If the file
//! turns out shorter than announced (another program cut it), the body breaks off with an error, so
//! that no client takes the part for the whole.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dav::ByteSpan;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Files up to this size are read whole while they are opened.
pub(super) const SMALL_BYTES: u64 = PIECE_BYTES as u64;

/// Buffers that wait for their next use, of all downloads together.
const SPARE_MAX: usize = 16;

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer that goes back to [`SPARE`] when the connection is done with it.
struct Piece(Vec<u8>);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX {
            let mut buffer = std::mem::take(&mut self.0);
            buffer.clear();
            spare.push(buffer);
        }
    }
}

/// A buffer of [`PIECE_BYTES`].
fn buffer() -> Vec<u8> {
    let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    spare.unwrap_or_else(|| Vec::with_capacity(PIECE_BYTES))
}

/// Reads a span of at most [`PIECE_BYTES`]. Blocks.
pub(super) fn read(file: &File, span: ByteSpan) -> io::Result<Bytes> {
    let length = usize::try_from(span.length()).unwrap_or(usize::MAX);
    let mut piece = Piece(buffer());
    piece.0.reserve_exact(length);
    while piece.0.len() < length {
        let at = span.start + piece.0.len() as u64;
        let before = piece.0.len();
        let target = rustix::buffer::spare_capacity(&mut piece.0);
        rustix::io::pread(file, target, at)?;
        if piece.0.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    // The buffer may be longer than the span.
    piece.0.truncate(length);
    Ok(Bytes::from_owner(piece))
}

/// What a body consists of, in order.
pub(super) enum Part {
    /// Bytes at hand: the heads between ranges.
    Text(Bytes),
    /// From the file.
    Span(ByteSpan),
}

/// The body.
pub(super) struct Content {
    file: Arc<File>,
    parts: VecDeque<Part>,
    /// Bytes that are still to be handed out.
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Content {
    pub(super) fn new(file: File, parts: impl Into<VecDeque<Part>>) -> Self {
        let parts = parts.into();
        let left = parts.iter().map(|part| match part {
            Part::Text(text) => text.len() as u64,
            Part::Span(span) => span.length(),
        });
        Self {
            file: Arc::new(file),
            left: left.sum(),
            parts,
            reading: None,
        }
    }

    /// Bytes in all.
    pub(super) fn length(&self) -> u64 {
        self.left
    }

    /// Begins to read if the next part is one of the file.
    fn read_ahead(&mut self) {
        let Some(Part::Span(span)) = self.parts.front_mut() else {
            return;
        };
        let piece = ByteSpan {
            start: span.start,
            end: span.end.min(span.start + PIECE_BYTES as u64),
        };
        span.start = piece.end;
        if span.start == span.end {
            self.parts.pop_front();
        }
        let file = Arc::clone(&self.file);
        self.reading = Some(tokio::task::spawn_blocking(move || read(&file, piece)));
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.reading.is_none() {
            if let Some(Part::Text(_)) = this.parts.front() {
                let Some(Part::Text(text)) = this.parts.pop_front() else {
                    return Poll::Ready(None);
                };
                this.left -= text.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(text))));
            }
            this.read_ahead();
        }
        let Some(reading) = &mut this.reading else {
            return Poll::Ready(None);
        };
        let read = ready!(Pin::new(reading).poll(context));
        this.reading = None;
        let read = read.map_err(io::Error::other).and_then(|read| read);
        match &read {
            Ok(bytes) => {
                this.left = this.left.saturating_sub(bytes.len() as u64);
                this.read_ahead();
            }
            Err(_) => {
                this.parts.clear();
                this.left = 0;
            }
        }
        Poll::Ready(Some(read.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty() && self.reading.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http_body_util::BodyExt;

    use super::*;

    fn file(length: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[tokio::test]
    async fn spans_and_texts_come_out_in_order() {
        let (file, bytes) = file(3 * PIECE_BYTES + 7);
        let span = |start, end| Part::Span(ByteSpan { start, end });
        let whole = bytes.len() as u64;
        let parts = [
            Part::Text(Bytes::from_static(b"a")),
            span(0, whole),
            Part::Text(Bytes::from_static(b"b")),
            span(5, 6),
        ];
        let content = Content::new(file, VecDeque::from(parts));
        assert_eq!(content.length(), whole + 3);
        let out = content.collect().await.unwrap().to_bytes();
        let expected = [b"a", &bytes[..], b"b", &bytes[5..6]].concat();
        assert!(out == expected);
    }

    #[tokio::test]
    async fn a_file_cut_meanwhile_breaks_the_body_off() {
        let (file, bytes) = file(PIECE_BYTES + 10);
        let end = bytes.len() as u64;
        file.set_len(end - 5).unwrap();
        let parts = [Part::Span(ByteSpan { start: 0, end })];
        let content = Content::new(file, VecDeque::from(parts));
        assert!(content.collect().await.is_err());
    }
}
