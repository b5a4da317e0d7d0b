//! What a neighbor is worth.

use std::cmp::Reverse;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Of a node that was not measured yet: behind those that are near, before those that are far.
const RTT_UNKNOWN: Duration = Duration::from_millis(150);

/// What a node is worth to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// The owner wants it.
    pub pinned: bool,
    /// It is a friend.
    pub friend: bool,
    /// Round-trip time of its link; `None` if it was never measured.
    pub rtt: Option<Duration>,
    /// How long it has been there without a break.
    pub uptime: Duration,
    /// How busy it says it is, 0 to 100.
    pub load_percent: u8,
}

/// Larger is better: pinned, friend, then near, long there and idle.
pub(super) type Score = (bool, bool, Reverse<u64>);

impl Standing {
    /// A day of uptime halves the round trip, full load doubles it, so a near node that comes and
    /// goes still stands before a far one that stays.
    pub(super) fn score(&self) -> Score {
        let rtt = self.rtt.unwrap_or(RTT_UNKNOWN).as_micros();
        let rtt = u64::try_from(rtt).unwrap_or(u64::MAX);
        let hours = (self.uptime.as_secs() / 3600).min(24);
        let load = u64::from(self.load_percent.min(100));
        let cost = rtt.saturating_mul(100 + load) / (24 + hours);
        (self.pinned, self.friend, Reverse(cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(rtt_ms: u64, hours: u64, load_percent: u8) -> Standing {
        Standing {
            rtt: Some(Duration::from_millis(rtt_ms)),
            uptime: Duration::from_secs(hours * 3600),
            load_percent,
            ..Standing::default()
        }
    }

    fn check(better: Standing, worse: Standing) {
        assert!(better.score() > worse.score(), "{better:?} {worse:?}");
    }

    #[test]
    fn pinned_stands_before_friend_and_friend_before_near() {
        let far = standing(400, 0, 100);
        let near = standing(1, 48, 0);
        let friend = Standing {
            friend: true,
            ..far
        };
        let pinned = Standing {
            pinned: true,
            ..far
        };
        check(friend, near);
        check(pinned, friend);
        check(
            pinned,
            Standing {
                friend: true,
                ..near
            },
        );
    }

    #[test]
    fn near_long_there_and_idle_are_better() {
        check(standing(5, 0, 0), standing(20, 0, 0));
        check(standing(20, 24, 0), standing(20, 0, 0));
        check(standing(20, 0, 0), standing(20, 0, 90));
        check(standing(5, 0, 90), standing(50, 48, 0));
        check(standing(20, 0, 0), Standing::default());
        check(Standing::default(), standing(300, 0, 0));
    }
}
