//! What was done about a person: changes by hand, and what was said about their phones (requirement 168).

use std::fmt;

use chrono::{DateTime, Utc};
use tocsin_domain::consent::ConsentState;

use super::super::Tenant;
use crate::{StoreError, row};

/// Of a person, the latest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub at: DateTime<Utc>,
    pub by: String,
    pub what: What,
}

/// Its `Debug` hides whom it is about.
#[derive(Clone, PartialEq, Eq)]
pub enum What {
    /// The audit's action.
    Changed {
        action: String,
    },
    Consent {
        phone: String,
        from: Option<ConsentState>,
        to: ConsentState,
    },
}

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { action } => f.debug_tuple("Changed").field(action).finish(),
            Self::Consent { from, to, .. } => f.debug_tuple("Consent").field(from).field(to).finish(),
        }
    }
}

/// Are the consents of the person's phones among them?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consents {
    Shown,
    Hidden,
}

impl Tenant {
    pub async fn activities(
        &self,
        source_id: &str,
        consents: Consents,
        activities_max: u32,
    ) -> Result<Vec<Activity>, StoreError> {
        const NAME: &str = "activities";
        let (shown, most) = (consents == Consents::Shown, i64::from(activities_max));
        let rows = self.rows(NAME, ACTIVITIES, &[&self.district.0, &source_id, &shown, &most]).await?;
        rows.iter()
            .map(|found| {
                let what = match found.get::<_, Option<i16>>("to_state") {
                    None => What::Changed { action: found.get("action") },
                    Some(to) => {
                        let from: Option<i16> = found.get("from_state");
                        What::Consent {
                            phone: found.get("subject"),
                            from: from.map(|number| row::consent_state(NAME, number)).transpose()?,
                            to: row::consent_state(NAME, to)?,
                        }
                    }
                };
                Ok(Activity { at: found.get("at"), by: found.get("by"), what })
            })
            .collect()
    }
}

/// Of the index `audit_of_people`. Row-level security lets an index be asked for equal texts alone: what is about two (a
/// contact for a student, an enrolment at a school) stands on the audit.
pub(crate) const ACTIVITIES: &str = "-- store.activities
select * from (
  (select at, actor as by, action, subject, null::smallint as from_state, null::smallint as to_state from audit
   where district_id = $1 and subject = $2 and action like 'directory.%'
   order by at desc limit $4)
  union all
  (select h.at, h.source, null, h.phone, h.from_state, h.to_state from people p
   join devices d on d.district_id = p.district_id and d.person_id = p.id and d.channel = 2
   join consent_history h on h.district_id = p.district_id and h.phone = d.address
   where $3 and p.district_id = $1 and p.source_id = $2
   order by h.at desc limit $4)
) found
order by at desc limit $4";
