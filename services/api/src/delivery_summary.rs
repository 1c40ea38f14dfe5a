//! The totals of the delivery summary (requirements 49, 50, 55 and 65-73; docs/adr/0019-totals.md).

use serde::Serialize;
use tocsin_domain::counters::Totals;

/// Addresses count once however many people share them, people once however many devices they have.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct DeliverySummary {
    /// Total Recipients (49, 65).
    pub recipients: u64,
    /// Total No Device (50).
    pub no_device: u64,
    /// Total Inbox (66): delivered to.
    pub inbox: u64,
    /// Total Emails (67).
    pub emails: u64,
    /// Total Voice (68).
    pub voice: u64,
    /// Total Text (69), the opted out included.
    pub text: u64,
    /// As `voice_attempted` (decision D3).
    pub inbox_attempted: u64,
    /// As `voice_attempted` (decision D3).
    pub emails_attempted: u64,
    /// Total Voice Attempted (70): without the canceled.
    pub voice_attempted: u64,
    /// Total Text Attempted (71): without the canceled and the opted out.
    pub text_attempted: u64,
    /// Recipients contacted successfully by phone (72).
    pub contacted_by_phone: u64,
    /// Recipients not contacted by phone (73): all others.
    pub not_contacted_by_phone: u64,
    /// Email Delivery Progress (55, 193); null without emails.
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
