//! Growing delays after wrong secrets, kept in the database so that a restart forgives nothing.
//!
//! A delay holds for one subject (account, link) seen from one network (/24 or /56), and for one
//! network as a whole with a short limit. There is no counter over all networks: it would let any
//! stranger lock everybody out. Existing sessions, app passwords and remembered credentials are
//! not delayed.
//!
//! A try is counted before the secret is checked and taken back when it was right, so that a
//! thousand guesses at once are not one guess.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use protocol::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// What is guessed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A password of one account, from one network.
    Password,
    /// A password of any account, from one network.
    Network,
    /// A second factor of one account, from one network.
    Code,
    /// A 6-digit code of one account from anywhere: only reached with the right password, and
    /// recovery codes go past it.
    CodeAnywhere,
    /// The password of one link, from one network.
    Link,
}

struct Rule {
    name: &'static str,
    /// Wrong tries without a delay.
    free: u32,
    /// The longest delay.
    delay_max: Duration,
    /// Forgotten after this long without a wrong try.
    memory: Duration,
}

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 3600;

impl Kind {
    const ALL: [Self; 5] = [
        Self::Password,
        Self::Network,
        Self::Code,
        Self::CodeAnywhere,
        Self::Link,
    ];

    fn rule(self) -> Rule {
        let rule = |name, free, delay_max_s, memory_s| Rule {
            name,
            free,
            delay_max: Duration::from_secs(delay_max_s),
            memory: Duration::from_secs(memory_s),
        };
        match self {
            Self::Password => rule("password", 4, 15 * MINUTE, DAY),
            Self::Network => rule("network", 30, MINUTE, DAY / 24),
            Self::Code => rule("code", 4, 15 * MINUTE, DAY),
            Self::CodeAnywhere => rule("code-anywhere", 30, MINUTE, DAY),
            Self::Link => rule("link", 4, 15 * MINUTE, 30 * DAY),
        }
    }
}

impl Rule {
    /// 0 for the free tries, then 1 s, 2 s, 4 s, … up to the longest.
    fn delay(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(over) => Duration::from_secs(1 << over.min(20)).min(self.delay_max),
        }
    }
}

/// One guess: at what, from where.
#[derive(Debug, Clone)]
pub(crate) struct Guess {
    pub(crate) kind: Kind,
    pub(crate) subject: Vec<u8>,
    pub(crate) network: String,
}

impl Guess {
    pub(crate) fn new(kind: Kind, subject: &[u8], address: IpAddr) -> Self {
        let (subject, network) = match kind {
            Kind::Network => (Vec::new(), network_of(address)),
            Kind::CodeAnywhere => (subject.to_vec(), String::new()),
            Kind::Password | Kind::Code | Kind::Link => (subject.to_vec(), network_of(address)),
        };
        Self {
            kind,
            subject,
            network,
        }
    }
}

/// The /24 of an IPv4 address, the /56 of an IPv6 address.
pub(crate) fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let prefix = Ipv6Addr::from_bits(v6.to_bits() >> 72 << 72);
            format!("{prefix}/56")
        }
    }
}

/// Counts a try for each guess if none of them must wait; else says how long, and counts nothing.
pub(crate) fn begin(
    tx: &Connection,
    now: Timestamp,
    guesses: &[Guess],
) -> Result<Result<(), Duration>, rusqlite::Error> {
    let mut wait = Duration::ZERO;
    for guess in guesses {
        wait = wait.max(must_wait(tx, now, guess)?);
    }
    if !wait.is_zero() {
        return Ok(Err(wait));
    }
    let mut statement = tx.prepare_cached(
        "INSERT INTO throttle (kind, subject, network, failures, last) VALUES (?1, ?2, ?3, 1, ?4)
         ON CONFLICT DO UPDATE SET failures = failures + 1, last = ?4",
    )?;
    for guess in guesses {
        let name = guess.kind.rule().name;
        statement.execute(params![name, guess.subject, guess.network, now.0])?;
    }
    Ok(Ok(()))
}

fn must_wait(tx: &Connection, now: Timestamp, guess: &Guess) -> Result<Duration, rusqlite::Error> {
    let rule = guess.kind.rule();
    let key = params![rule.name, guess.subject, guess.network];
    let row: Option<(u32, i64)> = tx
        .prepare_cached(
            "SELECT failures, last FROM throttle WHERE kind = ?1 AND subject = ?2 AND network = ?3",
        )?
        .query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((failures, last)) = row else {
        return Ok(Duration::ZERO);
    };
    let last = Timestamp(last);
    if now.since(last) > rule.memory {
        tx.execute(
            "DELETE FROM throttle WHERE kind = ?1 AND subject = ?2 AND network = ?3",
            key,
        )?;
        return Ok(Duration::ZERO);
    }
    // The clock was set back: the delay starts anew, or it would last until the old time.
    if last > now {
        tx.execute(
            "UPDATE throttle SET last = ?4 WHERE kind = ?1 AND subject = ?2 AND network = ?3",
            params![rule.name, guess.subject, guess.network, now.0],
        )?;
    }
    Ok(rule
        .delay(failures)
        .saturating_sub(now.since(last.min(now))))
}

/// The secret was right: the counters of this subject fall to zero. The network's own counter
/// only loses this one try, so that a guesser with an account of their own gains nothing.
pub(crate) fn succeed(tx: &Connection, guesses: &[Guess]) -> Result<(), rusqlite::Error> {
    for guess in guesses {
        let key = params![guess.kind.rule().name, guess.subject, guess.network];
        let sql = match guess.kind {
            Kind::Network => {
                "UPDATE throttle SET failures = failures - 1
                 WHERE kind = ?1 AND subject = ?2 AND network = ?3"
            }
            Kind::Password | Kind::Code | Kind::CodeAnywhere | Kind::Link => {
                "DELETE FROM throttle WHERE kind = ?1 AND subject = ?2 AND network = ?3"
            }
        };
        tx.prepare_cached(sql)?.execute(key)?;
        tx.prepare_cached(
            "DELETE FROM throttle
             WHERE kind = ?1 AND subject = ?2 AND network = ?3 AND failures <= 0",
        )?
        .execute(key)?;
    }
    Ok(())
}

/// Counters kept; beyond it those unused for the longest time are forgotten early.
const COUNTERS_MAX: u32 = 100_000;

/// Removes what is forgotten anyway.
pub(crate) fn forget(tx: &Connection, now: Timestamp) -> Result<usize, rusqlite::Error> {
    let mut gone = 0;
    for kind in Kind::ALL {
        let rule = kind.rule();
        gone += tx.execute(
            "DELETE FROM throttle WHERE kind = ?1 AND last < ?2",
            params![rule.name, now.minus(rule.memory).0],
        )?;
    }
    gone += tx.execute(
        "DELETE FROM throttle WHERE last <
           (SELECT last FROM throttle ORDER BY last DESC LIMIT 1 OFFSET ?1)",
        [COUNTERS_MAX],
    )?;
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_24_and_56_bits() {
        let check = |address: &str, network: &str| {
            assert_eq!(network_of(address.parse().unwrap()), network);
        };
        check("192.0.2.77", "192.0.2.0/24");
        check("::ffff:192.0.2.77", "192.0.2.0/24");
        check("2001:db8:1:2ff:3::4", "2001:db8:1:200::/56");
        check("::1", "::/56");
    }

    #[test]
    fn delays_grow_to_a_limit() {
        let rule = Kind::Password.rule();
        let seconds: Vec<u64> = (0..9).map(|n| rule.delay(n).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 0, 0, 1, 2, 4, 8, 16]);
        assert_eq!(rule.delay(u32::MAX).as_secs(), 900);
        assert_eq!(Kind::Network.rule().delay(u32::MAX).as_secs(), 60);
    }
}
