//! `/setup/TOKEN`: the first page ever seen. It shows the node's recovery words this once and makes
//! the owner's account; afterwards its address is as dead as any unknown one.

use http::Response;
use maud::{Markup, html};
use protocol::EntryName;
use sharing::{Action, Client, Event, Step};

use super::shell::{Input, Section, Tone, Width, icon, notice};
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::problem::{Fault, Problem};

/// `GET /setup/TOKEN`
pub(crate) async fn show(call: Call) -> Answer {
    let token = token(&call)?;
    let checked = token.clone();
    let holds = call
        .blocking(move |app| Ok(app.sharing.setup_token_holds(&checked)?))
        .await?;
    if holds {
        return Ok(draw(&call, "", None));
    }
    let is_set_up = call
        .blocking(|app| Ok(app.sharing.accounts()?.iter().any(|account| account.owner)))
        .await?;
    if is_set_up {
        return Ok(draw_used(&call));
    }
    Err(Problem::NOT_FOUND)
}

/// Whoever opens the link a second time learns why it is dead, and nothing else.
fn draw_used(call: &Call) -> Response<axum::body::Body> {
    let t = call.language;
    let title = t.text("setup-used-title");
    let frame = call.frame(&title, Section::None, Width::Middle);
    let mut response = frame.page(&html! {
        div class="welcome" { (icon("check")) h1 { (title) } }
        div class="card stack" {
            p { (t.text("setup-used-text")) }
            div class="buttons" { a class="button main" href="/" { (t.text("login-button")) } }
        }
    });
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    response
}

fn token(call: &Call) -> Result<String, Problem> {
    let token = call.rest();
    if token.is_empty() || token.len() > 128 || token.contains('/') {
        return Err(Problem::NOT_FOUND);
    }
    Ok(token.to_owned())
}

fn draw(call: &Call, name: &str, problem: Option<&Problem>) -> Response<axum::body::Body> {
    let t = call.language;
    let title = t.text("setup-title");
    let frame = call.frame(&title, Section::None, Width::MiddleWide);
    let mut response = frame.page(&html! {
        div class="welcome" {
            (icon("cloud"))
            h1 { (title) }
            p { (t.text("setup-welcome")) }
        }
        @if let Some(problem) = problem {
            (notice(Tone::Bad, &html! { span data-problem { (problem.fault.message(t)) } }))
        }
        form class="stack" method="post" {
            section class="card" {
                h2 { (t.text("setup-words-title")) }
                p { (t.text("setup-words-text")) }
                (words(call))
                label class="check" {
                    input type="checkbox" name="words" value="kept" required;
                    span { (t.text("setup-words-kept")) }
                }
            }
            section class="card stack" {
                h2 { (t.text("setup-owner-title")) }
                (Input {
                    value: name,
                    autocomplete: "username",
                    hint: Some(t.text("setup-name-hint")),
                    ..Input::new("name", "text", t.text("label-name"))
                }.draw())
                (Input {
                    autocomplete: "new-password",
                    hint: Some(t.text("password-hint")),
                    ..Input::new("password", "password", t.text("label-password"))
                }.draw())
                (Input {
                    autocomplete: "new-password",
                    ..Input::new("again", "password", t.text("label-password-again"))
                }.draw())
                button class="button main full" { (t.text("setup-finish")) }
            }
            p class="soft small" {
                (t.text("setup-fingerprint")) " "
                span class="mono break" { (call.app.settings.fingerprint) }
            }
        }
    });
    if let Some(problem) = problem {
        *response.status_mut() = problem.status();
    }
    response
}

fn words(call: &Call) -> Markup {
    let words = call.app.secret.words();
    html! { ol class="words" translate="no" { @for word in words.split(' ') { li { (word) } } } }
}

/// `POST /setup/TOKEN`
pub(crate) async fn finish(call: Call) -> Answer {
    let token = token(&call)?;
    let fields = call.form().await?;
    let name = fields.require("name")?.trim().to_owned();
    let password = fields.require("password")?.to_owned();
    let same = fields.require("again")? == password;
    let kept = fields.get("words") == Some("kept");
    let client = Client {
        address: call.asker.address,
        user_agent: super::login::user_agent(&call),
    };
    let asker = call.asker.clone();
    let shown_name = name.clone();
    let done = call
        .blocking(move |app| {
            if !app.sharing.setup_token_holds(&token)? {
                return Err(Problem::NOT_FOUND);
            }
            if !same {
                return Err(Problem::new(Fault::PasswordsDiffer));
            }
            if !kept {
                return Err(Problem::bad("words"));
            }
            let name = EntryName::new(&name)?;
            app.files.check_space_name(&name)?;
            let account = app.sharing.redeem_setup(&token, &name, &password)?;
            app.files.create_space(&account.name, account.id)?;
            app.sharing.audit(Event::of(
                &asker,
                app.now(),
                Action::AccountCreate,
                name.to_string(),
            ))?;
            app.sharing
                .login(name.as_str(), &password, &client)
                .map_err(|_| Problem::new(Fault::SignIn))
        })
        .await;
    match done {
        Ok(Step::Done(session)) => {
            let mut response = redirect("/?done=welcome");
            super::login::remember(&call, &mut response, &session);
            Ok(response)
        }
        Ok(Step::SecondFactor(_)) => Ok(redirect("/login")),
        Err(problem) if problem.fault == Fault::NotFound => Err(problem),
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(problem) => Ok(draw(&call, &shown_name, Some(&problem))),
    }
}
