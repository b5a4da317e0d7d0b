//! `/share/SPACE/path`: everything about who else may reach an entry: links, members, LAN-only.

use files::Entry;
use maud::{Markup, html};
use protocol::Timestamp;
use sharing::{
    Access, Account, Action, Event, Friend, FriendState, Grant, Grantee, LanOnly, Link, LinkRight,
    LinksOf, NewLink,
};

use super::done;
use super::link::link_row;
use super::shell::{Input, Section, Width, choice, icon, icon_of, moment};
use crate::App;
use crate::address;
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::form::Fields;
use crate::gate::Visit;
use crate::given::given_to;
use crate::language::Language;
use crate::problem::Problem;

struct Shares {
    links: Vec<Link>,
    grants: Vec<(Grant, String)>,
    people: Vec<Account>,
    friends: Vec<Friend>,
    lan_only: bool,
}

fn read(app: &App, visit: &Visit) -> Result<Shares, Problem> {
    let now = app.now();
    let accounts = app.sharing.accounts()?;
    let mut friends = app.sharing.friends()?;
    friends.retain(|friend| friend.state == FriendState::Accepted);
    let name_of = |grantee: Grantee| match grantee {
        Grantee::Everyone => None,
        Grantee::Friend(id) => friends
            .iter()
            .find(|friend| friend.id == id)
            .map(|friend| friend.name.to_string()),
        Grantee::Account(id) => accounts
            .iter()
            .find(|account| account.id == id)
            .map(|account| account.name.to_string()),
    };
    let fid = visit.entry.fid;
    Ok(Shares {
        links: app
            .sharing
            .links(LinksOf::Entry(fid))?
            .into_iter()
            .filter(|link| link.state(now) == sharing::LinkState::Usable)
            .collect(),
        grants: app
            .sharing
            .grants(fid)?
            .into_iter()
            .map(|grant| {
                let name = name_of(grant.grantee).unwrap_or_default();
                (grant, name)
            })
            .collect(),
        lan_only: app.sharing.lan_only()?.contains(&LanOnly::Entry(fid)),
        people: accounts
            .into_iter()
            .filter(|account| account.id != visit.space.owner)
            .collect(),
        friends,
    })
}

/// `GET /share/SPACE/path`
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let visit = call.visit()?.clone();
    let looked = visit.clone();
    let shares = call.blocking(move |app| read(app, &looked)).await?;
    let t = call.language;
    let here = address::encode(&visit.space.name, &visit.at.path);
    let name = visit
        .at
        .path
        .last()
        .map_or_else(|| t.text("folder-mine"), std::string::ToString::to_string);
    let title = t.with("share-title", &[("name", name.into())]);
    Ok(call.frame(&title, Section::Files, Width::Narrow).page(&html! {
        @if let Some(notice) = done::done(t, &query) { (notice) }
        div class="headline" {
            h1 class="break" { (title) }
            a class="button bare" href=(format!("/files/{here}")) { (icon("back")) (t.text("back")) }
        }
        (link_card(t, &visit.entry, &shares, &here))
        (member_card(t, &shares, &here))
        (lan_card(t, shares.lan_only, &here))
    }))
}

fn link_card(t: Language, entry: &Entry, shares: &Shares, here: &str) -> Markup {
    let folder = entry.is_folder();
    html! {
        section class="card stack" {
            div { h2 { (t.text("share-link-title")) } p class="soft" { (t.text("share-link-text")) } }
            @if !shares.links.is_empty() {
                div class="things" { @for link in &shares.links { (link_row(t, link, None)) } }
            }
            form class="stack" method="post" action=(format!("/share-link/{here}")) {
                fieldset {
                    legend { (t.text("share-link-right")) }
                    div class="choices" {
                        (choice("right", "download", true,
                            &t.text("right-download"), &t.text("right-download-text")))
                        (choice("right", "view", false,
                            &t.text("right-view"), &t.text("right-view-text")))
                        @if folder {
                            (choice("right", "upload", false,
                                &t.text("right-upload"), &t.text("right-upload-text")))
                            (choice("right", "edit", false,
                                &t.text("right-edit"), &t.text("right-edit-text")))
                        }
                    }
                }
                div class="fields" {
                    (Input {
                        required: false,
                        autocomplete: "new-password",
                        hint: Some(t.text("share-link-password-hint")),
                        ..Input::new("password", "password", t.text("share-link-password"))
                    }.draw())
                    (Input {
                        required: false,
                        hint: Some(t.text("share-link-expires-hint")),
                        ..Input::new("expires", "date", t.text("share-link-expires"))
                    }.draw())
                    (Input {
                        required: false,
                        hint: Some(t.text("share-link-limit-hint")),
                        ..Input::new("limit", "number", t.text("share-link-limit"))
                    }.draw())
                    (Input {
                        required: false,
                        hint: Some(t.text("share-link-label-hint")),
                        ..Input::new("label", "text", t.text("share-link-label"))
                    }.draw())
                }
                div class="buttons" {
                    button class="button main" { (icon("link")) (t.text("share-link-make")) }
                }
            }
        }
    }
}

fn member_card(t: Language, shares: &Shares, here: &str) -> Markup {
    html! {
        section class="card stack" {
            div { h2 { (t.text("share-member-title")) } p class="soft" { (t.text("share-member-text")) } }
            @if !shares.grants.is_empty() {
                div class="things" {
                    @for (grant, name) in &shares.grants {
                        div class="thing" {
                            div class="main-part" {
                                b { @match grant.grantee {
                                    Grantee::Everyone => { (t.text("share-everyone")) }
                                    Grantee::Account(_) => { (name) }
                                    Grantee::Friend(_) => {
                                        (t.with("share-friend", &[("name", name.clone().into())]))
                                    }
                                } }
                                div class="soft" {
                                    (access_text(t, grant.access)) " · " (moment(t, grant.created))
                                }
                            }
                            form method="post" action=(format!("/unshare/{here}")) {
                                input type="hidden" name="id" value=(grant.id);
                                button class="button small danger" { (t.text("share-stop")) }
                            }
                        }
                    }
                }
            }
            @if shares.people.is_empty() && shares.friends.is_empty() { p class="soft" { (t.text("share-nobody")) } }
            @else {
                form class="stack" method="post" action=(format!("/share-member/{here}")) {
                    div class="fields" {
                        div class="field" {
                            label for="field-who" { (t.text("share-who")) }
                            select id="field-who" name="who" required {
                                @for person in &shares.people {
                                    option value=(person.name) { (person.name) }
                                }
                                @if !shares.people.is_empty() {
                                    option value="*" { (t.text("share-everyone")) }
                                }
                                @for friend in &shares.friends {
                                    option value=(format!("friend:{}", friend.name)) {
                                        (t.with("share-friend", &[
                                            ("name", friend.name.to_string().into()),
                                        ]))
                                    }
                                }
                            }
                        }
                        div class="field" {
                            label for="field-access" { (t.text("share-access")) }
                            select id="field-access" name="access" {
                                option value="r" { (t.text("access-read")) }
                                option value="rw" { (t.text("access-write")) }
                            }
                        }
                    }
                    div class="buttons" {
                        button class="button" { (icon("people")) (t.text("share-member-make")) }
                    }
                }
            }
        }
    }
}

fn access_text(t: Language, access: Access) -> String {
    match access {
        Access::Read => t.text("access-read"),
        Access::Write => t.text("access-write"),
    }
}

fn lan_card(t: Language, on: bool, here: &str) -> Markup {
    html! {
        section class="card stack" {
            div {
                h2 { (t.text("lan-title")) " "
                    @if on { span class="badge" { (icon("house")) (t.text("badge-lan-only")) } }
                }
                p class="soft" { (t.text("lan-text")) }
            }
            form method="post" action=(format!("/lan-only/{here}")) {
                @if on {
                    button class="button" name="on" value="no" { (t.text("lan-turn-off")) }
                } @else {
                    button class="button" name="on" value="yes" { (icon("house")) (t.text("lan-turn-on")) }
                }
            }
        }
    }
}

fn target(visit: &Visit) -> String {
    format!("{}:{}", visit.space.name, visit.at.path)
}

fn event(app: &App, asker: &sharing::Asker, visit: &Visit, action: Action) -> Event {
    let mut event = Event::of(asker, app.now(), action, target(visit));
    event.space = Some(visit.space.id);
    event.fid = Some(visit.entry.fid);
    event
}

/// A link as the form describes it.
fn new_link(form: &Fields, visit: &Visit, now: Timestamp) -> Result<NewLink, Problem> {
    let right: LinkRight = form.parsed("right")?;
    let of_folders = matches!(right, LinkRight::Upload | LinkRight::Edit);
    if of_folders && !visit.entry.is_folder() {
        return Err(Problem::bad("right"));
    }
    let expires = form.filled("expires").map(end_of_day).transpose()?;
    if expires.is_some_and(|expires| expires <= now) {
        return Err(Problem::bad("expires"));
    }
    let downloads_max = match form.filled("limit") {
        None => None,
        Some(limit) => match limit.parse() {
            Ok(limit @ 1..) => Some(limit),
            Ok(0) | Err(_) => return Err(Problem::bad("limit")),
        },
    };
    Ok(NewLink {
        fid: visit.entry.fid,
        right,
        label: form.filled("label").unwrap_or("").to_owned(),
        password: form
            .get("password")
            .filter(|p| !p.is_empty())
            .map(str::to_owned),
        expires,
        downloads_max,
        created_by: visit.space.owner,
    })
}

/// The end of a day `YYYY-MM-DD`, UTC: on that day the link still works everywhere west of us.
fn end_of_day(text: &str) -> Result<Timestamp, Problem> {
    let bad = || Problem::bad("expires");
    let mut parts = text.splitn(3, '-').map(str::parse::<i64>);
    let mut next = || parts.next().and_then(Result::ok).ok_or_else(bad);
    let (year, month, day) = (next()?, next()?, next()?);
    let long = matches!(month, 1 | 3 | 5 | 7 | 8 | 10 | 12);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        2 => 28 + i64::from(leap),
        1..=12 => 30 + i64::from(long),
        _ => return Err(bad()),
    };
    if !(1970..=9999).contains(&year) || !(1..=days).contains(&day) {
        return Err(bad());
    }
    // Days from civil (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted / 400;
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Ok(Timestamp::from_secs((days + 1) * 86_400))
}

/// `POST /share-link/SPACE/path`
pub(crate) async fn add_link(call: Call) -> Answer {
    let form = call.form().await?;
    let visit = call.visit()?.clone();
    let new = new_link(&form, &visit, call.app.now())?;
    let asker = call.asker.clone();
    let id = call
        .blocking(move |app| {
            let (link, _) = app.sharing.add_link(new)?;
            let mut event = event(app, &asker, &visit, Action::LinkCreate);
            event.detail = format!("link {} {}", link.id, link.right);
            app.sharing.audit(event)?;
            Ok(link.id)
        })
        .await?;
    Ok(redirect(&format!("/links/{id}?done=link")))
}

/// `POST /share-member/SPACE/path`
pub(crate) async fn add_member(call: Call) -> Answer {
    let form = call.form().await?;
    let who = form.require("who")?.to_owned();
    let access = match form.require("access")? {
        "r" => Access::Read,
        "rw" => Access::Write,
        _ => return Err(Problem::bad("access")),
    };
    let visit = call.visit()?.clone();
    let here = address::encode(&visit.space.name, &visit.at.path);
    let asker = call.asker.clone();
    call.blocking(move |app| {
        let by = visit.space.owner;
        if let Some(name) = who.strip_prefix("friend:") {
            let friend = app.sharing.friend(name)?.ok_or(Problem::bad("who"))?;
            let entry = &visit.entry;
            let top = entry.parent.is_none();
            let name = if top { &visit.space.name } else { &entry.name };
            app.sharing
                .share_with_friend(entry.fid, friend.id, access, by, name)?;
            let mut event = event(app, &asker, &visit, Action::GrantCreate);
            event.detail = who;
            app.sharing.audit(event)?;
            return Ok(());
        }
        let grantee = if who == "*" {
            Grantee::Everyone
        } else {
            let account = app.sharing.account(&who)?.ok_or(Problem::bad("who"))?;
            if account.id == visit.space.owner {
                return Err(Problem::bad("who"));
            }
            Grantee::Account(account.id)
        };
        app.sharing
            .add_grant(visit.entry.fid, grantee, access, by)?;
        let mut event = event(app, &asker, &visit, Action::GrantCreate);
        event.detail = who;
        app.sharing.audit(event)?;
        Ok(())
    })
    .await?;
    Ok(redirect(&format!("/share/{here}?done=shared")))
}

/// `POST /unshare/SPACE/path`
pub(crate) async fn remove_member(call: Call) -> Answer {
    let id: i64 = call.form().await?.parsed("id")?;
    let visit = call.visit()?.clone();
    let here = address::encode(&visit.space.name, &visit.at.path);
    let asker = call.asker.clone();
    call.blocking(move |app| {
        // Only a grant on this very entry: its number alone gives no right.
        let on_entry = app.sharing.grants(visit.entry.fid)?;
        if !on_entry.iter().any(|grant| grant.id == id) || !app.sharing.remove_grant(id)? {
            return Err(Problem::NOT_FOUND);
        }
        app.sharing
            .audit(event(app, &asker, &visit, Action::GrantRemove))?;
        Ok(())
    })
    .await?;
    Ok(redirect(&format!("/share/{here}?done=unshared")))
}

/// `POST /lan-only/SPACE/path`
pub(crate) async fn set_lan_only(call: Call) -> Answer {
    let on = match call.form().await?.require("on")? {
        "yes" => true,
        "no" => false,
        _ => return Err(Problem::bad("on")),
    };
    let visit = call.visit()?.clone();
    let here = address::encode(&visit.space.name, &visit.at.path);
    let asker = call.asker.clone();
    call.blocking(move |app| {
        app.sharing
            .set_lan_only(LanOnly::Entry(visit.entry.fid), on)?;
        let mut event = event(app, &asker, &visit, Action::LanOnly);
        event.detail = if on { "on" } else { "off" }.to_owned();
        app.sharing.audit(event)?;
        Ok(())
    })
    .await?;
    let word = if on { "lan-on" } else { "lan-off" };
    Ok(redirect(&format!("/share/{here}?done={word}")))
}

struct GivenRow {
    name: String,
    owner: String,
    address: String,
    folder: bool,
    access: Access,
    created: Timestamp,
}

/// `GET /shared`: what others gave to me.
pub(crate) async fn shared_with_me(call: Call) -> Answer {
    let asker = call.asker.clone();
    let given = call
        .blocking(move |app| {
            let given = given_to(app, &asker)?.into_iter().map(|given| {
                let name = given.at.path.last().unwrap_or(&given.space.name);
                GivenRow {
                    name: name.to_string(),
                    owner: given.space.name.to_string(),
                    address: address::encode(&given.space.name, &given.at.path),
                    folder: given.entry.is_folder(),
                    access: given.grant.access,
                    created: given.grant.created,
                }
            });
            Ok(given.collect::<Vec<_>>())
        })
        .await?;
    let t = call.language;
    let title = t.text("shared-title");
    Ok(call
        .frame(&title, Section::Shared, Width::Wide)
        .page(&html! {
            div class="headline" { div { h1 { (title) } p { (t.text("shared-text")) } } }
            @if given.is_empty() {
                div class="card" { div class="empty" {
                    (icon_of("icon", "people"))
                    h2 { (t.text("shared-empty")) }
                } }
            } @else {
                div class="card flush" { table class="rows" {
                    thead { tr {
                        th scope="col" { (t.text("column-name")) }
                        th scope="col" { (t.text("shared-from")) }
                        th class="wide-only" scope="col" { (t.text("share-access")) }
                        th class="wide-only" scope="col" { (t.text("shared-since")) }
                    } }
                    tbody { @for row in &given { tr {
                        td class="name" { a href=(format!("/files/{}", row.address)) {
                            @if row.folder { (icon_of("icon folder", "folder")) }
                            @else { (icon_of("icon file", super::folder::media_icon(&row.name))) }
                            span { (row.name) }
                        } }
                        td class="soft" { (row.owner) }
                        td class="soft nowrap wide-only" { (access_text(t, row.access)) }
                        td class="when wide-only" { (moment(t, row.created)) }
                    } } }
                } }
            }
        }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight() {
        let check = |text: &str, expected: &str| {
            assert_eq!(end_of_day(text).unwrap().to_string(), expected);
        };
        check("1970-01-01", "1970-01-02T00:00:00.000Z");
        check("2026-11-30", "2026-12-01T00:00:00.000Z");
        check("2028-02-28", "2028-02-29T00:00:00.000Z");
        check("2028-02-29", "2028-03-01T00:00:00.000Z");
        for bad in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "x",
            "2026-1",
            "99999-01-01",
        ] {
            assert_eq!(
                end_of_day(bad).unwrap_err(),
                Problem::bad("expires"),
                "{bad}"
            );
        }
    }
}
