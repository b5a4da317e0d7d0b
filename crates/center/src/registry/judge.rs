//! One statement: does it hold, what must be written, what does it change.

use std::cmp::Reverse;
use std::time::Duration;

use protocol::message::center::{
    Admission, Change, Presence, Refusal, Resources, Statement, Usage, WorkSalt,
};
use protocol::{NodeName, NodeRecord, SignedRecord, Timestamp};

use super::{Entry, Registry, dns};
use crate::names;
use crate::store::{InviteKey, Write};

/// What stands around a statement when it comes.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The wall clock.
    pub now: Timestamp,
    /// The clock that never jumps.
    pub tick: Duration,
    /// Registration is free where it comes from.
    pub free: bool,
    /// Salts on which work counts: today's first, then yesterday's.
    pub salts: &'a [WorkSalt],
}

/// A statement that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What must be on the disk before the answer; `None` = a renewal that changes nothing there.
    pub write: Option<Write>,
    /// The node was not registered before.
    pub is_new: bool,
}

const UNCHANGED: Judged = Judged {
    write: None,
    is_new: false,
};

pub(super) fn judge(
    registry: &Registry,
    statement: &Statement,
    asked: &Asked<'_>,
) -> Result<Judged, Refusal> {
    // Both numbers go into a signed column.
    if i64::try_from(statement.seq).is_err() {
        return Err(Refusal::NotValid);
    }
    let known = registry.get(&statement.node);
    if let Some(entry) = known
        && statement.seq <= entry.said
    {
        return Err(Refusal::Stale {
            have: entry.said.max(entry.seq),
        });
    }
    match (&statement.change, known) {
        (
            Change::Renew {
                record,
                resources,
                usage,
                admission,
            },
            known,
        ) => {
            let renewal = Renewal {
                record,
                resources,
                usage,
                admission,
            };
            renewal.judge(registry, statement, known, asked)
        }
        (Change::ClaimName { .. } | Change::SetTexts { .. } | Change::Goodbye, None) => {
            Err(Refusal::Unknown)
        }
        (Change::Goodbye, Some(_)) => Ok(UNCHANGED),
        (Change::ClaimName { name }, Some(entry)) => {
            if entry.name.as_ref() == Some(name) {
                return Ok(UNCHANGED);
            }
            allowed(registry, entry, asked)?;
            free_name(registry, name, statement, asked)?;
            Ok(written(Write::Name {
                id: statement.node,
                said: statement.seq,
                name: name.clone(),
                at: asked.now,
                free_before: asked.now.minus(registry.settings.name_rest),
            }))
        }
        (Change::SetTexts { texts }, Some(entry)) => {
            if entry.texts.as_ref() == texts.as_slice() {
                return Ok(UNCHANGED);
            }
            allowed(registry, entry, asked)?;
            Ok(written(Write::Texts {
                id: statement.node,
                said: statement.seq,
                texts: texts.clone(),
            }))
        }
    }
}

fn written(write: Write) -> Judged {
    Judged {
        write: Some(write),
        is_new: false,
    }
}

/// Who changes something all the time keeps the disk busy for the others.
fn allowed(registry: &Registry, entry: &Entry, asked: &Asked<'_>) -> Result<(), Refusal> {
    if allowance(registry, entry, asked.tick) == 0 {
        return Err(Refusal::TooMany);
    }
    Ok(())
}

fn allowance(registry: &Registry, entry: &Entry, tick: Duration) -> u8 {
    let since = tick.saturating_sub(entry.allowance_at).as_secs();
    let grown = u64::from(entry.allowance).saturating_add(since);
    u8::try_from(grown)
        .unwrap_or(u8::MAX)
        .min(registry.settings.changes_burst)
}

fn free_name(
    registry: &Registry,
    name: &NodeName,
    statement: &Statement,
    asked: &Asked<'_>,
) -> Result<(), Refusal> {
    if names::is_reserved(name) {
        return Err(Refusal::NameReserved);
    }
    let skeleton = names::skeleton(name);
    let resting = registry.resting.get(&skeleton);
    if resting.is_some_and(|(node, until)| *node != statement.node && *until > asked.now) {
        return Err(Refusal::NameTaken);
    }
    let Some(owner) = registry
        .names
        .get(&skeleton)
        .filter(|owner| **owner != statement.node)
    else {
        return Ok(());
    };
    match registry.get(owner).and_then(|entry| entry.name.as_ref()) {
        Some(other) if other != name => Err(Refusal::NameLooksLike {
            other: other.clone(),
        }),
        Some(_) | None => Err(Refusal::NameTaken),
    }
}

struct Renewal<'a> {
    record: &'a SignedRecord,
    resources: &'a Resources,
    usage: &'a Usage,
    admission: &'a Option<Admission>,
}

impl Renewal<'_> {
    fn judge(
        &self,
        registry: &Registry,
        statement: &Statement,
        known: Option<&Entry>,
        asked: &Asked<'_>,
    ) -> Result<Judged, Refusal> {
        if known
            .is_some_and(|entry| entry.record == *self.record && entry.resources == *self.resources)
        {
            // Its signature was checked when it came first; that it is not too old is not.
            return Ok(UNCHANGED);
        }
        let record = self.record.open(asked.now).map_err(|_| Refusal::NotValid)?;
        if record.node != statement.node {
            return Err(Refusal::OtherNode);
        }
        if i64::try_from(record.seq).is_err() {
            return Err(Refusal::NotValid);
        }
        let Some(entry) = known else {
            let invite = self.admit(registry, statement, asked)?;
            let write = self.write(&record, statement, asked, invite);
            return Ok(Judged {
                write: Some(write),
                is_new: true,
            });
        };
        let newer = record.seq > entry.seq || entry.record == *self.record;
        if !newer {
            return Err(Refusal::Stale {
                have: entry.said.max(entry.seq),
            });
        }
        allowed(registry, entry, asked)?;
        Ok(written(self.write(&record, statement, asked, None)))
    }

    fn write(
        &self,
        record: &NodeRecord,
        statement: &Statement,
        asked: &Asked<'_>,
        invite: Option<InviteKey>,
    ) -> Write {
        Write::Node {
            id: statement.node,
            said: statement.seq,
            seq: record.seq,
            record: self.record.clone(),
            addresses: record.addresses.clone(),
            resources: *self.resources,
            usage: *self.usage,
            at: asked.now,
            invite,
        }
    }

    fn admit(
        &self,
        registry: &Registry,
        statement: &Statement,
        asked: &Asked<'_>,
    ) -> Result<Option<InviteKey>, Refusal> {
        if registry.len() >= registry.settings.nodes_max {
            return Err(Refusal::TooMany);
        }
        let bits = registry.settings.work_bits;
        match self.admission {
            // The database knows whether it holds.
            Some(Admission::Invite(token)) if !asked.free => Ok(Some(InviteKey::of(token))),
            _ if asked.free => Ok(None),
            Some(Admission::Work(work)) if bits > 0 => {
                let fresh = asked.salts.contains(&work.salt);
                let holds = fresh && work.holds(&statement.node, bits);
                if holds {
                    Ok(None)
                } else {
                    Err(Refusal::WorkWrong)
                }
            }
            Some(Admission::Work(_) | Admission::Invite(_)) | None => Err(Refusal::Invite),
        }
    }
}

pub(super) fn apply(registry: &mut Registry, statement: &Statement, asked: &Asked<'_>) {
    let node = statement.node;
    match &statement.change {
        Change::Renew {
            record,
            resources,
            usage,
            ..
        } => {
            renew(registry, statement, record, (*resources, *usage), asked);
        }
        Change::ClaimName { name } => take_name(registry, statement, name, asked),
        Change::SetTexts { texts } => {
            if let Some(entry) = registry.nodes.get_mut(&node)
                && statement.seq > entry.said
            {
                entry.texts = texts.clone().into_boxed_slice();
            }
        }
        Change::Goodbye => {}
    }
    let presence = match statement.change {
        Change::Goodbye => Presence::Gone,
        Change::Renew { .. } | Change::ClaimName { .. } | Change::SetTexts { .. } => {
            Presence::Online
        }
    };
    heard(registry, statement, presence, asked);
}

/// Notes that the node has spoken.
fn heard(registry: &mut Registry, statement: &Statement, presence: Presence, asked: &Asked<'_>) {
    let deadline = asked.tick + registry.settings.patience();
    let Some(entry) = registry.nodes.get_mut(&statement.node) else {
        return;
    };
    // An overtaken statement neither brings back nor sends away.
    if statement.seq < entry.said {
        return;
    }
    entry.said = statement.seq;
    entry.last_seen = asked.now;
    entry.deadline = deadline;
    let returns = entry.presence == Presence::Gone && presence != Presence::Gone;
    registry.set_presence(&statement.node, presence);
    if returns {
        registry.deadlines.push(Reverse((deadline, statement.node)));
    }
}

fn renew(
    registry: &mut Registry,
    statement: &Statement,
    signed: &SignedRecord,
    (resources, usage): (Resources, Usage),
    asked: &Asked<'_>,
) {
    let node = statement.node;
    let Ok(record) = signed.open_at_any_time() else {
        return;
    };
    let deadline = asked.tick + registry.settings.patience();
    if let Some(mut entry) = registry.nodes.remove(&node) {
        if record.seq >= entry.seq && statement.seq > entry.said {
            if entry.record != *signed {
                entry.allowance = allowance(registry, &entry, asked.tick).saturating_sub(1);
                entry.allowance_at = asked.tick;
                registry.unindex(&node, &entry);
                entry.published = dns::published(&record);
                entry.seq = record.seq;
                entry.record = signed.clone();
                registry.index(&record, &entry);
            }
            entry.resources = resources;
            let used = entry.usage != usage;
            entry.usage = usage;
            registry.nodes.insert(node, entry);
            if used {
                registry.mark_unsaved(&node);
            }
        } else {
            registry.nodes.insert(node, entry);
        }
        return;
    }
    let entry = Entry {
        seq: record.seq,
        said: 0,
        published: dns::published(&record),
        name: None,
        resources,
        usage,
        texts: Box::default(),
        presence: Presence::Unknown,
        pinned: false,
        first_seen: asked.now,
        last_seen: asked.now,
        links: 0,
        allowance: registry.settings.changes_burst,
        allowance_at: asked.tick,
        deadline,
        unsaved: false,
        record: signed.clone(),
    };
    registry.index(&record, &entry);
    registry.nodes.insert(node, Box::new(entry));
    registry.deadlines.push(Reverse((deadline, node)));
}

fn take_name(registry: &mut Registry, statement: &Statement, name: &NodeName, asked: &Asked<'_>) {
    let node = statement.node;
    let rest = registry.settings.name_rest;
    let Some(entry) = registry.nodes.get_mut(&node) else {
        return;
    };
    let before = entry.name.replace(name.clone());
    if let Some(before) = before.filter(|before| before != name) {
        let skeleton = names::skeleton(&before);
        registry.names.remove(&skeleton);
        registry
            .resting
            .insert(skeleton, (node, asked.now.plus(rest)));
    }
    let skeleton = names::skeleton(name);
    registry.resting.remove(&skeleton);
    registry.names.insert(skeleton, node);
}
