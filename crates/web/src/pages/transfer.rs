//! Move and copy: choose a folder, in this space or in another one that may be written to, and go.

use files::{Change, Op};
use maud::html;
use protocol::{EntryName, TreePath};
use sharing::{Asker, Need};

use super::change::{PICKED_MAX, below, picked};
use super::shell::{Section, Tone, Width, icon, icon_of, notice};
use crate::App;
use crate::address::{self, encode_name};
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::form::Fields;
use crate::gate::{self, Visit, gate_leaving, gate_whole};
use crate::given::given_to;
use crate::problem::{Fault, Problem};

/// Where a move or copy shall go: `space=NAME&to=/folder`, the space of the page if none is named.
fn destination(fields: &Fields, visit: &Visit) -> Result<(EntryName, Option<TreePath>), Problem> {
    let space = match fields.filled("space") {
        Some(name) => EntryName::new(name)?,
        None => visit.space.name.clone(),
    };
    let path = fields.get("to").map(TreePath::parse).transpose()?;
    Ok((space, path))
}

/// A folder that somebody may write to outside of the one at hand.
struct Elsewhere {
    space: EntryName,
    path: TreePath,
    title: String,
}

/// What a chosen folder offers.
struct Choice {
    folders: Vec<EntryName>,
    /// How many of the folders above it, the top included, the asker may not list.
    hidden_above: usize,
    place: Visit,
    elsewhere: Vec<Elsewhere>,
}

fn choices(
    app: &App,
    asker: &Asker,
    space: &EntryName,
    target: TreePath,
) -> Result<Choice, Problem> {
    let place = gate::visit(app, asker, &Need::ENTRY_LIST, space, target)?;
    let visibility = app.sharing.visibility(asker)?;
    let mut folders = Vec::new();
    app.files
        .for_each_child(place.entry.fid, false, &mut |entry, _, _| {
            if entry.is_folder() && visibility.shows(entry.fid) {
                folders.push(entry.name.clone());
            }
            match folders.len() < PICKED_MAX {
                true => std::ops::ControlFlow::Continue(()),
                false => std::ops::ControlFlow::Break(()),
            }
        })?;
    let mut hidden_above = 0;
    for (at, _) in place.chain.iter().enumerate().rev() {
        if gate::may(
            app,
            asker,
            &Need::ENTRY_LIST,
            &place.space,
            &place.chain[at..],
        )? {
            break;
        }
        hidden_above += 1;
    }
    let mut elsewhere = Vec::new();
    for own in app.files.spaces()? {
        if Some(own.owner) == asker.account() && own.id != place.space.id {
            elsewhere.push(Elsewhere {
                title: own.name.to_string(),
                space: own.name,
                path: TreePath::root(),
            });
        }
    }
    for given in given_to(app, asker)? {
        let writes = given.grant.access == sharing::Access::Write;
        // What holds the folder at hand is on its way up already.
        if writes && given.entry.is_folder() && !place.chain.contains(&given.entry.fid) {
            elsewhere.push(Elsewhere {
                title: format!("{}{}", given.space.name, given.at.path),
                space: given.space.name,
                path: given.at.path,
            });
        }
    }
    Ok(Choice {
        folders,
        hidden_above,
        place,
        elsewhere,
    })
}

/// `GET /move/SPACE/folder?name=A&name=B&space=NAME&to=/where`: choose the folder to move to.
pub(crate) async fn show_move(call: Call) -> Answer {
    let query = call.query()?;
    let t = call.language;
    let visit = call.visit()?.clone();
    let here = address::encode(&visit.space.name, &visit.at.path);
    let names = match picked(&query) {
        Ok(names) => names,
        Err(problem) if problem.fault == Fault::NothingPicked => {
            return Ok(redirect(&format!("/files/{here}")));
        }
        Err(problem) => return Err(problem),
    };
    let (space, to) = destination(&query, &visit)?;
    let to = to.unwrap_or_else(|| visit.at.path.clone());
    let (asker, target) = (call.asker.clone(), to.clone());
    let Choice {
        folders,
        hidden_above,
        place,
        elsewhere,
    } = call
        .blocking(move |app| choices(app, &asker, &space, target))
        .await?;
    let stays = place.at == visit.at;
    let title = t.with("move-title", &[("count", names.len().into())]);
    let picks: String = names
        .iter()
        .map(|name| format!("&name={}", encode_name(name.as_str())))
        .collect();
    let step_in = |space: &EntryName, path: &TreePath| {
        let (space, to) = (encode_name(space.as_str()), encode_name(&path.to_string()));
        format!("/move/{here}?space={space}&to={to}{picks}")
    };
    let step = |path: &TreePath| step_in(&place.space.name, path);
    let own = Some(place.space.owner) == call.asker.account();
    let mut steps = Vec::new();
    for depth in hidden_above..=to.names().len() {
        let path = TreePath::new(to.names()[..depth].to_vec())?;
        let title = path.last().map_or_else(
            || super::folder::space_title(t, &place.space, own),
            EntryName::to_string,
        );
        steps.push((step(&path), title));
    }
    Ok(call.frame(&title, Section::Files, Width::Narrow).page(&html! {
        div class="headline" { h1 { (title) } }
        section class="card flush" {
            div class="list-foot" { (super::folder::crumb_list(t, &steps, false)) }
            table class="rows" { tbody {
                @for folder in &folders {
                    @let moving = stays && names.contains(folder);
                    tr { td class="name" {
                        @if moving { span class="soft" { (icon_of("icon folder", "folder")) " " (folder) } }
                        @else {
                            a href=(step(&to.join(folder.clone())?)) {
                                (icon_of("icon folder", "folder")) span { (folder) }
                            }
                        }
                    } }
                }
                @if folders.is_empty() {
                    tr { td class="soft" { (t.text("move-no-folders")) } }
                }
            } }
            form class="list-foot" method="post" action=(format!("/move/{here}")) {
                @for name in &names { input type="hidden" name="name" value=(name); }
                input type="hidden" name="space" value=(place.space.name);
                input type="hidden" name="to" value=(to);
                div class="buttons" {
                    button class="button main" name="do" value="move" disabled[stays] {
                        (icon("move")) (t.text("move-here"))
                    }
                    button class="button" name="do" value="copy" disabled[stays] {
                        (icon("copy")) (t.text("copy-here"))
                    }
                    a class="button bare" href=(format!("/files/{here}")) { (t.text("cancel")) }
                }
            }
        }
        @if stays { (notice(Tone::Info, &html! { (t.text("move-hint")) })) }
        @if !elsewhere.is_empty() {
            section class="card flush" {
                div class="list-foot" { h2 { (t.text("move-elsewhere")) } }
                table class="rows" { tbody {
                    @for place in &elsewhere {
                        tr { td class="name" {
                            a href=(step_in(&place.space, &place.path)) {
                                (icon_of("icon folder", "folder")) span { (place.title) }
                            }
                        } }
                    }
                } }
            }
        }
    }))
}

/// `POST /move/SPACE/folder`
pub(crate) async fn move_picked(call: Call) -> Answer {
    let form = call.form().await?;
    let names = picked(&form)?;
    let copies = form.get("do") == Some("copy");
    let visit = call.visit()?.clone();
    let (space, to) = destination(&form, &visit)?;
    let to = to.ok_or_else(|| Problem::bad("to"))?;
    let (author, asker) = (call.author(), call.asker.clone());
    let there = address::encode(&space, &to);
    let count = names.len();
    call.blocking(move |app| {
        let place = gate::visit(app, &asker, &Need::ENTRY_CREATE, &space, to)?;
        let need = if copies {
            Need::ENTRY_DOWNLOAD
        } else {
            Need::ENTRY_DELETE
        };
        let mut ops = Vec::new();
        for name in names {
            let from = below(&visit, name.clone())?;
            let entry = app.files.find(&from)?.ok_or(Problem::NOT_FOUND)?;
            gate_whole(app, &asker, &need, &entry)?;
            let to = below(&place, name)?;
            gate_leaving(app, &from, &entry, &to, !copies)?;
            if copies {
                let taken = Visit {
                    at: from.clone(),
                    entry,
                    ..visit.clone()
                };
                gate::note_read(app, &asker, &taken)?;
            }
            ops.push(Op::new(if copies {
                Change::Copy {
                    from,
                    to,
                    overwrite: false,
                    deep: true,
                }
            } else {
                Change::Move {
                    from,
                    to,
                    overwrite: false,
                }
            }));
        }
        for done in app.files.commit(&author, ops) {
            done?;
        }
        Ok(())
    })
    .await?;
    let word = if copies { "copied" } else { "moved" };
    Ok(redirect(&format!(
        "/files/{there}?done={word}&count={count}"
    )))
}
