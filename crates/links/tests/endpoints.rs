//! Real endpoints on loopback: who gets in, what arrives, and how garbage ends.
#![expect(clippy::unwrap_used, reason = "a test may fail at any step")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use links::{
    Acquaintance, CloseCode, Endpoint, Limits, LinkError, NodeAddress, Path, Protocol, Standing,
    Strangers,
};
use protocol::message::services::{Service, Services, ServicesQuery};
use protocol::{NodeId, NodeSecret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const HERE: &[&str] = &["127.0.0.1:0"];

fn secret(number: u8) -> NodeSecret {
    NodeSecret::from_bytes([number; 32])
}

async fn endpoint(number: u8, acquaintance: impl Acquaintance, limits: Limits) -> Endpoint {
    let here: Vec<SocketAddr> = HERE.iter().map(|text| text.parse().unwrap()).collect();
    let protocols = [
        Protocol::Ping,
        Protocol::Lookup,
        Protocol::Services,
        Protocol::Files,
    ];
    Endpoint::bind_with(
        &secret(number),
        &here,
        &protocols,
        Arc::new(acquaintance),
        limits,
    )
    .await
    .unwrap()
}

async fn pair() -> (Endpoint, Endpoint) {
    (
        endpoint(1, Strangers, Limits::node()).await,
        endpoint(2, Strangers, Limits::node()).await,
    )
}

fn address(endpoint: &Endpoint) -> NodeAddress {
    let loopback = SocketAddr::new([127, 0, 0, 1].into(), endpoint.port());
    NodeAddress::new(endpoint.id(), vec![loopback])
}

fn services() -> Services {
    Services {
        offers: vec![Service {
            name: "pages".into(),
            port: 8443,
            path: "/".into(),
        }],
    }
}

#[tokio::test]
async fn a_question_is_answered_and_both_know_who_the_other_is() {
    let (alice, bob) = pair().await;
    let serve = async {
        let link = bob.accept().await.unwrap();
        assert_eq!(link.peer(), alice.id());
        let mut stream = link.accept_stream().await.unwrap();
        stream.receive::<ServicesQuery>().await.unwrap().unwrap();
        stream.send(&services()).await.unwrap();
        stream.finish();
        stream.taken().await;
        let mut raw = link.accept_stream().await.unwrap();
        let mut bytes = Vec::new();
        raw.read_to_end(&mut bytes).await.unwrap();
        raw.write_all(&bytes).await.unwrap();
        raw.shutdown().await.unwrap();
        link.closed().await
    };
    let ask = async {
        let link = alice
            .connect(&address(&bob), Protocol::Services)
            .await
            .unwrap();
        assert_eq!(link.peer(), bob.id());
        assert!(matches!(link.path(), Path::Direct(at) if at.port() == bob.port()));
        assert!(link.rtt() > Duration::ZERO);
        let mut stream = link.open().await.unwrap();
        stream.send(&ServicesQuery { flags: 0 }).await.unwrap();
        stream.finish();
        let answer: Option<Services> = stream.receive().await.unwrap();
        assert_eq!(answer, Some(services()));
        assert!(stream.receive::<Services>().await.unwrap().is_none());
        let mut raw = link.open().await.unwrap();
        let sent = vec![7; 3 << 20];
        let (mut read, mut write) = tokio::io::split(&mut raw);
        let mut echoed = Vec::new();
        let (written, _) = tokio::join!(
            async {
                write.write_all(&sent).await?;
                write.shutdown().await
            },
            read.read_to_end(&mut echoed)
        );
        written.unwrap();
        assert!(echoed == sent);
        link.close(CloseCode::Done, "thank you");
    };
    let (end, ()) = tokio::join!(serve, ask);
    assert!(
        matches!(&end, LinkError::Refused { code: Some(CloseCode::Done), why } if why == "thank you"),
        "{end}"
    );
    alice.close().await;
    assert!(bob.incoming_links() == 0);
    bob.close().await;
}

#[tokio::test]
async fn what_is_no_message_ends_with_the_reason() {
    let (alice, bob) = pair().await;
    let serve = async {
        let link = bob.accept().await.unwrap();
        let mut reasons = Vec::new();
        while reasons.len() < 4 {
            let mut stream = link.accept_stream().await.unwrap();
            reasons.push(stream.receive::<Services>().await.unwrap_err().to_string());
        }
        reasons
    };
    let send = async {
        let link = alice
            .connect(&address(&bob), Protocol::Services)
            .await
            .unwrap();
        for bytes in [
            // A length of 4 GiB: refused before anything is reserved.
            &[0xff, 0xff, 0xff, 0xff][..],
            // Ten bytes promised, three sent.
            &[0, 0, 0, 10, 1, 2, 3][..],
            // One byte of the length.
            &[0][..],
            // A list of 200 services in two bytes.
            &[0, 0, 0, 2, 200, 1][..],
        ] {
            let mut stream = link.open().await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream.finish();
            stream.taken().await;
        }
        link
    };
    let (reasons, _link) = tokio::join!(serve, send);
    assert_eq!(
        reasons,
        [
            "a list of services of 4294967295 bytes, the limit is 10756",
            "the stream ended inside a list of services",
            "the stream ended inside a list of services",
            "these 2 bytes are no list of services",
        ]
    );
}

#[tokio::test]
async fn half_an_answer_is_never_taken_for_the_whole() {
    let (alice, bob) = pair().await;
    let serve = async {
        let link = bob.accept().await.unwrap();
        let mut stream = link.accept_stream().await.unwrap();
        stream.write_all(b"half of it").await.unwrap();
        drop(stream);
        link.closed().await
    };
    let ask = async {
        let link = alice.connect(&address(&bob), Protocol::Ping).await.unwrap();
        let mut stream = link.open().await.unwrap();
        stream.write_all(b"?").await.unwrap();
        let mut bytes = Vec::new();
        assert!(stream.read_to_end(&mut bytes).await.is_err());
        link.close(CloseCode::Done, "");
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn another_node_at_the_address_is_found_out() {
    let (alice, bob) = pair().await;
    let mut wrong = address(&bob);
    wrong.id = secret(9).id();
    let error = alice.connect(&wrong, Protocol::Ping).await.unwrap_err();
    assert!(matches!(error, LinkError::Handshake { .. }), "{error}");
    let error = alice.connect(&address(&alice), Protocol::Ping).await;
    assert!(matches!(error.unwrap_err(), LinkError::Myself(_)));
    let nobody = NodeAddress::new(bob.id(), Vec::new());
    let error = alice.connect(&nobody, Protocol::Ping).await.unwrap_err();
    assert!(matches!(error, LinkError::NoAddress(_)), "{error}");
    let error = alice.connect(&address(&bob), Protocol::Center).await;
    let error = error.unwrap_err();
    assert!(matches!(error, LinkError::Handshake { .. }), "{error}");
}

#[tokio::test]
async fn silence_ends_a_call_after_ten_seconds() {
    let alice = endpoint(1, Strangers, Limits::node()).await;
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let nobody = NodeAddress::new(secret(2).id(), vec![silent.local_addr().unwrap()]);
    let begun = Instant::now();
    let error = alice.connect(&nobody, Protocol::Ping).await.unwrap_err();
    assert!(matches!(error, LinkError::Timeout { .. }), "{error}");
    let took = begun.elapsed();
    assert!(
        (Duration::from_secs(9)..Duration::from_secs(12)).contains(&took),
        "{took:?}"
    );
}

/// A friend as long as the owner says so.
struct Friend(Arc<Mutex<bool>>);

impl Acquaintance for Friend {
    fn standing(&self, _node: &NodeId) -> Standing {
        if *self.0.lock().unwrap() {
            Standing::Friend
        } else {
            Standing::Unknown
        }
    }
}

#[tokio::test]
async fn files_are_for_friends_and_end_with_the_friendship() {
    let friends = Arc::new(Mutex::new(false));
    let alice = endpoint(1, Strangers, Limits::node()).await;
    let bob = endpoint(2, Friend(Arc::clone(&friends)), Limits::node()).await;

    let link = alice
        .connect(&address(&bob), Protocol::Files)
        .await
        .unwrap();
    let end = link.closed().await;
    assert!(
        matches!(
            end,
            LinkError::Refused {
                code: Some(CloseCode::NotAllowed),
                ..
            }
        ),
        "{end}"
    );

    *friends.lock().unwrap() = true;
    let link = alice
        .connect(&address(&bob), Protocol::Files)
        .await
        .unwrap();
    let accepted = bob.accept().await.unwrap();
    assert_eq!(accepted.standing(), Standing::Friend);

    *friends.lock().unwrap() = false;
    bob.close_links(&alice.id(), CloseCode::NotAllowed, "no friend any more");
    let end = link.closed().await;
    assert!(end.to_string().contains("no friend any more"), "{end}");
}

#[tokio::test]
async fn a_peer_with_too_many_links_is_told_so() {
    let mut limits = Limits::node();
    limits.per_peer_max = 2;
    let alice = endpoint(1, Strangers, Limits::node()).await;
    let bob = endpoint(2, Strangers, limits).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let link = alice.connect(&address(&bob), Protocol::Ping).await.unwrap();
        open.push((link, bob.accept().await.unwrap()));
    }
    let third = alice.connect(&address(&bob), Protocol::Ping).await.unwrap();
    let end = third.closed().await;
    assert!(
        matches!(
            end,
            LinkError::Refused {
                code: Some(CloseCode::Busy),
                ..
            }
        ),
        "{end}"
    );
    open.clear();
    while bob.incoming_links() > 0 {
        tokio::task::yield_now().await;
    }
    let again = alice.connect(&address(&bob), Protocol::Ping).await.unwrap();
    bob.accept().await.unwrap();
    again.close(CloseCode::Done, "");
}

#[tokio::test]
async fn streams_without_end_are_slowed_down() {
    let mut limits = Limits::node();
    limits.streams.burst = 5.0;
    limits.streams.per_second = 20.0;
    let alice = endpoint(1, Strangers, Limits::node()).await;
    let bob = endpoint(2, Strangers, limits).await;
    let link = alice.connect(&address(&bob), Protocol::Ping).await.unwrap();
    let accepted = bob.accept().await.unwrap();
    let begun = Instant::now();
    let flood = tokio::spawn(async move {
        for _ in 0..15 {
            let mut stream = link.open().await.unwrap();
            stream.write_all(b"?").await.unwrap();
            stream.finish();
        }
        link
    });
    for _ in 0..15 {
        accepted.accept_stream().await.unwrap();
    }
    assert!(begun.elapsed() > Duration::from_millis(400), "10 at 20/s");
    flood.await.unwrap();
}

#[tokio::test]
async fn one_address_family_is_enough_and_a_taken_port_is_an_error() {
    let here: Vec<SocketAddr> = vec!["[::]:0".parse().unwrap()];
    let taken = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let both = Endpoint::bind(&secret(1), &here, &[Protocol::Ping], Arc::new(Strangers))
        .await
        .unwrap();
    assert!(!both.sockets().is_empty());
    let busy: Vec<SocketAddr> = vec![format!("0.0.0.0:{port}").parse().unwrap()];
    let error = Endpoint::bind(&secret(1), &busy, &[Protocol::Ping], Arc::new(Strangers))
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}
