//! Chain, head, cut and check, on a real database; each way to tamper is found.

use std::fs;

use protocol::{AccountId, Fid, NodeSecret, Seq};

use super::*;
use crate::tests::{Home, address, days, minutes, nobody, seconds, secret, signed_in};
use crate::{Asker, Place, Who};

/// A log of `rows` rows, sealed.
fn log(rows: u64) -> Home {
    let home = Home::new();
    for n in 1..=rows {
        home.sharing.audit(write_of(&home, n)).unwrap();
    }
    home.sharing.seal_head().unwrap();
    home
}

fn write_of(home: &Home, n: u64) -> Event {
    Event {
        fid: Some(Fid(7)),
        old_rev: Some(Seq(1)),
        new_rev: Some(Seq(2)),
        ..Event::by(
            "alice",
            home.now(),
            Action::Write,
            format!("alice:/file {n}"),
        )
    }
}

/// What a check of the stopped node's files finds, once of the database and once of an export.
fn findings(home: &Home) -> Vec<Finding> {
    let head = home.folder.path().join(HEAD_FILE);
    let database = home.folder.path().join("catalog.db");
    let report = verify_offline(Source::Database(&database), Some(&head), &secret().id());
    report.unwrap().findings
}

fn tamper(home: &Home, sql: &str) {
    assert!(home.connection().execute(sql, []).unwrap() > 0);
}

#[test]
fn a_log_that_nobody_touched_is_clean() {
    let home = log(5);
    assert_eq!(findings(&home), []);
    home.sharing.audit(write_of(&home, 6)).unwrap();
    let report = home.sharing.verify_audit().unwrap();
    assert!(report.is_clean());
    assert_eq!((report.rows, report.first, report.unsealed), (6, 1, 1));
}

#[test]
fn a_flipped_byte_is_found() {
    let home = log(5);
    tamper(
        &home,
        "UPDATE audit SET target = 'alice:/file 4' WHERE seq = 3",
    );
    assert_eq!(findings(&home), [Finding::Altered { seq: 3 }]);
}

/// Each column is part of the hash.
#[test]
fn a_change_of_any_column_is_found() {
    for change in [
        "at = at + 1",
        "account = 9",
        "actor = 'bob'",
        "via = 'x'",
        "address = '192.0.2.1'",
        "action = 'read'",
        "space = 1",
        "target = ''",
        "fid = NULL",
        "old_rev = 2",
        "new_rev = NULL",
        "outcome = 'failed'",
        "detail = 'x'",
        "count = 2",
        "hash = zeroblob(32)",
    ] {
        let home = log(3);
        tamper(&home, &format!("UPDATE audit SET {change} WHERE seq = 2"));
        assert!(
            findings(&home).contains(&Finding::Altered { seq: 2 }),
            "{change}"
        );
    }
}

#[test]
fn a_flipped_byte_in_the_file_itself_is_found() {
    let home = log(5);
    home.close();
    let path = home.folder.path().join("catalog.db");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(6).position(|w| w == b"file 4").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(findings(&home), [Finding::Altered { seq: 4 }]);
}

#[test]
fn a_dropped_middle_row_is_found() {
    let home = log(5);
    tamper(&home, "DELETE FROM audit WHERE seq = 3");
    assert_eq!(findings(&home), [Finding::Gap { after: 2, next: 4 }]);
}

#[test]
fn a_dropped_and_renumbered_row_is_found() {
    let home = log(5);
    tamper(&home, "DELETE FROM audit WHERE seq = 3");
    tamper(&home, "UPDATE audit SET seq = seq - 1 WHERE seq > 3");
    assert!(findings(&home).contains(&Finding::Altered { seq: 3 }));
    assert!(findings(&home).contains(&Finding::Shortened { head: 5, rows: 4 }));
}

#[test]
fn a_dropped_tail_is_found() {
    let home = log(5);
    tamper(&home, "DELETE FROM audit WHERE seq > 3");
    assert_eq!(findings(&home), [Finding::Shortened { head: 5, rows: 3 }]);
}

#[test]
fn dropped_first_rows_are_found() {
    let home = log(5);
    tamper(&home, "DELETE FROM audit WHERE seq < 3");
    assert_eq!(findings(&home), [Finding::Gap { after: 0, next: 3 }]);
}

/// Whoever rewrites the chain consistently lacks the node's key for its head.
#[test]
fn a_rewritten_chain_is_found() {
    let home = log(5);
    let mut previous = chain::genesis(&secret().id());
    let connection = home.connection();
    let page = home
        .sharing
        .audit_rows(&AuditFilter::default(), None, 10)
        .unwrap();
    for mut row in page.rows.into_iter().rev() {
        if row.seq == 2 {
            row.actor = "bob".into();
        }
        previous = chain::row_hash(&previous, &row);
        connection
            .execute(
                "UPDATE audit SET actor = ?2, hash = ?3 WHERE seq = ?1",
                rusqlite::params![row::to_sql(row.seq), row.actor, &previous.0[..]],
            )
            .unwrap();
    }
    assert_eq!(findings(&home), [Finding::HeadMismatch { seq: 5 }]);
}

#[test]
fn a_rolled_back_database_is_found_and_the_log_says_so_for_ever() {
    let mut home = log(3);
    home.close();
    let path = home.folder.path().join("catalog.db");
    let old = fs::read(&path).unwrap();
    home.restart();
    home.sharing.audit(write_of(&home, 4)).unwrap();
    home.sharing.seal_head().unwrap();
    home.close();
    fs::write(&path, old).unwrap();
    let _ = fs::remove_file(home.folder.path().join("catalog.db-wal"));
    assert_eq!(findings(&home), [Finding::Shortened { head: 4, rows: 3 }]);
    // The node starts all the same: a person may have restored a backup.
    home.restart();
    home.sharing.audit(write_of(&home, 5)).unwrap();
    home.sharing.seal_head().unwrap();
    let detail = "4 rows were sealed and 3 are there".to_owned();
    assert_eq!(findings(&home), [Finding::Recorded { seq: 4, detail }]);
    let aside = fs::read_dir(home.folder.path())
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("audit-head.broken-")
        })
        .count();
    assert_eq!(aside, 1);
}

#[test]
fn a_forged_head_is_found() {
    let home = log(3);
    let path = home.folder.path().join(HEAD_FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"count\": 3", "\"count\": 2")).unwrap();
    assert_eq!(
        findings(&home),
        [Finding::Forged { what: "head" }, Finding::NoHead]
    );
    fs::write(&path, "{}").unwrap();
    assert!(matches!(
        findings(&home)[..],
        [Finding::Unreadable { .. }, Finding::NoHead]
    ));
    fs::remove_file(&path).unwrap();
    assert_eq!(findings(&home), [Finding::NoHead]);
}

#[test]
fn another_nodes_log_is_not_this_ones() {
    let home = log(3);
    let other = NodeSecret::from_bytes([9; 32]).id();
    let database = home.folder.path().join("catalog.db");
    let head = home.folder.path().join(HEAD_FILE);
    let report = verify_offline(Source::Database(&database), Some(&head), &other).unwrap();
    assert!(report.findings.contains(&Finding::Forged { what: "head" }));
    assert!(report.findings.contains(&Finding::Altered { seq: 1 }));
}

#[test]
fn a_head_that_vanished_is_told_at_the_next_start() {
    let mut home = log(3);
    fs::remove_file(home.folder.path().join(HEAD_FILE)).unwrap();
    home.restart();
    let detail = "there are 3 rows and no head".to_owned();
    assert_eq!(findings(&home), [Finding::Recorded { seq: 4, detail }]);
}

#[test]
fn a_log_changed_under_a_running_node_is_told_at_the_next_seal() {
    let home = log(3);
    tamper(&home, "DELETE FROM audit WHERE seq = 3");
    home.sharing.seal_head().unwrap();
    let detail = "3 rows were sealed and 2 are there".to_owned();
    assert_eq!(findings(&home), [Finding::Recorded { seq: 3, detail }]);
}

#[test]
fn an_export_proves_itself_with_the_nodes_id_alone() {
    let home = log(4);
    let path = home.folder.path().join("audit.jsonl");
    let mut out = Vec::new();
    assert_eq!(home.sharing.export_audit(&mut out).unwrap(), 4);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 5);
    let check = |text: &str| {
        fs::write(&path, text).unwrap();
        verify_offline(Source::Export(&path), None, &secret().id())
            .unwrap()
            .findings
    };
    assert_eq!(check(&text), []);
    assert_eq!(
        check(&text.replace("file 2", "file 9")),
        [Finding::Altered { seq: 2 }]
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        check(&[lines[0], lines[1], lines[2], lines[4]].join("\n")),
        [Finding::Gap { after: 2, next: 4 }]
    );
    assert_eq!(
        check(&lines[..4].join("\n")),
        [Finding::Shortened { head: 4, rows: 3 }]
    );
    assert!(
        matches!(check("no json"), f if matches!(f[..], [Finding::Unreadable { .. }, Finding::NoHead]))
    );
    assert!(!check(&format!("{}\n{}", lines[0], "x".repeat(1_000_000))).is_empty());
    // The head that was kept elsewhere is newer than the export's own.
    home.sharing.audit(write_of(&home, 5)).unwrap();
    home.sharing.seal_head().unwrap();
    fs::write(&path, &text).unwrap();
    let head = home.folder.path().join(HEAD_FILE);
    let report = verify_offline(Source::Export(&path), Some(&head), &secret().id()).unwrap();
    assert_eq!(report.findings, [Finding::Shortened { head: 5, rows: 4 }]);
}

#[test]
fn a_cut_log_still_proves_itself() {
    let mut home = log(10);
    home.pass(days(400));
    for n in 11..=15 {
        home.sharing.audit(write_of(&home, n)).unwrap();
    }
    let gone = home.sharing.cut_audit(home.now().minus(days(365))).unwrap();
    assert_eq!(gone, 10);
    assert_eq!(
        home.sharing.cut_audit(home.now().minus(days(365))).unwrap(),
        0
    );
    let report = home.sharing.verify_audit().unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.first, report.rows), (11, 6));
    let newest = home
        .sharing
        .audit_rows(&AuditFilter::default(), None, 1)
        .unwrap();
    assert_eq!(newest.rows[0].action, "audit-cut");
    home.restart();
    assert_eq!(findings(&home), []);
    // A cut by hand has no signature of the node.
    tamper(&home, "DELETE FROM audit WHERE seq < 13");
    tamper(
        &home,
        "UPDATE audit_cut SET seq = 12, hash = (SELECT hash FROM audit WHERE seq = 13)",
    );
    assert!(findings(&home).contains(&Finding::Forged { what: "checkpoint" }));
}

#[test]
fn a_row_from_the_future_does_not_keep_the_log_for_ever() {
    let home = log(1);
    let mut future = write_of(&home, 2);
    future.at = home.now().plus(days(10_000));
    home.sharing.audit(future).unwrap();
    home.sharing.audit(write_of(&home, 3)).unwrap();
    home.pass(days(400));
    home.sharing.audit(write_of(&home, 4)).unwrap();
    assert_eq!(
        home.sharing.cut_audit(home.now().minus(days(365))).unwrap(),
        3
    );
}

fn actions(home: &Home) -> Vec<String> {
    home.settle();
    let page = home
        .sharing
        .audit_rows(&AuditFilter::default(), None, 1000)
        .unwrap();
    page.rows
        .iter()
        .rev()
        .map(|row| format!("{} {} {} x{}", row.action, row.actor, row.target, row.count))
        .collect()
}

#[test]
fn reads_by_others_are_one_row_in_ten_minutes() {
    let mut home = Home::new();
    let alice = home.account("alice", true);
    let bob = home.account("bob", false);
    let read = |home: &Home, who: &crate::Account, fid| {
        let asker = signed_in(who, Place::Lan);
        home.sharing
            .audit_read(&asker, alice.id, Fid(fid), "alice:/x")
            .unwrap();
    };
    read(&home, &alice, 7);
    read(&home, &bob, 7);
    home.pass(minutes(9));
    read(&home, &bob, 7);
    home.restart();
    read(&home, &bob, 7);
    read(&home, &bob, 8);
    assert_eq!(actions(&home).len(), 2);
    home.pass(minutes(1));
    read(&home, &bob, 7);
    assert_eq!(actions(&home).len(), 3);
}

#[test]
fn refusals_of_strangers_are_counted_per_address_and_minute() {
    let home = Home::new();
    home.set_clock(Timestamp::from_secs(6_000_000));
    let refuse = |from: &str, target: &str| {
        home.sharing
            .audit_refusal(&nobody(from), target, "not signed in")
            .unwrap();
    };
    for n in 0..1000 {
        refuse("192.0.2.1", &format!("/wp-admin/{n}"));
    }
    refuse("192.0.2.2", "/a");
    assert_eq!(
        actions(&home),
        ["refuse nobody /wp-admin/0 x1", "refuse nobody /a x1"]
    );
    home.pass(minutes(1));
    home.sharing.flush_refusals().unwrap();
    assert_eq!(actions(&home)[2..], ["refuse nobody /wp-admin/999 x999"]);
    refuse("192.0.2.1", "/b");
    refuse("192.0.2.1", "/c");
    home.sharing.seal_head().unwrap();
    assert_eq!(actions(&home).len(), 4);
    // The end of the node does not wait for the minute's.
    home.sharing.finish_audit().unwrap();
    assert_eq!(actions(&home)[4..], ["refuse nobody /c x1"]);
    assert!(home.sharing.verify_audit().unwrap().is_clean());
}

#[test]
fn refusals_from_everywhere_are_bounded() {
    let home = Home::new();
    for n in 0..6_000u32 {
        let from = format!("10.{}.{}.1", n >> 8, n & 255);
        home.sharing.audit_refusal(&nobody(&from), "/", "").unwrap();
    }
    home.pass(minutes(1));
    home.sharing.flush_refusals().unwrap();
    let actions = actions(&home);
    assert_eq!(actions.len().min(1000), 1000);
    assert_eq!(home.sql::<u32>("SELECT count(*) FROM audit"), 4_096 + 2);
    assert_eq!(home.sql::<u32>("SELECT sum(count) FROM audit"), 6_000);
}

#[test]
fn refusals_of_known_actors_are_kept_by_target() {
    let home = Home::new();
    let bob = home.account("bob", false);
    let link = Asker {
        who: Who::Link {
            id: 3,
            unlocked: false,
        },
        ..nobody("192.0.2.1")
    };
    for target in ["alice:/a", "alice:/b", "alice:/a"] {
        home.sharing
            .audit_refusal(&signed_in(&bob, Place::Lan), target, "")
            .unwrap();
        home.sharing.audit_refusal(&link, target, "").unwrap();
    }
    assert_eq!(
        actions(&home),
        [
            "refuse bob alice:/a x1",
            "refuse link 3 alice:/a x1",
            "refuse bob alice:/b x1",
            "refuse link 3 alice:/b x1",
        ]
    );
}

#[test]
fn pages_and_filters_select_rows() {
    let home = log(7);
    let mut other = write_of(&home, 8);
    other.actor = "bob".into();
    other.action = Action::Delete;
    other.fid = Some(Fid(9));
    other.account = Some(AccountId(2));
    other.space = Some(protocol::SpaceId(4));
    other.address = Some(address("::ffff:192.0.2.7"));
    home.pass(seconds(60));
    other.at = home.now();
    home.sharing.audit(other).unwrap();
    let page = |filter: &AuditFilter, before, limit| {
        let page = home.sharing.audit_rows(filter, before, limit).unwrap();
        (
            page.rows.iter().map(|row| row.seq).collect::<Vec<_>>(),
            page.next,
        )
    };
    let all = AuditFilter::default();
    assert_eq!(page(&all, None, 3), (vec![8, 7, 6], Some(6)));
    assert_eq!(page(&all, Some(3), 3), (vec![2, 1], None));
    let check = |filter: AuditFilter, seqs: &[u64]| assert_eq!(page(&filter, None, 10).0, seqs);
    check(
        AuditFilter {
            actor: Some("bob".into()),
            ..all.clone()
        },
        &[8],
    );
    check(
        AuditFilter {
            action: Some("delete".into()),
            ..all.clone()
        },
        &[8],
    );
    check(
        AuditFilter {
            fid: Some(Fid(9)),
            ..all.clone()
        },
        &[8],
    );
    check(
        AuditFilter {
            from: Some(home.now()),
            ..all.clone()
        },
        &[8],
    );
    check(
        AuditFilter {
            until: Some(home.now()),
            text: Some("file 3".into()),
            ..all.clone()
        },
        &[3],
    );
    check(
        AuditFilter {
            text: Some("'; DROP TABLE audit; --".into()),
            ..all.clone()
        },
        &[],
    );
    check(
        AuditFilter {
            account: Some(AccountId(2)),
            ..all.clone()
        },
        &[8],
    );
    check(
        AuditFilter {
            account: Some(AccountId(1)),
            spaces: vec![protocol::SpaceId(4)],
            ..all.clone()
        },
        &[8],
    );
    let row = &home.sharing.audit_rows(&all, None, 1).unwrap().rows[0];
    assert_eq!(row.address, "192.0.2.7");
}

#[test]
fn rows_are_bounded() {
    let home = Home::new();
    let mut event = write_of(&home, 1);
    event.target = "旅".repeat(100_000);
    event.detail = "x".repeat(100_000);
    home.sharing.audit(event).unwrap();
    let row = home
        .sharing
        .audit_rows(&AuditFilter::default(), None, 1)
        .unwrap()
        .rows
        .remove(0);
    assert_eq!((row.target.len(), row.detail.len()), (3_999, 1_000));
    assert!(home.sharing.verify_audit().unwrap().is_clean());
}

#[test]
fn a_change_that_is_undone_takes_its_row_with_it() {
    let home = log(2);
    let sharing = home.sharing.clone();
    let event = write_of(&home, 3);
    let undone: Result<(), crate::SharingError> = home.sharing.write(move |tx| {
        sharing.record_in(tx, &event)?;
        Err(crate::SharingError::Random)
    });
    assert!(undone.is_err());
    home.sharing.audit(write_of(&home, 4)).unwrap();
    assert!(home.sharing.verify_audit().unwrap().is_clean());
    assert_eq!(home.sql::<u32>("SELECT max(seq) FROM audit"), 3);
}
