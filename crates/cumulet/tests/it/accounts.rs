//! Signing in: sessions, second factor, app passwords, rate limits, no enumeration.

use std::process::Command;
use std::time::Instant;

use testing::{Client, Node, PASSWORD, Reply, require, run};

use crate::scene::{alice_at_home, at};

/// A browser without JavaScript: same origin, and whatever cookie it was given.
fn page(node: &Node) -> Client {
    node.https().with("Sec-Fetch-Site", "same-origin")
}

fn sign_in(node: &Node, name: &str, password: &str) -> Reply {
    page(node).post_form("/login", &format!("name={name}&password={password}"))
}

fn cookies(reply: &Reply) -> String {
    let set = reply
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    let pairs: Vec<&str> = set
        .filter_map(|(_, value)| value.split(';').next())
        .filter(|pair| !pair.ends_with('='))
        .collect();
    pairs.join("; ")
}

#[track_caller]
pub(crate) fn signed_in(node: &Node, name: &str) -> Client {
    let reply = sign_in(node, name, PASSWORD).expect_status(303);
    let cookie = cookies(&reply);
    assert!(cookie.contains("session"), "{reply:?}");
    page(node).with("Cookie", &cookie)
}

#[test]
fn a_session_cookie_is_bound_to_the_host_and_hidden_from_scripts() {
    let (node, _alice) = alice_at_home();
    let reply = sign_in(&node, "alice", PASSWORD).expect_status(303);
    let cookie = reply.header("set-cookie").unwrap();
    for part in ["__Host-", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{part}: {cookie}");
    }
}

#[test]
fn unknown_people_and_wrong_passwords_look_the_same() {
    let (node, _alice) = alice_at_home();
    let time = |name: &str| {
        let began = Instant::now();
        let reply = sign_in(&node, name, "wrong-password");
        (reply, began.elapsed())
    };
    time("alice");
    let (known, known_took) = time("alice");
    let (unknown, unknown_took) = time("mallory");
    assert_eq!(known.status, unknown.status);
    assert_eq!(
        known.text().replace("alice", "NAME"),
        unknown.text().replace("mallory", "NAME")
    );
    let ratio = known_took.as_secs_f64() / unknown_took.as_secs_f64();
    assert!(
        (0.2..5.0).contains(&ratio),
        "{known_took:?} against {unknown_took:?}"
    );
    let basic = |name: &str| node.https().basic(name, "wrong-password").get(&at("x"));
    let (known, unknown) = (basic("alice"), basic("mallory"));
    assert_eq!(
        (known.status, known.text()),
        (unknown.status, unknown.text())
    );
}

#[test]
fn guessing_is_slowed_down_and_a_restart_does_not_help() {
    let (mut node, _alice) = alice_at_home();
    let mut refused = None;
    for attempt in 0..40 {
        let reply = sign_in(&node, "alice", "wrong-password");
        if reply.status == 429 {
            let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            // A shorter delay could be over before a busy machine has started the node again.
            if wait >= 16 {
                refused = Some((attempt, reply));
                break;
            }
            std::thread::sleep(std::time::Duration::from_secs(wait));
        }
    }
    let (attempt, reply) = refused.expect("40 wrong passwords in a row are too many");
    let wait: u64 = reply
        .header("retry-after")
        .expect("429 says when")
        .parse()
        .unwrap();
    assert!(wait >= 1, "{reply:?}");
    eprintln!("429 after {attempt} wrong passwords, Retry-After {wait} s");
    node.stop();
    node.start();
    sign_in(&node, "alice", PASSWORD).assert_status(429);
}

#[test]
fn a_revoked_session_is_dead_on_its_next_request() {
    let (node, _alice) = alice_at_home();
    let (first, second) = (signed_in(&node, "alice"), signed_in(&node, "alice"));
    first.get("/account").assert_status(200);
    second.get("/account").assert_status(200);
    // Signing out of one leaves the other.
    let out = second.post_form("/logout", "");
    assert!([302, 303].contains(&out.status), "{out:?}");
    assert_ne!(second.get("/account").status, 200);
    first.get("/account").assert_status(200);
}

#[test]
fn a_changed_password_ends_all_sessions() {
    let (node, _alice) = alice_at_home();
    let session = signed_in(&node, "alice");
    session.get("/account").assert_status(200);
    node.cli_with_input(
        &["user", "passwd", "alice", "--password-stdin"],
        "another-long-password",
    )
    .ok();
    assert_ne!(session.get("/account").status, 200);
    sign_in(&node, "alice", "another-long-password").assert_status(303);
    node.https()
        .basic("alice", PASSWORD)
        .get(&at(""))
        .assert_status(401);
}

#[test]
fn app_passwords_work_for_devices_and_can_be_taken_away() {
    let (node, _alice) = alice_at_home();
    let made = node
        .cli(&["app-password", "add", "alice", "--label", "phone", "--json"])
        .json();
    let secret = made["app_password"]
        .as_str()
        .unwrap_or_else(|| panic!("{made}"))
        .to_owned();
    let phone = node.https().basic("alice", &secret);
    phone.put(&at("from-phone"), "x").assert_status(201);
    let listed = node
        .cli(&["app-password", "list", "alice", "--json"])
        .json();
    let row = &listed[0];
    assert_eq!(row["label"], "phone", "{listed}");
    assert!(row["last_used"].is_string(), "{listed}");
    // It is no way into the pages.
    let reply = sign_in(&node, "alice", &secret);
    assert_ne!(reply.status, 303);
    node.cli(&["app-password", "revoke", "alice", &row["id"].to_string()])
        .ok();
    phone.get(&at("from-phone")).assert_status(401);
}

#[test]
fn pages_refuse_what_a_foreign_page_sends() {
    let (node, _alice) = alice_at_home();
    let session = signed_in(&node, "alice");
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let foreign = session
            .with(name, value)
            .with("Origin", "https://evil.example");
        foreign.post_form("/logout", "").assert_status(403);
    }
    session.get("/account").assert_status(200);
}

#[test]
fn pages_come_with_strict_headers() {
    let (node, _alice) = alice_at_home();
    let reply = node.https().get("/login").expect_status(200);
    let policy = reply.header("content-security-policy").expect("a policy");
    assert!(
        policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe-inline") && !policy.contains("unsafe-eval"),
        "{policy}"
    );
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert!(reply.header("referrer-policy").is_some());
    assert!(
        !reply.text().contains("http://") || !reply.text().contains("<script>"),
        "{}",
        reply.text()
    );
}

#[test]
fn uploaded_html_does_not_run_in_the_nodes_origin() {
    let (node, alice) = alice_at_home();
    alice
        .put(&at("evil.html"), "<script>alert(1)</script>")
        .assert_status(201);
    alice
        .put(
            &at("evil.svg"),
            "<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        )
        .assert_status(201);
    for name in ["evil.html", "evil.svg"] {
        let reply = node
            .https()
            .basic("alice", PASSWORD)
            .get(&at(name))
            .expect_status(200);
        let policy = reply.header("content-security-policy").unwrap_or_default();
        let download = reply
            .header("content-disposition")
            .is_some_and(|value| value.starts_with("attachment"));
        assert!(
            policy.contains("sandbox") || download,
            "{name}: {:?}",
            reply.headers
        );
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
}

/// The code of an authenticator app at the real time plus `shift_s`.
pub(crate) fn code(secret: &str, shift_s: i64) -> Option<String> {
    let oathtool = require("oathtool")?;
    let now = format!("now {shift_s:+} seconds");
    let text = run(Command::new(oathtool).args(["--totp", "--base32", "--now", &now, secret]));
    Some(text.trim().to_owned())
}

#[test]
fn a_second_factor_is_asked_for_and_replaces_the_password_for_devices() {
    let (node, alice) = alice_at_home();
    alice.propfind(&at(""), "0").assert_status(207);
    let session = signed_in(&node, "alice");
    let begun = session.post_form("/account/second-factor", &format!("password={PASSWORD}"));
    let begun = if begun.status == 303 {
        session.get(begun.header("location").unwrap())
    } else {
        begun
    };
    let text = begun.expect_status(200).text();
    let secret: String = text
        .split("secret=")
        .nth(1)
        .unwrap_or_else(|| panic!("no otpauth address on the page:\n{text}"))
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    let Some(first) = code(&secret, 0) else {
        return;
    };
    let confirmed = session.post_form("/account/second-factor/confirm", &format!("code={first}"));
    assert!(
        [200, 303].contains(&confirmed.status),
        "{}",
        confirmed.text()
    );
    // The password alone is no way in any more, neither to the pages nor for devices.
    let half = sign_in(&node, "alice", PASSWORD).expect_status(303);
    let pending = page(&node).with("Cookie", &cookies(&half));
    assert_ne!(pending.get("/account").status, 200);
    alice.propfind(&at(""), "0").assert_status(401);
    pending.post_form("/login/code", "code=000000");
    // The same code must not work twice: take the next one.
    let next = code(&secret, 30).unwrap();
    let whole = pending.post_form("/login/code", &format!("code={next}"));
    whole.assert_status(303);
    page(&node)
        .with("Cookie", &cookies(&whole))
        .get("/account")
        .assert_status(200);
    let again = page(&node).with("Cookie", &cookies(&sign_in(&node, "alice", PASSWORD)));
    assert_ne!(
        again
            .post_form("/login/code", &format!("code={next}"))
            .status,
        303,
        "a code was taken twice"
    );
}

#[test]
fn the_set_up_link_works_once() {
    let node = crate::scene::cloud().start();
    let url = node.ready().setup_url.clone().unwrap();
    let path = url.strip_prefix(&node.ready().https).unwrap().to_owned();
    let client = page(&node);
    client.get(&path).assert_status(200);
    let form = format!("words=kept&name=alice&password={PASSWORD}&again={PASSWORD}");
    // Neither a typing error nor a short password uses the link up.
    for wrong in [
        form.replace("again=c", "again=x"),
        form.replace(PASSWORD, "short"),
    ] {
        assert_ne!(client.post_form(&path, &wrong).status, 303);
    }
    let made = client.post_form(&path, &form);
    assert!(
        [302, 303].contains(&made.status),
        "{} {}",
        made.status,
        made.text()
    );
    assert_ne!(client.get(&path).status, 200);
    assert_ne!(
        client
            .post_form(&path, &form.replace("alice", "mallory"))
            .status,
        303
    );
    node.https()
        .basic("alice", PASSWORD)
        .propfind(&at(""), "0")
        .assert_status(207);
}

#[test]
fn ended_sessions_and_old_failures_are_forgotten_by_the_retention_module() {
    let folder = tempfile::TempDir::new().unwrap();
    let Some(clock) = testing::FakeClock::new(folder.path()) else {
        return;
    };
    let mut node = crate::scene::cloud().clock(clock).start();
    node.owner("alice");
    signed_in(&node, "alice").get("/account").assert_status(200);
    sign_in(&node, "alice", "wrong-password");
    let rows = |node: &Node| {
        let catalog = node.folder().join(".cumulet/catalog.db");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let catalog = rusqlite::Connection::open_with_flags(catalog, flags).unwrap();
        ["session", "throttle"].map(|table| {
            let sql = format!("SELECT count(*) FROM {table}");
            catalog
                .query_row(&sql, [], |row| row.get::<_, i64>(0))
                .unwrap()
        })
    };
    let before = rows(&node);
    assert!(before[0] >= 1 && before[1] >= 1, "{before:?}");
    node.stop();
    // A session that nobody used for 30 days is over; failures are forgotten earlier.
    node.clock().set_offset_s(31 * 86_400);
    node.start();
    node.cli(&["trash", "confirm-clock"]).ok();
    testing::wait_until(
        "they are forgotten",
        std::time::Duration::from_secs(30),
        || rows(&node) == [0, 0],
    );
    // What is forgotten does not come back, and alice can sign in as ever.
    sign_in(&node, "alice", PASSWORD).assert_status(303);
}
