//! Nodes of two owners become friends and share folders live (R8, R19, R94, R9 begun).

use std::time::{Duration, Instant};

use testing::{Client, Node, wait_until};

use crate::accounts::signed_in;
use crate::clients::rclone;
use crate::scene::{cloud, names};

/// Two owners with a node each, who are friends: alice's calls the other one `bob`.
struct Friends {
    home: Node,
    alice: Client,
    away: Node,
    bob: Client,
}

fn node_of(owner: &str) -> (Node, Client) {
    let node = cloud().arg("--name").arg(format!("{owner}s-box")).start();
    let client = node.owner(owner);
    (node, client)
}

#[track_caller]
fn ticket(node: &Node, more: &[&str]) -> String {
    let words: Vec<&str> = ["friend", "invite", "--json"]
        .iter()
        .chain(more)
        .copied()
        .collect();
    let made = node.cli(&words).json();
    made["ticket"].as_str().unwrap().to_owned()
}

#[track_caller]
fn friend<'a>(list: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let rows = list.as_array().unwrap();
    rows.iter()
        .find(|row| row["name"] == name)
        .unwrap_or_else(|| panic!("no friend {name}: {list}"))
}

#[track_caller]
fn friends() -> Friends {
    let (home, alice) = node_of("alice");
    let (away, bob) = node_of("bob");
    let ticket = ticket(&away, &["--name", "alice"]);
    let accepted = home.cli(&["friend", "accept", &ticket, "--name", "bob", "--json"]);
    assert_eq!(accepted.json()["state"], "accepted");
    Friends {
        home,
        alice,
        away,
        bob,
    }
}

impl Friends {
    /// bob shares `bob:/Photos` with one file in it.
    #[track_caller]
    fn share(&self, access: &str) {
        self.bob
            .call("MKCOL", "/dav/files/bob/Photos")
            .assert_status(201);
        self.bob
            .put("/dav/files/bob/Photos/sun.txt", "sunny")
            .assert_status(201);
        self.away
            .cli(&["share", "add", "bob:/Photos", "friend:alice", access])
            .ok();
    }
}

/// Below bob's folder in alice's tree.
fn at(path: &str) -> String {
    format!("/dav/files/alice/Friends/bob/{path}")
}

#[test]
fn r08_two_owners_become_friends_by_a_ticket_and_both_sides_know() {
    let friends = friends();
    let list = friends.home.cli(&["friend", "list", "--json"]).json();
    assert_eq!(friend(&list, "bob")["state"], "accepted");
    assert_eq!(friend(&list, "bob")["scopes"], serde_json::json!(["files"]));
    let list = friends.away.cli(&["friend", "list", "--json"]).json();
    assert_eq!(friend(&list, "alice")["state"], "accepted");
    let shown = friends.home.cli(&["friend", "list"]).ok();
    assert!(shown.contains(" files ") && !shown.contains('['), "{shown}");
    let unknown = friends
        .home
        .cli(&["share", "add", "alice:/", "friend:bobby", "r"]);
    assert_eq!(unknown.code, 1);
    assert!(
        unknown.stderr.contains("friends are called bob"),
        "{unknown:?}"
    );
    for node in [&friends.home, &friends.away] {
        let log = node
            .cli(&["audit", "show", "--action", "friend-accept", "--json"])
            .ok();
        assert!(log.contains("friend-accept"), "{log}");
    }
}

#[test]
fn r08_a_ticket_serves_one_node_once_and_says_why_not() {
    let (home, _alice) = node_of("alice");
    let (away, _bob) = node_of("bob");
    let (thief, _eve) = node_of("eve");
    let used = ticket(&home, &[]);
    away.cli(&["friend", "accept", &used]).ok();
    let stolen = thief.cli(&["friend", "accept", &used]);
    assert_eq!(stolen.code, 4, "{stolen:?}");
    assert!(stolen.stderr.contains("used"), "{}", stolen.stderr);
    let damaged = thief.cli(&["friend", "accept", &used[..used.len() - 3]]);
    assert_eq!(damaged.code, 2);
    assert!(
        damaged.stderr.contains("copy all of it"),
        "{}",
        damaged.stderr
    );
    let old = ticket(&home, &["--expires", "1s"]);
    std::thread::sleep(Duration::from_millis(1100));
    let late = thief.cli(&["friend", "accept", &old]);
    assert_eq!(late.code, 4);
    assert!(late.stderr.contains("too old"), "{}", late.stderr);
    let own = ticket(&home, &[]);
    assert_eq!(home.cli(&["friend", "accept", &own]).code, 4);
    let list = thief.cli(&["friend", "list", "--json"]).json();
    assert_eq!(list, serde_json::json!([]));
}

#[test]
fn r19_a_shared_folder_is_read_and_written_live_in_the_friends_tree() {
    let friends = friends();
    friends.share("rw");
    let alice = &friends.alice;
    assert!(names(&alice.propfind("/dav/files/alice/", "1").text()).contains(&"Friends".into()));
    let listed = names(&alice.propfind("/dav/files/alice/Friends/", "1").text());
    assert_eq!(listed, ["Friends", "bob"]);
    assert_eq!(
        names(&alice.propfind(&at(""), "1").text()),
        ["bob", "Photos"]
    );
    let listing = alice
        .propfind(&at("Photos/"), "1")
        .expect_status(207)
        .text();
    assert_eq!(names(&listing), ["Photos", "sun.txt"]);
    assert!(
        listing.contains("/dav/files/alice/Friends/bob/Photos/sun.txt"),
        "{listing}"
    );

    let got = alice.get(&at("Photos/sun.txt")).expect_status(200);
    assert_eq!(got.text(), "sunny");
    let part = alice
        .request("GET", &at("Photos/sun.txt"))
        .header("range", "bytes=1-2");
    assert_eq!(part.send().expect_status(206).text(), "un");

    alice
        .put(&at("Photos/new.txt"), "from alice")
        .assert_status(201);
    let own = friends
        .bob
        .get("/dav/files/bob/Photos/new.txt")
        .expect_status(200);
    assert_eq!(own.text(), "from alice");
    // Conditions pass through: what alice saw is no longer there.
    friends
        .bob
        .put("/dav/files/bob/Photos/sun.txt", "cloudy")
        .assert_status(204);
    let stale = alice
        .request("PUT", &at("Photos/sun.txt"))
        .header("if-match", &got.etag());
    stale.body("old").send().assert_status(412);
    alice.call("MKCOL", &at("Photos/2026")).assert_status(201);
    let moved = alice
        .request("MOVE", &at("Photos/new.txt"))
        .header("destination", &at("Photos/2026/new.txt"));
    moved.send().assert_status(201);
    friends
        .bob
        .get("/dav/files/bob/Photos/2026/new.txt")
        .assert_status(200);
    alice.call("DELETE", &at("Photos/2026")).assert_status(204);
    friends
        .bob
        .get("/dav/files/bob/Photos/2026/new.txt")
        .assert_status(404);
    // Nothing goes from one node to the other in one step.
    alice
        .put("/dav/files/alice/mine.txt", "mine")
        .assert_status(201);
    let across = alice
        .request("COPY", "/dav/files/alice/mine.txt")
        .header("destination", &at("Photos/mine.txt"));
    across.send().assert_status(502);

    // Both logs know.
    let theirs = friends
        .away
        .cli(&["audit", "show", "--actor", "friend alice", "--json"])
        .ok();
    assert!(theirs.contains("Photos/new.txt"), "{theirs}");
    let ours = friends
        .home
        .cli(&["audit", "show", "--actor", "alice", "--json"])
        .ok();
    assert!(ours.contains("Friends/bob/Photos/new.txt"), "{ours}");
}

#[test]
fn r19_what_is_read_only_or_not_shared_is_refused_with_words() {
    let friends = friends();
    friends.share("r");
    let alice = &friends.alice;
    alice.get(&at("Photos/sun.txt")).assert_status(200);
    let refused = alice.put(&at("Photos/new.txt"), "no");
    assert_eq!(refused.status, 403);
    assert!(refused.text().len() > 40, "{}", refused.text());
    alice
        .call("DELETE", &at("Photos/sun.txt"))
        .assert_status(403);
    friends
        .bob
        .put("/dav/files/bob/secret.txt", "mine")
        .assert_status(201);
    alice.get(&at("secret.txt")).assert_status(404);
    alice.get(&at("bob/secret.txt")).assert_status(404);
    // The folders are made by the server.
    alice
        .put("/dav/files/alice/Friends/x.txt", "no")
        .assert_status(404);
    alice
        .call("MKCOL", "/dav/files/alice/Friends/eve")
        .assert_status(404);
    alice.call("DELETE", &at("")).assert_status(403);
    // A member of alice's node has nothing of alice's friends.
    let member = friends.home.member("mia");
    member
        .propfind("/dav/files/alice/Friends/", "1")
        .assert_status(404);
    member.get(&at("Photos/sun.txt")).assert_status(404);
    member
        .propfind("/dav/files/Friends/", "1")
        .assert_status(404);
}

#[test]
fn r19_a_revoke_counts_from_the_next_request() {
    let friends = friends();
    friends.share("rw");
    let alice = &friends.alice;
    alice.get(&at("Photos/sun.txt")).assert_status(200);
    friends
        .away
        .cli(&["share", "remove", "bob:/Photos", "friend:alice"])
        .ok();
    alice.get(&at("Photos/sun.txt")).assert_status(404);
    friends
        .away
        .cli(&["share", "add", "bob:/Photos", "friend:alice", "r"])
        .ok();
    alice.get(&at("Photos/sun.txt")).assert_status(200);
    friends.away.cli(&["friend", "remove", "alice"]).ok();
    let refused = alice.get(&at("Photos/sun.txt"));
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("friend"), "{}", refused.text());
}

#[test]
fn a_friend_who_is_off_stalls_nobody() {
    let mut friends = friends();
    friends.share("rw");
    friends.alice.get(&at("Photos/sun.txt")).assert_status(200);
    friends.away.kill();
    let alice = &friends.alice;
    let began = Instant::now();
    let listed = names(&alice.propfind("/dav/files/alice/Friends/", "1").text());
    assert_eq!(listed, ["Friends", "bob"]);
    alice.propfind("/dav/files/alice/", "1").assert_status(207);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    let away = alice.get(&at("Photos/sun.txt"));
    assert_eq!(away.status, 503, "{}", away.text());
    assert!(away.header("retry-after").is_some());
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "{:?}",
        began.elapsed()
    );
    // The failure is remembered: nobody waits for it again.
    let again = Instant::now();
    let _ = alice.get(&at("Photos/sun.txt"));
    let again = again.elapsed();
    assert!(again < Duration::from_secs(4), "{again:?}");
}

#[test]
fn an_upload_that_breaks_off_leaves_the_friends_file_whole() {
    let mut friends = friends();
    friends.share("rw");
    let alice = friends.alice.clone();
    let mut wire = alice.wire();
    let length = 64 << 20;
    let head = alice
        .request("PUT", &at("Photos/sun.txt"))
        .header("content-length", &length.to_string())
        .bytes(true);
    wire.send(head).unwrap();
    wire.send(vec![7; 4 << 20]).unwrap();
    friends.home.kill();
    let own = friends
        .bob
        .get("/dav/files/bob/Photos/sun.txt")
        .expect_status(200);
    assert_eq!(own.text(), "sunny");
    friends.home.start();
    wait_until(
        "alice's node reaches bob's again",
        Duration::from_secs(20),
        || {
            let client = friends.home.https().basic("alice", testing::PASSWORD);
            client.get(&at("Photos/sun.txt")).status == 200
        },
    );
}

#[test]
fn r08_six_digits_make_friends_and_other_digits_do_not() {
    let (home, _alice) = node_of("alice");
    let (away, _bob) = node_of("bob");
    let id = |node: &Node| node.ready().line["id"].as_str().unwrap().to_owned();
    let address = away.ready().https.trim_start_matches("https://").to_owned();
    let to = format!("{}@{address}", id(&away));
    let compare = || home.cli(&["friend", "compare", &to, "--json"]).json();
    let code = compare()["code"].as_str().unwrap().to_owned();
    let list = away.cli(&["friend", "list", "--json"]).json();
    assert_eq!(
        list[0]["code"],
        code.as_str(),
        "both screens show the same digits"
    );
    assert_eq!(list[0]["state"], "pending");
    let wrong = if code.starts_with('1') {
        "200000"
    } else {
        "100000"
    };
    let refused = home.cli(&["friend", "confirm", &id(&away), wrong]);
    assert_eq!(refused.code, 4, "{refused:?}");
    // The comparison is over, the right digits do not help any more.
    assert_eq!(home.cli(&["friend", "confirm", &id(&away), &code]).code, 4);

    let code = compare()["code"].as_str().unwrap().to_owned();
    let ours = home
        .cli(&["friend", "confirm", &id(&away), &code, "--json"])
        .json();
    assert_eq!(
        ours["state"], "pending",
        "the other owner has not looked yet"
    );
    let theirs = away
        .cli(&["friend", "confirm", &id(&home), &code, "--json"])
        .json();
    assert_eq!(theirs["state"], "accepted");
    let list = home.cli(&["friend", "list", "--json"]).json();
    assert_eq!(list[0]["state"], "accepted");
}

#[test]
fn a_ticket_waits_for_a_node_that_is_off() {
    let (home, _alice) = node_of("alice");
    let (mut away, _bob) = node_of("bob");
    // The same port after the restart.
    let ticket = ticket(&away, &[]);
    away.kill();
    let waiting = home.cli(&["friend", "accept", &ticket, "--json"]).json();
    assert_eq!(waiting["state"], "pending");
    assert_eq!(waiting["waits_for"], "them");
}

#[test]
fn r09_the_ledger_counts_what_was_given_and_taken() {
    let friends = friends();
    friends.share("rw");
    let body = vec![5; 300_000];
    friends
        .alice
        .put(&at("Photos/big.bin"), &body)
        .assert_status(201);
    friends.alice.get(&at("Photos/big.bin")).assert_status(200);
    let row = |node: &Node, name: &str| {
        let list = node.cli(&["friend", "list", "--json"]).json();
        let row = friend(&list, name);
        (
            row["given_bytes"].as_u64().unwrap(),
            row["taken_bytes"].as_u64().unwrap(),
        )
    };
    let (given, taken) = row(&friends.home, "bob");
    assert!((300_000..310_000).contains(&given), "{given}");
    assert!((300_000..310_000).contains(&taken), "{taken}");
    let theirs = row(&friends.away, "alice");
    assert!((300_000..310_000).contains(&theirs.0), "{theirs:?}");
    assert!((300_000..310_000).contains(&theirs.1), "{theirs:?}");
}

#[test]
fn r19_the_page_of_friends_shows_opens_uploads_and_refuses() {
    let friends = friends();
    friends.share("rw");
    let alice = signed_in(&friends.home, "alice");
    let list = alice.get("/friends").expect_status(200).text();
    assert!(list.contains("/friends/files/bob"), "{list}");
    let shares = alice.get("/friends/files/bob").expect_status(200).text();
    assert!(shares.contains("/friends/files/bob/Photos"), "{shares}");
    let folder = alice
        .get("/friends/files/bob/Photos")
        .expect_status(200)
        .text();
    assert!(folder.contains("sun.txt"), "{folder}");
    let file = alice
        .get("/friends/get/bob/Photos/sun.txt")
        .expect_status(200);
    assert_eq!(file.text(), "sunny");
    assert!(
        file.header("content-disposition")
            .unwrap()
            .starts_with("attachment")
    );
    let form = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"up.txt\"\r\n\r\n\
                uploaded\r\n--x--\r\n";
    let upload = alice
        .request("POST", "/friends/upload/bob/Photos")
        .header("content-type", "multipart/form-data; boundary=x")
        .body(form);
    upload.send().assert_status(303);
    let own = friends
        .bob
        .get("/dav/files/bob/Photos/up.txt")
        .expect_status(200);
    assert_eq!(own.text(), "uploaded");
    alice
        .post_form("/friends/new-folder/bob/Photos", "name=2026")
        .assert_status(303);
    alice
        .post_form("/friends/delete/bob/Photos/up.txt", "")
        .assert_status(303);
    friends
        .bob
        .get("/dav/files/bob/Photos/up.txt")
        .assert_status(404);

    friends
        .away
        .cli(&["share", "add", "bob:/Photos", "friend:alice", "r"])
        .ok();
    let folder = alice
        .get("/friends/files/bob/Photos")
        .expect_status(200)
        .text();
    assert!(!folder.contains("/friends/upload/"), "{folder}");
    let refused = alice.post_form("/friends/new-folder/bob/Photos", "name=no");
    assert_eq!(refused.status, 403);
    // A ticket by the page, and its end.
    let ticket = alice
        .post_form("/friends/invite", "name=carol")
        .expect_status(200)
        .text();
    assert!(
        ticket.contains("cumulet-friend:") && ticket.contains("<svg"),
        "{ticket}"
    );
    alice
        .post_form("/friends/accept", "ticket=nonsense")
        .assert_status(400);
    alice
        .post_form("/friends/remove", "friend=bob")
        .assert_status(303);
    alice.get("/friends/files/bob").assert_status(404);
}

#[test]
fn rclone_copies_to_and_from_a_friends_folder() {
    let friends = friends();
    friends.share("rw");
    let url = format!(
        "{}/dav/files/alice/Friends/bob/Photos/",
        friends.home.ready().https
    );
    let Some(rclone) = rclone(&friends.home, &url) else {
        return;
    };
    let source = friends.home.scratch().join("source");
    std::fs::create_dir_all(source.join("deep/er")).unwrap();
    std::fs::write(source.join("deep/er/a b.bin"), vec![3; 500_000]).unwrap();
    std::fs::write(source.join("small.txt"), "small").unwrap();
    let source = source.to_str().unwrap().to_owned();
    rclone(&["copy", &source, ":webdav:tree"]);
    rclone(&["check", "--download", &source, ":webdav:tree"]);
    let back = friends.home.scratch().join("back");
    rclone(&["copy", ":webdav:tree", back.to_str().unwrap()]);
    assert_eq!(
        std::fs::read(back.join("deep/er/a b.bin")).unwrap(),
        vec![3; 500_000]
    );
}

#[test]
fn another_node_at_a_friends_address_is_not_that_friend() {
    let mut friends = friends();
    friends.share("rw");
    friends.alice.get(&at("Photos/sun.txt")).assert_status(200);
    let address = friends
        .away
        .ready()
        .https
        .trim_start_matches("https://")
        .to_owned();
    friends.away.kill();
    // Somebody takes the address over, with the same names and files.
    let impostor = cloud()
        .arg("--name")
        .arg("bobs-box")
        .listen(&address)
        .start();
    let eve = impostor.owner("bob");
    eve.call("MKCOL", "/dav/files/bob/Photos")
        .assert_status(201);
    eve.put("/dav/files/bob/Photos/sun.txt", "forged")
        .assert_status(201);
    let refused = friends.alice.get(&at("Photos/sun.txt"));
    assert_eq!(refused.status, 503, "{}", refused.text());
    let refused = friends.alice.put(&at("Photos/mine.txt"), "private");
    assert_eq!(refused.status, 503, "{}", refused.text());
}

#[test]
fn r19_a_laptop_lists_fetches_and_stores_in_a_friends_folder() {
    let friends = friends();
    friends.share("rw");
    let laptop = crate::client::Laptop::new();
    laptop.login(friends.home.https().address());
    let shown = |place: &str| laptop.run(&["ls", place]).ok();
    assert!(shown("home:/").contains("Friends/"));
    assert!(shown("home:/Friends").contains("bob/"));
    assert!(shown("home:/Friends/bob").contains("Photos/"));
    assert!(shown("home:/Friends/bob/Photos").contains("sun.txt"));
    laptop
        .run(&["get", "home:/Friends/bob/Photos/sun.txt", "here.txt"])
        .ok();
    let here = std::fs::read_to_string(laptop.path("here.txt")).unwrap();
    assert_eq!(here, "sunny");
    std::fs::create_dir_all(laptop.path("trip/day")).unwrap();
    std::fs::write(laptop.path("trip/day/sea.txt"), "blue").unwrap();
    laptop
        .run(&["put", "-r", "trip", "home:/Friends/bob/Photos"])
        .ok();
    let there = friends.away.space("bob").join("Photos/trip/day/sea.txt");
    assert_eq!(std::fs::read_to_string(there).unwrap(), "blue");
    // Nothing is replaced unasked, and what is not there is said so.
    laptop.refused(
        &["put", "here.txt", "home:/Friends/bob/Photos/sun.txt"],
        1,
        &["is there already"],
    );
    laptop.refused(&["ls", "home:/Friends/bob/Nope"], 1, &["there is no"]);
    laptop.refused(&["ls", "home:/Friends/eve"], 1, &["there is no"]);
    // A copy of the whole space does not copy the friends.
    laptop.run(&["get", "-r", "home:/", "all"]).ok();
    assert!(!laptop.path("all/Friends").exists());
}
