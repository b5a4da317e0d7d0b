//! What a friend shares, as pages: `/friends/files/NAME/share/…`. Everything is asked live from the
//! friend's node; a page waits for that node and no other.

use axum::body::Body;
use dav::{LISTING_BYTES_MAX, LISTING_QUERY, Listed};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use maud::{Markup, html};
use protocol::{ByteSize, EntryName, Timestamp, TreePath};
use sharing::{Asker, Friend};

use crate::App;
use crate::address::{decode_path, encode_name};
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::friends::{self, ACCESS_HEADER, Outgoing};
use crate::language::Language;
use crate::pages::done;
use crate::pages::folder::{ROWS, crumb_list, media_icon};
use crate::pages::shell::{Input, Section, Width, choice, icon, icon_of, moment};
use crate::parts::{self, Parts};
use crate::problem::{Fault, Problem};

/// A place at a friend's, from the address of the page.
pub(crate) struct Spot {
    pub(crate) friend: Friend,
    pub(crate) path: Vec<EntryName>,
}

impl Spot {
    pub(crate) async fn of(call: &Call) -> Result<Self, Problem> {
        let path: TreePath = decode_path(call.rest())?;
        let (name, path) = path.names().split_first().ok_or(Problem::NOT_FOUND)?;
        let (name, path) = (name.clone(), path.to_vec());
        let friend = call
            .blocking(move |app| {
                let friends = app.sharing.accepted_friends()?;
                let friend = friends.values().find(|friend| friend.name == name);
                friend.cloned().ok_or(Problem::NOT_FOUND)
            })
            .await?;
        Ok(Self { friend, path })
    }

    /// `NAME/share/folder`, encoded.
    fn address(&self) -> String {
        let mut text = encode_name(self.friend.name.as_str());
        for name in &self.path {
            text.push('/');
            text.push_str(&encode_name(name.as_str()));
        }
        text
    }

    async fn ask(
        &self,
        app: &App,
        asker: &Asker,
        method: Method,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response<Body>, Problem> {
        let outgoing = Outgoing {
            friend: &self.friend,
            method,
            path: &self.path,
            folder: false,
            headers,
            own: Vec::new(),
            body,
            base: "/",
        };
        let answer = friends::relay(app, asker, outgoing).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(match answer.status() {
            StatusCode::NOT_FOUND => Problem::NOT_FOUND,
            StatusCode::FORBIDDEN => Problem::new(Fault::Forbidden),
            StatusCode::PRECONDITION_FAILED | StatusCode::METHOD_NOT_ALLOWED => {
                Problem::new(Fault::Taken)
            }
            StatusCode::LOCKED => Problem::new(Fault::Locked),
            StatusCode::CONFLICT => Problem::new(Fault::ParentMissing),
            StatusCode::INSUFFICIENT_STORAGE => Problem::new(Fault::DiskFull),
            _ => friends::problem(&self.friend, friends::Unreached::Broken),
        })
    }
}

/// What a page shows.
pub(crate) struct Found {
    /// The place itself, then what is in it.
    pub(crate) rows: Vec<Listed>,
    pub(crate) writable: bool,
}

/// Asks the friend's node for a folder.
pub(crate) async fn look(call: &Call, spot: &Spot) -> Result<Found, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert("depth", HeaderValue::from_static("1"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    let propfind = Method::from_bytes(b"PROPFIND").map_err(|_| Problem::new(Fault::Internal))?;
    let answer = spot
        .ask(
            &call.app,
            &call.asker,
            propfind,
            &headers,
            LISTING_QUERY.into(),
        )
        .await?;
    let access = answer.headers().get(ACCESS_HEADER);
    let writable = access.is_some_and(|access| access == "rw");
    let broken = || friends::problem(&spot.friend, friends::Unreached::Broken);
    let body = Limited::new(answer.into_body(), LISTING_BYTES_MAX);
    let body = body.collect().await.map_err(|_| broken())?.to_bytes();
    let rows = dav::read_listing(&body).map_err(|_| broken())?;
    Ok(Found { rows, writable })
}

/// `GET /friends/files/NAME/…`: a folder, or a file that can be fetched.
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let spot = Spot::of(&call).await?;
    let found = look(&call, &spot).await?;
    let t = call.language;
    let mut rows = found.rows.into_iter();
    let own = rows.next();
    let here = spot.address();
    let title = spot.path.last().unwrap_or(&spot.friend.name).to_string();
    let is_file = !spot.path.is_empty() && own.as_ref().is_some_and(|own| !own.folder);
    let mut rows: Vec<Listed> = rows.filter(|row| !row.path.is_empty()).collect();
    rows.sort_by(|a, b| (!a.folder, a.path.last()).cmp(&(!b.folder, b.path.last())));
    let total = rows.len();
    let page = query.parsed::<usize>("page").unwrap_or(1).max(1);
    let shown = rows.iter().skip((page - 1).saturating_mul(ROWS)).take(ROWS);
    Ok(call
        .frame(&title, Section::Friends, Width::Wide)
        .page(&html! {
            @if let Some(notice) = done::done(t, &query) { (notice) }
            div class="headline" { (crumbs(t, &spot)) }
            @if let Some(own) = own.filter(|_| is_file) { (file(t, &title, &own, &here)) }
            @else {
                @if found.writable { (tools(t, &here)) }
                @if total == 0 {
                    div class="card" { div class="empty" {
                        (icon_of("icon", "cloud"))
                        h2 {
                            @if spot.path.is_empty() { (t.text("friends-nothing")) }
                            @else { (t.text("folder-empty")) }
                        }
                    } }
                } @else {
                    (table(t, shown, &here, found.writable))
                    (page_links(t, &here, page, total))
                }
            }
        }))
}

fn crumbs(t: Language, spot: &Spot) -> Markup {
    let mut steps = vec![("/friends".to_owned(), t.text("friends-title"))];
    let mut href = format!("/friends/files/{}", encode_name(spot.friend.name.as_str()));
    steps.push((href.clone(), spot.friend.name.to_string()));
    for name in &spot.path {
        href = format!("{href}/{}", encode_name(name.as_str()));
        steps.push((href.clone(), name.to_string()));
    }
    crumb_list(t, &steps, true)
}

fn modified(t: Language, row: &Listed) -> Markup {
    let at = httpdate::parse_http_date(&row.modified).ok();
    let at = at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let at = at.and_then(|at| i64::try_from(at.as_secs()).ok());
    html! { @if let Some(seconds) = at { (moment(t, Timestamp::from_secs(seconds))) } }
}

fn file(t: Language, name: &str, own: &Listed, here: &str) -> Markup {
    html! {
        section class="card stack" {
            div class="empty" {
                (icon_of("icon", media_icon(name)))
                p { (ByteSize(own.size)) " · " (modified(t, own)) }
            }
            div class="buttons grow" {
                a class="button main" href=(format!("/friends/get/{here}")) {
                    (icon("down")) (t.text("download"))
                }
            }
        }
    }
}

fn table<'a>(
    t: Language,
    rows: impl Iterator<Item = &'a Listed>,
    here: &str,
    writable: bool,
) -> Markup {
    html! {
        div class="card flush" { table class="rows" {
            thead { tr {
                th scope="col" { (t.text("column-name")) }
                th class="wide-only number" scope="col" { (t.text("column-size")) }
                th class="wide-only" scope="col" { (t.text("column-modified")) }
                th class="narrow-cell" scope="col" {
                    span class="hidden-visually" { (t.text("column-actions")) }
                }
            } }
            tbody { @for row in rows { (draw_row(t, row, here, writable)) } }
        } }
    }
}

fn draw_row(t: Language, row: &Listed, here: &str, writable: bool) -> Markup {
    let Some(name) = row.path.last().map(EntryName::as_str) else {
        return html! {};
    };
    let at = format!("{here}/{}", encode_name(name));
    let size = if row.folder {
        String::new()
    } else {
        ByteSize(row.size).to_string()
    };
    html! {
        tr {
            td class="name" {
                a href=(format!("/friends/files/{at}")) {
                    @if row.folder { (icon_of("icon folder", "folder")) }
                    @else { (icon_of("icon file", media_icon(name))) }
                    span title=(name) { (name) }
                }
                span class="under" {
                    @if !size.is_empty() { (size) " · " }
                    (modified(t, row))
                }
            }
            td class="number wide-only" { (size) }
            td class="when wide-only" { (modified(t, row)) }
            td class="narrow-cell" {
                @if !row.folder || (writable && here.contains('/')) {
                    details class="menu" {
                        summary {
                            (icon("more"))
                            span class="hidden-visually" {
                                (t.with("menu-of", &[("name", name.to_owned().into())]))
                            }
                        }
                        form class="items" method="post" action=(format!("/friends/delete/{at}")) {
                            @if !row.folder {
                                a href=(format!("/friends/get/{at}")) {
                                    (icon("down")) (t.text("download"))
                                }
                            }
                            @if writable && here.contains('/') {
                                button class="danger" { (icon("bin")) (t.text("delete")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn page_links(t: Language, here: &str, page: usize, total: usize) -> Markup {
    html! {
        @if total > ROWS {
            nav class="pages" aria-label=(t.text("pages")) {
                @for number in 1..=total.div_ceil(ROWS) {
                    @if number == page { span aria-current="page" { (number) } }
                    @else { a href=(format!("/friends/files/{here}?page={number}")) { (number) } }
                }
            }
        }
    }
}

fn tools(t: Language, here: &str) -> Markup {
    html! {
        div class="tools" {
            details {
                summary class="button main" { (icon("up")) (t.text("upload")) }
                form class="card stack" method="post" enctype="multipart/form-data"
                    action=(format!("/friends/upload/{here}")) {
                    fieldset {
                        legend { (t.text("upload-clash")) }
                        div class="fields" {
                            (choice("clash", "refuse", true,
                                &t.text("upload-clash-refuse"), &t.text("upload-clash-refuse-text")))
                            (choice("clash", "replace", false,
                                &t.text("upload-clash-replace"), &t.text("upload-clash-replace-text")))
                        }
                    }
                    div class="field" {
                        label for="field-files" { (t.text("upload-files")) }
                        input id="field-files" type="file" name="file" multiple required;
                    }
                    div class="buttons" {
                        button class="button main" { (icon("up")) (t.text("upload-start")) }
                    }
                }
            }
            details {
                summary class="button" { (icon("folder-new")) (t.text("new-folder")) }
                form class="card stack" method="post" action=(format!("/friends/new-folder/{here}")) {
                    (Input::new("name", "text", t.text("label-folder-name")).draw())
                    div class="buttons" { button class="button main" { (t.text("new-folder-make")) } }
                }
            }
        }
    }
}

/// `GET /friends/get/NAME/…`: the content, to be kept; parts and conditions pass through.
pub(crate) async fn download(call: Call) -> Answer {
    let spot = Spot::of(&call).await?;
    let name = spot.path.last().ok_or(Problem::NOT_FOUND)?.to_string();
    let outgoing = Outgoing {
        friend: &spot.friend,
        method: call.head.method.clone(),
        path: &spot.path,
        folder: false,
        headers: &call.head.headers,
        own: Vec::new(),
        body: Body::empty(),
        base: "/",
    };
    let mut answer = friends::relay(&call.app, &call.asker, outgoing).await?;
    match answer.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
        StatusCode::NOT_MODIFIED | StatusCode::RANGE_NOT_SATISFIABLE => return Ok(answer),
        StatusCode::SEE_OTHER => {
            return Ok(redirect(&format!("/friends/files/{}", spot.address())));
        }
        StatusCode::FORBIDDEN => return Err(Problem::new(Fault::Forbidden)),
        StatusCode::NOT_FOUND => return Err(Problem::NOT_FOUND),
        _ => return Err(friends::problem(&spot.friend, friends::Unreached::Broken)),
    }
    let kept = crate::content::disposition(&name, false);
    if let Ok(kept) = HeaderValue::from_str(&kept) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, kept);
    }
    Ok(answer)
}

/// `POST /friends/upload/NAME/…`: each file goes on to the friend's node while it arrives.
pub(crate) async fn upload(call: Call) -> Answer {
    let spot = Spot::of(&call).await?;
    let mut parts = Parts::read(&call.head.headers, call.take_body())?;
    let mut replace = false;
    let mut count = 0;
    while let Some(field) = parts.next().await? {
        let Some(name) = field.file_name().map(str::to_owned) else {
            let is_clash = field.name() == Some("clash");
            let value = parts::text(field).await?;
            if is_clash {
                replace = value == "replace";
            }
            continue;
        };
        if name.is_empty() {
            continue;
        }
        let name = name.rsplit(['/', '\\']).next().unwrap_or(&name);
        let mut to = Spot {
            friend: spot.friend.clone(),
            path: spot.path.clone(),
        };
        to.path.push(EntryName::new(name)?);
        let mut headers = HeaderMap::new();
        if !replace {
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        let body = Body::from_stream(field);
        to.ask(&call.app, &call.asker, Method::PUT, &headers, body)
            .await?;
        count += 1;
    }
    if count == 0 {
        return Err(Problem::new(Fault::NothingPicked));
    }
    let here = spot.address();
    Ok(redirect(&format!(
        "/friends/files/{here}?done=uploaded&count={count}"
    )))
}

/// `POST /friends/new-folder/NAME/…`
pub(crate) async fn new_folder(call: Call) -> Answer {
    let spot = Spot::of(&call).await?;
    let name = EntryName::new(call.form().await?.require("name")?)?;
    let here = spot.address();
    let mut to = spot;
    to.path.push(name.clone());
    let make = Method::from_bytes(b"MKCOL").map_err(|_| Problem::new(Fault::Internal))?;
    to.ask(
        &call.app,
        &call.asker,
        make,
        &HeaderMap::new(),
        Body::empty(),
    )
    .await?;
    let name = encode_name(name.as_str());
    Ok(redirect(&format!(
        "/friends/files/{here}?done=folder&name={name}"
    )))
}

/// `POST /friends/delete/NAME/…`: to the trash of the friend's node.
pub(crate) async fn delete(call: Call) -> Answer {
    let mut spot = Spot::of(&call).await?;
    if spot.path.len() < 2 {
        return Err(Problem::new(Fault::Forbidden));
    }
    spot.ask(
        &call.app,
        &call.asker,
        Method::DELETE,
        &HeaderMap::new(),
        Body::empty(),
    )
    .await?;
    spot.path.pop();
    let here = spot.address();
    Ok(redirect(&format!("/friends/files/{here}?done=removed")))
}
