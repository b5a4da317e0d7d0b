//! The node's state for programs: health, status, counters.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use sharing::{Place, Who};

use crate::call::{Answer, Call};

/// A JSON answer.
pub(crate) fn json(value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{value}\n")));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `GET /healthz`: the process answers and its database can be read.
pub(crate) async fn health(call: Call) -> Answer {
    call.blocking(|app| Ok(app.files.spaces().map(|_| ())?))
        .await?;
    let mut response = Response::new(Body::from("ok\n"));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

/// `GET /api/status`: who you are and where you come from.
pub(crate) async fn status(call: Call) -> Answer {
    let (name, owner) = match &call.asker.who {
        Who::Account { name, owner, .. } => (Some(name.to_string()), *owner),
        Who::Link { .. } | Who::Friend { .. } | Who::Nobody => (None, false),
    };
    let settings = &call.app.settings;
    Ok(json(&serde_json::json!({
        "node": settings.name,
        "id": settings.node_id.to_string(),
        "version": settings.version,
        "account": name,
        "owner": owner,
        "place": match call.asker.place {
            Place::Lan => "lan",
            Place::Away => "away",
            Place::Console => "console",
        },
        "now": call.app.now().to_string(),
        "started": call.app.status.started().to_string(),
    })))
}

/// `GET /metrics`: Prometheus text (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
pub(crate) async fn metrics(call: Call) -> Answer {
    let text = call.blocking(|app| Ok(app.status.metrics())).await?;
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    Ok(response)
}
