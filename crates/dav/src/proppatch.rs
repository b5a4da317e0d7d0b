//! The body of PROPPATCH (RFC 4918 sections 9.2 and 14.19).

use crate::xml::{Cursor, Step, decode};
use crate::{PROPS_MAX, PropName, XmlError};

/// Longest property as we store it.
pub const DEAD_PROPERTY_BYTES_MAX: usize = 64 << 10;

/// One instruction; the order of the document counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch {
    /// Set to a value.
    Set {
        /// Which property.
        name: PropName,
        /// The whole property element, standing alone: all namespaces that it uses and the
        /// `xml:lang` in scope are declared on it; else as it was sent.
        xml: String,
        /// Its characters, for the few properties that we act on ourselves.
        text: String,
    },
    /// Remove; no error if there is none.
    Remove {
        /// Which property.
        name: PropName,
    },
}

impl Patch {
    /// The property that is set or removed.
    #[must_use]
    pub fn name(&self) -> &PropName {
        match self {
            Self::Set { name, .. } | Self::Remove { name } => name,
        }
    }
}

/// All instructions, in document order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropPatch {
    /// At least one, at most [`PROPS_MAX`].
    pub patches: Vec<Patch>,
}

impl PropPatch {
    /// Parses a body.
    pub fn parse(body: &[u8]) -> Result<Self, XmlError> {
        let text = decode(body)?;
        let mut cursor = Cursor::new(&text)?;
        cursor.root("propertyupdate")?;
        let mut patches = Vec::new();
        loop {
            match cursor.step()? {
                Step::Open(element) if element.is("set") => {
                    instructions(&mut cursor, true, &mut patches)?;
                }
                Step::Open(element) if element.is("remove") => {
                    instructions(&mut cursor, false, &mut patches)?;
                }
                Step::Open(_) => cursor.skip()?,
                Step::Text(_) => {}
                Step::Close | Step::End => break,
            }
        }
        cursor.finish()?;
        if patches.is_empty() {
            return Err(XmlError::Unexpected {
                expected: "propertyupdate",
                why: "it sets and removes nothing".into(),
            });
        }
        Ok(Self { patches })
    }
}

/// Inside of `set` or `remove`: their `prop` elements.
fn instructions(
    cursor: &mut Cursor<'_>,
    set: bool,
    patches: &mut Vec<Patch>,
) -> Result<(), XmlError> {
    loop {
        match cursor.step()? {
            Step::Open(element) if element.is("prop") => properties(cursor, set, patches)?,
            Step::Open(_) => cursor.skip()?,
            Step::Text(_) => {}
            Step::Close | Step::End => return Ok(()),
        }
    }
}

fn properties(
    cursor: &mut Cursor<'_>,
    set: bool,
    patches: &mut Vec<Patch>,
) -> Result<(), XmlError> {
    loop {
        match cursor.step()? {
            Step::Open(element) => {
                if patches.len() == PROPS_MAX {
                    return Err(XmlError::TooManyProperties(PROPS_MAX));
                }
                if !set {
                    cursor.skip()?;
                    patches.push(Patch::Remove { name: element.name });
                    continue;
                }
                let (xml, text) = cursor.capture(&element)?;
                if xml.len() > DEAD_PROPERTY_BYTES_MAX {
                    return Err(XmlError::PropertyTooLong {
                        name: element.name.name.chars().take(60).collect(),
                        bytes: xml.len(),
                        limit: DEAD_PROPERTY_BYTES_MAX,
                    });
                }
                patches.push(Patch::Set {
                    name: element.name,
                    xml,
                    text,
                });
            }
            Step::Text(_) => {}
            Step::Close | Step::End => return Ok(()),
        }
    }
}
