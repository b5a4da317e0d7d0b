//! `/people`: who can be found from here (R52), and `/account/card`: as whom one is found oneself.

use maud::{Markup, html};
use protocol::message::lookup::{CARD_BYTES_MAX, ContactCard, TERM_BYTES_MAX, Term};
use sharing::{Action, Card, Event, Reach};

use super::shell::{Input, Section, Tone, Width, icon, icon_of, notice};
use crate::call::{Answer, Call};
use crate::cluster::{BookReport, ClusterTrouble, PersonReport};
use crate::dispatch::redirect;
use crate::language::Language;
use crate::problem::Problem;

/// `GET /people?term=`
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let term = query.filled("term").map(str::to_owned);
    let found = match term.as_deref().map(Term::new) {
        Some(Ok(term)) => {
            note_search(&call, &term).await?;
            Some(Ok(call.app.cluster.people(&term).await))
        }
        Some(Err(_)) => Some(Err(())),
        None => None,
    };
    let t = call.language;
    let title = t.text("people-title");
    Ok(call
        .frame(&title, Section::Account, Width::Narrow)
        .page(&html! {
            div class="headline" { div { h1 { (title) } p { (t.text("people-text")) } } }
            form class="card stack" method="get" action="/people" {
                div class="field" {
                    label for="field-term" { (t.text("people-term")) }
                    input id="field-term" name="term" type="search" required
                        maxlength=(TERM_BYTES_MAX) value=(term.unwrap_or_default())
                        autocomplete="off" spellcheck="false" aria-describedby="hint-term";
                    p id="hint-term" class="soft small" { (t.text("people-term-hint")) }
                }
                div class="buttons end" {
                    a class="button bare" href="/account#card" { (t.text("people-own")) }
                    button class="button main" { (t.text("people-go")) }
                }
            }
            @match &found {
                None => {}
                Some(Err(())) => { (notice(Tone::Warn, &html! { (t.text("people-term-hint")) })) }
                Some(Ok(Err(ClusterTrouble::Away | ClusterTrouble::NoName))) => {
                    (notice(Tone::Warn, &html! { (t.text("cluster-away")) }))
                }
                Some(Ok(Ok(people))) => { (list(t, people)) }
            }
        }))
}

/// The owner sees who sought whom: friends see only that this node asks.
async fn note_search(call: &Call, term: &Term) -> Result<(), Problem> {
    let (asker, sought) = (call.asker.clone(), term.0.clone());
    call.blocking(move |app| {
        let mut event = Event::of(&asker, app.now(), Action::ContactSearch, sought);
        Reach::FriendsOfFriends.word().clone_into(&mut event.detail);
        Ok(app.sharing.audit(event)?)
    })
    .await
}

fn list(t: Language, people: &[PersonReport]) -> Markup {
    if people.is_empty() {
        return html! {
            div class="card" { div class="empty" {
                (icon_of("icon", "people"))
                h2 { (t.text("people-nobody")) }
                p { (t.text("people-nobody-text")) }
            } }
        };
    }
    html! {
        section class="card stack" {
            h2 { (t.text("people-found")) }
            div class="things" { @for person in people {
                div class="thing" {
                    (icon("person"))
                    div class="main-part" {
                        b { (person.name) }
                        @for address in &person.addresses { div class="break" { (address) } }
                        div class="soft small break" { (book(t, &person.book)) }
                    }
                }
            } }
        }
    }
}

fn book(t: Language, book: &BookReport) -> String {
    match book {
        BookReport::Own => t.text("people-book-own"),
        BookReport::Friend(name) => t.with("people-book-friend", &[("name", name.clone().into())]),
        BookReport::Farther(node) => {
            t.with("people-book-farther", &[("node", node.to_string().into())])
        }
    }
}

/// On the page of one's account.
pub(super) fn card(t: Language, card: &Card) -> Markup {
    html! {
        section class="card stack" id="card" {
            div { h2 { (t.text("card-title")) } p class="soft" { (t.text("card-text")) } }
            form class="stack" method="post" action="/account/card" {
                (Input {
                    form: "card-",
                    value: &card.content.name,
                    autocomplete: "name",
                    ..Input::new("name", "text", t.text("card-name"))
                }.draw())
                div class="field" {
                    label for="field-card-addresses" { (t.text("card-addresses")) }
                    textarea id="field-card-addresses" name="addresses" rows="3"
                        maxlength=(CARD_BYTES_MAX) aria-describedby="field-card-addresses-hint" {
                        (card.content.addresses.join("\n"))
                    }
                    p id="field-card-addresses-hint" class="soft small" {
                        (t.text("card-addresses-hint"))
                    }
                }
                div class="field" {
                    label for="field-card-reach" { (t.text("card-reach")) }
                    select id="field-card-reach" name="reach" {
                        @for reach in Reach::ALL {
                            option value=(reach.word()) selected[reach == card.reach] {
                                (reach_text(t, reach))
                            }
                        }
                    }
                }
                div class="buttons" {
                    button class="button" { (t.text("card-save")) }
                    a class="button bare" href="/people" { (icon("people")) (t.text("people-title")) }
                }
            }
        }
    }
}

fn reach_text(t: Language, reach: Reach) -> String {
    match reach {
        Reach::Nobody => t.text("card-reach-nobody"),
        Reach::Household => t.text("card-reach-household"),
        Reach::Friends => t.text("card-reach-friends"),
        Reach::FriendsOfFriends => t.text("card-reach-friends-of-friends"),
    }
}

/// `POST /account/card`
pub(crate) async fn change_card(call: Call) -> Answer {
    let form = call.form().await?;
    let card = Card {
        account: call.me()?,
        content: ContactCard {
            name: form.require("name")?.to_owned(),
            addresses: form
                .require("addresses")?
                .lines()
                .map(str::to_owned)
                .collect(),
        },
        reach: form.parsed("reach")?,
    };
    let asker = call.asker.clone();
    call.blocking(move |app| {
        let detail = format!("found by {}", card.reach.word());
        app.sharing.set_card(card)?;
        let mut event = Event::of(&asker, app.now(), Action::CardChange, asker.label());
        event.detail = detail;
        Ok(app.sharing.audit(event)?)
    })
    .await?;
    Ok(redirect("/account?done=saved#card"))
}
