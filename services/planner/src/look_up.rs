//! Look-ups: attempts of which nothing was heard are sought at their provider, by a worker.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::settlement::AttemptView;
use tocsin_domain::{AttemptKey, Channel, Lane};
use tocsin_proto::Envelope;
use tocsin_proto::v1::LookUp;
use tocsin_queue::{Destination, Message, Queue, trace_header};
use tocsin_runtime::telemetry::{Part, subject};
use tocsin_store::expire::OpenAttempt;
use tocsin_store::look_up::LookUpOrder;

use crate::{Planner, PlannerError, traced};

/// How long an ordered look-up is waited for before the attempt's deadline decides: it may wait its turn at a
/// worker, and takes 5 s at most.
pub const LOOK_UP_WAIT: Duration = Duration::from_secs(10);

/// Can attempts of this channel be found at their provider? The inbox is the store itself.
pub fn is_findable(channel: Channel) -> bool {
    match channel {
        Channel::Voice | Channel::Sms | Channel::Email => true,
        Channel::Inbox => false,
    }
}

/// Why attempts are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// Their time is nearly over, and decides without.
    Overdue,
    /// Somebody wants to know.
    Asked,
}

/// Orders look-ups: marks them, then tells the workers. One that is lost on the way costs the attempt this look,
/// and its deadline decides without.
pub async fn order(
    planner: &Planner,
    silent: &[OpenAttempt],
    because: Because,
    now: DateTime<Utc>,
) -> Result<(), PlannerError> {
    if silent.is_empty() {
        return Ok(());
    }
    let orders: Vec<LookUpOrder> = silent
        .iter()
        .map(|open| LookUpOrder { attempt: open.view.key, looked_up_at: open.looked_up_at })
        .collect();
    let ordered = planner.store.order_look_ups(&orders, now).await?;
    let views: HashMap<AttemptKey, &AttemptView> =
        silent.iter().map(|open| (open.view.key, &open.view)).collect();
    let messages: Vec<Message> = ordered
        .into_iter()
        .filter_map(|attempt| views.get(&attempt).map(|view| message(planner, view, because, now)))
        .collect();
    if messages.is_empty() {
        return Ok(());
    }
    let attempts = messages.len();
    match planner.publisher.publish(messages).await {
        Ok(_) => tracing::info!(attempts, "look-ups ordered"),
        Err(error) => tracing::warn!(%error, attempts, "look-ups not ordered: deadlines decide without"),
    }
    Ok(())
}

fn queue(channel: Channel, lane: Lane, because: Because) -> Queue {
    match (because, lane) {
        (Because::Asked, _) => Queue::Refresh(channel),
        (Because::Overdue, Lane::Emergency) => Queue::EmergencyLookUp(channel),
        (Because::Overdue, Lane::Priority | Lane::General) => Queue::LookUp(channel),
    }
}

fn message(planner: &Planner, view: &AttemptView, because: Because, now: DateTime<Utc>) -> Message {
    let (attempt, queue) = (view.key, queue(view.job.channel, view.job.lane, because));
    let traceparent = traced::ordered(&planner.spans, &subject(view), Part::LookUp, queue, now);
    let body = Envelope::new(LookUp {
        campaign_id: attempt.job.campaign.0.as_bytes().to_vec().into(),
        job_id: attempt.job.job,
        attempt: i32::from(attempt.number),
        traceparent: traceparent.clone(),
    })
    .into_bytes();
    let headers = trace_header(Some(traceparent).filter(|text| !text.is_empty()));
    Message { to: Destination::Queue(queue), body, headers, persistent: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_of_an_emergency_wait_behind_no_others_and_what_is_overdue_behind_nothing_that_was_asked() {
        let overdue = |lane| queue(Channel::Sms, lane, Because::Overdue);
        assert_eq!(overdue(Lane::Emergency), Queue::EmergencyLookUp(Channel::Sms));
        assert_eq!(overdue(Lane::Priority), overdue(Lane::General));
        assert_ne!(overdue(Lane::Emergency), overdue(Lane::Priority));
        for lane in Lane::ALL {
            assert_eq!(queue(Channel::Sms, lane, Because::Asked), Queue::Refresh(Channel::Sms));
        }
    }
}
