//! The way to what others share.
//!
//! A folder shared deep inside of somebody's space keeps its one address, so the folders above it
//! are shown as bare collections that hold nothing but the next step: a client that lists
//! `/dav/files/` finds the space, and from there its way, without seeing anything else. Such a
//! folder can be listed and nothing more.

use std::collections::BTreeMap;

use protocol::EntryName;
use sharing::{Asker, Need};

use crate::App;
use crate::gate::may;
use crate::given::{Given, given_to};

use super::place::Named;
use super::refused::Step;

/// What lies behind one name on the way.
pub(super) enum Next {
    /// What is shared.
    Shared(Box<Given>),
    /// Another folder on the way.
    Way,
}

/// The next steps from `named`, by name; `None` if it is no folder on the way to anything shared, or
/// one that the asker may list as it is. Blocks.
pub(super) fn way(
    app: &App,
    asker: &Asker,
    named: &Named,
) -> Step<Option<BTreeMap<EntryName, Next>>> {
    let Some(space) = app.files.space(named.space.as_str())? else {
        return Ok(None);
    };
    if asker.account().is_none_or(|me| me == space.owner) {
        return Ok(None);
    }
    let at = files::At {
        space: space.id,
        path: named.path.clone(),
    };
    let Some(entry) = app.files.find(&at)? else {
        return Ok(None);
    };
    let chain = app.files.chain(entry.fid)?;
    if may(app, asker, &Need::ENTRY_LIST, &space, &chain)? {
        return Ok(None);
    }
    let above = named.path.names();
    let mut steps = BTreeMap::new();
    for given in given_to(app, asker)? {
        let names = given.at.path.names();
        if given.space.id != space.id || !names.starts_with(above) {
            continue;
        }
        let (Some(name), depth) = (names.get(above.len()).cloned(), names.len()) else {
            continue;
        };
        if depth == above.len() + 1 {
            steps.insert(name, Next::Shared(Box::new(given)));
        } else {
            steps.entry(name).or_insert(Next::Way);
        }
    }
    Ok((!steps.is_empty()).then_some(steps))
}
