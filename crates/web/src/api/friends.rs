//! `Friends/` as JSON, in the form of the tree: who is a friend, and live what one shares.

use protocol::{EntryName, Timestamp};
use serde_json::{Value, json};

use super::node::json as answer;
use crate::call::{Answer, Call};
use crate::friends::TOP;
use crate::pages::friends::tree::{Spot, look};
use crate::problem::Problem;

/// Entries of one answer; `?page=2` gives the next ones.
const ROWS: usize = 1_000;

fn row(name: &str, folder: bool, size: u64, modified: Timestamp, etag: &str) -> Value {
    json!({
        "name": name,
        "kind": if folder { "folder" } else { "file" },
        "size": size,
        "modified": modified.to_string(),
        "etag": etag,
        "blake3": null,
    })
}

/// `GET /api/friends/NAME/share/path?page=N`: an entry, and what is in it if it is a folder. The
/// friends themselves are known without asking one.
pub(crate) async fn list(call: Call) -> Answer {
    let page = super::page(&call)?;
    if call.rest().trim_matches('/').is_empty() {
        return friends(&call).await;
    }
    let spot = Spot::of(&call).await?;
    let found = look(&call, &spot).await?;
    let mut rows = found.rows.into_iter();
    let name = spot.path.last().unwrap_or(&spot.friend.name).to_string();
    let own = rows.next().ok_or(Problem::NOT_FOUND)?;
    let of = |own: &dav::Listed, name: &str| {
        row(name, own.folder, own.size, moment(&own.modified), &own.etag)
    };
    let mut value = of(&own, &name);
    if own.folder || spot.path.is_empty() {
        value["kind"] = json!("folder");
        let mut rows: Vec<_> = rows.filter(|row| !row.path.is_empty()).collect();
        rows.sort_by(|a, b| a.path.last().cmp(&b.path.last()));
        let skip = (page - 1).saturating_mul(ROWS);
        value["more"] = json!(rows.len() > skip.saturating_add(ROWS));
        value["entries"] = rows
            .iter()
            .skip(skip)
            .take(ROWS)
            .filter_map(|row| Some(of(row, row.path.last().map(EntryName::as_str)?)))
            .collect();
    }
    Ok(answer(&value))
}

async fn friends(call: &Call) -> Answer {
    let names = call.blocking(|app| {
        let friends = app.sharing.accepted_friends()?;
        let mut names: Vec<_> = friends.values().map(|friend| friend.name.clone()).collect();
        names.sort();
        Ok(names)
    });
    let never = Timestamp(0);
    let mut value = row(TOP, true, 0, never, "");
    value["more"] = json!(false);
    value["entries"] = names
        .await?
        .iter()
        .map(|name| row(name.as_str(), true, 0, never, ""))
        .collect();
    Ok(answer(&value))
}

/// HTTP's date; the beginning of time if there is none.
fn moment(text: &str) -> Timestamp {
    let at = httpdate::parse_http_date(text).ok();
    let at = at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let seconds = at.and_then(|at| i64::try_from(at.as_secs()).ok());
    Timestamp::from_secs(seconds.unwrap_or(0))
}
