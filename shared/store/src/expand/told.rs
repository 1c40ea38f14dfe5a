//! Attendance: whom an earlier message of the day has told of a student already, or is about to (requirement 179). Parts of
//! the expanding statement and of the forecast's.

/// The attendance campaigns of the district on the day `$day` but for the one that is expanded. Null: none. `goes_on`: what is not claimed yet will be. State 9 is Failed.
macro_rules! attendance_of_day {
    ($day:literal, $now:literal) => {
        concat!(
            "attendance_of_day as materialized (
  select id, cancel_epoch is null and state <> 9 and expires_at > ",
            $now,
            " as goes_on
  from campaigns where district_id = $2 and attendance_day = ",
            $day,
            "::date and id <> $1
)"
        )
    };
}

/// The campaign of the day that has told `$person` of `$student`, or may have, or is about to; of a duplicate the job that
/// is sent in its place tells. A recipient's jobs stand side by side. Job state 3 is claimed, 4 ended; outcome 33 duplicate.
macro_rules! already_told {
    ($person:literal, $student:literal) => {
        concat!(
            "(select t.id from attendance_of_day t
      cross join lateral (
        select recipient_id, recipient_id + 1 as next_id from recipient_people
        where campaign_id = t.id and person_id = ",
            $person,
            " offset 0) o
      cross join lateral (
        select first_job from recipients
        where campaign_id = t.id and id = o.recipient_id and person_id = ",
            $person,
            "
          and ",
            $student,
            " = any(student_ids) limit 1) r
      cross join lateral (
        select coalesce(min(first_job), 2147483647) as first_job from recipients
        where campaign_id = t.id and id = o.next_id) n
      cross join lateral (
        select id, state, outcome from jobs
        where campaign_id = t.id and id >= r.first_job and id < n.first_job offset 0) j
      left join lateral (
        select k.state, k.outcome from (
          select channel, address, student_id from destinations
          where campaign_id = t.id and job_id = j.id limit 1) d
        cross join lateral (
          select job_id from destinations
          where campaign_id = t.id and channel = d.channel and address = d.address
            and student_id is not distinct from d.student_id and not duplicate limit 1) f
        cross join lateral (
          select state, outcome from jobs where campaign_id = t.id and id = f.job_id limit 1) k
        where j.outcome = 33 limit 1) s on true
      where case coalesce(s.state, j.state)
        when 4 then ",
            may_have_told!("coalesce(s.outcome, j.outcome)"),
            "
        when 3 then true
        else t.goes_on end
      limit 1)"
        )
    };
}

/// The campaign of the day by which `$person` was told of all of `$students`; null: of one of them by none, or there are
/// none. Asked only where there is a day, `$day`.
macro_rules! told_of_all {
    ($day:literal, $person:literal, $students:literal) => {
        concat!(
            "case when ",
            $day,
            "::date is not null then (
      select case when count(*) = count(m.told_by) then (array_agg(m.told_by))[1] end
      from unnest(",
            $students,
            ") s(id) cross join lateral (select ",
            already_told!($person, "s.id"),
            " as told_by offset 0) m) end"
        )
    };
}

/// What an attendance message makes of it, in the expanding statement, of which `$9` is the day: the campaigns that may have
/// told, the one that told the person `n`, and the one that holds them back from the device `d`. Whoever was told is not held back from a
/// device shared with somebody who is still to come and was not told: theirs would be the duplicate of one that is not sent.
macro_rules! heeds_told {
    (campaigns) => {
        concat!(attendance_of_day!("$9", "$5"), ", ")
    };
    (person) => {
        told_of_all!("$9", "a.id", "a.students")
    };
    (device) => {
        concat!(
            "case when n.told_by is not null and (
      select true from devices shared
      cross join lateral (
        select id, source_id, active, language from people where district_id = $2 and id = shared.person_id limit 1) p
      cross join groups g
      cross join lateral (
        select x.student_id from contacts x cross join lateral (
          select from students s where ",
            is_meant!("x.student_id"),
            " limit 1) s
        where g.guardians and x.district_id = $2 and x.person_id = p.id
          and ($7::smallint = 1 or x.student_id = n.about_id) offset 0) k
      where shared.district_id = $2 and shared.address collate \"C\" = d.address and shared.id > 0
        and shared.channel = d.channel and shared.person_id > (select max(id) from chunk)
        and not c.message_type = any(shared.declined)
        and ",
            is_open_to!(),
            "
        and ",
            already_told!("shared.person_id", "k.student_id"),
            " is null
      limit 1) is null then n.told_by end"
        )
    };
}

/// The same for any other message, which does not ask what others told.
macro_rules! ignores_told {
    (campaigns) => {
        ""
    };
    (person) => {
        "null::uuid"
    };
    (device) => {
        "null::uuid"
    };
}

pub(crate) use {already_told, attendance_of_day, heeds_told, ignores_told, told_of_all};

#[cfg(test)]
mod tests {
    use tocsin_domain::{CampaignState, JobState, Outcome};

    #[test]
    fn the_numbers_written_into_the_parts_are_the_domains() {
        assert_eq!((JobState::Claimed.number(), JobState::Ended.number()), (3, 4));
        assert_eq!((CampaignState::Failed.number(), Outcome::Duplicate.number()), (9, 33));
    }
}
