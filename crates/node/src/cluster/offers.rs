//! `ping/1` and `services/1`: that this node is there, and what it offers to whoever asks (R34).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use links::neighborhood::Own;
use links::{CloseCode, Handler, Link, Standing, Stream};
use protocol::message::presence::{Ping, Pong, Visible};
use protocol::message::services::{Service, Services, ServicesQuery};
use tokio::sync::watch;
use tokio::time::timeout;

/// A link on which nothing is asked is closed after this.
const IDLE: Duration = Duration::from_secs(10);

/// What this node offers to a peer of this standing, at the HTTPS port `port`.
pub(super) fn offers(port: u16, standing: Standing) -> Services {
    let at = |name: &str, path: &str| Service {
        name: name.into(),
        port,
        path: path.into(),
    };
    let mut offers = vec![at("pages", "/"), at("webdav", "/dav/")];
    match standing {
        Standing::Friend | Standing::Device => offers.push(Service {
            name: "files".into(),
            port: 0,
            path: String::new(),
        }),
        Standing::Unknown | Standing::Blocked => {}
    }
    Services { offers }
}

/// Answers pings.
pub(super) struct Presence {
    pub(super) own: watch::Receiver<Own>,
}

/// Answers questions for services.
pub(super) struct Offers {
    pub(super) port: u16,
}

impl Handler for Presence {
    fn serve(&self, link: Link) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            while let Some(mut stream) = next(&link).await {
                let own = self.own.borrow().clone();
                // A hidden node says that something is there, as its open port does anyway.
                let shown = own.visible != Visible::Nobody || link.standing() == Standing::Friend;
                let pong = Pong {
                    hello: shown.then(|| own.hello()),
                };
                match timeout(IDLE, stream.receive::<Ping>()).await {
                    Ok(Ok(Some(_))) => reply(stream, &pong).await,
                    Ok(Err(error)) => {
                        return link.close(CloseCode::Garbage, &error.to_string());
                    }
                    Ok(Ok(None)) | Err(_) => return,
                }
            }
        })
    }
}

impl Handler for Offers {
    fn serve(&self, link: Link) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            while let Some(mut stream) = next(&link).await {
                match timeout(IDLE, stream.receive::<ServicesQuery>()).await {
                    Ok(Ok(Some(_))) => reply(stream, &offers(self.port, link.standing())).await,
                    Ok(Err(error)) => {
                        return link.close(CloseCode::Garbage, &error.to_string());
                    }
                    Ok(Ok(None)) | Err(_) => return,
                }
            }
        })
    }
}

async fn next(link: &Link) -> Option<Stream> {
    timeout(IDLE, link.accept_stream()).await.ok().flatten()
}

async fn reply<M: protocol::frame::Message>(mut stream: Stream, message: &M) {
    if stream.send(message).await.is_ok() {
        stream.finish();
        let _ = timeout(IDLE, stream.taken()).await;
    }
}
