//! PUT (RFC 4918 section 9.7, RFC 9110 section 9.3.4) with ownCloud's headers for mtime and checksum.
//!
//! Order: what can be refused is refused before the body is asked for (`Expect: 100-continue` is
//! answered when the body is first read); the body goes to a temporary file; length and checksum are
//! checked; then one commit decides. A body that breaks off leaves nothing (R90).

use axum::body::Body;
use dav::{Checksum, ChecksumKind};
use files::{Change, Conditions, Expect, Op, Precheck, Refusal, Staging};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderValue, Response, StatusCode};
use protocol::{Hash, Timestamp};

use crate::problem::{Fault, Problem};

use super::access::{self, Spot};
use super::conditions::Wanted;
use super::place::Named;
use super::refused::{Refused, Step, refused};
use super::{Context, Request, blocking, body, empty, identify};

/// A body this small is received first, so that all work is one step on the blocking pool.
const SMALL_BYTES: u64 = 256 << 10;

/// All that the headers say.
#[derive(Clone)]
struct Plan {
    named: Named,
    wanted: Wanted,
    length: Option<u64>,
    /// Finder and ownCloud tell the size of a chunked body beside it; good for an early refusal.
    hint: Option<u64>,
    /// `Expect: 100-continue`: the body is sent only when we want it.
    waits: bool,
    mtime: Option<Timestamp>,
    expect: Expect,
}

/// A place that may be written to, and where its bytes go.
struct Opened {
    spot: Spot,
    conditions: Conditions,
    staging: Staging,
    /// What the quota and the volume still take.
    room: body::Room,
}

pub(super) async fn put(request: Request) -> Step<Response<Body>> {
    let plan = plan(&request)?;
    let context = request.context();
    if plan.length.is_some_and(|length| length <= SMALL_BYTES) && !plan.waits {
        return small(context, plan, request.body).await;
    }
    let opened = {
        let (context, plan) = (context.clone(), plan.clone());
        blocking(move || open(&context, &plan)).await?
    };
    let Opened {
        spot,
        conditions,
        staging,
        room,
    } = opened;
    let staging = body::stream(request.body, staging, room).await?;
    blocking(move || close(&context, &plan, &spot, conditions, staging)).await
}

async fn small(context: Context, plan: Plan, body: Body) -> Step<Response<Body>> {
    let limit = usize::try_from(SMALL_BYTES).unwrap_or(usize::MAX);
    let bytes = body::whole(body, limit).await?;
    blocking(move || {
        let opened = open(&context, &plan)?;
        let mut staging = opened.staging;
        body::write_all(&mut staging, &bytes)?;
        close(&context, &plan, &opened.spot, opened.conditions, staging)
    })
    .await
}

fn plan(request: &Request) -> Step<Plan> {
    let named = request.place.tree()?.clone();
    if request.header("content-range")?.is_some() {
        // RFC 9110 section 14.5: a part must not be taken for the whole.
        let message = "a part of a file cannot be written; send the whole without Content-Range";
        return Err(Refused::text(StatusCode::BAD_REQUEST, message));
    }
    if named.path.is_root() || named.trailing_slash {
        return Err(Problem::new(Fault::IsAFolder)
            .with_status(StatusCode::METHOD_NOT_ALLOWED)
            .into());
    }
    let length = request.head.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let mtime = request.header("x-oc-mtime")?.map(dav::oc_mtime);
    let checksum = match request.header("oc-checksum")? {
        Some(value) => dav::oc_checksum(value)?,
        None => None,
    };
    let number = |name| -> Step<Option<u64>> {
        let value = request.header(name)?;
        Ok(value.and_then(|value| value.trim().parse().ok()))
    };
    let hint = match number("x-expected-entity-length")? {
        Some(hint) => Some(hint),
        None => number("oc-total-length")?,
    };
    Ok(Plan {
        named,
        wanted: Wanted::of(&request.head)?,
        length,
        hint: length.or(hint),
        waits: request.head.headers.contains_key(EXPECT),
        mtime: mtime.transpose()?.map(Timestamp),
        expect: expect(length, checksum),
    })
}

fn expect(length: Option<u64>, checksum: Option<Checksum>) -> Expect {
    let mut expect = Expect {
        length,
        ..Expect::default()
    };
    if let Some(checksum) = checksum {
        match checksum.kind {
            ChecksumKind::Sha1 => expect.sha1 = checksum.bytes.try_into().ok(),
            ChecksumKind::Blake3 => expect.blake3 = checksum.bytes.try_into().ok().map(Hash),
        }
    }
    expect
}

/// Step 0 and the beginning of step 1 of the write path.
fn open(context: &Context, plan: &Plan) -> Step<Opened> {
    let Context { app, asker } = context;
    let spot = access::writable(app, asker, &plan.named)?;
    let conditions = plan.wanted.resolve(app, asker)?;
    let refuse = |refusal| refused(context, &spot.at, refusal);
    let check = Precheck {
        at: &spot.at,
        conditions: &conditions,
        length: plan.hint,
        no_overwrite: false,
    };
    let author = access::author(asker);
    match app.files.precheck(&author, &check) {
        Ok(()) => {}
        // The bytes are on their way already: the commit refuses them and keeps them for their
        // writer (R91).
        Err(Refusal::ConditionFailed { .. } | Refusal::Locked { .. }) if !plan.waits => {}
        Err(refusal) => return Err(refuse(refusal)),
    }
    let mut staging = app.files.stage(&spot.at).map_err(refuse)?;
    if plan.expect.sha1.is_some() {
        staging = staging.with_sha1();
    }
    // A known length was checked; an unknown one must not fill the disk first.
    let room = match plan.length {
        Some(_) => body::Room {
            bytes: u64::MAX,
            by_quota: false,
        },
        None => {
            let old = spot.entry.as_ref().map_or(0, |entry| entry.size);
            let usage = app.files.usage(spot.space.id)?;
            let left = usage.quota.map(|quota| quota.saturating_sub(usage.used));
            // The disk that it goes to, which for a bound folder is not that of the space.
            let free = staging.free()?;
            body::Room {
                bytes: left.map_or(free, |left| left.min(free)).saturating_add(old),
                by_quota: left.is_some_and(|left| left <= free),
            }
        }
    };
    Ok(Opened {
        spot,
        conditions,
        staging,
        room,
    })
}

/// Steps 2 to 7.
fn close(
    context: &Context,
    plan: &Plan,
    spot: &Spot,
    conditions: Conditions,
    staging: Staging,
) -> Step<Response<Body>> {
    let app = &context.app;
    let refuse = |refusal| refused(context, &spot.at, refusal);
    let content = staging.finish(plan.expect.clone()).map_err(refuse)?;
    let put = Change::Put {
        at: spot.at.clone(),
        content,
        mtime: plan.mtime,
        no_overwrite: false,
    };
    let done = super::commit(context, &spot.at, Op::new(put).when(conditions))?;
    let mut response = empty(super::created(done.created));
    let headers = response.headers_mut();
    if let Some(entry) = &done.entry {
        identify(headers, app, entry);
    }
    if plan.mtime.is_some() {
        headers.insert("x-oc-mtime", HeaderValue::from_static("accepted"));
    }
    Ok(response)
}
