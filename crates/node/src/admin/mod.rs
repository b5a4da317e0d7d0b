//! The admin API: HTTP with JSON on `<state>/admin.sock` (0600), and in-process for commands that
//! work without a running node.
//!
//! Whoever can open the socket could read the database as well, so nobody is asked to log in;
//! every change is written to the audit log as `console`. The command line is the only client;
//! routes and bodies may change with it.

mod binds;
pub mod care;
mod content;
mod failure;
mod friends;
pub(crate) mod neighbors;
mod people;
mod places;
mod spaces;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::routing::{get, post};
use serde_json::Value;
use sharing::{Action, Event};

pub use failure::{Failure, Kind};

use crate::running::Running;
use crate::state::State;

/// What the admin API works on.
pub struct Admin {
    /// The opened state.
    pub state: Arc<State>,
    /// The running node around it, or `None` for a command that opened the state itself.
    pub running: Option<Arc<Running>>,
    /// How far the check that began last is.
    checked: Mutex<Arc<files::CheckCount>>,
}

impl Admin {
    /// An admin API's ground.
    #[must_use]
    pub fn new(state: Arc<State>, running: Option<Arc<Running>>) -> Self {
        Self {
            state,
            running,
            checked: Mutex::default(),
        }
    }

    /// The count of the check that began last; `begin` makes it a new one.
    fn check_count(&self, begin: bool) -> Arc<files::CheckCount> {
        let mut count = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if begin {
            *count = Arc::default();
        }
        Arc::clone(&count)
    }

    /// Writes a row about what was done by hand.
    fn note(
        &self,
        action: Action,
        target: impl Into<String>,
        detail: impl Into<String>,
    ) -> Result<(), Failure> {
        let event = Event {
            via: "console".into(),
            detail: detail.into(),
            ..Event::by("console", self.state.now(), action, target)
        };
        Ok(self.state.sharing.audit(event)?)
    }
}

type Shared = axum::extract::State<Arc<Admin>>;
type Answer = Result<axum::Json<Value>, Failure>;

/// Runs `work`, which blocks, away from the async threads.
async fn on_disk<T, F>(admin: &Arc<Admin>, work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce(&Admin) -> Result<T, Failure> + Send + 'static,
{
    let admin = Arc::clone(admin);
    tokio::task::spawn_blocking(move || work(&admin))
        .await
        .unwrap_or_else(|error| Err(Failure::fault(format!("the command broke off: {error}"))))
}

/// The admin API over `admin`.
pub fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/v1/status", get(care::status))
        .route("/v1/modules", get(care::modules).post(care::set_module))
        .route("/v1/check", get(care::check_count).post(care::check))
        .route("/v1/audit/show", post(care::audit_show))
        .route("/v1/audit/verify", post(care::audit_verify))
        .route("/v1/audit/export", get(care::audit_export))
        .route("/v1/recovery", post(care::recovery))
        .route("/metrics", get(care::metrics))
        .route("/v1/users", get(people::list))
        .route("/v1/users/add", post(people::add))
        .route("/v1/users/remove", post(people::remove))
        .route("/v1/users/card", post(people::card))
        .route("/v1/users/passwd", post(people::passwd))
        .route("/v1/app-passwords/list", post(people::app_passwords))
        .route("/v1/app-passwords/add", post(people::add_app_password))
        .route(
            "/v1/app-passwords/revoke",
            post(people::revoke_app_password),
        )
        .route("/v1/spaces", get(spaces::list))
        .route("/v1/spaces/give", post(spaces::give))
        .route("/v1/spaces/purge", post(spaces::purge))
        .route("/v1/quota", post(people::set_quota))
        .route("/v1/friends", get(friends::list))
        .route("/v1/friends/invite", post(friends::invite))
        .route("/v1/friends/accept", post(friends::accept))
        .route("/v1/friends/withdraw", post(friends::withdraw))
        .route("/v1/friends/compare", post(friends::compare))
        .route("/v1/friends/confirm", post(friends::confirm))
        .route("/v1/friends/change", post(friends::change))
        .route("/v1/friends/remove", post(friends::remove))
        .route("/v1/neighbors", get(neighbors::list))
        .route("/v1/neighbors/pin", post(neighbors::pin))
        .route("/v1/neighbors/add", post(neighbors::add))
        .route("/v1/neighbors/forget", post(neighbors::forget))
        .route("/v1/find", post(neighbors::find))
        .route("/v1/find-people", post(neighbors::find_people))
        .route("/v1/links", get(content::links))
        .route("/v1/links/add", post(content::add_link))
        .route("/v1/links/revoke", post(content::revoke_link))
        .route("/v1/shares", get(content::shares))
        .route("/v1/shares/add", post(content::add_share))
        .route("/v1/shares/remove", post(content::remove_share))
        .route(
            "/v1/lan-only",
            get(content::lan_only).post(content::set_lan_only),
        )
        .route("/v1/trash/list", post(content::trash))
        .route("/v1/trash/restore", post(content::restore))
        .route("/v1/trash/confirm-clock", post(care::confirm_clock))
        .route("/v1/binds", get(binds::list))
        .route("/v1/binds/add", post(binds::add))
        .route("/v1/binds/index", post(binds::index))
        .route("/v1/binds/count", post(binds::count))
        .route("/v1/binds/remove", post(binds::remove))
        .fallback(async || {
            Failure::input(
                "this node does not know that command; are program and node of one version?",
            )
        })
        .with_state(admin)
}
