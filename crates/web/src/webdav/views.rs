//! Collections above the spaces: made by the server, seen by PROPFIND only.

use dav::Resource;
use sharing::{Asker, Need};

use crate::App;
use crate::gate::may;
use crate::given::given_to;

use super::names;
use super::place::{Place, href};
use super::refused::Step;

/// One row of a view: its href and its name.
pub(super) struct View {
    pub(super) href: String,
    pub(super) name: String,
}

/// The collection at `place` first, then what it shows to the asker. Blocks.
pub(super) fn views(app: &App, asker: &Asker, place: &Place, depth_one: bool) -> Step<Vec<View>> {
    let view = |href: &str, name: &str| View {
        href: href.to_owned(),
        name: name.to_owned(),
    };
    let mut rows = Vec::new();
    match place {
        Place::Top => rows.extend([view("/", ""), view("/dav/", "dav")]),
        Place::Dav | Place::WellKnown => {
            rows.extend([view("/dav/", "dav"), view("/dav/files/", "files")]);
        }
        Place::Principals => rows.push(view("/dav/principals/", "principals")),
        Place::Spaces | Place::Tree(_) => {
            rows.push(view("/dav/files/", "files"));
            if depth_one {
                rows.extend(spaces(app, asker)?);
            }
        }
    }
    if !depth_one {
        rows.truncate(1);
    }
    Ok(rows)
}

/// The spaces whose top the asker may list, and those in which somebody shares something with them.
fn spaces(app: &App, asker: &Asker) -> Step<Vec<View>> {
    let mut rows = Vec::new();
    if let Some(friend) = asker.friend() {
        for share in names::shares(app, asker, friend)? {
            rows.push(View {
                href: href(&share.name, &protocol::TreePath::root(), true),
                name: share.name.to_string(),
            });
        }
        return Ok(rows);
    }
    let given = given_to(app, asker)?;
    for space in app.files.spaces()? {
        let shares = given.iter().any(|given| given.space.id == space.id);
        if shares || may(app, asker, &Need::ENTRY_LIST, &space, &[space.root])? {
            rows.push(View {
                href: href(&space.name, &protocol::TreePath::root(), true),
                name: space.name.to_string(),
            });
        }
    }
    rows.extend(super::friends::row(app, asker, None)?);
    Ok(rows)
}

impl View {
    pub(super) fn resource(&self) -> Resource<'_> {
        Resource {
            folder: true,
            name: &self.name,
            created_s: 0,
            modified_s: 0,
            size: 0,
            etag: None,
            media_type: "",
            locks: &[],
            lockable: false,
            quota: None,
            dead: &[],
        }
    }
}
