//! What a session alone may not do: the password is asked once more, and a code where there is one.

use crate::scene::{Node, password};

/// Alice's password, once more.
pub(crate) fn proof() -> String {
    format!("password={}", password("alice").replace(' ', "+"))
}

#[tokio::test]
async fn a_session_alone_makes_no_device_and_changes_no_second_factor() {
    let node = Node::start();
    let alice = &node.alice;
    let begin = "/account/second-factor";
    let off = "/account/second-factor/off";
    for path in ["/account/app-passwords", begin, off] {
        let reply = node.post(path, "label=phone").by(alice);
        assert_eq!(reply.send().await.status, 400, "{path}");
        let reply = node.post(path, "label=phone&password=wrong").by(alice);
        assert_eq!(reply.send().await.status, 403, "{path}");
    }
    let devices = || node.app.sharing.app_passwords(alice.id).unwrap().len();
    let before = devices();
    // The fourth wrong one is the last that is looked at.
    let change = "old=wrong&new=another+password&again=another+password";
    node.post("/account/password", change)
        .by(alice)
        .send()
        .await
        .is(403);
    for (path, form) in [
        ("/account/password", change.to_owned()),
        (begin, proof()),
        (off, proof()),
        ("/account/app-passwords", format!("label=phone&{}", proof())),
    ] {
        let reply = node.post(path, &form).by(alice).send().await.is(429);
        assert_eq!(reply.header("retry-after"), "1", "{path}");
    }
    assert_eq!(devices(), before);
    node.wait_s(2);
    let page = node.post(begin, &proof()).by(alice).send().await.is(200);
    assert!(page.text().contains("otpauth://"));
}

#[tokio::test]
async fn with_a_second_factor_a_device_needs_a_code_as_well() {
    let node = Node::start();
    let alice = &node.alice;
    let page = node.post("/account/second-factor", &proof()).by(alice);
    let page = page.send().await.is(200);
    let secret = page.text().split("secret=").nth(1).unwrap();
    let secret = secret.split('&').next().unwrap().to_owned();
    let code = code(&secret, crate::home::START_S);
    let confirm = format!("code={code}");
    let page = node.post("/account/second-factor/confirm", &confirm);
    let page = page.by(alice).send().await.is(200);
    let recovery = page.text().split("<li>").nth(1).unwrap();
    let recovery = recovery.split('<').next().unwrap().to_owned();
    let device = |code: &str| {
        let form = format!("label=phone&{}&code={code}", proof());
        node.post("/account/app-passwords", &form).by(alice).send()
    };
    device("").await.is(400);
    device(&code).await.is(403);
    device(&recovery).await.is(200);
    let form = format!("{}&code={recovery}", proof());
    let off = || {
        node.post("/account/second-factor/off", &form)
            .by(alice)
            .send()
    };
    off().await.is(403);
    let page = node.get("/account").by(alice).send().await.is(200);
    assert!(page.text().contains("id=\"field-factor-code\""));
}

/// What an authenticator shows (RFC 6238), written down apart from the code under test.
fn code(secret: &str, now_s: i64) -> String {
    let key = data_encoding::BASE32_NOPAD
        .decode(secret.as_bytes())
        .unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = ring::hmac::sign(&key, &(now_s / 30).to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let word = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap());
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}
