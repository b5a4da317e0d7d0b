//! What a stranger may send to a center, a center to a node, and the string that names a center.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::frame::Message;
use protocol::message::center::{CenterAddress, Reply, Request, Statement};
use protocol::{NodeId, Timestamp};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = Request::decode(bytes) {
        // What one machine takes, another one would have sent.
        assert!(request.encode().is_ok());
        if let Request::State(statement) = request {
            let _ = statement.open(&NodeId([1; 32]), Timestamp(0));
        }
    }
    if let Ok(statement) = Statement::decode(bytes) {
        assert!(statement.encode().is_ok());
    }
    if let Ok(reply) = Reply::decode(bytes) {
        assert!(reply.encode().is_ok());
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(address) = text.parse::<CenterAddress>()
    {
        assert_eq!(address.to_string().parse(), Ok(address));
    }
});
