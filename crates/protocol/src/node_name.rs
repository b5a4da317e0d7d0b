//! The name of a node: one DNS label that a person chose.
//!
//! A name is a claim, never an identity: without a center two nodes may have the same one, and
//! whoever finds both is shown both ids. A center gives each label once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A label that is used as a whole has at most as many characters; 52 are reserved for ids.
pub const NODE_NAME_CHARS_MAX: usize = 40;

/// A text that is no name of a node.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{input}` cannot be the name of a node: {why}")]
pub struct NodeNameError {
    input: String,
    why: &'static str,
}

/// Small letters a to z, digits and inner hyphens, 1 to [`NODE_NAME_CHARS_MAX`] (RFC 1123 2.1).
/// Reading takes capitals and makes them small.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

impl NodeName {
    /// The label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The label that comes nearest to what a person wrote: other characters become hyphens.
    /// `None` if nothing is left.
    #[must_use]
    pub fn nearest(text: &str) -> Option<Self> {
        let mut label = String::new();
        for letter in text.chars().map(|letter| letter.to_ascii_lowercase()) {
            if label.len() == NODE_NAME_CHARS_MAX {
                break;
            }
            if letter.is_ascii_alphanumeric() {
                label.push(letter);
            } else if !label.is_empty() && !label.ends_with('-') {
                label.push('-');
            }
        }
        label.trim_matches('-').parse().ok()
    }
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(text: &str) -> Result<Self, NodeNameError> {
        let label = text.to_ascii_lowercase();
        let why = if label.is_empty() {
            "it is empty"
        } else if label.len() > NODE_NAME_CHARS_MAX {
            "it is longer than 40 characters"
        } else if !label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            "only the letters a to z, digits and hyphens fit a DNS label"
        } else if label.starts_with('-') || label.ends_with('-') {
            "a hyphen may stand inside only"
        } else if label.get(2..4) == Some("--") {
            "hyphens in the third and fourth place are reserved (RFC 5891 4.2.3.1)"
        } else {
            return Ok(Self(label));
        };
        Err(NodeNameError {
            input: text.chars().take(80).collect(),
            why,
        })
    }
}

impl TryFrom<String> for NodeName {
    type Error = NodeNameError;

    fn try_from(text: String) -> Result<Self, NodeNameError> {
        text.parse()
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_dns_label() {
        for good in ["a", "anna", "home-2", "x1", &"a".repeat(40)] {
            assert_eq!(good.parse::<NodeName>().unwrap().as_str(), good);
        }
        assert_eq!("Anna".parse::<NodeName>().unwrap().as_str(), "anna");
        for bad in [
            "",
            "-a",
            "a-",
            "a.b",
            "a b",
            "ä",
            "xn--p1ai",
            &"a".repeat(41),
        ] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_nearest_label_of_a_free_text() {
        let check = |text: &str, label: Option<&str>| {
            assert_eq!(NodeName::nearest(text).map(String::from).as_deref(), label);
        };
        check("Anna's Box", Some("anna-s-box"));
        check("--", None);
        check("云", None);
        check(
            &"long name ".repeat(9),
            Some("long-name-long-name-long-name-long-name"),
        );
    }
}
