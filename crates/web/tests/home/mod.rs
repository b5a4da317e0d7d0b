//! What every scene stands on: a node without sockets in a folder of its own, people, and requests
//! as a connection hands them over.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use base64::Engine;
use files::{Files, NoWitness, Space};
use http::{Request, Response};
use protocol::message::pair;
use protocol::{AccountId, Clock, EntryName, NodeId, NodeSecret, Timestamp};
use sharing::{Place, Sharing};
use tower::ServiceExt;
use web::{App, Connection, StatusSource, VolumeReport, WebSettings, WorkerControl, WorkerReport};

pub(crate) const HOST: &str = "home.example:8443";

/// 2026-11-24T05:04:00Z
pub(crate) const START_S: i64 = 1_795_496_640;

/// Where everybody comes from.
const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 20));

struct Quiet;

impl StatusSource for Quiet {
    fn workers(&self) -> Vec<WorkerReport> {
        Vec::new()
    }
    fn control(&self, _: &str, _: WorkerControl) -> bool {
        false
    }
    fn volumes(&self) -> Vec<VolumeReport> {
        Vec::new()
    }
    fn started(&self) -> Timestamp {
        Timestamp(0)
    }
    fn metrics(&self) -> String {
        "cumulet_up 1\n".into()
    }
}

/// A node without a network.
struct Alone;

impl web::FriendReach for Alone {
    fn send(
        &self,
        _: &sharing::Friend,
        _: Request<Body>,
    ) -> web::Promise<Result<Response<Body>, web::Unreached>> {
        let retry_after = std::time::Duration::from_secs(30);
        Box::pin(async move { Err(web::Unreached::Offline { retry_after }) })
    }

    fn ticket(&self, token: pair::Token, expires: protocol::Timestamp) -> pair::Ticket {
        pair::Ticket {
            node: NodeId([7; 32]),
            addresses: Vec::new(),
            token,
            expires_ms: expires.0,
        }
    }

    fn accept(
        &self,
        _: pair::Ticket,
        _: Option<EntryName>,
    ) -> web::Promise<Result<sharing::Friend, web::NotAccepted>> {
        Box::pin(async { Err(web::NotAccepted::Refused("no network".into())) })
    }

    fn cut(&self, _: NodeId) {}
}

impl web::ClusterSource for Quiet {
    fn neighbors(&self) -> web::Pending<'_, Result<Vec<web::NeighborReport>, web::ClusterTrouble>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn center(&self) -> Option<web::CenterReport> {
        None
    }
    fn find<'a>(
        &'a self,
        _: &'a str,
    ) -> web::Pending<'a, Result<web::SearchReport, web::ClusterTrouble>> {
        Box::pin(async { Err(web::ClusterTrouble::Away) })
    }
    fn people<'a>(
        &'a self,
        _: &'a protocol::message::lookup::Term,
    ) -> web::Pending<'a, Result<Vec<web::PersonReport>, web::ClusterTrouble>> {
        Box::pin(async { Err(web::ClusterTrouble::Away) })
    }
}

/// A node whose catalog lies in `folder` and whose files lie in `folder/home`.
pub(crate) fn open(folder: &Path, clock: Clock) -> Arc<App> {
    let home = folder.join("home");
    std::fs::create_dir(&home).unwrap();
    let volume = pool::LocalVolume::open(&home, pool::Options::default()).unwrap();
    let schema = [("sharing", sharing::SCHEMA), ("files", files::SCHEMA)];
    let database = database::Database::open(&folder.join("catalog.db"), &schema).unwrap();
    let secret = NodeSecret::from_bytes([7; 32]);
    let sharing = Sharing::open(database.clone(), Arc::clone(&clock), &secret, folder).unwrap();
    let (files, _) = Files::open(
        database,
        Arc::new(volume),
        Arc::clone(&clock),
        Arc::new(NoWitness),
        files::Settings::default(),
    )
    .unwrap();
    Arc::new(App {
        settings: WebSettings {
            name: "test".into(),
            node_id: secret.id(),
            fingerprint: "AA:BB".into(),
            tls_key: protocol::TlsKey([9; 32]),
            https_port: 8443,
            trusted_certificate: false,
            version: "0".into(),
            center: None,
        },
        files,
        sharing,
        clock,
        secret,
        status: Arc::new(Quiet),
        friends: Arc::new(Alone),
        cluster: Arc::new(Quiet),
    })
}

/// Somebody with an account (alice owns the node), a space, and the value of an Authorization header
/// with an app password.
pub(crate) fn person(app: &App, name: &str, password: &str) -> (AccountId, Space, String) {
    let name = EntryName::new(name).unwrap();
    let owner = name.as_str() == "alice";
    let account = app.sharing.create_account(&name, password, owner).unwrap();
    let space = app.files.create_space(&name, account.id).unwrap();
    let device = app.sharing.add_app_password(account.id, "test").unwrap();
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{device}"));
    (account.id, space, format!("Basic {pair}"))
}

/// Sends a request as it comes from a connection over TLS.
pub(crate) async fn send(
    router: &Router,
    head: http::request::Builder,
    body: Body,
    place: Place,
) -> Response<Body> {
    send_as(router, head, body, place, None).await
}

/// The same over a link of a friend's node.
pub(crate) async fn send_as(
    router: &Router,
    head: http::request::Builder,
    body: Body,
    place: Place,
    friend: Option<NodeId>,
) -> Response<Body> {
    let mut request: Request<Body> = head.body(body).unwrap();
    request.extensions_mut().insert(Connection {
        peer: SocketAddr::from((ADDRESS, 50_000)),
        place,
        tls: true,
        friend,
    });
    router.clone().oneshot(request).await.unwrap()
}
