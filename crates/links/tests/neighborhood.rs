//! Real neighborhoods on loopback, and neighbors that lie.
#![expect(clippy::unwrap_used, reason = "a test may fail at any step")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use links::neighborhood::{Book, Candidate, Finding, Neighborhood, Own, Settings, Shelf, State};
use links::{Endpoint, NodeAddress, Protocol, Router, Strangers};
use peers::lookup::{Limits, Outcome};
use peers::neighbors::{Size, Snapshot};
use protocol::message::lookup::{Answer, LookupMessage, QueryId, Reply, SignedCards, Target, Term};
use protocol::message::presence::{Hello, Visible};
use protocol::{Clock, NodeId, NodeName, NodeRecord, NodeSecret, SignedRecord, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

fn clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(since.as_millis()).unwrap())
    })
}

struct Nowhere;

impl Shelf for Nowhere {
    fn save(&self, _snapshot: &Snapshot) {}
}

struct Shut;

impl Book for Shut {
    fn search(&self, _: NodeId, _: QueryId, _: u8, _: &Term) -> Option<SignedCards> {
        None
    }
}

fn own(secret: &NodeSecret, name: &str, port: u16, visible: Visible) -> Own {
    let now = clock()();
    let record = NodeRecord {
        node: secret.id(),
        name: Some(name.parse().unwrap()),
        seq: u64::try_from(now.0).unwrap(),
        issued_at_ms: now.0,
        expires_at_ms: now.plus(Duration::from_secs(3600)).0,
        addresses: vec![SocketAddr::new([127, 0, 0, 1].into(), port)],
        relays: Vec::new(),
        offer: None,
        services_digest: [0; 8],
    };
    Own {
        signed: SignedRecord::sign(&record, secret).unwrap(),
        record,
        visible,
        started: Instant::now(),
        version: "0".into(),
    }
}

struct Home {
    endpoint: Endpoint,
    neighborhood: Neighborhood,
    own: watch::Sender<Own>,
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Home {
    async fn new(number: u8, name: &str, visible: Visible) -> Self {
        let secret = NodeSecret::from_bytes([number; 32]);
        let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let protocols = [Protocol::Lookup];
        let endpoint = Endpoint::bind(&secret, &[here], &protocols, Arc::new(Strangers))
            .await
            .unwrap();
        let (own, watched) = watch::channel(own(&secret, name, endpoint.port(), visible));
        let (neighborhood, owner) = Neighborhood::new(Settings {
            size: Size::default(),
            saved: Snapshot::default(),
            shelf: Arc::new(Nowhere),
            book: Arc::new(Shut),
            own: watched,
            clock: clock(),
            seed: [number; 32],
        });
        let stop = CancellationToken::new();
        let router = Router::default().with(Protocol::Lookup, Arc::new(neighborhood.clone()));
        let (at, stopped) = (endpoint.clone(), stop.clone());
        let routing = tokio::spawn(async move { router.run(&at, stopped).await });
        let owning = tokio::spawn(owner.run(endpoint.clone(), stop.clone()));
        Self {
            endpoint,
            neighborhood,
            own,
            stop,
            running: vec![routing, owning],
        }
    }

    fn candidate(&self) -> Candidate {
        Candidate {
            id: self.endpoint.id(),
            addresses: vec![SocketAddr::new([127, 0, 0, 1].into(), self.endpoint.port())],
            name: None,
        }
    }

    async fn linked(&self, count: usize) {
        tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let views = self.neighborhood.list().await.unwrap();
                if views.iter().filter(|view| view.linked).count() == count {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("so many links stand in time");
    }

    async fn find(&self, target: Target) -> (Vec<NodeRecord>, Outcome) {
        let limits = Limits {
            deadline: Duration::from_secs(2),
            ..Limits::default()
        };
        let mut findings = self.neighborhood.find(target, limits).await.unwrap();
        let mut found = Vec::new();
        loop {
            match findings.recv().await.expect("a lookup ends") {
                Finding::Found { record, .. } => found.push(*record),
                Finding::Cards { .. } => panic!("nobody sought people"),
                Finding::Finished(outcome) => return (found, outcome),
            }
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.running {
            task.await.unwrap();
        }
        self.endpoint.close().await;
    }
}

fn named(name: &str) -> Target {
    Target::named(&name.parse::<NodeName>().unwrap())
}

#[tokio::test]
async fn two_that_call_each_other_keep_one_link_and_hear_of_new_addresses() {
    let alice = Home::new(1, "alice", Visible::Everybody).await;
    let bob = Home::new(2, "bob", Visible::Everybody).await;
    alice.neighborhood.meet(bob.candidate());
    bob.neighborhood.meet(alice.candidate());
    alice.linked(1).await;
    bob.linked(1).await;

    let secret = NodeSecret::from_bytes([1; 32]);
    let mut moved = own(&secret, "alicia", alice.endpoint.port(), Visible::Everybody);
    moved.record.seq += 10;
    moved.record.addresses = vec!["192.0.2.7:8443".parse().unwrap()];
    moved.signed = SignedRecord::sign(&moved.record, &secret).unwrap();
    alice.own.send_replace(moved);
    let begun = Instant::now();
    while bob.neighborhood.list().await.unwrap()[0]
        .name
        .as_ref()
        .map(NodeName::as_str)
        != Some("alicia")
    {
        assert!(begun.elapsed() < Duration::from_secs(5), "the news came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (found, _) = bob.find(named("alicia")).await;
    assert_eq!(found[0].addresses, ["192.0.2.7:8443".parse().unwrap()]);
    assert!(bob.find(named("alice")).await.0.is_empty());

    alice.stop().await;
    bob.linked(0).await;
    let gone = bob.neighborhood.list().await.unwrap();
    assert_eq!(gone[0].state, State::Gone, "a goodbye counts at once");
    bob.stop().await;
}

#[tokio::test]
async fn a_node_is_shown_to_whom_it_wants_to_be() {
    let seeker = Home::new(1, "seeker", Visible::Everybody).await;
    let middle = Home::new(2, "middle", Visible::Everybody).await;
    let hidden = Home::new(3, "hidden", Visible::Nobody).await;
    middle.neighborhood.meet(hidden.candidate());
    middle.linked(1).await;
    seeker.neighborhood.meet(middle.candidate());
    seeker.linked(1).await;
    let (found, outcome) = seeker.find(named("hidden")).await;
    assert!(found.is_empty() && !outcome.found, "{found:?}");
    assert_eq!(middle.find(named("hidden")).await.0.len(), 1, "a neighbor");
    for home in [seeker, middle, hidden] {
        home.stop().await;
    }
}

/// Answers every query with a record that somebody else should have signed.
async fn lie(liar: Endpoint, to: NodeAddress, hello: Hello, asked: Arc<AtomicU32>) -> String {
    let link = liar.connect(&to, Protocol::Lookup).await.unwrap();
    let mut stream = link.open().await.unwrap();
    stream.send(&hello).await.unwrap();
    stream.receive::<Hello>().await.unwrap().unwrap();
    let (mut reader, mut writer) = stream.split();
    while let Ok(Some(message)) = reader.receive::<LookupMessage>().await {
        let LookupMessage::Query(query) = message else {
            continue;
        };
        asked.fetch_add(1, Ordering::SeqCst);
        // Its own record, which is not what was sought.
        let found = LookupMessage::Reply(Reply {
            qid: query.qid,
            answer: Answer::Found {
                record: hello.record.clone(),
                hops: 0,
                keep: true,
            },
        });
        if writer.send(&found).await.is_err() {
            break;
        }
    }
    link.closed().await.to_string()
}

#[tokio::test]
async fn a_neighbor_that_answers_everything_is_not_believed_and_then_left_alone() {
    let alice = Home::new(1, "alice", Visible::Everybody).await;
    let secret = NodeSecret::from_bytes([9; 32]);
    let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let liar = Endpoint::bind(&secret, &[here], &[Protocol::Ping], Arc::new(Strangers))
        .await
        .unwrap();
    let hello = own(&secret, "liar", liar.port(), Visible::Everybody).hello();
    let asked = Arc::new(AtomicU32::new(0));
    let candidate = alice.candidate();
    let to = NodeAddress::new(candidate.id, candidate.addresses);
    let lying = tokio::spawn(lie(
        liar.clone(),
        to.clone(),
        hello.clone(),
        Arc::clone(&asked),
    ));
    alice.linked(1).await;
    let mut lookups = 0;
    while !lying.is_finished() {
        assert!(lookups < 12, "{lookups} lookups, {asked:?} questions");
        let (found, outcome) = alice.find(named(&format!("nobody-{lookups}"))).await;
        assert!(found.is_empty() && !outcome.found, "{found:?}");
        lookups += 1;
    }
    let why = lying.await.unwrap();
    assert!(why.contains("too many answers that were none"), "{why}");
    alice.linked(0).await;
    // Coming back at once does not help.
    let again = tokio::time::timeout(Duration::from_secs(5), lie(liar, to, hello, asked));
    assert!(again.await.unwrap().contains("too many answers"), "shunned");
    alice.stop().await;
}

#[tokio::test]
async fn garbage_on_a_lookup_link_ends_the_link_with_the_reason() {
    use tokio::io::AsyncWriteExt as _;

    let alice = Home::new(1, "alice", Visible::Everybody).await;
    let secret = NodeSecret::from_bytes([9; 32]);
    let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let other = Endpoint::bind(&secret, &[here], &[Protocol::Ping], Arc::new(Strangers))
        .await
        .unwrap();
    let candidate = alice.candidate();
    let to = NodeAddress::new(candidate.id, candidate.addresses);

    // A hello with the record of another.
    let stolen = own(&NodeSecret::from_bytes([8; 32]), "x", 1, Visible::Everybody).hello();
    let link = other.connect(&to, Protocol::Lookup).await.unwrap();
    let mut stream = link.open().await.unwrap();
    stream.send(&stolen).await.unwrap();
    let why = link.closed().await.to_string();
    assert!(
        why.contains("introduced itself with the record of"),
        "{why}"
    );

    // A good hello, then no message.
    let hello = own(&secret, "y", other.port(), Visible::Everybody).hello();
    let link = other.connect(&to, Protocol::Lookup).await.unwrap();
    let mut stream = link.open().await.unwrap();
    stream.send(&hello).await.unwrap();
    stream.receive::<Hello>().await.unwrap().unwrap();
    alice.linked(1).await;
    stream
        .write_all(&[0, 0, 0, 3, 0xff, 0xff, 0xff])
        .await
        .unwrap();
    let why = link.closed().await.to_string();
    assert!(why.contains("no lookup message"), "{why}");
    alice.linked(0).await;
    alice.stop().await;
}
