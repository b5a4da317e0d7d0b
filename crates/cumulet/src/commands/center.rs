//! `cumulet center`: runs a center in this process, or asks the one in `--state`.

use std::path::{Path, PathBuf};

use center::Offline;
use center::home::Home;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use node::{Failure, Kind};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Outcome, consent, show};
use crate::arguments::{Center, CenterCommand, CenterServe};
use crate::{console, print};

const COLUMNS: [(&str, &str); 6] = [
    ("name", "name"),
    ("online", "online"),
    ("addresses", "addresses"),
    ("in use", "storage_used_bytes"),
    ("of", "storage_bytes"),
    ("last renewed", "last_renewed"),
];
/// A center answers within one request at most so many nodes.
const PAGE: usize = 1000;

pub(crate) fn run(center: Center, state: Option<PathBuf>, json: bool) -> Result<u8, Failure> {
    let Some(command) = center.command else {
        // The DNS library would note each question, with who asked it.
        crate::log_to_stderr("info,hickory_server=error");
        return serve(center.serve, json);
    };
    crate::log_to_stderr("warn");
    if let CenterCommand::Remove { id, consent } = &command {
        consent::ask(
            &format!("Forget the node {id}? Its name is free at once."),
            *consent,
        )?;
        if consent.dry_run {
            print::line(&format!("would forget {id}"));
            return Ok(0);
        }
    }
    let folder = state
        .or_else(|| std::env::var_os("CUMULET_STATE").map(PathBuf::from))
        .ok_or_else(|| {
            Failure::input("which center?")
                .hint("add --state DIR with the folder given to `cumulet center`")
        })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::fault(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let office = Office::open(&folder).await?;
        let outcome = office.perform(command).await;
        office.close().await;
        outcome.map(|outcome| show(&outcome, json))
    })
}

fn serve(wish: CenterServe, json: bool) -> Result<u8, Failure> {
    let address = |text: Option<String>, port| {
        text.map(|text| node::config::listen_address(&text, port))
            .transpose()
            .map_err(Failure::input)
    };
    let options = center::Options {
        zone: wish.zone,
        listen: address(wish.listen, center::config::NODE_PORT)?,
        http: address(wish.http, node::config::HTTP_PORT)?,
        dns: address(wish.dns, center::config::DNS_PORT)?,
        database: wish.database,
    };
    let folder = wish.folder.unwrap_or_default();
    let served = center::serve(&folder, options, |ready| {
        if !json {
            print::note(&ready.text());
        }
        print::line(&ready.line(json));
    });
    served.map(|()| 0).map_err(|error| failed(&error))
}

fn failed(error: &anyhow::Error) -> Failure {
    let kind = if error.to_string().contains("already in use by process") {
        Kind::Refused
    } else {
        Kind::Configuration
    };
    Failure::of(kind, error.as_ref())
}

/// A center that runs, or one that is opened for this command.
enum Office {
    Running(Home),
    Opened(Offline),
}

impl Office {
    async fn open(folder: &Path) -> Result<Self, Failure> {
        let home = Home::find(folder).map_err(|error| Failure::missing(error.to_string()))?;
        if tokio::net::UnixStream::connect(home.admin_socket())
            .await
            .is_ok()
        {
            return Ok(Self::Running(home));
        }
        let offline = Offline::open(folder)
            .await
            .map_err(|error| failed(&error))?;
        Ok(Self::Opened(offline))
    }

    async fn close(self) {
        if let Self::Opened(offline) = self
            && let Err(error) = offline.close().await
        {
            tracing::warn!(%error, "the center was not closed cleanly");
        }
    }

    async fn perform(&self, command: CenterCommand) -> Result<Outcome, Failure> {
        match command {
            CenterCommand::Nodes => self.nodes().await,
            CenterCommand::Invite { uses, days } => {
                let made = self
                    .post("/api/invites", json!({ "uses": uses, "days": days }))
                    .await?;
                let token = made["token"].as_str().unwrap_or_default();
                let text = format!(
                    "Invite, shown this one time:\n  {token}\nA node uses it with `cumulet serve DIR --center … --invite {token}`"
                );
                Ok(Outcome::new(made, text))
            }
            CenterCommand::Pin { id } => self.change(&id, "pin", "It stays in every list.").await,
            CenterCommand::Unpin { id } => self.change(&id, "unpin", "Done.").await,
            CenterCommand::Remove { id, .. } => self.change(&id, "remove", "Forgotten.").await,
        }
    }

    async fn nodes(&self) -> Result<Outcome, Failure> {
        let mut all = Vec::new();
        loop {
            let after = all
                .last()
                .map(|node: &Value| node["id"].as_str().unwrap_or_default());
            let path = match after {
                Some(after) => format!("/api/nodes?after={after}"),
                None => "/api/nodes".to_owned(),
            };
            let mut answer = self.send(Method::GET, &path, Value::Null).await?;
            let Value::Array(page) = answer["nodes"].take() else {
                break;
            };
            let full = page.len() == PAGE;
            all.extend(page);
            if !full {
                break;
            }
        }
        let rows: Vec<Value> = all.iter().map(row).collect();
        let text = print::table(&Value::Array(rows), &COLUMNS, "no node has registered yet");
        Ok(Outcome::new(Value::Array(all), text))
    }

    async fn change(&self, id: &str, what: &str, done: &str) -> Result<Outcome, Failure> {
        let id: protocol::NodeId = id
            .parse()
            .map_err(|error: protocol::IdError| Failure::input(error.to_string()))?;
        let answer = self
            .post(&format!("/api/nodes/{id}/{what}"), Value::Null)
            .await?;
        Ok(Outcome::new(answer, done))
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        self.send(Method::POST, path, body).await
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Result<Value, Failure> {
        let request = console::request(method, path, &body)?;
        let response: http::Response<console::Body> = match self {
            Self::Running(home) => console::over_socket(&home.admin_socket(), request).await?,
            Self::Opened(offline) => {
                let request = request.map(axum::body::Body::new);
                let answer = offline.router.clone().oneshot(request).await;
                let answer = answer.unwrap_or_else(|never| match never {});
                answer.map(|body| body.map_err(|error| Box::new(error).into()).boxed_unsync())
            }
        };
        let status = response.status();
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|error| {
                Failure::new(Kind::Unreachable, format!("the center broke off: {error}"))
            })?
            .to_bytes();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let why = value["error"]["message"]
            .as_str()
            .unwrap_or("the center failed")
            .to_owned();
        Err(match status {
            StatusCode::NOT_FOUND => Failure::missing(why),
            StatusCode::BAD_REQUEST => Failure::input(why),
            _ => Failure::new(Kind::Unreachable, why),
        })
    }
}

/// What fits a line.
fn row(node: &Value) -> Value {
    let addresses = node["addresses"].as_array().map_or(&[][..], Vec::as_slice);
    let addresses: Vec<_> = addresses.iter().filter_map(Value::as_str).collect();
    let name = if node["name"].is_null() {
        &node["id"]
    } else {
        &node["name"]
    };
    json!({
        "name": name,
        "online": node["online"],
        "addresses": addresses.join(" "),
        "storage_used_bytes": node["usage"]["storage_bytes"],
        "storage_bytes": node["resources"]["storage_bytes"],
        "last_renewed": node["last_renewed"],
    })
}
