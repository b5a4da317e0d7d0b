//! Signed node records, and the length of a frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::frame::{LENGTH_BYTES, Message};
use protocol::message::lookup::LookupMessage;
use protocol::{NodeRecord, SignedRecord};

fuzz_target!(|bytes: &[u8]| {
    if let Some(head) = bytes.first_chunk::<LENGTH_BYTES>()
        && let Ok(length) = LookupMessage::length(*head)
    {
        assert!(length <= LookupMessage::BYTES_MAX);
    }
    if let Ok(record) = NodeRecord::decode(bytes) {
        let again = record.encode().expect("what was taken can be sent on");
        assert_eq!(NodeRecord::decode(&again).expect("and is taken there"), record);
    }
    if let Ok(signed) = SignedRecord::decode(bytes) {
        let _ = signed.open_at_any_time();
    }
});
