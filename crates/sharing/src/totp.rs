//! The second factor: TOTP codes (RFC 6238) and recovery codes.

use data_encoding::BASE32_NOPAD;
use protocol::{AccountId, Timestamp};
use ring::hmac;
use rusqlite::{Connection, params};

use crate::keys::{self, SecretHash, Use, random};
use crate::{Sharing, SharingError};

/// Recovery codes given at each enrolment; each works once.
pub const RECOVERY_CODES: usize = 10;

/// What an authenticator app needs.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The secret in base 32, for typing.
    pub secret: String,
    /// `otpauth://totp/…`, for a QR code.
    pub uri: String,
}

const SECRET_BYTES: usize = 20;
/// RFC 6238 section 4: time step X.
const STEP_SECS: i64 = 30;
const DIGITS: usize = 6;
/// Steps that the phone's clock may be off, each way (RFC 6238 section 5.2).
const SKEW: i64 = 1;
/// 3 groups of 4 letters: 60 bits.
const RECOVERY_GROUPS: usize = 3;

/// What a person typed where a code was asked.
pub(crate) enum Typed {
    Totp(u32),
    Recovery(String),
    Neither,
}

impl Typed {
    pub(crate) fn read(text: &str) -> Self {
        if text.len() > 64 {
            return Self::Neither;
        }
        let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit()) {
            return digits.parse().map_or(Self::Neither, Self::Totp);
        }
        keys::unreadable(text, RECOVERY_GROUPS).map_or(Self::Neither, Self::Recovery)
    }

    /// True for a code that could be guessed by trying all of them.
    pub(crate) fn is_short(&self) -> bool {
        match self {
            Self::Totp(_) | Self::Neither => true,
            Self::Recovery(_) => false,
        }
    }
}

/// HOTP of RFC 4226 section 5.3 with SHA-1, the algorithm that all authenticators have.
fn code_at(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0x0f);
    let word = [
        tag[offset] & 0x7f,
        tag[offset + 1],
        tag[offset + 2],
        tag[offset + 3],
    ];
    u32::from_be_bytes(word) % 10u32.pow(6)
}

/// The step that `code` is right for, if it lies after `last_step`.
fn matching_step(secret: &[u8], code: u32, now: Timestamp, last_step: i64) -> Option<i64> {
    let present = now.secs().div_euclid(STEP_SECS);
    // A last step in the future means that the clock was set back; waiting for it could take
    // years, so it no longer counts.
    let last_step = Some(last_step)
        .filter(|last| *last <= present + SKEW)
        .unwrap_or(0);
    (present - SKEW..=present + SKEW)
        .filter(|step| *step > last_step)
        .find(|step| code_at(secret, *step) == code)
}

impl Sharing {
    /// Draws a new secret; it counts only after [`Sharing::totp_confirm`].
    pub fn totp_begin(&self, account: AccountId) -> Result<Enrolment, SharingError> {
        let secret = random::<SECRET_BYTES>()?;
        let sealed = self.0.keys.seal(&about(account), &secret)?;
        let name = self.change_account(account, move |tx| {
            tx.execute(
                "UPDATE account SET totp_offered = ?2 WHERE id = ?1",
                params![account.0, sealed],
            )?;
            Ok(tx.query_row(
                "SELECT name FROM account WHERE id = ?1",
                [account.0],
                |row| row.get::<_, String>(0),
            )?)
        })?;
        let secret = BASE32_NOPAD.encode(&secret);
        let uri = format!(
            "otpauth://totp/Cumulet:{}?secret={secret}&issuer=Cumulet&algorithm=SHA1&digits={DIGITS}&period={STEP_SECS}",
            percent_encoded(&name)
        );
        Ok(Enrolment { secret, uri })
    }

    /// Turns the second factor on if `code` shows that the app has the secret; the recovery codes
    /// are shown this one time.
    pub fn totp_confirm(
        &self,
        account: AccountId,
        code: &str,
    ) -> Result<Vec<String>, SharingError> {
        let codes = (0..RECOVERY_CODES)
            .map(|_| keys::readable(RECOVERY_GROUPS))
            .collect::<Result<Vec<_>, _>>()?;
        let hashes: Vec<SecretHash> = codes
            .iter()
            .filter_map(|code| keys::unreadable(code, RECOVERY_GROUPS))
            .map(|plain| self.recovery_hash(account, &plain))
            .collect();
        let Typed::Totp(code) = Typed::read(code) else {
            return Err(SharingError::WrongCode);
        };
        let (sharing, now) = (self.clone(), self.now());
        self.change_account(account, move |tx| {
            let sealed: Option<Vec<u8>> = tx.query_row(
                "SELECT totp_offered FROM account WHERE id = ?1",
                [account.0],
                |row| row.get(0),
            )?;
            let sealed = sealed.ok_or(SharingError::WrongCode)?;
            let secret = sharing
                .0
                .keys
                .open("second factor", &about(account), &sealed)?;
            let step = matching_step(&secret, code, now, 0).ok_or(SharingError::WrongCode)?;
            tx.execute(
                "UPDATE account SET totp_secret = totp_offered, totp_offered = NULL,
                   totp_last_step = ?2 WHERE id = ?1",
                [account.0, step],
            )?;
            tx.execute("DELETE FROM recovery_code WHERE account = ?1", [account.0])?;
            for hash in hashes {
                tx.execute(
                    "INSERT INTO recovery_code (account, hash) VALUES (?1, ?2)",
                    params![account.0, &hash[..]],
                )?;
            }
            Ok(())
        })?;
        Ok(codes)
    }

    /// Turns the second factor off: for whoever has proven password and code, and for the console,
    /// when a person lost phone and codes.
    pub fn totp_reset(&self, account: AccountId) -> Result<(), SharingError> {
        self.change_account(account, move |tx| {
            tx.execute(
                "UPDATE account SET totp_secret = NULL, totp_offered = NULL WHERE id = ?1",
                [account.0],
            )?;
            tx.execute("DELETE FROM recovery_code WHERE account = ?1", [account.0])?;
            Ok(())
        })
    }

    /// How many recovery codes are unused.
    pub fn recovery_codes_left(&self, account: AccountId) -> Result<u32, SharingError> {
        self.read(|c| {
            let sql = "SELECT count(*) FROM recovery_code WHERE account = ?1";
            Ok(c.query_row(sql, [account.0], |row| row.get(0))?)
        })
    }

    /// Uses a code up; false if it is wrong or was used before.
    pub(crate) fn spend_code(
        &self,
        account: AccountId,
        typed: &Typed,
    ) -> Result<bool, SharingError> {
        match typed {
            Typed::Neither => Ok(false),
            Typed::Recovery(plain) => {
                let hash = self.recovery_hash(account, plain);
                self.write(move |tx| {
                    let sql = "DELETE FROM recovery_code WHERE account = ?1 AND hash = ?2";
                    Ok(tx.execute(sql, params![account.0, &hash[..]])? > 0)
                })
            }
            Typed::Totp(code) => {
                let (sharing, code, now) = (self.clone(), *code, self.now());
                self.write(move |tx| sharing.spend_totp(tx, account, code, now))
            }
        }
    }

    fn spend_totp(
        &self,
        tx: &Connection,
        account: AccountId,
        code: u32,
        now: Timestamp,
    ) -> Result<bool, SharingError> {
        let (sealed, last_step): (Option<Vec<u8>>, i64) = tx.query_row(
            "SELECT totp_secret, totp_last_step FROM account WHERE id = ?1",
            [account.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let Some(sealed) = sealed else {
            return Ok(false);
        };
        let secret = self
            .0
            .keys
            .open("second factor", &about(account), &sealed)?;
        let Some(step) = matching_step(&secret, code, now, last_step) else {
            return Ok(false);
        };
        tx.execute(
            "UPDATE account SET totp_last_step = ?2 WHERE id = ?1",
            [account.0, step],
        )?;
        Ok(true)
    }

    fn recovery_hash(&self, account: AccountId, plain: &str) -> SecretHash {
        self.0
            .keys
            .hash(Use::Recovery, &[&account.0.to_be_bytes(), plain.as_bytes()])
    }
}

/// Binds a sealed secret to its account.
fn about(account: AccountId) -> Vec<u8> {
    [b"totp ".as_slice(), &account.0.to_be_bytes()].concat()
}

/// RFC 3986 section 2.1, for the label of an `otpauth` address.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// What an authenticator with this secret shows at `now`.
#[cfg(test)]
pub(crate) fn code_of(secret: &str, now: Timestamp) -> String {
    let secret = BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    format!("{:06}", code_at(&secret, now.secs().div_euclid(STEP_SECS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix B of RFC 6238 has 8 digits; ours are the last 6 of them.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000_i64, 65_353_130),
        ] {
            assert_eq!(
                code_at(secret, seconds / STEP_SECS),
                code % 1_000_000,
                "{seconds}"
            );
        }
    }

    #[test]
    fn a_code_holds_one_step_each_way_and_once() {
        let secret = b"12345678901234567890";
        let code = code_at(secret, 100);
        let check =
            |at: i64, last| matching_step(secret, code, Timestamp::from_secs(at * 30), last);
        assert_eq!(check(99, 0), Some(100));
        assert_eq!(check(100, 0), Some(100));
        assert_eq!(check(101, 0), Some(100));
        assert_eq!(check(98, 0), None);
        assert_eq!(check(102, 0), None);
        assert_eq!(check(100, 100), None);
        assert_eq!(check(100, 99), Some(100));
    }

    #[test]
    fn a_clock_set_back_does_not_lock_out() {
        let secret = b"12345678901234567890";
        let code = code_at(secret, 100);
        assert_eq!(
            matching_step(secret, code, Timestamp::from_secs(3000), 5_000_000),
            Some(100)
        );
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        assert!(matches!(Typed::read(" 012 345"), Typed::Totp(12_345)));
        assert!(matches!(Typed::read("K3VQ-8t2m-0oil"), Typed::Recovery(r) if r == "k3vq8t2m0011"));
        assert!(matches!(Typed::read("12345"), Typed::Neither));
        assert!(matches!(Typed::read(&"1".repeat(1000)), Typed::Neither));
    }
}
