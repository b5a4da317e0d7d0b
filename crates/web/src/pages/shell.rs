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
                        (item(Section::Admin, "/admin", "gear", t.text("nav-admin")))
                    }
                }
                details class="who" {
                    summary { (icon("person")) (account.name) }
                    div class="items" {
                        a href="/account" { (icon("key")) (t.text("nav-account")) }
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
