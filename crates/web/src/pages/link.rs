//! A person's own links: the list, one link with its address and QR code, taking it back.

use maud::{Markup, html};
use sharing::{Action, Event, Link, LinkRight, LinkState, LinksOf};

use super::done;
use super::shell::{Section, Width, copy_field, ending, icon, icon_of, qr};
use crate::App;
use crate::address;
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::gate::space_of;
use crate::language::Language;
use crate::problem::Problem;

/// Links shown on the list.
const ROWS_MAX: usize = 500;

pub(crate) fn right_text(t: Language, right: LinkRight) -> String {
    match right {
        LinkRight::View => t.text("right-view"),
        LinkRight::Download => t.text("right-download"),
        LinkRight::Edit => t.text("right-edit"),
        LinkRight::Upload => t.text("right-upload"),
    }
}

/// One link of a list; `place` is where it leads, where that is not clear from the page.
pub(crate) fn link_row(t: Language, link: &Link, place: Option<(&str, LinkState)>) -> Markup {
    html! {
        div class="thing" {
            div class="main-part" {
                @if let Some((path, state)) = place {
                    b { (path) } " " (state_badge(t, state))
                    div class="soft" { (right_text(t, link.right)) (label(link)) " · " (conditions(t, link)) }
                } @else {
                    b { (right_text(t, link.right)) } (label(link))
                    div class="soft" { (conditions(t, link)) }
                }
            }
            @if place.is_none_or(|(_, state)| state == LinkState::Usable) {
                div class="buttons" {
                    a class="button small" href=(format!("/links/{}", link.id)) {
                        (icon("copy")) (t.text("link-show"))
                    }
                    form method="post" action="/links/revoke" {
                        input type="hidden" name="id" value=(link.id);
                        button class="button small danger" data-confirm=(t.text("link-revoke-ask")) {
                            (t.text("link-revoke"))
                        }
                    }
                }
            }
        }
    }
}

fn label(link: &Link) -> Markup {
    html! { @if !link.label.is_empty() { " · " (link.label) } }
}

fn state_badge(t: Language, state: LinkState) -> Markup {
    match state {
        LinkState::Usable => html! { span class="badge good" { (t.text("link-usable")) } },
        LinkState::Expired => html! { span class="badge plain" { (t.text("link-expired")) } },
        LinkState::UsedUp => html! { span class="badge plain" { (t.text("link-used-up")) } },
        LinkState::Revoked => html! { span class="badge plain" { (t.text("link-revoked")) } },
    }
}

fn conditions(t: Language, link: &Link) -> Markup {
    html! {
        @if link.password { (icon("lock")) " " (t.text("link-with-password")) " · " }
        @if let Some(expires) = link.expires { (t.text("link-until")) " " (ending(t, expires)) " · " }
        @match link.downloads_max {
            Some(max) => {
                (t.with("link-downloads-of", &[("count", link.downloads.into()), ("limit", max.into())]))
            }
            None => { (t.with("link-downloads", &[("count", link.downloads.into())])) }
        }
    }
}

/// Where a link leads, for its owner; `None` while the entry is in the trash or gone.
fn place(app: &App, link: &Link) -> Result<Option<(String, String)>, Problem> {
    let Some(entry) = app.files.entry(link.fid)? else {
        return Ok(None);
    };
    let Ok(at) = app.files.locate(link.fid) else {
        return Ok(None);
    };
    let space = space_of(app, &entry)?;
    Ok(Some((
        at.path.to_string(),
        address::encode(&space.name, &at.path),
    )))
}

/// `GET /links`
pub(crate) async fn list(call: Call) -> Answer {
    let query = call.query()?;
    let me = call.me()?;
    let rows = call
        .blocking(move |app| {
            let now = app.now();
            let mut rows = Vec::new();
            for link in app
                .sharing
                .links(LinksOf::Account(me))?
                .into_iter()
                .take(ROWS_MAX)
            {
                let place = place(app, &link)?.map(|(path, _)| path);
                let state = link.state(now);
                rows.push((link, place, state));
            }
            // Usable ones first; the order within stays: newest first.
            rows.sort_by_key(|(_, _, state)| *state != LinkState::Usable);
            Ok(rows)
        })
        .await?;
    let t = call.language;
    let title = t.text("nav-links");
    Ok(call
        .frame(&title, Section::Links, Width::Narrow)
        .page(&html! {
            @if let Some(notice) = done::done(t, &query) { (notice) }
            div class="headline" { div { h1 { (title) } p { (t.text("links-text")) } } }
            div class="card" {
                @if rows.is_empty() {
                    div class="empty" {
                        (icon_of("icon", "link"))
                        h2 { (t.text("links-empty")) }
                        p { (t.text("links-empty-text")) }
                    }
                }
                div class="things" {
                    @for (link, place, state) in &rows {
                        @let gone = t.text("link-gone");
                        (link_row(t, link, Some((place.as_deref().unwrap_or(&gone), *state))))
                    }
                }
            }
        }))
}

fn own(app: &App, me: protocol::AccountId, id: i64) -> Result<Link, Problem> {
    app.sharing
        .link(id)?
        .filter(|link| link.created_by == me)
        .ok_or(Problem::NOT_FOUND)
}

/// `GET /links/ID`
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let id: i64 = call.rest().parse().map_err(|_| Problem::NOT_FOUND)?;
    let me = call.me()?;
    let (link, token, place) = call
        .blocking(move |app| {
            let link = own(app, me, id)?;
            let token = app.sharing.link_token(id)?.ok_or(Problem::NOT_FOUND)?;
            let place = place(app, &link)?;
            Ok((link, token, place))
        })
        .await?;
    let t = call.language;
    let url = format!("{}/s/{token}", call.origin());
    let title = t.text("link-title");
    let state = link.state(call.app.now());
    Ok(call.frame(&title, Section::Links, Width::Narrow).page(&html! {
        @if let Some(notice) = done::done(t, &query) { (notice) }
        div class="headline" {
            h1 { (title) }
            a class="button bare" href="/links" { (icon("back")) (t.text("link-all")) }
        }
        section class="card beside qr-beside" {
            (qr(&url))
            div class="stack" {
                (copy_field(t, "link-url", &t.text("link-url"), &url))
                dl class="facts" {
                    dt { (t.text("link-leads-to")) }
                    dd { @match &place {
                        Some((path, at)) => { a href=(format!("/files/{at}")) { (path) } }
                        None => { (t.text("link-gone")) }
                    } }
                    dt { (t.text("share-link-right")) } dd { (right_text(t, link.right)) (label(&link)) }
                    dt { (t.text("link-state")) } dd { (state_badge(t, state)) div class="soft" { (conditions(t, &link)) } }
                }
                @if state == LinkState::Usable {
                    form method="post" action="/links/revoke" {
                        input type="hidden" name="id" value=(link.id);
                        button class="button danger" data-confirm=(t.text("link-revoke-ask")) {
                            (t.text("link-revoke"))
                        }
                    }
                }
            }
        }
    }))
}

/// `POST /links/revoke`
pub(crate) async fn revoke(call: Call) -> Answer {
    let id: i64 = call.form().await?.parsed("id")?;
    let me = call.me()?;
    let asker = call.asker.clone();
    call.blocking(move |app| {
        own(app, me, id)?;
        app.sharing.revoke_link(id)?;
        let target = format!("link {id}");
        app.sharing
            .audit(Event::of(&asker, app.now(), Action::LinkRevoke, target))?;
        Ok(())
    })
    .await?;
    Ok(redirect("/links?done=revoked"))
}
