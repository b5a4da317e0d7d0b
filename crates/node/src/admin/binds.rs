//! Commands about bound folders: `bind`, `unbind`, and how far indexing is.

use std::path::PathBuf;

use axum::Json;
use files::{Bind, BindError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::content::console;
use super::{Admin, Answer, Failure, Kind, Shared, on_disk};

impl Admin {
    fn describe_bind(&self, bind: &Bind) -> Result<Value, Failure> {
        Ok(json!({
            "place": self.path_of(bind.fid)?,
            "path": bind.root,
            "indexed": bind.indexed,
            "state": match &bind.state {
                pool::VolumeState::Ready => "ready",
                pool::VolumeState::ReadOnly { .. } => "read-only",
                pool::VolumeState::Away { .. } => "away",
            },
            "trouble": match &bind.state {
                pool::VolumeState::Ready => None,
                pool::VolumeState::ReadOnly { why } | pool::VolumeState::Away { why } => Some(why),
            },
        }))
    }

    fn bind_at(&self, place: &str) -> Result<Bind, Failure> {
        let at = self.place(place)?.at;
        let bind = self
            .state
            .files
            .binds()?
            .into_iter()
            .find(|bind| bind.at == at);
        bind.ok_or_else(|| BindError::NotBound(place.to_owned()).into())
    }
}

pub(super) async fn list(admin: Shared) -> Answer {
    let binds = on_disk(&admin, |admin| {
        let binds = admin.state.files.binds()?;
        binds
            .iter()
            .map(|bind| admin.describe_bind(bind))
            .collect::<Result<Vec<_>, _>>()
    });
    Ok(Json(json!({ "binds": binds.await? })))
}

#[derive(Deserialize)]
pub(super) struct BindToMake {
    path: PathBuf,
    place: String,
    /// Folders of the system too.
    #[serde(default)]
    force: bool,
}

pub(super) async fn add(admin: Shared, Json(new): Json<BindToMake>) -> Answer {
    let bind = on_disk(&admin, move |admin| {
        let place = admin.place(&new.place)?;
        if !new.path.is_dir() {
            return Err(Failure::missing(format!(
                "{} is no folder of this computer",
                new.path.display()
            )));
        }
        let files = &admin.state.files;
        if new.force {
            files.bind_anyway(&new.path, &place.at, &console())?;
        } else {
            files.bind(&new.path, &place.at, &console())?;
        }
        admin.describe_bind(&admin.bind_at(&new.place)?)
    });
    Ok(Json(json!({ "bind": bind.await? })))
}

#[derive(Deserialize)]
pub(super) struct AtPlace {
    place: String,
}

/// How far a bound folder is. Without a running node nobody else indexes, so this does.
pub(super) async fn index(admin: Shared, Json(at): Json<AtPlace>) -> Answer {
    let bind = on_disk(&admin, move |admin| {
        let bind = admin.bind_at(&at.place)?;
        if !bind.indexed && admin.running.is_none() {
            admin.state.files.scan(bind.volume, None)?;
        }
        admin.describe_bind(&admin.bind_at(&at.place)?)
    });
    Ok(Json(json!({ "bind": bind.await? })))
}

/// How many entries of a bound folder are known so far.
pub(super) async fn count(admin: Shared, Json(at): Json<AtPlace>) -> Answer {
    let known = on_disk(&admin, move |admin| {
        let bind = admin.bind_at(&at.place)?;
        Ok(admin.state.files.bound_entries(&bind)?)
    });
    Ok(Json(json!({ "entries": known.await? })))
}

#[derive(Deserialize)]
pub(super) struct BindToRemove {
    place: String,
    /// Only tell what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Lets go of a bound folder. Its `.cumulet` stays in it with old versions and trash, which this
/// node forgets; the answer names it, if there is one.
pub(super) async fn remove(admin: Shared, Json(wish): Json<BindToRemove>) -> Answer {
    let answer = on_disk(&admin, move |admin| {
        let bind = admin.bind_at(&wish.place)?;
        let own = bind.root.join(".cumulet");
        let entries = admin.state.files.bound_entries(&bind)?;
        if !wish.dry_run {
            admin.state.files.unbind(&bind.at, &console())?;
        }
        Ok(json!({
            "removed": !wish.dry_run,
            "entries": entries,
            "files_stay_in": bind.root,
            "history_stays_in": own.is_dir().then_some(own),
        }))
    });
    Ok(Json(answer.await?))
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Internal(error) => error.into(),
            BindError::NotBound(_) => {
                Self::of(Kind::Missing, &error).hint("`cumulet status` lists bound folders")
            }
            BindError::NoParent(_) => {
                Self::of(Kind::Missing, &error).hint("make that folder first")
            }
            BindError::Taken(_) => Self::of(Kind::Refused, &error)
                .hint("bind to a name that is free, such as alice:/Photos2"),
            BindError::Overlap { .. } => {
                Self::of(Kind::Refused, &error).hint("a folder can be served once only")
            }
            BindError::State { .. } => Self::of(Kind::Refused, &error).hint(
                "bind another folder, one that neither lies in the state folder nor holds it",
            ),
            BindError::System { .. } => Self::of(Kind::Refused, &error).hint(
                "bind a folder of your own, such as one in /srv or /home/NAME; --force binds it anyway",
            ),
            BindError::Nested(_) => Self::of(Kind::Refused, &error),
            BindError::Busy(_) => Self::of(Kind::Unreachable, &error),
            BindError::Volume { .. } => Self::of(Kind::Configuration, &error),
            _ => Self::of(Kind::Fault, &error),
        }
    }
}
