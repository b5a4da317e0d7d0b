//! What `serve` says when it is ready: one line for programs on stdout, a few for people on stderr.

use std::fmt::Write as _;

use serde_json::json;

/// The facts of a node that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// `https://HOST:PORT`
    pub https: String,
    /// `http://HOST:PORT`
    pub http: Option<String>,
    /// `quic://HOST:PORT`, where other nodes reach it.
    pub quic: Option<String>,
    /// Where others on the home network may reach it, the best first.
    pub addresses: Vec<String>,
    /// The node's identity.
    pub id: String,
    /// SHA-256 of the certificate.
    pub fingerprint: String,
    /// The one-time link that makes the owner's account, while there is none.
    pub setup_url: Option<String>,
}

impl Ready {
    /// The one line on stdout, without the newline.
    #[must_use]
    pub fn line(&self, json: bool) -> String {
        if json {
            let event = json!({
                "event": "ready",
                "https": self.https,
                "http": self.http,
                "quic": self.quic,
                "id": self.id,
                "fingerprint": self.fingerprint,
                "setup_url": self.setup_url,
            });
            return event.to_string();
        }
        format!(
            "ready {} {}",
            self.https,
            self.http.as_deref().unwrap_or("-")
        )
    }

    /// The text for people. With `pictures` the set-up link is also a QR code.
    #[must_use]
    pub fn text(&self, pictures: bool) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\nYour cloud is ready: {}", self.https);
        for address in self
            .addresses
            .iter()
            .filter(|address| **address != self.https)
        {
            let _ = writeln!(text, "                also: {address}");
        }
        if let Some(url) = &self.setup_url {
            let _ = write!(
                text,
                "\nNext: open this link once to make your account. It also shows the 24 recovery words\n\
                 of this node: write them down. The page is gone once the account is made.\n\n  {url}\n"
            );
            if pictures && let Some(code) = qr(url) {
                let _ = write!(text, "\n{code}");
            }
            let _ = write!(
                text,
                "\nYour browser will say that it does not know the certificate. That is right: this node\n\
                 made it itself. Compare the SHA-256 fingerprint that the browser shows with this one:\n\n  {}\n  {}\n",
                self.fingerprint
                    .get(..48)
                    .unwrap_or(&self.fingerprint)
                    .trim_end_matches(':'),
                self.fingerprint.get(48..).unwrap_or("")
            );
        }
        let _ = writeln!(
            text,
            "\nStop with Ctrl-C. `cumulet status` in another terminal tells how it is.\n"
        );
        text
    }
}

/// A QR code of half blocks, dark on light, with a quiet zone. `None` if the text is too long.
#[must_use]
pub fn qr(text: &str) -> Option<String> {
    let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::L).ok()?;
    let picture = code
        .render::<qrcode::render::unicode::Dense1x2>()
        .dark_color(qrcode::render::unicode::Dense1x2::Dark)
        .light_color(qrcode::render::unicode::Dense1x2::Light)
        .quiet_zone(true)
        .build();
    Some(picture + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Ready {
        Ready {
            https: "https://192.168.1.5:8443".into(),
            http: None,
            quic: None,
            addresses: vec!["https://home.local:8443".into()],
            id: "ab".repeat(32),
            fingerprint: vec!["AB"; 32].join(":"),
            setup_url: Some("https://192.168.1.5:8443/setup/x".into()),
        }
    }

    #[test]
    fn the_ready_line_has_two_addresses() {
        assert_eq!(ready().line(false), "ready https://192.168.1.5:8443 -");
        let both = Ready {
            http: Some("http://127.0.0.1:80".into()),
            ..ready()
        };
        assert_eq!(
            both.line(false),
            "ready https://192.168.1.5:8443 http://127.0.0.1:80"
        );
    }

    #[test]
    fn the_ready_event_has_every_field() {
        let event: serde_json::Value = serde_json::from_str(&ready().line(true)).unwrap();
        let mut keys: Vec<_> = event
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "event",
                "fingerprint",
                "http",
                "https",
                "id",
                "quic",
                "setup_url"
            ]
        );
        assert!(event["http"].is_null());
    }

    #[test]
    fn a_new_owner_is_led_to_the_set_up_link() {
        let text = ready().text(true);
        assert!(text.contains("https://192.168.1.5:8443/setup/x"), "{text}");
        assert!(text.contains(&["AB"; 16].join(":")), "{text}");
        assert!(text.contains('█'), "{text}");
        let later = Ready {
            setup_url: None,
            ..ready()
        }
        .text(true);
        assert!(!later.contains("fingerprint"), "{later}");
    }
}
