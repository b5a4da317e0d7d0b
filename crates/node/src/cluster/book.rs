//! The address book of this node: the cards of its people, as friends and their friends find them
//! (R52).
//!
//! A search is answered from memory by the task that owns the links, and audited by a task of its
//! own. Nothing is told that cannot be audited: while the audit is behind, the book is shut. A
//! friend may search a few times a minute, so that a book cannot be read out by trying. At a crash
//! the rows of the last moment may be missing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use links::neighborhood::Book;
use protocol::message::lookup::{CARDS_MAX, ContactCard, QueryId, SignedCards, Term};
use protocol::{Clock, NodeId, NodeSecret, Timestamp};
use sharing::{Action, Event, Reach, Sharing, SharingError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Searches that are not audited yet.
const UNAUDITED_MAX: usize = 64;
/// A friend may search so often in [`WINDOW`], for itself and its friends together.
const SEARCHES_MAX: u32 = 30;
const WINDOW: Duration = Duration::from_secs(60);

/// A search by a friend, for the audit.
#[derive(Debug)]
pub(super) struct Searched {
    at: Timestamp,
    from: NodeId,
    links: u8,
    term: Term,
    cards: usize,
}

/// What friends find.
pub(super) struct PeopleBook {
    sharing: Sharing,
    secret: NodeSecret,
    clock: Clock,
    searched: mpsc::Sender<Searched>,
    /// When the window of a friend began, and its searches since.
    windows: Mutex<HashMap<NodeId, (Instant, u32)>>,
}

impl PeopleBook {
    /// The book, and what it has answered.
    pub(super) fn new(
        sharing: &Sharing,
        secret: &NodeSecret,
        clock: &Clock,
    ) -> (Self, mpsc::Receiver<Searched>) {
        let (searched, receiver) = mpsc::channel(UNAUDITED_MAX);
        let book = Self {
            sharing: sharing.clone(),
            secret: secret.clone(),
            clock: Clock::clone(clock),
            searched,
            windows: Mutex::default(),
        };
        (book, receiver)
    }

    fn may_search(&self, from: NodeId, now: Instant) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|_, (begun, _)| now.duration_since(*begun) < WINDOW);
        let (_, searches) = windows.entry(from).or_insert((now, 0));
        *searches += 1;
        *searches <= SEARCHES_MAX
    }
}

impl Book for PeopleBook {
    fn search(&self, from: NodeId, qid: QueryId, links: u8, term: &Term) -> Option<SignedCards> {
        // The owner task learns of an end of friendship a moment later.
        let friends = self.sharing.accepted_friends();
        let friends =
            friends.inspect_err(|error| tracing::error!(%error, "cannot tell who is a friend"));
        if !friends.ok()?.contains_key(&from) || !self.may_search(from, Instant::now()) {
            return None;
        }
        let least = match links {
            1 => Reach::Friends,
            2 => Reach::FriendsOfFriends,
            _ => return None,
        };
        let cards = matching(&self.sharing, &term.0, least)
            .inspect_err(|error| tracing::error!(%error, "cannot read the cards"))
            .ok()?;
        let searched = Searched {
            at: (self.clock)(),
            from,
            links,
            term: term.clone(),
            cards: cards.len(),
        };
        self.searched.try_send(searched).ok()?;
        if cards.is_empty() {
            return None;
        }
        SignedCards::sign(qid, cards, &self.secret)
            .inspect_err(|error| tracing::error!(%error, "cannot sign cards"))
            .ok()
    }
}

/// The first cards with `term` that are found at `least` so far away.
pub(super) fn matching(
    sharing: &Sharing,
    term: &str,
    least: Reach,
) -> Result<Vec<ContactCard>, SharingError> {
    let directory = sharing.directory()?;
    let found = directory
        .iter()
        .filter(|card| card.reach >= least && card.has(term));
    let found = found.take(CARDS_MAX);
    Ok(found.map(|card| card.content.clone()).collect())
}

/// Writes the audit of what friends sought here, until `stop`.
pub(super) async fn audit(
    sharing: &Sharing,
    searched: &tokio::sync::Mutex<mpsc::Receiver<Searched>>,
    stop: CancellationToken,
) {
    let mut searched = searched.lock().await;
    loop {
        let row = tokio::select! {
            () = stop.cancelled() => return,
            row = searched.recv() => row,
        };
        let Some(row) = row else { return };
        let sharing = sharing.clone();
        let written = tokio::task::spawn_blocking(move || note(&sharing, row)).await;
        if let Ok(Err(error)) = written {
            tracing::error!(%error, "cannot audit a search by a friend");
        }
    }
}

fn note(sharing: &Sharing, row: Searched) -> Result<(), SharingError> {
    let friend = sharing.friend_by_node(row.from)?;
    let who = friend.map_or_else(|| row.from.to_string(), |friend| friend.name.to_string());
    let detail = match (row.cards, row.links) {
        (cards, 1) => format!("{cards} cards"),
        (cards, _) => format!("{cards} cards, for a friend of this friend"),
    };
    let event = Event {
        via: "node key".into(),
        detail,
        ..Event::by(
            &format!("friend {who}"),
            row.at,
            Action::ContactAnswer,
            row.term.0,
        )
    };
    sharing.audit(event)
}
