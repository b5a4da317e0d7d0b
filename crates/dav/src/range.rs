//! The Range header (RFC 9110 section 14.2).

/// Most ranges of one request that are answered one by one; more are answered with the whole file,
/// which the standard allows against abuse.
pub const RANGES_MAX: usize = 64;

/// Some bytes of a file, `start..end`, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSpan {
    /// First byte.
    pub start: u64,
    /// One behind the last byte.
    pub end: u64,
}

impl ByteSpan {
    /// Number of bytes; at least 1.
    #[must_use]
    pub fn length(self) -> u64 {
        self.end - self.start
    }
}

/// What a Range header means for a file of a given size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ranges {
    /// It is to be ignored: another unit, unreadable, or abuse. Send everything with 200.
    Whole,
    /// Nothing of it lies inside of the file: 416.
    Unsatisfiable,
    /// These, in the order asked for; at least one. 206.
    Parts(Vec<ByteSpan>),
}

/// Reads a Range header for a file of `size` bytes. Ranges that overlap are joined, so that a reply
/// is never longer than the file and its parts' heads.
#[must_use]
pub fn ranges(value: &str, size: u64) -> Ranges {
    let Some((unit, list)) = value.split_once('=') else {
        return Ranges::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Ranges::Whole;
    }
    let mut parts: Vec<ByteSpan> = Vec::new();
    let mut any = false;
    for (at, spec) in list.split(',').map(str::trim).enumerate() {
        if spec.is_empty() {
            continue;
        }
        if at >= RANGES_MAX {
            return Ranges::Whole;
        }
        any = true;
        match one(spec, size) {
            Some(Some(span)) => parts.push(span),
            Some(None) => {}
            None => return Ranges::Whole,
        }
    }
    if !any {
        return Ranges::Whole;
    }
    if parts.is_empty() {
        return Ranges::Unsatisfiable;
    }
    Ranges::Parts(join(parts))
}

/// One range: `None` if it cannot be read, `Some(None)` if it lies outside.
fn one(spec: &str, size: u64) -> Option<Option<ByteSpan>> {
    let (first, last) = spec.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // A number beyond 64 bits is as good as the largest.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        let suffix = number(last)?.min(size);
        return Some((suffix > 0).then_some(ByteSpan {
            start: size - suffix,
            end: size,
        }));
    }
    let first = number(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if last < first {
        return None;
    }
    Some((first < size).then_some(ByteSpan {
        start: first,
        end: last.saturating_add(1).min(size),
    }))
}

fn join(parts: Vec<ByteSpan>) -> Vec<ByteSpan> {
    let mut sorted = parts.clone();
    sorted.sort_by_key(|span| span.start);
    if sorted.windows(2).all(|pair| pair[0].end <= pair[1].start) {
        return parts;
    }
    let mut joined: Vec<ByteSpan> = Vec::new();
    for span in sorted {
        match joined.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            Some(_) | None => joined.push(span),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: &str, size: u64) -> String {
        match ranges(value, size) {
            Ranges::Whole => "whole".into(),
            Ranges::Unsatisfiable => "416".into(),
            Ranges::Parts(parts) => parts
                .iter()
                .map(|span| format!("{}..{}", span.start, span.end))
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    #[test]
    fn the_examples_of_rfc_9110_are_read() {
        assert_eq!(check("bytes=0-499", 10_000), "0..500");
        assert_eq!(check("bytes=-500", 10_000), "9500..10000");
        assert_eq!(check("bytes=9500-", 10_000), "9500..10000");
        assert_eq!(check("bytes=0-0,-1", 10_000), "0..1 9999..10000");
        assert_eq!(
            check("Bytes= 0-999 , 4500-5499,-1000", 10_000),
            "0..1000 4500..5500 9000..10000"
        );
    }

    #[test]
    fn what_lies_outside_or_cannot_be_read() {
        assert_eq!(check("bytes=10-", 10), "416");
        assert_eq!(check("bytes=-0", 10), "416");
        assert_eq!(check("bytes=0-", 0), "416");
        assert_eq!(check("bytes=5-99999999999999999999999", 10), "5..10");
        assert_eq!(check("bytes=-99999999999999999999999", 10), "0..10");
        for ignored in [
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=5-2",
            "bytes=a-b",
            "lines=1-2",
            "bytes=+1-2",
            "bytes=--1",
        ] {
            assert_eq!(check(ignored, 10), "whole", "{ignored}");
        }
        assert_eq!(check(&format!("bytes={}", "0-0,".repeat(65)), 10), "whole");
    }

    #[test]
    fn overlapping_ranges_are_joined_and_others_keep_their_order() {
        assert_eq!(check("bytes=5-9,0-6", 10), "0..10");
        assert_eq!(check("bytes=8-9,0-1", 10), "8..10 0..2");
    }

    proptest! {
        #[test]
        fn parts_lie_inside_and_sum_to_no_more_than_the_file(
            value in "bytes=([0-9]{0,3}-[0-9]{0,3},?){1,8}", size in 0u64..1000
        ) {
            if let Ranges::Parts(parts) = ranges(&value, size) {
                prop_assert!(!parts.is_empty());
                prop_assert!(parts.iter().all(|p| p.start < p.end && p.end <= size));
                prop_assert!(parts.iter().map(|p| p.length()).sum::<u64>() <= size);
            }
        }
    }
}
