//! Sharing links.

use protocol::Fid;

use super::*;
use crate::{Link, LinkRight, LinkState, LinksOf, LoginError, NewLink, SharingError};

fn new_link(by: &Account) -> NewLink {
    NewLink {
        fid: Fid(7),
        right: LinkRight::Download,
        label: String::new(),
        password: None,
        expires: None,
        downloads_max: None,
        created_by: by.id,
    }
}

fn found(home: &Home, token: &str) -> Option<Link> {
    home.sharing.link_by_token(token).unwrap()
}

#[test]
fn a_link_is_found_by_its_token_and_its_owner_can_copy_it_again() {
    let mut home = Home::new();
    let alice = home.account("alice", true);
    let (link, token) = home.sharing.add_link(new_link(&alice)).unwrap();
    assert_eq!(token.len(), 22);
    home.restart();
    assert_eq!(found(&home, &token), Some(link.clone()));
    assert_eq!(home.sharing.link_token(link.id).unwrap(), Some(token));
    assert_eq!(
        home.sharing.links(LinksOf::Account(alice.id)).unwrap(),
        std::slice::from_ref(&link)
    );
    assert_eq!(home.sharing.links(LinksOf::Entry(Fid(7))).unwrap(), [link]);
    assert_eq!(home.sharing.links(LinksOf::Entry(Fid(8))).unwrap(), []);
}

#[test]
fn dead_and_unknown_links_look_the_same() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let add = |new| home.sharing.add_link(new).unwrap();
    let (revoked, revoked_token) = add(new_link(&alice));
    let (expired, expired_token) = add(NewLink {
        expires: Some(home.now().plus(seconds(10))),
        ..new_link(&alice)
    });
    let (used, used_token) = add(NewLink {
        downloads_max: Some(1),
        ..new_link(&alice)
    });
    for token in [&revoked_token, &expired_token, &used_token] {
        assert!(found(&home, token).is_some());
    }
    assert!(home.sharing.revoke_link(revoked.id).unwrap());
    assert!(!home.sharing.revoke_link(revoked.id).unwrap());
    home.pass(seconds(10));
    assert!(home.sharing.count_download(used.id).unwrap());
    for token in [
        &revoked_token,
        &expired_token,
        &used_token,
        "",
        "x",
        &"A".repeat(22),
    ] {
        assert_eq!(found(&home, token), None, "{token}");
    }
    let state = |id| home.sharing.link(id).unwrap().unwrap().state(home.now());
    assert_eq!(state(revoked.id), LinkState::Revoked);
    assert_eq!(state(expired.id), LinkState::Expired);
    assert_eq!(state(used.id), LinkState::UsedUp);
    assert!(!home.sharing.count_download(expired.id).unwrap());
}

#[test]
fn two_downloads_at_once_are_not_both_the_last() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let (link, token) = home
        .sharing
        .add_link(NewLink {
            downloads_max: Some(3),
            ..new_link(&alice)
        })
        .unwrap();
    let counted = std::thread::scope(|scope| {
        let all: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| home.sharing.count_download(link.id).unwrap()))
            .collect();
        all.into_iter()
            .map(|one| one.join().unwrap())
            .filter(|counted| *counted)
            .count()
    });
    assert_eq!(counted, 3);
    assert_eq!(found(&home, &token), None);
    // One of them broke off.
    home.sharing.uncount_download(link.id).unwrap();
    assert_eq!(found(&home, &token).unwrap().downloads, 2);
}

#[test]
fn a_password_unlocks_until_it_changes() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let protected = |home: &Home| {
        home.sharing
            .add_link(NewLink {
                password: Some("open sesame".into()),
                ..new_link(&alice)
            })
            .unwrap()
    };
    let (link, token) = protected(&home);
    let (other, _) = protected(&home);
    let from = address("192.0.2.1");
    assert!(!home.sharing.link_unlocked(&link, None));
    assert!(!home.sharing.link_unlocked(&link, Some("x")));
    let cookie = home
        .sharing
        .unlock_link(&link, "open sesame", from)
        .unwrap();
    assert!(home.sharing.link_unlocked(&link, Some(&cookie)));
    assert!(!home.sharing.link_unlocked(&other, Some(&cookie)));
    home.sharing
        .set_link_password(link.id, Some("open barley"))
        .unwrap();
    let link = found(&home, &token).unwrap();
    assert!(!home.sharing.link_unlocked(&link, Some(&cookie)));
    assert!(
        home.sharing
            .unlock_link(&link, "open sesame", from)
            .is_err()
    );
    home.sharing.set_link_password(link.id, None).unwrap();
    assert!(
        home.sharing
            .link_unlocked(&found(&home, &token).unwrap(), None)
    );
}

#[test]
fn guessing_a_link_password_delays_its_network_and_reading_forgives_nothing() {
    let mut home = Home::new();
    let alice = home.account("alice", true);
    let (link, token) = home
        .sharing
        .add_link(NewLink {
            password: Some("open sesame".into()),
            ..new_link(&alice)
        })
        .unwrap();
    let guess = |home: &Home, password: &str, from: &str| {
        home.sharing.unlock_link(&link, password, address(from))
    };
    for n in 0..4 {
        assert!(matches!(
            guess(&home, &format!("guess {n}"), "2001:db8::1"),
            Err(LoginError::Wrong)
        ));
        assert!(found(&home, &token).is_some());
    }
    home.restart();
    assert!(matches!(
        guess(&home, "open sesame", "2001:db8:0:ff::2"),
        Err(LoginError::TooMany { .. })
    ));
    assert!(guess(&home, "open sesame", "2001:db8:0:100::1").is_ok());
    home.pass(seconds(1));
    assert!(guess(&home, "open sesame", "2001:db8::1").is_ok());
}

#[test]
fn links_that_could_not_be_used_are_refused_with_the_reason() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let check = |new: NewLink, part: &str| {
        let error = home.sharing.add_link(new).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    };
    let link = || new_link(&alice);
    check(
        NewLink {
            expires: Some(home.now()),
            ..link()
        },
        "past",
    );
    check(
        NewLink {
            downloads_max: Some(0),
            ..link()
        },
        "1 or more",
    );
    check(
        NewLink {
            password: Some(String::new()),
            ..link()
        },
        "1 to 1024",
    );
    check(
        NewLink {
            label: "x".repeat(101),
            ..link()
        },
        "100 characters",
    );
    assert!(matches!(
        home.sharing.set_link_password(99, None),
        Err(SharingError::Missing("link"))
    ));
}

#[test]
fn links_of_a_removed_account_are_gone() {
    let home = Home::new();
    let alice = home.account("alice", true);
    home.account("bob", true);
    let (_, token) = home.sharing.add_link(new_link(&alice)).unwrap();
    home.sharing.remove_account(alice.id).unwrap();
    assert_eq!(found(&home, &token), None);
}
