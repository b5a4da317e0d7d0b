//! `<state>/center.json`: the zone and name that the center gave, so that a node that starts while
//! its center is away knows its own address. Written as a whole when they change; a lost or
//! damaged file costs only that.

use std::path::PathBuf;

use protocol::NodeName;
use protocol::message::center::{CenterAddress, ZONE_BYTES_MAX};
use serde::{Deserialize, Serialize};

use crate::layout;

/// What a center gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Given {
    /// The id of the center.
    center: String,
    /// Where it gives names.
    pub(super) zone: String,
    /// The name of this node there.
    pub(super) name: Option<NodeName>,
}

pub(super) struct Memory {
    file: PathBuf,
    center: String,
}

impl Memory {
    pub(super) fn at(file: PathBuf, center: &CenterAddress) -> Self {
        let center = center.id.to_string();
        Self { file, center }
    }

    /// What this center gave before; nothing of another center's.
    pub(super) fn load(&self) -> Option<Given> {
        let bytes = match std::fs::read(&self.file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "cannot read what the center gave; it is asked again");
                return None;
            }
        };
        let given: Given = serde_json::from_slice(&bytes)
            .inspect_err(|error| {
                tracing::warn!(%error, "what the center gave cannot be read; it is asked again");
            })
            .ok()?;
        (given.center == self.center && given.zone.len() <= ZONE_BYTES_MAX).then_some(given)
    }

    /// Keeps what it gives now. Blocks on the disk.
    pub(super) fn save(&self, zone: &str, name: Option<&NodeName>) {
        let given = Given {
            center: self.center.clone(),
            zone: zone.to_owned(),
            name: name.cloned(),
        };
        if self.load().as_ref() == Some(&given) {
            return;
        }
        let saved = serde_json::to_vec(&given)
            .map_err(anyhow::Error::from)
            .and_then(|bytes| Ok(layout::replace(&self.file, &bytes, 0o600)?));
        if let Err(error) = saved {
            tracing::warn!(
                error = format!("{error:#}"),
                "cannot keep what the center gave"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_center_gave_is_not_taken_for_anothers() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("center.json");
        let center = |id: u8| -> CenterAddress {
            let id = protocol::NodeSecret::from_bytes([id; 32]).id();
            format!("cumulet-center:{id}@127.0.0.1:1").parse().unwrap()
        };
        let memory = |id| Memory::at(file.clone(), &center(id));
        assert_eq!(memory(1).load(), None);
        let anna = "anna".parse().unwrap();
        memory(1).save("cloud.test", Some(&anna));
        let given = memory(1).load().unwrap();
        assert_eq!(
            (given.zone.as_str(), given.name),
            ("cloud.test", Some(anna))
        );
        assert_eq!(memory(2).load(), None);
        std::fs::write(&file, "{").unwrap();
        assert_eq!(memory(1).load(), None);
        memory(1).save("cloud.test", None);
        assert_eq!(memory(1).load().unwrap().name, None);
    }
}
