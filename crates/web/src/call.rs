//! One request on its way to its handler, with everything that was decided about it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use http::Response;
use http::request::Parts;
use protocol::AccountId;
use sharing::{Account, Asker};

use crate::form::{self, Fields};
use crate::gate::Visit;
use crate::language::Language;
use crate::problem::{Fault, Problem};
use crate::routes::Route;
use crate::{App, Connection, asker, forgery};

/// What a handler gives back.
pub(crate) type Answer = Result<Response<Body>, Problem>;

/// A handler as the route table names it.
pub(crate) type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A permitted request.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) connection: Connection,
    pub(crate) asker: Asker,
    /// The account of the session, for its settings; `None` with Basic and for nobody.
    pub(crate) account: Option<Account>,
    pub(crate) language: Language,
    pub(crate) route: &'static Route,
    /// The entry in the address, for routes that name one.
    pub(crate) visit: Option<Visit>,
    pub(crate) head: Parts,
    /// Taken once by [`Call::take_body`]; in a mutex so that a call may be borrowed across awaits.
    pub(crate) body: Mutex<Body>,
}

impl Call {
    /// The entry in the address.
    pub(crate) fn visit(&self) -> Result<&Visit, Problem> {
        self.visit.as_ref().ok_or(Problem::NOT_FOUND)
    }

    /// What stands in the place of `{…}` at the end of the route's pattern, still encoded.
    pub(crate) fn rest(&self) -> &str {
        self.route.rest(self.head.uri.path())
    }

    /// The body; empty from the second time on.
    pub(crate) fn take_body(&self) -> Body {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *body)
    }

    /// The body as a form.
    pub(crate) async fn form(&self) -> Result<Fields, Problem> {
        let body = self.take_body();
        form::read(&self.head.headers, body).await
    }

    /// The fields of the address.
    pub(crate) fn query(&self) -> Result<Fields, Problem> {
        Fields::of_query(self.head.uri.query())
    }

    /// The account that asks.
    pub(crate) fn me(&self) -> Result<AccountId, Problem> {
        self.asker.account().ok_or(Problem::new(Fault::SignIn))
    }

    /// The author of what this call changes.
    pub(crate) fn author(&self) -> files::Author {
        asker::author(&self.asker)
    }

    /// `https://HOST` as the client wrote it.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.connection.tls { "https" } else { "http" };
        let host = forgery::host(&self.head.uri, &self.head.headers).unwrap_or("localhost");
        format!("{scheme}://{host}")
    }

    /// Runs blocking work with the app. Its panic is our mistake, not the end of the server.
    pub(crate) fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&App) -> Result<T, Problem> + Send + 'static,
    ) -> impl Future<Output = Result<T, Problem>> + Send + 'static {
        blocking(&self.app, work)
    }
}

/// Runs blocking work with the app on the blocking pool. The future borrows nothing, so that it may
/// be awaited beside a request's body.
pub(crate) fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Problem> + Send + 'static,
) -> impl Future<Output = Result<T, Problem>> + Send + 'static {
    let app = Arc::clone(app);
    let task = tokio::task::spawn_blocking(move || work(&app));
    async move { task.await.map_err(|error| Problem::internal(&error))? }
}
