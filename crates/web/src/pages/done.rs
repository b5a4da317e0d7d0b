//! What was just done, told on the page that a change leads to.
//!
//! The address carries a word of a fixed list (`?done=moved`), never a text; names come from the
//! address only where they are drawn as text.

use maud::{Markup, html};

use super::shell::{Tone, icon, notice};
use crate::form::Fields;
use crate::language::Language;

/// The notice for `?done=…`, if there is one.
pub(crate) fn done(t: Language, query: &Fields) -> Option<Markup> {
    let name = query.get("name").unwrap_or("").to_owned();
    let count = query.parsed::<u32>("count").unwrap_or(1);
    let text = match query.get("done")? {
        "welcome" => t.text("done-welcome"),
        "folder" => t.with("done-folder", &[("name", name.into())]),
        "renamed" => t.with("done-renamed", &[("name", name.into())]),
        "moved" => t.with("done-moved", &[("count", count.into())]),
        "copied" => t.with("done-copied", &[("count", count.into())]),
        "uploaded" => t.with("done-uploaded", &[("count", count.into())]),
        "restored" => t.with("done-restored", &[("count", count.into())]),
        "version" => t.text("done-version"),
        "purged" => t.text("done-purged"),
        "link" => t.text("done-link"),
        "revoked" => t.text("done-revoked"),
        "shared" => t.text("done-shared"),
        "unshared" => t.text("done-unshared"),
        "lan-on" => t.text("done-lan-on"),
        "lan-off" => t.text("done-lan-off"),
        "password" => t.text("done-password"),
        "friend" => t.text("done-friend"),
        "saved" => t.text("done-saved"),
        "removed" => t.text("done-removed"),
        "factor-off" => t.text("done-factor-off"),
        "sent" => t.with("done-sent", &[("count", count.into())]),
        _ => return None,
    };
    Some(notice(Tone::Good, &html! { (text) }))
}

/// The offer to take a deletion back: `?undo=12,13` with the form that does it.
pub(crate) fn undo(t: Language, query: &Fields, restore_to: &str) -> Markup {
    let ids: Vec<&str> = query
        .get("undo")
        .unwrap_or("")
        .split(',')
        .filter(|id| !id.is_empty() && id.len() < 20 && id.bytes().all(|b| b.is_ascii_digit()))
        .take(1_000)
        .collect();
    if ids.is_empty() {
        return html! {};
    }
    html! {
        form class="toast" method="post" action=(restore_to) role="status" {
            @for id in &ids { input type="hidden" name="id" value=(id); }
            span { (t.with("done-deleted", &[("count", ids.len().into())])) }
            button class="button small" { (icon("back")) (t.text("undo")) }
        }
    }
}
