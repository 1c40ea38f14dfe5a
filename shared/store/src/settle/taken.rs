//! Attempts that their provider took, and of which nothing else is known yet: the commonest change and the smallest.

use tocsin_domain::settlement::{AttemptView, Change, JobAction};
use tocsin_domain::{AttemptKey, AttemptResult, AttemptState, Outcome};
use uuid::Uuid;

use super::{Entry, written};
use crate::{Store, StoreError};

/// Does the change make known that the provider holds the attempt, and nothing more? It moves no job and no total.
pub(super) fn only_taken(view: &AttemptView, change: &Change) -> bool {
    view.state == AttemptState::Asking
        && change.state == AttemptState::Accepted
        && change.job == JobAction::Keep
        && [view.outcome, change.outcome].into_iter().flatten().all(is_progress)
        && (view.sequence, view.answered, view.detect_until)
            == (change.sequence, change.answered, change.detect_until)
}

fn is_progress(outcome: Outcome) -> bool {
    outcome.result() == AttemptResult::Open && outcome != Outcome::CallEnded
}

impl Store {
    /// Writes those whose attempt did not move since the view was taken. Returns those that did move.
    pub(super) async fn take(&self, changes: &[Entry<'_>]) -> Result<Vec<AttemptKey>, StoreError> {
        let keys: Vec<AttemptKey> = changes.iter().map(|(view, _)| view.key).collect();
        let campaigns: Vec<Uuid> = keys.iter().map(|key| key.job.campaign.0).collect();
        let jobs: Vec<i32> = keys.iter().map(|key| key.job.job).collect();
        let numbers: Vec<i16> = keys.iter().map(|key| key.number).collect();
        let versions: Vec<i32> = changes.iter().map(|(view, _)| view.version).collect();
        let ids: Vec<Option<&str>> =
            changes.iter().map(|(_, change)| change.provider_id.as_deref()).collect();
        let outcomes: Vec<Option<i16>> =
            changes.iter().map(|(_, change)| change.outcome.map(|outcome| outcome.number())).collect();
        let codes: Vec<Option<&str>> =
            changes.iter().map(|(_, change)| change.provider_code.as_deref()).collect();
        let rows = self
            .rows("take", TAKE, &[&campaigns, &jobs, &numbers, &versions, &ids, &codes, &outcomes])
            .await?;
        let written = written(&rows);
        Ok(keys.into_iter().filter(|key| !written.contains(key)).collect())
    }
}

/// The attempt is compared by its version; it is 1, asking, and becomes 2, accepted. The job is not looked at: whatever
/// it does meanwhile, its attempt is held by the provider. Rows are met, and so locked, in key order.
pub(crate) const TAKE: &str = "-- store.take
with asked as materialized (
  select * from unnest($1::uuid[], $2::int[], $3::smallint[], $4::int[], $5::text[], $6::text[],
    $7::smallint[])
  a(campaign_id, job_id, number, version, provider_id, provider_code, outcome)
  order by campaign_id, job_id, number
)
update attempts t set version = t.version + 1, state = 2, outcome = a.outcome, provider_id = a.provider_id,
  provider_code = a.provider_code, taken = true
from asked a
where t.campaign_id = any(array[a.campaign_id]) and t.job_id = a.job_id and t.number = a.number
  and t.version = a.version
returning t.campaign_id, t.job_id, t.number";
