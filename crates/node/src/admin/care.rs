//! Commands about the node itself: status, modules, check, audit log, recovery words, metrics.

use std::io;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use protocol::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sharing::{Action, AuditFilter, AuditReport, Event, Outcome};
use tokio::sync::mpsc;

use super::{Admin, Answer, Failure, Kind, Shared, on_disk};
use crate::cluster;
use crate::report;

pub(super) async fn status(admin: Shared) -> Answer {
    let state = on_disk(&admin, |admin| {
        let state = &admin.state;
        Ok(json!({
            "running": admin.running.is_some(),
            "version": env!("CARGO_PKG_VERSION"),
            "id": state.secret.id().to_string(),
            "folder": state.layout.volume,
            "state": state.layout.state,
            "users": state.sharing.accounts()?.len(),
            "has_owner": state.sharing.accounts()?.iter().any(|account| account.owner),
            "volumes": report::volumes(state).iter().map(report::Volume::to_json).collect::<Vec<_>>(),
            "clock": {
                "trouble": state.known_time.doubt().map_err(files::FilesError::from)?.map(|doubt| doubt.to_string()),
            },
            "recovered": {
                "finished": state.recovery.finished,
                "undone": state.recovery.undone,
                "redone": state.recovery.redone,
                "kept": state.recovery.kept,
                "temps_removed": state.recovery.temps_removed,
            },
        }))
    });
    let mut status = state.await?;
    if let Some(running) = &admin.running {
        let (connections, refused) = running.entrance.limits.counts();
        status["name"] = json!(running.name);
        status["https"] = json!(running.https_url);
        status["http"] = json!(running.http_url);
        status["fingerprint"] = json!(running.certificate.fingerprint());
        status["started"] = json!(running.started.to_string());
        status["rss_bytes"] = json!(report::resident_bytes());
        status["connections"] = json!(connections);
        status["connections_refused"] = json!(refused);
        let (said, heard) = running.neighbors.messages();
        status["links"] = json!(running.neighbors.endpoint().map(|endpoint| json!({
            "quic_port": endpoint.port(),
            "incoming": endpoint.incoming_links(),
            "datagrams_sent": endpoint.datagrams_sent(),
            "lookup_messages_sent": said,
            "lookup_messages_received": heard,
            "lookup_digests_sent": running.neighbors.digests(),
        })));
        status["center"] = json!(running.center.as_ref().map(|center| center.status()));
        status["modules"] = json!(
            running
                .modules()
                .map_or_else(Vec::new, |modules| modules.list())
        );
        status["nearby"] = json!(running.discovery.as_ref().map(cluster::Discovery::nearby));
    }
    Ok(Json(status))
}

impl Admin {
    fn modules(&self) -> Result<Arc<crate::modules::Modules>, Failure> {
        let modules = self.running.as_ref().and_then(|running| running.modules());
        modules.ok_or_else(|| {
            Failure::new(
                Kind::Unreachable,
                "no node is running here, so it has no modules",
            )
            .hint("`cumulet serve` starts it")
        })
    }
}

pub(super) async fn modules(admin: Shared) -> Answer {
    Ok(Json(json!({ "modules": admin.modules()?.list() })))
}

#[derive(Deserialize)]
pub(super) struct ModuleWish {
    name: String,
    on: bool,
}

pub(super) async fn set_module(admin: Shared, Json(wish): Json<ModuleWish>) -> Answer {
    let modules = admin.modules()?;
    let Some(status) = modules.set(&wish.name, wish.on).await else {
        let names: Vec<_> = modules.list().iter().map(|module| module.name).collect();
        return Err(
            Failure::missing(format!("there is no module `{}`", wish.name))
                .hint(format!("there are {}", names.join(", "))),
        );
    };
    on_disk(&admin, move |admin| {
        admin.note(
            Action::Settings,
            wish.name,
            if wish.on { "started" } else { "stopped" },
        )
    })
    .await?;
    Ok(Json(json!({ "module": status })))
}

/// The owner says that the clock is right.
pub(super) async fn confirm_clock(admin: Shared) -> Answer {
    let (doubt, now) = on_disk(&admin, |admin| {
        let doubt = admin
            .state
            .known_time
            .confirm()
            .map_err(files::FilesError::from)?;
        if let Some(doubt) = &doubt {
            let detail = format!("right; the last known time was {}", doubt.known);
            admin.note(Action::Settings, "clock", detail)?;
        }
        Ok((doubt, admin.state.now()))
    })
    .await?;
    Ok(Json(json!({
        "confirmed": doubt.is_some(),
        "now": now.to_string(),
        "known": doubt.map(|doubt| doubt.known.to_string()),
    })))
}

#[derive(Deserialize)]
pub(super) struct CheckWish {
    /// Read all content and compare hashes.
    deep: bool,
}

pub(super) async fn check(admin: Shared, Json(wish): Json<CheckWish>) -> Answer {
    let count = admin.check_count(true);
    let counted = Arc::clone(&count);
    let findings = on_disk(&admin, move |admin| {
        let findings = admin.state.files.check_counting(wish.deep, &counted)?;
        Ok(findings
            .iter()
            .map(|finding| Value::from(finding.to_string()))
            .collect::<Vec<_>>())
    })
    .await?;
    Ok(Json(json!({
        "clean": findings.is_empty(),
        "findings": findings,
        "entries": count.entries(),
        "read_bytes": count.bytes(),
    })))
}

/// How far the check that began last is; of several at once only that one is told.
pub(super) async fn check_count(admin: Shared) -> Answer {
    let count = admin.check_count(false);
    Ok(Json(
        json!({ "entries": count.entries(), "read_bytes": count.bytes() }),
    ))
}

#[derive(Deserialize)]
pub(super) struct AuditWish {
    limit: usize,
    before: Option<u64>,
    since_ms: Option<i64>,
    actor: Option<String>,
    action: Option<String>,
    path: Option<String>,
    text: Option<String>,
}

pub(super) async fn audit_show(admin: Shared, Json(wish): Json<AuditWish>) -> Answer {
    let page = on_disk(&admin, move |admin| {
        let fid = match &wish.path {
            Some(path) => Some(admin.entry(&admin.place(path)?)?.fid),
            None => None,
        };
        let filter = AuditFilter {
            from: wish.since_ms.map(Timestamp),
            actor: wish.actor,
            action: wish.action,
            fid,
            text: wish.text,
            ..AuditFilter::default()
        };
        Ok(admin
            .state
            .sharing
            .audit_rows(&filter, wish.before, wish.limit.clamp(1, 1000))?)
    })
    .await?;
    Ok(Json(json!({ "rows": page.rows, "next": page.next })))
}

pub(super) async fn audit_verify(admin: Shared) -> Answer {
    let report = on_disk(&admin, |admin| Ok(admin.state.sharing.verify_audit()?)).await?;
    Ok(Json(describe_audit(&report)))
}

/// An audit report as JSON, for the API and for `audit verify` without a node.
#[must_use]
pub fn describe_audit(report: &AuditReport) -> Value {
    json!({
        "clean": report.is_clean(),
        "rows": report.rows,
        "first": report.first,
        "unsealed": report.unsealed,
        "findings": report.findings.iter().map(|finding| Value::from(finding_text(finding))).collect::<Vec<_>>(),
    })
}

fn finding_text(finding: &sharing::audit::Finding) -> String {
    use sharing::audit::Finding as F;
    match finding {
        F::Altered { seq } => format!("row {seq} was altered"),
        F::Gap { after, next } => format!("rows between {after} and {next} are missing"),
        F::Shortened { head, rows } => format!(
            "the log ends at row {rows}, but {head} rows were sealed: its end was cut, or the database is an old copy"
        ),
        F::HeadMismatch { seq } => format!("row {seq} is not the one that was sealed"),
        F::Forged { what } => format!("the signature of the {what} is not this node's"),
        F::NoHead => "the sealed head is missing".into(),
        F::Unreadable { what } => format!("cannot be read: {what}"),
        F::Recorded { seq, detail } => {
            format!("row {seq} tells that the log did not fit its head at a start: {detail}")
        }
        other => format!("{other:?}"),
    }
}

/// Lines under way between the disk and the client.
const EXPORT_BLOCKS: usize = 8;
const EXPORT_BLOCK_BYTES: usize = 64 << 10;

/// Streams the log, so that its size does not matter.
pub(super) async fn audit_export(admin: Shared) -> Response {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, io::Error>>(EXPORT_BLOCKS);
    let state = Arc::clone(&admin.state);
    // Ends by itself when the client is gone: its next block finds no receiver.
    drop(tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(EXPORT_BLOCK_BYTES, Blocks(sender.clone()));
        let exported = state
            .sharing
            .export_audit(&mut out)
            .map_err(io::Error::other);
        if let Err(error) = exported.and_then(|_| io::Write::flush(&mut out)) {
            let _ = sender.blocking_send(Err(error));
        }
    }));
    let blocks = futures_util::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|block| (block, receiver))
    });
    Body::from_stream(blocks).into_response()
}

struct Blocks(mpsc::Sender<Result<Bytes, io::Error>>);

impl io::Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len())
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Deserialize)]
pub(super) struct OwnerProof {
    name: Option<String>,
    password: String,
}

pub(super) async fn recovery(admin: Shared, Json(proof): Json<OwnerProof>) -> Answer {
    let words = on_disk(&admin, move |admin| {
        let owners = admin
            .state
            .sharing
            .accounts()?
            .into_iter()
            .filter(|account| account.owner);
        let owners: Vec<_> = owners
            .filter(|account| {
                proof
                    .name
                    .as_ref()
                    .is_none_or(|name| *name == account.name.as_str())
            })
            .collect();
        let owner = match owners.as_slice() {
            [one] => one,
            [] => return Err(Failure::missing("there is no such owner").hint("the set-up link that `cumulet serve` prints makes the first owner and shows the words")),
            [_, ..] => return Err(Failure::input("there are several owners; add --user NAME")),
        };
        if !admin
            .state
            .sharing
            .check_password(owner.id, &proof.password)?
        {
            let event = Event {
                outcome: Outcome::Refused,
                via: "console".into(),
                ..Event::by(
                    "console",
                    admin.state.now(),
                    Action::Refuse,
                    "recovery words",
                )
            };
            admin.state.sharing.audit(event)?;
            return Err(Failure::new(Kind::Refused, "the password is wrong"));
        }
        admin.note(Action::Settings, "recovery words", "shown")?;
        Ok(admin.state.secret.words())
    });
    Ok(Json(json!({ "words": words.await? })))
}

pub(super) async fn metrics(admin: Shared) -> Result<Response, Failure> {
    let text = on_disk(&admin, |admin| {
        Ok(report::metrics(&admin.state, admin.running.as_deref()))
    })
    .await?;
    Ok((
        [(http::header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        text,
    )
        .into_response())
}

/// Checks an audit log without a node: a database or an export, against a head and a node's id.
pub fn verify_files(
    source: &std::path::Path,
    head: Option<&std::path::Path>,
    node: &protocol::NodeId,
) -> Result<Value, Failure> {
    let is_database = std::fs::File::open(source)
        .and_then(|mut file| {
            let mut start = [0; 15];
            io::Read::read_exact(&mut file, &mut start).map(|()| start == *b"SQLite format 3")
        })
        .map_err(|error| Failure::input(format!("cannot read {}: {error}", source.display())))?;
    let source = if is_database {
        sharing::audit::Source::Database(source)
    } else {
        sharing::audit::Source::Export(source)
    };
    let report = sharing::audit::verify_offline(source, head, node)?;
    Ok(describe_audit(&report))
}
