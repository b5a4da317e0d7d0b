//! Whether the wall clock can be believed, asked before anything is removed because it is old.
//!
//! A clock that jumped forward makes everything look old. So the node keeps the last time that it
//! knew in its database and lets it run on with its own uptime. A clock that is more than a day
//! away from that is in doubt until it has run steadily for a day of uptime, until it is back, or
//! until the owner says that it is right. A node that was switched off, or asleep, for longer than a
//! day sees the same and does the same. While the clock is in doubt nothing that is old is removed.
//!
//! Looked at when somebody asks, at a start and at a stop; a node at rest writes nothing for it but
//! at its hourly turn.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use database::{Database, DatabaseError, Migration};
use protocol::{Clock, Timestamp};
use rusqlite::OptionalExtension;

/// For [`Database::open`], area `node`.
pub(crate) const SCHEMA: &[Migration] = &[Migration {
    name: "1 known time",
    sql: "
CREATE TABLE known_time (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    known INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    steady INTEGER
);
",
}];

const DAY_MS: i64 = 24 * 3_600_000;
/// Between two writes while nothing changes but the time.
const WRITE_INTERVAL: Duration = Duration::from_secs(300);

/// All in milliseconds; the first two since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    /// The last time that was believed, and the uptime since then.
    known: i64,
    /// What the clock said last.
    seen: i64,
    /// In doubt: so much uptime has the clock run steadily.
    steady: Option<i64>,
}

impl Line {
    fn believed(now: i64) -> Self {
        Self {
            known: now,
            seen: now,
            steady: None,
        }
    }

    /// The clock says `now`, `passed` of uptime after the last look.
    fn look(self, now: i64, passed: i64) -> Self {
        let near = |time: i64| now.abs_diff(time.saturating_add(passed)) <= DAY_MS.unsigned_abs();
        if near(self.known) {
            return Self::believed(now);
        }
        let steady = match self.steady {
            Some(steady) if near(self.seen) => steady.saturating_add(passed),
            Some(_) | None => 0,
        };
        if steady >= DAY_MS {
            return Self::believed(now);
        }
        Self {
            known: self.known.saturating_add(passed),
            seen: now,
            steady: Some(steady),
        }
    }
}

/// Why the clock is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// The last time that was believed, with the uptime since then.
    pub known: Timestamp,
    /// What the clock says.
    pub now: Timestamp,
    /// Uptime until it is believed if it runs steadily.
    pub left: Duration,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = DAY_MS.unsigned_abs();
        let days = (self.now.0.abs_diff(self.known.0) + day / 2) / day;
        let (way, why) = if self.now.0 > self.known.0 {
            (
                "ahead of",
                "the node was off for long, or the clock is wrong",
            )
        } else {
            ("behind", "the clock is wrong, or was")
        };
        write!(
            f,
            "nothing old is removed: the clock says {}, {days} days {way} the last known time ({}; {why}); \
             it goes on after {} hours of running, or at once with `cumulet trash confirm-clock`",
            self.now,
            self.known,
            self.left.as_secs().div_ceil(3600)
        )
    }
}

struct Looked {
    line: Line,
    at: Instant,
    written: Option<Instant>,
}

/// The last known time of a node.
pub struct KnownTime {
    database: Database,
    clock: Clock,
    looked: Mutex<Looked>,
}

impl KnownTime {
    /// Takes up what the database knows; a new one believes the clock, and an older one that has no
    /// known time yet the last row of its audit log.
    pub(crate) fn open(database: Database, clock: Clock) -> Result<Self, DatabaseError> {
        let now = clock().0;
        let known = database.read(|tx| {
            let kept = tx
                .query_row("SELECT known, seen, steady FROM known_time", [], |row| {
                    Ok(Line {
                        known: row.get(0)?,
                        seen: row.get(1)?,
                        steady: row.get(2)?,
                    })
                })
                .optional()?;
            if kept.is_some() {
                return Ok::<_, DatabaseError>(kept);
            }
            let noted = tx
                .query_row(
                    "SELECT at FROM audit ORDER BY seq DESC LIMIT 1",
                    [],
                    |row| row.get(0).map(Line::believed),
                )
                .optional()?;
            Ok(noted)
        })?;
        let own = Self {
            database,
            clock,
            looked: Mutex::new(Looked {
                line: known.unwrap_or(Line::believed(now)),
                at: Instant::now(),
                written: None,
            }),
        };
        own.doubt()?;
        Ok(own)
    }

    /// Looks at the clock; gives the reason if it is not believed.
    pub fn doubt(&self) -> Result<Option<Doubt>, DatabaseError> {
        let mut looked = self.lock();
        let (now, at) = ((self.clock)().0, Instant::now());
        let passed = at.duration_since(looked.at).as_millis();
        let before = looked.line;
        looked.line = before.look(now, i64::try_from(passed).unwrap_or(i64::MAX));
        looked.at = at;
        let changed = before.steady.is_some() != looked.line.steady.is_some();
        if changed
            || looked
                .written
                .is_none_or(|last| at - last >= WRITE_INTERVAL)
        {
            self.write(&mut looked)?;
        }
        Ok(looked.line.steady.map(|steady| Doubt {
            known: Timestamp(looked.line.known),
            now: Timestamp(now),
            left: Duration::from_millis((DAY_MS - steady).max(0).unsigned_abs()),
        }))
    }

    /// The owner says that the clock is right; gives the doubt that there was.
    pub fn confirm(&self) -> Result<Option<Doubt>, DatabaseError> {
        let doubt = self.doubt()?;
        let mut looked = self.lock();
        looked.line = Line::believed((self.clock)().0);
        looked.at = Instant::now();
        self.write(&mut looked)?;
        Ok(doubt)
    }

    /// Keeps what is known; the node stops.
    pub(crate) fn keep(&self) -> Result<(), DatabaseError> {
        self.doubt()?;
        self.write(&mut self.lock())
    }

    fn write(&self, looked: &mut Looked) -> Result<(), DatabaseError> {
        let line = looked.line;
        self.database.write(move |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO known_time (id, known, seen, steady) VALUES (1, ?1, ?2, ?3)",
                (line.known, line.seen, line.steady),
            )?;
            Ok::<_, DatabaseError>(())
        })?;
        looked.written = Some(looked.at);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    const HOUR: i64 = 3_600_000;
    const START: i64 = 1_800_000_000_000;

    #[test]
    fn a_clock_that_runs_with_the_uptime_is_believed_whatever_small_steps_it_makes() {
        let mut line = Line::believed(START);
        for step in 1..=100 {
            line = line.look(START + step * 2 * HOUR, HOUR);
            assert_eq!(line.steady, None);
        }
        assert_eq!(line.look(line.seen - HOUR, HOUR).steady, None);
    }

    #[test]
    fn a_jump_is_believed_after_a_day_of_steady_uptime_and_not_before() {
        for jump in [40 * DAY_MS, -40 * DAY_MS] {
            let mut now = START + jump;
            let mut line = Line::believed(START).look(now, 0);
            for hour in 0..24 {
                assert_eq!(line.steady, Some(hour * HOUR));
                now += HOUR;
                line = line.look(now, HOUR);
            }
            assert_eq!(line, Line::believed(now));
        }
    }

    #[test]
    fn a_second_jump_begins_the_day_anew_and_a_clock_that_is_back_is_believed_at_once() {
        let line = Line::believed(START).look(START + 40 * DAY_MS, 0);
        let line = line.look(line.seen + 20 * HOUR, 20 * HOUR);
        assert_eq!(line.steady, Some(20 * HOUR));
        assert_eq!(line.look(line.seen + 9 * DAY_MS, HOUR).steady, Some(0));
        let back = START + 22 * HOUR;
        assert_eq!(line.look(back, 2 * HOUR), Line::believed(back));
    }

    #[test]
    fn a_night_switched_off_is_nothing_and_three_weeks_are_a_doubt() {
        assert_eq!(
            Line::believed(START).look(START + 16 * HOUR, 0).steady,
            None
        );
        let line = Line::believed(START).look(START + 21 * DAY_MS, 0);
        assert_eq!(line.steady, Some(0));
    }

    #[test]
    fn the_doubt_outlives_a_restart_until_the_owner_confirms_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(START));
        let open = || {
            let schema = [("sharing", sharing::SCHEMA), ("node", SCHEMA)];
            let database = Database::open(&folder.path().join("catalog.db"), &schema).unwrap();
            let now = Arc::clone(&now);
            let clock: Clock = Arc::new(move || Timestamp(now.load(Ordering::SeqCst)));
            KnownTime::open(database, clock).unwrap()
        };
        assert_eq!(open().doubt().unwrap(), None);
        now.fetch_add(40 * DAY_MS, Ordering::SeqCst);
        for _ in 0..2 {
            let own = open();
            let doubt = own.doubt().unwrap().unwrap();
            assert!((START..START + HOUR).contains(&doubt.known.0), "{doubt}");
            assert!(doubt.to_string().contains("40 days ahead"), "{doubt}");
            own.keep().unwrap();
        }
        assert!(open().confirm().unwrap().is_some());
        assert_eq!(open().doubt().unwrap(), None);
    }
}
