//! The node's modules: named workers that can be watched, stopped and started one by one (R1).
//!
//! Each module is one task under one supervisor. Stopping or losing one leaves the others alone:
//! a module that fails or panics is shown as failed with its error and started again after a
//! pause that grows from one second to a minute. The supervisors belong to [`Modules`], and
//! [`Modules::shutdown`] ends them all.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::{Clock, Timestamp};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Name of the module that every page comes through.
pub(crate) const WEB_HTTPS: &str = "web-https";

/// First pause before a failed module is started again; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A module that ran for so long is no longer counted as failing again and again.
const RECOVERED_AFTER: Duration = Duration::from_secs(300);
/// A module that does not end by itself after a stop is cut; the whole stop stays below 8 s.
const STOP_PATIENCE: Duration = Duration::from_secs(6);

type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// What a module is called and does.
pub struct Module {
    /// For commands: `web-https`.
    pub name: &'static str,
    /// One line for people.
    pub what: &'static str,
    run: Box<dyn Fn(Task) -> Running + Send + Sync>,
}

impl Module {
    /// A module whose work is `run`; it ends soon after its task's stop is called, and not before.
    pub fn new<F, R>(name: &'static str, what: &'static str, run: F) -> Self
    where
        F: Fn(Task) -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self {
            name,
            what,
            run: Box::new(move |task| Box::pin(run(task))),
        }
    }
}

/// What a running module gets: when to stop, and where to tell how far it is.
#[derive(Clone)]
pub struct Task {
    /// Cancelled when the module shall end.
    pub stop: CancellationToken,
    status: Arc<Mutex<Status>>,
}

impl Task {
    /// Tells what the module is doing; `None` when it waits for work.
    pub fn progress(&self, progress: Option<Progress>) {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .progress = progress;
    }

    /// Notes how a turn of the work ended.
    pub fn turn(&self, now: Timestamp, result: Result<(), String>) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.progress = None;
        status.last_run_ms = Some(now.0);
        status.last_error = result.err();
    }

    /// Waits; true = the time is over, false = the module shall end.
    pub async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(time) => true,
        }
    }
}

/// How far a module's present work is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The work, such as `indexing alice:/Photos`.
    pub what: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all, if known.
    pub total: Option<u64>,
}

/// Whether a module runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// At work, or waiting for it.
    Running,
    /// Stopped by hand.
    Stopped,
    /// It broke and is started again after a pause.
    Failed,
}

/// What is known about a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Whether it runs.
    pub state: Condition,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// What it is doing.
    pub progress: Option<Progress>,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
    /// When its last turn ended, in milliseconds since 1970; `None` for modules without turns.
    pub last_run_ms: Option<i64>,
    /// How often it was started again after a failure.
    pub restarts: u64,
}

struct Entry {
    module: Module,
    wanted: watch::Sender<bool>,
    status: Arc<Mutex<Status>>,
    changed: watch::Sender<()>,
}

impl Entry {
    fn set(&self, clock: &Clock, change: impl FnOnce(&mut Status)) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let before = status.state;
        change(&mut status);
        if status.state != before {
            status.since_ms = clock().0;
        }
        drop(status);
        self.changed.send_replace(());
    }

    fn status(&self) -> Status {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// All modules of a node.
pub struct Modules {
    entries: Vec<Arc<Entry>>,
    supervisors: TaskTracker,
    stop: CancellationToken,
}

impl Modules {
    /// Starts every module, each under a supervisor of its own.
    #[must_use]
    pub fn start(modules: Vec<Module>, clock: &Clock) -> Self {
        let (supervisors, stop) = (TaskTracker::new(), CancellationToken::new());
        let entries: Vec<_> = modules
            .into_iter()
            .map(|module| Arc::new(entry(module, clock())))
            .collect();
        for entry in &entries {
            supervisors.spawn(supervise(
                Arc::clone(entry),
                Arc::clone(clock),
                stop.child_token(),
            ));
        }
        supervisors.close();
        Self {
            entries,
            supervisors,
            stop,
        }
    }

    /// The state of each module, in the order of their start.
    #[must_use]
    pub fn list(&self) -> Vec<Status> {
        self.entries.iter().map(|entry| entry.status()).collect()
    }

    /// Starts or stops one module and waits until it does or does not run; `None` = no such module.
    pub async fn set(&self, name: &str, on: bool) -> Option<Status> {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.module.name == name)?;
        let mut changed = entry.changed.subscribe();
        entry.wanted.send_replace(on);
        let reached = async {
            while (entry.status().state == Condition::Running) != on {
                if changed.changed().await.is_err() {
                    break;
                }
            }
        };
        // A module that fails at once is reported as it is.
        let _ = tokio::time::timeout(STOP_PATIENCE + PAUSE_MIN, reached).await;
        Some(entry.status())
    }

    /// Starts or stops one module without waiting; false = no such module.
    #[must_use]
    pub fn want(&self, name: &str, on: bool) -> bool {
        let entry = self.entries.iter().find(|entry| entry.module.name == name);
        entry.is_some_and(|entry| {
            entry.wanted.send_replace(on);
            true
        })
    }

    /// Ends all modules; returns when the last one has ended or was cut, within 6 s.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.supervisors.wait().await;
    }
}

fn entry(module: Module, now: Timestamp) -> Entry {
    let status = Status {
        name: module.name,
        what: module.what,
        state: Condition::Stopped,
        since_ms: now.0,
        progress: None,
        last_error: None,
        last_run_ms: None,
        restarts: 0,
    };
    Entry {
        module,
        wanted: watch::Sender::new(true),
        status: Arc::new(Mutex::new(status)),
        changed: watch::Sender::new(()),
    }
}

/// Keeps one module as it is wanted until the node stops.
async fn supervise(entry: Arc<Entry>, clock: Clock, stop: CancellationToken) {
    let mut wanted = entry.wanted.subscribe();
    let mut pause = PAUSE_MIN;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = wanted.wait_for(|on| *on) => if changed.is_err() { return },
        }
        entry.set(&clock, |status| status.state = Condition::Running);
        let begun = std::time::Instant::now();
        let failure = run_once(&entry, &mut wanted, &stop).await;
        if begun.elapsed() > RECOVERED_AFTER {
            pause = PAUSE_MIN;
        }
        let Some(error) = failure else {
            entry.set(&clock, |status| {
                status.state = Condition::Stopped;
                status.progress = None;
            });
            continue;
        };
        tracing::error!(module = entry.module.name, %error, "a module failed; it is started again");
        entry.set(&clock, |status| {
            status.state = Condition::Failed;
            status.progress = None;
            status.last_error = Some(error);
            status.restarts += 1;
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            changed = wanted.wait_for(|on| !*on) => match changed {
                Ok(_) => entry.set(&clock, |status| status.state = Condition::Stopped),
                Err(_) => return,
            },
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// One run; `None` if it ended because it was told to.
async fn run_once(
    entry: &Entry,
    wanted: &mut watch::Receiver<bool>,
    stop: &CancellationToken,
) -> Option<String> {
    let task = Task {
        stop: stop.child_token(),
        status: Arc::clone(&entry.status),
    };
    let ask = task.stop.clone();
    let mut running = JoinSet::new();
    running.spawn((entry.module.run)(task));
    tokio::select! {
        ended = running.join_next() => {
            return failure_of(ended).or_else(|| (!stop.is_cancelled()).then(|| "it ended by itself".into()));
        }
        () = stop.cancelled() => {}
        _ = wanted.wait_for(|on| !*on) => {}
    }
    ask.cancel();
    match tokio::time::timeout(STOP_PATIENCE, running.join_next()).await {
        Ok(ended) => {
            if let Some(error) = failure_of(ended) {
                tracing::warn!(module = entry.module.name, %error, "a module failed while it stopped");
            }
        }
        Err(_) => {
            tracing::warn!(
                module = entry.module.name,
                "a module did not stop in time and was cut"
            );
            running.shutdown().await;
        }
    }
    None
}

fn failure_of(ended: Option<Result<anyhow::Result<()>, JoinError>>) -> Option<String> {
    match ended? {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(error) if error.is_panic() => {
            let panic = error.into_panic();
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Some(format!(
                "panic: {}",
                text.unwrap_or_else(|| "no message".into())
            ))
        }
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn clock() -> Clock {
        Arc::new(|| Timestamp(1))
    }

    fn steady(name: &'static str) -> Module {
        Module::new(name, "waits", |task: Task| async move {
            task.stop.cancelled().await;
            Ok(())
        })
    }

    async fn until(modules: &Modules, name: &str, good: impl Fn(&Status) -> bool) -> Status {
        for _ in 0..2000 {
            let status = modules.list().into_iter().find(|s| s.name == name).unwrap();
            if good(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{:?}", modules.list());
    }

    #[tokio::test]
    async fn stopping_one_module_leaves_the_others_running() {
        let modules = Modules::start(vec![steady("a"), steady("b")], &clock());
        until(&modules, "a", |s| s.state == Condition::Running).await;
        assert_eq!(
            modules.set("a", false).await.unwrap().state,
            Condition::Stopped
        );
        until(&modules, "b", |s| s.state == Condition::Running).await;
        assert_eq!(
            modules.set("a", true).await.unwrap().state,
            Condition::Running
        );
        assert!(modules.set("c", true).await.is_none());
        modules.shutdown().await;
        assert!(modules.list().iter().all(|s| s.state == Condition::Stopped));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panicking_module_is_shown_and_started_again() {
        let runs = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&runs);
        let module = Module::new("shaky", "panics twice", move |task: Task| {
            let run = counter.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(run >= 2, "run {run}");
                task.stop.cancelled().await;
                Ok(())
            }
        });
        let modules = Modules::start(vec![module, steady("calm")], &clock());
        let failed = until(&modules, "shaky", |s| s.state == Condition::Failed).await;
        assert_eq!(failed.last_error.as_deref(), Some("panic: run 0"));
        let healed = until(&modules, "shaky", |s| {
            s.state == Condition::Running && s.restarts == 2
        })
        .await;
        assert_eq!(healed.last_error.as_deref(), Some("panic: run 1"));
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        modules.shutdown().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_module_that_will_not_stop_is_cut() {
        let stubborn = Module::new("stubborn", "never ends", |_| std::future::pending());
        let modules = Modules::start(vec![stubborn], &clock());
        until(&modules, "stubborn", |s| s.state == Condition::Running).await;
        assert_eq!(
            modules.set("stubborn", false).await.unwrap().state,
            Condition::Stopped
        );
        modules.shutdown().await;
    }
}
