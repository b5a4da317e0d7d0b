//! JSON for scripts with an app password, mirroring what pages do.

pub(crate) mod device;
pub(crate) mod friends;
pub(crate) mod node;
pub(crate) mod tree;

use crate::call::Call;
use crate::problem::Problem;

/// `?page=N`, from 1 on.
fn page(call: &Call) -> Result<usize, Problem> {
    match call.query()?.get("page") {
        None => Ok(1),
        Some(page) => match page.parse() {
            Ok(page @ 1..=1_000_000) => Ok(page),
            Ok(_) | Err(_) => Err(Problem::bad("page")),
        },
    }
}
