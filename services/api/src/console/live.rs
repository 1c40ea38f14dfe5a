//! What moves while a campaign runs: its state, its numbers by channel and its receipt (requirements 47-55).
//!
//! The page shows this part, and the event stream sends it again whenever it has changed.

use askama::Template;
use chrono::{DateTime, Utc};
use tocsin_domain::receipt::Part;
use tocsin_domain::rights::{Actor, Right};
use tocsin_domain::{CampaignId, CampaignState, Channel, SeriesId};
use tocsin_store::Tenant;
use tocsin_store::tenant::campaigns::{CampaignSummary, Counts};
use tocsin_store::tenant::receipt::Receipt;

use super::bar::{self, Results, parts, percent};
use super::page::Count;
use super::plot::{self, Course, Plot};
use super::summary::Summary;
use super::when::{Length, Stamp, Zone};
use super::words::{self, Tone};
use crate::problem::Problem;
use crate::view::{DetailView, Totals};

#[derive(Debug, Clone, Template)]
#[template(path = "live.html")]
pub(crate) struct LivePart {
    pub live: Live,
}

#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub id: CampaignId,
    pub number: i64,
    pub subject: String,
    pub kind: String,
    pub urgent: bool,
    pub test: bool,
    pub by: String,
    pub state: (&'static str, Tone),
    pub verb: &'static str,
    pub at: Stamp,
    pub ended: Option<Stamp>,
    /// When its providers were last asked what became of its messages, while it runs.
    pub refreshed: Option<Stamp>,
    /// No job of it is open any more: nothing here changes again.
    pub over: bool,
    pub cancelable: bool,
    pub discarded: bool,
    /// The canceled campaign that it corrects.
    pub corrects: Option<CampaignId>,
    pub series: Option<SeriesId>,
    pub editable: bool,
    pub reportable: bool,
    pub modified: Option<(String, Option<Stamp>)>,
    pub failure: Option<String>,
    pub recipients: Count,
    pub no_device: Count,
    pub expanded: bool,
    /// Its recipients' rows are gone.
    pub dropped: bool,
    pub duration: Option<Length>,
    pub first_attempt: Option<Length>,
    /// None: nobody is asked to press 0.
    pub confirmed: Option<Count>,
    pub totals: Line,
    pub channels: Vec<Line>,
    pub summary: Summary,
    pub receipt: Option<ReceiptCard>,
    /// Of the campaign's own page, once there is something to draw.
    pub plot: Option<Plot>,
}

/// The counters of a channel, or of all.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub name: &'static str,
    pub done: Count,
    pub percent: i64,
    pub devices: Count,
    pub attempts: Count,
    pub successful: Count,
    pub error: Count,
    pub canceled: Count,
    pub not_sent: Count,
    pub open: Count,
    pub duplicates: Count,
    pub first_attempt: Option<Length>,
    pub parts: Vec<bar::Part>,
}

#[derive(Debug, Clone)]
pub(crate) struct ReceiptCard {
    pub at: Stamp,
    pub by: String,
    pub reason: Option<String>,
    pub settled: bool,
    /// Was the audience worked out to its end?
    pub complete: bool,
    pub parts: [Tile; 4],
    /// Is there somebody to send a correction to?
    pub correctable: bool,
}

/// One part of the receipt, which leads to its list.
#[derive(Debug, Clone)]
pub(crate) struct Tile {
    pub part: &'static str,
    pub name: &'static str,
    pub count: Count,
    pub hint: &'static str,
}

/// What whoever looks may do with a campaign: the one thing in which two who see it see it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Offers {
    cancel: bool,
    cancel_scheduled: bool,
    edit: bool,
    report: bool,
    correct: bool,
}

impl Offers {
    pub fn of(tenant: &Tenant, campaign: &CampaignSummary) -> Self {
        let cancels =
            |state| tenant.actor().is_some_and(|actor| actor.may_cancel(campaign.creator, state).is_ok());
        let sends = |actor: &Actor| actor.grant.may_send(&campaign.message_type).is_ok();
        Self {
            cancel: cancels(CampaignState::Sending),
            cancel_scheduled: cancels(CampaignState::Scheduled),
            edit: tenant.actor().is_some_and(|actor| actor.may_edit(campaign.creator).is_ok()),
            report: tenant.may(Right::Reports),
            correct: tenant.actor().is_some_and(sends),
        }
    }

    fn cancels(self, state: CampaignState) -> bool {
        if state == CampaignState::Scheduled { self.cancel_scheduled } else { self.cancel }
    }
}

/// Which receipt goes with the numbers. Counting one walks the whole campaign.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReceiptFrom {
    Store,
    /// The one counted last.
    Kept(Receipt),
}

/// A campaign as it stands, and the receipt that was counted for it.
pub(crate) struct Seen {
    pub live: Live,
    pub receipt: Option<Receipt>,
    pub state: CampaignState,
    pub counts: Counts,
    /// None: it has not begun to send.
    pub began: Option<DateTime<Utc>>,
    pub ended: Option<DateTime<Utc>>,
}

impl Seen {
    /// With its plot, of what was read for it.
    pub fn drawn(self, read: &plot::Read, zone: Zone, now: DateTime<Utc>) -> Live {
        let plot = self.began.and_then(|began| {
            let ended = self.live.over.then_some(self.ended.unwrap_or(now));
            Plot::of(read, Course { began, ended, counts: &self.counts, now }, zone)
        });
        Live { plot, ..self.live }
    }
}

/// Reads what moves; None if there is no such campaign.
pub(crate) async fn read(
    tenant: &Tenant,
    id: CampaignId,
    receipt: ReceiptFrom,
    zone: Zone,
    now: DateTime<Utc>,
) -> Result<Option<Seen>, Problem> {
    let Some(campaign) = tenant.campaign(id).await? else { return Ok(None) };
    let counts = tenant.counts(id).await?;
    let receipt = match (campaign.cancel_epoch, receipt) {
        (None, _) => None,
        (Some(_), ReceiptFrom::Kept(receipt)) => Some(receipt),
        (Some(_), ReceiptFrom::Store) => Some(tenant.receipt(id).await?),
    };
    let state = campaign.state;
    let offers = Offers::of(tenant, &campaign);
    let card = receipt.and_then(|receipt| ReceiptCard::of(&campaign, receipt, offers, zone, now));
    let closed = campaign.closed_at.is_some();
    let (began, ended) = (campaign.started_at, campaign.ended_at);
    let detail = DetailView::of(campaign, &counts, Vec::new(), now);
    let live = Live::of(detail, closed, card, offers, zone, now);
    Ok(Some(Seen { live, receipt, state, counts, began, ended }))
}

impl Live {
    fn of(
        detail: DetailView,
        closed: bool,
        receipt: Option<ReceiptCard>,
        offers: Offers,
        zone: Zone,
        now: DateTime<Utc>,
    ) -> Self {
        let campaign = detail.campaign;
        let (verb, at) = match (campaign.state, campaign.started_at) {
            (CampaignState::Scheduled, _) => ("scheduled for", campaign.scheduled_at),
            (_, Some(started_at)) => ("started", started_at),
            (_, None) => ("created", campaign.created_at),
        };
        let channels = detail.by_channel.iter().map(|(channel, counts)| Line {
            first_attempt: counts.first_attempt_seconds.map(Length),
            ..Line::of(words::channel(*channel), counts.totals)
        });
        let summary = Summary::of(&campaign, detail.delivery_summary, zone, now);
        Self {
            id: campaign.id,
            number: campaign.number,
            kind: words::message_type(&campaign.message_type),
            urgent: campaign.lane == tocsin_domain::Lane::Emergency,
            test: campaign.test,
            by: campaign.created_by,
            state: words::state(campaign.state),
            verb,
            at: zone.stamp(at, now),
            ended: campaign.ended_at.map(|at| zone.stamp(at, now)),
            refreshed: campaign.refresh_asked_at.filter(|_| !closed).map(|at| zone.stamp(at, now)),
            over: closed,
            cancelable: may_be_canceled(campaign.state) && offers.cancels(campaign.state),
            discarded: campaign.state == CampaignState::Discarded,
            corrects: campaign.corrects,
            series: campaign.series,
            editable: campaign.state == CampaignState::Scheduled && !campaign.test && offers.edit,
            reportable: offers.report,
            modified: campaign.modified_by.map(|by| (by, campaign.modified_at.map(|at| zone.stamp(at, now)))),
            failure: campaign.failure_reason,
            recipients: Count(detail.recipients),
            no_device: Count(detail.no_device),
            dropped: campaign.rows_dropped_at.is_some(),
            expanded: detail.totals.devices > 0 || campaign.started_at.is_some(),
            duration: detail.seconds.map(Length),
            first_attempt: detail.first_attempt_seconds.map(Length),
            confirmed: (detail.redial.confirm && detail.by_channel.contains_key(&Channel::Voice))
                .then_some(Count(detail.totals.confirmed)),
            totals: Line::of("All channels", detail.totals),
            channels: channels.collect(),
            summary,
            receipt,
            plot: None,
            subject: campaign.subject,
        }
    }
}

/// Decision D5: from Scheduled and from In Progress.
pub(crate) fn may_be_canceled(state: CampaignState) -> bool {
    match state {
        CampaignState::Scheduled | CampaignState::Processing | CampaignState::Sending => true,
        CampaignState::Canceling
        | CampaignState::Sent
        | CampaignState::Errored
        | CampaignState::Canceled
        | CampaignState::NoRecipients
        | CampaignState::Failed
        | CampaignState::Discarded => false,
    }
}

impl Line {
    fn of(name: &'static str, totals: Totals) -> Self {
        let done = totals.devices - totals.open;
        Self {
            name,
            done: Count(done),
            percent: percent(done, totals.devices),
            devices: Count(totals.devices),
            attempts: Count(totals.attempts),
            successful: Count(totals.successful),
            error: Count(totals.error),
            canceled: Count(totals.canceled),
            not_sent: Count(totals.not_dispatched),
            open: Count(totals.open),
            duplicates: Count(totals.duplicates),
            first_attempt: None,
            parts: parts(Results {
                successful: totals.successful,
                error: totals.error,
                canceled: totals.canceled,
                not_sent: totals.not_dispatched,
                open: totals.open,
            }),
        }
    }
}

impl ReceiptCard {
    fn of(
        campaign: &CampaignSummary,
        receipt: Receipt,
        offers: Offers,
        zone: Zone,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        Some(Self {
            at: zone.exact(campaign.canceled_at?, now),
            by: campaign.canceled_by.clone()?,
            reason: campaign.cancel_reason.clone(),
            settled: campaign.state.is_final(),
            complete: campaign.expanded_at.is_some(),
            correctable: offers.correct
                && campaign.state == CampaignState::Canceled
                && receipt.contacted + receipt.in_flight_or_unknown > 0,
            parts: [
                Tile::of(Part::Contacted, receipt.contacted),
                Tile::of(Part::InFlightOrUnknown, receipt.in_flight_or_unknown),
                Tile::of(Part::Recalled, receipt.recalled),
                Tile::of(Part::NeverTried, receipt.never_tried),
            ],
        })
    }
}

impl Tile {
    fn of(part: Part, count: i64) -> Self {
        let (name, hint) = words::receipt_part(part);
        Self { part: part.as_str(), name, count: Count(count), hint }
    }
}
