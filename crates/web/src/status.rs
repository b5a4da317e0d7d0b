//! What the rim shows of the running node: workers, volumes, counters. The composition root
//! implements it.

use protocol::{ByteSize, Timestamp};

/// State of a background worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    /// At work.
    Busy,
    /// Waiting for its next turn.
    Idle,
    /// Stopped by a person.
    Stopped,
    /// Its last turn failed; it will try again.
    Failed,
}

/// A background worker as the admin page and `module list` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerReport {
    /// Its name; an identifier, the same in every language.
    pub name: String,
    /// What it is doing now.
    pub state: WorkerState,
    /// Done and total in units of its own, while busy with something countable.
    pub progress: Option<(u64, u64)>,
    /// When its last turn ended.
    pub last_run: Option<Timestamp>,
    /// The last error, for the owner.
    pub error: Option<String>,
    /// A person may stop and start it.
    pub can_stop: bool,
}

/// A volume as the admin page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeReport {
    /// Where it is mounted in the machine, or for a bound folder where it comes from.
    pub path: String,
    /// Where it is seen in the cloud (`alice:/Photos`); empty for the home volume.
    pub seen_at: String,
    /// Size of its file system.
    pub total: ByteSize,
    /// Free bytes.
    pub free: ByteSize,
    /// Why it is away or read-only; `None` if it is fine.
    pub trouble: Option<String>,
}

/// What a person asks of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerControl {
    /// Let it work.
    Start,
    /// Let it rest until it is started again.
    Stop,
}

/// The running node, seen from the pages. Calls may block for a moment.
pub trait StatusSource: Send + Sync {
    /// All workers, in a fixed order.
    fn workers(&self) -> Vec<WorkerReport>;
    /// Starts or stops a worker; false if there is none of that name or it cannot be stopped.
    fn control(&self, worker: &str, action: WorkerControl) -> bool;
    /// The home volume first, then bound ones.
    fn volumes(&self) -> Vec<VolumeReport>;
    /// When the node started.
    fn started(&self) -> Timestamp;
    /// Counters in Prometheus text format.
    fn metrics(&self) -> String;
}
