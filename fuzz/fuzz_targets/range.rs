//! Range, If-Range and Content-Range; the first eight bytes are the size of the file.
#![no_main]

use dav::{IfRange, Ranges};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &str)| {
    let (size, value) = input;
    if let Ranges::Parts(parts) = dav::ranges(value, size) {
        assert!(!parts.is_empty());
        assert!(
            parts
                .iter()
                .all(|part| part.start < part.end && part.end <= size)
        );
        let total: u128 = parts.iter().map(|part| u128::from(part.length())).sum();
        assert!(total <= u128::from(size));
    }
    let _ = IfRange::parse(value);
    let _ = dav::content_range(value);
});
