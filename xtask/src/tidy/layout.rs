//! Rules about the graph of crates: who may know whom.
//!
//! The order of our own crates in the workspace manifest is the order of the layers: an edge may only
//! point to a crate that stands earlier in it. Some edges that this order would permit are forbidden
//! because the absence is an invariant of `ARCHITECTURE.md`.

use super::{Finding, Source, Tree};
use std::collections::BTreeSet;

/// Edges that must never exist, with the reason.
const ABSENT: &[(&str, &str, &str)] = &[
    (
        "sharing",
        "pool",
        "sharing decides about ids and never sees bytes",
    ),
    ("sharing", "dav", "sharing knows no service"),
    (
        "files",
        "sharing",
        "who may do what is asked at the rim; files takes a witness for the audit log",
    ),
    ("files", "dav", "files knows no protocol"),
    (
        "pool",
        "database",
        "a volume is only a place for bytes; the catalog belongs to files",
    ),
    ("pool", "dav", "a volume knows no protocol"),
    (
        "web",
        "pool",
        "pages and protocols reach bytes only through files",
    ),
    (
        "web",
        "database",
        "pages and protocols reach the catalog only through files and sharing",
    ),
];

/// Crates without I/O and without a clock; what would bring either in is forbidden in their manifests.
const PURE: &[&str] = &["protocol", "peers", "dav"];
const IMPURE: &[&str] = &[
    "tokio",
    "tokio-util",
    "iroh",
    "axum",
    "hyper",
    "hyper-util",
    "rustix",
    "nix",
    "rusqlite",
    "notify",
];

const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// One member's manifest.
struct Manifest<'a> {
    source: &'a Source,
    /// The folder's own name.
    folder: &'a str,
    table: toml::Table,
}

fn manifests(tree: &Tree) -> Vec<Manifest<'_>> {
    let is_manifest =
        |file: &&Source| file.path.ends_with("/Cargo.toml") && !file.path.starts_with("fuzz/");
    tree.files
        .iter()
        .filter(is_manifest)
        .filter_map(Manifest::of)
        .collect()
}

impl<'a> Manifest<'a> {
    fn of(source: &'a Source) -> Option<Self> {
        let folder = source.path.rsplit('/').nth(1)?;
        let table = source.text.parse().ok()?;
        Some(Self {
            source,
            folder,
            table,
        })
    }

    /// Names in a section such as `dependencies`, also those for single targets.
    fn names(&self, section: &str) -> Vec<(&String, &toml::Value)> {
        let mut all: Vec<_> = table(&self.table, section).into_iter().flatten().collect();
        for target in table(&self.table, "target")
            .into_iter()
            .flat_map(toml::Table::values)
        {
            if let Some(inner) = target.as_table() {
                all.extend(table(inner, section).into_iter().flatten());
            }
        }
        all
    }

    fn finding(&self, name: &str, message: String) -> Finding {
        let line = self
            .source
            .lines()
            .find(|(_, line)| line.trim_start().starts_with(name));
        Finding {
            path: self.source.path.clone(),
            line: line.map_or(0, |(number, _)| number),
            message,
        }
    }
}

fn table<'t>(within: &'t toml::Table, key: &str) -> Option<&'t toml::Table> {
    within.get(key).and_then(toml::Value::as_table)
}

/// Our own crates, lowest first, as the workspace manifest lists them. Read from the text: a parsed table
/// has lost the order.
fn layers(tree: &Tree) -> Vec<String> {
    let Some(manifest) = tree.file("Cargo.toml") else {
        return Vec::new();
    };
    let own = |line: &str| {
        let (name, rest) = line.split_once('=')?;
        rest.contains("path =").then(|| name.trim().to_owned())
    };
    let section = manifest
        .text
        .lines()
        .skip_while(|line| line.trim() != "[workspace.dependencies]")
        .skip(1);
    section
        .take_while(|line| !line.starts_with('['))
        .filter_map(own)
        .collect()
}

/// An edge points down the layers only; crates outside the list (the binaries) may use all and are used by none.
pub(super) fn edges(tree: &Tree) -> Vec<Finding> {
    let layers = layers(tree);
    let members = manifests(tree);
    let rank = |name: &str| layers.iter().position(|layer| layer == name);
    let mut findings = Vec::new();
    for manifest in &members {
        let own = rank(manifest.folder).unwrap_or(layers.len());
        for section in SECTIONS {
            for (name, _) in manifest.names(section) {
                if !members.iter().any(|member| member.folder == name) {
                    continue;
                }
                // The harness stands on top of everything it starts, so a test may always use it.
                if section == "dev-dependencies" && name == "testing" {
                    continue;
                }
                let Some(theirs) = rank(name) else {
                    findings.push(manifest.finding(name, format!("nobody may depend on `{name}`: it is a program or missing in [workspace.dependencies]")));
                    continue;
                };
                if theirs >= own {
                    findings.push(manifest.finding(
                        name,
                        format!("`{}` may not depend on `{name}`, which stands higher in the workspace manifest", manifest.folder),
                    ));
                }
            }
        }
    }
    findings
}

/// Edges that the order allows and an invariant forbids.
pub(super) fn absent_edges(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests(tree) {
        for (name, _) in manifest.names("dependencies") {
            for (_, _, why) in ABSENT
                .iter()
                .filter(|(from, to, _)| *from == manifest.folder && to == name)
            {
                findings.push(manifest.finding(
                    name,
                    format!("`{}` may not depend on `{name}`: {why}", manifest.folder),
                ));
            }
        }
    }
    findings
}

/// The folder, the package and the log target are one name.
pub(super) fn folder_is_package(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests(tree) {
        let name = table(&manifest.table, "package")
            .and_then(|package| package.get("name"))
            .and_then(toml::Value::as_str);
        if name != Some(manifest.folder) {
            let shown = name.unwrap_or("(none)");
            findings.push(manifest.finding(
                "name",
                format!(
                    "package `{shown}` lies in folder `{}`; give both one name",
                    manifest.folder
                ),
            ));
        }
        let inherits = table(&manifest.table, "lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        let own_lints = table(&manifest.table, "lints")
            .is_some_and(|lints| lints.contains_key("rust") || lints.contains_key("clippy"));
        if inherits != Some(true) && !own_lints {
            findings.push(manifest.finding("[lints]", "add `[lints] workspace = true`".to_owned()));
        }
    }
    findings
}

/// Protocol and grammar crates stay free of I/O.
pub(super) fn pure_crates(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests(tree)
        .iter()
        .filter(|manifest| PURE.contains(&manifest.folder))
    {
        for (name, _) in manifest.names("dependencies") {
            if IMPURE.contains(&name.as_str()) {
                findings.push(manifest.finding(
                    name,
                    format!("`{}` is pure: `{name}` brings I/O into it", manifest.folder),
                ));
            }
        }
    }
    findings
}

/// A member names no version of its own, so that the workspace holds one of each.
pub(super) fn one_version(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests(tree) {
        for section in SECTIONS {
            for (name, value) in manifest.names(section) {
                let inherits = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                if !inherits {
                    findings.push(manifest.finding(
                        name,
                        format!("take `{name}` from the workspace: `{name}.workspace = true`"),
                    ));
                }
            }
        }
    }
    findings
}

/// The workspace lists no crate that nobody takes.
pub(super) fn unused(tree: &Tree) -> Vec<Finding> {
    let Some(top) = tree.file("Cargo.toml") else {
        return Vec::new();
    };
    let members = manifests(tree);
    let taken: BTreeSet<&str> = members
        .iter()
        .flat_map(|manifest| SECTIONS.iter().flat_map(|section| manifest.names(section)))
        .map(|(name, _)| name.as_str())
        .collect();
    let parsed = top.text.parse::<toml::Table>().unwrap_or_default();
    let listed = table(&parsed, "workspace").and_then(|workspace| table(workspace, "dependencies"));
    let left = |name: &&String| !taken.contains(name.as_str()) && name.as_str() != "testing";
    let listed = listed.into_iter().flatten().map(|(name, _)| name);
    listed
        .filter(left)
        .map(|name| Finding {
            path: top.path.clone(),
            line: 0,
            message: format!("nobody takes `{name}`; remove it with its row in docs/decisions"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    const WORKSPACE: (&str, &str) = (
        "Cargo.toml",
        "[workspace]\n[workspace.dependencies]\nprotocol = { path = \"crates/protocol\" }\npool = { path = \"crates/pool\" }\nfiles = { path = \"crates/files\" }\ntesting = { path = \"testing\" }\n",
    );
    const PROTOCOL: &str = "[package]\nname = \"protocol\"\n[lints]\nworkspace = true\n";

    #[test]
    fn an_edge_up_the_layers_is_found() {
        let pool = "[package]\nname = \"pool\"\n[dependencies]\nprotocol.workspace = true\nfiles.workspace = true\n";
        let files = "[package]\nname = \"files\"\n[dependencies]\npool.workspace = true\n[dev-dependencies]\ntesting.workspace = true\n";
        let tree = [
            WORKSPACE,
            ("crates/protocol/Cargo.toml", PROTOCOL),
            ("crates/pool/Cargo.toml", pool),
            ("crates/files/Cargo.toml", files),
        ];
        check(
            edges,
            &tree,
            &["crates/pool/Cargo.toml:5: `pool` may not depend on `files`"],
        );
    }

    #[test]
    fn nobody_depends_on_a_program() {
        let pool = "[package]\nname = \"pool\"\n[dependencies]\ncumulet.workspace = true\n";
        let tree = [
            WORKSPACE,
            (
                "crates/cumulet/Cargo.toml",
                "[package]\nname = \"cumulet\"\n",
            ),
            ("crates/pool/Cargo.toml", pool),
        ];
        check(edges, &tree, &["nobody may depend on `cumulet`"]);
    }

    #[test]
    fn an_edge_that_an_invariant_forbids_is_found() {
        let files = "[package]\nname = \"files\"\n[dependencies]\nsharing.workspace = true\n";
        check(
            absent_edges,
            &[("crates/files/Cargo.toml", files)],
            &["`files` may not depend on `sharing`"],
        );
    }

    #[test]
    fn a_package_named_unlike_its_folder_is_found() {
        check(
            folder_is_package,
            &[(
                "crates/pools/Cargo.toml",
                "[package]\nname = \"pool\"\n[lints]\nworkspace = true\n",
            )],
            &["package `pool` lies in folder `pools`"],
        );
    }

    #[test]
    fn a_member_without_the_common_lints_is_found() {
        check(
            folder_is_package,
            &[("crates/pool/Cargo.toml", "[package]\nname = \"pool\"\n")],
            &["add `[lints] workspace = true`"],
        );
    }

    #[test]
    fn tokio_in_a_pure_crate_is_found_also_for_one_target() {
        let dav = "[package]\nname = \"dav\"\n[dependencies]\ntokio.workspace = true\n[target.'cfg(unix)'.dependencies]\nrustix.workspace = true\n";
        check(
            pure_crates,
            &[("crates/dav/Cargo.toml", dav)],
            &["`tokio` brings I/O", "`rustix` brings I/O"],
        );
    }

    #[test]
    fn a_version_outside_the_workspace_manifest_is_found() {
        let web =
            "[package]\nname = \"web\"\n[dependencies]\nhttp = \"1\"\nbytes.workspace = true\n";
        check(
            one_version,
            &[("crates/web/Cargo.toml", web)],
            &["take `http` from the workspace"],
        );
    }

    #[test]
    fn a_crate_that_nobody_takes_is_found() {
        let workspace = "[workspace.dependencies]\nhttp = \"1\"\nbytes = \"1\"\n";
        let web = "[package]\nname = \"web\"\n[dev-dependencies]\nbytes.workspace = true\n";
        check(
            unused,
            &[("Cargo.toml", workspace), ("crates/web/Cargo.toml", web)],
            &["nobody takes `http`"],
        );
    }
}
