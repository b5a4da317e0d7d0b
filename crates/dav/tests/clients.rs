//! Request bodies as real clients send them, written down from public documents, source code and
//! captures ([MS-WDV], Apple's webdav_fs, neon, gvfs, rclone); each is parsed and answered for two
//! resources. Not recorded from the clients themselves.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::path::Path;

use dav::{
    ActiveLock, DeadRef, LockBody, PropFind, PropPatch, Quota, Reply, Resource, multistatus,
};
use protocol::{Etag, Fid, Seq};

fn body(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bodies");
    std::fs::read(path.join(name)).unwrap()
}

const DEAD: [DeadRef<'_>; 1] = [DeadRef {
    namespace: "http://apache.org/dav/props/",
    name: "executable",
    xml: "<executable xmlns=\"http://apache.org/dav/props/\">T</executable>",
}];

const LOCKS: [ActiveLock<'_>; 1] = [ActiveLock {
    token: "urn:uuid:1",
    root_href: "/dav/files/alice/R%26D/",
    exclusive: true,
    deep: true,
    owner_xml: "<D:owner xmlns:D=\"DAV:\">alice</D:owner>",
    timeout_s: 600,
}];

fn folder() -> Resource<'static> {
    Resource {
        folder: true,
        name: "R&D",
        created_s: 784_111_777,
        modified_s: 1_795_496_640,
        size: 0,
        etag: Some(Etag {
            fid: Fid(2),
            rev: Seq(7),
        }),
        media_type: "",
        locks: &[],
        lockable: true,
        quota: Some(Quota {
            used: 10,
            available: Some(90),
        }),
        dead: &[],
    }
}

fn file() -> Resource<'static> {
    Resource {
        folder: false,
        name: "a.txt",
        size: 42,
        media_type: "text/plain; charset=utf-8",
        locks: &LOCKS,
        quota: None,
        dead: &DEAD,
        ..folder()
    }
}

fn answer(propfind: PropFind, minimal: bool) -> String {
    let reply = Reply::new(propfind, minimal);
    let mut out = multistatus::OPEN.to_vec();
    reply.push_response(&mut out, b"/dav/files/alice/R%26D/", &folder());
    reply.push_response(&mut out, b"/dav/files/alice/R%26D/a.txt", &file());
    out.extend_from_slice(multistatus::CLOSE);
    let text = String::from_utf8(out).unwrap();
    well_formed(&text);
    text
}

/// Every reply must itself pass the strict reader: it is a PROPPATCH body's content in disguise.
fn well_formed(xml: &str) {
    let body = xml.split_once("?>").unwrap().1.trim();
    let wrapped =
        format!("<propertyupdate xmlns=\"DAV:\"><set><prop>{body}</prop></set></propertyupdate>");
    PropPatch::parse(wrapped.as_bytes()).unwrap();
}

#[test]
fn propfind_of_each_client_is_read_and_answered() {
    for client in [
        "windows-office",
        "finder",
        "finder-quota",
        "cadaver",
        "davfs2",
        "gvfs",
        "rclone",
        "propname",
        "allprop-include",
    ] {
        let parsed = PropFind::parse(&body(&format!("propfind-{client}.xml"))).unwrap();
        let text = format!("{parsed:#?}\n{}", answer(parsed.clone(), false));
        insta::assert_snapshot!(format!("propfind-{client}"), text);
    }
}

#[test]
fn an_empty_propfind_asks_for_everything() {
    insta::assert_snapshot!(answer(PropFind::parse(b"").unwrap(), false));
}

#[test]
fn a_minimal_reply_leaves_out_what_was_not_found() {
    let parsed = PropFind::parse(&body("propfind-rclone.xml")).unwrap();
    let text = answer(parsed, true);
    assert!(!text.contains("404"), "{text}");
    let only_missing = b"<propfind xmlns='DAV:'><prop><x xmlns='urn:x'/></prop></propfind>";
    let text = answer(PropFind::parse(only_missing).unwrap(), true);
    // RFC 8144 section 2.1: a response without any propstat would not be valid.
    assert!(
        text.contains("<D:prop></D:prop><D:status>HTTP/1.1 200 OK"),
        "{text}"
    );
}

#[test]
fn proppatch_of_each_client_is_read() {
    for client in [
        "windows-explorer",
        "cadaver-executable",
        "language-and-prefixes",
    ] {
        let parsed = PropPatch::parse(&body(&format!("proppatch-{client}.xml"))).unwrap();
        insta::assert_snapshot!(format!("proppatch-{client}"), format!("{parsed:#?}"));
    }
}

#[test]
fn lock_of_each_client_is_read() {
    let mut text = String::new();
    for client in ["windows-explorer", "finder", "cadaver", "shared"] {
        let parsed = LockBody::parse(&body(&format!("lock-{client}.xml"))).unwrap();
        writeln!(text, "{client}: {parsed:#?}").unwrap();
    }
    assert_eq!(LockBody::parse(b""), Ok(LockBody::Refresh));
    insta::assert_snapshot!(text);
}

#[test]
fn errors_and_failures_are_printed() {
    let mut out = multistatus::OPEN.to_vec();
    multistatus::push_failure(&mut out, "/a%20b/", 423, Some("lock-token-submitted"));
    multistatus::push_failure(&mut out, "/c", 507, None);
    out.extend_from_slice(multistatus::CLOSE);
    let name = |namespace: &str, name: &str| dav::PropName {
        namespace: namespace.into(),
        name: name.into(),
    };
    let patched = multistatus::patched(
        "/a",
        &[
            multistatus::PatchResult {
                name: name("urn:\"x\"", "p"),
                status: 424,
                condition: None,
            },
            multistatus::PatchResult {
                name: name("DAV:", "getetag"),
                status: 403,
                condition: Some("cannot-modify-protected-property"),
            },
            multistatus::PatchResult {
                name: name("", "q"),
                status: 424,
                condition: None,
            },
        ],
    );
    let bodies = [
        out,
        patched,
        multistatus::error("lock-token-submitted", &["/a%20b"], "locked by <alice>"),
        multistatus::error("propfind-finite-depth", &[], ""),
        multistatus::message("no & no"),
        multistatus::lock_discovery(&LOCKS),
    ];
    let texts: Vec<_> = bodies.map(|body| String::from_utf8(body).unwrap()).into();
    texts.iter().for_each(|text| well_formed(text));
    insta::assert_snapshot!(texts.join("\n"));
}
