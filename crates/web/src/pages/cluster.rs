//! Other nodes for the owner: who is linked, and "go to node" (R29, R34).

use maud::{Markup, html};

use super::admin::{Tab, tabs};
use super::center;
use super::shell::{Section, Tone, Width, icon, icon_of, notice};
use crate::call::{Answer, Call};
use crate::cluster::{
    ClusterTrouble, FoundReport, NeighborPath, NeighborReport, NeighborState, OfferReport,
    SearchReport,
};
use crate::language::Language;

mod map;

/// `GET /cluster?node=`
pub(crate) async fn show(call: Call) -> Answer {
    let query = call.query()?;
    let sought = query.filled("node").map(str::to_owned);
    let neighbors = call.app.cluster.neighbors().await;
    let center = call.app.cluster.center();
    let found = match &sought {
        Some(what) => Some(call.app.cluster.find(what).await),
        None => None,
    };
    let t = call.language;
    let title = t.text("cluster-title");
    Ok(call.frame(&title, Section::Admin, Width::Wide).page(&html! {
        div class="headline" { h1 { (t.text("nav-admin")) } }
        (tabs(t, Tab::Cluster))
        form class="card stack" method="get" action="/cluster" {
            div class="field" {
                label for="field-node" { (t.text("cluster-go")) }
                input id="field-node" name="node" type="text" required value=(sought.unwrap_or_default())
                    maxlength="64" autocomplete="off" autocapitalize="none" spellcheck="false"
                    aria-describedby="hint-node";
                p id="hint-node" class="soft small" { (t.text("cluster-go-text")) }
            }
            div class="buttons end" { button class="button" { (t.text("cluster-go-button")) } }
        }
        @if let Some(found) = &found { (result(t, found)) }
        @if let Some(center) = &center { (center::card(t, center)) }
        (list(t, &call.app.settings.name, &neighbors))
    }))
}

fn result(t: Language, found: &Result<SearchReport, ClusterTrouble>) -> Markup {
    let search = match found {
        Ok(search) => search,
        Err(trouble) => return problem(t, *trouble),
    };
    let words = [
        ("messages", u64::from(search.messages).into()),
        (
            "ms",
            u64::try_from(search.took.as_millis())
                .unwrap_or(u64::MAX)
                .into(),
        ),
    ];
    html! {
        @if let Some(trouble) = &search.center_trouble {
            (notice(Tone::Warn, &html! {
                b { (t.text("center-not-asked")) }
                div class="mono small break" { (trouble) }
            }))
        }
        @if search.nodes.is_empty() {
            (notice(Tone::Warn, &html! {
                b { (t.text("cluster-nobody")) }
                div { (t.with("cluster-effort", &words)) }
            }))
        } @else {
            @if search.nodes.len() > 1 {
                (notice(Tone::Warn, &html! { (t.text("cluster-several")) }))
            }
            @for node in &search.nodes { (found_card(t, node)) }
            p class="soft small" { (t.with("cluster-effort", &words)) }
        }
    }
}

fn found_card(t: Language, node: &FoundReport) -> Markup {
    html! {
        section class="card stack" {
            h2 { (node.name.clone().unwrap_or_else(|| t.text("cluster-nameless"))) }
            dl class="facts" {
                dt { (t.text("admin-id")) } dd class="mono small break" { (node.id) }
                dt { (t.text("cluster-addresses")) }
                dd { @for address in &node.addresses { div class="mono small" { (address) } } }
                dt { (t.text("cluster-offers")) } dd { (offers(t, node.offers.as_deref())) }
            }
        }
    }
}

fn problem(t: Language, trouble: ClusterTrouble) -> Markup {
    let text = match trouble {
        ClusterTrouble::Away => t.text("cluster-away"),
        ClusterTrouble::NoName => t.text("cluster-no-name"),
    };
    notice(Tone::Warn, &html! { (text) })
}

fn list(t: Language, own: &str, neighbors: &Result<Vec<NeighborReport>, ClusterTrouble>) -> Markup {
    let neighbors = match neighbors {
        Ok(neighbors) => neighbors,
        Err(trouble) => return problem(t, *trouble),
    };
    html! {
        section class="card stack" {
            div { h2 { (t.text("cluster-title")) } p class="soft" { (t.text("cluster-text")) } }
            @if neighbors.is_empty() {
                div class="empty" { (icon_of("icon", "people")) h3 { (t.text("cluster-empty")) } }
            } @else {
                @if let Some(map) = map::map(t, own, neighbors) { (map) }
                div class="things" { @for neighbor in neighbors { (row(t, neighbor)) } }
            }
        }
    }
}

fn row(t: Language, neighbor: &NeighborReport) -> Markup {
    let (way, address) = match &neighbor.path {
        NeighborPath::Direct(address) => (t.text("cluster-direct"), Some(address)),
        NeighborPath::Relayed(relay) => (t.text("cluster-relayed"), Some(relay)),
        NeighborPath::None => (t.text("cluster-no-link"), None),
    };
    html! {
        div class="thing" {
            div class="main-part" {
                b { (neighbor.name.clone().unwrap_or_else(|| t.text("cluster-nameless"))) }
                " " (badge(t, neighbor.state))
                @if neighbor.friend { " " span class="badge good" { (t.text("cluster-friend")) } }
                @if neighbor.pinned { " " span class="badge plain" { (t.text("cluster-pinned")) } }
                div class="soft" {
                    (way)
                    @if let Some(address) = address { " " span class="mono" { (address) } }
                    @if let Some(rtt) = neighbor.rtt {
                        " · " (format!("{:.1} ms", rtt.as_secs_f64() * 1000.0))
                    }
                    @if let Some(version) = &neighbor.version {
                        " · " (t.text("admin-version")) " " (version)
                    }
                }
                div class="small" { (offers(t, neighbor.offers.as_deref())) }
                div class="mono small soft break" { (neighbor.id) }
            }
            form method="get" action="/cluster" {
                input type="hidden" name="node" value=(neighbor.id);
                button class="button bare" { (icon("people")) (t.text("cluster-go-button")) }
            }
        }
    }
}

fn badge(t: Language, state: NeighborState) -> Markup {
    match state {
        NeighborState::Seen => html! { span class="badge good" { (t.text("cluster-seen")) } },
        NeighborState::Suspect => html! { span class="badge" { (t.text("cluster-suspect")) } },
        NeighborState::Gone => html! { span class="badge bad" { (t.text("cluster-gone")) } },
    }
}

fn offers(t: Language, offers: Option<&[OfferReport]>) -> Markup {
    let Some(offers) = offers else {
        return html! { span class="soft" { (t.text("cluster-not-asked")) } };
    };
    html! {
        @for (number, offer) in offers.iter().enumerate() {
            @if number > 0 { " · " }
            @if let Some(url) = &offer.url {
                a href=(url) rel="noreferrer" { (offer_text(t, &offer.name)) }
            } @else {
                (offer_text(t, &offer.name))
            }
        }
    }
}

fn offer_text(t: Language, name: &str) -> String {
    match name {
        "pages" => t.text("offer-pages"),
        "webdav" => t.text("offer-webdav"),
        "files" => t.text("offer-files"),
        other => other.to_owned(),
    }
}
