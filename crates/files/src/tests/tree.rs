//! Writing, moving, copying, deleting, restoring; what readers and the change log see of it.

use std::time::Duration;

use protocol::{Seq, SyncToken};

use super::support::*;
use crate::*;

#[test]
fn a_put_lies_under_its_own_name_and_is_read_back() {
    let tree = Tree::new();
    let done = tree.try_put("/a.txt", b"hello").unwrap();
    assert!(done.created);
    let entry = done.entry.unwrap();
    assert_eq!(std::fs::read(tree.disk("a.txt")).unwrap(), b"hello");
    assert_eq!(tree.read("/a.txt"), b"hello");
    assert_eq!(entry.hash.unwrap().0, *blake3::hash(b"hello").as_bytes());
    assert_eq!((entry.size, tree.used()), (5, 5));
    assert_eq!(tree.temps(), 0);
}

#[test]
fn an_overwrite_keeps_fid_and_the_former_content() {
    let tree = Tree::new();
    let first = tree.put("/a", b"one");
    let done = tree.try_put("/a", b"two!").unwrap();
    let second = done.entry.unwrap();
    assert!(!done.created);
    assert_eq!(done.old_rev, Some(first.rev));
    assert_eq!(second.fid, first.fid);
    assert!(second.rev > first.rev);
    assert_eq!(tree.read("/a"), b"two!");
    let versions = tree.files.versions(first.fid).unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].rev, first.rev);
    let mut old = tree.files.open_version(first.fid, first.rev).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut old, &mut bytes).unwrap();
    assert_eq!(bytes, b"one");
    assert_eq!(tree.used(), 4);
}

#[test]
fn etags_change_up_to_the_top_and_nowhere_else() {
    let tree = Tree::new();
    tree.mkdir("/a");
    tree.mkdir("/a/b");
    tree.mkdir("/c");
    let before = |path: &str| tree.entry(path).unwrap().etag();
    let (top, a, b, c) = (before("/"), before("/a"), before("/a/b"), before("/c"));
    let file = tree.put("/a/b/f", b"x");
    for (path, old) in [("/", top), ("/a", a), ("/a/b", b)] {
        let now = before(path);
        assert_ne!(now, old, "{path}");
        assert_eq!(now.rev, file.rev, "{path}");
    }
    assert_eq!(before("/c"), c);
}

#[test]
fn the_change_log_has_no_gaps() {
    let tree = Tree::new();
    tree.mkdir("/d");
    tree.put("/d/f", b"1");
    tree.put("/d/f", b"2");
    tree.rename("/d/f", "/g", false).unwrap();
    tree.delete("/g").unwrap();
    let start = SyncToken {
        epoch: tree.space.epoch,
        seq: Seq(0),
    };
    let all = tree.files.changes(tree.space.id, start, 100).unwrap();
    let seqs: Vec<i64> = all.rows.iter().map(|row| row.seq.0).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    let ops: Vec<ChangeOp> = all.rows.iter().map(|row| row.op).collect();
    use ChangeOp::{Created, Moved, Removed, Written};
    assert_eq!(ops, [Created, Created, Written, Moved, Removed]);
    let first = tree.files.changes(tree.space.id, start, 2).unwrap();
    assert!(first.more);
    let rest = tree.files.changes(tree.space.id, first.token, 9).unwrap();
    assert_eq!(rest.rows, all.rows[2..]);
    assert!(!rest.more);
    for bad in [
        SyncToken {
            epoch: protocol::Epoch(1),
            seq: Seq(0),
        },
        SyncToken {
            epoch: tree.space.epoch,
            seq: Seq(6),
        },
    ] {
        assert!(tree.files.changes(tree.space.id, bad, 9).is_err());
    }
}

#[test]
fn old_changes_are_forgotten_and_their_tokens_refused() {
    let tree = Tree::new();
    tree.put("/a", b"1");
    tree.pass(Duration::from_secs(200 * 24 * 3600));
    tree.put("/b", b"1");
    assert_eq!(tree.files.forget_old_changes().unwrap(), 1);
    let token = |seq| SyncToken {
        epoch: tree.space.epoch,
        seq: Seq(seq),
    };
    let answer = tree.files.changes(tree.space.id, token(0), 9);
    assert!(matches!(answer, Err(ChangesError::InvalidToken(_))));
    let rest = tree.files.changes(tree.space.id, token(1), 9).unwrap();
    assert_eq!(rest.rows.len(), 1);
}

#[test]
fn folders_are_made_once_and_only_where_a_folder_is() {
    let tree = Tree::new();
    tree.mkdir("/d");
    let again = tree.act(Change::MakeFolder { at: tree.at("/d") });
    assert!(matches!(again, Err(Refusal::Exists)));
    let orphan = tree.act(Change::MakeFolder {
        at: tree.at("/x/y"),
    });
    assert!(matches!(orphan, Err(Refusal::ParentMissing(at)) if at == tree.at("/x")));
    tree.put("/f", b"");
    let below_file = tree.act(Change::MakeFolder {
        at: tree.at("/f/y"),
    });
    assert!(matches!(below_file, Err(Refusal::NotAFolder)));
    let top = tree.act(Change::MakeFolder { at: tree.at("/") });
    assert!(matches!(top, Err(Refusal::Exists)));
    assert!(matches!(
        tree.files.stage(&tree.at("/d")),
        Err(Refusal::IsAFolder)
    ));
}

#[test]
fn a_deleted_tree_comes_back_as_it_was() {
    let tree = Tree::new();
    tree.mkdir("/d");
    let file = tree.put("/d/f", b"content");
    let done = tree.delete("/d").unwrap();
    assert!(done.entry.is_none());
    assert!(tree.entry("/d").is_none() && tree.entry("/d/f").is_none());
    assert!(tree.files.entry(file.fid).unwrap().is_none());
    assert!(!tree.disk("d").exists());
    assert_eq!(tree.used(), 0);
    let trash = tree.files.trash(tree.space.id).unwrap();
    assert_eq!(trash.len(), 1);
    assert_eq!((trash[0].old_path.as_str(), trash[0].size), ("/d", 7));
    let trash_id = done.trash_id.unwrap();
    tree.act(Change::Restore { trash_id, to: None }).unwrap();
    assert_eq!(tree.read("/d/f"), b"content");
    assert_eq!(tree.entry("/d/f").unwrap().etag(), file.etag());
    assert_eq!(tree.used(), 7);
    assert!(tree.files.trash(tree.space.id).unwrap().is_empty());
}

#[test]
fn restoring_over_a_taken_name_is_refused_and_another_name_works() {
    let tree = Tree::new();
    tree.put("/f", b"old");
    let trash_id = tree.delete("/f").unwrap().trash_id.unwrap();
    tree.put("/f", b"new");
    let taken = tree.act(Change::Restore { trash_id, to: None });
    assert!(matches!(taken, Err(Refusal::Exists)));
    let to = Some(tree.at("/g"));
    tree.act(Change::Restore { trash_id, to }).unwrap();
    assert_eq!(tree.read("/g"), b"old");
    assert_eq!(tree.read("/f"), b"new");
}

#[test]
fn a_move_keeps_number_versions_and_properties() {
    let tree = Tree::new();
    tree.mkdir("/a");
    tree.mkdir("/b");
    let file = tree.put("/a/f", b"1");
    tree.put("/a/f", b"2");
    let prop = DeadProp {
        namespace: "urn:x".into(),
        name: "color".into(),
        xml: "<color xmlns='urn:x'>red</color>".into(),
    };
    tree.act(Change::SetProps {
        at: tree.at("/a/f"),
        patches: vec![PropPatch::Set(prop.clone())],
        mtime: None,
    })
    .unwrap();
    let done = tree.rename("/a", "/b/c", false).unwrap();
    assert!(done.created);
    let moved = tree.entry("/b/c/f").unwrap();
    assert_eq!(moved.fid, file.fid);
    assert_eq!(tree.read("/b/c/f"), b"2");
    assert_eq!(tree.files.versions(file.fid).unwrap().len(), 1);
    assert_eq!(tree.files.dead_props(file.fid).unwrap(), [prop]);
    assert!(tree.entry("/a").is_none());
    assert_eq!(
        tree.files.locate(file.fid).unwrap().path.to_string(),
        "/b/c/f"
    );
}

#[test]
fn what_a_move_overwrites_goes_to_the_trash() {
    let tree = Tree::new();
    tree.put("/a", b"new");
    let target = tree.put("/b", b"old");
    assert!(matches!(
        tree.rename("/a", "/b", false),
        Err(Refusal::Exists)
    ));
    let done = tree.rename("/a", "/b", true).unwrap();
    assert!(!done.created);
    assert_eq!(done.old_rev, Some(target.rev));
    assert_eq!(tree.read("/b"), b"new");
    let trash_id = done.trash_id.unwrap();
    let to = Some(tree.at("/back"));
    tree.act(Change::Restore { trash_id, to }).unwrap();
    assert_eq!(tree.read("/back"), b"old");
}

#[test]
fn a_folder_does_not_go_into_itself() {
    let tree = Tree::new();
    tree.mkdir("/a");
    tree.mkdir("/a/b");
    for to in ["/a/x", "/a/b/c"] {
        assert!(matches!(
            tree.rename("/a", to, true),
            Err(Refusal::IntoItself)
        ));
        assert!(matches!(
            tree.copy("/a", to, true),
            Err(Refusal::IntoItself)
        ));
    }
    assert!(matches!(
        tree.rename("/a/b", "/a", true),
        Err(Refusal::IntoItself)
    ));
    assert!(matches!(
        tree.rename("/a", "/a", true),
        Err(Refusal::SameTarget)
    ));
    assert!(matches!(tree.delete("/"), Err(Refusal::IsTop)));
    assert!(matches!(
        tree.rename("/", "/x", true),
        Err(Refusal::IntoItself)
    ));
}

#[test]
fn a_copy_has_new_numbers_and_the_same_bytes_and_properties() {
    let tree = Tree::new();
    tree.mkdir("/a");
    tree.mkdir("/a/sub");
    let file = tree.put("/a/sub/f", b"bytes");
    tree.act(Change::SetProps {
        at: tree.at("/a/sub/f"),
        patches: vec![PropPatch::Set(DeadProp {
            namespace: String::new(),
            name: "p".into(),
            xml: "<p/>".into(),
        })],
        mtime: None,
    })
    .unwrap();
    assert!(tree.copy("/a", "/b", false).unwrap().created);
    let copy = tree.entry("/b/sub/f").unwrap();
    assert_ne!(copy.fid, file.fid);
    assert_eq!(tree.read("/b/sub/f"), b"bytes");
    assert_eq!(copy.hash, file.hash);
    assert_eq!(tree.files.dead_props(copy.fid).unwrap().len(), 1);
    assert!(matches!(tree.copy("/a", "/b", false), Err(Refusal::Exists)));
    let again = tree.copy("/a", "/b", true).unwrap();
    assert!(!again.created && again.trash_id.is_some());
    assert_eq!(tree.used(), 10);
    let shallow = tree.act(Change::Copy {
        from: tree.at("/a"),
        to: tree.at("/empty"),
        overwrite: false,
        deep: false,
    });
    assert!(shallow.is_ok());
    assert!(tree.names("/empty").is_empty());
}

#[test]
fn properties_are_set_all_or_nothing() {
    let tree = Tree::new();
    let file = tree.put("/f", b"x");
    let prop = |name: &str, len: usize| {
        PropPatch::Set(DeadProp {
            namespace: "n".into(),
            name: name.into(),
            xml: "x".repeat(len),
        })
    };
    let set = |patches| {
        tree.act(Change::SetProps {
            at: tree.at("/f"),
            patches,
            mtime: None,
        })
    };
    let refused = set(vec![prop("a", 10), prop("b", PROP_BYTES_MAX + 1)]);
    assert!(matches!(refused, Err(Refusal::TooManyProps(_))));
    assert!(tree.files.dead_props(file.fid).unwrap().is_empty());
    let many = (0..=PROPS_MAX).map(|i| prop(&i.to_string(), 1)).collect();
    assert!(matches!(set(many), Err(Refusal::TooManyProps(_))));
    let done = set(vec![prop("a", 10), prop("b", 10)]).unwrap();
    assert_eq!(
        done.entry.unwrap().etag(),
        file.etag(),
        "content is the same"
    );
    let gone = PropPatch::Remove {
        namespace: "n".into(),
        name: "a".into(),
    };
    set(vec![gone.clone(), gone]).unwrap();
    assert_eq!(tree.files.dead_props(file.fid).unwrap().len(), 1);
}

#[test]
fn mtimes_of_writers_are_kept_on_the_disk_too() {
    let tree = Tree::new();
    let mtime = protocol::Timestamp(1_000_000_000_000);
    tree.act(Change::Put {
        at: tree.at("/f"),
        content: tree.staged("/f", b"x"),
        mtime: Some(mtime),
        no_overwrite: false,
    })
    .unwrap();
    assert_eq!(tree.entry("/f").unwrap().mtime, mtime);
    let later = protocol::Timestamp(1_100_000_000_000);
    tree.act(Change::SetProps {
        at: tree.at("/f"),
        patches: Vec::new(),
        mtime: Some(later),
    })
    .unwrap();
    let on_disk = std::fs::metadata(tree.disk("f")).unwrap();
    let since = on_disk
        .modified()
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH);
    assert_eq!(since.unwrap().as_millis(), 1_100_000_000_000);
    assert_eq!(tree.entry("/f").unwrap().mtime, later);
    assert_eq!(tree.read("/f"), b"x");
}

#[test]
fn a_former_version_becomes_current_again() {
    let tree = Tree::new();
    let first = tree.put("/f", b"one");
    tree.put("/f", b"two");
    let at = tree.at("/f");
    let rev = first.rev;
    let done = tree.act(Change::RestoreVersion { at, rev }).unwrap();
    assert_eq!(tree.read("/f"), b"one");
    assert_eq!(done.entry.unwrap().hash, first.hash);
    assert_eq!(tree.files.versions(first.fid).unwrap().len(), 2);
}

#[test]
fn incomplete_and_damaged_bodies_change_nothing() {
    use std::io::Write;
    let tree = Tree::new();
    tree.put("/f", b"whole");
    let stage = || {
        let mut staging = tree.files.stage(&tree.at("/f")).unwrap().with_sha1();
        staging.write_all(b"part").unwrap();
        staging
    };
    let short = stage().finish(Expect {
        length: Some(10),
        ..Expect::default()
    });
    assert!(matches!(
        short,
        Err(Refusal::Incomplete {
            expected: 10,
            got: 4
        })
    ));
    let wrong = stage().finish(Expect {
        sha1: Some([0; 20]),
        ..Expect::default()
    });
    assert!(matches!(wrong, Err(Refusal::ChecksumMismatch { .. })));
    let wrong = stage().finish(Expect {
        blake3: Some(protocol::Hash([0; 32])),
        ..Expect::default()
    });
    assert!(matches!(wrong, Err(Refusal::ChecksumMismatch { .. })));
    drop(stage());
    assert_eq!(tree.read("/f"), b"whole");
    assert_eq!(tree.temps(), 0);
}

#[test]
fn the_quota_counts_what_is_in_the_tree() {
    let tree = Tree::new();
    tree.files.set_quota(tree.space.id, Some(10)).unwrap();
    tree.put("/a", b"123456");
    let refused = tree.try_put("/b", b"12345");
    assert!(matches!(
        refused,
        Err(Refusal::OverQuota {
            need: 5,
            available: 4
        })
    ));
    tree.put("/a", b"1234567890");
    assert!(matches!(
        tree.copy("/a", "/b", false),
        Err(Refusal::OverQuota { .. })
    ));
    let trash_id = tree.delete("/a").unwrap().trash_id.unwrap();
    tree.put("/b", b"1");
    let back = tree.act(Change::Restore { trash_id, to: None });
    assert!(matches!(back, Err(Refusal::OverQuota { .. })));
    let usage = tree.files.usage(tree.space.id).unwrap();
    assert_eq!((usage.used, usage.available), (1, 9));
    assert_eq!(tree.temps(), 0);
}

#[test]
fn a_batch_sees_its_own_changes_in_order() {
    let tree = Tree::new();
    let mut ops = vec![Op::new(Change::MakeFolder { at: tree.at("/d") })];
    tree.mkdir("/tmp");
    for i in 0..20 {
        ops.push(Op::new(Change::Put {
            at: tree.at(&format!("/d/{i}")),
            content: tree.staged("/tmp/x", format!("{i}").as_bytes()),
            mtime: None,
            no_overwrite: true,
        }));
    }
    ops.push(Op::new(Change::Delete {
        at: tree.at("/d/7"),
    }));
    ops.push(Op::new(Change::Move {
        from: tree.at("/d"),
        to: tree.at("/e"),
        overwrite: false,
    }));
    ops.push(Op::new(Change::Delete {
        at: tree.at("/d/8"),
    }));
    let answers = tree.files.commit(&author(), ops);
    assert!(answers[..23].iter().all(Result::is_ok), "{answers:?}");
    assert!(matches!(answers[23], Err(Refusal::NotFound)));
    assert_eq!(tree.names("/e").len(), 19);
    assert_eq!(tree.read("/e/8"), b"8");
}

#[test]
fn an_operation_that_is_repeated_gets_its_first_answer() {
    let tree = Tree::new();
    let op = |content: &[u8]| Op {
        operation_id: Some("op-1".into()),
        ..tree.put_op("/f", content).unwrap()
    };
    let first = tree.run(op(b"one")).unwrap();
    let again = tree.run(op(b"two")).unwrap();
    assert!(again.created);
    assert_eq!(again.entry.unwrap().etag(), first.entry.unwrap().etag());
    assert_eq!(tree.read("/f"), b"one");
    let delete = || Op {
        operation_id: Some("op-2".into()),
        ..Op::new(Change::Delete { at: tree.at("/f") })
    };
    let gone = tree.run(delete()).unwrap();
    assert_eq!(tree.run(delete()).unwrap().trash_id, gone.trash_id);
    assert_eq!(tree.temps(), 0);
}

#[test]
fn pages_of_a_listing_join_without_gap_or_repeat() {
    let tree = Tree::new();
    for (name, size) in [("b", 3), ("a", 3), ("d", 1), ("c", 2), ("e", 3)] {
        tree.put(&format!("/{name}"), &vec![0; size]);
    }
    let folder = tree.space.root;
    let check = |order, descending, expected: &str| {
        let mut names = String::new();
        let mut after = None;
        loop {
            let page = Page {
                after,
                limit: 2,
                order,
                descending,
                ..Page::default()
            };
            let entries = tree.files.children(folder, &page).unwrap();
            let Some(last) = entries.last() else { break };
            let printed = Cursor::of(last, order).to_string();
            after = Some(printed.parse().unwrap());
            entries
                .iter()
                .for_each(|entry| names.push_str(entry.name.as_str()));
        }
        assert_eq!(names, expected);
    };
    check(Order::Name, false, "abcde");
    check(Order::Name, true, "edcba");
    check(Order::Size, false, "dcabe");
    check(Order::Size, true, "ebacd");
    assert_eq!(tree.files.count_children(folder).unwrap(), 5);
}

#[test]
fn an_edit_behind_our_back_is_served_whole_and_never_overwritten_unseen() {
    let tree = Tree::new();
    let before = tree.put("/f", b"ours");
    std::fs::write(tree.disk("f"), b"theirs!").unwrap();
    assert_eq!(tree.read("/f"), b"theirs!");
    let after = tree.entry("/f").unwrap();
    assert_ne!(after.etag(), before.etag());
    assert_eq!(after.state, EntryState::Indexing);

    std::fs::write(tree.disk("f"), b"theirs again").unwrap();
    let conflict = tree.try_put("/f", b"lost race");
    assert!(
        matches!(conflict, Err(Refusal::OutsideEdit)),
        "{conflict:?}"
    );
    assert_eq!(tree.read("/f"), b"theirs again");
    let versions = tree.files.versions(before.fid).unwrap();
    assert!(
        versions
            .iter()
            .any(|v| v.reason == VersionReason::Outside && v.size == 9)
    );
    tree.put("/f", b"won");
    assert_eq!(tree.read("/f"), b"won");
    assert!(!tree.files.hints(Duration::ZERO).is_empty());
}

#[test]
fn a_name_that_only_the_disk_has_is_not_overwritten() {
    let tree = Tree::new();
    std::fs::write(tree.disk("f"), b"unseen").unwrap();
    assert!(matches!(
        tree.try_put("/f", b"x"),
        Err(Refusal::OutsideEdit)
    ));
    assert_eq!(std::fs::read(tree.disk("f")).unwrap(), b"unseen");
    assert_eq!(tree.temps(), 0);
}

#[test]
fn the_tree_is_the_same_after_a_restart() {
    let tree = Tree::new();
    tree.mkdir("/d");
    let file = tree.put("/d/f", b"1");
    tree.put("/d/g", b"2");
    tree.delete("/d/g").unwrap();
    let tree = tree.reopen();
    assert_eq!(tree.recovery.temps_removed, 0);
    assert_eq!(tree.read("/d/f"), b"1");
    assert_eq!(tree.entry("/d/f").unwrap(), file);
    let tree = tree.reopen();
    assert_eq!(tree.recovery, Recovery::default());
}

#[test]
fn moves_between_spaces_take_bytes_and_log_along() {
    let tree = Tree::new();
    let name = protocol::EntryName::new("bob").unwrap();
    let bob = tree
        .files
        .create_space(&name, protocol::AccountId(2))
        .unwrap();
    tree.mkdir("/d");
    let file = tree.put("/d/f", b"12345");
    let to = At {
        space: bob.id,
        path: protocol::TreePath::parse("/got").unwrap(),
    };
    tree.act(Change::Move {
        from: tree.at("/d"),
        to,
        overwrite: false,
    })
    .unwrap();
    assert_eq!(tree.used(), 0);
    assert_eq!(tree.files.usage(bob.id).unwrap().used, 5);
    let entry = tree.files.entry(file.fid).unwrap().unwrap();
    assert_eq!(entry.space, bob.id);
    assert!(tree.files.open_content(file.fid).is_ok());
    assert!(tree.home.join("bob/got/f").exists());
}

#[test]
fn the_feed_tells_the_newest_number_of_each_space() {
    let tree = Tree::new();
    let feed = tree.files.feed();
    assert_eq!(feed.next(Duration::ZERO), None);
    tree.put("/a", b"");
    let last = tree.put("/b", b"");
    assert_eq!(feed.next(Duration::ZERO), Some((tree.space.id, last.rev)));
    assert_eq!(feed.next(Duration::ZERO), None);
}

#[test]
fn many_writers_in_one_folder_all_succeed() {
    let tree = Tree::new();
    tree.mkdir("/d");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let tree = &tree;
            scope.spawn(move || {
                for i in 0..20 {
                    tree.put(&format!("/d/{writer}-{i}"), b"x");
                    tree.put(&format!("/d/common-{i}"), format!("{writer}").as_bytes());
                }
            });
        }
    });
    assert_eq!(tree.names("/d").len(), 8 * 20 + 20);
    assert_eq!(tree.used(), 180);
    let seq = tree.files.space("alice").unwrap().unwrap().seq;
    assert_eq!(seq.0, 1 + 8 * 40);
    assert_eq!(tree.temps(), 0);
}

#[test]
fn a_large_tree_is_copied_whole() {
    let tree = Tree::new();
    tree.mkdir("/a");
    let mut ops = Vec::new();
    for folder in 0..5 {
        tree.mkdir(&format!("/a/{folder}"));
        tree.mkdir(&format!("/a/{folder}/deep"));
        for file in 0..30 {
            let path = format!("/a/{folder}/deep/{file}");
            ops.push(tree.put_op(&path, path.as_bytes()).unwrap());
        }
    }
    assert!(tree.files.commit(&author(), ops).iter().all(Result::is_ok));
    tree.copy("/a", "/b", false).unwrap();
    for folder in 0..5 {
        assert_eq!(tree.names(&format!("/b/{folder}/deep")).len(), 30);
    }
    assert_eq!(tree.read("/b/4/deep/29"), b"/a/4/deep/29");
    assert_eq!(tree.temps(), 0);
}
