//! Text from outside on the owner's terminal: names of files, labels and addresses are written by
//! guests, and a terminal obeys ESC, CR and others, while bidirectional controls make a name look
//! like another one (Unicode Technical Report 36 section 2.4). Such characters are shown as
//! `\u{1b}`; what `--json` prints stays exact.

use std::borrow::Cow;
use std::io::{self, Write};

/// One value on one line.
pub(crate) fn of_value(text: &str) -> Cow<'_, str> {
    escape(text, is_unfit)
}

/// Several lines, whose ends are ours.
pub(crate) fn of_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && is_unfit(c))
}

fn escape(text: &str, unfit: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&unfit) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if unfit(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.into()
}

/// Controls (C0, DEL, C1), line and paragraph separators, and bidirectional controls.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Standard error for log lines: each write is one event and stays one line.
pub(crate) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let mut line = of_value(line).into_owned();
        line.push('\n');
        io::stderr().lock().write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_and_words_stay() {
        let check = |text: &str, expected: &str| assert_eq!(of_value(text), expected);
        check("a\u{1b}[31m", "a\\u{1b}[31m");
        check("a\rb\nc\td", "a\\rb\\nc\\td");
        check("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}");
        check("exe.\u{202e}gpj", "exe.\\u{202e}gpj");
        check(
            "旅行 👩\u{200d}👧 \\u{1b} שלום",
            "旅行 👩\u{200d}👧 \\u{1b} שלום",
        );
        assert_eq!(of_lines("a\nb\r"), "a\nb\\r");
    }
}
