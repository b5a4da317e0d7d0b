//! The links to the center, one after the other, each from the dial to its end. All statements of this node come from here,
//! one after the other, so that none overtakes another.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::center::ask::{AskError, Counter};
use links::neighborhood::{Candidate, Own};
use links::{CloseCode, Endpoint};
use protocol::message::center::{
    Admission, Change, Refusal, Reply, Resources, SignedStatement, Statement, Usage, Work, WorkSalt,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::standing::{NameTrouble, Standing, Trouble};
use super::{Registration, jittered, measure};
use crate::cluster::Neighbors;
use crate::modules::Task;

/// What the center could not take is told again after this.
const TELL_AGAIN: Duration = Duration::from_secs(4);
/// On an open link, usage is told so often at most.
const TELL_EVERY_MAX: Duration = Duration::from_secs(60);
/// A change that is not taken after this, and a question that is not answered within as long again:
/// the link leads nowhere any more (R27).
const CHANGE_PATIENCE: Duration = Duration::from_millis(200);
/// A call without an answer is joined by another one after this, up to [`CALLS_MAX`].
const CALL_AGAIN: Duration = Duration::from_millis(350);
const CALLS_MAX: usize = 3;
/// A disk that does not say how full it is holds up nothing else.
const MEASURE_PATIENCE: Duration = Duration::from_secs(2);
/// Numbers that are tried for a proof of work before the module looks up.
const WORK_STEP: u64 = 1 << 18;
/// A goodbye may take so long.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(1);
/// A stale number is signed anew so often, a record once.
const STALE_TRIES: u32 = 3;
/// A new record is on the disk within this time.
const RECORD_PATIENCE: Duration = Duration::from_secs(3);
/// No clock gives such a number: a center that claims to know one lies.
const SEQ_MAX: u64 = 1 << 53;
/// The list of neighbors is asked for, and a refused name is wanted again, so often.
const ASK_EVERY: Duration = Duration::from_secs(600);

/// Why a link to the center ended.
pub(super) enum End {
    /// The node stops or the module was stopped.
    Stopped,
    /// The links of the node are about to end; the center was told.
    Left,
    /// The node is in another network, from which the link leads nowhere: dial at once.
    Moved,
    /// The link broke, or none came about.
    Away(String),
    /// The center does not want this node as it is.
    Refused(Refusal),
}

impl From<AskError> for End {
    fn from(error: AskError) -> Self {
        if let AskError::Refused(refusal) = error {
            return Self::Refused(refusal);
        }
        Self::Away(error.to_string())
    }
}

pub(super) struct Visit<'a> {
    registration: &'a Registration,
    endpoint: &'a Endpoint,
    neighbors: &'a Neighbors,
    task: &'a Task,
    registered: bool,
}

impl<'a> Visit<'a> {
    pub(super) fn new(
        registration: &'a Registration,
        endpoint: &'a Endpoint,
        neighbors: &'a Neighbors,
        task: &'a Task,
    ) -> Self {
        Self {
            registration,
            endpoint,
            neighbors,
            task,
            registered: false,
        }
    }

    /// The center has taken this node in since the module started.
    pub(super) fn was_registered(&self) -> bool {
        self.registered
    }

    /// Dials, registers, and stays until something ends it.
    pub(super) async fn pay(&mut self, own: &mut watch::Receiver<Own>) -> End {
        let stop = self.task.stop.clone();
        let mut leaving = self.registration.0.leaving.subscribe();
        let counter = tokio::select! {
            () = stop.cancelled() => return End::Stopped,
            _ = leaving.wait_for(|leaving| *leaving) => return End::Left,
            dialed = self.dial() => match dialed {
                Ok(counter) => counter,
                Err(error) => return error.into(),
            },
        };
        let end = tokio::select! {
            () = stop.cancelled() => Ok(End::Stopped),
            _ = leaving.wait_for(|leaving| *leaving) => Ok(End::Left),
            why = counter.link().closed() => {
                Err(End::Away(format!("the link to the center ended: {why}")))
            }
            end = self.stay(&counter, own) => end,
        };
        match end {
            Ok(end) => {
                let bye = self.say(&counter, Change::Goodbye);
                let _ = timeout(GOODBYE_PATIENCE, bye).await;
                let link = counter.link();
                link.close(CloseCode::GoingAway, "this node stops");
                end
            }
            Err(end) => {
                counter.link().close(CloseCode::Done, "");
                end
            }
        }
    }

    /// Dials the center. For a node that was there before, a call that has no answer yet is joined by
    /// another one: the first packets from a new address are often lost.
    async fn dial(&self) -> Result<Counter, AskError> {
        let mut calls = JoinSet::new();
        let mut left = if self.registered { CALLS_MAX } else { 1 };
        loop {
            if left > 0 {
                left -= 1;
                let endpoint = self.endpoint.clone();
                let center = self.registration.0.center.clone();
                calls.spawn(async move { Counter::dial(&endpoint, &center).await });
            }
            tokio::select! {
                Some(dialed) = calls.join_next() => match dialed {
                    Ok(Err(_)) if left > 0 || !calls.is_empty() => {}
                    Ok(dialed) => return dialed,
                    Err(_) => return Err(AskError::Late),
                },
                () = tokio::time::sleep(CALL_AGAIN), if left > 0 => {}
            }
        }
    }

    /// `Ok` when whoever makes this node's record has ended.
    async fn stay(
        &mut self,
        counter: &Counter,
        own: &mut watch::Receiver<Own>,
    ) -> Result<End, End> {
        let mut every = if self.registered {
            self.renew_again(counter, own).await?
        } else {
            self.renew(counter, own).await?
        };
        *self.registration.counter() = Some(counter.clone());
        let mut ask = tokio::time::interval_at(Instant::now(), ASK_EVERY);
        ask.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = own.changed() => {
                    if changed.is_err() {
                        return Ok(End::Stopped);
                    }
                    every = tokio::select! {
                        told = self.renew_again(counter, own) => told?,
                        () = leads_nowhere(counter) => return Err(End::Moved),
                    };
                }
                () = tokio::time::sleep(every) => every = self.renew_again(counter, own).await?,
                _ = ask.tick() => {
                    self.claim(counter).await?;
                    self.meet(counter).await?;
                }
            }
        }
    }

    /// As [`Visit::renew`] of a node that is registered: a center that cannot write keeps the link,
    /// which is this node's sign of life, and is told again soon.
    async fn renew_again(
        &mut self,
        counter: &Counter,
        own: &mut watch::Receiver<Own>,
    ) -> Result<Duration, End> {
        match self.renew(counter, own).await {
            Err(End::Refused(refusal @ (Refusal::Unavailable | Refusal::TooMany))) => {
                tracing::warn!(%refusal, "the center has not taken what changed; it is told again");
                let trouble = Trouble::Refused(refusal);
                self.registration
                    .set(|status| status.trouble = Some(trouble));
                Ok(jittered(TELL_AGAIN))
            }
            renewed => renewed,
        }
    }

    /// Tells record, resources and usage; how long until that is due again.
    async fn renew(
        &mut self,
        counter: &Counter,
        own: &mut watch::Receiver<Own>,
    ) -> Result<Duration, End> {
        let (resources, usage) = self.measure().await;
        let mut admission = self.registration.0.invite.map(Admission::Invite);
        let mut is_raised = false;
        loop {
            let change = Change::Renew {
                record: own.borrow_and_update().signed.clone(),
                resources,
                usage,
                admission: admission.take(),
            };
            match self.say(counter, change).await? {
                Reply::Accepted {
                    zone,
                    name,
                    renew_after_s,
                } => {
                    self.accepted(zone, name).await;
                    let wanted = Duration::from_secs(u64::from(renew_after_s.max(1)));
                    return Ok(wanted.min(TELL_EVERY_MAX));
                }
                Reply::Work { salt, bits } => {
                    admission = Some(Admission::Work(self.work(salt, bits).await?));
                }
                Reply::Refused(Refusal::Stale { have }) if !is_raised && have < SEQ_MAX => {
                    // A node that was restored from a backup, or whose clock was ahead once.
                    is_raised = true;
                    self.neighbors.raise_seq(have);
                    let _ = timeout(RECORD_PATIENCE, own.changed()).await;
                }
                Reply::Refused(Refusal::NotValid) if !is_raised && self.is_mistimed(own) => {
                    is_raised = true;
                    let last = own.borrow().record.seq;
                    self.neighbors.raise_seq(last);
                    let _ = timeout(RECORD_PATIENCE, own.changed()).await;
                }
                Reply::Refused(refusal) => return Err(End::Refused(refusal)),
                Reply::Found { .. } | Reply::NotFound | Reply::Neighbors(_) | Reply::Relays(_) => {
                    return Err(AskError::Unfitting.into());
                }
            }
        }
    }

    /// The record was made when the clock of this computer was wrong.
    fn is_mistimed(&self, own: &watch::Receiver<Own>) -> bool {
        let now = (self.registration.0.clock)().0;
        let own = own.borrow();
        own.record.issued_at_ms > now || own.record.expires_at_ms < now
    }

    async fn measure(&self) -> (Resources, Usage) {
        let folder = self.registration.0.folder.clone();
        let measured = tokio::task::spawn_blocking(move || measure::now(&folder));
        let measured = timeout(MEASURE_PATIENCE, measured).await;
        measured.map_or_else(|_| Default::default(), Result::unwrap_or_default)
    }

    async fn accepted(&mut self, zone: String, name: Option<protocol::NodeName>) {
        let registration = self.registration;
        let before = registration.status();
        let is_news =
            !self.registered || before.zone.as_ref() != Some(&zone) || before.name != name;
        if !self.registered {
            tracing::info!(center = %registration.0.center, zone, name = name.as_ref().map(tracing::field::display), "registered at the center");
        }
        self.registered = true;
        registration.given(&zone, name.clone());
        let now = (registration.0.clock)().to_string();
        registration.set(|status| {
            status.state = Standing::Registered;
            status.last_renewed = Some(now);
            status.trouble = None;
        });
        if !is_news {
            return;
        }
        let inner = Arc::clone(&registration.0);
        let kept = tokio::task::spawn_blocking(move || inner.memory.save(&zone, name.as_ref()));
        let _ = kept.await;
    }

    /// Wants the node's name. A refusal is told and leaves the node registered under its id.
    async fn claim(&mut self, counter: &Counter) -> Result<(), End> {
        let registration = self.registration;
        let Some(name) = registration.0.name.clone() else {
            return Ok(());
        };
        if registration.status().name.as_ref() == Some(&name) {
            registration.set(|status| status.name_trouble = None);
            return Ok(());
        }
        let change = Change::ClaimName { name: name.clone() };
        match self.say(counter, change).await? {
            Reply::Accepted { zone, name, .. } => {
                registration.set(|status| status.name_trouble = None);
                self.accepted(zone, name).await;
                Ok(())
            }
            Reply::Refused(why) => {
                let trouble = NameTrouble::Refused { name, why };
                tracing::warn!(%trouble, "this node is registered under its id");
                registration.set(|status| status.name_trouble = Some(trouble));
                Ok(())
            }
            Reply::Found { .. }
            | Reply::NotFound
            | Reply::Neighbors(_)
            | Reply::Relays(_)
            | Reply::Work { .. } => Err(AskError::Unfitting.into()),
        }
    }

    /// Those that the center names may become neighbors (R25): each is dialed by its id, so that one
    /// that is not who it shall be is no neighbor.
    async fn meet(&self, counter: &Counter) -> Result<(), End> {
        let inner = &self.registration.0;
        let listed = counter.neighbors(inner.neighbors_most, (inner.clock)());
        let listed = match listed.await {
            Ok(listed) => listed,
            Err(AskError::Refused(refusal)) => {
                tracing::debug!(%refusal, "the center names no neighbors");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for record in listed {
            self.neighbors.meet(Candidate {
                id: record.node,
                addresses: record.addresses,
                name: record.name.map(|name| name.to_string()),
            });
        }
        Ok(())
    }

    /// Says something; signs a higher number when the center knows one.
    async fn say(&self, counter: &Counter, change: Change) -> Result<Reply, End> {
        let inner = &self.registration.0;
        let mut reply = Reply::NotFound;
        for _ in 0..STALE_TRIES {
            let statement = self.statement(change.clone());
            let signed = SignedStatement::sign(&statement, &inner.secret)
                .map_err(|error| End::Away(error.to_string()))?;
            reply = counter.state(signed).await?;
            match &reply {
                Reply::Refused(Refusal::Stale { have }) if *have < SEQ_MAX => {
                    // At or above it already: it is the record that is stale.
                    if inner.said.fetch_max(*have, Ordering::Relaxed) > *have {
                        break;
                    }
                }
                Reply::Accepted { .. }
                | Reply::Found { .. }
                | Reply::NotFound
                | Reply::Neighbors(_)
                | Reply::Relays(_)
                | Reply::Work { .. }
                | Reply::Refused(_) => break,
            }
        }
        Ok(reply)
    }

    fn statement(&self, change: Change) -> Statement {
        let inner = &self.registration.0;
        let at_ms = (inner.clock)().0;
        let last = inner.said.load(Ordering::Relaxed);
        let seq = last
            .saturating_add(1)
            .max(u64::try_from(at_ms).unwrap_or(0));
        // Only this visit writes it, and there is one visit at a time.
        inner.said.store(seq, Ordering::Relaxed);
        Statement {
            node: inner.secret.id(),
            center: inner.center.id,
            seq,
            at_ms,
            change,
        }
    }

    /// Works for the registration on one thread; ends soon after the visit is dropped.
    async fn work(&self, salt: WorkSalt, bits: u8) -> Result<Work, End> {
        tracing::info!(bits, "the center asks for a proof of work");
        let node = self.registration.0.secret.id();
        let mut from = 0;
        loop {
            let step =
                tokio::task::spawn_blocking(move || Work::seek(salt, &node, bits, from, WORK_STEP));
            match step.await {
                Ok(Some(work)) => return Ok(work),
                Ok(None) => from += WORK_STEP,
                Err(error) => return Err(End::Away(error.to_string())),
            }
        }
    }
}

/// Ends if the center answers nothing on this link; a center that is only slow to write does.
async fn leads_nowhere(counter: &Counter) {
    tokio::time::sleep(CHANGE_PATIENCE).await;
    if let Ok(Ok(_)) = timeout(CHANGE_PATIENCE, counter.relays(1)).await {
        std::future::pending::<()>().await;
    }
}
