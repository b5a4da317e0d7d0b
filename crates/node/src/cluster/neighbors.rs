//! The neighbors of this node: its record, its table on the disk, and the module that keeps them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use links::neighborhood::{
    Away, Book, Candidate, Finding, Neighborhood, Own, Owner, Settings, Shelf, View,
};
use links::{Endpoint, Protocol, Router, Standing};
use peers::lookup::Limits;
use peers::neighbors::{Size, Snapshot};
use protocol::message::lookup::Target;
use protocol::{Clock, NodeId};
use sharing::{Friend, Sharing};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::book::{self, PeopleBook, Searched};
use super::offers::{Offers, Presence, offers};
use super::record::Author;
use crate::layout;
use crate::modules::{Module, Task};
use crate::state::State;

/// Who is a friend is looked up in memory this often.
const FRIENDS_EVERY: std::time::Duration = std::time::Duration::from_secs(2);
/// Version of the file; one of a later version is left alone.
const FILE_VERSION: u32 = 1;

/// Accepted friends by their identity.
type Friends = HashMap<NodeId, Friend>;

/// Neighbors of a running node. Clones are the same.
#[derive(Clone)]
pub struct Neighbors(Arc<Inner>);

struct Inner {
    neighborhood: Mutex<Neighborhood>,
    owner: Mutex<Option<Owner>>,
    own: watch::Sender<Own>,
    author: Arc<Author>,
    port: u16,
    size: Size,
    shelf: Arc<TableFile>,
    book: Arc<PeopleBook>,
    searched: tokio::sync::Mutex<mpsc::Receiver<Searched>>,
    clock: Clock,
    sharing: Sharing,
    endpoint: Mutex<Option<Endpoint>>,
}

impl Neighbors {
    /// Reads the table and makes the first record, for `addresses`. Blocks.
    pub(crate) fn open(
        state: &State,
        name: &str,
        addresses: &[SocketAddr],
        port: u16,
    ) -> anyhow::Result<Self> {
        let digest = offers(port, Standing::Unknown).digest();
        let author = Arc::new(Author::new(state, name, digest, state.config.visibility));
        let (own, _) = watch::channel(author.write(addresses)?);
        let active = state.config.neighbors_max;
        let size = Size {
            active,
            known: Size::default().known.max(2 * active),
        };
        let shelf = Arc::new(TableFile {
            path: state.layout.state.join("neighbors.json"),
        });
        let (book, searched) = PeopleBook::new(&state.sharing, &state.secret, &state.clock);
        let book = Arc::new(book);
        let settings = settings(shelf.load()?, size, &shelf, &book, &own, &state.clock)?;
        let (neighborhood, owner) = Neighborhood::new(settings);
        Ok(Self(Arc::new(Inner {
            neighborhood: Mutex::new(neighborhood),
            owner: Mutex::new(Some(owner)),
            own,
            author,
            port,
            size,
            shelf,
            book,
            searched: tokio::sync::Mutex::new(searched),
            clock: Arc::clone(&state.clock),
            sharing: state.sharing.clone(),
            endpoint: Mutex::new(None),
        })))
    }

    /// Adds what neighbors are served to `router`.
    pub(crate) fn serve_on(&self, router: Router) -> Router {
        let presence = Presence {
            own: self.0.own.subscribe(),
        };
        router
            .with(Protocol::Ping, Arc::new(presence))
            .with(Protocol::Services, Arc::new(Offers { port: self.0.port }))
            .with(Protocol::Lookup, Arc::new(self.clone()))
    }

    /// Keeps the record and the links.
    pub(crate) fn module(&self, endpoint: &Endpoint) -> Module {
        *lock(&self.0.endpoint) = Some(endpoint.clone());
        let (neighbors, endpoint) = (self.clone(), endpoint.clone());
        Module::new(
            "neighbors",
            "keeps links to other nodes, finds nodes",
            move |task: Task| neighbors.clone().run(endpoint.clone(), task),
        )
    }

    async fn run(self, endpoint: Endpoint, task: Task) -> anyhow::Result<()> {
        let owner = self.owner().await?;
        let follow = Arc::clone(&self.0.author).follow(
            endpoint.watch_addresses(),
            self.0.own.clone(),
            task.stop.clone(),
        );
        let friends = self.follow_friends(task.stop.clone());
        let audit = book::audit(&self.0.sharing, &self.0.searched, task.stop.clone());
        tokio::join!(follow, friends, audit, owner.run(endpoint, task.stop));
        Ok(())
    }

    /// Friends are neighbors before strangers, and are called where they were last.
    async fn follow_friends(&self, stop: CancellationToken) {
        let mut known = Arc::default();
        let mut look = tokio::time::interval(FRIENDS_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
            }
            match self.0.sharing.accepted_friends() {
                Ok(now) if Arc::ptr_eq(&now, &known) => {}
                Ok(now) => {
                    self.greet(&known, &now).await;
                    known = now;
                }
                Err(error) => tracing::warn!(%error, "cannot read the friends"),
            }
        }
    }

    /// Tells the neighborhood who is a friend now and was none before, and who no longer is.
    async fn greet(&self, before: &Friends, now: &Friends) {
        for (node, friend) in now.iter().filter(|(node, _)| !before.contains_key(node)) {
            let _ = self.befriend(*node, true).await;
            self.meet(Candidate {
                id: *node,
                addresses: friend.addresses.clone(),
                name: None,
            });
        }
        for node in before.keys().filter(|node| !now.contains_key(node)) {
            let _ = self.befriend(*node, false).await;
        }
    }

    /// The owner of this run: the first one, or one that reads the table again.
    async fn owner(&self) -> anyhow::Result<Owner> {
        if let Some(owner) = lock(&self.0.owner).take() {
            return Ok(owner);
        }
        let shelf = Arc::clone(&self.0.shelf);
        let saved = tokio::task::spawn_blocking(move || shelf.load()).await??;
        let Inner {
            size,
            shelf,
            book,
            own,
            clock,
            ..
        } = &*self.0;
        let settings = settings(saved, *size, shelf, book, own, clock)?;
        let (neighborhood, owner) = Neighborhood::new(settings);
        *lock(&self.0.neighborhood) = neighborhood;
        Ok(owner)
    }

    /// This node's record, and each new one.
    #[must_use]
    pub fn own(&self) -> watch::Receiver<Own> {
        self.0.own.subscribe()
    }

    /// Somebody knows a record of this node with number `have`: a higher one is made.
    pub(crate) fn raise_seq(&self, have: u64) {
        self.0.author.raise(have);
    }

    /// A node may be at some addresses.
    pub fn meet(&self, candidate: Candidate) {
        self.now().meet(candidate);
    }

    /// `node` is a friend now, or none any more.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn befriend(&self, node: NodeId, friend: bool) -> Result<(), Away> {
        self.now().befriend(node, friend).await
    }

    /// Prefers `node`, or no longer.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn pin(&self, node: NodeId, pinned: bool) -> Result<(), Away> {
        self.now().pin(node, pinned).await
    }

    /// Forgets `node`; false if it was not known.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn forget(&self, node: NodeId) -> Result<bool, Away> {
        self.now().forget(node).await
    }

    /// All known nodes.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn list(&self) -> Result<Vec<View>, Away> {
        self.now().list().await
    }

    /// Seeks a node.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn find(
        &self,
        target: Target,
        limits: Limits,
    ) -> Result<mpsc::Receiver<Finding>, Away> {
        self.now().find(target, limits).await
    }

    /// The endpoint, once the module has it.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        lock(&self.0.endpoint).clone()
    }

    /// People and friends.
    pub(crate) fn sharing(&self) -> &Sharing {
        &self.0.sharing
    }

    /// The clock that ages of records are judged by.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Lookup messages sent and received.
    #[must_use]
    pub fn messages(&self) -> (u64, u64) {
        self.now().messages()
    }

    /// Digests of the own list that were told to neighbors.
    pub(crate) fn digests(&self) -> u64 {
        self.now().digests()
    }

    fn now(&self) -> Neighborhood {
        lock(&self.0.neighborhood).clone()
    }
}

impl links::Handler for Neighbors {
    fn serve(&self, link: links::Link) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move { self.now().serve(link).await })
    }
}

fn settings(
    saved: Snapshot,
    size: Size,
    shelf: &Arc<TableFile>,
    book: &Arc<PeopleBook>,
    own: &watch::Sender<Own>,
    clock: &Clock,
) -> anyhow::Result<Settings> {
    let mut seed = [0; 32];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut seed)
        .ok()
        .context("the operating system gives no random numbers")?;
    Ok(Settings {
        size,
        saved,
        shelf: Arc::clone(shelf) as Arc<dyn Shelf>,
        book: Arc::clone(book) as Arc<dyn Book>,
        own: own.subscribe(),
        clock: Arc::clone(clock),
        seed,
    })
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `<state>/neighbors.json`: the table, replaced as a whole. A file that cannot be read is kept
/// aside: neighbors are met again, and nothing else depends on it.
struct TableFile {
    path: PathBuf,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Written {
    version: u32,
    #[serde(flatten)]
    table: Snapshot,
}

impl TableFile {
    fn load(&self) -> anyhow::Result<Snapshot> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Snapshot::default());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", self.path.display()));
            }
        };
        match serde_json::from_slice::<Written>(&bytes) {
            Ok(written) if written.version == FILE_VERSION => return Ok(written.table),
            Ok(written) => tracing::warn!(
                version = written.version,
                "the table of neighbors is of another version"
            ),
            Err(error) => tracing::warn!(%error, "the table of neighbors cannot be read"),
        }
        let aside = self.path.with_extension("json.unread");
        if let Err(error) = std::fs::rename(&self.path, &aside) {
            tracing::warn!(%error, "the table of neighbors cannot be kept aside");
        }
        Ok(Snapshot::default())
    }
}

impl Shelf for TableFile {
    fn save(&self, snapshot: &Snapshot) {
        let written = Written {
            version: FILE_VERSION,
            table: snapshot.clone(),
        };
        let saved = serde_json::to_vec(&written)
            .map_err(anyhow::Error::from)
            .and_then(|bytes| Ok(layout::replace(&self.path, &bytes, 0o600)?));
        if let Err(error) = saved {
            tracing::error!(
                error = format!("{error:#}"),
                "cannot save the table of neighbors"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_cannot_be_read_is_kept_aside_and_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = TableFile {
            path: folder.path().join("neighbors.json"),
        };
        assert_eq!(file.load().unwrap(), Snapshot::default());
        file.save(&Snapshot::default());
        assert_eq!(file.load().unwrap(), Snapshot::default());
        for unread in ["{", r#"{"version":9,"neighbors":[]}"#] {
            std::fs::write(&file.path, unread).unwrap();
            assert_eq!(file.load().unwrap(), Snapshot::default());
            assert!(!file.path.exists());
            let aside = std::fs::read_to_string(folder.path().join("neighbors.json.unread"));
            assert_eq!(aside.unwrap(), unread);
        }
    }
}
