//! The audit log as witness of the tree: each change becomes a row in the same transaction (R102).
//!
//! `files` and `sharing` do not know each other; this is where they meet.

use files::Fact;
use sharing::{Action, Event, Outcome, Sharing};

/// Turns facts about entries into audit rows.
pub(crate) struct AuditWitness(Sharing);

impl AuditWitness {
    pub(crate) fn new(sharing: Sharing) -> Self {
        Self(sharing)
    }
}

impl files::Witness for AuditWitness {
    fn record(&self, tx: &rusqlite::Connection, fact: &Fact<'_>) -> Result<(), rusqlite::Error> {
        let (action, outcome) = action_of(fact.action);
        let path = fact.path.strip_prefix('/').unwrap_or(&fact.path);
        // A move is told as `OLD -> NEW`.
        let halves = path.split_once(" -> ").filter(|_| action == Action::Move);
        let (path, detail) = halves.unwrap_or((path, ""));
        let target = format!("{}:/{path}", space_name(tx, fact.space)?);
        let event = Event {
            account: fact.author.account,
            via: fact.author.via.clone(),
            address: fact.author.address,
            space: Some(fact.space),
            fid: Some(fact.fid),
            old_rev: fact.old_rev,
            new_rev: fact.new_rev,
            outcome,
            detail: detail.to_owned(),
            ..Event::by(&fact.author.label, fact.at, action, target)
        };
        self.0.record_in(tx, &event)
    }
}

/// Read inside the transaction: asking `files` from the writer thread would wait for itself.
fn space_name(
    tx: &rusqlite::Connection,
    space: protocol::SpaceId,
) -> Result<String, rusqlite::Error> {
    let mut ask = tx.prepare_cached("SELECT name FROM spaces WHERE id = ?1")?;
    let mut rows = ask.query([space.0])?;
    rows.next()?
        .map_or_else(|| Ok(format!("space {space}")), |row| row.get(0))
}

fn action_of(action: files::Action) -> (Action, Outcome) {
    use files::Action as Done;
    let action = match action {
        Done::Create | Done::MakeFolder => Action::Create,
        Done::Write => Action::Write,
        Done::Delete => Action::Delete,
        Done::Move => Action::Move,
        Done::Copy => Action::Copy,
        Done::SetProps => Action::Properties,
        Done::Restore | Done::RestoreVersion => Action::Restore,
        Done::Refused => return (Action::Refuse, Outcome::Refused),
        Done::Lock => Action::Lock,
        Done::Unlock => Action::Unlock,
        Done::BreakLock => Action::BreakLock,
        Done::Bind => Action::Bind,
        Done::Unbind => Action::Unbind,
    };
    (action, Outcome::Done)
}
