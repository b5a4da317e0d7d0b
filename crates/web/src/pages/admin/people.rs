//! People: add, reset, quota, role, remove.

use files::Usage;
use maud::{Markup, html};
use protocol::{ByteSize, EntryName};
use sharing::{Account, Action, Asker, Event};

use super::{Tab, quota_text, tabs};
use crate::App;
use crate::address::{decode_name, encode_name};
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::language::Language;
use crate::pages::done;
use crate::pages::shell::{Input, Section, Width, icon, moment};
use crate::problem::{Fault, Problem};

fn usage(app: &App, account: &Account) -> Result<Option<Usage>, Problem> {
    match app.files.space(account.name.as_str())? {
        Some(space) if space.owner == account.id => Ok(Some(app.files.usage(space.id)?)),
        Some(_) | None => Ok(None),
    }
}

fn usage_text(t: Language, usage: Option<&Usage>) -> String {
    let Some(usage) = usage else {
        return String::new();
    };
    format!("{} / {}", ByteSize(usage.used), quota_text(t, usage.quota))
}

/// `GET /admin/people`
pub(crate) async fn list(call: Call) -> Answer {
    let query = call.query()?;
    let people = call
        .blocking(|app| {
            app.sharing
                .accounts()?
                .into_iter()
                .map(|account| usage(app, &account).map(|usage| (account, usage)))
                .collect::<Result<Vec<_>, Problem>>()
        })
        .await?;
    let t = call.language;
    let title = t.text("admin-people");
    Ok(call
        .frame(&title, Section::Admin, Width::Wide)
        .page(&html! {
            @if let Some(notice) = done::done(t, &query) { (notice) }
            div class="headline" { h1 { (t.text("nav-admin")) } }
            (tabs(t, Tab::People))
            div class="card flush" { table class="rows" {
                thead { tr {
                    th scope="col" { (t.text("label-name")) }
                    th class="wide-only" scope="col" { (t.text("people-role")) }
                    th class="wide-only" scope="col" { (t.text("people-used")) }
                    th class="wide-only" scope="col" { (t.text("people-since")) }
                } }
                tbody { @for (account, usage) in &people { tr {
                    td class="name" {
                        a href=(format!("/admin/people/{}", encode_name(account.name.as_str()))) {
                            (icon("person")) span { (account.name) }
                        }
                        @if account.second_factor {
                            span class="badge good" { (icon("shield")) (t.text("factor-short")) }
                        }
                        span class="under" { (usage_text(t, usage.as_ref())) }
                    }
                    td class="soft nowrap wide-only" { (role_text(t, account)) }
                    td class="soft nowrap wide-only" { (usage_text(t, usage.as_ref())) }
                    td class="when wide-only" { (moment(t, account.created)) }
                } } }
            } }
            (add_card(t))
        }))
}

fn role_text(t: Language, account: &Account) -> String {
    if account.owner {
        t.text("role-owner")
    } else {
        t.text("role-member")
    }
}

fn add_card(t: Language) -> Markup {
    html! {
        section class="card stack" {
            div { h2 { (t.text("people-add")) } p class="soft" { (t.text("people-add-text")) } }
            form class="stack" method="post" action="/admin/people" {
                div class="fields" {
                    (Input {
                        hint: Some(t.text("setup-name-hint")),
                        ..Input::new("name", "text", t.text("label-name"))
                    }.draw())
                    (Input {
                        autocomplete: "new-password",
                        hint: Some(t.text("password-hint")),
                        ..Input::new("password", "password", t.text("label-password"))
                    }.draw())
                    (Input {
                        required: false,
                        hint: Some(t.text("quota-hint")),
                        ..Input::new("quota", "text", t.text("quota"))
                    }.draw())
                }
                div class="buttons" {
                    button class="button main" { (icon("plus")) (t.text("people-add-button")) }
                }
            }
        }
    }
}

fn quota(text: Option<&str>) -> Result<Option<u64>, Problem> {
    text.map(|text| text.parse::<ByteSize>().map(|size| size.0))
        .transpose()
        .map_err(|_| Problem::bad("quota"))
}

fn note(
    app: &App,
    asker: &Asker,
    action: Action,
    account: &Account,
    detail: String,
) -> Result<(), Problem> {
    let mut event = Event::of(asker, app.now(), action, account.name.as_str());
    event.detail = detail;
    Ok(app.sharing.audit(event)?)
}

/// `POST /admin/people`
pub(crate) async fn add(call: Call) -> Answer {
    let form = call.form().await?;
    let name = EntryName::new(form.require("name")?.trim())?;
    let password = form.require("password")?.to_owned();
    let quota = quota(form.filled("quota"))?;
    let asker = call.asker.clone();
    call.blocking(move |app| {
        app.files.check_space_name(&name)?;
        let account = app.sharing.create_account(&name, &password, false)?;
        let space = app.files.create_space(&account.name, account.id)?;
        app.files.set_quota(space.id, quota)?;
        note(app, &asker, Action::AccountCreate, &account, String::new())
    })
    .await?;
    Ok(redirect("/admin/people?done=saved"))
}

/// The account that the address names: `/admin/people/NAME` or `/admin/people/NAME/VERB`.
fn named(call: &Call) -> Result<EntryName, Problem> {
    let name = call.rest().split('/').next().unwrap_or("");
    decode_name(name).map_err(|_| Problem::NOT_FOUND)
}

fn account(app: &App, name: &EntryName) -> Result<Account, Problem> {
    app.sharing
        .account(name.as_str())?
        .ok_or(Problem::NOT_FOUND)
}

/// `GET /admin/people/NAME`
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let name = named(&call)?;
    let (person, usage) = call
        .blocking(move |app| {
            let account = account(app, &name)?;
            let usage = usage(app, &account)?;
            Ok((account, usage))
        })
        .await?;
    let t = call.language;
    let title = person.name.to_string();
    let at = format!("/admin/people/{}", encode_name(&title));
    let myself = Some(person.id) == call.asker.account();
    let quota = usage.as_ref().and_then(|usage| usage.quota);
    let quota = quota.map_or(String::new(), |bytes| ByteSize(bytes).exact());
    Ok(call.frame(&title, Section::Admin, Width::Narrow).page(&html! {
        @if let Some(notice) = done::done(t, &query) { (notice) }
        div class="headline" {
            div { h1 { (title) } p { (role_text(t, &person)) " · " (usage_text(t, usage.as_ref())) } }
            a class="button bare" href="/admin/people" { (icon("back")) (t.text("back")) }
        }
        section class="card stack" {
            h2 { (t.text("quota")) }
            form class="stack" method="post" action=(format!("{at}/quota")) {
                (Input {
                    value: &quota,
                    required: false,
                    hint: Some(t.text("quota-hint")),
                    ..Input::new("quota", "text", t.text("quota"))
                }.draw())
                div class="buttons" { button class="button" { (t.text("save")) } }
            }
        }
        section class="card stack" {
            div { h2 { (t.text("people-reset")) } p class="soft" { (t.text("people-reset-text")) } }
            form class="stack" method="post" action=(format!("{at}/reset")) {
                (Input {
                    autocomplete: "new-password",
                    hint: Some(t.text("password-hint")),
                    ..Input::new("password", "password", t.text("label-password-new"))
                }.draw())
                @if person.second_factor {
                    label class="check" {
                        input type="checkbox" name="factor" value="off";
                        span { (t.text("people-reset-factor")) }
                    }
                }
                div class="buttons" { button class="button" { (t.text("people-reset-button")) } }
            }
        }
        @if !myself {
            section class="card stack" {
                div { h2 { (t.text("people-role")) } p class="soft" { (t.text("people-role-text")) } }
                form method="post" action=(format!("{at}/role")) {
                    @if person.owner {
                        button class="button" name="owner" value="no" { (t.text("people-make-member")) }
                    } @else {
                        button class="button" name="owner" value="yes" { (t.text("people-make-owner")) }
                    }
                }
            }
            section class="card stack" {
                div { h2 { (t.text("people-remove")) } p class="soft" { (t.text("people-remove-text")) } }
                form class="stack" method="post" action=(format!("{at}/remove")) {
                    (Input::new("confirm", "text", t.text("people-remove-confirm")).draw())
                    div class="buttons" {
                        button class="button danger" { (icon("bin")) (t.text("people-remove-button")) }
                    }
                }
            }
        }
    }))
}

/// `POST /admin/people/NAME/quota`
pub(crate) async fn set_quota(call: Call) -> Answer {
    let quota = quota(call.form().await?.filled("quota"))?;
    let (name, asker) = (named(&call)?, call.asker.clone());
    let to = format!("/admin/people/{}?done=saved", encode_name(name.as_str()));
    call.blocking(move |app| {
        let account = account(app, &name)?;
        let space = app
            .files
            .space(account.name.as_str())?
            .ok_or(Problem::NOT_FOUND)?;
        app.files.set_quota(space.id, quota)?;
        let detail = quota.map_or("unlimited".to_owned(), |bytes| ByteSize(bytes).exact());
        note(app, &asker, Action::Quota, &account, detail)
    })
    .await?;
    Ok(redirect(&to))
}

/// `POST /admin/people/NAME/reset`: a new password, and if wanted no second factor.
pub(crate) async fn reset(call: Call) -> Answer {
    let form = call.form().await?;
    let password = form.require("password")?.to_owned();
    let factor_off = form.get("factor") == Some("off");
    let (name, asker) = (named(&call)?, call.asker.clone());
    let keep = match (&asker.who, asker.account()) {
        (
            sharing::Who::Account {
                via: sharing::Via::Session { id },
                ..
            },
            Some(_),
        ) => Some(*id),
        _ => None,
    };
    let to = format!("/admin/people/{}?done=password", encode_name(name.as_str()));
    call.blocking(move |app| {
        let account = account(app, &name)?;
        app.sharing.set_password(account.id, &password, keep)?;
        note(app, &asker, Action::Password, &account, String::new())?;
        if factor_off {
            app.sharing.totp_reset(account.id)?;
            note(app, &asker, Action::SecondFactor, &account, "off".into())?;
        }
        Ok(())
    })
    .await?;
    Ok(redirect(&to))
}

/// `POST /admin/people/NAME/role`
pub(crate) async fn set_role(call: Call) -> Answer {
    let owner = match call.form().await?.require("owner")? {
        "yes" => true,
        "no" => false,
        _ => return Err(Problem::bad("owner")),
    };
    let (name, asker) = (named(&call)?, call.asker.clone());
    let to = format!("/admin/people/{}?done=saved", encode_name(name.as_str()));
    call.blocking(move |app| {
        let account = account(app, &name)?;
        app.sharing.set_owner(account.id, owner)?;
        let detail = if owner { "owner" } else { "member" };
        note(app, &asker, Action::AccountRole, &account, detail.into())
    })
    .await?;
    Ok(redirect(&to))
}

/// `POST /admin/people/NAME/remove`: the name typed again; the files stay on the disk.
pub(crate) async fn remove(call: Call) -> Answer {
    let form = call.form().await?;
    let (name, asker) = (named(&call)?, call.asker.clone());
    if form.require("confirm")?.trim() != name.as_str() {
        return Err(Problem::bad("confirm"));
    }
    call.blocking(move |app| {
        let account = account(app, &name)?;
        if Some(account.id) == asker.account() {
            return Err(Problem::new(Fault::Forbidden));
        }
        app.sharing.remove_account(account.id)?;
        crate::retire_spaces_of(&app.files, account.id)?;
        note(app, &asker, Action::AccountRemove, &account, String::new())
    })
    .await?;
    Ok(redirect("/admin/people?done=removed"))
}
