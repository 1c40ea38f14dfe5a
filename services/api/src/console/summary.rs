//! The delivery summary as the page shows it (requirements 49-55 and 65-74).

use chrono::{DateTime, Utc};
use tocsin_domain::Channel;

use super::page::Count;
use super::when::{Stamp, Zone};
use crate::delivery_summary::DeliverySummary;
use crate::view::CampaignView;

#[derive(Debug, Clone)]
pub(crate) struct Summary {
    /// By device, of those that the message is sent over.
    pub devices: Vec<SummaryLine>,
    /// None unless it goes to phones.
    pub phone: Option<ByPhone>,
    /// None without emails.
    pub email_progress_percent: Option<u8>,
    pub start: Option<Stamp>,
    pub end: Option<Stamp>,
}

#[derive(Debug, Clone)]
pub(crate) struct SummaryLine {
    pub name: &'static str,
    pub total: Count,
    pub attempted: Count,
}

#[derive(Debug, Clone)]
pub(crate) struct ByPhone {
    pub contacted: Count,
    pub not_contacted: Count,
}

impl Summary {
    pub fn of(campaign: &CampaignView, summary: DeliverySummary, zone: Zone, now: DateTime<Utc>) -> Self {
        let lines = campaign.channels.iter().map(|channel| SummaryLine::of(*channel, summary)).collect();
        let phones = campaign.channels.iter().any(|channel| match channel {
            Channel::Voice | Channel::Sms => true,
            Channel::Email | Channel::Inbox => false,
        });
        Self {
            devices: lines,
            phone: phones.then(|| ByPhone {
                contacted: count(summary.contacted_by_phone),
                not_contacted: count(summary.not_contacted_by_phone),
            }),
            email_progress_percent: summary.email_progress_percent,
            start: campaign.started_at.map(|at| zone.exact(at, now)),
            end: campaign.ended_at.map(|at| zone.exact(at, now)),
        }
    }
}

impl SummaryLine {
    fn of(channel: Channel, summary: DeliverySummary) -> Self {
        let (name, total, attempted) = match channel {
            Channel::Inbox => ("Inbox", summary.inbox, summary.inbox_attempted),
            Channel::Email => ("Emails", summary.emails, summary.emails_attempted),
            Channel::Voice => ("Voice", summary.voice, summary.voice_attempted),
            Channel::Sms => ("Text", summary.text, summary.text_attempted),
        };
        Self { name, total: count(total), attempted: count(attempted) }
    }
}

fn count(number: u64) -> Count {
    Count(i64::try_from(number).unwrap_or(i64::MAX))
}
