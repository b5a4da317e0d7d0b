//! `status`, `module`, `check`, `audit`, `recovery`.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use node::{Failure, Kind};
use protocol::Timestamp;
use serde_json::{Value, json};

use super::Outcome;
use crate::arguments::{Audit, Module, Recovery};
use crate::console::Console;
use crate::print::{cell, counted, table};
use crate::progress::{Sign, watched};
use crate::{secret, when};

pub(super) async fn status(console: &Console) -> Result<Outcome, Failure> {
    let status = console.get("/v1/status").await?;
    let running = status["running"] == json!(true);
    let mut lines = vec![];
    let mut line = |what: &str, value: String| lines.push(format!("{what:<12} {value}"));
    line(
        "node",
        if running {
            cell("", &status["name"])
        } else {
            "not running".into()
        },
    );
    line("folder", cell("", &status["folder"]));
    if status["state"].as_str()
        != status["folder"]
            .as_str()
            .map(|folder| format!("{folder}/.cumulet"))
            .as_deref()
    {
        line("state", cell("", &status["state"]));
    }
    line("id", cell("", &status["id"]));
    if running {
        line("https", cell("", &status["https"]));
        line("http", cell("", &status["http"]));
        line("fingerprint", cell("", &status["fingerprint"]));
        line("since", cell("", &status["started"]));
        line("memory", cell("rss_bytes", &status["rss_bytes"]));
        line("connections", cell("", &status["connections"]));
        center_lines(&status["center"], &mut line);
    }
    let people = if status["has_owner"] == json!(true) {
        cell("", &status["users"])
    } else {
        "no owner yet; the set-up link makes one".into()
    };
    line("people", people);
    if !status["clock"]["trouble"].is_null() {
        line("clock", cell("", &status["clock"]["trouble"]));
    }
    let volumes = [
        ("volume", "path"),
        ("seen at", "seen_at"),
        ("free", "free_bytes"),
        ("size", "total_bytes"),
        ("state", "state"),
        ("trouble", "trouble"),
    ];
    lines.push(format!("\n{}", table(&status["volumes"], &volumes, "")));
    if running {
        lines.push(format!("\n{}", modules_table(&status["modules"])));
    }
    if status["nearby"]
        .as_array()
        .is_some_and(|near| !near.is_empty())
    {
        let columns = [("nearby", "name"), ("id", "id"), ("state", "state")];
        lines.push(format!("\n{}", table(&status["nearby"], &columns, "")));
    }
    let text = lines.join("\n");
    Ok(Outcome::new(status, text))
}

/// How it stands with the center, and what does not work without it.
fn center_lines(center: &Value, line: &mut impl FnMut(&str, String)) {
    if center.is_null() {
        return;
    }
    let url = center["url"]
        .as_str()
        .map_or(String::new(), |url| format!(", {url}"));
    line("center", format!("{}{url}", cell("", &center["state"])));
    for trouble in ["error", "name_error", "lie"] {
        if !center[trouble].is_null() {
            line("", cell("", &center[trouble]));
        }
    }
    for what in center["degraded"].as_array().into_iter().flatten() {
        line("", format!("for now: {}", cell("", what)));
    }
}

fn modules_table(modules: &Value) -> String {
    let mut rows = modules.clone();
    for row in rows.as_array_mut().into_iter().flatten() {
        let doing = &row["progress"];
        let doing = match (doing["done"].as_u64(), doing["total"].as_u64()) {
            (Some(done), Some(total)) => {
                json!(format!("{} {done}/{total}", cell("", &doing["what"])))
            }
            (Some(_), None) => doing["what"].clone(),
            (None, _) => Value::Null,
        };
        row["doing"] = doing;
    }
    let columns = [
        ("module", "name"),
        ("state", "state"),
        ("what", "what"),
        ("doing", "doing"),
        ("last error", "last_error"),
    ];
    table(&rows, &columns, "no modules")
}

pub(super) async fn module(console: &Console, module: Module) -> Result<Outcome, Failure> {
    let (name, on) = match module {
        Module::List => {
            let modules = console.get("/v1/modules").await?["modules"].take();
            let text = modules_table(&modules);
            return Ok(Outcome::new(modules, text));
        }
        Module::Start { name } => (name, true),
        Module::Stop { name } => (name, false),
    };
    let module = console
        .post("/v1/modules", json!({ "name": name, "on": on }))
        .await?["module"]
        .take();
    let text = format!("{name} is {}", cell("", &module["state"]));
    let done = (module["state"] == json!("running")) == on;
    Ok(Outcome {
        code: u8::from(!done),
        ..Outcome::new(module, text)
    })
}

pub(super) async fn check(console: &Console, deep: bool, json: bool) -> Result<Outcome, Failure> {
    let sign = Sign::new("comparing the catalog with the disk:", json);
    let checked = console.post("/v1/check", json!({ "deep": deep }));
    let count = async || Ok(compared(&console.get("/v1/check").await?));
    let answer = watched(&sign, count, checked).await?;
    let clean = format!("catalog and disk agree: {}", compared(&answer));
    Ok(findings(answer, &clean))
}

/// How much of a check is done.
fn compared(count: &Value) -> String {
    let entries = counted(&count["entries"], "entry", "entries");
    match count["read_bytes"].as_u64() {
        None | Some(0) => format!("{entries} compared"),
        Some(_) => format!(
            "{entries} compared, {} read",
            cell("read_bytes", &count["read_bytes"])
        ),
    }
}

/// Clean or not, with the list of what is wrong.
fn findings(answer: Value, clean: &str) -> Outcome {
    if answer["clean"] == json!(true) {
        return Outcome::new(answer, clean);
    }
    let list = answer["findings"].as_array().map_or(&[][..], Vec::as_slice);
    let text = list
        .iter()
        .map(|finding| cell("", finding))
        .collect::<Vec<_>>()
        .join("\n");
    Outcome {
        code: 1,
        ..Outcome::new(answer, text)
    }
}

pub(super) async fn audit(console: &Console, audit: Audit) -> Result<Outcome, Failure> {
    match audit {
        Audit::Show {
            limit,
            before,
            since,
            actor,
            action,
            path,
            text,
        } => {
            let now = (node::system_clock())();
            let since = since
                .map(|text| when::parse(&text, |span| now.minus(span)))
                .transpose()
                .map_err(Failure::input)?;
            let body = json!({
                "limit": limit, "before": before, "since_ms": since.map(|Timestamp(ms)| ms),
                "actor": actor, "action": action, "path": path, "text": text,
            });
            let answer = console.post("/v1/audit/show", body).await?;
            let mut rows = answer["rows"].clone();
            for row in rows.as_array_mut().into_iter().flatten() {
                row["time"] = json!(Timestamp(row["at_ms"].as_i64().unwrap_or(0)).to_string());
                row["rev"] = match (row["old_rev"].as_i64(), row["new_rev"].as_i64()) {
                    (None, None) => json!(""),
                    (old, new) => json!(format!(
                        "{} -> {}",
                        old.map_or("-".into(), |n| n.to_string()),
                        new.map_or("-".into(), |n| n.to_string())
                    )),
                };
            }
            let columns = [
                ("row", "seq"),
                ("time", "time"),
                ("who", "actor"),
                ("by", "via"),
                ("from", "address"),
                ("did", "action"),
                ("to", "target"),
                ("rev", "rev"),
                ("result", "outcome"),
                ("more", "detail"),
            ];
            let shown = table(&rows, &columns, "no rows");
            Ok(Outcome::new(answer, shown))
        }
        Audit::Verify { .. } => {
            let answer = console.post("/v1/audit/verify", json!({})).await?;
            let clean = format!("the log of {} rows is whole", answer["rows"]);
            Ok(findings(answer, &clean))
        }
        Audit::Export { .. } => Err(Failure::fault("an export was not streamed")),
    }
}

pub(super) async fn export(console: &Console, file: Option<PathBuf>) -> Result<(), Failure> {
    let trouble = |path: &Path, error: &io::Error| {
        Failure::new(
            Kind::Configuration,
            format!("cannot write {}: {error}", path.display()),
        )
    };
    match file {
        None => {
            console
                .stream("/v1/audit/export", |bytes| {
                    io::stdout().lock().write_all(bytes)
                })
                .await
        }
        Some(path) => {
            let mut out = File::create_new(&path).map_err(|error| {
                let failure = trouble(&path, &error);
                if error.kind() == io::ErrorKind::AlreadyExists {
                    return failure
                        .hint("nothing is overwritten; choose another name or remove it");
                }
                failure
            })?;
            console
                .stream("/v1/audit/export", |bytes| out.write_all(bytes))
                .await?;
            out.sync_all().map_err(|error| trouble(&path, &error))
        }
    }
}

pub(super) fn verify_files(
    file: &Path,
    head: Option<&Path>,
    node: &str,
) -> Result<Outcome, Failure> {
    let node = node.parse().map_err(|error: protocol::IdError| {
        Failure::input(error.to_string()).hint("`cumulet status` shows a node's id")
    })?;
    let answer = node::admin::care::verify_files(file, head, &node)?;
    let clean = format!("the log of {} rows is whole", answer["rows"]);
    Ok(findings(answer, &clean))
}

pub(super) fn secret(recovery: &Recovery) -> Result<Option<String>, Failure> {
    let Recovery::Show { password, .. } = recovery;
    secret::ask(password.password_stdin, "Password of the owner: ").map(Some)
}

pub(super) async fn recovery(
    console: &Console,
    recovery: Recovery,
    secret: Option<String>,
) -> Result<Outcome, Failure> {
    let Recovery::Show { user, .. } = recovery;
    let answer = console
        .post("/v1/recovery", json!({ "name": user, "password": secret }))
        .await?;
    let words = cell("", &answer["words"]);
    let words: Vec<_> = words.split(' ').collect();
    let lines = words
        .chunks(6)
        .enumerate()
        .map(|(i, line)| format!("{:>2}  {}", 6 * i + 1, line.join(" ")));
    let text = lines.collect::<Vec<_>>().join("\n");
    Ok(Outcome::new(answer, text))
}
