//! Expanding a correction: its audience are those whom an earlier, canceled campaign contacted, or may have.
//!
//! The chunks walk the attempts of that campaign, so that the work is in what was tried and not in what was planned.
//! Names, addresses and merge values are those of that campaign: whoever left the directory since, or has another
//! phone, is reached where the message that is corrected went.

use chrono::{DateTime, Utc};
use tocsin_domain::receipt::{Addressed, AddressedPart};

use crate::expand::{Chunk, Expansion, judged_devices, made_devices, read_chunk, tallied_devices};
use crate::receipt::part_of_attempt;
use crate::standing::{is_attempted, is_contacted, told_people};
use crate::unhurried::unhurried;
use crate::{Store, StoreError};

impl Store {
    /// Makes the rows of the next `attempts_max` attempts of the campaign that is corrected.
    pub(crate) async fn expand_receipt(
        &self,
        expansion: &Expansion,
        addressed: Addressed,
        attempts_max: i64,
        now: DateTime<Utc>,
    ) -> Result<Chunk, StoreError> {
        let channels: Vec<i16> = expansion.channels.iter().map(|channel| channel.number()).collect();
        let last_part = match addressed.part {
            AddressedPart::ContactedOrUnknown => tocsin_domain::receipt::Part::InFlightOrUnknown,
        };
        let rows = self
            .rows(
                "expand_receipt",
                EXPAND_RECEIPT,
                &[
                    &expansion.campaign.0,
                    &expansion.district.0,
                    &expansion.cursor,
                    &attempts_max,
                    &now,
                    &channels,
                    &expansion.mode.number(),
                    &addressed.campaign.0,
                    &i32::from(last_part.number()),
                ],
            )
            .await;
        read_chunk(rows)
    }
}

/// As `expand`, with its numbers. The cursor is a job of the campaign that is corrected, `$8`. `again` is 1 where
/// the first person, or recipient, of this chunk is the last of the chunk before: jobs are numbered in the order of
/// recipients, and these in the order of people, so that it can be no other.
pub(crate) const EXPAND_RECEIPT: &str = concat!(
    "-- store.expand_receipt
with campaign as materialized (
  select id, recipients_made, jobs_made, scheduled_at, lane, consent_class, message_type,
    consent_class = 1 and (select emergency_overrides_stop from districts where id = $2) as overrides_stop
  from campaigns
  where id = $1 and expand_cursor = $3 and expanded_at is null and state in (2, 3)
  for update
), walked as materialized (
  select a.job_id from campaign cross join lateral (
    select job_id from attempts where campaign_id = $8 and job_id > $3 order by job_id, number limit $4) a
), told as materialized (
  select w.job_id, t.part from (select distinct job_id from walked) w cross join lateral (
    select min(",
    part_of_attempt!(),
    ") as part
    from attempts a where a.campaign_id = $8 and a.job_id = w.job_id) t
), reached as materialized (
  select j.id as old_job, j.recipient_id as old_recipient, j.channel, d.device_id, d.address, d.extension,
    r.person_id, r.student_id, r.student_ids, r.name, r.student_name, r.language, r.time_zone, r.merge_values,
    case when $7::smallint = 2 then r.student_id end as about_id
  from told t
  cross join lateral (
    select * from jobs where campaign_id = $8 and id = t.job_id and district_id = $2 limit 1) j
  cross join lateral (
    select device_id, address, extension from destinations
    where campaign_id = $8 and job_id = t.job_id limit 1) d
  cross join lateral (
    select * from recipients where campaign_id = $8 and id = j.recipient_id limit 1) r
  where t.part <= $9 and j.channel = any($6)
), again as materialized (
  select coalesce(max(1), 0) as person,
    coalesce(max(1) filter (where b.student_id is not distinct from f.student_id), 0) as recipient
  from (select person_id, student_id from reached order by old_job limit 1) f cross join campaign c
  cross join lateral (
    select student_id from recipients
    where campaign_id = $1 and id = c.recipients_made and person_id = f.person_id limit 1) b
), numbered as materialized (
  select r.*, false as sole, null::uuid as told_by,
    c.recipients_made - a.recipient + (dense_rank() over (order by r.old_recipient))::int as recipient_id,
    c.jobs_made + (row_number() over (order by r.old_job))::int as job_id
  from reached r cross join campaign c cross join again a
), ",
    judged_devices!("numbered"),
    "), begun as materialized (
  select distinct on (n.recipient_id) n.* from numbered n cross join campaign c
  where n.recipient_id > c.recipients_made
  order by n.recipient_id, n.job_id
), made_recipients as (
  insert into recipients (campaign_id, district_id, person_id, student_id, id, no_device, name, student_name,
    language, time_zone, student_ids, first_job, merge_values)
  select $1, $2, person_id, student_id, recipient_id, false, name, student_name, language, time_zone, student_ids,
    job_id, merge_values
  from begun
), made_people as (
  insert into recipient_people (campaign_id, district_id, person_id, recipient_id)
  select $1, $2, concerned, b.recipient_id
  from begun b cross join lateral unnest(
    case when b.person_id = any(b.student_ids) then b.student_ids else b.person_id || b.student_ids end) concerned
), ",
    made_devices!(),
    "), extent as materialized (
  select (select max(job_id)::bigint from walked) as last, (select count(*) from walked) as attempts,
    (select count(distinct person_id)::int from numbered) - (select person from again) as people,
    (select count(distinct recipient_id)::int from numbered) - (select recipient from again) as recipients,
    (select count(*)::int from judged) as jobs
), tallied as (
  insert into tallies (campaign_id, district_id, channel, recipients, devices, duplicates, open, untried,
    not_dispatched, addresses, addresses_attempted, addresses_with_result)
  select $1, $2, 0::smallint, x.people, 0, 0, 0, 0, 0, 0, 0, 0 from extent x where x.people > 0
  union all
  select $1, $2, channel, 0, ",
    tallied_devices!(),
    "
)
update campaigns c set
  expand_cursor = coalesce(x.last, c.expand_cursor),
  recipients_made = c.recipients_made + x.recipients,
  jobs_made = c.jobs_made + x.jobs,
  expanded_at = case when x.attempts < $4 then $5 end
from extent x cross join ",
    unhurried!(),
    "
where c.id = $1 and exists (select from campaign)
returning case when x.attempts < $4 then null else x.last end as cursor, x.people, x.jobs,
  array(select job_id from judged where c.lane = 1 and channel = 2 and not duplicate and barred is not null) as barred"
);

#[cfg(test)]
mod tests {
    use tocsin_domain::receipt::Part;

    /// `part <= $9` means the parts up to that one.
    #[test]
    fn contacted_and_unknown_are_the_first_two_parts() {
        assert_eq!((Part::Contacted.number(), Part::InFlightOrUnknown.number()), (1, 2));
    }
}
