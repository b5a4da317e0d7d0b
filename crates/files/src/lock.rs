//! Locks of class 2 (RFC 4918 sections 6, 7, 9.10): shared and exclusive, on one entry or with all
//! below, kept in the catalog, so they outlive a restart.

use std::sync::Arc;
use std::time::Duration;

use protocol::{AccountId, Etag, Fid, Timestamp};
use rusqlite::Connection;

use crate::commit::Job;
use crate::conditions::{Judge, LockRow, Subject, all_locks, is_below};
use crate::decide::{Over, Plan};
use crate::record::Recorder;
use crate::row::PLACEHOLDER;
use crate::walk::{Spotted, walk, walk_up};
use crate::{Action, At, Author, Conditions, EtagSet, Expect, Files, FilesError, Kind, Refusal};

/// Life of a lock whose client asks for none.
pub const LOCK_DEFAULT: Duration = Duration::from_secs(600);

/// Longest life of a lock; `Infinite` is clipped to it.
pub const LOCK_MAX: Duration = Duration::from_secs(3600);

/// Shortest life of a lock.
pub const LOCK_MIN: Duration = Duration::from_secs(1);

/// Longest `owner` element in bytes.
pub const LOCK_OWNER_BYTES_MAX: usize = 8192;

/// A request for a new lock.
#[derive(Debug, Clone)]
pub struct LockRequest {
    /// What to lock; a free name becomes a placeholder.
    pub at: At,
    /// Exclusive, else shared.
    pub exclusive: bool,
    /// With all below (`Depth: infinity`).
    pub deep: bool,
    /// The `owner` element as sent; at most [`LOCK_OWNER_BYTES_MAX`].
    pub owner_xml: String,
    /// Clipped to [`LOCK_MIN`]`..=`[`LOCK_MAX`].
    pub timeout: Duration,
    /// Whose it shall be.
    pub account: AccountId,
    /// What must hold.
    pub conditions: Conditions,
}

/// A lock that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockInfo {
    /// `urn:uuid:…`.
    pub token: String,
    /// Its root.
    pub root: At,
    /// The entry at its root.
    pub fid: Fid,
    /// Exclusive, else shared.
    pub exclusive: bool,
    /// With all below.
    pub deep: bool,
    /// The `owner` element as sent.
    pub owner_xml: String,
    /// Whose it is.
    pub account: AccountId,
    /// When it ends.
    pub expires: Timestamp,
}

impl Files {
    /// Locks an entry, or a free name; the second value tells that a placeholder was made (201).
    ///
    /// # Errors
    /// [`Refusal::Locked`] if another lock conflicts (RFC 4918 section 6.2), `BadName` if the owner
    /// element is too long.
    pub fn lock(&self, author: &Author, request: LockRequest) -> Result<(LockInfo, bool), Refusal> {
        if request.owner_xml.len() > LOCK_OWNER_BYTES_MAX {
            return Err(Refusal::TooManyProps(format!(
                "the owner of the lock has {} bytes, the limit is {LOCK_OWNER_BYTES_MAX}",
                request.owner_xml.len()
            )));
        }
        self.index_on_the_way(&request.at)?;
        let (_, exists) = self
            .0
            .db
            .read(|tx| walk(tx, &request.at)?.slot(&request.at))?;
        let mut conditions = request.conditions.clone();
        let made = !exists && self.make_placeholder(author, &request)?;
        if made {
            // They held for the free name; the placeholder has an ETag that nobody knows.
            conditions = Conditions {
                lock_tokens: conditions.lock_tokens,
                account: conditions.account,
                ..Conditions::default()
            };
        }
        let token = new_token()?;
        let (author, now) = (author.clone(), self.now());
        let witness = Arc::clone(&self.0.witness);
        let info = self.0.db.write(move |tx| {
            let spotted = walk(tx, &request.at)?.found(&request.at)?;
            let subject = Subject {
                chain: &spotted.chain,
                exists: true,
            };
            Judge::new(tx, &conditions, now)?.conditions(subject)?;
            check_conflicts(tx, &spotted, &request, now)?;
            let lock = LockRow {
                token,
                fid: spotted.row().fid,
                exclusive: request.exclusive,
                deep: request.deep && spotted.row().kind == Kind::Folder,
                owner_xml: request.owner_xml,
                account: request.account,
                expires: now.plus(request.timeout.clamp(LOCK_MIN, LOCK_MAX)),
            };
            insert(tx, &lock)?;
            let recorder = Recorder::new(tx, witness.as_ref(), now);
            recorder.fact(
                &author,
                Action::Lock,
                spotted.row().space,
                lock.fid,
                &request.at.path.to_string(),
                Some(spotted.row().rev),
                None,
            )?;
            info(tx, lock)?.ok_or(Refusal::NotFound)
        })?;
        Ok((info, made))
    }

    /// Puts an empty entry under a free name; false if somebody was quicker.
    fn make_placeholder(&self, author: &Author, request: &LockRequest) -> Result<bool, Refusal> {
        let staged = self.stage(&request.at)?.finish(Expect::default())?;
        let plan = Plan::Place {
            at: request.at.clone(),
            what: staged.facts(None)?,
            over: Over::Refuse,
            action: Action::Create,
            subject: None,
            copy_of: None,
            placeholder: true,
        };
        let job = Job {
            plan,
            staged: Some(staged),
            conditions: request.conditions.clone(),
            operation: None,
        };
        match self.single(author, job) {
            Ok(_) => Ok(true),
            Err(Refusal::Exists) => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }

    /// Starts the life of the lock `token` on `at` (its root or below) again.
    ///
    /// # Errors
    /// [`Refusal::ConditionFailed`] if `at` is not in the scope of such a lock of the account.
    pub fn refresh_lock(
        &self,
        token: &str,
        at: &At,
        account: AccountId,
        timeout: Duration,
        conditions: &Conditions,
    ) -> Result<LockInfo, Refusal> {
        let (token, at, conditions) = (token.to_owned(), at.clone(), conditions.clone());
        let now = self.now();
        self.0.db.write(move |tx| {
            let (spotted, mut lock) = in_scope(tx, &at, &token, now)?;
            if lock.account != account {
                return Err(Refusal::ConditionFailed {
                    current: None,
                    kept_version: false,
                });
            }
            let subject = Subject {
                chain: &spotted.chain,
                exists: true,
            };
            Judge::new(tx, &conditions, now)?.conditions(subject)?;
            lock.expires = now.plus(timeout.clamp(LOCK_MIN, LOCK_MAX));
            tx.prepare_cached("UPDATE locks SET expires = ?2 WHERE token = ?1")?
                .execute((&lock.token, lock.expires.0))?;
            info(tx, lock)?.ok_or(Refusal::NotFound)
        })
    }

    /// Ends a lock of the author's own account. [`Refusal::ConditionFailed`] if `at` is not in the
    /// scope of `token` (409 with `lock-token-matches-request-uri`), [`Refusal::Locked`] if it is
    /// someone else's. A placeholder that is still empty goes with its last lock.
    pub fn unlock(&self, author: &Author, at: &At, token: &str) -> Result<(), Refusal> {
        let now = self.now();
        let (at, token, by) = (at.clone(), token.to_owned(), author.clone());
        let witness = Arc::clone(&self.0.witness);
        let fid = self.0.db.write(move |tx| {
            let (spotted, lock) = in_scope(tx, &at, &token, now)?;
            if by.account != Some(lock.account) {
                let root = info(tx, lock)?.map_or_else(|| at.clone(), |lock| lock.root);
                return Err(Refusal::Locked {
                    at,
                    token_root: root,
                });
            }
            remove(tx, &token)?;
            Recorder::new(tx, witness.as_ref(), now).fact(
                &by,
                Action::Unlock,
                spotted.row().space,
                lock.fid,
                &at.path.to_string(),
                None,
                None,
            )?;
            Ok(lock.fid)
        })?;
        self.drop_placeholder(fid)?;
        Ok(())
    }

    /// Ends anyone's lock; the rim lets only the owner of the space do it.
    pub fn break_lock(&self, author: &Author, token: &str) -> Result<(), Refusal> {
        let now = self.now();
        let (token, by) = (token.to_owned(), author.clone());
        let witness = Arc::clone(&self.0.witness);
        let fid = self.0.db.write(move |tx| {
            let lock = all_locks(tx, now)?
                .into_iter()
                .find(|lock| lock.token == token)
                .ok_or(Refusal::NotFound)?;
            let spotted = walk_up(tx, lock.fid)?.ok_or(Refusal::NotFound)?;
            remove(tx, &token)?;
            Recorder::new(tx, witness.as_ref(), now).fact(
                &by,
                Action::BreakLock,
                spotted.row().space,
                lock.fid,
                &spotted.at()?.path.to_string(),
                None,
                None,
            )?;
            Ok::<_, Refusal>(lock.fid)
        })?;
        self.drop_placeholder(fid)?;
        Ok(())
    }

    /// The locks on an entry, its own and those of folders above that reach down to it.
    pub fn locks_on(&self, fid: Fid) -> Result<Vec<LockInfo>, FilesError> {
        let now = self.now();
        self.0.db.read(|tx| {
            let locks = all_locks(tx, now)?;
            if locks.is_empty() {
                return Ok(Vec::new());
            }
            let Some(spotted) = walk_up(tx, fid)? else {
                return Ok(Vec::new());
            };
            let subject = Subject {
                chain: &spotted.chain,
                exists: true,
            };
            let mut infos = Vec::new();
            for lock in subject.covering(&locks) {
                infos.extend(info(tx, lock.clone())?);
            }
            Ok(infos)
        })
    }

    /// Removes expired locks and placeholders that are still empty; gives the number of locks.
    pub fn expire_locks(&self) -> Result<usize, FilesError> {
        let now = self.now();
        // Asked first, so that a node at rest writes nothing.
        let any: bool = self.0.db.read(|tx| {
            let sql = "SELECT EXISTS (SELECT 1 FROM locks WHERE expires <= ?1)";
            let any = tx.prepare_cached(sql)?.query_row([now.0], |row| row.get(0));
            Ok::<_, FilesError>(any?)
        })?;
        let expired: Vec<Fid> = if !any {
            Vec::new()
        } else {
            self.0.db.write(move |tx| {
                let mut statement =
                    tx.prepare_cached("DELETE FROM locks WHERE expires <= ?1 RETURNING fid")?;
                let rows = statement.query_map([now.0], |row| row.get(0).map(Fid))?;
                Ok::<_, FilesError>(rows.collect::<Result<_, _>>()?)
            })?
        };
        // Also those whose removal a crash prevented.
        let empty: Vec<Fid> = self.0.db.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT fid FROM entries WHERE flags & 1 AND parent IS NOT NULL \
                 AND created <= ?1 AND fid NOT IN (SELECT fid FROM locks)",
            )?;
            let old = now.minus(LOCK_MIN);
            let rows = statement.query_map([old.0], |row| row.get(0).map(Fid))?;
            Ok::<_, FilesError>(rows.collect::<Result<_, _>>()?)
        })?;
        for fid in empty {
            match self.drop_placeholder(fid) {
                Ok(()) | Err(Refusal::Busy) => {}
                Err(refusal) => {
                    tracing::warn!(%refusal, %fid, "an empty placeholder stays");
                }
            }
        }
        Ok(expired.len())
    }

    /// Removes an entry that a lock made, if it is still empty and no lock is left on it.
    fn drop_placeholder(&self, fid: Fid) -> Result<(), Refusal> {
        let now = self.now();
        let found = self.0.db.read(|tx| {
            let locked = all_locks(tx, now)?.iter().any(|lock| lock.fid == fid);
            let spotted = walk_up(tx, fid)?;
            Ok::<_, FilesError>(spotted.filter(|s| !locked && s.row().is(PLACEHOLDER)))
        })?;
        let Some(spotted) = found else {
            return Ok(());
        };
        let row = spotted.row();
        let job = Job {
            plan: Plan::Delete { at: spotted.at()? },
            staged: None,
            conditions: Conditions {
                if_match: Some(EtagSet::OneOf(vec![Etag { fid, rev: row.rev }])),
                ..Conditions::default()
            },
            operation: None,
        };
        match self.single(&Author::lock_expiry(), job) {
            Ok(done) => match done.trash_id {
                // There is nothing in it that anyone could miss.
                Some(id) => Ok(self.purge(id)?),
                None => Ok(()),
            },
            Err(Refusal::NotFound | Refusal::ConditionFailed { .. } | Refusal::Locked { .. }) => {
                Ok(())
            }
            Err(refusal) => Err(refusal),
        }
    }
}

fn new_token() -> Result<String, FilesError> {
    let mut bits = [0_u8; 16];
    getrandom::fill(&mut bits).map_err(|_| FilesError::Random)?;
    // Version 4, variant 1 (RFC 9562 section 5.4).
    bits[6] = bits[6] & 0x0f | 0x40;
    bits[8] = bits[8] & 0x3f | 0x80;
    let hex = bits.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write;
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    Ok(format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}

/// A lock as others see it; `None` if its root is gone.
pub(crate) fn info(tx: &Connection, lock: LockRow) -> Result<Option<LockInfo>, FilesError> {
    let Some(spotted) = walk_up(tx, lock.fid)? else {
        return Ok(None);
    };
    Ok(Some(LockInfo {
        root: spotted.at()?,
        token: lock.token,
        fid: lock.fid,
        exclusive: lock.exclusive,
        deep: lock.deep,
        owner_xml: lock.owner_xml,
        account: lock.account,
        expires: lock.expires,
    }))
}

fn insert(tx: &Connection, lock: &LockRow) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO locks (token, fid, exclusive, deep, owner_xml, account, expires) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        &lock.token,
        lock.fid.0,
        lock.exclusive,
        lock.deep,
        &lock.owner_xml,
        lock.account.0,
        lock.expires.0,
    ))?;
    Ok(())
}

fn remove(tx: &Connection, token: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM locks WHERE token = ?1")?
        .execute([token])?;
    Ok(())
}

/// The lock `token` if `at` is its root or lies in its depth.
fn in_scope(
    tx: &Connection,
    at: &At,
    token: &str,
    now: Timestamp,
) -> Result<(Spotted, LockRow), Refusal> {
    let spotted = walk(tx, at)?.found(at)?;
    let locks = all_locks(tx, now)?;
    let subject = Subject {
        chain: &spotted.chain,
        exists: true,
    };
    let covering = subject.covering(&locks);
    let lock = covering.into_iter().find(|lock| lock.token == token);
    let lock = lock.cloned().ok_or(Refusal::ConditionFailed {
        current: None,
        kept_version: false,
    })?;
    Ok((spotted, lock))
}

/// An exclusive lock tolerates no other in its scope, a shared one no exclusive (section 6.2).
fn check_conflicts(
    tx: &Connection,
    spotted: &Spotted,
    request: &LockRequest,
    now: Timestamp,
) -> Result<(), Refusal> {
    let locks = all_locks(tx, now)?;
    let conflicts = |lock: &LockRow| request.exclusive || lock.exclusive;
    let subject = Subject {
        chain: &spotted.chain,
        exists: true,
    };
    let mut against = subject
        .covering(&locks)
        .into_iter()
        .find(|lock| conflicts(lock));
    if against.is_none() && request.deep {
        for lock in locks.iter().filter(|lock| conflicts(lock)) {
            if is_below(tx, lock.fid, spotted.row().fid)? {
                against = Some(lock);
            }
        }
    }
    match against {
        None => Ok(()),
        Some(lock) => Err(Refusal::Locked {
            at: request.at.clone(),
            token_root: info(tx, lock.clone())?
                .map_or_else(|| request.at.clone(), |lock| lock.root),
        }),
    }
}
