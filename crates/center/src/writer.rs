//! Gathers writes into transactions: while the database is busy with one, the next ones queue and
//! then share one transaction and one flush.
//!
//! One task owns the order. A node is in a batch at most once, so its writes stay in their order.
//! When the database is away, what waits fails at once and nothing is kept for later: the node
//! still has it and says it again.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use protocol::NodeId;
use tokio::sync::{mpsc, oneshot, watch};

use crate::store::{Outcome, Store, StoreError, Write};

/// Writes in one transaction; bounds how long the first one waits.
const BATCH_MAX: usize = 512;
/// Writes that wait; more are refused.
const QUEUE_MAX: usize = 4096;

struct Job {
    write: Write,
    done: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// Where to hand in writes. Clones share the task.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Job>,
    trouble: watch::Receiver<Option<String>>,
}

impl Writer {
    /// A writer, and its work, which ends when the last writer is dropped.
    pub fn new(store: Arc<dyn Store>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let (told, trouble) = watch::channel(None);
        (Self { queue, trouble }, work(store, jobs, told))
    }

    /// Writes; answers when it is durable.
    ///
    /// # Errors
    /// What the database said; also when too many wait.
    pub async fn write(&self, write: Write) -> Result<Outcome, StoreError> {
        let (done, outcome) = oneshot::channel();
        self.queue
            .try_send(Job { write, done })
            .map_err(|_| StoreError::Failed("too many writes wait".into()))?;
        outcome
            .await
            .unwrap_or_else(|_| Err(StoreError::Failed("the writer has ended".into())))
    }

    /// What is wrong with the database; `None` if the last write went well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }
}

async fn work(
    store: Arc<dyn Store>,
    mut jobs: mpsc::Receiver<Job>,
    told: watch::Sender<Option<String>>,
) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Some(job) = jobs.recv().await else { return };
            waiting.push_back(job);
        }
        while waiting.len() < 2 * BATCH_MAX {
            let Ok(job) = jobs.try_recv() else { break };
            waiting.push_back(job);
        }
        let (writes, replies) = batch(&mut waiting);
        let result = store.commit(writes).await;
        let trouble = result.as_ref().err().map(ToString::to_string);
        told.send_if_modified(|before| {
            let changed = *before != trouble;
            if let Some(trouble) = trouble.as_ref().filter(|_| changed) {
                tracing::error!(%trouble, "the database does not take writes");
            } else if changed {
                tracing::info!("the database takes writes again");
            }
            *before = trouble;
            changed
        });
        answer(replies, result);
    }
}

type Reply = oneshot::Sender<Result<Outcome, StoreError>>;

/// The next transaction: in order, and each node once.
fn batch(waiting: &mut VecDeque<Job>) -> (Vec<Write>, Vec<Reply>) {
    let mut nodes: HashSet<NodeId> = HashSet::new();
    let (mut writes, mut replies) = (Vec::new(), Vec::new());
    let mut later = VecDeque::new();
    while let Some(job) = waiting.pop_front() {
        let again = job.write.node().is_some_and(|node| !nodes.insert(*node));
        if again || writes.len() == BATCH_MAX {
            later.push_back(job);
        } else {
            writes.push(job.write);
            replies.push(job.done);
        }
    }
    *waiting = later;
    (writes, replies)
}

fn answer(replies: Vec<Reply>, result: Result<Vec<Outcome>, StoreError>) {
    match result {
        // Who waits no more needs no answer.
        Ok(outcomes) => {
            for (reply, outcome) in replies.into_iter().zip(outcomes) {
                let _ = reply.send(Ok(outcome));
            }
        }
        Err(error) => {
            for reply in replies {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }
}
