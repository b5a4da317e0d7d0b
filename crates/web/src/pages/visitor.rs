//! `/s/TOKEN`: what somebody with a link sees (R19, R94, R110).
//!
//! Nothing of the entry, not even its name, is shown before the password. Dead links and ones that
//! never were give the same 404. A link that counts downloads sends its content whole, counted
//! before the first byte and given back if the transfer broke off.

use std::sync::Arc;

use axum::body::Body;
use files::{Change, Kind, Op};
use http::Response;
use maud::{Markup, html};
use protocol::{ByteSize, EntryName, TreePath};
use sharing::{Action, Asker, Event, Link, LinkRight, Need, Who};

use super::change::{commit_one, delete_entries, picked, rename_entry};
use super::folder::{Look, Row, crumb_list, entry_icon, page_links, read, tools};
use super::shell::{Input, Section, Tone, Width, icon, icon_of, moment, notice};
use super::upload::{Clash, receive};
use super::{done, file};
use crate::address::{self, encode_name};
use crate::call::{Answer, Call};
use crate::content::{Delivery, Media, Offer, Watch, deliver};
use crate::cookies::Cookie;
use crate::dispatch::redirect;
use crate::gate::{Visit, gate, note_read};
use crate::language::Language;
use crate::problem::{Fault, Problem};
use crate::{App, asker};

/// The link and the part of the visitor's path that lies below its entry.
struct Place {
    link: Link,
    /// `/s/TOKEN`
    base: String,
    /// Below the link's entry.
    below: TreePath,
}

fn place(call: &Call) -> Result<Place, Problem> {
    let link = call.visit()?.link.clone().ok_or(Problem::NOT_FOUND)?;
    let (token, path) = call.route.link_rest(call.head.uri.path());
    Ok(Place {
        link,
        base: format!("/s/{}", encode_name(token)),
        below: address::decode_path(path)?,
    })
}

fn is_unlocked(asker: &Asker) -> bool {
    match &asker.who {
        Who::Link { unlocked, .. } => *unlocked,
        Who::Account { .. } | Who::Friend { .. } | Who::Nobody => false,
    }
}

/// `GET /s/TOKEN`
pub(crate) async fn front(call: Call) -> Answer {
    if !is_unlocked(&call.asker) {
        return Ok(draw_lock(&call, None));
    }
    let link = place(&call)?.link;
    if link.right == LinkRight::Upload {
        return draw_drop(&call);
    }
    let (asker, entry) = (call.asker.clone(), call.visit()?.entry.clone());
    call.blocking(move |app| gate(app, &asker, &Need::LINK_LIST, &entry))
        .await?;
    look(call).await
}

/// `GET /s/TOKEN/open/path`
pub(crate) async fn look(call: Call) -> Answer {
    let (asker, visit) = (call.asker.clone(), call.visit()?.clone());
    call.blocking(move |app| note_read(app, &asker, &visit))
        .await?;
    match call.visit()?.entry.kind {
        Kind::Folder => draw_folder(call).await,
        Kind::File => draw_file(&call),
    }
}

fn draw_lock(call: &Call, problem: Option<&Problem>) -> Response<Body> {
    let t = call.language;
    let title = t.text("visitor-lock-title");
    let base = call
        .head
        .uri
        .path()
        .trim_end_matches("/unlock")
        .trim_end_matches('/');
    let message = problem.map(|problem| {
        if problem.fault == Fault::SignIn {
            Fault::WrongPassword.message(t)
        } else {
            problem.fault.message(t)
        }
    });
    let mut response = call.frame(&title, Section::None, Width::Middle).page(&html! {
        div class="welcome" { (icon("lock")) h1 { (title) } p { (t.text("visitor-lock-text")) } }
        @if let Some(message) = &message {
            (notice(Tone::Bad, &html! { span data-problem { (message) } }))
        }
        form class="card stack" method="post" action=(format!("{base}/unlock")) {
            (Input {
                autofocus: true,
                autocomplete: "current-password",
                ..Input::new("password", "password", t.text("label-password"))
            }.draw())
            button class="button main full" { (t.text("visitor-lock-open")) }
        }
    });
    if let Some(problem) = problem {
        problem.head(crate::Caller::Page, &mut response);
    }
    response
}

/// `POST /s/TOKEN/unlock`
pub(crate) async fn unlock(call: Call) -> Answer {
    let password = call.form().await?.require("password")?.to_owned();
    let Place { link, base, .. } = place(&call)?;
    let (asker, id) = (call.asker.clone(), link.id);
    let tried = call
        .blocking(move |app| {
            let target = format!("link {}", link.id);
            let cookie = app
                .sharing
                .unlock_link(&link, &password, asker.address)
                .map_err(asker::refused)?;
            let mut event = Event::of(&asker, app.now(), Action::LinkUse, target);
            event.fid = Some(link.fid);
            app.sharing.audit(event)?;
            Ok(cookie)
        })
        .await;
    match tried {
        Ok(cookie) => {
            let mut response = redirect(&base);
            Cookie::Link(id).set(response.headers_mut(), &call.connection, &cookie, None);
            Ok(response)
        }
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(problem) => Ok(draw_lock(&call, Some(&problem))),
    }
}

fn draw_drop(call: &Call) -> Answer {
    let t = call.language;
    let query = call.query()?;
    let title = t.text("visitor-drop-title");
    let base = place(call)?.base;
    Ok(call
        .frame(&title, Section::None, Width::MiddleWide)
        .page(&html! {
            div class="welcome" { (icon("up")) h1 { (title) } p { (t.text("visitor-drop-text")) } }
            @if let Some(notice) = done::done(t, &query) { (notice) }
            div class="card" { (drop_form(t, &format!("{base}/upload"))) }
        }))
}

/// An upload form without a choice: nothing is ever overwritten.
fn drop_form(t: Language, action: &str) -> Markup {
    html! {
        form class="stack" method="post" action=(action) enctype="multipart/form-data" data-upload
            data-sending=(t.text("upload-sending")) data-storing=(t.text("upload-storing"))
            data-failed=(t.text("upload-failed")) {
            div class="field" {
                label for="field-files" { (t.text("upload-files")) }
                input id="field-files" type="file" name="file" multiple required
                    aria-describedby="field-files-hint";
                span class="hint" id="field-files-hint" { (t.text("upload-hint")) }
            }
            progress class="progress" hidden aria-label=(t.text("upload")) {}
            p class="soft small" data-status role="status" {}
            div class="buttons" {
                button class="button main" { (icon("up")) (t.text("upload-start")) }
            }
        }
    }
}

async fn draw_folder(call: Call) -> Answer {
    let query = call.query()?;
    let look = Look::of(&query);
    let visit = call.visit()?.clone();
    let Place { link, base, below } = place(&call)?;
    let (asker, folder) = (call.asker.clone(), visit.entry.clone());
    let listing = call
        .blocking(move |app| read(app, &asker, &folder, look))
        .await?;
    let t = call.language;
    let edits = link.right == LinkRight::Edit;
    let here = address::encode_path(&below);
    let title = visit.at.path.last().map_or_else(
        || visit.space.name.to_string(),
        std::string::ToString::to_string,
    );
    let steps = steps(&visit, &base, &below);
    let downloads = link.right != LinkRight::View;
    Ok(call.frame(&title, Section::None, Width::Wide).page(&html! {
        @if let Some(notice) = done::done(t, &query) { (notice) }
        div class="headline" { (crumb_list(t, &steps, true)) }
        @if edits {
            (tools(t, &format!("{base}/upload{here}"), &format!("{base}/new-folder{here}")))
        }
        @if listing.total == 0 {
            div class="card" { div class="empty" {
                (icon_of("icon", "cloud")) h2 { (t.text("folder-empty")) }
                @if edits { p { (t.text("folder-empty-text")) } }
            } }
        } @else {
            form method="post" action=(format!("{base}/delete{here}")) {
                div class="card flush" {
                    table class="rows" { tbody {
                        @for row in &listing.rows { (draw_row(t, row, &base, &here, edits, downloads)) }
                    } }
                    div class="list-foot" {
                        span { (t.with("folder-total", &[("count", listing.total.into())])) }
                        (page_links(t, &format!("{base}/open{here}"), look, listing.total))
                        @if edits {
                            button class="button small danger" data-confirm=(t.text("visitor-delete-ask")) {
                                (icon("bin")) (t.text("delete-picked"))
                            }
                        }
                    }
                }
            }
        }
    }))
}

fn steps(visit: &Visit, base: &str, below: &TreePath) -> Vec<(String, String)> {
    let names = visit.at.path.names();
    let top = names
        .len()
        .checked_sub(below.names().len() + 1)
        .and_then(|at| names.get(at))
        .map_or_else(|| visit.space.name.to_string(), ToString::to_string);
    let mut steps = vec![(base.to_owned(), top)];
    let mut href = format!("{base}/open");
    for name in below.names() {
        href = format!("{href}/{}", encode_name(name.as_str()));
        steps.push((href.clone(), name.to_string()));
    }
    steps
}

fn draw_row(
    t: Language,
    row: &Row,
    base: &str,
    here: &str,
    edits: bool,
    downloads: bool,
) -> Markup {
    let entry = &row.entry;
    let name = entry.name.as_str();
    let at = format!("{here}/{}", encode_name(name));
    let size = match entry.kind {
        Kind::File => ByteSize(entry.size).to_string(),
        Kind::Folder => String::new(),
    };
    html! {
        tr {
            @if edits { td class="narrow-cell" { label {
                span class="hidden-visually" { (t.with("pick", &[("name", name.to_owned().into())])) }
                input class="pick" type="checkbox" name="name" value=(name);
            } } }
            td class="name" {
                a href=(format!("{base}/open{at}")) { (entry_icon(entry)) span title=(name) { (name) } }
                span class="under" {
                    @if !size.is_empty() { (size) " · " }
                    (moment(t, entry.mtime))
                }
            }
            td class="number wide-only" { (size) }
            td class="when wide-only" { (moment(t, entry.mtime)) }
            td class="narrow-cell" {
                @if downloads && entry.kind == Kind::File {
                    a class="button small bare" href=(format!("{base}/download{at}")) {
                        (icon("down")) span class="hidden-visually" { (t.text("download")) }
                    }
                }
                @if edits {
                    a class="button small bare" href=(format!("{base}/rename{at}")) {
                        (icon("pen")) span class="hidden-visually" { (t.text("rename")) }
                    }
                }
            }
        }
    }
}

fn draw_file(call: &Call) -> Answer {
    let t = call.language;
    let visit = call.visit()?;
    let entry = &visit.entry;
    let Place { link, base, below } = place(call)?;
    let here = address::encode_path(&below);
    let title = entry.name.to_string();
    let steps = steps(visit, &base, &below);
    let view = format!("{base}/view{here}");
    // A look would be as good as a download, so where downloads are counted nothing loads by itself.
    let counted = link.downloads_max.is_some();
    Ok(call.frame(&title, Section::None, Width::Narrow).page(&html! {
        div class="headline" { (crumb_list(t, &steps, true)) }
        section class="card flush" aria-label=(t.text("file-preview")) {
            @if counted {
                div class="preview" { (icon_of("icon", super::folder::media_icon(entry.name.as_str()))) }
            } @else { (file::preview(t, entry.name.as_str(), entry.size, &view)) }
        }
        section class="card stack" {
            dl class="facts" {
                dt { (t.text("column-size")) } dd { (ByteSize(entry.size)) }
                dt { (t.text("column-modified")) } dd { (moment(t, entry.mtime)) }
            }
            div class="buttons" {
                @if link.right != LinkRight::View {
                    a class="button main" href=(format!("{base}/download{here}")) {
                        (icon("down")) (t.text("download"))
                    }
                } @else if Media::of(entry.name.as_str()).is_shown() {
                    a class="button main" href=(view) { (t.text("visitor-view")) }
                }
            }
        }
    }))
}

/// `GET /s/TOKEN/download[/path]`
pub(crate) async fn download(call: Call) -> Answer {
    send(call, false).await
}

/// `GET /s/TOKEN/view[/path]`: only kinds that are shown, also where downloads are not allowed.
pub(crate) async fn view(call: Call) -> Answer {
    let entry = &call.visit()?.entry;
    if entry.is_folder() {
        return Err(Problem::new(Fault::IsAFolder));
    }
    if !Media::of(entry.name.as_str()).is_shown() {
        return Err(Problem::new(Fault::Forbidden));
    }
    send(call, true).await
}

/// Gives a counted download back unless it came to its end.
struct Counted {
    app: Arc<App>,
    link: i64,
    finished: bool,
}

impl Watch for Counted {
    fn finished(&mut self) {
        self.finished = true;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let (app, link) = (Arc::clone(&self.app), self.link);
        let give_back = move || {
            if let Err(error) = app.sharing.uncount_download(link) {
                tracing::warn!(%error, "a download that broke off stays counted");
            }
        };
        // A body is dropped on the runtime, where nothing may block.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(give_back)),
            Err(_) => give_back(),
        }
    }
}

async fn send(call: Call, inline: bool) -> Answer {
    let visit = call.visit()?.clone();
    let link = place(&call)?.link;
    let limited = link.downloads_max.is_some();
    let asker = call.asker.clone();
    // A HEAD is no download, and neither is the middle of one.
    let starts =
        call.head.method == http::Method::GET && (limited || starts_at_zero(&call.head.headers));
    let shared = Arc::clone(&call.app);
    let headers = call.head.headers.clone();
    call.blocking(move |app| {
        let content = app.files.open_content(visit.entry.fid)?;
        let counts = starts && (!inline || limited);
        if counts && !app.sharing.count_download(link.id)? {
            return Err(Problem::NOT_FOUND);
        }
        let watch = counts.then(|| {
            Box::new(Counted {
                app: shared,
                link: link.id,
                finished: false,
            }) as Box<dyn Watch>
        });
        note_read(app, &asker, &visit)?;
        let name = content.entry.name.to_string();
        let delivery = Delivery {
            size: content.entry.size,
            etag: (!limited).then(|| content.entry.etag().to_string()),
            modified: content.entry.mtime,
            file: Some(content.file),
            offer: if inline {
                Offer::Shown(name)
            } else {
                Offer::Kept(name)
            },
            ranges: !limited,
            watch,
        };
        deliver(&headers, delivery, app.now())
    })
    .await
}

fn starts_at_zero(headers: &http::HeaderMap) -> bool {
    headers
        .get(http::header::RANGE)
        .and_then(|value| value.to_str().ok())
        .is_none_or(|range| range.trim_start().starts_with("bytes=0-"))
}

/// `POST /s/TOKEN/upload[/path]`
pub(crate) async fn upload(call: Call) -> Answer {
    let Place { link, base, below } = place(&call)?;
    let visit = call.visit()?.clone();
    let drops = link.right == LinkRight::Upload;
    let stored = receive(&call, &visit, drops.then_some(Clash::Number)).await?;
    let count = stored.len();
    if drops {
        return Ok(redirect(&format!("{base}?done=sent&count={count}")));
    }
    let there = folder_address(&base, &below);
    Ok(redirect(&format!("{there}?done=uploaded&count={count}")))
}

fn folder_address(base: &str, below: &TreePath) -> String {
    if below.is_root() {
        base.to_owned()
    } else {
        format!("{base}/open{}", address::encode_path(below))
    }
}

/// `POST /s/TOKEN/new-folder[/path]`
pub(crate) async fn new_folder(call: Call) -> Answer {
    let Place { base, below, link } = place(&call)?;
    if link.right != LinkRight::Edit {
        return Err(Problem::new(Fault::Forbidden));
    }
    let form = call.form().await?;
    let name = EntryName::new(form.require("name")?.trim())?;
    let visit = call.visit()?.clone();
    let author = call.author();
    call.blocking(move |app| {
        let at = files::At {
            space: visit.at.space,
            path: visit.at.path.join(name)?,
        };
        commit_one(app, &author, Op::new(Change::MakeFolder { at }))
    })
    .await?;
    Ok(redirect(&folder_address(&base, &below)))
}

/// `GET /s/TOKEN/rename/path`
pub(crate) async fn show_rename(call: Call) -> Answer {
    let t = call.language;
    let visit = call.visit()?;
    let Place { base, below, .. } = place(&call)?;
    let title = t.with(
        "rename-title",
        &[("name", visit.entry.name.to_string().into())],
    );
    let action = format!("{base}/rename{}", address::encode_path(&below));
    let back = folder_address(&base, &below.parent().unwrap_or_default());
    Ok(call
        .frame(&title, Section::None, Width::Narrow)
        .page(&html! {
            div class="headline" { h1 class="break" { (title) } }
            form class="card stack" method="post" action=(action) {
                (Input {
                    value: visit.entry.name.as_str(),
                    autofocus: true,
                    ..Input::new("name", "text", t.text("label-new-name"))
                }.draw())
                div class="buttons" {
                    button class="button main" { (t.text("rename")) }
                    a class="button" href=(back) { (t.text("cancel")) }
                }
            }
        }))
}

/// `POST /s/TOKEN/rename/path`
pub(crate) async fn rename(call: Call) -> Answer {
    let form = call.form().await?;
    let name = EntryName::new(form.require("name")?.trim())?;
    let Place { base, below, .. } = place(&call)?;
    let back = folder_address(&base, &below.parent().unwrap_or_default());
    let visit = call.visit()?.clone();
    let (author, asker) = (call.author(), call.asker.clone());
    call.blocking(move |app| rename_entry(app, &asker, &author, &visit, name))
        .await?;
    Ok(redirect(&back))
}

/// `POST /s/TOKEN/delete[/path]`: the picked children of a folder.
pub(crate) async fn delete(call: Call) -> Answer {
    let names = picked(&call.form().await?)?;
    let Place { base, below, .. } = place(&call)?;
    let visit = call.visit()?.clone();
    let (author, asker) = (call.author(), call.asker.clone());
    call.blocking(move |app| delete_entries(app, &asker, &author, &visit, names))
        .await?;
    Ok(redirect(&folder_address(&base, &below)))
}
