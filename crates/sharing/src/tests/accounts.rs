//! Set-up, accounts, sessions, app passwords.

use super::*;
use crate::{SESSION_AGE_MAX, SESSION_IDLE_MAX, SESSIONS_MAX, SharingError, Step};

fn cookie(home: &Home) -> String {
    match home
        .sharing
        .login("alice", PASSWORD, &client("192.0.2.1"))
        .unwrap()
    {
        Step::Done(cookie) => cookie,
        Step::SecondFactor(_) => panic!("no second factor was set up"),
    }
}

#[test]
fn the_set_up_token_makes_one_owner_and_no_second() {
    let mut home = Home::new();
    let first = home.sharing.setup_token().unwrap().unwrap();
    let token = home.sharing.setup_token().unwrap().unwrap();
    assert_eq!(token.len(), 22);
    let redeem =
        |home: &Home, token: &str| home.sharing.redeem_setup(token, &name("alice"), PASSWORD);
    assert!(matches!(
        redeem(&home, &first),
        Err(SharingError::BadSetupToken)
    ));
    assert!(matches!(
        redeem(&home, ""),
        Err(SharingError::BadSetupToken)
    ));
    home.restart();
    assert!(home.sharing.setup_token_holds(&token).unwrap());
    let alice = redeem(&home, &token).unwrap();
    assert!(alice.owner);
    assert!(!home.sharing.setup_token_holds(&token).unwrap());
    assert!(matches!(
        redeem(&home, &token),
        Err(SharingError::BadSetupToken)
    ));
    assert_eq!(home.sharing.setup_token().unwrap(), None);
}

#[test]
fn an_owner_made_by_command_voids_the_set_up_token() {
    let home = Home::new();
    let token = home.sharing.setup_token().unwrap().unwrap();
    home.account("alice", true);
    assert!(!home.sharing.setup_token_holds(&token).unwrap());
    let stolen = home
        .sharing
        .redeem_setup(&token, &name("mallory"), PASSWORD);
    assert!(matches!(stolen, Err(SharingError::BadSetupToken)));
}

#[test]
fn names_and_passwords_that_cannot_be_are_refused_with_the_reason() {
    let home = Home::new();
    home.account("Alice", true);
    let create = |text: &str, password: &str| {
        let made = home.sharing.create_account(&name(text), password, false);
        made.unwrap_err().to_string()
    };
    assert_eq!(
        create("alice", PASSWORD),
        "there is an account `alice` already"
    );
    assert!(create("a:b", PASSWORD).contains("colon"));
    assert!(create(&"x".repeat(65), PASSWORD).contains("64 bytes"));
    assert!(create("Friends", PASSWORD).contains("used by Cumulet"));
    assert!(create(" bob", PASSWORD).contains("space or a dot"));
    assert!(create("bob", "short").contains("at least 8"));
    assert!(create("bobbybob", "BobbyBob").contains("at least 8"));
    assert!(create("bob", &"x".repeat(1025)).contains("at least 8"));
}

#[test]
fn the_last_owner_stays() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let bob = home.account("bob", false);
    assert!(matches!(
        home.sharing.remove_account(alice.id),
        Err(SharingError::LastOwner(_))
    ));
    assert!(matches!(
        home.sharing.set_owner(alice.id, false),
        Err(SharingError::LastOwner(_))
    ));
    home.sharing.set_owner(bob.id, true).unwrap();
    home.sharing.remove_account(alice.id).unwrap();
    assert_eq!(home.sharing.account("alice").unwrap(), None);
    // Her number is not given to the next one, who would inherit what was hers.
    assert!(home.account("carol", false).id > bob.id);
}

#[test]
fn a_session_lasts_while_it_is_used_and_never_beyond_its_age() {
    let mut home = Home::new();
    home.account("alice", true);
    let cookie = cookie(&home);
    let there = |home: &Home| home.sharing.session(&cookie).unwrap().is_some();
    for _ in 0..8 {
        home.pass(SESSION_IDLE_MAX - days(9));
        assert!(there(&home));
        home.settle();
    }
    home.restart();
    assert!(there(&home));
    home.pass(SESSION_AGE_MAX - days(8 * 21 - 1));
    assert!(!there(&home));
    assert_eq!(home.sharing.forget_expired().unwrap(), 1);
}

#[test]
fn an_idle_session_is_over() {
    let home = Home::new();
    home.account("alice", true);
    let cookie = cookie(&home);
    home.pass(SESSION_IDLE_MAX + seconds(1));
    assert_eq!(home.sharing.session(&cookie).unwrap(), None);
    assert_eq!(home.sharing.sessions(AccountId(1)).unwrap(), []);
}

#[test]
fn a_clock_set_back_keeps_people_signed_in() {
    let home = Home::new();
    home.account("alice", true);
    let cookie = cookie(&home);
    home.set_clock(Timestamp::from_secs(1_000_000));
    assert!(home.sharing.session(&cookie).unwrap().is_some());
}

#[test]
fn a_revoked_session_is_refused_at_its_next_request() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let bob = home.account("bob", false);
    let (one, two, three) = (cookie(&home), cookie(&home), cookie(&home));
    let session = |cookie: &str| home.sharing.session(cookie).unwrap();
    let list = home.sharing.sessions(alice.id).unwrap();
    assert_eq!(list.len(), 3);
    assert_eq!(list[0].address, Some(address("192.0.2.1")));
    assert_eq!(list[0].user_agent, "Browser/1.0");
    let first = session(&one).unwrap().id;
    assert!(!home.sharing.revoke_session(bob.id, first).unwrap());
    assert!(home.sharing.revoke_session(alice.id, first).unwrap());
    assert_eq!(session(&one), None);
    home.sharing.logout(&two).unwrap();
    assert_eq!(session(&two), None);
    assert!(session(&three).is_some());
}

#[test]
fn a_new_password_ends_the_other_sessions() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let (mine, other) = (cookie(&home), cookie(&home));
    let keep = home.sharing.session(&mine).unwrap().unwrap().id;
    home.sharing
        .set_password(alice.id, "new password", Some(keep))
        .unwrap();
    assert!(home.sharing.session(&mine).unwrap().is_some());
    assert_eq!(home.sharing.session(&other).unwrap(), None);
    assert!(
        home.sharing
            .check_password(alice.id, "new password")
            .unwrap()
    );
    assert!(!home.sharing.check_password(alice.id, PASSWORD).unwrap());
}

#[test]
fn garbage_cookies_are_no_sessions() {
    let home = Home::new();
    for garbage in ["", "x", "=", &"A".repeat(43), &"A".repeat(100_000), "旅行"] {
        assert_eq!(home.sharing.session(garbage).unwrap(), None);
        home.sharing.logout(garbage).unwrap();
    }
}

#[test]
fn the_oldest_session_makes_room() {
    let home = Home::new();
    home.account("alice", true);
    let first = cookie(&home);
    home.pass(seconds(1));
    home.sharing
        .write(|tx| {
            for n in 0..SESSIONS_MAX {
                let hash = crate::keys::random::<32>()?;
                crate::session::begin(
                    tx,
                    &hash,
                    AccountId(1),
                    &client("192.0.2.1"),
                    Timestamp(START + 2_000 + i64::from(n)),
                )?;
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(home.sharing.session(&first).unwrap(), None);
    assert_eq!(
        home.sql::<u32>("SELECT count(*) FROM session"),
        SESSIONS_MAX
    );
}

#[test]
fn no_secret_is_in_the_database() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let cookie = cookie(&home);
    let app = home.sharing.add_app_password(alice.id, "phone").unwrap();
    let enrolment = home.sharing.totp_begin(alice.id).unwrap();
    home.close();
    let mut stored = Vec::new();
    for file in ["catalog.db", "catalog.db-wal", "audit-head.json"] {
        stored.extend(std::fs::read(home.folder.path().join(file)).unwrap_or_default());
    }
    let raw = data_encoding::BASE64URL_NOPAD
        .decode(cookie.as_bytes())
        .unwrap();
    let totp = data_encoding::BASE32_NOPAD
        .decode(enrolment.secret.as_bytes())
        .unwrap();
    let plain = app.replace('-', "");
    for secret in [
        PASSWORD.as_bytes(),
        cookie.as_bytes(),
        &raw,
        app.as_bytes(),
        plain.as_bytes(),
        enrolment.secret.as_bytes(),
        &totp,
    ] {
        assert!(!stored.windows(secret.len()).any(|window| window == secret));
    }
    assert!(stored.windows(5).any(|window| window == b"phone"));
}

#[test]
fn preferences_are_kept() {
    let mut home = Home::new();
    let alice = home.account("alice", true);
    home.sharing.set_language(alice.id, Some("zh-CN")).unwrap();
    home.sharing.set_theme(alice.id, Some("dark")).unwrap();
    assert!(home.sharing.set_language(alice.id, Some("tlh")).is_err());
    home.restart();
    let alice = home.sharing.account("ALICE").unwrap().unwrap();
    assert_eq!(alice.language.as_deref(), Some("zh-CN"));
    assert_eq!(alice.theme.as_deref(), Some("dark"));
    assert_eq!(home.sharing.accounts().unwrap(), [alice]);
}
