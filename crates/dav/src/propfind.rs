//! The body of PROPFIND (RFC 4918 sections 9.1 and 14.20).

use crate::XmlError;
use crate::xml::{Cursor, Step, decode};

/// Most properties in one request; bounds the work for each entry of a large folder.
pub const PROPS_MAX: usize = 256;

/// The expanded name of a property.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PropName {
    /// Namespace URI, possibly empty.
    pub namespace: String,
    /// Local name.
    pub name: String,
}

/// What a client wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropFind {
    /// All properties of RFC 4918 and all dead ones, and the ones named besides.
    AllProp {
        /// From `DAV:include`.
        include: Vec<PropName>,
    },
    /// The names only.
    PropName,
    /// These, in order, without repetition.
    Prop(Vec<PropName>),
}

impl PropFind {
    /// Parses a body; an empty one means all properties (section 9.1).
    pub fn parse(body: &[u8]) -> Result<Self, XmlError> {
        if body.is_empty() {
            return Ok(Self::AllProp {
                include: Vec::new(),
            });
        }
        let text = decode(body)?;
        let mut cursor = Cursor::new(&text)?;
        cursor.root("propfind")?;
        let mut found = None;
        let mut include = Vec::new();
        loop {
            match cursor.step()? {
                Step::Open(element) => {
                    let choice = if element.is("allprop") {
                        cursor.skip()?;
                        Self::AllProp {
                            include: Vec::new(),
                        }
                    } else if element.is("propname") {
                        cursor.skip()?;
                        Self::PropName
                    } else if element.is("prop") {
                        Self::Prop(names(&mut cursor)?)
                    } else if element.is("include") {
                        include.append(&mut names(&mut cursor)?);
                        continue;
                    } else {
                        // Section 17: unknown elements are passed over.
                        cursor.skip()?;
                        continue;
                    };
                    if found.replace(choice).is_some() {
                        return Err(unexpected(
                            "only one of allprop, propname and prop can be asked for",
                        ));
                    }
                }
                Step::Text(_) => {}
                Step::Close | Step::End => break,
            }
        }
        cursor.finish()?;
        match found {
            Some(Self::AllProp { .. }) => Ok(Self::AllProp { include }),
            Some(other @ (Self::PropName | Self::Prop(_))) => Ok(other),
            None => Err(unexpected("it holds none of allprop, propname and prop")),
        }
    }
}

fn unexpected(why: &str) -> XmlError {
    XmlError::Unexpected {
        expected: "propfind",
        why: why.into(),
    }
}

/// The names inside of the element that was just opened.
fn names(cursor: &mut Cursor<'_>) -> Result<Vec<PropName>, XmlError> {
    let mut names: Vec<PropName> = Vec::new();
    loop {
        match cursor.step()? {
            Step::Open(element) => {
                cursor.skip()?;
                if !names.contains(&element.name) {
                    names.push(element.name);
                }
                if names.len() > PROPS_MAX {
                    return Err(XmlError::TooManyProperties(PROPS_MAX));
                }
            }
            Step::Text(_) => {}
            Step::Close | Step::End => return Ok(names),
        }
    }
}
