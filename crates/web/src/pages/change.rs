//! New folder, rename, move, copy, delete.

use files::{At, Author, Change, Done, Op};
use maud::html;
use protocol::{EntryName, TreePath};
use sharing::{Asker, Need};

use super::shell::{Input, Section, Tone, Width, icon, icon_of, notice};
use crate::App;
use crate::address::{self, encode_name};
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::gate::{self, Visit, gate, gate_whole};
use crate::problem::{Fault, Problem};

/// Most entries of one delete, move or restore.
const PICKED_MAX: usize = 1_000;

/// One change; its refusal as a problem. Blocks.
pub(crate) fn commit_one(app: &App, author: &Author, op: Op) -> Result<Done, Problem> {
    match app.files.commit(author, vec![op]).pop() {
        Some(done) => Ok(done?),
        None => Err(Problem::new(Fault::Internal)),
    }
}

fn below(visit: &Visit, name: EntryName) -> Result<At, Problem> {
    Ok(At {
        space: visit.at.space,
        path: visit.at.path.join(name)?,
    })
}

/// `POST /new-folder/SPACE/folder`
pub(crate) async fn new_folder(call: Call) -> Answer {
    let form = call.form().await?;
    let name = EntryName::new(form.require("name")?.trim())?;
    let visit = call.visit()?.clone();
    let author = call.author();
    let here = address::encode(&visit.space.name, &visit.at.path);
    let shown = encode_name(name.as_str());
    call.blocking(move |app| {
        let at = below(&visit, name)?;
        commit_one(app, &author, Op::new(Change::MakeFolder { at }))
    })
    .await?;
    Ok(redirect(&format!("/files/{here}?done=folder&name={shown}")))
}

/// `GET /rename/SPACE/path`
pub(crate) async fn show_rename(call: Call) -> Answer {
    let visit = call.visit()?;
    let t = call.language;
    let title = t.with(
        "rename-title",
        &[("name", visit.entry.name.to_string().into())],
    );
    let parent = visit.at.path.parent().ok_or(Problem::new(Fault::IsTop))?;
    let back = address::encode(&visit.space.name, &parent);
    let here = address::encode(&visit.space.name, &visit.at.path);
    Ok(call
        .frame(&title, Section::Files, Width::Narrow)
        .page(&html! {
            div class="headline" { h1 class="break" { (title) } }
            form class="card stack" method="post" action=(format!("/rename/{here}")) {
                (Input {
                    value: visit.entry.name.as_str(),
                    autofocus: true,
                    ..Input::new("name", "text", t.text("label-new-name"))
                }.draw())
                div class="buttons" {
                    button class="button main" { (t.text("rename")) }
                    a class="button" href=(format!("/files/{back}")) { (t.text("cancel")) }
                }
            }
        }))
}

/// `POST /rename/SPACE/path`
pub(crate) async fn rename(call: Call) -> Answer {
    let form = call.form().await?;
    let name = EntryName::new(form.require("name")?.trim())?;
    let visit = call.visit()?.clone();
    let (author, asker) = (call.author(), call.asker.clone());
    let parent = visit.at.path.parent().ok_or(Problem::new(Fault::IsTop))?;
    let back = address::encode(&visit.space.name, &parent);
    let shown = encode_name(name.as_str());
    call.blocking(move |app| rename_entry(app, &asker, &author, &visit, name))
        .await?;
    Ok(redirect(&format!(
        "/files/{back}?done=renamed&name={shown}"
    )))
}

/// Gives an entry another name in its folder. Blocks.
pub(crate) fn rename_entry(
    app: &App,
    asker: &Asker,
    author: &Author,
    visit: &Visit,
    name: EntryName,
) -> Result<Done, Problem> {
    let parent = visit.at.path.parent().ok_or(Problem::new(Fault::IsTop))?;
    let folder = At {
        space: visit.at.space,
        path: parent.clone(),
    };
    let holder = app.files.find(&folder)?.ok_or(Problem::NOT_FOUND)?;
    let create = match visit.link {
        Some(_) => Need::LINK_CREATE,
        None => Need::ENTRY_CREATE,
    };
    gate(app, asker, &create, &holder)?;
    let to = At {
        space: visit.at.space,
        path: parent.join(name)?,
    };
    let op = Op::new(Change::Move {
        from: visit.at.clone(),
        to,
        overwrite: false,
    });
    commit_one(app, author, op)
}

/// The names that were picked in a folder's list.
pub(crate) fn picked(form: &crate::form::Fields) -> Result<Vec<EntryName>, Problem> {
    let only: Vec<&str> = form.all("only").collect();
    let names: Vec<&str> = if only.is_empty() {
        form.all("name").collect()
    } else {
        only
    };
    if names.is_empty() {
        return Err(Problem::new(Fault::NothingPicked));
    }
    if names.len() > PICKED_MAX {
        return Err(Problem::bad("name"));
    }
    Ok(names
        .into_iter()
        .map(EntryName::new)
        .collect::<Result<_, _>>()?)
}

/// `POST /delete/SPACE/folder`: what was picked goes to the trash; the page offers to undo it.
pub(crate) async fn delete(call: Call) -> Answer {
    let names = picked(&call.form().await?)?;
    let visit = call.visit()?.clone();
    let (author, asker) = (call.author(), call.asker.clone());
    let here = address::encode(&visit.space.name, &visit.at.path);
    let ids = call
        .blocking(move |app| delete_entries(app, &asker, &author, &visit, names))
        .await?;
    Ok(redirect(&format!("/files/{here}?undo={}", ids.join(","))))
}

/// Deletes children of a folder; gives their numbers in the trash. All are asked for before the
/// first one goes. Blocks.
pub(crate) fn delete_entries(
    app: &App,
    asker: &Asker,
    author: &Author,
    visit: &Visit,
    names: Vec<EntryName>,
) -> Result<Vec<String>, Problem> {
    let need = match visit.link {
        Some(_) => Need::LINK_DELETE,
        None => Need::ENTRY_DELETE,
    };
    let mut ops = Vec::new();
    for name in names {
        let at = below(visit, name)?;
        let entry = app.files.find(&at)?.ok_or(Problem::NOT_FOUND)?;
        gate_whole(app, asker, &need, &entry)?;
        ops.push(Op::new(Change::Delete { at }));
    }
    let mut ids = Vec::new();
    for done in app.files.commit(author, ops) {
        ids.extend(done?.trash_id.map(|id| id.to_string()));
    }
    Ok(ids)
}

/// `GET /move/SPACE/folder?name=A&name=B&to=/where`: choose the folder to move to.
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
    let to = match query.get("to") {
        Some(to) => TreePath::parse(to)?,
        None => visit.at.path.clone(),
    };
    let (asker, space, target) = (call.asker.clone(), visit.space.clone(), to.clone());
    let folders = call
        .blocking(move |app| {
            let place = gate::visit(app, &asker, &Need::ENTRY_LIST, &space.name, target)?;
            let visibility = app.sharing.visibility(&asker)?;
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
            Ok(folders)
        })
        .await?;
    let title = t.with("move-title", &[("count", names.len().into())]);
    let picks: String = names
        .iter()
        .map(|name| format!("&name={}", encode_name(name.as_str())))
        .collect();
    let step = |path: &TreePath| {
        let to = encode_name(&path.to_string());
        format!("/move/{here}?to={to}{picks}")
    };
    let own = Some(visit.space.owner) == call.asker.account();
    let mut steps = vec![(
        step(&TreePath::root()),
        super::folder::space_title(t, &visit.space, own),
    )];
    for depth in 1..=to.names().len() {
        let path = TreePath::new(to.names()[..depth].to_vec())?;
        steps.push((step(&path), to.names()[depth - 1].to_string()));
    }
    Ok(call.frame(&title, Section::Files, Width::Narrow).page(&html! {
        div class="headline" { h1 { (title) } }
        section class="card flush" {
            div class="list-foot" { (super::folder::crumb_list(t, &steps, false)) }
            table class="rows" { tbody {
                @for folder in &folders {
                    @let moving = to == visit.at.path && names.contains(folder);
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
                input type="hidden" name="to" value=(to);
                div class="buttons" {
                    button class="button main" name="do" value="move" disabled[to == visit.at.path] {
                        (icon("move")) (t.text("move-here"))
                    }
                    button class="button" name="do" value="copy" disabled[to == visit.at.path] {
                        (icon("copy")) (t.text("copy-here"))
                    }
                    a class="button bare" href=(format!("/files/{here}")) { (t.text("cancel")) }
                }
            }
        }
        @if to == visit.at.path { (notice(Tone::Info, &html! { (t.text("move-hint")) })) }
    }))
}

/// `POST /move/SPACE/folder`
pub(crate) async fn move_picked(call: Call) -> Answer {
    let form = call.form().await?;
    let names = picked(&form)?;
    let to = TreePath::parse(form.require("to")?)?;
    let copies = form.get("do") == Some("copy");
    let visit = call.visit()?.clone();
    let (author, asker) = (call.author(), call.asker.clone());
    let there = address::encode(&visit.space.name, &to);
    let count = names.len();
    call.blocking(move |app| {
        let place = gate::visit(app, &asker, &Need::ENTRY_CREATE, &visit.space.name, to)?;
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
