//! `/campaigns`: what is under way, what is to come, what was.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignId, CampaignState};
use tocsin_store::tenant::campaigns::CampaignSummary;
use tocsin_store::tenant::campaigns::lists::{ListQuery, Place};
use tocsin_store::tenant::progress::Progress;

use super::access::Visitor;
use super::accounts::{Ailing, ailing};
use super::bar::{Part, Results, parts, percent};
use super::page::{Count, Refused, Shell, answer};
use super::when::{Stamp, Zone};
use super::words::{self, Tone};
use crate::fields::{Fault, Faults, Fields, named};
use crate::page::{encode, read_cursor};
use crate::server::Api;

const CAMPAIGNS_MAX: u32 = 25;

/// The views of the list, which the navigation links to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    All,
    InProgress,
    Scheduled,
    Ended,
}

#[derive(Template)]
#[template(path = "campaigns.html")]
struct ListPage {
    shell: Shell,
    view: View,
    /// Those that do not send as they should.
    accounts: Vec<Ailing>,
    rows: Vec<Row>,
    /// Is there a row that will change by itself?
    live: bool,
    /// Is this not the first page?
    further: bool,
    next: Option<String>,
}

struct Row {
    id: CampaignId,
    number: i64,
    subject: String,
    /// Did it go to the district's test people?
    test: bool,
    kind: String,
    urgent: bool,
    channels: String,
    by: String,
    state: (&'static str, Tone),
    /// "for", "started", "ended".
    verb: &'static str,
    at: Stamp,
    recipients: Option<Count>,
    devices: Option<Count>,
    percent: Option<i64>,
    parts: Vec<Part>,
}

impl View {
    const ALL: [Self; 4] = [Self::All, Self::InProgress, Self::Scheduled, Self::Ended];

    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::InProgress => "in-progress",
            Self::Scheduled => "scheduled",
            Self::Ended => "ended",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::All => "Campaigns",
            Self::InProgress => "In progress",
            Self::Scheduled => "Scheduled",
            Self::Ended => "Sent and ended",
        }
    }

    fn states(self) -> Vec<CampaignState> {
        match self {
            Self::All => Vec::new(),
            Self::InProgress => {
                vec![CampaignState::Processing, CampaignState::Sending, CampaignState::Canceling]
            }
            Self::Scheduled => vec![CampaignState::Scheduled],
            Self::Ended => vec![
                CampaignState::Sent,
                CampaignState::Errored,
                CampaignState::Canceled,
                CampaignState::NoRecipients,
                CampaignState::Failed,
            ],
        }
    }
}

/// `GET /campaigns?view=&cursor=`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let (view, before) = read_query(query.as_deref()).map_err(Refused::faulty)?;
    // One more than is shown tells whether another page follows.
    let after = before.map(|id| Place { key: id.to_string(), id });
    let wanted =
        ListQuery { states: view.states(), after, campaigns_max: CAMPAIGNS_MAX + 1, ..ListQuery::default() };
    let found = visitor.tenant.campaigns(&wanted, api.clock.now()).await?;
    let mut found: Vec<CampaignSummary> = found.into_iter().map(|listed| listed.campaign).collect();
    let more = found.len() > CAMPAIGNS_MAX as usize;
    found.truncate(CAMPAIGNS_MAX as usize);
    let ids: Vec<CampaignId> = found.iter().map(|campaign| campaign.id).collect();
    let progress = visitor.tenant.progress(&ids).await?;
    let next = found.last().filter(|_| more).map(|last| encode(&last.id.to_string()));
    let live = found.iter().any(|campaign| !campaign.state.is_final());
    let now = api.clock.now();
    let rows = found.into_iter().map(|campaign| Row::of(campaign, &progress, visitor.zone, now)).collect();
    let accounts = ailing(&visitor.tenant, visitor.zone, now).await?;
    let shell = Shell::new(view.title(), &visitor.who, view.as_str());
    Ok(answer(
        StatusCode::OK,
        &ListPage { shell, view, accounts, rows, live, further: before.is_some(), next },
    ))
}

fn read_query(query: Option<&str>) -> Result<(View, Option<CampaignId>), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let view = match fields.take("view") {
        None => Some(View::All),
        Some(field) => field.parsed(&mut faults, |text| named(text, &View::ALL, View::as_str)),
    };
    let before = read_cursor(&mut fields, &mut faults, |text| text.parse().ok());
    fields.finish(&mut faults);
    faults.or(view.map(|view| (view, before)))
}

impl Row {
    fn of(
        campaign: CampaignSummary,
        progress: &HashMap<CampaignId, Progress>,
        zone: Zone,
        now: DateTime<Utc>,
    ) -> Self {
        let (verb, at) = match (campaign.state, campaign.ended_at, campaign.started_at) {
            (CampaignState::Scheduled, ..) => ("for", campaign.scheduled_at),
            (_, Some(ended_at), _) => ("ended", ended_at),
            (_, None, Some(started_at)) => ("started", started_at),
            (_, None, None) => ("created", campaign.created_at),
        };
        let progress = progress.get(&campaign.id);
        let channels: Vec<_> = campaign.channels.iter().map(|channel| words::channel(*channel)).collect();
        Self {
            id: campaign.id,
            number: campaign.number,
            kind: words::message_type(&campaign.message_type),
            urgent: campaign.lane == tocsin_domain::Lane::Emergency,
            channels: channels.join(", "),
            by: campaign.created_by,
            state: words::state(campaign.state),
            verb,
            at: zone.stamp(at, now),
            recipients: progress.map(|progress| Count(progress.recipients)),
            devices: progress.map(|progress| Count(progress.devices)),
            percent: progress.filter(|it| it.devices > 0).map(|it| percent(it.devices - it.open, it.devices)),
            parts: progress.map(|progress| parts(results(progress))).unwrap_or_default(),
            test: campaign.test,
            subject: campaign.subject,
        }
    }
}

fn results(progress: &Progress) -> Results {
    Results {
        successful: progress.successful,
        error: progress.error,
        canceled: progress.canceled,
        not_sent: progress.not_dispatched,
        open: progress.open,
    }
}
