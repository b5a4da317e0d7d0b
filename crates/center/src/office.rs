//! The counter of the center: takes a request, asks the registry, has it written, answers.
//!
//! What is answered with `Accepted` is on the disk (R12). No lock is held while something is
//! awaited; the registry's own lock is held for microseconds.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use protocol::message::center::{
    Change, LIST_MAX, Refusal, Reply, Request, SignedStatement, Statement, WorkSalt,
};
use protocol::{Clock, NodeId, NodeSecret, Timestamp};

use crate::registry::{Asked, Gate, Registry, is_private};
use crate::store::{Outcome, Seen, Store, StoreError, Write};
use crate::writer::Writer;

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Rows of one note to the database.
const NOTE_MAX: usize = 5000;

/// Who asks, as the link has proven it.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Its key.
    pub peer: NodeId,
    /// Its address; `None` if a relay stands between.
    pub ip: Option<IpAddr>,
}

/// A center at work.
pub struct Office {
    id: NodeId,
    zone: String,
    registry: RwLock<Registry>,
    gate: Mutex<Gate>,
    store: Arc<dyn Store>,
    writer: Writer,
    clock: Clock,
    started: Instant,
    salt_key: [u8; 32],
}

impl Office {
    /// The office of the center that `secret` is, for names under `zone`.
    #[must_use]
    pub fn new(
        secret: &NodeSecret,
        zone: String,
        registry: Registry,
        (store, writer): (Arc<dyn Store>, Writer),
        clock: Clock,
    ) -> Self {
        Self {
            id: secret.id(),
            zone,
            registry: RwLock::new(registry),
            gate: Mutex::default(),
            store,
            writer,
            clock,
            started: Instant::now(),
            salt_key: secret.derive("center work salt"),
        }
    }

    /// The center's key.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Where names are given, without a dot at the end.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The wall clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The clock that never jumps.
    #[must_use]
    pub fn tick(&self) -> Duration {
        self.started.elapsed()
    }

    /// What is wrong with the database.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.writer.trouble()
    }

    /// A look into the registry; not to be held while waiting.
    pub fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn registry_mut(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request. The id is that of the node whose statement was accepted.
    pub async fn answer(&self, request: Request, caller: Caller) -> (Reply, Option<NodeId>) {
        let list = |most: u8| usize::from(most).min(LIST_MAX);
        let reply = match request {
            Request::State(signed) => return self.state(&signed, caller).await,
            Request::Find(target) => {
                let registry = self.registry();
                registry
                    .find(&target)
                    .map_or(Reply::NotFound, |entry| Reply::Found {
                        record: entry.record.clone(),
                        presence: entry.presence,
                    })
            }
            Request::Neighbors { most } => {
                let from = caller.ip.unwrap_or(IpAddr::from([0_u8; 4]));
                Reply::Neighbors(self.registry().neighbors(&caller.peer, from, list(most)))
            }
            Request::Relays { most } => Reply::Relays(self.registry().relays(list(most))),
        };
        (reply, None)
    }

    async fn state(&self, signed: &SignedStatement, caller: Caller) -> (Reply, Option<NodeId>) {
        let Ok(statement) = signed.open(&self.id, self.now()) else {
            return (Reply::Refused(Refusal::NotValid), None);
        };
        match self.take(&statement, caller).await {
            Ok(()) => (self.accepted(&statement), Some(statement.node)),
            Err(Refusal::Invite) if self.may_work(&statement) => (self.work(), None),
            Err(refusal) => (Reply::Refused(refusal), None),
        }
    }

    async fn take(&self, statement: &Statement, caller: Caller) -> Result<(), Refusal> {
        let salts = [self.salt(0), self.salt(1)];
        let (open, most) = {
            let settings = self.registry();
            let settings = settings.settings();
            (settings.open_on_private, settings.new_per_network_hour)
        };
        let asked = Asked {
            now: self.now(),
            tick: self.tick(),
            free: open && caller.ip.is_some_and(is_private),
            salts: &salts,
        };
        let judged = self.registry().judge(statement, &asked)?;
        if judged.is_new {
            let from = caller.ip.unwrap_or(IpAddr::from([0_u8; 4]));
            let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            if !gate.pass(from, most, asked.tick) {
                return Err(Refusal::TooMany);
            }
        }
        if let Some(write) = judged.write {
            self.write(write).await?;
        }
        self.registry_mut().apply(statement, &asked);
        Ok(())
    }

    async fn write(&self, write: Write) -> Result<(), Refusal> {
        match self.writer.write(write).await {
            Ok(Outcome::Done) => Ok(()),
            Ok(Outcome::Stale { have }) => Err(Refusal::Stale { have }),
            Ok(Outcome::NameTaken) => Err(Refusal::NameTaken),
            Ok(Outcome::InviteSpent) => Err(Refusal::Invite),
            Ok(Outcome::NoNode) => Err(Refusal::Unknown),
            Err(_) => Err(Refusal::Unavailable),
        }
    }

    fn accepted(&self, statement: &Statement) -> Reply {
        let registry = self.registry();
        let name = registry
            .get(&statement.node)
            .and_then(|entry| entry.name.clone());
        let renew = registry.settings().renew.as_secs();
        Reply::Accepted {
            zone: self.zone.clone(),
            name,
            renew_after_s: u32::try_from(renew).unwrap_or(u32::MAX),
        }
    }

    /// Who brought nothing is told what would do; who brought a bad invite is not set to work.
    fn may_work(&self, statement: &Statement) -> bool {
        let brought = match &statement.change {
            Change::Renew { admission, .. } => admission.is_some(),
            Change::ClaimName { .. } | Change::SetTexts { .. } | Change::Goodbye => true,
        };
        !brought && self.registry().settings().work_bits > 0
    }

    fn work(&self) -> Reply {
        Reply::Work {
            salt: self.salt(0),
            bits: self.registry().settings().work_bits,
        }
    }

    /// The salt of so many days ago.
    fn salt(&self, days_ago: i64) -> WorkSalt {
        let day = self.now().0.div_euclid(DAY_MS) - days_ago;
        let hash = blake3::keyed_hash(&self.salt_key, &day.to_be_bytes());
        let mut salt = WorkSalt::default();
        salt.copy_from_slice(&hash.as_bytes()[..16]);
        salt
    }

    /// A link whose other end is `node` is its heartbeat from now on.
    pub fn link_opened(&self, node: &NodeId) {
        self.registry_mut().link_opened(node);
    }

    /// That link has ended.
    pub fn link_closed(&self, node: &NodeId) {
        let (now, tick) = (self.now(), self.tick());
        self.registry_mut().link_closed(node, now, tick);
    }

    /// Lets go who was silent; how long until that is due again, at most a second.
    pub fn sweep(&self) -> Duration {
        let mut registry = self.registry_mut();
        registry.poll(self.now(), self.tick());
        let next = registry
            .next_deadline()
            .map(|due| due.saturating_sub(self.tick()));
        let (least, most) = (Duration::from_millis(20), Duration::from_secs(1));
        next.unwrap_or(most).clamp(least, most)
    }

    /// Tells the database whose presence has turned; with `all` also usage.
    ///
    /// # Errors
    /// The database's; what it did not take is told again later.
    pub async fn note(&self, all: bool) -> Result<(), StoreError> {
        loop {
            let rows = self.to_note(all);
            if rows.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.store.note(rows.clone()).await {
                self.registry_mut().put_back(&rows);
                return Err(error);
            }
        }
    }

    fn to_note(&self, all: bool) -> Vec<Seen> {
        let mut registry = self.registry_mut();
        let turned = registry.take_turned(NOTE_MAX);
        if turned.is_empty() && all {
            registry.take_unsaved(NOTE_MAX)
        } else {
            turned
        }
    }

    /// A change by the center's owner.
    ///
    /// # Errors
    /// The database's.
    pub async fn by_owner(&self, write: Write) -> Result<Outcome, StoreError> {
        let outcome = self.writer.write(write.clone()).await?;
        if outcome == Outcome::Done {
            let mut registry = self.registry_mut();
            match write {
                Write::Pin { id, pinned } => {
                    registry.pin(&id, pinned);
                }
                Write::Remove { id } => {
                    registry.remove(&id);
                }
                Write::Node { .. }
                | Write::Name { .. }
                | Write::Texts { .. }
                | Write::Invite { .. } => {}
            }
        }
        Ok(outcome)
    }
}
