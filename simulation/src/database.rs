//! The one database of a run: its clock stands still between two operations, its districts stay, and everything
//! else is removed between two seeds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::{Channel, DistrictId};
use tocsin_runtime::{Clock as _, Tasks};
use tocsin_store::districts::District;
use tocsin_store::{Access, Store};
use tocsin_testkit::TestDatabase;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};
use uuid::Uuid;

use crate::clock::{START, SimulatedClock};

/// Guardians of each district, and the zone that it is in.
pub const DISTRICTS: [(usize, Option<&str>); 3] =
    [(8, Some("America/Chicago")), (5, Some("Pacific/Auckland")), (3, None)];
/// Who lives elsewhere than their district.
const TRAVELLER: (usize, usize, &str) = (0, 3, "America/New_York");
/// The last guardian of the first district has no device, and the one before shares the phone of another.
const WITHOUT_DEVICE: (usize, usize) = (0, 7);
const SHARES_A_PHONE: (usize, usize) = (0, 6);

/// What a seed leaves behind; the districts and their people stay. Rows are deleted and not truncated: that would
/// make every session plan every statement anew.
const LEFT_BEHIND: [&str; 26] = [
    "contents",
    "recipients",
    "destinations",
    "jobs",
    "attempts",
    "events",
    "inbox_messages",
    "phone_duplicates",
    "phone_people",
    "release_batches",
    "claim_batches",
    "flow",
    "held",
    "tallies",
    "control_log",
    "audit",
    "leases",
    "planner_leases",
    "consents",
    "consent_history",
    "suppressions",
    "district_limits",
    "release_budgets",
    "release_places",
    "campaigns",
    "provider_accounts",
];
/// After so many seeds the space of what was deleted is given back.
const SEEDS_PER_VACUUM: u32 = 50;

#[derive(Debug)]
pub struct Database {
    pub store: Store,
    pub tenants: Store,
    /// As its owner: for what no role of the product may read or set.
    client: Client,
    /// What the database's clock shows.
    told_now: Arc<AtomicI64>,
    statements: Mutex<HashMap<&'static str, Statement>>,
    connection: Tasks,
    cleaned: AtomicU32,
    _database: TestDatabase,
}

impl Database {
    pub async fn create() -> Result<Self> {
        let database = TestDatabase::create().await?;
        let url = nearest(&database.url).await;
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        let tasks = Tasks::new();
        tasks.spawn("database", async move {
            // Ends with its client.
            let _ = connection.await;
        });
        // The server's own clock goes on while a statement runs: the same seed would not be the same run.
        client
            .batch_execute(&format!(
                "set synchronous_commit = off; set plan_cache_mode = force_generic_plan; set jit = off;
                 create or replace function tocsin_now() returns timestamptz language sql volatile
                 as $$ select timestamptz '{START}' + (select shift from clock) $$"
            ))
            .await?;
        // Nothing here outlives the run, and what is planned serves all of it.
        for setting in ["synchronous_commit = off", "plan_cache_mode = force_generic_plan", "jit = off"] {
            client.batch_execute(&format!("alter database {} set {setting}", database.name)).await?;
        }
        let told_now = Arc::new(AtomicI64::new(SimulatedClock::default().now().timestamp_micros()));
        // One session each: what it has planned serves all seeds.
        let store = Store::open(&url, 1, Access::Engine)?.telling_time(Arc::clone(&told_now));
        let tenants = Store::open(&url, 1, Access::Tenants)?;
        prepare_cleaning(&client).await?;
        let made = Self {
            store,
            tenants,
            client,
            told_now,
            statements: Mutex::default(),
            connection: tasks,
            cleaned: AtomicU32::new(0),
            _database: database,
        };
        made.populate().await.context("the districts")?;
        made.drop_other_months().await.context("the months of other times")?;
        Ok(made)
    }

    /// Everything that campaigns leave is removed, and the clock and what is numbered are where they began.
    pub async fn clean(&self) -> Result<()> {
        self.query("select clean()", &[]).await.context("cleaning the database")?;
        self.tell(SimulatedClock::default().now());
        if self.cleaned.fetch_add(1, Ordering::Relaxed) % SEEDS_PER_VACUUM == SEEDS_PER_VACUUM - 1 {
            self.client.batch_execute("vacuum").await.context("vacuum")?;
        }
        Ok(())
    }

    /// `sql` is planned once.
    pub async fn query(
        &self,
        sql: &'static str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Row>> {
        let known = self.statements().get(sql).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let statement = self.client.prepare(sql).await?;
                self.statements().insert(sql, statement.clone());
                statement
            }
        };
        Ok(self.client.query(&statement, parameters).await?)
    }

    pub async fn query_one(
        &self,
        sql: &'static str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Row> {
        self.query(sql, parameters).await?.pop().context("a row is missing")
    }

    fn statements(&self) -> MutexGuard<'_, HashMap<&'static str, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn set_clock(&self, clock: &SimulatedClock) -> Result<()> {
        self.tell(clock.now());
        let micros = clock.passed().num_microseconds().context("a time too long")?;
        let sql = format!("update clock set shift = {micros} * interval '1 microsecond'");
        Ok(self.client.batch_execute(&sql).await?)
    }

    fn tell(&self, now: DateTime<Utc>) {
        self.told_now.store(now.timestamp_micros(), Ordering::Relaxed);
    }

    pub async fn close(self) {
        let Self { store, tenants, client, connection, .. } = self;
        store.close();
        tenants.close();
        drop(client);
        connection.stop(std::time::Duration::from_secs(5)).await;
    }

    /// A run begins and ends in one month: no statement has to be made ready for the partitions of others, which takes
    /// longer than all that it then does. What reports of no attempt are kept in has no month.
    async fn drop_other_months(&self) -> Result<()> {
        let month = SimulatedClock::default().now().format("_%Y_%m").to_string();
        for row in self.client.query(PARTITIONS, &[]).await? {
            let name: &str = row.get(0);
            if !name.ends_with(&month) && name != "events_default" {
                self.client.batch_execute(&format!("drop table {name}")).await?;
            }
        }
        Ok(())
    }

    async fn populate(&self) -> Result<()> {
        let now = SimulatedClock::default().now();
        self.store.make_partitions(now + TimeDelta::days(40)).await?;
        for (number, (guardians, zone)) in DISTRICTS.into_iter().enumerate() {
            let (id, time_zone) = (district(number), zone.map(str::to_owned));
            let (name, default_region) = (format!("District {number}"), "US".to_owned());
            self.store
                .add_district(&District { id, name, time_zone, default_region, weight: 1 }, now)
                .await?;
            self.client.execute(STUDENT, &[&id.0]).await?;
            for guardian in 0..guardians {
                let zone = (TRAVELLER.0 == number && TRAVELLER.1 == guardian).then_some(TRAVELLER.2);
                let devices = devices(number, guardian);
                let channels: Vec<i16> = devices.iter().map(|(channel, _)| channel.number()).collect();
                let addresses: Vec<&str> = devices.iter().map(|(_, address)| address.as_str()).collect();
                let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                    [&id.0, &format!("guardian-{guardian}"), &zone, &channels, &addresses];
                self.client.execute(GUARDIAN, &parameters).await?;
            }
        }
        Ok(())
    }
}

/// What is numbered begins with 1 in every seed: some choose by these numbers. A function, so that it is planned once.
async fn prepare_cleaning(client: &Client) -> Result<()> {
    let mut sql =
        String::from("update clock set shift = interval '0'; perform setval('cancel_epochs', 1, false);");
    for table in LEFT_BEHIND {
        sql.push_str(&format!(" delete from {table};"));
    }
    for row in client.query(NUMBERED, &[&LEFT_BEHIND.as_slice()]).await? {
        let sequence: String = row.get(0);
        sql.push_str(&format!(" perform setval('{sequence}', 1, false);"));
    }
    let function = format!("create function clean() returns void language plpgsql as $$ begin {sql} end $$");
    Ok(client.batch_execute(&function).await?)
}

/// The same database by the server's own socket, where it is on this machine and lets us in there: a run asks some hundred
/// statements, one after another, and most of the time is spent on their way.
async fn nearest(url: &str) -> String {
    by_socket(url).await.unwrap_or_else(|_| url.to_owned())
}

async fn by_socket(url: &str) -> Result<String> {
    let config: Config = url.parse()?;
    let local = |host: &Host| matches!(host, Host::Tcp(name) if name == "127.0.0.1" || name == "localhost");
    anyhow::ensure!(config.get_hosts().iter().all(local), "it is on another machine");
    let (name, user) = config.get_dbname().zip(config.get_user()).context("who is asked for what?")?;
    let folders: String = {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let asked = async {
            let asked = client.query_one("select current_setting('unix_socket_directories')", &[]).await;
            drop(client);
            asked
        };
        tokio::join!(asked, connection).0?.get(0)
    };
    let folder = folders.split(',').next().map(str::trim).context("it has no socket")?;
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let password = config.get_password().map(String::from_utf8_lossy);
    let password = password.map_or_else(String::new, |password| format!(" password='{password}'"));
    let near = format!("host='{folder}' port={port} user='{user}' dbname='{name}'{password}");
    let (client, connection) = tokio_postgres::connect(&near, NoTls).await?;
    drop(client);
    connection.await?;
    Ok(near)
}

pub fn district(number: usize) -> DistrictId {
    DistrictId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number as u128))
}

/// How many devices a campaign to all of a district has to reach over `channels`, duplicates included.
pub fn device_count(number: usize, channels: &[Channel]) -> usize {
    let of_guardian =
        |guardian| devices(number, guardian).iter().filter(|(channel, _)| channels.contains(channel)).count();
    (0..DISTRICTS[number].0).map(of_guardian).sum()
}

/// One of the devices of all districts that people may bar: nobody does so with the inbox.
pub fn device(pick: u64) -> (usize, Channel, String) {
    pick_of(pick, |channel| channel != Channel::Inbox)
}

/// One of the phones, and its district.
pub fn phone(pick: u64) -> (usize, String) {
    let (number, _, address) = pick_of(pick, |channel| channel == Channel::Sms);
    (number, address)
}

fn pick_of(pick: u64, of: impl Fn(Channel) -> bool) -> (usize, Channel, String) {
    let all: Vec<(usize, Channel, String)> = (0..DISTRICTS.len())
        .flat_map(|number| (0..DISTRICTS[number].0).map(move |guardian| (number, guardian)))
        .flat_map(|(number, guardian)| {
            devices(number, guardian).into_iter().map(move |(channel, address)| (number, channel, address))
        })
        .filter(|(_, channel, _)| of(*channel))
        .collect();
    all[(pick % all.len() as u64) as usize].clone()
}

fn devices(number: usize, guardian: usize) -> Vec<(Channel, String)> {
    if WITHOUT_DEVICE == (number, guardian) {
        return Vec::new();
    }
    let phone = if SHARES_A_PHONE == (number, guardian) { 0 } else { guardian };
    let phone = format!("+1312555{:04}", number * 100 + phone);
    let email = format!("guardian{guardian}@district{number}.example.org");
    let portal = format!("portal-{number}-{guardian}");
    vec![
        (Channel::Voice, phone.clone()),
        (Channel::Sms, phone),
        (Channel::Email, email),
        (Channel::Inbox, portal),
    ]
}

const PARTITIONS: &str = "
select c.relname::text from pg_class c join pg_inherits i on i.inhrelid = c.oid
where c.relkind = 'r' and c.relispartition order by 1";

const NUMBERED: &str = "
select pg_get_serial_sequence(attrelid::regclass::text, attname)
from pg_attribute where attidentity <> '' and attrelid::regclass::text = any($1)
order by attrelid";

const STUDENT: &str = "
with school as (
  insert into schools (district_id, source_id, name, kind) values ($1, 'school', 'Lincoln Elementary', 'school')
), student as (
  insert into people (district_id, source_id, given_name, family_name, role, active)
  values ($1, 'student', 'Sam', 'Rivera', 2, true) returning id
)
insert into students (district_id, person_id, school_source_id, grade, active)
select $1, id, 'school', '03', true from student";

const GUARDIAN: &str = "
with made as (
  insert into people (district_id, source_id, given_name, family_name, role, time_zone, active)
  values ($1, $2, 'Guardian', $2, 1, $3, true) returning id
), related as (
  insert into contacts (district_id, person_id, student_id, relationship)
  select $1, made.id, student.id, 'parent'
  from made join people student on student.district_id = $1 and student.source_id = 'student'
)
insert into devices (district_id, person_id, channel, address, position)
select $1, made.id, u.channel, u.address, u.position::smallint
from made cross join unnest($4::smallint[], $5::text[]) with ordinality u(channel, address, position)";
