//! The rules of the registry, one at a time, on a clock that the tests move.

use protocol::message::center::{Admission, Change, Work};
use protocol::{NodeSecret, RelayOffer};

use super::*;
use crate::store::Write;

const SALT: [u8; 16] = [3; 16];

struct Scene {
    registry: Registry,
    tick: Duration,
    free: bool,
    seq: u64,
}

fn secret(number: u8) -> NodeSecret {
    NodeSecret::from_bytes([number; 32])
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

impl Scene {
    fn new() -> Self {
        let settings = Settings {
            work_bits: 4,
            ..Settings::default()
        };
        Self {
            registry: Registry::new(settings),
            tick: Duration::ZERO,
            free: true,
            seq: 0,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(1_000_000_000_000).plus(self.tick)
    }

    fn record(&self, number: u8, seq: u64, address: &str, offer: bool) -> SignedRecord {
        let address = address.parse().unwrap();
        let record = NodeRecord {
            node: secret(number).id(),
            name: None,
            seq,
            issued_at_ms: self.now().0,
            expires_at_ms: self.now().0 + 1_000_000,
            addresses: vec![address],
            relays: vec![],
            offer: offer.then_some(RelayOffer {
                address,
                rate_bps: 1000,
                load_percent: number,
            }),
            services_digest: [0; 8],
        };
        SignedRecord::sign(&record, &secret(number)).unwrap()
    }

    fn state(&mut self, number: u8, change: Change) -> Result<Judged, Refusal> {
        self.seq += 1;
        let statement = Statement {
            node: secret(number).id(),
            center: NodeId([0; 32]),
            seq: self.seq,
            at_ms: self.now().0,
            change,
        };
        self.repeat(&statement)
    }

    fn repeat(&mut self, statement: &Statement) -> Result<Judged, Refusal> {
        let salts = [SALT];
        let asked = Asked {
            now: self.now(),
            tick: self.tick,
            free: self.free,
            salts: &salts,
        };
        let judged = self.registry.judge(statement, &asked)?;
        self.registry.apply(statement, &asked);
        Ok(judged)
    }

    fn renew(&mut self, number: u8, address: &str) -> Result<Judged, Refusal> {
        let record = self.record(number, self.seq + 1, address, false);
        self.state(number, renewal(record, None))
    }

    fn claim(&mut self, number: u8, label: &str) -> Result<Judged, Refusal> {
        self.state(number, Change::ClaimName { name: name(label) })
    }

    fn later(&mut self, seconds: u64) -> bool {
        self.tick += Duration::from_secs(seconds);
        self.registry.poll(self.now(), self.tick)
    }

    fn presence(&self, number: u8) -> Presence {
        self.registry.get(&secret(number).id()).unwrap().presence
    }

    fn addresses(&self, label: &str) -> Answer<'_> {
        self.registry.answer(&[label], Kind::A)
    }
}

fn renewal(record: SignedRecord, admission: Option<Admission>) -> Change {
    Change::Renew {
        record,
        resources: Resources::default(),
        usage: Usage::default(),
        admission,
    }
}

fn address(text: &str) -> Answer<'_> {
    Answer::Values(vec![Value::Address(text.parse().unwrap())])
}

#[test]
fn a_lower_number_is_refused_with_the_one_that_is_known() {
    let mut scene = Scene::new();
    let old = scene.record(1, 1, "192.0.2.1:1", false);
    scene.seq = 10;
    scene.renew(1, "192.0.2.2:1").unwrap();
    let have = scene.seq;
    // A new statement around an old record.
    assert_eq!(
        scene.state(1, renewal(old, None)),
        Err(Refusal::Stale { have })
    );
    // An old statement.
    scene.seq = 5;
    assert_eq!(scene.renew(1, "192.0.2.3:1"), Err(Refusal::Stale { have }));
    scene.seq = have;
    assert!(scene.renew(1, "192.0.2.3:1").is_ok());
}

#[test]
fn a_repeated_statement_counts_once() {
    let mut scene = Scene::new();
    scene.renew(1, "192.0.2.1:1").unwrap();
    let goodbye = Statement {
        node: secret(1).id(),
        center: NodeId([0; 32]),
        seq: 50,
        at_ms: scene.now().0,
        change: Change::Goodbye,
    };
    scene.repeat(&goodbye).unwrap();
    scene.seq = 60;
    scene.renew(1, "192.0.2.1:1").unwrap();
    assert_eq!(scene.repeat(&goodbye), Err(Refusal::Stale { have: 61 }));
    assert_eq!(scene.presence(1), Presence::Online);
}

#[test]
fn a_renewal_that_changes_nothing_writes_nothing() {
    let mut scene = Scene::new();
    let record = scene.record(1, 1, "192.0.2.1:1", false);
    let first = scene.state(1, renewal(record.clone(), None)).unwrap();
    assert!(first.is_new && matches!(first.write, Some(Write::Node { .. })));
    let usage = Usage {
        cpu_percent: 50,
        ..Usage::default()
    };
    let change = Change::Renew {
        record,
        resources: Resources::default(),
        usage,
        admission: None,
    };
    let again = scene.state(1, change).unwrap();
    assert_eq!(again.write, None);
    let seen = scene.registry.take_unsaved(10);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].usage, usage);
    assert!(scene.registry.take_unsaved(10).is_empty());
}

#[test]
fn a_name_is_given_to_the_first_and_not_to_one_that_looks_like_it() {
    let mut scene = Scene::new();
    for number in [1, 2] {
        scene.renew(number, "192.0.2.1:1").unwrap();
    }
    assert_eq!(scene.claim(3, "carol"), Err(Refusal::Unknown));
    scene.claim(1, "anna").unwrap();
    assert_eq!(scene.claim(1, "anna").unwrap().write, None);
    assert_eq!(scene.claim(2, "anna"), Err(Refusal::NameTaken));
    let other = name("anna");
    assert_eq!(
        scene.claim(2, "an-na"),
        Err(Refusal::NameLooksLike { other })
    );
    assert_eq!(scene.claim(2, "www"), Err(Refusal::NameReserved));
    // Given up, it rests; its former owner may come back.
    scene.claim(1, "anton").unwrap();
    assert_eq!(scene.claim(2, "anna"), Err(Refusal::NameTaken));
    assert_eq!(scene.addresses("anna"), Answer::NoName);
    scene.later(31 * 24 * 3600);
    scene.claim(2, "anna").unwrap();
}

#[test]
fn strangers_need_an_invite_or_work() {
    let mut scene = Scene {
        free: false,
        ..Scene::new()
    };
    assert_eq!(scene.renew(1, "192.0.2.1:1"), Err(Refusal::Invite));
    let node = secret(1).id();
    let good = Work::seek(SALT, &node, 4, 0, 1 << 20).unwrap();
    let stale = Work {
        salt: [9; 16],
        ..good.clone()
    };
    let record = scene.record(1, 1, "192.0.2.1:1", false);
    let with = |work| renewal(record.clone(), Some(Admission::Work(work)));
    assert_eq!(scene.state(1, with(stale)), Err(Refusal::WorkWrong));
    assert!(scene.state(1, with(good.clone())).unwrap().is_new);
    // Work of one node is no work of another.
    let record = scene.record(2, 1, "192.0.2.1:1", false);
    let borrowed = scene.state(2, renewal(record, Some(Admission::Work(good.clone()))));
    assert!(borrowed == Err(Refusal::WorkWrong) || good.holds(&secret(2).id(), 4));
    // Who is registered needs neither.
    assert!(scene.renew(1, "192.0.2.9:1").is_ok());
    let record = scene.record(3, 1, "192.0.2.1:1", false);
    let invite = Some(Admission::Invite([5; 16]));
    let invited = scene.state(3, renewal(record, invite)).unwrap();
    let Some(Write::Node {
        invite: Some(_), ..
    }) = invited.write
    else {
        panic!("{invited:?}");
    };
}

#[test]
fn a_forged_or_foreign_record_is_refused() {
    let mut scene = Scene::new();
    let other = scene.record(2, 1, "192.0.2.1:1", false);
    assert_eq!(
        scene.state(1, renewal(other, None)),
        Err(Refusal::OtherNode)
    );
    let mut old = Scene::new();
    let record = old.record(1, 1, "192.0.2.1:1", false);
    old.tick = Duration::from_hours(24 * 10);
    assert_eq!(old.state(1, renewal(record, None)), Err(Refusal::NotValid));
}

#[test]
fn gone_at_three_missed_renewals_and_not_before() {
    let mut scene = Scene::new();
    scene.renew(1, "192.0.2.1:1").unwrap();
    scene.claim(1, "anna").unwrap();
    assert_eq!(scene.addresses("anna"), address("192.0.2.1"));
    assert!(!scene.later(179));
    assert_eq!(scene.presence(1), Presence::Online);
    assert!(scene.later(1));
    assert_eq!(scene.presence(1), Presence::Gone);
    assert_eq!(scene.addresses("anna"), Answer::NoData);
    assert_eq!(scene.registry.online(), 0);
    scene.renew(1, "192.0.2.2:1").unwrap();
    assert_eq!(scene.addresses("anna"), address("192.0.2.2"));
    assert!(scene.later(180));
}

#[test]
fn an_open_link_is_the_heartbeat() {
    let mut scene = Scene::new();
    scene.renew(1, "192.0.2.1:1").unwrap();
    let node = secret(1).id();
    scene.registry.link_opened(&node);
    for _ in 0..20 {
        assert!(!scene.later(100));
    }
    assert_eq!(scene.presence(1), Presence::Online);
    let (now, tick) = (scene.now(), scene.tick);
    scene.registry.link_closed(&node, now, tick);
    assert!(!scene.later(4));
    // It dialed again in time.
    scene.renew(1, "192.0.2.1:1").unwrap();
    scene.registry.link_opened(&node);
    assert!(!scene.later(4));
    let (now, tick) = (scene.now(), scene.tick);
    scene.registry.link_closed(&node, now, tick);
    assert!(scene.later(5));
    assert_eq!(scene.presence(1), Presence::Gone);
}

#[test]
fn a_goodbye_counts_at_once() {
    let mut scene = Scene::new();
    scene.renew(1, "192.0.2.1:1").unwrap();
    scene.state(1, Change::Goodbye).unwrap();
    assert_eq!(scene.presence(1), Presence::Gone);
}

#[test]
fn after_a_restart_nodes_are_unknown_for_one_patience_and_keep_their_answers() {
    let mut scene = Scene::new();
    let row = |scene: &Scene, number, online| NodeRow {
        id: secret(number).id(),
        said: 5,
        record: scene.record(number, 5, "192.0.2.1:1", false),
        name: Some(name(if number == 1 { "anna" } else { "bob" })),
        resources: Resources::default(),
        usage: Usage::default(),
        texts: vec!["proof".into()],
        online,
        pinned: false,
        first_seen: Timestamp(0),
        last_seen: Timestamp(0),
    };
    for (number, online) in [(1, true), (2, false)] {
        let row = row(&scene, number, online);
        assert!(scene.registry.restore(row, scene.tick));
    }
    assert_eq!(
        (scene.presence(1), scene.presence(2)),
        (Presence::Unknown, Presence::Gone)
    );
    assert_eq!(scene.addresses("anna"), address("192.0.2.1"));
    assert_eq!(scene.addresses("bob"), Answer::NoData);
    let texts = scene
        .registry
        .answer(&["_acme-challenge", "anna"], Kind::Txt);
    assert_eq!(texts, Answer::Values(vec![Value::Text("proof")]));
    assert!(!scene.later(179));
    assert!(scene.later(1));
    assert_eq!(scene.addresses("anna"), Answer::NoData);
    let mut forged = row(&scene, 1, true);
    forged.id = secret(9).id();
    assert!(!scene.registry.restore(forged, scene.tick));
}

#[test]
fn a_neighbor_list_is_bounded_and_holds_the_important_and_the_near() {
    let mut scene = Scene::new();
    for number in 2..=40 {
        scene
            .renew(number, &format!("198.51.{number}.1:1"))
            .unwrap();
    }
    scene.renew(50, "203.0.113.1:1").unwrap();
    scene.renew(51, "192.0.2.77:1").unwrap();
    let far = secret(50).id();
    let ask = |scene: &Scene, most| {
        let from = "192.0.2.1".parse().unwrap();
        let list = scene.registry.neighbors(&secret(1).id(), from, most);
        let list = list
            .iter()
            .map(|record| record.open_at_any_time().unwrap().node);
        list.collect::<Vec<_>>()
    };
    let list = ask(&scene, 4);
    assert_eq!((list.len(), list[0]), (4, secret(51).id()));
    assert!(!list.contains(&far));
    assert!(scene.registry.pin(&far, true));
    let list = ask(&scene, 4);
    assert_eq!((list.len(), list[0], list[1]), (4, far, secret(51).id()));
    // A nearer one enters before a far one, the important one stays.
    scene.renew(52, "192.0.2.2:1").unwrap();
    let list = ask(&scene, 2);
    assert_eq!(list, [far, secret(52).id()]);
    scene.state(52, Change::Goodbye).unwrap();
    assert_eq!(ask(&scene, 2), [far, secret(51).id()]);
}

#[test]
fn relays_with_most_room_come_first() {
    let mut scene = Scene::new();
    for number in [50, 10, 30] {
        let record = scene.record(number, 1, "192.0.2.1:1", true);
        scene.state(number, renewal(record, None)).unwrap();
    }
    let relays = scene.registry.relays(2);
    let nodes: Vec<_> = relays.iter().map(|relay| relay.node).collect();
    assert_eq!(nodes, [secret(10).id(), secret(30).id()]);
}

#[test]
fn the_label_next_to_the_zone_decides() {
    let mut scene = Scene::new();
    scene.renew(1, "192.0.2.1:1").unwrap();
    scene.claim(1, "anna").unwrap();
    let id = secret(1).id().to_string();
    for labels in [
        vec!["anna"],
        vec!["www", "anna"],
        vec!["a", "b", "anna"],
        vec![&id],
    ] {
        assert_eq!(
            scene.registry.answer(&labels, Kind::A),
            address("192.0.2.1"),
            "{labels:?}"
        );
        assert_eq!(scene.registry.answer(&labels, Kind::Aaaa), Answer::NoData);
    }
    assert_eq!(scene.registry.answer(&["bob"], Kind::A), Answer::NoName);
    assert_eq!(
        scene.registry.answer(&["x", "bob"], Kind::A),
        Answer::NoName
    );
}

#[test]
fn a_name_leads_to_the_addresses_of_the_widest_circle() {
    let scene = Scene::new();
    let check = |addresses: &[&str], expected: &[&str]| {
        let mut record = scene
            .record(1, 1, "192.0.2.1:1", false)
            .open_at_any_time()
            .unwrap();
        record.addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let published = dns::published(&record);
        let shown: Vec<_> = published.iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected);
    };
    check(&["127.0.0.1:1"], &["127.0.0.1"]);
    check(&["127.0.0.1:1", "10.0.0.1:1"], &["10.0.0.1"]);
    check(&["10.0.0.1:1", "[fd00::1]:1"], &["10.0.0.1", "fd00::1"]);
    check(
        &["10.0.0.1:1", "192.0.2.1:1", "192.0.2.1:2"],
        &["192.0.2.1"],
    );
    check(&["[fe80::1]:1", "0.0.0.0:1", "224.0.0.1:1"], &[]);
    check(&["[::ffff:10.0.0.1]:1"], &["10.0.0.1"]);
}

#[test]
fn who_changes_all_the_time_is_slowed_down() {
    let mut scene = Scene::new();
    let burst = u64::from(scene.registry.settings().changes_burst);
    scene.renew(1, "192.0.2.1:1").unwrap();
    for _ in 0..burst {
        scene.renew(1, "192.0.2.1:1").unwrap();
    }
    assert_eq!(scene.renew(1, "192.0.2.1:1"), Err(Refusal::TooMany));
    scene.later(1);
    assert!(scene.renew(1, "192.0.2.1:1").is_ok());
}
