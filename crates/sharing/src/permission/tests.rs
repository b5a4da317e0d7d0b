//! The whole table: every kind of asker, place, right and relation to the target.

use std::net::{IpAddr, Ipv4Addr};

use protocol::{AccountId, EntryName, Timestamp};

use super::*;

const OWNER: AccountId = AccountId(1);
const MEMBER: AccountId = AccountId(2);

fn account(id: AccountId, via: Via) -> Who {
    Who::Account {
        id,
        name: EntryName::new("x").unwrap(),
        owner: id == OWNER,
        via,
    }
}

fn session() -> Via {
    Via::Session { id: 1 }
}

fn app() -> Via {
    Via::AppPassword {
        id: 1,
        label: "phone".into(),
    }
}

fn asker(who: Who, place: Place) -> Asker {
    Asker {
        who,
        place,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

/// One letter per right, in the order of [`Right::ALL`]: list, download, create, write, delete,
/// share, manage. `a` allow, `l` ask to log in, `f` forbid, `h` hide.
fn row(who: &Who, place: Place, service: Service, target: &Target<'_>, facts: &Facts) -> String {
    Right::ALL
        .iter()
        .map(|right| {
            let asker = asker(who.clone(), place);
            match decide(&asker, service, target, facts, *right) {
                Decision::Allow => 'a',
                Decision::AskLogin => 'l',
                Decision::Forbid => 'f',
                Decision::Hide => 'h',
            }
        })
        .collect()
}

fn entry_of(space_owner: AccountId) -> Target<'static> {
    Target::Entry {
        space_owner,
        chain: &[],
    }
}

fn granted(access: Access, from_above: bool) -> Facts {
    Facts {
        grant: Some(access),
        grant_from_above: from_above.then_some(access),
        ..Facts::default()
    }
}

fn linked(right: LinkRight, covers: bool, covers_from_above: bool) -> Facts {
    Facts {
        link: Some(LinkFacts {
            right,
            covers,
            covers_from_above,
        }),
        ..Facts::default()
    }
}

fn via_link(unlocked: bool) -> Who {
    Who::Link { id: 1, unlocked }
}

fn friend() -> Who {
    Who::Friend {
        id: crate::FriendId(1),
        name: EntryName::new("bob").unwrap(),
    }
}

/// A friend's node has the folders that were shared with it and not one thing more, wherever it
/// stands.
#[test]
fn friends() {
    use Access::{Read, Write};
    let none = Facts::default();
    let check = |service, target: &Target<'_>, facts: &Facts, expected: &str| {
        for place in [Place::Lan, Place::Away] {
            let row = row(&friend(), place, service, target, facts);
            assert_eq!(row, expected, "{service} {target:?} {facts:?}");
            let hidden = [
                Facts {
                    entry_lan_only: true,
                    ..*facts
                },
                Facts {
                    service_lan_only: true,
                    ..*facts
                },
            ];
            for facts in hidden {
                let row = self::row(&friend(), place, service, target, &facts);
                assert_eq!(row, "hhhhhhh", "{service} {target:?} {facts:?}");
            }
        }
    };
    let entry = entry_of(OWNER);
    check(Service::Files, &entry, &none, "hhhhhhh");
    check(Service::Files, &entry, &granted(Read, true), "aafffff");
    check(Service::Files, &entry, &granted(Write, false), "aaaafff");
    check(Service::Files, &entry, &granted(Write, true), "aaaaaff");
    check(
        Service::Files,
        &entry,
        &linked(LinkRight::Edit, true, true),
        "hhhhhhh",
    );
    check(Service::Files, &Target::Nothing, &none, "affffff");
    let link = a_link(OWNER);
    let page = Target::Link {
        link: &link,
        space_owner: OWNER,
        chain: &[],
    };
    for service in Service::ALL {
        if service != Service::Files {
            check(service, &entry, &granted(Write, true), "hhhhhhh");
            check(service, &Target::Nothing, &none, "hhhhhhh");
        }
        check(service, &Target::Account(MEMBER), &none, "hhhhhhh");
        check(service, &Target::Node, &none, "hhhhhhh");
        check(service, &Target::FriendTree, &none, "hhhhhhh");
        check(
            service,
            &page,
            &linked(LinkRight::Edit, true, true),
            "hhhhhhh",
        );
    }
}

/// What friends share with this node is for its owners.
#[test]
fn the_tree_of_friends() {
    let check = |who: Who, service, expected: &str| {
        let row = row(
            &who,
            Place::Away,
            service,
            &Target::FriendTree,
            &Facts::default(),
        );
        assert_eq!(row, expected, "{who:?} {service}");
    };
    for via in [session(), app()] {
        check(account(OWNER, via.clone()), Service::Files, "aaaaaff");
        check(account(OWNER, via.clone()), Service::Admin, "fffffff");
        check(account(MEMBER, via), Service::Files, "hhhhhhh");
    }
    check(via_link(true), Service::Files, "hhhhhhh");
    check(Who::Nobody, Service::Files, "lllllll");
}

/// Everything on entries, on the LAN and away: place alone gives and takes nothing.
#[test]
fn entries() {
    use Access::{Read, Write};
    use Service::{Admin, Files, Links, Metrics, Pages};
    let none = Facts::default();
    let member = |via| account(MEMBER, via);
    let rows: &[(&str, Who, Service, AccountId, Facts, &str)] = &[
        (
            "own, session",
            member(session()),
            Files,
            MEMBER,
            none,
            "aaaaaaf",
        ),
        (
            "own, by page",
            member(session()),
            Pages,
            MEMBER,
            none,
            "aaaaaaf",
        ),
        (
            "own, app password",
            member(app()),
            Files,
            MEMBER,
            none,
            "aaaaaff",
        ),
        (
            "own, basic",
            member(Via::Password),
            Files,
            MEMBER,
            none,
            "aaaaaff",
        ),
        (
            "own, by links",
            member(session()),
            Links,
            MEMBER,
            none,
            "fffffff",
        ),
        (
            "own, by admin",
            member(session()),
            Admin,
            MEMBER,
            none,
            "fffffff",
        ),
        (
            "own, by metrics",
            member(session()),
            Metrics,
            MEMBER,
            none,
            "fffffff",
        ),
        ("other's", member(session()), Files, OWNER, none, "hhhhhhh"),
        (
            "member's, node's owner",
            account(OWNER, session()),
            Files,
            MEMBER,
            none,
            "hhhhhhh",
        ),
        (
            "read",
            member(session()),
            Files,
            OWNER,
            granted(Read, false),
            "aafffff",
        ),
        (
            "read above",
            member(session()),
            Files,
            OWNER,
            granted(Read, true),
            "aafffff",
        ),
        (
            "write",
            member(session()),
            Files,
            OWNER,
            granted(Write, false),
            "aaaafff",
        ),
        (
            "write above",
            member(session()),
            Files,
            OWNER,
            granted(Write, true),
            "aaaaaff",
        ),
        (
            "write above, app",
            member(app()),
            Files,
            OWNER,
            granted(Write, true),
            "aaaaaff",
        ),
        (
            "write above, by admin",
            member(session()),
            Admin,
            OWNER,
            granted(Write, true),
            "fffffff",
        ),
        ("nobody", Who::Nobody, Files, OWNER, none, "lllllll"),
        (
            "nobody by links",
            Who::Nobody,
            Links,
            OWNER,
            none,
            "lllllll",
        ),
        ("dead link", via_link(true), Links, OWNER, none, "hhhhhhh"),
        (
            "link elsewhere",
            via_link(true),
            Links,
            OWNER,
            linked(LinkRight::Edit, false, false),
            "hhhhhhh",
        ),
        (
            "link by files",
            via_link(true),
            Files,
            OWNER,
            linked(LinkRight::Edit, true, true),
            "hhhhhhh",
        ),
        (
            "locked link",
            via_link(false),
            Links,
            OWNER,
            linked(LinkRight::Edit, true, true),
            "lllllll",
        ),
        (
            "locked dead link",
            via_link(false),
            Links,
            OWNER,
            none,
            "hhhhhhh",
        ),
        (
            "view link",
            via_link(true),
            Links,
            OWNER,
            linked(LinkRight::View, true, true),
            "affffff",
        ),
        (
            "download link",
            via_link(true),
            Links,
            OWNER,
            linked(LinkRight::Download, true, true),
            "aafffff",
        ),
        (
            "upload link",
            via_link(true),
            Links,
            OWNER,
            linked(LinkRight::Upload, true, true),
            "ffaffff",
        ),
        (
            "edit link",
            via_link(true),
            Links,
            OWNER,
            linked(LinkRight::Edit, true, false),
            "aaaafff",
        ),
        (
            "edit link above",
            via_link(true),
            Links,
            OWNER,
            linked(LinkRight::Edit, true, true),
            "aaaaaff",
        ),
    ];
    for (what, who, service, space_owner, facts, expected) in rows {
        let target = entry_of(*space_owner);
        for place in [Place::Lan, Place::Away] {
            assert_eq!(
                row(who, place, *service, &target, facts),
                *expected,
                "{what}"
            );
        }
    }
}

#[test]
fn accounts_and_the_node() {
    use Service::{Admin, Files, Metrics, Pages};
    let rows: &[(&str, Who, Service, Target<'_>, &str)] = &[
        (
            "own",
            account(MEMBER, session()),
            Pages,
            Target::Account(MEMBER),
            "afffffa",
        ),
        (
            "own, app password",
            account(MEMBER, app()),
            Files,
            Target::Account(MEMBER),
            "affffff",
        ),
        (
            "own, basic",
            account(MEMBER, Via::Password),
            Files,
            Target::Account(MEMBER),
            "affffff",
        ),
        (
            "other's",
            account(OWNER, session()),
            Pages,
            Target::Account(MEMBER),
            "hhhhhhh",
        ),
        (
            "nobody",
            Who::Nobody,
            Pages,
            Target::Account(MEMBER),
            "lllllll",
        ),
        (
            "link",
            via_link(true),
            Pages,
            Target::Account(MEMBER),
            "hhhhhhh",
        ),
        (
            "node, owner",
            account(OWNER, session()),
            Admin,
            Target::Node,
            "afffffa",
        ),
        (
            "node, owner's app",
            account(OWNER, app()),
            Admin,
            Target::Node,
            "fffffff",
        ),
        (
            "node, owner's basic",
            account(OWNER, Via::Password),
            Admin,
            Target::Node,
            "fffffff",
        ),
        (
            "node, by files",
            account(OWNER, session()),
            Files,
            Target::Node,
            "fffffff",
        ),
        (
            "node, member",
            account(MEMBER, session()),
            Admin,
            Target::Node,
            "fffffff",
        ),
        ("node, nobody", Who::Nobody, Admin, Target::Node, "lllllll"),
        ("node, link", via_link(true), Admin, Target::Node, "hhhhhhh"),
        (
            "metrics, owner's app",
            account(OWNER, app()),
            Metrics,
            Target::Node,
            "affffff",
        ),
        (
            "metrics, member",
            account(MEMBER, app()),
            Metrics,
            Target::Node,
            "fffffff",
        ),
        (
            "open, nobody",
            Who::Nobody,
            Pages,
            Target::Nothing,
            "affffff",
        ),
        (
            "open, link",
            via_link(false),
            Pages,
            Target::Nothing,
            "affffff",
        ),
        (
            "open, member",
            account(MEMBER, session()),
            Pages,
            Target::Nothing,
            "affffff",
        ),
    ];
    for (what, who, service, target, expected) in rows {
        for place in [Place::Lan, Place::Away] {
            let row = row(who, place, *service, target, &Facts::default());
            assert_eq!(row, *expected, "{what}");
        }
    }
}

fn a_link(created_by: AccountId) -> Link {
    Link {
        id: 1,
        fid: Fid(1),
        right: LinkRight::View,
        label: String::new(),
        password: true,
        password_version: 0,
        expires: None,
        downloads_max: None,
        downloads: 0,
        created_by,
        created: Timestamp(0),
        revoked: None,
    }
}

#[test]
fn the_page_of_a_link_is_there_while_the_link_lives() {
    let link = a_link(OWNER);
    let page = |space_owner| Target::Link {
        link: &link,
        space_owner,
        chain: &[],
    };
    let live = linked(LinkRight::View, true, false);
    let check = |who: Who, service, space_owner, facts: &Facts, expected: &str| {
        let row = row(&who, Place::Away, service, &page(space_owner), facts);
        assert_eq!(row, expected);
    };
    for who in [Who::Nobody, via_link(false), account(MEMBER, session())] {
        check(who.clone(), Service::Links, OWNER, &live, "affffff");
        check(
            who.clone(),
            Service::Links,
            OWNER,
            &Facts::default(),
            "hhhhhhh",
        );
        check(who.clone(), Service::Links, MEMBER, &live, "hhhhhhh");
        check(who, Service::Files, OWNER, &live, "hhhhhhh");
    }
}

/// Every asker, service, target and right: LAN-only hides from all who are away, and changes
/// nothing for those at home; the console may all.
#[test]
fn lan_only_beats_everything_and_the_console_may_all() {
    let link = a_link(OWNER);
    let askers = [
        account(OWNER, session()),
        account(OWNER, app()),
        account(MEMBER, session()),
        account(MEMBER, Via::Password),
        via_link(true),
        via_link(false),
        Who::Nobody,
    ];
    let targets = [
        Target::Nothing,
        Target::Account(OWNER),
        Target::Node,
        entry_of(OWNER),
        entry_of(MEMBER),
        Target::Link {
            link: &link,
            space_owner: OWNER,
            chain: &[],
        },
    ];
    let facts = Facts {
        grant: Some(Access::Write),
        grant_from_above: Some(Access::Write),
        ..linked(LinkRight::Edit, true, true)
    };
    for who in &askers {
        for service in Service::ALL {
            for target in &targets {
                let row = |place, facts: &Facts| row(who, place, service, target, facts);
                let service_only = Facts {
                    service_lan_only: true,
                    ..facts
                };
                let entry_only = Facts {
                    entry_lan_only: true,
                    ..facts
                };
                assert_eq!(row(Place::Away, &service_only), "hhhhhhh");
                assert_eq!(row(Place::Away, &entry_only), "hhhhhhh");
                assert_eq!(row(Place::Lan, &service_only), row(Place::Lan, &facts));
                assert_eq!(row(Place::Lan, &entry_only), row(Place::Lan, &facts));
                assert_eq!(row(Place::Console, &service_only), "aaaaaaa");
            }
        }
    }
}

/// What the gate says before the target is known, for each need: owner, owner's app password,
/// member, member's app password, unlocked link, locked link, nobody,
/// friend.
#[test]
fn needs() {
    let askers = [
        account(OWNER, session()),
        account(OWNER, app()),
        account(MEMBER, session()),
        account(MEMBER, app()),
        via_link(true),
        via_link(false),
        Who::Nobody,
        friend(),
    ];
    let expected = [
        ("open", "aaaaaaah"),
        ("files-open", "aaaaaaaa"),
        ("account-see", "aaaahhlh"),
        ("account-manage", "afafhhlh"),
        ("principal-see", "aaaahhlh"),
        ("entry-list", "aaaahhla"),
        ("entry-download", "aaaahhla"),
        ("entry-create", "aaaahhla"),
        ("entry-write", "aaaahhla"),
        ("entry-delete", "aaaahhla"),
        ("entry-share", "afafhhlf"),
        ("link-page", "aaaaaaah"),
        ("link-list", "ffffallh"),
        ("link-download", "ffffallh"),
        ("link-create", "ffffallh"),
        ("link-write", "ffffallh"),
        ("link-delete", "ffffallh"),
        ("node-see", "afffhhlh"),
        ("node-manage", "afffhhlh"),
        ("friend-tree-read", "aahhhhlh"),
        ("friend-tree-write", "aahhhhlh"),
        ("metrics", "aaffhhlh"),
    ];
    assert_eq!(expected.len(), TABLE.len());
    for (need, (name, expected)) in TABLE.iter().zip(expected) {
        assert_eq!(need.name, name);
        let row = |place, lan_only| -> String {
            askers
                .iter()
                .map(
                    |who| match need.gate(&asker(who.clone(), place), lan_only) {
                        Decision::Allow => 'a',
                        Decision::AskLogin => 'l',
                        Decision::Forbid => 'f',
                        Decision::Hide => 'h',
                    },
                )
                .collect()
        };
        assert_eq!(row(Place::Away, false), expected, "{name}");
        assert_eq!(row(Place::Lan, false), expected, "{name}");
        // Of what is LAN-only a friend in the same network has nothing either.
        assert_eq!(row(Place::Lan, true)[..7], expected[..7], "{name}");
        assert_eq!(&row(Place::Lan, true)[7..], "h", "{name}");
        assert_eq!(row(Place::Away, true), "hhhhhhhh", "{name}");
    }
}

#[test]
fn services_are_named_as_they_print() {
    for service in Service::ALL {
        assert_eq!(service.to_string().parse(), Ok(service));
    }
    assert_eq!(
        "usb".parse::<Service>().unwrap_err(),
        "`usb` is no service; there are pages, files, links, admin, metrics"
    );
}
