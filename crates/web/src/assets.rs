//! Style, script and icons: part of the program, served under an address that holds their hash, so
//! that browsers keep them for good and never mix versions.

use std::sync::OnceLock;

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};

use crate::call::{Answer, Call};
use crate::problem::Problem;

/// A file of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asset {
    Style,
    Script,
    Icons,
    Favicon,
}

impl Asset {
    const ALL: [Self; 4] = [Self::Style, Self::Script, Self::Icons, Self::Favicon];

    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Style => include_bytes!("../assets/style.css"),
            Self::Script => include_bytes!("../assets/page.js"),
            Self::Icons => include_bytes!("../assets/icons.svg"),
            Self::Favicon => include_bytes!("../assets/favicon.svg"),
        }
    }

    fn name(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Style => ("style", "css", "text/css; charset=utf-8"),
            Self::Script => ("page", "js", "text/javascript; charset=utf-8"),
            Self::Icons => ("icons", "svg", "image/svg+xml"),
            Self::Favicon => ("favicon", "svg", "image/svg+xml"),
        }
    }

    /// Its address, such as `/assets/style-1f2e3d4c5b6a7988.css`.
    pub(crate) fn address(self) -> &'static str {
        static ADDRESSES: OnceLock<[String; 4]> = OnceLock::new();
        let all = ADDRESSES.get_or_init(|| {
            Self::ALL.map(|asset| {
                let (stem, extension, _) = asset.name();
                let hash = blake3::hash(asset.bytes()).to_hex();
                format!("/assets/{stem}-{}.{extension}", &hash[..16])
            })
        });
        match self {
            Self::Style => &all[0],
            Self::Script => &all[1],
            Self::Icons => &all[2],
            Self::Favicon => &all[3],
        }
    }
}

/// `GET /assets/NAME-HASH.EXT`.
pub(crate) async fn serve(call: Call) -> Answer {
    let path = call.head.uri.path();
    let asset = Asset::ALL
        .into_iter()
        .find(|asset| asset.address() == path)
        .ok_or(Problem::NOT_FOUND)?;
    let mut response = Response::new(Body::from(asset.bytes()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.name().2));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    Ok(response)
}
