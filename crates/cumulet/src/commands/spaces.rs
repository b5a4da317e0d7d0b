//! `space`: whose files lie where, and what removed people left.

use node::Failure;
use serde_json::json;

use super::{Outcome, consent};
use crate::arguments::Space;
use crate::console::Console;
use crate::print::{cell, table};

/// Purging cannot be taken back: a terminal is asked, a script says `--yes`.
pub(super) fn confirm(wish: &Space) -> Result<(), Failure> {
    match wish {
        Space::Purge { name, consent } => consent::ask(
            &format!("Remove all files, versions and trash of the space {name} for good?"),
            *consent,
        ),
        Space::List | Space::Give { .. } => Ok(()),
    }
}

pub(super) async fn space(console: &Console, wish: Space) -> Result<Outcome, Failure> {
    match wish {
        Space::List => {
            let spaces = console.get("/v1/spaces").await?["spaces"].take();
            let columns = [
                ("space", "name"),
                ("state", "state"),
                ("person", "person"),
                ("used", "used_bytes"),
                ("in trash and versions", "kept_bytes"),
                ("folder", "folder"),
            ];
            let text = table(&spaces, &columns, "no spaces yet");
            Ok(Outcome::new(spaces, text))
        }
        Space::Give { name, to } => {
            let body = json!({ "name": name, "to": to });
            let answer = console.post("/v1/spaces/give", body).await?;
            let text = format!("{to} has the space {name} now, beside their own");
            Ok(Outcome::new(answer, text))
        }
        Space::Purge { name, consent } => {
            let dry_run = consent.dry_run;
            let body = json!({ "name": name, "dry_run": dry_run });
            let answer = console.post("/v1/spaces/purge", body).await?;
            let space = &answer["space"];
            let what = format!(
                "{} files with {}, and {} of versions and trash, in {}",
                cell("files", &space["files"]),
                cell("used_bytes", &space["used_bytes"]),
                cell("kept_bytes", &space["kept_bytes"]),
                cell("folder", &space["folder"]),
            );
            let text = if dry_run {
                format!("would remove {what}")
            } else {
                format!("removed {what}; the name {name} is free")
            };
            Ok(Outcome::new(answer, text))
        }
    }
}
