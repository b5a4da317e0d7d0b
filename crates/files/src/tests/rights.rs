//! To whom files belong: other programs go on using a bound folder, spaces are private.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use super::support::*;
use crate::*;

/// Another person of this computer, and a group.
const OTHER: (u32, u32) = (1000, 1001);

fn rights(path: &Path) -> (u32, u32, u32) {
    let stat = fs::metadata(path).unwrap();
    (stat.uid(), stat.gid(), stat.mode() & 0o7777)
}

/// A folder of somebody else, bound at `/B`, with an executable file in it. `None` for anybody but
/// root, who alone can give files away.
fn bound(tree: &Tree) -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tool");
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o2770)).unwrap();
    chown(&file, Some(OTHER.0), Some(OTHER.1)).ok()?;
    chown(folder.path(), Some(OTHER.0), Some(OTHER.1)).ok()?;
    tree.files
        .bind(folder.path(), &tree.at("/B"), &author())
        .unwrap();
    Some(folder)
}

#[test]
fn new_content_of_a_file_belongs_to_whom_the_old_belonged() {
    let tree = Tree::new();
    let Some(folder) = bound(&tree) else {
        return;
    };
    let tool = folder.path().join("tool");
    let before = rights(&tool);
    assert_eq!(before, (OTHER.0, OTHER.1, 0o700));
    let first = tree.entry("/B/tool").unwrap().rev;
    tree.put("/B/tool", b"new");
    assert_eq!(rights(&tool), before);
    tree.act(Change::RestoreVersion {
        at: tree.at("/B/tool"),
        rev: first,
    })
    .unwrap();
    assert_eq!(tree.read("/B/tool"), b"old");
    assert_eq!(rights(&tool), before);
}

#[test]
fn what_is_new_in_a_bound_folder_is_as_the_folder_is() {
    let tree = Tree::new();
    let Some(folder) = bound(&tree) else {
        return;
    };
    tree.put("/B/new", b"new");
    tree.mkdir("/B/folder");
    tree.copy("/B/tool", "/B/copy", false).unwrap();
    tree.copy("/B/tool", "/copy", false).unwrap();
    let of = |name: &str| rights(&folder.path().join(name));
    assert_eq!(of("new"), (OTHER.0, OTHER.1, 0o660));
    assert_eq!(of("folder"), (OTHER.0, OTHER.1, 0o2770));
    assert_eq!(of("copy"), (OTHER.0, OTHER.1, 0o700));
    let own = rights(&tree.disk(""));
    assert_eq!(rights(&tree.disk("copy")), (own.0, own.1, 0o700));
}

#[test]
fn a_space_is_private_and_so_is_what_is_made_in_it() {
    let tree = Tree::new();
    tree.mkdir("/folder");
    tree.put("/folder/file", b"x");
    let mode = |path: &str| rights(&tree.disk(path)).2;
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("folder"), 0o700);
    assert_eq!(mode("folder/file"), 0o600);
}

#[test]
fn a_space_that_somebody_opened_up_stays_so() {
    let tree = Tree::new();
    fs::set_permissions(tree.disk(""), fs::Permissions::from_mode(0o755)).unwrap();
    tree.mkdir("/folder");
    tree.put("/folder/file", b"x");
    let mode = |path: &str| rights(&tree.disk(path)).2;
    assert_eq!((mode("folder"), mode("folder/file")), (0o755, 0o644));
}
