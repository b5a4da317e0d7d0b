//! The adapter to the mDNS daemon: announce, browse, verify, say goodbye.
//!
//! One daemon (a thread) a process. Its events are taken at once: the channel holds 1000, and a
//! daemon that cannot deliver ends the subscription without a word, so an ended channel is followed
//! by a new search. Interfaces are looked at every second (R5). Loopback carries nothing. Questions
//! go by multicast only, as a second daemon on port 5353 may take the answers to others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use mdns_sd::{DaemonEvent, Error, IfKind, Receiver, ResolvedService, ServiceDaemon, ServiceEvent};
use protocol::NodeId;
use protocol::announcement::{SERVICE, Tag};

use super::announcing::{Presented, services};
use super::instance::{Instance, Verdict};
use super::sighting::{self, Announced};
use super::{ADDRESSES_MAX, DiscoveryError, INSTANCES_MAX, RECORDS_MAX, Sighting};

/// How often the daemon looks for interfaces that came or went.
const INTERFACES_EVERY_S: u32 = 1;
/// Two searches are at least so far apart.
const SEARCH_PAUSE: Duration = Duration::from_millis(300);
/// A goodbye is sent again after 120 ms by the daemon; then it may end.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(180);
/// The daemon's queue of 100 commands may be full for a moment.
const COMMAND_TRIES: u32 = 20;
const COMMAND_PAUSE: Duration = Duration::from_millis(5);

/// How often the daemon's records are counted.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// What happens on the local network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A node is announced, for the first time, again, or with other addresses.
    Found(Sighting),
    /// A node answered.
    Alive(NodeId),
    /// A node said that it leaves.
    Goodbye(NodeId),
}

/// Tells whose a hidden announcement is: its tags and its label.
type Recognize = Box<dyn Fn(&[Tag], &str) -> Option<NodeId> + Send + Sync>;

/// The local network, heard and told through one mDNS daemon.
pub struct Lan {
    daemon: ServiceDaemon,
    found: Receiver<ServiceEvent>,
    /// The search before: what it has told is read to its end, or a goodbye could be lost.
    before: Option<Receiver<ServiceEvent>>,
    interfaces: Receiver<DaemonEvent>,
    own: Option<NodeId>,
    recognize: Recognize,
    instances: BTreeMap<String, Instance>,
    announced: Vec<String>,
    /// All names that were ever announced here: a hidden one would be taken for a friend's.
    mine: BTreeSet<String>,
    ready: VecDeque<Event>,
    interface_lost: Option<Instant>,
    /// When to search again.
    search_at: Option<Instant>,
    searched: Instant,
    count_at: Instant,
}

impl Lan {
    /// Starts to listen. `own` is not told as found.
    pub fn open(own: Option<NodeId>) -> Result<Self, DiscoveryError> {
        let start = DiscoveryError::while_("start mDNS");
        let daemon = ServiceDaemon::new().map_err(start)?;
        let set = DiscoveryError::while_("set up mDNS");
        let (found, interfaces) = daemon
            .disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])
            .and_then(|()| daemon.set_ip_check_interval(INTERFACES_EVERY_S))
            .and_then(|()| daemon.monitor())
            .and_then(|interfaces| Ok((daemon.browse(&service())?, interfaces)))
            .map_err(set)?;
        Ok(Self {
            daemon,
            found,
            before: None,
            interfaces,
            own,
            recognize: Box::new(|_, _| None),
            instances: BTreeMap::new(),
            announced: Vec::new(),
            mine: BTreeSet::new(),
            ready: VecDeque::new(),
            interface_lost: None,
            search_at: None,
            searched: Instant::now(),
            count_at: Instant::now() + COUNT_EVERY,
        })
    }

    /// Recognizes hidden nodes by `recognize` from now on, also those that were passed over.
    pub fn recognize(
        &mut self,
        recognize: impl Fn(&[Tag], &str) -> Option<NodeId> + Send + Sync + 'static,
    ) {
        self.recognize = Box::new(recognize);
        self.search_at.get_or_insert_with(Instant::now);
    }

    /// Announces this node, in place of what was announced before.
    pub async fn announce(&mut self, presented: &Presented) -> Result<(), DiscoveryError> {
        let services = services(presented)?;
        let names: Vec<_> = services
            .iter()
            .map(|s| s.get_fullname().to_owned())
            .collect();
        self.mine.extend(names.iter().cloned());
        let old = std::mem::replace(&mut self.announced, names);
        for name in old.iter().filter(|old| !self.announced.contains(old)) {
            let told = with_patience(|| self.daemon.unregister(name)).await;
            told.map_err(DiscoveryError::while_("take back an announcement"))?;
        }
        for service in services {
            let told = with_patience(|| self.daemon.register(service.clone())).await;
            told.map_err(DiscoveryError::while_("announce the node"))?;
        }
        Ok(())
    }

    /// Asks the network whether `node` is there; an [`Event::Alive`] follows if it answers within
    /// `time`, which the answer may exceed by a fifth of a second.
    pub async fn verify(&mut self, node: NodeId, time: Duration) -> Result<(), DiscoveryError> {
        let now = Instant::now();
        for (name, instance) in &mut self.instances {
            if instance.sighting.node != node {
                continue;
            }
            if !instance.resolved() {
                self.search_at.get_or_insert(now);
                continue;
            }
            let asked = with_patience(|| self.daemon.verify(name.clone(), time)).await;
            asked.map_err(DiscoveryError::while_("ask for a node"))?;
            instance.ask(Instant::now() + time);
        }
        Ok(())
    }

    /// Keeps nothing about `node`; it is found anew if it is announced again.
    pub fn forget(&mut self, node: NodeId) {
        // What the daemon still holds would not be told again.
        self.instances
            .retain(|_, instance| instance.sighting.node != node || instance.resolved());
    }

    /// Waits for the next event. May be dropped and called again.
    pub async fn next(&mut self) -> Result<Event, DiscoveryError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let wake = self.next_deadline();
            tokio::select! {
                biased;
                event = last_words(self.before.as_ref()) => match event {
                    Some(event) => self.take(event),
                    None => self.before = None,
                },
                event = self.found.recv_async() => match event {
                    Ok(event) => self.take(event),
                    // It was cut off because we were slow, or the daemon ended: then this fails.
                    Err(_) => self.search().await?,
                },
                event = self.interfaces.recv_async() => self.note(event.ok())?,
                () = sleep_until(Some(wake)) => self.decide().await?,
            }
        }
    }

    /// Says goodbye and ends the daemon, within half a second.
    pub async fn close(self) {
        let left: Vec<_> = self
            .announced
            .iter()
            .map(|name| self.daemon.unregister(name))
            .collect();
        if left.iter().any(Result::is_ok) {
            tokio::time::sleep(GOODBYE_PATIENCE).await;
        }
        match self.daemon.shutdown() {
            Ok(ended) => {
                let _ = tokio::time::timeout(GOODBYE_PATIENCE, ended.recv_async()).await;
            }
            Err(error) => tracing::debug!(%error, "mDNS had ended before"),
        }
    }

    fn next_deadline(&self) -> Instant {
        let due = self.instances.values().filter_map(Instance::due);
        due.chain(self.search_due())
            .fold(self.count_at, Instant::min)
    }

    fn search_due(&self) -> Option<Instant> {
        self.search_at
            .map(|at| at.max(self.searched + SEARCH_PAUSE))
    }

    /// Fails when the daemon keeps too much.
    async fn count(&mut self) -> Result<(), DiscoveryError> {
        self.count_at = Instant::now() + COUNT_EVERY;
        let asked = with_patience(|| self.daemon.get_metrics()).await;
        let asked = asked.map_err(DiscoveryError::while_("count what was heard"))?;
        let Ok(metrics) = asked.recv_async().await else {
            return Ok(());
        };
        let kept = metrics
            .iter()
            .filter(|(name, _)| name.starts_with("cached-"));
        let records = kept.map(|(_, count)| (*count).max(0).unsigned_abs()).sum();
        if records > RECORDS_MAX {
            return Err(DiscoveryError::Flooded { records });
        }
        Ok(())
    }

    async fn search(&mut self) -> Result<(), DiscoveryError> {
        // A search that is dropped on its way is begun again.
        let search = with_patience(|| self.daemon.browse(&service())).await;
        let search = search.map_err(DiscoveryError::while_("search for nodes"))?;
        while let Some(event) = self.before.as_ref().and_then(|old| old.try_recv().ok()) {
            self.take(event);
        }
        self.before = Some(std::mem::replace(&mut self.found, search));
        self.search_at = None;
        self.searched = Instant::now();
        Ok(())
    }

    fn note(&mut self, event: Option<DaemonEvent>) -> Result<(), DiscoveryError> {
        match event {
            Some(DaemonEvent::IpDel(address)) => {
                tracing::debug!(%address, "discovery lost an address of this computer");
                self.interface_lost = Some(Instant::now());
            }
            Some(DaemonEvent::IpAdd(address)) => {
                tracing::debug!(%address, "discovery goes on at a new address of this computer");
                self.search_at.get_or_insert_with(Instant::now);
            }
            Some(DaemonEvent::Error(error)) => {
                tracing::debug!(%error, "trouble with mDNS");
            }
            Some(DaemonEvent::NameChange(change)) => tracing::info!(
                from = change.original,
                to = change.new_name,
                "another machine has this name; mDNS announces another one"
            ),
            Some(_) => {}
            None => {
                let listen = DiscoveryError::while_("watch the interfaces");
                self.interfaces = self.daemon.monitor().map_err(listen)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, event: ServiceEvent) {
        let now = Instant::now();
        match event {
            ServiceEvent::ServiceResolved(service) => self.resolved(&service, now),
            ServiceEvent::ServiceRemoved(_, name) => {
                let Some(instance) = self.instances.get_mut(&name) else {
                    return;
                };
                if let Some(verdict) = instance.removed(now) {
                    let node = instance.sighting.node;
                    self.judged(node, verdict, now);
                }
            }
            // What is about the search itself.
            ServiceEvent::SearchStarted(_)
            | ServiceEvent::ServiceFound(..)
            | ServiceEvent::SearchStopped(_)
            | _ => {}
        }
    }

    fn resolved(&mut self, service: &ResolvedService, now: Instant) {
        let Some(sighting) = self.identify(service) else {
            return;
        };
        let node = sighting.node;
        let full = self.instances.len() >= INSTANCES_MAX;
        let before = self.merged(node);
        let back = match self.instances.get_mut(&service.fullname) {
            Some(instance) => instance.found(sighting, now),
            None if full => return,
            None => {
                let instance = Instance::new(sighting, now);
                self.instances.insert(service.fullname.clone(), instance);
                true
            }
        };
        let after = self.merged(node);
        if before != after {
            self.ready.extend(after.map(Event::Found));
        }
        if back {
            self.ready.push_back(Event::Alive(node));
        }
    }

    fn identify(&self, service: &ResolvedService) -> Option<Sighting> {
        if self.mine.contains(&service.fullname) {
            return None;
        }
        let sighting = match sighting::read(service)? {
            Announced::Open(sighting) => sighting,
            Announced::Hidden { tags, rest } => {
                let label = service.fullname.split('.').next()?;
                let node = (self.recognize)(&tags, label)?;
                Sighting { node, ..rest }
            }
        };
        (Some(sighting.node) != self.own).then_some(sighting)
    }

    /// All that is announced under one id; the announcement under its own label stands first, so that
    /// an impostor adds addresses but takes none away.
    fn merged(&self, node: NodeId) -> Option<Sighting> {
        let own_label = node.to_string();
        let mut all: Vec<_> = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.sighting.node == node && instance.resolved())
            .collect();
        all.sort_by_key(|(name, _)| !name.starts_with(&own_label));
        let mut merged = all.first()?.1.sighting.clone();
        for (_, other) in &all[1..] {
            for address in &other.sighting.addresses {
                if merged.addresses.len() < ADDRESSES_MAX && !merged.addresses.contains(address) {
                    merged.addresses.push(*address);
                }
            }
        }
        Some(merged)
    }

    async fn decide(&mut self) -> Result<(), DiscoveryError> {
        let now = Instant::now();
        let lost = self.interface_lost;
        let verdicts: Vec<_> = self
            .instances
            .values_mut()
            .filter_map(|one| Some((one.sighting.node, one.decide(now, lost)?)))
            .collect();
        for (node, verdict) in verdicts {
            self.judged(node, verdict, now);
        }
        if self.search_due().is_some_and(|at| at <= now) {
            self.search().await?;
        }
        if self.count_at <= now {
            self.count().await?;
        }
        Ok(())
    }

    fn judged(&mut self, node: NodeId, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Alive => self.ready.push_back(Event::Alive(node)),
            Verdict::Lost => {
                self.search_at.get_or_insert(now);
            }
            Verdict::Left => {
                let others = self.merged(node).is_some();
                self.forget(node);
                if !others {
                    self.ready.push_back(Event::Goodbye(node));
                }
            }
        }
    }
}

fn service() -> String {
    format!("{SERVICE}.local.")
}

/// What an ended search has left to tell; `None` at its end.
async fn last_words(search: Option<&Receiver<ServiceEvent>>) -> Option<ServiceEvent> {
    match search {
        Some(search) => search.recv_async().await.ok(),
        None => std::future::pending().await,
    }
}

pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Gives the daemon a command, again while its queue is full.
async fn with_patience<T>(mut command: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 1..COMMAND_TRIES {
        match command() {
            Err(Error::Again) => tokio::time::sleep(COMMAND_PAUSE).await,
            result => return result,
        }
    }
    command()
}
