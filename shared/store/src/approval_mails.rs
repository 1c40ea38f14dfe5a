//! Mails to those who may approve, that an emergency waits for them (docs/adr/0053-approval-mails.md).
//!
//! A mail is taken, and so marked, before its provider is asked, and given back only where it certainly was not sent: nobody
//! gets two. A worker that dies in between leaves one untold, and the page says so.

use chrono::{DateTime, Utc};
use tocsin_domain::window::{Zone, zone_named};
use tocsin_domain::{Channel, DistrictId};
use uuid::Uuid;

use crate::{Store, StoreError};

/// Who did it, in the audit.
const ACTOR: &str = "approval mail";

/// A mail that was taken: its `Debug` hides the address.
#[derive(Clone, PartialEq, Eq)]
pub struct DueMail {
    pub district: DistrictId,
    pub approval: Uuid,
    pub user: Uuid,
    pub ordinal: i32,
    /// The user's login, which is an email address or was taken for one.
    pub address: String,
    /// Which account to send it over.
    pub account: String,
    /// How often it was taken, this time counted.
    pub tries: i16,
    pub subject: String,
    pub asked_by: String,
    pub expires_at: DateTime<Utc>,
    /// The district's.
    pub zone: Option<Zone>,
    pub page_url: Option<String>,
}

impl std::fmt::Debug for DueMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DueMail")
            .field("approval", &self.approval)
            .field("user", &self.user)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// What became of a mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailEnd {
    Sent,
    /// It may have been sent, so it is not tried again.
    Unknown(String),
    Failed(String),
    /// It certainly was not sent.
    Again {
        due_at: DateTime<Utc>,
        code: String,
    },
}

impl Store {
    /// Takes the mails that are due and have an account among `accounts`, `most` at most. Approved, declined or over: nobody is
    /// told any more.
    pub async fn take_approval_mails(
        &self,
        accounts: &[String],
        most: i64,
        now: DateTime<Utc>,
    ) -> Result<Vec<DueMail>, StoreError> {
        let email = Channel::Email.number();
        let rows = self.rows("take_approval_mails", TAKE, &[&now, &accounts, &most, &email]).await?;
        let read = |found: &tokio_postgres::Row| {
            let zone: Option<&str> = found.get("time_zone");
            DueMail {
                district: DistrictId(found.get("district_id")),
                approval: found.get("approval_id"),
                user: found.get("user_id"),
                ordinal: found.get("ordinal"),
                address: found.get("login"),
                account: found.get("account"),
                tries: found.get("tries"),
                subject: found.get("subject"),
                asked_by: found.get("asked_by"),
                expires_at: found.get("expires_at"),
                zone: zone.and_then(zone_named),
                page_url: found.get("page_url"),
            }
        };
        Ok(rows.iter().map(read).collect())
    }

    /// Writes what became of it. What has ended is on the district's audit.
    pub async fn record_approval_mail(
        &self,
        mail: &DueMail,
        end: &MailEnd,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (state, due_at, code): (i16, _, _) = match end {
            MailEnd::Again { due_at, code } => (1, Some(due_at), Some(code)),
            MailEnd::Sent => (3, None, None),
            MailEnd::Unknown(code) => (4, None, Some(code)),
            MailEnd::Failed(code) => (5, None, Some(code)),
        };
        let (district, result) = (mail.district.0, end.as_str());
        let key: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
            [&district, &mail.approval, &mail.user, &state, &due_at, &code, &now, &ACTOR, &result];
        self.count("record_approval_mail", RECORD, &key).await?;
        Ok(())
    }
}

impl MailEnd {
    /// As the audit has it.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Unknown(_) => "unknown",
            Self::Failed(_) => "failed",
            Self::Again { .. } => "again",
        }
    }
}

/// A district with accounts of its own for email has no others. The one that it was asked for over last comes last.
pub(crate) const TAKE: &str = "-- store.take_approval_mails
with due as (
  select m.district_id, m.approval_id, m.user_id, a.name
  from approval_mails m
  join approvals p on p.district_id = m.district_id and p.id = m.approval_id and p.decision is null and p.expires_at > $1
  join users u on u.district_id = m.district_id and u.id = m.user_id and u.active
  cross join lateral (
    select a.name from provider_accounts a
    where a.channel = $4 and a.parent_id is null and a.stopped_at is null and a.name = any($2)
      and (a.held_until is null or a.held_until <= $1)
      and (a.district_id = m.district_id or a.district_id is null and not exists (
        select from provider_accounts b
        where b.channel = $4 and b.parent_id is null and b.district_id = m.district_id))
    order by a.name is not distinct from m.account, a.health desc, a.id limit 1
  ) a
  where m.state = 1 and m.useless_at > $1 and m.due_at <= $1
    and not exists (select from stops s where s.district_id is null or s.district_id = m.district_id)
  order by m.useless_at, m.due_at limit $3
  for update of m skip locked
), taken as (
  update approval_mails m set state = 2, account = due.name, tries = m.tries + 1
  from due where m.district_id = due.district_id and m.approval_id = due.approval_id and m.user_id = due.user_id
  returning m.*
)
select t.district_id, t.approval_id, t.user_id, t.ordinal, t.account, t.tries, u.login, p.subject, p.asked_by, p.expires_at,
  p.page_url, d.time_zone
from taken t
join approvals p on p.district_id = t.district_id and p.id = t.approval_id
join users u on u.district_id = t.district_id and u.id = t.user_id
join districts d on d.id = t.district_id";

const RECORD: &str = "-- store.record_approval_mail
with ended as (
  update approval_mails
  set state = $4::smallint, due_at = coalesce($5, due_at), code = $6,
    ended_at = case when $4::smallint >= 3 then $7::timestamptz end
  where district_id = $1 and approval_id = $2 and user_id = $3 and state = 2
  returning *
)
insert into audit (district_id, at, actor, action, subject, details)
select district_id, $7, $8, 'approval.mail', approval_id::text,
  jsonb_strip_nulls(jsonb_build_object('user', user_id, 'result', $9::text, 'account', account, 'code', code))
from ended where state >= 3";
