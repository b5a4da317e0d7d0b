//! The one reader of XML bodies: strict, bounded, without document types.
//!
//! What it promises to the parsers above it: the body is at most [`BODY_BYTES_MAX`], well-formed
//! UTF-8 or UTF-16 (XML 1.0 section 4.3.3), elements nest at most [`DEPTH_MAX`] deep, a DOCTYPE is
//! refused and so only the five predefined entities and character references exist: expansion
//! cannot grow (RFC 4918 section 20.6). Everything that we would print again later is checked here,
//! so that one bad property cannot make a whole listing unreadable.

use std::borrow::Cow;

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, NamespaceResolver, PrefixDeclaration, QName, ResolveResult};
use thiserror::Error;

use crate::PropName;

/// Longest body of PROPFIND, PROPPATCH or LOCK.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting of elements.
pub const DEPTH_MAX: usize = 32;

/// The namespace of WebDAV itself.
pub const DAV: &str = "DAV:";

/// Why a body is refused; all are the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum XmlError {
    /// Longer than [`BODY_BYTES_MAX`].
    #[error("the XML body has {0} bytes, the limit is {BODY_BYTES_MAX}")]
    TooLong(usize),
    /// Neither UTF-8 nor UTF-16.
    #[error("the XML body is neither UTF-8 nor UTF-16")]
    Encoding,
    /// Elements nest deeper than [`DEPTH_MAX`].
    #[error("the XML body nests deeper than {DEPTH_MAX} elements")]
    TooDeep,
    /// A document type declaration.
    #[error("the XML body has a DOCTYPE, which is not accepted here")]
    DocType,
    /// An entity that only a document type could define.
    #[error("the XML body uses the entity `&{0};`, which is not defined")]
    Entity(String),
    /// Not well-formed, or namespaces not well-formed.
    #[error("the XML body is not well-formed at byte {at}: {why}")]
    Syntax {
        /// Offset in the decoded text.
        at: usize,
        /// What the reader says.
        why: String,
    },
    /// Well-formed, but not what this method takes.
    #[error("the XML body is not a {expected}: {why}")]
    Unexpected {
        /// The element that the method takes.
        expected: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// One property is longer than the limit.
    #[error("the property `{name}` has {bytes} bytes, the limit is {limit}")]
    PropertyTooLong {
        /// Its local name.
        name: String,
        /// Its size as we would store it.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// More properties than we accept in one request.
    #[error("the XML body names more than {0} properties")]
    TooManyProperties(usize),
}

/// Decodes the bytes of a body to text, without a byte order mark.
pub fn decode(body: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(XmlError::TooLong(body.len()));
    }
    // XML 1.0 appendix F: a mark, or the first `<` with its zero byte, tells UTF-16.
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        if !rest.len().is_multiple_of(2) {
            return Err(XmlError::Encoding);
        }
        let units = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .map(Cow::Owned)
            .map_err(|_| XmlError::Encoding)
    };
    match body {
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0, b'<', ..] => utf16(body, u16::from_be_bytes),
        [b'<', 0, ..] => utf16(body, u16::from_le_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        _ => utf8(body),
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|_| XmlError::Encoding)
}

/// One step through a document, with entities resolved and names expanded.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// An element begins; an empty one is followed by its [`Step::Close`] at once.
    Open(Element<'a>),
    /// The innermost open element ends.
    Close,
    /// Characters.
    Text(Cow<'a, str>),
    /// The end of the document.
    End,
}

/// The start of an element.
#[derive(Debug)]
pub(crate) struct Element<'a> {
    pub(crate) name: PropName,
    tag: BytesStart<'a>,
}

impl Element<'_> {
    pub(crate) fn is(&self, local: &str) -> bool {
        self.name.namespace == DAV && self.name.name == local
    }
}

/// Walks through a decoded body.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    reader: NsReader<&'a [u8]>,
    depth: usize,
    /// An empty element was opened; its close comes next.
    pending_close: bool,
    root_seen: bool,
    languages: Vec<Option<String>>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self, XmlError> {
        if let Some((at, bad)) = text.char_indices().find(|(_, c)| !is_xml_char(*c)) {
            return Err(syntax(
                at,
                format!("the character U+{:04X}", u32::from(bad)),
            ));
        }
        let mut reader = NsReader::from_str(text);
        reader.config_mut().check_comments = true;
        Ok(Self {
            text,
            reader,
            depth: 0,
            pending_close: false,
            root_seen: false,
            languages: Vec::new(),
        })
    }

    fn at(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn wrong(&self, why: impl ToString) -> XmlError {
        syntax(self.at(), why.to_string())
    }

    /// The next step; comments and processing instructions are passed over.
    pub(crate) fn step(&mut self) -> Result<Step<'a>, XmlError> {
        loop {
            if let Some(step) = self.event(None)? {
                return Ok(step);
            }
        }
    }

    /// Reads one event; `raw` collects what a property value consists of.
    fn event(&mut self, raw: Option<&mut String>) -> Result<Option<Step<'a>>, XmlError> {
        if std::mem::take(&mut self.pending_close) {
            self.languages.pop();
            return Ok(Some(Step::Close));
        }
        let before = self.at();
        let event = match self.reader.read_event() {
            Ok(event) => event,
            Err(error) => return Err(self.wrong(error)),
        };
        let verbatim = self.text.get(before..self.at()).unwrap_or_default();
        match event {
            Event::Start(tag) => self.open(tag, false, raw).map(Some),
            Event::Empty(tag) => self.open(tag, true, raw).map(Some),
            Event::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                self.languages.pop();
                if let Some(raw) = raw {
                    raw.push_str(verbatim);
                }
                Ok(Some(Step::Close))
            }
            Event::Text(text) => {
                if text.contains("]]>") {
                    return Err(self.wrong("`]]>` outside of a CDATA section"));
                }
                let text = text.into_inner();
                if self.depth == 0 && !text.chars().all(|c| c.is_ascii_whitespace()) {
                    return Err(self.wrong("text outside of the root element"));
                }
                if let Some(raw) = raw {
                    raw.push_str(verbatim);
                }
                Ok(Some(Step::Text(text)))
            }
            Event::CData(data) => {
                if self.depth == 0 {
                    return Err(self.wrong("CDATA outside of the root element"));
                }
                if let Some(raw) = raw {
                    raw.push_str(verbatim);
                }
                Ok(Some(Step::Text(data.into_inner())))
            }
            Event::GeneralRef(entity) => {
                let text = self.entity(&entity)?;
                if let Some(raw) = raw {
                    raw.push_str(verbatim);
                }
                Ok(Some(Step::Text(text)))
            }
            Event::Comment(_) => {
                if let Some(raw) = raw {
                    raw.push_str(verbatim);
                }
                Ok(None)
            }
            Event::PI(instruction) => {
                let target = instruction.target();
                if !is_ncname(target) || target.eq_ignore_ascii_case("xml") {
                    return Err(self.wrong("a processing instruction without a usable name"));
                }
                if let Some(raw) = raw {
                    raw.push_str(verbatim);
                }
                Ok(None)
            }
            Event::Decl(_) if before == 0 => Ok(None),
            Event::Decl(_) => Err(self.wrong("an XML declaration in the middle")),
            Event::DocType(_) => Err(XmlError::DocType),
            Event::Eof if self.depth > 0 => Err(self.wrong("the body ends inside of an element")),
            Event::Eof if !self.root_seen => Err(self.wrong("there is no element")),
            Event::Eof => Ok(Some(Step::End)),
        }
    }

    fn entity(&self, entity: &quick_xml::events::BytesRef<'_>) -> Result<Cow<'a, str>, XmlError> {
        if self.depth == 0 {
            return Err(self.wrong("text outside of the root element"));
        }
        let name: &str = entity;
        if entity.is_char_ref() {
            return match entity.resolve_char_ref() {
                Ok(Some(c)) if is_xml_char(c) => Ok(Cow::Owned(c.to_string())),
                Ok(_) | Err(_) => Err(self.wrong(format!("`&{name};` is no character of XML"))),
            };
        }
        predefined(name)
            .map(Cow::Borrowed)
            .ok_or_else(|| XmlError::Entity(shorten(name)))
    }

    fn open(
        &mut self,
        tag: BytesStart<'a>,
        empty: bool,
        raw: Option<&mut String>,
    ) -> Result<Step<'a>, XmlError> {
        if self.depth == 0 && std::mem::replace(&mut self.root_seen, true) {
            return Err(self.wrong("a second root element"));
        }
        if self.depth >= DEPTH_MAX {
            return Err(XmlError::TooDeep);
        }
        let language = self.check_attributes(&tag)?;
        self.languages.push(language);
        let name = self.expand(tag.name())?;
        if let Some(raw) = raw {
            print_tag(raw, &tag, &[], empty);
        }
        if empty {
            self.pending_close = true;
        } else {
            self.depth += 1;
        }
        Ok(Step::Open(Element { name, tag }))
    }

    fn expand(&self, name: QName<'_>) -> Result<PropName, XmlError> {
        let qname = name.0;
        let (prefix, local) = qname.split_once(':').unwrap_or(("", qname));
        if !is_ncname(local) || (qname.contains(':') && !is_ncname(prefix)) {
            return Err(self.wrong(format!("`{}` is no name", shorten(qname))));
        }
        let namespace = match self.reader.resolver().resolve_element(name).0 {
            ResolveResult::Bound(Namespace(uri)) => plain(uri),
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(prefix) => {
                return Err(self.wrong(format!("the prefix `{}` is not bound", shorten(&prefix))));
            }
        };
        Ok(PropName {
            namespace,
            name: local.to_owned(),
        })
    }

    /// Checks all attributes of a tag; answers its `xml:lang`.
    fn check_attributes(&self, tag: &BytesStart<'_>) -> Result<Option<String>, XmlError> {
        let mut language = None;
        let mut seen: Vec<(String, &str)> = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| self.wrong(error))?;
            let key = attribute.key.0;
            let value: &str = &attribute.value;
            self.check_value(value)?;
            if let Some(declared) = attribute.key.as_namespace_binding() {
                // Namespaces in XML 1.0 section 2.2: a prefix cannot be undeclared.
                if matches!(declared, PrefixDeclaration::Named(_)) && value.is_empty() {
                    return Err(self.wrong(format!("`{}` is bound to nothing", shorten(key))));
                }
                if let PrefixDeclaration::Named(prefix) = declared
                    && !is_ncname(prefix)
                {
                    return Err(self.wrong(format!("`{}` is no name", shorten(key))));
                }
                continue;
            }
            let (prefix, local) = key.split_once(':').unwrap_or(("", key));
            if !is_ncname(local) || (key.contains(':') && !is_ncname(prefix)) {
                return Err(self.wrong(format!("`{}` is no name", shorten(key))));
            }
            let namespace = match self.reader.resolver().resolve_attribute(attribute.key).0 {
                ResolveResult::Bound(Namespace(uri)) => uri.to_owned(),
                ResolveResult::Unbound => String::new(),
                ResolveResult::Unknown(prefix) => {
                    return Err(
                        self.wrong(format!("the prefix `{}` is not bound", shorten(&prefix)))
                    );
                }
            };
            if seen
                .iter()
                .any(|(ns, name)| *ns == namespace && *name == local)
            {
                return Err(self.wrong(format!("the attribute `{}` twice", shorten(key))));
            }
            if key == "xml:lang" {
                language = Some(value.to_owned());
            }
            seen.push((namespace, local));
        }
        Ok(language)
    }

    fn check_value(&self, value: &str) -> Result<(), XmlError> {
        if value.contains('<') {
            return Err(self.wrong("`<` inside of an attribute value"));
        }
        let mut rest = value;
        while let Some((_, after)) = rest.split_once('&') {
            let Some((name, tail)) = after.split_once(';') else {
                return Err(self.wrong("`&` without `;` inside of an attribute value"));
            };
            if predefined(name).is_none() {
                let number = name
                    .strip_prefix("#x")
                    .map(|hex| u32::from_str_radix(hex, 16))
                    .or_else(|| name.strip_prefix('#').map(str::parse));
                match number {
                    None => return Err(XmlError::Entity(shorten(name))),
                    Some(Ok(code)) if char::from_u32(code).is_some_and(is_xml_char) => {}
                    Some(Ok(_) | Err(_)) => {
                        return Err(
                            self.wrong(format!("`&{};` is no character of XML", shorten(name)))
                        );
                    }
                }
            }
            rest = tail;
        }
        Ok(())
    }

    /// Passes over the rest of the element that was just opened.
    pub(crate) fn skip(&mut self) -> Result<(), XmlError> {
        let mut open = 1;
        while open > 0 {
            match self.step()? {
                Step::Open(_) => open += 1,
                Step::Close => open -= 1,
                Step::Text(_) => {}
                Step::End => return Err(self.wrong("the body ends inside of an element")),
            }
        }
        Ok(())
    }

    /// The whole element that was just opened, as XML that stands alone: every namespace binding in
    /// scope that it may use is declared on it, and `xml:lang` in scope too (RFC 4918 section 4.3).
    /// Text, comments and prefixes stay as they were sent. The second value is its characters.
    pub(crate) fn capture(&mut self, element: &Element<'a>) -> Result<(String, String), XmlError> {
        let bindings = scope(self.reader.resolver());
        let language = self.languages.iter().rev().flatten().next().cloned();
        let own = self.languages.last().is_some_and(Option::is_some);
        let (mut inner, mut text) = (String::new(), String::new());
        let empty = self.pending_close;
        let mut open = 1;
        while open > 0 {
            match self.event(Some(&mut inner))? {
                Some(Step::Open(_)) => open += 1,
                Some(Step::Close) => open -= 1,
                Some(Step::Text(more)) => text.push_str(&more),
                None => {}
                Some(Step::End) => return Err(self.wrong("the body ends inside of an element")),
            }
        }
        let mut added: Vec<(String, String)> = bindings
            .into_iter()
            .filter(|(prefix, _)| {
                let key = declaration(prefix);
                let declared = element.tag.attributes().flatten().any(|a| a.key.0 == key);
                !declared && uses(prefix, &element.tag, &inner)
            })
            .map(|(prefix, uri)| (declaration(&prefix), uri))
            .collect();
        if let Some(language) = language.filter(|_| !own) {
            added.push(("xml:lang".into(), language));
        }
        let mut whole = String::with_capacity(inner.len() + 64);
        print_tag(&mut whole, &element.tag, &added, empty);
        whole.push_str(&inner);
        Ok((whole, text))
    }

    /// Opens the root element, which must be DAV:`local`.
    pub(crate) fn root(&mut self, local: &'static str) -> Result<(), XmlError> {
        loop {
            match self.step()? {
                Step::Open(element) if element.is(local) => return Ok(()),
                Step::Open(element) => {
                    return Err(XmlError::Unexpected {
                        expected: local,
                        why: format!("the root element is `{}`", shorten(&element.name.name)),
                    });
                }
                Step::Text(_) => {}
                Step::Close | Step::End => return Err(self.wrong("there is no element")),
            }
        }
    }

    /// Reads to the end of the document, so that a broken tail is noticed.
    pub(crate) fn finish(&mut self) -> Result<(), XmlError> {
        loop {
            match self.step()? {
                Step::End => return Ok(()),
                Step::Text(_) | Step::Open(_) | Step::Close => {}
            }
        }
    }
}

fn declaration(prefix: &str) -> String {
    if prefix.is_empty() {
        "xmlns".into()
    } else {
        format!("xmlns:{prefix}")
    }
}

/// Bindings in force, innermost last and shadowed ones left out; values as written (escaped).
fn scope(resolver: &NamespaceResolver) -> Vec<(String, String)> {
    let mut bindings: Vec<(String, String)> = Vec::new();
    for (declared, Namespace(uri)) in resolver.bindings() {
        let prefix = match declared {
            PrefixDeclaration::Default => "",
            PrefixDeclaration::Named(prefix) => prefix,
        };
        bindings.retain(|(known, _)| known != prefix);
        if prefix != "xml" && prefix != "xmlns" && !uri.is_empty() {
            bindings.push((prefix.to_owned(), uri.to_owned()));
        }
    }
    bindings
}

/// True if the element or its content may speak of `prefix`, in names or in text (a QName as value).
fn uses(prefix: &str, tag: &BytesStart<'_>, inner: &str) -> bool {
    if prefix.is_empty() {
        return true;
    }
    let needle = format!("{prefix}:");
    tag.name().0.starts_with(&needle)
        || tag.attributes_raw().contains(&needle)
        || inner.contains(&needle)
}

/// Prints a start tag from its parts, so that whatever lenience the reader has is not handed on.
fn print_tag(out: &mut String, tag: &BytesStart<'_>, added: &[(String, String)], empty: bool) {
    out.push('<');
    out.push_str(tag.name().0);
    let own = tag.attributes().flatten();
    let own = own.map(|attribute| (Cow::Borrowed(attribute.key.0), attribute.value));
    let added = added
        .iter()
        .map(|(key, value)| (Cow::Borrowed(key.as_str()), Cow::Borrowed(value.as_str())));
    for (key, value) in own.chain(added) {
        out.push(' ');
        out.push_str(&key);
        out.push_str("=\"");
        out.push_str(&value.replace('"', "&quot;"));
        out.push('"');
    }
    out.push_str(if empty { "/>" } else { ">" });
}

fn predefined(name: &str) -> Option<&'static str> {
    match name {
        "lt" => Some("<"),
        "gt" => Some(">"),
        "amp" => Some("&"),
        "apos" => Some("'"),
        "quot" => Some("\""),
        _ => None,
    }
}

/// The value of an attribute with its references resolved (they were checked before).
fn plain(value: &str) -> String {
    quick_xml::escape::unescape(value).map_or_else(|_| value.to_owned(), Cow::into_owned)
}

/// XML 1.0 section 2.2, `Char`.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Namespaces in XML section 3, `NCName`.
fn is_ncname(name: &str) -> bool {
    let start = |c: char| {
        matches!(c, 'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
            | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
            | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
            | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
            | '\u{10000}'..='\u{EFFFF}')
    };
    let more = |c: char| {
        start(c)
            || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}'
                | '\u{203F}'..='\u{2040}')
    };
    let mut chars = name.chars();
    chars.next().is_some_and(start) && chars.all(more)
}

fn syntax(at: usize, why: String) -> XmlError {
    XmlError::Syntax { at, why }
}

/// At most 60 characters of what a stranger sent, for a message.
fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}
