//! Deciding the conditions of a request and the locks in its way, inside one transaction.
//!
//! RFC 9110 section 13.1 (If-Match, If-None-Match), RFC 4918 section 10.4 (If), sections 6 and 7
//! (what a write lock protects). Conditions come before locks: a request whose condition fails gets 412
//! whether or not the target is locked.

use protocol::{AccountId, Etag, Fid, Timestamp};
use rusqlite::{Connection, Row as SqlRow};

use crate::row::Row;
use crate::walk::{Walk, walk, walk_up};
use crate::{At, ConditionList, Conditions, Files, FilesError, Refusal, Test};

/// One row of `locks`.
#[derive(Debug, Clone)]
pub(crate) struct LockRow {
    pub(crate) token: String,
    pub(crate) fid: Fid,
    pub(crate) exclusive: bool,
    pub(crate) deep: bool,
    pub(crate) owner_xml: String,
    pub(crate) account: AccountId,
    pub(crate) expires: Timestamp,
}

impl LockRow {
    pub(crate) fn decode(row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            token: row.get(0)?,
            fid: Fid(row.get(1)?),
            exclusive: row.get(2)?,
            deep: row.get(3)?,
            owner_xml: row.get(4)?,
            account: AccountId(row.get(5)?),
            expires: Timestamp(row.get(6)?),
        })
    }
}

/// All locks that hold at `now`, on whatever entry.
pub(crate) fn all_locks(tx: &Connection, now: Timestamp) -> rusqlite::Result<Vec<LockRow>> {
    tx.prepare_cached(
        "SELECT token, fid, exclusive, deep, owner_xml, account, expires FROM locks \
         WHERE expires > ?1",
    )?
    .query_map([now.0], LockRow::decode)?
    .collect()
}

/// The resource of a request: the rows from the top down, and whether the last one is the
/// resource itself or the folder that could hold it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) chain: &'a [Row],
    pub(crate) exists: bool,
}

impl Subject<'_> {
    /// The row of the resource itself.
    fn present(&self) -> Option<&Row> {
        self.chain.last().filter(|_| self.exists)
    }

    fn etag(&self) -> Option<Etag> {
        let row = self.present()?;
        Some(Etag {
            fid: row.fid,
            rev: row.rev,
        })
    }

    /// The locks whose scope the resource itself is in.
    pub(crate) fn covering<'l>(&self, locks: &'l [LockRow]) -> Vec<&'l LockRow> {
        let last = self.chain.len() - 1;
        self.scan(locks, |at, lock| lock.deep || (self.exists && at == last))
    }

    /// Locks of depth 0 on the folder above: they protect the list of its members (section 7.4).
    fn membership<'l>(&self, locks: &'l [LockRow]) -> Vec<&'l LockRow> {
        let above = self.chain.len().checked_sub(1 + usize::from(self.exists));
        self.scan(locks, |at, lock| !lock.deep && Some(at) == above)
    }

    fn scan<'l>(
        &self,
        locks: &'l [LockRow],
        wanted: impl Fn(usize, &LockRow) -> bool,
    ) -> Vec<&'l LockRow> {
        let mut found = Vec::new();
        for (at, row) in self.chain.iter().enumerate() {
            found.extend(
                locks
                    .iter()
                    .filter(|lock| lock.fid == row.fid && wanted(at, lock)),
            );
        }
        found
    }
}

/// What a change does to its target, as far as locks are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Content or properties of the resource.
    Itself,
    /// Also the list of members of the folder above.
    Membership,
    /// Also everything below the resource.
    Tree,
}

/// Decides locks and conditions of one request at one instant.
pub(crate) struct Judge<'a> {
    tx: &'a Connection,
    conditions: &'a Conditions,
    locks: Vec<LockRow>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        tx: &'a Connection,
        conditions: &'a Conditions,
        now: Timestamp,
    ) -> Result<Self, FilesError> {
        Ok(Self {
            tx,
            conditions,
            locks: all_locks(tx, now)?,
        })
    }

    /// Refuses if a lock is in the way whose token was not submitted by its own account.
    pub(crate) fn locks(&self, subject: Subject<'_>, touch: Touch) -> Result<(), Refusal> {
        if self.locks.is_empty() {
            return Ok(());
        }
        self.holds_one(&subject.covering(&self.locks), subject)?;
        if touch == Touch::Itself {
            return Ok(());
        }
        self.holds_one(&subject.membership(&self.locks), subject)?;
        if touch == Touch::Membership || !subject.exists {
            return Ok(());
        }
        let below = self.below(subject)?;
        let mut fids: Vec<Fid> = below.iter().map(|lock| lock.fid).collect();
        fids.sort_unstable();
        fids.dedup();
        for fid in fids {
            let on_one: Vec<_> = below.iter().copied().filter(|l| l.fid == fid).collect();
            self.holds_one(&on_one, subject)?;
        }
        Ok(())
    }

    /// Refuses if `If-Match`, `If-Unmodified-Since`, `If-None-Match` or all lists of `If` fail.
    pub(crate) fn conditions(&self, subject: Subject<'_>) -> Result<(), Refusal> {
        let current = subject.etag();
        let failed = Err(Refusal::ConditionFailed {
            current,
            kept_version: false,
        });
        let wanted = self.conditions.if_match.as_ref();
        if wanted.is_some_and(|set| !set.matches(current)) {
            return failed;
        }
        let since = self
            .conditions
            .unmodified_since
            .filter(|_| wanted.is_none());
        if let (Some(since), Some(row)) = (since, subject.present())
            && row.mtime_ns.div_euclid(1_000_000_000) > since
        {
            return failed;
        }
        let unwanted = self.conditions.if_none_match.as_ref();
        if unwanted.is_some_and(|set| set.matches(current)) {
            return failed;
        }
        if self.conditions.lists.is_empty() {
            return Ok(());
        }
        for list in &self.conditions.lists {
            if self.list(list, subject)? {
                return Ok(());
            }
        }
        failed
    }

    fn list(&self, list: &ConditionList, subject: Subject<'_>) -> Result<bool, FilesError> {
        let Some(at) = &list.resource else {
            return Ok(self.tests(list, subject));
        };
        Ok(match walk(self.tx, at)? {
            Walk::Found(spotted) => self.tests(
                list,
                Subject {
                    chain: &spotted.chain,
                    exists: true,
                },
            ),
            Walk::Free(spotted) => self.tests(
                list,
                Subject {
                    chain: &spotted.chain,
                    exists: false,
                },
            ),
            Walk::NoSpace | Walk::NoParent { .. } | Walk::FileInTheWay => self.tests(
                list,
                Subject {
                    chain: &[],
                    exists: false,
                },
            ),
        })
    }

    fn tests(&self, list: &ConditionList, subject: Subject<'_>) -> bool {
        let covering = if subject.chain.is_empty() {
            Vec::new()
        } else {
            subject.covering(&self.locks)
        };
        let etag = subject.etag().map(|etag| etag.to_string());
        list.tests.iter().all(|test| match test {
            Test::Token { not, token } => covering.iter().any(|lock| lock.token == *token) != *not,
            Test::Etag { not, etag: wanted } => (etag.as_ref() == Some(wanted)) != *not,
        })
    }

    /// One lock of a set that protects the same thing must be ours: of shared locks any one.
    fn holds_one(&self, locks: &[&LockRow], subject: Subject<'_>) -> Result<(), Refusal> {
        let ours = |lock: &&LockRow| {
            self.conditions.lock_tokens.contains(&lock.token)
                && self.conditions.account == Some(lock.account)
        };
        let Some(first) = locks.first() else {
            return Ok(());
        };
        if locks.iter().any(ours) {
            return Ok(());
        }
        Err(self.locked(first, subject))
    }

    fn locked(&self, lock: &LockRow, subject: Subject<'_>) -> Refusal {
        let place = |fid: Fid| -> Result<At, FilesError> {
            walk_up(self.tx, fid)?
                .ok_or_else(|| FilesError::Unknown(format!("entry {fid}")))?
                .at()
        };
        let target = subject.chain.last().map_or(lock.fid, |row| row.fid);
        match (place(target), place(lock.fid)) {
            (Ok(at), Ok(token_root)) => Refusal::Locked { at, token_root },
            (Err(error), _) | (_, Err(error)) => Refusal::Internal(error),
        }
    }

    /// The locks on entries below the resource.
    fn below(&self, subject: Subject<'_>) -> Result<Vec<&LockRow>, FilesError> {
        let Some(top) = subject.chain.last() else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for lock in self.locks.iter().filter(|lock| lock.fid != top.fid) {
            if is_below(self.tx, lock.fid, top.fid)? {
                found.push(lock);
            }
        }
        Ok(found)
    }
}

impl Files {
    /// Whether the conditions of a request that only reads hold at this moment; `at` is its resource,
    /// `None` something outside of the tree, which has neither lock nor ETag.
    ///
    /// # Errors
    /// [`Refusal::ConditionFailed`] if they do not.
    pub fn check_conditions(
        &self,
        at: Option<&At>,
        conditions: &Conditions,
    ) -> Result<(), Refusal> {
        let now = self.now();
        self.0.db.read(|tx| {
            let judge = Judge::new(tx, conditions, now)?;
            let found = at.map(|at| walk(tx, at)).transpose()?;
            let (chain, exists) = match &found {
                Some(Walk::Found(spotted)) => (&spotted.chain[..], true),
                Some(Walk::Free(spotted)) => (&spotted.chain[..], false),
                Some(Walk::NoSpace | Walk::NoParent { .. } | Walk::FileInTheWay) | None => {
                    (&[][..], false)
                }
            };
            judge.conditions(Subject { chain, exists })
        })
    }
}

/// True if `fid` lies below `top`.
pub(crate) fn is_below(tx: &Connection, fid: Fid, top: Fid) -> Result<bool, FilesError> {
    use rusqlite::OptionalExtension;
    let mut statement = tx.prepare_cached("SELECT parent FROM entries WHERE fid = ?1")?;
    let mut next = Some(fid.0);
    while let Some(fid) = next {
        if fid == top.0 {
            return Ok(true);
        }
        next = statement
            .query_row([fid], |row| row.get::<_, Option<i64>>(0))
            .optional()?
            .flatten();
    }
    Ok(false)
}

/// Removes the locks on an entry and on all below it (RFC 4918 sections 9.6.1 and 7.5).
pub(crate) fn drop_locks(tx: &Connection, top: Fid) -> Result<(), FilesError> {
    let locked: Vec<i64> = tx
        .prepare_cached("SELECT DISTINCT fid FROM locks")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for fid in locked {
        if is_below(tx, Fid(fid), top)? {
            tx.prepare_cached("DELETE FROM locks WHERE fid = ?1")?
                .execute([fid])?;
        }
    }
    Ok(())
}
