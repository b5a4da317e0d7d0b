//! Which links stand, and telling the lookups of it.

use std::time::Instant;

use peers::lookup::{self, Linked};
use peers::neighbors;
use protocol::NodeId;
use protocol::message::lookup::LookupMessage;
use tokio::sync::mpsc;

use super::super::Introduction;
use super::{Keeper, REST, Standing};
use crate::{CloseCode, Link};

impl Keeper {
    pub(super) fn stands(
        &mut self,
        link: Link,
        ours: bool,
        introduction: Introduction,
        outbox: mpsc::Sender<LookupMessage>,
    ) {
        let node = link.peer();
        self.stale = true;
        if ours {
            self.dialer.answered(self.now(), node, REST);
        }
        let shunned = self.notes.get(&node).and_then(|note| note.shunned_until);
        if shunned.is_some_and(|until| until > Instant::now()) {
            link.close(CloseCode::NotAllowed, "too many answers that were none");
            return;
        }
        tracing::debug!(%node, ours, "a neighbor is linked");
        let rtt = link.rtt();
        self.links.entry(node).or_default().push(Standing {
            received: link.datagrams().1,
            link,
            ours,
            outbox,
            since: Instant::now(),
            heard: Instant::now(),
        });
        self.note(node).trouble = None;
        self.met(introduction, Some(rtt));
        self.one_link_each(node);
        self.bound_links(node);
        // Behind a new link may be a node that has started anew.
        if self.linked.iter().any(|linked| linked.node == node) {
            self.seek(lookup::Event::Unlinked(node));
            self.seek(lookup::Event::Linked(node));
        }
        self.relink();
    }

    /// Two nodes that call each other at the same time keep the link of the smaller id; both sides
    /// decide alike.
    fn one_link_each(&mut self, node: NodeId) {
        let me = self.endpoint.id();
        let Some(links) = self.links.get_mut(&node) else {
            return;
        };
        let of_smaller = |standing: &Standing| standing.ours == (me < node);
        if links.len() > 1 && links.iter().any(of_smaller) {
            links.retain(|standing| {
                let keep = of_smaller(standing);
                if !keep {
                    standing.link.close(CloseCode::Done, "one link is enough");
                }
                keep
            });
            // The newest of several: an older one may be dead and not know it.
            while links.len() > 1 {
                links
                    .remove(0)
                    .link
                    .close(CloseCode::Done, "one link is enough");
            }
        }
    }

    /// Others may link to this node, but not without end.
    fn bound_links(&mut self, newest: NodeId) {
        let wanted = self.table.get(newest).is_some_and(|known| known.active);
        if self.links.len() > 2 * self.size.active && !wanted {
            for standing in self.links.remove(&newest).into_iter().flatten() {
                standing
                    .link
                    .close(CloseCode::Busy, "this node has all the neighbors it wants");
            }
        }
    }

    pub(super) fn ended(&mut self, link: &Link, why: String) {
        let node = link.peer();
        self.stale = true;
        let Some(links) = self.links.get_mut(&node) else {
            return;
        };
        links.retain(|standing| !standing.link.is_closed() && !standing.outbox.is_closed());
        if !links.is_empty() {
            return;
        }
        self.links.remove(&node);
        tracing::debug!(%node, %why, "a neighbor's link ended");
        self.note(node).trouble = Some(why);
        let now = self.now();
        self.dialer.answered(now, node, REST);
        self.known(neighbors::Event::Gone(node));
        self.relink();
    }

    pub(super) fn relink(&mut self) {
        let linked: Vec<Linked> = self
            .links
            .iter()
            .filter_map(|(node, links)| {
                let standing = links.last()?;
                let known = self.table.get(*node);
                Some(Linked {
                    node: *node,
                    rtt: standing.link.rtt(),
                    friend: known.is_some_and(|known| known.standing.friend),
                })
            })
            .collect();
        let before = std::mem::replace(&mut self.linked, linked);
        let is_in = |all: &[Linked], node| all.iter().any(|linked| linked.node == node);
        let ended = before.iter().filter(|was| !is_in(&self.linked, was.node));
        let begun = self.linked.iter().filter(|is| !is_in(&before, is.node));
        let ended = ended.map(|linked| lookup::Event::Unlinked(linked.node));
        let begun = begun.map(|linked| lookup::Event::Linked(linked.node));
        for event in ended.chain(begun).collect::<Vec<_>>() {
            self.seek(event);
        }
    }
}
