//! What the node tells about itself: volumes and counters, for the admin API and the pages.

use std::fmt::Write as _;
use std::sync::Arc;

use pool::VolumeState;
use protocol::{ByteSize, Timestamp};
use serde_json::{Value, json};
use web::{StatusSource, VolumeReport, WorkerControl, WorkerReport, WorkerState};

use crate::modules::{Condition, Status, WEB_HTTPS};
use crate::running::Running;
use crate::state::State;

/// A volume as people see it.
pub(crate) struct Volume(VolumeReport);

impl Volume {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "path": self.0.path,
            "seen_at": if self.0.seen_at.is_empty() { None } else { Some(&self.0.seen_at) },
            "total_bytes": self.0.total.0,
            "free_bytes": self.0.free.0,
            "state": if self.0.trouble.is_some() { "degraded" } else { "ready" },
            "trouble": self.0.trouble,
        })
    }
}

/// The home volume first, then bound ones.
pub(crate) fn volumes(state: &State) -> Vec<Volume> {
    let mut all = vec![volume(&*state.home, String::new())];
    match state.files.binds() {
        Ok(binds) => all.extend(binds.iter().map(|bind| bound(state, bind))),
        Err(error) => tracing::warn!(%error, "cannot list bound folders"),
    }
    all
}

fn bound(state: &State, bind: &files::Bind) -> Volume {
    let space = state.files.space_by_id(bind.at.space).ok().flatten();
    let name = space.map_or_else(
        || format!("space {}", bind.at.space),
        |space| space.name.to_string(),
    );
    let room = rustix::fs::statvfs(&bind.root)
        .ok()
        .filter(|_| trouble(&bind.state).is_none());
    Volume(VolumeReport {
        path: bind.root.display().to_string(),
        seen_at: format!("{name}:{}", bind.at.path),
        total: ByteSize(
            room.as_ref()
                .map_or(0, |room| room.f_blocks * room.f_frsize),
        ),
        free: ByteSize(
            room.as_ref()
                .map_or(0, |room| room.f_bavail * room.f_frsize),
        ),
        trouble: trouble(&bind.state).or_else(|| (!bind.indexed).then(|| "being indexed".into())),
    })
}

fn trouble(state: &VolumeState) -> Option<String> {
    match state {
        VolumeState::Ready => None,
        VolumeState::ReadOnly { why } => Some(format!("read-only: {why}")),
        VolumeState::Away { why } => Some(format!("away: {why}")),
    }
}

fn volume(volume: &dyn pool::Volume, seen_at: String) -> Volume {
    let space = volume.space().unwrap_or(pool::Space { total: 0, free: 0 });
    Volume(VolumeReport {
        path: volume.root().display().to_string(),
        seen_at,
        total: ByteSize(space.total),
        free: ByteSize(space.free),
        trouble: trouble(&volume.state()),
    })
}

/// Counters in Prometheus text format 0.0.4.
pub(crate) fn metrics(state: &State, running: Option<&Running>) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, rows: &[(String, u64)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# HELP cumulet_{name} {help}\n# TYPE cumulet_{name} {kind}"
        );
        for (labels, value) in rows {
            let _ = writeln!(text, "cumulet_{name}{labels} {value}");
        }
    };
    let all = volumes(state);
    let by_path = |value: fn(&VolumeReport) -> u64| -> Vec<_> {
        all.iter()
            .map(|volume| {
                (
                    format!("{{path=\"{}\"}}", escape(&volume.0.path)),
                    value(&volume.0),
                )
            })
            .collect()
    };
    metric(
        "volume_bytes",
        "gauge",
        "Size of the volume's file system.",
        &by_path(|v| v.total.0),
    );
    metric(
        "volume_free_bytes",
        "gauge",
        "Free bytes on it.",
        &by_path(|v| v.free.0),
    );
    metric(
        "volume_up",
        "gauge",
        "1 if the volume can be read and written.",
        &by_path(|v| u64::from(v.trouble.is_none())),
    );
    if let Ok(accounts) = state.sharing.accounts() {
        metric(
            "users",
            "gauge",
            "Accounts.",
            &[(String::new(), accounts.len() as u64)],
        );
    }
    metric(
        "resident_bytes",
        "gauge",
        "Memory of the process.",
        &[(String::new(), resident_bytes())],
    );
    if let Some(running) = running {
        let (connections, refused) = running.entrance.limits.counts();
        metric(
            "connections",
            "gauge",
            "Open connections.",
            &[(String::new(), connections as u64)],
        );
        metric(
            "connections_refused_total",
            "counter",
            "Connections closed for lack of a place.",
            &[(String::new(), refused)],
        );
        metric(
            "started_seconds",
            "gauge",
            "When the node started, since 1970.",
            &[(
                String::new(),
                u64::try_from(running.started.secs()).unwrap_or(0),
            )],
        );
        let modules = running
            .modules()
            .map_or_else(Vec::new, |modules| modules.list());
        let labelled = |value: fn(&Status) -> u64| -> Vec<_> {
            modules
                .iter()
                .map(|module| (format!("{{module=\"{}\"}}", module.name), value(module)))
                .collect()
        };
        metric(
            "module_up",
            "gauge",
            "1 if the module runs.",
            &labelled(|m| u64::from(m.state == Condition::Running)),
        );
        metric(
            "module_restarts_total",
            "counter",
            "Starts after a failure.",
            &labelled(|m| m.restarts),
        );
    }
    text
}

fn escape(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Resident set from `/proc/self/statm`; 0 where that is missing.
pub(crate) fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// The running node, seen from the pages.
pub(crate) struct PagesView {
    pub(crate) state: Arc<State>,
    pub(crate) running: std::sync::OnceLock<std::sync::Weak<Running>>,
    pub(crate) started: Timestamp,
}

impl PagesView {
    fn running(&self) -> Option<Arc<Running>> {
        self.running.get()?.upgrade()
    }
}

impl StatusSource for PagesView {
    fn workers(&self) -> Vec<WorkerReport> {
        let modules = self.running().and_then(|running| running.modules());
        modules.map_or_else(Vec::new, |modules| {
            modules.list().into_iter().map(worker).collect()
        })
    }

    fn control(&self, worker: &str, action: WorkerControl) -> bool {
        // The page that asks comes through this module; stopping it would strand its owner.
        let modules = self.running().and_then(|running| running.modules());
        let on = match action {
            WorkerControl::Start => true,
            WorkerControl::Stop if worker == WEB_HTTPS => return false,
            WorkerControl::Stop => false,
        };
        modules.is_some_and(|modules| modules.want(worker, on))
    }

    fn volumes(&self) -> Vec<VolumeReport> {
        volumes(&self.state)
            .into_iter()
            .map(|volume| volume.0)
            .collect()
    }

    fn started(&self) -> Timestamp {
        self.started
    }

    fn metrics(&self) -> String {
        metrics(&self.state, self.running().as_deref())
    }
}

fn worker(status: Status) -> WorkerReport {
    WorkerReport {
        state: match (status.state, &status.progress) {
            (Condition::Running, Some(_)) => WorkerState::Busy,
            (Condition::Running, None) => WorkerState::Idle,
            (Condition::Stopped, _) => WorkerState::Stopped,
            (Condition::Failed, _) => WorkerState::Failed,
        },
        progress: status
            .progress
            .and_then(|progress| progress.total.map(|total| (progress.done, total))),
        last_run: status.last_run_ms.map(Timestamp),
        error: status.last_error,
        can_stop: status.name != WEB_HTTPS,
        name: status.name.to_owned(),
    }
}
