//! A report but for its rows, from the same numbers as the message detail (requirement 64).

use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::content::Content;
use tocsin_domain::counters::DeliveryInformation;
use tocsin_domain::window::{Zone, zone_named};
use tocsin_domain::{CampaignState, Channel};
use tocsin_reports::{Canceled, Choice, Device, Person, Report, Row, Text};
use tocsin_store::Tenant;
use tocsin_store::tenant::campaigns::{CampaignSummary, ChannelCounts, Counts};
use tocsin_store::tenant::report::{ReportRow, WithoutDevice};

use super::criteria::criteria;
use crate::console::words;
use crate::problem::Problem;
use crate::view::DetailView;

/// The report and how many rows there are to read for it.
pub(super) async fn report(
    tenant: &Tenant,
    campaign: CampaignSummary,
    choice: Choice,
    now: DateTime<Utc>,
) -> Result<(Report, i64), Problem> {
    let made = tenant.as_it_was_made(campaign.id).await?.ok_or_else(Problem::unknown_campaign)?;
    let district = tenant.own_district().await?;
    let counts = tenant.counts(campaign.id).await?;
    let criteria = criteria(tenant, &made).await?;
    let zone = district.as_ref().and_then(|district| district.time_zone.as_deref()).and_then(zone_named);
    let without_device = if choice.no_device { counts.no_device } else { 0 };
    let devices: i64 = counts.channels.iter().map(|counts| counts.devices + counts.duplicates).sum();
    let over = campaign.closed_at.is_some() || never_ran(campaign.state);
    let detail = DetailView::of(campaign.clone(), &counts, Vec::new(), now);
    let report = Report {
        district: district.map(|district| district.name).unwrap_or_default(),
        zone: zone.unwrap_or(Zone::UTC),
        number: campaign.number,
        test: campaign.test,
        message_type: tocsin_reports::message_type(&campaign.message_type),
        status: words::state(campaign.state).0.to_owned(),
        created_at: campaign.created_at,
        scheduled_at: campaign.scheduled_at,
        started_at: campaign.started_at,
        ended_at: campaign.ended_at,
        canceled: campaign.canceled_at.map(|at| Canceled {
            at,
            by: campaign.canceled_by,
            reason: campaign.cancel_reason,
        }),
        as_of: (!over).then_some(now),
        totals: counts.totals(),
        delivery: campaign.channels.iter().map(|channel| delivery(*channel, &counts)).collect(),
        duration: detail.seconds.map(Duration::from_secs_f64),
        first_attempt: detail.first_attempt_seconds.map(Duration::from_secs_f64),
        criteria,
        texts: made.contents.into_iter().map(text).collect(),
        channels: campaign.channels,
        subject: campaign.subject,
        sender: campaign.created_by,
        choice,
    };
    Ok((report, devices + without_device))
}

/// States without any job that could close the campaign.
fn never_ran(state: CampaignState) -> bool {
    matches!(state, CampaignState::Failed | CampaignState::NoRecipients | CampaignState::Discarded)
}

pub(super) fn without_device(report: &Report) -> WithoutDevice {
    if report.choice.no_device { WithoutDevice::Included } else { WithoutDevice::LeftOut }
}

fn delivery(channel: Channel, counts: &Counts) -> DeliveryInformation {
    let found = counts.channels.iter().find(|counts| counts.channel == channel);
    let number = |count: fn(&ChannelCounts) -> i64| {
        found.map(count).and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
    };
    DeliveryInformation {
        channel,
        devices: number(|counts| counts.devices),
        attempts: number(|counts| counts.attempts),
        successful: number(|counts| counts.successful),
        error: number(|counts| counts.error),
        canceled: number(|counts| counts.canceled),
        open: number(|counts| counts.open),
        duplicates: number(|counts| counts.duplicates),
        not_dispatched: number(|counts| counts.not_dispatched),
        confirmed: number(|counts| counts.confirmed),
        first_attempt: found.and_then(|counts| counts.first_attempt),
    }
}

fn text(content: Content) -> Text {
    let language = content.language.as_deref().map_or("Default language", words::language);
    let channel = content.channel.map_or("All delivery modes without a text of their own", words::channel);
    Text {
        heading: format!("{language} · {channel}"),
        subject: content.subject,
        audio_url: content.audio_url,
        attachments: content.attachments.into_iter().map(|file| file.name).collect(),
        body: content.body,
    }
}

pub(super) fn row(row: ReportRow) -> Row {
    Row {
        person: Person(row.person),
        recipient: row.name,
        student: row.student,
        device: row.device.map(|device| Device {
            channel: device.channel,
            address: device.address,
            duplicate: device.duplicate,
            ended: device.ended,
            outcome: device.outcome,
            sent_outcome: device.sent_outcome,
            provider_code: device.provider_code,
            time: device.time,
        }),
    }
}
