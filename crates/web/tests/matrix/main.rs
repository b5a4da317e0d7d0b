//! The permission matrix (R94, R105): every route that exists, as every kind of asker, from at home
//! and away, through the node's router. What is expected is written down here a second time and
//! not taken from the code under test.
//!
//! Requests are made so that whoever is let in changes nothing: empty forms, conditions that
//! cannot hold.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../home/mod.rs"]
mod home;
mod scene;

use scene::{Answer, Node, Passport};
use sharing::{LanOnly, Need, Object, Place, Right, Service};
use web::Caller;
use web::routes::{self, Route};

const PLACES: [Place; 2] = [Place::Lan, Place::Away];

/// What a route must answer to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Allow,
    SignIn,
    Forbid,
    Hide,
}

/// How somebody stands to what the request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Owner,
    Writer,
    Reader,
    Stranger,
    Nobody,
}

/// Askers, as a person, and whether they come with a cookie, an app password or a device's key.
const ASKERS: [(Standing, Passport); 13] = [
    (Standing::Owner, Passport::Cookie("alice")),
    (Standing::Owner, Passport::Basic("alice")),
    (Standing::Writer, Passport::Cookie("wendy")),
    (Standing::Writer, Passport::Basic("wendy")),
    (Standing::Reader, Passport::Cookie("rob")),
    (Standing::Reader, Passport::Basic("rob")),
    (Standing::Stranger, Passport::Cookie("sam")),
    (Standing::Stranger, Passport::Basic("sam")),
    (Standing::Owner, Passport::Device("alice")),
    (Standing::Writer, Passport::Device("wendy")),
    (Standing::Reader, Passport::Device("rob")),
    (Standing::Stranger, Passport::Device("sam")),
    (Standing::Nobody, Passport::None),
];

/// Pages know cookies only, WebDAV knows passwords only, programs know both.
fn seen_as(caller: Caller, standing: Standing, passport: Passport) -> Standing {
    match (caller, passport) {
        (Caller::Page, Passport::Basic(_)) | (Caller::Dav, Passport::Cookie(_)) => Standing::Nobody,
        _ => standing,
    }
}

fn expected(route: &Route, pattern: &str, standing: Standing, passport: Passport) -> Expected {
    use Expected::{Allow, Forbid, Hide, SignIn};
    let by_cookie = matches!(passport, Passport::Cookie(_));
    match (route.need.object, standing) {
        (Object::Open, _) => Allow,
        (_, Standing::Nobody) => SignIn,
        (Object::OwnAccount, _) => {
            let manages = route.need.right == Right::Manage;
            if manages && !by_cookie { Forbid } else { Allow }
        }
        (Object::Node, Standing::Owner) => {
            let counters = route.need.service == Service::Metrics;
            if counters || by_cookie { Allow } else { Forbid }
        }
        (Object::Node, _) => Forbid,
        (Object::FriendTree, Standing::Owner) => Allow,
        (Object::FriendTree, _) => Hide,
        (Object::LinkPage, _) => unreachable!("links have a test of their own"),
        (Object::Entry, Standing::Owner) => Allow,
        (Object::Entry, Standing::Stranger) => Hide,
        // Nothing was shared above the folder that these are about.
        (Object::Entry, _) if pattern.starts_with("/trash/") || pattern.starts_with("/purge/") => {
            Hide
        }
        (Object::Entry, standing) => match route.need.right {
            Right::List => Allow,
            // A copy needs a right at its target as well.
            Right::Download if route.methods.contains(&"COPY") && standing == Standing::Reader => {
                Forbid
            }
            Right::Download => Allow,
            Right::Create | Right::Write | Right::Delete if standing == Standing::Writer => Allow,
            Right::Create | Right::Write | Right::Delete | Right::Share | Right::Manage => Forbid,
        },
    }
}

/// Routes where somebody who is let in hears 404, and why.
const NOTHING_THERE: [(&str, &str); 7] = [
    (
        "/setup/{token}",
        "there is an owner, so no set-up link holds",
    ),
    ("/friends/files/{*path}", "nobody of that name is a friend"),
    ("/api/friends/{*path}", "nobody of that name is a friend"),
    ("/friends/get/{*path}", "nobody of that name is a friend"),
    ("/friends/upload/{*path}", "nobody of that name is a friend"),
    (
        "/friends/new-folder/{*path}",
        "nobody of that name is a friend",
    ),
    ("/friends/delete/{*path}", "nobody of that name is a friend"),
];

/// True if the answer is the one expected. Somebody who is let in may hear that the request itself
/// is wrong, but neither 401 nor 403 nor a way to the sign-in, and 404 only where that is said
/// above. Nobody makes the node fail.
fn fits(route: &Route, expected: Expected, answer: &Answer) -> bool {
    let signs_in = match route.caller {
        Caller::Page => {
            answer.status == 303
                && (answer.location.starts_with("/login") || answer.location.starts_with("/s/"))
                && !answer.location.contains("done=")
        }
        Caller::Program | Caller::Dav => answer.status == 401,
    };
    if answer.status >= 500 {
        return false;
    }
    let absent = |pattern: &&str| NOTHING_THERE.iter().any(|(name, _)| name == pattern);
    let missing = answer.status == 404 && !route.patterns.iter().any(absent);
    match expected {
        Expected::Allow if missing => false,
        Expected::Allow if route.need.object == Object::Open => !matches!(answer.status, 401 | 403),
        // No report is known yet, to nobody: the same 405 whether or not something is there.
        Expected::Allow | Expected::Forbid | Expected::Hide
            if route.methods.contains(&"REPORT") && answer.status == 405 =>
        {
            true
        }
        Expected::Allow => !signs_in && !matches!(answer.status, 401 | 403),
        Expected::SignIn => signs_in,
        Expected::Forbid => answer.status == 403,
        Expected::Hide => answer.status == 404,
    }
}

fn is_link(route: &Route) -> bool {
    route.need.service == Service::Links
}

/// Every route but those of links.
async fn check(node: &Node, hidden: impl Fn(&Route, Place, Standing) -> Option<Expected>) -> usize {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for route in routes::all().filter(|route| !is_link(route)) {
        for (method, pattern) in node.concrete(route) {
            for place in PLACES {
                for (standing, passport) in ASKERS {
                    let seen = seen_as(route.caller, standing, passport);
                    let expected = match (route.caller, passport) {
                        // Over a link there are no pages.
                        (Caller::Page, Passport::Device(_)) => Expected::Hide,
                        _ => hidden(route, place, seen)
                            .unwrap_or_else(|| expected(route, pattern, seen, passport)),
                    };
                    let answer = node.ask(route, method, pattern, place, passport).await;
                    if !fits(route, expected, &answer) {
                        wrong.push(format!(
                            "{method} {pattern} ({}) as {standing:?} {passport:?} from {place:?}: \
                         expected {expected:?}, got {answer:?}",
                            route.need.name
                        ));
                    }
                    checked += 1;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    checked
}

#[tokio::test(flavor = "multi_thread")]
async fn r94_every_route_as_every_asker_from_every_place() {
    let node = Node::start();
    let checked = check(&node, |_, _, _| None).await;
    assert!(checked > 1_000, "only {checked} cells");
}

/// A friend's node has the WebDAV rows of what was shared with it, and no other row at all.
fn expected_of_a_friend(
    route: &Route,
    pattern: &str,
    standing: Standing,
    hidden: bool,
) -> Expected {
    use Expected::{Allow, Hide};
    if route.caller != Caller::Dav {
        return Hide;
    }
    match route.need.object {
        Object::Open => Allow,
        Object::Entry if hidden => Hide,
        Object::Entry => expected(route, pattern, standing, Passport::None),
        Object::OwnAccount | Object::Node | Object::FriendTree | Object::LinkPage => Hide,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r94_every_route_as_a_friend() {
    let node = Node::start();
    let friends = [
        (
            node.friend("writer", Some(sharing::Access::Write)),
            Standing::Writer,
        ),
        (
            node.friend("reader", Some(sharing::Access::Read)),
            Standing::Reader,
        ),
        (node.friend("bare", None), Standing::Stranger),
    ];
    let mut wrong = Vec::new();
    for lan_only in [false, true] {
        let folder = LanOnly::Entry(node.shared);
        node.app.sharing.set_lan_only(folder, lan_only).unwrap();
        for route in routes::all() {
            for (method, pattern) in node.concrete(route) {
                for place in PLACES {
                    for (friend, standing) in friends {
                        let expected = expected_of_a_friend(route, pattern, standing, lan_only);
                        let answer = node.ask_as(route, method, pattern, place, friend).await;
                        if !fits(route, expected, &answer) {
                            wrong.push(format!(
                                "{method} {pattern} as {standing:?} from {place:?}, LAN-only \
                                 {lan_only}: expected {expected:?}, got {answer:?}"
                            ));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The link stays open after a removal; the next request on it has nothing any more.
#[tokio::test(flavor = "multi_thread")]
async fn r19_a_removed_friend_has_nothing_at_the_next_request() {
    let node = Node::start();
    let friend = node.friend("writer", Some(sharing::Access::Write));
    let route = routes::all()
        .find(|route| route.caller == Caller::Dav && route.methods.contains(&"GET"))
        .unwrap();
    let pattern = "/dav/files/{*path}";
    let ask = async || node.ask_as(route, "GET", pattern, Place::Lan, friend).await;
    assert_eq!(ask().await.status, 200);
    let id = node.app.sharing.friend("writer").unwrap().unwrap().id;
    assert!(node.app.sharing.remove_friend(id).unwrap());
    assert_eq!(ask().await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn r105_a_lan_only_folder_is_hidden_by_every_route() {
    let node = Node::start();
    let folder = LanOnly::Entry(node.shared);
    node.app.sharing.set_lan_only(folder, true).unwrap();
    // The top of the space is not LAN-only; trash and purge are about it.
    check(&node, |route, place, seen| {
        let about_it = route.need.object == Object::Entry
            && !route.patterns[0].starts_with("/trash/")
            && !route.patterns[0].starts_with("/purge/");
        let identified = seen != Standing::Nobody;
        // The whole log tells its name.
        if place == Place::Away
            && route.patterns[0] == "/admin/audit/export"
            && seen == Standing::Owner
        {
            return Some(Expected::Forbid);
        }
        (place == Place::Away && about_it && identified).then_some(Expected::Hide)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r105_a_lan_only_service_is_closed_on_every_route() {
    let node = Node::start();
    for service in Service::ALL {
        let what = LanOnly::Service(service);
        node.app.sharing.set_lan_only(what, true).unwrap();
        check(&node, |route, place, _| {
            let closed = place == Place::Away && route.need.service == service;
            closed.then_some(Expected::Hide)
        })
        .await;
        for kind in node.links() {
            for route in routes::all().filter(|route| is_link(route)) {
                if service == Service::Links {
                    for (method, pattern) in node.concrete(route) {
                        let answer = node
                            .ask_link(route, method, pattern, Place::Away, kind)
                            .await;
                        assert_eq!(answer.status, 404, "{method} {pattern} {kind}");
                    }
                }
            }
        }
        node.app.sharing.set_lan_only(what, false).unwrap();
    }
}

/// What each kind of link allows: list, download, create, write, delete.
fn link_allows(kind: &str, need: &Need, pattern: &str) -> Expected {
    use Expected::{Allow, Forbid, Hide, SignIn};
    if kind == "revoked" || kind == "unknown" {
        return Hide;
    }
    if need.object == Object::LinkPage {
        return Allow;
    }
    if kind == "locked" {
        return SignIn;
    }
    let allowed = match need.right {
        Right::List => kind != "upload",
        Right::Download => kind == "download" || kind == "edit",
        // Whoever may only upload makes no folders.
        Right::Create => kind == "edit" || (kind == "upload" && pattern.contains("/upload")),
        Right::Write | Right::Delete => kind == "edit",
        Right::Share | Right::Manage => false,
    };
    if allowed { Allow } else { Forbid }
}

#[tokio::test(flavor = "multi_thread")]
async fn r94_every_route_of_a_link_with_every_kind_of_link() {
    let node = Node::start();
    let mut wrong = Vec::new();
    for lan_only in [false, true] {
        let folder = LanOnly::Entry(node.shared);
        node.app.sharing.set_lan_only(folder, lan_only).unwrap();
        for route in routes::all().filter(|route| is_link(route)) {
            for (method, pattern) in node.concrete(route) {
                for place in PLACES {
                    for kind in node.links() {
                        let expected = if lan_only && place == Place::Away {
                            Expected::Hide
                        } else {
                            link_allows(kind, &route.need, pattern)
                        };
                        let answer = node.ask_link(route, method, pattern, place, kind).await;
                        if !fits(route, expected, &answer) {
                            wrong.push(format!(
                                "{method} {pattern} with a {kind} link from {place:?}: expected \
                             {expected:?}, got {answer:?}"
                            ));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_and_unknown_links_answer_with_the_same_bytes() {
    let node = Node::start();
    let front = routes::all().find(|route| is_link(route)).unwrap();
    let mut bodies = Vec::new();
    for kind in ["revoked", "unknown"] {
        let answer = node
            .ask_link(front, "GET", "/s/{token}", Place::Away, kind)
            .await;
        // The address is part of a page's own links; it is the visitor's, not ours.
        bodies.push((
            answer.status,
            answer.body.replace(node.token(kind), "TOKEN"),
        ));
    }
    assert_eq!(bodies[0], bodies[1]);
}

/// No need of the table is without a route, or it guards nothing.
#[test]
fn every_route_names_a_need_of_the_table() {
    for route in routes::all() {
        assert!(
            sharing::permission::TABLE.contains(&route.need),
            "{route:?}"
        );
    }
}
