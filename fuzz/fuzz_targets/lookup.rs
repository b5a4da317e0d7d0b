//! Messages of the lookup group.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::frame::Message;
use protocol::message::lookup::{Answer, LookupMessage};

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = LookupMessage::decode(bytes) else {
        return;
    };
    let again = message.encode().expect("what was taken can be sent on");
    assert_eq!(LookupMessage::decode(&again).expect("and is taken there"), message);
    if let LookupMessage::Reply(reply) = message
        && let Answer::Cards { cards, .. } = reply.answer
    {
        let _ = cards.open(reply.qid);
    }
});
