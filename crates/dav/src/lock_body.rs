//! The body of LOCK (RFC 4918 sections 9.10 and 14.11).

use crate::XmlError;
use crate::xml::{Cursor, Step, decode};

/// Longest description of a lock's owner that we keep.
const OWNER_BYTES_MAX: usize = 8 << 10;

/// What a LOCK request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockBody {
    /// No body: refresh the lock named in the If header (section 9.10.2).
    Refresh,
    /// A new write lock.
    New {
        /// Exclusive or shared.
        exclusive: bool,
        /// The `DAV:owner` element as XML that stands alone; empty if none was sent.
        owner_xml: String,
    },
}

impl LockBody {
    /// Parses a body.
    pub fn parse(body: &[u8]) -> Result<Self, XmlError> {
        if body.is_empty() {
            return Ok(Self::Refresh);
        }
        let text = decode(body)?;
        let mut cursor = Cursor::new(&text)?;
        cursor.root("lockinfo")?;
        let (mut scope, mut kind, mut owner_xml) = (None, None, String::new());
        loop {
            match cursor.step()? {
                Step::Open(element) if element.is("lockscope") => {
                    scope = Some(only_child(&mut cursor)?);
                }
                Step::Open(element) if element.is("locktype") => {
                    kind = Some(only_child(&mut cursor)?);
                }
                Step::Open(element) if element.is("owner") => {
                    owner_xml = cursor.capture(&element)?.0;
                    if owner_xml.len() > OWNER_BYTES_MAX {
                        return Err(XmlError::PropertyTooLong {
                            name: "owner".into(),
                            bytes: owner_xml.len(),
                            limit: OWNER_BYTES_MAX,
                        });
                    }
                }
                Step::Open(_) => cursor.skip()?,
                Step::Text(_) => {}
                Step::Close | Step::End => break,
            }
        }
        cursor.finish()?;
        if kind.as_deref() != Some("write") {
            return Err(unexpected("its locktype is not write"));
        }
        let exclusive = match scope.as_deref() {
            Some("exclusive") => true,
            Some("shared") => false,
            Some(_) | None => return Err(unexpected("its lockscope is not exclusive or shared")),
        };
        Ok(Self::New {
            exclusive,
            owner_xml,
        })
    }
}

/// Local name of the DAV: child of the element that was just opened; the last one if several.
fn only_child(cursor: &mut Cursor<'_>) -> Result<String, XmlError> {
    let mut name = String::new();
    loop {
        match cursor.step()? {
            Step::Open(element) => {
                cursor.skip()?;
                if element.name.namespace == crate::xml::DAV {
                    name = element.name.name;
                }
            }
            Step::Text(_) => {}
            Step::Close | Step::End => return Ok(name),
        }
    }
}

fn unexpected(why: &str) -> XmlError {
    XmlError::Unexpected {
        expected: "lockinfo",
        why: why.into(),
    }
}
