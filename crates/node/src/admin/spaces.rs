//! Commands about spaces: who has which, and what removed people left.

use axum::Json;
use files::LeftOver;
use serde::Deserialize;
use serde_json::{Value, json};
use sharing::Action;

use super::{Admin, Answer, Failure, Shared, on_disk};

impl Admin {
    fn left_over(&self, name: &str) -> Result<LeftOver, Failure> {
        self.state.files.left_over_space(name).map_err(|error| {
            Failure::from(error).hint("`cumulet space list` shows what removed people left")
        })
    }

    fn describe_left_over(&self, one: &LeftOver) -> Value {
        json!({
            "name": one.space.name.as_str(),
            "state": "left-over",
            "person": null,
            "used_bytes": one.used,
            "files": one.files,
            "kept_bytes": one.kept,
            "bound": one.binds,
            "folder": self.state.layout.volume.join(one.space.name.as_str()),
        })
    }
}

pub(super) async fn list(admin: Shared) -> Answer {
    let spaces = on_disk(&admin, |admin| {
        let (files, sharing) = (&admin.state.files, &admin.state.sharing);
        let mut rows = Vec::new();
        for space in files.spaces()? {
            let person = sharing.account_by_id(space.owner)?;
            rows.push(json!({
                "name": space.name.as_str(),
                "state": "in-use",
                "person": person.map(|person| person.name.to_string()),
                "used_bytes": files.usage(space.id)?.used,
                "folder": admin.state.layout.volume.join(space.name.as_str()),
            }));
        }
        let left = files.left_over_spaces()?;
        rows.extend(left.iter().map(|one| admin.describe_left_over(one)));
        Ok(rows)
    });
    Ok(Json(json!({ "spaces": spaces.await? })))
}

#[derive(Deserialize)]
pub(super) struct Give {
    name: String,
    to: String,
}

pub(super) async fn give(admin: Shared, Json(wish): Json<Give>) -> Answer {
    on_disk(&admin, move |admin| {
        let to = admin.account(&wish.to)?;
        let left = admin.left_over(&wish.name)?;
        admin.state.files.hand_over_space(left.space.id, to.id)?;
        let target = format!("{}:/", left.space.name);
        admin.note(Action::SpaceHandOver, target, to.name.as_str())
    })
    .await?;
    Ok(Json(json!({ "given": true })))
}

#[derive(Deserialize)]
pub(super) struct Purge {
    name: String,
    dry_run: bool,
}

pub(super) async fn purge(admin: Shared, Json(wish): Json<Purge>) -> Answer {
    let (done, space) = on_disk(&admin, move |admin| {
        let left = admin.left_over(&wish.name)?;
        let told = admin.describe_left_over(&left);
        if !wish.dry_run {
            admin.state.files.purge_space(left.space.id)?;
            let target = format!("{}:/", left.space.name);
            admin.note(Action::SpacePurge, target, format!("{} files", left.files))?;
        }
        Ok((!wish.dry_run, told))
    })
    .await?;
    Ok(Json(json!({ "purged": done, "space": space })))
}
