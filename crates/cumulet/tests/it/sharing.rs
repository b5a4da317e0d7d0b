//! Links, shares to members, LAN-only: who may what, from where (R18, R19, R94, R105).

use std::process::Command;
use std::time::Duration;

use testing::{Client, Net, Node, PASSWORD, require, run};

use crate::scene::{alice_at_home, at, cloud};

/// Makes a link by the command line; its path, `/s/TOKEN`.
#[track_caller]
pub(crate) fn link(node: &Node, arguments: &[&str]) -> String {
    link_with_input(node, arguments, "")
}

#[track_caller]
fn link_with_input(node: &Node, arguments: &[&str], input: &str) -> String {
    let words: Vec<&str> = ["link", "add"]
        .into_iter()
        .chain(arguments.iter().copied())
        .chain(["--json"])
        .collect();
    let text = node.cli_with_input(&words, input).ok();
    let start = text
        .find("/s/")
        .unwrap_or_else(|| panic!("no link in {text}"));
    let token: String = text[start + 3..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_')
        .collect();
    assert_eq!(token.len(), 22, "{text}");
    format!("/s/{token}")
}

/// The address on a link's page from which its file comes.
#[track_caller]
pub(crate) fn download_path(guest: &Client, link: &str) -> String {
    let page = guest.get(link).expect_status(200).text();
    let start = page
        .find(&format!("{link}/download"))
        .unwrap_or_else(|| panic!("no download on the page:\n{page}"));
    page[start..].chars().take_while(|c| *c != '"').collect()
}

#[test]
fn r19_a_link_opens_for_anybody_and_a_revoke_works_at_once() {
    let (node, alice) = alice_at_home();
    alice.put(&at("photo.txt"), "pixels").assert_status(201);
    let link = link(&node, &["alice:/photo.txt", "--right", "download"]);
    let guest = node.https();
    let path = download_path(&guest, &link);
    assert_eq!(guest.get(&path).expect_status(200).text(), "pixels");
    let listed = node.cli(&["link", "list", "--json"]).json();
    let id = listed[0]["id"].to_string();
    node.cli(&["link", "revoke", &id]).ok();
    guest.get(&path).assert_status(404);
    guest.get(&link).assert_status(404);
    // A dead link and one that never was look the same.
    let never = guest.get("/s/AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(never.status, 404);
    assert_eq!(
        guest.get(&link).text().replace(&link, ""),
        never.text().replace("/s/AAAAAAAAAAAAAAAAAAAAAA", "")
    );
}

#[test]
fn r19_a_link_with_a_password_shows_nothing_without_it() {
    let (node, alice) = alice_at_home();
    alice
        .put(&at("secret-name.txt"), "secret content")
        .assert_status(201);
    let link = link_with_input(
        &node,
        &[
            "alice:/secret-name.txt",
            "--right",
            "download",
            "--password-stdin",
        ],
        "opensesame",
    );
    let guest = node.https();
    let page = guest.get(&link);
    assert!([200, 401].contains(&page.status), "{}", page.status);
    assert!(!page.text().contains("secret"), "{}", page.text());
    let wrong = guest
        .with("Sec-Fetch-Site", "same-origin")
        .post_form(&format!("{link}/unlock"), "password=wrong");
    assert!([200, 401, 403].contains(&wrong.status), "{wrong:?}");
    assert!(wrong.header("set-cookie").is_none());
    let right = guest
        .with("Sec-Fetch-Site", "same-origin")
        .post_form(&format!("{link}/unlock"), "password=opensesame");
    assert!([302, 303].contains(&right.status), "{right:?}");
    let cookie = right
        .header("set-cookie")
        .expect("a cookie that opens the link")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let opened = guest.with("Cookie", &cookie);
    let path = download_path(&opened, &link);
    assert_eq!(
        opened.get(&path).expect_status(200).text(),
        "secret content"
    );
    assert!(guest.get(&path).status != 200);
}

#[test]
fn a_link_ends_with_its_downloads_and_with_its_time() {
    let (node, alice) = alice_at_home();
    alice.put(&at("file"), "x").assert_status(201);
    let guest = node.https();
    let twice = link(
        &node,
        &["alice:/file", "--right", "download", "--limit", "2"],
    );
    let path = download_path(&guest, &twice);
    guest.get(&path).assert_status(200);
    guest.get(&path).assert_status(200);
    guest.get(&path).assert_status(404);
    let brief = link(
        &node,
        &["alice:/file", "--right", "download", "--expires", "2s"],
    );
    let path = download_path(&guest, &brief);
    guest.get(&path).assert_status(200);
    std::thread::sleep(Duration::from_millis(2500));
    guest.get(&path).assert_status(404);
}

#[test]
fn r94_nobody_but_the_owner_gets_in_by_default() {
    let (node, alice) = alice_at_home();
    let bob = node.member("bob");
    alice.put(&at("private"), "x").assert_status(201);
    // A stranger learns nothing: the same answer for what is there and what is not.
    let nobody = node.https();
    let there = nobody.get(&at("private")).expect_status(401);
    let not_there = nobody.get(&at("nothing")).expect_status(401);
    assert_eq!(there.text(), not_there.text());
    for (method, path) in [
        ("GET", at("private")),
        ("PUT", at("private")),
        ("DELETE", at("private")),
        ("PROPFIND", at("")),
        ("MKCOL", at("new")),
    ] {
        let by_bob = bob.call(method, &path);
        assert!(
            [403, 404].contains(&by_bob.status),
            "{method} {path}: {}",
            by_bob.status
        );
        nobody.call(method, &path).assert_status(401);
    }
    assert_eq!(
        bob.get(&at("private")).text(),
        bob.get(&at("nothing")).text()
    );
    assert_eq!(alice.get(&at("private")).expect_status(200).text(), "x");
}

#[test]
fn r94_a_share_gives_exactly_its_right_and_goes_with_its_removal() {
    let (node, alice) = alice_at_home();
    let bob = node.member("bob");
    alice.call("MKCOL", &at("Team")).assert_status(201);
    alice.put(&at("Team/plan"), "1").assert_status(201);
    alice.put(&at("beside"), "1").assert_status(201);
    node.cli(&["share", "add", "alice:/Team", "bob", "r"]).ok();
    bob.get(&at("Team/plan")).assert_status(200);
    bob.put(&at("Team/plan"), "2").assert_status(403);
    bob.call("DELETE", &at("Team/plan")).assert_status(403);
    assert!([403, 404].contains(&bob.get(&at("beside")).status));
    let out = bob
        .request("MOVE", &at("Team/plan"))
        .header("Destination", "/dav/files/bob/plan")
        .send();
    out.assert_status(403);
    node.cli(&["share", "add", "alice:/Team", "bob", "rw"]).ok();
    bob.put(&at("Team/plan"), "2").assert_status(204);
    bob.put(&at("Team/new"), "2").assert_status(201);
    bob.call("DELETE", &at("Team/new")).assert_status(204);
    // Nobody deletes the very thing that was shared with them.
    assert!([403, 404].contains(&bob.call("DELETE", &at("Team")).status));
    node.cli(&["share", "remove", "alice:/Team", "bob"]).ok();
    assert!([403, 404].contains(&bob.get(&at("Team/plan")).status));
}

/// curl in a network namespace.
fn curl_in(space: &str, from: Option<&str>, arguments: &[&str]) -> String {
    let mut command = Command::new("ip");
    command.args([
        "netns",
        "exec",
        space,
        "curl",
        "-sk",
        "--max-time",
        "10",
        "-w",
        "%{http_code}",
        "-o",
        "/dev/null",
    ]);
    if let Some(address) = from {
        command.args(["--interface", address]);
    }
    run(command.args(arguments))
}

struct Networks {
    node: Node,
    base: String,
    net: Net,
}

/// A node in a network of its own, with a neighbor in the LAN and a machine elsewhere.
fn networks() -> Option<Networks> {
    let net = Net::new()?;
    require("curl")?;
    let home = net.home();
    let node = cloud()
        .under(&["ip", "netns", "exec", &home])
        .listen("0.0.0.0:0")
        .start();
    node.cli_with_input(
        &["user", "add", "alice", "--password-stdin", "--owner"],
        PASSWORD,
    )
    .ok();
    let port = node.ready().https.rsplit(':').next().unwrap().to_owned();
    Some(Networks {
        base: format!("https://{}:{port}", Net::ADDRESS),
        node,
        net,
    })
}

impl Networks {
    fn at_home(&self, arguments: &[&str]) -> String {
        curl_in(&self.net.lan(), Some(Net::NEIGHBOR), arguments)
    }

    fn elsewhere(&self, arguments: &[&str]) -> String {
        curl_in(&self.net.away(), None, arguments)
    }
}

#[test]
fn r18_the_same_account_and_address_work_at_home_and_away() {
    let Some(nets) = networks() else { return };
    let user = format!("alice:{PASSWORD}");
    let url = format!("{}{}", nets.base, at("file"));
    assert_eq!(
        nets.at_home(&["-u", &user, "-X", "PUT", "-d", "home", &url]),
        "201"
    );
    assert_eq!(nets.elsewhere(&["-u", &user, &url]), "200");
    assert_eq!(
        nets.elsewhere(&["-u", &user, "-X", "PUT", "-d", "away", &url]),
        "204"
    );
    assert_eq!(nets.at_home(&["-u", &user, &url]), "200");
    // Being at home grants nothing.
    assert_eq!(nets.at_home(&[&url]), "401");
}

#[test]
fn r105_a_lan_only_folder_does_not_exist_elsewhere() {
    let Some(nets) = networks() else { return };
    let user = format!("alice:{PASSWORD}");
    let base = &nets.base;
    let put = |path: &str| {
        nets.at_home(&[
            "-u",
            &user,
            "-X",
            "PUT",
            "-d",
            "x",
            &format!("{base}{}", at(path)),
        ])
    };
    assert_eq!(
        nets.at_home(&[
            "-u",
            &user,
            "-X",
            "MKCOL",
            &format!("{base}{}", at("Private"))
        ]),
        "201"
    );
    assert_eq!(put("Private/diary"), "201");
    assert_eq!(put("open"), "201");
    let link = link(&nets.node, &["alice:/Private/diary", "--right", "download"]);
    assert_eq!(nets.elsewhere(&[&format!("{base}{link}")]), "200");
    nets.node.cli(&["lan-only", "on", "alice:/Private"]).ok();
    let diary = format!("{base}{}", at("Private/diary"));
    assert_eq!(nets.at_home(&["-u", &user, &diary]), "200");
    // Away: the owner's account, the owner's writes, and a link made before, all the same 404.
    assert_eq!(nets.elsewhere(&["-u", &user, &diary]), "404");
    assert_eq!(
        nets.elsewhere(&["-u", &user, "-X", "PUT", "-d", "y", &diary]),
        "404"
    );
    let copy = [
        "-u",
        &user,
        "-X",
        "COPY",
        "-H",
        &format!("Destination: {base}{}", at("stolen")),
        &diary,
    ];
    assert_eq!(nets.elsewhere(&copy), "404");
    let home_copy = [
        "-u",
        &user,
        "-X",
        "MOVE",
        "-H",
        &format!("Destination: {diary}2"),
        &format!("{base}{}", at("open")),
    ];
    assert!(["403", "404", "409"].contains(&nets.elsewhere(&home_copy).as_str()));
    assert_eq!(nets.elsewhere(&[&format!("{base}{link}")]), "404");
    assert_eq!(nets.at_home(&[&format!("{base}{link}")]), "200");
    assert_eq!(
        nets.elsewhere(&["-u", &user, &format!("{base}{}", at("open"))]),
        "200"
    );
    // Neither does a listing tell.
    let listing = run(Command::new("ip").args([
        "netns",
        "exec",
        &nets.net.away(),
        "curl",
        "-sk",
        "-u",
        &user,
        "-X",
        "PROPFIND",
        "-H",
        "Depth: 1",
        &format!("{base}{}", at("")),
    ]));
    assert!(!listing.contains("Private"), "{listing}");
    nets.node.cli(&["lan-only", "off", "alice:/Private"]).ok();
    assert_eq!(nets.elsewhere(&["-u", &user, &diary]), "200");
}

#[test]
fn r105_a_lan_only_service_does_not_exist_elsewhere() {
    let Some(nets) = networks() else { return };
    let user = format!("alice:{PASSWORD}");
    let url = format!("{}{}", nets.base, at(""));
    let ask = ["-u", &user, "-X", "PROPFIND", "-H", "Depth: 0", &url];
    assert_eq!(nets.elsewhere(&ask), "207");
    nets.node.cli(&["lan-only", "on", "files"]).ok();
    assert!(["403", "404"].contains(&nets.elsewhere(&ask).as_str()));
    assert_eq!(nets.at_home(&ask), "207");
}

#[test]
fn r105_a_forged_forwarding_header_does_not_bring_anybody_home() {
    let (node, alice) = alice_at_home();
    alice.put(&at("diary"), "x").assert_status(201);
    node.cli(&["lan-only", "on", "alice:/diary"]).ok();
    alice.get(&at("diary")).assert_status(200);
    // Plain HTTP is never LAN unless a trusted proxy says so.
    let plain = node.http().basic("alice", PASSWORD);
    plain.get(&at("diary")).assert_status(404);
    for (name, value) in [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1"),
    ] {
        plain.with(name, value).get(&at("diary")).assert_status(404);
    }
}

#[test]
fn r105_a_trusted_proxy_is_believed_for_the_address_it_forwards() {
    let node = cloud()
        .config("trusted_proxies = [\"127.0.0.1/32\"]\nlan = [\"10.0.0.0/8\"]\n")
        .start();
    let alice = node.owner("alice");
    alice.put(&at("diary"), "x").assert_status(201);
    node.cli(&["lan-only", "on", "alice:/diary"]).ok();
    let proxy = node.http().basic("alice", PASSWORD);
    proxy
        .with("X-Forwarded-For", "10.1.2.3")
        .get(&at("diary"))
        .assert_status(200);
    proxy
        .with("X-Forwarded-For", "203.0.113.9")
        .get(&at("diary"))
        .assert_status(404);
    proxy
        .with("X-Forwarded-For", "10.1.2.3, 203.0.113.9")
        .get(&at("diary"))
        .assert_status(404);
}
