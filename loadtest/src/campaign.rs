//! One text to everybody in a district.

use anyhow::Result;
use tocsin_domain::audience::Audience;
use tocsin_domain::content::Content;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::policy::{RedialPolicy, default_expiry};
use tocsin_domain::{CampaignId, Channel, Lane};
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_store::Tenant;
use tocsin_store::tenant::campaigns::NewCampaign;
use uuid::Uuid;

/// Stores the campaign; the planner takes it from there.
pub async fn send(tenant: &Tenant) -> Result<CampaignId> {
    let now = SystemClock.now();
    let id = CampaignId(Uuid::now_v7());
    let new = NewCampaign {
        id,
        client_key: id.to_string(),
        request_hash: id.0.as_bytes().to_vec(),
        lane: Lane::General,
        mode: DedupeMode::PerDevice,
        consent_class: 2,
        message_type: "general".to_owned(),
        subject: "Load test".to_owned(),
        channels: vec![Channel::Sms],
        audience: Audience { all: true, ..Audience::default() },
        redial: RedialPolicy::default_for(Lane::General),
        calling_window: None,
        limits: Default::default(),
        contents: vec![Content {
            language: None,
            channel: None,
            subject: None,
            body: "School is closed today, {{ student_given_name }} stays at home.".to_owned(),
        }],
        created_by: "load test".to_owned(),
        created_at: now,
        scheduled_at: now,
        expires_at: now + default_expiry(Lane::General),
    };
    tenant.create_campaign(&new).await?;
    Ok(id)
}
