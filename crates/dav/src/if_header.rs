//! The If header (RFC 4918 section 10.4): lists of conditions on lock tokens and ETags.

use crate::HeaderError;

/// Longest header value that is read.
const IF_BYTES_MAX: usize = 16 << 10;

/// Most conditions in one header; bounds the look-ups that it costs.
const TESTS_MAX: usize = 64;

/// A parsed If header: true if at least one list holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfHeader {
    /// In order; never empty.
    pub lists: Vec<IfList>,
}

/// One parenthesized list: all of its tests must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfList {
    /// The address from the tag before it, still encoded; `None`: the target of the request.
    pub resource: Option<String>,
    /// Never empty.
    pub tests: Vec<IfTest>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfTest {
    /// The resource is locked with this token.
    Token {
        /// Must not be so.
        not: bool,
        /// A URI, without the angle brackets; any text, for a corrupt one is just not ours.
        token: String,
    },
    /// The resource has this ETag.
    Etag {
        /// Must not be so.
        not: bool,
        /// With its quotes, and with `W/` if weak.
        etag: String,
    },
}

impl IfHeader {
    /// Parses a header value.
    pub fn parse(value: &str) -> Result<Self, HeaderError> {
        if value.len() > IF_BYTES_MAX {
            return Err(bad("it is longer than 16 KiB"));
        }
        let mut rest = blank(value);
        let mut lists = Vec::new();
        let mut resource: Option<String> = None;
        let mut tag_without_list = false;
        let mut tests_left = TESTS_MAX;
        while !rest.is_empty() {
            if rest.starts_with('<') {
                // No-tag-list and Tagged-list must not be mixed (section 10.4.2).
                if tag_without_list || (resource.is_none() && !lists.is_empty()) {
                    return Err(bad("a resource tag is not followed by its lists"));
                }
                let (tag, tail) = coded_url(rest)?;
                resource = Some(tag);
                tag_without_list = true;
                rest = blank(tail);
                continue;
            }
            let (tests, tail) = list(rest, &mut tests_left)?;
            lists.push(IfList {
                resource: resource.clone(),
                tests,
            });
            tag_without_list = false;
            rest = blank(tail);
        }
        if tag_without_list {
            return Err(bad("a resource tag is not followed by a list"));
        }
        if lists.is_empty() {
            return Err(bad("it holds no list"));
        }
        Ok(Self { lists })
    }

    /// The lock tokens that the client shows to know (section 10.4.1), for whichever resource.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        let tests = self.lists.iter().flat_map(|list| &list.tests);
        tests.filter_map(|test| match test {
            IfTest::Token { not: false, token } => Some(token.as_str()),
            IfTest::Token { not: true, .. } | IfTest::Etag { .. } => None,
        })
    }
}

/// Prints the header again; what it prints reads back equal.
impl std::fmt::Display for IfHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, list) in self.lists.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            if let Some(resource) = &list.resource {
                write!(f, "<{resource}> ")?;
            }
            f.write_str("(")?;
            for (at, test) in list.tests.iter().enumerate() {
                if at > 0 {
                    f.write_str(" ")?;
                }
                let (IfTest::Token { not, .. } | IfTest::Etag { not, .. }) = test;
                if *not {
                    f.write_str("Not ")?;
                }
                match test {
                    IfTest::Token { token, .. } => write!(f, "<{token}>")?,
                    IfTest::Etag { etag, .. } => write!(f, "[{etag}]")?,
                }
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

fn bad(why: &'static str) -> HeaderError {
    HeaderError { header: "If", why }
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\r', '\n'])
}

/// `<...>`, and what follows.
fn coded_url(text: &str) -> Result<(String, &str), HeaderError> {
    let inner = text.strip_prefix('<').ok_or_else(|| bad("`<` expected"))?;
    let (url, rest) = inner.split_once('>').ok_or_else(|| bad("`>` is missing"))?;
    if url.is_empty() || url.contains(['<', ' ', '\t', '(', ')']) {
        return Err(bad(
            "an address or token is empty or holds a blank or bracket",
        ));
    }
    Ok((url.to_owned(), rest))
}

/// `(...)`, and what follows.
fn list<'a>(text: &'a str, tests_left: &mut usize) -> Result<(Vec<IfTest>, &'a str), HeaderError> {
    let inner = text
        .strip_prefix('(')
        .ok_or_else(|| bad("`(` or `<` expected"))?;
    let mut rest = blank(inner);
    let mut tests = Vec::new();
    loop {
        if let Some(tail) = rest.strip_prefix(')') {
            if tests.is_empty() {
                return Err(bad("a list is empty"));
            }
            return Ok((tests, tail));
        }
        *tests_left = tests_left
            .checked_sub(1)
            .ok_or_else(|| bad("it has more than 64 conditions"))?;
        let not = rest
            .get(..3)
            .is_some_and(|word| word.eq_ignore_ascii_case("not"));
        if not {
            rest = blank(&rest[3..]);
        }
        if rest.starts_with('<') {
            let (token, tail) = coded_url(rest)?;
            tests.push(IfTest::Token { not, token });
            rest = blank(tail);
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (etag, tail) = entity_tag(blank(inner))?;
            let tail = blank(tail)
                .strip_prefix(']')
                .ok_or_else(|| bad("`]` is missing"))?;
            tests.push(IfTest::Etag { not, etag });
            rest = blank(tail);
        } else {
            return Err(bad("`<`, `[` or `)` expected"));
        }
    }
}

/// `"..."` or `W/"..."` (RFC 9110 section 8.8.3), and what follows.
fn entity_tag(text: &str) -> Result<(String, &str), HeaderError> {
    let weak = text.starts_with("W/");
    let quoted = text
        .strip_prefix("W/")
        .unwrap_or(text)
        .strip_prefix('"')
        .ok_or_else(|| bad("an ETag is not in quotes"))?;
    let (opaque, rest) = quoted
        .split_once('"')
        .ok_or_else(|| bad("an ETag is not in quotes"))?;
    let mark = if weak { "W/" } else { "" };
    Ok((format!("{mark}\"{opaque}\""), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: &str) -> String {
        match IfHeader::parse(value) {
            Ok(header) => header.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_examples_of_rfc_4918_are_read() {
        insta::assert_snapshot!([
            check("(<urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2> \r\n [\"I am an ETag\"]) ([\"I am another ETag\"])"),
            check("(Not <urn:uuid:181d4fae> <urn:uuid:58f202ac>)"),
            check("(<urn:uuid:181d4fae>) (Not <DAV:no-lock>)"),
            check("</resource1> (<urn:uuid:181d4fae> [W/\"A weak ETag\"]) ([\"strong ETag\"])"),
            check("<http://www.example.com/specs/> (<urn:uuid:181d4fae>)"),
            check("</specs/rfc2518.doc> ([\"4217\"])"),
            check("</specs/rfc2518.doc> (Not [\"4217\"])"),
        ].join("\n"), @r#"
        (<urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2> ["I am an ETag"]) (["I am another ETag"])
        (Not <urn:uuid:181d4fae> <urn:uuid:58f202ac>)
        (<urn:uuid:181d4fae>) (Not <DAV:no-lock>)
        </resource1> (<urn:uuid:181d4fae> [W/"A weak ETag"]) </resource1> (["strong ETag"])
        <http://www.example.com/specs/> (<urn:uuid:181d4fae>)
        </specs/rfc2518.doc> (["4217"])
        </specs/rfc2518.doc> (Not ["4217"])
        "#);
    }

    #[test]
    fn broken_headers_are_refused_with_the_reason() {
        insta::assert_snapshot!([
            check(""),
            check("()"),
            check("(<a>"),
            check("(<a"),
            check("(a)"),
            check("([etag])"),
            check("([\"etag\")"),
            check("</x>"),
            check("(<a>) </x> (<b>)"),
            check("<> (<b>)"),
            check(&"(<a>)".repeat(65)),
        ].join("\n"), @r"
        the If header cannot be read: it holds no list
        the If header cannot be read: a list is empty
        the If header cannot be read: `<`, `[` or `)` expected
        the If header cannot be read: `>` is missing
        the If header cannot be read: `<`, `[` or `)` expected
        the If header cannot be read: an ETag is not in quotes
        the If header cannot be read: `]` is missing
        the If header cannot be read: a resource tag is not followed by a list
        the If header cannot be read: a resource tag is not followed by its lists
        the If header cannot be read: an address or token is empty or holds a blank or bracket
        the If header cannot be read: it has more than 64 conditions
        ");
    }

    #[test]
    fn a_token_under_not_is_not_shown_to_be_known() {
        let header = IfHeader::parse("(<urn:uuid:1>) (Not <DAV:no-lock> [\"e\"])").unwrap();
        assert_eq!(header.tokens().collect::<Vec<_>>(), ["urn:uuid:1"]);
    }

    fn test() -> impl Strategy<Value = IfTest> {
        prop_oneof![
            (any::<bool>(), "[a-z:0-9./-]{1,20}")
                .prop_map(|(not, token)| IfTest::Token { not, token }),
            (any::<bool>(), "(W/)?\"[a-z0-9 .()<>]{0,12}\"")
                .prop_map(|(not, etag)| IfTest::Etag { not, etag }),
        ]
    }

    fn header() -> impl Strategy<Value = IfHeader> {
        let lists = |tag: &'static str| {
            proptest::collection::vec(proptest::collection::vec(test(), 1..4), 1..5).prop_map(
                move |lists| IfHeader {
                    lists: lists
                        .into_iter()
                        .map(|tests| IfList {
                            resource: (!tag.is_empty()).then(|| tag.to_owned()),
                            tests,
                        })
                        .collect(),
                },
            )
        };
        prop_oneof![lists(""), lists("/dav/files/alice/a%20b")]
    }

    proptest! {
        #[test]
        fn a_printed_header_reads_back(header in header()) {
            prop_assert_eq!(IfHeader::parse(&header.to_string()), Ok(header));
        }

        #[test]
        fn reading_never_panics(value in "[()<>\\[\\]\"W/Not a:é]{0,60}") {
            if let Ok(header) = IfHeader::parse(&value) {
                prop_assert_eq!(IfHeader::parse(&header.to_string()), Ok(header));
            }
        }
    }
}
