//! Media types by the ending of a name. WebDAV clients use them to choose a program; browsers are
//! told not to trust them (`nosniff`, CSP `sandbox`).

/// What is known of no ending.
const UNKNOWN: &str = "application/octet-stream";

/// Longest ending that is looked up.
const ENDING_BYTES_MAX: usize = 8;

/// The media type for a file of this name.
pub(crate) fn media_type(name: &str) -> &'static str {
    let Some((_, ending)) = name.rsplit_once('.') else {
        return UNKNOWN;
    };
    let mut lower = [0; ENDING_BYTES_MAX];
    let Some(lower) = lower.get_mut(..ending.len()) else {
        return UNKNOWN;
    };
    lower.copy_from_slice(ending.as_bytes());
    lower.make_ascii_lowercase();
    of_ending(lower)
}

fn of_ending(ending: &[u8]) -> &'static str {
    match ending {
        b"txt" | b"log" | b"ini" | b"conf" | b"toml" | b"journal" => "text/plain; charset=utf-8",
        b"md" => "text/markdown; charset=utf-8",
        b"csv" => "text/csv; charset=utf-8",
        b"html" | b"htm" => "text/html; charset=utf-8",
        b"css" => "text/css; charset=utf-8",
        b"js" | b"mjs" => "text/javascript; charset=utf-8",
        b"json" => "application/json",
        b"xml" => "application/xml",
        b"ics" => "text/calendar; charset=utf-8",
        b"vcf" => "text/vcard; charset=utf-8",
        b"pdf" => "application/pdf",
        b"epub" => "application/epub+zip",
        b"zip" => "application/zip",
        b"gz" | b"tgz" => "application/gzip",
        b"bz2" => "application/x-bzip2",
        b"xz" => "application/x-xz",
        b"zst" => "application/zstd",
        b"7z" => "application/x-7z-compressed",
        b"tar" => "application/x-tar",
        b"jpg" | b"jpeg" => "image/jpeg",
        b"png" => "image/png",
        b"gif" => "image/gif",
        b"webp" => "image/webp",
        b"avif" => "image/avif",
        b"heic" | b"heif" => "image/heic",
        b"svg" => "image/svg+xml",
        b"tif" | b"tiff" => "image/tiff",
        b"bmp" => "image/bmp",
        b"ico" => "image/x-icon",
        b"mp3" => "audio/mpeg",
        b"ogg" | b"oga" | b"opus" => "audio/ogg",
        b"flac" => "audio/flac",
        b"wav" => "audio/wav",
        b"m4a" | b"aac" => "audio/mp4",
        b"mp4" | b"m4v" => "video/mp4",
        b"webm" => "video/webm",
        b"mkv" => "video/x-matroska",
        b"mov" => "video/quicktime",
        b"avi" => "video/x-msvideo",
        b"doc" => "application/msword",
        b"xls" => "application/vnd.ms-excel",
        b"ppt" => "application/vnd.ms-powerpoint",
        b"docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        b"xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        b"pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        b"odt" => "application/vnd.oasis.opendocument.text",
        b"ods" => "application/vnd.oasis.opendocument.spreadsheet",
        b"odp" => "application/vnd.oasis.opendocument.presentation",
        b"rtf" => "application/rtf",
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_the_ending_in_any_case() {
        assert_eq!(media_type("a.b.JPG"), "image/jpeg");
        assert_eq!(media_type("notes.md"), "text/markdown; charset=utf-8");
        for unknown in ["", "a", ".", "a.unknown-ending", "a.é", "jpg"] {
            assert_eq!(media_type(unknown), UNKNOWN, "{unknown}");
        }
    }
}
