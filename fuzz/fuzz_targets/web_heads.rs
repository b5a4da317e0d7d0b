//! The heads of an HTTP/2 connection, after its preface: `web::` looks for a fragment in `:path`. However
//! the bytes arrive the result is the same, and a second look finds nothing more.
#![no_main]

// The two files need nothing of their crate, which with all below it would take minutes to build.
#[path = "../../crates/web/src/webdav/fragment"]
mod fragment {
    mod hpack;
    pub(super) mod http2;

    pub(crate) fn look(bytes: &mut [u8], at_once: usize) {
        let mut frames = http2::Frames::new();
        for piece in bytes.chunks_mut(at_once.max(1)) {
            frames.look(piece);
        }
    }
}

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (at_once, bytes) = input;
    let mut whole = bytes.to_vec();
    fragment::look(&mut whole, usize::MAX);
    let mut pieces = bytes.to_vec();
    fragment::look(&mut pieces, usize::from(at_once));
    assert_eq!(whole, pieces);
    let mut again = whole.clone();
    fragment::look(&mut again, usize::MAX);
    assert_eq!(whole, again);
});
