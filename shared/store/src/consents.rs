//! What moves consent: texts to our numbers, providers' refusals, a district's own word. Each move is compared with
//! what the row says and written to the history in the same statement (docs/adr/0012-consent.md).

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use tocsin_domain::DistrictId;
use tocsin_domain::consent::{ConsentChange, ConsentState};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{Store, StoreError};

/// A row that another transaction made in between is read again; more often than this it is not the same one.
const ROUNDS_MAX: usize = 5;

/// A keyword that came to one of our numbers.
#[derive(Clone)]
pub struct Heard {
    /// Name of the provider account whose number it was sent to.
    pub account: String,
    /// The sender, in E.164.
    pub phone: String,
    pub said: Said,
    pub at: DateTime<Utc>,
    /// The same for every copy of the same text.
    pub event: Uuid,
}

/// What was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Stop,
    Start,
}

/// The number is a person's.
impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heard").field("said", &self.said).field("event", &self.event).finish_non_exhaustive()
    }
}

impl Said {
    /// What it changes in a district that has the number for itself, and in one that shares it.
    fn changes(self) -> (ConsentChange, ConsentChange) {
        match self {
            Self::Stop => (ConsentChange::Stop, ConsentChange::Stop),
            Self::Start => (ConsentChange::Start, ConsentChange::StartShared),
        }
    }
}

impl Store {
    /// Applies keywords in their order. Returns how many consents they moved; one text may move several districts'.
    pub async fn hear(&self, heard: &[Heard]) -> Result<u64, StoreError> {
        // A provider's copy of a text has its event, and may stand behind a later text of the same phone.
        let mut seen = HashSet::with_capacity(heard.len());
        let heard: Vec<Heard> = heard.iter().filter(|text| seen.insert(text.event)).cloned().collect();
        let mut moved = 0;
        for run in runs(&heard) {
            moved += self.hear_run(run).await?;
        }
        Ok(moved)
    }

    /// Texts of different phones that all say the same.
    async fn hear_run(&self, run: &[Heard]) -> Result<u64, StoreError> {
        let Some(first) = run.first() else { return Ok(0) };
        let (own, shared) = first.said.changes();
        let accounts: Vec<&str> = run.iter().map(|text| text.account.as_str()).collect();
        let phones: Vec<&str> = run.iter().map(|text| text.phone.as_str()).collect();
        let ats: Vec<DateTime<Utc>> = run.iter().map(|text| text.at).collect();
        let standing: Vec<DateTime<Utc>> = run.iter().map(|text| own.counts_until(text.at)).collect();
        let events: Vec<Uuid> = run.iter().map(|text| text.event).collect();
        let (own_from, shared_from) = (states(own.from()), states(shared.from()));
        let to = own.to().number();
        let parameters: [&(dyn ToSql + Sync); 8] =
            [&accounts, &phones, &ats, &standing, &events, &to, &own_from, &shared_from];
        until_moved(|| self.rows("hear", HEAR, &parameters)).await
    }

    /// The phone's owner wants no more texts of this district (requirements 85, 161).
    pub async fn opt_out(
        &self,
        district: DistrictId,
        phone: &str,
        source: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let opt_out = PhoneChange { district, phone: phone.to_owned(), at: now, event: None };
        self.change_phones(ConsentChange::Stop, &[opt_out], source).await.map(drop)
    }

    /// One change of many phones' consents. Returns how many it moved.
    pub(crate) async fn change_phones(
        &self,
        change: ConsentChange,
        phones: &[PhoneChange],
        source: &str,
    ) -> Result<u64, StoreError> {
        // A statement changes a row once.
        let mut seen = HashSet::new();
        let changes: Vec<&PhoneChange> =
            phones.iter().filter(|one| seen.insert((one.district, one.phone.as_str()))).collect();
        let districts: Vec<Uuid> = changes.iter().map(|one| one.district.0).collect();
        let phones: Vec<&str> = changes.iter().map(|one| one.phone.as_str()).collect();
        let ats: Vec<DateTime<Utc>> = changes.iter().map(|one| one.at).collect();
        let standing: Vec<DateTime<Utc>> = ats.iter().map(|at| change.counts_until(*at)).collect();
        let events: Vec<Option<Uuid>> = changes.iter().map(|one| one.event).collect();
        let (to, from) = (change.to().number(), states(change.from()));
        let parameters: [&(dyn ToSql + Sync); 8] =
            [&districts, &phones, &ats, &standing, &events, &source, &to, &from];
        until_moved(|| self.rows("move_consents", MOVE_CONSENTS, &parameters)).await
    }
}

/// A phone, and when and by which report its consent changes.
pub(crate) struct PhoneChange {
    pub district: DistrictId,
    pub phone: String,
    pub at: DateTime<Utc>,
    pub event: Option<Uuid>,
}

/// Splits `heard` where the keyword changes or a phone comes again: a statement changes a row once, in one way.
fn runs(heard: &[Heard]) -> Vec<&[Heard]> {
    let (mut runs, mut begin, mut phones) = (Vec::new(), 0, HashSet::new());
    for (at, text) in heard.iter().enumerate() {
        let same = heard.get(begin).is_some_and(|first| first.said == text.said);
        if !same || !phones.insert(text.phone.as_str()) {
            runs.push(&heard[begin..at]);
            begin = at;
            phones = HashSet::from([text.phone.as_str()]);
        }
    }
    runs.push(&heard[begin..]);
    runs
}

/// States as the statements compare them; 0 is none.
pub(crate) fn states(states: &[Option<ConsentState>]) -> Vec<i16> {
    states.iter().map(|state| state.map_or(0, ConsentState::number)).collect()
}

/// Asks a moving statement until what it found due has moved: where another transaction was faster, it finds more
/// due than it moved. Returns how many consents were moved in all.
pub(crate) async fn until_moved<F>(ask: impl Fn() -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<Vec<Row>, StoreError>>,
{
    let (mut moved, mut missed) = (0, 0);
    for _ in 0..ROUNDS_MAX {
        let rows = ask().await?;
        let count = |name: &str| rows.first().map_or(0, |found| found.get::<_, i64>(name)).unsigned_abs();
        moved += count("moved");
        missed = count("due").saturating_sub(count("moved"));
        if missed == 0 {
            return Ok(moved);
        }
    }
    Err(StoreError::Contended {
        statement: "move_consents",
        rows: usize::try_from(missed).unwrap_or(usize::MAX),
    })
}

/// A statement that moves consents: `targets` before it says which, with district_id, phone, at, standing, source,
/// event_id, goal and allowed. The rows are locked in key order. What is absent is inserted; where another
/// transaction was faster, `due` is more than `moved` and the caller asks again.
macro_rules! moving {
    ($name:literal, $targets:literal) => {
        concat!(
            "-- store.",
            $name,
            "\nwith ",
            $targets,
            ", held as materialized (
  select t.*, c.state as was, c.changed_at
  from (select * from targets order by district_id, phone) t
  left join lateral (
    select state, changed_at from consents where district_id = t.district_id and phone = t.phone for update) c on true
), moving as materialized (
  select * from held
  where coalesce(was, 0) = any(allowed) and (changed_at is null or changed_at <= standing)
), updated as (
  update consents c set state = m.goal, changed_at = greatest(m.at, m.changed_at), source = m.source
  from moving m
  where c.district_id = any(array[m.district_id]) and c.phone = m.phone and m.was is not null
  returning c.district_id, c.phone
), inserted as (
  insert into consents (district_id, phone, state, changed_at, source)
  select district_id, phone, goal, at, source from moving where was is null order by district_id, phone
  on conflict (district_id, phone) do nothing
  returning district_id, phone
), moved as (
  select * from updated union all select * from inserted
), logged as (
  insert into consent_history (district_id, phone, from_state, to_state, source, at, event_id)
  select m.district_id, m.phone, m.was, m.goal, m.source, m.at, m.event_id
  from moving m where exists (select from moved d where d.district_id = m.district_id and d.phone = m.phone)
)
select (select count(*) from moving) as due, (select count(*) from moved) as moved"
        )
    };
}

/// For districts that are known.
pub(crate) const MOVE_CONSENTS: &str = moving!(
    "move_consents",
    "targets as materialized (
  select u.*, $6::text as source, $7::smallint as goal, $8::smallint[] as allowed
  from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::uuid[])
    u(district_id, phone, at, standing, event_id)
)"
);

/// For texts to the number of an account. An account's own district is meant; without one, by the lowest rank
/// found: 1 districts that send over shared accounts and know the phone, 2 others that know it, 3 (a STOP only: the
/// phone may be imported tomorrow) every one that sends over shared accounts. An account that has no row counts as
/// shared. A copy of a text that was applied before is known by its event. 3 is the state opted out, channel 2 is
/// sms.
const HEAR: &str = moving!(
    "hear",
    "said as materialized (
  select u.*, a.district_id as owner
  from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::uuid[])
    u(account, phone, at, standing, event_id)
  left join lateral (select district_id from provider_accounts where name = u.account limit 1) a on true
  where not exists (select from events e where e.campaign_id is null and e.id = u.event_id)
), sharing as materialized (
  select d.id from districts d
  where not exists (select from provider_accounts a where a.district_id = d.id and a.channel = 2)
), knowing as materialized (
  select s.phone, k.district_id,
    case when exists (select from sharing h where h.id = k.district_id) then 1 else 2 end as rank
  from said s cross join lateral (
    select district_id from devices where channel = 2 and address = s.phone
    union
    select d.id from districts d cross join lateral (
      select from consents where district_id = d.id and phone = s.phone limit 1) c) k
  where s.owner is null
), meant as materialized (
  select s.*, s.owner as district_id, $7::smallint[] as allowed from said s where s.owner is not null
  union all
  select s.*, k.district_id, $8::smallint[] from said s cross join lateral (
    select k.district_id from knowing k
    where k.phone = s.phone and k.rank = (select min(rank) from knowing where phone = s.phone)
    union all
    select h.id from sharing h
    where $6::smallint = 3 and not exists (select from knowing where phone = s.phone)) k
  where s.owner is null
), targets as materialized (
  select district_id, phone, at, standing, event_id, 'text'::text as source, $6::smallint as goal, allowed from meant
)"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(phone: &str, said: Said) -> Heard {
        Heard {
            account: "sms".into(),
            phone: phone.into(),
            said,
            at: DateTime::UNIX_EPOCH,
            event: Uuid::nil(),
        }
    }

    #[test]
    fn a_run_says_one_thing_of_each_phone_once() {
        let texts = [
            heard("a", Said::Stop),
            heard("b", Said::Stop),
            heard("a", Said::Stop),
            heard("a", Said::Start),
            heard("b", Said::Start),
            heard("c", Said::Stop),
        ];
        let lengths: Vec<usize> = runs(&texts).iter().map(|run| run.len()).collect();
        assert_eq!(lengths, [2, 1, 2, 1]);
        assert_eq!(runs(&[]).concat().len(), 0);
    }

    #[test]
    fn the_numbers_written_into_the_statement_are_the_domains() {
        assert_eq!((ConsentState::OptedOut.number(), tocsin_domain::Channel::Sms.number()), (3, 2));
        assert_eq!(ConsentState::from_number(0), None);
    }
}
