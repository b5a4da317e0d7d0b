//! One question and its answer on a link: two directions of bytes, cut into messages.
//!
//! A stream that is dropped unfinished is reset, so the other side never takes half of something
//! for the whole.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use iroh::endpoint::{ReadError, ReadExactError, RecvStream, SendStream, VarInt, WriteError};
use protocol::frame::{LENGTH_BYTES, Message};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use crate::LinkError;

/// From the first byte of a message to its last, on either side.
pub const FRAME_PATIENCE: Duration = Duration::from_secs(10);

/// A stream; messages and raw bytes may follow each other on it.
#[derive(Debug)]
pub struct Stream {
    writer: Writer,
    reader: Reader,
}

/// The direction away from this node.
#[derive(Debug)]
pub struct Writer {
    send: SendStream,
    finished: bool,
}

/// The direction to this node.
#[derive(Debug)]
pub struct Reader(RecvStream);

impl Stream {
    pub(crate) fn new((send, receive): (SendStream, RecvStream)) -> Self {
        Self {
            writer: Writer {
                send,
                finished: false,
            },
            reader: Reader(receive),
        }
    }

    /// The two directions, for two tasks.
    #[must_use]
    pub fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }

    /// As [`Writer::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send<M: Message>(&mut self, message: &M) -> Result<(), LinkError> {
        self.writer.send(message).await
    }

    /// As [`Reader::receive`].
    ///
    /// # Errors
    /// As there.
    pub async fn receive<M: Message>(&mut self) -> Result<Option<M>, LinkError> {
        self.reader.receive().await
    }

    /// As [`Writer::finish`].
    pub fn finish(&mut self) {
        self.writer.finish();
    }

    /// Waits until the other side has received everything, or wants no more of it.
    pub async fn taken(&mut self) {
        let _ = self.writer.send.stopped().await;
    }

    /// Breaks off in both directions.
    pub fn reset(&mut self) {
        self.writer.finished = true;
        let _ = self.writer.send.reset(VarInt::from_u32(1));
        let _ = self.reader.0.stop(VarInt::from_u32(1));
    }
}

impl Writer {
    /// Sends one message.
    ///
    /// # Errors
    /// [`LinkError::Frame`] for a message that others would refuse, [`LinkError::Late`] if the
    /// other side does not take it within [`FRAME_PATIENCE`], and the end of the link.
    pub async fn send<M: Message>(&mut self, message: &M) -> Result<(), LinkError> {
        let frame = message.to_frame()?;
        timeout(FRAME_PATIENCE, self.send.write_all(&frame))
            .await
            .map_err(|_| late(M::WHAT))?
            .map_err(|error| write_failed(&error))
    }

    /// Says that nothing more comes from this side. What was sent still arrives.
    pub fn finish(&mut self) {
        self.finished = true;
        // Fails only if the other side has stopped or closed, and then nobody waits for it.
        let _ = self.send.finish();
    }
}

impl Reader {
    /// The next message, or `None` when the other side has finished. Waits without limit for the
    /// first byte (a silent peer ends the link after 15 s), then at most [`FRAME_PATIENCE`]. Not
    /// to be dropped in between: part of a message may be read already.
    ///
    /// # Errors
    /// [`LinkError::Frame`] and [`LinkError::Truncated`] for what is no message,
    /// [`LinkError::Late`], and the end of the link.
    pub async fn receive<M: Message>(&mut self) -> Result<Option<M>, LinkError> {
        let mut head = [0; LENGTH_BYTES];
        match self.0.read(&mut head[..1]).await {
            Ok(None) => return Ok(None),
            Ok(Some(_)) => {}
            Err(error) => return Err(read_failed(&error)),
        }
        timeout(FRAME_PATIENCE, self.rest::<M>(head))
            .await
            .map_err(|_| late(M::WHAT))?
            .map(Some)
    }

    async fn rest<M: Message>(&mut self, mut head: [u8; LENGTH_BYTES]) -> Result<M, LinkError> {
        let broken = |error| match error {
            ReadExactError::FinishedEarly(_) => LinkError::Truncated { what: M::WHAT },
            ReadExactError::ReadError(error) => read_failed(&error),
        };
        self.0.read_exact(&mut head[1..]).await.map_err(broken)?;
        let mut bytes = vec![0; M::length(head)?];
        self.0.read_exact(&mut bytes).await.map_err(broken)?;
        Ok(M::decode(&bytes)?)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.send.reset(VarInt::from_u32(1));
        }
    }
}

fn late(what: &'static str) -> LinkError {
    LinkError::Late {
        what,
        limit: FRAME_PATIENCE,
    }
}

fn read_failed(error: &ReadError) -> LinkError {
    match error {
        ReadError::ConnectionLost(lost) => LinkError::ended(lost),
        ReadError::Reset(_) | ReadError::ClosedStream | ReadError::ZeroRttRejected => {
            LinkError::Ended(error.to_string())
        }
    }
}

fn write_failed(error: &WriteError) -> LinkError {
    match error {
        WriteError::ConnectionLost(lost) => LinkError::ended(lost),
        WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
            LinkError::Ended(error.to_string())
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(&mut self.reader.0), context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.writer.send), context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.writer.send), context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}
