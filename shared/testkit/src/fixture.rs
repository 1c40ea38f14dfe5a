//! A district with people, and its campaigns brought to any point of their way, through the store's own methods.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use tocsin_domain::audience::Audience;
use tocsin_domain::content::Content;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::policy::{RedialPolicy, default_expiry, requeue_after};
use tocsin_domain::{AccountId, CampaignId, Channel, DistrictId, Lane, WorkerId};
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_store::accounts::AccountLimits;
use tocsin_store::claim::{Asked, Claim, Granted};
use tocsin_store::districts::District;
use tocsin_store::expand::Chunk;
use tocsin_store::release::{Draw, Persons, Position, Release, Released};
use tocsin_store::tenant::campaigns::NewCampaign;
use tocsin_store::{Access, Store};
use tokio_postgres::NoTls;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::TestDatabase;

const CONNECTIONS: usize = 8;
const PEOPLE_PER_CHUNK: i64 = 1_000;
const JOBS_PER_BATCH: usize = 500;
/// All fixtures are one holder of the planners' duties, so that they need not wait for each other.
const PLANNER: Uuid = Uuid::from_u128(1);

/// One district with one school, one student and an account named `<channel>-1` for each channel, without limits. A
/// second fixture on the same database is another district with the same accounts.
///
/// Its time is the machine's, because the store compares claims and leases with its server's clock.
#[derive(Debug)]
pub struct Fixture {
    store: Store,
    url: String,
    district: DistrictId,
    accounts: HashMap<Channel, AccountId>,
}

/// The name of a channel's account.
pub fn account_name(channel: Channel) -> String {
    format!("{channel}-1")
}

impl Fixture {
    pub async fn new(database: &TestDatabase) -> Result<Self> {
        let store = Store::open(&database.url, CONNECTIONS, Access::Engine)?;
        let id = Uuid::now_v7();
        let (district, name) = (DistrictId(id), format!("District {id}"));
        let (time_zone, default_region) = (Some("America/Chicago".to_owned()), "US".to_owned());
        store
            .add_district(&District { id: district, name, time_zone, default_region, weight: 1 }, now())
            .await?;
        let limits = Channel::ALL.map(|channel| AccountLimits {
            name: account_name(channel),
            district: None,
            channel,
            rate_per_second: None,
            burst: None,
            concurrency: None,
            reserve: 0,
            depth: None,
            weight: 1,
        });
        store.configure_accounts(&limits, now()).await?;
        let accounts = store.accounts().await?;
        let accounts = accounts.into_iter().map(|account| (account.limits.channel, account.id)).collect();
        let fixture = Self { store, url: database.url.clone(), district, accounts };
        fixture.write(STUDENT, &[&district.0]).await?;
        Ok(fixture)
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn district(&self) -> DistrictId {
        self.district
    }

    pub fn account(&self, channel: Channel) -> Result<AccountId> {
        self.accounts.get(&channel).copied().with_context(|| format!("no account for {channel}"))
    }

    /// A guardian of the student with these devices: E.164 numbers, email addresses, portal accounts.
    pub async fn guardian(&self, devices: &[(Channel, &str)]) -> Result<()> {
        let people: Vec<i32> = devices.iter().map(|_| 0).collect();
        self.people(1, &people, devices).await
    }

    /// As many guardians, each with one device on `channel` that nobody shares.
    pub async fn guardians(&self, count: u16, channel: Channel) -> Result<()> {
        let addresses: Vec<String> = (0..count).map(|number| address(channel, number)).collect();
        let devices: Vec<(Channel, &str)> =
            addresses.iter().map(|address| (channel, address.as_str())).collect();
        let people: Vec<i32> = (0..i32::from(count)).collect();
        self.people(i32::from(count), &people, &devices).await
    }

    /// A campaign to all guardians, to be expanded at once. Nothing more happens to it by itself.
    pub async fn campaign(&self, lane: Lane, channels: &[Channel]) -> Result<CampaignId> {
        self.campaign_with(lane, channels, RedialPolicy::default_for(lane)).await
    }

    pub async fn campaign_with(
        &self,
        lane: Lane,
        channels: &[Channel],
        redial: RedialPolicy,
    ) -> Result<CampaignId> {
        let (id, now) = (CampaignId(Uuid::now_v7()), now());
        let (subject, body) = ("Snow day".to_owned(), "School is closed today.".to_owned());
        let new = NewCampaign {
            id,
            client_key: id.to_string(),
            request_hash: id.0.as_bytes().to_vec(),
            lane,
            mode: DedupeMode::PerDevice,
            consent_class: if lane == Lane::Emergency { 1 } else { 2 },
            message_type: "general".to_owned(),
            subject: subject.clone(),
            channels: channels.to_vec(),
            audience: Audience { all: true, ..Audience::default() },
            test: false,
            redial,
            calling_window: None,
            limits: Default::default(),
            contents: vec![Content {
                language: None,
                channel: None,
                subject: Some(subject),
                audio_url: None,
                attachments: Vec::new(),
                body,
            }],
            created_by: "fixture".to_owned(),
            created_at: now,
            scheduled_at: now,
            expires_at: now + default_expiry(lane),
        };
        self.store.tenant(self.district).create_campaign(&new).await?;
        Ok(id)
    }

    /// Makes the rows of every campaign that has none yet, of every district.
    pub async fn expand_all(&self) -> Result<()> {
        loop {
            let due = self.store.expansions_due(now(), 100).await?;
            if due.is_empty() {
                return Ok(());
            }
            for expansion in due {
                let chunk = self.store.expand(&expansion, PEOPLE_PER_CHUNK, now()).await?;
                ensure!(chunk != Chunk::Moved, "campaign {} is expanded by another", expansion.campaign);
            }
        }
    }

    /// Marks every due job queued, of every district, as a planner does. Nothing is published.
    pub async fn release_all(&self) -> Result<Vec<Released>> {
        let mut released = Vec::new();
        for campaign in self.store.open_campaigns().await? {
            for &channel in &campaign.channels {
                let duty = format!("release.{channel}.{}", campaign.lane);
                let held = self.store.hold_duties(PLANNER, std::slice::from_ref(&duty)).await?;
                let held = held.first().with_context(|| format!("another planner holds {duty}"))?;
                let draw = Draw { campaign: campaign.id, after: Position::HEAD, jobs_max: u32::MAX };
                let due = self.store.due_jobs(channel, &[draw], Persons::Unread, now()).await?;
                let account = self.account(channel)?;
                for batch in due.chunks(JOBS_PER_BATCH) {
                    let releases: Vec<Release> = batch
                        .iter()
                        .map(|job| Release {
                            key: job.key,
                            generation: job.generation,
                            account,
                            contact_until: campaign.expires_at,
                        })
                        .collect();
                    let requeue_at = now() + requeue_after(campaign.lane, 1);
                    released.extend(self.store.release(held, &releases, now(), requeue_at).await?);
                }
            }
        }
        Ok(released)
    }

    /// Claims released jobs, under a lease on every account. Returns those that were granted, in the order of
    /// their jobs.
    pub async fn claim(&self, worker: WorkerId, released: &[Released]) -> Result<Vec<Granted>> {
        self.store.renew_leases(worker, &Channel::ALL).await?;
        let asked: Vec<Asked> = released
            .iter()
            .map(|job| Asked { key: job.key, generation: job.generation, account: job.account })
            .collect();
        let mut granted = Vec::with_capacity(asked.len());
        for batch in asked.chunks(JOBS_PER_BATCH) {
            let answers = self.store.claim(worker, batch).await?;
            granted.extend(answers.into_iter().filter_map(|claim| match claim {
                Claim::Granted(granted) => Some(*granted),
                Claim::Denied(..) => None,
            }));
        }
        granted.sort_by_key(|job| job.attempt);
        Ok(granted)
    }

    /// From nothing to claimed: a campaign to all guardians, expanded, released and claimed by a worker of its own.
    pub async fn claimed(&self, lane: Lane, channel: Channel) -> Result<Vec<Granted>> {
        self.campaign(lane, &[channel]).await?;
        self.expand_all().await?;
        let released = self.release_all().await?;
        self.claim(WorkerId(Uuid::now_v7()), &released).await
    }

    /// `people[i]` says whose device `devices[i]` is, counted from 0.
    async fn people(&self, count: i32, people: &[i32], devices: &[(Channel, &str)]) -> Result<()> {
        let channels: Vec<i16> = devices.iter().map(|(channel, _)| channel.number()).collect();
        let addresses: Vec<&str> = devices.iter().map(|(_, address)| *address).collect();
        let batch = Uuid::now_v7().to_string();
        self.write(GUARDIANS, &[&self.district.0, &batch, &count, &people, &channels, &addresses]).await
    }

    /// The directory is written directly: its own way in, the import, has tests of its own.
    async fn write(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        let write = async {
            client.batch_execute("set role tocsin_engine").await?;
            client.execute(sql, parameters).await?;
            // The connection ends when its client is gone.
            drop(client);
            Ok(())
        };
        // A connection that breaks shows as an error of the statement.
        let (written, _) = tokio::join!(write, connection);
        written
    }
}

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// Numbers of the range that is kept for fiction, then beyond it.
fn address(channel: Channel, number: u16) -> String {
    match channel {
        Channel::Voice | Channel::Sms => format!("+1312555{number:04}"),
        Channel::Email => format!("guardian{number}@example.org"),
        Channel::Inbox => format!("guardian{number}"),
    }
}

const STUDENT: &str = "
with school as (
  insert into schools (district_id, source_id, name, kind) values ($1, 'school', 'Lincoln Elementary', 'school')
), student as (
  insert into people (district_id, source_id, given_name, family_name, role, active)
  values ($1, 'student', 'Sam', 'Rivera', 2, true) returning id
)
insert into students (district_id, person_id, school_source_id, grade, active)
select $1, id, 'school', '03', true from student";

const GUARDIANS: &str = "
with made as (
  insert into people (district_id, source_id, given_name, family_name, role, active)
  select $1, $2 || '-' || number, 'Guardian', number::text, 1, true from generate_series(0, $3 - 1) number
  returning id, source_id
), related as (
  insert into contacts (district_id, person_id, student_id, relationship)
  select $1, made.id, student.id, 'parent'
  from made join people student on student.district_id = $1 and student.source_id = 'student'
)
insert into devices (district_id, person_id, channel, address, position)
select $1, made.id, u.channel, u.address, u.position::smallint
from unnest($4::int[], $5::smallint[], $6::text[]) with ordinality u(person, channel, address, position)
join made on made.source_id = $2 || '-' || u.person";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_campaign_of_the_fixture_is_claimed_device_by_device() {
        let database = TestDatabase::create().await.unwrap();
        let fixture = Fixture::new(&database).await.unwrap();
        fixture
            .guardian(&[(Channel::Sms, "+13125559901"), (Channel::Email, "one@example.org")])
            .await
            .unwrap();
        fixture.guardians(3, Channel::Sms).await.unwrap();
        for lane in Lane::ALL {
            let granted = fixture.claimed(lane, Channel::Sms).await.unwrap();
            assert_eq!(granted.len(), 4, "{lane}");
            assert!(
                granted.iter().all(|job| fixture.account(Channel::Sms).is_ok_and(|id| id == job.account))
            );
        }
        let another = Fixture::new(&database).await.unwrap();
        assert_ne!(another.district(), fixture.district());
        assert_eq!(another.claimed(Lane::General, Channel::Sms).await.unwrap().len(), 0);
    }
}
