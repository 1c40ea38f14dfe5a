//! What the testkit's fixture leaves out: clocks to shift, several students, and each step of a campaign by itself.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::content::Content;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::{AttemptKey, CampaignId, Channel, DistrictId, Generation, JobKey, Lane, WorkerId};
use tocsin_store::claim::{Asked, Claim, Denied, Granted};
use tocsin_store::expand::{Chunk, Expansion};
use tocsin_store::leadership::Duty;
use tocsin_store::release::{Draw, Due, Persons, Position, Release, Released};
use tocsin_store::sweep::ToSweep;
use tocsin_store::tenant::campaigns::NewCampaign;
use tocsin_store::{Access, Store, Tenant};
use tocsin_testkit::TestDatabase;
use tocsin_testkit::fixture::Fixture;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

pub struct Setting {
    pub store: Store,
    /// The owner of the schema, who passes no policy.
    pub owner: Client,
    pub district: DistrictId,
    pub fixture: Fixture,
    pub database: TestDatabase,
}

impl Setting {
    /// On a pool of eight connections, or of as many as `TOCSIN_TEST_POOL` says: `make test` runs all of this on
    /// one as well, for the embedded store has one session.
    pub async fn new() -> Self {
        let connections = std::env::var("TOCSIN_TEST_POOL").ok().map_or(8, |number| number.parse().unwrap());
        Self::with_connections(connections).await
    }

    pub async fn with_connections(connections: usize) -> Self {
        let database = TestDatabase::create().await.unwrap();
        let fixture = Fixture::new(&database).await.unwrap();
        let store = Store::open(&database.url, connections, Access::Engine).unwrap();
        let owner = connect(&database.url).await;
        Self { store, owner, district: fixture.district(), fixture, database }
    }

    /// A pool of its own whose sessions are told apart by `application`.
    pub fn actor(&self, application: &str) -> Store {
        let mark = if self.database.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{mark}application_name={application}", self.database.url);
        Store::open(&url, 2, Access::Engine).unwrap()
    }

    pub fn tenant(&self) -> Tenant {
        self.store.tenant(self.district)
    }

    pub async fn now(&self) -> DateTime<Utc> {
        self.store.now().await.unwrap()
    }

    /// Moves the store's clock, for every session, by so much from the server's.
    pub async fn shift_clock(&self, by: TimeDelta) {
        let seconds = by.num_milliseconds() as f64 / 1000.0;
        self.owner.execute("update clock set shift = make_interval(secs => $1)", &[&seconds]).await.unwrap();
    }

    pub async fn run(&self, sql: &str) {
        self.owner.batch_execute(sql).await.unwrap();
    }

    /// The one number that a query answers.
    pub async fn number(&self, query: &str) -> i64 {
        self.owner.query_one(&format!("select ({query})::bigint"), &[]).await.unwrap().get(0)
    }

    /// A person with devices, in this order.
    pub async fn person(&self, role: Role, devices: &[(Channel, &str)]) -> i64 {
        let source = Uuid::now_v7().to_string();
        let person: i64 = self
            .owner
            .query_one(
                "insert into people (district_id, source_id, given_name, family_name, role, active)
                 values ($1, $2, 'Ann', 'Example', $3, true) returning id",
                &[&self.district.0, &source, &role.number()],
            )
            .await
            .unwrap()
            .get(0);
        for (position, (channel, address)) in (0i16..).zip(devices) {
            self.owner
                .execute(
                    "insert into devices (district_id, person_id, channel, address, position)
                     values ($1, $2, $3, $4, $5)",
                    &[&self.district.0, &person, &channel.number(), address, &position],
                )
                .await
                .unwrap();
        }
        person
    }

    /// A student, and the guardians who are reached on its behalf.
    pub async fn student(&self, guardians: &[i64]) -> i64 {
        let student = self.person(Role::Student, &[]).await;
        self.owner
            .execute(
                "insert into students (district_id, person_id, school_source_id, grade, active)
                 values ($1, $2, 'school-1', '03', true)",
                &[&self.district.0, &student],
            )
            .await
            .unwrap();
        for guardian in guardians {
            self.owner
                .execute(
                    "insert into contacts (district_id, person_id, student_id, relationship)
                     values ($1, $2, $3, 'parent')",
                    &[&self.district.0, guardian, &student],
                )
                .await
                .unwrap();
        }
        student
    }

    /// So many members of staff, each with one phone for texts.
    pub async fn staff(&self, people: i32) {
        self.owner
            .execute(
                "with made as (
                   insert into people (district_id, source_id, given_name, family_name, role, active)
                   select $1, gen_random_uuid()::text, 'Sam', 'Staff', 3, true from generate_series(1, $2)
                   returning id)
                 insert into devices (district_id, person_id, channel, address, position)
                 select $1, id, 2, '+1555' || lpad(id::text, 7, '0'), 0 from made",
                &[&self.district.0, &people],
            )
            .await
            .unwrap();
    }

    pub async fn campaign(&self, change: impl FnOnce(&mut NewCampaign)) -> CampaignId {
        let now = self.now().await;
        let mut new = new_campaign(now);
        change(&mut new);
        self.tenant().create_campaign(&new).await.unwrap();
        new.id
    }

    pub async fn expansion(&self, campaign: CampaignId) -> Expansion {
        let due = self.store.expansions_due(self.now().await, 100).await.unwrap();
        due.into_iter().find(|expansion| expansion.campaign == campaign).unwrap()
    }

    pub async fn expand(&self, campaign: CampaignId, people_max: i64) {
        let mut expansion = self.expansion(campaign).await;
        while let Chunk::Made { cursor, .. } =
            self.store.expand(&expansion, people_max, self.now().await).await.unwrap()
        {
            expansion.cursor = cursor;
        }
    }

    /// A campaign of texts to so many members of staff, with its jobs waiting.
    pub async fn expanded(&self, people: i32) -> CampaignId {
        self.staff(people).await;
        let campaign = self.campaign(|_| ()).await;
        self.expand(campaign, 1000).await;
        campaign
    }

    pub async fn duty(&self) -> Duty {
        let held = self.store.hold_duties(Uuid::from_u128(7), &["release.sms.general".to_owned()]).await;
        held.unwrap().remove(0)
    }

    pub async fn due(&self, campaign: CampaignId, channel: Channel) -> Vec<Due> {
        let draws = [Draw { campaign, after: Position::HEAD, jobs_max: 100_000 }];
        self.store.due_jobs(channel, &draws, Persons::Unread, self.now().await).await.unwrap()
    }

    pub async fn releases(&self, due: &[Due], channel: Channel) -> Vec<Release> {
        let contact_until = self.now().await + TimeDelta::hours(1);
        let account = self.fixture.account(channel).unwrap();
        due.iter()
            .map(|job| Release { key: job.key, generation: job.generation, account, contact_until })
            .collect()
    }

    /// Releases everything of the channel that is due.
    pub async fn release(&self, campaign: CampaignId, channel: Channel) -> Vec<Asked> {
        let releases = self.releases(&self.due(campaign, channel).await, channel).await;
        let now = self.now().await;
        let duty = self.duty().await;
        let released = self.store.release(&duty, &releases, now, now + TimeDelta::minutes(1)).await.unwrap();
        asked(&released)
    }

    /// A worker with its share of every account.
    pub async fn worker(&self) -> WorkerId {
        let worker = WorkerId(Uuid::new_v4());
        self.store.renew_leases(worker, &Channel::ALL).await.unwrap();
        worker
    }

    /// Claims jobs that nothing speaks against.
    pub async fn claim(&self, jobs: &[Asked]) -> Vec<Granted> {
        let answers = self.store.claim(self.worker().await, jobs).await.unwrap();
        let all = answers.len();
        let granted = granted(answers);
        assert_eq!(granted.len(), all);
        granted
    }

    /// One report for each of the attempts.
    pub async fn report(&self, attempts: &[AttemptKey], kind: ReportKind) {
        let now = self.now().await;
        let settled = self.store.settle(reports(attempts, &kind, now), vec![], now).await.unwrap();
        assert_eq!(settled.unmatched, []);
    }

    pub async fn cancel(&self, campaign: CampaignId) {
        let cancel = self.tenant().cancel(campaign, "test", None).await.unwrap().unwrap();
        assert!(cancel.canceled.is_some());
    }

    /// Sweeps until a pass finds nothing, as the planner does. Returns how many jobs it ended.
    pub async fn sweep(&self, sweep: ToSweep) -> i64 {
        let mut ended = 0;
        loop {
            let pass = self.store.sweep(&sweep, 0, i32::MAX / 2, self.now().await).await.unwrap();
            assert!(pass.through);
            ended += pass.ended;
            if pass.ended == 0 {
                self.store.mark_swept(&sweep, self.now().await).await.unwrap();
                return ended;
            }
        }
    }

    /// Jobs of the campaign by their state's number.
    pub async fn jobs_in(&self, campaign: CampaignId, state: i16) -> i64 {
        self.number(&format!(
            "select count(*) from jobs where campaign_id = '{campaign}' and state = {state}"
        ))
        .await
    }

    pub async fn campaign_state(&self, campaign: CampaignId) -> i64 {
        self.number(&format!("select state from campaigns where id = '{campaign}'")).await
    }
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    #[allow(clippy::disallowed_methods, reason = "ends with the test's client")]
    tokio::spawn(connection);
    client
}

/// Texts to all staff, due at once.
pub fn new_campaign(now: DateTime<Utc>) -> NewCampaign {
    let id = CampaignId(Uuid::now_v7());
    NewCampaign {
        id,
        client_key: id.to_string(),
        request_hash: vec![0; 32],
        lane: Lane::General,
        mode: DedupeMode::PerDevice,
        consent_class: 2,
        message_type: "general".to_owned(),
        subject: "Early dismissal".to_owned(),
        channels: vec![Channel::Sms],
        audience: Audience { all: true, roles: vec![Role::Staff], ..Audience::default() },
        test: false,
        redial: RedialPolicy { wait_seconds: 60, ..RedialPolicy::default_for(Lane::General) },
        calling_window: None,
        limits: Default::default(),
        contents: vec![Content {
            channel: None,
            language: None,
            subject: None,
            audio_url: None,
            attachments: Vec::new(),
            body: "School closes at noon.".to_owned(),
        }],
        created_by: "test".to_owned(),
        created_at: now,
        scheduled_at: now,
        expires_at: now + TimeDelta::hours(2),
    }
}

pub fn asked(released: &[Released]) -> Vec<Asked> {
    released
        .iter()
        .map(|job| Asked { key: job.key, generation: job.generation, account: job.account })
        .collect()
}

pub fn granted(answers: Vec<Claim>) -> Vec<Granted> {
    answers
        .into_iter()
        .filter_map(|answer| match answer {
            Claim::Granted(granted) => Some(*granted),
            Claim::Denied(..) => None,
        })
        .collect()
}

pub fn denials(answers: &[Claim]) -> Vec<Denied> {
    answers
        .iter()
        .filter_map(|answer| match answer {
            Claim::Granted(_) => None,
            Claim::Denied(.., denied) => Some(*denied),
        })
        .collect()
}

pub fn attempts(granted: &[Granted]) -> Vec<AttemptKey> {
    granted.iter().map(|grant| grant.attempt).collect()
}

pub fn keys(asked: &[Asked]) -> Vec<(JobKey, Generation)> {
    asked.iter().map(|job| (job.key, job.generation)).collect()
}

pub fn reports(attempts: &[AttemptKey], kind: &ReportKind, at: DateTime<Utc>) -> Vec<Report> {
    attempts
        .iter()
        .map(|attempt| Report { attempt: *attempt, at, sequence: None, kind: kind.clone() })
        .collect()
}
