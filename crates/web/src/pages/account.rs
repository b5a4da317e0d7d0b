//! One's own account: language, password, devices, second factor, sessions.

use axum::body::Body;
use http::Response;
use maud::{Markup, html};
use sharing::{Account, Action, AppPassword, Event, LoginError, SessionInfo, Via, Who};

use super::shell::{Input, Section, Tone, Width, icon, moment, notice, qr};
use super::{done, people};
use crate::App;
use crate::asker;
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::form::Fields;
use crate::language::Language;
use crate::problem::{Fault, Problem};

struct Facts {
    devices: Vec<AppPassword>,
    sessions: Vec<SessionInfo>,
    codes_left: u32,
    card: sharing::Card,
}

fn own(call: &Call) -> Result<&Account, Problem> {
    call.account.as_ref().ok_or(Problem::new(Fault::SignIn))
}

fn session_id(call: &Call) -> Option<i64> {
    match &call.asker.who {
        Who::Account {
            via: Via::Session { id },
            ..
        } => Some(*id),
        Who::Account { .. } | Who::Link { .. } | Who::Friend { .. } | Who::Nobody => None,
    }
}

/// `GET /account`
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let account = own(&call)?.clone();
    let id = account.id;
    let facts = call
        .blocking(move |app| {
            Ok(Facts {
                devices: app.sharing.app_passwords(id)?,
                sessions: app.sharing.sessions(id)?,
                codes_left: app.sharing.recovery_codes_left(id)?,
                card: app.sharing.card(id)?,
            })
        })
        .await?;
    let t = call.language;
    let title = t.text("nav-account");
    let url = format!(
        "{}/dav/files/{}/",
        call.origin(),
        crate::address::encode_name(account.name.as_str())
    );
    Ok(call
        .frame(&title, Section::Account, Width::Narrow)
        .page(&html! {
            @if let Some(notice) = done::done(t, &query) { (notice) }
            div class="headline" { div {
                h1 { (account.name) }
                p { @if account.owner { (t.text("role-owner")) } @else { (t.text("role-member")) } }
            } }
            (language_card(t))
            (device_card(t, &account, &facts.devices, &url))
            (password_card(t))
            (factor_card(t, &account, facts.codes_left))
            (people::card(t, &facts.card))
            (session_card(t, &facts.sessions, session_id(&call)))
        }))
}

fn language_card(t: Language) -> Markup {
    html! {
        section class="card stack" {
            h2 { (t.text("shell-language")) }
            form class="buttons" method="post" action="/language" {
                input type="hidden" name="back" value="/account?done=saved";
                @for language in Language::ALL {
                    @let class = if language == t { "button main" } else { "button" };
                    button class=(class) name="language" value=(language.tag()) lang=(language.tag())
                        aria-pressed=(if language == t { "true" } else { "false" }) {
                        (language.own_name())
                    }
                }
            }
        }
    }
}

fn device_card(t: Language, account: &Account, devices: &[AppPassword], url: &str) -> Markup {
    html! {
        section class="card stack" id="devices" {
            div { h2 { (t.text("devices-title")) } p class="soft" { (t.text("devices-text")) } }
            p class="small" { (t.text("devices-address")) " " code class="break" { (url) } }
            div class="things" {
                @for device in devices {
                    div class="thing" {
                        (icon("screen"))
                        div class="main-part" {
                            b { (device.label) }
                            div class="soft" {
                                (t.text("devices-made")) " " (moment(t, device.created)) " · "
                                @match (device.last_used, device.last_from) {
                                    (Some(used), from) => {
                                        (t.text("devices-used")) " " (moment(t, used))
                                        @if let Some(from) = from { " (" (from) ")" }
                                    }
                                    (None, _) => { (t.text("devices-unused")) }
                                }
                            }
                        }
                        form method="post" action="/account/app-passwords/revoke" {
                            input type="hidden" name="id" value=(device.id);
                            button class="button small danger" { (t.text("devices-revoke")) }
                        }
                    }
                }
            }
            form class="stack" method="post" action="/account/app-passwords" {
                (Input {
                    hint: Some(t.text("devices-label-hint")),
                    ..Input::new("label", "text", t.text("devices-label"))
                }.draw())
                (proof_fields(t, account, "device-"))
                div class="buttons" {
                    button class="button" { (icon("plus")) (t.text("devices-add")) }
                }
            }
        }
    }
}

/// Asks for the password once more, and for a code when the second factor is on.
fn proof_fields(t: Language, account: &Account, form: &'static str) -> Markup {
    html! {
        (Input {
            form,
            autocomplete: "current-password",
            hint: Some(t.text("proof-hint")),
            ..Input::new("password", "password", t.text("label-password-old"))
        }.draw())
        @if account.second_factor {
            (Input {
                form,
                autocomplete: "one-time-code",
                hint: Some(t.text("proof-code-hint")),
                ..Input::new("code", "text", t.text("label-code"))
            }.draw())
        }
    }
}

/// A cookie alone makes no device and changes no second factor: whoever found a browser open would
/// stay for good.
async fn prove(call: &Call, form: &Fields) -> Result<(), Problem> {
    prove_password(call, form.require("password")?.to_owned()).await?;
    if !own(call)?.second_factor {
        return Ok(());
    }
    let code = form.filled("code").ok_or_else(|| Problem::bad("code"))?;
    let (me, from, code) = (call.me()?, call.connection.peer.ip(), code.to_owned());
    call.blocking(move |app| {
        let proven = app.sharing.prove_code(me, &code, from);
        proven.map_err(|error| unproven(error, Fault::WrongCode))
    })
    .await
}

async fn prove_password(call: &Call, password: String) -> Result<(), Problem> {
    let (me, from) = (call.me()?, call.connection.peer.ip());
    call.blocking(move |app| {
        let proven = app.sharing.prove_password(me, &password, from);
        proven.map_err(|error| unproven(error, Fault::WrongPassword))
    })
    .await
}

/// Somebody who is signed in is not sent to the sign-in.
fn unproven(error: LoginError, wrong: Fault) -> Problem {
    let problem = asker::refused(error);
    if problem.fault == Fault::SignIn {
        Problem::new(wrong)
    } else {
        problem
    }
}

fn password_card(t: Language) -> Markup {
    html! {
        section class="card stack" {
            div { h2 { (t.text("password-title")) } p class="soft" { (t.text("password-text")) } }
            form class="stack" method="post" action="/account/password" {
                (Input {
                    autocomplete: "current-password",
                    ..Input::new("old", "password", t.text("label-password-old"))
                }.draw())
                (Input {
                    autocomplete: "new-password",
                    hint: Some(t.text("password-hint")),
                    ..Input::new("new", "password", t.text("label-password-new"))
                }.draw())
                (Input {
                    autocomplete: "new-password",
                    ..Input::new("again", "password", t.text("label-password-again"))
                }.draw())
                div class="buttons" { button class="button" { (t.text("password-change")) } }
            }
        }
    }
}

fn factor_card(t: Language, account: &Account, codes_left: u32) -> Markup {
    html! {
        section class="card stack" {
            div {
                h2 { (t.text("factor-title")) " "
                    @if account.second_factor { span class="badge good" { (t.text("on")) } }
                }
                p class="soft" { (t.text("factor-text")) }
            }
            @if account.second_factor {
                p { (t.with("factor-codes-left", &[("count", codes_left.into())])) }
                form class="stack" method="post" action="/account/second-factor/off" {
                    (proof_fields(t, account, "factor-"))
                    div class="buttons" {
                        button class="button danger" { (t.text("factor-turn-off")) }
                    }
                }
            } @else {
                form class="stack" method="post" action="/account/second-factor" {
                    (proof_fields(t, account, "factor-"))
                    div class="buttons" {
                        button class="button" { (icon("shield")) (t.text("factor-turn-on")) }
                    }
                }
            }
        }
    }
}

fn session_card(t: Language, sessions: &[SessionInfo], mine: Option<i64>) -> Markup {
    html! {
        section class="card stack" {
            div { h2 { (t.text("sessions-title")) } p class="soft" { (t.text("sessions-text")) } }
            div class="things" {
                @for session in sessions {
                    div class="thing" {
                        (icon("screen"))
                        div class="main-part" {
                            b { (browser(t, &session.user_agent)) } " "
                            @if Some(session.id) == mine {
                                span class="badge good" { (t.text("sessions-this")) }
                            }
                            div class="soft" {
                                (t.text("sessions-begun")) " " (moment(t, session.created))
                                @if let Some(from) = session.address { " (" (from) ")" }
                                " · " (t.text("devices-used")) " " (moment(t, session.last_seen))
                            }
                        }
                        @if Some(session.id) != mine {
                            form method="post" action="/account/sessions/revoke" {
                                input type="hidden" name="id" value=(session.id);
                                button class="button small danger" { (t.text("sessions-end")) }
                            }
                        }
                    }
                }
            }
            @if sessions.len() > 1 {
                form method="post" action="/account/sessions/revoke" {
                    input type="hidden" name="id" value="others";
                    button class="button danger" { (t.text("sessions-end-others")) }
                }
            }
        }
    }
}

/// Browser and system in two words; the whole header is for machines.
fn browser(t: Language, user_agent: &str) -> String {
    let named = |names: &[(&str, &'static str)]| {
        names
            .iter()
            .find(|(mark, _)| user_agent.contains(mark))
            .map(|(_, name)| *name)
    };
    let program = named(&[
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = named(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => t.text("sessions-unknown"),
    }
}

fn note(app: &App, asker: &sharing::Asker, action: Action, detail: &str) -> Result<(), Problem> {
    let mut event = Event::of(asker, app.now(), action, asker.label());
    event.detail = detail.to_owned();
    Ok(app.sharing.audit(event)?)
}

/// `POST /account/password`
pub(crate) async fn change_password(call: Call) -> Answer {
    let form = call.form().await?;
    let (old, new) = (
        form.require("old")?.to_owned(),
        form.require("new")?.to_owned(),
    );
    if form.require("again")? != new {
        return Err(Problem::new(Fault::PasswordsDiffer));
    }
    let (me, keep, asker) = (call.me()?, session_id(&call), call.asker.clone());
    prove_password(&call, old).await?;
    call.blocking(move |app| {
        app.sharing.set_password(me, &new, keep)?;
        note(app, &asker, Action::Password, "")
    })
    .await?;
    Ok(redirect("/account?done=password"))
}

/// `POST /account/app-passwords`: shows the new one this once.
pub(crate) async fn add_device(call: Call) -> Answer {
    let form = call.form().await?;
    let label = form.require("label")?.trim().to_owned();
    prove(&call, &form).await?;
    let (me, asker, kept) = (call.me()?, call.asker.clone(), label.clone());
    let secret = call
        .blocking(move |app| {
            let secret = app.sharing.add_app_password(me, &kept)?;
            note(app, &asker, Action::AppPasswordCreate, &kept)?;
            Ok(secret)
        })
        .await?;
    let t = call.language;
    let title = t.with("device-new-title", &[("label", label.into())]);
    let name = own(&call)?.name.to_string();
    Ok(call
        .frame(&title, Section::Account, Width::Narrow)
        .page(&html! {
            div class="headline" { h1 class="break" { (title) } }
            section class="card stack" {
                p { (t.text("device-new-text")) }
                dl class="facts" {
                    dt { (t.text("label-name")) } dd { (name) }
                    dt { (t.text("devices-address")) }
                    dd class="break" { code {
                        (call.origin()) "/dav/files/" (crate::address::encode_name(&name)) "/"
                    } }
                }
                div class="field" {
                    span class="legend" { (t.text("label-password")) }
                    div class="secret" id="secret" translate="no" { (secret) }
                }
                div class="buttons" {
                    button class="button" type="button" hidden data-copy="secret"
                        data-done=(t.text("copy-done")) { (icon("copy")) span { (t.text("copy")) } }
                    a class="button main" href="/account#devices" { (t.text("device-new-done")) }
                }
            }
        }))
}

/// `POST /account/app-passwords/revoke`
pub(crate) async fn revoke_device(call: Call) -> Answer {
    let id: i64 = call.form().await?.parsed("id")?;
    let (me, asker) = (call.me()?, call.asker.clone());
    call.blocking(move |app| {
        if !app.sharing.revoke_app_password(me, id)? {
            return Err(Problem::NOT_FOUND);
        }
        note(app, &asker, Action::AppPasswordRevoke, &id.to_string())
    })
    .await?;
    Ok(redirect("/account?done=removed#devices"))
}

/// `POST /account/second-factor`: a new secret to scan; it counts once a code was given.
pub(crate) async fn begin_factor(call: Call) -> Answer {
    let me = call.me()?;
    prove(&call, &call.form().await?).await?;
    let enrolment = call
        .blocking(move |app| Ok(app.sharing.totp_begin(me)?))
        .await?;
    Ok(draw_enrolment(
        &call,
        &enrolment.secret,
        &enrolment.uri,
        None,
    ))
}

fn draw_enrolment(
    call: &Call,
    secret: &str,
    uri: &str,
    problem: Option<&Problem>,
) -> Response<Body> {
    let t = call.language;
    let title = t.text("factor-title");
    let mut response = call.frame(&title, Section::Account, Width::Narrow).page(&html! {
        div class="headline" { h1 { (title) } }
        @if let Some(problem) = problem {
            (notice(Tone::Bad, &html! { span data-problem { (problem.fault.message(t)) } }))
        }
        form class="card beside qr-beside" method="post" action="/account/second-factor/confirm" {
            (qr(uri))
            div class="stack" {
                p { (t.text("factor-scan")) }
                div class="field" {
                    span class="legend" { (t.text("factor-secret")) }
                    div class="secret" translate="no" { (secret) }
                    a class="button small" href=(uri) { (t.text("factor-open-app")) }
                }
                input type="hidden" name="secret" value=(secret);
                input type="hidden" name="uri" value=(uri);
                div class="field" {
                    label for="field-code" { (t.text("label-code")) }
                    input class="code" id="field-code" name="code" type="text" inputmode="numeric"
                        required autocomplete="one-time-code";
                }
                div class="buttons" {
                    button class="button main" { (t.text("factor-confirm")) }
                    a class="button" href="/account" { (t.text("cancel")) }
                }
            }
        }
    });
    if let Some(problem) = problem {
        *response.status_mut() = problem.status();
    }
    response
}

/// `POST /account/second-factor/confirm`: turns it on and shows the recovery codes this once.
pub(crate) async fn confirm_factor(call: Call) -> Answer {
    let form = call.form().await?;
    let code = form.require("code")?.trim().replace(' ', "");
    let (me, asker) = (call.me()?, call.asker.clone());
    let confirmed = call
        .blocking(move |app| {
            let codes = app.sharing.totp_confirm(me, &code)?;
            note(app, &asker, Action::SecondFactor, "on")?;
            Ok(codes)
        })
        .await;
    let codes = match confirmed {
        Ok(codes) => codes,
        Err(problem) if problem.fault == Fault::WrongCode => {
            // What the person's own page sent comes back to it, so that no new scan is needed.
            let (secret, uri) = (form.get("secret"), form.get("uri"));
            let uri = uri
                .filter(|uri| uri.starts_with("otpauth://"))
                .unwrap_or("");
            return Ok(draw_enrolment(
                &call,
                secret.unwrap_or(""),
                uri,
                Some(&problem),
            ));
        }
        Err(problem) => return Err(problem),
    };
    let t = call.language;
    let title = t.text("factor-codes-title");
    Ok(call
        .frame(&title, Section::Account, Width::Narrow)
        .page(&html! {
            div class="headline" { h1 { (title) } }
            section class="card stack" {
                p { (t.text("factor-codes-text")) }
                ol class="words codes" translate="no" { @for code in &codes { li { (code) } } }
                div class="buttons" {
                    a class="button main" href="/account" { (t.text("factor-codes-kept")) }
                }
            }
        }))
}

/// `POST /account/second-factor/off`
pub(crate) async fn turn_factor_off(call: Call) -> Answer {
    prove(&call, &call.form().await?).await?;
    let (me, asker) = (call.me()?, call.asker.clone());
    call.blocking(move |app| {
        app.sharing.totp_reset(me)?;
        note(app, &asker, Action::SecondFactor, "off")
    })
    .await?;
    Ok(redirect("/account?done=factor-off"))
}

/// `POST /account/sessions/revoke`: one, or all others.
pub(crate) async fn revoke_session(call: Call) -> Answer {
    let form = call.form().await?;
    let which = form.require("id")?.to_owned();
    let (me, keep, asker) = (call.me()?, session_id(&call), call.asker.clone());
    call.blocking(move |app| {
        if which == "others" {
            app.sharing.revoke_other_sessions(me, keep)?;
        } else {
            let id = which.parse().map_err(|_| Problem::bad("id"))?;
            if !app.sharing.revoke_session(me, id)? {
                return Err(Problem::NOT_FOUND);
            }
        }
        note(app, &asker, Action::SessionRevoke, &which)
    })
    .await?;
    Ok(redirect("/account?done=removed"))
}
