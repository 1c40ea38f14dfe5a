//! Telling the other processes at once what the store already holds.
//!
//! The store decides and every process looks there by itself, so an announcement that fails costs time and
//! is only logged. It is a task of its own: a caller who hangs up after the commit takes it not along.

use std::time::Duration;

use tocsin_domain::{CampaignId, Channel};
use tocsin_proto::Envelope;
use tocsin_proto::v1::control::Command;
use tocsin_proto::v1::{Cancel, Control, Wake};
use tocsin_queue::{Destination, Message, Published};
use tracing::Instrument as _;

use crate::server::Api;

/// A broker that takes longer is no faster than the planners' own look.
const DEADLINE: Duration = Duration::from_secs(5);

/// A campaign may be due: planners look now. Where it is an emergency workers hear of it as well, and let it go first: a
/// planner tells them only once it has found it.
pub(crate) fn wake(api: &Api, channels: &[Channel], emergency: bool) {
    let channels: Vec<i32> = channels.iter().map(|channel| i32::from(channel.number())).collect();
    let urgent = emergency.then(|| Wake { channels: channels.clone(), emergency: true });
    let wakes = urgent.into_iter().chain([Wake { channels, emergency: false }]);
    broadcast(api, wakes.map(Command::Wake).collect());
}

/// To be called after the cancel's commit: workers drop the campaign's jobs.
pub(crate) fn cancel(api: &Api, campaign: CampaignId, epoch: i64) {
    let campaign_id = campaign.0.as_bytes().to_vec().into();
    broadcast(api, vec![Command::Cancel(Cancel { campaign_id, cancel_epoch: epoch })]);
}

fn broadcast(api: &Api, commands: Vec<Command>) {
    let message = |command| {
        let body = Envelope::new(Control { command: Some(command) }).into_bytes();
        Message { to: Destination::Control, body, headers: Vec::new(), persistent: false }
    };
    let messages: Vec<Message> = commands.into_iter().map(message).collect();
    let publisher = api.publisher.clone();
    let publish = async move {
        match tokio::time::timeout(DEADLINE, publisher.publish(messages)).await {
            Ok(Ok(answers)) if answers.contains(&Published::Refused) => {
                tracing::warn!("control message refused by the broker");
            }
            // Nobody listening is well: whoever comes later reads the store.
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "control message not published"),
            Err(_) => tracing::warn!("control message not published in time"),
        }
    };
    api.tasks.spawn("api.announce", publish.in_current_span());
}
