//! The command line on another computer: which node this is, a password for that device, and its
//! end (R11, R18).
//!
//! A device signs in once with the person's password and second factor, and keeps only an app
//! password, which opens files but not the account, and which the account page can revoke. No
//! session is left behind.

use axum::body::Body;
use http::header::{CACHE_CONTROL, USER_AGENT};
use http::{HeaderValue, Response, StatusCode};
use protocol::NodeId;
use serde::Deserialize;
use serde_json::json;
use sharing::{Action, Client, Event, Step, Via, Who};

use super::node::json as answer;
use super::tree::body;
use crate::asker;
use crate::call::{Answer, Call};
use crate::problem::{Fault, Problem};

/// `GET /api/identity`: the node's id, and its signature for the key of its TLS certificate.
pub(crate) async fn identity(call: Call) -> Answer {
    let settings = &call.app.settings;
    let signature: String = settings
        .tls_key
        .vouch(&call.app.secret)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(answer(&json!({
        "name": settings.name,
        "id": settings.node_id.to_string(),
        "version": settings.version,
        "tls_key": settings.tls_key.to_string(),
        "signature": signature,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDevice {
    user: String,
    password: String,
    #[serde(default)]
    code: Option<String>,
    label: String,
    /// The key with which the device will come over the peer protocol.
    #[serde(default)]
    key: Option<NodeId>,
    /// That it holds the key: `protocol::device::claim` in hexadecimal digits.
    #[serde(default)]
    proof: String,
}

/// `POST /api/devices` with `{"user": …, "password": …, "label": …, "code": …, "key": …,
/// "proof": …}`: 201 with the new
/// device's password and the center that tells where this node is, or 200 and `{"second_factor": true}` if the code is missing.
pub(crate) async fn add(call: Call) -> Answer {
    let NewDevice {
        user,
        password,
        code,
        label,
        key,
        proof,
    } = body(&call).await?;
    if let Some(key) = key {
        let node = call.app.settings.node_id;
        if !protocol::device::is_claimed(key, node, &proof) {
            return Err(Problem::bad("proof"));
        }
    }
    let agent = call.head.headers.get(USER_AGENT);
    let client = Client {
        address: call.asker.address,
        user_agent: agent
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or("")
            .chars()
            .take(200)
            .collect(),
    };
    let asker = call.asker.clone();
    let device = call
        .blocking(move |app| {
            let step = app
                .sharing
                .login(user.trim(), &password, &client)
                .map_err(asker::refused)?;
            let session = match (step, code) {
                (Step::Done(session), _) => session,
                (Step::SecondFactor(_), None) => return Ok(None),
                (Step::SecondFactor(pending), Some(code)) => app
                    .sharing
                    .second_factor(&pending, code.trim(), &client)
                    .map_err(|error| match asker::refused(error) {
                        wrong if wrong.fault == Fault::SignIn => Problem::new(Fault::WrongCode),
                        other => other,
                    })?,
            };
            let account = app.sharing.session(&session)?;
            // The session has done its work, whatever comes next.
            app.sharing.logout(&session)?;
            let Some(account) = account.map(|session| session.account) else {
                return Err(Problem::new(Fault::SignIn));
            };
            let secret = app.sharing.add_device(account.id, &label, key)?;
            let mut event = Event::of(
                &asker,
                app.now(),
                Action::AppPasswordCreate,
                account.name.to_string(),
            );
            event.account = Some(account.id);
            event.detail = label;
            app.sharing.audit(event)?;
            Ok(Some(json!({
                "user": account.name.as_str(),
                "password": secret,
                "center": app.settings.center,
            })))
        })
        .await?;
    let Some(device) = device else {
        return Ok(private(answer(&json!({ "second_factor": true }))));
    };
    let mut response = private(answer(&device));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

fn private(mut response: Response<Body>) -> Response<Body> {
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, never);
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaving {
    device: String,
}

/// `POST /api/devices/remove` with `{"device": "this"}`: the app password that asks takes itself
/// away.
pub(crate) async fn remove(call: Call) -> Answer {
    let Leaving { device } = body(&call).await?;
    if device != "this" {
        return Err(Problem::bad("device"));
    }
    let (me, asker) = (call.me()?, call.asker.clone());
    let Who::Account {
        via: Via::AppPassword { id, label },
        ..
    } = asker.who.clone()
    else {
        return Err(Problem::bad("device"));
    };
    call.blocking(move |app| {
        app.sharing.revoke_app_password(me, id)?;
        let mut event = Event::of(&asker, app.now(), Action::AppPasswordRevoke, asker.label());
        event.detail = label;
        Ok(app.sharing.audit(event)?)
    })
    .await?;
    Ok(answer(&json!({ "removed": true })))
}
