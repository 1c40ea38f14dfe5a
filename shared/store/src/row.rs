//! Reading stored numbers back into the domain's words.

use tocsin_domain::audience::Role;
use tocsin_domain::consent::ConsentState;
use tocsin_domain::content::Content;
use tocsin_domain::limits::{CampaignLimits, DistrictLimit};
use tocsin_domain::webhook::DeliveryState;
use tocsin_domain::window::CallingWindow;
use tocsin_domain::{AttemptState, CampaignState, Channel, JobState, Lane, Outcome};

use crate::StoreError;
use crate::tenant::imports::ImportState;

macro_rules! read_number {
    ($($function:ident -> $type:ty, $what:literal;)*) => {
        $(pub(crate) fn $function(statement: &'static str, number: i16) -> Result<$type, StoreError> {
            <$type>::from_number(number).ok_or_else(|| StoreError::Unreadable {
                statement,
                what: $what,
                value: number.to_string(),
            })
        })*
    };
}

read_number! {
    channel -> Channel, "a channel";
    lane -> Lane, "a lane";
    outcome -> Outcome, "an outcome";
    campaign_state -> CampaignState, "a campaign state";
    job_state -> JobState, "a job state";
    attempt_state -> AttemptState, "an attempt state";
    consent_state -> ConsentState, "a consent";
    role -> Role, "a role";
    import_state -> ImportState, "the state of an import";
    delivery_state -> DeliveryState, "the state of a delivery";
}

pub(crate) fn optional_outcome(
    statement: &'static str,
    number: Option<i16>,
) -> Result<Option<Outcome>, StoreError> {
    number.map(|number| outcome(statement, number)).transpose()
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    statement: &'static str,
    what: &'static str,
    value: serde_json::Value,
) -> Result<T, StoreError> {
    serde_json::from_value(value).map_err(|fault| StoreError::Unreadable {
        statement,
        what,
        value: fault.to_string(),
    })
}

/// A row of `district_limits`.
pub(crate) fn district_limit(found: &tokio_postgres::Row) -> DistrictLimit {
    DistrictLimit {
        rate_per_second: found.get("rate_per_second"),
        concurrency: found.get::<_, Option<i32>>("concurrency").map(i32::unsigned_abs),
        spares_emergencies: found.get("spares_emergencies"),
    }
}

/// The column `limits` of a campaign.
pub(crate) fn campaign_limits(
    statement: &'static str,
    found: &tokio_postgres::Row,
) -> Result<CampaignLimits, StoreError> {
    let value = found.get::<_, Option<serde_json::Value>>("limits");
    Ok(value.map(|value| from_json(statement, "a campaign's limits", value)).transpose()?.unwrap_or_default())
}

/// The column `calling_window`.
pub(crate) fn calling_window(
    statement: &'static str,
    found: &tokio_postgres::Row,
) -> Result<Option<CallingWindow>, StoreError> {
    found
        .get::<_, Option<serde_json::Value>>("calling_window")
        .map(|value| from_json(statement, "a calling window", value))
        .transpose()
}

/// One text of a campaign, from columns channel, language, subject, audio_url and body.
pub(crate) fn content(statement: &'static str, found: &tokio_postgres::Row) -> Result<Content, StoreError> {
    Ok(Content {
        channel: found
            .get::<_, Option<i16>>("channel")
            .map(|number| channel(statement, number))
            .transpose()?,
        language: found.get("language"),
        subject: found.get("subject"),
        audio_url: found.get("audio_url"),
        attachments: match found.get::<_, Option<serde_json::Value>>("attachments") {
            None => Vec::new(),
            Some(files) => from_json(statement, "attachments", files)?,
        },
        body: found.get("body"),
    })
}
