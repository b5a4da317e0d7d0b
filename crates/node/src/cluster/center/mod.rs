//! The node at its center: registers, has its name, and tells each change of address at once (R24,
//! R27).
//!
//! The node never waits for the center: this module keeps one link, dials again when it breaks, and
//! everything else goes on meanwhile. What is missing without it stands in `status` (R2). The
//! center's key is pinned in the string that names it; its word is believed in nothing that
//! `center::ask` can check. A crash loses nothing: what the center gave is asked for again.

mod measure;
mod memory;
mod standing;
mod visit;

pub(crate) use standing::{CenterStatus, NameTrouble, Standing, Trouble};

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::center::ask::{AskError, Counter, FoundNode};
use links::Endpoint;
use protocol::message::center::{CenterAddress, Target};
use protocol::{Clock, NodeName, NodeSecret};
use ring::rand::SecureRandom as _;
use tokio::sync::watch;
use tokio::time::Instant;

use self::memory::Memory;
use self::visit::End;
use super::Neighbors;
use crate::modules::{Module, Task};
use crate::state::State;

/// First pause before the center is dialed again; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A registration that stood for so long was a good one: the next pause is the first one again.
const GOOD_AFTER: Duration = Duration::from_secs(10);
/// The goodbye of [`Registration::leave`] may take so long.
const LEAVE_PATIENCE: Duration = Duration::from_millis(1200);

/// This node's side of its center. Clones are the same.
#[derive(Clone)]
pub struct Registration(Arc<Inner>);

struct Inner {
    center: CenterAddress,
    invite: Option<[u8; 16]>,
    /// The label that is wanted; `None` if the node's name has none.
    name: Option<NodeName>,
    secret: NodeSecret,
    clock: Clock,
    folder: PathBuf,
    https_port: u16,
    /// Nodes that the center is asked for.
    neighbors_most: u8,
    memory: Memory,
    /// The last number that was signed. Not kept: the clock gives a higher one after a start, and a
    /// center that knows a higher one still says so.
    said: AtomicU64,
    status: Mutex<CenterStatus>,
    counter: Mutex<Option<Counter>>,
    /// The links of this node are about to end: say goodbye.
    leaving: watch::Sender<bool>,
    /// A visit goes on.
    visiting: watch::Sender<bool>,
}

impl Registration {
    /// For the center that the settings name; `None` without one.
    pub(crate) fn of(state: &State, name: &str, https_port: u16) -> Option<Self> {
        let center = state.config.center.clone()?;
        let memory = Memory::at(state.layout.state.join("center.json"), &center);
        let label = NodeName::nearest(name);
        let mut status = CenterStatus::new(&center);
        status.name_trouble = label
            .is_none()
            .then(|| NameTrouble::NoLabel(name.to_owned()));
        let most = state.config.neighbors_max;
        let registration = Self(Arc::new(Inner {
            center,
            invite: state.config.invite,
            name: label,
            secret: state.secret.clone(),
            clock: Arc::clone(&state.clock),
            folder: state.layout.volume.clone(),
            https_port,
            neighbors_most: u8::try_from(most.clamp(1, protocol::message::center::LIST_MAX))
                .unwrap_or(1),
            memory,
            said: AtomicU64::new(0),
            status: Mutex::new(status),
            counter: Mutex::new(None),
            leaving: watch::Sender::new(false),
            visiting: watch::Sender::new(false),
        }));
        if let Some(given) = registration.0.memory.load() {
            registration.given(&given.zone, given.name);
        }
        Some(registration)
    }

    /// Keeps the link and tells the center what `neighbors` know of this node.
    pub(crate) fn module(&self, endpoint: &Endpoint, neighbors: &Neighbors) -> Module {
        let (registration, endpoint, neighbors) =
            (self.clone(), endpoint.clone(), neighbors.clone());
        let what = "registration and name at the center";
        Module::new("center", what, move |task: Task| {
            let (registration, endpoint, neighbors) =
                (registration.clone(), endpoint.clone(), neighbors.clone());
            async move {
                registration.run(endpoint, neighbors, task).await;
                registration.set(|status| status.state = Standing::Stopped);
                *registration.counter() = None;
                Ok(())
            }
        })
    }

    /// The links of this node are about to end, by the owner's word or with the node: the center is
    /// told that the node is not reached any more. Returns when that is done or takes too long.
    pub(crate) async fn leave(&self) {
        self.0.leaving.send_replace(true);
        let mut visiting = self.0.visiting.subscribe();
        let _ = tokio::time::timeout(LEAVE_PATIENCE, visiting.wait_for(|visiting| !visiting)).await;
    }

    /// The links of this node stand again.
    pub(crate) fn come_back(&self) {
        self.0.leaving.send_replace(false);
    }

    /// What `status` shows.
    #[must_use]
    pub fn status(&self) -> CenterStatus {
        let status = self.0.status.lock();
        status.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the center for a node (R26, R35); `None` if it knows none.
    ///
    /// # Errors
    /// [`FindError`], also for a center that lied; the owner finds that in `status`.
    pub(crate) async fn find(&self, target: Target) -> Result<Option<FoundNode>, FindError> {
        let counter = self.counter().clone();
        let counter = counter.ok_or(FindError::Away)?;
        let found = counter.find(target, (self.0.clock)()).await;
        if let Err(AskError::Lied { .. }) = &found {
            self.set(|status| {
                let error = found.as_ref().err().map(ToString::to_string);
                status.lie = error.map(|error| format!("{}: {error}", (self.0.clock)()));
            });
        }
        Ok(found?)
    }

    fn counter(&self) -> std::sync::MutexGuard<'_, Option<Counter>> {
        let counter = self.0.counter.lock();
        counter.unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut CenterStatus)) {
        let mut status = self.0.status.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut status);
    }

    /// The center has given this zone and name, now or before the last stop.
    fn given(&self, zone: &str, name: Option<NodeName>) {
        let port = match self.0.https_port {
            443 => String::new(),
            port => format!(":{port}"),
        };
        self.set(|status| {
            status.zone = Some(zone.to_owned());
            let url = name
                .as_ref()
                .map(|name| format!("https://{name}.{zone}{port}/"));
            status.url = url;
            status.name = name;
        });
    }

    async fn run(&self, endpoint: Endpoint, neighbors: Neighbors, task: Task) {
        let mut own = neighbors.own();
        let mut leaving = self.0.leaving.subscribe();
        let mut pause = PAUSE_MIN;
        let mut visit = visit::Visit::new(self, &endpoint, &neighbors, &task);
        loop {
            tokio::select! {
                () = task.stop.cancelled() => return,
                // This holds the sender.
                _ = leaving.wait_for(|leaving| !leaving) => {}
            }
            let began = Instant::now();
            self.0.visiting.send_replace(true);
            let end = visit.pay(&mut own).await;
            *self.counter() = None;
            self.0.visiting.send_replace(false);
            if visit.was_registered() && began.elapsed() > GOOD_AFTER {
                pause = PAUSE_MIN;
            }
            let (state, why) = match end {
                End::Stopped => return,
                End::Moved => continue,
                End::Left => (Standing::Away, Trouble::Away(LEFT.to_owned())),
                End::Away(why) => (Standing::Away, Trouble::Away(why)),
                End::Refused(refusal) => (Standing::Refused, Trouble::Refused(refusal)),
            };
            tracing::warn!(center = %self.0.center, %why, "the center does not serve this node, which goes on without it");
            self.set(|status| {
                status.state = state;
                status.trouble = Some(why);
            });
            tokio::select! {
                () = task.stop.cancelled() => return,
                () = tokio::time::sleep(jittered(pause)) => pause = (pause * 2).min(PAUSE_MAX),
                // Another network may lead to the center.
                changed = own.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    pause = PAUSE_MIN;
                }
            }
        }
    }
}

/// Why there is no link while the owner wants none.
const LEFT: &str = "the links of this node are stopped; `cumulet module start links` starts them";

/// Why the center was not asked, or its answer does not count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    /// This node has no link to it now.
    #[error("there is no link to the center now")]
    Away,
    /// It did not answer before the search was over.
    #[error("the center did not answer in time")]
    Late,
    /// It was asked.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// Between a half and the whole of `pause`: nodes that lost their center at the same moment do not
/// come back at the same moment.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 2];
    // Without random numbers the pause is just not spread.
    let _ = ring::rand::SystemRandom::new().fill(&mut random);
    pause / 2 + pause / 2 * u32::from(u16::from_be_bytes(random)) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_and_bounded() {
        let pauses: Vec<_> = (0..64).map(|_| jittered(PAUSE_MAX)).collect();
        assert!(
            pauses
                .iter()
                .all(|p| (PAUSE_MAX / 2..=PAUSE_MAX).contains(p))
        );
        let (least, most) = (pauses.iter().min(), pauses.iter().max());
        assert!(least < most, "{pauses:?}");
    }
}
