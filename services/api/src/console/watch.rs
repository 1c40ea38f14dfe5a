//! `/campaigns/{id}/events`: the live part of a campaign, sent again whenever it has changed.
//!
//! One task reads for all who watch the same campaign, once a second, and holds no connection in between.
//! It ends when nobody watches, when the campaign is closed, and when the process stops.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use askama::Template as _;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use tocsin_domain::{CampaignId, CampaignState, DistrictId};
use tocsin_runtime::CancellationToken;
use tocsin_store::Tenant;
use tocsin_store::tenant::receipt::Receipt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::access::Visitor;
use super::live::{LivePart, Offers, ReceiptFrom, Seen, read};
use super::page::Refused;
use super::plot;
use super::when::Zone;
use crate::server::Api;

/// Open streams of this process.
const STREAMS_MAX: usize = 256;
const PERIOD: Duration = Duration::from_secs(1);
/// A receipt is counted over the whole campaign, and a plot reads thousands of rows: so not with each look.
const RECEIPT_EVERY_LOOKS: u32 = 5;
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After which a browser asks again, and is asked again who it is: so long a session that was ended elsewhere still sees
/// numbers move.
const STREAM_LIFETIME: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(2);

/// The campaigns that are watched now.
#[derive(Debug, Clone)]
pub(crate) struct Watches(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    streams: Arc<Semaphore>,
    watched: Mutex<HashMap<Key, watch::Sender<Look>>>,
}

/// Those who may do the same with it see the same.
type Key = (DistrictId, CampaignId, Offers);

/// What the last look saw.
#[derive(Debug, Clone, Default)]
enum Look {
    #[default]
    None,
    Live(Arc<str>),
    /// Nothing more will change.
    Over(Arc<str>),
}

impl Default for Watches {
    fn default() -> Self {
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        Self(Arc::new(Inner { streams, watched: Mutex::default() }))
    }
}

/// `GET /campaigns/{id}/events`.
pub(crate) async fn events(
    visitor: Visitor,
    State(api): State<Api>,
    Extension(watches): Extension<Watches>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id: CampaignId = id.parse().map_err(|_| Refused::unknown_campaign())?;
    let campaign = visitor.tenant.campaign(id).await?.ok_or_else(Refused::unknown_campaign)?;
    let offers = Offers::of(&visitor.tenant, &campaign);
    let Ok(place) = Arc::clone(&watches.0.streams).try_acquire_owned() else {
        return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response());
    };
    let viewer = Viewer {
        looks: watches.watch(&api, &visitor, id, offers),
        stopping: api.tasks.stopping().clone(),
        until: Instant::now() + STREAM_LIFETIME,
        stage: Stage::First,
        _place: place,
    };
    let events = stream::unfold(viewer, Viewer::next);
    // Proxies that collect answers before they pass them on are told not to.
    let unbuffered = [("x-accel-buffering", "no")];
    Ok((unbuffered, Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))).into_response())
}

impl Watches {
    fn watched(&self) -> MutexGuard<'_, HashMap<Key, watch::Sender<Look>>> {
        // Whole whoever panicked while holding it: an entry is put in or taken out.
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins those who watch this campaign, or is the first.
    fn watch(&self, api: &Api, visitor: &Visitor, id: CampaignId, offers: Offers) -> watch::Receiver<Look> {
        let key = (visitor.district(), id, offers);
        let mut watched = self.watched();
        if let Some(sender) = watched.get(&key) {
            // The last look may be older than the page that asks: what it shows waits for the next one.
            sender.send_if_modified(|look| {
                if matches!(look, Look::Live(_)) {
                    *look = Look::None;
                }
                false
            });
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(Look::None);
        watched.insert(key, sender.clone());
        let watcher = Watcher {
            api: api.clone(),
            tenant: visitor.tenant.clone(),
            zone: visitor.zone,
            id,
            entry: Entry { watches: self.clone(), key, sender },
            receipt: None,
            plot: plot::Read::default(),
            looks: 0,
        };
        api.tasks.spawn("console.watch", watcher.run());
        receiver
    }
}

/// The campaign's place among the watched, given up however its task ends.
struct Entry {
    watches: Watches,
    key: Key,
    sender: watch::Sender<Look>,
}

impl Entry {
    /// Does nobody watch any more? Then nobody can join between the answer and the end.
    fn given_up(&self) -> bool {
        let mut watched = self.watches.watched();
        let alone = self.sender.receiver_count() == 0;
        if alone {
            watched.remove(&self.key);
        }
        alone
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut watched = self.watches.watched();
        // Not the entry of the next one to watch, if this one gave its own up.
        if watched.get(&self.key).is_some_and(|sender| sender.same_channel(&self.sender)) {
            watched.remove(&self.key);
        }
    }
}

/// The one who looks.
struct Watcher {
    api: Api,
    tenant: Tenant,
    zone: Zone,
    id: CampaignId,
    entry: Entry,
    receipt: Option<(CampaignState, Receipt)>,
    plot: plot::Read,
    looks: u32,
}

impl Watcher {
    async fn run(mut self) {
        let stopping = self.api.tasks.stopping().clone();
        let mut period = tokio::time::interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = period.tick() => {}
            }
            if self.entry.given_up() || !self.look().await {
                return;
            }
        }
    }

    /// False: there will be nothing more to see.
    async fn look(&mut self) -> bool {
        self.looks += 1;
        let kept = match self.receipt {
            Some((_, receipt)) if !self.looks.is_multiple_of(RECEIPT_EVERY_LOOKS) => {
                ReceiptFrom::Kept(receipt)
            }
            Some(_) | None => ReceiptFrom::Store,
        };
        let mut seen = self.read(kept).await;
        if let (Some(now), Some((before, _)), ReceiptFrom::Kept(_)) = (&seen, self.receipt, kept)
            && (now.state != before || now.live.over)
        {
            // What a state ends with is counted at once.
            seen = self.read(ReceiptFrom::Store).await;
        }
        let Some(seen) = seen else { return false };
        self.receipt = seen.receipt.map(|receipt| (seen.state, receipt));
        let over = seen.live.over;
        if over || self.looks % RECEIPT_EVERY_LOOKS == 1 {
            let read = plot::read(&self.tenant, self.id, over, self.api.clock.now()).await;
            let Ok(read) = read else { return false };
            self.plot = read;
        }
        let live = seen.drawn(&self.plot, self.zone, self.api.clock.now());
        let Ok(part) = (LivePart { live }).render() else { return false };
        // An event's data cannot hold one.
        let part: Arc<str> = part.replace('\r', "").into();
        self.entry.sender.send_if_modified(|look| {
            let changed = over || !matches!(look, Look::Live(shown) if *shown == part);
            if changed {
                *look = if over { Look::Over(part) } else { Look::Live(part) };
            }
            changed
        });
        !over
    }

    /// None when the campaign or the store is gone: the streams end and browsers ask again.
    async fn read(&self, receipt: ReceiptFrom) -> Option<Seen> {
        read(&self.tenant, self.id, receipt, self.zone, self.api.clock.now()).await.ok().flatten()
    }
}

/// One open stream.
struct Viewer {
    looks: watch::Receiver<Look>,
    stopping: CancellationToken,
    until: Instant,
    stage: Stage,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    First,
    Going,
    /// The last part is sent, its end is still to be said.
    Ending,
    Over,
}

impl Viewer {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        match self.stage {
            Stage::Over => return None,
            Stage::Ending => {
                self.stage = Stage::Over;
                return Some((Ok(Event::default().event("end").data("over")), self));
            }
            Stage::First => {
                self.stage = Stage::Going;
                // Whoever joins at the end sees the last look all the same.
                self.looks.mark_changed();
                return Some((Ok(Event::default().retry(RETRY).comment("tocsin")), self));
            }
            Stage::Going => {}
        }
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return None,
                () = tokio::time::sleep_until(self.until) => return None,
                changed = self.looks.changed() => changed.ok()?,
            }
            let look = self.looks.borrow_and_update().clone();
            let part = match look {
                Look::None => continue,
                Look::Live(part) => part,
                Look::Over(part) => {
                    self.stage = Stage::Ending;
                    part
                }
            };
            return Some((Ok(Event::default().event("progress").data(&*part)), self));
        }
    }
}
