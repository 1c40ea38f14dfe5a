//! A district with endpoints, and campaigns that run through the store.

use chrono::TimeDelta;
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::webhook::SecretName;
use tocsin_domain::{AttemptKey, CampaignId, Channel, Lane, Outcome, WorkerId};
use tocsin_planner::{Deliverer, Outbound, Planner, Teller};
use tocsin_runtime::Progress;
use tocsin_store::Tenant;
use tocsin_store::tenant::webhooks::{NewDelivery, NewEndpoint};
use tocsin_webhooks::{Client, Keys, Reach};
use uuid::Uuid;

use crate::stage::Stage;

pub const ALL: &[&str] = &[
    "campaign.accepted",
    "campaign.sending",
    "campaign.canceling",
    "campaign.canceled",
    "campaign.completed",
    "campaign.failed",
    "campaign.closed",
    "device.outcome",
];

pub struct Webhooks {
    pub stage: Stage,
    pub planner: Planner,
    pub keys: Keys,
    pub teller: Teller,
    pub deliverer: Deliverer,
}

impl Webhooks {
    pub async fn new() -> Self {
        Self::reaching(Reach::beside(vec!["127.0.0.0/8".parse().unwrap()])).await
    }

    pub async fn reaching(reach: Reach) -> Self {
        let stage = Stage::new().await;
        let keys = Keys::new("a key of the configuration", None);
        let planner = stage.planning().planner;
        let deliverer = deliverer(&planner, &keys, reach);
        Self { stage, planner, keys, teller: Teller::default(), deliverer }
    }

    pub fn tenant(&self) -> Tenant {
        self.stage.fixture.store().tenant(self.stage.fixture.district())
    }

    pub async fn endpoint(&self, url: &str, events: &[&str]) -> Uuid {
        let id = Uuid::new_v4();
        let events: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
        let secret_key = self.keys.current();
        let new = NewEndpoint { id, url, description: "", events: &events, disabled: None, secret_key };
        let now = self.planner.store.now().await.unwrap();
        assert!(self.tenant().add_webhook(&new, now).await.unwrap());
        id
    }

    /// The secret of that number, as the receiver has it.
    pub fn secret(&self, endpoint: Uuid, number: i32) -> String {
        let name = SecretName { key: self.keys.current().to_owned(), number };
        self.keys.secret(endpoint, &name).unwrap().shown()
    }

    /// An event that is due at once.
    pub async fn event(&self, endpoint: Uuid) -> Uuid {
        let id = Uuid::now_v7();
        let new = NewDelivery { id, event: "webhook.test", body: r#"{"type":"webhook.test"}"# };
        let now = self.planner.store.now().await.unwrap();
        assert!(self.tenant().deliver_to_webhook(endpoint, new, now).await.unwrap());
        id
    }

    /// Tells all that there is to tell.
    pub async fn tell(&mut self) {
        while self.teller.tick(&self.planner).await.unwrap() == Progress::More {}
    }

    /// Sends until nothing is due.
    pub async fn deliver(&self) {
        while self.deliverer.deliver().await.unwrap() > 0 {}
    }

    pub async fn tell_and_deliver(&mut self) {
        self.tell().await;
        self.deliver().await;
    }

    /// From here on the store's clock is so much ahead.
    pub async fn shift(&self, by: TimeDelta) {
        self.stage.shift_clock(i32::try_from(by.num_seconds()).unwrap()).await;
    }

    /// Texts to so many guardians, expanded.
    pub async fn texts(&self, people: u16) -> CampaignId {
        self.stage.fixture.guardians(people, Channel::Sms).await.unwrap();
        self.stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap()
    }

    pub async fn expand(&self) {
        self.stage.fixture.expand_all().await.unwrap();
    }

    /// Releases and claims all that is due.
    pub async fn claim(&self) -> Vec<AttemptKey> {
        let released = self.stage.fixture.release_all().await.unwrap();
        let granted = self.stage.fixture.claim(WorkerId(Uuid::now_v7()), &released).await.unwrap();
        granted.iter().map(|granted| granted.attempt).collect()
    }

    pub async fn report(&self, attempts: &[AttemptKey], outcome: Outcome) {
        let now = self.planner.store.now().await.unwrap();
        let kind = ReportKind::Status { outcome, provider_code: None, provider_id: None };
        let report =
            |attempt: &AttemptKey| Report { attempt: *attempt, at: now, sequence: None, kind: kind.clone() };
        let reports = attempts.iter().map(report).collect();
        let settled = self.planner.store.settle(reports, vec![], now).await.unwrap();
        assert_eq!(settled.unmatched, []);
    }

    pub async fn close(&self) {
        let now = self.planner.store.now().await.unwrap();
        assert_eq!(self.planner.store.close_campaigns(now).await.unwrap().len(), 1);
    }

    /// State, attempts, status and fault of each delivery, the oldest first.
    pub async fn deliveries(&self) -> Vec<String> {
        let sql = "select concat_ws(' ', state, attempts, coalesce(status::text, fault, '-'))
                   from webhook_deliveries order by id";
        self.stage.texts(sql).await
    }

    /// What the audit says that nobody did by hand.
    pub async fn disabled(&self) -> Vec<String> {
        let sql = "select details->>'reason' from audit where action = 'webhook.disable' order by id";
        self.stage.texts(sql).await
    }
}

pub fn deliverer(planner: &Planner, keys: &Keys, reach: Reach) -> Deliverer {
    let mut outbound = Outbound::new(keys.clone(), Client::new(reach).unwrap());
    outbound.chance = || 0.0;
    Deliverer::new(planner.clone(), outbound)
}
