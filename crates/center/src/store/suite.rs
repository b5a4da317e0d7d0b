//! What every store must do, run by each of them on the real database.

use super::*;
use protocol::{NodeRecord, NodeSecret};

fn secret(number: u8) -> NodeSecret {
    NodeSecret::from_bytes([number; 32])
}

fn record(number: u8, seq: u64) -> SignedRecord {
    let record = NodeRecord {
        node: secret(number).id(),
        name: None,
        seq,
        issued_at_ms: 1_000,
        expires_at_ms: 2_000,
        addresses: vec!["192.0.2.1:8443".parse().unwrap()],
        relays: vec![],
        offer: None,
        services_digest: [0; 8],
    };
    SignedRecord::sign(&record, &secret(number)).unwrap()
}

fn node(number: u8, seq: u64) -> Write {
    Write::Node {
        id: secret(number).id(),
        said: seq,
        seq,
        record: record(number, seq),
        addresses: vec!["192.0.2.1:8443".parse().unwrap()],
        resources: Resources {
            storage_bytes: 1 << 40,
            memory_bytes: 1 << 30,
            cores: 4,
        },
        usage: Usage {
            storage_bytes: 7,
            memory_bytes: 8,
            cpu_percent: 9,
        },
        at: Timestamp(1_500),
        invite: None,
    }
}

fn name(number: u8, said: u64, name: &str, at: i64) -> Write {
    Write::Name {
        id: secret(number).id(),
        said,
        name: name.parse().unwrap(),
        at: Timestamp(at),
        free_before: Timestamp(at - 100),
    }
}

async fn rows(store: &dyn Store) -> (Vec<NodeRow>, Vec<RestingName>) {
    let mut rows = Vec::new();
    let resting = store.load(&mut |row| rows.push(row)).await.unwrap();
    (rows, resting)
}

/// Runs the suite on an empty store; `open` opens the same one again.
pub(super) async fn run<F>(open: impl Fn() -> F)
where
    F: Future<Output = Box<dyn Store>>,
{
    let store = open().await;
    nodes_and_their_numbers(store.as_ref()).await;
    names_are_given_once(store.as_ref()).await;
    invites_are_used_up(store.as_ref()).await;
    let before = rows(store.as_ref()).await;
    store.close().await.unwrap();
    let again = open().await;
    assert_eq!(rows(again.as_ref()).await, before, "after a restart");
    removed_is_removed(again.as_ref()).await;
    again.close().await.unwrap();
}

async fn nodes_and_their_numbers(store: &dyn Store) {
    let outcomes = store
        .commit(vec![node(1, 5), node(2, 5), node(3, 5)])
        .await
        .unwrap();
    assert_eq!(outcomes, [Outcome::Done; 3]);
    let outcomes = store
        .commit(vec![node(1, 6), node(2, 5), node(3, 4)])
        .await
        .unwrap();
    let stale = Outcome::Stale { have: 5 };
    assert_eq!(outcomes, [Outcome::Done, stale, stale]);
    let texts = Write::Texts {
        id: secret(2).id(),
        said: 9,
        texts: vec!["a \"b\" 云".into()],
    };
    let pin = Write::Pin {
        id: secret(3).id(),
        pinned: true,
    };
    let lost = Write::Pin {
        id: secret(99).id(),
        pinned: true,
    };
    let outcomes = store.commit(vec![texts.clone(), pin, lost]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Done, Outcome::Done, Outcome::NoNode]);
    let outcomes = store.commit(vec![texts]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Stale { have: 9 }]);
    let seen = Seen {
        id: secret(1).id(),
        online: false,
        last_seen: Timestamp(1_900),
        usage: Usage {
            storage_bytes: 1,
            memory_bytes: 2,
            cpu_percent: 3,
        },
    };
    store.note(vec![seen.clone()]).await.unwrap();
    let (mut rows, _) = rows(store).await;
    rows.sort_by_key(|row| row.said);
    let [three, one, two] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert_eq!((three.said, three.pinned, three.online), (5, true, true));
    assert_eq!((one.said, &one.record), (6, &record(1, 6)));
    assert_eq!(
        (one.online, one.last_seen, one.usage),
        (false, seen.last_seen, seen.usage)
    );
    assert_eq!(one.first_seen, Timestamp(1_500));
    assert_eq!(
        (one.resources.storage_bytes, one.resources.cores),
        (1 << 40, 4)
    );
    assert_eq!(
        (two.said, two.texts.as_slice()),
        (9, ["a \"b\" 云".to_owned()].as_slice())
    );
}

async fn names_are_given_once(store: &dyn Store) {
    let one = store
        .commit(vec![name(1, 10, "anna", 1_000)])
        .await
        .unwrap();
    assert_eq!(one, [Outcome::Done]);
    let taken = vec![name(2, 11, "anna", 1_000), name(3, 11, "an-na", 1_000)];
    let outcomes = store.commit(taken).await.unwrap();
    assert_eq!(outcomes, [Outcome::NameTaken; 2]);
    // Two at once: one of them gets it.
    let both = vec![name(2, 12, "bob", 1_000), name(3, 12, "b0b", 1_000)];
    let outcomes = store.commit(both).await.unwrap();
    assert_eq!(outcomes, [Outcome::Done, Outcome::NameTaken]);
    let moved = store
        .commit(vec![name(1, 13, "anne", 1_050)])
        .await
        .unwrap();
    assert_eq!(moved, [Outcome::Done]);
    let (rows, resting) = rows(store).await;
    assert_eq!(resting.len(), 1);
    assert_eq!(resting[0].name.as_str(), "anna");
    let names: Vec<_> = rows.iter().filter_map(|row| row.name.as_ref()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    // It rests: closed to others, open to its former owner, free after its time.
    let early = store
        .commit(vec![name(3, 14, "anna", 1_060)])
        .await
        .unwrap();
    assert_eq!(early, [Outcome::NameTaken]);
    let late = store
        .commit(vec![name(3, 15, "anna", 1_200)])
        .await
        .unwrap();
    assert_eq!(late, [Outcome::Done]);
}

async fn invites_are_used_up(store: &dyn Store) {
    let key = InviteKey::of(&[1; 16]);
    let invite = Write::Invite {
        key,
        uses: 1,
        until: Timestamp(2_000),
    };
    store.commit(vec![invite]).await.unwrap();
    let invited = |number, key| {
        let mut write = node(number, 5);
        if let Write::Node { invite, .. } = &mut write {
            *invite = Some(key);
        }
        write
    };
    let wrong = InviteKey::of(&[2; 16]);
    let outcomes = store.commit(vec![invited(20, wrong), invited(21, key), invited(22, key)]);
    let spent = Outcome::InviteSpent;
    assert_eq!(outcomes.await.unwrap(), [spent, Outcome::Done, spent]);
}

async fn removed_is_removed(store: &dyn Store) {
    let id = secret(2).id();
    let outcomes = store.commit(vec![Write::Remove { id }]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Done]);
    let (rows, _) = rows(store).await;
    assert!(rows.iter().all(|row| row.id != id));
    let free = store.commit(vec![name(3, 30, "bob", 3_000)]).await.unwrap();
    assert_eq!(free, [Outcome::Done]);
}
