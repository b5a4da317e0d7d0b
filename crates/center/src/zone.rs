//! The center's zone in DNS: an authoritative view of the registry (RFC 1034, RFC 1035).
//!
//! No copy is kept: a name that leads elsewhere does so in the next answer (R27). The zone's own
//! names are its top, `ns1` and `center`. Names that are not there and names without the wanted
//! kind are told apart, both with the SOA whose minimum says how long that holds (RFC 2308).

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, RwLock};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::caa::KeyValue;
use hickory_proto::rr::rdata::{A, AAAA, CAA, NS, SOA, TXT};
use hickory_proto::rr::{LowerName, Name, RData, RecordSet, RecordType, TSigResponseContext};
use hickory_server::server::{Request, RequestInfo};
use hickory_server::zone_handler::{
    AuthLookup, AxfrPolicy, LookupControlFlow, LookupError, LookupOptions, LookupRecords,
    ZoneHandler, ZoneTransfer, ZoneType,
};
use protocol::message::center::ZONE_BYTES_MAX;
use thiserror::Error;

use crate::office::Office;
use crate::registry::{Answer, Kind, Value};

/// How long an address holds, seconds.
pub const ADDRESS_TTL_S: u32 = 60;
/// How long a text for a certificate holds, seconds.
pub const TEXT_TTL_S: u32 = 30;
/// How long "there is no such name" holds, seconds (RFC 2308 5).
pub const NEGATIVE_TTL_S: u32 = 60;
/// How long the zone's own records hold, seconds.
const OWN_TTL_S: u32 = 3600;

/// A text that cannot be a zone.
#[derive(Debug, Error)]
#[error("`{0}` cannot be the zone: write a domain name such as cloud.example.org")]
pub struct ZoneError(String);

/// The zone's name from text, in small letters and without a dot at the end.
///
/// # Errors
/// For what is no domain name or leaves no room for names under it.
pub fn checked_zone(text: &str) -> Result<String, ZoneError> {
    let zone = text.trim_end_matches('.').to_ascii_lowercase();
    let fits = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if zone.len() > ZONE_BYTES_MAX || !zone.split('.').all(fits) {
        return Err(ZoneError(text.chars().take(80).collect()));
    }
    Ok(zone)
}

/// The zone, as the DNS server asks for it.
pub struct Zone {
    office: Arc<Office>,
    origin: LowerName,
    /// Labels of the origin.
    depth: usize,
    top: Name,
    name_server: Name,
    /// Addresses of the center itself.
    own: Arc<RwLock<Vec<IpAddr>>>,
    /// Who may give certificates for names of the zone; everybody if empty.
    issuers: Vec<String>,
}

impl Zone {
    /// The zone of an office; `own` are the addresses of the center.
    ///
    /// # Errors
    /// If its name is none.
    pub fn new(
        office: Arc<Office>,
        own: Arc<RwLock<Vec<IpAddr>>>,
        issuers: Vec<String>,
    ) -> Result<Self, ZoneError> {
        let bad = |_| ZoneError(office.zone().to_owned());
        let mut top = Name::from_str(office.zone()).map_err(bad)?;
        top.set_fqdn(true);
        let name_server = top.prepend_label("ns1").map_err(bad)?;
        Ok(Self {
            origin: LowerName::new(&top),
            depth: usize::from(top.num_labels()),
            name_server,
            top,
            office,
            own,
            issuers,
        })
    }

    /// The name of the zone, for the table of zones.
    #[must_use]
    pub fn name(&self) -> LowerName {
        self.origin.clone()
    }

    fn find(&self, name: &LowerName, kind: RecordType) -> Result<RecordSet, LookupError> {
        // All that a name has is asked for by those who want to use us against others (RFC 8482).
        if kind == RecordType::ANY {
            return Err(LookupError::from(ResponseCode::Refused));
        }
        let full = Name::from(name);
        let labels: Vec<&[u8]> = full.iter().collect();
        let below = labels
            .len()
            .checked_sub(self.depth)
            .ok_or(LookupError::from(ResponseCode::Refused))?;
        let Some(labels) = labels[..below]
            .iter()
            .map(|label| std::str::from_utf8(label).ok())
            .collect::<Option<Vec<&str>>>()
        else {
            return Err(LookupError::from(ResponseCode::NXDomain));
        };
        match labels.as_slice() {
            [] => self.at_top(&full, kind),
            ["ns1" | "center"] => self.own_addresses(&full, kind),
            labels => self.of_node(&full, labels, kind),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of the types that DNS knows and will know, these are ours"
    )]
    fn at_top(&self, name: &Name, kind: RecordType) -> Result<RecordSet, LookupError> {
        match kind {
            RecordType::SOA => set(name, kind, NEGATIVE_TTL_S, [RData::SOA(self.soa())]),
            RecordType::NS => set(
                name,
                kind,
                OWN_TTL_S,
                [RData::NS(NS(self.name_server.clone()))],
            ),
            RecordType::CAA => self.issuers_of(name),
            _ => self.own_addresses(name, kind),
        }
    }

    fn soa(&self) -> SOA {
        let mailbox = self
            .top
            .prepend_label("hostmaster")
            .unwrap_or_else(|_| self.top.clone());
        // The registry changes all the time, and nobody transfers the zone: seconds will do.
        let serial = u32::try_from(self.office.now().secs().rem_euclid(1 << 32)).unwrap_or(0);
        SOA::new(
            self.name_server.clone(),
            mailbox,
            serial,
            3600,
            600,
            604_800,
            NEGATIVE_TTL_S,
        )
    }

    fn own_addresses(&self, name: &Name, kind: RecordType) -> Result<RecordSet, LookupError> {
        let own = self
            .own
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let wanted = own.iter().filter(|ip| {
            (kind == RecordType::A && ip.is_ipv4()) || (kind == RecordType::AAAA && ip.is_ipv6())
        });
        set(name, kind, ADDRESS_TTL_S, wanted.map(|ip| address(*ip)))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of the types that DNS knows and will know, these are ours"
    )]
    fn of_node(
        &self,
        name: &Name,
        labels: &[&str],
        kind: RecordType,
    ) -> Result<RecordSet, LookupError> {
        let asked = match kind {
            RecordType::A => Kind::A,
            RecordType::AAAA => Kind::Aaaa,
            RecordType::TXT => Kind::Txt,
            RecordType::CAA => Kind::Caa,
            _ => Kind::Other,
        };
        let ttl = if asked == Kind::Txt {
            TEXT_TTL_S
        } else {
            ADDRESS_TTL_S
        };
        let registry = self.office.registry();
        match registry.answer(labels, asked) {
            Answer::NoName => Err(LookupError::from(ResponseCode::NXDomain)),
            Answer::NoData if asked == Kind::Caa && labels.len() == 1 => self.issuers_of(name),
            Answer::NoData => Err(LookupError::for_name_exists()),
            Answer::Values(values) => {
                let data = values.into_iter().map(|value| match value {
                    Value::Address(ip) => address(ip),
                    Value::Text(text) => RData::TXT(TXT::new(vec![text.to_owned()])),
                });
                set(name, kind, ttl, data)
            }
        }
    }

    fn issuers_of(&self, name: &Name) -> Result<RecordSet, LookupError> {
        let issuer = |text: &String| Name::from_str(text).ok();
        let records =
            self.issuers.iter().filter_map(issuer).map(|issuer| {
                RData::CAA(CAA::new_issue(false, Some(issuer), Vec::<KeyValue>::new()))
            });
        set(name, RecordType::CAA, OWN_TTL_S, records)
    }
}

fn address(ip: IpAddr) -> RData {
    match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    }
}

/// The values as one set; without any, the name exists and this kind does not.
fn set(
    name: &Name,
    kind: RecordType,
    ttl: u32,
    values: impl IntoIterator<Item = RData>,
) -> Result<RecordSet, LookupError> {
    let mut records = RecordSet::with_ttl(name.clone(), kind, ttl);
    for value in values {
        records.add_rdata(value);
    }
    if records.is_empty() {
        return Err(LookupError::for_name_exists());
    }
    Ok(records)
}

#[async_trait::async_trait]
impl ZoneHandler for Zone {
    fn zone_type(&self) -> ZoneType {
        ZoneType::Primary
    }

    fn axfr_policy(&self) -> AxfrPolicy {
        AxfrPolicy::Deny
    }

    fn origin(&self) -> &LowerName {
        &self.origin
    }

    async fn lookup(
        &self,
        name: &LowerName,
        rtype: RecordType,
        _request_info: Option<&RequestInfo<'_>>,
        lookup_options: LookupOptions,
    ) -> LookupControlFlow<AuthLookup> {
        let found = self.find(name, rtype).map(|records| {
            let records = LookupRecords::new(lookup_options, Arc::new(records));
            AuthLookup::answers(records, None)
        });
        LookupControlFlow::Continue(found)
    }

    async fn search(
        &self,
        request: &Request,
        lookup_options: LookupOptions,
    ) -> (LookupControlFlow<AuthLookup>, Option<TSigResponseContext>) {
        let found = match request.request_info() {
            Ok(info) => {
                let (name, kind) = (info.query.name(), info.query.query_type());
                self.lookup(name, kind, Some(&info), lookup_options).await
            }
            Err(error) => LookupControlFlow::Break(Err(error)),
        };
        (found, None)
    }

    /// Nobody gets the whole zone: it is a list of people's computers.
    async fn zone_transfer(
        &self,
        _request: &Request,
        _lookup_options: LookupOptions,
        _now: u64,
    ) -> Option<(
        Result<ZoneTransfer, LookupError>,
        Option<TSigResponseContext>,
    )> {
        Some((Err(LookupError::from(ResponseCode::Refused)), None))
    }

    async fn nsec_records(
        &self,
        _name: &LowerName,
        _lookup_options: LookupOptions,
    ) -> LookupControlFlow<AuthLookup> {
        LookupControlFlow::Continue(Ok(AuthLookup::default()))
    }
}
