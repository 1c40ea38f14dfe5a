//! Which released jobs share a message. The broker's work is by the message, and so is a good part of everybody else's;
//! but a message goes to one worker, and the others must find work, too.

use std::collections::HashMap;

use tocsin_domain::trace::Context;
use tocsin_domain::{AccountId, Channel, Lane};
use tocsin_proto::v1::{Job, Jobs};
use tocsin_proto::{Envelope, JOBS_MAX};
use tocsin_queue::{Destination, Message, Queue, trace_header};
use tocsin_store::release::Released;

/// How far jobs are spread over messages.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// What is released together is in so many messages at least, for as many workers.
    pub messages_min: usize,
    /// A message holds no more jobs than an account drains in this part of its window: whichever worker gets it, the
    /// others are not without work meanwhile.
    pub messages_per_window: usize,
}

impl Default for Spread {
    fn default() -> Self {
        Self { messages_min: 16, messages_per_window: 64 }
    }
}

/// Divides what was released together, in its order: the jobs of one message are of one account, and of no more than
/// the window that it has.
pub fn bundles(
    released: Vec<Released>,
    spread: Spread,
    window: impl Fn(AccountId) -> usize,
) -> Vec<Vec<Released>> {
    let share = released.len().div_ceil(spread.messages_min).min(JOBS_MAX);
    let mut bundles: Vec<Vec<Released>> = Vec::new();
    let mut open: HashMap<AccountId, usize> = HashMap::new();
    for job in released {
        let most = (window(job.account) / spread.messages_per_window).min(share);
        match open.get(&job.account).and_then(|at| bundles.get_mut(*at)) {
            Some(bundle) if bundle.len() < most => bundle.push(job),
            _ => {
                open.insert(job.account, bundles.len());
                bundles.push(vec![job]);
            }
        }
    }
    bundles
}

/// `context` is what is known of a job's trace. The message's own header is that of the first of its jobs that has one.
pub fn message(
    bundle: &[Released],
    channel: Channel,
    lane: Lane,
    context: impl Fn(&Released) -> Option<Context>,
) -> Message {
    let job = |job: &Released| Job {
        campaign_id: job.key.campaign.0.as_bytes().to_vec().into(),
        job_id: job.key.job,
        generation: job.generation.0,
        channel: i32::from(channel.number()),
        lane: i32::from(lane.number()),
        account_id: job.account.0,
        traceparent: context(job).map(|context| context.to_string()).unwrap_or_default(),
    };
    let jobs: Vec<Job> = bundle.iter().map(job).collect();
    let traced = jobs.iter().find(|job| !job.traceparent.is_empty());
    Message {
        to: Destination::Queue(Queue::Jobs(channel, lane)),
        headers: trace_header(traced.map(|job| job.traceparent.clone())),
        body: Envelope::new(Jobs { jobs }).into_bytes(),
        persistent: true,
    }
}

#[cfg(test)]
mod tests {
    use tocsin_domain::{CampaignId, Generation, JobKey};
    use uuid::Uuid;

    use super::*;

    fn released(accounts: &[i32]) -> Vec<Released> {
        let jobs = (1..).zip(accounts);
        jobs.map(|(job, account)| Released {
            key: JobKey { campaign: CampaignId(Uuid::nil()), job },
            generation: Generation(1),
            account: AccountId(*account),
            attempt: 0,
        })
        .collect()
    }

    fn sizes(accounts: &[i32], per_message: usize) -> Vec<usize> {
        bundles(released(accounts), Spread::default(), |_| 64 * per_message).iter().map(Vec::len).collect()
    }

    #[test]
    fn what_is_released_together_is_spread_over_many_messages() {
        for (jobs, bundles, largest) in [(1, 1, 1), (16, 16, 1), (17, 9, 2), (160, 16, 10), (500, 16, 32)] {
            let sizes = sizes(&vec![1; jobs], 1_000);
            assert_eq!((sizes.len(), sizes[0]), (bundles, largest), "{jobs}");
        }
        assert!(sizes(&[1; 5_000], 1_000).iter().all(|jobs| *jobs <= JOBS_MAX));
    }

    #[test]
    fn a_message_holds_no_more_than_its_account_drains_soon() {
        assert_eq!(sizes(&[1; 500], 3).iter().max(), Some(&3));
        for slow in [0, 1] {
            assert_eq!(sizes(&[1; 500], slow).len(), 500);
        }
    }

    #[test]
    fn a_message_is_of_one_account_and_keeps_the_order_of_release() {
        let accounts: Vec<i32> = (0..64).map(|job| job % 3).collect();
        let bundles = bundles(released(&accounts), Spread::default(), |_| 256);
        let orders: Vec<Vec<i32>> =
            bundles.iter().map(|bundle| bundle.iter().map(|job| job.key.job).collect()).collect();
        assert_eq!(
            orders[..4],
            [vec![1, 4, 7, 10], vec![2, 5, 8, 11], vec![3, 6, 9, 12], vec![13, 16, 19, 22]]
        );
        assert!(bundles.iter().all(|bundle| bundle.iter().all(|job| job.account == bundle[0].account)));
    }
}
