//! Which names a center gives: first come, but none that it needs itself and none that looks like
//! another node's. Pure.
//!
//! Two names look alike if their [`skeleton`]s are equal: digits and letters that many fonts draw
//! alike fall together, and hyphens fall out (after the idea of Unicode TS 39, for the 37
//! characters that a label has).

use protocol::NodeName;

/// Labels of the zone's own services and those that programs look up by themselves.
const RESERVED: [&str; 42] = [
    "abuse",
    "admin",
    "administrator",
    "api",
    "autoconfig",
    "autodiscover",
    "broadcasthost",
    "center",
    "cumulet",
    "dns",
    "example",
    "ftp",
    "hostmaster",
    "imap",
    "info",
    "invalid",
    "isatap",
    "local",
    "localdomain",
    "localhost",
    "login",
    "mail",
    "mta-sts",
    "news",
    "noc",
    "ns",
    "openpgpkey",
    "pop",
    "postmaster",
    "relay",
    "root",
    "security",
    "smtp",
    "ssl",
    "status",
    "support",
    "test",
    "tls",
    "usenet",
    "webmaster",
    "wpad",
    "www",
];

/// Such a label and a number are reserved as well: `ns1`, `www2`.
const RESERVED_SERIES: [&str; 8] = ["ns", "www", "mail", "mx", "dns", "relay", "center", "smtp"];

/// True if the zone keeps the name for itself. A single character is too easy to mistake.
#[must_use]
pub fn is_reserved(name: &NodeName) -> bool {
    let label = name.as_str();
    let series = label.trim_end_matches(|c: char| c.is_ascii_digit());
    label.len() < 2 || RESERVED.contains(&label) || RESERVED_SERIES.contains(&series)
}

/// What is left of a name when everything that is easily mistaken for something else falls together.
#[must_use]
pub fn skeleton(name: &NodeName) -> Box<str> {
    let plain: String = name
        .as_str()
        .chars()
        .filter(|letter| *letter != '-')
        .map(|letter| match letter {
            '0' => 'o',
            '1' | 'i' => 'l',
            '5' => 's',
            '8' => 'b',
            '2' => 'z',
            other => other,
        })
        .collect();
    let plain = plain
        .replace("rn", "m")
        .replace("vv", "w")
        .replace("cl", "d");
    plain.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    #[test]
    fn names_that_look_alike_have_one_skeleton() {
        for (one, other) in [
            ("anna", "an-na"),
            ("google", "g00gle"),
            ("modern", "modem"),
            ("bill", "bi11"),
            ("will", "vvill"),
            ("cloud", "c1oud"),
            ("boss", "8o55"),
        ] {
            assert_eq!(
                skeleton(&name(one)),
                skeleton(&name(other)),
                "{one} {other}"
            );
        }
        for (one, other) in [("anna", "anne"), ("home-1", "home-2"), ("node12", "node13")] {
            assert_ne!(
                skeleton(&name(one)),
                skeleton(&name(other)),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn names_of_the_zone_itself_are_reserved() {
        for label in [
            "www",
            "ns",
            "ns1",
            "ns22",
            "mail",
            "wpad",
            "a",
            "mta-sts",
            "localhost",
        ] {
            assert!(is_reserved(&name(label)), "{label}");
        }
        for label in ["anna", "nsa-fan", "mailbox", "home-1"] {
            assert!(!is_reserved(&name(label)), "{label}");
        }
    }
}
