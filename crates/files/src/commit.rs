//! The commit: reserve, decide (A), carry out, record (B), answer (`commit.md` steps 4 to 7).
//! Small content is recorded with its decision; B is then only for what went wrong.
//!
//! Operations that do not depend on each other go through together as one wave: one decision, one
//! flush, one record. No lock is held over a disk step, only the reservation of the entries
//! concerned.

use std::time::Instant;

use crate::decide::{Over, Plan, Request, Seen, What, claims, operation_key, weigh};
use crate::reserve::{Reserved, left};
use crate::stage::Staged;
use crate::{Action, Author, Change, Conditions, Done, Files, FilesError, Op, Precheck, Refusal};

/// Most operations that share one wave.
const WAVE_MAX: usize = 256;

/// Longest operation id in bytes.
const OPERATION_BYTES_MAX: usize = 200;

/// One operation that goes through the stages by itself.
pub(crate) struct Job {
    pub(crate) plan: Plan,
    pub(crate) staged: Option<Staged>,
    pub(crate) conditions: Conditions,
    pub(crate) operation: Option<String>,
}

/// A job with its reservation.
pub(crate) struct Ready {
    pub(crate) index: usize,
    pub(crate) job: Job,
    pub(crate) seen: Seen,
    pub(crate) reserved: Reserved,
}

/// How a job left its wave.
pub(crate) enum Ended {
    Answer(Result<Done, Refusal>),
    /// The tree changed before the decision: reserve anew.
    Stale(Box<Job>),
}

impl Files {
    /// Makes changes durable, each for itself; answers in the order of `ops`. Later ones see earlier
    /// ones. All share flushes and transactions where they do not depend on each other.
    pub fn commit(&self, author: &Author, ops: Vec<Op>) -> Vec<Result<Done, Refusal>> {
        let mut answers: Vec<Option<Result<Done, Refusal>>> = Vec::new();
        answers.resize_with(ops.len(), || None);
        let mut wave = Vec::new();
        for (index, op) in ops.into_iter().enumerate() {
            if let Err(error) = self.index_for(&op.action) {
                answers[index] = Some(Err(error.into()));
                continue;
            }
            let job = match self.job(op) {
                Ok(Ok(job)) => job,
                Ok(Err(op)) => {
                    self.run(author, &mut wave, &mut answers);
                    answers[index] = Some(self.compound(author, op));
                    continue;
                }
                Err(refusal) => {
                    answers[index] = Some(Err(refusal));
                    continue;
                }
            };
            self.enqueue(author, index, job, &mut wave, &mut answers);
            if wave.len() >= WAVE_MAX {
                self.run(author, &mut wave, &mut answers);
            }
        }
        self.run(author, &mut wave, &mut answers);
        let lost = || Err(FilesError::Inconsistent("an operation was not answered".into()).into());
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(lost))
            .collect()
    }

    /// Reads folders on the way that nobody has read yet, so that what is on the disk counts.
    fn index_for(&self, change: &Change) -> Result<(), FilesError> {
        let places = match change {
            Change::Put { at, .. }
            | Change::MakeFolder { at }
            | Change::Delete { at }
            | Change::SetProps { at, .. }
            | Change::RestoreVersion { at, .. } => [Some(at), None],
            Change::Move { from, to, .. } | Change::Copy { from, to, .. } => [Some(from), Some(to)],
            Change::Restore { to, .. } => [to.as_ref(), None],
        };
        for at in places.into_iter().flatten() {
            self.index_on_the_way(at)?;
        }
        Ok(())
    }

    /// One job, from reservation to answer.
    pub(crate) fn single(&self, author: &Author, mut job: Job) -> Result<Done, Refusal> {
        let deadline = Instant::now() + self.0.settings.wait;
        loop {
            let Some((seen, reserved)) = self.reserve(&job.plan, Some(deadline))? else {
                return Err(Refusal::Busy);
            };
            let ready = Ready {
                index: 0,
                job,
                seen,
                reserved,
            };
            match self.wave(author, vec![ready]).pop() {
                Some((_, Ended::Answer(answer))) => return answer,
                Some((_, Ended::Stale(again))) if Instant::now() < deadline => job = *again,
                Some((_, Ended::Stale(_))) | None => return Err(Refusal::Busy),
            }
        }
    }

    /// Looks at conditions, locks and quota without changing anything: a refusal before the body is
    /// read (`commit.md` step 0). A courtesy; [`Files::commit`] decides.
    pub fn precheck(&self, author: &Author, check: &Precheck<'_>) -> Result<(), Refusal> {
        self.index_on_the_way(check.at)?;
        let plan = Plan::Place {
            at: check.at.clone(),
            what: What::Folder,
            over: if check.no_overwrite {
                Over::Refuse
            } else {
                Over::Version
            },
            action: Action::Create,
            subject: None,
            copy_of: None,
            placeholder: false,
        };
        let request = self.request(
            author,
            plan,
            check.conditions.clone(),
            None,
            Seen::default(),
        );
        let volume = self
            .0
            .db
            .read(|tx| crate::decide::precheck(tx, request, check.length.unwrap_or(0)))?;
        self.writable(volume).map(drop)
    }

    /// Turns an operation into one job, or gives a compound one back.
    fn job(&self, op: Op) -> Result<Result<Job, Op>, Refusal> {
        if let Some(operation) = &op.operation_id
            && operation.len() > OPERATION_BYTES_MAX
        {
            return Err(Refusal::BadName(protocol::NameError::TooLong(
                operation.len(),
            )));
        }
        let account = op.conditions.account;
        let Op {
            action,
            conditions,
            operation_id,
        } = op;
        let mut staged = None;
        let plan = match action {
            Change::Put {
                at,
                content,
                mtime,
                no_overwrite,
            } => {
                let what = content.facts(mtime)?;
                staged = Some(content);
                let over = if no_overwrite {
                    Over::Refuse
                } else {
                    Over::Version
                };
                placing(at, what, over, Action::Create)
            }
            Change::MakeFolder { at } => {
                placing(at, What::Folder, Over::Refuse, Action::MakeFolder)
            }
            Change::Delete { at } => Plan::Delete { at },
            Change::Move {
                from,
                to,
                overwrite,
            } => {
                if self.crosses_volumes(&from, &to)? {
                    let action = Change::Move {
                        from,
                        to,
                        overwrite,
                    };
                    return Ok(Err(Op {
                        action,
                        conditions,
                        operation_id,
                    }));
                }
                Plan::Move {
                    from,
                    to,
                    overwrite,
                }
            }
            Change::SetProps { at, patches, mtime } => Plan::Props { at, patches, mtime },
            Change::Restore { trash_id, to } => Plan::Restore { trash_id, to },
            action @ (Change::Copy { .. } | Change::RestoreVersion { .. }) => {
                return Ok(Err(Op {
                    action,
                    conditions,
                    operation_id,
                }));
            }
        };
        Ok(Ok(Job {
            plan,
            staged,
            conditions,
            operation: operation_id.map(|operation| operation_key(account, &operation)),
        }))
    }

    /// Reserves a job for the wave; runs the wave first where the job depends on it.
    pub(crate) fn enqueue(
        &self,
        author: &Author,
        index: usize,
        job: Job,
        wave: &mut Vec<Ready>,
        answers: &mut [Option<Result<Done, Refusal>>],
    ) {
        let reserved = match self.reserve(&job.plan, None) {
            Ok(Some(reserved)) => Ok(Some(reserved)),
            Ok(None) | Err(_) => {
                // What is missing may be made, what is in the way removed, by the jobs before.
                // Nothing is held while waiting for others, so nobody waits in a circle.
                self.run(author, wave, answers);
                let deadline = Instant::now() + self.0.settings.wait;
                self.reserve(&job.plan, Some(deadline))
            }
        };
        match reserved {
            Ok(Some((seen, reserved))) => wave.push(Ready {
                index,
                job,
                seen,
                reserved,
            }),
            Ok(None) => answers[index] = Some(Err(Refusal::Busy)),
            Err(refusal) => answers[index] = Some(self.replayed(&job).unwrap_or(Err(refusal))),
        }
    }

    /// The stored answer of an operation that no longer finds what it once worked on.
    fn replayed(&self, job: &Job) -> Option<Result<Done, Refusal>> {
        let operation = job.operation.as_ref()?;
        let stored = self
            .0
            .db
            .read(|tx| crate::record::stored_result(tx, operation));
        stored.ok().flatten().map(Ok)
    }

    pub(crate) fn run(
        &self,
        author: &Author,
        wave: &mut Vec<Ready>,
        answers: &mut [Option<Result<Done, Refusal>>],
    ) {
        if wave.is_empty() {
            return;
        }
        for (index, ended) in self.wave(author, std::mem::take(wave)) {
            answers[index] = Some(match ended {
                Ended::Answer(answer) => answer,
                Ended::Stale(job) => self.single(author, *job),
            });
        }
    }

    /// Claims what a plan needs; without a deadline only if it is free now.
    fn reserve(
        &self,
        plan: &Plan,
        deadline: Option<Instant>,
    ) -> Result<Option<(Seen, Reserved)>, Refusal> {
        let (claims, mut seen) = self.0.db.read(|tx| claims(tx, plan))?;
        let reserved = match deadline {
            None => self.0.reservations.try_claim(&claims),
            Some(deadline) => self.0.reservations.claim(&claims, left(deadline)),
        };
        let Some(reserved) = reserved else {
            return Ok(None);
        };
        if plan.needs_weight() {
            self.0.db.read(|tx| weigh(tx, plan, &mut seen))?;
        }
        Ok(Some((seen, reserved)))
    }

    pub(crate) fn request(
        &self,
        author: &Author,
        plan: Plan,
        conditions: Conditions,
        operation: Option<String>,
        seen: Seen,
    ) -> Request {
        Request {
            plan,
            conditions,
            operation,
            author: author.clone(),
            now: self.now(),
            seen,
            suffix: self.suffix(),
        }
    }
}

/// A plan that puts something under a name.
pub(crate) fn placing(at: crate::At, what: What, over: Over, action: Action) -> Plan {
    Plan::Place {
        at,
        what,
        over,
        action,
        subject: None,
        copy_of: None,
        placeholder: false,
    }
}
