//! The request that is being answered: where in a trace it is, for whatever it makes or writes to the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tocsin_domain::Lane;
use tocsin_domain::trace::{Context, Sampling, SpanId, TraceId};
use uuid::Uuid;

tokio::task_local! {
    static CURRENT: Arc<Request>;
}

/// A request's own span, and what it is below.
#[derive(Debug)]
pub struct Request {
    pub context: Context,
    /// The caller's.
    pub parent: Option<SpanId>,
    /// Something leads to it: it is kept whatever was decided.
    needed: AtomicBool,
}

impl Request {
    /// Of a request that came with `caller`'s context, or without: then its trace begins here, and is kept by lot. What the
    /// caller decided holds here, too. None: there are no traces, neither the caller's nor ours.
    pub fn new(caller: Option<Context>, sampling: Option<Sampling>) -> Option<Self> {
        let needed = AtomicBool::new(false);
        let Some(sampling) = sampling else {
            // Nobody writes a span of this process: what leads here leads to the caller's.
            return caller.map(|context| Self { context, parent: None, needed });
        };
        // What tells requests of one caller apart, and the trace of one that has none.
        let own = TraceId::of_request(Uuid::now_v7());
        let context = match caller {
            Some(caller) => Context { span: own.root(), ..caller },
            None => Context { trace: own, span: own.root(), sampled: sampling.keeps(own, Lane::General) },
        };
        Some(Self { context, parent: caller.map(|caller| caller.span), needed })
    }

    pub fn is_kept(&self) -> bool {
        self.context.sampled || self.needed.load(Ordering::Relaxed)
    }
}

/// Runs what answers `request`.
pub async fn within<T>(request: Option<Arc<Request>>, answering: impl Future<Output = T>) -> T {
    match request {
        Some(request) => CURRENT.scope(request, answering).await,
        None => answering.await,
    }
}

/// The context of the request that is being answered, for something that will lead to it. None: nobody asked.
pub fn needed() -> Option<Context> {
    let note = |request: &Arc<Request>| {
        request.needed.store(true, Ordering::Relaxed);
        Context { sampled: true, ..request.context }
    };
    CURRENT.try_with(note).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";

    #[test]
    fn a_callers_trace_goes_on_and_its_decision_holds() {
        for (flag, ratio, kept) in [("1", 0.0, true), ("0", 1.0, false)] {
            let caller = Context::parse(&format!("{CALLER}{flag}")).unwrap();
            let request = Request::new(Some(caller), Some(Sampling::of_ratio(ratio))).unwrap();
            assert_eq!((request.context.trace, request.parent), (caller.trace, Some(caller.span)));
            assert_ne!(request.context.span, caller.span);
            assert_eq!(request.is_kept(), kept);
        }
        let begun = Request::new(None, Some(Sampling::of_ratio(1.0))).unwrap();
        assert!(begun.is_kept() && begun.parent.is_none());
    }

    #[test]
    fn without_traces_of_ours_what_leads_here_leads_to_the_caller() {
        let caller = Context::parse(&format!("{CALLER}1"));
        assert_eq!(Request::new(caller, None).map(|request| request.context), caller);
        assert!(Request::new(None, None).is_none());
    }

    #[tokio::test]
    async fn what_something_leads_to_is_kept() {
        assert_eq!(needed(), None);
        let request = Arc::new(Request::new(None, Some(Sampling::of_ratio(0.0))).unwrap());
        assert!(!request.is_kept());
        let led_to = within(Some(Arc::clone(&request)), async { needed() }).await.unwrap();
        assert_eq!((led_to.trace, led_to.span), (request.context.trace, request.context.span));
        assert!(request.is_kept() && led_to.sampled);
    }
}
