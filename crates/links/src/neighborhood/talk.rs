//! What is said on the links of a neighbor: the tasks that read and write, none of which decides.
//!
//! On a lookup link the node that dialed opens one stream; the first message each way is a
//! [`Hello`], then come lookup messages in both directions for as long as the link lives. Every
//! further stream brings one newer hello, after an address has changed.

use std::time::Duration;

use protocol::message::lookup::LookupMessage;
use protocol::message::presence::{Hello, Ping, Pong};
use protocol::message::services::{Services, ServicesQuery};
use protocol::{Clock, NodeId, NodeRecord};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::{Introduction, Own};
use crate::{CloseCode, Endpoint, Link, LinkError, NodeAddress, Protocol, Reader, Stream, Writer};

/// A neighbor may take this long to say who it is.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// Messages that wait for a slow link; more are dropped, and their lookups go on without.
pub(super) const OUTBOX_MAX: usize = 256;

/// What a link tells the owner of the neighborhood.
#[derive(Debug)]
pub(super) enum Event {
    /// A lookup link stands.
    Linked {
        link: Link,
        ours: bool,
        introduction: Introduction,
        outbox: mpsc::Sender<LookupMessage>,
    },
    /// A call had no lookup link as its answer.
    NotLinked { node: NodeId, why: String },
    /// It answered a ping.
    Pinged {
        introduction: Introduction,
        rtt: Duration,
    },
    /// It said something new of itself.
    Renewed(Introduction),
    /// It asked or answered.
    Said {
        from: NodeId,
        message: LookupMessage,
    },
    /// What it offers to this node.
    Offers { node: NodeId, services: Services },
    /// A link that stood has ended.
    Ended { link: Link, why: String },
}

/// What every task of the neighborhood has.
#[derive(Clone)]
pub(super) struct Voice {
    pub(super) events: mpsc::Sender<Event>,
    pub(super) own: watch::Receiver<Own>,
    pub(super) clock: Clock,
}

impl Voice {
    /// Calls `to` for a lookup link and serves it until it ends.
    pub(super) async fn call(self, endpoint: Endpoint, to: NodeAddress) {
        let node = to.id;
        let begun = async {
            let link = endpoint.connect(&to, Protocol::Lookup).await?;
            let mut stream = link.open().await?;
            stream.send(&self.hello()).await?;
            let introduction = self.hear(&link, &mut stream).await?;
            Ok::<_, LinkError>((link, stream, introduction))
        };
        match begun.await {
            Ok((link, stream, introduction)) => {
                self.serve(link, stream, introduction, true).await;
            }
            Err(error) => {
                let why = error.to_string();
                let _ = self.events.send(Event::NotLinked { node, why }).await;
            }
        }
    }

    /// Serves a lookup link that another node opened.
    pub(super) async fn answer(self, link: Link) {
        let begun = async {
            let mut stream = timeout(HELLO_LIMIT, link.accept_stream())
                .await
                .ok()
                .flatten()
                .ok_or_else(|| LinkError::Ended("no stream in time".into()))?;
            let introduction = self.hear(&link, &mut stream).await?;
            stream.send(&self.hello()).await?;
            Ok::<_, LinkError>((stream, introduction))
        };
        match begun.await {
            Ok((stream, introduction)) => self.serve(link, stream, introduction, false).await,
            Err(error) => link.close(CloseCode::Garbage, &error.to_string()),
        }
    }

    /// Asks `to` for a sign of life, without a lasting link.
    pub(super) async fn ping(self, endpoint: Endpoint, to: NodeAddress) {
        let node = to.id;
        let hello = Some(self.hello());
        let event = match ping(&endpoint, &to, hello, &self.clock).await {
            Ok((Some(introduction), rtt)) => Event::Pinged { introduction, rtt },
            Ok((None, _)) => Event::NotLinked {
                node,
                why: "it hides".into(),
            },
            Err(error) => Event::NotLinked {
                node,
                why: error.to_string(),
            },
        };
        let _ = self.events.send(event).await;
    }

    /// Asks `to` what it offers to this node.
    pub(super) async fn ask_services(self, endpoint: Endpoint, to: NodeAddress) {
        let node = to.id;
        match services(&endpoint, &to).await {
            Ok(services) => {
                let _ = self.events.send(Event::Offers { node, services }).await;
            }
            Err(error) => tracing::debug!(%node, %error, "no list of services"),
        }
    }

    fn hello(&self) -> Hello {
        self.own.borrow().hello()
    }

    async fn hear(&self, link: &Link, stream: &mut Stream) -> Result<Introduction, LinkError> {
        let hello = timeout(HELLO_LIMIT, stream.receive::<Hello>())
            .await
            .map_err(|_| LinkError::Late {
                what: "hello",
                limit: HELLO_LIMIT,
            })??
            .ok_or(LinkError::Truncated { what: "hello" })?;
        introduced(link.peer(), hello, &self.clock)
    }

    async fn serve(self, link: Link, stream: Stream, introduction: Introduction, ours: bool) {
        let (outbox, inbox) = mpsc::channel(OUTBOX_MAX);
        let linked = Event::Linked {
            link: link.clone(),
            ours,
            introduction,
            outbox,
        };
        if self.events.send(linked).await.is_err() {
            return;
        }
        let (reader, writer) = stream.split();
        let ended = tokio::select! {
            ended = self.listen(link.peer(), reader) => ended,
            ended = say(inbox, writer) => ended,
            ended = self.listen_aside(&link) => ended,
            ended = self.say_aside(&link) => ended,
        };
        let why = match ended {
            Ok(()) => "the neighbor has finished".to_owned(),
            Err(LinkError::Frame(error)) => {
                link.close(CloseCode::Garbage, &error.to_string());
                error.to_string()
            }
            Err(error) => error.to_string(),
        };
        let _ = self.events.send(Event::Ended { link, why }).await;
    }

    async fn listen(&self, from: NodeId, mut reader: Reader) -> Result<(), LinkError> {
        while let Some(message) = reader.receive::<LookupMessage>().await? {
            let said = Event::Said { from, message };
            if self.events.send(said).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn listen_aside(&self, link: &Link) -> Result<(), LinkError> {
        while let Some(mut stream) = link.accept_stream().await {
            let introduction = self.hear(link, &mut stream).await?;
            stream.finish();
            let _ = self.events.send(Event::Renewed(introduction)).await;
        }
        Err(link.closed().await)
    }

    async fn say_aside(&self, link: &Link) -> Result<(), LinkError> {
        let mut own = self.own.clone();
        own.mark_unchanged();
        while own.changed().await.is_ok() {
            let hello = own.borrow_and_update().hello();
            let mut stream = link.open().await?;
            stream.send(&hello).await?;
            stream.finish();
        }
        Err(link.closed().await)
    }
}

async fn say(
    mut inbox: mpsc::Receiver<LookupMessage>,
    mut writer: Writer,
) -> Result<(), LinkError> {
    while let Some(message) = inbox.recv().await {
        writer.send(&message).await?;
    }
    writer.finish();
    Ok(())
}

/// Asks the node at `to` whether it is there; gives what it says of itself, if it does, and the
/// round-trip time. `hello` introduces this node.
///
/// # Errors
/// Those of [`Endpoint::connect`], and an answer that is none.
pub async fn ping(
    endpoint: &Endpoint,
    to: &NodeAddress,
    hello: Option<Hello>,
    clock: &Clock,
) -> Result<(Option<Introduction>, Duration), LinkError> {
    let link = endpoint.connect(to, Protocol::Ping).await?;
    let mut stream = link.open().await?;
    stream.send(&Ping { hello }).await?;
    stream.finish();
    let pong = timeout(HELLO_LIMIT, stream.receive::<Pong>())
        .await
        .map_err(|_| LinkError::Late {
            what: "pong",
            limit: HELLO_LIMIT,
        })??
        .ok_or(LinkError::Truncated { what: "pong" })?;
    let rtt = link.rtt();
    let introduction = pong
        .hello
        .map(|hello| introduced(link.peer(), hello, clock))
        .transpose()?;
    link.close(CloseCode::Done, "");
    Ok((introduction, rtt))
}

/// Asks the node at `to` what it offers to this node (R34).
///
/// # Errors
/// Those of [`Endpoint::connect`], and an answer that is none.
pub async fn services(endpoint: &Endpoint, to: &NodeAddress) -> Result<Services, LinkError> {
    let link = endpoint.connect(to, Protocol::Services).await?;
    let mut stream = link.open().await?;
    stream.send(&ServicesQuery { flags: 0 }).await?;
    stream.finish();
    let services = timeout(HELLO_LIMIT, stream.receive::<Services>())
        .await
        .map_err(|_| LinkError::Late {
            what: "list of services",
            limit: HELLO_LIMIT,
        })??
        .ok_or(LinkError::Truncated {
            what: "list of services",
        })?;
    link.close(CloseCode::Done, "");
    Ok(services)
}

/// Opens the record of a hello, which must be that of the node at the other end.
pub(super) fn introduced(
    peer: NodeId,
    hello: Hello,
    clock: &Clock,
) -> Result<Introduction, LinkError> {
    let record: NodeRecord = hello
        .record
        .open(clock())
        .map_err(|error| LinkError::Ended(error.to_string()))?;
    if record.node != peer {
        return Err(LinkError::Ended(format!(
            "{peer} introduced itself with the record of {}",
            record.node
        )));
    }
    Ok(Introduction { record, hello })
}
