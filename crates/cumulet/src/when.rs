//! Times as people type them: `12h`, `7d`, `2026-12-31`, `2026-12-31T18:00:00Z`.

use std::time::Duration;

use protocol::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// A point in time: a date in UTC, or a span counted by `from` (forward or back from now).
pub(crate) fn parse(text: &str, from: impl Fn(Duration) -> Timestamp) -> Result<Timestamp, String> {
    span(text).map(from).or_else(|| date(text)).ok_or_else(|| {
        format!("`{text}` is no time: write a span such as 30m, 12h, 7d or 4w, a day such as 2026-12-31, or 2026-12-31T18:00:00Z")
    })
}

/// The same for an end: a day counts to its end, as on the pages.
pub(crate) fn parse_end(
    text: &str,
    from: impl Fn(Duration) -> Timestamp,
) -> Result<Timestamp, String> {
    let at = parse(text, from)?;
    let is_day = span(text).is_none() && !text.contains('T');
    Ok(if is_day { at.plus(DAY) } else { at })
}

fn span(text: &str) -> Option<Duration> {
    let unit_s = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    // A thousand years are enough for anybody.
    count
        .checked_mul(unit_s)
        .filter(|s| *s < 1000 * 366 * 86_400)
        .map(Duration::from_secs)
}

fn date(text: &str) -> Option<Timestamp> {
    let (day, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let (year, month, day) = three(day, '-')?;
    let (hour, minute, second) = three(time.strip_suffix('Z')?, ':')?;
    if !(1970..=9999).contains(&year) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date =
        time::Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?)
            .ok()?;
    let seconds = date.midnight().assume_utc().unix_timestamp()
        + i64::from(hour * 3600 + minute * 60 + second);
    Some(Timestamp::from_secs(seconds))
}

fn three(text: &str, separator: char) -> Option<(u32, u32, u32)> {
    let mut parts = text.split(separator).map(|part| part.parse().ok());
    let found = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_day_is_the_last_day() {
        let check = |text, ms| {
            let found = parse_end(text, |span| Timestamp(0).plus(span));
            assert_eq!(found, Ok(Timestamp(ms)), "{text}");
        };
        check("1970-01-02", 2 * 86_400_000);
        check("1970-01-02T00:00:00Z", 86_400_000);
        check("7d", 7 * 86_400_000);
    }

    #[test]
    fn spans_and_dates_are_read() {
        let check = |text, ms| {
            assert_eq!(
                parse(text, |span| Timestamp(0).plus(span)),
                Ok(Timestamp(ms)),
                "{text}"
            )
        };
        check("90s", 90_000);
        check("7d", 7 * 86_400_000);
        check("2w", 14 * 86_400_000);
        check("1970-01-02", 86_400_000);
        check("2026-11-24T05:04:00Z", 1_795_496_640_000);
        for bad in [
            "",
            "7",
            "d",
            "2026-13-01",
            "2026-02-30",
            "2026-01-01T25:00:00Z",
            "99999999999999w",
            "1.5h",
        ] {
            assert!(parse(bad, |_| Timestamp(0)).is_err(), "{bad}");
        }
    }
}
