//! What a district, and the author of a campaign, allow of each channel over all accounts.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_domain::Channel;
use tocsin_domain::limits::{CONCURRENCY, CampaignLimit, CampaignLimits, DistrictLimit, RATE_PER_SECOND};
use tocsin_store::Tenant;

use crate::auth::Caller;
use crate::fields::{Fault, Faults, Fields, below};
use crate::json;
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;

const CHANNELS: [Channel; 4] = Channel::ALL;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Limits")]
pub(crate) struct LimitsView {
    /// A channel that is not among them has no limit.
    channels: BTreeMap<Channel, DistrictLimit>,
}

shape! {
    /// What the author of a campaign allows of a channel.
    pub(crate) struct CampaignLimitRequest {
        /// Jobs that may be released a second.
        #[schemars(range(min = *RATE_PER_SECOND.start(), max = *RATE_PER_SECOND.end()))]
        rate_per_second: f64,
    }
}

shape! {
    /// What a district allows of a channel: a rate, a concurrency, or both.
    pub(crate) struct DistrictLimitRequest {
        /// Jobs that may be released a second.
        #[schemars(range(min = *RATE_PER_SECOND.start(), max = *RATE_PER_SECOND.end()))]
        rate_per_second: Option<f64>,
        /// Jobs that are queued, or claimed and not settled.
        #[schemars(range(min = *CONCURRENCY.start(), max = *CONCURRENCY.end()))]
        concurrency: Option<u32>,
        /// Do emergencies neither heed it nor use it up?
        spares_emergencies: Option<bool>,
    }
}

shape! {
    /// All limits. A channel that is left out has none any more.
    pub(crate) struct LimitsRequest {
        channels: BTreeMap<Channel, Option<DistrictLimitRequest>>,
        updated_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

pub(crate) const SHOW: Operation =
    Operation::new("showLimits", "Show what the district allows of each channel");

/// `GET /v1/limits`.
pub(crate) async fn show(Caller(tenant): Caller) -> Result<Json<LimitsView>, Problem> {
    Ok(Json(LimitsView { channels: tenant.limits().await? }))
}

pub(crate) const PUT: Operation =
    Operation::new("putLimits", "Replace what the district allows of each channel")
        .telling("It holds for what is released from now on.")
        .takes::<LimitsRequest>()
        .example(r#"{"channels": {"voice": {"rate_per_second": 20, "spares_emergencies": true}}}"#);

/// `PUT /v1/limits`: what is released from now on. A channel that is left out has none any more.
pub(crate) async fn put(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<LimitsView>, Problem> {
    let channels = replace(&api, &tenant, json::required(&headers, body)?).await?;
    Ok(Json(LimitsView { channels }))
}

/// The one command behind every place where limits are replaced.
pub(crate) async fn replace(
    api: &Api,
    tenant: &Tenant,
    request: Value,
) -> Result<BTreeMap<Channel, DistrictLimit>, Problem> {
    let (channels, by) =
        read(request, tenant.acts_as()).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    tenant.put_limits(&channels, &by, api.clock.now()).await?;
    tracing::info!(channels = channels.len(), "limits replaced");
    Ok(channels)
}

fn read(request: Value, actor: &str) -> Result<(BTreeMap<Channel, DistrictLimit>, String), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = crate::fields::Field::root(request).object(&mut faults).and_then(|mut fields| {
        let remedy = "give what each channel allows, or {} for no limit";
        let channels = fields
            .required("channels", remedy, &mut faults)
            .and_then(|field| field.object(&mut faults))
            .map(|channels| by_channel(channels, &mut faults, read_district));
        let by = fields.take("updated_by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        fields.finish(&mut faults);
        Some((channels?, by.unwrap_or_else(|| actor.to_owned())))
    });
    faults.or(read)
}

/// The member `limits` of a campaign over `channels`.
pub(crate) fn read_campaign(
    fields: &mut Fields,
    channels: Option<&[Channel]>,
    faults: &mut Faults,
) -> CampaignLimits {
    let Some(field) = fields.take("limits") else { return CampaignLimits::new() };
    let path = field.path.clone();
    let Some(limited) = field.object(faults) else { return CampaignLimits::new() };
    let limits = by_channel(limited, faults, |fields, faults| {
        let rate = fields
            .required("rate_per_second", "give the jobs that may be released a second", faults)
            .and_then(|field| field.decimal(RATE_PER_SECOND, faults))?;
        Some(CampaignLimit { rate_per_second: rate })
    });
    for channel in limits.keys().filter(|channel| channels.is_some_and(|all| !all.contains(channel))) {
        let field = below(&path, channel.as_str());
        faults.add(field, "is no channel of this campaign: leave it out, or list it in channels");
    }
    limits
}

fn by_channel<T>(
    mut fields: Fields,
    faults: &mut Faults,
    read: impl Fn(&mut Fields, &mut Faults) -> Option<T>,
) -> BTreeMap<Channel, T> {
    let mut limits = BTreeMap::new();
    for channel in CHANNELS {
        let members = fields.take(channel.as_str()).and_then(|field| field.object(faults));
        let Some(mut members) = members else { continue };
        if let Some(limit) = read(&mut members, faults) {
            limits.insert(channel, limit);
        }
        members.finish(faults);
    }
    fields.finish(faults);
    limits
}

fn read_district(fields: &mut Fields, faults: &mut Faults) -> Option<DistrictLimit> {
    let path = fields.path().to_owned();
    let rate = fields.take("rate_per_second");
    let concurrency = fields.take("concurrency");
    if rate.is_none() && concurrency.is_none() {
        let missing = "limits nothing: give rate_per_second, concurrency or both, or leave the channel out";
        faults.add(path, missing);
    }
    let rate_per_second = rate.and_then(|field| field.decimal(RATE_PER_SECOND, faults));
    let concurrency = concurrency.and_then(|field| field.integer(CONCURRENCY, faults));
    let spares = fields.take("spares_emergencies").and_then(|field| field.boolean(faults));
    Some(DistrictLimit { rate_per_second, concurrency, spares_emergencies: spares.unwrap_or(false) })
}
