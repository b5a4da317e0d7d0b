//! The plan by which PROPFIND answers: made once from the request, then run for each resource
//! without an allocation for each property.

use protocol::Etag;

use crate::multistatus::{push_name, push_status};
use crate::print::{push_escaped, push_http_date, push_number, push_rfc3339};
use crate::xml::DAV;
use crate::{PropFind, PropName};

/// The properties that we compute (RFC 4918 section 15, RFC 4331).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    /// `creationdate`.
    CreationDate,
    /// `displayname`: the name, or what a client has set.
    DisplayName,
    /// `getcontentlength`; files only.
    ContentLength,
    /// `getcontenttype`; files only.
    ContentType,
    /// `getetag`.
    Etag,
    /// `getlastmodified`.
    LastModified,
    /// `lockdiscovery`.
    LockDiscovery,
    /// `resourcetype`.
    ResourceType,
    /// `supportedlock`.
    SupportedLock,
    /// `quota-available-bytes`; folders only, not part of allprop (RFC 4331 section 2).
    QuotaAvailable,
    /// `quota-used-bytes`; likewise.
    QuotaUsed,
}

impl Live {
    const ALL: [Self; 11] = [
        Self::ResourceType,
        Self::CreationDate,
        Self::DisplayName,
        Self::ContentLength,
        Self::ContentType,
        Self::Etag,
        Self::LastModified,
        Self::LockDiscovery,
        Self::SupportedLock,
        Self::QuotaAvailable,
        Self::QuotaUsed,
    ];

    /// Its local name in `DAV:`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CreationDate => "creationdate",
            Self::DisplayName => "displayname",
            Self::ContentLength => "getcontentlength",
            Self::ContentType => "getcontenttype",
            Self::Etag => "getetag",
            Self::LastModified => "getlastmodified",
            Self::LockDiscovery => "lockdiscovery",
            Self::ResourceType => "resourcetype",
            Self::SupportedLock => "supportedlock",
            Self::QuotaAvailable => "quota-available-bytes",
            Self::QuotaUsed => "quota-used-bytes",
        }
    }

    /// The live property of that name.
    #[must_use]
    pub fn find(name: &PropName) -> Option<Self> {
        let mut all = Self::ALL.into_iter().filter(|_| name.namespace == DAV);
        all.find(|live| live.name() == name.name)
    }

    fn in_allprop(self) -> bool {
        !matches!(self, Self::QuotaAvailable | Self::QuotaUsed)
    }

    fn exists_on(self, resource: &Resource<'_>) -> bool {
        match self {
            Self::ContentLength | Self::ContentType => !resource.folder,
            Self::QuotaAvailable => resource
                .quota
                .is_some_and(|quota| quota.available.is_some()),
            Self::QuotaUsed => resource.quota.is_some(),
            Self::Etag => resource.etag.is_some(),
            Self::CreationDate
            | Self::DisplayName
            | Self::LastModified
            | Self::LockDiscovery
            | Self::ResourceType
            | Self::SupportedLock => true,
        }
    }
}

/// Bytes of a space (RFC 4331).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// What is taken.
    pub used: u64,
    /// What can still be written, if that is known.
    pub available: Option<u64>,
}

/// A dead property as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadRef<'a> {
    /// Namespace URI, possibly empty.
    pub namespace: &'a str,
    /// Local name.
    pub name: &'a str,
    /// The whole element, standing alone.
    pub xml: &'a str,
}

/// A lock as `lockdiscovery` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveLock<'a> {
    /// `urn:uuid:…`.
    pub token: &'a str,
    /// Encoded address of the resource that was locked.
    pub root_href: &'a str,
    /// Exclusive or shared.
    pub exclusive: bool,
    /// Depth infinity or 0.
    pub deep: bool,
    /// The `DAV:owner` element as stored; may be empty.
    pub owner_xml: &'a str,
    /// Seconds left.
    pub timeout_s: u64,
}

impl ActiveLock<'_> {
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope>");
        out.extend_from_slice(if self.exclusive {
            b"<D:exclusive/>"
        } else {
            b"<D:shared/>"
        });
        out.extend_from_slice(b"</D:lockscope><D:depth>");
        out.extend_from_slice(if self.deep { b"infinity" } else { b"0" });
        out.extend_from_slice(b"</D:depth>");
        out.extend_from_slice(self.owner_xml.as_bytes());
        out.extend_from_slice(b"<D:timeout>Second-");
        push_number(out, self.timeout_s);
        out.extend_from_slice(b"</D:timeout><D:locktoken><D:href>");
        push_escaped(out, self.token);
        out.extend_from_slice(b"</D:href></D:locktoken><D:lockroot><D:href>");
        push_escaped(out, self.root_href);
        out.extend_from_slice(b"</D:href></D:lockroot></D:activelock>");
    }
}

/// What is known of one resource.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    /// A collection.
    pub folder: bool,
    /// Its name, as people read it.
    pub name: &'a str,
    /// Seconds since 1970.
    pub created_s: i64,
    /// Seconds since 1970.
    pub modified_s: i64,
    /// Length in bytes.
    pub size: u64,
    /// Its strong validator; `None` for a collection that is only a view (the list of spaces).
    pub etag: Option<Etag>,
    /// Media type; of files.
    pub media_type: &'a str,
    /// Its locks, own and inherited.
    pub locks: &'a [ActiveLock<'a>],
    /// Can be locked at all.
    pub lockable: bool,
    /// Of collections, where the plan asks for it.
    pub quota: Option<Quota>,
    /// Its dead properties.
    pub dead: &'a [DeadRef<'a>],
}

/// One property that was asked for by name.
#[derive(Debug)]
struct Asked {
    name: PropName,
    live: Option<Live>,
    /// As an empty element, for the part of what was not found.
    printed: Vec<u8>,
}

#[derive(Debug)]
enum Mode {
    All,
    Names,
    Some,
}

/// A compiled PROPFIND.
#[derive(Debug)]
pub struct Reply {
    mode: Mode,
    /// In mode `All` these are the ones to include.
    asked: Vec<Asked>,
    minimal: bool,
}

const SUPPORTED_LOCK: &[u8] = b"<D:supportedlock>\
    <D:lockentry><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>\
    <D:lockentry><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>\
    </D:supportedlock>";

impl Reply {
    /// Compiles a request. With `minimal` the properties that were not found are left out (RFC 8144
    /// section 2.1).
    #[must_use]
    pub fn new(propfind: PropFind, minimal: bool) -> Self {
        let (mode, names) = match propfind {
            PropFind::AllProp { include } => (Mode::All, include),
            PropFind::PropName => (Mode::Names, Vec::new()),
            PropFind::Prop(names) => (Mode::Some, names),
        };
        let asked = names.into_iter().map(|name| {
            let mut printed = Vec::new();
            push_name(&mut printed, &name);
            Asked {
                live: Live::find(&name),
                name,
                printed,
            }
        });
        let asked = asked.filter(|asked| match mode {
            // Already part of allprop.
            Mode::All => !asked.live.is_some_and(Live::in_allprop),
            Mode::Names | Mode::Some => true,
        });
        Self {
            asked: asked.collect(),
            mode,
            minimal,
        }
    }

    /// True if dead properties can show; else they need not be read.
    #[must_use]
    pub fn needs_dead(&self) -> bool {
        let named = |asked: &Asked| matches!(asked.live, None | Some(Live::DisplayName));
        !matches!(self.mode, Mode::Some) || self.asked.iter().any(named)
    }

    /// True if locks can show.
    #[must_use]
    pub fn needs_locks(&self) -> bool {
        matches!(self.mode, Mode::All) || self.asks(|live| live == Live::LockDiscovery)
    }

    /// True if the quota can show.
    #[must_use]
    pub fn needs_quota(&self) -> bool {
        matches!(self.mode, Mode::Names) || self.asks(|live| !live.in_allprop())
    }

    fn asks(&self, test: impl Fn(Live) -> bool) -> bool {
        let mut live = self.asked.iter().filter_map(|asked| asked.live);
        live.any(test)
    }

    /// Appends the response element of one resource. `href` is already encoded.
    pub fn push_response(&self, out: &mut Vec<u8>, href: &[u8], resource: &Resource<'_>) {
        out.extend_from_slice(b"<D:response><D:href>");
        out.extend_from_slice(href);
        out.extend_from_slice(b"</D:href>");
        match self.mode {
            Mode::All => self.push_all(out, resource),
            Mode::Names => push_names(out, resource),
            Mode::Some => self.push_some(out, resource),
        }
        out.extend_from_slice(b"</D:response>\n");
    }

    fn push_all(&self, out: &mut Vec<u8>, resource: &Resource<'_>) {
        out.extend_from_slice(b"<D:propstat><D:prop>");
        for live in Live::ALL {
            if live.in_allprop() && live.exists_on(resource) {
                push_live(out, live, resource);
            }
        }
        for dead in resource.dead {
            if !is_display_name(dead) {
                out.extend_from_slice(dead.xml.as_bytes());
            }
        }
        // Dead ones that are asked for besides are there already.
        for asked in &self.asked {
            if let Some(live) = asked.live
                && live.exists_on(resource)
            {
                push_live(out, live, resource);
            }
        }
        close_propstat(out, 200);
    }

    fn push_some(&self, out: &mut Vec<u8>, resource: &Resource<'_>) {
        let start = out.len();
        out.extend_from_slice(b"<D:propstat><D:prop>");
        let (mut found, mut missing) = (0, 0);
        for asked in &self.asked {
            if asked.push_found(out, resource) {
                found += 1;
            } else {
                missing += 1;
            }
        }
        if found > 0 || missing == 0 || self.minimal {
            close_propstat(out, 200);
        } else {
            out.truncate(start);
        }
        if missing == 0 || self.minimal {
            return;
        }
        out.extend_from_slice(b"<D:propstat><D:prop>");
        for asked in &self.asked {
            if !asked.exists_on(resource) {
                out.extend_from_slice(&asked.printed);
            }
        }
        close_propstat(out, 404);
    }
}

impl Asked {
    fn dead<'a>(&self, resource: &Resource<'a>) -> Option<&'a DeadRef<'a>> {
        let mut dead = resource.dead.iter();
        dead.find(|dead| dead.name == self.name.name && dead.namespace == self.name.namespace)
    }

    fn exists_on(&self, resource: &Resource<'_>) -> bool {
        match self.live {
            Some(live) => live.exists_on(resource),
            None => self.dead(resource).is_some(),
        }
    }

    fn push_found(&self, out: &mut Vec<u8>, resource: &Resource<'_>) -> bool {
        match self.live {
            Some(live) => {
                let exists = live.exists_on(resource);
                if exists {
                    push_live(out, live, resource);
                }
                exists
            }
            None => match self.dead(resource) {
                Some(dead) => {
                    out.extend_from_slice(dead.xml.as_bytes());
                    true
                }
                None => false,
            },
        }
    }
}

fn push_names(out: &mut Vec<u8>, resource: &Resource<'_>) {
    out.extend_from_slice(b"<D:propstat><D:prop>");
    for live in Live::ALL {
        if live.exists_on(resource) {
            out.extend_from_slice(b"<D:");
            out.extend_from_slice(live.name().as_bytes());
            out.extend_from_slice(b"/>");
        }
    }
    for dead in resource.dead.iter().filter(|dead| !is_display_name(dead)) {
        let name = PropName {
            namespace: dead.namespace.to_owned(),
            name: dead.name.to_owned(),
        };
        push_name(out, &name);
    }
    close_propstat(out, 200);
}

/// A client may set `displayname` (section 15.2); it is then stored as a dead property.
fn is_display_name(dead: &DeadRef<'_>) -> bool {
    dead.name == "displayname" && dead.namespace == DAV
}

fn close_propstat(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"</D:prop>");
    push_status(out, status);
    out.extend_from_slice(b"</D:propstat>");
}

fn push_live(out: &mut Vec<u8>, live: Live, resource: &Resource<'_>) {
    match live {
        Live::ResourceType if resource.folder => {
            out.extend_from_slice(b"<D:resourcetype><D:collection/></D:resourcetype>");
            return;
        }
        Live::ResourceType => return out.extend_from_slice(b"<D:resourcetype/>"),
        Live::SupportedLock if resource.lockable => return out.extend_from_slice(SUPPORTED_LOCK),
        Live::SupportedLock => return out.extend_from_slice(b"<D:supportedlock/>"),
        Live::LockDiscovery if resource.locks.is_empty() => {
            return out.extend_from_slice(b"<D:lockdiscovery/>");
        }
        Live::DisplayName => {
            if let Some(dead) = resource.dead.iter().find(|dead| is_display_name(dead)) {
                return out.extend_from_slice(dead.xml.as_bytes());
            }
        }
        Live::LockDiscovery
        | Live::CreationDate
        | Live::ContentLength
        | Live::ContentType
        | Live::Etag
        | Live::LastModified
        | Live::QuotaAvailable
        | Live::QuotaUsed => {}
    }
    let name = live.name().as_bytes();
    out.extend_from_slice(b"<D:");
    out.extend_from_slice(name);
    out.push(b'>');
    push_value(out, live, resource);
    out.extend_from_slice(b"</D:");
    out.extend_from_slice(name);
    out.push(b'>');
}

fn push_value(out: &mut Vec<u8>, live: Live, resource: &Resource<'_>) {
    match live {
        Live::CreationDate => push_rfc3339(out, resource.created_s),
        Live::DisplayName => push_escaped(out, resource.name),
        Live::ContentLength => push_number(out, resource.size),
        Live::ContentType => push_escaped(out, resource.media_type),
        Live::Etag => {
            if let Some(etag) = resource.etag {
                out.push(b'"');
                push_number(out, etag.fid.0.unsigned_abs());
                out.push(b'.');
                push_number(out, etag.rev.0.unsigned_abs());
                out.push(b'"');
            }
        }
        Live::LastModified => push_http_date(out, resource.modified_s),
        Live::LockDiscovery => resource.locks.iter().for_each(|lock| lock.push(out)),
        Live::QuotaAvailable => {
            if let Some(available) = resource.quota.and_then(|quota| quota.available) {
                push_number(out, available);
            }
        }
        Live::QuotaUsed => {
            if let Some(quota) = resource.quota {
                push_number(out, quota.used);
            }
        }
        Live::ResourceType | Live::SupportedLock => {}
    }
}
