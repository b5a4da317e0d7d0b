//! The way from a command to a node: over `<state>/admin.sock` if one runs, else in-process.
//!
//! Both ways end in the same router of `node::admin`, so each command is written once. Without a
//! running node the command takes the lock and opens the state itself; a node that is just
//! starting or stopping holds the lock without a socket, and is waited for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use node::{Admin, Config, Failure, Kind, Layout, LayoutError, State};
use serde_json::Value;
use tokio::net::UnixStream;
use tower::ServiceExt as _;

/// A node that starts or stops answers within this time.
const WAIT_FOR_NODE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(100);
/// Everything but an export is a small document.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One node to talk to.
pub(crate) struct Console {
    layout: Layout,
    way: Way,
}

enum Way {
    Socket,
    InProcess {
        router: axum::Router,
        state: Arc<State>,
    },
}

pub(crate) type Body =
    http_body_util::combinators::UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

impl Console {
    /// Tells whether there is a node at all, before anybody is asked for a password.
    pub(crate) fn look(folder: Option<PathBuf>) -> Result<(), Failure> {
        find(folder).map(drop)
    }

    /// Finds the node of `folder`, running or not.
    pub(crate) async fn open(folder: Option<PathBuf>) -> Result<Self, Failure> {
        let layout = find(folder)?;
        let begun = Instant::now();
        loop {
            match UnixStream::connect(layout.admin_socket()).await {
                Ok(_) => {
                    return Ok(Self {
                        layout,
                        way: Way::Socket,
                    });
                }
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    return Err(Failure::new(
                        Kind::Refused,
                        format!(
                            "{} belongs to another user",
                            layout.admin_socket().display()
                        ),
                    )
                    .hint("run the command as the user that runs the node"));
                }
                Err(_) => {}
            }
            match open_in_process(&layout) {
                Ok(way) => return Ok(Self { layout, way }),
                Err(Locked::Failed(failure)) => return Err(failure),
                Err(Locked::ByNode(failure)) if begun.elapsed() > WAIT_FOR_NODE => {
                    return Err(failure);
                }
                Err(Locked::ByNode(_)) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Asks for something.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        read(self.send(Method::GET, path, Value::Null).await?).await
    }

    /// Has something done.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        read(self.send(Method::POST, path, body).await?).await
    }

    /// Asks for something of any length; `take` gets it piece by piece.
    pub(crate) async fn stream(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let response = self.send(Method::GET, path, Value::Null).await?;
        if response.status() != StatusCode::OK {
            return read(response).await.map(|_| ());
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken(&*error))?;
            if let Some(bytes) = frame.data_ref() {
                take(bytes).map_err(|error| {
                    Failure::new(Kind::Configuration, format!("cannot write: {error}"))
                })?;
            }
        }
        Ok(())
    }

    /// Closes what the command opened.
    pub(crate) fn close(self) {
        match self.way {
            Way::Socket => {}
            Way::InProcess { router, state } => {
                drop(router);
                state.close();
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Response<Body>, Failure> {
        let request = request(method, path, &body)?;
        match &self.way {
            Way::InProcess { router, .. } => {
                let response = router
                    .clone()
                    .oneshot(request.map(axum::body::Body::new))
                    .await;
                let response = response.unwrap_or_else(|never| match never {});
                Ok(
                    response
                        .map(|body| body.map_err(|error| Box::new(error).into()).boxed_unsync()),
                )
            }
            Way::Socket => over_socket(&self.layout.admin_socket(), request).await,
        }
    }
}

/// A request with a JSON body, or none for `Null`.
pub(crate) fn request(
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Request<Full<Bytes>>, Failure> {
    let bytes = if body.is_null() {
        Bytes::new()
    } else {
        Bytes::from(body.to_string())
    };
    Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, "admin")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(bytes))
        .map_err(|error| Failure::fault(error.to_string()))
}

pub(crate) async fn over_socket(
    path: &Path,
    request: Request<Full<Bytes>>,
) -> Result<Response<Body>, Failure> {
    let stream = UnixStream::connect(path)
        .await
        .map_err(|error| broken(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    // Owned by the runtime of this command, which ends with it.
    drop(tokio::spawn(connection));
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| broken(&error))?;
    Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
}

fn broken(error: &dyn std::error::Error) -> Failure {
    Failure::new(Kind::Unreachable, format!("the node broke off: {error}"))
        .hint("see its log; `cumulet status` tells whether it runs")
}

async fn read(response: Response<Body>) -> Result<Value, Failure> {
    let ok = response.status().is_success();
    let body = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let bytes = body
        .collect()
        .await
        .map_err(|error| broken(&*error))?
        .to_bytes();
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| {
        Failure::fault(format!(
            "the node answered: {}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(200)])
        ))
    })?;
    if ok {
        return Ok(value);
    }
    Err(serde_json::from_value(value["error"].clone())
        .unwrap_or_else(|_| Failure::fault(format!("the node answered: {value}"))))
}

enum Locked {
    ByNode(Failure),
    Failed(Failure),
}

fn open_in_process(layout: &Layout) -> Result<Way, Locked> {
    let config = Config::load(&layout.config_file())
        .map_err(|error| Locked::Failed(Failure::of(Kind::Configuration, &error)))?;
    match State::open(layout.clone(), config, node::system_clock()) {
        Ok(state) => {
            let state = Arc::new(state);
            let admin = Admin::new(Arc::clone(&state), None);
            Ok(Way::InProcess {
                router: node::admin::router(Arc::new(admin)),
                state,
            })
        }
        Err(error) => match error.downcast_ref::<LayoutError>() {
            Some(locked @ LayoutError::Locked { .. }) => Err(Locked::ByNode(
                Failure::new(
                    Kind::Unreachable,
                    format!("{locked}, which does not answer"),
                )
                .hint("it may be starting; if it hangs, end that process and try again"),
            )),
            Some(_) | None => Err(Locked::Failed(Failure::of(
                Kind::Configuration,
                error.as_ref(),
            ))),
        },
    }
}

fn find(folder: Option<PathBuf>) -> Result<Layout, Failure> {
    Layout::find(&state_folder(folder)?).map_err(layout_failure)
}

/// The folder of `--state`, of the environment, or the one that the first lines of the README use.
pub(crate) fn state_folder(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join("cumulet"));
    given
        .or_else(|| std::env::var_os("CUMULET_STATE").map(PathBuf::from))
        .or_else(|| home().filter(|folder| folder.is_dir()))
        .ok_or_else(|| {
            Failure::input("which node? There is none in ~/cumulet").hint(
                "`cumulet serve ~/cumulet` starts one; of a node elsewhere, add --state DIR with \
                 the folder given to `cumulet serve`",
            )
        })
}

fn layout_failure(error: LayoutError) -> Failure {
    let kind = match &error {
        LayoutError::NoNode(_) | LayoutError::HomeAway { .. } | LayoutError::NotAFolder(_) => {
            Kind::Missing
        }
        LayoutError::Locked { .. } => Kind::Unreachable,
        LayoutError::OtherVolume { .. }
        | LayoutError::StateInside { .. }
        | LayoutError::Io { .. } => Kind::Configuration,
        _ => Kind::Fault,
    };
    let failure = Failure::of(kind, &error);
    if let LayoutError::Io { source, .. } = &error
        && source.kind() == std::io::ErrorKind::PermissionDenied
    {
        return failure.hint("run the command as the user that runs the node (sudo -u USER)");
    }
    failure
}
