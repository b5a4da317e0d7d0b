//! TXT records of strangers on the home network.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::announcement::{Announcement, Face, recognize};
use protocol::NodeId;

/// Strings with a length before each (RFC 6763 6.1), as a DNS library hands them on.
fn pairs(mut bytes: &[u8]) -> Vec<(&str, Option<&[u8]>)> {
    let mut pairs = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (string, after) = rest.split_at(rest.len().min(usize::from(*length)));
        let split = string.iter().position(|byte| *byte == b'=');
        let (key, value) = match split {
            Some(at) => (&string[..at], Some(&string[at + 1..])),
            None => (string, None),
        };
        if let Ok(key) = std::str::from_utf8(key) {
            pairs.push((key, value));
        }
        bytes = after;
    }
    pairs
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(announcement) = Announcement::read(pairs(bytes)) else {
        return;
    };
    // What was taken would be announced in a form that is taken again, and fits its strings.
    let said = announcement.pairs();
    assert!(said.iter().all(|(key, value)| key.len() + 1 + value.len() <= 255));
    let said = said.iter().map(|(key, value)| (*key, Some(value.as_slice())));
    assert_eq!(Announcement::read(said).as_ref(), Ok(&announcement));
    if let Face::Hidden { tags } = &announcement.face {
        let _ = recognize(tags, "label", 20_000, [(NodeId([1; 32]), &[2; 32])]);
    }
});
