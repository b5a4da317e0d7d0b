//! `friend`: tickets, comparisons, the list, the end.

use std::io::{IsTerminal as _, Read as _};

use node::Failure;
use serde_json::{Value, json};

use super::Outcome;
use crate::arguments::Friend;
use crate::console::Console;
use crate::print::{cell, table};
use crate::when;

/// A ticket is shorter; more is not read from standard input.
const TICKET_BYTES_MAX: u64 = 4_096;

pub(super) async fn friend(console: &Console, wish: Friend) -> Result<Outcome, Failure> {
    match wish {
        Friend::Invite {
            scope,
            name,
            node,
            expires,
        } => {
            let body = json!({
                "scope": scope,
                "name": name,
                "node": node,
                "lifetime_s": expires.map(|text| lifetime_s(&text)).transpose()?,
            });
            let made = console.post("/v1/friends/invite", body).await?;
            let ticket = cell("", &made["ticket"]);
            let mut text = ticket.clone();
            if std::io::stdout().is_terminal() {
                text = format!(
                    "{}\n{ticket}\n\nGive it to your friend over a way that only they read. Whoever \
                     brings it first becomes a friend. It holds until {}.",
                    node::greeting::qr(&ticket.to_uppercase()).unwrap_or_default(),
                    cell("", &made["expires"]),
                );
            }
            Ok(Outcome::new(made, text))
        }
        Friend::Accept { ticket, name } => {
            let body = json!({ "ticket": read_ticket(ticket)?, "name": name });
            let answer = console.post("/v1/friends/accept", body).await?;
            Ok(accepted(answer))
        }
        Friend::Compare { node } => {
            let answer = console
                .post("/v1/friends/compare", json!({ "node": node }))
                .await?;
            let text = format!(
                "This node and {} now show the same six digits, if nobody is in between:\n\n    {}\n\n\
                 The other side sees its digits with `cumulet friend list`. Ask for them, and type \
                 what the OTHER screen shows:\n    cumulet friend confirm {} DIGITS\n\
                 The other side does the same.",
                cell("", &answer["calls_itself"]),
                cell("", &answer["code"]),
                cell("", &answer["id"]),
            );
            Ok(Outcome::new(answer, text))
        }
        Friend::Confirm { node, code, name } => {
            let body = json!({ "node": node, "code": code, "name": name });
            let answer = console.post("/v1/friends/confirm", body).await?;
            Ok(accepted(answer))
        }
        Friend::List => {
            let answer = console.get("/v1/friends").await?;
            let text = list_text(&answer);
            // Scripts want the friends; the rest is on the page and in the text.
            let mut answer = answer;
            Ok(Outcome::new(answer["friends"].take(), text))
        }
        Friend::Change {
            friend,
            name,
            scope,
        } => {
            if name.is_none() && scope.is_none() {
                return Err(Failure::input("say what to change: --name or --scope"));
            }
            let body = json!({ "friend": friend, "name": name, "scope": scope });
            let mut answer = console.post("/v1/friends/change", body).await?;
            Ok(Outcome::new(answer["friend"].take(), "changed"))
        }
        Friend::Withdraw { id } => {
            let answer = console
                .post("/v1/friends/withdraw", json!({ "id": id }))
                .await?;
            Ok(Outcome::new(
                answer,
                format!("ticket {id} makes no friend any more"),
            ))
        }
        Friend::Remove { friend } => {
            let answer = console
                .post("/v1/friends/remove", json!({ "friend": friend }))
                .await?;
            let text = format!(
                "{} is no friend any more, and has nothing of this node from now on",
                cell("", &answer["removed"])
            );
            Ok(Outcome::new(answer, text))
        }
    }
}

fn lifetime_s(text: &str) -> Result<u64, Failure> {
    let now = (node::system_clock())();
    let end = when::parse_end(text, |span| now.plus(span)).map_err(Failure::input)?;
    Ok(end.since(now).as_secs())
}

fn read_ticket(ticket: String) -> Result<String, Failure> {
    if ticket != "-" {
        return Ok(ticket);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(TICKET_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::input(format!("cannot read the ticket: {error}")))?;
    Ok(text)
}

fn accepted(mut answer: Value) -> Outcome {
    let friend = answer["friend"].take();
    let name = cell("", &friend["name"]);
    let text = match (friend["state"].as_str(), answer["later"].as_str()) {
        (Some("accepted"), _) => {
            format!("{name} is a friend; what it shares is in the folder Friends/{name}")
        }
        (_, Some(why)) => format!(
            "{name} does not answer now ({why}); this node asks again until the ticket ends"
        ),
        (_, None) => format!("{name} has to agree as well"),
    };
    Outcome::new(friend, text)
}

fn list_text(answer: &Value) -> String {
    let columns = [
        ("name", "name"),
        ("state", "state"),
        ("waits for", "waits_for"),
        ("code", "code"),
        ("scopes", "scopes"),
        ("given", "given_bytes"),
        ("taken", "taken_bytes"),
        ("since", "since"),
        ("id", "id"),
    ];
    let mut friends = answer["friends"].clone();
    for friend in friends.as_array_mut().into_iter().flatten() {
        let scopes = friend["scopes"].as_array().map(|scopes| {
            let names: Vec<_> = scopes.iter().filter_map(Value::as_str).collect();
            names.join(", ")
        });
        friend["scopes"] = json!(scopes);
    }
    let mut text = table(&friends, &columns, "no friends yet");
    let is_some = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    if is_some(&answer["invitations"]) {
        let columns = [
            ("ticket", "id"),
            ("name", "name"),
            ("for", "for"),
            ("until", "expires"),
        ];
        text.push_str("\n\n");
        text.push_str(&table(&answer["invitations"], &columns, ""));
    }
    text
}
