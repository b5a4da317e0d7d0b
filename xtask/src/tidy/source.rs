//! Rules about single files: heads, length, unfinished code, ignored tests, words that tie us to one machine.

use super::{Finding, Source, Tree};

/// Longest file of source, in lines. Files of one idea are 120-400 lines; this is where splitting is overdue.
const LINES_MAX: usize = 700;

fn finding(file: &Source, line: usize, message: impl Into<String>) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        message: message.into(),
    }
}

/// Each Rust file says first what it is for.
pub(super) fn heads(tree: &Tree) -> Vec<Finding> {
    let lacks = |file: &&Source| !file.text.trim_start().starts_with("//!");
    tree.rust()
        .filter(lacks)
        .map(|file| {
            finding(
                file,
                1,
                "open the file with `//!`: purpose, invariants, source",
            )
        })
        .collect()
}

/// No file of source is longer than [`LINES_MAX`].
pub(super) fn length(tree: &Tree) -> Vec<Finding> {
    const COUNTED: &[&str] = &[".rs", ".js", ".mjs", ".css"];
    let counted = |file: &&Source| COUNTED.iter().any(|ending| file.path.ends_with(ending));
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(counted) {
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            findings.push(finding(
                file,
                0,
                format!("{lines} lines, limit {LINES_MAX}: split it by its ideas"),
            ));
        }
    }
    findings
}

/// A line of Rust that is code, not comment.
fn is_code(line: &str) -> bool {
    !line.trim_start().starts_with("//")
}

/// No placeholders: what is not built is not there.
pub(super) fn unfinished(tree: &Tree) -> Vec<Finding> {
    // Put together here so that this file does not find itself.
    let macros = [concat!("to", "do!("), concat!("unimple", "mented!(")];
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (number, line) in file.lines().filter(|(_, line)| is_code(line)) {
            if let Some(name) = macros.iter().find(|name| line.contains(**name)) {
                findings.push(finding(
                    file,
                    number,
                    format!(
                        "`{name})` is left; finish it or return an error that says what is missing"
                    ),
                ));
            }
        }
    }
    findings
}

/// A test that is switched off says why.
pub(super) fn ignored(tree: &Tree) -> Vec<Finding> {
    let bare = concat!("#[ign", "ore]");
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (number, line) in file
            .lines()
            .filter(|(_, line)| is_code(line) && line.contains(bare))
        {
            let _ = line;
            findings.push(finding(file, number, "say why: `#[ignore = \"…\"]`"));
        }
    }
    findings
}

/// Paths of one machine, and names that say nothing.
pub(super) fn words(tree: &Tree) -> Vec<Finding> {
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/tmp", "/b/"),
        concat!("/tmp", "/target-"),
        concat!("/ro", "ot/"),
    ];
    const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helpers", "misc", "manager"];
    let mut findings = Vec::new();
    for file in &tree.files {
        for (number, line) in file.lines() {
            if let Some(path) = paths.iter().find(|path| line.contains(**path)) {
                findings.push(finding(
                    file,
                    number,
                    format!("`{path}` is a path of one machine"),
                ));
            }
        }
        let parts = file
            .path
            .split('/')
            .map(|part| part.strip_suffix(".rs").unwrap_or(part));
        if let Some(name) = parts.into_iter().find(|part| EMPTY_NAMES.contains(part)) {
            findings.push(finding(
                file,
                0,
                format!("`{name}` says nothing; name the thing after what it holds"),
            ));
        }
    }
    findings
}

/// Lock files and settings name only the public registries, never a mirror of one machine.
pub(super) fn registries(tree: &Tree) -> Vec<Finding> {
    const PUBLIC: &[&str] = &[
        "https://github.com/rust-lang/crates.io-index",
        "https://registry.npmjs.org/",
    ];
    const NAMES: &[&str] = &["Cargo.lock", "package-lock.json", "config.toml", ".npmrc"];
    // Where such a file says from which host a package comes.
    const KEYS: &[&str] = &[
        "source = ",
        "\"resolved\":",
        "registry =",
        "registry=",
        "index =",
        "replace-with",
    ];
    let mut findings = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| NAMES.contains(&file.file_name()))
    {
        for (number, line) in file.lines() {
            let says_host = KEYS.iter().any(|key| line.trim_start().starts_with(key));
            if says_host && !PUBLIC.iter().any(|host| line.contains(host)) {
                findings.push(finding(
                    file,
                    number,
                    "only the public registries may be named here",
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn a_file_without_a_head_is_found() {
        check(
            heads,
            &[
                ("a.rs", "use std::fs;\n"),
                ("b.rs", "//! What it is for.\n"),
                ("c.md", "text"),
            ],
            &["a.rs:1: open the file"],
        );
    }

    #[test]
    fn a_long_file_is_found() {
        let long = "x\n".repeat(LINES_MAX + 1);
        let fits = "x\n".repeat(LINES_MAX);
        check(
            length,
            &[("long.rs", &long), ("fits.rs", &fits), ("long.md", &long)],
            &["long.rs: 701 lines"],
        );
    }

    #[test]
    fn a_placeholder_is_found_in_code_and_not_in_comments() {
        let text = format!(
            "//! x\n// {0})\nfn f() {{ {0}) }}\nfn g() {{ {1}) }}\n",
            concat!("to", "do!("),
            concat!("unimple", "mented!(")
        );
        check(unfinished, &[("a.rs", &text)], &["a.rs:3:", "a.rs:4:"]);
    }

    #[test]
    fn an_ignored_test_without_a_reason_is_found() {
        let text = format!(
            "#[test]\n{}\nfn a() {{}}\n#[ignore = \"takes an hour\"]\nfn b() {{}}\n",
            concat!("#[ign", "ore]")
        );
        check(ignored, &[("a.rs", &text)], &["a.rs:2: say why"]);
    }

    #[test]
    fn a_path_of_one_machine_is_found_in_every_kind_of_file() {
        let text = format!("see {}shared\n", concat!("/wo", "rk/"));
        check(
            words,
            &[
                ("docs/a.md", &text),
                ("b.rs", "mod worker; // crates/worker"),
            ],
            &["docs/a.md:1:"],
        );
    }

    #[test]
    fn an_empty_name_is_found() {
        check(
            words,
            &[
                ("crates/pool/src/utils.rs", ""),
                ("crates/common/src/lib.rs", ""),
            ],
            &["`utils` says nothing", "`common` says nothing"],
        );
    }

    #[test]
    fn a_mirror_in_a_lock_file_is_found() {
        let lock = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nsource = \"registry+http://10.0.0.1/index\"\n";
        check(
            registries,
            &[("Cargo.lock", lock)],
            &["Cargo.lock:2: only the public registries"],
        );
    }
}
