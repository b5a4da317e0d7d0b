//! Pairing messages and tickets of strangers: no panic, and what is read prints as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::frame::Message;
use protocol::message::pair::{Question, Reply, Ticket};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(question) = Question::decode(bytes) {
        let again = question.encode().expect("what was read can be sent");
        assert_eq!(Question::decode(&again).expect("it is a message"), question);
    }
    if let Ok(reply) = Reply::decode(bytes) {
        let again = reply.encode().expect("what was read can be sent");
        assert_eq!(Reply::decode(&again).expect("it is a message"), reply);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(ticket) = text.parse::<Ticket>()
    {
        assert_eq!(ticket.to_string().parse(), Ok(ticket));
    }
    if let Ok(rows) = dav::read_listing(bytes) {
        assert!(rows.len() <= bytes.len());
    }
});
