//! The audit log for the owner: filter, pages, export (R102, R103).

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Response};
use maud::html;
use protocol::Timestamp;
use sharing::{Action, AuditFilter, AuditRow};
use tokio::sync::mpsc;

use super::actions::action_text;
use super::concealed::Concealment;
use super::{Tab, tabs};
use crate::address::encode_name;
use crate::call::{Answer, Call};
use crate::form::Fields;
use crate::language::Language;
use crate::pages::shell::{Section, Width, icon, icon_of, moment};
use crate::problem::{Fault, Problem};

/// Rows of one page.
const ROWS: usize = 100;
/// Export pieces that wait for the client.
const QUEUE_PIECES: usize = 8;

fn filter(query: &Fields) -> AuditFilter {
    AuditFilter {
        actor: query.filled("actor").map(str::to_owned),
        action: query.filled("action").map(str::to_owned),
        text: query.filled("text").map(str::to_owned),
        ..AuditFilter::default()
    }
}

/// `GET /admin/audit?actor=&action=&text=&before=`
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let filter = filter(&query);
    let before = match query.filled("before") {
        Some(_) => Some(query.parsed::<u64>("before")?),
        None => None,
    };
    let (asked, asker) = (filter.clone(), call.asker.clone());
    let (page, rows) = call
        .blocking(move |app| {
            let mut page = app.sharing.audit_rows(&asked, before, ROWS)?;
            let concealment = Concealment::new(app, app.sharing.visibility(&asker)?);
            let mut rows = Vec::new();
            for row in std::mem::take(&mut page.rows) {
                let concealed = concealment.conceals(&row)?;
                // A row that was found by its text would tell that text.
                if !concealed || asked.text.is_none() {
                    rows.push((row, concealed));
                }
            }
            Ok((page, rows))
        })
        .await?;
    let t = call.language;
    let title = t.text("admin-audit");
    let value = |field: &Option<String>| field.clone().unwrap_or_default();
    let next = page.next.map(|next| {
        format!(
            "/admin/audit?actor={}&action={}&text={}&before={next}",
            encode_name(&value(&filter.actor)),
            encode_name(&value(&filter.action)),
            encode_name(&value(&filter.text)),
        )
    });
    Ok(call.frame(&title, Section::Admin, Width::Wide).page(&html! {
        div class="headline" { h1 { (t.text("nav-admin")) } }
        (tabs(t, Tab::Audit))
        form class="card" method="get" action="/admin/audit" {
            div class="fields" {
                div class="field" {
                    label for="field-actor" { (t.text("audit-who")) }
                    input id="field-actor" name="actor" type="text" value=(value(&filter.actor))
                        autocomplete="off" autocapitalize="none" spellcheck="false";
                }
                div class="field" {
                    label for="field-action" { (t.text("audit-what")) }
                    select id="field-action" name="action" {
                        option value="" { (t.text("audit-any")) }
                        @for action in Action::ALL {
                            option value=(action) selected[filter.action.as_deref() == Some(action.name())] {
                                (action_text(t, action.name()))
                            }
                        }
                    }
                }
                div class="field" {
                    label for="field-text" { (t.text("audit-text")) }
                    input id="field-text" name="text" type="text" value=(value(&filter.text))
                        autocomplete="off" autocapitalize="none" spellcheck="false";
                }
            }
            div class="buttons end filter-buttons" {
                a class="button bare" href="/admin/audit/export" { (icon("down")) (t.text("audit-export")) }
                button class="button" { (t.text("audit-filter")) }
            }
        }
        div class="card flush" {
            @if rows.is_empty() {
                div class="empty" { (icon_of("icon", "list")) h2 { (t.text("audit-empty")) } }
            } @else {
                table class="rows" {
                    thead { tr {
                        th class="wide-only" scope="col" { (t.text("audit-when")) }
                        th class="wide-only" scope="col" { (t.text("audit-who")) }
                        th class="wide-only" scope="col" { (t.text("audit-from")) }
                        th scope="col" { (t.text("audit-what")) }
                    } }
                    tbody { @for (row, concealed) in &rows { (draw_row(t, row, *concealed)) } }
                }
            }
            @if let Some(next) = &next {
                div class="list-foot" { a class="button small" href=(next) { (t.text("audit-older")) } }
            }
        }
    }))
}

fn draw_row(t: Language, row: &AuditRow, concealed: bool) -> maud::Markup {
    let tone = match row.outcome.as_str() {
        "refused" => "badge warn",
        "failed" => "badge bad",
        _ => "badge plain",
    };
    html! {
        tr {
            td class="when small wide-only" { (moment(t, Timestamp(row.at_ms))) }
            td class="break who-cell wide-only" {
                (row.actor)
                div class="soft small" { (row.via) }
            }
            td class="soft small break from-cell wide-only" { (row.address) }
            td class="break" {
                span class=(tone) title=(row.action) { (action_text(t, &row.action)) @if row.count > 1 { " ×" (row.count) } } " "
                @if concealed { span class="soft small" { (t.text("audit-lan-only")) } }
                @else { span class="small" { (row.target) } }
                span class="under" {
                    (row.actor) " · " (moment(t, Timestamp(row.at_ms))) " · " (row.address)
                }
                div class="soft small" {
                    @if !row.detail.is_empty() && !concealed { (row.detail) " " }
                    @if let (Some(old), Some(new)) = (row.old_rev, row.new_rev) {
                        (t.text("audit-revision")) " " (old) " → " (new)
                    }
                }
            }
        }
    }
}

/// Hands what `export_audit` writes to the connection, piece by piece.
struct Pipe(mpsc::Sender<std::io::Result<Bytes>>);

impl std::io::Write for Pipe {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(piece)))
            .map_err(|_| std::io::ErrorKind::BrokenPipe)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `GET /admin/audit/export`: the whole log as JSON lines.
///
/// # Errors
/// [`Fault::AtHomeOnly`] from away, where it would tell names of LAN-only entries: an export without
/// them could not be verified.
pub(crate) async fn export(call: Call) -> Answer {
    let asker = call.asker.clone();
    call.blocking(move |app| {
        let concealment = Concealment::new(app, app.sharing.visibility(&asker)?);
        match concealment.is_empty() {
            true => Ok(()),
            false => Err(Problem::new(Fault::AtHomeOnly)),
        }
    })
    .await?;
    let (sender, receiver) = mpsc::channel(QUEUE_PIECES);
    // Not awaited: it ends with its last row, or when the client goes and the pipe breaks.
    drop(call.blocking(move |app| {
        let failed = sender.clone();
        let mut out = std::io::BufWriter::with_capacity(64 * 1024, Pipe(sender));
        let written = app.sharing.export_audit(&mut out);
        let flushed = std::io::Write::flush(&mut out);
        if let (Err(error), Ok(())) = (&written, &flushed) {
            tracing::warn!(%error, "the export of the audit log broke off");
            // The client must see that the file is not whole.
            drop(failed.blocking_send(Err(std::io::ErrorKind::Other.into())));
        }
        Ok::<(), Problem>(())
    }));
    let rows = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let mut response = Response::new(Body::from_stream(rows));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    headers.insert(
        CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"audit.jsonl\""),
    );
    Ok(response)
}
