//! The page of the center's owner, in English and 简体中文.

use axum::http::{HeaderMap, header};
use maud::{DOCTYPE, Markup, html};
use protocol::ByteSize;

use crate::listing::{self, Listed};
use crate::office::Office;

/// Nodes on the page; the API has them all.
const ROWS_MAX: usize = 500;

/// The look of the page.
pub(crate) const STYLE: &str = include_str!("pages/center.css");
/// Renews the table.
pub(crate) const SCRIPT: &str = include_str!("pages/center.js");

/// What the page is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// English.
    English,
    /// 简体中文.
    Chinese,
}

impl Language {
    /// What the browser prefers.
    #[must_use]
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let wanted = headers.get(header::ACCEPT_LANGUAGE);
        let first = wanted.and_then(|value| value.to_str().ok()?.split(',').next());
        match first {
            Some(first) if first.trim().to_ascii_lowercase().starts_with("zh") => Self::Chinese,
            Some(_) | None => Self::English,
        }
    }

    fn say(self, english: &'static str, chinese: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }

    fn code(self) -> &'static str {
        self.say("en", "zh-CN")
    }
}

fn shell(language: Language, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(language.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/center.css";
                script type="module" src="/center.js" {}
            }
            body { (content) }
        }
    }
}

/// Asks for the owner's token.
pub(crate) fn login(language: Language, wrong: bool) -> Markup {
    let title = language.say("Center", "中心");
    let content = html! {
        main.narrow {
            h1 { (title) }
            @if wrong {
                p.wrong role="alert" { (language.say("This is not the owner's token.", "这不是所有者令牌。")) }
            }
            form method="post" action="/login" {
                label for="token" { (language.say("The owner's token, as the first start printed it", "首次启动时显示的所有者令牌")) }
                input #token name="token" type="password" autocomplete="current-password" required;
                button { (language.say("Open", "打开")) }
            }
        }
    };
    shell(language, title, &content)
}

/// All nodes with their four fields (R13).
pub(crate) fn overview(language: Language, office: &Office) -> Markup {
    let title = format!("{} {}", language.say("Center of", "中心："), office.zone());
    let content = html! {
        main {
            h1 { (title) }
            p.id { (office.id()) }
            div #live data-rows="/rows" aria-live="polite" { (rows(language, office)) }
            noscript { p { a href="/" { (language.say("Renew", "刷新")) } } }
        }
    };
    shell(language, &title, &content)
}

/// The part of the page that renews itself.
pub(crate) fn rows(language: Language, office: &Office) -> Markup {
    let nodes = listing::page(office, None, ROWS_MAX);
    let (all, online) = {
        let registry = office.registry();
        (registry.len(), registry.online())
    };
    let heads = [
        language.say("Name", "名称"),
        language.say("Address", "地址"),
        language.say("Resources", "资源"),
        language.say("In use", "占用"),
        language.say("State", "状态"),
        language.say("Last renewed", "最近续期"),
    ];
    html! {
        @if let Some(trouble) = office.trouble() {
            p.wrong role="alert" { (trouble) }
        }
        p { (online) " / " (all) " " (language.say("nodes are online", "个节点在线")) }
        div.wide {
            table {
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { @for node in &nodes { (row(language, node)) } }
            }
        }
        @if nodes.is_empty() {
            p { (language.say("No node has registered yet.", "还没有节点登记。")) }
        } @else if nodes.len() < all {
            p { (language.say("The first 500 are shown; the API has them all.", "仅显示前 500 个；接口提供全部。")) }
        }
    }
}

fn row(language: Language, node: &Listed) -> Markup {
    let id = node.id.to_string();
    let size = |bytes: u64| ByteSize(bytes).to_string();
    let (state, class) = match node.online {
        Some(true) => (language.say("online", "在线"), "online"),
        Some(false) => (language.say("gone", "离线"), "gone"),
        None => (
            language.say("not heard of since the restart", "重启后尚未联系"),
            "unknown",
        ),
    };
    html! {
        tr data-id=(id) {
            th scope="row" {
                @match &node.name {
                    Some(name) => (name),
                    None => span.id { (id) },
                }
                @if node.pinned { " " span title=(language.say("important", "重要")) { "★" } }
            }
            td.address { @for address in &node.addresses { span { (address) } " " } }
            td {
                (size(node.resources.storage_bytes)) ", " (size(node.resources.memory_bytes)) ", "
                (node.resources.cores) " " (language.say("cores", "核"))
            }
            td {
                (size(node.usage.storage_bytes)) ", " (size(node.usage.memory_bytes)) ", "
                (node.usage.cpu_percent) " %"
            }
            td class=(class) { (state) }
            td { time datetime=(node.last_renewed) { (node.last_renewed.get(..19).unwrap_or("").replace('T', " ")) } }
        }
    }
}
