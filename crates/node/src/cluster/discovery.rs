//! The module `discovery`: announces this node on the home network and knows which others are there.
//!
//! With `hidden = true` the announcement is drawn anew each day and whenever the friends change.
//! Without mDNS, or for a node that only this computer can reach, there is no such module.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use links::discovery::{DiscoveryError, Lan, Nearby, Neighborhood, Presented, Watcher};
use peers::presence::{Beat, Presence};
use protocol::NodeName;
use serde_json::{Value, json};

use crate::modules::{Module, Progress, Task};
use crate::state::State;

/// An answer to a beat may take so long.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Who is nearby, and what it takes to know.
pub(crate) struct Discovery {
    around: Arc<Neighborhood>,
    presented: Presented,
    beat: Beat,
}

impl Discovery {
    /// Discovery for the node called `name` that listens on `https`; `None` if it shall not be
    /// announced or cannot be reached from elsewhere.
    pub(crate) fn of(state: &State, name: &str, https: SocketAddr) -> Option<Self> {
        let config = &state.config;
        if !config.mdns || https.ip().is_loopback() {
            return None;
        }
        let presented = Presented {
            node: state.secret.id(),
            name: NodeName::nearest(name).or_else(|| "node".parse().ok())?,
            https_port: https.port(),
            quic_port: https.port(),
            listen: https.ip(),
            disguise: None,
        };
        let beat = Beat {
            interval: config.beat,
            answer_within: ANSWER_WITHIN.min(config.beat),
            missed_max: config.beats_missed,
        };
        Some(Self {
            around: Arc::default(),
            presented,
            beat,
        })
    }

    /// The module that keeps the list.
    pub(crate) fn module(&self) -> Module {
        let (around, presented, beat) =
            (Arc::clone(&self.around), self.presented.clone(), self.beat);
        Module::new(
            "discovery",
            "announces the node on the home network and finds others",
            move |task: Task| {
                let (around, presented) = (Arc::clone(&around), presented.clone());
                async move {
                    let lan = Lan::open(Some(presented.node))?;
                    let mut watcher = Watcher::new(lan, beat, around.clone());
                    let worked = work(&mut watcher, &around, &presented, &task).await;
                    watcher.close().await;
                    Ok(worked?)
                }
            },
        )
    }

    /// The nodes nearby, for the admin API.
    pub(crate) fn nearby(&self) -> Value {
        self.around.list().iter().map(told).collect()
    }
}

async fn work(
    watcher: &mut Watcher,
    around: &Neighborhood,
    presented: &Presented,
    task: &Task,
) -> Result<(), DiscoveryError> {
    let mut list = around.watch();
    watcher.announce(presented).await?;
    loop {
        let count = list.borrow_and_update().len();
        task.progress((count > 0).then(|| Progress {
            what: format!("{count} nearby"),
            done: count as u64,
            total: None,
        }));
        tokio::select! {
            () = task.stop.cancelled() => return Ok(()),
            failed = watcher.run() => return failed,
            _ = list.changed() => {}
        }
    }
}

fn told(near: &Nearby) -> Value {
    let (state, missed) = match near.presence {
        Presence::Seen => ("seen", 0),
        Presence::Suspect(missed) => ("suspect", missed),
        Presence::Gone => ("gone", 0),
    };
    let sighting = &near.sighting;
    let addresses: Vec<_> = sighting.addresses.iter().map(ToString::to_string).collect();
    json!({
        "id": sighting.node.to_string(),
        "name": sighting.name.as_ref().map(ToString::to_string),
        "addresses": addresses,
        "https_port": sighting.https_port,
        "state": state,
        "missed": missed,
    })
}
