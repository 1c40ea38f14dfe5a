//! The request itself: asked, timed, counted for the account, and noted for the traces that are kept.

use tocsin_domain::Channel;
use tocsin_domain::failover::Answers;
use tocsin_domain::trace::TraceId;
use tocsin_providers::{Answer, Provider, SendRequest, observed};
use tocsin_runtime::Stopwatch;
use tracing::{Instrument as _, field};

use crate::shares::AccountShare;
use crate::traced::Asking;
use crate::{Worker, answers, tally};

/// Does anybody read of a request in a trace?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Yes,
    No,
}

/// Who is asked, and for which account.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub provider: &'a dyn Provider,
    pub share: &'a AccountShare,
    pub channel: Channel,
}

/// Asks, and counts what comes of it for the account.
pub(super) async fn ask(
    worker: &Worker,
    At { provider, share, channel }: At<'_>,
    requests: &[SendRequest],
    read: Read,
) -> (Vec<Answer>, Option<Asking>) {
    let epoch = share.health_epoch();
    let asking = async {
        match requests {
            [one] => vec![provider.send(one).await],
            many => provider.send_batch(many).await,
        }
    };
    // For what an HTTP client logs, which is nothing above debug: else every request would pay for it.
    let span = tracing::debug_span!(
        "provider.send",
        account = share.name,
        provider = provider.name(),
        trace_id = alone(requests).map(|one| field::display(TraceId::of_attempt(one.attempt))),
    );
    let asking = answers::timed(asking.instrument(span), || {
        share.answered(epoch, Answers { all: 1, failed: 1 });
    });
    let began = Stopwatch::start();
    let ((answers, slow), traced) = match worker.spans.on() {
        false => (asking.await, None),
        true => {
            let begun = worker.clock.now();
            let (answered, exchanges) = match read {
                Read::Yes => {
                    let (answered, exchanges) = observed(asking).await;
                    (answered, Some(exchanges))
                }
                Read::No => (asking.await, None),
            };
            let times = (begun, worker.clock.now());
            (answered, Some(Asking::new(provider.name(), requests.len(), times, exchanges)))
        }
    };
    if !slow && let Some(told) = answers::of_request(&answers) {
        share.answered(epoch, told);
    }
    tally::asked((&share.name, channel), requests, &answers, began.elapsed());
    (answers, traced)
}

/// The one that is asked for by itself.
fn alone(requests: &[SendRequest]) -> Option<&SendRequest> {
    match requests {
        [one] => Some(one),
        _ => None,
    }
}
