//! Words that make no sense: told to people as clap tells them, to programs as the JSON object that
//! every other failure is.

use clap::Parser as _;
use clap::error::{Error, ErrorKind};
use node::{Failure, Kind};

use crate::arguments::Arguments;
use crate::print;

/// Reads the command line; the exit code if there is nothing to be done.
pub(crate) fn read() -> Result<Arguments, u8> {
    Arguments::try_parse().map_err(|error| {
        if error.use_stderr() && wants_json(std::env::args_os().skip(1)) {
            print::failure(&explain(&error), true);
        } else {
            // Nobody is left to be told that it cannot be printed.
            let _ = error.print();
        }
        if error.use_stderr() {
            Kind::Input.exit_code()
        } else {
            0
        }
    })
}

/// Whether `--json` stands before a `--`; what else was typed may be nonsense.
fn wants_json(words: impl Iterator<Item = std::ffi::OsString>) -> bool {
    words
        .take_while(|word| word != "--")
        .any(|word| word == "--json")
}

/// clap prints `error: WHAT`, then perhaps `tip: …` and `Usage: …`, each in a paragraph.
fn explain(error: &Error) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::input("a command is missing").hint("`--help` lists the commands");
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(|paragraph| {
        let lines: Vec<_> = paragraph.lines().map(str::trim).collect();
        lines.join(" ")
    });
    let first = paragraphs.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(&first);
    let rest: Vec<String> = paragraphs.collect();
    let said = |what: &str| rest.iter().find_map(|one| one.strip_prefix(what));
    let hint = said("tip: ").map(str::to_owned).or_else(|| {
        let usage = said("Usage: ")?;
        Some(format!("usage: {usage}"))
    });
    Failure::input(message).hint(hint.unwrap_or_else(|| "try `--help`".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_words_become_a_message_and_a_hint() {
        let check = |words: &[&str], message: &str, hint: &str| {
            let words = std::iter::once(&"cumulet").chain(words);
            let failure = explain(&Arguments::try_parse_from(words).unwrap_err());
            assert_eq!(failure.kind, Kind::Input);
            assert_eq!(failure.message, message);
            let told = failure.hint.unwrap();
            assert!(told.contains(hint), "{told}");
        };
        check(&[], "a command is missing", "--help");
        check(&["user"], "a command is missing", "--help");
        check(&["statis"], "unrecognized subcommand 'statis'", "'status'");
        check(
            &["user", "remove"],
            "the following required arguments were not provided: <NAME>",
            "usage: cumulet user remove <NAME>",
        );
        check(
            &["check", "--depe"],
            "unexpected argument '--depe' found",
            "'--deep'",
        );
        check(
            &["audit", "show", "--limit", "0"],
            "invalid value '0' for '--limit <LIMIT>': 0 is not in 1..=1000",
            "--help",
        );
    }

    #[test]
    fn json_is_wanted_wherever_it_stands() {
        let check = |words: &[&str], expected| {
            assert_eq!(
                wants_json(words.iter().map(Into::into)),
                expected,
                "{words:?}"
            );
        };
        check(&["statis", "--json"], true);
        check(&["--json", "statis"], true);
        check(&["put", "--", "--json"], false);
        check(&["statis"], false);
    }
}
