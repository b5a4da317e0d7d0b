//! The start-up story of a center: lock, key, database, registry, listen, work, say ready, stop.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use axum::Router;
use hickory_server::Server;
use hickory_server::zone_handler::{Catalog, ZoneHandler};
use links::{Endpoint, Limits, Protocol, Rate, Strangers};
use protocol::message::center::CenterAddress;
use protocol::{Clock, Timestamp};
use serde_json::json;
use tokio::net::{TcpListener, UdpSocket, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::config::{Config, Options};
use crate::desk::Desk;
use crate::home::Home;
use crate::office::Office;
use crate::registry::Registry;
use crate::store::{Sqlite, Store};
use crate::writer::Writer;
use crate::zone::Zone;

/// A connection of DNS over TCP without a question ends after this.
const DNS_TCP_IDLE: Duration = Duration::from_secs(10);
/// Answers that wait on one such connection.
const DNS_TCP_ANSWERS: usize = 32;
/// Presence goes to the database so often.
const NOTE_EVERY: Duration = Duration::from_secs(2);
/// Usage goes to the database every so many times of that: 5 minutes.
const ALL_EVERY: u32 = 150;
/// After a stop was asked for, everything ends within this time.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// The facts of a center that is ready.
#[derive(Debug, Clone)]
pub struct Ready {
    /// `http://HOST:PORT` of the admin page.
    pub http: Option<String>,
    /// The one string that nodes take.
    pub center: String,
    /// The center's key.
    pub id: String,
    /// Where DNS answers.
    pub dns: SocketAddr,
    /// The UDP port for nodes.
    pub quic: u16,
    /// Names are given under it.
    pub zone: String,
    /// The owner's token, this one time.
    pub owner_token: Option<String>,
}

impl Ready {
    /// The one line on stdout, without the newline.
    #[must_use]
    pub fn line(&self, as_json: bool) -> String {
        if as_json {
            let event = json!({
                "event": "ready",
                "https": null,
                "http": self.http,
                "quic": self.quic,
                "id": self.id,
                "zone": self.zone,
                "dns": self.dns.to_string(),
                "relay": null,
                "center": self.center,
                "owner_token": self.owner_token,
            });
            return event.to_string();
        }
        format!(
            "ready - {} {}",
            self.http.as_deref().unwrap_or("-"),
            self.center
        )
    }

    /// The text for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "\nThe center of {} is ready. Nodes register with:\n\n  cumulet serve DIR --center {}\n\n\
             DNS answers at {}.\n",
            self.zone, self.center, self.dns
        );
        if let Some(http) = &self.http {
            text += &format!("Admin page: {http}\n");
        }
        if let Some(token) = &self.owner_token {
            text += &format!("The owner's token, shown this one time; keep it:\n\n  {token}\n");
        }
        text
    }
}

/// Runs a center in `folder` until SIGTERM or SIGINT. `announce` is called once, when it answers.
///
/// # Errors
/// Why it cannot start; what went wrong at the end.
pub fn serve(folder: &Path, options: Options, announce: impl FnOnce(&Ready)) -> anyhow::Result<()> {
    let home = Home::prepare(folder)?;
    let config = Config::load(&home.settings_file(), options)?;
    let _lock = home.lock()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let result = runtime.block_on(run(&home, &config, announce));
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

async fn run(home: &Home, config: &Config, announce: impl FnOnce(&Ready)) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let secret = home.secret()?;
    let (owner, owner_token) = home.owner_token()?;
    let store = open_store(home, config).await?;
    let registry = load(store.as_ref(), config).await?;
    let (writer, writing) = Writer::new(Arc::clone(&store));
    tasks.spawn(writing);
    let parts = (Arc::clone(&store), writer);
    let office = Office::new(
        &secret,
        config.zone.clone(),
        registry,
        parts,
        system_clock(),
    );
    let office = Arc::new(office);

    let endpoint = listen(&secret, config).await?;
    let own = Arc::new(RwLock::new(own_addresses(config, &endpoint)));
    let dns = serve_dns(&office, &own, config).await?;
    let http = serve_http(home, &office, owner, config, &stop, &mut tasks).await?;
    tasks.spawn(follow_addresses(
        endpoint.clone(),
        Arc::clone(&own),
        config.clone(),
        stop.clone(),
    ));
    tasks.spawn(sweep(Arc::clone(&office), stop.clone()));
    tasks.spawn(note(Arc::clone(&office), stop.clone()));
    let router =
        links::Router::default().with(Protocol::Center, Arc::new(Desk::new(Arc::clone(&office))));
    let desks = tokio::spawn({
        let (endpoint, stop) = (endpoint.clone(), stop.clone());
        async move { router.run(&endpoint, stop).await }
    });
    announce(&Ready {
        http: http.map(|address| format!("http://{address}")),
        center: center_string(config, &endpoint, &own),
        id: office.id().to_string(),
        dns: dns.address,
        quic: endpoint.port(),
        zone: config.zone.clone(),
        owner_token,
    });

    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping (SIGTERM)"),
        _ = interrupt.recv() => tracing::info!("stopping (SIGINT)"),
    }
    stop.cancel();
    let end = async {
        let _ = desks.await;
        endpoint.close().await;
        dns.stop().await;
        let noted = office.note(true).await;
        store.close().await?;
        noted
    };
    let ended = tokio::time::timeout(STOP_PATIENCE, end).await;
    let _ = fs::remove_file(home.admin_socket());
    tasks.abort_all();
    ended.context("the center did not stop in time")??;
    Ok(())
}

/// A center that does not run, opened for one command.
pub struct Offline {
    /// Answers what the socket of a running one would.
    pub router: Router,
    store: Arc<dyn Store>,
    tasks: JoinSet<()>,
    _lock: crate::home::Lock,
}

impl Offline {
    /// Opens the center in `folder`.
    ///
    /// # Errors
    /// If there is none, it runs, or its database cannot be opened.
    pub async fn open(folder: &Path) -> anyhow::Result<Self> {
        let home = Home::find(folder)?;
        let lock = home.lock()?;
        let config = Config::for_command(&home.settings_file())?;
        let store = open_store(&home, &config).await?;
        let registry = load(store.as_ref(), &config).await?;
        let (writer, writing) = Writer::new(Arc::clone(&store));
        let mut tasks = JoinSet::new();
        tasks.spawn(writing);
        let secret = home.secret()?;
        let parts = (Arc::clone(&store), writer);
        let office = Office::new(&secret, config.zone, registry, parts, system_clock());
        Ok(Self {
            router: admin::for_commands(Arc::new(office)),
            store,
            tasks,
            _lock: lock,
        })
    }

    /// Closes what was opened.
    ///
    /// # Errors
    /// The database's.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.store.close().await?;
        self.tasks.abort_all();
        Ok(())
    }
}

/// The wall clock of this computer.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    })
}

async fn open_store(home: &Home, config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    match &config.database {
        None => Ok(Arc::new(Sqlite::open(&home.database())?)),
        #[cfg(feature = "postgres")]
        Some(url) => Ok(Arc::new(crate::store::Postgres::open(url).await?)),
        #[cfg(not(feature = "postgres"))]
        Some(_) => anyhow::bail!("this program was built without PostgreSQL: leave --database out"),
    }
}

async fn load(store: &dyn Store, config: &Config) -> anyhow::Result<Registry> {
    let mut registry = Registry::new(config.settings.clone());
    let mut damaged = 0_u32;
    let resting = store
        .load(&mut |row| {
            let id = row.id;
            if !registry.restore(row, Duration::ZERO) {
                damaged += 1;
                tracing::error!(node = %id, "its row is damaged and left out");
            }
        })
        .await
        .context("cannot load the registry")?;
    for name in resting {
        registry.restore_resting(&name.name, name.node, name.released);
    }
    tracing::info!(nodes = registry.len(), damaged, "registry loaded");
    Ok(registry)
}

async fn listen(secret: &protocol::NodeSecret, config: &Config) -> anyhow::Result<Endpoint> {
    let limits = Limits {
        // One node asks little, but whoever speaks for many (a relay) has one link.
        streams: Rate {
            per_second: 200.0,
            burst: 2000.0,
        },
        ..Limits::center(config.links_max)
    };
    let protocols = [Protocol::Center];
    let strangers = Arc::new(Strangers);
    let listen = [config.listen];
    Ok(Endpoint::bind_with(secret, &listen, &protocols, strangers, limits).await?)
}

/// The addresses that lead to this center, the best first.
fn own_addresses(config: &Config, endpoint: &Endpoint) -> Vec<IpAddr> {
    if !config.listen.ip().is_unspecified() {
        return vec![config.listen.ip()];
    }
    let known = endpoint.watch_addresses().borrow().clone();
    let ips: Vec<IpAddr> = known
        .iter()
        .map(|address| address.ip().to_canonical())
        .collect();
    crate::registry::widest(&ips)
}

fn center_string(config: &Config, endpoint: &Endpoint, own: &RwLock<Vec<IpAddr>>) -> String {
    let own = own.read().unwrap_or_else(PoisonError::into_inner);
    let best = own.iter().find(|ip| ip.is_ipv4()).or(own.first());
    let host = config
        .host
        .clone()
        .or_else(|| best.map(ToString::to_string));
    let address = CenterAddress {
        id: endpoint.id(),
        host: host.unwrap_or_else(|| "localhost".into()),
        port: endpoint.port(),
    };
    address.to_string()
}

async fn follow_addresses(
    endpoint: Endpoint,
    own: Arc<RwLock<Vec<IpAddr>>>,
    config: Config,
    stop: CancellationToken,
) {
    let mut watch = endpoint.watch_addresses();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = watch.changed() => if changed.is_err() { return },
        }
        let addresses = own_addresses(&config, &endpoint);
        *own.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

/// A DNS server that answers.
struct Dns {
    server: Server<Catalog>,
    address: SocketAddr,
}

impl Dns {
    async fn stop(mut self) {
        let _ = self.server.shutdown_gracefully().await;
    }
}

async fn serve_dns(
    office: &Arc<Office>,
    own: &Arc<RwLock<Vec<IpAddr>>>,
    config: &Config,
) -> anyhow::Result<Dns> {
    let cannot = || {
        format!(
            "cannot answer DNS on {}; another program may have the port, choose one with --dns \
             ADDRESS:PORT",
            config.dns
        )
    };
    let zone = Zone::new(
        Arc::clone(office),
        Arc::clone(own),
        config.caa_issuers.clone(),
    )?;
    let mut catalog = Catalog::new();
    catalog.upsert(zone.name(), vec![Arc::new(zone) as Arc<dyn ZoneHandler>]);
    let mut server = Server::new(catalog);
    // TCP first: with port 0 the system chooses one that is free there, and UDP takes the same.
    let tcp = TcpListener::bind(config.dns).await.with_context(cannot)?;
    let address = tcp.local_addr()?;
    let udp = UdpSocket::bind(address).await.with_context(cannot)?;
    server.register_socket(udp);
    server.register_listener(tcp, DNS_TCP_IDLE, DNS_TCP_ANSWERS);
    Ok(Dns { server, address })
}

async fn serve_http(
    home: &Home,
    office: &Arc<Office>,
    owner: crate::home::OwnerToken,
    config: &Config,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Option<SocketAddr>> {
    let path = home.admin_socket();
    // We hold the lock, so a socket that lies there is left from a crash.
    let _ = fs::remove_file(&path);
    let socket =
        UnixListener::bind(&path).with_context(|| format!("cannot make {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let commands = admin::for_commands(Arc::clone(office));
    tasks.spawn(until(stop.clone(), async move {
        axum::serve(socket, commands).await
    }));
    let Some(address) = config.http else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; choose another port with --http ADDRESS:PORT")
    })?;
    let bound = listener.local_addr()?;
    let pages: Router = admin::for_owner(Arc::clone(office), owner);
    tasks.spawn(until(stop.clone(), async move {
        axum::serve(listener, pages).await
    }));
    Ok(Some(bound))
}

async fn until(stop: CancellationToken, serving: impl Future<Output = std::io::Result<()>>) {
    tokio::select! {
        () = stop.cancelled() => {}
        served = serving => {
            if let Err(error) = served {
                tracing::error!(%error, "a listener of the admin API failed");
            }
        }
    }
}

async fn sweep(office: Arc<Office>, stop: CancellationToken) {
    loop {
        let wait = office.sweep();
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn note(office: Arc<Office>, stop: CancellationToken) {
    for turn in 1_u32.. {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(NOTE_EVERY) => {}
        }
        if let Err(error) = office.note(turn.is_multiple_of(ALL_EVERY)).await {
            tracing::warn!(%error, "presence is told to the database later");
        }
    }
}
