//! About how many an audience is: a part of the district's people is asked, each as expansion asks them, and what they
//! answer is taken for the whole. What that takes does not grow with the district.

use tocsin_domain::Channel;

use super::{Size, SizeQuery};
use crate::StoreError;
use crate::expand::{audience_groups, groups_of, in_audience, in_class, is_meant, is_open_to, named_person};
use crate::tenant::Tenant;

/// The numbers that people have are divided into so many equal parts, of each of which so many in a row are asked.
/// Families and schools lie together in a roster: many small parts are nearer to the whole than few large ones.
const PARTS: i64 = 400;
const ASKED_OF_PART: i64 = 6;

/// What a part of the people tells of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    pub size: Size,
    /// People who were asked and are in the audience: the fewer, the less it tells.
    pub met: u64,
    /// Everybody was asked.
    pub exact: bool,
}

impl Tenant {
    pub async fn audience_estimate(&self, query: &SizeQuery<'_>) -> Result<Estimate, StoreError> {
        const NAME: &str = "audience_estimate";
        let channels: Vec<i16> = query.channels.iter().map(|channel| channel.number()).collect();
        let (groups, mode) = (groups_of(query.audience), query.mode.number());
        let rows = self
            .rows(
                NAME,
                ESTIMATE,
                &[
                    &PARTS,
                    &self.district.0,
                    &0_i64,
                    &ASKED_OF_PART,
                    &channels,
                    &query.message_type,
                    &mode,
                    &groups,
                ],
            )
            .await?;
        let found = rows.first();
        let number = |name: &str| found.map_or(0, |found| found.get::<_, i64>(name).unsigned_abs());
        // Nobody lives there: nobody was left out.
        let scale = found.and_then(|found| found.get::<_, Option<f64>>("scale")).unwrap_or(1.0);
        let of = |name: &str| scaled(number(name), scale);
        Ok(Estimate {
            size: Size {
                recipients: of("met"),
                no_device: of("no_device"),
                devices: query.channels.iter().map(|channel| (*channel, of(column(*channel)))).collect(),
            },
            met: number("met"),
            exact: scale <= 1.0,
        })
    }
}

fn column(channel: Channel) -> &'static str {
    match channel {
        Channel::Voice => "voice",
        Channel::Sms => "sms",
        Channel::Email => "email",
        Channel::Inbox => "inbox",
    }
}

fn scaled(count: u64, scale: f64) -> u64 {
    (count as f64 * scale).round() as u64
}

/// `ends` is a column and no sum within the join: the district's policy lets no index be asked by a function that might
/// tell of rows. In mode 2, `$7`, a person is addressed once for each student. `$3`, the cursor of what the condition is
/// made for, is 0.
pub(crate) const ESTIMATE: &str = concat!(
    "-- store.audience_estimate
with ",
    audience_groups!(),
    ", bounds as materialized (
  select (select id from people where district_id = $2 order by id limit 1) as low,
    (select id from people where district_id = $2 order by id desc limit 1) as high
), strides as materialized (
  select low, greatest((high - low + $1::bigint) / $1::bigint, 1) as stride from bounds
), parts as (
  select low + n * stride + case when stride > $4::bigint then n * 7919 % (stride - $4 + 1) else 0 end as begins,
    least(stride, $4) as width, stride
  from strides cross join generate_series(0, $1::bigint - 1) n
), asked as materialized (
  select begins, begins + width as ends, stride::float8 / width as scale from parts
), met as materialized (
  select p.* from asked t cross join lateral (
    select * from people p where p.district_id = $2 and p.id >= t.begins and p.id < t.ends offset 0) p
  ",
    in_audience!(),
    "
), owned as (
  select d.*, case when $7::smallint = 2 then greatest((
      select count(distinct pair.student_id) from groups g
      cross join lateral (
        (select student_id from contacts where g.guardians and district_id = $2 and person_id = p.id offset 0)
        union
        select p.id where g.students and p.role = 2
      ) pair
      cross join lateral (select from students s where ",
    is_meant!("pair.student_id"),
    " limit 1) s
      where ",
    is_open_to!(),
    "), 1) else 1 end as messages
  from met p cross join lateral (
    select count(*) filter (where d.channel = 1) as voice, count(*) filter (where d.channel = 2) as sms,
      count(*) filter (where d.channel = 3) as email, count(*) filter (where d.channel = 4) as inbox
    from devices d
    where d.district_id = $2 and d.person_id = p.id and d.channel = any($5::smallint[])
      and not $6::text = any(d.declined)) d
)
select (select scale from asked limit 1) as scale, count(*) as met,
  count(*) filter (where voice + sms + email + inbox = 0) as no_device,
  coalesce(sum(messages * voice), 0)::bigint as voice, coalesce(sum(messages * sms), 0)::bigint as sms,
  coalesce(sum(messages * email), 0)::bigint as email, coalesce(sum(messages * inbox), 0)::bigint as inbox
from owned"
);
