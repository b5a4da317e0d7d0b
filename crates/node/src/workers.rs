//! The background modules of a node that are no listeners: scanner, retention, locks, audit seal,
//! network. Each turn of work runs on the blocking pool; between turns a module only waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use files::{Scanner, ScannerOptions, ScannerStatus};

use crate::certificate::{self, Certificate};
use crate::connection::Entrance;
use crate::lan;
use crate::modules::{Module, Progress, Task};
use crate::state::State;

/// Time between two looks at the interfaces and the certificate's end.
const NETWORK_INTERVAL: Duration = Duration::from_secs(15);
/// A sealed head is at most this much behind (R102).
const SEAL_INTERVAL: Duration = Duration::from_secs(1);
const LOCK_INTERVAL: Duration = Duration::from_secs(5);
const RETENTION_INTERVAL: Duration = Duration::from_secs(3600);
/// The first turn of slow work waits until the node has answered its first requests.
const FIRST_TURN: Duration = Duration::from_secs(20);

/// A module that does `turn` on the blocking pool every `interval`. A turn that fails is shown and
/// tried again at its next time; a panic fails the module.
fn periodic<F>(
    name: &'static str,
    what: &'static str,
    state: &Arc<State>,
    first: Duration,
    interval: Duration,
    turn: F,
) -> Module
where
    F: Fn(&State, &Task) -> anyhow::Result<()> + Send + Sync + 'static,
{
    let (state, turn) = (Arc::clone(state), Arc::new(turn));
    Module::new(name, what, move |task: Task| {
        let (state, turn) = (Arc::clone(&state), Arc::clone(&turn));
        async move {
            let mut wait = first;
            while task.pause(wait).await {
                wait = interval;
                let (state, turn, reporter) = (Arc::clone(&state), Arc::clone(&turn), task.clone());
                let done = tokio::task::spawn_blocking(move || {
                    let result = turn(&state, &reporter).map_err(|error| format!("{error:#}"));
                    if let Err(error) = &result {
                        tracing::warn!(module = name, %error, "a turn failed");
                    }
                    reporter.turn(state.now(), result);
                });
                done.await?;
            }
            Ok(())
        }
    })
}

/// Removes old versions and trash, and forgets old rows of the change log, the audit log, ended
/// sessions and delays: four jobs that do not wait for each other. While the clock is in doubt it
/// only finishes what was removed before.
pub(crate) fn retention(state: &Arc<State>) -> Module {
    periodic(
        "retention",
        "removes old versions and trash",
        state,
        FIRST_TURN,
        RETENTION_INTERVAL,
        |state, task| {
            task.progress(Some(Progress {
                what: "looking for old versions".into(),
                done: 0,
                total: None,
            }));
            let rest = || Ok(state.files.finish_removals()?);
            if let Some(doubt) = state.known_time.doubt()? {
                all_of([("earlier removals", &rest as Job<'_>)])?;
                anyhow::bail!("{doubt}");
            }
            all_of([
                ("earlier removals", &rest as Job<'_>),
                ("versions and trash", &|| remove_history(state)),
                ("change log", &|| {
                    Ok(state.files.forget_old_changes().map(drop)?)
                }),
                ("sessions", &|| {
                    Ok(state.sharing.forget_expired().map(drop)?)
                }),
                ("audit log", &|| cut_audit(state, task)),
            ])
        },
    )
}

type Job<'a> = &'a dyn Fn() -> anyhow::Result<()>;

/// Does every job, whatever becomes of the others, and tells at the end what went wrong.
fn all_of<const N: usize>(jobs: [(&str, Job<'_>); N]) -> anyhow::Result<()> {
    let mut troubles = Vec::new();
    for (what, job) in jobs {
        if let Err(error) = job() {
            troubles.push(format!("{what}: {error:#}"));
        }
    }
    anyhow::ensure!(troubles.is_empty(), "{}", troubles.join("; "));
    Ok(())
}

fn remove_history(state: &State) -> anyhow::Result<()> {
    let report = state.files.retention_pass(state.now())?;
    if report.versions + report.trashed > 0 {
        tracing::info!(
            versions = report.versions,
            trashed = report.trashed,
            bytes = report.bytes,
            "removed old history"
        );
    }
    anyhow::ensure!(
        report.skipped.is_empty(),
        "left out {}",
        report.skipped.join(", ")
    );
    Ok(())
}

fn cut_audit(state: &State, task: &Task) -> anyhow::Result<()> {
    let before = state.now().minus(state.config.audit_keep);
    while state.sharing.cut_audit(before)? > 0 {
        task.progress(Some(Progress {
            what: "cutting the audit log".into(),
            done: 0,
            total: None,
        }));
    }
    Ok(())
}

/// Ends locks whose time is over.
pub(crate) fn lock_expiry(state: &Arc<State>) -> Module {
    periodic(
        "lock-expiry",
        "ends locks whose time is over",
        state,
        LOCK_INTERVAL,
        LOCK_INTERVAL,
        |state, _| {
            state.files.expire_locks()?;
            Ok(())
        },
    )
}

/// Signs the audit log's head when there is something new, and writes counted refusals.
pub(crate) fn audit_sealer(state: &Arc<State>) -> Module {
    periodic(
        "audit-sealer",
        "signs the audit log's head",
        state,
        SEAL_INTERVAL,
        SEAL_INTERVAL,
        |state, _| {
            // Writes the counted refusals of minutes that are over as well.
            state.sharing.seal_head()?;
            Ok(())
        },
    )
}

/// Follows the interfaces (what is LAN) and renews the certificate in time (R5).
pub(crate) fn network(
    state: &Arc<State>,
    name: &str,
    certificate: &Arc<Certificate>,
    entrance: &Arc<Entrance>,
) -> Module {
    let (name, certificate, entrance) = (
        name.to_owned(),
        Arc::clone(certificate),
        Arc::clone(entrance),
    );
    periodic(
        "network",
        "follows addresses, renews the certificate",
        state,
        NETWORK_INTERVAL,
        NETWORK_INTERVAL,
        move |state, _| {
            let network =
                lan::read_network(state.config.lan.as_deref(), &state.config.trusted_proxies);
            if *entrance.network() != network {
                tracing::info!(home = ?network.home, "the network has changed");
                entrance.set_network(network);
            }
            let names = certificate::names(&name, &state.secret.id(), &lan::own_addresses());
            if certificate.renew(&names, state.now())? {
                tracing::info!(
                    fingerprint = certificate.fingerprint(),
                    "made a new certificate"
                );
            }
            Ok(())
        },
    )
}

/// Finds what other programs did on the disk (fanotify or inotify, and full scans), and indexes
/// bound folders. Its work lives in a thread of its own pool place for as long as the module runs.
pub(crate) fn scanner(state: &Arc<State>) -> Module {
    let state = Arc::clone(state);
    Module::new(
        "scanner",
        "finds edits by other programs, indexes bound folders",
        move |task: Task| {
            let state = Arc::clone(&state);
            async move {
                let options = ScannerOptions {
                    interval: state.config.scan_interval,
                    only_inotify: false,
                    own_writes: false,
                };
                let shown = task.clone();
                let scanner = Scanner::new(state.files.clone(), options)?
                    .telling(move |status| show_scanner(&shown, status));
                let scanner = Arc::new(scanner);
                let ended = Arc::new(AtomicBool::new(false));
                let (worker, flag) = (Arc::clone(&scanner), Arc::clone(&ended));
                let mut work = tokio::task::spawn_blocking(move || worker.run(&flag));
                tokio::select! {
                    done = &mut work => done?,
                    () = task.stop.cancelled() => {
                        ended.store(true, Ordering::Relaxed);
                        scanner.wake();
                        work.await?;
                    }
                }
                Ok(())
            }
        },
    )
}

fn show_scanner(task: &Task, status: &ScannerStatus) {
    let waits = matches!(status.doing.as_str(), "" | "waiting" | "stopped");
    let busy = !waits || status.to_hash > 0;
    task.progress(busy.then(|| Progress {
        what: if waits {
            format!("hashing, {} files left", status.to_hash)
        } else {
            status.doing.clone()
        },
        done: status.total.folders,
        total: None,
    }));
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_job_that_fails_does_not_keep_the_others_from_their_turn() {
        let done = RefCell::new(Vec::new());
        let job = |name: &'static str| {
            let done = &done;
            move || {
                done.borrow_mut().push(name);
                anyhow::ensure!(name == "good", "the disk is away");
                Ok(())
            }
        };
        let told = all_of([
            ("first", &job("bad") as Job<'_>),
            ("second", &job("good")),
            ("third", &job("bad")),
        ]);
        assert_eq!(*done.borrow(), ["bad", "good", "bad"]);
        let told = told.unwrap_err().to_string();
        assert_eq!(told, "first: the disk is away; third: the disk is away");
    }
}
