//! New folder, rename, delete.

use files::{At, Author, Change, Done, Op};
use maud::html;
use protocol::EntryName;
use sharing::{Asker, Need};

use super::shell::{Input, Section, Tone, Width, notice};
use crate::App;
use crate::address::{self, encode_name};
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::gate::{Visit, gate, gate_whole};
use crate::problem::{Fault, Problem};

/// Most entries of one delete, move or restore.
pub(super) const PICKED_MAX: usize = 1_000;

/// One change; its refusal as a problem. Blocks.
pub(crate) fn commit_one(app: &App, author: &Author, op: Op) -> Result<Done, Problem> {
    match app.files.commit(author, vec![op]).pop() {
        Some(done) => Ok(done?),
        None => Err(Problem::new(Fault::Internal)),
    }
}

pub(super) fn below(visit: &Visit, name: EntryName) -> Result<At, Problem> {
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
    let name = call.visit()?.entry.name.to_string();
    draw_rename(&call, &name, None)
}

/// The form with `value` in it, after `problem` if the name could not be given.
fn draw_rename(call: &Call, value: &str, problem: Option<&Problem>) -> Answer {
    let visit = call.visit()?;
    let t = call.language;
    let title = t.with(
        "rename-title",
        &[("name", visit.entry.name.to_string().into())],
    );
    let parent = visit.at.path.parent().ok_or(Problem::new(Fault::IsTop))?;
    let back = address::encode(&visit.space.name, &parent);
    let here = address::encode(&visit.space.name, &visit.at.path);
    let mut response = call
        .frame(&title, Section::Files, Width::Narrow)
        .page(&html! {
            div class="headline" { h1 class="break" { (title) } }
            @if let Some(problem) = problem {
                (notice(Tone::Bad, &html! { span data-problem { (problem.fault.message(t)) } }))
            }
            form class="card stack" method="post" action=(format!("/rename/{here}")) {
                (Input {
                    value,
                    autofocus: true,
                    ..Input::new("name", "text", t.text("label-new-name"))
                }.draw())
                div class="buttons" {
                    button class="button main" { (t.text("rename")) }
                    a class="button" href=(format!("/files/{back}")) { (t.text("cancel")) }
                }
            }
        });
    if let Some(problem) = problem {
        problem.head(crate::Caller::Page, &mut response);
    }
    Ok(response)
}

/// `POST /rename/SPACE/path`
pub(crate) async fn rename(call: Call) -> Answer {
    let form = call.form().await?;
    let wanted = form.require("name")?.trim();
    match rename_to(&call, wanted).await {
        // What is wrong with the name is told beside the name.
        Err(problem) if matches!(problem.fault, Fault::Taken | Fault::BadName(_)) => {
            draw_rename(&call, wanted, Some(&problem))
        }
        answer => answer,
    }
}

async fn rename_to(call: &Call, wanted: &str) -> Answer {
    let name = EntryName::new(wanted)?;
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
