//! The addresses in an XML answer of a friend's node, turned into ours while it streams by.
//!
//! Our own printer writes every address as the text of `<D:href>`; those of entries begin with
//! `/dav/files/`, tokens of locks with a scheme. An address that leads anywhere else, or is no path,
//! breaks the answer off: a friend's node must not be able to speak of the rest of this tree.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;

const OPEN: &[u8] = b"<D:href>";
const REMOTE: &str = "/dav/files/";
/// The text of one address has at most so many bytes.
const HREF_BYTES_MAX: usize = 24 << 10;

/// A body with its addresses turned.
pub(super) struct Hrefs {
    body: Body,
    turning: Turning,
    ready: VecDeque<Bytes>,
    ended: bool,
}

impl Hrefs {
    /// `base` is where the friend's folder is for the client, with a slash at the end.
    pub(super) fn new(body: Body, base: &str) -> Self {
        Self {
            body,
            turning: Turning {
                base: base.to_owned(),
                held: Vec::new(),
            },
            ready: VecDeque::new(),
            ended: false,
        }
    }
}

impl http_body::Body for Hrefs {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
            let turned = match frame {
                None => {
                    self.ended = true;
                    Ok(std::mem::take(&mut self.turning.held))
                }
                Some(Err(error)) => Err(io::Error::other(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.turning.take(&data),
                    Err(_trailers) => continue,
                },
            };
            match turned {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => self.ready.push_back(Bytes::from(bytes)),
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

/// Turns text that comes in pieces.
struct Turning {
    base: String,
    /// The beginning of something that may be an address.
    held: Vec<u8>,
}

impl Turning {
    fn take(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        self.held.extend_from_slice(piece);
        let mut out = Vec::with_capacity(self.held.len() + 256);
        let mut from = 0;
        loop {
            let rest = &self.held[from..];
            let Some(at) = find(rest, OPEN) else {
                // The last bytes may be the beginning of a tag.
                let keep = rest.len().saturating_sub(OPEN.len() - 1);
                out.extend_from_slice(&rest[..keep]);
                from += keep;
                break;
            };
            let text = &rest[at + OPEN.len()..];
            let Some(length) = text.iter().position(|byte| *byte == b'<') else {
                if text.len() > HREF_BYTES_MAX {
                    return Err(bad("an address that does not end"));
                }
                out.extend_from_slice(&rest[..at]);
                from += at;
                break;
            };
            out.extend_from_slice(&rest[..at + OPEN.len()]);
            self.turn(&text[..length], &mut out)?;
            from += at + OPEN.len() + length;
        }
        self.held.drain(..from);
        Ok(out)
    }

    fn turn(&self, href: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let text = std::str::from_utf8(href).map_err(|_| bad("an address that is not UTF-8"))?;
        if let Some(below) = text.strip_prefix(REMOTE) {
            if !below.is_empty() && dav::decode_path(text).is_err() {
                return Err(bad("an address that is no path"));
            }
            out.extend_from_slice(self.base.as_bytes());
            out.extend_from_slice(below.as_bytes());
            return Ok(());
        }
        if text.starts_with("urn:uuid:") || text.starts_with("opaquelocktoken:") {
            out.extend_from_slice(href);
            return Ok(());
        }
        Err(bad("an address outside of its shares"))
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::other(format!("the friend's node sent {what}"))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(pieces: &[&str]) -> io::Result<String> {
        let mut turning = Turning {
            base: "/dav/files/alice/Friends/bob/".into(),
            held: Vec::new(),
        };
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(turning.take(piece.as_bytes())?);
        }
        out.extend(turning.held);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn addresses_are_turned_wherever_the_pieces_are_cut() {
        let sent = "<a><D:href>/dav/files/Photos/a%20b</D:href><D:href>urn:uuid:1</D:href></a>";
        let expected = "<a><D:href>/dav/files/alice/Friends/bob/Photos/a%20b</D:href>\
                        <D:href>urn:uuid:1</D:href></a>";
        assert_eq!(turned(&[sent]).unwrap(), expected);
        for cut in 0..sent.len() {
            assert_eq!(turned(&[&sent[..cut], &sent[cut..]]).unwrap(), expected);
        }
    }

    #[test]
    fn an_address_outside_of_the_shares_breaks_the_answer_off() {
        for href in [
            "/dav/files/../x",
            "/dav/files/%2e%2e/x",
            "/admin",
            "https://elsewhere.example/",
            "//elsewhere.example/",
            "/dav/files/a%2Fb",
            "javascript:alert(1)",
        ] {
            assert!(
                turned(&[&format!("<D:href>{href}</D:href>")]).is_err(),
                "{href}"
            );
        }
        assert!(turned(&["<D:href>", &"a".repeat(HREF_BYTES_MAX + 1)]).is_err());
    }
}
