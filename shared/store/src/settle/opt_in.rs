//! A message that asks for an opt-in makes the phones that it went to pending (requirements 162, 166).

use chrono::{DateTime, Utc};
use tocsin_domain::consent::ConsentChange;
use tocsin_domain::settlement::{AttemptView, Change};
use tocsin_domain::{Channel, JobKey};

use crate::consents::PhoneChange;
use crate::{Store, StoreError};

/// Who asked.
const SOURCE: &str = "opt-in message";

impl Store {
    /// Phones of which nothing is known and that were sent such a message by one of `changes` have been asked. Asking
    /// again changes nothing.
    pub(super) async fn ask_opt_ins(
        &self,
        changes: &[(AttemptView, Change)],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let jobs: Vec<JobKey> = changes
            .iter()
            .filter(|(view, change)| view.job.channel == Channel::Sms && change.asks_opt_in(view))
            .map(|(view, _)| view.key.job)
            .collect();
        if jobs.is_empty() {
            return Ok(());
        }
        let asked: Vec<PhoneChange> = self
            .addresses(&jobs)
            .await?
            .into_iter()
            .flatten()
            .map(|found| PhoneChange { district: found.district, phone: found.address, at: now, event: None })
            .collect();
        self.change_phones(ConsentChange::Ask, &asked, SOURCE).await.map(drop)
    }
}
