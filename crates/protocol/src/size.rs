//! Sizes in bytes, read and printed the way people write them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no size: write a number and a unit, such as 500GB, 1.5TiB or 4096")]
pub struct SizeError(String);

const UNITS: [(&str, u64); 10] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("", 1),
];

impl FromStr for ByteSize {
    type Err = SizeError;

    /// Reads `500GB` (powers of 1000), `1.5 GiB` (powers of 1024) or a plain number of bytes.
    fn from_str(text: &str) -> Result<Self, SizeError> {
        let bad = || SizeError(text.chars().take(40).collect());
        let text_end = text.trim().find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = text.trim().split_at(text_end.unwrap_or(text.trim().len()));
        let unit = unit.trim().to_ascii_lowercase();
        let (_, factor) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(bad)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if fraction.is_empty() || fraction.len() > 9 {
            return Err(bad());
        }
        let whole: u64 = whole.parse().map_err(|_| bad())?;
        let scale = 10u128.pow(u32::try_from(fraction.len()).map_err(|_| bad())?);
        let fraction: u128 = fraction.parse().map_err(|_| bad())?;
        let bytes =
            u128::from(whole) * u128::from(*factor) + fraction * u128::from(*factor) / scale;
        // SQLite holds signed 64-bit numbers.
        u64::try_from(bytes)
            .ok()
            .filter(|b| i64::try_from(*b).is_ok())
            .map(Self)
            .ok_or_else(bad)
    }
}

impl ByteSize {
    /// The size as it was chosen, such as a quota: `200 GB`, `64 KiB`, and bytes where no unit
    /// divides it. Reads back as the same size.
    #[must_use]
    pub fn exact(self) -> String {
        let names = ["TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB"];
        let shortest = names
            .into_iter()
            .filter_map(|name| {
                let (_, factor) = UNITS
                    .iter()
                    .find(|(unit, _)| unit.eq_ignore_ascii_case(name))?;
                let fits = self.0 >= *factor && self.0.is_multiple_of(*factor);
                fits.then(|| (self.0 / factor, name))
            })
            .min_by_key(|(count, _)| *count);
        match shortest {
            Some((count, name)) => format!("{count} {name}"),
            None => format!("{} B", self.0),
        }
    }
}

impl fmt::Display for ByteSize {
    /// At most three significant digits and a unit of thousands, as on the label of a disk and in
    /// most file managers: `0 B`, `999 B`, `1.5 GB`.
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        for unit in ["B", "kB", "MB", "GB", "TB"] {
            if value < 999.5 || unit == "TB" {
                let digits = usize::from(unit != "B" && value < 9.95);
                return write!(f, "{value:.digits$} {unit}");
            }
            value /= 1000.0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let check = |text: &str, bytes| assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        check("4096", 4096);
        check("500GB", 500_000_000_000);
        check("1.5 GiB", 1_610_612_736);
        check("10 mib", 10_485_760);
        for bad in ["", "GB", "1.GB", "-1", "1 XB", "9999999999TB", "1.5.5GB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_print_short() {
        let check = |bytes, text: &str| assert_eq!(ByteSize(bytes).to_string(), text);
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "1.0 kB");
        check(1_610_612_736, "1.6 GB");
        check(200_000_000_000, "200 GB");
        check(999_600, "1.0 MB");
    }

    #[test]
    fn a_chosen_size_is_shown_as_it_was_chosen() {
        let check = |text: &str, shown: &str| {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.exact(), shown, "{text}");
            assert_eq!(shown.parse(), Ok(size), "{shown}");
        };
        check("200GB", "200 GB");
        check("64 KiB", "64 KiB");
        check("1.5TiB", "1536 GiB");
        check("1000000", "1 MB");
        check("12345", "12345 B");
        check("0", "0 B");
    }
}
