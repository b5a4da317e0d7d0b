//! Printing of replies (RFC 4918 sections 13 and 14). Everything appends to a byte buffer that the
//! caller sends off in pieces, so a listing of any length needs constant memory.
//!
//! The prefix `D` is bound to `DAV:` on each root element and no default namespace is ever declared,
//! so a stored property, which declares all it uses, means the same wherever it is embedded.

use crate::print::{push_escaped, push_number};
use crate::{ActiveLock, PropName};

/// Media type of every XML body that we send.
pub const CONTENT_TYPE: &str = "application/xml; charset=utf-8";

/// How a multistatus body begins.
pub const OPEN: &[u8] =
    b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">\n";

/// How it ends.
pub const CLOSE: &[u8] = b"</D:multistatus>\n";

const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";

/// Appends `HTTP/1.1 404 Not Found` in a status element.
pub(crate) fn push_status(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"<D:status>HTTP/1.1 ");
    push_number(out, status.into());
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"</D:status>");
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        412 => "Precondition Failed",
        423 => "Locked",
        424 => "Failed Dependency",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Error",
    }
}

/// Appends a property name as an empty element.
pub fn push_name(out: &mut Vec<u8>, name: &PropName) {
    out.push(b'<');
    if name.namespace == crate::xml::DAV {
        out.extend_from_slice(b"D:");
        out.extend_from_slice(name.name.as_bytes());
    } else if name.namespace.is_empty() {
        out.extend_from_slice(name.name.as_bytes());
    } else {
        out.extend_from_slice(b"R:");
        out.extend_from_slice(name.name.as_bytes());
        out.extend_from_slice(b" xmlns:R=\"");
        push_escaped(out, &name.namespace);
        out.push(b'"');
    }
    out.extend_from_slice(b"/>");
}

/// Appends a response element that carries one status for the whole resource (a member that could
/// not be deleted or copied). `href` is already encoded.
pub fn push_failure(out: &mut Vec<u8>, href: &str, status: u16, condition: Option<&str>) {
    out.extend_from_slice(b"<D:response><D:href>");
    push_escaped(out, href);
    out.extend_from_slice(b"</D:href>");
    push_status(out, status);
    if let Some(condition) = condition {
        out.extend_from_slice(b"<D:error><D:");
        out.extend_from_slice(condition.as_bytes());
        out.extend_from_slice(b"/></D:error>");
    }
    out.extend_from_slice(b"</D:response>\n");
}

/// What became of one property of a PROPPATCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchResult {
    /// The property.
    pub name: PropName,
    /// 200, 403, 409, 424 or 507.
    pub status: u16,
    /// The precondition that failed, such as `cannot-modify-protected-property`.
    pub condition: Option<&'static str>,
}

/// The body of the reply to PROPPATCH: properties grouped by status, in order of first appearance.
#[must_use]
pub fn patched(href: &str, results: &[PatchResult]) -> Vec<u8> {
    let mut out = OPEN.to_vec();
    out.extend_from_slice(b"<D:response><D:href>");
    push_escaped(&mut out, href);
    out.extend_from_slice(b"</D:href>");
    let mut groups: Vec<(u16, Option<&str>)> = Vec::new();
    for result in results {
        let group = (result.status, result.condition);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    for group in groups {
        out.extend_from_slice(b"<D:propstat><D:prop>");
        let members = results.iter().filter(|r| (r.status, r.condition) == group);
        members.for_each(|result| push_name(&mut out, &result.name));
        out.extend_from_slice(b"</D:prop>");
        push_status(&mut out, group.0);
        if let Some(condition) = group.1 {
            out.extend_from_slice(b"<D:error><D:");
            out.extend_from_slice(condition.as_bytes());
            out.extend_from_slice(b"/></D:error>");
        }
        out.extend_from_slice(b"</D:propstat>");
    }
    out.extend_from_slice(b"</D:response>\n");
    out.extend_from_slice(CLOSE);
    out
}

/// The body of an error reply: the precondition's element with the hrefs it speaks of (already
/// encoded), and a sentence for people.
#[must_use]
pub fn error(condition: &str, hrefs: &[&str], message: &str) -> Vec<u8> {
    let mut out = DECLARATION.to_vec();
    out.extend_from_slice(b"<D:error xmlns:D=\"DAV:\"><D:");
    out.extend_from_slice(condition.as_bytes());
    if hrefs.is_empty() {
        out.extend_from_slice(b"/>");
    } else {
        out.push(b'>');
        for href in hrefs {
            out.extend_from_slice(b"<D:href>");
            push_escaped(&mut out, href);
            out.extend_from_slice(b"</D:href>");
        }
        out.extend_from_slice(b"</D:");
        out.extend_from_slice(condition.as_bytes());
        out.push(b'>');
    }
    push_message(&mut out, message);
    out.extend_from_slice(b"</D:error>\n");
    out
}

/// The body of an error reply that no precondition of the standard describes.
#[must_use]
pub fn message(message: &str) -> Vec<u8> {
    let mut out = DECLARATION.to_vec();
    out.extend_from_slice(b"<D:error xmlns:D=\"DAV:\">");
    push_message(&mut out, message);
    out.extend_from_slice(b"</D:error>\n");
    out
}

/// `s:message` is what Nextcloud and sabre/dav send and clients show.
fn push_message(out: &mut Vec<u8>, message: &str) {
    if !message.is_empty() {
        out.extend_from_slice(b"<s:message xmlns:s=\"http://sabredav.org/ns\">");
        push_escaped(out, message);
        out.extend_from_slice(b"</s:message>");
    }
}

/// The body of the reply to LOCK (section 9.10.1).
#[must_use]
pub fn lock_discovery(locks: &[ActiveLock<'_>]) -> Vec<u8> {
    let mut out = DECLARATION.to_vec();
    out.extend_from_slice(b"<D:prop xmlns:D=\"DAV:\"><D:lockdiscovery>");
    locks.iter().for_each(|lock| lock.push(&mut out));
    out.extend_from_slice(b"</D:lockdiscovery></D:prop>\n");
    out
}
