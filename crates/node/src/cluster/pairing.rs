//! `pair/1`, both sides: a ticket is redeemed, or six digits are compared (R8).
//!
//! A comparison lives in memory, at most [`COMPARISON_AGE_MAX`]; what an owner agrees to is stored
//! at once. The dialing side is bound to its nonce by a commitment before the other one tells its
//! own, so that nobody in between can choose one that fits.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use links::{Handler, Link, LinkError, Stream};
use protocol::NodeId;
use protocol::message::pair::{
    Introduction, Nonce, Question, Refusal, Reply, commitment, short_code,
};
use tokio::time::timeout;

use super::friends::Core;

/// A comparison that nobody ends is forgotten after this time.
pub(super) const COMPARISON_AGE_MAX: Duration = Duration::from_secs(600);
/// Comparisons at once.
const COMPARISONS_MAX: usize = 16;
/// Exchanges on one link; more is no pairing.
const EXCHANGES_MAX: usize = 4;
/// One exchange takes at most so long.
const EXCHANGE_PATIENCE: Duration = Duration::from_secs(10);

/// Two nodes whose owners look at six digits.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The other one.
    pub node: NodeId,
    /// How it presents itself.
    pub me: Introduction,
    /// What both screens show.
    pub code: u32,
    begun: Instant,
}

/// Comparisons that are under way.
#[derive(Default)]
pub(super) struct Comparisons(Mutex<HashMap<NodeId, Comparison>>);

impl Comparisons {
    /// Keeps one; false if there are too many.
    fn keep(&self, comparison: Comparison) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, one| one.begun.elapsed() < COMPARISON_AGE_MAX);
        if all.len() >= COMPARISONS_MAX && !all.contains_key(&comparison.node) {
            return false;
        }
        all.insert(comparison.node, comparison);
        true
    }

    pub(super) fn with(&self, node: NodeId) -> Option<Comparison> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&node)
            .filter(|one| one.begun.elapsed() < COMPARISON_AGE_MAX)
            .cloned()
    }

    pub(super) fn end(&self, node: NodeId) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&node);
    }

    pub(super) fn all(&self) -> Vec<Comparison> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values()
            .filter(|one| one.begun.elapsed() < COMPARISON_AGE_MAX)
            .cloned()
            .collect()
    }
}

/// Answers pairing questions.
pub(super) struct Greeter(pub(super) std::sync::Arc<Core>);

impl Handler for Greeter {
    fn serve(&self, link: Link) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            for _ in 0..EXCHANGES_MAX {
                let Some(stream) = link.accept_stream().await else {
                    return;
                };
                let exchange = self.exchange(&link, stream);
                match timeout(EXCHANGE_PATIENCE, exchange).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::debug!(peer = %link.peer(), %error, "a pairing broke off");
                    }
                    Err(_) => tracing::debug!(peer = %link.peer(), "a pairing took too long"),
                }
            }
        })
    }
}

impl Greeter {
    async fn exchange(&self, link: &Link, mut stream: Stream) -> Result<(), LinkError> {
        let Some(question) = stream.receive::<Question>().await? else {
            return Ok(());
        };
        let peer = link.peer();
        let reply = match question {
            Question::Redeem { token, me } => self.0.redeemed(peer, token, me).await,
            Question::Commit { commitment, me } => {
                self.compare(peer, commitment, me, &mut stream).await?
            }
            Question::Agree => self.0.other_agrees(peer).await,
            Question::Reveal { .. } => Reply::Refused(Refusal::NoComparison),
        };
        stream.send(&reply).await?;
        stream.finish();
        stream.taken().await;
        Ok(())
    }

    async fn compare(
        &self,
        peer: NodeId,
        promised: [u8; 32],
        me: Introduction,
        stream: &mut Stream,
    ) -> Result<Reply, LinkError> {
        let Some(nonce) = random() else {
            return Ok(Reply::Refused(Refusal::Busy));
        };
        let told = Reply::Nonce {
            nonce,
            me: self.0.introduction(),
        };
        stream.send(&told).await?;
        let Some(Question::Reveal { nonce: theirs }) = stream.receive::<Question>().await? else {
            return Ok(Reply::Refused(Refusal::NoComparison));
        };
        if commitment(&peer, &theirs) != promised {
            return Ok(Reply::Refused(Refusal::Nonce));
        }
        let kept = self.0.comparisons.keep(Comparison {
            node: peer,
            me,
            code: short_code(&peer, &theirs, &self.0.id(), &nonce),
            begun: Instant::now(),
        });
        Ok(if kept {
            Reply::Compare
        } else {
            Reply::Refused(Refusal::Busy)
        })
    }
}

fn random() -> Option<Nonce> {
    let mut nonce = [0; 32];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut nonce).ok()?;
    Some(nonce)
}

/// Asks one question over a link of its own.
pub(super) async fn ask(link: &Link, question: &Question) -> Result<Reply, LinkError> {
    let asking = async {
        let mut stream = link.open().await?;
        stream.send(question).await?;
        stream.finish();
        answer(&mut stream).await
    };
    timeout(EXCHANGE_PATIENCE, asking)
        .await
        .unwrap_or_else(|_| Err(LinkError::Ended("the other node does not answer".into())))
}

async fn answer(stream: &mut Stream) -> Result<Reply, LinkError> {
    let reply = stream.receive::<Reply>().await?;
    reply.ok_or_else(|| LinkError::Ended("the other node gave no answer".into()))
}

/// The dialing side of a comparison; gives what both screens show, or why not.
pub(super) async fn begin(core: &Core, link: &Link) -> Result<Comparison, String> {
    let comparing = async {
        let nonce = random().ok_or("the operating system gives no random numbers")?;
        let own = core.id();
        let mut stream = link.open().await.map_err(|error| error.to_string())?;
        let commit = Question::Commit {
            commitment: commitment(&own, &nonce),
            me: core.introduction(),
        };
        let text = |error: LinkError| error.to_string();
        stream.send(&commit).await.map_err(text)?;
        let (theirs, me) = match answer(&mut stream).await.map_err(text)? {
            Reply::Nonce { nonce, me } => (nonce, me),
            Reply::Refused(why) => return Err(why.to_string()),
            Reply::Welcome { .. } | Reply::Compare | Reply::Noted { .. } => {
                return Err("the other node answered something else".into());
            }
        };
        stream
            .send(&Question::Reveal { nonce })
            .await
            .map_err(text)?;
        stream.finish();
        match answer(&mut stream).await.map_err(text)? {
            Reply::Compare => {}
            Reply::Refused(why) => return Err(why.to_string()),
            Reply::Welcome { .. } | Reply::Nonce { .. } | Reply::Noted { .. } => {
                return Err("the other node answered something else".into());
            }
        }
        let comparison = Comparison {
            node: link.peer(),
            me,
            code: short_code(&own, &nonce, &link.peer(), &theirs),
            begun: Instant::now(),
        };
        if !core.comparisons.keep(comparison.clone()) {
            return Err("too many comparisons are open; wait some minutes".into());
        }
        Ok(comparison)
    };
    timeout(EXCHANGE_PATIENCE, comparing)
        .await
        .unwrap_or_else(|_| Err("the other node does not answer".into()))
}
