//! `user`, `app-password`, `quota`.

use node::Failure;
use protocol::ByteSize;
use serde_json::json;

use super::{Outcome, consent};
use crate::arguments::{AppPassword, Quota, User};
use crate::console::Console;
use crate::print::{cell, counted, table};
use crate::secret;

pub(super) fn secret(user: &User) -> Result<Option<String>, Failure> {
    match user {
        User::Add { name, password, .. } => {
            secret::ask_new(password.password_stdin, &format!("Password for {name}: ")).map(Some)
        }
        User::Passwd { name, password, .. } => secret::ask_new(
            password.password_stdin,
            &format!("New password for {name}: "),
        )
        .map(Some),
        User::Remove {
            name,
            consent: given,
        } => {
            let question = format!(
                "Remove the account {name} with its links, shares and sessions? Its files stay."
            );
            consent::ask(&question, *given).map(|()| None)
        }
        User::List | User::Card { .. } => Ok(None),
    }
}

pub(super) async fn user(
    console: &Console,
    user: User,
    secret: Option<String>,
) -> Result<Outcome, Failure> {
    match user {
        User::Add {
            name,
            owner,
            with_left_over,
            ..
        } => {
            let body = json!({
                "name": name,
                "password": secret,
                "owner": owner,
                "with_left_over": with_left_over,
            });
            let answer = console.post("/v1/users/add", body).await?;
            let role = if owner { "owner" } else { "member" };
            Ok(Outcome::new(
                answer["user"].clone(),
                format!("{name} has an account now, as {role}"),
            ))
        }
        User::List => {
            let users = console.get("/v1/users").await?["users"].take();
            let columns = [
                ("name", "name"),
                ("owner", "owner"),
                ("second factor", "second_factor"),
                ("used", "used_bytes"),
                ("quota", "quota_bytes"),
                ("since", "created"),
            ];
            let text = table(
                &users,
                &columns,
                "no accounts yet; `cumulet user add NAME --owner` makes the first",
            );
            Ok(Outcome::new(users, text))
        }
        User::Remove { name, consent } => {
            let body = json!({ "name": name, "dry_run": consent.dry_run });
            let answer = console.post("/v1/users/remove", body).await?;
            let ends = format!(
                "{}, {}, {} and {}",
                counted(&answer["links"], "link", "links"),
                counted(&answer["shares"], "share", "shares"),
                counted(&answer["sessions"], "session", "sessions"),
                counted(&answer["app_passwords"], "app password", "app passwords"),
            );
            let stay = cell("", &answer["files_stay_in"]);
            let text = if consent.dry_run {
                format!("would remove {name} with {ends}; the files would stay in {stay}")
            } else {
                format!(
                    "{name} is removed with {ends}; the files stay in {stay} (`cumulet space list`)"
                )
            };
            Ok(Outcome::new(answer, text))
        }
        User::Card {
            name,
            shown_as,
            address,
            no_addresses,
            found_by,
        } => {
            let body = json!({
                "name": name,
                "shown_as": shown_as,
                "addresses": (no_addresses || !address.is_empty()).then_some(address),
                "found_by": found_by,
            });
            let card = console.post("/v1/users/card", body).await?;
            let mut lines = vec![format!("{:<10} {}", "as", cell("", &card["shown_as"]))];
            for address in card["addresses"].as_array().into_iter().flatten() {
                lines.push(format!("{:<10} {}", "address", cell("", address)));
            }
            lines.push(format!(
                "{:<10} {}",
                "found by",
                cell("", &card["found_by"])
            ));
            Ok(Outcome::new(card, lines.join("\n")))
        }
        User::Passwd {
            name,
            reset_second_factor,
            ..
        } => {
            let body = json!({ "name": name, "password": secret, "reset_second_factor": reset_second_factor });
            let answer = console.post("/v1/users/passwd", body).await?;
            Ok(Outcome::new(
                answer,
                format!("{name} has a new password; all sessions have ended"),
            ))
        }
    }
}

pub(super) async fn app_password(console: &Console, wish: AppPassword) -> Result<Outcome, Failure> {
    match wish {
        AppPassword::Add { user, label, named } => {
            let label = named.unwrap_or(label);
            let answer = console
                .post(
                    "/v1/app-passwords/add",
                    json!({ "name": user, "label": label }),
                )
                .await?;
            let text = cell("", &answer["app_password"]);
            Ok(Outcome::new(answer, text))
        }
        AppPassword::List { user } => {
            let mut answer = console
                .post("/v1/app-passwords/list", json!({ "name": user }))
                .await?;
            let list = answer["app_passwords"].take();
            let columns = [
                ("id", "id"),
                ("label", "label"),
                ("since", "created"),
                ("last used", "last_used"),
                ("from", "last_from"),
            ];
            let text = table(&list, &columns, &format!("{user} has no app passwords"));
            Ok(Outcome::new(list, text))
        }
        AppPassword::Revoke { user, id } => {
            let answer = console
                .post(
                    "/v1/app-passwords/revoke",
                    json!({ "name": user, "id": id }),
                )
                .await?;
            Ok(Outcome::new(
                answer,
                format!("app password {id} of {user} works no longer"),
            ))
        }
    }
}

pub(super) async fn quota(console: &Console, wish: Quota) -> Result<Outcome, Failure> {
    let Quota::Set { user, size } = wish;
    let bytes = match size.as_str() {
        "none" | "unlimited" => None,
        text => Some(
            text.parse::<ByteSize>()
                .map_err(|error| Failure::input(error.to_string()).hint("or `none` for no limit"))?
                .0,
        ),
    };
    let answer = console
        .post("/v1/quota", json!({ "name": user, "bytes": bytes }))
        .await?;
    let limit = bytes.map_or_else(
        || "without limit".into(),
        |bytes| format!("at most {}", ByteSize(bytes).exact()),
    );
    let text = format!(
        "{user}: {limit}, {} used",
        cell("used_bytes", &answer["used_bytes"])
    );
    Ok(Outcome::new(answer, text))
}
