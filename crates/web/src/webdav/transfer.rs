//! COPY and MOVE (RFC 4918 sections 9.8 and 9.9), across spaces and bound folders.

use axum::body::Body;
use dav::{Depth, Destination};
use files::{Change, Op};
use http::header::LOCATION;
use http::{Response, StatusCode};
use sharing::Need;

use crate::gate::gate_leaving;
use crate::problem::{Fault, Problem};

use super::conditions::{Wanted, host};
use super::names::Names;
use super::place::{Named, Place};
use super::refused::{Refused, Step};
use super::{Context, Request, access, blocking, commit, created, empty, identify, set};

struct Plan {
    source: Named,
    target: Named,
    overwrite: bool,
    depth: Depth,
    wanted: Wanted,
}

pub(super) async fn copy(request: Request) -> Step<Response<Body>> {
    let plan = plan(&request)?;
    if plan.depth == Depth::One {
        let message = "COPY takes Depth 0 or infinity";
        return Err(Refused::text(StatusCode::BAD_REQUEST, message));
    }
    let context = request.context();
    blocking(move || transfer(&context, &plan, false)).await
}

pub(super) async fn move_(request: Request) -> Step<Response<Body>> {
    let plan = plan(&request)?;
    if plan.depth != Depth::Infinity {
        let message = "MOVE takes Depth infinity only";
        return Err(Refused::text(StatusCode::BAD_REQUEST, message));
    }
    let context = request.context();
    blocking(move || transfer(&context, &plan, true)).await
}

fn plan(request: &Request) -> Step<Plan> {
    let source = request.place.tree()?.clone();
    let value = request.header("destination")?.ok_or_else(|| {
        Refused::text(StatusCode::BAD_REQUEST, "the Destination header is missing")
    })?;
    let destination = Destination::parse(value)?;
    if !destination.is_on(host(&request.head)) {
        // Section 9.8.5.
        let message = "the destination is on another server, which this one does not write to";
        return Err(Refused::text(StatusCode::BAD_GATEWAY, message));
    }
    let target = Place::of(destination.path)?.tree()?.clone();
    let depth = request.header("depth")?.map(Depth::parse).transpose()?;
    Ok(Plan {
        source,
        target,
        overwrite: dav::overwrite(request.header("overwrite")?)?,
        depth: depth.unwrap_or(Depth::Infinity),
        wanted: Wanted::of(&request.head)?,
    })
}

fn transfer(context: &Context, plan: &Plan, moves: bool) -> Step<Response<Body>> {
    let (app, asker) = (&context.app, &context.asker);
    let need = if moves {
        &Need::ENTRY_DELETE
    } else {
        &Need::ENTRY_DOWNLOAD
    };
    super::friends::stays_here(app, asker, &plan.target)?;
    let source = access::found(app, asker, &plan.source, need)?;
    access::shows_all(app, asker, &source.entry)?;
    if !moves {
        access::note_read(app, asker, &source)?;
    }
    let target = access::replaceable(app, asker, &plan.target)?;
    gate_leaving(app, &source.at, &source.entry, &target.at, moves)?;
    let conditions = plan.wanted.resolve(app, asker)?;
    let (from, to) = (source.at, target.at.clone());
    let overwrite = plan.overwrite;
    let change = if moves {
        Change::Move {
            from,
            to,
            overwrite,
        }
    } else {
        Change::Copy {
            from,
            to,
            overwrite,
            deep: plan.depth == Depth::Infinity,
        }
    };
    // A lock in the way of the target is not below the request's own address.
    let done = commit(context, &target.at, Op::new(change).when(conditions));
    let done = done.map_err(|refusal| match refusal {
        // Section 9.8.4: the name is taken and must not be overwritten.
        Refused::Problem(problem) if problem.fault == Fault::Taken => {
            Problem::with_status(problem, StatusCode::PRECONDITION_FAILED).into()
        }
        other @ (Refused::Problem(_) | Refused::Reply(_)) => other,
    })?;
    let mut response = empty(created(done.created));
    let headers = response.headers_mut();
    if let Some(entry) = &done.entry {
        identify(headers, app, entry);
        if done.created {
            let names = Names::of(app, asker)?;
            let address = names.href(&target.space.name, &target.at.path, entry.is_folder());
            set(headers, LOCATION, &address);
        }
    }
    Ok(response)
}
