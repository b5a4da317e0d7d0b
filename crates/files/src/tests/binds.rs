//! Folders of this computer that are not to be bound.

use std::fs;
use std::path::Path;

use super::support::*;
use crate::BindError;

#[test]
fn the_state_of_the_node_is_never_bound() {
    let tree = Tree::new();
    // The catalog lies there; the home volume of this tree lies in it, away from `keys`.
    let state = tree.files.0.db.path().parent().unwrap().to_owned();
    let keys = state.join("keys");
    fs::create_dir(&keys).unwrap();
    let apart = tempfile::tempdir().unwrap();
    let link = apart.path().join("link");
    std::os::unix::fs::symlink(&keys, &link).unwrap();
    for root in [&keys, &link] {
        let at = tree.at("/Keys");
        for refused in [
            tree.files.bind(root, &at, &author()),
            tree.files.bind_anyway(root, &at, &author()),
        ] {
            assert!(
                matches!(refused, Err(BindError::State { .. })),
                "{refused:?}"
            );
        }
    }
    assert!(!keys.join(".cumulet").exists());
}

#[test]
fn folders_of_the_system_are_bound_only_if_somebody_insists() {
    let tree = Tree::new();
    for root in ["/etc", "/usr/share", "/proc/self"] {
        let refused = tree.files.bind(Path::new(root), &tree.at("/S"), &author());
        assert!(
            matches!(refused, Err(BindError::System { .. })),
            "{root}: {refused:?}"
        );
    }
    assert!(tree.entry("/S").is_none());
}
