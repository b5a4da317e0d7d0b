//! HTTP Basic.

use std::time::Instant;

use super::*;
use crate::LoginError;
use crate::totp::code_of;

fn basic(home: &Home, secret: &str) -> Result<Who, LoginError> {
    home.sharing.basic("alice", secret, address("192.0.2.1"))
}

#[test]
fn an_app_password_works_for_its_account_until_revoked() {
    let mut home = Home::new();
    let alice = home.account("alice", true);
    home.account("bob", false);
    let secret = home.sharing.add_app_password(alice.id, " phone ").unwrap();
    let who = basic(&home, &secret).unwrap();
    let via = Via::AppPassword {
        id: 1,
        label: "phone".into(),
    };
    assert_eq!(
        who,
        Who::Account {
            id: alice.id,
            name: alice.name,
            owner: true,
            via
        }
    );
    assert!(basic(&home, &secret.to_uppercase().replace('-', "")).is_ok());
    assert!(
        home.sharing
            .basic("bob", &secret, address("192.0.2.1"))
            .is_err()
    );
    home.restart();
    assert!(basic(&home, &secret).is_ok());
    home.settle();
    let listed = &home.sharing.app_passwords(alice.id).unwrap()[0];
    assert_eq!(listed.last_used, Some(home.now()));
    assert_eq!(listed.last_from, Some(address("192.0.2.1")));
    assert!(
        home.sharing
            .revoke_app_password(alice.id, listed.id)
            .unwrap()
    );
    assert!(matches!(basic(&home, &secret), Err(LoginError::Wrong)));
}

#[test]
fn last_use_is_written_once_a_minute() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let secret = home.sharing.add_app_password(alice.id, "phone").unwrap();
    let last = |home: &Home| {
        home.settle();
        home.sharing.app_passwords(alice.id).unwrap()[0]
            .last_used
            .unwrap()
    };
    basic(&home, &secret).unwrap();
    let first = last(&home);
    home.pass(seconds(59));
    basic(&home, &secret).unwrap();
    assert_eq!(last(&home), first);
    home.pass(seconds(1));
    basic(&home, &secret).unwrap();
    assert_eq!(last(&home), home.now());
}

#[test]
fn the_account_password_counts_while_there_is_no_second_factor() {
    let home = Home::new();
    let alice = home.account("alice", true);
    assert!(matches!(
        basic(&home, PASSWORD),
        Ok(Who::Account {
            via: Via::Password,
            ..
        })
    ));
    home.sharing
        .set_basic_with_password(alice.id, false)
        .unwrap();
    assert!(matches!(basic(&home, PASSWORD), Err(LoginError::Wrong)));
    home.sharing
        .set_basic_with_password(alice.id, true)
        .unwrap();
    assert!(basic(&home, PASSWORD).is_ok());
    let enrolment = home.sharing.totp_begin(alice.id).unwrap();
    let code = code_of(&enrolment.secret, home.now());
    home.sharing.totp_confirm(alice.id, &code).unwrap();
    assert!(matches!(basic(&home, PASSWORD), Err(LoginError::Wrong)));
}

#[test]
fn a_changed_password_is_refused_at_once() {
    let home = Home::new();
    let alice = home.account("alice", true);
    basic(&home, PASSWORD).unwrap();
    home.sharing
        .set_password(alice.id, "another password", None)
        .unwrap();
    assert!(matches!(basic(&home, PASSWORD), Err(LoginError::Wrong)));
    assert!(basic(&home, "another password").is_ok());
    home.account("bob", true);
    home.sharing.remove_account(alice.id).unwrap();
    assert!(matches!(
        basic(&home, "another password"),
        Err(LoginError::Wrong)
    ));
}

#[test]
fn argon2_is_paid_once_in_five_minutes() {
    let home = Home::new();
    home.account("alice", true);
    let time = || {
        let start = Instant::now();
        basic(&home, PASSWORD).unwrap();
        start.elapsed()
    };
    let first = time();
    assert!((0..20).map(|_| time()).min().unwrap() * 10 < first);
    home.pass(minutes(5));
    assert!(time() * 3 > first);
}

#[test]
fn a_device_that_repeats_an_old_password_delays_nobody() {
    let home = Home::new();
    home.account("alice", true);
    for _ in 0..100 {
        assert!(matches!(
            basic(&home, "old password"),
            Err(LoginError::Wrong)
        ));
    }
    assert!(basic(&home, PASSWORD).is_ok());
    for n in 0..5 {
        assert!(basic(&home, &format!("guess {n}")).is_err());
    }
    assert!(matches!(
        basic(&home, "guess 5"),
        Err(LoginError::TooMany { .. })
    ));
}

#[test]
fn connections_that_open_at_once_share_one_check() {
    let home = Home::new();
    home.account("alice", true);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| basic(&home, PASSWORD)))
            .collect();
        for one in all {
            one.join().unwrap().unwrap();
        }
    });
}
