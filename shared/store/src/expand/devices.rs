//! What expanding makes of each device: parts of the statements, and of the forecast's.

/// What becomes of each device of `$from`, which has channel, address, about_id, job_id and told_by (what told its person
/// already, if that holds it back): is it a duplicate (of
/// `sent_job`, be that of this chunk or of an `earlier_job`), does another stand for its address, and is it barred from
/// being contacted? Of those that share an address one whose person was not told is the one that is sent. For the expanding statements, so that the rule stands once.
macro_rules! judged_devices {
    ($from:literal) => {
        concat!(
            "judged as materialized (
  select r.*, earlier.job_id as earlier_job,
    coalesce(earlier.job_id, first_value(r.job_id) over alike) as sent_job,
    count(*) over (partition by r.channel, r.address, r.about_id)::int as copies,
    earlier.job_id is not null or row_number() over alike > 1 as duplicate,
    row_number() over (partition by r.channel, r.address order by r.about_id, r.told_by is not null, r.job_id) > 1
      or ($7::smallint = 2 and (
        select true from destinations e where e.campaign_id = $1 and e.channel = r.channel
          and e.address = r.address and not e.duplicate limit 1) is not null) as repeats,
    case
      when r.channel = 2 and consent.state = 3 and c.overrides_stop is not true then 31::smallint
      when s.outcome is not null then s.outcome
      when r.channel = 2 and c.consent_class = 3 and consent.state is distinct from 2 then 48::smallint
      when r.told_by is not null then 52::smallint
    end as barred
  from ",
            $from,
            " r cross join campaign c
  left join lateral (
    select job_id from destinations e where e.campaign_id = $1 and e.channel = r.channel
      and e.address = r.address and e.student_id is not distinct from r.about_id and not e.duplicate limit 1) earlier
    on true
  left join lateral (
    select state from consents where district_id = $2 and phone = r.address and r.channel = 2 limit 1) consent
    on true
  left join lateral (
    select outcome from suppressions
    where district_id = $2 and channel = r.channel and address = r.address
    union all
    select 32::smallint from unsubscribes
    where r.channel = 3 and district_id = $2 and address = r.address and message_type = c.message_type
    limit 1) s on true
  window alike as (partition by r.channel, r.address, r.about_id order by r.told_by is not null, r.job_id)
"
        )
    };
}

/// Destinations and jobs of what is `judged`, and of calls and texts (channels 1 and 2) whose duplicates are whose.
/// `sole` in `judged` is of the person. A job of an earlier chunk may be on its way, if this is an emergency: it is
/// locked, so that a contact is counted here or where its report is applied, which must see these rows. It is not
/// waited for: a release that holds it may wait for this campaign.
macro_rules! made_devices {
    () => {
        concat!(
            "shared_before as materialized (
  select k.campaign_id, k.id, s.copies, ",
            is_contacted!("k.outcome"),
            " as contacted
  from (
    select earlier_job, count(*)::int as copies from judged
    where earlier_job is not null and channel in (1, 2) group by 1 order by 1) s
  cross join lateral (
    select * from jobs k where k.campaign_id = $1 and k.id = s.earlier_job for update nowait) k
), shared as (
  update jobs j set shared_by = j.shared_by + s.copies
  from shared_before s where j.campaign_id = any(array[s.campaign_id]) and j.id = s.id
), made_phone_duplicates as (
  insert into phone_duplicates (campaign_id, district_id, person_id, job_id, duplicate_id)
  select $1, $2, person_id, sent_job, job_id from judged where duplicate and channel in (1, 2)
), met as (
  select $1::uuid as campaign_id, $2::uuid as district_id, person_id, 1 as contact from judged
  where channel in (1, 2) and earlier_job = any(array(select id from shared_before where contacted))
), ",
            told_people!(),
            ", tallied_people as (
  insert into tallies (campaign_id, district_id, channel, contacted_by_phone)
  select campaign_id, district_id, 0, sum((contacts > 0)::int - (contacts_before > 0)::int) from told_people
  group by 1, 2 having sum((contacts > 0)::int - (contacts_before > 0)::int) <> 0
), made_destinations as (
  insert into destinations (campaign_id, district_id, device_id, student_id, job_id, channel, duplicate,
    address, extension)
  select $1, $2, device_id, about_id, job_id, channel, duplicate, address, extension from judged
), made_jobs as (
  insert into jobs (campaign_id, district_id, id, recipient_id, generation, channel, lane, state, outcome,
    due_at, ended_at, wait_reason, shared_by, repeats, sole)
  select $1, $2, j.job_id, j.recipient_id, 0, j.channel, c.lane,
    case when j.duplicate or j.barred is not null then 4 else 1 end,
    case when j.duplicate then 33 else j.barred end,
    case when j.duplicate or j.barred is not null then null else greatest(c.scheduled_at, $5) end,
    case when j.duplicate or j.barred is not null then $5 end,
    case when j.duplicate or j.barred is not null then null else 1 end,
    case when j.duplicate or j.channel not in (1, 2) then 0 else j.copies - 1 end, j.repeats, j.sole
  from judged j cross join campaign c
"
        )
    };
}

/// What the devices of a chunk add to the tallies of their channels, after channel, recipients and no_device.
macro_rules! tallied_devices {
    () => {
        concat!(
            "count(*) filter (where not duplicate), count(*) filter (where duplicate),
    count(*) filter (where not duplicate and barred is null),
    count(*) filter (where not duplicate and barred is null),
    count(*) filter (where not duplicate and barred is not null),
    count(*) filter (where not duplicate and not repeats),
    count(*) filter (where not duplicate and not repeats and ",
            is_attempted!("barred is not null", "channel", "barred"),
            "),
    count(*) filter (where not duplicate and not repeats and barred is not null)
  from judged group by channel"
        )
    };
}

pub(crate) use {judged_devices, made_devices, tallied_devices};
