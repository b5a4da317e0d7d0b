//! Signing in: password, second factor, HTTP Basic.

use std::net::IpAddr;

use crate::actor::{Client, Who};
use crate::{LoginError, Sharing};

/// How far a sign-in got.
#[derive(Debug)]
pub enum Step {
    /// Signed in; the value of the session cookie.
    Done(String),
    /// The password was right and a second factor is asked: hand this to
    /// [`Sharing::second_factor`] within 5 minutes.
    SecondFactor(String),
}

impl Sharing {
    /// Checks name and password. Takes the same time for an unknown name.
    pub fn login(&self, name: &str, password: &str, client: &Client) -> Result<Step, LoginError> {
        todo!()
    }

    /// Checks a code of the authenticator or a recovery code; the result is the value of the
    /// session cookie.
    pub fn second_factor(
        &self,
        pending: &str,
        code: &str,
        client: &Client,
    ) -> Result<String, LoginError> {
        todo!()
    }

    /// HTTP Basic: an app password, or the account's password while it has no second factor.
    ///
    /// A verified credential is remembered in memory for 5 minutes as a keyed hash.
    pub fn basic(&self, name: &str, secret: &str, address: IpAddr) -> Result<Who, LoginError> {
        todo!()
    }
}
