//! `cumulet serve`: runs a node in this process.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use node::{Failure, Kind, LayoutError};

use crate::arguments::Serve;
use crate::print;

pub(crate) fn run(serve: Serve, state: Option<PathBuf>, json: bool) -> Result<u8, Failure> {
    crate::log_to_stderr("info");
    let address = |text: Option<String>, port| {
        text.map(|text| node::config::listen_address(&text, port))
            .transpose()
            .map_err(Failure::input)
    };
    let options = node::Options {
        listen: address(serve.listen, node::config::HTTPS_PORT)?,
        http: address(serve.http, node::config::HTTP_PORT)?,
        http_public: serve.http_public,
        name: serve
            .name
            .map(|name| node::config::checked_name(&name))
            .transpose()
            .map_err(Failure::input)?,
        no_mdns: serve.no_mdns,
        beat: serve.beat.map(Duration::from_secs),
        beats_missed: serve.beats_missed,
        neighbors_max: serve.max_neighbors.map(usize::from),
        center: serve.center.map(|text| text.parse()).transpose().map_err(
            |error: protocol::message::center::CenterAddressError| {
                Failure::input(error.to_string())
            },
        )?,
        invite: serve
            .invite
            .map(|text| node::config::invite_token(&text))
            .transpose()
            .map_err(|why| Failure::input(format!("`--invite` {why}")))?,
        folder: serve.folder,
        state,
    };
    let served = node::serve(&options, |ready| {
        if !json {
            print::note(&ready.text(std::io::stderr().is_terminal()));
        }
        print::line(&ready.line(json));
    });
    served.map(|()| 0).map_err(|error| explain(&error))
}

fn explain(error: &anyhow::Error) -> Failure {
    let layout = error.downcast_ref::<LayoutError>();
    if let Some(LayoutError::Locked { holder, .. }) = layout {
        return Failure::of(Kind::Refused, error.as_ref()).hint(format!(
            "a node runs there already: `cumulet status` shows it, `kill {holder}` stops it"
        ));
    }
    let failure = Failure::of(Kind::Configuration, error.as_ref());
    if matches!(layout, Some(LayoutError::HomeAway { .. })) || failure.message.contains("is away") {
        return failure.hint("mount the disk that holds the folder, then start again");
    }
    if matches!(layout, Some(LayoutError::StateInside { .. })) {
        return failure.hint("leave `--state` out, or name a folder elsewhere");
    }
    let is_file = !failure.message.starts_with("cannot listen");
    let denied = error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied)
    });
    if denied && is_file {
        return failure.hint("name a folder that you may write to, or run as the user who may");
    }
    failure
}
