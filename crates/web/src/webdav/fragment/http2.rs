//! The frames of an HTTP/2 connection (RFC 9113 section 4), as far as heads lie in them.

use super::hpack::Heads;

/// How a client begins (section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;

/// What the next bytes of a frame are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Nine bytes of length, kind, flags and stream.
    Head,
    /// How much padding ends the frame.
    PadLength { priority: bool },
    /// Weight and dependency, which mean nothing any more.
    Priority { padding: usize },
    /// Fields.
    Fields { padding: usize },
    /// Anything else.
    Other,
}

/// Reads along.
#[derive(Debug)]
pub(super) struct Frames {
    part: Part,
    head: [u8; HEAD_BYTES],
    /// Bytes of the frame's head that are there.
    have: usize,
    /// Bytes of the frame that are still to come.
    left: usize,
    heads: Heads,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Head,
            head: [0; HEAD_BYTES],
            have: 0,
            left: 0,
            heads: Heads::new(),
        }
    }

    /// The next bytes of the connection.
    pub(super) fn look(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = self.take(bytes);
            bytes = &mut bytes[taken..];
        }
    }

    /// Looks at the bytes of one part; gives their number, at least one.
    fn take(&mut self, bytes: &mut [u8]) -> usize {
        match self.part {
            Part::Head => {
                self.head[self.have] = bytes[0];
                self.have += 1;
                if self.have == HEAD_BYTES {
                    self.begin();
                }
                return 1;
            }
            Part::PadLength { priority } => {
                let padding = usize::from(bytes[0]);
                self.left -= 1;
                self.part = if priority {
                    Part::Priority { padding }
                } else {
                    Part::Fields { padding }
                };
                self.end();
                return 1;
            }
            Part::Priority { .. } | Part::Fields { .. } | Part::Other => {}
        }
        let part = match self.part {
            Part::Priority { .. } => PRIORITY_BYTES.saturating_sub(self.have).min(self.left),
            Part::Fields { padding } => self.left.saturating_sub(padding),
            Part::Head | Part::PadLength { .. } | Part::Other => self.left,
        };
        let taken = part.min(bytes.len());
        if let Part::Fields { .. } = self.part {
            self.heads.look(&mut bytes[..taken]);
        }
        self.left -= taken;
        self.have += taken;
        if taken == part {
            self.part = match self.part {
                Part::Priority { padding } => Part::Fields { padding },
                Part::Head | Part::PadLength { .. } | Part::Fields { .. } | Part::Other => {
                    Part::Other
                }
            };
        }
        self.end();
        // A part may be empty; the next turn begins the part behind it.
        taken
    }

    /// A frame's head is there.
    fn begin(&mut self) {
        let [a, b, c, kind, flags, ..] = self.head;
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.have = 0;
        let priority = flags & PRIORITY != 0;
        self.part = match kind {
            HEADERS if flags & PADDED != 0 => Part::PadLength { priority },
            HEADERS if priority => Part::Priority { padding: 0 },
            HEADERS | CONTINUATION => Part::Fields { padding: 0 },
            _ => Part::Other,
        };
        if kind == HEADERS {
            self.heads.begin();
        }
        self.end();
    }

    /// Goes on to the next frame if this one is over.
    fn end(&mut self) {
        if self.left == 0 {
            self.part = Part::Head;
            self.have = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        let mut out = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        out.extend_from_slice(payload);
        out
    }

    /// What becomes of `sent`, whole and in pieces of each size.
    #[track_caller]
    fn check(sent: &[u8], expected: &[u8]) {
        for size in 1..=sent.len() {
            let mut frames = Frames::new();
            let mut looked = sent.to_vec();
            for piece in looked.chunks_mut(size) {
                frames.look(piece);
            }
            assert_eq!(looked, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn fields_are_found_between_padding_and_priority() {
        let head = |path: &[u8]| {
            let mut head = vec![0x44, u8::try_from(path.len()).unwrap()];
            head.extend_from_slice(path);
            head
        };
        let padded = |path: &[u8]| [&b"\x02"[..], &head(path), b"\x44\x01"].concat();
        let both = |path: &[u8]| [&b"\x01#####"[..], &head(path), b"#"].concat();
        let sent = |path: &[u8]| {
            [
                frame(4, 0, b""),
                frame(1, 0x4, &head(path)),
                frame(0, 0, b"\x44\x02/#"),
                frame(1, 0xc, &padded(path)),
                frame(1, 0x2c, &both(path)),
                frame(1, 0x24, &[&b"#####"[..], &head(path)].concat()),
                frame(0, 1, b"###"),
            ]
            .concat()
        };
        check(&sent(b"/a#b"), &sent(b"/a>b"));
    }

    #[test]
    fn fields_go_on_in_the_next_frame() {
        let sent = |path: &[u8]| {
            let head = [&b"\x44\x04"[..], path].concat();
            [frame(1, 0, &head[..4]), frame(9, 4, &head[4..])].concat()
        };
        check(&sent(b"/ab#"), &sent(b"/ab>"));
    }

    #[test]
    fn what_makes_no_sense_ends_nothing() {
        // More padding than payload, no payload, and the end in the middle.
        let sent = [
            frame(1, 0x8, b"\xff\x44"),
            frame(1, 0x28, b""),
            frame(1, 4, b"\x7f\xff\xff"),
        ];
        check(&sent.concat(), &sent.concat());
    }
}
