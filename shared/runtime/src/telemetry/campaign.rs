//! The trace of a campaign: made, expanded, canceled, swept, closed. It has few spans, and each attempt leads to it, so it
//! is always kept.

use chrono::{DateTime, Utc};
use tocsin_domain::CampaignId;
use tocsin_domain::trace::{Context, TraceId};

use super::attempt::moment;
use super::{Span, Spans, names};

/// Writes the spans of campaigns. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct CampaignSpans(Spans);

impl CampaignSpans {
    pub fn new(spans: Spans) -> Self {
        Self(spans)
    }

    /// What was done for the campaign: `name` is one of [`names::span`]. `more` adds what else is known.
    pub fn did(
        &self,
        campaign: CampaignId,
        name: &'static str,
        (begun, ended): (DateTime<Utc>, DateTime<Utc>),
        more: impl FnOnce(Span) -> Span,
    ) {
        if !self.0.on() {
            return;
        }
        let trace = TraceId::of_campaign(campaign);
        // Distinct by what and when: two that did the same at once did it once.
        let which =
            name.bytes().fold(moment(begun), |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let span = Span::new(trace, trace.span(which | 1), name).below(trace.root());
        self.0.emit(more(of(campaign, span).between(begun, ended)));
    }

    /// The whole of it, once it is closed. `requested_by` is the span of the request that made it.
    pub fn closed(
        &self,
        campaign: CampaignId,
        (made, closed): (DateTime<Utc>, DateTime<Utc>),
        state: &'static str,
        requested_by: Option<&str>,
    ) {
        if !self.0.on() {
            return;
        }
        let trace = TraceId::of_campaign(campaign);
        let mut span = of(campaign, Span::new(trace, trace.root(), names::span::CAMPAIGN))
            .between(made, closed)
            .with(names::CAMPAIGN_STATE, state);
        if let Some(request) = requested_by.and_then(Context::parse) {
            span = span.linked(request, names::link::REQUESTED_BY);
        }
        self.0.emit(span);
        self.did(campaign, names::span::CLOSE, (closed, closed), |span| {
            span.with(names::CAMPAIGN_STATE, state)
        });
    }
}

fn of(campaign: CampaignId, span: Span) -> Span {
    span.with(names::CAMPAIGN, campaign.to_string())
}
