//! Commands about people: accounts, passwords, app passwords, quotas.

use axum::Json;
use protocol::{ByteSize, EntryName};
use serde::Deserialize;
use serde_json::json;
use sharing::{Account, Action, LinksOf, SharingError};

use super::{Admin, Answer, Failure, Kind, Shared, on_disk};
use crate::state::State;

impl Admin {
    pub(super) fn account(&self, name: &str) -> Result<Account, Failure> {
        let account = self.state.sharing.account(name)?;
        account
            .ok_or_else(|| sharing::SharingError::NoAccount(name.chars().take(80).collect()).into())
    }
}

pub(super) async fn list(admin: Shared) -> Answer {
    let users = on_disk(&admin, |admin| {
        let accounts = admin.state.sharing.accounts()?;
        accounts
            .iter()
            .map(|account| describe(admin, account))
            .collect::<Result<Vec<_>, Failure>>()
    });
    Ok(Json(json!({ "users": users.await? })))
}

fn describe(admin: &Admin, account: &Account) -> Result<serde_json::Value, Failure> {
    let usage = match admin.state.files.space(account.name.as_str())? {
        Some(space) => Some(admin.state.files.usage(space.id)?),
        None => None,
    };
    Ok(json!({
        "name": account.name.as_str(),
        "owner": account.owner,
        "second_factor": account.second_factor,
        "created": account.created.to_string(),
        "used_bytes": usage.map(|usage| usage.used),
        "quota_bytes": usage.and_then(|usage| usage.quota),
    }))
}

#[derive(Deserialize)]
pub(super) struct NewUser {
    name: String,
    password: String,
    owner: bool,
    /// Also give them the space that a removed account of this name left.
    #[serde(default)]
    with_left_over: bool,
}

pub(super) async fn add(admin: Shared, Json(new): Json<NewUser>) -> Answer {
    let account = on_disk(&admin, move |admin| {
        let name = EntryName::new(&new.name).map_err(|error| Failure::input(error.to_string()))?;
        let State { files, sharing, .. } = &*admin.state;
        let left_over = if new.with_left_over {
            Some(files.left_over_space(name.as_str())?.space.id)
        } else {
            files.check_space_name(&name)?;
            None
        };
        let account = sharing.create_account(&name, &new.password, new.owner)?;
        match left_over {
            Some(space) => {
                files.hand_over_space(space, account.id)?;
                let to = account.name.as_str();
                admin.note(Action::SpaceHandOver, format!("{to}:/"), to)?;
            }
            None => {
                files.create_space(&account.name, account.id)?;
            }
        }
        admin.note(
            Action::AccountCreate,
            account.name.as_str(),
            if new.owner { "owner" } else { "member" },
        )?;
        describe(admin, &account)
    });
    Ok(Json(json!({ "user": account.await? })))
}

#[derive(Deserialize)]
pub(super) struct Named {
    name: String,
}

#[derive(Deserialize)]
pub(super) struct UserToRemove {
    name: String,
    /// Only tell what would be done.
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn remove(admin: Shared, Json(wish): Json<UserToRemove>) -> Answer {
    let answer = on_disk(&admin, move |admin| {
        let account = admin.account(&wish.name)?;
        let (sharing, name) = (&admin.state.sharing, account.name.as_str());
        let accounts = sharing.accounts()?;
        if account.owner && accounts.iter().filter(|account| account.owner).count() == 1 {
            return Err(last_owner(name));
        }
        let shares = sharing.granted_by(account.id)?.len() + sharing.granted_to(account.id)?.len();
        let answer = json!({
            "removed": !wish.dry_run,
            "links": sharing.links(LinksOf::Account(account.id))?.len(),
            "shares": shares,
            "sessions": sharing.sessions(account.id)?.len(),
            "app_passwords": sharing.app_passwords(account.id)?.len(),
            "files_stay_in": admin.state.layout.volume.join(name),
        });
        if wish.dry_run {
            return Ok(answer);
        }
        let removed = sharing.remove_account(account.id);
        // Somebody may have been faster since the look above.
        if matches!(removed, Err(SharingError::LastOwner(_))) {
            return Err(last_owner(name));
        }
        removed?;
        web::retire_spaces_of(&admin.state.files, account.id)?;
        admin.note(Action::AccountRemove, name, "")?;
        Ok(answer)
    });
    Ok(Json(answer.await?))
}

fn last_owner(name: &str) -> Failure {
    Failure::new(
        Kind::Refused,
        format!("{name} is the only owner of this node, and a node needs one"),
    )
    .hint("first make somebody else owner, on the page People or with `cumulet user add NAME --owner`")
}

#[derive(Deserialize)]
pub(super) struct CardWish {
    name: String,
    /// As whom others find the person.
    shown_as: Option<String>,
    addresses: Option<Vec<String>>,
    found_by: Option<String>,
}

/// Shows or changes what others find of a person; what is not named stays.
pub(super) async fn card(admin: Shared, Json(wish): Json<CardWish>) -> Answer {
    let card = on_disk(&admin, move |admin| {
        let sharing = &admin.state.sharing;
        let account = admin.account(&wish.name)?;
        let before = sharing.card(account.id)?;
        let mut card = before.clone();
        if let Some(name) = wish.shown_as {
            card.content.name = name;
        }
        if let Some(addresses) = wish.addresses {
            card.content.addresses = addresses;
        }
        if let Some(reach) = wish.found_by {
            card.reach = reach.parse()?;
        }
        if card != before {
            let found_by = format!("found by {}", card.reach.word());
            sharing.set_card(card)?;
            admin.note(Action::CardChange, account.name.as_str(), found_by)?;
        }
        Ok(sharing.card(account.id)?)
    });
    let card = card.await?;
    Ok(Json(json!({
        "shown_as": card.content.name,
        "addresses": card.content.addresses,
        "found_by": card.reach.word(),
    })))
}

#[derive(Deserialize)]
pub(super) struct NewPassword {
    name: String,
    password: String,
    reset_second_factor: bool,
}

pub(super) async fn passwd(admin: Shared, Json(new): Json<NewPassword>) -> Answer {
    on_disk(&admin, move |admin| {
        let account = admin.account(&new.name)?;
        admin
            .state
            .sharing
            .set_password(account.id, &new.password, None)?;
        admin.note(Action::Password, account.name.as_str(), "")?;
        if new.reset_second_factor && account.second_factor {
            admin.state.sharing.totp_reset(account.id)?;
            admin.note(Action::SecondFactor, account.name.as_str(), "turned off")?;
        }
        Ok(())
    })
    .await?;
    Ok(Json(json!({ "changed": true })))
}

pub(super) async fn app_passwords(admin: Shared, Json(Named { name }): Json<Named>) -> Answer {
    let list = on_disk(&admin, move |admin| {
        let account = admin.account(&name)?;
        let list = admin.state.sharing.app_passwords(account.id)?;
        let rows = list.into_iter().map(|one| {
            json!({
                "id": one.id,
                "label": one.label,
                "created": one.created.to_string(),
                "last_used": one.last_used.map(|at| at.to_string()),
                "last_from": one.last_from,
            })
        });
        Ok(rows.collect::<Vec<_>>())
    });
    Ok(Json(json!({ "app_passwords": list.await? })))
}

#[derive(Deserialize)]
pub(super) struct NewAppPassword {
    name: String,
    label: String,
}

pub(super) async fn add_app_password(admin: Shared, Json(new): Json<NewAppPassword>) -> Answer {
    let password = on_disk(&admin, move |admin| {
        let account = admin.account(&new.name)?;
        let password = admin
            .state
            .sharing
            .add_app_password(account.id, &new.label)?;
        admin.note(Action::AppPasswordCreate, account.name.as_str(), new.label)?;
        Ok(password)
    });
    Ok(Json(json!({ "app_password": password.await? })))
}

#[derive(Deserialize)]
pub(super) struct OldAppPassword {
    name: String,
    id: i64,
}

pub(super) async fn revoke_app_password(admin: Shared, Json(old): Json<OldAppPassword>) -> Answer {
    on_disk(&admin, move |admin| {
        let account = admin.account(&old.name)?;
        if !admin
            .state
            .sharing
            .revoke_app_password(account.id, old.id)?
        {
            return Err(Failure::missing(format!(
                "{} has no app password {}",
                account.name, old.id
            ))
            .hint(format!(
                "`cumulet app-password list {}` shows them",
                account.name
            )));
        }
        admin.note(
            Action::AppPasswordRevoke,
            account.name.as_str(),
            old.id.to_string(),
        )
    })
    .await?;
    Ok(Json(json!({ "revoked": true })))
}

#[derive(Deserialize)]
pub(super) struct NewQuota {
    name: String,
    /// `None` lifts the limit.
    bytes: Option<u64>,
}

pub(super) async fn set_quota(admin: Shared, Json(new): Json<NewQuota>) -> Answer {
    let usage = on_disk(&admin, move |admin| {
        let space = admin.space(&new.name)?;
        admin.state.files.set_quota(space.id, new.bytes)?;
        let detail = new
            .bytes
            .map_or_else(|| "unlimited".into(), |bytes| ByteSize(bytes).exact());
        admin.note(Action::Quota, space.name.as_str(), detail)?;
        Ok(admin.state.files.usage(space.id)?)
    })
    .await?;
    Ok(Json(
        json!({ "used_bytes": usage.used, "quota_bytes": usage.quota, "available_bytes": usage.available }),
    ))
}
