//! What most stories begin with.

use testing::{Client, Node, NodeBuilder};

/// A node of the program under test, not yet started.
pub(crate) fn cloud() -> NodeBuilder {
    Node::of(env!("CARGO_BIN_EXE_cumulet"))
}

/// A running node with its owner alice, and alice's client over HTTPS.
#[track_caller]
pub(crate) fn alice_at_home() -> (Node, Client) {
    let node = cloud().start();
    let alice = node.owner("alice");
    (node, alice)
}

/// The WebDAV path of a file in alice's space.
pub(crate) fn at(path: &str) -> String {
    format!("/dav/files/alice/{path}")
}

/// The text inside the first `<…:name>` element.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    let open = xml
        .match_indices('<')
        .map(|(start, _)| &xml[start + 1..])
        .find(|rest| {
            let tag = rest.split([' ', '>', '/']).next().unwrap_or_default();
            !rest.starts_with('/') && tag.rsplit(':').next() == Some(name)
        })?;
    let (head, rest) = open.split_once('>')?;
    if head.ends_with('/') {
        return Some(String::new());
    }
    let qualified = head.split(' ').next().unwrap_or(head);
    rest.split_once(&format!("</{qualified}>"))
        .map(|(inside, _)| inside.to_owned())
}

/// How often `needle` occurs.
pub(crate) fn count(text: &str, needle: &str) -> usize {
    text.matches(needle).count()
}

/// The decoded last segments of all `href`s of a multistatus.
pub(crate) fn names(multistatus: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = multistatus;
    while let Some(start) = rest.find(":href>") {
        rest = &rest[start + 6..];
        if let Some(end) = rest.find("</") {
            let path = rest[..end].trim_end_matches('/');
            names.push(path.rsplit('/').next().unwrap_or(path).to_owned());
            rest = &rest[end + 2..];
            rest = rest.split_once('>').map_or("", |(_, after)| after);
        }
    }
    names
}
