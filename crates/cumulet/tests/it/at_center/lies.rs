//! A center that lies: whatever it says, the node does not believe it and tells its owner (R104).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use links::{Endpoint, Handler, Link, Protocol, Strangers};
use protocol::message::center::{Presence, Refusal, Reply, Request};
use protocol::{NodeRecord, NodeSecret, SignedRecord};
use serde_json::{Value, json};
use testing::Node;

use super::{BINARY, find, id, linked, quic, standing, stands};

/// A center that answers each question with what the test has put here.
struct Liar {
    answers: Mutex<Answers>,
}

#[derive(Clone)]
struct Answers {
    state: Reply,
    found: Reply,
    neighbors: Reply,
}

impl Handler for Liar {
    fn serve(&self, link: Link) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            while let Some(mut stream) = link.accept_stream().await {
                let Ok(Some(request)) = stream.receive::<Request>().await else {
                    continue;
                };
                let answers = self.answers.lock().unwrap().clone();
                let reply = match request {
                    Request::State(_) => answers.state,
                    Request::Find(_) => answers.found,
                    Request::Neighbors { .. } => answers.neighbors,
                    Request::Relays { .. } => Reply::Relays(Vec::new()),
                };
                let _ = stream.send(&reply).await;
                stream.finish();
            }
        })
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A record of `secret`, at a place where nobody of that key is.
fn record(secret: &NodeSecret, name: &str, address: &str, issued_at_ms: i64) -> SignedRecord {
    let record = NodeRecord {
        node: secret.id(),
        name: Some(name.parse().unwrap()),
        seq: 1,
        issued_at_ms,
        expires_at_ms: issued_at_ms + 3_600_000,
        addresses: vec![address.parse().unwrap()],
        relays: vec![],
        offer: None,
        services_digest: [0; 8],
    };
    SignedRecord::sign(&record, secret).unwrap()
}

fn accepted() -> Reply {
    Reply::Accepted {
        zone: "cloud.test".to_owned(),
        name: Some("anna".parse().unwrap()),
        renew_after_s: 60,
    }
}

/// The center that lies, and a node that is registered there.
async fn scene(neighbors: Vec<SignedRecord>) -> (Arc<Liar>, String, Node) {
    let secret = NodeSecret::from_bytes([90; 32]);
    let here = "127.0.0.1:0".parse().unwrap();
    let protocols = [Protocol::Center];
    let endpoint = Endpoint::bind(&secret, &[here], &protocols, Arc::new(Strangers))
        .await
        .unwrap();
    let liar = Arc::new(Liar {
        answers: Mutex::new(Answers {
            state: accepted(),
            found: Reply::NotFound,
            neighbors: Reply::Neighbors(neighbors),
        }),
    });
    let place = format!("127.0.0.1:{}", endpoint.port());
    let center = format!("cumulet-center:{}@{place}", secret.id());
    let serving = Arc::clone(&liar);
    tokio::spawn(async move {
        while let Some(link) = endpoint.accept().await {
            let serving = Arc::clone(&serving);
            tokio::spawn(async move { serving.serve(link).await });
        }
    });
    let start = move || {
        let node = Node::of(BINARY).https_only().arg("--name").arg("anna");
        node.arg("--center").arg(center).start()
    };
    let node = tokio::task::spawn_blocking(start).await.unwrap();
    (liar, place, node)
}

#[tokio::test(flavor = "multi_thread")]
async fn r104_a_center_that_gives_wrong_addresses_or_keys_is_refused_and_the_owner_told() {
    let mallory = NodeSecret::from_bytes([66; 32]);
    let bob = NodeSecret::from_bytes([2; 32]);
    let other = Node::of(BINARY)
        .https_only()
        .arg("--name")
        .arg("carol")
        .start();
    // In the list of neighbors: Mallory's key at the address of an honest node.
    let crossed = record(&mallory, "carol", &quic(&other), now_ms());
    let (liar, _, anna) = scene(vec![crossed]).await;
    stands(&anna, "registered", Duration::from_secs(10));
    assert_eq!(standing(&anna)["lie"], Value::Null);

    let mut forged = serde_json::to_value(record(&bob, "bob", "192.0.2.7:1", now_ms())).unwrap();
    let byte = forged["bytes"].as_array_mut().unwrap().last_mut().unwrap();
    *byte = json!(byte.as_u64().unwrap() ^ 1);
    let forged: SignedRecord = serde_json::from_value(forged).unwrap();
    let cases = [
        (
            "another node",
            bob.id().to_string(),
            record(&mallory, "bob", "192.0.2.66:1", now_ms()),
        ),
        (
            "another name",
            "bob".to_owned(),
            record(&mallory, "mallory", "192.0.2.66:1", now_ms()),
        ),
        ("a changed address", bob.id().to_string(), forged),
        (
            "an old address",
            bob.id().to_string(),
            record(&bob, "bob", "192.0.2.2:1", 1_000_000),
        ),
    ];
    for (what, sought, record) in cases {
        liar.answers.lock().unwrap().found = Reply::Found {
            record,
            presence: Presence::Online,
        };
        let (code, answer) = find(&anna, &sought, &[]);
        assert_eq!(
            (code, &answer["found"]),
            (1, &json!(false)),
            "{what}: {answer}"
        );
        let why = answer["center_error"].as_str().unwrap_or_default();
        assert!(why.contains("the center lied"), "{what}: {answer}");
        let lie = standing(&anna)["lie"].to_string();
        assert!(lie.contains(&sought), "{what}: {lie}");
    }
    let text = anna.cli(&["status"]).ok();
    assert!(text.contains("the center lied about"), "{text}");
    let page = super::signed_in(&anna).get("/cluster").text();
    assert!(page.contains("The center gave a false answer"), "{page}");
    // Whoever answered at the address of the honest node had not Mallory's key.
    assert_eq!(linked(&anna), Vec::<String>::new());
    assert_eq!(linked(&other), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_center_that_claims_impossible_numbers_or_work_does_not_harm_the_node() {
    let (liar, place, mut anna) = scene(Vec::new()).await;
    stands(&anna, "registered", Duration::from_secs(10));
    let number = |node: &Node| {
        let text = std::fs::read_to_string(node.state().join("record-seq")).unwrap();
        text.trim().parse::<u64>().unwrap()
    };
    // A number that no clock gives would end the growth of this node's numbers for ever.
    liar.answers.lock().unwrap().state = Reply::Refused(Refusal::Stale { have: u64::MAX });
    anna.kill();
    anna.start();
    let seen = stands(&anna, "refused", Duration::from_secs(10));
    assert!(seen["error"].as_str().unwrap().contains("number"), "{seen}");
    assert!(number(&anna) < 1 << 53);
    // One that a clock could have given is a reason to go above it.
    let have = u64::try_from(now_ms()).unwrap() + 90_000_000;
    liar.answers.lock().unwrap().state = Reply::Refused(Refusal::Stale { have });
    super::until("a higher number", Duration::from_secs(40), || {
        let now = number(&anna);
        if now > have { Ok(()) } else { Err(json!(now)) }
    });
    // Answers that fit no question.
    liar.answers.lock().unwrap().state = Reply::NotFound;
    super::until("told", Duration::from_secs(40), || {
        let seen = standing(&anna);
        let told = seen["error"]
            .as_str()
            .is_some_and(|why| why.contains("fits no question"));
        if told { Ok(()) } else { Err(seen) }
    });
    anna.https().get("/healthz").assert_status(200);
    // At the same address with another key: it is not the center, and nothing is said to it.
    let key = NodeSecret::from_bytes([91; 32]).id();
    let center = format!("cumulet-center:{key}@{place}");
    let bob = Node::of(BINARY)
        .https_only()
        .arg("--center")
        .arg(center)
        .start();
    let seen = stands(&bob, "away", Duration::from_secs(20));
    assert!(
        seen["error"]
            .as_str()
            .unwrap()
            .contains("cannot be reached"),
        "{seen}"
    );
    assert_ne!(id(&bob), id(&anna));
}
