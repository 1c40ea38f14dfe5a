//! The totals of the delivery summary (requirements 49, 50, 55 and 65-73; docs/adr/0019-totals.md).

use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::counters::Totals;

/// Addresses count once however many people share them, people once however many devices they have.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct DeliverySummary {
    /// Total Recipients.
    pub recipients: u64,
    /// Total No Device.
    pub no_device: u64,
    /// Total Inbox: delivered to.
    pub inbox: u64,
    /// Total Emails.
    pub emails: u64,
    /// Total Voice.
    pub voice: u64,
    /// Total Text, the opted out included.
    pub text: u64,
    /// As `voice_attempted` (decision D3).
    pub inbox_attempted: u64,
    /// As `voice_attempted` (decision D3).
    pub emails_attempted: u64,
    /// Total Voice Attempted: without the canceled.
    pub voice_attempted: u64,
    /// Total Text Attempted: without the canceled and the opted out.
    pub text_attempted: u64,
    /// Recipients contacted successfully by phone.
    pub contacted_by_phone: u64,
    /// Recipients not contacted by phone: all others.
    pub not_contacted_by_phone: u64,
    /// Email Delivery Progress; null without emails.
    pub email_progress_percent: Option<u8>,
}

impl From<Totals> for DeliverySummary {
    fn from(totals: Totals) -> Self {
        Self {
            recipients: totals.recipients,
            no_device: totals.no_device,
            inbox: totals.inbox,
            emails: totals.emails,
            voice: totals.voice,
            text: totals.text,
            inbox_attempted: totals.inbox_attempted,
            emails_attempted: totals.emails_attempted,
            voice_attempted: totals.voice_attempted,
            text_attempted: totals.text_attempted,
            contacted_by_phone: totals.contacted_by_phone,
            not_contacted_by_phone: totals.not_contacted_by_phone,
            email_progress_percent: totals.email_progress_percent,
        }
    }
}
