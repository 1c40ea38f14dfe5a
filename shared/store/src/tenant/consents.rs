//! A district's consents: one phone with its history, the list, the totals, and a change by hand (requirement 164).

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::consent::reminder::ReminderPolicy;
use tocsin_domain::consent::{ConsentChange, ConsentState, EmergencyPolicy};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::Tenant;
use crate::consents::{MOVE_CONSENTS, states, until_moved};
use crate::reminders::reminder_policy;
use crate::{StoreError, row};

/// The newest changes of one phone that are shown.
const HISTORY_MAX: i64 = 1_000;

/// Where a phone stands.
#[derive(Debug, Clone)]
pub struct Consent {
    pub phone: String,
    pub state: ConsentState,
    pub changed_at: DateTime<Utc>,
    pub source: String,
}

/// How it came to stand there.
#[derive(Debug, Clone)]
pub struct Change {
    pub from: Option<ConsentState>,
    pub to: ConsentState,
    pub at: DateTime<Utc>,
    pub source: String,
    pub event: Option<Uuid>,
}

impl Tenant {
    /// None: nothing is known of the phone.
    pub async fn consent(&self, phone: &str) -> Result<Option<Consent>, StoreError> {
        let rows = self.rows("consent", CONSENT, &[&self.district.0, &phone]).await?;
        rows.first().map(|found| read_consent("consent", found)).transpose()
    }

    /// Newest first.
    pub async fn consent_history(&self, phone: &str) -> Result<Vec<Change>, StoreError> {
        const NAME: &str = "consent_history";
        let rows = self.rows(NAME, CONSENT_HISTORY, &[&self.district.0, &phone, &HISTORY_MAX]).await?;
        rows.iter()
            .map(|found| {
                let from = found.get::<_, Option<i16>>("from_state");
                Ok(Change {
                    from: from.map(|number| row::consent_state(NAME, number)).transpose()?,
                    to: row::consent_state(NAME, found.get("to_state"))?,
                    at: found.get("at"),
                    source: found.get("source"),
                    event: found.get("event_id"),
                })
            })
            .collect()
    }

    /// A page in the order of phones; `state` None: every state.
    pub async fn consents(
        &self,
        state: Option<ConsentState>,
        after: &str,
        consents_max: u32,
    ) -> Result<Vec<Consent>, StoreError> {
        let (district, most) = (self.district.0, i64::from(consents_max));
        let rows = match state.map(ConsentState::number) {
            None => self.rows("consents", CONSENTS, &[&district, &after, &most]).await?,
            Some(state) => {
                let parameters: [&(dyn ToSql + Sync); 4] = [&district, &after, &most, &state];
                self.rows("consents_in_state", CONSENTS_IN_STATE, &parameters).await?
            }
        };
        rows.iter().map(|found| read_consent("consents", found)).collect()
    }

    /// How many phones are in each state, in the order of [`ConsentState::ALL`].
    pub async fn consent_totals(&self) -> Result<Vec<(ConsentState, i64)>, StoreError> {
        let rows = self.rows("consent_totals", CONSENT_TOTALS, &[&self.district.0]).await?;
        let total = |state: ConsentState| {
            let of_state = rows.iter().find(|found| found.get::<_, i16>("state") == state.number());
            of_state.map_or(0, |found| found.get("phones"))
        };
        Ok(ConsentState::ALL.iter().map(|state| (*state, total(*state))).collect())
    }

    /// Moves a phone's consent. False: it does not lead from where the phone stands, or stands there already.
    pub async fn change_consent(
        &self,
        phone: &str,
        change: ConsentChange,
        source: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let (districts, phones, ats) = (vec![self.district.0], vec![phone], vec![now]);
        // Somebody decides now, whatever was said before and whoever's clock is ahead.
        let (standing, events) = (vec![now + TimeDelta::days(1)], vec![None::<Uuid>]);
        let (to, from) = (change.to().number(), states(change.from()));
        let parameters: [&(dyn ToSql + Sync); 8] =
            [&districts, &phones, &ats, &standing, &events, &source, &to, &from];
        let moved = until_moved(|| self.rows("move_consents", MOVE_CONSENTS, &parameters)).await?;
        Ok(moved > 0)
    }
}

/// What a district decided about consent (decision D11).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsentPolicy {
    pub emergencies: EmergencyPolicy,
    /// Names of the message types whose texts go only to phones that opted in.
    pub opt_in_needed: Vec<String>,
    pub reminder: ReminderPolicy,
}

impl Tenant {
    pub async fn consent_policy(&self) -> Result<ConsentPolicy, StoreError> {
        let rows = self.rows("consent_policy", CONSENT_POLICY, &[&self.district.0]).await?;
        let Some(found) = rows.first() else { return Ok(ConsentPolicy::default()) };
        let overrides = found.get("emergency_overrides_stop");
        let emergencies = if overrides { EmergencyPolicy::OverrideStop } else { EmergencyPolicy::HonourStop };
        let reminder = reminder_policy(found);
        Ok(ConsentPolicy { emergencies, opt_in_needed: found.get("opt_in_needed"), reminder })
    }

    /// About emergencies it holds for every text that is expanded or claimed from now on; about opt-ins for campaigns
    /// that are made from now on; about reminders at once.
    pub async fn set_consent_policy(
        &self,
        policy: &ConsentPolicy,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let overrides = policy.emergencies == EmergencyPolicy::OverrideStop;
        let ReminderPolicy { times_max, every_days, flyer_url } = &policy.reminder;
        let (times_max, every_days) = (i16::from(*times_max), i16::from(*every_days));
        let parameters: [&(dyn ToSql + Sync); 8] = [
            &self.district.0,
            &overrides,
            &actor,
            &now,
            &policy.opt_in_needed,
            &times_max,
            &every_days,
            flyer_url,
        ];
        self.rows("set_consent_policy", SET_CONSENT_POLICY, &parameters).await.map(drop)
    }
}

fn read_consent(statement: &'static str, found: &tokio_postgres::Row) -> Result<Consent, StoreError> {
    Ok(Consent {
        phone: found.get("phone"),
        state: row::consent_state(statement, found.get("state"))?,
        changed_at: found.get("changed_at"),
        source: found.get("source"),
    })
}

const CONSENT: &str = "-- store.consent
select phone, state, changed_at, source from consents where district_id = $1 and phone = $2";

pub(crate) const CONSENT_HISTORY: &str = "-- store.consent_history
select from_state, to_state, at, source, event_id from consent_history
where district_id = $1 and phone = $2 order by id desc limit $3";

pub(crate) const CONSENTS: &str = "-- store.consents
select phone, state, changed_at, source from consents
where district_id = $1 and phone > $2 order by phone limit $3";

/// By an index of its own: of a million phones few are in some states.
pub(crate) const CONSENTS_IN_STATE: &str = "-- store.consents_in_state
select phone, state, changed_at, source from consents
where district_id = $1 and phone > $2 and state = $4 order by phone limit $3";

const CONSENT_TOTALS: &str = "-- store.consent_totals
select state, count(*) as phones from consents where district_id = $1 group by state";

const CONSENT_POLICY: &str = "-- store.consent_policy
select emergency_overrides_stop, opt_in_needed, opt_in_reminders, opt_in_reminder_days, opt_in_flyer_url
from districts where id = $1";

const SET_CONSENT_POLICY: &str = "-- store.set_consent_policy
with changed as (
  update districts set emergency_overrides_stop = $2, opt_in_needed = $5, opt_in_reminders = $6,
    opt_in_reminder_days = $7, opt_in_flyer_url = $8
  where id = $1
    and (emergency_overrides_stop, opt_in_needed, opt_in_reminders, opt_in_reminder_days, opt_in_flyer_url)
      is distinct from ($2, $5, $6, $7, $8::text)
  returning id
)
insert into audit (district_id, at, actor, action, subject, details)
select id, $4, $3, 'consent_policy.change', id::text,
  jsonb_build_object('emergency_overrides_stop', $2::boolean, 'opt_in_needed', to_jsonb($5::text[]),
    'reminders', $6::smallint, 'reminder_days', $7::smallint, 'flyer_url', $8::text)
from changed";
