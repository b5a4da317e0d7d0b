//! The If header and its small relatives.
#![no_main]

use dav::{EtagList, IfHeader, Timeout};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &str| {
    if let Ok(header) = IfHeader::parse(value) {
        assert_eq!(IfHeader::parse(&header.to_string()), Ok(header));
    }
    let _ = EtagList::parse("If-Match", value);
    let _ = Timeout::parse(value);
    let _ = dav::lock_token(value);
    let _ = dav::oc_checksum(value);
    let _ = dav::oc_mtime(value);
    let _ = dav::wants_minimal(Some(value), Some(value));
});
