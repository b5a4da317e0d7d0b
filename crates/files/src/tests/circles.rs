//! Moves that come back to where they began, and a process that dies before they are settled.

use super::support::Tree;

#[test]
fn a_file_that_was_moved_in_a_circle_stays_where_it_came_to_rest() {
    let tree = Tree::new();
    tree.put("f4", b"moved");
    tree.rename("f4", "f0", false).unwrap();
    tree.rename("f0", "f2", false).unwrap();
    tree.rename("f2", "f4", false).unwrap();
    // The way is barred: the second of the three moves cannot be done once more.
    tree.put("f2", b"in the way");
    let tree = tree.reopen();
    assert_eq!(tree.names(""), ["f2", "f4"]);
    assert_eq!(tree.read("f4"), b"moved");
    assert_eq!(std::fs::read(tree.disk("f4")).unwrap(), b"moved");
    assert!(!tree.disk("f0").exists());
    assert_eq!(tree.files.check(true).unwrap(), []);
}

#[test]
fn a_circle_through_a_folder_that_was_renamed_is_seen_as_one() {
    let tree = Tree::new();
    tree.mkdir("a");
    tree.put("a/file", b"moved");
    tree.rename("a/file", "aside", false).unwrap();
    tree.rename("a", "b", false).unwrap();
    tree.rename("aside", "b/file", false).unwrap();
    tree.rename("b", "a", false).unwrap();
    tree.put("aside", b"in the way");
    tree.delete("aside").unwrap();
    let tree = tree.reopen();
    assert_eq!(tree.read("a/file"), b"moved");
    assert!(!tree.disk("aside").exists());
    assert_eq!(tree.files.check(true).unwrap(), []);
}

#[test]
fn a_circle_that_displaced_others_keeps_them_in_the_trash() {
    let tree = Tree::new();
    tree.put("here", b"moved");
    tree.put("there", b"displaced");
    tree.rename("here", "there", true).unwrap();
    tree.rename("there", "here", false).unwrap();
    tree.put("there", b"new");
    let tree = tree.reopen();
    assert_eq!(tree.read("here"), b"moved");
    assert_eq!(tree.read("there"), b"new");
    assert_eq!(tree.files.trash(tree.space.id).unwrap().len(), 1);
    assert_eq!(tree.files.check(true).unwrap(), []);
}
