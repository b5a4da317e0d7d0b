//! The machines of `peers` exist once: what the simulator shows holds for nodes because both drive
//! the same code, which has no clock, no socket and no runtime.
//!
//! A second file or module of a machine's name may lie elsewhere only if it is no machine. What it
//! is can be seen from its text: a machine takes what happened and gives actions, so it has a
//! function `handle` with the time or an event among its parameters, `poll_action` or
//! `next_deadline`, or a type of a machine's name. Messages and drivers have none of them.

use super::{Finding, Source, Tree};

/// The machines whose behavior is shown by simulation.
const MACHINES: &[&str] = &["lookup", "presence", "relay_choice"];
const HOME: &str = "crates/peers/src/";
/// Signs of a machine in a file outside of [`HOME`].
const SIGNS: &[&str] = &[
    "fn poll_action(",
    "fn next_deadline(&self) -> Option<Duration>",
    "fn handle(&mut self, now",
    "struct Lookup ",
    "struct Lookup<",
    "struct Watch ",
    "struct RelayChoice ",
];
/// What brings a clock, a socket or a runtime into a machine.
const IMPURE: &[&str] = &[
    "tokio::",
    "iroh::",
    "Instant",
    "SystemTime",
    "std::net::",
    "std::thread",
    "std::fs",
    "chrono::",
];

/// True if the file is, or lies in a module, of a machine's name.
fn machine(file: &Source) -> Option<&'static str> {
    let parts = file.path.split('/');
    let mut names = parts.map(|part| part.strip_suffix(".rs").unwrap_or(part));
    names.find_map(|name| MACHINES.iter().find(|machine| **machine == name).copied())
}

fn code(file: &Source) -> impl Iterator<Item = (usize, &str)> {
    file.lines()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn finding(file: &Source, line: usize, message: String) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        message,
    }
}

/// No machine has a twin outside of `peers`: neither a file or folder of its name nor an inline
/// module, unless nothing in it is a machine.
pub(super) fn twins(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust().filter(|file| !file.path.starts_with(HOME)) {
        let inline = MACHINES.iter().find(|machine| {
            let module = format!("mod {machine} {{");
            // Text that holds such a line, as in the tests of this file, begins otherwise.
            let begins = |line: &str| {
                line.trim_start()
                    .trim_start_matches("pub ")
                    .starts_with(&module)
            };
            code(file).any(|(_, line)| begins(line))
        });
        let Some(name) = machine(file).or(inline.copied()) else {
            continue;
        };
        let sign = code(file).find(|(_, line)| SIGNS.iter().any(|sign| line.contains(sign)));
        if let Some((line, _)) = sign {
            let message = format!(
                "a second `{name}`: the machine is in `{HOME}`, drive that one or name this otherwise"
            );
            findings.push(finding(file, line, message));
        }
    }
    findings
}

/// The machines know the time only from what they are told, and do nothing themselves.
pub(super) fn clocks(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let machines = tree
        .rust()
        .filter(|file| file.path.starts_with(HOME) && machine(file).is_some());
    for file in machines {
        for (number, line) in code(file) {
            if let Some(word) = IMPURE.iter().find(|word| line.contains(**word)) {
                let message =
                    format!("`{word}` in a machine: it is told the time and says what to do");
                findings.push(finding(file, number, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    const MACHINE: &str = "//! x\nimpl X {\n    pub fn poll_action(&mut self) {}\n}\n";

    #[test]
    fn a_second_machine_is_found_wherever_it_lies() {
        check(
            twins,
            &[
                ("crates/peers/src/lookup.rs", MACHINE),
                ("crates/links/src/lookup.rs", MACHINE),
                ("crates/node/src/presence/watch.rs", MACHINE),
                (
                    "simulator/src/relay_choice.rs",
                    "//! x\nstruct RelayChoice {}\n",
                ),
                (
                    "simulator/src/other.rs",
                    "//! x\nmod lookup {\n    struct Lookup {}\n}\n",
                ),
            ],
            &[
                "crates/links/src/lookup.rs:3: a second `lookup`",
                "crates/node/src/presence/watch.rs:3: a second `presence`",
                "simulator/src/relay_choice.rs:2: a second `relay_choice`",
                "simulator/src/other.rs:3: a second `lookup`",
            ],
        );
    }

    #[test]
    fn messages_and_drivers_of_the_same_name_are_no_twins() {
        let messages = "//! x\n// no fn poll_action( here\npub struct Query {}\nfn check() {}\n";
        let driver =
            "//! x\nfn drive(machine: &mut peers::lookup::Lookup) { machine.poll_action(); }\n";
        check(
            twins,
            &[
                ("crates/protocol/src/message/lookup.rs", messages),
                ("crates/links/src/lookup.rs", driver),
                ("crates/links/src/owner.rs", MACHINE),
            ],
            &[],
        );
    }

    #[test]
    fn a_clock_or_a_runtime_in_a_machine_is_found() {
        let text = "//! Instant\nuse std::time::Instant;\nuse tokio::sync::mpsc;\n";
        check(
            clocks,
            &[
                ("crates/peers/src/lookup/find.rs", text),
                (
                    "crates/peers/src/presence.rs",
                    "//! x\nuse iroh::Endpoint;\n",
                ),
                ("crates/peers/src/dice.rs", text),
            ],
            &[
                "find.rs:2: `Instant`",
                "find.rs:3: `tokio::`",
                "presence.rs:2: `iroh::`",
            ],
        );
    }
}
