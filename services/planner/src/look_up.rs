//! Look-ups: attempts of which nothing was heard are sought at their provider, by a worker.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::{AttemptKey, Channel, Lane};
use tocsin_proto::Envelope;
use tocsin_proto::v1::LookUp;
use tocsin_queue::{Destination, Message, Queue};
use tocsin_store::expire::OpenAttempt;
use tocsin_store::look_up::LookUpOrder;

use crate::{Planner, PlannerError};

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

/// Orders look-ups: marks them, then tells the workers. One that is lost on the way costs the attempt this look,
/// and its deadline decides without.
pub async fn order(
    planner: &Planner,
    silent: &[OpenAttempt],
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
    let queues: HashMap<AttemptKey, Queue> =
        silent.iter().map(|open| (open.view.key, queue(open.view.job.channel, open.view.job.lane))).collect();
    let messages: Vec<Message> = ordered
        .into_iter()
        .filter_map(|attempt| queues.get(&attempt).map(|queue| message(attempt, *queue)))
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

fn queue(channel: Channel, lane: Lane) -> Queue {
    match lane {
        Lane::Emergency => Queue::EmergencyLookUp(channel),
        Lane::Priority | Lane::General => Queue::LookUp(channel),
    }
}

fn message(attempt: AttemptKey, queue: Queue) -> Message {
    let body = Envelope::new(LookUp {
        campaign_id: attempt.job.campaign.0.as_bytes().to_vec().into(),
        job_id: attempt.job.job,
        attempt: i32::from(attempt.number),
        traceparent: String::new(),
    })
    .into_bytes();
    Message { to: Destination::Queue(queue), body, headers: Vec::new(), persistent: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_of_an_emergency_wait_behind_no_others() {
        assert_eq!(queue(Channel::Sms, Lane::Emergency), Queue::EmergencyLookUp(Channel::Sms));
        assert_eq!(queue(Channel::Sms, Lane::Priority), queue(Channel::Sms, Lane::General));
        assert_ne!(queue(Channel::Sms, Lane::Emergency), queue(Channel::Sms, Lane::Priority));
    }
}
