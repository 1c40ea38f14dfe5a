//! The control exchange: cancels, stops and emergencies, heard while jobs are worked on.

use std::sync::Arc;

use tocsin_domain::trace::TraceId;
use tocsin_domain::{CampaignId, Channel, DistrictId};
use tocsin_proto::Envelope;
use tocsin_proto::v1::control::Command;
use tocsin_proto::v1::{Control, Wake};
use tocsin_queue::{Acker, Consumer, Delivery, Session};
use uuid::Uuid;

use crate::{Worker, WorkerError};

/// Commands handled at once.
pub const BATCH_MAX: usize = 64;

/// Subscribes first and loads the open cancels and stops second, so that none falls between.
pub async fn subscribe(worker: &Worker, session: &Arc<dyn Session>) -> Result<Consumer, WorkerError> {
    let control = session.control().await?;
    let open = worker.store.open_cancels().await?;
    worker.cancels.replace(open.iter().map(|cancel| cancel.campaign));
    // What an earlier session claimed may still wait for its request.
    worker.store.stops().await?.iter().for_each(|stop| worker.stops.hear(stop.district));
    Ok(control)
}

/// Obeys commands until the session is lost.
pub async fn obey_all(worker: &Worker, control: &mut Consumer) {
    let acker = control.acker();
    while let Some(batch) = control.next_batch(BATCH_MAX).await {
        if !obey_batch(worker, &batch, &acker).await {
            return;
        }
    }
}

/// Returns whether the session is still there.
pub async fn obey_batch(worker: &Worker, batch: &[Delivery], acker: &Acker) -> bool {
    batch.iter().for_each(|delivery| obey(worker, delivery));
    let tags: Vec<_> = batch.iter().map(|delivery| delivery.tag).collect();
    acker.ack(&tags).await.is_ok()
}

fn obey(worker: &Worker, delivery: &Delivery) {
    match Envelope::<Control>::decode(delivery.body.clone()).map(|envelope| envelope.message.command) {
        Ok(Some(Command::Cancel(cancel))) => match Uuid::from_slice(&cancel.campaign_id) {
            Ok(campaign) => {
                let campaign = CampaignId(campaign);
                tracing::info!(campaign.id = %campaign, trace_id = %TraceId::of_campaign(campaign),
                    worker.id = %worker.id, "cancel heard");
                worker.cancels.insert(campaign);
            }
            Err(error) => tracing::warn!(%error, "cancel of no campaign ignored"),
        },
        Ok(Some(Command::Stop(stop))) => match district(&stop.district_id) {
            Ok(district) => {
                let id = district.map(|district| district.to_string());
                tracing::info!(district.id = id, worker.id = %worker.id, "stop heard");
                worker.stops.hear(district);
            }
            Err(error) => tracing::warn!(%error, "stop of no district ignored"),
        },
        Ok(Some(Command::Take(take))) => worker.told.hear(worker.id, &take),
        Ok(Some(Command::Wake(Wake { channels, emergency: true }))) => {
            let named =
                |channel: &&Channel| channels.is_empty() || channels.contains(&i32::from(channel.number()));
            Channel::ALL.iter().filter(named).for_each(|channel| worker.gives_way.heard(*channel));
        }
        // Other wakes are for planners; what is unknown here is of a newer release, and on the rows too.
        Ok(Some(Command::Wake(_)) | None) => {}
        Err(error) => tracing::warn!(%error, "control message ignored"),
    }
}

/// None: every district.
fn district(id: &[u8]) -> Result<Option<DistrictId>, uuid::Error> {
    if id.is_empty() { Ok(None) } else { Uuid::from_slice(id).map(|id| Some(DistrictId(id))) }
}
