//! Rules that the repository keeps about itself, checked by `cargo xtask tidy` and by the test below.
//!
//! Each rule is a function from the [`Tree`] to findings; a finding names the file, the line and what to do.
//! A rule looks at text only: it needs no build, no git and no network. Beside each rule stands a test
//! that feeds it a small tree it must complain about.

mod layout;
mod records;
mod source;
mod tree;
mod twins;

use std::fmt;

pub(crate) use tree::{Source, Tree};

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Path below the repository's top.
    pub(crate) path: String,
    /// Line, counted from 1; 0 where the whole file is meant.
    pub(crate) line: usize,
    /// What is wrong and what to do about it.
    pub(crate) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.path, self.message)
        } else {
            write!(f, "{}:{}: {}", self.path, self.line, self.message)
        }
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

/// Every rule with the name that the command prints.
const RULES: &[(&str, Rule)] = &[
    ("edges between crates", layout::edges),
    ("edges that must stay absent", layout::absent_edges),
    ("folder is package", layout::folder_is_package),
    ("pure crates", layout::pure_crates),
    ("crates come from the workspace", layout::one_version),
    ("crates that nobody takes", layout::unused),
    ("heads", source::heads),
    ("length", source::length),
    ("unfinished code", source::unfinished),
    ("ignored tests", source::ignored),
    ("words", source::words),
    ("registry hosts", source::registries),
    ("reasons for dependencies", records::dependency_reasons),
    ("status", records::status),
    ("messages", records::messages),
    ("machines have no twin", twins::twins),
    ("machines have no clock", twins::clocks),
];

/// Runs every rule; the result is in the order of the rules.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    RULES.iter().flat_map(|(_, rule)| rule(tree)).collect()
}

/// How many rules there are.
pub(crate) const fn rule_count() -> usize {
    RULES.len()
}

/// A tree of `files` must make `rule` say exactly the `expected` parts, one a finding, in order.
#[cfg(test)]
fn check(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
    let found = rule(&Tree::of(files));
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), expected.len(), "findings: {shown:#?}");
    for (line, part) in shown.iter().zip(expected) {
        assert!(line.contains(part), "`{line}` lacks `{part}`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let tree = Tree::read(&crate::root()).unwrap();
        assert!(
            tree.files.len() > 20,
            "only {} files found",
            tree.files.len()
        );
        let shown: Vec<String> = findings(&tree).iter().map(ToString::to_string).collect();
        assert!(shown.is_empty(), "tidy found:\n{}", shown.join("\n"));
    }
}
