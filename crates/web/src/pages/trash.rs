//! The trash: what was deleted, for how long it stays, back to where it was, or gone for good.

use std::collections::HashMap;

use files::{At, Change, Kind, Op, Trashed};
use maud::{Markup, html};
use protocol::{ByteSize, Fid, SpaceId, TreePath};
use sharing::{Action, Asker, Event, Need};

use super::change::commit_one;
use super::done;
use super::shell::{Section, Tone, Width, icon, icon_of, moment, notice};
use crate::App;
use crate::address;
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::form::Fields;
use crate::gate;
use crate::language::Language;
use crate::problem::{Fault, Problem};

/// Rows shown; the newest deletions come first.
const ROWS_MAX: usize = 1_000;

/// The trash of a space without what was LAN-only, or lay in a LAN-only folder, for somebody who is
/// away (R105). Blocks.
fn visible(app: &App, asker: &Asker, space: SpaceId) -> Result<Vec<Trashed>, Problem> {
    let mut rows = app.files.trash(space)?;
    let visibility = app.sharing.visibility(asker)?;
    if visibility.hidden().next().is_none() {
        return Ok(rows);
    }
    // Many things come from one folder.
    let mut folders: HashMap<Fid, bool> = HashMap::new();
    rows.retain(|row| {
        visibility.shows(row.fid)
            && *folders.entry(row.old_parent).or_insert_with(|| {
                // A folder that is gone for good tells nothing, so what it held stays hidden.
                app.files
                    .chain(row.old_parent)
                    .is_ok_and(|chain| chain.iter().all(|fid| visibility.shows(*fid)))
            })
    });
    Ok(rows)
}

/// `GET /trash`: one's own.
pub(crate) async fn home(call: Call) -> Answer {
    let account = call.account.as_ref().ok_or(Problem::new(Fault::SignIn))?;
    let to = address::encode(&account.name, &TreePath::root());
    Ok(redirect(&format!("/trash/{to}")))
}

/// `GET /trash/SPACE/`
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let visit = call.visit()?.clone();
    if !visit.at.path.is_root() {
        return Err(Problem::NOT_FOUND);
    }
    let (asker, space) = (call.asker.clone(), visit.space.id);
    let rows = call
        .blocking(move |app| visible(app, &asker, space))
        .await?;
    let t = call.language;
    let title = t.text("nav-trash");
    let here = address::encode(&visit.space.name, &TreePath::root());
    Ok(call.frame(&title, Section::Trash, Width::Wide).page(&html! {
        @if let Some(notice) = done::done(t, &query) { (notice) }
        div class="headline" { div { h1 { (title) } p { (t.text("trash-text")) } } }
        @if rows.len() > ROWS_MAX {
            (notice(Tone::Info, &html! {
                (t.with("trash-cut", &[("shown", ROWS_MAX.into()), ("count", rows.len().into())]))
            }))
        }
        @if rows.is_empty() {
            div class="card" { div class="empty" {
                (icon_of("icon", "bin"))
                h2 { (t.text("trash-empty")) }
            } }
        } @else { (table(t, &rows, &here)) }
    }))
}

fn table(t: Language, rows: &[Trashed], here: &str) -> Markup {
    html! {
        form method="post" action=(format!("/restore/{here}")) {
            input type="hidden" name="from" value="trash";
            div class="card flush" {
                table class="rows" {
                    thead { tr {
                        th class="narrow-cell" scope="col" { label hidden {
                            span class="hidden-visually" { (t.text("pick-all")) }
                            input type="checkbox" data-pick-all;
                        } }
                        th scope="col" { (t.text("column-name")) }
                        th class="wide-only number" scope="col" { (t.text("column-size")) }
                        th class="wide-only" scope="col" { (t.text("trash-deleted")) }
                        th class="wide-only" scope="col" { (t.text("trash-until")) }
                    } }
                    tbody { @for row in rows.iter().take(ROWS_MAX) { (draw_row(t, row)) } }
                }
                div class="list-foot" {
                    div class="buttons" {
                        button class="button main small" data-needs-pick {
                            (icon("back")) (t.text("trash-restore"))
                        }
                        button class="button danger small" data-needs-pick
                            formaction=(format!("/purge/{here}"))
                            data-confirm=(t.text("trash-purge-ask")) {
                            (icon("bin")) (t.text("trash-purge"))
                        }
                    }
                }
            }
        }
    }
}

fn draw_row(t: Language, row: &Trashed) -> Markup {
    let name = row.name.as_str();
    let (class, drawing) = match row.kind {
        Kind::Folder => ("icon folder", "folder"),
        Kind::File => ("icon file", super::folder::media_icon(name)),
    };
    html! {
        tr {
            td class="narrow-cell" { label {
                span class="hidden-visually" { (t.with("pick", &[("name", name.to_owned().into())])) }
                input class="pick" type="checkbox" name="id" value=(row.id);
            } }
            td class="break" {
                (icon_of(class, drawing)) " " (name)
                div class="soft small" { (row.old_path) " · " (row.deleted_by) }
                span class="under" { (moment(t, row.deleted_at)) }
            }
            td class="wide-only number" { (ByteSize(row.size)) }
            td class="wide-only when" { (moment(t, row.deleted_at)) }
            td class="wide-only when" { (moment(t, row.until)) }
        }
    }
}

fn ids(form: &Fields) -> Result<Vec<i64>, Problem> {
    let ids: Vec<i64> = form
        .all("id")
        .take(1_001)
        .map(|id| id.parse().map_err(|_| Problem::bad("id")))
        .collect::<Result<_, _>>()?;
    match ids.len() {
        0 => Err(Problem::new(Fault::NothingPicked)),
        1..=1_000 => Ok(ids),
        _ => Err(Problem::bad("id")),
    }
}

/// `POST /restore/SPACE/folder`: back to where it was, which must lie in that folder.
pub(crate) async fn restore(call: Call) -> Answer {
    let form = call.form().await?;
    let ids = ids(&form)?;
    let visit = call.visit()?.clone();
    let (author, asker) = (call.author(), call.asker.clone());
    let here = address::encode(&visit.space.name, &visit.at.path);
    let count = ids.len();
    call.blocking(move |app| {
        let trash = visible(app, &asker, visit.space.id)?;
        for id in ids {
            let row = trash
                .iter()
                .find(|row| row.id == id)
                .ok_or(Problem::NOT_FOUND)?;
            let old = TreePath::parse(&row.old_path)?;
            if !old.starts_with(&visit.at.path) {
                return Err(Problem::NOT_FOUND);
            }
            // The folder may be gone; then only who may write the folder of the address decides.
            let holder = At {
                space: visit.space.id,
                path: old.parent().unwrap_or_default(),
            };
            if let Some(holder) = app.files.find(&holder)? {
                gate::gate(app, &asker, &Need::ENTRY_CREATE, &holder)?;
            }
            let op = Op::new(Change::Restore {
                trash_id: id,
                to: None,
            });
            commit_one(app, &author, op)?;
        }
        Ok(())
    })
    .await?;
    let place = match form.get("from") {
        Some("trash") => "trash",
        _ => "files",
    };
    Ok(redirect(&format!(
        "/{place}/{here}?done=restored&count={count}"
    )))
}

/// `POST /purge/SPACE/`: for good.
pub(crate) async fn purge(call: Call) -> Answer {
    let ids = ids(&call.form().await?)?;
    let visit = call.visit()?.clone();
    let asker = call.asker.clone();
    let here = address::encode(&visit.space.name, &TreePath::root());
    call.blocking(move |app| {
        let trash = visible(app, &asker, visit.space.id)?;
        for id in ids {
            let row = trash
                .iter()
                .find(|row| row.id == id)
                .ok_or(Problem::NOT_FOUND)?;
            app.files.purge(id)?;
            let target = format!("{}:{}", visit.space.name, row.old_path);
            let mut event = Event::of(&asker, app.now(), Action::Purge, target);
            event.space = Some(visit.space.id);
            event.fid = Some(row.fid);
            app.sharing.audit(event)?;
        }
        Ok(())
    })
    .await?;
    Ok(redirect(&format!("/trash/{here}?done=purged")))
}
