//! Transaction A: everything that stands against a change is looked at here, and here alone it
//! counts (`commit.md` step 4). What passes becomes an intent.

mod claims;
mod props;

use std::sync::Arc;

use protocol::{AccountId, Fid, Hash, Timestamp, VolumeId};
use rusqlite::Connection;

use pool::{HistoryName, TempName};

use crate::conditions::{Judge, Subject, Touch, is_below};
use crate::intent::{Displaced, Fate, From, Intent, Source};
use crate::record::{Recorder, stored_result};
use crate::row::{self, PLACEHOLDER, Row};
use crate::walk::{Spotted, Walk, walk};
use crate::{Action, At, Author, Conditions, Done, FilesError, Kind, PropPatch, Refusal};

use claims::trashed;
pub(crate) use claims::{claims, weigh};
use props::props;
pub use props::{PROP_BYTES_MAX, PROPS_MAX};

/// What a change brings to a name.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A received file.
    Temp {
        name: TempName,
        inode: u64,
        size: u64,
        mtime_ns: i64,
        hash: Hash,
        volume: VolumeId,
        durable: bool,
        content: Option<Arc<[u8]>>,
    },
    /// A new folder.
    Folder,
}

/// What becomes of something that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Same entry, new content.
    Version,
    /// Into the trash.
    Trash,
    /// The change is refused.
    Refuse,
}

/// A change of one entry, without its bytes.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    Place {
        at: At,
        what: What,
        over: Over,
        action: Action,
        /// The resource of the request, if it is not `at` (COPY).
        subject: Option<At>,
        copy_of: Option<Fid>,
        placeholder: bool,
    },
    Delete {
        at: At,
    },
    Move {
        from: At,
        to: At,
        overwrite: bool,
    },
    Props {
        at: At,
        patches: Vec<PropPatch>,
        mtime: Option<Timestamp>,
    },
    Restore {
        trash_id: i64,
        to: Option<At>,
    },
}

/// The rows that a plan was reserved for; if the tree has changed since, it is reserved anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) target: Vec<Fid>,
    pub(crate) source: Vec<Fid>,
    /// Bytes of the subtree that the change displaces.
    pub(crate) displaced_bytes: u64,
    /// Bytes of the subtree that the change moves.
    pub(crate) moved_bytes: u64,
}

/// A plan with all that transaction A needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) plan: Plan,
    pub(crate) conditions: Conditions,
    pub(crate) operation: Option<String>,
    pub(crate) author: Author,
    pub(crate) now: Timestamp,
    pub(crate) seen: Seen,
    /// Makes the name in history unique.
    pub(crate) suffix: String,
}

/// What transaction A says.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The tree has changed since the reservation.
    Stale,
    /// The operation has been done before.
    Again(Done),
    /// Refused; the bytes may be kept as a version.
    Refused(Refusal, Option<Intent>),
    /// Written down, to be carried out and then recorded.
    Go(Intent),
    /// Written down with its content and recorded; to be carried out and then answered.
    Written(Intent, Done),
    /// Needs no step on the disk and is recorded already.
    Recorded(Done),
}

/// Decides a request; writes the intent or, where no disk is concerned, the change itself.
pub(crate) fn decide(
    recorder: &mut Recorder<'_>,
    request: &Request,
) -> Result<Verdict, FilesError> {
    let tx = recorder.tx;
    if let Some(operation) = &request.operation
        && let Some(done) = stored_result(tx, operation)?
    {
        return Ok(Verdict::Again(done));
    }
    let decided = match &request.plan {
        Plan::Place { .. } => place(tx, request),
        Plan::Delete { at } => delete(tx, request, at),
        Plan::Move {
            from,
            to,
            overwrite,
        } => relocate(tx, request, from, to, *overwrite),
        Plan::Props { at, patches, mtime } => {
            return match props(recorder, request, at, patches, *mtime) {
                Err(Refusal::Internal(error)) => Err(error),
                Err(refusal) => Ok(Verdict::Refused(refusal, None)),
                Ok(verdict) => Ok(verdict),
            };
        }
        Plan::Restore { trash_id, to } => restore(tx, request, *trash_id, to.as_ref()),
    };
    match decided {
        Ok(Some(mut intent)) => {
            if let Some(content) = content_of(request, &intent) {
                let done = recorder.written(&mut intent, content)?;
                return Ok(Verdict::Written(intent, done));
            }
            intent.insert(tx)?;
            Ok(Verdict::Go(intent))
        }
        Ok(None) => Ok(Verdict::Stale),
        Err(Refusal::Internal(error)) => Err(error),
        Err(refusal) => refused(tx, request, refusal),
    }
}

/// Small content that is recorded at once. Where it displaces more than former content of the same
/// entry, the record waits for the disk.
fn content_of(request: &Request, intent: &Intent) -> Option<Arc<[u8]>> {
    let Plan::Place {
        what: What::Temp { content, .. },
        ..
    } = &request.plan
    else {
        return None;
    };
    match intent.fate {
        Fate::Free | Fate::Version => content.clone(),
        Fate::Trash | Fate::Drop | Fate::Stays => None,
    }
}

/// Bytes that somebody sent stay for a while where a condition failed, a lock is in the way, or
/// somebody else was faster with the name (R91).
fn refused(tx: &Connection, request: &Request, mut why: Refusal) -> Result<Verdict, FilesError> {
    let (
        Refusal::ConditionFailed { .. } | Refusal::Locked { .. } | Refusal::Exists,
        Plan::Place {
            at,
            what: What::Temp { .. },
            subject: None,
            ..
        },
    ) = (&why, &request.plan)
    else {
        return Ok(Verdict::Refused(why, None));
    };
    let Walk::Found(spotted) = walk(tx, at)? else {
        return Ok(Verdict::Refused(why, None));
    };
    if spotted.row().kind == Kind::Folder || spotted.fids() != request.seen.target {
        return Ok(Verdict::Refused(why, None));
    }
    let mut intent = match base(request, &spotted, true, at) {
        Ok(intent) => intent,
        Err(Refusal::Internal(error)) => return Err(error),
        Err(_) => return Ok(Verdict::Refused(why, None)),
    };
    intent.action = Action::Refused;
    intent.fate = Fate::Stays;
    intent.displaced = Some(displaced(spotted.row()));
    intent.history = Some(history(spotted.row(), request)?);
    intent.operation = None;
    intent.insert(tx)?;
    if let Refusal::ConditionFailed { kept_version, .. } = &mut why {
        *kept_version = true;
    }
    Ok(Verdict::Refused(why, Some(intent)))
}

fn subject_of(spotted: &Spotted, exists: bool) -> Subject<'_> {
    Subject {
        chain: &spotted.chain,
        exists,
    }
}

fn place(tx: &Connection, request: &Request) -> Result<Option<Intent>, Refusal> {
    let Plan::Place {
        at,
        what,
        over,
        action,
        subject,
        copy_of,
        placeholder,
    } = &request.plan
    else {
        return Ok(None);
    };
    let (spotted, exists) = walk(tx, at)?.slot(at)?;
    if spotted.fids() != request.seen.target {
        return Ok(None);
    }
    let judge = Judge::new(tx, &request.conditions, request.now)?;
    let target = subject_of(&spotted, exists);
    let touch = match (exists, over) {
        (true, Over::Version | Over::Refuse) => Touch::Itself,
        (true, Over::Trash) => Touch::Tree,
        (false, Over::Version | Over::Refuse | Over::Trash) => Touch::Membership,
    };
    // A condition that does not hold is 412 even where a lock is in the way (RFC 4918 section 10.4).
    match subject {
        None => judge.conditions(target)?,
        Some(subject) => judge.conditions(subject_of(&walk(tx, subject)?.found(subject)?, true))?,
    }
    judge.locks(target, touch)?;
    let mut intent = base(request, &spotted, exists, at)?;
    intent.action = *action;
    intent.copy_of = *copy_of;
    intent.placeholder = *placeholder;
    if exists {
        displace(tx, &mut intent, &spotted, *over, request)?;
    }
    let brings = match what {
        What::Temp { volume, size, .. } => {
            if *volume != intent.volume {
                return Err(Refusal::Busy);
            }
            *size
        }
        What::Folder => 0,
    };
    if intent.action == Action::Create && intent.fate == Fate::Version {
        intent.action = Action::Write;
    }
    check_quota(tx, &intent, brings)?;
    Ok(Some(intent))
}

fn displace(
    tx: &Connection,
    intent: &mut Intent,
    spotted: &Spotted,
    over: Over,
    request: &Request,
) -> Result<(), Refusal> {
    let row = spotted.row();
    match over {
        Over::Refuse => return Err(Refusal::Exists),
        Over::Version if row.kind == Kind::Folder => return Err(Refusal::IsAFolder),
        Over::Version if row.is(PLACEHOLDER) => intent.fate = Fate::Drop,
        Over::Version => intent.fate = Fate::Version,
        Over::Trash => {
            check_not_top(tx, spotted)?;
            intent.fate = Fate::Trash;
            intent.displaced_bytes = request.seen.displaced_bytes;
        }
    }
    intent.displaced = Some(displaced(row));
    intent.history = Some(history(row, request)?);
    Ok(())
}

fn delete(tx: &Connection, request: &Request, at: &At) -> Result<Option<Intent>, Refusal> {
    let spotted = walk(tx, at)?.found(at)?;
    if spotted.fids() != request.seen.target {
        return Ok(None);
    }
    check_not_top(tx, &spotted)?;
    let judge = Judge::new(tx, &request.conditions, request.now)?;
    let target = subject_of(&spotted, true);
    judge.conditions(target)?;
    judge.locks(target, Touch::Tree)?;
    let mut intent = base(request, &spotted, true, at)?;
    intent.action = Action::Delete;
    displace(tx, &mut intent, &spotted, Over::Trash, request)?;
    Ok(Some(intent))
}

fn relocate(
    tx: &Connection,
    request: &Request,
    from: &At,
    to: &At,
    overwrite: bool,
) -> Result<Option<Intent>, Refusal> {
    let source = walk(tx, from)?.found(from)?;
    let (target, exists) = walk(tx, to)?.slot(to)?;
    if source.fids() != request.seen.source || target.fids() != request.seen.target {
        return Ok(None);
    }
    if source.volume != target.volume {
        return Ok(None);
    }
    check_not_itself_top(&source)?;
    let judge = Judge::new(tx, &request.conditions, request.now)?;
    judge.conditions(subject_of(&source, true))?;
    judge.locks(subject_of(&source, true), Touch::Tree)?;
    let touch = if exists {
        Touch::Tree
    } else {
        Touch::Membership
    };
    judge.locks(subject_of(&target, exists), touch)?;
    let mut intent = base(request, &target, exists, to)?;
    if exists {
        let over = if overwrite { Over::Trash } else { Over::Refuse };
        displace(tx, &mut intent, &target, over, request)?;
    }
    let row = source.row();
    let Some(parent) = row.parent else {
        return Err(Refusal::IsTop);
    };
    intent.action = Action::Move;
    intent.fid = Some(row.fid);
    intent.source = Source::Path {
        path: source.path.clone(),
        inode: row.inode,
    };
    intent.from = Some(From {
        space: row.space,
        parent,
        name: row.name.clone(),
    });
    intent.path = format!("{} -> {}", from.path, to.path);
    if from.space != to.space {
        intent.moved_bytes = request.seen.moved_bytes;
        check_quota(tx, &intent, intent.moved_bytes)?;
    }
    Ok(Some(intent))
}

fn restore(
    tx: &Connection,
    request: &Request,
    trash_id: i64,
    to: Option<&At>,
) -> Result<Option<Intent>, Refusal> {
    let (fid, at) = trashed(tx, trash_id, to)?;
    let (spotted, exists) = walk(tx, &at)?.slot(&at)?;
    if spotted.fids() != request.seen.target || request.seen.source != [fid] {
        return Ok(None);
    }
    let judge = Judge::new(tx, &request.conditions, request.now)?;
    judge.locks(subject_of(&spotted, exists), Touch::Membership)?;
    if exists {
        return Err(Refusal::Exists);
    }
    let (volume, name, bytes, space) = tx
        .prepare_cached("SELECT volume, history, size, space FROM trash WHERE id = ?1")?
        .query_row([trash_id], |row| {
            Ok((
                VolumeId(row.get(0)?),
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, i64>(3)?,
            ))
        })?;
    let row = row::by_fid(tx, fid)?.ok_or(Refusal::NotFound)?;
    if volume != spotted.volume || space != at.space.0 {
        return Err(Refusal::ReadOnly {
            why: "a thing from the trash goes back only to the space and disk that it was on"
                .into(),
        });
    }
    let mut intent = base(request, &spotted, false, &at)?;
    intent.action = Action::Restore;
    intent.fid = Some(fid);
    intent.trash_id = Some(trash_id);
    intent.moved_bytes = bytes.cast_unsigned();
    intent.source = Source::History {
        name: HistoryName::new(&name)
            .map_err(|error| FilesError::Inconsistent(error.to_string()))?,
        inode: row.inode,
    };
    check_quota(tx, &intent, intent.moved_bytes)?;
    Ok(Some(intent))
}

/// The intent of a request on a target; what is special is filled in by the caller.
fn base(request: &Request, spotted: &Spotted, exists: bool, at: &At) -> Result<Intent, Refusal> {
    let row = spotted.row();
    let parent = if exists { row.parent } else { Some(row.fid) };
    let mut durable = false;
    let source = match &request.plan {
        Plan::Place {
            what:
                What::Temp {
                    name,
                    inode,
                    size,
                    mtime_ns,
                    hash,
                    durable: flushed,
                    ..
                },
            ..
        } => {
            durable = *flushed;
            Source::Temp {
                name: name.clone(),
                inode: *inode,
                size: *size,
                mtime_ns: *mtime_ns,
                hash: *hash,
            }
        }
        Plan::Place {
            what: What::Folder, ..
        } => Source::NewFolder,
        Plan::Delete { .. } | Plan::Move { .. } | Plan::Props { .. } | Plan::Restore { .. } => {
            Source::Nothing
        }
    };
    // Over a top nothing but a refusal can come; which one, the caller knows.
    let top = match request.plan {
        Plan::Place {
            over: Over::Version,
            ..
        } => Refusal::IsAFolder,
        Plan::Place {
            over: Over::Refuse, ..
        } => Refusal::Exists,
        Plan::Place {
            over: Over::Trash, ..
        }
        | Plan::Delete { .. }
        | Plan::Move { .. }
        | Plan::Props { .. }
        | Plan::Restore { .. } => Refusal::IsTop,
    };
    let (Some(parent), Some(name)) = (parent, at.path.last()) else {
        return Err(top);
    };
    if exists && row.mount.is_some() {
        return Err(top);
    }
    Ok(Intent {
        id: 0,
        action: Action::Create,
        space: at.space,
        volume: spotted.volume,
        fid: None,
        parent,
        name: name.clone(),
        target: spotted.path.clone(),
        source,
        displaced: None,
        history: None,
        fate: Fate::Free,
        displaced_bytes: 0,
        moved_bytes: 0,
        from: None,
        copy_of: None,
        trash_id: None,
        placeholder: false,
        durable,
        content: None,
        rev: None,
        author: request.author.clone(),
        at: request.now,
        operation: request.operation.clone(),
        path: at.path.to_string(),
    })
}

fn displaced(row: &Row) -> Displaced {
    Displaced {
        fid: row.fid,
        kind: row.kind,
        inode: row.inode,
        size: row.size,
        mtime_ns: row.mtime_ns,
        rev: row.rev,
    }
}

/// `shelf/fid.rev.suffix`; 256 shelves keep the folders small.
fn history(row: &Row, request: &Request) -> Result<HistoryName, FilesError> {
    let name = format!(
        "{:02x}/{}.{}.{}",
        row.fid.0 & 0xff,
        row.fid,
        row.rev,
        request.suffix
    );
    HistoryName::new(&name).map_err(|error| FilesError::Inconsistent(error.to_string()))
}

fn check_not_itself_top(spotted: &Spotted) -> Result<(), Refusal> {
    let row = spotted.row();
    if row.parent.is_none() || row.mount.is_some() {
        return Err(Refusal::IsTop);
    }
    Ok(())
}

/// A top cannot go to the trash, nor can a folder with a bound folder below it.
fn check_not_top(tx: &Connection, spotted: &Spotted) -> Result<(), Refusal> {
    check_not_itself_top(spotted)?;
    let row = spotted.row();
    if row.kind == Kind::File {
        return Ok(());
    }
    let mounts: Vec<i64> = tx
        .prepare_cached("SELECT mount FROM volumes WHERE mount IS NOT NULL")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for mount in mounts {
        if is_below(tx, Fid(mount), row.fid)? {
            return Err(Refusal::IsTop);
        }
    }
    Ok(())
}

/// Counts what other decided changes will take as taken.
fn check_quota(tx: &Connection, intent: &Intent, brings: u64) -> Result<(), Refusal> {
    let (quota, used): (Option<i64>, i64) = tx
        .prepare_cached("SELECT quota, used FROM spaces WHERE id = ?1")?
        .query_row([intent.space.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(quota) = quota else {
        return Ok(());
    };
    let frees = match (&intent.displaced, intent.fate) {
        (Some(old), Fate::Version) => old.size,
        (_, Fate::Trash) => intent.displaced_bytes,
        (_, Fate::Free | Fate::Drop | Fate::Stays) | (None, Fate::Version) => 0,
    };
    if brings <= frees {
        return Ok(());
    }
    let pending: i64 = tx
        .prepare_cached(
            "SELECT coalesce(sum(size + moved_bytes), 0) FROM intents \
             WHERE space = ?1 AND state = 0",
        )?
        .query_row([intent.space.0], |row| row.get(0))?;
    let available = (quota - used - pending + frees.cast_signed()).max(0);
    if brings.cast_signed() > available {
        return Err(Refusal::OverQuota {
            need: brings,
            available: available.cast_unsigned(),
        });
    }
    Ok(())
}

/// The text under which an answer is stored: an operation belongs to its account.
pub(crate) fn operation_key(account: Option<AccountId>, operation: &str) -> String {
    let account = account.map_or_else(|| "-".to_owned(), |account| account.to_string());
    format!("{account}:{operation}")
}

impl Plan {
    /// True if the bytes of a subtree must be known.
    pub(crate) fn needs_weight(&self) -> bool {
        match self {
            Self::Place { over, .. } => *over == Over::Trash,
            Self::Delete { .. } | Self::Move { .. } => true,
            Self::Props { .. } | Self::Restore { .. } => false,
        }
    }
}

/// The checks of a coming PUT without its bytes; gives the volume that they would go to.
pub(crate) fn precheck(
    tx: &Connection,
    mut request: Request,
    length: u64,
) -> Result<VolumeId, Refusal> {
    let Plan::Place { at, .. } = &request.plan else {
        return Err(Refusal::NotFound);
    };
    let (spotted, _) = walk(tx, at)?.slot(at)?;
    request.seen.target = spotted.fids();
    if let Some(intent) = place(tx, &request)? {
        check_quota(tx, &intent, length)?;
    }
    Ok(spotted.volume)
}
