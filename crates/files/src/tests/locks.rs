//! Locks of class 2, with a clock that the test sets.

use std::time::Duration;

use super::support::*;
use crate::*;

const BOB: protocol::AccountId = protocol::AccountId(2);

fn request(tree: &Tree, path: &str, exclusive: bool, deep: bool) -> LockRequest {
    LockRequest {
        at: tree.at(path),
        exclusive,
        deep,
        owner_xml: "<D:owner/>".into(),
        timeout: LOCK_DEFAULT,
        account: ALICE,
        conditions: Conditions::default(),
    }
}

fn lock(tree: &Tree, path: &str, exclusive: bool, deep: bool) -> Result<LockInfo, Refusal> {
    tree.files
        .lock(&author(), request(tree, path, exclusive, deep))
        .map(|(lock, _)| lock)
}

fn with(lock: &LockInfo) -> Conditions {
    Conditions {
        lock_tokens: vec![lock.token.clone()],
        account: Some(ALICE),
        ..Conditions::default()
    }
}

fn locked<T: std::fmt::Debug>(result: Result<T, Refusal>) {
    assert!(matches!(result, Err(Refusal::Locked { .. })), "{result:?}");
}

#[test]
fn a_lock_lets_only_its_holder_write() {
    let tree = Tree::new();
    tree.put("/f", b"1");
    let held = lock(&tree, "/f", true, false).unwrap();
    assert!(held.token.starts_with("urn:uuid:"));
    locked(tree.try_put("/f", b"2"));
    locked(tree.delete("/f"));
    locked(tree.rename("/f", "/g", false));
    locked(lock(&tree, "/f", false, false));
    let stolen = Conditions {
        account: Some(BOB),
        ..with(&held)
    };
    locked(tree.run(tree.put_op("/f", b"2").unwrap().when(stolen)));
    tree.run(tree.put_op("/f", b"3").unwrap().when(with(&held)))
        .unwrap();
    assert_eq!(tree.read("/f"), b"3");
    tree.copy("/f", "/copy", false).unwrap();
    assert_eq!(tree.files.locks_on(held.fid).unwrap(), [held]);
}

#[test]
fn shared_locks_stand_beside_each_other_and_any_one_opens() {
    let tree = Tree::new();
    tree.put("/f", b"1");
    let first = lock(&tree, "/f", false, false).unwrap();
    let second = lock(&tree, "/f", false, false).unwrap();
    locked(lock(&tree, "/f", true, false));
    locked(tree.try_put("/f", b"2"));
    tree.run(tree.put_op("/f", b"2").unwrap().when(with(&second)))
        .unwrap();
    tree.files
        .unlock(&author(), &tree.at("/f"), &first.token)
        .unwrap();
    locked(tree.try_put("/f", b"3"));
}

#[test]
fn a_deep_lock_reaches_down_and_a_shallow_one_guards_the_member_list() {
    let tree = Tree::new();
    tree.mkdir("/d");
    tree.mkdir("/d/sub");
    tree.put("/d/sub/f", b"1");
    let deep = lock(&tree, "/d", true, true).unwrap();
    locked(tree.try_put("/d/sub/f", b"2"));
    locked(tree.try_put("/d/new", b"2"));
    locked(lock(&tree, "/d/sub", true, false));
    locked(tree.delete("/d"));
    assert_eq!(
        tree.files
            .locks_on(tree.entry("/d/sub/f").unwrap().fid)
            .unwrap()
            .len(),
        1
    );
    tree.files
        .unlock(&author(), &tree.at("/d/sub/f"), &deep.token)
        .unwrap();

    let shallow = lock(&tree, "/d", true, false).unwrap();
    tree.put("/d/sub/f", b"3");
    locked(tree.try_put("/d/new", b"2"));
    locked(tree.delete("/d/sub"));
    locked(tree.rename("/d/sub", "/sub", false));
    tree.run(tree.put_op("/d/new", b"2").unwrap().when(with(&shallow)))
        .unwrap();
}

#[test]
fn a_tree_with_a_lock_inside_is_not_deleted() {
    let tree = Tree::new();
    tree.mkdir("/d");
    tree.put("/d/f", b"1");
    let held = lock(&tree, "/d/f", true, false).unwrap();
    locked(tree.delete("/d"));
    locked(lock(&tree, "/d", true, true));
    let op = Op::new(Change::Delete { at: tree.at("/d") });
    tree.run(op.when(with(&held))).unwrap();
    assert!(tree.files.locks_on(held.fid).unwrap().is_empty());
}

#[test]
fn a_move_drops_the_locks_of_its_source() {
    let tree = Tree::new();
    tree.mkdir("/d");
    tree.put("/f", b"1");
    let held = lock(&tree, "/f", true, false).unwrap();
    let op = Op::new(Change::Move {
        from: tree.at("/f"),
        to: tree.at("/d/f"),
        overwrite: false,
    });
    tree.run(op.when(with(&held))).unwrap();
    tree.put("/d/f", b"2");
}

#[test]
fn locks_end_at_their_time_also_after_a_restart() {
    let tree = Tree::new();
    tree.put("/f", b"1");
    let held = lock(&tree, "/f", true, false).unwrap();
    let tree = tree.reopen();
    locked(tree.try_put("/f", b"2"));
    tree.pass(Duration::from_secs(500));
    let at = tree.at("/f");
    let hour = Duration::from_secs(10 * 3600);
    let refreshed = tree
        .files
        .refresh_lock(&held.token, &at, ALICE, hour, &Conditions::default())
        .unwrap();
    assert_eq!(refreshed.expires, tree.now().plus(LOCK_MAX), "clipped");
    tree.pass(LOCK_MAX - Duration::from_secs(1));
    locked(tree.try_put("/f", b"2"));
    tree.pass(Duration::from_secs(1));
    tree.put("/f", b"2");
    assert_eq!(tree.files.expire_locks().unwrap(), 1);
    let late = tree.files.refresh_lock(
        &held.token,
        &at,
        ALICE,
        LOCK_DEFAULT,
        &Conditions::default(),
    );
    assert!(matches!(late, Err(Refusal::ConditionFailed { .. })));
}

#[test]
fn unlocking_asks_for_the_right_place_and_person() {
    let tree = Tree::new();
    tree.put("/f", b"1");
    tree.put("/g", b"1");
    let held = lock(&tree, "/f", true, false).unwrap();
    let wrong = tree.files.unlock(&author(), &tree.at("/g"), &held.token);
    assert!(matches!(wrong, Err(Refusal::ConditionFailed { .. })));
    let bob = Author {
        account: Some(BOB),
        ..author()
    };
    locked(tree.files.unlock(&bob, &tree.at("/f"), &held.token));
    tree.files.break_lock(&bob, &held.token).unwrap();
    tree.put("/f", b"2");
}

#[test]
fn a_lock_on_a_free_name_makes_a_placeholder_that_leaves_no_trace() {
    let tree = Tree::new();
    let (held, made) = tree
        .files
        .lock(&author(), request(&tree, "/new", true, false))
        .unwrap();
    assert!(made);
    assert!(tree.entry("/new").unwrap().placeholder);
    tree.files
        .unlock(&author(), &tree.at("/new"), &held.token)
        .unwrap();
    assert!(tree.entry("/new").is_none());
    assert!(tree.files.trash(tree.space.id).unwrap().is_empty());

    lock(&tree, "/late", true, false).unwrap();
    tree.pass(LOCK_MAX);
    tree.files.expire_locks().unwrap();
    assert!(tree.entry("/late").is_none());

    let held = lock(&tree, "/kept", true, false).unwrap();
    let done = tree
        .run(tree.put_op("/kept", b"x").unwrap().when(with(&held)))
        .unwrap();
    assert!(!done.created);
    let entry = done.entry.unwrap();
    assert!(!entry.placeholder);
    assert!(tree.files.versions(entry.fid).unwrap().is_empty());
    tree.files
        .unlock(&author(), &tree.at("/kept"), &held.token)
        .unwrap();
    assert_eq!(tree.read("/kept"), b"x");
}

#[test]
fn listings_show_own_and_inherited_locks() {
    let tree = Tree::new();
    tree.mkdir("/d");
    tree.put("/d/a", b"");
    tree.put("/d/b", b"");
    lock(&tree, "/d", false, true).unwrap();
    lock(&tree, "/d/b", false, false).unwrap();
    let mut seen = Vec::new();
    let folder = tree.entry("/d").unwrap().fid;
    tree.files
        .for_each_child(folder, true, &mut |entry, _, locks| {
            seen.push((entry.name.to_string(), locks.len()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
}
