//! Commands about content: links, shares, LAN-only, trash, bound folders.

use axum::Json;
use files::{At, Author, Change, Op};
use protocol::{AccountId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use sharing::{
    Access, Action, Grant, Grantee, LanOnly, Link, LinkRight, LinksOf, NewLink, Service,
};

use super::{Admin, Answer, Failure, Kind, Shared, on_disk};

pub(super) fn console() -> Author {
    Author {
        account: None,
        label: "console".into(),
        via: "console".into(),
        address: None,
    }
}

impl Admin {
    /// Where pages of this node are, without a slash at the end.
    fn base_url(&self) -> String {
        match &self.running {
            Some(running) => running.https_url.clone(),
            None => {
                let name = self
                    .state
                    .config
                    .name
                    .clone()
                    .unwrap_or_else(crate::config::computer_name);
                format!("https://{name}.local:{}", self.state.config.listen.port())
            }
        }
    }

    fn describe_link(&self, link: &Link) -> Result<Value, Failure> {
        let token = self.state.sharing.link_token(link.id)?;
        Ok(json!({
            "id": link.id,
            "path": self.path_of(link.fid)?,
            "right": link.right.name(),
            "state": match link.state(self.state.now()) {
                sharing::LinkState::Usable => "usable",
                sharing::LinkState::Expired => "expired",
                sharing::LinkState::UsedUp => "used-up",
                sharing::LinkState::Revoked => "revoked",
            },
            "password": link.password,
            "expires": link.expires.map(|at| at.to_string()),
            "downloads": link.downloads,
            "limit": link.downloads_max,
            "url": token.map(|token| format!("{}/s/{token}", self.base_url())),
        }))
    }
}

pub(super) async fn links(admin: Shared) -> Answer {
    let links = on_disk(&admin, |admin| {
        let links = admin.state.sharing.links(LinksOf::Everybody)?;
        links
            .iter()
            .map(|link| admin.describe_link(link))
            .collect::<Result<Vec<_>, _>>()
    });
    Ok(Json(json!({ "links": links.await? })))
}

#[derive(Deserialize)]
pub(super) struct LinkToMake {
    path: String,
    right: String,
    password: Option<String>,
    expires_ms: Option<i64>,
    limit: Option<u32>,
}

pub(super) async fn add_link(admin: Shared, Json(new): Json<LinkToMake>) -> Answer {
    let link = on_disk(&admin, move |admin| {
        let place = admin.place(&new.path)?;
        let entry = admin.entry(&place)?;
        let right: LinkRight = new.right.parse().map_err(Failure::input)?;
        if right == LinkRight::Upload && !entry.is_folder() {
            return Err(Failure::input(format!(
                "{} is a file; upload needs a folder",
                place.path
            )));
        }
        let (link, _token) = admin.state.sharing.add_link(NewLink {
            fid: entry.fid,
            right,
            label: String::new(),
            password: new.password,
            expires: new.expires_ms.map(Timestamp),
            downloads_max: new.limit,
            created_by: place.space.owner,
        })?;
        admin.note(
            Action::LinkCreate,
            place.path.to_string(),
            format!("link {} {right}", link.id),
        )?;
        admin.describe_link(&link)
    });
    Ok(Json(json!({ "link": link.await? })))
}

#[derive(Deserialize)]
pub(super) struct Numbered {
    id: i64,
}

pub(super) async fn revoke_link(admin: Shared, Json(Numbered { id }): Json<Numbered>) -> Answer {
    on_disk(&admin, move |admin| {
        if !admin.state.sharing.revoke_link(id)? {
            return Err(
                Failure::missing(format!("there is no link {id} that works"))
                    .hint("`cumulet link list` shows all"),
            );
        }
        admin.note(Action::LinkRevoke, format!("link {id}"), "")
    })
    .await?;
    Ok(Json(json!({ "revoked": true })))
}

impl Admin {
    fn describe_grant(&self, grant: &Grant) -> Result<Value, Failure> {
        Ok(json!({
            "id": grant.id,
            "path": self.path_of(grant.fid)?,
            "who": self.grantee_name(grant.grantee)?,
            "access": access_name(grant.access),
            "by": self.account_name(grant.by)?,
            "created": grant.created.to_string(),
            "seen_as": grant.share_name.as_ref().map(|name| name.as_str()),
        }))
    }

    fn grantee_name(&self, grantee: Grantee) -> Result<String, Failure> {
        match grantee {
            Grantee::Everyone => Ok(EVERYONE.into()),
            Grantee::Account(id) => self.account_name(id),
            Grantee::Friend(id) => Ok(match self.state.sharing.friend_by_id(id)? {
                Some(friend) => format!("{FRIEND}{}", friend.name),
                None => format!("{FRIEND}{}", id.0),
            }),
        }
    }

    fn account_name(&self, id: AccountId) -> Result<String, Failure> {
        let account = self.state.sharing.account_by_id(id)?;
        Ok(account.map_or_else(
            || format!("account {id}"),
            |account| account.name.to_string(),
        ))
    }

    fn grantee(&self, who: &str) -> Result<Grantee, Failure> {
        if let Some(name) = who.strip_prefix(FRIEND) {
            let friend = self.state.sharing.friend(name)?;
            if let Some(friend) = friend {
                return Ok(Grantee::Friend(friend.id));
            }
            let all = self.state.sharing.friends()?;
            let names: Vec<_> = all.iter().map(|friend| friend.name.as_str()).collect();
            let missing = Failure::missing(format!("there is no friend `{name}`"));
            return Err(if names.is_empty() {
                missing.hint("`cumulet friend invite` makes a ticket for one")
            } else {
                missing.hint(format!("friends are called {}", names.join(", ")))
            });
        }
        match self.state.sharing.account(who)? {
            Some(account) => Ok(Grantee::Account(account.id)),
            None if who == EVERYONE => Ok(Grantee::Everyone),
            None => Err(Failure::missing(format!("there is no account `{who}`"))
                .hint("share with the name of an account, with `everyone` on this node, or with `friend:NAME`")),
        }
    }
}

/// What stands before the name of a friend.
const FRIEND: &str = "friend:";
/// The word for all accounts of the node.
const EVERYONE: &str = "everyone";

fn access_name(access: Access) -> &'static str {
    match access {
        Access::Read => "r",
        Access::Write => "rw",
    }
}

pub(super) async fn shares(admin: Shared) -> Answer {
    let shares = on_disk(&admin, |admin| {
        let mut shares = Vec::new();
        for account in admin.state.sharing.accounts()? {
            for grant in admin.state.sharing.granted_by(account.id)? {
                shares.push(admin.describe_grant(&grant)?);
            }
        }
        Ok(shares)
    });
    Ok(Json(json!({ "shares": shares.await? })))
}

#[derive(Deserialize)]
pub(super) struct ShareToMake {
    path: String,
    who: String,
    access: String,
}

pub(super) async fn add_share(admin: Shared, Json(new): Json<ShareToMake>) -> Answer {
    let share = on_disk(&admin, move |admin| {
        let access = match new.access.as_str() {
            "r" => Access::Read,
            "rw" => Access::Write,
            other => {
                return Err(Failure::input(format!(
                    "`{other}` is no access; write r or rw"
                )));
            }
        };
        let place = admin.place(&new.path)?;
        let entry = admin.entry(&place)?;
        let grantee = admin.grantee(&new.who)?;
        if grantee == Grantee::Account(place.space.owner) {
            return Err(Failure::new(
                Kind::Refused,
                format!("{} belongs to {} already", place.path, new.who),
            ));
        }
        let (sharing, by) = (&admin.state.sharing, place.space.owner);
        let grant = match grantee {
            Grantee::Account(_) | Grantee::Everyone => {
                sharing.add_grant(entry.fid, grantee, access, by)?
            }
            Grantee::Friend(friend) => {
                let top = entry.parent.is_none();
                let name = if top { &place.space.name } else { &entry.name };
                sharing.share_with_friend(entry.fid, friend, access, by, name)?
            }
        };
        admin.note(
            Action::GrantCreate,
            place.path.to_string(),
            format!("{} {}", new.who, access_name(access)),
        )?;
        admin.describe_grant(&grant)
    });
    Ok(Json(json!({ "share": share.await? })))
}

#[derive(Deserialize)]
pub(super) struct ShareToEnd {
    id: Option<i64>,
    path: Option<String>,
    who: Option<String>,
}

pub(super) async fn remove_share(admin: Shared, Json(old): Json<ShareToEnd>) -> Answer {
    on_disk(&admin, move |admin| {
        let id = match (old.id, old.path, old.who) {
            (Some(id), _, _) => id,
            (None, Some(path), Some(who)) => {
                let place = admin.place(&path)?;
                let entry = admin.entry(&place)?;
                let grantee = admin.grantee(&who)?;
                let grants = admin.state.sharing.grants(entry.fid)?;
                let grant = grants.into_iter().find(|grant| grant.grantee == grantee);
                grant
                    .ok_or_else(|| Failure::missing(format!("{path} is not shared with {who}")))?
                    .id
            }
            (None, _, _) => {
                return Err(Failure::input(
                    "name a share by its number, or by path and person",
                ));
            }
        };
        if !admin.state.sharing.remove_grant(id)? {
            return Err(Failure::missing(format!("there is no share {id}"))
                .hint("`cumulet share list` shows all"));
        }
        admin.note(Action::GrantRemove, format!("share {id}"), "")
    })
    .await?;
    Ok(Json(json!({ "removed": true })))
}

pub(super) async fn lan_only(admin: Shared) -> Answer {
    let list = on_disk(&admin, |admin| {
        let list = admin.state.sharing.lan_only()?;
        list.into_iter()
            .map(|what| match what {
                LanOnly::Entry(fid) => admin.path_of(fid).map(|path| json!({ "path": path })),
                LanOnly::Service(service) => Ok(json!({ "service": service.name() })),
            })
            .collect::<Result<Vec<_>, _>>()
    });
    Ok(Json(json!({ "lan_only": list.await? })))
}

#[derive(Deserialize)]
pub(super) struct LanOnlyWish {
    what: String,
    on: bool,
}

pub(super) async fn set_lan_only(admin: Shared, Json(wish): Json<LanOnlyWish>) -> Answer {
    let changed = on_disk(&admin, move |admin| {
        let what = if wish.what.contains(':') {
            let place = admin.place(&wish.what)?;
            LanOnly::Entry(admin.entry(&place)?.fid)
        } else {
            let service = wish.what.parse::<Service>();
            LanOnly::Service(
                service
                    .map_err(|why| Failure::input(why).hint("or write a path as USER:/folder"))?,
            )
        };
        let changed = admin.state.sharing.set_lan_only(what, wish.on)?;
        if changed {
            admin.note(
                Action::LanOnly,
                wish.what,
                if wish.on { "on" } else { "off" },
            )?;
        }
        Ok(changed)
    });
    Ok(Json(json!({ "changed": changed.await? })))
}

#[derive(Deserialize)]
pub(super) struct TrashOf {
    /// All people, if none is named.
    name: Option<String>,
}

pub(super) async fn trash(admin: Shared, Json(of): Json<TrashOf>) -> Answer {
    let list = on_disk(&admin, move |admin| {
        let spaces = match of.name {
            Some(name) => vec![admin.space(name.split(':').next().unwrap_or(&name))?],
            None => admin.state.files.spaces()?,
        };
        let mut list = Vec::new();
        for space in spaces {
            for gone in admin.state.files.trash(space.id)? {
                list.push(json!({
                    "id": gone.id,
                    "name": gone.name.as_str(),
                    "path": format!("{}:/{}", space.name, gone.old_path.trim_start_matches('/')),
                    "kind": match gone.kind { files::Kind::File => "file", files::Kind::Folder => "folder" },
                    "size_bytes": gone.size,
                    "deleted": gone.deleted_at.to_string(),
                    "by": gone.deleted_by,
                    "until": gone.until.to_string(),
                }));
            }
        }
        Ok(list)
    });
    Ok(Json(json!({ "trash": list.await? })))
}

#[derive(Deserialize)]
pub(super) struct Restore {
    id: i64,
    to: Option<String>,
}

pub(super) async fn restore(admin: Shared, Json(wish): Json<Restore>) -> Answer {
    let path = on_disk(&admin, move |admin| {
        let to: Option<At> = wish
            .to
            .as_deref()
            .map(|to| admin.place(to))
            .transpose()?
            .map(|place| place.at);
        let op = Op::new(Change::Restore {
            trash_id: wish.id,
            to,
        });
        let done = admin.state.files.commit(&console(), vec![op]).pop();
        let done = done
            .ok_or_else(|| Failure::fault("a commit gave no answer"))?
            .map_err(|refusal| no_restore(wish.id, refusal))?;
        match done.entry {
            Some(entry) => admin.path_of(entry.fid),
            None => Err(Failure::fault("a restore gave no entry")),
        }
    });
    Ok(Json(json!({ "restored": path.await? })))
}

fn no_restore(id: i64, refusal: files::Refusal) -> Failure {
    use files::Refusal as R;
    if matches!(refusal, R::NotFound) {
        return Failure::missing(format!("the trash has nothing of number {id}"))
            .hint("`cumulet trash list` shows what can be restored");
    }
    let elsewhere = matches!(refusal, R::Exists | R::ParentMissing(_));
    let failure = Failure::from(refusal);
    if elsewhere {
        return failure.hint("give another place: --to USER:/folder/name");
    }
    failure
}
