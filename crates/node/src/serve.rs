//! The start-up story of a node: prepare, open, listen, work, say ready, wait, stop.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use sharing::{Action, Event};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin};
use crate::certificate::{self, Certificate};
use crate::cluster::{Cluster, Discovery};
use crate::config::{self, Config};
use crate::connection::Entrance;
use crate::greeting::Ready;
use crate::lan::{self, Door};
use crate::layout::Layout;
use crate::limits::Limits;
use crate::listener::Listener;
use crate::modules::{Module, Modules, Task, WEB_HTTPS};
use crate::pulse::Patience;
use crate::report::PagesView;
use crate::running::Running;
use crate::state::{State, system_clock};
use crate::{tls, workers};

/// After the modules have stopped, the rest may take this long; all of it stays below 8 s.
const CLOSE_PATIENCE: Duration = Duration::from_millis(1500);

/// A port that is free for TCP is tried so often for UDP too.
const PORT_TRIES: usize = 16;

/// What the command line says about a node that shall run. `None` leaves it to `cumulet.toml`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The folder to serve.
    pub folder: PathBuf,
    /// The state folder, if apart.
    pub state: Option<PathBuf>,
    /// Address of HTTPS.
    pub listen: Option<SocketAddr>,
    /// Address of plain HTTP.
    pub http: Option<SocketAddr>,
    /// Plain HTTP may leave this computer.
    pub http_public: bool,
    /// The node's name.
    pub name: Option<String>,
    /// Neither announce the node on the home network nor look for others.
    pub no_mdns: bool,
    /// Time between two signs of life of a node nearby.
    pub beat: Option<Duration>,
    /// After so many missed beats a node is gone.
    pub beats_missed: Option<u32>,
    /// Other nodes that it keeps links to, at most.
    pub neighbors_max: Option<usize>,
    /// The center that gives it a name.
    pub center: Option<protocol::message::center::CenterAddress>,
    /// What lets it register there.
    pub invite: Option<[u8; 16]>,
}

impl Options {
    fn apply(&self, config: &mut Config) {
        config.listen = self.listen.unwrap_or(config.listen);
        config.http = self.http.or(config.http);
        config.http_public |= self.http_public;
        config.name = self.name.clone().or(config.name.take());
        config.mdns &= !self.no_mdns;
        config.beat = self.beat.unwrap_or(config.beat);
        config.beats_missed = self.beats_missed.unwrap_or(config.beats_missed);
        config.neighbors_max = self.neighbors_max.unwrap_or(config.neighbors_max);
        config.center = self.center.clone().or(config.center.take());
        config.invite = self.invite.or(config.invite);
    }
}

/// Runs a node until SIGTERM or SIGINT. `announce` is called once, when it answers requests.
///
/// A second signal ends the process at once.
pub fn serve(options: &Options, announce: impl FnOnce(&Ready)) -> anyhow::Result<()> {
    let layout = Layout::prepare(&options.folder, options.state.as_deref())?;
    let mut config = Config::load(&layout.config_file())?;
    options.apply(&mut config);
    config.check()?;
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(config.blocking_threads_max)
        .thread_keep_alive(Duration::from_secs(30))
        .build()
        .context("cannot start threads")?;
    let state = State::open(layout, config, system_clock())?;
    let result = runtime.block_on(run(Arc::new(state), announce));
    // Work that blocks and did not end with its module is left behind; the state is closed.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn run(state: Arc<State>, announce: impl FnOnce(&Ready)) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let node = Node::build(&state).await?;
    let stop_admin = CancellationToken::new();
    let admin = tokio::spawn(serve_admin(&node, stop_admin.clone())?);
    let modules = Arc::new(Modules::start(node.modules(), &state.clock));
    let _ = node.running.modules.set(Arc::clone(&modules));
    on_blocking(&state, |state| note(state, Action::Start)).await?;
    announce(&node.ready(on_blocking(&state, |state| Ok(state.sharing.setup_token()?)).await?));

    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping (SIGTERM)"),
        _ = interrupt.recv() => tracing::info!("stopping (SIGINT)"),
    }
    tokio::select! {
        () = modules.shutdown() => {}
        _ = terminate.recv() => anyhow::bail!("stopped at once by a second signal"),
        _ = interrupt.recv() => anyhow::bail!("stopped at once by a second signal"),
    }
    node.cluster.close().await;
    stop_admin.cancel();
    let _ = tokio::time::timeout(CLOSE_PATIENCE / 3, admin).await;
    let _ = std::fs::remove_file(state.layout.admin_socket());
    let closed = on_blocking(&state, |state| {
        let noted = note(state, Action::Stop);
        state.close();
        noted
    });
    tokio::time::timeout(CLOSE_PATIENCE, closed)
        .await
        .context("the database did not close in time")?
}

/// A node whose ports are bound and whose modules are not started yet.
struct Node {
    state: Arc<State>,
    running: Arc<Running>,
    https: Arc<Listener>,
    http: Option<Arc<Listener>>,
    addresses: Vec<IpAddr>,
    cluster: Cluster,
}

impl Node {
    async fn build(state: &Arc<State>) -> anyhow::Result<Self> {
        let config = &state.config;
        let name = config.name.clone().unwrap_or_else(config::computer_name);
        let addresses = lan::own_addresses();
        let certificate = on_blocking(state, {
            let names = certificate::names(&name, &state.secret.id(), &addresses);
            move |state| {
                Ok(Certificate::open(
                    &state.layout,
                    &state.secret,
                    &names,
                    state.now(),
                )?)
            }
        });
        let certificate = Arc::new(certificate.await?);
        let https = Arc::new(bind_both(config.listen)?);
        let http = config
            .http
            .map(|address| bind(address, Door::Http, "--http").map(Arc::new))
            .transpose()?;
        let https_url = format!("https://{}", reachable(https.address(), &addresses));
        let cluster = Cluster::open(state, &name, https.address(), &addresses).await?;
        let started = state.now();
        let view = Arc::new(PagesView {
            state: Arc::clone(state),
            running: OnceLock::new(),
            started,
        });
        let app = web::App {
            files: state.files.clone(),
            sharing: state.sharing.clone(),
            clock: Arc::clone(&state.clock),
            secret: state.secret.clone(),
            settings: web::WebSettings {
                name: name.clone(),
                node_id: state.secret.id(),
                fingerprint: certificate.fingerprint(),
                tls_key: certificate.tls_key(),
                https_port: https.address().port(),
                trusted_certificate: false,
                version: env!("CARGO_PKG_VERSION").into(),
                center: config.center.as_ref().map(ToString::to_string),
            },
            status: Arc::clone(&view) as Arc<dyn web::StatusSource>,
            friends: Arc::new(cluster.friends.clone()),
            cluster: Arc::new(cluster.others()),
        };
        let router = web::router(Arc::new(app));
        let entrance = Arc::new(Entrance {
            router,
            tls: TlsAcceptor::from(tls::server_config(Arc::clone(&certificate) as Arc<_>)?),
            https_port: https.address().port(),
            network: RwLock::new(Arc::new(lan::read_network(
                config.lan.as_deref(),
                &config.trusted_proxies,
            ))),
            limits: Limits::new(config.connections_max, config.connections_per_address_max),
            patience: Patience {
                header: config.header_timeout,
                idle: config.idle_timeout,
                stall: config.stall_timeout,
            },
        });
        let surroundings = Arc::downgrade(&entrance);
        let place = move |ip| {
            surroundings
                .upgrade()
                .map_or(sharing::Place::Away, |entrance| {
                    let nothing_forwarded = http::HeaderMap::new();
                    entrance
                        .network()
                        .place(Door::Https, ip, &nothing_forwarded)
                        .place
                })
        };
        cluster
            .friends
            .open_door(entrance.router.clone(), Arc::new(place));
        let discovery = Discovery::of(state, &name, https.address(), &cluster.neighbors);
        if let Some(discovery) = &discovery {
            cluster.friends.look_around(discovery.clone());
        }
        let running = Arc::new(Running {
            name,
            https_url,
            http_url: http
                .as_ref()
                .map(|http| format!("http://{}", reachable(http.address(), &addresses))),
            started,
            certificate,
            entrance,
            friends: cluster.friends.clone(),
            neighbors: cluster.neighbors.clone(),
            center: cluster.center.clone(),
            modules: OnceLock::new(),
            discovery,
        });
        let _ = view.running.set(Arc::downgrade(&running));
        Ok(Self {
            state: Arc::clone(state),
            running,
            https,
            http,
            addresses,
            cluster,
        })
    }

    fn modules(&self) -> Vec<Module> {
        let (state, running) = (&self.state, &self.running);
        let mut modules =
            vec![self.listening(WEB_HTTPS, "pages and WebDAV over HTTPS", &self.https)];
        modules.extend(
            self.http
                .iter()
                .map(|http| self.listening("web-http", "the same over plain HTTP", http)),
        );
        modules.extend(self.cluster.modules());
        modules.push(workers::scanner(state));
        modules.push(workers::audit_sealer(state));
        modules.push(workers::lock_expiry(state));
        modules.push(workers::retention(state));
        modules.push(workers::network(
            state,
            &running.name,
            &running.certificate,
            &running.entrance,
        ));
        modules.extend(running.discovery.iter().map(Discovery::module));
        modules
    }

    fn listening(
        &self,
        name: &'static str,
        what: &'static str,
        listener: &Arc<Listener>,
    ) -> Module {
        let (listener, entrance) = (Arc::clone(listener), Arc::clone(&self.running.entrance));
        Module::new(name, what, move |task: Task| {
            let (listener, entrance) = (Arc::clone(&listener), Arc::clone(&entrance));
            async move { listener.run(entrance, task.stop).await }
        })
    }

    fn ready(&self, setup_token: Option<String>) -> Ready {
        let port = self.https.address().port();
        let mut addresses = Vec::new();
        if self.https.address().ip().is_unspecified() {
            addresses.extend(
                self.addresses
                    .iter()
                    .map(|ip| format!("https://{}", SocketAddr::new(*ip, port))),
            );
            addresses.push(format!("https://localhost:{port}"));
        }
        Ready {
            https: self.running.https_url.clone(),
            http: self.running.http_url.clone(),
            quic: self.cluster.quic().map(|port| {
                let at = SocketAddr::new(self.https.address().ip(), port);
                format!("quic://{}", reachable(at, &self.addresses))
            }),
            addresses,
            id: self.state.secret.id().to_string(),
            fingerprint: self.running.certificate.fingerprint(),
            setup_url: setup_token.map(|token| format!("{}/setup/{token}", self.running.https_url)),
        }
    }
}

fn bind(address: SocketAddr, door: Door, option: &str) -> anyhow::Result<Listener> {
    Listener::bind(address, door).map_err(|error| {
        let kind = error.kind();
        let why = if kind == std::io::ErrorKind::AddrInUse {
            format!("another program has the port, choose one with {option} ADDRESS:PORT")
        } else if kind == std::io::ErrorKind::AddrNotAvailable {
            format!(
                "this computer does not have the address; `{option} PORT` takes all that it has"
            )
        } else if kind == std::io::ErrorKind::PermissionDenied {
            format!("ports below 1024 are for the system, choose one with {option} ADDRESS:PORT")
        } else {
            format!("choose another address with {option} ADDRESS:PORT")
        };
        anyhow::Error::new(error).context(format!("cannot listen on {address}; {why}"))
    })
}

/// HTTPS, at a port whose number is free for QUIC too if the system chooses it.
fn bind_both(address: SocketAddr) -> anyhow::Result<Listener> {
    for _ in 0..PORT_TRIES {
        let https = bind(address, Door::Https, "--listen")?;
        let udp = std::net::UdpSocket::bind(https.address());
        if address.port() != 0 || udp.is_ok() {
            return Ok(https);
        }
    }
    bind(address, Door::Https, "--listen")
}

/// The address to print for a listener: itself, or for "everywhere" the best one of this computer.
fn reachable(bound: SocketAddr, own: &[IpAddr]) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let best = own.iter().find(|ip| ip.is_ipv4()).or(own.first());
    let loopback = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    SocketAddr::new(best.copied().unwrap_or(loopback), bound.port())
}

/// Binds `admin.sock` for this user only and serves it until `stop`. We hold the lock, so a socket
/// that lies there is left from a crash.
fn serve_admin(
    node: &Node,
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let path = node.state.layout.admin_socket();
    let _ = std::fs::remove_file(&path);
    let socket =
        UnixListener::bind(&path).with_context(|| format!("cannot make {}", path.display()))?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let admin = Admin::new(Arc::clone(&node.state), Some(Arc::clone(&node.running)));
    let router = admin::router(Arc::new(admin));
    Ok(async move {
        let served = axum::serve(socket, router)
            .with_graceful_shutdown(async move { stop.cancelled().await });
        if let Err(error) = served.await {
            tracing::error!(%error, "the admin socket failed");
        }
    })
}

fn note(state: &State, action: Action) -> anyhow::Result<()> {
    let event = Event {
        detail: env!("CARGO_PKG_VERSION").into(),
        ..Event::by("node", state.now(), action, "node")
    };
    Ok(state.sharing.audit(event)?)
}

async fn on_blocking<T: Send + 'static>(
    state: &Arc<State>,
    work: impl FnOnce(&State) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let state = Arc::clone(state);
    tokio::task::spawn_blocking(move || work(&state)).await?
}

/// Connections, watched folders and files need descriptors; the usual soft limit is 1024.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_address_is_one_that_others_can_use() {
        let own: Vec<IpAddr> = vec!["fd00::5".parse().unwrap(), "192.168.1.5".parse().unwrap()];
        let check = |bound: &str, own: &[IpAddr], expected: &str| {
            assert_eq!(reachable(bound.parse().unwrap(), own).to_string(), expected);
        };
        check("[::]:8443", &own, "192.168.1.5:8443");
        check("[::]:8443", &own[..1], "[fd00::5]:8443");
        check("0.0.0.0:8443", &[], "127.0.0.1:8443");
        check("127.0.0.1:9", &own, "127.0.0.1:9");
    }
}
