//! The tree and links as JSON: list, make a folder, move, delete, list links.
//!
//! Paths are those of pages, `SPACE/folder/file`; bodies are small JSON objects. What may be done is
//! the permission table's; making links needs a session, so a lost device cannot hand out access.

use files::{Change, Conditions, Entry, Kind, Op, Order, Page};
use http::StatusCode;
use http::header::IF_MATCH;
use protocol::{EntryName, TreePath};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sharing::{LinksOf, Need};

use super::node::json as answer;
use crate::address;
use crate::call::{Answer, Call};
use crate::form::read_bytes;
use crate::gate::{gate, gate_leaving, gate_whole, visit};
use crate::pages::change::commit_one;
use crate::problem::{Fault, Problem};
use crate::webdav::conditions::etags;

/// Entries of one answer; `?page=2` gives the next ones.
const ROWS: usize = 1_000;
/// Largest body.
const BODY_BYTES_MAX: usize = 16 * 1024;

pub(super) async fn body<T: DeserializeOwned>(call: &Call) -> Result<T, Problem> {
    let bytes = read_bytes(call.take_body(), BODY_BYTES_MAX).await?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::bad(format!("JSON: {error}")))
}

/// `If-Match`, decided inside of the commit (RFC 9110 section 13.1.1).
fn conditions(call: &Call) -> Result<Conditions, Problem> {
    let if_match = match call.head.headers.get(IF_MATCH) {
        None => None,
        Some(value) => {
            let bad = || Problem::bad("If-Match");
            let text = value.to_str().map_err(|_| bad())?;
            let list = dav::EtagList::parse("If-Match", text).map_err(|_| bad())?;
            Some(etags(&list, true))
        }
    };
    Ok(Conditions {
        if_match,
        account: call.asker.account(),
        ..Conditions::default()
    })
}

fn entry_json(entry: &Entry, path: &str) -> Value {
    json!({
        "path": path,
        "name": entry.name.as_str(),
        "kind": match entry.kind {
            Kind::File => "file",
            Kind::Folder => "folder",
        },
        "size": entry.size,
        "modified": entry.mtime.to_string(),
        "etag": entry.etag().to_string(),
        "blake3": entry.hash.map(|hash| hash.to_string()),
    })
}

/// `GET /api/files/SPACE/path?page=N`: an entry, and what is in it if it is a folder.
pub(crate) async fn list(call: Call) -> Answer {
    let page = super::page(&call)?;
    let asker = call.asker.clone();
    let visit = call.visit()?.clone();
    let value = call
        .blocking(move |app| {
            crate::gate::note_read(app, &asker, &visit)?;
            let here = format!("{}{}", visit.space.name, visit.at.path);
            let mut value = entry_json(&visit.entry, &here);
            if visit.entry.is_folder() {
                let visibility = app.sharing.visibility(&asker)?;
                let asked = Page {
                    skip: (page - 1) * ROWS,
                    limit: ROWS,
                    order: Order::Name,
                    ..Page::default()
                };
                let children = app.files.children(visit.entry.fid, &asked)?;
                value["more"] = json!(children.len() == ROWS);
                value["entries"] = children
                    .iter()
                    .filter(|child| visibility.shows(child.fid))
                    .map(|child| {
                        let here = here.trim_end_matches('/');
                        entry_json(child, &format!("{here}/{}", child.name))
                    })
                    .collect();
            }
            Ok(value)
        })
        .await?;
    Ok(answer(&value))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFolder {
    name: String,
}

/// `POST /api/folders/SPACE/folder` with `{"name": …}`
pub(crate) async fn make_folder(call: Call) -> Answer {
    let NewFolder { name } = body(&call).await?;
    let name = EntryName::new(&name)?;
    let (author, visit) = (call.author(), call.visit()?.clone());
    let value = call
        .blocking(move |app| {
            let at = files::At {
                space: visit.at.space,
                path: visit.at.path.join(name)?,
            };
            let path = format!("{}{}", visit.space.name, at.path);
            let done = commit_one(app, &author, Op::new(Change::MakeFolder { at }))?;
            let entry = done.entry.ok_or(Problem::new(Fault::Internal))?;
            Ok(entry_json(&entry, &path))
        })
        .await?;
    let mut response = answer(&value);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    to: String,
    #[serde(default)]
    overwrite: bool,
}

/// `POST /api/move/SPACE/path` with `{"to": "/folder/name", "overwrite": false}`, in the same space
pub(crate) async fn move_entry(call: Call) -> Answer {
    let Target { to, overwrite } = body(&call).await?;
    let to = TreePath::parse(&to)?;
    let (author, asker) = (call.author(), call.asker.clone());
    let (from, conditions) = (call.visit()?.clone(), conditions(&call)?);
    let value = call
        .blocking(move |app| {
            gate_whole(app, &asker, &Need::ENTRY_DELETE, &from.entry)?;
            let parent = to.parent().ok_or(Problem::new(Fault::IsTop))?;
            visit(app, &asker, &Need::ENTRY_CREATE, &from.space.name, parent)?;
            let target = files::At {
                space: from.at.space,
                path: to,
            };
            if overwrite && let Some(taken) = app.files.find(&target)? {
                gate_whole(app, &asker, &Need::ENTRY_DELETE, &taken)?;
            }
            gate_leaving(app, &from.at, &from.entry, &target, true)?;
            let path = format!("{}{}", from.space.name, target.path);
            let op = Op::new(Change::Move {
                from: from.at,
                to: target,
                overwrite,
            })
            .when(conditions);
            let done = commit_one(app, &author, op)?;
            let entry = done.entry.ok_or(Problem::new(Fault::Internal))?;
            Ok(entry_json(&entry, &path))
        })
        .await?;
    Ok(answer(&value))
}

/// `DELETE /api/files/SPACE/path`: to the trash; the answer names it there.
pub(crate) async fn delete(call: Call) -> Answer {
    let (author, asker) = (call.author(), call.asker.clone());
    let (visit, conditions) = (call.visit()?.clone(), conditions(&call)?);
    let trash_id = call
        .blocking(move |app| {
            gate_whole(app, &asker, &Need::ENTRY_DELETE, &visit.entry)?;
            let op = Op::new(Change::Delete { at: visit.at }).when(conditions);
            let done = commit_one(app, &author, op)?;
            Ok(done.trash_id)
        })
        .await?;
    Ok(answer(&json!({ "trash_id": trash_id })))
}

/// `GET /api/links`: the asker's own, without their addresses.
pub(crate) async fn links(call: Call) -> Answer {
    let (me, asker) = (call.me()?, call.asker.clone());
    let rows = call
        .blocking(move |app| {
            let now = app.now();
            let mut rows = Vec::new();
            for link in app
                .sharing
                .links(LinksOf::Account(me))?
                .into_iter()
                .take(ROWS)
            {
                let path = match app.files.entry(link.fid)? {
                    Some(entry) if gate(app, &asker, &Need::ENTRY_LIST, &entry).is_ok() => {
                        let space = crate::gate::space_of(app, &entry)?;
                        let at = app.files.locate(entry.fid).ok();
                        at.map(|at| address::encode(&space.name, &at.path))
                    }
                    Some(_) | None => None,
                };
                rows.push(json!({
                    "id": link.id,
                    "path": path,
                    "right": link.right.name(),
                    "label": link.label,
                    "password": link.password,
                    "expires": link.expires.map(|at| at.to_string()),
                    "downloads": link.downloads,
                    "downloads_max": link.downloads_max,
                    "usable": link.state(now) == sharing::LinkState::Usable,
                }));
            }
            Ok(rows)
        })
        .await?;
    Ok(answer(&Value::Array(rows)))
}
