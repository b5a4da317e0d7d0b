//! `cumulet config`: what can be set, and what is.

use std::path::PathBuf;

use node::config::{Config, KEYS};
use node::{Failure, Kind, Layout};
use serde_json::json;

use crate::arguments;
use crate::{console, print};

pub(crate) fn run(
    wish: &arguments::Config,
    state: Option<PathBuf>,
    json: bool,
) -> Result<u8, Failure> {
    let layout = console::state_folder(state.clone()).and_then(|folder| {
        Layout::find(&folder).map_err(|error| Failure::of(Kind::Missing, &error))
    });
    // `--explain` needs no node unless one was named.
    let layout = match layout {
        Ok(layout) => Some(layout),
        Err(failure) if state.is_some() || !wish.explain => return Err(failure),
        Err(_) => None,
    };
    let config = match &layout {
        Some(layout) => Config::load(&layout.config_file())
            .map_err(|error| Failure::of(Kind::Configuration, &error))?,
        None => Config::default(),
    };
    let defaults = Config::default();
    if json {
        let keys = KEYS.iter().map(|key| {
            json!({ "key": key.name, "value": key.show(&config), "default": key.show(&defaults), "unit": key.unit, "reason": key.reason })
        });
        print::line(&json!({ "file": layout.map(|layout| layout.config_file()), "keys": keys.collect::<Vec<_>>() }).to_string());
        return Ok(0);
    }
    if let Some(layout) = layout {
        print::line(&format!("# {}", layout.config_file().display()));
    }
    for key in KEYS {
        let (value, default) = (key.show(&config), key.show(&defaults));
        if wish.explain {
            print::line(&format!(
                "\n# {}\n# {}; default {default}",
                key.reason, key.unit
            ));
        }
        let hash = if value == default { "# " } else { "" };
        print::line(&format!("{hash}{} = {value}", key.name));
    }
    Ok(0)
}
