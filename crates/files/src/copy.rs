//! Operations that are made of several: copies, moves across volumes, restoring a version.
//!
//! A copy of a tree is not atomic: folder by folder, file by file, each one a commit of its own. If
//! one fails the rest of the copy is left as it is, as RFC 4918 section 9.8.8 allows, and the error
//! is answered. What the copy replaces is in the trash before the first of it appears.

use protocol::{EntryName, Fid, Seq, TreePath};

use crate::commit::{Job, placing};
use crate::decide::{Over, Plan, What, operation_key};
use crate::stage::{Staged, io_refusal, rights_of, rights_of_new};
use crate::walk::walk;
use crate::{
    Action, At, Author, Change, Conditions, Done, Files, FilesError, Kind, Op, ReadError, Refusal,
};

/// Members of a copied tree that are committed together; each keeps a file open until then.
const COPY_WAVE: usize = 64;

/// One entry of a tree that is copied: how to get there from its top.
struct Member {
    fid: Fid,
    kind: Kind,
    names: Vec<EntryName>,
}

impl Files {
    /// An operation that is more than one job.
    pub(crate) fn compound(&self, author: &Author, op: Op) -> Result<Done, Refusal> {
        let operation = op
            .operation_id
            .as_ref()
            .map(|id| operation_key(op.conditions.account, id));
        if let Some(key) = &operation
            && let Some(done) = self.0.db.read(|tx| crate::record::stored_result(tx, key))?
        {
            return Ok(done);
        }
        match op.action {
            Change::Copy {
                from,
                to,
                overwrite,
                deep,
            } => {
                let request = CopyRequest {
                    from: &from,
                    to: &to,
                    overwrite,
                    deep,
                    conditions: &op.conditions,
                    operation,
                };
                self.copy(author, &request)
            }
            Change::Move {
                from,
                to,
                overwrite,
            } => self.move_across(author, &from, &to, overwrite, &op.conditions),
            Change::RestoreVersion { at, rev } => {
                self.restore_version(author, at, rev, op.conditions, operation)
            }
            Change::Put { .. }
            | Change::MakeFolder { .. }
            | Change::Delete { .. }
            | Change::SetProps { .. }
            | Change::Restore { .. } => Err(FilesError::Inconsistent(
                "a single operation was taken for a compound one".into(),
            )
            .into()),
        }
    }

    /// True if a move would lead from one volume to another.
    pub(crate) fn crosses_volumes(&self, from: &At, to: &At) -> Result<bool, Refusal> {
        let (source, target) = self.0.db.read(|tx| {
            let source = walk(tx, from)?.found(from).ok().map(|s| s.volume);
            let target = walk(tx, to)?.slot(to).ok().map(|(s, _)| s.volume);
            Ok::<_, FilesError>((source, target))
        })?;
        Ok(source.is_some() && target.is_some() && source != target)
    }

    fn copy(&self, author: &Author, request: &CopyRequest<'_>) -> Result<Done, Refusal> {
        let (from, to) = (request.from, request.to);
        if from == to {
            return Err(Refusal::SameTarget);
        }
        let source = self.0.db.read(|tx| walk(tx, from)?.found(from))?;
        let nested = from.space == to.space && to.path.starts_with(&from.path);
        // A shallow copy of a folder into itself is a new, empty folder.
        let kind = source.row().kind;
        let around = from.space == to.space && from.path.starts_with(&to.path);
        if around || (nested && (request.deep || kind == Kind::File)) {
            return Err(Refusal::IntoItself);
        }
        // The members are read before the first change, so a copy never meets itself.
        let members = match (kind, request.deep) {
            (Kind::Folder, true) => self.members(source.row().fid)?,
            (Kind::Folder | Kind::File, _) => Vec::new(),
        };
        let top = self.copy_one(author, source.row().fid, kind, request)?;
        let below = Conditions {
            lock_tokens: request.conditions.lock_tokens.clone(),
            account: request.conditions.account,
            ..Conditions::default()
        };
        self.copy_members(author, members, to, &below)?;
        let entry = match &top.entry {
            Some(entry) => self.entry(entry.fid)?,
            None => None,
        };
        Ok(Done {
            entry: entry.or(top.entry),
            ..top
        })
    }

    /// Copies what lies below the top of a copied tree, many at a time.
    fn copy_members(
        &self,
        author: &Author,
        members: Vec<Member>,
        to: &At,
        conditions: &Conditions,
    ) -> Result<(), Refusal> {
        let mut answers: Vec<Option<Result<Done, Refusal>>> = Vec::new();
        answers.resize_with(members.len(), || None);
        let mut wave = Vec::new();
        for (index, member) in members.into_iter().enumerate() {
            let mut at = to.clone();
            for name in member.names {
                at.path = at.path.join(name)?;
            }
            let request = CopyRequest {
                from: to,
                to: &at,
                overwrite: false,
                deep: false,
                conditions,
                operation: None,
            };
            let mut job = self.copy_job(member.fid, member.kind, &request, None);
            if let Err(Refusal::ParentMissing(_)) = job {
                // Its folder waits in the wave.
                self.run(author, &mut wave, &mut answers);
                job = self.copy_job(member.fid, member.kind, &request, None);
            }
            match job {
                Ok(job) => self.enqueue(author, index, job, &mut wave, &mut answers),
                Err(refusal) => answers[index] = Some(Err(refusal)),
            }
            if wave.len() >= COPY_WAVE {
                self.run(author, &mut wave, &mut answers);
            }
            let refused = |answer: &Option<Result<Done, Refusal>>| matches!(answer, Some(Err(refusal)) if !matches!(refusal, Refusal::NotFound));
            if answers
                .iter()
                .take(index + 1)
                .rev()
                .take(COPY_WAVE)
                .any(refused)
            {
                break;
            }
        }
        self.run(author, &mut wave, &mut answers);
        for answer in answers.into_iter().flatten() {
            match answer {
                // Deleted meanwhile.
                Ok(_) | Err(Refusal::NotFound) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(())
    }

    fn copy_one(
        &self,
        author: &Author,
        fid: Fid,
        kind: Kind,
        request: &CopyRequest<'_>,
    ) -> Result<Done, Refusal> {
        let subject = Some(request.from.clone());
        let job = self.copy_job(fid, kind, request, subject)?;
        self.single(author, job)
    }

    fn copy_job(
        &self,
        fid: Fid,
        kind: Kind,
        request: &CopyRequest<'_>,
        subject: Option<At>,
    ) -> Result<Job, Refusal> {
        let (what, staged) = match kind {
            Kind::Folder => (What::Folder, None),
            Kind::File => {
                let (staged, mtime) = self.stage_copy(fid, request.to)?;
                (staged.facts(Some(mtime))?, Some(staged))
            }
        };
        let over = if request.overwrite {
            Over::Trash
        } else {
            Over::Refuse
        };
        let plan = Plan::Place {
            at: request.to.clone(),
            what,
            over,
            action: Action::Copy,
            subject,
            copy_of: Some(fid),
            placeholder: false,
        };
        Ok(Job {
            plan,
            staged,
            conditions: request.conditions.clone(),
            operation: request.operation.clone(),
        })
    }

    /// The bytes of a file on the volume of `to`, and its mtime.
    fn stage_copy(&self, fid: Fid, to: &At) -> Result<(Staged, protocol::Timestamp), Refusal> {
        let content = self.open_content(fid).map_err(read_refusal)?;
        let (target, _) = self.0.db.read(|tx| walk(tx, to)?.slot(to))?;
        let volume = self.writable(target.volume)?;
        let source = pool::FileStat::of(&content.file);
        let source = source.map_err(|source| io_refusal("look at", source))?;
        let rights = rights_of_new(volume.as_ref(), &target.path).with_mode_of(&source);
        let staging = self.stage_on(target.volume, volume, &rights)?;
        let staged = staging.copy_from(&content.file, content.entry.hash)?;
        Ok((staged, content.entry.mtime))
    }

    /// All entries below a folder, each folder before what it holds.
    fn members(&self, top: Fid) -> Result<Vec<Member>, Refusal> {
        self.index_tree(top)?;
        self.0.db.read(|tx| {
            let mut found = Vec::new();
            let mut folders = vec![(top, Vec::new())];
            let mut statement = tx.prepare_cached(
                "SELECT fid, kind, name, flags FROM entries WHERE parent = ?1 ORDER BY name",
            )?;
            while let Some((folder, names)) = folders.pop() {
                let mut rows = statement.query([folder.0])?;
                while let Some(row) = rows.next()? {
                    if row.get::<_, u8>(3)? & crate::row::PLACEHOLDER != 0 {
                        continue;
                    }
                    let fid = Fid(row.get(0)?);
                    let kind = crate::row::kind_of(row.get(1)?);
                    let mut names: Vec<EntryName> = names.clone();
                    names.push(crate::row::name_at(row, 2)?);
                    TreePath::new(names.clone())?;
                    if kind == Kind::Folder {
                        folders.push((fid, names.clone()));
                    }
                    found.push(Member { fid, kind, names });
                }
            }
            // By depth: a folder comes before what it holds.
            found.sort_by_key(|member| member.names.len());
            Ok(found)
        })
    }

    /// From one volume to another: a copy with new numbers, then the source goes to the trash.
    fn move_across(
        &self,
        author: &Author,
        from: &At,
        to: &At,
        overwrite: bool,
        conditions: &Conditions,
    ) -> Result<Done, Refusal> {
        let precheck = self.0.db.read(|tx| walk(tx, from)?.found(from))?;
        if precheck.row().parent.is_none() || precheck.row().mount.is_some() {
            return Err(Refusal::IsTop);
        }
        let etag = protocol::Etag {
            fid: precheck.row().fid,
            rev: precheck.row().rev,
        };
        self.check_delete(from, conditions)?;
        let request = CopyRequest {
            from,
            to,
            overwrite,
            deep: true,
            conditions,
            operation: None,
        };
        let done = self.copy(author, &request)?;
        // Deleted only if nobody wrote to it since: what was not copied must not go.
        let delete = Job {
            plan: Plan::Delete { at: from.clone() },
            staged: None,
            conditions: Conditions {
                if_match: Some(crate::EtagSet::OneOf(vec![etag])),
                lock_tokens: conditions.lock_tokens.clone(),
                account: conditions.account,
                ..Conditions::default()
            },
            operation: None,
        };
        self.single(author, delete)?;
        Ok(done)
    }

    /// Refuses a move across volumes whose source may not be deleted, before anything is copied.
    fn check_delete(&self, at: &At, conditions: &Conditions) -> Result<(), Refusal> {
        use crate::conditions::{Judge, Subject, Touch};
        let now = self.now();
        self.0.db.read(|tx| {
            let spotted = walk(tx, at)?.found(at)?;
            let subject = Subject {
                chain: &spotted.chain,
                exists: true,
            };
            let judge = Judge::new(tx, conditions, now)?;
            judge.locks(subject, Touch::Tree)?;
            judge.conditions(subject)
        })
    }

    fn restore_version(
        &self,
        author: &Author,
        at: At,
        rev: Seq,
        conditions: Conditions,
        operation: Option<String>,
    ) -> Result<Done, Refusal> {
        let spotted = self.0.db.read(|tx| walk(tx, &at)?.found(&at))?;
        let fid = spotted.row().fid;
        let file = self.open_version(fid, rev).map_err(read_refusal)?;
        let hash = self
            .versions(fid)?
            .into_iter()
            .find(|version| version.rev == rev)
            .and_then(|version| version.hash);
        let volume = self.writable(spotted.volume)?;
        let rights = rights_of(volume.as_ref(), &spotted.path)
            .unwrap_or_else(|| rights_of_new(volume.as_ref(), &spotted.path));
        let staging = self.stage_on(spotted.volume, volume, &rights)?;
        let staged = staging.copy_from(&file, hash)?;
        let what = staged.facts(None)?;
        let job = Job {
            plan: placing(at, what, Over::Version, Action::RestoreVersion),
            staged: Some(staged),
            conditions,
            operation,
        };
        self.single(author, job)
    }
}

struct CopyRequest<'a> {
    from: &'a At,
    to: &'a At,
    overwrite: bool,
    deep: bool,
    conditions: &'a Conditions,
    operation: Option<String>,
}

fn read_refusal(error: ReadError) -> Refusal {
    match error {
        ReadError::NotFound => Refusal::NotFound,
        ReadError::IsAFolder => Refusal::IsAFolder,
        ReadError::VolumeAway { why } => Refusal::VolumeAway { why },
        ReadError::Busy => Refusal::Busy,
        ReadError::Internal(error) => Refusal::Internal(error),
    }
}
