//! The languages of the pages and their message catalogs (R93).
//!
//! English and 简体中文 from one set of Fluent catalogs in `texts/`. Every visible string of a page
//! or a problem goes through [`Language::text`] or [`Language::with`]; tests compare the ids used in
//! the source with both catalogs, in both directions.

use std::sync::OnceLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// A language that pages speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    English,
    /// 简体中文.
    Chinese,
}

/// Value of a variable in a message.
pub(crate) type Value = FluentValue<'static>;

impl Language {
    /// All of them, in the order of the switch.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// The BCP 47 tag, as in `lang=` and in an account's settings.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// The language's own name for itself; the same in every language.
    #[must_use]
    pub fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "简体中文",
        }
    }

    /// The language of a tag such as `zh-CN`, `zh` or `en-GB`; `None` if we do not speak it.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or(tag);
        if primary.eq_ignore_ascii_case("zh") {
            Some(Self::Chinese)
        } else if primary.eq_ignore_ascii_case("en") {
            Some(Self::English)
        } else {
            None
        }
    }

    /// The best of `Accept-Language` (RFC 9110 section 12.5.4); English if nothing fits.
    #[must_use]
    pub fn accepted(headers: &HeaderMap) -> Self {
        let header = headers
            .get(ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let mut best = (0.0, Self::English);
        for part in header.split(',').take(32) {
            let (tag, weight) = match part.split_once(';') {
                Some((tag, parameter)) => {
                    let weight = parameter.trim().strip_prefix("q=").unwrap_or("0");
                    (tag, weight.parse().unwrap_or(0.0))
                }
                None => (part, 1.0_f32),
            };
            if let Some(language) = Self::from_tag(tag.trim())
                && weight > best.0
            {
                best = (weight, language);
            }
        }
        best.1
    }

    /// The message `id` without variables.
    #[must_use]
    pub(crate) fn text(self, id: &str) -> String {
        self.format(id, None)
    }

    /// The message `id` with its variables.
    #[must_use]
    pub(crate) fn with(self, id: &str, variables: &[(&'static str, Value)]) -> String {
        let mut args = FluentArgs::with_capacity(variables.len());
        for (name, value) in variables {
            args.set(*name, value.clone());
        }
        self.format(id, Some(&args))
    }

    /// A missing message or variable prints as its id: ugly, and never an error for the reader.
    fn format(self, id: &str, args: Option<&FluentArgs<'_>>) -> String {
        let bundle = self.bundle();
        let Some(pattern) = bundle.get_message(id).and_then(|message| message.value()) else {
            return id.to_owned();
        };
        let mut errors = Vec::new();
        let text = bundle
            .format_pattern(pattern, args, &mut errors)
            .into_owned();
        debug_assert!(errors.is_empty(), "message {id}: {errors:?}");
        text
    }

    fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("../texts/en.ftl"),
            Self::Chinese => include_str!("../texts/zh-CN.ftl"),
        }
    }

    fn bundle(self) -> &'static FluentBundle<FluentResource> {
        static ENGLISH: OnceLock<FluentBundle<FluentResource>> = OnceLock::new();
        static CHINESE: OnceLock<FluentBundle<FluentResource>> = OnceLock::new();
        let cell = match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        };
        cell.get_or_init(|| {
            let tag = self.tag().parse().expect("our tags are valid");
            let mut bundle = FluentBundle::new_concurrent(vec![tag]);
            // The isolation marks would show up in attributes and in plain-text answers.
            bundle.set_use_isolating(false);
            let resource =
                FluentResource::try_new(self.source().to_owned()).unwrap_or_else(|(part, _)| part);
            bundle.add_resource_overriding(resource);
            bundle
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;

    /// Message id to its whole text, variables included.
    fn catalog(language: Language) -> BTreeMap<String, String> {
        FluentResource::try_new(language.source().to_owned())
            .map_err(|(_, errors)| errors)
            .expect("the catalog parses");
        let mut messages: BTreeMap<String, String> = BTreeMap::new();
        let mut current = String::new();
        for line in language.source().lines() {
            if line.starts_with('#') {
                continue;
            }
            if let Some((id, text)) = line.split_once('=').filter(|(id, _)| {
                line.starts_with(|c: char| c.is_ascii_lowercase()) && !id.contains('{')
            }) {
                current = id.trim().to_owned();
                let known = messages.insert(current.clone(), text.to_owned());
                assert!(known.is_none(), "{current} stands twice in {language:?}");
            } else if let Some(text) = messages.get_mut(&current) {
                text.push_str(line);
            }
        }
        messages
    }

    fn variables(text: &str) -> BTreeSet<&str> {
        text.split('$')
            .skip(1)
            .map(|rest| {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
                    .unwrap_or(rest.len());
                &rest[..end]
            })
            .collect()
    }

    fn sources(folder: &Path, into: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                into.push((path.display().to_string(), text));
            }
        }
    }

    /// Every string literal of the sources that has the shape of a message id.
    fn literals() -> BTreeSet<String> {
        let mut files = Vec::new();
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut files,
        );
        files
            .iter()
            .flat_map(|(_, text)| text.split('"').skip(1))
            .filter(|piece| {
                !piece.is_empty()
                    && piece
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            })
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn both_catalogs_hold_the_same_messages_with_the_same_variables() {
        let (english, chinese) = (catalog(Language::English), catalog(Language::Chinese));
        for (id, text) in &english {
            let other = chinese
                .get(id)
                .unwrap_or_else(|| panic!("zh-CN lacks {id}"));
            assert_eq!(variables(text), variables(other), "variables of {id}");
        }
        for id in chinese.keys() {
            assert!(english.contains_key(id), "en lacks {id}");
        }
    }

    #[test]
    fn every_message_is_used_by_some_page() {
        let used = literals();
        let unused: Vec<_> = catalog(Language::English)
            .into_keys()
            .filter(|id| !used.contains(id))
            .collect();
        assert!(unused.is_empty(), "unused messages: {unused:?}");
    }

    #[test]
    fn every_message_that_a_page_asks_for_exists() {
        let known = catalog(Language::English);
        let mut files = Vec::new();
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut files,
        );
        for (file, text) in files {
            for call in [
                ".text(\"",
                ".with(\"",
                "Message::plain(\"",
                "Message::of(\"",
            ] {
                let calls = text.replace(".with(\n", ".with(").replace("( ", "(");
                for rest in calls.split(call).skip(1) {
                    let id = rest.split('"').next().unwrap();
                    let meant = !id.is_empty() && !id.contains([' ', '.', ')']);
                    assert!(!meant || known.contains_key(id), "{file} asks for {id}");
                }
            }
        }
    }

    /// What stands between tags in a template: a literal that opens a block, a line, or follows
    /// another piece. Attributes (`name="…"`), arguments and comparisons have something else before.
    fn visible_literals(template: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let mut rest = template;
        let mut before = String::new();
        while let Some(start) = rest.find('"') {
            before.push_str(&rest[..start]);
            let Some(length) = rest[start + 1..].find('"') else {
                break;
            };
            let literal = &rest[start + 1..start + 1 + length];
            let opens = before.trim_end().ends_with(['{', '}', ';']);
            let beside = before.ends_with(") ") || before.ends_with("\" ");
            if (opens || beside) && literal.chars().any(char::is_alphabetic) {
                found.push(literal);
            }
            before = "\"".to_owned();
            rest = &rest[start + length + 2..];
        }
        found
    }

    #[test]
    fn no_page_holds_a_visible_text_of_its_own() {
        let mut files = Vec::new();
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages");
        sources(&pages, &mut files);
        for (file, text) in files {
            let product = text.split("#[cfg(test)]").next().unwrap();
            for template in product.split("html! {").skip(1) {
                let template = template.split("\n}\n").next().unwrap();
                let own = visible_literals(template);
                // Parts of addresses and of machine words may stand beside values.
                let shown: Vec<_> = own
                    .into_iter()
                    .filter(|literal| !literal.starts_with('/') && !literal.contains("/dav/"))
                    .filter(|literal| *literal != "true" && *literal != "false")
                    .filter(|literal| !literal.starts_with("button"))
                    .collect();
                assert!(shown.is_empty(), "{file} shows {shown:?}");
            }
        }
    }

    #[test]
    fn a_visible_text_in_a_template_is_noticed() {
        let check = |template, expected: &[&str]| {
            assert_eq!(visible_literals(template), expected, "{template}");
        };
        check("p class=\"soft\" { \"Hello\" }", &["Hello"]);
        check("b { (name) \" is here\" }", &[" is here"]);
        check("a href=\"/x\" { (t.text(\"shell-skip\")) } \" · \"", &[]);
    }

    #[test]
    fn the_reader_gets_the_best_language_that_we_speak() {
        let check = |header: &str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, header.parse().unwrap());
            assert_eq!(Language::accepted(&headers), expected, "{header}");
        };
        check("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese);
        check("de-DE,en;q=0.5,zh;q=0.7", Language::Chinese);
        check("fr", Language::English);
        check("en-GB;q=nonsense, zh;q=0", Language::English);
    }
}
