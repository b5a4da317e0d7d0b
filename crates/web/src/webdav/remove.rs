//! DELETE and MKCOL (RFC 4918 sections 9.6 and 9.3).

use axum::body::Body;
use dav::Depth;
use files::{Change, Op, Refusal};
use http::{Response, StatusCode};
use sharing::Need;

use crate::problem::{Fault, Problem};

use super::conditions::Wanted;
use super::refused::{Refused, Step};
use super::{Request, access, blocking, body, commit, empty, identify};

/// Moves an entry, a folder with all that it holds, to the trash.
pub(super) async fn delete(request: Request) -> Step<Response<Body>> {
    let named = request.place.tree()?.clone();
    let wanted = Wanted::of(&request.head)?;
    let depth = request.header("depth")?.map(Depth::parse).transpose()?;
    let context = request.context();
    blocking(move || {
        let (app, asker) = (&context.app, &context.asker);
        let found = access::found(app, asker, &named, &Need::ENTRY_DELETE)?;
        if found.entry.is_folder() && depth.is_some_and(|depth| depth != Depth::Infinity) {
            // Section 9.6.1: a collection is deleted with all that it holds or not at all.
            let message = "a folder is deleted with all that it holds: Depth must be infinity";
            return Err(Refused::text(StatusCode::BAD_REQUEST, message));
        }
        if !found.entry.is_folder() && named.trailing_slash {
            return Err(Refused::NOT_FOUND);
        }
        access::shows_all(app, asker, &found.entry)?;
        let conditions = wanted.resolve(app, asker)?;
        let delete = Change::Delete {
            at: found.at.clone(),
        };
        commit(&context, &found.at, Op::new(delete).when(conditions))?;
        Ok(empty(StatusCode::NO_CONTENT))
    })
    .await
}

/// Makes a folder.
pub(super) async fn make_folder(request: Request) -> Step<Response<Body>> {
    let named = request.place.tree()?.clone();
    let wanted = Wanted::of(&request.head)?;
    let context = request.context();
    // Section 9.3.1: we know no body for MKCOL, so there must be none.
    let sent = body::whole(request.body, 0).await;
    if sent.is_err() {
        let message = "MKCOL takes no body";
        return Err(Refused::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    blocking(move || {
        let (app, asker) = (&context.app, &context.asker);
        let spot = access::writable(app, asker, &named)?;
        if spot.entry.is_some() {
            return Err(Problem::from(Refusal::Exists)
                .with_status(StatusCode::METHOD_NOT_ALLOWED)
                .into());
        }
        let conditions = wanted.resolve(app, asker)?;
        let make = Change::MakeFolder {
            at: spot.at.clone(),
        };
        let done = commit(&context, &spot.at, Op::new(make).when(conditions));
        let done = done.map_err(|refusal| match refusal {
            // Somebody was faster.
            Refused::Problem(problem) if problem.fault == Fault::Taken => {
                problem.with_status(StatusCode::METHOD_NOT_ALLOWED).into()
            }
            other @ (Refused::Problem(_) | Refused::Reply(_)) => other,
        })?;
        let mut response = empty(StatusCode::CREATED);
        if let Some(entry) = &done.entry {
            identify(response.headers_mut(), app, entry);
        }
        Ok(response)
    })
    .await
}
