//! WebDAV (RFC 4918).

use crate::call::{Answer, Call};
use crate::problem::{Fault, Problem};

/// Answers every method of the `/dav` rows.
pub(crate) async fn handle(call: Call) -> Answer {
    let _ = call;
    Err(Problem::new(Fault::Busy))
}
