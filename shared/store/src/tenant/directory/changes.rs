//! People whom the district adds, renames, stops and takes back, and their devices.

use chrono::{DateTime, Utc};
use tocsin_domain::Channel;
use tocsin_domain::audience::Role;

use super::super::Tenant;
use super::{Change, told};
use crate::StoreError;

/// Who is added by hand.
#[derive(Clone)]
pub struct NewPerson<'a> {
    pub source_id: &'a str,
    pub given_name: &'a str,
    pub family_name: &'a str,
    pub role: Role,
    pub language: Option<&'a str>,
    pub time_zone: Option<&'a str>,
}

impl std::fmt::Debug for NewPerson<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPerson").field("source_id", &self.source_id).finish_non_exhaustive()
    }
}

/// What of a person is the roster's as long as it has them. None: it stays.
#[derive(Clone, Copy, Default)]
pub struct Naming<'a> {
    pub given_name: Option<&'a str>,
    pub family_name: Option<&'a str>,
    pub role: Option<Role>,
}

impl std::fmt::Debug for Naming<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Naming").finish_non_exhaustive()
    }
}

/// A device as it is added by hand.
#[derive(Clone, Copy)]
pub struct NewDevice<'a> {
    pub channel: Channel,
    /// E.164, normalised email address, or the portal account.
    pub address: &'a str,
    pub extension: Option<&'a str>,
}

impl std::fmt::Debug for NewDevice<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewDevice").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Tenant {
    /// False: the district has somebody of that source id.
    pub async fn add_person(
        &self,
        new: &NewPerson<'_>,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let rows = self
            .rows(
                "add_person",
                ADD_PERSON,
                &[
                    &self.district.0,
                    &actor,
                    &now,
                    &new.source_id,
                    &new.given_name,
                    &new.family_name,
                    &new.role.number(),
                    &new.language,
                    &new.time_zone,
                ],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// Names of somebody whom the roster does not have.
    pub async fn rename_person(
        &self,
        source_id: &str,
        naming: &Naming<'_>,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let rows = self
            .rows(
                "rename_person",
                RENAME_PERSON,
                &[
                    &self.district.0,
                    &actor,
                    &now,
                    &source_id,
                    &naming.given_name,
                    &naming.family_name,
                    &naming.role.map(Role::number),
                ],
            )
            .await?;
        Ok(change(&rows))
    }

    /// Makes somebody inactive, or takes them back; no delivery changes that.
    pub async fn set_active(
        &self,
        source_id: &str,
        active: bool,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let rows = self
            .rows("set_active", SET_ACTIVE, &[&self.district.0, &actor, &now, &source_id, &active])
            .await?;
        Ok(change(&rows))
    }

    /// One that the roster has as well stays when it leaves the roster.
    pub async fn add_device(
        &self,
        source_id: &str,
        device: &NewDevice<'_>,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let rows = self
            .rows(
                "add_device",
                ADD_DEVICE,
                &[
                    &self.district.0,
                    &actor,
                    &now,
                    &source_id,
                    &device.channel.number(),
                    &device.address,
                    &device.extension,
                ],
            )
            .await?;
        Ok(change(&rows))
    }

    /// Only one that the district added.
    pub async fn remove_device(
        &self,
        source_id: &str,
        channel: Channel,
        address: &str,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let rows = self
            .rows(
                "remove_device",
                REMOVE_DEVICE,
                &[&self.district.0, &actor, &now, &source_id, &channel.number(), &address],
            )
            .await?;
        Ok(change(&rows))
    }
}

/// No row: nobody. Else whether the roster has it, and whether something was changed.
pub(super) fn change(rows: &[tokio_postgres::Row]) -> Change {
    match rows.first() {
        None => Change::Unknown,
        Some(found) if found.get("changed") => Change::Done,
        Some(found) if found.get("of_roster") => Change::OfRoster,
        Some(_) => Change::Unchanged,
    }
}

pub(crate) const ADD_PERSON: &str = concat!(
    "-- store.add_person
with made as (
  insert into people (district_id, source_id, given_name, family_name, role, language, time_zone, own_language,
    own_time_zone, active, by_roster, by_hand)
  select $1, $4, $5, $6, $7, $8, $9, $8, $9, true, false, true
  on conflict (district_id, source_id) do nothing
  returning id
), ",
    told!("directory.person.add", "$4", "select from made"),
    "
select id from made"
);

pub(crate) const RENAME_PERSON: &str = concat!(
    "-- store.rename_person
with known as (
  select id, by_roster from people where district_id = $1 and source_id = $4 for update
), done as (
  update people p set given_name = coalesce($5, p.given_name), family_name = coalesce($6, p.family_name),
    role = coalesce($7, p.role)
  from known k
  where p.district_id = $1 and p.id = k.id and not k.by_roster
    and (p.given_name, p.family_name, p.role)
      is distinct from (coalesce($5, p.given_name), coalesce($6, p.family_name), coalesce($7, p.role))
  returning p.id
), ",
    told!("directory.person.rename", "$4", "select from done"),
    "
select exists (select from done) as changed, by_roster as of_roster from known"
);

/// Somebody whom no roster has is kept by hand from then on.
pub(crate) const SET_ACTIVE: &str = concat!(
    "-- store.set_active
with known as (
  select id, active from people where district_id = $1 and source_id = $4 for update
), done as (
  update people p set active = $5, stopped = not $5, by_hand = p.by_hand or $5 and not p.by_roster
  from known k where p.district_id = $1 and p.id = k.id and k.active <> $5
  returning p.id
), ",
    told!("directory.person.active", "$4", "select from done"),
    "
select exists (select from done) as changed, false as of_roster from known"
);

pub(crate) const ADD_DEVICE: &str = concat!(
    "-- store.add_device
with known as (
  select id from people where district_id = $1 and source_id = $4 for update
), done as (
  insert into devices as d (district_id, person_id, channel, address, extension, position, by_roster, by_hand, declined)
  select $1, k.id, $5, $6, $7,
    (select coalesce(max(e.position), 0) + 1 from devices e
      where e.district_id = $1 and e.person_id = k.id and e.channel = $5),
    false, true,
    coalesce((select w.declined from device_preferences w
      where w.district_id = $1 and w.person_id = k.id and w.channel = $5 and w.address = $6), '{}')
  from known k
  on conflict (district_id, person_id, channel, address) do update
  set by_hand = true, extension = case when d.by_roster then d.extension else excluded.extension end
  where not d.by_hand or not d.by_roster and d.extension is distinct from excluded.extension
  returning id
), ",
    told!("directory.device.add", "$4", "select from done"),
    "
select exists (select from done) as changed, false as of_roster from known"
);

pub(crate) const REMOVE_DEVICE: &str = concat!(
    "-- store.remove_device
with known as (
  select d.id, d.by_roster, d.by_hand from people p
  join devices d on d.district_id = $1 and d.person_id = p.id and d.channel = $5 and d.address = $6
  where p.district_id = $1 and p.source_id = $4
  for update
), removed as (
  delete from devices d using known k where d.district_id = $1 and d.id = k.id and not k.by_roster returning d.id
), done as (
  select id from removed
), ",
    told!("directory.device.remove", "$4", "select from done"),
    "
select exists (select from done) as changed, by_roster as of_roster from known"
);
