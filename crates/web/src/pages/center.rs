//! The node's center on the page of other nodes: whether it serves this node, and what does not work
//! without it (R2).

use maud::{Markup, html};

use super::shell::{Tone, notice};
use crate::cluster::{CenterRefusal, CenterReport, CenterState};
use crate::language::Language;

/// What does not work while the center is away.
const DEGRADED: [&str; 3] = [
    "center-degraded-address",
    "center-degraded-find",
    "center-degraded-certificates",
];

/// The card of the center.
pub(super) fn card(t: Language, center: &CenterReport) -> Markup {
    html! {
        section class="card stack" {
            div { h2 { (t.text("center-title")) } p class="soft" { (t.text("center-text")) } }
            (state(t, &center.state))
            @if let Some((name, why)) = &center.name_refused {
                (notice(Tone::Warn, &html! {
                    b { (t.with("center-name-refused", &[("name", name.clone().into())])) }
                    div { (refusal(t, why)) }
                }))
            }
            @if let Some(lie) = &center.lie {
                (notice(Tone::Warn, &html! {
                    b { (t.text("center-lied")) }
                    div class="mono small break" { (lie) }
                }))
            }
            dl class="facts" {
                @if let Some(url) = &center.url {
                    dt { (t.text("center-url")) } dd { a href=(url) rel="noreferrer" { (url) } }
                }
                @if let Some(at) = &center.last_renewed {
                    dt { (t.text("center-renewed")) } dd { (at) }
                }
                dt { (t.text("center-string")) } dd class="mono small break" { (center.center) }
            }
        }
    }
}

fn state(t: Language, state: &CenterState) -> Markup {
    let (title, why) = match state {
        CenterState::Registered => {
            return html! { p { span class="badge good" { (t.text("center-registered")) } } };
        }
        CenterState::Connecting => ("center-connecting", html! {}),
        CenterState::Stopped => ("center-stopped", html! {}),
        CenterState::Away(why) => (
            "center-away",
            html! { div class="mono small break" { (why) } },
        ),
        CenterState::Refused(why) => ("center-refused", html! { div { (refusal(t, why)) } }),
    };
    notice(
        Tone::Warn,
        &html! {
            b { (t.text(title)) }
            (why)
            div { (t.text("center-degraded")) }
            ul { @for what in DEGRADED { li { (t.text(what)) } } }
        },
    )
}

fn refusal(t: Language, why: &CenterRefusal) -> Markup {
    html! {
        @match why {
            CenterRefusal::NameTaken => (t.text("center-name-taken")),
            CenterRefusal::NameLooksLike(other) => {
                (t.with("center-name-alike", &[("name", other.clone().into())]))
            }
            CenterRefusal::NameReserved => (t.text("center-name-reserved")),
            CenterRefusal::NoLabel => (t.text("center-name-no-label")),
            CenterRefusal::Invite => (t.text("center-invite")),
            CenterRefusal::NotValid => (t.text("center-not-valid")),
            CenterRefusal::Other(words) => (words),
        }
    }
}
