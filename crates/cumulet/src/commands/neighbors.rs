//! `neighbors`, `find`: other nodes.

use node::Failure;
use serde_json::{Value, json};

use super::Outcome;
use crate::arguments::{Find, Neighbors, NeighborsChange};
use crate::console::Console;
use crate::print::{cell, table};

pub(super) async fn neighbors(console: &Console, wish: Neighbors) -> Result<Outcome, Failure> {
    let Some(change) = wish.change else {
        let neighbors = console.get("/v1/neighbors").await?["neighbors"].take();
        return Ok(Outcome::new(neighbors.clone(), listed(&neighbors)));
    };
    let (path, body, done) = match change {
        NeighborsChange::Add { address } => {
            let body = json!({ "address": address });
            ("/v1/neighbors/add", body, "answers; a link to it is kept")
        }
        NeighborsChange::Pin { node } => {
            let body = json!({ "node": node, "pinned": true });
            ("/v1/neighbors/pin", body, "is preferred to all others")
        }
        NeighborsChange::Unpin { node } => {
            let body = json!({ "node": node, "pinned": false });
            ("/v1/neighbors/pin", body, "is a neighbor like others")
        }
        NeighborsChange::Forget { node } => {
            let body = json!({ "node": node });
            ("/v1/neighbors/forget", body, "is forgotten")
        }
    };
    let answer = console.post(path, body).await?;
    let text = format!("{} {done}", cell("", &answer["id"]));
    Ok(Outcome::new(answer, text))
}

fn listed(neighbors: &Value) -> String {
    let mut rows = neighbors.clone();
    for row in rows.as_array_mut().into_iter().flatten() {
        let services = row["services"].as_array().map(|services| {
            let names: Vec<_> = services.iter().filter_map(Value::as_str).collect();
            names.join(", ")
        });
        row["services"] = json!(services);
        let marks = [("pinned", "pinned"), ("friend", "friend")];
        let marks: Vec<_> = marks
            .iter()
            .filter(|(key, _)| row[*key] == json!(true))
            .map(|(_, word)| *word)
            .collect();
        row["marks"] = json!(marks.join(", "));
    }
    let columns = [
        ("name", "name"),
        ("state", "state"),
        ("path", "path"),
        ("ms", "rtt_ms"),
        ("address", "address"),
        ("version", "version"),
        ("services", "services"),
        ("marks", "marks"),
        ("id", "id"),
    ];
    table(
        &rows,
        &columns,
        "no neighbors yet; nodes on the home network come by themselves, `cumulet neighbors add` calls one elsewhere",
    )
}

pub(super) async fn find(console: &Console, wish: Find) -> Result<Outcome, Failure> {
    let deadline_ms = (wish.deadline * 1000.0).round();
    if !(1.0..=60_000.0).contains(&deadline_ms) {
        return Err(Failure::input(
            "a lookup may take more than 0 s and at most 60 s",
        ));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 1 and 60000"
    )]
    let deadline_ms = deadline_ms as u64;
    if wish.people {
        return people(console, &wish, deadline_ms).await;
    }
    let body = json!({
        "what": wish.what,
        "max_hops": wish.max_hops,
        "deadline_ms": deadline_ms,
        "services": wish.services,
    });
    let found = console.post("/v1/find", body).await?;
    let is_found = found["found"] == json!(true);
    let text = if is_found {
        told(&found)
    } else {
        let center = match found["center_error"].as_str() {
            Some(why) => format!("the center could not be asked: {why}\n"),
            None => String::new(),
        };
        format!(
            "{center}nobody within {} links knows {} ({}, {} messages, {} ms)",
            wish.max_hops,
            wish.what,
            cell("", &found["end"]),
            cell("", &found["messages"]),
            cell("", &found["took_ms"]),
        )
    };
    let mut outcome = Outcome::new(found, text);
    outcome.code = u8::from(!is_found);
    Ok(outcome)
}

async fn people(console: &Console, wish: &Find, deadline_ms: u64) -> Result<Outcome, Failure> {
    let body = json!({
        "term": wish.what,
        "friends_of_friends": wish.among == "friends-of-friends",
        "deadline_ms": deadline_ms,
    });
    let people = console.post("/v1/find-people", body).await?["people"].take();
    let nobody = people.as_array().is_none_or(Vec::is_empty);
    let text = if nobody {
        format!(
            "no person with `{}` in the name or an address can be found from here",
            wish.what
        )
    } else {
        let mut rows = people.clone();
        for row in rows.as_array_mut().into_iter().flatten() {
            let addresses = row["addresses"].as_array().map(|addresses| {
                let texts: Vec<_> = addresses.iter().filter_map(Value::as_str).collect();
                texts.join(", ")
            });
            row["addresses"] = json!(addresses);
            row["where"] = match (&row["node"], &row["friend"]) {
                (Value::Null, _) => json!("this node"),
                (_, Value::String(friend)) => json!(format!("friend {friend}")),
                (node, _) => json!(format!("friend of a friend, {}", cell("", node))),
            };
        }
        let columns = [
            ("name", "name"),
            ("addresses", "addresses"),
            ("where", "where"),
        ];
        table(&rows, &columns, "")
    };
    let mut outcome = Outcome::new(people, text);
    outcome.code = u8::from(nobody);
    Ok(outcome)
}

fn told(found: &Value) -> String {
    let mut lines = vec![format!("{:<10} {}", "id", cell("", &found["id"]))];
    let mut line = |what: &str, value: String| lines.push(format!("{what:<10} {value}"));
    line("name", cell("", &found["name"]));
    for address in found["addresses"].as_array().into_iter().flatten() {
        line("address", cell("", address));
    }
    for service in found["services"].as_array().into_iter().flatten() {
        line("offers", cell("", &service["name"]));
    }
    let by = match found["presence"].as_str() {
        Some(presence) => format!("at the center, {presence} there"),
        None => format!("{} links away", cell("", &found["hops"])),
    };
    let (messages, took) = (cell("", &found["messages"]), cell("", &found["took_ms"]));
    line("found", format!("{by}, {messages} messages, {took} ms"));
    for other in found["others"].as_array().into_iter().flatten() {
        line("also", format!("{} has this name", cell("", &other["id"])));
    }
    if !found["center_error"].is_null() {
        line("center", cell("", &found["center_error"]));
    }
    if !found["trouble"].is_null() {
        line("trouble", cell("", &found["trouble"]));
    }
    lines.join("\n")
}
