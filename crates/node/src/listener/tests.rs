//! Real sockets against a small router.

mod refused;

use std::pin::Pin;
use std::sync::RwLock;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::lan::Network;
use crate::limits::Limits;
use crate::pulse::Patience;

const PATIENCE: Patience = Patience {
    header: Duration::from_millis(500),
    idle: Duration::from_millis(1500),
    stall: Duration::from_millis(800),
};

/// What the HTTP library would say by itself.
const BARE: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

struct Scene {
    address: SocketAddr,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<anyhow::Result<()>>,
    entrance: Arc<Entrance>,
    _folder: tempfile::TempDir,
}

async fn who(request: axum::extract::Request) -> String {
    let connection = request.extensions().get::<web::Connection>().unwrap();
    format!(
        "{:?} {} {:?}",
        connection.place,
        connection.tls,
        request.version()
    )
}

fn scene(door: Door, connections_max: usize) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let layout = crate::Layout::prepare(folder.path(), None).unwrap();
    let secret = protocol::NodeSecret::from_bytes([1; 32]);
    let now = crate::system_clock()();
    let names = crate::certificate::names("home", &protocol::NodeId([7; 32]), &[]);
    let certificate = crate::certificate::Certificate::open(&layout, &secret, &names, now).unwrap();
    let router = Router::new()
        .route("/who", get(who))
        .route(
            "/panic",
            get(async || -> &'static str { panic!("on purpose") }),
        )
        .route(
            "/slow",
            get(async || {
                tokio::time::sleep(Duration::from_millis(1200)).await;
                "done"
            }),
        )
        .route(
            "/refuse",
            post(async |mut body: Body| {
                // As `web` reads on beside its answer.
                drop(tokio::spawn(async move {
                    while let Some(Ok(_)) = std::future::poll_fn(|context| {
                        http_body::Body::poll_frame(Pin::new(&mut body), context)
                    })
                    .await
                    {}
                }));
                (http::StatusCode::UNAUTHORIZED, BARE)
            }),
        )
        .route("/bare", get(async || BARE))
        .route("/big", get(async || Body::from(vec![b'x'; 64 << 20])))
        .route(
            "/upload",
            post(async |body: Body| {
                axum::body::to_bytes(body, 1 << 20)
                    .await
                    .map_or_else(|e| e.to_string(), |b| b.len().to_string())
            }),
        );
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), door).unwrap();
    let entrance = Arc::new(Entrance {
        router,
        tls: TlsAcceptor::from(crate::tls::server_config(Arc::new(certificate)).unwrap()),
        https_port: listener.address().port(),
        network: RwLock::new(Arc::new(Network::default())),
        limits: Limits::new(connections_max, connections_max),
        patience: PATIENCE,
    });
    let (address, stop) = (listener.address(), CancellationToken::new());
    let (inside, token) = (Arc::clone(&entrance), stop.clone());
    let running = tokio::spawn(async move { listener.run(inside, token).await });
    Scene {
        address,
        stop,
        running,
        entrance,
        _folder: folder,
    }
}

impl Scene {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn ask(&self, head: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        to_end(&mut stream).await
    }

    async fn secure(&self, protocol: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
        let pem = self._folder.path().join(".cumulet/tls/cert.pem");
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(rustls::pki_types::pem::PemObject::from_pem_file(pem).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("home.local").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, self.connect().await)
            .await
            .unwrap()
    }
}

/// Everything until the other side closes; fails after 10 s.
async fn to_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let _ = tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("the node closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn tls_and_plain_http_are_told_apart_on_one_port() {
    let scene = scene(Door::Https, 100);
    let plain = scene.ask("GET /a?b HTTP/1.1\r\nHost: home:1\r\n\r\n").await;
    assert!(plain.starts_with("HTTP/1.1 308"), "{plain}");
    assert!(plain.contains("location: https://home:1/a?b"), "{plain}");
    let mut stream = scene.secure(b"http/1.1").await;
    stream
        .write_all(b"GET /who HTTP/1.1\r\nHost: home\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let answer = to_end(&mut stream).await;
    assert!(answer.ends_with("Lan true HTTP/1.1"), "{answer}");
}

#[tokio::test]
async fn http_2_is_spoken_where_the_client_can() {
    let scene = scene(Door::Https, 100);
    let stream = scene.secure(b"h2").await;
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::get("https://home.local/who")
        .body(Body::empty())
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let text = axum::body::to_bytes(Body::new(answer.into_body()), 1000)
        .await
        .unwrap();
    assert_eq!(&text[..], b"Lan true HTTP/2.0");
    let request = http::Request::get("https://home.local/panic")
        .body(Body::empty())
        .unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 500);
    driver.abort();
}

#[tokio::test]
async fn plain_http_by_itself_is_never_lan() {
    let scene = scene(Door::Http, 100);
    let head =
        "GET /who HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 127.0.0.1\r\nConnection: close\r\n\r\n";
    assert!(scene.ask(head).await.ends_with("Away false HTTP/1.1"));
    let proxy = "127.0.0.0/8".parse().unwrap();
    let home = "10.0.0.0/8".parse().unwrap();
    scene.entrance.set_network(Network {
        home: vec![home],
        gateways: vec![],
        trusted_proxies: vec![proxy],
    });
    let head = "GET /who HTTP/1.1\r\nHost: x\r\nForwarded: for=10.1.1.1;proto=https\r\nConnection: close\r\n\r\n";
    assert!(scene.ask(head).await.ends_with("Lan true HTTP/1.1"));
}

#[tokio::test]
async fn half_open_and_dripping_clients_are_cut() {
    for door in [Door::Https, Door::Http] {
        let scene = scene(door, 100);
        let (mut silent, mut dripping) = (scene.connect().await, scene.connect().await);
        let begun = Instant::now();
        let drip = async {
            for byte in b"GET /who HTTP/1.1\r\nHost: a-very-long-name-that-never-ends" {
                if dripping.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            to_end(&mut dripping).await
        };
        tokio::join!(drip, to_end(&mut silent));
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(scene.entrance.limits.counts().0, 0);
    }
}

#[tokio::test]
async fn an_upload_that_stops_coming_is_given_up() {
    let scene = scene(Door::Http, 100);
    let answer = scene
        .ask("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        .await;
    assert!(
        answer.contains("200 OK") && !answer.ends_with("100"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_and_a_slow_handler_is_not() {
    let scene = scene(Door::Http, 100);
    let mut deaf = scene.connect().await;
    deaf.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let slow = scene
        .ask("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(slow.ends_with("done"), "{slow}");
    for _ in 0..100 {
        if scene.entrance.limits.counts().0 == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the deaf client still has its place");
}

#[tokio::test]
async fn beyond_the_limit_connections_are_closed_at_once() {
    let scene = scene(Door::Http, 2);
    let held = [scene.connect().await, scene.connect().await];
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refused = scene.ask("GET /who HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(refused, "");
    drop(held);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let taken = scene
        .ask("GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(taken.contains("200 OK"), "{taken}");
}

#[tokio::test]
async fn a_stop_lets_a_running_request_finish() {
    let scene = scene(Door::Http, 100);
    let (mut busy, mut idle) = (scene.connect().await, scene.connect().await);
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    idle.write_all(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    scene.stop.cancel();
    assert!(to_end(&mut busy).await.ends_with("done"));
    assert!(to_end(&mut idle).await.contains("200 OK"));
    scene.running.await.unwrap().unwrap();
    assert!(TcpStream::connect(scene.address).await.is_err());
}

#[tokio::test]
async fn a_stop_lets_a_running_request_over_tls_finish() {
    let scene = scene(Door::Https, 100);
    let mut busy = scene.secure(b"http/1.1").await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    scene.stop.cancel();
    assert!(to_end(&mut busy).await.ends_with("done"));
    scene.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stopped_listener_comes_back_on_its_port() {
    let listener = Arc::new(Listener::bind("127.0.0.1:0".parse().unwrap(), Door::Http).unwrap());
    let entrance = Arc::clone(&scene(Door::Http, 10).entrance);
    for _ in 0..2 {
        let stop = CancellationToken::new();
        let (again, inside, token) = (Arc::clone(&listener), Arc::clone(&entrance), stop.clone());
        let running = tokio::spawn(async move { again.run(inside, token).await });
        let mut tries = 0;
        while TcpStream::connect(listener.address()).await.is_err() {
            tries += 1;
            assert!(tries < 100);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}
