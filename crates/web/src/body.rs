//! From a request's body to the volume: bytes flow through a short queue into one blocking writer,
//! so memory stays the same for any size and a slow disk slows the client down (R90).

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use files::{At, Expect, Staged};
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use crate::App;
use crate::call::blocking;
use crate::problem::{Fault, Problem};

/// Pieces that wait for the disk.
const QUEUE_PIECES: usize = 8;
/// A client that sends nothing for this long is given up.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(60);

enum Piece {
    Data(Bytes),
    /// The end was seen; without it the upload broke off.
    End,
}

/// Receives `stream` into a temporary file beside `at` and checks it against `expect`.
///
/// # Errors
/// [`Fault::Incomplete`] if the stream breaks off, [`Fault::Timeout`] if it stands still, or what
/// the volume says. Nothing is left behind.
pub(crate) async fn stage<S, E>(
    app: &Arc<App>,
    at: At,
    stream: S,
    expect: Expect,
) -> Result<Staged, Problem>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
{
    let (sender, mut receiver) = mpsc::channel(QUEUE_PIECES);
    let writer = blocking(app, move |app| {
        let mut staging = app.files.stage(&at)?;
        loop {
            match receiver.blocking_recv() {
                Some(Piece::Data(bytes)) => staging.write_all(&bytes).map_err(write_failed)?,
                Some(Piece::End) => return Ok(staging.finish(expect)?),
                None => return Err(Problem::new(Fault::Incomplete)),
            }
        }
    });
    let trouble = feed(stream, sender).await;
    // The writer's own trouble is the cause when both have some: it stopped listening.
    match (writer.await, trouble) {
        (Ok(staged), None) => Ok(staged),
        (Err(problem), None) => Err(problem),
        (Err(problem), Some(_)) if problem.fault != Fault::Incomplete => Err(problem),
        (_, Some(trouble)) => Err(trouble),
    }
}

/// Sends the stream to the writer; tells what is wrong with the stream. Dropping `sender` without
/// an end makes the writer give up.
async fn feed<S, E>(stream: S, sender: mpsc::Sender<Piece>) -> Option<Problem>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
{
    let mut stream = std::pin::pin!(stream);
    loop {
        let piece = match tokio::time::timeout(IDLE_MAX, stream.next()).await {
            Err(_) => return Some(Problem::new(Fault::Timeout)),
            Ok(Some(Ok(bytes))) => Piece::Data(bytes),
            Ok(Some(Err(_))) => return Some(Problem::new(Fault::Incomplete)),
            Ok(None) => Piece::End,
        };
        let ends = matches!(piece, Piece::End);
        if sender.send(piece).await.is_err() || ends {
            return None;
        }
    }
}

fn write_failed(error: std::io::Error) -> Problem {
    use std::io::ErrorKind;
    let kind = error.kind();
    if matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        Problem::new(Fault::DiskFull)
    } else if kind == ErrorKind::ReadOnlyFilesystem {
        Problem::new(Fault::ReadOnly)
    } else {
        Problem::internal(&error)
    }
}
