//! A folder: what is in it, 200 rows a page, sorted on the server, and all that can be done there.

use files::{Entry, Kind, Order, Page, Space};
use maud::{Markup, html};
use protocol::{ByteSize, EntryName, TreePath};
use sharing::Need;

use super::done;
use super::shell::{Input, Section, Width, icon, icon_of, moment};
use crate::address::{self, encode_name};
use crate::call::{Answer, Call};
use crate::content::Media;
use crate::dispatch::redirect;
use crate::form::Fields;
use crate::gate::{self, Visit};
use crate::language::Language;
use crate::problem::Problem;

/// Rows of one page.
pub(crate) const ROWS: usize = 200;

/// `GET /`: a person's own files.
pub(crate) async fn home(call: Call) -> Answer {
    let Some(account) = &call.account else {
        return Err(Problem::new(crate::Fault::SignIn));
    };
    let query = call
        .head
        .uri
        .query()
        .map_or(String::new(), |q| format!("?{q}"));
    let to = address::encode(&account.name, &TreePath::root());
    Ok(redirect(&format!("/files/{to}{query}")))
}

/// `GET /files/SPACE/path`: a folder's list or a file's page.
pub(crate) async fn show(call: Call) -> Answer {
    match call.visit()?.entry.kind {
        Kind::Folder => list(call).await,
        Kind::File => super::file::show(call).await,
    }
}

/// How a list is asked for: `?sort=size&order=desc&page=3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) order: Order,
    pub(crate) descending: bool,
    /// Counts from 1.
    pub(crate) page: usize,
}

impl Look {
    /// Reads it; nonsense reads as the default, so that a cut link still shows the folder.
    pub(crate) fn of(query: &Fields) -> Self {
        let order = match query.get("sort") {
            Some("size") => Order::Size,
            Some("modified") => Order::Modified,
            _ => Order::Name,
        };
        Self {
            order,
            descending: query.get("order") == Some("desc"),
            page: query.parsed("page").unwrap_or(1).clamp(1, 1_000_000),
        }
    }

    fn query(self) -> String {
        let sort = match self.order {
            Order::Name => "name",
            Order::Modified => "modified",
            Order::Size => "size",
        };
        let order = if self.descending { "desc" } else { "asc" };
        format!("?sort={sort}&order={order}&page={}", self.page)
    }

    fn sorted_by(self, order: Order) -> Self {
        Self {
            order,
            // A second click turns it round; sizes and dates start with the greatest.
            descending: if self.order == order {
                !self.descending
            } else {
                order != Order::Name
            },
            page: 1,
        }
    }
}

/// The rows of one page and how many there are in all.
pub(crate) struct Listing {
    pub(crate) rows: Vec<Row>,
    pub(crate) total: u64,
}

/// One row.
pub(crate) struct Row {
    pub(crate) entry: Entry,
    pub(crate) lan_only: bool,
}

/// What may be done in this folder, for drawing controls only.
#[derive(Debug, Clone, Copy)]
struct Powers {
    create: bool,
    delete: bool,
    share: bool,
}

async fn list(call: Call) -> Answer {
    let query = call.query()?;
    let look = Look::of(&query);
    let visit = call.visit()?.clone();
    let (asker, folder) = (call.asker.clone(), visit.clone());
    let (listing, powers, usage) = call
        .blocking(move |app| {
            gate::note_read(app, &asker, &folder)?;
            let listing = read(app, &asker, &folder.entry, look)?;
            let may = |need: &Need| gate::may(app, &asker, need, &folder.space, &folder.chain);
            let powers = Powers {
                create: may(&Need::ENTRY_CREATE)?,
                // What lies in a folder that one may write may be deleted.
                delete: may(&Need::ENTRY_WRITE)?,
                share: may(&Need::ENTRY_SHARE)?,
            };
            let usage = app.files.usage(folder.space.id)?;
            Ok((listing, powers, usage))
        })
        .await?;
    let t = call.language;
    let own = Some(visit.space.owner) == call.asker.account();
    let title = visit.at.path.last().map_or_else(
        || space_title(t, &visit.space, own),
        std::string::ToString::to_string,
    );
    let section = if own { Section::Files } else { Section::Shared };
    let here = address::encode(&visit.space.name, &visit.at.path);
    let mut used = ByteSize(usage.used).to_string();
    if let Some(quota) = usage.quota {
        used = format!("{used} / {}", ByteSize(quota).exact());
    }
    Ok(call.frame(&title, section, Width::Wide).page(&html! {
        @if let Some(notice) = done::done(t, &query) { (notice) }
        @if query.get("renamed").is_some() { (renumbered(t, &query)) }
        div class="headline" { (crumbs(t, &visit.space, &visit.at.path, own)) }
        @if powers.create { (tools(t, &format!("/upload/{here}"), &format!("/new-folder/{here}"))) }
        @if listing.total == 0 {
            div class="card" { (empty(t, powers.create)) }
        } @else {
            (table(t, &visit, &listing, look, powers, &here))
        }
        @if own {
            p class="soft small after" { (t.with("folder-used", &[("used", used.into())])) }
        }
        (done::undo(t, &query, &format!("/restore/{here}")))
    }))
}

/// Files whose name was taken and that were stored under another one.
fn renumbered(t: Language, query: &Fields) -> Markup {
    html! {
        @for pair in query.all("renamed").take(20) {
            @if let Some((wanted, given)) = pair.split_once('/') {
                (super::shell::notice(super::shell::Tone::Warn, &html! {
                    (t.with("upload-renumbered", &[
                        ("wanted", wanted.to_owned().into()),
                        ("given", given.to_owned().into()),
                    ]))
                }))
            }
        }
    }
}

/// Reads one page of a folder without what the asker must not see. Blocks.
pub(crate) fn read(
    app: &crate::App,
    asker: &sharing::Asker,
    folder: &Entry,
    look: Look,
) -> Result<Listing, Problem> {
    let visibility = app.sharing.visibility(asker)?;
    let flagged: std::collections::HashSet<protocol::Fid> = app
        .sharing
        .lan_only()?
        .into_iter()
        .filter_map(|what| match what {
            sharing::LanOnly::Entry(fid) => Some(fid),
            sharing::LanOnly::Service(_) => None,
        })
        .collect();
    let mut hidden_here = 0;
    for fid in visibility.hidden() {
        if app
            .files
            .entry(fid)?
            .is_some_and(|entry| entry.parent == Some(folder.fid))
        {
            hidden_here += 1;
        }
    }
    let page = Page {
        skip: (look.page - 1) * ROWS,
        limit: ROWS,
        order: look.order,
        descending: look.descending,
        ..Page::default()
    };
    let rows = app
        .files
        .children(folder.fid, &page)?
        .into_iter()
        .filter(|entry| visibility.shows(entry.fid))
        .map(|entry| Row {
            lan_only: flagged.contains(&entry.fid),
            entry,
        })
        .collect();
    let total = app.files.count_children(folder.fid)?;
    Ok(Listing {
        rows,
        total: total.saturating_sub(hidden_here),
    })
}

pub(crate) fn space_title(t: Language, space: &Space, own: bool) -> String {
    if own {
        t.text("folder-mine")
    } else {
        t.with("folder-of", &[("name", space.name.to_string().into())])
    }
}

/// The way from the top of the space to here.
pub(crate) fn crumbs(t: Language, space: &Space, path: &TreePath, own: bool) -> Markup {
    let mut steps = vec![(
        format!("/files/{}", address::encode(&space.name, &TreePath::root())),
        space_title(t, space, own),
    )];
    let mut href = format!("/files/{}", encode_name(space.name.as_str()));
    for name in path.names() {
        href = format!("{href}/{}", encode_name(name.as_str()));
        steps.push((href.clone(), name.to_string()));
    }
    crumb_list(t, &steps, true)
}

/// Links to all but the last step, which is where we are, and is the heading of most pages.
pub(crate) fn crumb_list(t: Language, steps: &[(String, String)], heading: bool) -> Markup {
    let last = steps.len().saturating_sub(1);
    html! {
        nav aria-label=(t.text("folder-path")) {
            ol class="crumbs" {
                @for (at, (href, name)) in steps.iter().enumerate() {
                    li {
                        @if at == last && heading { h1 class="crumbs" aria-current="page" { (name) } }
                        @else if at == last { span aria-current="page" { (name) } }
                        @else { a href=(href) { (name) } }
                    }
                }
            }
        }
    }
}

/// Upload and new folder. Closed until wanted; plain forms without the script.
pub(crate) fn tools(t: Language, upload: &str, new_folder: &str) -> Markup {
    html! {
        div class="tools" {
            details {
                summary class="button main" { (icon("up")) (t.text("upload")) }
                div class="card" { (upload_form(t, upload)) }
            }
            @if !new_folder.is_empty() {
                details {
                    summary class="button" { (icon("folder-new")) (t.text("new-folder")) }
                    form class="card stack" method="post" action=(new_folder) {
                        (Input::new("name", "text", t.text("label-folder-name")).draw())
                        div class="buttons" {
                            button class="button main" { (t.text("new-folder-make")) }
                        }
                    }
                }
            }
        }
    }
}

/// The upload form; `clash` says beforehand what happens to a taken name.
pub(crate) fn upload_form(t: Language, action: &str) -> Markup {
    html! {
        form class="stack" method="post" action=(action) enctype="multipart/form-data" data-upload
            data-sending=(t.text("upload-sending")) data-storing=(t.text("upload-storing"))
            data-failed=(t.text("upload-failed")) {
            // Before the files, because they are stored while they arrive.
            fieldset {
                legend { (t.text("upload-clash")) }
                div class="fields" {
                    (super::shell::choice("clash", "number", true,
                        &t.text("upload-clash-number"), &t.text("upload-clash-number-text")))
                    (super::shell::choice("clash", "replace", false,
                        &t.text("upload-clash-replace"), &t.text("upload-clash-replace-text")))
                    (super::shell::choice("clash", "refuse", false,
                        &t.text("upload-clash-refuse"), &t.text("upload-clash-refuse-text")))
                }
            }
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

fn empty(t: Language, can_create: bool) -> Markup {
    html! {
        div class="empty" {
            (icon_of("icon", "cloud"))
            h2 { (t.text("folder-empty")) }
            @if can_create { p { (t.text("folder-empty-text")) } }
        }
    }
}

fn table(
    t: Language,
    visit: &Visit,
    listing: &Listing,
    look: Look,
    powers: Powers,
    here: &str,
) -> Markup {
    let base = format!("/files/{here}");
    html! {
        form method="post" action=(format!("/delete/{here}")) {
            div class="card flush" {
                table class="rows" {
                    thead { tr {
                        @if powers.delete { th class="narrow-cell" scope="col" {
                            label hidden {
                                span class="hidden-visually" { (t.text("pick-all")) }
                                input type="checkbox" data-pick-all;
                            }
                        } }
                        (sort_head(t.text("column-name"), &base, look, Order::Name, ""))
                        (sort_head(t.text("column-size"), &base, look, Order::Size, "wide-only number"))
                        (sort_head(t.text("column-modified"), &base, look, Order::Modified, "wide-only"))
                        th class="narrow-cell" scope="col" {
                            span class="hidden-visually" { (t.text("column-actions")) }
                        }
                    } }
                    tbody {
                        @for row in &listing.rows { (draw_row(t, visit, row, powers, here)) }
                    }
                }
                div class="list-foot" {
                    span { (t.with("folder-total", &[("count", listing.total.into())])) }
                    (page_links(t, &base, look, listing.total))
                    @if powers.delete {
                        div class="buttons" {
                            button class="button small" formaction=(format!("/move/{here}"))
                                formmethod="get" data-needs-pick {
                                (icon("move")) (t.text("move-picked"))
                            }
                            button class="button small danger" data-needs-pick {
                                (icon("bin")) (t.text("delete-picked"))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn sort_head(label: String, base: &str, look: Look, order: Order, class: &str) -> Markup {
    let current = look.order == order;
    let sort = match (current, look.descending) {
        (false, _) => None,
        (true, false) => Some("ascending"),
        (true, true) => Some("descending"),
    };
    let arrow = if look.descending {
        "arrow-down"
    } else {
        "arrow-up"
    };
    html! {
        th class=(class) scope="col" aria-sort=[sort] {
            a href=(format!("{base}{}", look.sorted_by(order).query())) {
                (label)
                @if current { (icon(arrow)) }
            }
        }
    }
}

/// The picture for an entry.
pub(crate) fn entry_icon(entry: &Entry) -> Markup {
    match entry.kind {
        Kind::Folder => icon_of("icon folder", "folder"),
        Kind::File => icon_of("icon file", media_icon(entry.name.as_str())),
    }
}

pub(crate) fn media_icon(name: &str) -> &'static str {
    match Media::of(name) {
        Media::Picture(_) => "picture",
        Media::Film(_) => "film",
        Media::Sound(_) => "sound",
        Media::Text => "text",
        Media::Other => "file",
    }
}

fn draw_row(t: Language, visit: &Visit, row: &Row, powers: Powers, here: &str) -> Markup {
    let entry = &row.entry;
    let name = entry.name.as_str();
    let at = child_address(visit, &entry.name, here);
    let size = match entry.kind {
        Kind::File => ByteSize(entry.size).to_string(),
        Kind::Folder => String::new(),
    };
    html! {
        tr {
            @if powers.delete { td class="narrow-cell" {
                label {
                    span class="hidden-visually" {
                        (t.with("pick", &[("name", name.to_owned().into())]))
                    }
                    input class="pick" type="checkbox" name="name" value=(name);
                }
            } }
            td class="name" {
                a href=(format!("/files/{at}")) { (entry_icon(entry)) span title=(name) { (name) } }
                (badges(t, row))
                span class="under" {
                    @if !size.is_empty() { (size) " · " }
                    (moment(t, entry.mtime))
                }
            }
            td class="number wide-only" { (size) }
            td class="when wide-only" { (moment(t, entry.mtime)) }
            td class="narrow-cell" { (menu(t, entry, &at, powers)) }
        }
    }
}

/// The address of a child, as pages name it: `SPACE/folder/child`.
fn child_address(visit: &Visit, name: &EntryName, here: &str) -> String {
    let here = here.strip_suffix('/').unwrap_or(here);
    debug_assert!(here.starts_with(&encode_name(visit.space.name.as_str())));
    format!("{here}/{}", encode_name(name.as_str()))
}

fn badges(t: Language, row: &Row) -> Markup {
    let entry = &row.entry;
    html! {
        @if row.lan_only { span class="badge" { (icon("house")) (t.text("badge-lan-only")) } }
        @if entry.mount.is_some() { span class="badge plain" { (icon("disk")) (t.text("badge-bound")) } }
        @match entry.state {
            files::EntryState::Ready => {}
            files::EntryState::Indexing => { span class="badge plain" { (t.text("badge-indexing")) } }
            files::EntryState::Away => { span class="badge warn" { (t.text("badge-away")) } }
        }
    }
}

fn menu(t: Language, entry: &Entry, at: &str, powers: Powers) -> Markup {
    html! {
        details class="menu" {
            summary {
                (icon("more"))
                span class="hidden-visually" {
                    (t.with("menu-of", &[("name", entry.name.to_string().into())]))
                }
            }
            div class="items" {
                @if entry.kind == Kind::File {
                    a href=(format!("/get/{at}")) { (icon("down")) (t.text("download")) }
                    a href=(format!("/files/{at}")) { (icon("clock")) (t.text("versions")) }
                }
                @if powers.share {
                    a href=(format!("/share/{at}")) { (icon("link")) (t.text("share")) }
                }
                @if powers.delete {
                    a href=(format!("/rename/{at}")) { (icon("pen")) (t.text("rename")) }
                    button class="danger" name="only" value=(entry.name) {
                        (icon("bin")) (t.text("delete"))
                    }
                }
            }
        }
    }
}

/// Links to the pages around this one, the first and the last.
pub(crate) fn page_links(t: Language, base: &str, look: Look, total: u64) -> Markup {
    let pages = usize::try_from(total.div_ceil(ROWS as u64)).unwrap_or(usize::MAX);
    if pages < 2 {
        return html! {};
    }
    let near = look.page.saturating_sub(2)..=look.page + 2;
    let mut shown: Vec<usize> = near.filter(|page| (1..=pages).contains(page)).collect();
    if shown.first() != Some(&1) {
        shown.insert(0, 1);
    }
    if shown.last() != Some(&pages) {
        shown.push(pages);
    }
    html! {
        nav class="pages" aria-label=(t.text("pages")) {
            @for (at, page) in shown.iter().enumerate() {
                @if at > 0 && page - shown[at - 1] > 1 { span { "…" } }
                @if *page == look.page { span aria-current="page" { (page) } }
                @else { a href=(format!("{base}{}", Look { page: *page, ..look }.query())) { (page) } }
            }
        }
    }
}
