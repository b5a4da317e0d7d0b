//! PROPPATCH (RFC 4918 section 9.2): all instructions or none.
//!
//! Dead properties are stored as they were sent. The properties that we compute are protected; only
//! `displayname` may be set (section 15.2). Windows tells the time of a copied file by
//! `Win32LastModifiedTime`, which becomes the file's mtime besides being kept.

use std::time::UNIX_EPOCH;

use axum::body::Body;
use dav::multistatus::{self, PatchResult};
use dav::{Patch, PropName};
use files::{Change, DeadProp, Op, PropPatch, Refusal};
use http::{Response, StatusCode};
use protocol::Timestamp;
use sharing::Need;

use super::access::{self, Found};
use super::conditions::Wanted;
use super::names::Names;
use super::refused::{Refused, Step, refused};
use super::{Context, Request, blocking, body, xml};

const MICROSOFT: &str = "urn:schemas-microsoft-com:";

pub(super) async fn proppatch(request: Request) -> Step<Response<Body>> {
    let named = request.place.tree()?.clone();
    let wanted = Wanted::of(&request.head)?;
    let context = request.context();
    let sent = body::whole(request.body, dav::BODY_BYTES_MAX).await?;
    let patches = dav::PropPatch::parse(&sent)?.patches;
    blocking(move || {
        let (app, asker) = (&context.app, &context.asker);
        let found = access::found(app, asker, &named, &Need::ENTRY_WRITE)?;
        let results = apply(&context, &found, &wanted, patches)?;
        let names = Names::of(app, asker)?;
        let address = names.href(&found.space.name, &found.at.path, found.entry.is_folder());
        let body = multistatus::patched(&address, &results);
        Ok(xml(StatusCode::MULTI_STATUS, body))
    })
    .await
}

/// True for what only we may say.
fn is_protected(name: &PropName) -> bool {
    name.namespace == dav::xml::DAV && name.name != "displayname"
}

fn apply(
    context: &Context,
    found: &Found,
    wanted: &Wanted,
    patches: Vec<Patch>,
) -> Step<Vec<PatchResult>> {
    let names: Vec<PropName> = patches.iter().map(|patch| patch.name().clone()).collect();
    let result = |name: &PropName, status, condition| PatchResult {
        name: name.clone(),
        status,
        condition,
    };
    if names.iter().any(is_protected) {
        let results = names.iter().map(|name| match is_protected(name) {
            true => result(name, 403, Some("cannot-modify-protected-property")),
            false => result(name, 424, None),
        });
        return Ok(results.collect());
    }
    let (app, asker) = (&context.app, &context.asker);
    let change = Change::SetProps {
        at: found.at.clone(),
        mtime: patches
            .iter()
            .filter_map(windows_mtime)
            .next_back()
            .filter(|_| !found.entry.is_folder()),
        patches: patches.into_iter().map(instruction).collect(),
    };
    let op = Op::new(change).when(wanted.resolve(app, asker)?);
    let author = access::author(asker);
    match app.files.commit(&author, vec![op]).pop() {
        Some(Ok(_)) => Ok(names.iter().map(|name| result(name, 200, None)).collect()),
        Some(Err(Refusal::TooManyProps(_))) => {
            Ok(names.iter().map(|name| result(name, 507, None)).collect())
        }
        Some(Err(refusal)) => Err(refused(context, &found.at, refusal)),
        None => Err(Refused::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the properties were not set",
        )),
    }
}

fn instruction(patch: Patch) -> PropPatch {
    match patch {
        Patch::Set { name, xml, .. } => PropPatch::Set(DeadProp {
            namespace: name.namespace,
            name: name.name,
            xml,
        }),
        Patch::Remove { name } => PropPatch::Remove {
            namespace: name.namespace,
            name: name.name,
        },
    }
}

/// The mtime that Windows Explorer sets after a copy ([MS-WDV] section 2.2.4).
fn windows_mtime(patch: &Patch) -> Option<Timestamp> {
    let Patch::Set { name, text, .. } = patch else {
        return None;
    };
    if name.namespace != MICROSOFT || name.name != "Win32LastModifiedTime" {
        return None;
    }
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Timestamp::from_secs(i64::try_from(seconds).ok()?))
}
