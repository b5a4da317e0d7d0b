//! LOCK and UNLOCK (RFC 4918 sections 9.10 and 9.11).

use axum::body::Body;
use dav::{Depth, LockBody, Timeout, multistatus};
use files::{LOCK_DEFAULT, LOCK_MAX, LockInfo, LockRequest, Refusal};
use http::{HeaderName, Response, StatusCode};
use protocol::AccountId;
use sharing::Need;

use crate::problem::{Fault, Problem};

use super::conditions::Wanted;
use super::place::Named;
use super::propfind::active;
use super::refused::{Refused, Step, address, refused};
use super::{Context, Request, access, blocking, body, created, empty, set, xml};

struct Plan {
    named: Named,
    wanted: Wanted,
    deep: bool,
    timeout: std::time::Duration,
}

pub(super) async fn lock(request: Request) -> Step<Response<Body>> {
    let depth = request.header("depth")?.map(Depth::parse).transpose()?;
    if depth == Some(Depth::One) {
        let message = "LOCK takes Depth 0 or infinity";
        return Err(Refused::text(StatusCode::BAD_REQUEST, message));
    }
    let timeout = request.header("timeout")?.and_then(Timeout::parse);
    let plan = Plan {
        named: request.place.tree()?.clone(),
        wanted: Wanted::of(&request.head)?,
        deep: depth != Some(Depth::Zero),
        timeout: timeout.map_or(LOCK_DEFAULT, |timeout| timeout.duration(LOCK_MAX)),
    };
    let context = request.context();
    let sent = body::whole(request.body, dav::BODY_BYTES_MAX).await?;
    let asked = LockBody::parse(&sent)?;
    blocking(move || match asked {
        LockBody::Refresh => refresh(&context, &plan),
        LockBody::New {
            exclusive,
            owner_xml,
        } => new(&context, &plan, exclusive, owner_xml),
    })
    .await
}

/// Who holds the lock; links have no locks.
fn holder(context: &Context) -> Step<AccountId> {
    let account = context.asker.lock_holder();
    account.ok_or_else(|| Problem::new(Fault::Forbidden).into())
}

fn new(context: &Context, plan: &Plan, exclusive: bool, owner_xml: String) -> Step<Response<Body>> {
    let (app, asker) = (&context.app, &context.asker);
    let spot = access::writable(app, asker, &plan.named)?;
    if spot.entry.is_none() && plan.named.trailing_slash {
        // Section 7.3: a lock on a free name makes an empty file, never a collection.
        let message = "there is no folder of this name to lock";
        return Err(Refused::text(StatusCode::CONFLICT, message));
    }
    let request = LockRequest {
        at: spot.at.clone(),
        exclusive,
        deep: plan.deep,
        owner_xml,
        timeout: plan.timeout,
        account: holder(context)?,
        conditions: plan.wanted.resolve(app, asker)?,
    };
    let author = access::author(asker);
    let locked = app.files.lock(&author, request);
    let (lock, placeholder) = locked.map_err(|refusal| {
        let Refusal::Locked { token_root, .. } = refusal else {
            return refused(context, &spot.at, refusal);
        };
        // Section 9.10.6: the href is the root of the lock in the way.
        Refused::condition(
            StatusCode::LOCKED,
            "no-conflicting-lock",
            &[&address(context, &token_root)],
            "another lock is in the way",
        )
    })?;
    let status = if placeholder {
        created(true)
    } else {
        StatusCode::OK
    };
    let mut response = granted(context, &lock, status);
    let token = format!("<{}>", lock.token);
    let name = HeaderName::from_static("lock-token");
    set(response.headers_mut(), name, &token);
    Ok(response)
}

fn granted(context: &Context, lock: &LockInfo, status: StatusCode) -> Response<Body> {
    let app = &context.app;
    let root = address(context, &lock.root);
    let timeout_s = lock.expires.since(app.now()).as_secs();
    let body = multistatus::lock_discovery(&[active(lock, &root, timeout_s)]);
    xml(status, body)
}

/// Section 9.10.2: no body, one token in the If header; the address may be anywhere in its scope.
fn refresh(context: &Context, plan: &Plan) -> Step<Response<Body>> {
    let (app, asker) = (&context.app, &context.asker);
    let tokens = plan.wanted.tokens();
    let [token] = tokens.as_slice() else {
        let message = "a LOCK without a body refreshes a lock: its token must stand in the If \
                       header, and no other";
        return Err(Refused::text(StatusCode::BAD_REQUEST, message));
    };
    let found = access::found(app, asker, &plan.named, &Need::ENTRY_WRITE)?;
    let conditions = plan.wanted.resolve(app, asker)?;
    let refreshed = app.files.refresh_lock(
        token,
        &found.at,
        holder(context)?,
        plan.timeout,
        &conditions,
    );
    let lock = refreshed.map_err(|refusal| {
        if is_no_such_lock(&refusal) {
            no_such_lock(StatusCode::PRECONDITION_FAILED)
        } else {
            refused(context, &found.at, refusal)
        }
    })?;
    Ok(granted(context, &lock, StatusCode::OK))
}

fn is_no_such_lock(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::ConditionFailed { .. } | Refusal::NotFound)
}

fn no_such_lock(status: StatusCode) -> Refused {
    let message = "there is no such lock here; it may have ended";
    Refused::condition(status, "lock-token-matches-request-uri", &[], message)
}

pub(super) async fn unlock(request: Request) -> Step<Response<Body>> {
    let named = request.place.tree()?.clone();
    let value = request.header("lock-token")?.ok_or_else(|| {
        Refused::text(StatusCode::BAD_REQUEST, "the Lock-Token header is missing")
    })?;
    let token = dav::lock_token(value)?.to_owned();
    let context = request.context();
    blocking(move || {
        let (app, asker) = (&context.app, &context.asker);
        let found = access::found(app, asker, &named, &Need::ENTRY_WRITE)?;
        let author = files::Author {
            account: asker.lock_holder(),
            ..access::author(asker)
        };
        let unlocked = app.files.unlock(&author, &found.at, &token);
        unlocked.map_err(|refusal| {
            // Section 9.11.1.
            if is_no_such_lock(&refusal) {
                no_such_lock(StatusCode::CONFLICT)
            } else if let Refusal::Locked { .. } = refusal {
                Problem::new(Fault::Forbidden).into()
            } else {
                refused(&context, &found.at, refusal)
            }
        })?;
        Ok(empty(StatusCode::NO_CONTENT))
    })
    .await
}
