//! What a browser may show: a short list of kinds that run nothing, by the ending of a name.

/// What kind of content a name promises, as far as we show it inline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Picture(&'static str),
    Film(&'static str),
    Sound(&'static str),
    Text,
    /// Downloaded, never shown.
    Other,
}

impl Media {
    /// By the ending of the name; the bytes are not looked at, and browsers must not either.
    pub(crate) fn of(name: &str) -> Self {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => Self::Picture("image/jpeg"),
            "png" => Self::Picture("image/png"),
            "gif" => Self::Picture("image/gif"),
            "webp" => Self::Picture("image/webp"),
            "avif" => Self::Picture("image/avif"),
            "mp4" | "m4v" => Self::Film("video/mp4"),
            "webm" => Self::Film("video/webm"),
            "mp3" => Self::Sound("audio/mpeg"),
            "ogg" | "oga" | "opus" => Self::Sound("audio/ogg"),
            "flac" => Self::Sound("audio/flac"),
            "txt" | "md" | "log" | "csv" | "tsv" | "ini" | "toml" | "yaml" | "yml" | "conf"
            | "json" | "rs" | "c" | "h" | "py" | "sh" | "ics" | "vcf" | "srt" | "journal" => {
                Self::Text
            }
            _ => Self::Other,
        }
    }

    /// What browsers are told.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Picture(kind) | Self::Film(kind) | Self::Sound(kind) => kind,
            Self::Text => "text/plain; charset=utf-8",
            Self::Other => "application/octet-stream",
        }
    }

    /// True if a browser may show it.
    pub(crate) fn is_shown(self) -> bool {
        self != Self::Other
    }
}
