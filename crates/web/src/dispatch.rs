//! From the route table to an axum router, and from a request to its handler.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::any;
use http::header::{CONTENT_LENGTH, HeaderValue, LOCATION};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use sharing::{Account, Asker};

use crate::call::{Call, blocking};
use crate::gate::{self, Visit};
use crate::language::Language;
use crate::problem::{Caller, Fault, Problem};
use crate::routes::{self, Route, Subject};
use crate::unread::Unread;
use crate::{App, Connection, address, asker, cookies::Cookie, forgery, headers, pages};

/// The node's HTTP service: every row of [`routes::TABLE`], and 404 for all else.
pub fn router(app: Arc<App>) -> Router {
    let mut patterns: BTreeMap<&'static str, Vec<&'static Route>> = BTreeMap::new();
    for route in routes::all() {
        for pattern in route.patterns {
            patterns.entry(pattern).or_default().push(route);
        }
    }
    let mut router = Router::new();
    for (pattern, rows) in patterns {
        let app = Arc::clone(&app);
        let rows: Arc<[_]> = rows.into();
        router = router.route(
            pattern,
            any(move |request| answer(Arc::clone(&app), Arc::clone(&rows), request)),
        );
    }
    router.fallback(move |request| answer(Arc::clone(&app), Arc::from([]), request))
}

/// One request from its first to its last byte of headers; never fails.
async fn answer(app: Arc<App>, rows: Arc<[&'static Route]>, request: Request) -> Response<Body> {
    let connection = request.extensions().get::<Connection>().copied();
    let method = request.method().clone();
    let mut context = Context::new(&rows, &request, connection.as_ref());
    let (head, body) = request.into_parts();
    let (unread, body) = Unread::lend(&head.headers, body);
    let request = Request::from_parts(head, body);
    let mut response = match run(&app, &rows, connection, request, &mut context).await {
        Ok(response) => response,
        Err(problem) => refuse(&app, &problem, &context),
    };
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    headers::harden(&mut response, &app.settings, connection.as_ref());
    unread.read_on(context.is_known);
    response
}

/// What is needed to draw a problem, known as far as the request got.
struct Context {
    caller: Caller,
    language: Language,
    account: Option<Account>,
    /// Somebody with an account, by session or password.
    is_known: bool,
    uri: Uri,
    method: Method,
}

impl Context {
    fn new(rows: &[&'static Route], request: &Request, connection: Option<&Connection>) -> Self {
        let headers = request.headers();
        let cookie = connection.and_then(|connection| Cookie::Language.read(headers, connection));
        Self {
            caller: rows
                .first()
                .map_or_else(|| caller_of(request.uri().path()), |row| row.caller),
            language: cookie
                .and_then(|tag| Language::from_tag(&tag))
                .unwrap_or_else(|| Language::accepted(headers)),
            account: None,
            is_known: false,
            uri: request.uri().clone(),
            method: request.method().clone(),
        }
    }
}

/// Who probably asked for an address that is in no row.
fn caller_of(path: &str) -> Caller {
    if path.starts_with("/api/") {
        Caller::Program
    } else if path.starts_with("/dav/") {
        Caller::Dav
    } else {
        Caller::Page
    }
}

async fn run(
    app: &Arc<App>,
    rows: &[&'static Route],
    connection: Option<Connection>,
    request: Request,
    context: &mut Context,
) -> Result<Response<Body>, Problem> {
    let connection = connection.ok_or_else(|| {
        tracing::error!("a request came without the facts of its connection");
        Problem::new(Fault::Internal)
    })?;
    let route = pick(rows, request.method())?;
    context.caller = route.caller;
    let (head, body) = request.into_parts();
    if !forgery::is_own(&head.method, &head.uri, &head.headers) {
        return Err(Problem::new(Fault::Foreign));
    }
    let (uri, head_map) = (head.uri.clone(), head.headers.clone());
    let admitted = blocking(app, move |app| {
        Ok(admit(app, route, &connection, &uri, &head_map))
    })
    .await?;
    if let Some(language) = admitted.language {
        context.language = language;
    }
    context.account.clone_from(&admitted.account);
    context.is_known = admitted.is_known;
    let (asker, visit) = admitted.result?;
    let call = Call {
        app: Arc::clone(app),
        connection,
        asker,
        account: admitted.account,
        language: context.language,
        route,
        visit,
        head,
        body: std::sync::Mutex::new(body),
    };
    (route.handler)(call).await
}

/// The row for a method; HEAD is answered by GET's.
fn pick(rows: &[&'static Route], method: &Method) -> Result<&'static Route, Problem> {
    let wanted = method.as_str();
    let row = |name: &str| {
        rows.iter()
            .copied()
            .find(|route| route.methods.contains(&name))
    };
    if let Some(route) = row(wanted) {
        return Ok(route);
    }
    if wanted == "HEAD"
        && let Some(route) = row("GET")
    {
        return Ok(route);
    }
    if rows.is_empty() {
        return Err(Problem::NOT_FOUND);
    }
    let mut allowed: Vec<&str> = rows
        .iter()
        .flat_map(|route| route.methods.iter().copied())
        .collect();
    if allowed.contains(&"GET") && !allowed.contains(&"HEAD") {
        allowed.push("HEAD");
    }
    Err(Problem::new(Fault::Method(allowed.join(", "))))
}

/// What admission found out, kept even when it refuses so that the refusal speaks the right
/// language.
struct Admitted {
    account: Option<Account>,
    language: Option<Language>,
    is_known: bool,
    result: Result<(Asker, Option<Visit>), Problem>,
}

fn admit(
    app: &App,
    route: &'static Route,
    connection: &Connection,
    uri: &Uri,
    headers: &HeaderMap,
) -> Admitted {
    let is_there = connection.friend.is_none_or(|key| match route.caller {
        Caller::Dav => true,
        // For programs of people with an account, and for no friend.
        Caller::Program => app.sharing.is_device(&key).unwrap_or(false),
        Caller::Page => false,
    });
    if !is_there {
        // The table says no as well; a friend is not even told which pages there are.
        return Admitted {
            account: None,
            language: None,
            is_known: false,
            result: Err(Problem::NOT_FOUND),
        };
    }
    let (account, is_known, result) = match asker::identify(app, route.caller, connection, headers)
    {
        Ok(found) => (
            found.account,
            found.asker.account().is_some(),
            ask(app, route, connection, uri, headers, found.asker),
        ),
        Err(problem) => (None, false, Err(problem)),
    };
    Admitted {
        language: account
            .as_ref()
            .and_then(|account| account.language.as_deref())
            .and_then(Language::from_tag),
        account,
        is_known,
        result,
    }
}

/// The permission decision: first about the route, then about the entry in the address.
fn ask(
    app: &App,
    route: &'static Route,
    connection: &Connection,
    uri: &Uri,
    headers: &HeaderMap,
    asker: Asker,
) -> Result<(Asker, Option<Visit>), Problem> {
    match route.subject {
        Subject::Route => {
            permit_route(app, route, &asker)?;
            Ok((asker, None))
        }
        Subject::Tree => {
            permit_route(app, route, &asker)?;
            let (space, path) = address::decode(route.rest(uri.path()))?;
            let visit = gate::visit(app, &asker, &route.need, &space, path)?;
            Ok((asker, Some(visit)))
        }
        Subject::Link => {
            let (token, path) = route.link_rest(uri.path());
            let Some(link) = app.sharing.link_by_token(token)? else {
                app.sharing
                    .audit_refusal(&asker, route.patterns[0], "no such link")?;
                return Err(Problem::NOT_FOUND);
            };
            let asker = asker::through_link(app, &link, connection, headers);
            // Asked about its entry at once: a locked link to a LAN-only folder must look dead from
            // away, and not ask for its password.
            let path = address::decode_path(path)?;
            let visit = gate::visit_link(app, &asker, &route.need, link, path)?;
            Ok((asker, Some(visit)))
        }
    }
}

fn permit_route(app: &App, route: &'static Route, asker: &Asker) -> Result<(), Problem> {
    let decision = app.sharing.gate(asker, &route.need)?;
    let settled = gate::settle(decision);
    match decision {
        sharing::Decision::Forbid | sharing::Decision::Hide => {
            app.sharing
                .audit_refusal(asker, route.patterns[0], route.need.name)?;
        }
        sharing::Decision::Allow | sharing::Decision::AskLogin => {}
    }
    settled
}

/// The answer to a problem in the caller's form. Pages lead to the sign-in or to a link's password.
fn refuse(app: &App, problem: &Problem, context: &Context) -> Response<Body> {
    if context.caller != Caller::Page {
        return problem.plain(context.caller, context.language);
    }
    if problem.fault == Fault::SignIn {
        return redirect(&sign_in_address(context));
    }
    let mut response =
        pages::problem::draw(app, problem, context.language, context.account.as_ref());
    problem.head(Caller::Page, &mut response);
    response
}

fn sign_in_address(context: &Context) -> String {
    let path = context.uri.path();
    if let Some(rest) = path.strip_prefix("/s/") {
        let token = rest.split('/').next().unwrap_or(rest);
        return format!("/s/{}", address::encode_name(token));
    }
    let next = context.uri.path_and_query().map_or(path, |p| p.as_str());
    if context.method == Method::GET && next != "/" {
        format!("/login?next={}", address::encode_name(next))
    } else {
        "/login".to_owned()
    }
}

/// 303: what follows is fetched with GET.
pub(crate) fn redirect(to: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    match HeaderValue::from_str(to) {
        Ok(to) => headers.insert(LOCATION, to),
        Err(_) => headers.insert(LOCATION, HeaderValue::from_static("/")),
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}
