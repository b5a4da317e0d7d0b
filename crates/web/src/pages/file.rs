//! One file: a look at it, what is known of it, its versions; and its bytes.

use files::{Change, Op, Version, VersionReason};
use maud::{Markup, html};
use protocol::{ByteSize, Seq, Timestamp};
use sharing::Need;

use super::done;
use super::folder::crumbs;
use super::shell::{Section, Width, icon, icon_of, moment};
use crate::address;
use crate::call::{Answer, Call};
use crate::content::{Delivery, Media, Offer, deliver};
use crate::dispatch::redirect;
use crate::gate;
use crate::language::Language;
use crate::problem::Problem;

/// Longest text that is shown on the page itself.
const TEXT_BYTES_MAX: u64 = 256 * 1024;

pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let visit = call.visit()?.clone();
    let (asker, looked) = (call.asker.clone(), visit.clone());
    let (versions, may_write, may_share) = call
        .blocking(move |app| {
            let may = |need: &Need| gate::may(app, &asker, need, &looked.space, &looked.chain);
            Ok((
                app.files.versions(looked.entry.fid)?,
                may(&Need::ENTRY_WRITE)?,
                may(&Need::ENTRY_SHARE)?,
            ))
        })
        .await?;
    let t = call.language;
    let entry = &visit.entry;
    let own = Some(visit.space.owner) == call.asker.account();
    let section = if own { Section::Files } else { Section::Shared };
    let here = address::encode(&visit.space.name, &visit.at.path);
    let title = entry.name.to_string();
    Ok(call.frame(&title, section, Width::Wide).page(&html! {
        @if let Some(notice) = done::done(t, &query) { (notice) }
        div class="headline" { (crumbs(t, &visit.space, &visit.at.path, own)) }
        div class="beside half" {
            section class="card flush" aria-label=(t.text("file-preview")) {
                (preview(t, entry.name.as_str(), entry.size, &format!("/view/{here}")))
            }
            section class="card stack" {
                div class="buttons grow" {
                    a class="button main" href=(format!("/get/{here}")) {
                        (icon("down")) (t.text("download"))
                    }
                    @if may_share {
                        a class="button" href=(format!("/share/{here}")) {
                            (icon("link")) (t.text("share"))
                        }
                    }
                    @if may_write {
                        a class="button" href=(format!("/rename/{here}")) {
                            (icon("pen")) (t.text("rename"))
                        }
                    }
                }
                dl class="facts" {
                    dt { (t.text("column-size")) } dd { (ByteSize(entry.size)) }
                    dt { (t.text("column-modified")) } dd { (moment(t, entry.mtime)) }
                    dt { (t.text("file-created")) } dd { (moment(t, entry.created)) }
                    @if let Some(hash) = entry.hash {
                        dt { (t.text("file-hash")) } dd class="mono small" { (hash) }
                    }
                }
            }
        }
        (versions_card(t, &versions, &here, may_write))
    }))
}

/// The look at a file, where its kind allows one.
pub(crate) fn preview(t: Language, name: &str, size: u64, view: &str) -> Markup {
    html! {
        div class="preview" {
            @match Media::of(name) {
                Media::Picture(_) => { img src=(view) alt=(name); }
                Media::Film(_) => { video src=(view) controls preload="metadata" aria-label=(name) {} }
                Media::Sound(_) => { audio src=(view) controls preload="metadata" aria-label=(name) {} }
                Media::Text => {
                    div class="empty" {
                        (icon_of("icon", "text"))
                        @if size <= TEXT_BYTES_MAX {
                            p { a class="button" href=(view) { (t.text("file-open-text")) } }
                        }
                    }
                }
                Media::Other => {
                    div class="empty" {
                        (icon_of("icon", "file"))
                        p { (t.text("file-no-preview")) }
                    }
                }
            }
        }
    }
}

fn versions_card(t: Language, versions: &[Version], here: &str, may_write: bool) -> Markup {
    html! {
        section class="card" {
            h2 { (t.text("versions")) }
            @if versions.is_empty() { p { (t.text("versions-none")) } }
            @else {
                div class="things" {
                    @for version in versions {
                        div class="thing" {
                            div class="main-part" {
                                b { (moment(t, version.mtime)) }
                                div class="soft" {
                                    (ByteSize(version.size)) " · "
                                    (reason(t, version)) " · " (moment(t, version.kept_at))
                                }
                            }
                            @if version.reason != VersionReason::Lost { div class="buttons" {
                                a class="button small" href=(format!("/version/{here}?rev={}", version.rev)) {
                                    (icon("down")) (t.text("download"))
                                }
                                @if may_write {
                                    form method="post" action=(format!("/version/{here}")) {
                                        input type="hidden" name="rev" value=(version.rev);
                                        button class="button small" {
                                            (icon("back")) (t.text("versions-restore"))
                                        }
                                    }
                                }
                            } }
                        }
                    }
                }
            }
        }
    }
}

fn reason(t: Language, version: &Version) -> String {
    let author = [("author", version.author.clone().into())];
    match version.reason {
        VersionReason::Overwritten => t.with("version-overwritten", &author),
        VersionReason::Refused => t.with("version-refused", &author),
        VersionReason::Outside => t.with("version-outside", &author),
        VersionReason::Lost => t.text("version-lost"),
    }
}

/// `GET /get/SPACE/path`: the file to keep.
pub(crate) async fn download(call: Call) -> Answer {
    send(call, false).await
}

/// `GET /view/SPACE/path`: the file to look at, if its kind allows.
pub(crate) async fn view(call: Call) -> Answer {
    send(call, true).await
}

async fn send(call: Call, inline: bool) -> Answer {
    let visit = call.visit()?.clone();
    let (asker, headers) = (call.asker.clone(), call.head.headers.clone());
    call.blocking(move |app| {
        let content = app.files.open_content(visit.entry.fid)?;
        gate::note_read(app, &asker, &visit)?;
        let name = content.entry.name.to_string();
        let delivery = Delivery {
            size: content.entry.size,
            etag: Some(content.entry.etag().to_string()),
            modified: content.entry.mtime,
            file: Some(content.file),
            offer: if inline {
                Offer::Shown(name)
            } else {
                Offer::Kept(name)
            },
            ranges: true,
            watch: None,
        };
        deliver(&headers, delivery, app.now())
    })
    .await
}

/// `GET /version/SPACE/path?rev=N`
pub(crate) async fn download_version(call: Call) -> Answer {
    let rev: i64 = call.query()?.parsed("rev")?;
    let visit = call.visit()?.clone();
    let (asker, headers) = (call.asker.clone(), call.head.headers.clone());
    call.blocking(move |app| {
        let file = app.files.open_version(visit.entry.fid, Seq(rev))?;
        let facts = file.metadata().map_err(|error| Problem::internal(&error))?;
        gate::note_read(app, &asker, &visit)?;
        let delivery = Delivery {
            size: facts.len(),
            file: Some(file),
            etag: None,
            modified: version_time(app, &visit.entry, rev)?,
            offer: Offer::Kept(visit.entry.name.to_string()),
            ranges: true,
            watch: None,
        };
        deliver(&headers, delivery, app.now())
    })
    .await
}

fn version_time(app: &crate::App, entry: &files::Entry, rev: i64) -> Result<Timestamp, Problem> {
    let versions = app.files.versions(entry.fid)?;
    let found = versions.iter().find(|version| version.rev == Seq(rev));
    Ok(found.map_or(entry.mtime, |version| version.mtime))
}

/// `POST /version/SPACE/path`: makes a version current again.
pub(crate) async fn restore_version(call: Call) -> Answer {
    let rev: i64 = call.form().await?.parsed("rev")?;
    let visit = call.visit()?.clone();
    let author = call.author();
    let here = address::encode(&visit.space.name, &visit.at.path);
    call.blocking(move |app| {
        let op = Op::new(Change::RestoreVersion {
            at: visit.at,
            rev: Seq(rev),
        });
        super::change::commit_one(app, &author, op)
    })
    .await?;
    Ok(redirect(&format!("/files/{here}?done=version")))
}
