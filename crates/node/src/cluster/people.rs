//! Seeking people: in the own book, then in those of friends and of their friends (R52).

use std::time::Duration;

use links::neighborhood::{Away, Finding};
use peers::lookup::Limits;
use protocol::NodeId;
use protocol::message::lookup::{ContactCard, ContactScope, Target, Term};
use sharing::{Reach, Sharing};
use tokio::time::timeout;

use super::Neighbors;
use super::book::matching;

/// Cards that one search shows.
const SHOWN_MAX: usize = 200;

/// A card and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundPerson {
    /// The card.
    pub(crate) card: ContactCard,
    /// Whose book it is in; `None`: this node's.
    pub(crate) holder: Option<NodeId>,
    /// What the holder is called here, if it is a friend.
    pub(crate) friend: Option<String>,
    /// Links between friends to the holder; 0: this node.
    pub(crate) links: u16,
}

impl Neighbors {
    /// Seeks people, for somebody who has an account here. Ends within `deadline`.
    ///
    /// # Errors
    /// [`Away`]: friends cannot be asked.
    pub(crate) async fn people(
        &self,
        term: &Term,
        scope: ContactScope,
        deadline: Duration,
    ) -> Result<Vec<FoundPerson>, Away> {
        let mut found = Vec::new();
        let target = Target::Contact {
            scope,
            term: term.clone(),
        };
        let limits = Limits {
            deadline,
            ..Limits::default()
        };
        let mut findings = self.find(target, limits).await?;
        let search = async {
            while let Some(finding) = findings.recv().await {
                match finding {
                    Finding::Cards {
                        holder,
                        cards,
                        hops,
                    } => found.extend(cards.into_iter().map(|card| FoundPerson {
                        card,
                        holder: Some(holder),
                        friend: None,
                        links: hops,
                    })),
                    Finding::Found { .. } => {}
                    Finding::Finished(_) => return,
                }
            }
        };
        // The machine keeps the deadline; this is for the case that it stops meanwhile.
        let _ = timeout(deadline + Duration::from_secs(1), search).await;
        let (sharing, term) = (self.sharing().clone(), term.clone());
        let complete = tokio::task::spawn_blocking(move || complete(&sharing, &term, found));
        complete.await.map_err(|_| Away)
    }
}

/// Puts those of the own book before `found`, and names the friends whose books the others are in.
fn complete(sharing: &Sharing, term: &Term, found: Vec<FoundPerson>) -> Vec<FoundPerson> {
    let own = matching(sharing, &term.0, Reach::Household);
    let own = own.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot read the cards");
        Vec::new()
    });
    let own = own.into_iter().map(|card| FoundPerson {
        card,
        holder: None,
        friend: None,
        links: 0,
    });
    let friends = sharing.accepted_friends().unwrap_or_default();
    let others = found.into_iter().map(|mut person| {
        let friend = person.holder.and_then(|holder| friends.get(&holder));
        person.friend = friend.map(|friend| friend.name.to_string());
        person
    });
    own.chain(others).take(SHOWN_MAX).collect()
}
