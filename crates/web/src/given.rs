//! What others share with an asker, for the page of shares and for the way there over WebDAV.

use files::{At, Entry, Space};
use sharing::{Asker, Grant, Need};

use crate::App;
use crate::gate::{may, space_of};
use crate::problem::Problem;

/// An entry of somebody else that the asker may list from where they are.
pub(crate) struct Given {
    pub(crate) grant: Grant,
    pub(crate) space: Space,
    pub(crate) at: At,
    pub(crate) entry: Entry,
}

/// Everything that was given to the asker, newest first. Blocks.
pub(crate) fn given_to(app: &App, asker: &Asker) -> Result<Vec<Given>, Problem> {
    let Some(me) = asker.account() else {
        return Ok(Vec::new());
    };
    let visibility = app.sharing.visibility(asker)?;
    let mut given = Vec::new();
    for grant in app.sharing.granted_to(me)? {
        // The entry may be gone; the grant comes back with it from the trash.
        let Some(entry) = app.files.entry(grant.fid)? else {
            continue;
        };
        let Ok(at) = app.files.locate(grant.fid) else {
            continue;
        };
        // A space that is hidden shares nothing.
        let Ok(space) = space_of(app, &entry) else {
            continue;
        };
        let chain = app.files.chain(entry.fid)?;
        let shown = visibility.shows(entry.fid)
            && space.owner != me
            && may(app, asker, &Need::ENTRY_LIST, &space, &chain)?;
        if shown {
            given.push(Given {
                grant,
                space,
                at,
                entry,
            });
        }
    }
    Ok(given)
}
