//! Rules that tie documents to code: reasons for dependencies, the status of each requirement, messages in
//! both languages.

use super::{Finding, Source, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// The requirements are R1 to this one.
const REQUIREMENTS: u32 = 111;
const STATUS: &str = "docs/status.md";
const DECISIONS: &str = "docs/decisions/";

/// Each crate from outside has a row `| \`name\` | reason |` in a decision record, and no row is left over.
pub(super) fn dependency_reasons(tree: &Tree) -> Vec<Finding> {
    let Some(manifest) = tree.file("Cargo.toml") else {
        return Vec::new();
    };
    let Ok(table) = manifest.text.parse::<toml::Table>() else {
        return vec![whole("Cargo.toml", "cannot be parsed")];
    };
    let dependencies = table
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(toml::Value::as_table);
    let outside: BTreeSet<&str> = dependencies
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.get("path").is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let mut reasons = BTreeSet::new();
    let mut findings = Vec::new();
    for record in tree
        .files
        .iter()
        .filter(|file| file.path.starts_with(DECISIONS))
    {
        for (number, line) in record.lines() {
            let Some((name, reason)) = reason_row(line) else {
                continue;
            };
            reasons.insert(name);
            if reason.len() < 10 {
                findings.push(Finding {
                    path: record.path.clone(),
                    line: number,
                    message: format!("`{name}` has no reason"),
                });
            }
            if !outside.contains(name) {
                findings.push(Finding {
                    path: record.path.clone(),
                    line: number,
                    message: format!("`{name}` is no dependency of the workspace any more"),
                });
            }
        }
    }
    for name in outside.difference(&reasons) {
        findings.push(whole("Cargo.toml", &format!("`{name}` has no row in {DECISIONS}: say what it does for us, who keeps it, what it costs")));
    }
    findings
}

fn whole(path: &str, message: &str) -> Finding {
    Finding {
        path: path.to_owned(),
        line: 0,
        message: message.to_owned(),
    }
}

/// `| \`name\` | reason | …`: only tables whose first cell is one bare crate name count.
fn reason_row(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
    let is_name = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    let reason = rest.split('|').next().unwrap_or_default().trim();
    is_name.then_some((name, reason))
}

/// Every requirement stands in `docs/status.md` once; `done` names a test that exists and has a test `rNN_…`;
/// no row, whatever its state, names a test `rNN_…` that does not exist.
pub(super) fn status(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file(STATUS) else {
        return vec![whole(STATUS, "is missing")];
    };
    let tests = test_names(tree);
    let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        let Some((requirement, state, proof)) = status_row(line) else {
            continue;
        };
        let mut say = |message: String| {
            findings.push(Finding {
                path: STATUS.to_owned(),
                line: number,
                message,
            })
        };
        if let Some(first) = seen.insert(requirement, number) {
            say(format!("R{requirement} stands in line {first} already"));
        }
        for name in
            backticked(line).filter(|name| is_requirement_test(name) && !tests.contains(name))
        {
            say(format!(
                "R{requirement} names the test `{name}`, which does not exist"
            ));
        }
        match state {
            "done" => done_is_proven(requirement, proof, &tests, &mut say),
            "partial" | "not yet" => {
                if proof.is_empty() {
                    say(format!("R{requirement} is {state}: say what is missing"));
                }
            }
            other => say(format!(
                "R{requirement} is `{other}`; use done, partial or not yet"
            )),
        }
    }
    for requirement in (1..=REQUIREMENTS).filter(|requirement| !seen.contains_key(requirement)) {
        findings.push(whole(STATUS, &format!("R{requirement} is missing")));
    }
    findings
}

fn done_is_proven(
    requirement: u32,
    proof: &str,
    tests: &BTreeSet<&str>,
    say: &mut dyn FnMut(String),
) {
    let named: Vec<&str> = backticked(proof)
        .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    if named.is_empty() {
        say(format!("R{requirement} is done without the name of a test"));
    }
    // Those of the form `rNN_…` are looked up in rows of every state.
    let others = named.iter().filter(|name| !is_requirement_test(name));
    for name in others.filter(|name| !tests.contains(*name)) {
        say(format!(
            "R{requirement} names the test `{name}`, which does not exist"
        ));
    }
    // `r07_` and `r7_` are both fine.
    let prefixes = [format!("r{requirement}_"), format!("r{requirement:02}_")];
    if !tests.iter().any(|test| {
        prefixes
            .iter()
            .any(|prefix| test.starts_with(prefix.as_str()))
    }) {
        say(format!(
            "R{requirement} is done without a test named `r{requirement:02}_…`"
        ));
    }
}

/// `r07_…`: the form of a test that proves a requirement.
fn is_requirement_test(name: &str) -> bool {
    let number = name.strip_prefix('r').and_then(|rest| rest.split_once('_'));
    number
        .is_some_and(|(number, _)| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()))
}

/// `| R7 | state | proof or what is missing |`; the cells between number and state are free text.
fn status_row(line: &str) -> Option<(u32, &str, &str)> {
    let cells: Vec<&str> = line
        .strip_prefix("| R")?
        .trim_end()
        .strip_suffix('|')?
        .split(" | ")
        .map(str::trim)
        .collect();
    let requirement = cells.first()?.parse().ok()?;
    let proof = cells.last().copied().filter(|_| cells.len() >= 3)?;
    Some((requirement, cells.get(cells.len() - 2)?, proof))
}

fn backticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Names of functions that stand under a test attribute, also under those of tokio or with arguments.
fn test_names(tree: &Tree) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for file in tree.rust() {
        let mut attribute = false;
        for line in file.text.lines().map(str::trim_start) {
            if line.starts_with("#[test]") || (line.starts_with("#[") && line.contains("::test")) {
                attribute = true;
            } else if let Some(name) = line
                .split("fn ")
                .nth(1)
                .filter(|_| attribute && !line.starts_with("//"))
            {
                names.extend(name.split(['(', '<']).next());
                attribute = false;
            }
        }
    }
    names
}

/// Each message with the variables it uses.
type Messages<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Every message exists in every language, with the same variables.
pub(super) fn messages(tree: &Tree) -> Vec<Finding> {
    let mut catalogs: BTreeMap<String, Vec<(&Source, Messages<'_>)>> = BTreeMap::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".ftl")) {
        catalogs
            .entry(language_free(&file.path))
            .or_default()
            .push((file, message_variables(&file.text)));
    }
    let mut findings = Vec::new();
    for (catalog, languages) in &catalogs {
        if languages.len() < 2 {
            findings.extend(
                languages
                    .iter()
                    .map(|(file, _)| whole(&file.path, "exists in one language only")),
            );
        }
        let mut all = Messages::new();
        for (key, variables) in languages.iter().flat_map(|(_, messages)| messages) {
            all.entry(key).or_default().extend(variables);
        }
        for (file, messages) in languages {
            for (key, variables) in &all {
                match messages.get(key) {
                    None => findings.push(whole(
                        &file.path,
                        &format!("message `{key}` of {catalog} is missing"),
                    )),
                    Some(own) if own != variables => {
                        findings.push(whole(
                            &file.path,
                            &format!(
                                "message `{key}` uses {own:?}, another language {variables:?}"
                            ),
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    findings
}

/// The path with its language replaced: files of one catalog become equal.
fn language_free(path: &str) -> String {
    const LANGUAGES: &[&str] = &["en", "zh-CN"];
    let part = |part: &str| {
        let stem = part.strip_suffix(".ftl").unwrap_or(part);
        if LANGUAGES.contains(&stem) {
            part.replacen(stem, "*", 1)
        } else {
            part.to_owned()
        }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Messages of a Fluent file with the variables each one uses.
fn message_variables(text: &str) -> Messages<'_> {
    let mut messages = Messages::new();
    let mut current = None;
    for line in text.lines() {
        if line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-') {
            current = line.split_once('=').map(|(key, _)| key.trim());
        } else if line.starts_with('#') {
            current = None;
        }
        let Some(key) = current else { continue };
        let variables = messages.entry(key).or_default();
        for part in line.split('$').skip(1) {
            let end = part
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
                .unwrap_or(part.len());
            variables.insert(&part[..end]);
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    const MANIFEST: (&str, &str) = (
        "Cargo.toml",
        "[workspace.dependencies]\npool = { path = \"crates/pool\" }\nserde = \"1\"\nhttp = { version = \"1\" }\n",
    );

    #[test]
    fn a_dependency_without_a_reason_is_found_and_a_row_left_over_too() {
        let record = "| Crate | Why |\n|---|---|\n| `serde` | reads and writes our JSON |\n| `rand` | numbers that nobody can guess |\n";
        check(
            dependency_reasons,
            &[MANIFEST, ("docs/decisions/0001-dependencies.md", record)],
            &["`rand` is no dependency", "`http` has no row"],
        );
    }

    #[test]
    fn an_empty_reason_is_found() {
        let record = "| `serde` | | |\n| `http` | types of HTTP without a server |\n";
        check(
            dependency_reasons,
            &[MANIFEST, ("docs/decisions/a.md", record)],
            &["`serde` has no reason"],
        );
    }

    fn status_of(rows: &[(u32, &str)]) -> String {
        let row = |requirement| match rows.iter().find(|(number, _)| *number == requirement) {
            Some((_, rest)) => format!("| R{requirement} | what | {rest} |\n"),
            None => format!("| R{requirement} | what | not yet | no code |\n"),
        };
        (1..=REQUIREMENTS).map(row).collect()
    }

    #[test]
    fn a_complete_status_page_has_no_findings() {
        let text = status_of(&[(4, "done | `r04_state_apart`, `a_pulled_disk_is_away`")]);
        let tests = "#[test]\nfn r04_state_apart() {}\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn a_pulled_disk_is_away() {}\n";
        check(status, &[(STATUS, &text), ("a.rs", tests)], &[]);
    }

    #[test]
    fn done_without_its_test_is_found() {
        let text = status_of(&[
            (4, "done | `r04_state_apart`"),
            (5, "done | trust us"),
            (6, "nearly | `x`"),
        ]);
        let expected = [
            "R4 names the test `r04_state_apart`",
            "R4 is done without a test named `r04_",
            "R5 is done without the name",
            "R5 is done without a test named",
            "R6 is `nearly`",
        ];
        check(
            status,
            &[
                (STATUS, &text),
                ("a.rs", "fn r04_state_apart() {} // no test\n"),
            ],
            &expected,
        );
    }

    #[test]
    fn a_test_that_does_not_exist_is_found_in_rows_of_every_state() {
        let text = status_of(&[
            (
                4,
                "partial | `r04_state_apart`, `r04_gone`; no disks were pulled",
            ),
            (
                5,
                "not yet | `r05_later` waits; `pool` knows single volumes",
            ),
            (6, "done | `r06_one_file`, `one_more`"),
        ]);
        let expected = [
            "R4 names the test `r04_gone`",
            "R5 names the test `r05_later`",
            "R6 names the test `one_more`",
        ];
        let tests = "#[test]\nfn r04_state_apart() {}\n#[test]\nfn r06_one_file() {}\n";
        check(status, &[(STATUS, &text), ("a.rs", tests)], &expected);
    }

    #[test]
    fn a_missing_and_a_doubled_requirement_are_found() {
        let text = status_of(&[]).replace("| R9 |", "| R8 |");
        check(
            status,
            &[(STATUS, &text)],
            &["R8 stands in line 8 already", "R9 is missing"],
        );
    }

    #[test]
    fn a_message_that_lacks_a_language_or_a_variable_is_found() {
        let en = "hello = Hello { $name }\nbye = Good bye\nfiles = { $n ->\n  [one] one file\n *[other] { $n } files\n}\n";
        let zh = "hello = 你好\nfiles = { $n } 个文件\n";
        let tree = [
            ("crates/web/locales/en/main.ftl", en),
            ("crates/web/locales/zh-CN/main.ftl", zh),
        ];
        check(
            messages,
            &tree,
            &["zh-CN/main.ftl: message `bye`", "message `hello` uses {}"],
        );
    }

    #[test]
    fn a_catalog_in_one_language_is_found() {
        check(
            messages,
            &[("a/en.ftl", "hello = Hello\n")],
            &["exists in one language only"],
        );
    }
}
