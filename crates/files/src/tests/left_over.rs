//! Spaces of removed people: hidden, handed over, purged.

use super::support::*;
use crate::*;

#[test]
fn a_left_over_space_hides_and_nobody_gets_it_by_its_name() {
    let tree = Tree::new();
    tree.put("/a", b"x");
    tree.files.retire_space(tree.space.id).unwrap();
    assert!(tree.files.space("alice").unwrap().is_none());
    assert!(tree.entry("/a").is_none());
    assert!(matches!(tree.try_put("/a", b"y"), Err(Refusal::NotFound)));
    for name in ["alice", "Alice"] {
        let name = protocol::EntryName::new(name).unwrap();
        for account in [ALICE, protocol::AccountId(7)] {
            let refused = tree.files.create_space(&name, account);
            assert!(matches!(refused, Err(FilesError::SpaceTaken(_))), "{name}");
        }
        assert!(tree.files.check_space_name(&name).is_err());
    }
    assert_eq!(std::fs::read(tree.home.join("alice/a")).unwrap(), b"x");
}

#[test]
fn a_left_over_space_is_handed_over_with_versions_and_trash() {
    let tree = Tree::new();
    tree.put("/a", b"first");
    tree.put("/a", b"second");
    tree.put("/gone", b"thrown away");
    tree.delete("/gone").unwrap();
    tree.files.retire_space(tree.space.id).unwrap();
    let left = tree.files.left_over_space("alice").unwrap();
    assert_eq!((left.files, left.used, left.kept), (1, 6, 5 + 11));
    let space = tree
        .files
        .hand_over_space(left.space.id, protocol::AccountId(7))
        .unwrap();
    assert_eq!(
        (space.id, space.owner),
        (tree.space.id, protocol::AccountId(7))
    );
    assert_eq!(tree.read("/a"), b"second");
    let fid = tree.entry("/a").unwrap().fid;
    assert_eq!(tree.files.versions(fid).unwrap().len(), 1);
    assert_eq!(tree.files.trash(space.id).unwrap().len(), 1);
    assert!(tree.files.left_over_spaces().unwrap().is_empty());
    // In use, so there is nothing left over to hand over or to purge.
    assert!(tree.files.hand_over_space(space.id, ALICE).is_err());
    assert!(tree.files.purge_space(space.id).is_err());
}

#[test]
fn a_purged_space_leaves_nothing_and_frees_its_name() {
    let tree = Tree::new();
    tree.mkdir("/d");
    tree.put("/d/a", b"first");
    tree.put("/d/a", b"second");
    tree.put("/gone", b"thrown away");
    tree.delete("/gone").unwrap();
    std::fs::write(tree.home.join("alice/d/by-hand"), b"x").unwrap();
    tree.files.retire_space(tree.space.id).unwrap();
    tree.files.purge_space(tree.space.id).unwrap();
    assert!(!tree.home.join("alice").exists());
    assert_eq!(tree.files.check(true).unwrap(), []);
    let name = protocol::EntryName::new("alice").unwrap();
    let fresh = tree
        .files
        .create_space(&name, protocol::AccountId(7))
        .unwrap();
    assert_ne!((fresh.id, fresh.root), (tree.space.id, tree.space.root));
    assert!(tree.files.trash(fresh.id).unwrap().is_empty());
    assert_eq!(
        std::fs::read_dir(tree.home.join("alice")).unwrap().count(),
        0
    );
}

#[test]
fn a_purge_that_was_cut_is_finished_at_the_next_start_and_nobody_is_given_the_rest() {
    let tree = Tree::new();
    tree.put("/a", b"first");
    tree.put("/a", b"second");
    tree.files.retire_space(tree.space.id).unwrap();
    let id = tree.space.id;
    let begun = tree.files.0.db.write(move |tx| {
        tx.execute("UPDATE spaces SET retired = 2 WHERE id = ?1", [id.0])?;
        Ok::<_, FilesError>(())
    });
    begun.unwrap();
    let tree = tree.reopen();
    assert!(tree.files.hand_over_space(id, ALICE).is_err());
    tree.files.finish_removals().unwrap();
    assert!(!tree.home.join("alice").exists());
    assert!(tree.files.left_over_spaces().unwrap().is_empty());
    assert_eq!(tree.files.check(true).unwrap(), []);
}
