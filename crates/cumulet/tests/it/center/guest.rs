//! A node made of an endpoint and a key, which says what the test wants.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use center::ask::{AskError, Counter, FoundNode};
use links::{CloseCode, Endpoint, Strangers};
use protocol::message::center::{
    Admission, CenterAddress, Change, Reply, Request, Resources, SignedStatement, Statement,
    Target, Usage,
};
use protocol::{NodeId, NodeName, NodeRecord, NodeSecret, SignedRecord, Timestamp};
use testing::Center;

pub(super) struct Guest {
    pub(super) secret: NodeSecret,
    pub(super) counter: Counter,
    pub(super) center: NodeId,
    pub(super) said: u64,
    pub(super) seq: u64,
    pub(super) name: Option<NodeName>,
    pub(super) resources: Resources,
    pub(super) usage: Usage,
    pub(super) admission: Option<Admission>,
    record: Option<SignedRecord>,
    endpoint: Endpoint,
}

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(since.as_millis().try_into().unwrap())
}

impl Guest {
    pub(super) async fn arrive(center: &Center, number: u8) -> Self {
        Self::with(center, NodeSecret::from_bytes([number; 32]), 0).await
    }

    async fn with(center: &Center, secret: NodeSecret, said: u64) -> Self {
        let address: CenterAddress = center.address().parse().unwrap();
        let here = "127.0.0.1:0".parse().unwrap();
        let endpoint = Endpoint::bind(&secret, &[here], &[], Arc::new(Strangers))
            .await
            .unwrap();
        let counter = Counter::dial(&endpoint, &address).await.unwrap();
        Self {
            secret,
            counter,
            center: address.id,
            said,
            seq: said,
            name: None,
            resources: Resources::default(),
            usage: Usage::default(),
            admission: None,
            record: None,
            endpoint,
        }
    }

    pub(super) async fn dial_again(self, center: &Center) -> Self {
        Self::with(center, self.secret, self.said.max(self.seq)).await
    }

    pub(super) fn id(&self) -> NodeId {
        self.secret.id()
    }

    pub(super) fn record(&mut self, address: &str) -> SignedRecord {
        self.seq += 1;
        let record = NodeRecord {
            node: self.id(),
            name: self.name.clone(),
            seq: self.seq,
            issued_at_ms: now().0,
            expires_at_ms: now().0 + 3_600_000,
            addresses: vec![address.parse().unwrap()],
            relays: vec![],
            offer: None,
            services_digest: [0; 8],
        };
        SignedRecord::sign(&record, &self.secret).unwrap()
    }

    pub(super) fn statement(&mut self, change: Change) -> Statement {
        self.said += 1;
        Statement {
            node: self.id(),
            center: self.center,
            seq: self.said,
            at_ms: now().0,
            change,
        }
    }

    pub(super) async fn say(&mut self, change: Change) -> Reply {
        let statement = self.statement(change);
        let signed = SignedStatement::sign(&statement, &self.secret).unwrap();
        self.counter.state(signed).await.unwrap()
    }

    fn renewal(&self, record: SignedRecord) -> Change {
        Change::Renew {
            record,
            resources: self.resources,
            usage: self.usage,
            admission: self.admission.clone(),
        }
    }

    pub(super) async fn try_register(&mut self, address: &str) -> Reply {
        let record = self.record(address);
        let reply = self.say(self.renewal(record.clone())).await;
        if matches!(reply, Reply::Accepted { .. }) {
            self.record = Some(record);
        }
        reply
    }

    #[track_caller]
    fn accepted(reply: &Reply) {
        assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
    }

    pub(super) async fn register(&mut self, address: &str) {
        Self::accepted(&self.try_register(address).await);
    }

    /// With the record that the center has.
    pub(super) async fn renew_unchanged(&mut self) {
        let record = self.record.clone().unwrap();
        Self::accepted(&self.say(self.renewal(record)).await);
    }

    pub(super) async fn renew(&mut self) {
        self.renew_unchanged().await;
    }

    pub(super) async fn try_claim(&mut self, label: &str) -> Reply {
        let name = label.parse().unwrap();
        self.say(Change::ClaimName { name }).await
    }

    pub(super) async fn claim(&mut self, label: &str) {
        Self::accepted(&self.try_claim(label).await);
    }

    pub(super) async fn set_texts(&mut self, texts: &[&str]) {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        Self::accepted(&self.say(Change::SetTexts { texts }).await);
    }

    pub(super) async fn goodbye(&mut self) {
        Self::accepted(&self.say(Change::Goodbye).await);
    }

    /// Closes the link without a word.
    pub(super) async fn vanish(&self) {
        self.counter.link().close(CloseCode::Done, "");
        self.endpoint.close().await;
    }

    pub(super) async fn ask(&self, request: &Request) -> Result<Reply, AskError> {
        self.counter.ask(request).await
    }

    pub(super) async fn find(&self, target: Target) -> Result<Option<FoundNode>, AskError> {
        self.counter.find(target, now()).await
    }

    pub(super) async fn neighbors(&self, most: u8) -> Vec<NodeId> {
        let list = self.counter.neighbors(most, now()).await.unwrap();
        list.into_iter().map(|record| record.node).collect()
    }
}
