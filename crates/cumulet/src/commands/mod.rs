//! Every command: what it asks the node for, and how the answer is shown.

mod care;
pub(crate) mod center;
#[cfg(feature = "client")]
pub(crate) mod client;
pub(crate) mod config;
mod consent;
mod content;
mod discover;
mod friends;
mod neighbors;
mod people;
pub(crate) mod serve;
mod spaces;

use std::path::PathBuf;

use node::Failure;
use serde_json::Value;

use crate::arguments::{Audit, Command};
use crate::console::Console;
use crate::{plain_text, print};

/// What a command has to show.
pub(crate) struct Outcome {
    /// For programs.
    json: Value,
    /// For people.
    text: String,
    /// 0, or 1 for "no".
    code: u8,
}

impl Outcome {
    fn new(json: Value, text: impl Into<String>) -> Self {
        Self {
            json,
            text: text.into(),
            code: 0,
        }
    }
}

/// Runs a command that needs a node's state.
pub(crate) async fn run(
    command: Command,
    state: Option<PathBuf>,
    json: bool,
) -> Result<u8, Failure> {
    #[cfg(feature = "client")]
    if let Command::Client(wish) = command {
        return Ok(show(&client::run(wish, json).await?, json));
    }
    if let Command::Audit(Audit::Verify {
        file: Some(file),
        head,
        node: Some(node),
    }) = &command
    {
        return Ok(show(
            &care::verify_files(file, head.as_deref(), node)?,
            json,
        ));
    }
    if let Command::Discover { timeout } = command {
        return discover::discover(timeout, json).await;
    }
    Console::look(state.clone())?;
    let wish = Wish::read(command)?;
    let console = Console::open(state).await?;
    let outcome = wish.run(&console, json).await;
    console.close();
    outcome.map(|outcome| outcome.map_or(0, |outcome| show(&outcome, json)))
}

fn show(outcome: &Outcome, json: bool) -> u8 {
    if json {
        print::line(&outcome.json.to_string());
    } else if !outcome.text.is_empty() {
        print::line(&plain_text::of_lines(&outcome.text));
    }
    outcome.code
}

/// A command with everything that had to be asked of the person, before the node is touched.
struct Wish {
    command: Command,
    secret: Option<String>,
}

impl Wish {
    fn read(command: Command) -> Result<Self, Failure> {
        let secret = match &command {
            Command::User(user) => people::secret(user)?,
            Command::Space(wish) => {
                spaces::confirm(wish)?;
                None
            }
            Command::Unbind { place, consent } => {
                content::confirm_unbind(place, *consent)?;
                None
            }
            Command::Link(link) => content::secret(link)?,
            Command::Recovery(recovery) => care::secret(recovery)?,
            Command::Serve(_)
            | Command::Center(_)
            | Command::Status
            | Command::Discover { .. }
            | Command::Neighbors(_)
            | Command::Find(_)
            | Command::AppPassword(_)
            | Command::Quota(_)
            | Command::Bind(_)
            | Command::Share(_)
            | Command::Friend(_)
            | Command::LanOnly(_)
            | Command::Trash(_)
            | Command::Module(_)
            | Command::Check { .. }
            | Command::Audit(_)
            | Command::Config(_) => None,
            #[cfg(feature = "client")]
            Command::Client(_) => None,
            #[cfg(feature = "completions")]
            Command::Completions { .. } => None,
        };
        Ok(Self { command, secret })
    }

    async fn run(self, console: &Console, json: bool) -> Result<Option<Outcome>, Failure> {
        let secret = self.secret;
        let outcome = match self.command {
            Command::Status => care::status(console).await,
            Command::Neighbors(wish) => neighbors::neighbors(console, wish).await,
            Command::Find(wish) => neighbors::find(console, wish).await,
            Command::User(user) => people::user(console, user, secret).await,
            Command::AppPassword(wish) => people::app_password(console, wish).await,
            Command::Space(wish) => spaces::space(console, wish).await,
            Command::Quota(wish) => people::quota(console, wish).await,
            Command::Bind(wish) => content::bind(console, wish, json).await,
            Command::Unbind { place, consent } => content::unbind(console, &place, consent).await,
            Command::Link(link) => content::link(console, link, secret).await,
            Command::Friend(wish) => friends::friend(console, wish).await,
            Command::Share(share) => content::share(console, share).await,
            Command::LanOnly(wish) => content::lan_only(console, wish).await,
            Command::Trash(trash) => content::trash(console, trash).await,
            Command::Module(module) => care::module(console, module).await,
            Command::Check { deep } => care::check(console, deep, json).await,
            Command::Audit(Audit::Export { file }) => {
                return care::export(console, file).await.map(|()| None);
            }
            Command::Audit(audit) => care::audit(console, audit).await,
            Command::Recovery(recovery) => care::recovery(console, recovery, secret).await,
            // Handled before: these need no node.
            Command::Serve(_)
            | Command::Center(_)
            | Command::Config(_)
            | Command::Discover { .. } => return Ok(None),
            #[cfg(feature = "client")]
            Command::Client(_) => return Ok(None),
            #[cfg(feature = "completions")]
            Command::Completions { .. } => return Ok(None),
        };
        outcome.map(Some)
    }
}

/// Prints the completions for a shell.
#[cfg(feature = "completions")]
pub(crate) fn completions(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    let mut words = <crate::arguments::Arguments as clap::CommandFactory>::command();
    clap_complete::generate(shell, &mut words, "cumulet", &mut script);
    print::line(String::from_utf8_lossy(&script).trim_end());
}
