//! Whom expanding reaches, and what it makes of each device: parts of the statements, and of the forecast's.

/// Is the person `p` in the audience, behind the cursor?
macro_rules! in_audience {
    () => {
        "where p.district_id = $2 and p.id > $3
      and (p.active or $16)
      and ($15::text is null or p.language = $15)
      and (cardinality($14::text[]) = 0 or p.source_id = any($14))
      and (($8 and (
              select true from contacts c cross join lateral (
                select from students s
                where s.district_id = $2 and s.person_id = c.student_id and (s.active or $16)
                  and (cardinality($12::text[]) = 0 or s.school_source_id = any($12))
                  and (cardinality($13::text[]) = 0 or s.grade = any($13)) limit 1) s
              where c.district_id = $2 and c.person_id = p.id limit 1))
        or ($9 and (
              select true from students s
              where s.district_id = $2 and s.person_id = p.id and (s.active or $16)
                and (cardinality($12::text[]) = 0 or s.school_source_id = any($12))
                and (cardinality($13::text[]) = 0 or s.grade = any($13)) limit 1))
        or ($10 and p.role = 3 and (cardinality($12::text[]) = 0 and cardinality($13::text[]) = 0))
        or (cardinality($14::text[]) > 0 and not $11
            and cardinality($12::text[]) = 0 and cardinality($13::text[]) = 0))"
    };
}

/// What becomes of each device of `$from`, which has channel, address, about_id and job_id: is it a duplicate, and is
/// it barred from being contacted? For the expanding statements, so that the rule stands once.
macro_rules! judged_devices {
    ($from:literal) => {
        concat!(
            "judged as materialized (
  select r.*,
    row_number() over (partition by r.channel, r.address, r.about_id order by r.job_id) > 1
      or exists (select from destinations e where e.campaign_id = $1 and e.channel = r.channel
                 and e.address = r.address and e.student_id is not distinct from r.about_id
                 and not e.duplicate) as duplicate,
    case
      when r.channel = 2 and consent.state = 3 and c.overrides_stop is not true then 31::smallint
      when s.outcome is not null then s.outcome
      when r.channel = 2 and c.consent_class = 3 and consent.state is distinct from 2 then 48::smallint
    end as barred
  from ",
            $from,
            " r cross join campaign c
  left join lateral (
    select state from consents where district_id = $2 and phone = r.address and r.channel = 2 limit 1) consent
    on true
  left join lateral (
    select outcome from suppressions
    where district_id = $2 and channel = r.channel and address = r.address limit 1) s on true
"
        )
    };
}

/// Destinations and jobs of what is `judged`.
macro_rules! made_devices {
    () => {
        "made_destinations as (
  insert into destinations (campaign_id, district_id, device_id, student_id, job_id, channel, duplicate,
    address, extension)
  select $1, $2, device_id, about_id, job_id, channel, duplicate, address, extension from judged
), made_jobs as (
  insert into jobs (campaign_id, district_id, id, recipient_id, generation, channel, lane, state, outcome,
    due_at, ended_at, wait_reason)
  select $1, $2, j.job_id, j.recipient_id, 0, j.channel, c.lane,
    case when j.duplicate or j.barred is not null then 4 else 1 end,
    case when j.duplicate then 33 else j.barred end,
    case when j.duplicate or j.barred is not null then null else greatest(c.scheduled_at, $5) end,
    case when j.duplicate or j.barred is not null then $5 end,
    case when j.duplicate or j.barred is not null then null else 1 end
  from judged j cross join campaign c
"
    };
}

pub(crate) use {in_audience, judged_devices, made_devices};
