//! Paths of requests and Destination headers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &str| {
    if let Ok(path) = dav::decode_path(value) {
        let mut again = Vec::new();
        for name in &path.names {
            let name = name.as_str();
            assert!(!name.is_empty() && name != "." && name != "..");
            assert!(!name.contains(['/', '\0']));
            again.push(b'/');
            dav::push_encoded(&mut again, name);
        }
        let again = String::from_utf8(again).expect("encoded names are ASCII");
        // Encoding can make it longer than a path may be.
        if !path.names.is_empty() && again.len() <= dav::PATH_BYTES_MAX {
            let read = dav::decode_path(&again).expect("our own encoding is readable");
            assert_eq!(read.names, path.names);
        }
    }
    let _ = dav::Destination::parse(value);
});
