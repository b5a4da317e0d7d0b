//! `bind`, `unbind`, `link`, `share`, `lan-only`, `trash`.

use std::time::Duration;

use node::Failure;
use protocol::Timestamp;
use serde_json::json;

use super::{Outcome, consent};
use crate::arguments::{Bind, Consent, LanOnly, Link, Share, Trash};
use crate::console::Console;
use crate::print::{cell, counted, table};
use crate::progress::{Sign, watched};
use crate::{secret, when};

pub(super) fn secret(link: &Link) -> Result<Option<String>, Failure> {
    match link {
        Link::Add {
            password_stdin: true,
            ..
        } => secret::from_stdin().map(Some),
        Link::Add { .. } | Link::List | Link::Revoke { .. } => Ok(None),
    }
}

pub(super) async fn link(
    console: &Console,
    link: Link,
    secret: Option<String>,
) -> Result<Outcome, Failure> {
    match link {
        Link::Add {
            path,
            right,
            expires,
            limit,
            ..
        } => {
            let now = (node::system_clock())();
            let expires = expires
                .map(|text| when::parse_end(&text, |span| now.plus(span)))
                .transpose()
                .map_err(Failure::input)?;
            if let Some(over) = expires.filter(|at| *at <= now) {
                return Err(Failure::input(format!(
                    "the link would end at {over}, which is over already"
                )));
            }
            let body = json!({ "path": path, "right": right, "password": secret, "expires_ms": expires.map(|Timestamp(ms)| ms), "limit": limit });
            let link = console.post("/v1/links/add", body).await?["link"].take();
            let text = cell("", &link["url"]);
            Ok(Outcome::new(link, text))
        }
        Link::List => {
            let links = console.get("/v1/links").await?["links"].take();
            let columns = [
                ("id", "id"),
                ("state", "state"),
                ("right", "right"),
                ("password", "password"),
                ("ends", "expires"),
                ("downloads", "downloads"),
                ("limit", "limit"),
                ("path", "path"),
                ("address", "url"),
            ];
            let text = table(&links, &columns, "no links");
            Ok(Outcome::new(links, text))
        }
        Link::Revoke { id } => {
            let answer = console
                .post("/v1/links/revoke", json!({ "id": id }))
                .await?;
            Ok(Outcome::new(answer, format!("link {id} works no longer")))
        }
    }
}

pub(super) async fn share(console: &Console, share: Share) -> Result<Outcome, Failure> {
    match share {
        Share::Add { path, who, access } => {
            let body = json!({ "path": path, "who": who, "access": access });
            let share = console.post("/v1/shares/add", body).await?["share"].take();
            let text = format!(
                "{path} is shared with {who} ({access}), share {}",
                share["id"]
            );
            Ok(Outcome::new(share, text))
        }
        Share::List => {
            let shares = console.get("/v1/shares").await?["shares"].take();
            let columns = [
                ("id", "id"),
                ("path", "path"),
                ("with", "who"),
                ("access", "access"),
                ("by", "by"),
                ("since", "created"),
            ];
            let text = table(&shares, &columns, "nothing is shared");
            Ok(Outcome::new(shares, text))
        }
        Share::Remove { share, who } => {
            let body = match share.parse::<i64>() {
                Ok(id) => json!({ "id": id }),
                Err(_) => json!({ "path": share, "who": who }),
            };
            let answer = console.post("/v1/shares/remove", body).await?;
            Ok(Outcome::new(answer, "the share is removed"))
        }
    }
}

pub(super) async fn lan_only(console: &Console, wish: LanOnly) -> Result<Outcome, Failure> {
    let (what, on) = match wish {
        LanOnly::List => {
            let list = console.get("/v1/lan-only").await?["lan_only"].take();
            let text = table(
                &list,
                &[("path", "path"), ("service", "service")],
                "nothing is LAN-only",
            );
            return Ok(Outcome::new(list, text));
        }
        LanOnly::On { what } => (what, true),
        LanOnly::Off { what } => (what, false),
    };
    let answer = console
        .post("/v1/lan-only", json!({ "what": what, "on": on }))
        .await?;
    let is = if on {
        "is LAN-only"
    } else {
        "is reachable from everywhere"
    };
    let already = if answer["changed"] == json!(false) {
        " already"
    } else {
        ""
    };
    Ok(Outcome::new(answer, format!("{what} {is}{already}")))
}

pub(super) async fn trash(console: &Console, trash: Trash) -> Result<Outcome, Failure> {
    match trash {
        Trash::List { user } => {
            let list = console
                .post("/v1/trash/list", json!({ "name": user }))
                .await?["trash"]
                .take();
            let columns = [
                ("id", "id"),
                ("path", "path"),
                ("kind", "kind"),
                ("size", "size_bytes"),
                ("deleted", "deleted"),
                ("by", "by"),
                ("kept until", "until"),
            ];
            let text = table(&list, &columns, "the trash is empty");
            Ok(Outcome::new(list, text))
        }
        Trash::Restore { id, to } => {
            let answer = console
                .post("/v1/trash/restore", json!({ "id": id, "to": to }))
                .await?;
            let text = format!("{} is back", cell("", &answer["restored"]));
            Ok(Outcome::new(answer, text))
        }
        Trash::ConfirmClock => {
            let answer = console.post("/v1/trash/confirm-clock", json!({})).await?;
            let now = cell("", &answer["now"]);
            let text = if answer["confirmed"] == json!(true) {
                format!("the clock is right: {now}; what is too old goes within the hour")
            } else {
                format!("the clock was not in doubt: {now}")
            };
            Ok(Outcome::new(answer, text))
        }
    }
}

/// Time between two looks at how far indexing is.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(super) async fn bind(console: &Console, wish: Bind, json: bool) -> Result<Outcome, Failure> {
    let path = std::path::absolute(&wish.path)
        .map_err(|error| Failure::input(format!("{}: {error}", wish.path.display())))?;
    let bind = console
        .post(
            "/v1/binds/add",
            json!({ "path": path, "place": wish.place, "force": wish.force }),
        )
        .await?["bind"]
        .take();
    // Read-only or not there: what can be done is told at once, not when a write fails.
    let trouble = bind["trouble"].as_str();
    let trouble = trouble.map_or_else(String::new, |why| format!("\nnote: {why}"));
    if !wish.wait {
        let text = format!(
            "{} is seen at {}; it is indexed in the background{trouble}",
            path.display(),
            wish.place
        );
        return Ok(Outcome::new(bind, text));
    }
    let sign = Sign::new("indexing", json);
    let place = || json!({ "place": wish.place });
    let indexed = async {
        loop {
            let here = console.post("/v1/binds/index", place()).await?["bind"].take();
            if here["indexed"] == json!(true) {
                return Ok(here);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let known = async || {
        let count = console.post("/v1/binds/count", place()).await?;
        Ok(counted(&count["entries"], "entry", "entries"))
    };
    let here = watched(&sign, known, indexed).await?;
    let text = format!(
        "{} is seen at {} and indexed{trouble}",
        path.display(),
        wish.place
    );
    Ok(Outcome::new(here, text))
}

/// What is bound can be bound again, but its links, shares, versions and trash do not come back.
pub(super) fn confirm_unbind(place: &str, given: Consent) -> Result<(), Failure> {
    let question = format!(
        "Let {place} go, with its links, shares and the list of its versions and trash? The files stay."
    );
    consent::ask(&question, given)
}

pub(super) async fn unbind(
    console: &Console,
    place: &str,
    consent: Consent,
) -> Result<Outcome, Failure> {
    let body = json!({ "place": place, "dry_run": consent.dry_run });
    let answer = console.post("/v1/binds/remove", body).await?;
    let entries = counted(&answer["entries"], "entry", "entries");
    let stay = cell("", &answer["files_stay_in"]);
    let mut text = if consent.dry_run {
        format!("would let {place} go with {entries}; the files would stay in {stay}")
    } else {
        format!("{place} is let go with {entries}; the files stay in {stay}")
    };
    if let Some(history) = answer["history_stays_in"].as_str() {
        let stays = if consent.dry_run {
            "would stay"
        } else {
            "stays"
        };
        text.push_str(&format!(
            "\n{history} {stays} too, with old versions and trash; delete that folder when nobody needs them any more"
        ));
    }
    Ok(Outcome::new(answer, text))
}
