//! If-Match, If-None-Match and If, decided where they count.

use super::support::*;
use crate::*;

fn if_match(etags: Vec<protocol::Etag>) -> Conditions {
    Conditions {
        if_match: Some(EtagSet::OneOf(etags)),
        ..Conditions::default()
    }
}

#[test]
fn a_loser_of_if_match_keeps_his_bytes_for_a_week() {
    let tree = Tree::new();
    let first = tree.put("/f", b"one");
    tree.put("/f", b"two");
    let op = tree.put_op("/f", b"loser").unwrap();
    let refused = tree.run(op.when(if_match(vec![first.etag()])));
    let Err(Refusal::ConditionFailed {
        current,
        kept_version,
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(current, Some(tree.entry("/f").unwrap().etag()));
    assert!(kept_version);
    assert_eq!(tree.read("/f"), b"two");
    let versions = tree.files.versions(first.fid).unwrap();
    let kept = versions
        .iter()
        .find(|v| v.reason == VersionReason::Refused)
        .unwrap();
    let mut bytes = Vec::new();
    let mut file = tree.files.open_version(first.fid, kept.rev).unwrap();
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    assert_eq!(bytes, b"loser");
    tree.pass(std::time::Duration::from_secs(8 * 24 * 3600));
    tree.files.retention_pass(tree.now()).unwrap();
    assert_eq!(tree.files.versions(first.fid).unwrap().len(), 1);
    assert!(tree.files.open_version(first.fid, kept.rev).is_err());
}

#[test]
fn if_none_match_star_creates_only() {
    let tree = Tree::new();
    let create_only = || Conditions {
        if_none_match: Some(EtagSet::Any),
        ..Conditions::default()
    };
    tree.run(tree.put_op("/f", b"1").unwrap().when(create_only()))
        .unwrap();
    let again = tree.run(tree.put_op("/f", b"2").unwrap().when(create_only()));
    assert!(matches!(again, Err(Refusal::ConditionFailed { .. })));
    let absent = tree.put_op("/g", b"2").unwrap();
    let refused = tree.run(absent.when(Conditions {
        if_match: Some(EtagSet::Any),
        ..Conditions::default()
    }));
    assert!(matches!(
        refused,
        Err(Refusal::ConditionFailed {
            current: None,
            kept_version: false
        })
    ));
    assert_eq!(tree.temps(), 0);
}

#[test]
fn of_the_lists_of_if_one_must_hold() {
    let tree = Tree::new();
    let file = tree.put("/f", b"1");
    tree.put("/other", b"1");
    let etag = |not, etag: &str| Test::Etag {
        not,
        etag: etag.into(),
    };
    let current = file.etag().to_string();
    let check = |lists: Vec<(Option<&str>, Vec<Test>)>| {
        let lists = lists.into_iter().map(|(at, tests)| ConditionList {
            resource: at.map(|path| tree.at(path)),
            tests,
        });
        let conditions = Conditions {
            lists: lists.collect(),
            ..Conditions::default()
        };
        let op = Op::new(Change::SetProps {
            at: tree.at("/f"),
            patches: Vec::new(),
            mtime: None,
        });
        tree.run(op.when(conditions)).is_ok()
    };
    assert!(check(vec![(None, vec![etag(false, &current)])]));
    assert!(!check(vec![(None, vec![etag(true, &current)])]));
    assert!(!check(vec![(None, vec![etag(false, "\"1.1\"")])]));
    assert!(check(vec![
        (None, vec![etag(false, "\"0.0\"")]),
        (None, vec![etag(false, &current), etag(true, "\"0.0\"")]),
    ]));
    assert!(!check(vec![(Some("/other"), vec![etag(false, &current)])]));
    assert!(check(vec![(Some("/f"), vec![etag(false, &current)])]));
    let no_lock = || Test::Token {
        not: true,
        token: "DAV:no-lock".into(),
    };
    assert!(check(vec![(None, vec![no_lock()])]));
    assert!(check(vec![(Some("/no/such"), vec![no_lock()])]));
}

#[test]
fn each_revision_has_one_winner_in_a_thousand_races() {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 125;
    let tree = Tree::new();
    let start = tree.put("/f", b"0").etag();
    let wins = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (tree, wins) = (&tree, &wins);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let seen = tree.entry("/f").unwrap().etag();
                    let content = format!("{writer}-{round}");
                    let op = tree.put_op("/f", content.as_bytes()).unwrap();
                    match tree.run(op.when(if_match(vec![seen]))) {
                        Ok(done) => {
                            let won = done.entry.unwrap().etag();
                            wins.lock().unwrap().push((seen, won, content));
                        }
                        Err(Refusal::ConditionFailed { .. }) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    let mut wins = wins.into_inner().unwrap();
    wins.sort_by_key(|(_, won, _)| won.rev);
    let mut current = start;
    for (seen, won, _) in &wins {
        assert_eq!(*seen, current, "two winners on one revision, or one lost");
        current = *won;
    }
    assert!(!wins.is_empty());
    let (_, last, content) = wins.last().unwrap();
    assert_eq!(tree.entry("/f").unwrap().etag(), *last);
    assert_eq!(tree.read("/f"), content.as_bytes());
}

#[test]
fn a_file_changed_since_a_date_is_not_overwritten_and_the_bytes_are_kept() {
    let tree = Tree::new();
    let first = tree.put("/f", b"one");
    let since = |seconds: i64, if_match: Option<EtagSet>| Conditions {
        unmodified_since: Some(seconds),
        if_match,
        ..Conditions::default()
    };
    let (now, before) = (first.mtime.secs(), first.mtime.secs() - 1);
    let put = |conditions: Conditions| {
        let op = tree.put_op("/f", b"two").unwrap();
        tree.run(op.when(conditions))
    };
    let refused = put(since(before, None));
    assert!(
        matches!(
            refused,
            Err(Refusal::ConditionFailed {
                kept_version: true,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(tree.read("/f"), b"one");
    // Beside If-Match the date does not count (RFC 9110 section 13.1.4).
    let etag = tree.entry("/f").unwrap().etag();
    put(since(before, Some(EtagSet::OneOf(vec![etag])))).unwrap();
    assert!(put(since(now + 3600, None)).is_ok());
    let absent = tree.put_op("/new", b"x").unwrap();
    tree.run(absent.when(since(before, None))).unwrap();
}
