//! A person erased: from the directory at once, and from every closed campaign that is kept, a page of campaigns at a time.
//! What was counted stays, and the auditor still agrees (promise 10).

use chrono::{DateTime, Utc};
use tocsin_domain::DistrictId;
use uuid::Uuid;

use crate::{Store, StoreError};

/// Campaigns of one transaction.
const CAMPAIGNS_MAX: i64 = 50;
/// Stands where a name was.
pub const ERASED: &str = "(erased)";

/// A person who is being erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    pub district: DistrictId,
    pub person: i64,
}

/// What was erased so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Campaigns looked through.
    pub campaigns: i64,
    /// Rows of recipients that no longer name the person.
    pub recipients: i64,
    /// Open campaigns that still hold the person: call again when they are closed.
    pub open: i64,
}

impl Store {
    /// Takes the person of that source id off the directory, with devices, contacts, enrolments, classes and
    /// preferences, and keeps a note of who it was. None: no such person, now or before.
    pub async fn forget(
        &self,
        district: DistrictId,
        source_id: &str,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Forgotten>, StoreError> {
        let rows = self.rows("forget", FORGET, &[&district.0, &source_id, &by, &now]).await?;
        if let Some(found) = rows.first() {
            return Ok(Some(Forgotten { district, person: found.get("person_id") }));
        }
        let rows = self.rows("forgotten", FORGOTTEN, &[&district.0, &source_id]).await?;
        Ok(rows.first().map(|found| Forgotten { district, person: found.get("person_id") }))
    }

    /// Goes on through the campaigns of the person's district, and keeps how far it came with each page.
    pub async fn erase(&self, whom: Forgotten) -> Result<Erased, StoreError> {
        let (district, person) = (whom.district.0, whom.person);
        let mut erased = Erased::default();
        loop {
            let page = self.rows("to_erase", TO_ERASE, &[&district, &person, &CAMPAIGNS_MAX]).await?;
            let campaigns: Vec<Uuid> = page.iter().map(|found| found.get("id")).collect();
            let Some(last) = campaigns.last() else { break };
            let done = self.rows("erase", ERASE, &[&campaigns, &person, &ERASED]).await?;
            erased.recipients += done.first().map_or(0, |found| found.get::<_, i64>("recipients"));
            self.count("erased_to", ERASED_TO, &[&district, &person, last]).await?;
            erased.campaigns += campaigns.len() as i64;
        }
        let open = self.rows("still_open", STILL_OPEN, &[&district, &person]).await?;
        erased.open = open.first().map_or(0, |found| found.get(0));
        // Those that are open are looked through next time, with whatever was made after them.
        if erased.open > 0 {
            self.count("erase_again", ERASE_AGAIN, &[&district, &person]).await?;
        }
        Ok(erased)
    }
}

/// A person is known by the source id as long as the directory has it. Phones that nobody else has lose their consent,
/// but for an opt-out; suppressions and unsubscribes stay, for they stop messages.
const FORGET: &str = "-- store.forget
with person as materialized (
  select id from people where district_id = $1 and source_id = $2 for update
), devices_gone as (
  delete from devices d using person p where d.district_id = $1 and d.person_id = p.id returning d.channel, d.address
), phones as materialized (
  select array_agg(g.address) as numbers from devices_gone g
  where g.channel in (1, 2) and not exists (
    select from devices o where o.district_id = $1 and o.address = g.address
      and o.person_id <> (select id from person))
), consents_gone as materialized (
  select forget_consents($1, p.numbers) from phones p where p.numbers is not null
), contacts_gone as (
  delete from contacts c using person p where c.district_id = $1 and (c.person_id = p.id or c.student_id = p.id)
), stops_gone as (
  delete from contact_stops c using person p where c.district_id = $1 and (c.person_id = p.id or c.student_id = p.id)
), changes_gone as (
  delete from roster_changes r using person p where r.district_id = $1 and (r.student_id = p.id or r.contact_id = p.id)
), students_gone as (
  delete from students s using person p where s.district_id = $1 and s.person_id = p.id
), classes_gone as (
  delete from class_members m using person p where m.district_id = $1 and m.person_id = p.id
), preferences_gone as (
  delete from device_preferences f using person p where f.district_id = $1 and f.person_id = p.id
), imports_bare as (
  update imports set problems = null, delivery = null
  where district_id = $1 and state in (4, 5, 6) and (problems is not null or delivery is not null)
    and exists (select from person)
), gone as (
  delete from people q using person p where q.district_id = $1 and q.id = p.id returning q.id
), moved as (
  update districts set directory_version = directory_version + 1 where id = $1 and exists (select from person)
), noted as (
  insert into forgotten (district_id, person_id, source_hash, forgotten_at, forgotten_by)
  select $1, g.id, sha256(convert_to($2, 'UTF8')), $4, $3 from gone g
  returning person_id
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $4, $3, 'person.forget', n.person_id::text, '{}' from noted n
)
select person_id, (select count(*) from consents_gone) as consents from noted";

/// The latest of that source id: a roster may have brought one back that was erased.
const FORGOTTEN: &str = "-- store.forgotten
select person_id from forgotten
where district_id = $1 and source_hash = sha256(convert_to($2, 'UTF8')) order by person_id desc limit 1";

const TO_ERASE: &str = "-- store.to_erase
select c.id from campaigns c
where c.district_id = $1 and c.closed_at is not null and c.rows_dropped_at is null
  and c.id > coalesce((select cursor from forgotten where district_id = $1 and person_id = $2),
    '00000000-0000-0000-0000-000000000000')
order by c.id limit $3";

const ERASED_TO: &str = "-- store.erased_to
update forgotten set cursor = $3 where district_id = $1 and person_id = $2";

const ERASE_AGAIN: &str = "-- store.erase_again
update forgotten set cursor = (
  select id from campaigns where district_id = $1 and id < (
    select id from campaigns where district_id = $1 and closed_at is null order by id limit 1)
  order by id desc limit 1)
where district_id = $1 and person_id = $2";

const STILL_OPEN: &str = "-- store.still_open
select count(*) from campaigns c
where c.district_id = $1 and c.closed_at is null and exists (
  select from recipients r
  where r.campaign_id = c.id and (r.person_id = $2 or r.student_id = $2 or $2 = any(r.student_ids)))";

/// Of closed campaigns. `own` are rows of the person, who was contacted; `about` those of others on the person's behalf.
/// A device that the person shared is erased for whoever shared it, too: duplicates are known by having its address, and
/// the totals count by that. An address becomes one that nobody has, and stays one of its kind.
const ERASE: &str = "-- store.erase
with campaign as materialized (
  select id from unnest($1::uuid[]) u(id) order by id
), own as materialized (
  select r.campaign_id, r.id from campaign c
  cross join lateral (select campaign_id, id from recipients where campaign_id = c.id and person_id = $2 order by id for update) r
), about as materialized (
  select r.campaign_id, r.id from campaign c
  cross join lateral (
    select campaign_id, id from recipients
    where campaign_id = c.id and person_id <> $2 and (student_id = $2 or $2 = any(student_ids)) order by id for update) r
), job as materialized (
  select j.campaign_id, j.id from own o
  cross join lateral (
    select campaign_id, id from jobs where campaign_id = o.campaign_id and recipient_id = o.id offset 0) j
), address as materialized (
  select distinct d.campaign_id, d.channel, d.address, d.student_id from job j
  cross join lateral (
    select * from destinations where campaign_id = j.campaign_id and job_id = j.id limit 1) d
), shared as materialized (
  select d.campaign_id, d.job_id, 'erased-' || min(d.job_id) over (
    partition by d.campaign_id, d.channel, d.address, d.student_id) as becomes
  from (select distinct campaign_id from address) c
  cross join lateral (select * from destinations where campaign_id = c.campaign_id offset 0) d
  where exists (
    select from address a
    where a.campaign_id = d.campaign_id and a.channel = d.channel and a.address = d.address
      and a.student_id is not distinct from d.student_id)
), named as (
  update recipients r set name = $3, student_name = case when r.student_name is not null then $3 end,
    language = null, time_zone = null, merge_values = '{}'
  from own o where r.campaign_id = any(array[o.campaign_id]) and r.id = o.id
), told as (
  update recipients r set student_name = case when r.student_name is not null then $3 end, merge_values = '{}'
  from about o where r.campaign_id = any(array[o.campaign_id]) and r.id = o.id
), addressed as (
  update destinations d set address = s.becomes, extension = null
  from shared s where d.campaign_id = any(array[s.campaign_id]) and d.job_id = s.job_id
), raw as (
  update events e set raw = null
  from job j where e.campaign_id = any(array[j.campaign_id]) and e.job_id = j.id and e.raw is not null
), read as (
  delete from inbox_messages m
  using job j where m.campaign_id = any(array[j.campaign_id]) and m.job_id = j.id
)
select (select count(*) from own) + (select count(*) from about) as recipients";
