//! Printing into a byte buffer without an allocation for each value: a listing of 10,000 entries
//! prints some 60,000 of them.

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Appends `text` as XML character data or attribute value (in double quotes). Characters that XML
/// 1.0 cannot hold (a file name may have them) are printed as U+FFFD.
pub fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let replacement: &[u8] = match byte {
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'&' => b"&amp;",
            b'"' => b"&quot;",
            b'\r' => b"&#13;",
            0..=8 | 0x0B | 0x0C | 0x0E..=0x1F => "\u{FFFD}".as_bytes(),
            // U+FFFE and U+FFFF are EF BF BE and EF BF BF.
            0xBE | 0xBF if at >= 2 && bytes[at - 2..at] == [0xEF, 0xBF] => {
                out.extend_from_slice(&bytes[done..at - 2]);
                out.extend_from_slice("\u{FFFD}".as_bytes());
                done = at + 1;
                continue;
            }
            _ => continue,
        };
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(replacement);
        done = at + 1;
    }
    out.extend_from_slice(&bytes[done..]);
}

/// Appends a number in decimal.
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = digit(rest % 10);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[expect(clippy::cast_possible_truncation, reason = "a digit is below 10")]
fn digit(value: u64) -> u8 {
    b'0' + value as u8
}

fn push_padded(out: &mut Vec<u8>, number: u64, width: u32) {
    let mut scale = 10u64.pow(width - 1);
    while scale > 0 {
        out.push(digit(number / scale % 10));
        scale /= 10;
    }
}

/// A day of the Gregorian calendar and a time, from seconds since 1970.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    weekday: usize,
    second_of_day: u64,
}

/// First and last second that print with a year of four digits.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

fn civil(seconds: i64) -> Civil {
    let seconds = seconds.clamp(*SECONDS.start(), *SECONDS.end());
    let days = seconds.div_euclid(86_400);
    // Counted from 0000-03-01, so that the leap day ends a year; 400 years have 146,097 days.
    let shifted = (days + 719_468).unsigned_abs();
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    Civil {
        year: era * 400 + year_of_era + u64::from(month <= 2),
        month,
        day: day_of_year - (153 * march_month + 2) / 5 + 1,
        weekday: usize::try_from(days.rem_euclid(7)).unwrap_or(0),
        second_of_day: seconds.rem_euclid(86_400).unsigned_abs(),
    }
}

fn push_time(out: &mut Vec<u8>, second_of_day: u64) {
    push_padded(out, second_of_day / 3600, 2);
    out.push(b':');
    push_padded(out, second_of_day / 60 % 60, 2);
    out.push(b':');
    push_padded(out, second_of_day % 60, 2);
}

/// Appends an IMF-fixdate, the form of `Last-Modified` (RFC 9110 section 5.6.7). Outside of the
/// years 1 to 9999 the nearest is printed.
pub fn push_http_date(out: &mut Vec<u8>, seconds: i64) {
    let date = civil(seconds);
    out.extend_from_slice(WEEKDAYS[date.weekday].as_bytes());
    out.extend_from_slice(b", ");
    push_padded(out, date.day, 2);
    out.push(b' ');
    let month = usize::try_from(date.month - 1).unwrap_or(0);
    out.extend_from_slice(MONTHS[month].as_bytes());
    out.push(b' ');
    push_padded(out, date.year, 4);
    out.push(b' ');
    push_time(out, date.second_of_day);
    out.extend_from_slice(b" GMT");
}

/// Appends `2026-11-24T05:04:00Z`, the form of `creationdate` (RFC 3339).
pub fn push_rfc3339(out: &mut Vec<u8>, seconds: i64) {
    let date = civil(seconds);
    push_padded(out, date.year, 4);
    out.push(b'-');
    push_padded(out, date.month, 2);
    out.push(b'-');
    push_padded(out, date.day, 2);
    out.push(b'T');
    push_time(out, date.second_of_day);
    out.push(b'Z');
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::*;

    fn printed(print: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        print(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_print_as_the_standards_say() {
        assert_eq!(
            printed(|out| push_http_date(out, 784_111_777)),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        assert_eq!(
            printed(|out| push_rfc3339(out, 1_795_496_640)),
            "2026-11-24T05:04:00Z"
        );
        assert_eq!(
            printed(|out| push_rfc3339(out, i64::MAX)),
            "9999-12-31T23:59:59Z"
        );
        assert_eq!(
            printed(|out| push_rfc3339(out, i64::MIN)),
            "0001-01-01T00:00:00Z"
        );
    }

    #[test]
    fn characters_that_xml_cannot_hold_are_replaced() {
        assert_eq!(
            printed(|out| push_escaped(out, "a<b>&\"\r\u{1}\u{FFFF}\u{FFBF}")),
            "a&lt;b&gt;&amp;&quot;&#13;\u{FFFD}\u{FFFD}\u{FFBF}"
        );
    }

    proptest! {
        #[test]
        fn dates_agree_with_httpdate(seconds in 0i64..253_402_300_799) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs());
            prop_assert_eq!(
                printed(|out| push_http_date(out, seconds)),
                httpdate::fmt_http_date(time)
            );
        }

        #[test]
        fn numbers_agree_with_std(number: u64) {
            prop_assert_eq!(printed(|out| push_number(out, number)), number.to_string());
        }

        #[test]
        fn escaped_text_reads_back(text in "[^\0-\u{8}\u{B}\u{C}\u{E}-\u{1F}\u{FFFE}\u{FFFF}]*") {
            let escaped = printed(|out| push_escaped(out, &text));
            prop_assert_eq!(quick_xml::escape::unescape(&escaped).unwrap(), text);
        }
    }
}
