//! Passwords, codes, delays.

use std::time::Instant;

use super::*;
use crate::totp::code_of;
use crate::{Enrolment, LoginError, RECOVERY_CODES, Step};

fn login(home: &Home, who: &str, password: &str, from: &str) -> Result<Step, LoginError> {
    home.sharing.login(who, password, &client(from))
}

/// Seconds to wait, or none.
fn wait(result: Result<Step, LoginError>) -> Option<u64> {
    match result {
        Err(LoginError::TooMany { retry_after }) => Some(retry_after.as_secs()),
        Err(LoginError::Wrong) | Ok(_) => None,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn unknown_names_and_wrong_passwords_get_the_same_answer() {
    let home = Home::new();
    home.account("alice", true);
    let check = |who, password| {
        let error = login(&home, who, password, "192.0.2.1").unwrap_err();
        assert!(matches!(error, LoginError::Wrong), "{error}");
    };
    check("alice", "wrong");
    check("bob", "wrong");
    check("bob", PASSWORD);
    check("", "");
    assert!(matches!(
        login(&home, "ALICE", PASSWORD, "192.0.2.1"),
        Ok(Step::Done(_))
    ));
}

#[test]
fn wrong_tries_delay_their_network_and_nobody_else() {
    let mut home = Home::new();
    home.account("alice", true);
    for _ in 0..5 {
        assert_eq!(wait(login(&home, "alice", "wrong", "192.0.2.1")), None);
        home.pass(seconds(1));
    }
    // Counted over the whole /24, and known after a restart.
    home.restart();
    assert_eq!(
        wait(login(&home, "alice", PASSWORD, "192.0.2.200")),
        Some(1)
    );
    // Waiting is not counted as another wrong try.
    assert_eq!(
        wait(login(&home, "alice", PASSWORD, "192.0.2.200")),
        Some(1)
    );
    // Other networks and other accounts are not delayed.
    assert!(login(&home, "alice", PASSWORD, "198.51.100.1").is_ok());
    assert_eq!(wait(login(&home, "bob", "wrong", "192.0.2.1")), None);
    home.pass(seconds(1));
    assert!(login(&home, "alice", PASSWORD, "192.0.2.1").is_ok());
    // The right one forgave the wrong ones.
    for _ in 0..4 {
        assert_eq!(wait(login(&home, "alice", "wrong", "192.0.2.1")), None);
    }
}

#[test]
fn delays_grow_up_to_a_quarter_of_an_hour() {
    let home = Home::new();
    let mut waits = Vec::new();
    for _ in 0..16 {
        while let Some(wait) = wait(login(&home, "alice", "wrong", "192.0.2.1")) {
            waits.push(wait);
            home.pass(seconds(wait));
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
}

#[test]
fn a_network_that_tries_many_names_is_slowed_down() {
    let home = Home::new();
    let mut refused = 0;
    for n in 0..40 {
        refused += u32::from(wait(login(&home, &format!("user{n}"), "x", "192.0.2.1")).is_some());
    }
    assert_eq!(refused, 10);
}

#[test]
fn a_clock_set_back_locks_nobody_out() {
    let home = Home::new();
    home.account("alice", true);
    for _ in 0..5 {
        let _ = login(&home, "alice", "wrong", "192.0.2.1");
    }
    home.set_clock(Timestamp(START - 1_000_000_000));
    assert_eq!(wait(login(&home, "alice", PASSWORD, "192.0.2.1")), Some(1));
    home.pass(seconds(1));
    assert!(login(&home, "alice", PASSWORD, "192.0.2.1").is_ok());
}

#[test]
fn many_guesses_at_once_are_counted_each() {
    let home = Home::new();
    home.account("alice", true);
    let checked = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..30)
            .map(|n| {
                let home = &home;
                scope.spawn(move || login(home, "alice", &format!("wrong {n}"), "192.0.2.1"))
            })
            .collect();
        tries
            .into_iter()
            .map(|t| t.join().unwrap())
            .filter(|result| matches!(result, Err(LoginError::Wrong)))
            .count()
    });
    assert_eq!(checked, 4);
}

/// Median of 1,000 refusals each, in pairs so that a busy machine slows both. What is measured is
/// the account's part; the delay is left out by a network of its own for each try.
#[test]
fn an_unknown_name_takes_as_long_as_a_known_one() {
    let home = Home::new();
    home.account("alice", true);
    // The work of argon2 would hide small differences and take minutes, so it is timed apart.
    let time = |who: &str, n: u32| {
        let from = format!("10.{}.{}.1", n >> 8, n & 255);
        let start = Instant::now();
        let guesses = home.sharing.password_guesses(who, address(&from));
        home.sharing.begin_guess(&guesses).unwrap();
        std::hint::black_box(home.sharing.secrets(who).unwrap());
        start.elapsed()
    };
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for n in 0..500 {
        known.push(time("alice", 2 * n));
        unknown.push(time("nobody-here", 2 * n + 1));
    }
    let ratio = median(&mut known).as_secs_f64() / median(&mut unknown).as_secs_f64();
    assert!((0.6..1.67).contains(&ratio), "known/unknown = {ratio}");

    let check = |stored: Option<&str>| {
        let start = Instant::now();
        let passwords = &home.sharing.0.passwords;
        assert!(
            !passwords
                .verify(&home.sharing.0.keys, stored, "wrong")
                .unwrap()
        );
        start.elapsed()
    };
    let stored = home.sharing.secrets("alice").unwrap().unwrap().password;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        known.push(check(Some(&stored)));
        unknown.push(check(None));
    }
    let ratio = median(&mut known).as_secs_f64() / median(&mut unknown).as_secs_f64();
    assert!((0.6..1.67).contains(&ratio), "known/unknown = {ratio}");
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Alice with a confirmed second factor.
fn enrolled() -> (Home, Account, Enrolment, Vec<String>) {
    let home = Home::new();
    let alice = home.account("alice", true);
    let enrolment = home.sharing.totp_begin(alice.id).unwrap();
    let code = code_of(&enrolment.secret, home.now());
    let recovery = home.sharing.totp_confirm(alice.id, &code).unwrap();
    home.pass(minutes(2));
    (home, alice, enrolment, recovery)
}

fn pending(home: &Home) -> String {
    match login(home, "alice", PASSWORD, "192.0.2.1").unwrap() {
        Step::SecondFactor(pending) => pending,
        Step::Done(_) => panic!("the second factor was not asked"),
    }
}

#[test]
fn a_second_factor_counts_only_after_it_was_confirmed() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let enrolment = home.sharing.totp_begin(alice.id).unwrap();
    assert!(
        enrolment
            .uri
            .starts_with("otpauth://totp/Cumulet:alice?secret=")
    );
    assert!(matches!(
        login(&home, "alice", PASSWORD, "192.0.2.1"),
        Ok(Step::Done(_))
    ));
    assert!(home.sharing.totp_confirm(alice.id, "000000").is_err());
    assert!(home.sharing.totp_confirm(alice.id, "x").is_err());
    let code = code_of(&enrolment.secret, home.now());
    let recovery = home.sharing.totp_confirm(alice.id, &code).unwrap();
    assert_eq!(recovery.len(), RECOVERY_CODES);
    assert!(
        home.sharing
            .account("alice")
            .unwrap()
            .unwrap()
            .second_factor
    );
    assert!(home.sharing.totp_confirm(alice.id, &code).is_err());
}

#[test]
fn a_code_signs_in_once() {
    let (home, _, enrolment, _) = enrolled();
    let code = code_of(&enrolment.secret, home.now());
    let enter = |pending: &str, code: &str| {
        home.sharing
            .second_factor(pending, code, &client("192.0.2.1"))
    };
    let cookie = enter(&pending(&home), &code).unwrap();
    assert!(home.sharing.session(&cookie).unwrap().is_some());
    assert!(matches!(
        enter(&pending(&home), &code),
        Err(LoginError::Wrong)
    ));
    home.pass(seconds(30));
    let next = code_of(&enrolment.secret, home.now());
    assert!(enter(&pending(&home), &next).is_ok());
}

#[test]
fn a_recovery_code_signs_in_once_and_past_the_delay_of_codes() {
    let (home, alice, _, recovery) = enrolled();
    let enter = |code: &str, from: &str| {
        home.sharing
            .second_factor(&pending(&home), code, &client(from))
    };
    // Somebody who knows the password tries codes from many networks.
    for n in 0..40 {
        let _ = enter("000000", &format!("10.0.{n}.1"));
    }
    assert!(matches!(
        enter("000000", "10.9.9.9"),
        Err(LoginError::TooMany { .. })
    ));
    assert!(enter(&recovery[3].to_uppercase(), "192.0.2.1").is_ok());
    assert!(matches!(
        enter(&recovery[3], "192.0.2.1"),
        Err(LoginError::Wrong)
    ));
    assert_eq!(home.sharing.recovery_codes_left(alice.id).unwrap(), 9);
}

#[test]
fn a_pending_sign_in_ends() {
    let (home, alice, enrolment, _) = enrolled();
    let enter = |pending: &str| {
        let code = code_of(&enrolment.secret, home.now());
        home.sharing
            .second_factor(pending, &code, &client("192.0.2.1"))
    };
    let late = pending(&home);
    home.pass(seconds(300));
    assert!(matches!(enter(&late), Err(LoginError::Wrong)));
    let voided = pending(&home);
    home.sharing
        .set_password(alice.id, "another password", None)
        .unwrap();
    assert!(matches!(enter(&voided), Err(LoginError::Wrong)));
    assert!(matches!(enter(""), Err(LoginError::Wrong)));
    assert!(matches!(enter(&"A".repeat(64)), Err(LoginError::Wrong)));
}

#[test]
fn a_session_cannot_guess_the_password_or_a_code() {
    let (home, alice, _, recovery) = enrolled();
    let here = [192, 0, 2, 1].into();
    let prove = |password| home.sharing.prove_password(alice.id, password, here);
    prove(PASSWORD).unwrap();
    for _ in 0..4 {
        assert!(matches!(prove("wrong"), Err(LoginError::Wrong)));
    }
    let Err(LoginError::TooMany { retry_after }) = prove(PASSWORD) else {
        panic!("a fifth guess was let through");
    };
    assert!(retry_after.as_secs() >= 1);
    // A sign-in from the same network waits as well.
    assert!(matches!(
        login(&home, "alice", PASSWORD, "192.0.2.1"),
        Err(LoginError::TooMany { .. })
    ));
    let prove = |code: &str| home.sharing.prove_code(alice.id, code, here);
    prove(&recovery[0]).unwrap();
    assert!(matches!(prove(&recovery[0]), Err(LoginError::Wrong)));
    for _ in 0..3 {
        assert!(matches!(prove("000000"), Err(LoginError::Wrong)));
    }
    assert!(matches!(
        prove(&recovery[1]),
        Err(LoginError::TooMany { .. })
    ));
}

#[test]
fn a_second_factor_that_is_off_is_not_asked_for() {
    let (home, alice, _, _) = enrolled();
    home.sharing.totp_reset(alice.id).unwrap();
    assert_eq!(home.sharing.recovery_codes_left(alice.id).unwrap(), 0);
    assert!(matches!(
        login(&home, "alice", PASSWORD, "192.0.2.1"),
        Ok(Step::Done(_))
    ));
}

#[test]
fn sign_ins_become_rows_without_secrets() {
    let home = Home::new();
    home.account("alice", true);
    let _ = login(&home, "hunter2-typed-as-name", "wrong", "192.0.2.1");
    let _ = login(&home, "alice", "wrong", "198.51.100.1");
    login(&home, "alice", PASSWORD, "192.0.2.1").unwrap();
    home.settle();
    let page = home
        .sharing
        .audit_rows(&Default::default(), None, 10)
        .unwrap();
    let rows: Vec<String> = page
        .rows
        .iter()
        .map(|r| {
            format!(
                "{} {} {} {} {}",
                r.action, r.actor, r.target, r.address, r.outcome
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            "login alice alice 192.0.2.1 done",
            "login-failed nobody alice 198.51.100.1 refused",
            "login-failed nobody  192.0.2.1 refused",
        ]
    );
    assert!(!format!("{page:?}").contains("hunter2"));
}
