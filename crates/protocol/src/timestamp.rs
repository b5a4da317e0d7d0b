//! Instants of the wall clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z; may jump, so nothing orders events by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// Tells the present; the composition root supplies the real one, tests a virtual one.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

impl Timestamp {
    /// The instant `seconds` after the epoch; saturates.
    #[must_use]
    pub fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant moved by `later`; saturates.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// This instant moved back by `earlier`; saturates.
    #[must_use]
    pub fn minus(self, earlier: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(earlier.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero if the clock was set back in between.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-24T05:04:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        match time::OffsetDateTime::from_unix_timestamp_nanos(nanos) {
            Ok(t) => write!(
                f,
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                t.year(),
                u8::from(t.month()),
                t.day(),
                t.hour(),
                t.minute(),
                t.second(),
                t.millisecond()
            ),
            Err(_) => write!(f, "@{}ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339() {
        assert_eq!(
            Timestamp(1_795_496_640_123).to_string(),
            "2026-11-24T05:04:00.123Z"
        );
        assert_eq!(Timestamp(i64::MAX).to_string(), "@9223372036854775807ms");
    }

    #[test]
    fn a_clock_set_back_gives_zero() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }
}
