//! What this node and each friend gave each other, by day (R9): bandwidth so far.
//!
//! Whoever moves bytes counts them in memory and hands the sums here about twice a minute; a crash
//! loses what was counted since.

use protocol::{NodeId, Timestamp};
use rusqlite::{Connection, params};

use crate::{Sharing, SharingError};

/// Days that are kept.
pub const LEDGER_DAYS_MAX: i64 = 400;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Bytes of one friend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Sent to it.
    pub given: u64,
    /// Received from it.
    pub taken: u64,
}

/// One day with one friend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayEntry {
    /// Midnight (UTC) at which the day begins.
    pub day: Timestamp,
    /// Its bytes.
    pub tally: Tally,
}

impl Sharing {
    /// Adds bytes to the present day.
    pub fn count_bytes(&self, sums: Vec<(NodeId, Tally)>) -> Result<(), SharingError> {
        if sums.is_empty() {
            return Ok(());
        }
        let day = self.now().0.div_euclid(DAY_MS);
        self.write(move |tx| {
            let mut statement = tx.prepare_cached(
                "INSERT INTO friend_ledger (node, day, given, taken) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (node, day)
                 DO UPDATE SET given = given + excluded.given, taken = taken + excluded.taken",
            )?;
            for (node, tally) in sums {
                let given = i64::try_from(tally.given).unwrap_or(i64::MAX);
                let taken = i64::try_from(tally.taken).unwrap_or(i64::MAX);
                statement.execute(params![&node.0[..], day, given, taken])?;
            }
            Ok(())
        })
    }

    /// The latest `days` days with a friend on which bytes moved, newest first.
    pub fn ledger(&self, node: NodeId, days: u32) -> Result<Vec<DayEntry>, SharingError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT day, given, taken FROM friend_ledger WHERE node = ?1
                 ORDER BY day DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(params![&node.0[..], days], |row| {
                Ok(DayEntry {
                    day: Timestamp(row.get::<_, i64>(0)?.saturating_mul(DAY_MS)),
                    tally: tally(row.get(1)?, row.get(2)?),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// All bytes that are on record with a friend.
    pub fn ledger_total(&self, node: NodeId) -> Result<Tally, SharingError> {
        self.read(|c| {
            Ok(c.query_row(
                "SELECT ifnull(sum(given), 0), ifnull(sum(taken), 0) FROM friend_ledger
                 WHERE node = ?1",
                [&node.0[..]],
                |row| Ok(tally(row.get(0)?, row.get(1)?)),
            )?)
        })
    }
}

fn tally(given: i64, taken: i64) -> Tally {
    Tally {
        given: u64::try_from(given).unwrap_or(0),
        taken: u64::try_from(taken).unwrap_or(0),
    }
}

pub(crate) fn forget(tx: &Connection, now: Timestamp) -> Result<usize, SharingError> {
    let oldest = now.0.div_euclid(DAY_MS) - LEDGER_DAYS_MAX;
    let sql = "DELETE FROM friend_ledger WHERE day < ?1";
    Ok(tx.execute(sql, [oldest])?)
}
