//! The second factor: TOTP codes (RFC 6238) and recovery codes.

use protocol::AccountId;

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

impl Sharing {
    /// Draws a new secret; it counts only after [`Sharing::totp_confirm`].
    pub fn totp_begin(&self, account: AccountId) -> Result<Enrolment, SharingError> {
        todo!()
    }

    /// Turns the second factor on if `code` shows that the app has the secret; the recovery codes
    /// are shown this one time.
    pub fn totp_confirm(
        &self,
        account: AccountId,
        code: &str,
    ) -> Result<Vec<String>, SharingError> {
        todo!()
    }

    /// Turns the second factor off; `password` is the account's.
    pub fn totp_disable(&self, account: AccountId, password: &str) -> Result<(), SharingError> {
        todo!()
    }

    /// Turns it off without the password: for the console, when a person lost phone and codes.
    pub fn totp_reset(&self, account: AccountId) -> Result<(), SharingError> {
        todo!()
    }

    /// How many recovery codes are unused.
    pub fn recovery_codes_left(&self, account: AccountId) -> Result<usize, SharingError> {
        todo!()
    }
}
