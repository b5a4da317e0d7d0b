//! The page for what went wrong: what, and where to go from here.

use axum::body::Body;
use http::Response;
use maud::html;
use sharing::Account;

use super::shell::{Frame, Section, Width, icon};
use crate::App;
use crate::language::Language;
use crate::problem::{Fault, Problem};

/// Draws `problem`; the caller sets status and headers.
pub(crate) fn draw(
    app: &App,
    problem: &Problem,
    language: Language,
    account: Option<&Account>,
) -> Response<Body> {
    let t = language;
    let title = if problem.fault == Fault::NotFound {
        t.text("problem-title-not-found")
    } else if matches!(problem.fault, Fault::Forbidden | Fault::Foreign) {
        t.text("problem-title-refused")
    } else if problem.fault == Fault::Internal {
        t.text("problem-title-ours")
    } else {
        t.text("problem-title")
    };
    let frame = Frame {
        app,
        language,
        title: &title,
        account,
        section: Section::None,
        width: Width::Middle,
        back: "/",
    };
    frame.page(&html! {
        div class="welcome" {
            (icon("warning"))
            h1 { (title) }
        }
        div class="card stack" {
            p data-problem { (problem.fault.message(t)) }
            div class="buttons" {
                button class="button main" type="button" hidden data-back {
                    (icon("back")) (t.text("back"))
                }
                a class="button" href="/" { (icon("house")) (t.text("problem-home")) }
            }
        }
    })
}
