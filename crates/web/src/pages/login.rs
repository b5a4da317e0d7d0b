//! Signing in and out, the second factor, and the language of people who are not signed in.

use std::time::Duration;

use axum::body::Body;
use http::Response;
use http::header::{REFERER, USER_AGENT};
use maud::html;
use sharing::{Action, Client, Event, SESSION_AGE_MAX, Step};

use super::shell::{Frame, Input, Section, Tone, Width, icon, notice};
use crate::asker;
use crate::call::{Answer, Call};
use crate::cookies::Cookie;
use crate::dispatch::redirect;
use crate::language::Language;
use crate::problem::{Fault, Problem};

/// A login that waits for its second factor waits this long.
const PENDING_TIME: Duration = Duration::from_secs(300);
/// The language choice of a browser.
const LANGUAGE_TIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// `GET /login`
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let next = safe_next(query.get("next"));
    if call.account.is_some() {
        return Ok(redirect(&next));
    }
    let notice = (query.get("done") == Some("signed-out")).then(|| call.language.text("login-bye"));
    Ok(draw(&call, &next, "", None, notice.as_deref()))
}

/// Only addresses of our own pages: a path, not `//host` and not `/\host`.
pub(crate) fn safe_next(next: Option<&str>) -> String {
    next.filter(|next| {
        next.starts_with('/')
            && !next[1..].starts_with(['/', '\\'])
            && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    })
    .unwrap_or("/")
    .to_owned()
}

fn draw(
    call: &Call,
    next: &str,
    name: &str,
    problem: Option<&Problem>,
    good: Option<&str>,
) -> Response<Body> {
    let t = call.language;
    let title = t.text("login-title");
    let message = problem.map(|problem| {
        if problem.fault == Fault::SignIn {
            t.text("login-wrong")
        } else {
            problem.fault.message(t)
        }
    });
    let mut response = call
        .frame(&title, Section::None, Width::Middle)
        .page(&html! {
            div class="welcome" {
                (icon("cloud"))
                h1 { (call.app.settings.name) }
                p { (t.text("login-welcome")) }
            }
            @if let Some(message) = &message {
                (notice(Tone::Bad, &html! { span data-problem { (message) } }))
            }
            @if let Some(good) = good { (notice(Tone::Good, &html! { (good) })) }
            form class="card stack" method="post" action="/login" {
                input type="hidden" name="next" value=(next);
                (Input {
                    value: name,
                    autocomplete: "username",
                    autofocus: name.is_empty(),
                    ..Input::new("name", "text", t.text("label-name"))
                }.draw())
                (Input {
                    autocomplete: "current-password",
                    autofocus: !name.is_empty(),
                    ..Input::new("password", "password", t.text("label-password"))
                }.draw())
                button class="button main full" { (t.text("login-button")) }
            }
        });
    if let Some(problem) = problem {
        problem.head(crate::Caller::Page, &mut response);
    }
    response
}

pub(crate) fn user_agent(call: &Call) -> String {
    call.head
        .headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
        .chars()
        .take(200)
        .collect()
}

fn client(call: &Call) -> Client {
    Client {
        address: call.asker.address,
        user_agent: user_agent(call),
    }
}

/// Puts a new session into the browser.
pub(crate) fn remember(call: &Call, response: &mut Response<Body>, session: &str) {
    let headers = response.headers_mut();
    Cookie::Session.set(headers, &call.connection, session, Some(SESSION_AGE_MAX));
    Cookie::Pending.clear(headers, &call.connection);
}

/// `POST /login`
pub(crate) async fn enter(call: Call) -> Answer {
    let fields = call.form().await?;
    let name = fields.require("name")?.trim().to_owned();
    let password = fields.require("password")?.to_owned();
    let next = safe_next(fields.get("next"));
    let (client, tried) = (client(&call), name.clone());
    let step = call
        .blocking(move |app| {
            let step = app.sharing.login(&tried, &password, &client);
            step.map_err(asker::refused)
        })
        .await;
    match step {
        Ok(Step::Done(session)) => {
            let mut response = redirect(&next);
            remember(&call, &mut response, &session);
            Ok(response)
        }
        Ok(Step::SecondFactor(pending)) => {
            let next = crate::address::encode_name(&next);
            let mut response = redirect(&format!("/login/code?next={next}"));
            Cookie::Pending.set(
                response.headers_mut(),
                &call.connection,
                &pending,
                Some(PENDING_TIME),
            );
            Ok(response)
        }
        Err(problem) if problem.fault == Fault::Internal => Err(problem),
        Err(problem) => Ok(draw(&call, &next, &name, Some(&problem), None)),
    }
}

/// `GET /login/code`
pub(crate) async fn show_code(call: Call) -> Answer {
    if Cookie::Pending
        .read(&call.head.headers, &call.connection)
        .is_none()
    {
        return Ok(redirect("/login"));
    }
    let next = safe_next(call.query()?.get("next"));
    Ok(draw_code(&call, &next, None))
}

fn draw_code(call: &Call, next: &str, problem: Option<&Problem>) -> Response<Body> {
    let t = call.language;
    let title = t.text("code-title");
    let frame: Frame<'_> = call.frame(&title, Section::None, Width::Middle);
    let mut response = frame.page(&html! {
        div class="welcome" { (icon("shield")) h1 { (title) } p { (t.text("code-text")) } }
        @if let Some(problem) = problem {
            @let wrong = problem.fault == Fault::SignIn;
            @let message = if wrong { Fault::WrongCode.message(t) } else { problem.fault.message(t) };
            (notice(Tone::Bad, &html! { span data-problem { (message) } }))
        }
        form class="card stack" method="post" action="/login/code" {
            input type="hidden" name="next" value=(next);
            div class="field" {
                label for="field-code" { (t.text("label-code")) }
                input class="code" id="field-code" name="code" type="text" required autofocus
                    autocomplete="one-time-code" autocapitalize="none" spellcheck="false";
                span class="hint" { (t.text("code-hint")) }
            }
            button class="button main full" { (t.text("login-button")) }
        }
    });
    if let Some(problem) = problem {
        problem.head(crate::Caller::Page, &mut response);
    }
    response
}

/// `POST /login/code`
pub(crate) async fn enter_code(call: Call) -> Answer {
    let fields = call.form().await?;
    let next = safe_next(fields.get("next"));
    let code = fields.require("code")?.trim().to_owned();
    let Some(pending) = Cookie::Pending.read(&call.head.headers, &call.connection) else {
        return Ok(redirect("/login"));
    };
    let client = client(&call);
    let entered = call
        .blocking(move |app| {
            let session = app.sharing.second_factor(&pending, &code, &client);
            session.map_err(asker::refused)
        })
        .await;
    match entered {
        Ok(session) => {
            let mut response = redirect(&next);
            remember(&call, &mut response, &session);
            Ok(response)
        }
        Err(problem) if problem.fault == Fault::Internal => Err(problem),
        Err(problem) => Ok(draw_code(&call, &next, Some(&problem))),
    }
}

/// `POST /logout`
pub(crate) async fn leave(call: Call) -> Answer {
    if let Some(cookie) = Cookie::Session.read(&call.head.headers, &call.connection) {
        let asker = call.asker.clone();
        call.blocking(move |app| {
            app.sharing.logout(&cookie)?;
            let name = asker.label();
            app.sharing
                .audit(Event::of(&asker, app.now(), Action::Logout, name))?;
            Ok(())
        })
        .await?;
    }
    let mut response = redirect("/login?done=signed-out");
    Cookie::Session.clear(response.headers_mut(), &call.connection);
    Ok(response)
}

/// `POST /language`: for this browser, and for the account if somebody is signed in.
pub(crate) async fn language(call: Call) -> Answer {
    let fields = call.form().await?;
    let language =
        Language::from_tag(fields.require("language")?).ok_or_else(|| Problem::bad("language"))?;
    if let Some(account) = call.asker.account() {
        call.blocking(move |app| Ok(app.sharing.set_language(account, Some(language.tag()))?))
            .await?;
    }
    let back = fields
        .get("back")
        .map(str::to_owned)
        .or_else(|| referer(&call));
    let mut response = redirect(&safe_next(back.as_deref()));
    Cookie::Language.set(
        response.headers_mut(),
        &call.connection,
        language.tag(),
        Some(LANGUAGE_TIME),
    );
    Ok(response)
}

/// The path of the page before, where the browser tells it.
fn referer(call: &Call) -> Option<String> {
    let value = call.head.headers.get(REFERER)?.to_str().ok()?;
    let (_, rest) = value.split_once("://")?;
    let start = rest.find('/')?;
    Some(rest[start..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_never_leads_to_another_site() {
        let check = |next, expected: &str| assert_eq!(safe_next(Some(next)), expected);
        check("/files/alice/?page=2", "/files/alice/?page=2");
        check("//evil.example/", "/");
        check("/\\evil.example/", "/");
        check("https://evil.example/", "/");
        check("/a\r\nSet-Cookie: x", "/");
        check("", "/");
    }
}
