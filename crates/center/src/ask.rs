//! The other side of the counter: how a node or a client asks a center.
//!
//! A center is believed in nothing that can be checked: a record must be signed by its node, hold
//! now, and be the one that was asked for. A name is taken only if the node itself claims it, so
//! a center that lies can hide a node but not put another one in its place (R104).

use std::net::SocketAddr;
use std::time::Duration;

use links::{Endpoint, Link, LinkError, NodeAddress, Protocol, Stream};
use protocol::message::center::{
    CenterAddress, ListedRelay, Presence, Refusal, Reply, Request, SignedStatement, Target,
};
use protocol::{NodeRecord, SignedRecord, Timestamp};
use thiserror::Error;
use tokio::time::timeout;

/// A center that does not answer a question for so long is away.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(8);
/// Addresses of a center's name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Why a center gave no answer that counts.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AskError {
    /// Its name leads nowhere.
    #[error("the name {host} of the center cannot be resolved: {why}")]
    Name {
        /// Which.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// No link, or it ended.
    #[error("the center cannot be reached: {0}")]
    Link(#[from] LinkError),
    /// It took too long.
    #[error("the center did not answer within {ANSWER_LIMIT:?}")]
    Late,
    /// It said no.
    #[error("the center refused: {0}")]
    Refused(Refusal),
    /// Its answer is not one to the question.
    #[error("the center gave an answer that fits no question of ours")]
    Unfitting,
    /// What it gave is not what was asked for, or not signed by its node.
    #[error("the center lied about {about}: {why}; nothing of it is used")]
    Lied {
        /// The node or name.
        about: String,
        /// What did not hold.
        why: String,
    },
}

/// A link to a center.
#[derive(Debug, Clone)]
pub struct Counter {
    link: Link,
}

/// A node that was found, its record checked.
#[derive(Debug, Clone)]
pub struct FoundNode {
    /// As it was signed, to be passed on.
    pub signed: SignedRecord,
    /// What it says.
    pub record: NodeRecord,
    /// Whether the center thinks that it is there.
    pub presence: Presence,
}

/// Where the host of a center leads now.
///
/// # Errors
/// [`AskError::Name`].
pub async fn addresses(center: &CenterAddress) -> Result<Vec<SocketAddr>, AskError> {
    let bad = |why: String| AskError::Name {
        host: center.host.clone(),
        why,
    };
    let look = tokio::net::lookup_host((center.host.as_str(), center.port));
    let found = timeout(ANSWER_LIMIT, look)
        .await
        .map_err(|_| bad("no answer".into()))?
        .map_err(|error| bad(error.to_string()))?;
    let found: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
    if found.is_empty() {
        return Err(bad("it has no address".into()));
    }
    Ok(found)
}

impl Counter {
    /// Dials the center; whoever answers must prove the key in `center`.
    ///
    /// # Errors
    /// [`AskError::Name`] and [`AskError::Link`].
    pub async fn dial(endpoint: &Endpoint, center: &CenterAddress) -> Result<Self, AskError> {
        let to = NodeAddress::new(center.id, addresses(center).await?);
        let link = endpoint.connect(&to, Protocol::Center).await?;
        Ok(Self { link })
    }

    /// The link itself.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// One question, one answer.
    ///
    /// # Errors
    /// [`AskError::Link`] and [`AskError::Late`].
    pub async fn ask(&self, request: &Request) -> Result<Reply, AskError> {
        let exchange = async {
            let mut stream: Stream = self.link.open().await?;
            stream.send(request).await?;
            stream.finish();
            let reply = stream.receive::<Reply>().await?;
            Ok::<_, LinkError>(reply)
        };
        let reply = timeout(ANSWER_LIMIT, exchange)
            .await
            .map_err(|_| AskError::Late)??;
        reply.ok_or(AskError::Unfitting)
    }

    /// Says something about this node; the reply is the center's, also a refusal.
    ///
    /// # Errors
    /// [`AskError::Link`] and [`AskError::Late`].
    pub async fn state(&self, statement: SignedStatement) -> Result<Reply, AskError> {
        self.ask(&Request::State(statement)).await
    }

    /// Finds a node; `None` if the center knows none (R26, R35).
    ///
    /// # Errors
    /// [`AskError::Lied`] for a record that does not hold or is of somebody else.
    pub async fn find(
        &self,
        target: Target,
        now: Timestamp,
    ) -> Result<Option<FoundNode>, AskError> {
        match self.ask(&Request::Find(target.clone())).await? {
            Reply::Found { record, presence } => checked(&target, record, presence, now).map(Some),
            Reply::NotFound => Ok(None),
            Reply::Refused(refusal) => Err(AskError::Refused(refusal)),
            Reply::Accepted { .. }
            | Reply::Neighbors(_)
            | Reply::Relays(_)
            | Reply::Work { .. } => Err(AskError::Unfitting),
        }
    }

    /// Nodes that are near or important, at most `most`; records that do not hold are left out.
    ///
    /// # Errors
    /// As [`Counter::ask`].
    pub async fn neighbors(&self, most: u8, now: Timestamp) -> Result<Vec<NodeRecord>, AskError> {
        match self.ask(&Request::Neighbors { most }).await? {
            Reply::Neighbors(list) => Ok(list
                .iter()
                .filter_map(|record| record.open(now).ok())
                .collect()),
            Reply::Refused(refusal) => Err(AskError::Refused(refusal)),
            Reply::Accepted { .. }
            | Reply::Found { .. }
            | Reply::NotFound
            | Reply::Relays(_)
            | Reply::Work { .. } => Err(AskError::Unfitting),
        }
    }

    /// Relays with room, at most `most`.
    ///
    /// # Errors
    /// As [`Counter::ask`].
    pub async fn relays(&self, most: u8) -> Result<Vec<ListedRelay>, AskError> {
        match self.ask(&Request::Relays { most }).await? {
            Reply::Relays(list) => Ok(list),
            Reply::Refused(refusal) => Err(AskError::Refused(refusal)),
            Reply::Accepted { .. }
            | Reply::Found { .. }
            | Reply::NotFound
            | Reply::Neighbors(_)
            | Reply::Work { .. } => Err(AskError::Unfitting),
        }
    }
}

/// Dials `center` and finds `target` with one question.
///
/// # Errors
/// As [`Counter::dial`] and [`Counter::find`].
pub async fn find(
    endpoint: &Endpoint,
    center: &CenterAddress,
    target: Target,
    now: Timestamp,
) -> Result<Option<FoundNode>, AskError> {
    Counter::dial(endpoint, center)
        .await?
        .find(target, now)
        .await
}

fn checked(
    target: &Target,
    signed: SignedRecord,
    presence: Presence,
    now: Timestamp,
) -> Result<FoundNode, AskError> {
    let about = match target {
        Target::Id(node) => node.to_string(),
        Target::Name(name) => name.to_string(),
    };
    let lied = |why: String| AskError::Lied {
        about: about.clone(),
        why,
    };
    let record = signed.open(now).map_err(|error| lied(error.to_string()))?;
    let fits = match target {
        Target::Id(node) => record.node == *node,
        Target::Name(name) => record.name.as_ref() == Some(name),
    };
    if !fits {
        return Err(lied(format!(
            "it named {}, which does not claim to be that",
            record.node
        )));
    }
    Ok(FoundNode {
        signed,
        record,
        presence,
    })
}

#[cfg(test)]
mod tests {
    use protocol::NodeSecret;

    use super::*;

    fn record(name: &str, secret: &NodeSecret, issued_at_ms: i64) -> SignedRecord {
        let record = NodeRecord {
            node: secret.id(),
            name: Some(name.parse().unwrap()),
            seq: 1,
            issued_at_ms,
            expires_at_ms: issued_at_ms + 1000,
            addresses: vec![],
            relays: vec![],
            offer: None,
            services_digest: [0; 8],
        };
        SignedRecord::sign(&record, secret).unwrap()
    }

    #[test]
    fn a_center_that_lies_is_noticed() {
        let (anna, mallory) = (
            NodeSecret::from_bytes([1; 32]),
            NodeSecret::from_bytes([2; 32]),
        );
        let now = Timestamp(1_000_000_000_000);
        let check = |target: &Target, record: SignedRecord| {
            checked(target, record, Presence::Online, now).map(|found| found.record.node)
        };
        let name = Target::Name("anna".parse().unwrap());
        assert_eq!(
            check(&name, record("anna", &anna, now.0)).unwrap(),
            anna.id()
        );
        // Another node's record in its place, one that claims nothing, and one from long ago.
        let id = Target::Id(anna.id());
        assert!(check(&id, record("anna", &mallory, now.0)).is_err());
        assert!(check(&name, record("mallory", &mallory, now.0)).is_err());
        assert!(check(&id, record("anna", &anna, 0)).is_err());
    }
}
