//! The question before something is removed: asked at a terminal, answered by `--yes` in a script.

use std::io::{self, IsTerminal as _, Write as _};

use node::{Failure, Kind};

use crate::arguments::Consent;

/// Asks, unless `--yes` or `--dry-run` was given. Where nobody can answer, nothing is removed.
pub(super) fn ask(question: &str, given: Consent) -> Result<(), Failure> {
    if given.yes || given.dry_run {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            Kind::Refused,
            "nothing was removed: nobody is there to be asked",
        )
        .hint("`--dry-run` tells what would go, `--yes` removes it without a question"));
    }
    let mut err = io::stderr();
    let _ = write!(err, "{question} [y/N] ");
    let _ = err.flush();
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    if read.is_ok() && answer.trim().eq_ignore_ascii_case("y") {
        return Ok(());
    }
    Err(Failure::new(Kind::Refused, "nothing was removed"))
}
