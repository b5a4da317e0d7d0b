//! One wave of the commit: decide, flush, carry out, record (`commit.md` steps 3 to 7).
//!
//! Small content is in transaction A, with its record: after its renames it is answered. The rest is
//! flushed while A is on its way to the disk. Should A arrive there and the data not, recovery finds
//! an intent whose temporary file is not whole and drops it: nothing had been acknowledged.

use std::collections::HashMap;
use std::sync::Arc;

use database::Pending;
use pool::{FileStat, Spot, Volume, VolumePath};
use protocol::{Seq, SpaceId, VolumeId};

use crate::commit::{Ended, Ready};
use crate::decide::{Plan, Request, Verdict, decide};
use crate::disk::{Fault, carry_out, put_aside};
use crate::intent::{Fate, Intent, Source};
use crate::note::{Finished, Note};
use crate::record::{Carried, REASON_OUTSIDE, REASON_REFUSED, Recorder};
use crate::refusal::volume_refusal;
use crate::reserve::Reserved;
use crate::row;
use crate::stage::{Staged, system_time};
use crate::{Author, Done, Files, FilesError, Kind, Refusal};

/// From this many files on, one flush of the file system is cheaper than one per file.
const FLUSH_ALL_FROM: usize = 8;

/// The newest number of each space that changed.
pub(crate) type News = HashMap<SpaceId, Seq>;

/// A decided change after its steps on the disk.
struct Step {
    index: usize,
    intent: Intent,
    outcome: Outcome,
    reserved: Reserved,
    /// The answer, if the change is recorded already.
    written: Option<Done>,
}

enum Outcome {
    Carried(Carried),
    /// Put aside as a version; the answer is a refusal.
    Kept(Refusal, Option<FileStat>),
    /// Nothing of it is on the disk.
    Undone(Refusal),
    /// The disk is in between.
    Stuck(Refusal),
}

impl Files {
    /// Steps 3 to 7 for jobs that are reserved.
    pub(crate) fn wave(&self, author: &Author, wave: Vec<Ready>) -> Vec<(usize, Ended)> {
        let requests = wave
            .iter()
            .map(|ready| {
                self.request(
                    author,
                    ready.job.plan.clone(),
                    ready.job.conditions.clone(),
                    ready.job.operation.clone(),
                    ready.seen.clone(),
                )
            })
            .collect();
        fail::fail_point!("n1");
        let decided = self.decide_later(requests);
        let flushed = self.flush(&wave);
        let verdicts = match decided.wait() {
            Ok(verdicts) => verdicts,
            Err(error) => {
                let answer = |ready: Ready| (ready.index, Ended::Answer(Err(error.refusal())));
                return wave.into_iter().map(answer).collect();
            }
        };
        let mut ended = Vec::new();
        let mut steps = Vec::new();
        for (ready, verdict) in wave.into_iter().zip(verdicts) {
            match self.act(ready, verdict, &flushed) {
                Acted::Ended(index, end) => ended.push((index, *end)),
                Acted::Step(step) => steps.push(*step),
            }
        }
        fail::fail_point!("n3");
        let steps = self.answer_written(steps, &mut ended);
        self.record(steps, &mut ended);
        fail::fail_point!("n4");
        ended
    }

    fn decide_later(&self, requests: Vec<Request>) -> Pending<Vec<Verdict>, WaveError> {
        let witness = Arc::clone(&self.0.witness);
        let now = self.now();
        self.0.db.write_later(move |tx| {
            let mut recorder = Recorder::new(tx, witness.as_ref(), now);
            let mut verdicts = Vec::with_capacity(requests.len());
            for request in &requests {
                verdicts.push(decide(&mut recorder, request)?);
            }
            recorder.finish()?;
            Ok(verdicts)
        })
    }

    /// Makes the received bytes of a wave durable, but for those that their intents hold.
    fn flush(&self, wave: &[Ready]) -> Result<(), pool::VolumeError> {
        let staged: Vec<&Staged> = wave
            .iter()
            .filter_map(|ready| ready.job.staged.as_ref())
            .filter(|staged| staged.content.is_none())
            .collect();
        if staged.len() < FLUSH_ALL_FROM {
            return staged.iter().try_for_each(|s| s.volume().flush(&s.file));
        }
        let mut volumes: HashMap<VolumeId, &Arc<dyn Volume>> = HashMap::new();
        for one in &staged {
            volumes.insert(one.volume_id, one.volume());
        }
        volumes.values().try_for_each(|volume| volume.sync_all())
    }

    /// What follows from a verdict; carries an intent out.
    fn act(
        &self,
        ready: Ready,
        verdict: Verdict,
        flushed: &Result<(), pool::VolumeError>,
    ) -> Acted {
        let Ready {
            index,
            job,
            reserved,
            ..
        } = ready;
        match verdict {
            Verdict::Stale => Acted::ended(index, Ended::Stale(Box::new(job))),
            Verdict::Again(done) => Acted::ended(index, Ended::Answer(Ok(done))),
            Verdict::Recorded(done) => {
                Acted::ended(index, Ended::Answer(self.recorded(&job.plan, done)))
            }
            Verdict::Refused(refusal, None) => Acted::ended(index, Ended::Answer(Err(refusal))),
            Verdict::Refused(refusal, Some(intent)) => {
                let flushed = hand_over(job.staged, flushed);
                let kept = flushed.and_then(|()| self.set_aside(&intent));
                let outcome = match kept {
                    Ok(()) => Outcome::Kept(refusal, None),
                    Err(error) => {
                        tracing::warn!(%error, path = %intent.path, "refused content was not kept");
                        Outcome::Undone(refusal.without_version())
                    }
                };
                Acted::step(index, intent, outcome, reserved, None)
            }
            Verdict::Go(intent) => {
                let flushed = hand_over(job.staged, flushed);
                let outcome = self.carry(&intent, flushed);
                Acted::step(index, intent, outcome, reserved, None)
            }
            Verdict::Written(intent, done) => {
                if let Some(staged) = job.staged {
                    staged.hand_over();
                }
                let outcome = self.carry(&intent, Ok(()));
                Acted::step(index, intent, outcome, reserved, Some(done))
            }
        }
    }

    /// Refused content becomes a version only if it is there to stay.
    fn set_aside(&self, intent: &Intent) -> Result<(), Refusal> {
        let volume = self.0.volumes.get(intent.volume);
        let volume =
            volume.ok_or_else(|| FilesError::Unknown(format!("volume {}", intent.volume)))?;
        put_aside(volume.as_ref(), intent).map_err(volume_refusal)
    }

    fn carry(&self, intent: &Intent, flushed: Result<(), Refusal>) -> Outcome {
        fail::fail_point!("n2");
        if let Err(refusal) = flushed {
            return Outcome::Undone(refusal);
        }
        let volume = match self.writable(intent.volume) {
            Ok(volume) => volume,
            Err(refusal) => return Outcome::Undone(refusal),
        };
        if let Err(error) = self.settle_before(intent) {
            return Outcome::Undone(Refusal::Internal(error));
        }
        match carry_out(volume.as_ref(), intent) {
            Ok(carried) => match self.settle_folder(volume.as_ref(), intent) {
                Ok(()) => Outcome::Carried(carried),
                Err(error) => Outcome::Stuck(volume_refusal(error)),
            },
            Err(fault) => {
                let outcome = self.failed(volume.as_ref(), intent, fault);
                // What was put back must not be lost once the intent is gone.
                match volume.sync_folders(&intent.folders()) {
                    Ok(()) => outcome,
                    Err(error) => Outcome::Stuck(volume_refusal(error)),
                }
            }
        }
    }

    fn failed(&self, volume: &dyn Volume, intent: &Intent, fault: Fault) -> Outcome {
        let stat = match fault {
            Fault::Volume(error) => return Outcome::Undone(self.name_taken(intent, error)),
            Fault::Stuck(error) => return Outcome::Stuck(volume_refusal(error)),
            Fault::Outside(stat) => stat,
        };
        self.hint(intent.volume, intent.target.parent());
        let keep = intent.displaced.is_some() && intent.history.is_some();
        match (&intent.source, keep) {
            (Source::Temp { .. }, true) if put_aside(volume, intent).is_ok() => {
                Outcome::Kept(Refusal::OutsideEdit, stat)
            }
            (
                Source::Temp { .. }
                | Source::Nothing
                | Source::NewFolder
                | Source::Path { .. }
                | Source::History { .. },
                _,
            ) => Outcome::Undone(Refusal::OutsideEdit),
        }
    }

    /// A new folder is flushed before it is recorded: unlike a rename it leaves no trace from which
    /// it could be done again.
    fn settle_folder(&self, volume: &dyn Volume, intent: &Intent) -> Result<(), pool::VolumeError> {
        match (&intent.source, intent.target.parent()) {
            (Source::NewFolder, Some(parent)) => volume.sync_folders(&[parent.into()]),
            (
                Source::NewFolder
                | Source::Nothing
                | Source::Temp { .. }
                | Source::Path { .. }
                | Source::History { .. },
                _,
            ) => Ok(()),
        }
    }

    /// A name that the catalog has free and the disk has not: a twin, or an edit from outside.
    fn name_taken(&self, intent: &Intent, error: pool::VolumeError) -> Refusal {
        let refusal = volume_refusal(error);
        if !matches!(refusal, Refusal::OutsideEdit) {
            return refusal;
        }
        let name = intent.name.clone();
        let parent = intent.parent;
        let twin = self.0.db.read(|tx| {
            let mut names = tx.prepare_cached("SELECT name FROM entries WHERE parent = ?1")?;
            let mut rows = names.query([parent.0])?;
            while let Some(row) = rows.next()? {
                let other: String = row.get(0)?;
                if other != name.as_str() && other.to_lowercase() == name.as_str().to_lowercase() {
                    return Ok(true);
                }
            }
            Ok::<_, FilesError>(false)
        });
        match twin {
            Ok(true) => Refusal::NameTwin {
                name: intent.name.to_string(),
            },
            Ok(false) => {
                self.hint(intent.volume, intent.target.parent());
                Refusal::OutsideEdit
            }
            Err(error) => Refusal::Internal(error),
        }
    }

    /// Answers what is recorded already and was carried out; gives the steps that are left.
    fn answer_written(&self, steps: Vec<Step>, ended: &mut Vec<(usize, Ended)>) -> Vec<Step> {
        let mut left = Vec::new();
        let mut settle = Vec::new();
        let mut reserved = Vec::new();
        let mut news = News::new();
        for mut step in steps {
            let carried = match step.outcome {
                Outcome::Carried(carried)
                    if carried.old_kept || step.intent.displaced.is_none() =>
                {
                    carried
                }
                Outcome::Carried(_)
                | Outcome::Kept(_, _)
                | Outcome::Undone(_)
                | Outcome::Stuck(_) => {
                    left.push(step);
                    continue;
                }
            };
            let Some(done) = step.written.take() else {
                left.push(step);
                continue;
            };
            note_news(&mut news, &done);
            settle.push(Finished::of(&step.intent, carried.stat));
            ended.push((step.index, Ended::Answer(Ok(done))));
            reserved.push(step.reserved);
        }
        self.0.settling.push(settle);
        // Whoever comes next on these entries finds the change among those to be flushed.
        drop(reserved);
        self.publish(news);
        left
    }

    /// Transaction B for all that was carried out or put aside; intents of the rest go away.
    fn record(&self, steps: Vec<Step>, ended: &mut Vec<(usize, Ended)>) {
        if steps.is_empty() {
            return;
        }
        let mut notes = Vec::new();
        for step in &steps {
            let note = match &step.outcome {
                Outcome::Carried(carried) => Some(Note::Carried(*carried)),
                Outcome::Kept(Refusal::OutsideEdit, stat) => Some(Note::Outside(*stat)),
                Outcome::Kept(_, _) => Some(Note::Refused),
                Outcome::Undone(_) => {
                    self.remove_temp(&step.intent);
                    Some(Note::Undone)
                }
                Outcome::Stuck(_) => None,
            };
            notes.extend(note.map(|note| (step.intent.clone(), note)));
        }
        let recorded = self.record_notes(notes);
        let (mut dones, mut news) = match recorded {
            Ok((dones, news)) => (dones.into_iter(), news),
            Err(error) => {
                tracing::error!(%error, "changes are on the disk but not in the catalog; retrying");
                for step in steps {
                    ended.push((step.index, Ended::Answer(Err(error.refusal()))));
                    self.stuck(step.intent, step.reserved);
                }
                return;
            }
        };
        let mut settle = Vec::new();
        let mut reserved = Vec::new();
        for step in steps {
            let answer = match step.outcome {
                Outcome::Carried(carried) => {
                    settle.push(Finished::of(&step.intent, carried.stat));
                    reserved.push(step.reserved);
                    match dones.next().flatten().or(step.written) {
                        Some(done) => {
                            note_news(&mut news, &done);
                            Ok(done)
                        }
                        None => Err(FilesError::Inconsistent("no record was made".into()).into()),
                    }
                }
                Outcome::Kept(refusal, _) => {
                    settle.push(Finished::of(&step.intent, None));
                    dones.next();
                    Err(refusal)
                }
                Outcome::Undone(refusal) => {
                    dones.next();
                    Err(refusal)
                }
                Outcome::Stuck(refusal) => {
                    self.stuck(step.intent, step.reserved);
                    Err(refusal)
                }
            };
            ended.push((step.index, Ended::Answer(answer)));
        }
        self.0.settling.push(settle);
        // Whoever comes next on these entries finds the change among those to be flushed.
        drop(reserved);
        self.publish(news);
    }

    /// Writes notes into the catalog, all in one transaction.
    pub(crate) fn record_notes(
        &self,
        notes: Vec<(Intent, Note)>,
    ) -> Result<(Vec<Option<Done>>, News), WaveError> {
        let witness = Arc::clone(&self.0.witness);
        let now = self.now();
        self.0.db.write(move |tx| {
            let mut recorder = Recorder::new(tx, witness.as_ref(), now);
            let mut dones = Vec::with_capacity(notes.len());
            for (intent, note) in &notes {
                if intent.is_written() && !matches!(note, Note::Carried(_)) {
                    recorder.retract(intent)?;
                }
                dones.push(match note {
                    Note::Carried(carried) if intent.is_written() => {
                        if !carried.old_kept {
                            recorder.old_is_gone(intent)?;
                        }
                        None
                    }
                    Note::Carried(carried) if intent.fate != Fate::Stays => {
                        Some(recorder.intent(intent, *carried)?)
                    }
                    Note::Carried(_) | Note::Refused => {
                        recorder.kept(intent, REASON_REFUSED)?;
                        None
                    }
                    Note::Outside(stat) => {
                        recorder.kept(intent, REASON_OUTSIDE)?;
                        // All is flushed. Were the intent kept, a redo could take the other
                        // program's edit, made in place, for the content to be replaced.
                        crate::intent::remove(tx, intent.id)?;
                        if let (Some(old), Some(stat)) = (&intent.displaced, stat)
                            && let Some(row) = row::by_fid(tx, old.fid)?
                            && row.kind == Kind::File
                            && stat.kind == pool::FileKind::File
                        {
                            recorder.changed_outside(&row, stat, None)?;
                        }
                        None
                    }
                    Note::Undone => {
                        crate::intent::remove(tx, intent.id)?;
                        None
                    }
                });
            }
            Ok((dones, recorder.finish()?))
        })
    }

    pub(crate) fn publish(&self, news: News) {
        for (space, seq) in news {
            self.0.feeds.publish(space, seq);
        }
    }

    fn remove_temp(&self, intent: &Intent) {
        if let (Source::Temp { name, .. }, Some(volume)) =
            (&intent.source, self.0.volumes.get(intent.volume))
            && let Err(error) = volume.remove(Spot::Temp(name))
        {
            tracing::debug!(%name, %error, "a temporary file stays until the next start");
        }
    }

    /// After a recorded SetProps: the file's own mtime. Failing leaves the properties set.
    fn recorded(&self, plan: &Plan, done: Done) -> Result<Done, Refusal> {
        let (
            Plan::Props {
                mtime: Some(mtime), ..
            },
            Some(entry),
        ) = (plan, &done.entry)
        else {
            self.news_of(&done);
            return Ok(done);
        };
        let answer = if entry.kind == Kind::File {
            self.set_mtime(entry.fid, *mtime).map(|entry| Done {
                entry: Some(entry),
                ..done.clone()
            })
        } else {
            Ok(done.clone())
        };
        self.news_of(&done);
        answer
    }

    fn news_of(&self, done: &Done) {
        let mut news = News::new();
        note_news(&mut news, done);
        self.publish(news);
    }

    fn set_mtime(
        &self,
        fid: protocol::Fid,
        mtime: protocol::Timestamp,
    ) -> Result<crate::Entry, Refusal> {
        let spotted = self
            .0
            .db
            .read(|tx| crate::walk::walk_up(tx, fid))?
            .ok_or(Refusal::NotFound)?;
        let volume = self.writable(spotted.volume)?;
        let io = |source| crate::stage::io_refusal("set the mtime of", source);
        let file = volume
            .open(Spot::Path(&spotted.path))
            .map_err(volume_refusal)?;
        file.set_modified(system_time(mtime)).map_err(io)?;
        let stat = volume.stat_of(&file).map_err(volume_refusal)?;
        self.0.db.write(move |tx| {
            tx.prepare_cached(
                "UPDATE entries SET mtime_ns = ?2, ctime_ns = ?3, inode = ?4 WHERE fid = ?1",
            )?
            .execute((
                fid.0,
                stat.mtime_ns,
                stat.ctime_ns,
                stat.inode.cast_signed(),
            ))?;
            let row = row::by_fid(tx, fid)?.ok_or(Refusal::NotFound)?;
            Ok::<_, Refusal>(row.into_entry(false))
        })
    }

    /// Tells the scanner to look at a folder.
    pub(crate) fn hint(&self, volume: VolumeId, folder: Option<VolumePath>) {
        self.0.hints.push(volume, folder);
    }
}

/// Leaves the temporary file to its intent. Content that was to be held by the intent and is not,
/// because of what was decided, is flushed now.
fn hand_over(
    staged: Option<Staged>,
    flushed: &Result<(), pool::VolumeError>,
) -> Result<(), Refusal> {
    let Some(staged) = staged else {
        return Ok(());
    };
    let own = match &staged.content {
        Some(_) => staged.volume().flush(&staged.file),
        None => Ok(()),
    };
    let flushed = if staged.content.is_some() {
        &own
    } else {
        flushed
    };
    staged.hand_over();
    flushed.as_ref().copied().map_err(|error| {
        if error.is_full() {
            return Refusal::DiskFull;
        }
        Refusal::Internal(FilesError::Inconsistent(format!(
            "the content could not be made durable: {error}"
        )))
    })
}

/// The newest number of the entry's space that its change took.
fn note_news(news: &mut News, done: &Done) {
    if let Some(entry) = &done.entry {
        let newest = news.entry(entry.space).or_insert(entry.rev);
        *newest = (*newest).max(entry.rev).max(entry.mrev);
    }
}

enum Acted {
    Ended(usize, Box<Ended>),
    Step(Box<Step>),
}

impl Acted {
    fn ended(index: usize, ended: Ended) -> Self {
        Self::Ended(index, Box::new(ended))
    }

    fn step(
        index: usize,
        intent: Intent,
        outcome: Outcome,
        reserved: Reserved,
        written: Option<Done>,
    ) -> Self {
        Self::Step(Box::new(Step {
            index,
            intent,
            outcome,
            reserved,
            written,
        }))
    }
}

/// A failure that all jobs of a wave share.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub(crate) struct WaveError {
    text: String,
    full: bool,
}

impl WaveError {
    pub(crate) fn refusal(&self) -> Refusal {
        if self.full {
            return Refusal::DiskFull;
        }
        Refusal::Internal(FilesError::Inconsistent(self.text.clone()))
    }
}

impl From<FilesError> for WaveError {
    fn from(error: FilesError) -> Self {
        let full = match &error {
            FilesError::Database(error) => error.is_full(),
            FilesError::Volume(error) => error.is_full(),
            FilesError::Inconsistent(_)
            | FilesError::OtherVolume { .. }
            | FilesError::Unknown(_)
            | FilesError::Name(_)
            | FilesError::Random
            | FilesError::Unread(_)
            | FilesError::Busy(_)
            | FilesError::SpaceTaken(_)
            | FilesError::SpaceHoldsBind { .. } => false,
        };
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let text = match cause {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        Self { text, full }
    }
}

impl From<database::DatabaseError> for WaveError {
    fn from(error: database::DatabaseError) -> Self {
        FilesError::from(error).into()
    }
}

impl From<rusqlite::Error> for WaveError {
    fn from(error: rusqlite::Error) -> Self {
        FilesError::from(error).into()
    }
}
