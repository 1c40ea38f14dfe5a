//! Reminders of the question whether to opt in: campaigns of emails to the people of pending phones (requirement 165).

use chrono::{DateTime, Utc};
use tocsin_domain::audience::Audience;
use tocsin_domain::consent::ConsentClass;
use tocsin_domain::consent::reminder::ReminderPolicy;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::policy::{RedialPolicy, default_expiry};
use tocsin_domain::{CampaignId, Channel, DistrictId, Lane};
use uuid::{NoContext, Timestamp, Uuid};

use crate::tenant::campaigns::{CREATE_CAMPAIGN, CampaignRow, NewCampaign};
use crate::{Store, StoreError};

/// Who made the campaign, and its key's beginning.
const ACTOR: &str = "opt-in reminder";
const LANE: Lane = Lane::General;

/// A district with pending phones whose people may be due for a reminder.
#[derive(Debug, Clone)]
pub struct ReminderDue {
    pub district: DistrictId,
    name: String,
    policy: ReminderPolicy,
}

/// What reminding a district came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reminded {
    /// Phones that were looked at. Those without a person who has an email address are looked at again some days
    /// later.
    pub phones: usize,
    /// None: nobody could be reminded.
    pub campaign: Option<CampaignId>,
}

impl Store {
    /// Districts that have pending phones due for a reminder, and an account to send emails.
    pub async fn reminders_due(&self, now: DateTime<Utc>) -> Result<Vec<ReminderDue>, StoreError> {
        let rows = self.rows("reminders_due", REMINDERS_DUE, &[&now]).await?;
        let read = |found: &tokio_postgres::Row| ReminderDue {
            district: DistrictId(found.get("id")),
            name: found.get("name"),
            policy: reminder_policy(found),
        };
        Ok(rows.iter().map(read).collect())
    }

    /// Counts a reminder for the phones that are due, at most `phones_max`, and makes the campaign that tells their
    /// people, in one transaction. Of two planners each takes others; a phone that answered meanwhile is not taken.
    pub async fn remind_pending(
        &self,
        due: &ReminderDue,
        phones_max: i64,
        now: DateTime<Utc>,
    ) -> Result<Reminded, StoreError> {
        const NAME: &str = "remind_pending";
        let failed = || StoreError::statement(NAME);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let (times_max, before) = (i16::from(due.policy.times_max), due.policy.due_before(now));
        let statement = transaction.prepare_cached(REMIND).await.map_err(failed())?;
        let phones = transaction
            .query(&statement, &[&due.district.0, &before, &times_max, &phones_max, &now])
            .await
            .map_err(failed())?;
        let mut people: Vec<String> =
            phones.iter().flat_map(|found| found.get::<_, Vec<String>>("people")).collect();
        people.sort_unstable();
        people.dedup();
        let mut reminded = Reminded { phones: phones.len(), campaign: None };
        if !people.is_empty() {
            let new = campaign(due, people, now);
            let row = CampaignRow::of(due.district, &new)?;
            let statement = transaction.prepare_cached(CREATE_CAMPAIGN).await.map_err(failed())?;
            transaction.query(&statement, &row.parameters()).await.map_err(failed())?;
            reminded.campaign = Some(new.id);
        }
        transaction.commit().await.map_err(failed())?;
        Ok(reminded)
    }
}

pub(crate) fn reminder_policy(found: &tokio_postgres::Row) -> ReminderPolicy {
    let small = |name: &str| u8::try_from(found.get::<_, i16>(name)).unwrap_or_default();
    ReminderPolicy {
        times_max: small("opt_in_reminders"),
        every_days: small("opt_in_reminder_days"),
        flyer_url: found.get("opt_in_flyer_url"),
    }
}

/// Of the type of the question itself, to whoever has one of the phones and an email address.
fn campaign(due: &ReminderDue, people: Vec<String>, now: DateTime<Utc>) -> NewCampaign {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    let moment = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
    let id = CampaignId(Uuid::new_v7(moment));
    let content = due.policy.content(&due.name);
    NewCampaign {
        id,
        client_key: format!("{ACTOR} {id}"),
        request_hash: Vec::new(),
        lane: LANE,
        mode: DedupeMode::PerDevice,
        consent_class: ConsentClass::AsksOptIn.number(),
        message_type: "opt_in".to_owned(),
        subject: content.subject.clone().unwrap_or_default(),
        channels: vec![Channel::Email],
        audience: Audience::of_people(people),
        test: false,
        redial: RedialPolicy::default_for(LANE),
        calling_window: None,
        limits: Default::default(),
        contents: vec![content],
        created_by: ACTOR.to_owned(),
        created_at: now,
        scheduled_at: now,
        expires_at: now + default_expiry(LANE),
    }
}

/// Consent state 1 is pending, channel 3 email.
const REMINDERS_DUE: &str = "-- store.reminders_due
select d.id, d.name, d.opt_in_reminders, d.opt_in_reminder_days, d.opt_in_flyer_url
from districts d
where d.opt_in_reminders > 0
  and (select true from consents c
    where c.district_id = d.id and c.state = 1
      and coalesce(c.reminded_at, c.changed_at) <= $1::timestamptz - make_interval(days => d.opt_in_reminder_days)
      and c.reminders < d.opt_in_reminders
    limit 1)
  and exists (select from provider_accounts a
    where a.channel = 3 and a.parent_id is null and a.stopped_at is null
      and (a.district_id is null or a.district_id = d.id))
order by d.id";

/// Channel 2 is sms. A phone whose people have no email address is not counted as reminded, and waits as long.
const REMIND: &str = "-- store.remind_pending
with due as materialized (
  select c.phone from consents c
  where c.district_id = $1 and c.state = 1 and coalesce(c.reminded_at, c.changed_at) <= $2 and c.reminders < $3
  order by coalesce(c.reminded_at, c.changed_at), c.phone
  limit $4
  for update skip locked
), whose as materialized (
  select d.phone, (
    select coalesce(array_agg(distinct p.source_id), '{}')
    from devices v cross join lateral (
      select id, source_id from people where district_id = $1 and id = v.person_id and active limit 1) p
    where v.channel = 2 and v.address = d.phone and v.district_id = $1
      and (select true from devices e where e.district_id = $1 and e.person_id = p.id and e.channel = 3
        and not 'opt_in' = any(e.declined) limit 1)
    ) as people
  from due d
), marked as (
  update consents c
  set reminded_at = $5, reminders = c.reminders + case when cardinality(w.people) > 0 then 1 else 0 end
  from whose w where c.district_id = $1 and c.phone = w.phone
)
select phone, people from whose";
