//! A multistatus of another node as rows: the other side of [`crate::Reply`].
//!
//! Takes the bytes of a stranger: bounded in bytes and rows, and whatever is not understood is
//! passed over.

use protocol::EntryName;

use crate::XmlError;
use crate::target::decode_path;
use crate::xml::{Cursor, Step};

/// Longest answer that is read.
pub const LISTING_BYTES_MAX: usize = 16 << 20;

/// The body of a PROPFIND that asks for what a [`Listed`] holds.
pub const LISTING_QUERY: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
     <propfind xmlns=\"DAV:\"><prop><resourcetype/><getcontentlength/><getlastmodified/>\
     <getetag/></prop></propfind>";

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Decoded names of its address.
    pub path: Vec<EntryName>,
    /// A collection.
    pub folder: bool,
    /// `getcontentlength`.
    pub size: u64,
    /// `getlastmodified`, as it was sent.
    pub modified: String,
    /// `getetag`, as it was sent; empty for a folder.
    pub etag: String,
}

/// Reads a multistatus; rows whose address is no path are left out.
pub fn read_listing(body: &[u8]) -> Result<Vec<Listed>, XmlError> {
    if body.len() > LISTING_BYTES_MAX {
        return Err(XmlError::TooLong(body.len()));
    }
    let text = std::str::from_utf8(body).map_err(|_| XmlError::Encoding)?;
    let mut cursor = Cursor::new(text)?;
    cursor.root("multistatus")?;
    let mut rows = Vec::new();
    loop {
        match cursor.step()? {
            Step::Open(element) if element.is("response") => {
                if let Some(row) = response(&mut cursor)? {
                    rows.push(row);
                }
            }
            Step::Open(_) => cursor.skip()?,
            Step::Text(_) => {}
            Step::Close => break,
            Step::End => break,
        }
    }
    cursor.finish()?;
    Ok(rows)
}

fn response(cursor: &mut Cursor<'_>) -> Result<Option<Listed>, XmlError> {
    let mut row = Listed {
        path: Vec::new(),
        folder: false,
        size: 0,
        modified: String::new(),
        etag: String::new(),
    };
    let mut href = String::new();
    let mut open = 1;
    let mut field = Field::None;
    while open > 0 {
        match cursor.step()? {
            Step::Open(element) => {
                open += 1;
                if element.is("collection") {
                    row.folder = true;
                }
                field = if element.is("href") && href.is_empty() {
                    Field::Href
                } else if element.is("getcontentlength") {
                    Field::Size
                } else if element.is("getlastmodified") {
                    Field::Modified
                } else if element.is("getetag") {
                    Field::Etag
                } else {
                    Field::None
                };
            }
            Step::Close => {
                open -= 1;
                field = Field::None;
            }
            Step::Text(text) => match field {
                Field::Href => href.push_str(&text),
                Field::Size => row.size = text.trim().parse().unwrap_or(0),
                Field::Modified => row.modified.push_str(text.get(..40).unwrap_or(&text)),
                Field::Etag => row.etag.push_str(text.get(..80).unwrap_or(&text)),
                Field::None => {}
            },
            Step::End => return Ok(None),
        }
    }
    Ok(decode_path(&href).ok().map(|path| Listed {
        path: path.names,
        ..row
    }))
}

enum Field {
    Href,
    Size,
    Modified,
    Etag,
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_replies_are_read_back() {
        let sent = "<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\"><D:response>\
             <D:href>/dav/files/P/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/>\
             </D:resourcetype></D:prop></D:propstat></D:response><D:response>\
             <D:href>/dav/files/P/a%20b</D:href><D:propstat><D:prop><D:resourcetype/>\
             <D:getcontentlength>12</D:getcontentlength><D:getlastmodified>Tue</D:getlastmodified>\
             </D:prop></D:propstat></D:response></D:multistatus>";
        let rows = read_listing(sent.as_bytes()).unwrap();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].folder);
        let names: Vec<_> = rows[1].path.iter().map(EntryName::as_str).collect();
        assert_eq!(names, ["dav", "files", "P", "a b"]);
        assert_eq!((rows[1].size, rows[1].modified.as_str()), (12, "Tue"));
    }

    #[test]
    fn garbage_is_an_error_and_bad_addresses_are_left_out() {
        assert!(read_listing(b"hello").is_err());
        assert!(read_listing(b"<a/>").is_err());
        assert!(read_listing(&[0xff; 9]).is_err());
        let bad = "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/a/../b</D:href>\
                   </D:response></D:multistatus>";
        assert_eq!(read_listing(bad.as_bytes()).unwrap(), []);
    }
}
