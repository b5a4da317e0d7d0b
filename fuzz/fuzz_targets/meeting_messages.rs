//! What any node may send to another that it has just met: pings, hellos, lists of services.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::frame::Message;
use protocol::message::presence::{Hello, Ping, Pong};
use protocol::message::services::{Services, ServicesQuery};
use protocol::{SignedRecord, Timestamp};

fuzz_target!(|bytes: &[u8]| {
    // What one machine takes, another one would have sent.
    if let Ok(ping) = Ping::decode(bytes) {
        assert!(ping.encode().is_ok());
    }
    if let Ok(pong) = Pong::decode(bytes) {
        assert!(pong.encode().is_ok());
    }
    if let Ok(hello) = Hello::decode(bytes) {
        assert!(hello.encode().is_ok());
        let _ = hello.record.open(Timestamp(0));
    }
    if let Ok(services) = Services::decode(bytes) {
        assert!(services.encode().is_ok());
    }
    if let Ok(query) = ServicesQuery::decode(bytes) {
        assert!(query.encode().is_ok());
    }
    if let Ok(record) = SignedRecord::decode(bytes) {
        let _ = record.open_at_any_time();
    }
});
