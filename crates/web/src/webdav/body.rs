//! Bodies of requests: small XML ones whole, files in pieces to the volume.
//!
//! A piece is written while the next one arrives. No blocking thread waits for a slow client, and
//! memory stays the same for any size (R90).

use std::io::Write;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use files::{Refusal, Staging};
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::task::JoinHandle;

use crate::problem::{Fault, Problem};

use super::refused::{Refused, Step, broken, too_slow};

/// Bytes that are written at once.
const PIECE_BYTES: usize = 256 << 10;

/// A client that sends nothing for this long is given up.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// The next bytes; `None` at the end.
async fn next(body: &mut Body) -> Step<Option<Bytes>> {
    loop {
        let frame = tokio::time::timeout(IDLE_MAX, body.frame()).await;
        match frame.map_err(|_| too_slow())? {
            None => return Ok(None),
            // The connection broke, or HTTP/2 saw another length than announced.
            Some(Err(_)) => return Err(Problem::new(Fault::Incomplete).into()),
            Some(Ok(frame)) => {
                // Trailers say nothing to us.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// A whole body of at most `limit` bytes; else 413.
pub(super) async fn whole(mut body: Body, limit: usize) -> Step<Bytes> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(data) = next(&mut body).await? {
        let length = first.as_ref().map_or(0, Bytes::len) + rest.len() + data.len();
        if length > limit {
            let message = format!("the body is longer than {limit} bytes, the limit here");
            return Err(Refused::text(StatusCode::PAYLOAD_TOO_LARGE, &message));
        }
        if first.is_none() {
            first = Some(data);
        } else {
            rest.extend_from_slice(&data);
        }
    }
    Ok(match first {
        None => Bytes::new(),
        Some(first) if rest.is_empty() => first,
        Some(first) => Bytes::from([first.as_ref(), rest.as_ref()].concat()),
    })
}

/// How much a body may bring.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) bytes: u64,
    /// The quota is what bounds it, not the disk.
    pub(super) by_quota: bool,
}

/// Streams a body into `staging`, at most `room`.
pub(super) async fn stream(mut body: Body, staging: Staging, room: Room) -> Step<Staging> {
    let mut writing: Option<JoinHandle<Step<Staging>>> = None;
    let mut idle = Some(staging);
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut held = 0;
    let mut received: u64 = 0;
    loop {
        let data = next(&mut body).await?;
        let ended = data.is_none();
        if let Some(data) = data {
            held += data.len();
            received += data.len() as u64;
            pieces.push(data);
        }
        if received > room.bytes {
            return Err(no_room(if room.by_quota {
                Refusal::OverQuota {
                    need: received,
                    available: room.bytes,
                }
            } else {
                Refusal::DiskFull
            }));
        }
        if held >= PIECE_BYTES || (ended && held > 0) {
            let staging = match (writing.take(), idle.take()) {
                (Some(writing), _) => joined(writing).await?,
                (None, Some(staging)) => staging,
                (None, None) => return Err(Problem::new(Fault::Internal).into()),
            };
            let batch = std::mem::take(&mut pieces);
            held = 0;
            writing = Some(tokio::task::spawn_blocking(move || write(staging, &batch)));
        }
        if ended {
            return match (writing, idle) {
                (Some(writing), _) => joined(writing).await,
                (None, Some(staging)) => Ok(staging),
                (None, None) => Err(Problem::new(Fault::Internal).into()),
            };
        }
    }
}

async fn joined(writing: JoinHandle<Step<Staging>>) -> Step<Staging> {
    writing.await.map_err(|error| broken(&error))?
}

fn write(mut staging: Staging, pieces: &[Bytes]) -> Step<Staging> {
    for piece in pieces {
        write_all(&mut staging, piece)?;
    }
    Ok(staging)
}

/// Writes to the volume; its trouble as an answer.
pub(super) fn write_all(staging: &mut Staging, bytes: &[u8]) -> Step<()> {
    use std::io::ErrorKind;
    staging.write_all(bytes).map_err(|error| {
        let full = [
            ErrorKind::StorageFull,
            ErrorKind::QuotaExceeded,
            ErrorKind::FileTooLarge,
        ];
        if full.contains(&error.kind()) {
            no_room(Refusal::DiskFull)
        } else if error.kind() == ErrorKind::ReadOnlyFilesystem {
            Problem::new(Fault::ReadOnly).into()
        } else {
            Problem::internal(&error).into()
        }
    })
}

/// A refusal for want of room (RFC 4331 section 6).
fn no_room(refusal: Refusal) -> Refused {
    let condition = if let Refusal::OverQuota { .. } = refusal {
        "quota-not-exceeded"
    } else {
        "sufficient-disk-space"
    };
    Problem::from(refusal).with_precondition(condition).into()
}
