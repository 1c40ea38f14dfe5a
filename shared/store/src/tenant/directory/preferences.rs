//! What a person prefers: language, time zone, and which device for which messages. Preferences are the district's
//! and no delivery changes them.

use chrono::{DateTime, Utc};
use tocsin_domain::Channel;

use super::super::Tenant;
use super::changes::change;
use super::{Change, told};
use crate::StoreError;

/// What is to be preferred from now on.
#[derive(Clone, Default)]
pub struct Preferences {
    /// Some(None): the roster's again. So the zone.
    pub language: Option<Option<String>>,
    pub time_zone: Option<Option<String>>,
    /// Devices that are not among them stay as they are.
    pub devices: Vec<DevicePreference>,
}

impl std::fmt::Debug for Preferences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preferences").field("devices", &self.devices.len()).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct DevicePreference {
    pub channel: Channel,
    pub address: String,
    /// Message types, never emergencies.
    pub declined: Vec<String>,
}

impl std::fmt::Debug for DevicePreference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevicePreference").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Tenant {
    /// All of it or, of a person whom there is not, nothing. A device that the person does not have is passed over.
    pub async fn prefer(
        &self,
        source_id: &str,
        preferences: &Preferences,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let Preferences { language, time_zone, devices } = preferences;
        let channels: Vec<i16> = devices.iter().map(|device| device.channel.number()).collect();
        let addresses: Vec<&str> = devices.iter().map(|device| device.address.as_str()).collect();
        let declined: Vec<serde_json::Value> =
            devices.iter().map(|device| serde_json::json!(device.declined)).collect();
        let rows = self
            .rows(
                "prefer",
                PREFER,
                &[
                    &self.district.0,
                    &actor,
                    &now,
                    &source_id,
                    &language.is_some(),
                    &language.as_ref().and_then(Option::as_deref),
                    &time_zone.is_some(),
                    &time_zone.as_ref().and_then(Option::as_deref),
                    &channels,
                    &addresses,
                    &declined,
                ],
            )
            .await?;
        Ok(change(&rows))
    }
}

/// A preference that declines nothing is none.
pub(crate) const PREFER: &str = concat!(
    "-- store.prefer
with known as (
  select id from people where district_id = $1 and source_id = $4 for update
), told as (
  select u.channel, u.address, array(select jsonb_array_elements_text(u.declined)) as declined
  from unnest($9::smallint[], $10::text[], $11::jsonb[]) u(channel, address, declined)
), spoken as (
  update people p set
    own_language = case when $5 then $6 else p.own_language end,
    own_time_zone = case when $7 then $8 else p.own_time_zone end,
    language = case when $5 then coalesce($6, p.roster_language) else p.language end,
    time_zone = case when $7 then coalesce($8, p.roster_time_zone) else p.time_zone end
  from known k
  where p.district_id = $1 and p.id = k.id
    and ($5 and p.own_language is distinct from $6 or $7 and p.own_time_zone is distinct from $8)
  returning p.id
), chosen as (
  update devices d set declined = t.declined
  from known k cross join told t
  where d.district_id = $1 and d.person_id = k.id and d.channel = t.channel and d.address = t.address
    and d.declined <> t.declined
  returning d.person_id, d.channel, d.address, d.declined
), kept as (
  insert into device_preferences as w (district_id, person_id, channel, address, declined, changed_at, changed_by)
  select $1, person_id, channel, address, declined, $3, $2 from chosen where cardinality(declined) > 0
  on conflict (district_id, person_id, channel, address) do update
  set declined = excluded.declined, changed_at = excluded.changed_at, changed_by = excluded.changed_by
), lifted as (
  delete from device_preferences w using chosen c
  where w.district_id = $1 and w.person_id = c.person_id and w.channel = c.channel and w.address = c.address
    and cardinality(c.declined) = 0
), done as (
  select id from spoken union all select person_id from chosen
), ",
    told!("directory.person.prefer", "$4", "select from done"),
    "
select exists (select from done) as changed, false as of_roster from known"
);
