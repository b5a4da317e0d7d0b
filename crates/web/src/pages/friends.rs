//! `/friends`: the nodes of other people: who they are, what was given and taken, tickets; and
//! what they share, below `/friends/files/` ([`tree`]).

use maud::{Markup, html};
use protocol::ByteSize;
use protocol::EntryName;
use protocol::message::pair::{TICKET_LIFETIME, Ticket};
use sharing::{Action, Event, Friend, FriendState, Invitation, NewInvitation, Scopes, Tally};

use super::done;
use super::shell::{Input, Section, Tone, Width, copy_field, icon, icon_of, moment, notice, qr};
use crate::App;
use crate::address::encode_name;
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::friends::NotAccepted;
use crate::language::Language;
use crate::problem::{Fault, Problem};

pub(crate) mod tree;

struct Seen {
    friend: Friend,
    tally: Tally,
    shares: usize,
}

fn read(app: &App) -> Result<(Vec<Seen>, Vec<Invitation>), Problem> {
    let mut friends = Vec::new();
    for friend in app.sharing.friends()? {
        friends.push(Seen {
            tally: app.sharing.ledger_total(friend.node)?,
            shares: app.sharing.granted_to_friend(friend.id)?.len(),
            friend,
        });
    }
    Ok((friends, app.sharing.invitations()?))
}

/// `GET /friends`
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let (friends, invitations) = call.blocking(read).await?;
    let t = call.language;
    let title = t.text("friends-title");
    Ok(call
        .frame(&title, Section::Friends, Width::Wide)
        .page(&html! {
            @if let Some(notice) = done::done(t, &query) { (notice) }
            @if query.get("later").is_some() {
                (notice(Tone::Info, &html! { (t.text("friends-later")) }))
            }
            div class="headline" { div { h1 { (title) } p { (t.text("friends-text")) } } }
            @if friends.is_empty() {
                div class="card" { div class="empty" {
                    (icon_of("icon", "people"))
                    h2 { (t.text("friends-empty")) }
                } }
            } @else { (table(t, &friends)) }
            @if !invitations.is_empty() { (open_tickets(t, &invitations)) }
            div class="beside half" { (invite_card(t)) (accept_card(t)) }
        }))
}

fn table(t: Language, friends: &[Seen]) -> Markup {
    html! {
        div class="card flush" { table class="rows" {
            thead { tr {
                th scope="col" { (t.text("label-name")) }
                th class="wide-only" scope="col" { (t.text("friends-scopes")) }
                th class="wide-only number" scope="col" { (t.text("friends-given")) }
                th class="wide-only number" scope="col" { (t.text("friends-taken")) }
                th class="wide-only" scope="col" { (t.text("friends-since")) }
                th class="narrow-cell" scope="col" {
                    span class="hidden-visually" { (t.text("column-actions")) }
                }
            } }
            tbody { @for seen in friends { (row(t, seen)) } }
        } }
    }
}

fn row(t: Language, seen: &Seen) -> Markup {
    let Seen {
        friend,
        tally,
        shares,
    } = seen;
    let name = friend.name.to_string();
    let accepted = friend.state == FriendState::Accepted;
    let scopes = if friend.scopes.has(sharing::Scope::Files) {
        t.with("friends-scope-files", &[("count", (*shares).into())])
    } else {
        t.text("friends-scope-none")
    };
    let (given, taken) = (ByteSize(tally.given), ByteSize(tally.taken));
    html! {
        tr {
            td class="name" {
                @if accepted {
                    a href=(format!("/friends/files/{}", encode_name(&name))) {
                        (icon_of("icon folder", "folder")) span { (name) }
                    }
                } @else {
                    span { (icon("person")) " " (name) }
                }
                @match friend.state {
                    FriendState::Accepted => {}
                    FriendState::WaitsForThem => {
                        span class="badge plain" { (t.text("friends-waits-them")) }
                    }
                    FriendState::WaitsForUs => {
                        span class="badge warn" { (t.text("friends-waits-us")) }
                    }
                }
                span class="under" {
                    (scopes) " · " (t.text("friends-given")) " " (given)
                    " · " (t.text("friends-taken")) " " (taken)
                }
            }
            td class="soft nowrap wide-only" { (scopes) }
            td class="number wide-only" { (given) }
            td class="number wide-only" { (taken) }
            td class="when wide-only" { @if let Some(since) = friend.since { (moment(t, since)) } }
            td class="narrow-cell" {
                details class="menu" {
                    summary {
                        (icon("more"))
                        span class="hidden-visually" {
                            (t.with("menu-of", &[("name", name.clone().into())]))
                        }
                    }
                    form class="items" method="post" action="/friends/remove" {
                        input type="hidden" name="friend" value=(name);
                        p class="soft small" { (friend.node) }
                        button class="danger" { (icon("bin")) (t.text("friends-remove")) }
                    }
                }
            }
        }
    }
}

fn open_tickets(t: Language, invitations: &[Invitation]) -> Markup {
    html! {
        section class="card stack" {
            h2 { (t.text("friends-tickets")) }
            div class="things" { @for one in invitations {
                div class="thing" {
                    div class="main-part" {
                        b { @match &one.name {
                            Some(name) => { (name) }
                            None => { (t.with("friends-ticket", &[("number", one.id.into())])) }
                        } }
                        div class="soft" { (t.text("friends-until")) " " (moment(t, one.expires)) }
                    }
                    form method="post" action="/friends/withdraw" {
                        input type="hidden" name="id" value=(one.id);
                        button class="button small danger" { (t.text("friends-withdraw")) }
                    }
                }
            } }
        }
    }
}

fn invite_card(t: Language) -> Markup {
    html! {
        section class="card stack" {
            div { h2 { (t.text("friends-invite")) } p class="soft" { (t.text("friends-invite-text")) } }
            form class="stack" method="post" action="/friends/invite" {
                (Input {
                    required: false,
                    form: "invite-",
                    hint: Some(t.text("friends-name-hint")),
                    ..Input::new("name", "text", t.text("friends-name"))
                }.draw())
                div class="buttons" {
                    button class="button main" { (icon("plus")) (t.text("friends-invite-button")) }
                }
            }
        }
    }
}

fn accept_card(t: Language) -> Markup {
    html! {
        section class="card stack" {
            div { h2 { (t.text("friends-accept")) } p class="soft" { (t.text("friends-accept-text")) } }
            form class="stack" method="post" action="/friends/accept" {
                (Input {
                    form: "accept-",
                    ..Input::new("ticket", "text", t.text("friends-ticket-field"))
                }.draw())
                (Input {
                    required: false,
                    form: "accept-",
                    hint: Some(t.text("friends-name-hint")),
                    ..Input::new("name", "text", t.text("friends-name"))
                }.draw())
                div class="buttons" {
                    button class="button main" { (icon("check")) (t.text("friends-accept-button")) }
                }
            }
        }
    }
}

fn name_in(form: &crate::form::Fields) -> Result<Option<EntryName>, Problem> {
    let name = form.filled("name").map(str::trim);
    Ok(name.map(EntryName::new).transpose()?)
}

/// `POST /friends/invite`: the ticket is shown this one time.
pub(crate) async fn invite(call: Call) -> Answer {
    let form = call.form().await?;
    let new = NewInvitation {
        name: name_in(&form)?,
        node: None,
        scopes: Scopes::usual(),
        lifetime: TICKET_LIFETIME,
    };
    let asker = call.asker.clone();
    let (invitation, token) = call
        .blocking(move |app| {
            let made = app.sharing.invite(new)?;
            let target = format!("invitation {}", made.0.id);
            app.sharing
                .audit(Event::of(&asker, app.now(), Action::FriendInvite, target))?;
            Ok(made)
        })
        .await?;
    let ticket = call
        .app
        .friends
        .ticket(token, invitation.expires)
        .to_string();
    let t = call.language;
    let title = t.text("friends-ticket-title");
    Ok(call.frame(&title, Section::Friends, Width::Narrow).page(&html! {
        div class="headline" { div { h1 { (title) } p { (t.text("friends-ticket-text")) } } }
        section class="card stack" {
            (qr(&ticket.to_uppercase()))
            (copy_field(t, "field-ticket", &t.text("friends-ticket-field"), &ticket))
            p class="soft" { (t.text("friends-until")) " " (moment(t, invitation.expires)) }
            div class="buttons" { a class="button" href="/friends" { (icon("back")) (t.text("back")) } }
        }
    }))
}

/// `POST /friends/accept`
pub(crate) async fn accept(call: Call) -> Answer {
    let form = call.form().await?;
    let ticket: Ticket = form.require("ticket")?.parse().map_err(
        |error: protocol::message::pair::TicketError| {
            Problem::new(Fault::Ticket(error.to_string()))
        },
    )?;
    let name = name_in(&form)?;
    match call.app.friends.accept(ticket, name).await {
        Ok(friend) => {
            let target = format!("friend {}", friend.name);
            let event = Event::of(&call.asker, call.app.now(), Action::FriendAgree, target);
            call.app.sharing.audit_soon(event);
            Ok(redirect("/friends?done=friend"))
        }
        Err(NotAccepted::Later(_)) => Ok(redirect("/friends?later=1")),
        Err(NotAccepted::Refused(why)) => Err(Problem::new(Fault::Ticket(why))),
    }
}

/// `POST /friends/withdraw`
pub(crate) async fn withdraw(call: Call) -> Answer {
    let id: i64 = call.form().await?.parsed("id")?;
    let asker = call.asker.clone();
    call.blocking(move |app| {
        if !app.sharing.withdraw_invitation(id)? {
            return Err(Problem::bad("id"));
        }
        let target = format!("invitation {id}");
        let event = Event::of(&asker, app.now(), Action::FriendWithdraw, target);
        Ok(app.sharing.audit(event)?)
    })
    .await?;
    Ok(redirect("/friends?done=removed"))
}

/// `POST /friends/remove`
pub(crate) async fn remove(call: Call) -> Answer {
    let name = call.form().await?.require("friend")?.to_owned();
    let asker = call.asker.clone();
    let node = call
        .blocking(move |app| {
            let friend = app.sharing.friend(&name)?.ok_or(Problem::bad("friend"))?;
            app.sharing.remove_friend(friend.id)?;
            let target = format!("friend {}", friend.name);
            app.sharing.audit(Event {
                detail: friend.node.to_string(),
                ..Event::of(&asker, app.now(), Action::FriendRemove, target)
            })?;
            Ok(friend.node)
        })
        .await?;
    call.app.friends.cut(node);
    Ok(redirect("/friends?done=removed"))
}
