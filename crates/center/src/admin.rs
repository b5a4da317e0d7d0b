//! The admin API and page: over `admin.sock` for commands, over `--http` with the owner's token.
//!
//! Whoever can open the socket could read the database as well, so nobody is asked there. The
//! page works without JavaScript; with it, the table renews itself every two seconds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Form, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use protocol::NodeId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::home::OwnerToken;
use crate::listing;
use crate::office::Office;
use crate::pages::{self, Language};
use crate::store::{InviteKey, Outcome, Write};

/// Nodes of one answer.
const PAGE_MAX: usize = 1000;
const COOKIE: &str = "center_owner";
/// What a page may load: nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Routes for commands, over the socket.
pub fn for_commands(office: Arc<Office>) -> Router {
    api().with_state(office)
}

/// Routes for the owner's browser and programs.
pub fn for_owner(office: Arc<Office>, token: OwnerToken) -> Router {
    let guarded = api()
        .route("/", get(overview))
        .route("/rows", get(rows))
        .layer(middleware::from_fn(move |request, next| {
            only_owner(token, request, next)
        }));
    Router::new()
        .route(
            "/login",
            get(login_page).post(move |form| login(token, form)),
        )
        .route("/center.css", get(|| asset("text/css", pages::STYLE)))
        .route(
            "/center.js",
            get(|| asset("text/javascript", pages::SCRIPT)),
        )
        .route("/healthz", get(|| async { "ok" }))
        .merge(guarded)
        .layer(middleware::from_fn(with_policy))
        .with_state(office)
}

fn api() -> Router<Arc<Office>> {
    Router::new()
        .route("/api/nodes", get(nodes))
        .route("/api/nodes/{id}/pin", post(pin))
        .route("/api/nodes/{id}/unpin", post(unpin))
        .route("/api/nodes/{id}/remove", post(remove))
        .route("/api/invites", post(invite))
        .route("/api/status", get(status))
}

fn html(page: maud::Markup) -> Response {
    Html(page.into_string()).into_response()
}

async fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}

async fn with_policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A token as bearer (programs) or cookie (browsers, only from our own pages).
async fn only_owner(token: OwnerToken, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    // A foreign page may make a browser send a form with the cookie; it cannot forge this header.
    let foreign = headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none");
    let cookie = cookie(headers).filter(|_| !foreign);
    if bearer.or(cookie).is_some_and(|given| token.is(given)) {
        return next.run(request).await;
    }
    if request.uri().path().starts_with("/api/") {
        let why = json!({ "error": { "message": "the owner's token is missing or wrong" } });
        return (StatusCode::UNAUTHORIZED, Json(why)).into_response();
    }
    Redirect::to("/login").into_response()
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get(header::COOKIE)?.to_str().ok()?;
    all.split(';')
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

async fn login_page(headers: HeaderMap) -> Response {
    html(pages::login(Language::of(&headers), false))
}

async fn login(token: OwnerToken, Form(form): Form<Login>) -> Response {
    let given = form.token.trim();
    if !token.is(given) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        return (
            StatusCode::FORBIDDEN,
            html(pages::login(Language::English, true)),
        )
            .into_response();
    }
    let cookie = format!("{COOKIE}={given}; HttpOnly; SameSite=Strict; Path=/; Max-Age=86400");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

async fn overview(State(office): State<Arc<Office>>, headers: HeaderMap) -> Response {
    html(pages::overview(Language::of(&headers), &office))
}

async fn rows(State(office): State<Arc<Office>>, headers: HeaderMap) -> Response {
    html(pages::rows(Language::of(&headers), &office))
}

async fn nodes(
    State(office): State<Arc<Office>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let after = match query
        .get("after")
        .map(|text| text.parse::<NodeId>())
        .transpose()
    {
        Ok(after) => after,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    Json(json!({ "nodes": listing::page(&office, after, PAGE_MAX) })).into_response()
}

async fn status(State(office): State<Arc<Office>>) -> Json<Value> {
    let (nodes, online) = {
        let registry = office.registry();
        (registry.len(), registry.online())
    };
    Json(json!({
        "id": office.id(),
        "zone": office.zone(),
        "nodes": nodes,
        "online": online,
        "database": office.trouble(),
    }))
}

async fn pin(State(office): State<Arc<Office>>, Path(id): Path<String>) -> Response {
    change(&office, &id, |id| Write::Pin { id, pinned: true }).await
}

async fn unpin(State(office): State<Arc<Office>>, Path(id): Path<String>) -> Response {
    change(&office, &id, |id| Write::Pin { id, pinned: false }).await
}

async fn remove(State(office): State<Arc<Office>>, Path(id): Path<String>) -> Response {
    change(&office, &id, |id| Write::Remove { id }).await
}

async fn change(office: &Office, id: &str, write: impl FnOnce(NodeId) -> Write) -> Response {
    let id = match id.parse::<NodeId>() {
        Ok(id) => id,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    match office.by_owner(write(id)).await {
        Ok(Outcome::Done) => Json(json!({ "done": true })).into_response(),
        Ok(_) => refused(StatusCode::NOT_FOUND, "no node with this id is registered"),
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invite {
    #[serde(default = "one")]
    uses: u32,
    #[serde(default = "week")]
    days: u32,
}

fn one() -> u32 {
    1
}

fn week() -> u32 {
    7
}

async fn invite(State(office): State<Arc<Office>>, Json(wish): Json<Invite>) -> Response {
    if !(1..=100_000).contains(&wish.uses) || !(1..=365).contains(&wish.days) {
        return refused(
            StatusCode::BAD_REQUEST,
            "1 to 100000 uses and 1 to 365 days",
        );
    }
    let mut token = [0; 16];
    if getrandom::fill(&mut token).is_err() {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "no random numbers");
    }
    let until = office
        .now()
        .plus(Duration::from_hours(24 * u64::from(wish.days)));
    let write = Write::Invite {
        key: InviteKey::of(&token),
        uses: wish.uses,
        until,
    };
    match office.by_owner(write).await {
        Ok(_) => {
            let token = data_encoding::HEXLOWER.encode(&token);
            let (uses, until) = (wish.uses, until.to_string());
            Json(json!({ "token": token, "uses": uses, "until": until })).into_response()
        }
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": { "message": why } }))).into_response()
}
