//! The frame around every page: head, top bar, notices, footer with the language switch.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use maud::{DOCTYPE, Markup, html};
use sharing::Account;

use crate::App;
use crate::assets::Asset;
use crate::language::Language;

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Files,
    Shared,
    Links,
    Friends,
    Trash,
    Account,
    Admin,
    /// Pages for people who are not signed in, and problems.
    None,
}

/// How wide a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// Lists.
    Wide,
    /// Forms and settings.
    Narrow,
    /// One small form in the middle of the screen.
    Middle,
    /// One larger card in the middle of the screen.
    MiddleWide,
}

/// What the frame shows.
pub(crate) struct Frame<'a> {
    pub(crate) app: &'a App,
    pub(crate) language: Language,
    pub(crate) title: &'a str,
    pub(crate) account: Option<&'a Account>,
    pub(crate) section: Section,
    pub(crate) width: Width,
    /// Where the language switch comes back to.
    pub(crate) back: &'a str,
}

impl Frame<'_> {
    /// The page as an answer with status 200.
    pub(crate) fn page(&self, body: &Markup) -> Response<Body> {
        page_response(StatusCode::OK, self.draw(body))
    }

    fn draw(&self, body: &Markup) -> Markup {
        let t = self.language;
        let main_class = match self.width {
            Width::Wide => "",
            Width::Narrow => "narrow",
            Width::Middle => "middle",
            Width::MiddleWide => "middle wide",
        };
        html! {
            (DOCTYPE)
            html lang=(t.tag()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="robots" content="noindex, nofollow";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · " (self.app.settings.name) }
                    link rel="icon" href=(Asset::Favicon.address()) type="image/svg+xml";
                    link rel="stylesheet" href=(Asset::Style.address());
                    script type="module" src=(Asset::Script.address()) {}
                }
                body {
                    a class="skip" href="#main" { (t.text("shell-skip")) }
                    (self.top())
                    main id="main" class=(main_class) { (body) }
                    (self.foot())
                }
            }
        }
    }

    fn top(&self) -> Markup {
        let t = self.language;
        let Some(account) = self.account else {
            return html! {
                header class="top" {
                    a class="brand" href="/" { (icon("cloud")) (self.app.settings.name) }
                }
            };
        };
        let item = |section: Section, href: &str, icon_name: &str, label: String| {
            let current = (section == self.section).then_some("page");
            html! { a href=(href) aria-current=[current] { (icon(icon_name)) (label) } }
        };
        html! {
            header class="top" {
                a class="brand" href="/" { (icon("cloud")) (self.app.settings.name) }
                nav aria-label=(t.text("shell-navigation")) {
                    (item(Section::Files, "/", "folder", t.text("nav-files")))
                    (item(Section::Shared, "/shared", "people", t.text("nav-shared")))
                    (item(Section::Links, "/links", "link", t.text("nav-links")))
                    (item(Section::Trash, "/trash", "bin", t.text("nav-trash")))
                    @if account.owner {
                        (item(Section::Friends, "/friends", "people", t.text("nav-friends")))
                        (item(Section::Admin, "/admin", "gear", t.text("nav-manage")))
                    }
                }
                details class="who" {
                    summary { (icon("person")) (account.name) }
                    div class="items" {
                        a href="/account" { (icon("key")) (t.text("nav-account")) }
                        a href="/people" { (icon("people")) (t.text("people-title")) }
                        form method="post" action="/logout" {
                            button { (icon("leave")) (t.text("nav-sign-out")) }
                        }
                    }
                }
            }
        }
    }

    fn foot(&self) -> Markup {
        let t = self.language;
        html! {
            footer class="foot" {
                form method="post" action="/language" aria-label=(t.text("shell-language")) {
                    input type="hidden" name="back" value=(self.back);
                    @for language in Language::ALL {
                        button name="language" value=(language.tag()) lang=(language.tag())
                            aria-pressed=(if language == t { "true" } else { "false" }) {
                            (language.own_name())
                        }
                    }
                }
            }
        }
    }
}

/// HTML with a status.
pub(crate) fn page_response(status: StatusCode, page: Markup) -> Response<Body> {
    let mut response = Response::new(Body::from(page.into_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

/// One of the drawings in `assets/icons.svg`; decoration, so screen readers skip it.
pub(crate) fn icon(name: &str) -> Markup {
    icon_of("icon", name)
}

/// The same with classes of its own.
pub(crate) fn icon_of(class: &str, name: &str) -> Markup {
    let href = format!("{}#{name}", Asset::Icons.address());
    html! { svg class=(class) aria-hidden="true" focusable="false" { use href=(href) {} } }
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Warn,
    Info,
}

/// A box with a message at the top of a page.
pub(crate) fn notice(tone: Tone, body: &Markup) -> Markup {
    let (class, name, role) = match tone {
        Tone::Good => ("notice good", "check", "status"),
        Tone::Bad => ("notice bad", "warning", "alert"),
        Tone::Warn => ("notice warn", "warning", "status"),
        Tone::Info => ("notice", "info", "status"),
    };
    html! { div class=(class) role=(role) { (icon(name)) div { (body) } } }
}

impl crate::call::Call {
    /// The frame for a page of this call.
    pub(crate) fn frame<'a>(&'a self, title: &'a str, section: Section, width: Width) -> Frame<'a> {
        Frame {
            app: &self.app,
            language: self.language,
            title,
            account: self.account.as_ref(),
            section,
            width,
            back: match self.head.method {
                http::Method::GET => self.head.uri.path_and_query().map_or("/", |p| p.as_str()),
                _ => "/",
            },
        }
    }
}

/// An instant to the minute; UTC in the source, turned into the reader's zone by the script.
pub(crate) fn moment(t: Language, at: protocol::Timestamp) -> Markup {
    let exact = at.to_string();
    let shown = match (day_of(t, &exact), exact.get(11..16)) {
        (Some(date), Some(time)) => t.with(
            "date-time",
            &[("date", date.into()), ("time", time.to_owned().into())],
        ),
        _ => exact.clone(),
    };
    html! { time datetime=(exact) title=(exact) { (shown) } }
}

/// The end of something: its last day where it ends with a day, else the moment.
pub(crate) fn ending(t: Language, at: protocol::Timestamp) -> Markup {
    const DAY_MS: i64 = 86_400_000;
    let last = protocol::Timestamp(at.0 - DAY_MS).to_string();
    match day_of(t, &last) {
        Some(date) if at.0 % DAY_MS == 0 => {
            html! { time datetime=(last.get(..10).unwrap_or("")) title=(at) { (date) } }
        }
        Some(_) | None => moment(t, at),
    }
}

/// The date of an RFC 3339 time as people write it.
fn day_of(t: Language, exact: &str) -> Option<String> {
    let number = |from, to| exact.get(from..to)?.parse::<u32>().ok();
    let (month, day) = (number(5, 7)?, number(8, 10)?);
    let year = exact.get(..4)?.to_owned();
    let words = [
        ("year", year.into()),
        ("month", month.into()),
        ("day", day.into()),
    ];
    Some(t.with("date", &words))
}

/// A QR code as inline SVG; nothing if the text is too long for one.
pub(crate) fn qr(text: &str) -> Markup {
    let Ok(code) = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::M) else {
        return html! {};
    };
    let drawn = code
        .render::<qrcode::render::svg::Color<'_>>()
        .quiet_zone(true)
        .build();
    // The XML declaration has no place inside of a page.
    let svg = drawn.find("<svg").map_or("", |start| &drawn[start..]);
    html! { div class="qr" aria-hidden="true" { (maud::PreEscaped(svg)) } }
}

/// A text field that holds something to copy, with its button (shown by the script).
pub(crate) fn copy_field(language: Language, id: &str, label: &str, value: &str) -> Markup {
    html! {
        div class="field" {
            label for=(id) { (label) }
            input id=(id) type="text" readonly value=(value);
        }
        div class="buttons" {
            button class="button" type="button" hidden data-copy=(id)
                data-done=(language.text("copy-done")) {
                (icon("copy")) span { (language.text("copy")) }
            }
        }
    }
}

/// A labelled input with an optional hint.
pub(crate) struct Input<'a> {
    pub(crate) name: &'static str,
    /// Where several forms of a page have a field of this name: which form this is.
    pub(crate) form: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) label: String,
    pub(crate) value: &'a str,
    pub(crate) hint: Option<String>,
    /// For password managers and phones (HTML autofill field name).
    pub(crate) autocomplete: &'static str,
    pub(crate) required: bool,
    pub(crate) autofocus: bool,
}

impl Input<'_> {
    /// A required field without hint or value.
    pub(crate) fn new(name: &'static str, kind: &'static str, label: String) -> Self {
        Self {
            name,
            form: "",
            kind,
            label,
            value: "",
            hint: None,
            autocomplete: "off",
            required: true,
            autofocus: false,
        }
    }

    /// Draws it.
    pub(crate) fn draw(&self) -> Markup {
        let id = format!("field-{}{}", self.form, self.name);
        let hint_id = format!("{id}-hint");
        let described = self.hint.is_some().then_some(hint_id.as_str());
        // Names and codes are typed as they are, on phones too.
        let plain = self.kind == "text";
        html! {
            div class="field" {
                label for=(id) { (self.label) }
                input id=(id) name=(self.name) type=(self.kind) value=(self.value)
                    autocomplete=(self.autocomplete) required[self.required]
                    autofocus[self.autofocus] aria-describedby=[described]
                    autocapitalize=[plain.then_some("none")] spellcheck=[plain.then_some("false")];
                @if let Some(hint) = &self.hint {
                    span class="hint" id=(hint_id) { (hint) }
                }
            }
        }
    }
}

/// One of several exclusive choices, as a card with a radio button.
pub(crate) fn choice(name: &str, value: &str, checked: bool, title: &str, text: &str) -> Markup {
    html! {
        label class="choice" {
            input type="radio" name=(name) value=(value) checked[checked];
            span { b { (title) } span { (text) } }
        }
    }
}
