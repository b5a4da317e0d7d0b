//! Counting refusals, so that a scanner at the door fills neither disk nor log.
//!
//! The first refusal of an actor, address and minute is a row at once; the others of that minute
//! are counted in memory and become one more row when it is over.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::PoisonError;

use protocol::Timestamp;

use super::event::{Action, Event, Outcome};
use crate::actor::{Asker, Who};
use crate::{Sharing, SharingError};

/// Counted at once; further addresses of the same minute are counted together.
const COUNTED_MAX: usize = 4_096;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    action: &'static str,
    actor: String,
    address: Option<IpAddr>,
    /// Empty for unknown actors: they choose what they ask for.
    target: String,
}

struct Counted {
    minute: i64,
    /// After the first one.
    more: u32,
    latest: Event,
}

/// What is being counted.
#[derive(Default)]
pub(crate) struct Refusals(HashMap<Key, Counted>);

impl Refusals {
    /// Counts `event`; returns the rows to write now.
    fn count(&mut self, mut key: Key, event: Event) -> Vec<Event> {
        let minute = minute_of(event.at);
        let mut rows = Vec::new();
        if self.0.len() >= COUNTED_MAX && !self.0.contains_key(&key) {
            rows = self.over(event.at);
        }
        if self.0.len() >= COUNTED_MAX && !self.0.contains_key(&key) {
            key.address = None;
            key.actor = "many".into();
            key.target = String::new();
        }
        let anonymous = key.address.is_none();
        let event = if anonymous { of_many(event) } else { event };
        match self.0.get_mut(&key) {
            Some(counted) if counted.minute == minute => {
                counted.more = counted.more.saturating_add(1);
                counted.latest = event;
            }
            Some(counted) => {
                rows.extend(counted.summary());
                *counted = Counted {
                    minute,
                    more: 0,
                    latest: event.clone(),
                };
                rows.push(event);
            }
            None => {
                self.0.insert(
                    key,
                    Counted {
                        minute,
                        more: 0,
                        latest: event.clone(),
                    },
                );
                rows.push(event);
            }
        }
        rows
    }

    /// Forgets minutes other than the one of `now`; returns their rows.
    fn over(&mut self, now: Timestamp) -> Vec<Event> {
        self.forget(|minute| minute != minute_of(now))
    }

    /// Forgets the minutes that `over` names; returns their rows.
    fn forget(&mut self, over: impl Fn(i64) -> bool) -> Vec<Event> {
        let mut rows = Vec::new();
        self.0.retain(|_, counted| {
            let over = over(counted.minute);
            if over {
                rows.extend(counted.summary());
            }
            !over
        });
        rows
    }
}

impl Counted {
    fn summary(&self) -> Option<Event> {
        (self.more > 0).then(|| Event {
            count: self.more,
            ..self.latest.clone()
        })
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.secs().div_euclid(60)
}

fn of_many(event: Event) -> Event {
    Event {
        account: None,
        actor: "many".into(),
        address: None,
        target: String::new(),
        detail: "from more addresses than are counted singly".into(),
        ..event
    }
}

impl Sharing {
    /// Notes that something was refused to `asker`. Of unknown actors the first one of an address
    /// and minute is a row, the others are counted into a second row when the minute is over; of
    /// known ones the same for each target.
    pub fn audit_refusal(
        &self,
        asker: &Asker,
        target: &str,
        detail: &str,
    ) -> Result<(), SharingError> {
        let event = Event {
            outcome: Outcome::Refused,
            detail: detail.to_owned(),
            ..Event::of(asker, self.now(), Action::Refuse, target)
        };
        let counted_target = match &asker.who {
            Who::Account { .. } | Who::Link { .. } | Who::Friend { .. } => target,
            Who::Nobody => "",
        };
        self.count_refusal(event, counted_target.to_owned());
        Ok(())
    }

    pub(crate) fn note_wrong_secret(&self, address: IpAddr, target: &str, detail: &str) {
        let event = Event {
            address: Some(address),
            outcome: Outcome::Refused,
            detail: detail.to_owned(),
            ..Event::by("nobody", self.now(), Action::LoginFailed, target)
        };
        self.count_refusal(event, String::new());
    }

    fn count_refusal(&self, event: Event, target: String) {
        let key = Key {
            action: event.action.name(),
            actor: event.actor.clone(),
            address: event.address,
            target,
        };
        let rows = self.refusals().count(key, event);
        rows.into_iter().for_each(|row| self.audit_soon(row));
    }

    /// Writes the counted refusals of minutes that are over; called by the sealing worker.
    pub fn flush_refusals(&self) -> Result<(), SharingError> {
        let rows = self.refusals().over(self.now());
        self.write_refusals(rows)
    }

    /// Writes what is still counted and seals the head: at the end of the node, instead of
    /// [`Sharing::seal_head`].
    pub fn finish_audit(&self) -> Result<super::Head, SharingError> {
        let rows = self.refusals().forget(|_| true);
        self.write_refusals(rows)?;
        self.await_queued_rows()?;
        self.seal_head()
    }

    fn write_refusals(&self, rows: Vec<Event>) -> Result<(), SharingError> {
        if rows.is_empty() {
            return Ok(());
        }
        let sharing = self.clone();
        self.write(move |tx| {
            rows.iter()
                .try_for_each(|row| sharing.record_in(tx, row))
                .map_err(SharingError::from)
        })
    }

    fn refusals(&self) -> std::sync::MutexGuard<'_, Refusals> {
        self.0
            .log
            .refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
