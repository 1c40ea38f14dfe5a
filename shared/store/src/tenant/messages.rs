//! What one recipient got, and what one person would get (requirement 172).

use std::collections::BTreeMap;

use tocsin_domain::audience::Audience;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::{CampaignId, Channel};

use super::Tenant;
use crate::expand::{
    about_students, addressed_people, audience_groups, groups_of, in_audience, in_class, is_meant,
    is_open_to, merge_values, named_person,
};
use crate::{StoreError, row};

/// By what a message is chosen and filled in. Debug output leaves the values out: they end up in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Addressee {
    pub name: String,
    /// On whose behalf.
    pub student: Option<String>,
    pub language: Option<String>,
    pub values: BTreeMap<String, String>,
    /// The channels on which the person has a device for this message.
    pub channels: Vec<Channel>,
}

impl std::fmt::Debug for Addressee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addressee").field("channels", &self.channels).finish_non_exhaustive()
    }
}

/// To whom a campaign would be expanded.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    pub audience: &'a Audience,
    pub channels: &'a [Channel],
    pub mode: DedupeMode,
    pub message_type: &'a str,
}

impl Tenant {
    /// A recipient as it was at expansion, which is what the message was made of. None: the campaign has no such one.
    pub async fn recipient(
        &self,
        campaign: CampaignId,
        recipient: i32,
    ) -> Result<Option<Addressee>, StoreError> {
        let rows = self.rows("recipient", RECIPIENT, &[&campaign.0, &recipient]).await?;
        rows.first().map(|found| read("recipient", found)).transpose()
    }

    /// What expanding the draft would address one person with: one or, in mode 2, one for each student. None where the
    /// person is not in the audience.
    pub async fn addressees(&self, draft: &Draft<'_>, person: i64) -> Result<Vec<Addressee>, StoreError> {
        let channels: Vec<i16> = draft.channels.iter().map(|channel| channel.number()).collect();
        let rows = self
            .rows(
                "addressees",
                ADDRESSEES,
                &[
                    &draft.message_type,
                    &self.district.0,
                    &(person - 1),
                    &person,
                    &channels,
                    &1_i64,
                    &draft.mode.number(),
                    &groups_of(draft.audience),
                ],
            )
            .await?;
        rows.iter().map(|found| read("addressees", found)).collect()
    }
}

fn read(statement: &'static str, found: &tokio_postgres::Row) -> Result<Addressee, StoreError> {
    Ok(Addressee {
        name: found.get("name"),
        student: found.get("student_name"),
        language: found.get("language"),
        values: row::from_json(statement, "merge values", found.get("merge_values"))?,
        channels: found
            .get::<_, Vec<i16>>("channels")
            .into_iter()
            .map(|number| row::channel(statement, number))
            .collect::<Result<_, _>>()?,
    })
}

/// A recipient's jobs are those from its first to the next recipient's, which is a scalar: see [`super::why`].
pub(crate) const RECIPIENT: &str = "-- store.recipient
select r.name, r.student_name, r.language, r.merge_values,
  array(select distinct j.channel from jobs j
    where j.campaign_id = $1 and j.id >= r.first_job and j.id < (
      select coalesce(min(n.first_job), 2147483647) from recipients n where n.campaign_id = $1 and n.id = $2 + 1)
    order by 1) as channels
from recipients r where r.campaign_id = $1 and r.id = $2";

/// As `expand`, of the one person behind `$3` and up to `$4`, and without its rows.
pub(crate) const ADDRESSEES: &str = concat!(
    "-- store.addressees
with ",
    audience_groups!(),
    ", chunk as materialized (
  select p.id, p.source_id, p.active, p.role, p.given_name, p.family_name, p.language, p.time_zone from people p
    ",
    in_audience!(),
    "
  and p.id <= $4
  limit $6
), ",
    about_students!(),
    ", ",
    addressed_people!(),
    "
select n.given_name || ' ' || n.family_name as name, n.student_name, n.language, ",
    merge_values!(),
    " as merge_values,
  array(select distinct d.channel from devices d
    where d.district_id = $2 and d.person_id = n.id and d.channel = any($5) and not $1::text = any(d.declined)
    order by 1) as channels
from addressed n order by n.id, n.about_id"
);
