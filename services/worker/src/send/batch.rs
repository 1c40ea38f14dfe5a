//! What is sent together, and its turn.

use std::sync::Arc;

use tocsin_domain::Channel;
use tocsin_domain::policy::SEND_BY;
use tocsin_domain::settlement::AttemptView;
use tocsin_providers::Provider;
use tocsin_runtime::Stopwatch;
use tocsin_store::campaigns::CampaignBrief;
use tocsin_store::claim::Granted;

use crate::Worker;
use crate::files::Loaded;
use crate::open_requests::{Open, OpenRequests};
use crate::places::Call;
use crate::shares::AccountShare;
use crate::slots::Slot;
use crate::traced::Traced;

/// What was not taken so often is not asked for together with others any more.
pub(super) const ALONE_AFTER: i16 = 2;

/// A claimed job, on its way to its provider.
#[derive(Debug)]
pub struct Claimed {
    pub grant: Granted,
    pub view: AttemptView,
    pub brief: Arc<CampaignBrief>,
    /// Of mails: what goes along.
    pub files: Loaded,
    pub share: Arc<AccountShare>,
    /// Started before the claim was asked for.
    pub since: Stopwatch,
    /// Its places in its shares and in the process, until its outcome waits to be recorded.
    pub places: Vec<Slot>,
    /// Where calls are limited: they keep the places of the shares while the call goes on.
    pub calls: Vec<Call>,
    /// For its trace. None: there are no traces.
    pub traced: Option<Traced>,
}

impl Claimed {
    /// Earlier attempts that no provider took: they used up no try.
    pub(super) fn times_not_taken(&self) -> i16 {
        self.grant.attempt.number - self.grant.tries
    }
}

/// Claims that are sent together.
#[derive(Debug)]
pub struct Batch {
    pub(super) provider: Option<Arc<dyn Provider>>,
    pub claims: Vec<Claimed>,
    /// Its turn did not come by `send_by`.
    pub(super) missed: bool,
    /// None: the process may have no request open for it.
    pub(super) open: Option<Open>,
}

impl Batch {
    /// With the files of its mails, which the first of a message reads for all.
    pub(super) async fn with_files(mut self, worker: &Worker, channel: Channel) -> Self {
        if channel == Channel::Email {
            for claimed in &mut self.claims {
                claimed.files = worker.files.get(&claimed.brief).await;
            }
        }
        self
    }

    /// Waits until the process may have its request open. One that waits until `send_by` is not sent.
    pub(super) async fn enter(self, requests: &OpenRequests) -> Self {
        let Some(first) = self.claims.first() else { return self };
        let left = SEND_BY.saturating_sub(first.since.elapsed());
        let open = tokio::time::timeout(left, requests.enter(first.brief.lane)).await.ok();
        Self { missed: open.is_none(), open, ..self }
    }

    /// Waits until its requests may start, by the rates of their shares: what the claim took brought it closer to
    /// others, or further away. A claim that waits until `send_by` is not sent.
    pub async fn turn(self) -> Self {
        let Some(first) = self.claims.first() else { return self };
        let requests = u32::try_from(self.claims.len()).unwrap_or(u32::MAX);
        let left = SEND_BY.saturating_sub(first.since.elapsed());
        let missed = self.missed || tokio::time::timeout(left, first.share.turn(requests)).await.is_err();
        Self { missed, ..self }
    }
}

/// One account's claims, as its provider takes them.
pub fn batches(worker: &Worker, channel: Channel, claims: Vec<Claimed>) -> Vec<Batch> {
    let Some(share) = claims.first().map(|claimed| Arc::clone(&claimed.share)) else { return Vec::new() };
    let provider = worker.provider(channel, &share.name);
    let batch_max = provider.as_ref().map_or(1, |provider| provider.capabilities().batch_max.max(1));
    let batch = |claims| Batch { provider: provider.clone(), claims, missed: false, open: None };
    // What was not taken again and again goes alone: it may be what those beside it are refused for.
    let (alone, claims): (Vec<Claimed>, Vec<Claimed>) =
        claims.into_iter().partition(|claimed| batch_max > 1 && claimed.times_not_taken() >= ALONE_AFTER);
    let mut batches: Vec<Batch> = alone.into_iter().map(|claimed| batch(vec![claimed])).collect();
    let mut claims = claims.into_iter().peekable();
    while claims.peek().is_some() {
        batches.push(batch(claims.by_ref().take(batch_max).collect()));
    }
    batches
}
