//! Request sequences of clients that do not run here, written after public documents.
//!
//! FIXTURES, not the real programs: Windows Explorer's WebClient after [MS-WDV] and [MS-WDVME]
//! (Microsoft Open Specifications) and public traces; macOS Finder after Apple's webdavfs source
//! (`webdav_requests.c`, `webdav_parse.c`) and public traces. They show that the habits are
//! answered, not that the programs are happy.

use testing::{Client, PASSWORD};

use crate::scene::{alice_at_home, at, element};

/// Windows sends this on each upload, and does not care for OPTIONS on the space only.
#[test]
fn fixture_windows_explorer_maps_a_drive_and_saves_a_file() {
    let (node, alice) = alice_at_home();
    let nobody = node
        .https()
        .with("User-Agent", "Microsoft-WebDAV-MiniRedir/10.0.19045");
    // The redirector asks the root, then each level, and wants `DAV: 1` and the author header.
    for path in ["/", "/dav", "/dav/files", "/dav/files/alice"] {
        let reply = nobody.call("OPTIONS", path);
        assert!(
            [200, 204, 401].contains(&reply.status),
            "{path}: {}",
            reply.status
        );
        if reply.status == 401 {
            assert!(
                reply
                    .header("www-authenticate")
                    .is_some_and(|value| value.contains("Basic"))
            );
        }
    }
    let windows = alice.with("User-Agent", "Microsoft-WebDAV-MiniRedir/10.0.19045");
    let options = windows.call("OPTIONS", &at(""));
    assert!([200, 204].contains(&options.status));
    assert!(
        options
            .header("dav")
            .is_some_and(|dav| dav.contains('1') && dav.contains('2'))
    );
    assert_eq!(options.header("ms-author-via"), Some("DAV"));
    // PROPFIND with an empty body and Content-Length: 0, without a final slash.
    let found = windows
        .request("PROPFIND", "/dav/files/alice")
        .header("Depth", "0")
        .body("")
        .send()
        .expect_status(207)
        .text();
    assert!(found.contains("collection"), "{found}");
    windows_saves(&windows);
}

fn windows_saves(windows: &Client) {
    let path = at("New%20Document.txt");
    // Not there; an empty PUT; LOCK; PUT of the content; PROPPATCH of Win32 times; UNLOCK.
    windows.propfind(&path, "0").assert_status(404);
    windows.put(&path, "").assert_status(201);
    let lock = r#"<?xml version="1.0" encoding="utf-8" ?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner><D:href>HOST\alice</D:href></D:owner></D:lockinfo>"#;
    let reply = windows
        .request("LOCK", &path)
        .header("Timeout", "Second-3600")
        .header("Content-Type", "text/xml; charset=\"utf-8\"")
        .body(lock)
        .send()
        .expect_status(200);
    let token = reply.header("lock-token").unwrap().to_owned();
    let condition = format!("({token})");
    windows
        .request("PUT", &path)
        .header("If", &condition)
        .body("text")
        .send()
        .assert_status(204);
    let times = r#"<?xml version="1.0" encoding="utf-8" ?><D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:"><D:set><D:prop><Z:Win32CreationTime>Tue, 24 Nov 2026 08:00:00 GMT</Z:Win32CreationTime><Z:Win32LastModifiedTime>Tue, 24 Nov 2026 08:00:01 GMT</Z:Win32LastModifiedTime><Z:Win32FileAttributes>00000020</Z:Win32FileAttributes></D:prop></D:set></D:propertyupdate>"#;
    let patched = windows
        .request("PROPPATCH", &path)
        .header("If", &condition)
        .body(times)
        .send()
        .expect_status(207)
        .text();
    assert!(patched.contains("200 OK"), "{patched}");
    let ask = r#"<?xml version="1.0"?><propfind xmlns="DAV:" xmlns:Z="urn:schemas-microsoft-com:"><prop><Z:Win32FileAttributes/></prop></propfind>"#;
    let found = windows
        .request("PROPFIND", &path)
        .header("Depth", "0")
        .body(ask)
        .send()
        .text();
    assert_eq!(
        element(&found, "Win32FileAttributes").as_deref(),
        Some("00000020"),
        "{found}"
    );
    windows
        .request("UNLOCK", &path)
        .header("Lock-Token", &token)
        .send()
        .assert_status(204);
    windows.call("HEAD", &path).assert_status(200);
    let moved = windows
        .request("MOVE", &path)
        .header(
            "Destination",
            &format!("https://{}{}", windows.address(), at("Renamed.txt")),
        )
        .header("Overwrite", "F")
        .send();
    moved.assert_status(201);
}

#[test]
fn fixture_macos_finder_mounts_and_writes_its_side_files() {
    let (_node, alice) = alice_at_home();
    let finder = alice.with(
        "User-Agent",
        "WebDAVFS/3.0.0 (03008000) Darwin/22.6.0 (x86_64)",
    );
    let options = finder.call("OPTIONS", &at(""));
    // Without class 2 Finder mounts read-only.
    assert!(
        options.header("dav").is_some_and(|dav| dav.contains('2')),
        "{options:?}"
    );
    let quota = r#"<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:quota-available-bytes/><D:quota-used-bytes/><D:quota/><D:quotaused/></D:prop></D:propfind>"#;
    let found = finder
        .request("PROPFIND", &at(""))
        .header("Depth", "0")
        .body(quota)
        .send()
        .expect_status(207)
        .text();
    assert!(
        element(&found, "quota-available-bytes").is_some_and(|text| text.parse::<u64>().is_ok()),
        "{found}"
    );
    let basics = r#"<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:getlastmodified/><D:getcontentlength/><D:creationdate/><D:resourcetype/></D:prop></D:propfind>"#;
    for name in ["._.", ".DS_Store", "._photo.jpg", "photo.jpg"] {
        finder
            .request("PROPFIND", &at(name))
            .header("Depth", "0")
            .body(basics)
            .send()
            .assert_status(404);
    }
    for (name, body) in [
        ("photo.jpg", "pixels"),
        ("._photo.jpg", "resource fork"),
        (".DS_Store", "view"),
    ] {
        finder_writes(&finder, name, body);
    }
    let listing = finder
        .request("PROPFIND", &at(""))
        .header("Depth", "1")
        .body(basics)
        .send()
        .expect_status(207)
        .text();
    assert!(listing.contains("photo.jpg"), "{listing}");
    assert!(
        element(&listing, "creationdate").is_some_and(|date| date.contains('T')),
        "{listing}"
    );
    assert_eq!(
        finder.get(&at("photo.jpg")).expect_status(200).text(),
        "pixels"
    );
}

/// An empty PUT, a LOCK, the content as a chunked PUT with the expected length beside it, UNLOCK.
fn finder_writes(finder: &Client, name: &str, body: &str) {
    let path = at(name);
    finder.put(&path, "").assert_status(201);
    let lock = r#"<?xml version="1.0" encoding="utf-8"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner><D:href>http://www.apple.com/webdav_fs/</D:href></D:owner></D:lockinfo>"#;
    let reply = finder
        .request("LOCK", &path)
        .header("Depth", "0")
        .header("Timeout", "Second-600")
        .body(lock)
        .send()
        .expect_status(200);
    let token = reply.header("lock-token").unwrap().to_owned();
    let mut wire = finder.wire();
    let head = finder
        .request("PUT", &path)
        .header("If", &format!("({token})"))
        .header("X-Expected-Entity-Length", &body.len().to_string())
        .header("Transfer-Encoding", "chunked");
    wire.send(head.bytes(true)).unwrap();
    wire.send(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
        .unwrap();
    wire.read_reply("PUT").unwrap().assert_status(204);
    finder
        .request("UNLOCK", &path)
        .header("Lock-Token", &token)
        .send()
        .assert_status(204);
}

/// LibreOffice and Word: lock, save over, unlock, all on one connection.
#[test]
fn fixture_an_office_program_saves_under_one_lock() {
    let (node, _alice) = alice_at_home();
    let office = node
        .https()
        .basic("alice", PASSWORD)
        .with("User-Agent", "LibreOffice 7.4");
    office.put(&at("letter.odt"), "draft").assert_status(201);
    let mut wire = office.wire();
    let lock = r#"<?xml version="1.0"?><lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype><owner>alice</owner></lockinfo>"#;
    let reply = office
        .request("LOCK", &at("letter.odt"))
        .header("Timeout", "Second-180")
        .body(lock);
    let reply = reply.send_on(&mut wire).unwrap().expect_status(200);
    let token = reply.header("lock-token").unwrap().to_owned();
    for text in ["first save", "second save"] {
        let put = office
            .request("PUT", &at("letter.odt"))
            .header("If", &format!("({token})"))
            .body(text);
        put.send_on(&mut wire).unwrap().assert_status(204);
    }
    let unlock = office
        .request("UNLOCK", &at("letter.odt"))
        .header("Lock-Token", &token);
    unlock.send_on(&mut wire).unwrap().assert_status(204);
    assert_eq!(office.get(&at("letter.odt")).text(), "second save");
}
