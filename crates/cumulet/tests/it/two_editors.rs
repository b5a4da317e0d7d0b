//! Several people change one file: the second gets 412 and a kept copy (R91).

use std::sync::Barrier;

use testing::PASSWORD;

use crate::scene::{alice_at_home, at, names};

#[test]
fn r91_the_second_of_two_editors_gets_412_and_a_kept_copy() {
    let (node, alice) = alice_at_home();
    let base = alice.put(&at("text"), "base").expect_status(201).etag();
    let save = |body: &str| {
        alice
            .request("PUT", &at("text"))
            .header("If-Match", &base)
            .body(body)
            .send()
    };
    save("first editor").assert_status(204);
    let second = save("second editor");
    second.assert_status(412);
    assert_eq!(
        alice.get(&at("text")).expect_status(200).text(),
        "first editor"
    );
    // The refused bytes are kept where the owner of the disk can find them.
    let kept = walk(node.folder())
        .into_iter()
        .any(|file| std::fs::read(&file).is_ok_and(|bytes| bytes == b"second editor"));
    assert!(
        kept,
        "the refused bytes lie nowhere under {}",
        node.folder().display()
    );
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = item.path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn r91_of_many_writers_with_the_same_etag_exactly_one_wins_each_round() {
    const WRITERS: usize = 8;
    let (_node, alice) = alice_at_home();
    let mut etag = alice.put(&at("race"), "0").expect_status(201).etag();
    for round in 0..25 {
        let barrier = Barrier::new(WRITERS);
        let wins: Vec<(String, String)> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (alice, etag, barrier) = (&alice, &etag, &barrier);
                    scope.spawn(move || {
                        let body = format!("round {round} writer {writer}");
                        barrier.wait();
                        let reply = alice
                            .request("PUT", &at("race"))
                            .header("If-Match", etag)
                            .body(&body)
                            .send();
                        match reply.status {
                            204 => Some((body, reply.etag())),
                            412 => None,
                            other => panic!("{other}: {}", reply.text()),
                        }
                    })
                })
                .collect();
            racers
                .into_iter()
                .filter_map(|racer| racer.join().unwrap())
                .collect()
        });
        assert_eq!(wins.len(), 1, "round {round}: {wins:?}");
        let (body, winner) = &wins[0];
        let now = alice.get(&at("race")).expect_status(200);
        assert_eq!(&now.text(), body);
        assert_eq!(&now.etag(), winner);
        etag.clone_from(winner);
    }
}

#[test]
fn r91_a_members_lock_keeps_others_out_with_423() {
    let (node, alice) = alice_at_home();
    let bob = node.member("bob");
    alice.call("MKCOL", &at("Team")).assert_status(201);
    alice.put(&at("Team/plan"), "1").assert_status(201);
    node.cli(&["share", "add", "alice:/Team", "bob", "rw"]).ok();
    bob.put(&at("Team/plan"), "bob was here").assert_status(204);
    let body = r#"<?xml version="1.0"?><lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype><owner>alice</owner></lockinfo>"#;
    let lock = alice
        .request("LOCK", &at("Team/plan"))
        .body(body)
        .send()
        .expect_status(200);
    let token = lock.header("lock-token").unwrap().to_owned();
    bob.put(&at("Team/plan"), "2").assert_status(423);
    // A token counts for its account only.
    let stolen = bob
        .request("PUT", &at("Team/plan"))
        .header("If", &format!("({token})"))
        .body("3")
        .send();
    assert!([412, 423].contains(&stolen.status), "{stolen:?}");
    alice
        .request("PUT", &at("Team/plan"))
        .header("If", &format!("({token})"))
        .body("4")
        .send()
        .assert_status(204);
    alice
        .request("UNLOCK", &at("Team/plan"))
        .header("Lock-Token", &token)
        .send()
        .assert_status(204);
    bob.put(&at("Team/plan"), "5").assert_status(204);
}

#[test]
fn create_only_and_replace_only_puts_are_decided_by_the_server() {
    let (node, alice) = alice_at_home();
    let create = |body: &str| {
        alice
            .request("PUT", &at("one"))
            .header("If-None-Match", "*")
            .body(body)
            .send()
    };
    create("a").assert_status(201);
    create("b").assert_status(412);
    alice
        .request("PUT", &at("none"))
        .header("If-Match", "*")
        .body("c")
        .send()
        .assert_status(412);
    let listed = names(&alice.propfind(&at(""), "1").expect_status(207).text());
    assert!(!listed.iter().any(|name| name == "none"), "{listed:?}");
    assert_eq!(
        node.https().basic("alice", PASSWORD).get(&at("one")).text(),
        "a"
    );
}
