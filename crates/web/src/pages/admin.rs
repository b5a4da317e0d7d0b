//! Administration: the node, its people, what is LAN-only, and the audit log. Owners only.

mod actions;
mod audit;
mod concealed;
mod people;

use maud::{Markup, html};
use protocol::ByteSize;
use sharing::{Action, Event, LanOnly, Service};

pub(crate) use audit::{export, show as show_audit};
pub(crate) use people::{
    add as add_person, list as show_people, remove as remove_person, reset as reset_person,
    set_quota, set_role, show as show_person,
};

use super::done;
use super::shell::{Section, Tone, Width, icon, moment, notice};
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::language::Language;
use crate::problem::Problem;
use crate::status::{VolumeReport, WorkerControl, WorkerReport, WorkerState};

/// The pages of the administration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Node,
    People,
    Cluster,
    Audit,
}

/// The switch between them.
pub(crate) fn tabs(t: Language, current: Tab) -> Markup {
    let tab = |tab: Tab, href: &str, label: String| {
        let here = (tab == current).then_some("page");
        html! { a href=(href) aria-current=[here] { (label) } }
    };
    html! {
        nav class="tabs" aria-label=(t.text("nav-admin")) {
            (tab(Tab::Node, "/admin", t.text("admin-node")))
            (tab(Tab::People, "/admin/people", t.text("admin-people")))
            (tab(Tab::Cluster, "/cluster", t.text("cluster-title")))
            (tab(Tab::Audit, "/admin/audit", t.text("admin-audit")))
        }
    }
}

/// `GET /admin`
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let (workers, volumes, lan_only) = call
        .blocking(|app| {
            let services: Vec<Service> = app
                .sharing
                .lan_only()?
                .into_iter()
                .filter_map(|what| match what {
                    LanOnly::Service(service) => Some(service),
                    LanOnly::Entry(_) => None,
                })
                .collect();
            Ok((app.status.workers(), app.status.volumes(), services))
        })
        .await?;
    let t = call.language;
    let title = t.text("nav-admin");
    let settings = &call.app.settings;
    Ok(call.frame(&title, Section::Admin, Width::Wide).page(&html! {
        @if let Some(notice) = done::done(t, &query) { (notice) }
        div class="headline" { h1 { (title) } }
        (tabs(t, Tab::Node))
        div class="cards" {
            section class="card stack" {
                h2 { (settings.name) }
                dl class="facts" {
                    dt { (t.text("admin-version")) } dd { (settings.version) }
                    dt { (t.text("admin-started")) } dd { (moment(t, call.app.status.started())) }
                    dt { (t.text("admin-fingerprint")) } dd class="mono small" { (settings.fingerprint) }
                    dt { (t.text("admin-id")) } dd class="mono small" { (settings.node_id) }
                }
            }
            section class="card stack" {
                h2 { (t.text("admin-disks")) }
                @for volume in &volumes { (volume_row(t, volume)) }
            }
        }
        (workers_card(t, &workers))
        (services_card(t, &lan_only))
    }))
}

fn volume_row(t: Language, volume: &VolumeReport) -> Markup {
    let total = volume.total.0.max(1);
    let used = volume.total.0.saturating_sub(volume.free.0);
    let percent = used.saturating_mul(100) / total;
    let words = [
        ("free", volume.free.to_string().into()),
        ("total", volume.total.to_string().into()),
    ];
    html! {
        div class="stack-small" {
            p { b class="break" { (volume.path) }
                @if !volume.seen_at.is_empty() { span class="soft" { " → " (volume.seen_at) } }
            }
            @if let Some(trouble) = &volume.trouble {
                (notice(Tone::Warn, &html! { b { (t.text("badge-away")) } div { (trouble) } }))
            } @else {
                meter class="meter" min="0" max="100" low="80" high="95" optimum="0" value=(percent)
                    aria-label=(volume.path) {}
                p class="soft small" { (t.with("admin-free", &words)) }
            }
        }
    }
}

fn workers_card(t: Language, workers: &[WorkerReport]) -> Markup {
    html! {
        section class="card stack" {
            div { h2 { (t.text("admin-workers")) } p class="soft" { (t.text("admin-workers-text")) } }
            div class="things" {
                @for worker in workers {
                    div class="thing" {
                        div class="main-part" {
                            b { (worker_text(t, &worker.name)) } " " (worker_badge(t, worker.state))
                            div class="soft" {
                                span class="mono" { (worker.name) }
                                @if let Some((done, total)) = worker.progress {
                                    " · "
                                    (t.with("admin-progress", &[("done", done.into()), ("total", total.into())]))
                                }
                                @if let Some(last) = worker.last_run {
                                    " · " (t.text("admin-last-run")) " " (moment(t, last))
                                }
                            }
                            @if let Some(error) = &worker.error { div class="small break" { (error) } }
                        }
                        @if worker.can_stop { (worker_button(t, worker)) }
                    }
                }
            }
        }
    }
}

/// What a worker is for; the command line knows it by its name.
fn worker_text(t: Language, name: &str) -> String {
    match name {
        "web-https" => t.text("work-web-https"),
        "web-http" => t.text("work-web-http"),
        "scanner" => t.text("work-scanner"),
        "audit-sealer" => t.text("work-audit-sealer"),
        "lock-expiry" => t.text("work-lock-expiry"),
        "retention" => t.text("work-retention"),
        "network" => t.text("work-network"),
        "links" => t.text("work-links"),
        "neighbors" => t.text("work-neighbors"),
        "friends" => t.text("work-friends"),
        "discovery" => t.text("work-discovery"),
        "center" => t.text("work-center"),
        other => other.to_owned(),
    }
}

fn worker_badge(t: Language, state: WorkerState) -> Markup {
    match state {
        WorkerState::Busy => html! { span class="badge" { (t.text("worker-busy")) } },
        WorkerState::Idle => html! { span class="badge good" { (t.text("worker-idle")) } },
        WorkerState::Stopped => html! { span class="badge plain" { (t.text("worker-stopped")) } },
        WorkerState::Failed => html! { span class="badge bad" { (t.text("worker-failed")) } },
    }
}

fn worker_button(t: Language, worker: &WorkerReport) -> Markup {
    let stopped = worker.state == WorkerState::Stopped;
    let (action, label) = if stopped {
        ("start", t.text("worker-start"))
    } else {
        ("stop", t.text("worker-stop"))
    };
    html! {
        form method="post" action="/admin/workers" {
            input type="hidden" name="worker" value=(worker.name);
            button class="button small" name="action" value=(action) { (label) }
        }
    }
}

fn services_card(t: Language, lan_only: &[Service]) -> Markup {
    html! {
        section class="card stack" {
            div { h2 { (t.text("services-title")) } p class="soft" { (t.text("services-text")) } }
            div class="things" {
                @for service in Service::ALL {
                    @let on = lan_only.contains(&service);
                    div class="thing" {
                        div class="main-part" {
                            b { (service_text(t, service)) } " "
                            @if on { span class="badge" { (icon("house")) (t.text("badge-lan-only")) } }
                        }
                        form method="post" action="/admin/services" {
                            input type="hidden" name="service" value=(service);
                            @if on {
                                button class="button small" name="on" value="no" { (t.text("services-open")) }
                            } @else {
                                button class="button small" name="on" value="yes" { (t.text("services-close")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn service_text(t: Language, service: Service) -> String {
    match service {
        Service::Pages => t.text("service-pages"),
        Service::Files => t.text("service-files"),
        Service::Links => t.text("service-links"),
        Service::Admin => t.text("service-admin"),
        Service::Metrics => t.text("service-metrics"),
    }
}

/// `POST /admin/workers`
pub(crate) async fn control_worker(call: Call) -> Answer {
    let form = call.form().await?;
    let worker = form.require("worker")?.to_owned();
    let action = match form.require("action")? {
        "start" => WorkerControl::Start,
        "stop" => WorkerControl::Stop,
        _ => return Err(Problem::bad("action")),
    };
    let asker = call.asker.clone();
    call.blocking(move |app| {
        if !app.status.control(&worker, action) {
            return Err(Problem::bad("worker"));
        }
        let mut event = Event::of(&asker, app.now(), Action::Settings, worker);
        event.detail = match action {
            WorkerControl::Start => "start",
            WorkerControl::Stop => "stop",
        }
        .to_owned();
        Ok(app.sharing.audit(event)?)
    })
    .await?;
    Ok(redirect("/admin?done=saved"))
}

/// `POST /admin/services`
pub(crate) async fn set_service(call: Call) -> Answer {
    let form = call.form().await?;
    let service: Service = form.parsed("service")?;
    let on = match form.require("on")? {
        "yes" => true,
        "no" => false,
        _ => return Err(Problem::bad("on")),
    };
    let asker = call.asker.clone();
    call.blocking(move |app| {
        app.sharing.set_lan_only(LanOnly::Service(service), on)?;
        let mut event = Event::of(&asker, app.now(), Action::LanOnly, service.name());
        event.detail = if on { "on" } else { "off" }.to_owned();
        Ok(app.sharing.audit(event)?)
    })
    .await?;
    Ok(redirect(if on {
        "/admin?done=lan-on"
    } else {
        "/admin?done=lan-off"
    }))
}

/// Bytes for people, or a word for no limit.
pub(crate) fn quota_text(t: Language, quota: Option<u64>) -> String {
    quota.map_or_else(|| t.text("quota-none"), |bytes| ByteSize(bytes).exact())
}
