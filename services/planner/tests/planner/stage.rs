//! A planner whose ticks the test calls, on a database of its own.

use std::sync::Arc;

use tocsin_domain::{AccountId, CampaignId, Channel, DistrictId, Generation, JobKey, Lane, WorkerId};
use tocsin_planner::{Duties, Planner, Releaser};
use tocsin_queue::{Broker, MemoryBroker};
use tocsin_runtime::{Progress, SystemClock};
use tocsin_store::accounts::AccountLimits;
use tocsin_store::release::Released;
use tocsin_testkit::TestDatabase;
use tocsin_testkit::fixture::{Fixture, account_name};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

pub struct Stage {
    pub fixture: Fixture,
    pub database: TestDatabase,
    broker: MemoryBroker,
    client: Client,
}

/// One planner, and the duties that it has.
pub struct Planning {
    pub planner: Planner,
    pub duties: Duties,
}

impl Stage {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await.unwrap();
        let fixture = Fixture::new(&database).await.unwrap();
        let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
        #[allow(clippy::disallowed_methods, reason = "ends with the test's client")]
        tokio::spawn(connection);
        Self { fixture, database, broker: MemoryBroker::new(), client }
    }

    pub fn planning(&self) -> Planning {
        self.planning_over(Arc::new(self.broker.clone()))
    }

    pub fn planning_over(&self, broker: Arc<dyn Broker>) -> Planning {
        let store = self.fixture.store().clone();
        let planner = Planner::new(store, broker, Arc::new(SystemClock), Uuid::now_v7());
        Planning { planner, duties: Duties::default() }
    }

    /// A planner that has all duties which nobody has.
    pub async fn leading(&self) -> Planning {
        let planning = self.planning();
        planning.renew().await;
        planning
    }

    pub async fn account(&self, name: &str, district: Option<DistrictId>, channel: Channel, rate: f64) {
        let limits = AccountLimits {
            name: name.to_owned(),
            district,
            channel,
            rate_per_second: Some(rate),
            burst: None,
            concurrency: None,
            reserve: 0,
            depth: None,
            weight: 1,
        };
        self.fixture.store().configure_accounts(&[limits], chrono::DateTime::UNIX_EPOCH).await.unwrap();
    }

    /// The channel's account drains so slowly that four of its jobs may be queued, the fewest there are.
    pub async fn slow(&self, channel: Channel) {
        self.account(&account_name(channel), None, channel, 1.0).await;
    }

    /// How many jobs of a channel and lane are on the queue.
    pub async fn queued(&self, channel: Channel, lane: Lane) -> i64 {
        self.count(
            "jobs where state = 2 and channel = $1 and lane = $2",
            &[&channel.number(), &lane.number()],
        )
        .await
    }

    /// How many jobs a campaign has, in whatever state.
    pub async fn jobs(&self, campaign: CampaignId) -> i64 {
        self.count("jobs where campaign_id = $1", &[&campaign.0]).await
    }

    pub async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// The first column of a query.
    pub async fn numbers(&self, query: &str) -> Vec<i64> {
        self.client.query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    pub async fn texts(&self, query: &str) -> Vec<String> {
        self.client.query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    async fn count(&self, what: &str, parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)]) -> i64 {
        self.client.query_one(&format!("select count(*) from {what}"), parameters).await.unwrap().get(0)
    }

    /// Moves the store's clock by so much from the server's.
    pub async fn shift_clock(&self, seconds: i32) {
        let sql = "update clock set shift = make_interval(secs => $1)";
        self.client.execute(sql, &[&f64::from(seconds)]).await.unwrap();
    }

    /// A worker takes up to so many of the queued jobs of a lane. Returns how many it was granted.
    pub async fn claim(&self, lane: Lane, jobs_max: i64) -> usize {
        let rows = self
            .client
            .query(
                "select campaign_id, id, generation, account_id from jobs where state = 2 and lane = $1
                 order by campaign_id, id limit $2",
                &[&lane.number(), &jobs_max],
            )
            .await
            .unwrap();
        let released: Vec<Released> = rows
            .iter()
            .map(|row| Released {
                key: JobKey { campaign: CampaignId(row.get(0)), job: row.get(1) },
                generation: Generation(row.get(2)),
                account: AccountId(row.get(3)),
                attempt: 0,
            })
            .collect();
        self.fixture.claim(WorkerId(Uuid::now_v7()), &released).await.unwrap().len()
    }
}

impl Planning {
    pub async fn renew(&self) {
        self.duties.tick(&self.planner).await.unwrap();
    }

    /// Releases what may be released of a channel.
    pub async fn release(&self, channel: Channel) {
        self.renew().await;
        let mut releaser = Releaser::new(channel, self.duties.clone());
        while releaser.tick(&self.planner).await.unwrap() == Progress::More {}
    }
}
