//! What the XML reader refuses, and that what it keeps stands alone.

use dav::{DEAD_PROPERTY_BYTES_MAX, LockBody, Patch, PropFind, PropPatch, XmlError};
use proptest::prelude::*;

fn propfind(inner: &str) -> String {
    let body = format!("<D:propfind xmlns:D=\"DAV:\">{inner}</D:propfind>");
    match PropFind::parse(body.as_bytes()) {
        Ok(found) => format!("{found:?}"),
        Err(error) => error.to_string(),
    }
}

fn set(property: &str) -> Result<String, XmlError> {
    let body = format!(
        "<propertyupdate xmlns=\"DAV:\"><set><prop>{property}</prop></set></propertyupdate>"
    );
    let mut parsed = PropPatch::parse(body.as_bytes())?;
    match parsed.patches.pop() {
        Some(Patch::Set { xml, .. }) => Ok(xml),
        Some(Patch::Remove { .. }) | None => unreachable!("one set"),
    }
}

#[test]
fn what_is_no_propfind_is_refused_with_the_reason() {
    let prop = "<D:prop><D:getetag/></D:prop>";
    let bodies = [
        String::new(),
        "<D:prop/><D:allprop/>".into(),
        "<D:prop>".into(),
        format!("{prop}</D:propfind><x/>"),
        // litmus propfind_invalid2
        "<D:prop><bar:foo xmlns:bar=\"\"/></D:prop>".into(),
        "<D:prop><un:bound/></D:prop>".into(),
        "<D:prop><D:a x=\"1\" x=\"2\"/></D:prop>".into(),
        "<D:prop><a xmlns:p=\"u\" xmlns:q=\"u\" p:x=\"\" q:x=\"\"/></D:prop>".into(),
        "<D:prop><a:b:c/></D:prop>".into(),
        "<D:prop><1a/></D:prop>".into(),
        "<D:prop><a b=\"<\"/></D:prop>".into(),
        "<D:prop><a b=\"&x;\"/></D:prop>".into(),
        "<D:prop>&lol;</D:prop>".into(),
        "<D:prop>&#0;</D:prop>".into(),
        "<D:prop>\u{1}</D:prop>".into(),
        "<D:prop>]]></D:prop>".into(),
        "<!-- a -- b --><D:allprop/>".into(),
        "<?xml version=\"1.0\"?><D:allprop/>".into(),
        format!("{}{}", "<a>".repeat(32), "</a>".repeat(32)),
        format!(
            "<D:prop>{}</D:prop>",
            (0..257).map(|n| format!("<p{n}/>")).collect::<String>()
        ),
    ];
    insta::assert_snapshot!(bodies.map(|inner| propfind(&inner)).join("\n"));
}

#[test]
fn document_types_and_entity_bombs_are_refused() {
    let bomb = "<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]>\
                <propfind xmlns=\"DAV:\"><prop>&lol2;</prop></propfind>";
    assert_eq!(PropFind::parse(bomb.as_bytes()), Err(XmlError::DocType));
    let external = "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><propfind xmlns=\"DAV:\"/>";
    assert_eq!(LockBody::parse(external.as_bytes()), Err(XmlError::DocType));
}

#[test]
fn bodies_and_properties_have_limits() {
    let long = vec![b' '; dav::BODY_BYTES_MAX + 1];
    assert_eq!(PropFind::parse(&long), Err(XmlError::TooLong(long.len())));
    let deepest = format!("{}{}", "<a>".repeat(29), "</a>".repeat(29));
    assert!(set(&deepest).is_ok());
    assert_eq!(set(&format!("<a>{deepest}</a>")), Err(XmlError::TooDeep));
    let fits = "x".repeat(DEAD_PROPERTY_BYTES_MAX - "<a xmlns=\"DAV:\"></a>".len());
    assert!(set(&format!("<a>{fits}</a>")).is_ok());
    assert!(matches!(
        set(&format!("<a>{fits}x</a>")),
        Err(XmlError::PropertyTooLong { .. })
    ));
}

#[test]
fn utf_16_and_byte_order_marks_are_read() {
    let text = "<propfind xmlns=\"DAV:\"><prop><旅 xmlns=\"urn:x\"/></prop></propfind>";
    let expected = PropFind::parse(text.as_bytes()).unwrap();
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for body in [
        [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
        [b"\xFF\xFE", &little[..]].concat(),
        [b"\xFE\xFF", &big[..]].concat(),
        little,
        big,
    ] {
        assert_eq!(PropFind::parse(&body), Ok(expected.clone()));
    }
    assert_eq!(PropFind::parse(b"\xFE\xFF\xD8"), Err(XmlError::Encoding));
    assert_eq!(PropFind::parse(b"<\xFF"), Err(XmlError::Encoding));
}

#[test]
fn unknown_elements_are_passed_over() {
    let asked = propfind("<x xmlns=\"urn:x\"><D:allprop/></x><D:prop><D:getetag/></D:prop>");
    assert!(asked.starts_with("Prop(["), "{asked}");
}

#[test]
fn a_kept_property_stands_alone() {
    let kept = |xml| set(xml).unwrap();
    assert_eq!(kept("<a/>"), "<a xmlns=\"DAV:\"/>");
    assert_eq!(kept("<a xmlns='u'>t</a>"), "<a xmlns=\"u\">t</a>");
    assert_eq!(
        kept("<p:a xmlns:p='u'><p:b q='\"'/></p:a>"),
        "<p:a xmlns:p=\"u\" xmlns=\"DAV:\"><p:b q=\"&quot;\"/></p:a>"
    );
}

/// Elements with attributes, own and inherited prefixes, and text.
fn property() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-zé<>&\"' ]{0,8}".prop_map(|text| text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")),
        Just("<!-- c --><?p i?><![CDATA[<&]]>&#65;".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop_oneof![Just("p:a"), Just("b"), Just("q:c")];
        let attributes = prop_oneof![
            Just(""),
            Just(" x='\"1\"'"),
            Just(" p:y=\"&lt;2\""),
            Just(" xmlns=\"urn:d\""),
            Just(" xmlns:p='urn:other'"),
            Just(" xml:lang=\"fr\""),
        ];
        (name, attributes, proptest::collection::vec(inner, 0..4)).prop_map(
            |(name, attributes, inner)| format!("<{name}{attributes}>{}</{name}>", inner.concat()),
        )
    })
}

proptest! {
    #[test]
    fn a_kept_property_is_kept_unchanged_ever_after(inner in property()) {
        let property = format!("<p:top>{inner}</p:top>");
        let body = format!(
            "<D:propertyupdate xmlns:D=\"DAV:\" xmlns:p=\"urn:p\" xmlns:q=\"urn:q\" xml:lang=\"de\">\
             <D:set><D:prop>{property}</D:prop></D:set></D:propertyupdate>"
        );
        let first = PropPatch::parse(body.as_bytes()).unwrap();
        let Some(Patch::Set { name, xml, text }) = first.patches.first() else {
            panic!("one set")
        };
        prop_assert_eq!(&name.namespace, "urn:p");
        // Stored, embedded without any declaration around it, and read again.
        let again = format!(
            "<D:propertyupdate xmlns:D=\"DAV:\"><D:set><D:prop>{xml}</D:prop></D:set>\
             </D:propertyupdate>"
        );
        let second = PropPatch::parse(again.as_bytes()).unwrap();
        let Some(Patch::Set { xml: again, text: text_again, .. }) = second.patches.first() else {
            panic!("one set")
        };
        prop_assert_eq!(again, xml);
        prop_assert_eq!(text_again, text);
    }

    #[test]
    fn reading_never_panics(body in "[<>/!?\\[\\]&;#='\" a:xmlnsDAVCproifdt-]{0,80}") {
        let _ = PropFind::parse(body.as_bytes());
        let _ = PropPatch::parse(body.as_bytes());
        let _ = LockBody::parse(body.as_bytes());
    }
}
