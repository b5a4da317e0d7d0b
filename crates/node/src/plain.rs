//! A connection of plain HTTP: requests through the HTTP library, big files without it (`handover`).
//!
//! Each turn runs the library on the connection until it ends or an answer is handed over; then
//! that answer is sent, and the next turn begins with what was read too early. The pulse is that of the
//! connection and lasts over all turns.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::connection::{self, End, Entrance};
use crate::early::Early;
use crate::handover::{Eligible, HandedOver, Slot, take_over};
use crate::lan::Door;
use crate::pulse::{AnswerBody, Pulse, Watched};
use crate::withheld::Withheld;

/// Requests and answers until the end.
pub(crate) async fn talk(
    entrance: &Arc<Entrance>,
    mut stream: TcpStream,
    peer: SocketAddr,
    stop: CancellationToken,
) -> End {
    let pulse = Pulse::new(false);
    let mut early = Bytes::new();
    loop {
        let slot = Slot::default();
        let (guarded, request_line) = web::FragmentGuard::new(Early::new(early, stream));
        let guarded = Withheld::new(guarded, Arc::clone(&pulse));
        let io = TokioIo::new(Watched::new(guarded, Arc::clone(&pulse)));
        let service = {
            let (entrance, pulse, slot) = (Arc::clone(entrance), Arc::clone(&pulse), slot.clone());
            service_fn(move |request| {
                answer(
                    Arc::clone(&entrance),
                    Arc::clone(&pulse),
                    slot.clone(),
                    request_line.watch(request),
                    peer,
                )
            })
        };
        let mut library = connection::http1().serve_connection(io, service);
        let end = connection::watch(
            &mut library,
            |library| Pin::new(&mut **library.get_mut()).graceful_shutdown(),
            &pulse,
            entrance.patience,
            stop.clone(),
        )
        .await;
        let parts = library.into_parts();
        let (guarded, withheld) = parts.io.into_inner().into_inner().into_parts();
        let (Some(download), Err(_)) = (slot.take(), &end) else {
            let patience = entrance.patience;
            return connection::say_why(guarded, withheld, end, &pulse, patience, &stop).await;
        };
        let (unread, connection) = guarded.into_inner().into_parts();
        early = join(parts.read_buf, unread);
        let (connection, close) = (Arc::new(connection), download.close);
        download
            .send(&connection, &pulse, entrance.patience.stall)
            .await?;
        let Some(mut connection) = Arc::into_inner(connection) else {
            return Ok(());
        };
        if close || stop.is_cancelled() {
            connection.shutdown().await?;
            return Ok(());
        }
        stream = connection;
    }
}

/// What the library has read, then what it has not.
fn join(read: Bytes, unread: Bytes) -> Bytes {
    if unread.is_empty() {
        return read;
    }
    [read, unread].concat().into()
}

async fn answer(
    entrance: Arc<Entrance>,
    pulse: Arc<Pulse>,
    slot: Slot,
    request: Request<web::Watched<Incoming>>,
    peer: SocketAddr,
) -> Result<Response<AnswerBody<Body>>, HandedOver> {
    let eligible = Eligible::of(&request);
    let answered = connection::answer(entrance, Arc::clone(&pulse), request, peer, Door::Http);
    let response = answered
        .await
        .unwrap_or_else(|never: Infallible| match never {});
    let Some(eligible) = eligible else {
        return Ok(response);
    };
    match take_over(eligible, response) {
        Err(response) => Ok(*response),
        Ok(download) => {
            pulse.all_flushed().await;
            slot.put(download);
            Err(HandedOver)
        }
    }
}
