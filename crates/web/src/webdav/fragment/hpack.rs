//! Walks through the compressed heads of HTTP/2 (HPACK, RFC 7541) and spoils the fragment in a
//! `:path`.
//!
//! It decodes no more than it must: where strings begin and end, which field is `:path`, and where
//! the letters of a Huffman-coded value are. A `#` in `:path` becomes a `>`: that is as long (in
//! Huffman code the last of twelve bits differs), and no parser takes it in a target (RFC 3986). So
//! every length and both sides' tables stay as they are, and a field that refers to the spoiled one
//! later is as bad.
//!
//! The code is canonical (RFC 7541 section 5.2), so the number of codes of each length is all that is
//! needed to find the letters. What is malformed is left for the HTTP library to refuse.

use std::collections::VecDeque;

/// Codes of each length in bits (RFC 7541 appendix B).
const CODES: [u32; 31] = [
    0, 0, 0, 0, 0, 10, 26, 32, 6, 0, 5, 3, 2, 6, 2, 3, 0, 0, 0, 3, 8, 13, 26, 29, 12, 4, 15, 19,
    29, 0, 4,
];

/// `#`, and the letter beside it.
const FRAGMENT: Letter = Letter {
    code: 0xffa,
    bits: 12,
};
const REFUSED: u8 = b'>';

const PATH: &[u8] = b":path";
/// `:path` in Huffman code.
const PATH_LETTERS: [Letter; 5] = [
    Letter {
        code: 0x5c,
        bits: 7,
    },
    Letter {
        code: 0x2b,
        bits: 6,
    },
    Letter {
        code: 0x03,
        bits: 5,
    },
    Letter {
        code: 0x09,
        bits: 5,
    },
    Letter {
        code: 0x27,
        bits: 6,
    },
];

/// Bytes of the names in the static table (RFC 7541 appendix A).
const STATIC_NAMES: [u8; 61] = [
    10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13, 19, 16, 16, 14,
    16, 13, 12, 6, 4, 4, 6, 7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18, 19, 5, 7, 7, 11, 6, 10,
    25, 17, 10, 4, 3, 16,
];
/// The two rows of the static table that are named `:path`.
const STATIC_PATHS: std::ops::RangeInclusive<usize> = 4..=5;

/// SETTINGS_HEADER_TABLE_SIZE (RFC 9113 section 6.5.2); we announce no other.
const TABLE_BYTES_MAX: usize = 4_096;
/// What a row of the dynamic table counts beside its text (RFC 7541 section 4.1).
const ROW_BYTES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Letter {
    code: u32,
    bits: usize,
}

/// A row of the dynamic table, as far as it matters here.
#[derive(Debug, Clone, Copy)]
struct Row {
    is_path: bool,
    name_bytes: usize,
    bytes: usize,
}

/// What a number is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    /// A whole field from a table.
    Field,
    /// The name of a field, whose value follows.
    Name,
    /// The size of the dynamic table.
    TableSize,
    /// The length of a string.
    Length(Text),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Name,
    Value,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// A field begins.
    Field,
    /// More bytes of a number.
    Number {
        what: Number,
        value: usize,
        shift: u32,
    },
    /// The length of a string begins.
    Length(Text),
    /// Inside a string.
    Text { what: Text, left: usize },
}

/// The heads of one connection, in their order.
#[derive(Debug)]
pub(super) struct Heads {
    state: State,
    /// The string at hand is Huffman-coded.
    coded: bool,
    letter: Letter,
    /// First code of the letter's length.
    first: u32,
    /// Letters of the string at hand.
    letters: usize,
    /// All letters so far are those of `:path`.
    spells_path: bool,
    is_path: bool,
    /// The field goes into the dynamic table.
    kept: bool,
    name_bytes: usize,
    table: VecDeque<Row>,
    table_bytes: usize,
    table_max: usize,
}

impl Heads {
    pub(super) fn new() -> Self {
        Self {
            state: State::Field,
            coded: false,
            letter: Letter::default(),
            first: 0,
            letters: 0,
            spells_path: false,
            is_path: false,
            kept: false,
            name_bytes: 0,
            table: VecDeque::new(),
            table_bytes: 0,
            table_max: TABLE_BYTES_MAX,
        }
    }

    /// A head begins.
    pub(super) fn begin(&mut self) {
        self.state = State::Field;
    }

    /// The next bytes of a head.
    pub(super) fn look(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            match self.state {
                State::Field => self.field(*byte),
                State::Number { what, value, shift } => self.number(what, value, shift, *byte),
                State::Length(text) => {
                    self.coded = *byte & 0x80 != 0;
                    self.begin_number(Number::Length(text), *byte, 7);
                }
                State::Text { what, left } => self.text(what, left, byte),
            }
        }
    }

    /// The first byte of a field (section 6).
    fn field(&mut self, byte: u8) {
        self.kept = false;
        match byte {
            0x80.. => self.begin_number(Number::Field, byte, 7),
            0x40..0x80 => {
                self.kept = true;
                self.begin_number(Number::Name, byte, 6);
            }
            0x20..0x40 => self.begin_number(Number::TableSize, byte, 5),
            ..0x20 => self.begin_number(Number::Name, byte, 4),
        }
    }

    /// Section 5.1.
    fn begin_number(&mut self, what: Number, byte: u8, prefix: u32) {
        let mask = (1_usize << prefix) - 1;
        let value = usize::from(byte) & mask;
        if value < mask {
            self.have(what, value);
        } else {
            self.state = State::Number {
                what,
                value,
                shift: 0,
            };
        }
    }

    fn number(&mut self, what: Number, value: usize, shift: u32, byte: u8) {
        let more = usize::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        let value = value.saturating_add(more);
        if byte & 0x80 == 0 {
            self.have(what, value);
        } else {
            // The library refuses numbers that long.
            let shift = (shift + 7).min(28);
            self.state = State::Number { what, value, shift };
        }
    }

    fn have(&mut self, what: Number, value: usize) {
        match what {
            Number::Field => self.state = State::Field,
            Number::TableSize => {
                self.table_max = value.min(TABLE_BYTES_MAX);
                self.evict(0);
                self.state = State::Field;
            }
            Number::Name if value == 0 => self.state = State::Length(Text::Name),
            Number::Name => {
                (self.is_path, self.name_bytes) = self.named(value);
                self.state = State::Length(Text::Value);
            }
            Number::Length(text) => self.begin_text(text, value),
        }
    }

    /// Whether the name in a row of the tables is `:path`, and its length.
    fn named(&self, index: usize) -> (bool, usize) {
        match index.checked_sub(STATIC_NAMES.len() + 1) {
            None => {
                let bytes = STATIC_NAMES.get(index.wrapping_sub(1)).copied();
                let bytes = bytes.unwrap_or_default();
                (STATIC_PATHS.contains(&index), bytes.into())
            }
            Some(at) => {
                let row = self.table.get(at);
                row.map_or((false, 0), |row| (row.is_path, row.name_bytes))
            }
        }
    }

    fn begin_text(&mut self, what: Text, left: usize) {
        self.letters = 0;
        self.spells_path = true;
        (self.letter, self.first) = (Letter::default(), 0);
        if left == 0 {
            self.end_text(what);
        } else {
            self.state = State::Text { what, left };
        }
    }

    fn text(&mut self, what: Text, left: usize, byte: &mut u8) {
        if self.coded {
            self.coded_byte(what, byte);
        } else {
            self.spells_path &= PATH.get(self.letters) == Some(byte);
            self.letters += 1;
            if what == Text::Value && self.is_path && *byte == b'#' {
                *byte = REFUSED;
            }
        }
        match left {
            0 | 1 => self.end_text(what),
            _ => {
                self.state = State::Text {
                    what,
                    left: left - 1,
                }
            }
        }
    }

    /// Section 5.2: letters do not end at the ends of bytes.
    fn coded_byte(&mut self, what: Text, byte: &mut u8) {
        for place in (0..8).rev() {
            let bit = u32::from(*byte >> place & 1);
            self.letter.code = self.letter.code << 1 | bit;
            self.letter.bits += 1;
            self.first <<= 1;
            let Some(count) = CODES.get(self.letter.bits) else {
                // No code is that long.
                (self.letter, self.first) = (Letter::default(), 0);
                continue;
            };
            if self.letter.code.wrapping_sub(self.first) >= *count {
                self.first += count;
                continue;
            }
            self.spells_path &= PATH_LETTERS.get(self.letters) == Some(&self.letter);
            self.letters += 1;
            if what == Text::Value && self.is_path && self.letter == FRAGMENT {
                *byte |= 1 << place;
            }
            (self.letter, self.first) = (Letter::default(), 0);
        }
    }

    fn end_text(&mut self, what: Text) {
        match what {
            Text::Name => {
                self.is_path = self.spells_path && self.letters == PATH.len();
                self.name_bytes = self.letters;
                self.state = State::Length(Text::Value);
            }
            Text::Value => {
                if self.kept {
                    self.keep(self.letters);
                }
                self.state = State::Field;
            }
        }
    }

    /// Section 4.4.
    fn keep(&mut self, value_bytes: usize) {
        let bytes = self.name_bytes + value_bytes + ROW_BYTES;
        self.evict(bytes);
        if bytes <= self.table_max {
            self.table_bytes += bytes;
            self.table.push_front(Row {
                is_path: self.is_path,
                name_bytes: self.name_bytes,
                bytes,
            });
        }
    }

    /// Makes room for `bytes`.
    fn evict(&mut self, bytes: usize) {
        while self.table_bytes + bytes > self.table_max {
            let Some(row) = self.table.pop_back() else {
                return;
            };
            self.table_bytes -= row.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a head, however it is cut into pieces.
    #[track_caller]
    fn check(heads: &mut Heads, head: &[u8], expected: &[u8]) {
        heads.begin();
        let mut looked = head.to_vec();
        for byte in looked.chunks_mut(1) {
            heads.look(byte);
        }
        assert_eq!(looked, expected);
    }

    /// A literal field with incremental indexing: the name by its index or its text, and the value.
    fn literal(first: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        if first.trailing_zeros() >= 6 {
            out.push(u8::try_from(name.len()).unwrap());
            out.extend_from_slice(name);
        }
        out.push(u8::try_from(value.len()).unwrap());
        out.extend_from_slice(value);
        out
    }

    #[test]
    fn a_plain_path_loses_its_fragment_and_nothing_else_is_touched() {
        let mut heads = Heads::new();
        for (first, name) in [(0x44, &b""[..]), (0x05, b""), (0x40, b":path")] {
            let head = literal(first, name, b"/a/#b?#");
            check(&mut heads, &head, &literal(first, name, b"/a/>b?>"));
        }
        for (first, name) in [
            (0x42, &b""[..]),
            (0x7a, b""),
            (0x40, b":paths"),
            (0x40, b":pat"),
        ] {
            let head = literal(first, name, b"/a/#b");
            check(&mut heads, &head, &head);
        }
        // RFC 7541 C.3.1: indexed fields and a literal `:authority`.
        let head = *b"\x82\x86\x84\x41\x0fwww.example.com";
        check(&mut heads, &head, &head);
    }

    #[test]
    fn a_coded_path_loses_its_fragment_too() {
        // `/#b` is 011000 1111_11111010 100011 and two bits of padding ones.
        let bits = "011000111111111010100011";
        let value: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect();
        let spoiled = [value[0], value[1], value[2] | 0b0100_0000];
        let mut head = vec![0x44, 0x83];
        let mut expected = head.clone();
        head.extend_from_slice(&value);
        expected.extend_from_slice(&spoiled);
        check(&mut Heads::new(), &head, &expected);
        // RFC 7541 C.4.1: `www.example.com` as `:path` and as `:authority` stays as it is.
        let text = b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        for first in [0x41, 0x44] {
            let mut head = vec![first, 0x8c];
            head.extend_from_slice(text);
            check(&mut Heads::new(), &head, &head);
        }
    }

    #[test]
    fn a_name_from_the_dynamic_table_is_known() {
        let mut heads = Heads::new();
        let first = literal(0x40, b":path", b"/");
        check(&mut heads, &first, &first);
        // Index 62 is the newest row.
        let path = |value: &[u8]| literal(0x7e, b"", value);
        check(&mut heads, &path(b"/#"), &path(b"/>"));
        let other = literal(0x40, b"x", b"#");
        check(&mut heads, &other, &other);
        check(&mut heads, &path(b"/#"), &path(b"/#"));
        // An empty table forgets it: size update to 0, and back.
        check(&mut heads, b"\x20\x3f\xe1\x1f", b"\x20\x3f\xe1\x1f");
        assert_eq!(
            (heads.table.len(), heads.table_bytes, heads.table_max),
            (0, 0, 4_096)
        );
    }

    #[test]
    fn sizes_of_the_dynamic_table_are_those_of_the_standard() {
        // RFC 7541 C.4.1 to C.4.3 with the sizes that the standard gives.
        let mut heads = Heads::new();
        let heads_and_sizes: [(&[u8], usize); 3] = [
            (
                b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
                57,
            ),
            (b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf", 110),
            (
                b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\
                  \xb8\xe8\xb4\xbf",
                164,
            ),
        ];
        for (head, bytes) in heads_and_sizes {
            check(&mut heads, head, head);
            assert_eq!(heads.table_bytes, bytes);
        }
    }
}
