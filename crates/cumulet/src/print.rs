//! How results look: tables and sentences for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write};

use node::Failure;
use protocol::ByteSize;
use serde_json::{Value, json};

use crate::plain_text;

/// Writes one line to standard output. A closed pipe ends the command quietly.
pub(crate) fn line(text: &str) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes one line to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a failure to standard error.
pub(crate) fn failure(failure: &Failure, as_json: bool) {
    if as_json {
        note(&json!({ "error": failure }).to_string());
        return;
    }
    let (red, off) = if io::stderr().is_terminal() {
        ("\x1b[31m", "\x1b[0m")
    } else {
        ("", "")
    };
    note(&format!(
        "{red}error:{off} {}",
        plain_text::of_lines(&failure.message)
    ));
    if let Some(hint) = &failure.hint {
        note(&format!(" hint: {}", plain_text::of_lines(hint)));
    }
}

/// A table of `rows` with one column for each of `columns` (title, key). Empty: `nothing`.
pub(crate) fn table(rows: &Value, columns: &[(&str, &str)], nothing: &str) -> String {
    let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        return nothing.to_owned();
    }
    let mut cells = vec![
        columns
            .iter()
            .map(|(title, _)| (*title).to_owned())
            .collect::<Vec<_>>(),
    ];
    cells.extend(rows.iter().map(|row| {
        columns
            .iter()
            .map(|(_, key)| cell(key, &row[*key]))
            .collect()
    }));
    let widths: Vec<usize> = (0..columns.len())
        .map(|i| cells.iter().map(|row| width(&row[i])).max().unwrap_or(0))
        .collect();
    let lines = cells.iter().map(|row| {
        let padded: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(text, wide)| format!("{text}{}", " ".repeat(wide - width(text))))
            .collect();
        padded.join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A number with the word for what it counts.
pub(crate) fn counted(number: &Value, one: &str, many: &str) -> String {
    let word = if *number == json!(1) { one } else { many };
    format!("{} {word}", cell("", number))
}

/// One value for people; sizes and times are shortened by what their key says.
pub(crate) fn cell(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Number(n) if key == "quota_bytes" => n
            .as_u64()
            .map_or_else(|| n.to_string(), |n| ByteSize(n).exact()),
        Value::Number(n) if key.ends_with("_bytes") => n
            .as_u64()
            .map_or_else(|| n.to_string(), |n| ByteSize(n).to_string()),
        Value::Number(n) => n.to_string(),
        // RFC 3339 in UTC to the minute.
        Value::String(text) if text.len() == 24 && text.ends_with('Z') => {
            text[..16].replace('T', " ")
        }
        Value::String(text) => plain_text::of_value(text).into_owned(),
        Value::Array(_) | Value::Object(_) => plain_text::of_value(&value.to_string()).into_owned(),
    }
}

/// Columns on a terminal; wide East Asian characters take two.
fn width(text: &str) -> usize {
    text.chars().map(|c| if matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{20000}'..='\u{3fffd}') { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_shortens() {
        let rows = json!([
            { "name": "alice", "used_bytes": 1_610_612_736_u64, "owner": true, "created": "2026-11-24T05:04:00.123Z" },
            { "name": "小明", "used_bytes": null, "owner": false, "created": "2026-11-24T05:04:00.123Z" },
        ]);
        let columns = [
            ("name", "name"),
            ("used", "used_bytes"),
            ("owner", "owner"),
            ("since", "created"),
        ];
        assert_eq!(
            table(&rows, &columns, ""),
            "name   used    owner  since\n\
             alice  1.6 GB  yes    2026-11-24 05:04\n\
             小明   -       no     2026-11-24 05:04"
        );
        assert_eq!(table(&json!([]), &columns, "nobody yet"), "nobody yet");
    }
}
