//! A file's bytes as the body of a response, handed to the connection without a copy of ours, buffers
//! used again.
//!
//! What the kernel has in memory is read at once, on the connection's own task; what it must fetch
//! from the disk is read on the blocking pool, ahead by one piece (docs/decisions/0011). No thread
//! waits for a slow client: a piece is read when the one before it was taken. If the file turns out
//! shorter than announced (another program cut it), the body breaks off with an error, so that no
//! client takes the part for the whole.
//!
//! A [`Watch`] hears of the last byte. What is one span of the file may also leave as a
//! [`FileRange`], for a connection that can send files by itself.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dav::ByteSpan;
use http_body::{Body, Frame, SizeHint};
use rustix::io::ReadWriteFlags;
use tokio::task::JoinHandle;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Files up to this size are read whole while they are opened.
pub(super) const SMALL_BYTES: u64 = PIECE_BYTES as u64;

/// Buffers that wait for their next use, of all downloads together.
const SPARE_MAX: usize = 16;

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer of [`PIECE_BYTES`] that goes back to [`SPARE`] when the connection is done with it.
struct Piece {
    buffer: Vec<u8>,
    length: usize,
}

impl Piece {
    /// Room for a span of at most [`PIECE_BYTES`].
    fn of(span: ByteSpan) -> Self {
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let length = usize::try_from(span.length()).unwrap_or(PIECE_BYTES);
        Self {
            buffer: spare.unwrap_or_else(|| vec![0; PIECE_BYTES]),
            length: length.min(PIECE_BYTES),
        }
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.length]
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX {
            spare.push(std::mem::take(&mut self.buffer));
        }
    }
}

/// Reads a span of at most [`PIECE_BYTES`]. Blocks.
pub(super) fn read(file: &File, span: ByteSpan) -> io::Result<Bytes> {
    let mut piece = Piece::of(span);
    file.read_exact_at(piece.room(), span.start)?;
    Ok(Bytes::from_owner(piece))
}

/// The same if all of it is in the kernel's memory, else nothing. Never waits for the disk.
fn read_cached(file: &File, span: ByteSpan) -> Option<Bytes> {
    let mut piece = Piece::of(span);
    let mut room = [io::IoSliceMut::new(piece.room())];
    let taken = rustix::io::preadv2(file, &mut room, span.start, ReadWriteFlags::NOWAIT);
    // A part, or a file system that cannot tell: the blocking pool reads the whole piece.
    (taken == Ok(piece.length)).then(|| Bytes::from_owner(piece))
}

/// Somebody who wants to know whether content came to its end; dropped without a word if it did not.
pub(crate) trait Watch: Send {
    /// All bytes were handed to the connection.
    fn finished(&mut self);
}

/// A watch that a body and its [`FileRange`] share: whichever sends the content tells.
type Watched = Arc<Mutex<Box<dyn Watch>>>;

fn tell(watch: &mut Option<Watched>) {
    if let Some(watch) = watch.take() {
        watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .finished();
    }
}

/// Says in the extensions of a response: its body is exactly these bytes of this file. A
/// connection may drop the body and send them by other means. Nothing else about the response
/// differs.
#[derive(Clone)]
pub struct FileRange {
    file: Arc<File>,
    span: ByteSpan,
    watch: Option<Watched>,
}

impl FileRange {
    /// The file; it is not the caller's to write.
    #[must_use]
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// First byte, and the one behind the last.
    #[must_use]
    pub fn span(&self) -> std::ops::Range<u64> {
        self.span.start..self.span.end
    }

    /// Tells that all of it was sent.
    pub fn finished(mut self) {
        tell(&mut self.watch);
    }
}

/// What a body consists of, in order.
pub(super) enum Part {
    /// Bytes at hand: the heads between ranges.
    Text(Bytes),
    /// From the file.
    Span(ByteSpan),
}

impl Part {
    /// In bytes.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Span(span) => span.length(),
        }
    }
}

/// The body.
pub(super) struct Content {
    file: Arc<File>,
    parts: VecDeque<Part>,
    /// Bytes that are still to be handed out.
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    watch: Option<Watched>,
}

impl Content {
    pub(super) fn new(
        file: File,
        parts: impl Into<VecDeque<Part>>,
        watch: Option<Box<dyn Watch>>,
    ) -> Self {
        let parts = parts.into();
        Self {
            file: Arc::new(file),
            left: parts.iter().map(Part::length).sum(),
            parts,
            reading: None,
            watch: watch.map(|watch| Arc::new(Mutex::new(watch))),
        }
    }

    /// The same content as a range of the file, if it is one.
    pub(super) fn as_range(&self) -> Option<FileRange> {
        let [Part::Span(span)] = *self.parts.as_slices().0 else {
            return None;
        };
        Some(FileRange {
            file: Arc::clone(&self.file),
            span,
            watch: self.watch.clone(),
        })
    }

    /// Counts what is handed out; the watch hears of the last byte.
    fn hand_out(&mut self, bytes: Bytes) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.left = self.left.saturating_sub(bytes.len() as u64);
        if self.left == 0 {
            tell(&mut self.watch);
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    /// Takes the next piece off the front part, if that is one of the file.
    fn next_piece(&mut self) -> Option<ByteSpan> {
        let Some(Part::Span(span)) = self.parts.front_mut() else {
            return None;
        };
        let piece = ByteSpan {
            start: span.start,
            end: span.end.min(span.start + PIECE_BYTES as u64),
        };
        span.start = piece.end;
        if span.start == span.end {
            self.parts.pop_front();
        }
        Some(piece)
    }

    /// Begins to read on the blocking pool.
    fn begin(&mut self, piece: ByteSpan) {
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
                return this.hand_out(text);
            }
            if let Some(piece) = this.next_piece() {
                if let Some(bytes) = read_cached(&this.file, piece) {
                    return this.hand_out(bytes);
                }
                this.begin(piece);
            }
        }
        let Some(reading) = &mut this.reading else {
            return Poll::Ready(None);
        };
        let read = ready!(Pin::new(reading).poll(context));
        this.reading = None;
        let read = read.map_err(io::Error::other).and_then(|read| read);
        match read {
            Ok(bytes) => {
                if let Some(piece) = this.next_piece() {
                    this.begin(piece);
                }
                this.hand_out(bytes)
            }
            Err(error) => {
                // Without the watch: this content did not come to its end.
                this.parts.clear();
                this.left = 0;
                Poll::Ready(Some(Err(error)))
            }
        }
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
        let content = Content::new(file, VecDeque::from(parts), None);
        assert_eq!(content.left, whole + 3);
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
        let content = Content::new(file, VecDeque::from(parts), None);
        assert!(content.collect().await.is_err());
    }
}
