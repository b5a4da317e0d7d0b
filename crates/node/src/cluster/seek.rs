//! Seeks a node (R26, R29 to R35): what this one knows, without a packet; then the center and the
//! neighbors at the same time. Whoever knows it first ends the search; what the center says counts
//! only as far as the node itself has signed it.

use std::time::{Duration, Instant};

use links::neighborhood::{Away, Finding};
use peers::lookup::{End, Limits, Outcome};
use protocol::message::center::{self, Presence};
use protocol::message::lookup::Target;
use protocol::{NodeId, NodeName, NodeRecord};
use tokio::time::timeout;

use super::center::FindError;
use super::{Neighbors, Registration};

/// Whom a person seeks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sought {
    /// The node with this key.
    Id(NodeId),
    /// Any node that calls itself so.
    Name(NodeName),
    /// The one that has this name in the center's zone.
    AtCenter(NodeName),
}

impl Sought {
    /// An id, a name with or without `.local`, or a name in the zone of the center.
    ///
    /// # Errors
    /// What is wrong with the words, for people.
    pub(crate) fn read(text: &str, center: Option<&Registration>) -> Result<Self, String> {
        let zone = center.and_then(|center| center.status().zone);
        Self::in_zone(text, zone.as_deref())
    }

    fn in_zone(text: &str, zone: Option<&str>) -> Result<Self, String> {
        if let Ok(id) = text.parse::<NodeId>() {
            return Ok(Self::Id(id));
        }
        let text = text.trim_end_matches('.').to_ascii_lowercase();
        let label = zone.and_then(|zone| text.strip_suffix(zone)?.strip_suffix('.'));
        if let Some(label) = label {
            if let Ok(id) = label.parse::<NodeId>() {
                return Ok(Self::Id(id));
            }
            return label
                .parse()
                .map(Self::AtCenter)
                .map_err(|error| error.to_string());
        }
        let name = text.trim_end_matches(".local").parse();
        name.map(Self::Name)
            .map_err(|error| format!("{error}, and it is no id of a node either"))
    }

    /// For neighbors, if they can know it.
    fn among_neighbors(&self) -> Option<Target> {
        match self {
            Self::Id(node) => Some(Target::Node(*node)),
            Self::Name(name) => Some(Target::named(name)),
            Self::AtCenter(_) => None,
        }
    }

    fn at_center(&self) -> center::Target {
        match self {
            Self::Id(node) => center::Target::Id(*node),
            Self::Name(name) | Self::AtCenter(name) => center::Target::Name(name.clone()),
        }
    }
}

/// Who knew a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// This node itself.
    Local,
    /// The answer came from this neighbor.
    Neighbor(NodeId),
    /// The center, and what it thinks of the node's presence.
    Center(Presence),
}

/// What a search found, newest record of each node.
pub(crate) struct Found {
    pub(crate) nodes: Vec<FoundNode>,
    /// Messages that it caused.
    pub(crate) messages: u32,
    pub(crate) took: Duration,
    pub(crate) end: End,
    /// Why the center's word is missing.
    pub(crate) center_trouble: Option<String>,
}

pub(crate) struct FoundNode {
    pub(crate) record: NodeRecord,
    pub(crate) hops: u16,
    pub(crate) from: Source,
}

type Asked = Result<Option<FoundNode>, FindError>;

/// Seeks until somebody knows it or the deadline is over.
///
/// # Errors
/// [`Away`] if the neighbors cannot be asked and no center knows it.
pub(crate) async fn seek(
    neighbors: &Neighbors,
    center: Option<&Registration>,
    sought: &Sought,
    limits: Limits,
) -> Result<Found, Away> {
    let begun = Instant::now();
    let Some(center) = center else {
        return match sought.among_neighbors() {
            Some(target) => search(neighbors, target, limits).await,
            None => Ok(Found::none(begun)),
        };
    };
    let Some(target) = sought.among_neighbors() else {
        let asked = ask(center, sought, limits.deadline).await;
        let mut found = Found::none(begun);
        found.add(asked);
        return Ok(found);
    };
    if knows(neighbors, sought).await {
        return search(neighbors, target, limits).await;
    }
    let before = neighbors.messages().0;
    let mut lookup = std::pin::pin!(search(neighbors, target, limits));
    let mut asking = std::pin::pin!(ask(center, sought, limits.deadline));
    tokio::select! {
        searched = &mut lookup => {
            if searched.as_ref().is_ok_and(|found| !found.nodes.is_empty()) {
                return searched;
            }
            let asked = asking.await;
            let is_known = matches!(asked, Ok(Some(_)));
            let mut found = match searched {
                Err(_) if is_known => Found::none(begun),
                searched => searched?,
            };
            found.add(asked);
            found.took = begun.elapsed();
            Ok(found)
        }
        asked = &mut asking => {
            if matches!(asked, Ok(Some(_))) {
                let mut found = Found::none(begun);
                let sent = neighbors.messages().0.saturating_sub(before);
                found.messages = u32::try_from(sent).unwrap_or(u32::MAX);
                found.add(asked);
                return Ok(found);
            }
            let mut found = lookup.await?;
            found.add(asked);
            Ok(found)
        }
    }
}

/// One question to the center, bounded.
async fn ask(center: &Registration, sought: &Sought, deadline: Duration) -> Asked {
    let asked = timeout(deadline, center.find(sought.at_center())).await;
    let found = asked.unwrap_or(Err(FindError::Late))?;
    Ok(found.map(|found| FoundNode {
        record: found.record,
        hops: 0,
        from: Source::Center(found.presence),
    }))
}

/// True if the neighbors' table has it: then nobody is asked (R30).
async fn knows(neighbors: &Neighbors, sought: &Sought) -> bool {
    let Ok(known) = neighbors.list().await else {
        return false;
    };
    known.iter().any(|view| match sought {
        Sought::Id(node) => view.id == *node && !view.addresses.is_empty(),
        Sought::Name(name) => view.name.as_ref() == Some(name),
        Sought::AtCenter(_) => false,
    })
}

/// Asks the neighbors; over at the deadline.
async fn search(neighbors: &Neighbors, target: Target, limits: Limits) -> Result<Found, Away> {
    let mut findings = neighbors.find(target, limits).await?;
    let mut nodes: Vec<FoundNode> = Vec::new();
    // The machine keeps the deadline; this is for the case that it stops meanwhile.
    let patience = limits.deadline + Duration::from_secs(1);
    let outcome = timeout(patience, async {
        loop {
            match findings.recv().await {
                Some(Finding::Found {
                    record, hops, from, ..
                }) => {
                    let known = nodes
                        .iter_mut()
                        .find(|known| known.record.node == record.node);
                    match known {
                        Some(known) if known.record.seq < record.seq => known.record = *record,
                        Some(_) => {}
                        None => nodes.push(FoundNode {
                            record: *record,
                            hops,
                            from: from.map_or(Source::Local, Source::Neighbor),
                        }),
                    }
                }
                Some(Finding::Cards { .. }) => {}
                Some(Finding::Finished(outcome)) => return Ok(outcome),
                None => return Err(Away),
            }
        }
    });
    let Outcome {
        messages,
        took,
        end,
        ..
    } = outcome.await.unwrap_or(Err(Away))?;
    Ok(Found {
        nodes,
        messages,
        took,
        end,
        center_trouble: None,
    })
}

impl Found {
    fn none(begun: Instant) -> Self {
        Self {
            nodes: Vec::new(),
            messages: 0,
            took: begun.elapsed(),
            end: End::Exhausted,
            center_trouble: None,
        }
    }

    /// Adds what the center said.
    fn add(&mut self, asked: Asked) {
        if !matches!(asked, Err(FindError::Away)) {
            self.messages = self.messages.saturating_add(1);
        }
        match asked {
            Ok(Some(node)) => {
                self.nodes.push(node);
                self.end = End::Found;
            }
            Ok(None) => {}
            Err(error) => self.center_trouble = Some(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_is_an_id_or_a_name() {
        let id = protocol::NodeSecret::from_bytes([7; 32]).id();
        let read = |text: &str| Sought::in_zone(text, Some("cloud.test"));
        assert_eq!(read(&id.to_string()).unwrap(), Sought::Id(id));
        assert_eq!(read(&format!("{id}.cloud.test")).unwrap(), Sought::Id(id));
        let anna: NodeName = "anna".parse().unwrap();
        for text in ["anna", "Anna", "anna.local", "anna.local."] {
            assert_eq!(read(text).unwrap(), Sought::Name(anna.clone()), "{text}");
        }
        for text in ["anna.cloud.test", "Anna.Cloud.Test."] {
            assert_eq!(
                read(text).unwrap(),
                Sought::AtCenter(anna.clone()),
                "{text}"
            );
            assert!(Sought::in_zone(text, None).is_err(), "there is no center");
        }
        for text in [
            "",
            "anna.example.org",
            "two words",
            ".cloud.test",
            "cloud.test",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
