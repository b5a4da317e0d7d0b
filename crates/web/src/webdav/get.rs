//! GET and HEAD of the tree (RFC 9110 section 9.3.1; RFC 4918 section 9.4): a file has content, a
//! folder leads to its page.

use axum::body::Body;
use files::Entry;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use sharing::Need;

use crate::content::{Delivery, Offer, deliver};

use super::access::{self, Found};
use super::conditions::Wanted;
use super::media::media_type;
use super::names::Names;
use super::place::Place;
use super::refused::{Refused, Step};
use super::{Context, Request, blocking, empty, is_head, moved};

pub(super) async fn get(request: Request) -> Step<Response<Body>> {
    let named = match &request.place {
        Place::Tree(named) => named.clone(),
        Place::Top | Place::Dav | Place::Spaces | Place::Principals | Place::WellKnown => {
            return view(request).await;
        }
    };
    let wanted = Wanted::of(&request.head)?;
    let context = request.context();
    let head = request.head;
    blocking(move || {
        let (app, asker) = (&context.app, &context.asker);
        let found = access::found(app, asker, &named, &Need::ENTRY_DOWNLOAD)?;
        wanted.check_reading(app, asker, Some(&found.at))?;
        if found.entry.is_folder() {
            let names = Names::of(app, asker)?;
            let page = names.href(&found.space.name, &found.at.path, true);
            let page = page.strip_prefix("/dav").unwrap_or("/files/");
            return Ok(folder(&head, page));
        }
        if named.trailing_slash {
            return Err(Refused::NOT_FOUND);
        }
        file(&context, &head, &found)
    })
    .await
}

/// A collection above the spaces.
async fn view(request: Request) -> Step<Response<Body>> {
    let wanted = Wanted::of(&request.head)?;
    let (context, head) = (request.context(), request.head);
    blocking(move || {
        wanted.check_reading(&context.app, &context.asker, None)?;
        Ok(folder(&head, "/files/"))
    })
    .await
}

/// A folder has no content of its own: people are led to its page, programs that only ask whether
/// it is there are told so.
fn folder(head: &http::request::Parts, page: &str) -> Response<Body> {
    let accept = head.headers.get(ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    if is_head(&head.method) && !accept.is_some_and(|accept| accept.contains("text/html")) {
        let mut response = empty(StatusCode::OK);
        let kind = HeaderValue::from_static("httpd/unix-directory");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        return response;
    }
    moved(StatusCode::SEE_OTHER, page)
}

fn file(context: &Context, head: &http::request::Parts, found: &Found) -> Step<Response<Body>> {
    let app = &context.app;
    if is_head(&head.method) {
        return Ok(deliver(
            &head.headers,
            delivery(&found.entry, None),
            app.now(),
        )?);
    }
    let content = app.files.open_content(found.entry.fid)?;
    let delivery = delivery(&content.entry, Some(content.file));
    let response = deliver(&head.headers, delivery, app.now())?;
    access::note_read(app, &context.asker, found)?;
    Ok(response)
}

fn delivery(entry: &Entry, file: Option<std::fs::File>) -> Delivery {
    Delivery {
        file,
        size: entry.size,
        etag: Some(entry.etag().to_string()),
        modified: entry.mtime,
        offer: Offer::Plain(media_type(entry.name.as_str())),
        ranges: true,
        watch: None,
    }
}
