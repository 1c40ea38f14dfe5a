//! Every role in one process, over either broker.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use tocsin::system::{ChannelLimits, Stores, System, SystemOptions};
use tocsin_providers::AccountSettings;
use tocsin_queue::{Broker, MemoryBroker, RabbitBroker};
use tocsin_runtime::telemetry::Spans;
use tocsin_testkit::simulator::Scenario;
use tocsin_testkit::{TestDatabase, TestVhost, wait_until};
use tokio_postgres::NoTls;

use crate::client::Client;
use crate::district;
use crate::facts::{DOUBT_IS_OVER, WITHIN};

const DATABASE_POOL: usize = 8;
const WORKERS: usize = 2;
const IN_FLIGHT_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerKind {
    Memory,
    RabbitMq,
}

pub struct Stage {
    pub system: System,
    pub client: Client,
    // Dropped last: whoever is still connected is thrown out.
    database: TestDatabase,
    _vhost: Option<TestVhost>,
}

impl Stage {
    pub async fn set(broker: BrokerKind, scenario: Scenario, limits: Vec<ChannelLimits>) -> Result<Self> {
        Self::set_beside(broker, scenario, limits, Vec::new()).await
    }

    /// With more accounts than the simulator's own.
    pub async fn set_beside(
        broker: BrokerKind,
        scenario: Scenario,
        limits: Vec<ChannelLimits>,
        others: Vec<AccountSettings>,
    ) -> Result<Self> {
        Self::set_traced(broker, scenario, limits, others, Spans::none()).await
    }

    /// With traces, which nobody closes but the caller.
    pub async fn set_traced(
        broker: BrokerKind,
        scenario: Scenario,
        limits: Vec<ChannelLimits>,
        others: Vec<AccountSettings>,
        spans: Spans,
    ) -> Result<Self> {
        let database = TestDatabase::create().await?;
        let vhost = match broker {
            BrokerKind::Memory => None,
            BrokerKind::RabbitMq => Some(TestVhost::create().await?),
        };
        let broker: Arc<dyn Broker> = match &vhost {
            None => Arc::new(MemoryBroker::new()),
            Some(vhost) => Arc::new(RabbitBroker::new(&vhost.amqp_url)?),
        };
        let system = System::start(SystemOptions {
            stores: Stores::open(&database.url, DATABASE_POOL)?,
            broker,
            scenario,
            limits,
            workers: WORKERS,
            in_flight_max: IN_FLIGHT_MAX,
            others,
            spans,
        })
        .await?;
        let key = district::found(&system.store).await?;
        let client = Client::new(&system.api_url, key)?;
        Ok(Self { system, client, database, _vhost: vhost })
    }

    /// Moves the store's clock by so much from the server's.
    pub async fn shift_clock(&self, by: Duration) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.database.url, NoTls).await?;
        let shift = async {
            let sql = "update clock set shift = make_interval(secs => $1)";
            client.execute(sql, &[&by.as_secs_f64()]).await?;
            // The connection ends when its client is gone.
            drop(client);
            Ok(())
        };
        tokio::join!(shift, connection).0
    }

    /// Once every job was tried and every request answered or given up, attempts that nobody has answered for were claimed
    /// long ago, and their doubt is over.
    pub async fn end_doubt(&self) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.database.url, NoTls).await?;
        let age = async {
            let under_way = "select exists (select from jobs where state in (1, 2))
                             or exists (select from attempts where state = 1)";
            wait_until("every request to be answered", WITHIN, async || {
                client.query_one(under_way, &[]).await.is_ok_and(|row| !row.get::<_, bool>(0))
            })
            .await?;
            let age = format!("interval '{} s'", DOUBT_IS_OVER.as_secs());
            let sql = format!(
                "begin;
                 update attempts set claimed_at = claimed_at - {age}, send_by = send_by - {age} where state in (1, 4);
                 update claim_batches set check_at = check_at - {age};
                 commit"
            );
            client.batch_execute(&sql).await?;
            drop(client);
            Ok(())
        };
        tokio::join!(age, connection).0
    }

    /// No claim is answered for so long; all else goes on.
    pub async fn hold_up_claims(&self, for_so_long: Duration) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.database.url, NoTls).await?;
        let hold = async {
            let seconds = for_so_long.as_secs_f64();
            let sql =
                format!("begin; lock claim_batches in exclusive mode; select pg_sleep({seconds}); commit");
            client.batch_execute(&sql).await?;
            drop(client);
            Ok(())
        };
        tokio::join!(hold, connection).0
    }

    /// When each claim was made, by the store's clock.
    pub async fn claims(&self) -> Result<Vec<DateTime<Utc>>> {
        self.times("select claimed_at from attempts order by 1").await
    }

    /// The first column of a query.
    pub async fn times(&self, query: &str) -> Result<Vec<DateTime<Utc>>> {
        let (client, connection) = tokio_postgres::connect(&self.database.url, NoTls).await?;
        let read = async {
            let rows = client.query(query, &[]).await?;
            drop(client);
            Ok(rows.iter().map(|row| row.get(0)).collect())
        };
        tokio::join!(read, connection).0
    }

    /// Stops every role in order: one that does not leave fails the test.
    pub async fn strike(self) -> Result<()> {
        self.system.stop().await
    }
}
