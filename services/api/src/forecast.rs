//! How long a campaign will take that is not yet sent (docs/adr/0022-forecast.md). Nothing is stored.

mod cost;
mod view;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use tocsin_domain::forecast::{
    AccountState, Capacity, ChannelPlan, District, Group, History, Plan, Rival, Rivals, Start, forecast,
};
use tocsin_domain::message_type::MessageType;
use tocsin_domain::wait::{Dial, Reader};
use tocsin_domain::window::{Zone, day_in};
use tocsin_domain::{CampaignState, Channel};
use tocsin_store::Tenant;
use tocsin_store::tenant::campaigns::NewCampaign;
use tocsin_store::tenant::forecast::{AudienceQuery, Counted, Fate, ServingAccount, WorkAhead};

pub(crate) use self::cost::text_segments;
pub(crate) use self::view::{ChannelView, ForecastView, Percentiles};
use crate::auth::Caller;
use crate::campaigns::{OF_RECEIPT, campaign_id, existing, validated};
use crate::json;
use crate::openapi::Operation;
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::CampaignRequest;

/// Decides the draws: the same facts give the same forecast.
const SEED: u64 = 1;

pub(crate) const ASK: Operation =
    Operation::new("forecastCampaign", "Forecast a campaign that is not made yet")
        .telling("Nothing is made: it says whom the campaign would reach now, and how long it would take.")
        .takes::<CampaignRequest>()
    .example(r#"{"subject": "Early dismissal", "channels": ["voice", "sms"], "audience": {"all": true}, "message_type": "priority", "body": "{{ school_name | School }} closes at noon today."}"#)
        .refuses(OF_RECEIPT);

/// `POST /v1/campaigns/forecast`: takes what `POST /v1/campaigns` takes.
pub(crate) async fn ask(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<ForecastView>, Problem> {
    let request = json::required(&headers, body)?;
    let now = api.clock.now();
    let submission = validated(&tenant, request, now).await?;
    // It is stored nowhere, and so needs no key.
    let campaign = submission.into_campaign(String::new(), Vec::new(), now);
    Ok(Json(of(&tenant, &campaign, Reader { now, dial: Dial::Hours24 }).await?))
}

pub(crate) const SHOW: Operation =
    Operation::new("showForecast", "Forecast a campaign that is scheduled").refuses(&[Kind::NotScheduled]);

/// `GET /v1/campaigns/{id}/forecast`: of one whose time has not come.
pub(crate) async fn show(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ForecastView>, Problem> {
    let id = campaign_id(id)?;
    let state = existing(&tenant, id).await?.state;
    if state != CampaignState::Scheduled {
        let detail = format!("the campaign is {state}: a forecast is for one whose time has not come");
        return Err(Problem::new(Kind::NotScheduled, detail));
    }
    let campaign = tenant.as_it_was_made(id).await?.ok_or_else(Problem::unknown_campaign)?;
    Ok(Json(of(&tenant, &campaign, Reader { now: api.clock.now(), dial: Dial::Hours24 }).await?))
}

pub(crate) async fn of(
    tenant: &Tenant,
    campaign: &NewCampaign,
    reader: Reader,
) -> Result<ForecastView, Problem> {
    let now = reader.now;
    let heeds_others = MessageType::named(&campaign.message_type).is_some_and(MessageType::tells_once_a_day)
        && !campaign.test
        && campaign.audience.receipt.is_none();
    let attendance_day = match heeds_others {
        true => Some(day_in(tenant.time_zone().await?, campaign.scheduled_at.max(now))),
        false => None,
    };
    let query = AudienceQuery {
        audience: &campaign.audience,
        channels: &campaign.channels,
        mode: campaign.mode,
        consent_class: campaign.consent_class,
        message_type: &campaign.message_type,
        attendance_day,
        now,
    };
    let counted = tenant.count_audience(&query).await?;
    let plan = plan(tenant, campaign, &counted, reader).await?;
    let mut found = forecast(&plan, SEED);
    found.notes.extend(cost::note(campaign));
    Ok(ForecastView::of(plan.begins_at, &counted, found))
}

async fn plan(
    tenant: &Tenant,
    campaign: &NewCampaign,
    counted: &Counted,
    Reader { now, dial }: Reader,
) -> Result<Plan, Problem> {
    let begins_at = campaign.scheduled_at.max(now);
    let (zone, weight) = (tenant.time_zone().await?, tenant.weight().await?);
    let (accounts, ahead) = (tenant.serving_accounts().await?, tenant.work_ahead().await?);
    let limits = tenant.limits().await?;
    let mut channels = BTreeMap::new();
    for &channel in &campaign.channels {
        let district = District {
            limit: limits.get(&channel).copied(),
            campaign_rate_per_second: campaign.limits.get(&channel).map(|limit| limit.rate_per_second),
        };
        let capacity = Capacity::of(channel, campaign.lane, &serving(&accounts, channel), district);
        let mut earlier = tenant.earlier_campaigns(channel).await?;
        for campaign in &mut earlier {
            campaign.limited |= district.limit.is_some();
        }
        let groups = groups(campaign, counted, channel, zone);
        let devices = groups.iter().map(|group| group.devices).sum();
        let planned = ChannelPlan {
            history: History::learn(channel, &earlier, capacity.as_ref().ok(), devices),
            groups,
            capacity,
            rivals: Rivals::of(campaign.lane, weight, &rivals(&ahead, channel)),
        };
        channels.insert(channel, planned);
    }
    Ok(Plan {
        begins_at,
        ahead_seconds: (begins_at - now).as_seconds_f64(),
        expires_at: campaign.expires_at,
        lane: campaign.lane,
        redial: campaign.redial.clone(),
        calling_window: campaign.calling_window.clone(),
        start: Start::learn(&tenant.campaign_starts().await?),
        channels,
        dial,
    })
}

fn serving(accounts: &[ServingAccount], channel: Channel) -> Vec<AccountState> {
    accounts
        .iter()
        .filter(|account| account.channel == channel)
        .map(|account| account.state.clone())
        .collect()
}

fn rivals(ahead: &[WorkAhead], channel: Channel) -> Vec<Rival> {
    ahead.iter().filter(|work| work.channel == channel).map(|work| work.rival).collect()
}

/// The devices of `channel` that are to be tried. Recipients without a zone have the district's, as at release.
fn groups(campaign: &NewCampaign, counted: &Counted, channel: Channel, zone: Option<Zone>) -> Vec<Group> {
    let of_channel = counted.devices.iter().filter(|devices| devices.channel == channel);
    of_channel
        .filter(|devices| devices.fate == Fate::ToBeTried)
        .map(|devices| Group {
            zone: devices.zone.or(zone),
            cost: cost::of(&campaign.contents, channel, devices.language.as_deref()),
            devices: devices.count,
        })
        .collect()
}
