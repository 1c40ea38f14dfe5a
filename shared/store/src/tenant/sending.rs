//! What a district decided of sending: how long a message can be taken back before anybody gets it, whether a second
//! person is asked, and whom tests go to.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Tenant;
use crate::StoreError;

/// The district's decision, and whose it was. Nobody's: messages go out at once, nobody is asked, and there are no tests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendingPolicy {
    pub undo: Duration,
    /// An emergency to the whole district goes out only after another person has said yes.
    pub second_person: bool,
    /// Source ids of the people whom tests go to.
    pub test_people: Vec<String>,
    pub changed_at: Option<DateTime<Utc>>,
    pub changed_by: Option<String>,
}

/// What is to be another. What is None stays as it is: whoever changes one thing turns off no other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendingChange {
    pub undo_seconds: Option<u32>,
    pub second_person: Option<bool>,
    pub test_people: Option<Vec<String>>,
}

impl Tenant {
    pub async fn sending_policy(&self) -> Result<SendingPolicy, StoreError> {
        let sql = "-- store.sending_policy
                   select * from sending_policies where district_id = $1";
        let rows = self.rows("sending_policy", sql, &[&self.district.0]).await?;
        let read = |found: &tokio_postgres::Row| SendingPolicy {
            undo: Duration::from_secs(found.get::<_, i32>("undo_seconds").unsigned_abs().into()),
            second_person: found.get("second_person"),
            test_people: found.get("test_people"),
            changed_at: found.get("changed_at"),
            changed_by: found.get("changed_by"),
        };
        Ok(rows.first().map(read).unwrap_or_default())
    }

    /// For campaigns that are made from now on.
    pub async fn put_sending_policy(
        &self,
        change: &SendingChange,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let undo = change.undo_seconds.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
        let SendingChange { second_person, test_people, .. } = change;
        self.rows(
            "put_sending_policy",
            PUT_SENDING_POLICY,
            &[&self.district.0, &undo, &now, &by, second_person, test_people],
        )
        .await
        .map(drop)
    }
}

const PUT_SENDING_POLICY: &str = "-- store.put_sending_policy
with kept as (
  insert into sending_policies as p (district_id, undo_seconds, changed_at, changed_by, second_person, test_people)
  values ($1, coalesce($2::int, 0), $3, $4, coalesce($5::bool, false), coalesce($6::text[], '{}'))
  on conflict (district_id) do update set undo_seconds = coalesce($2, p.undo_seconds), changed_at = excluded.changed_at,
    changed_by = excluded.changed_by, second_person = coalesce($5, p.second_person),
    test_people = coalesce($6, p.test_people)
  returning undo_seconds, second_person, test_people
)
insert into audit (district_id, at, actor, action, subject, details)
select $1, $3, $4, 'sending_policy.put', $1::text,
  jsonb_build_object('undo_seconds', undo_seconds, 'second_person', second_person, 'test_people', test_people)
from kept";
