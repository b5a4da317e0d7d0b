//! The command line of Cumulet: reads the words, asks the node, prints the result.
//!
//! Only `serve` does work of its own (`node::serve`); every other command talks to a node's admin
//! API through [`console`]. Exit codes: 0 done, 1 no, not found or not clean, 2 wrong usage,
//! 3 not reachable, 4 refused.

mod arguments;
mod commands;
mod console;
mod heap;
mod plain_text;
mod print;
mod progress;
mod secret;
mod usage;
mod when;

use std::process::ExitCode;

use node::Failure;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    heap::bound();
    let arguments = match usage::read() {
        Ok(arguments) => arguments,
        Err(code) => return ExitCode::from(code),
    };
    let json = arguments.json;
    match run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            print::failure(&failure, json);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

fn run(arguments: Arguments) -> Result<u8, Failure> {
    let Arguments {
        state,
        json,
        command,
    } = arguments;
    if let Command::Serve(serve) = command {
        return commands::serve::run(serve, state, json);
    }
    if let Command::Center(center) = command {
        return commands::center::run(center, state, json);
    }
    log_to_stderr("warn");
    if let Command::Config(config) = command {
        return commands::config::run(&config, state, json);
    }
    #[cfg(feature = "completions")]
    if let Command::Completions { shell } = command {
        commands::completions(shell);
        return Ok(0);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::fault(format!("cannot start: {error}")))?;
    runtime.block_on(commands::run(command, state, json))
}

/// Sends log lines to standard error; `CUMULET_LOG` chooses other levels, such as `debug`.
fn log_to_stderr(level: &str) {
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("CUMULET_LOG").unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| plain_text::LogLines)
        // Colours would be escaped like those of a guest.
        .with_ansi(false)
        .init();
}
