//! Edits of a campaign whose time has not come (requirements 32 to 36).

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tocsin_domain::{CampaignId, CampaignState, Lane};
use tocsin_store::Tenant;
use tocsin_store::tenant::campaigns::NewCampaign;
use tocsin_store::tenant::campaigns::editing::{Edit, Edited};

use crate::auth::Caller;
use crate::campaigns::{campaign_id, detail, existing, valid};
use crate::fields::{Fault, Faults, Field};
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, Varied, shape, varied};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::{ACTOR_CHARS_MAX, CampaignRequest, WrittenCampaign, merged, written};
use crate::view::DetailView;
use crate::{announce, json, needs, second_person};

/// What is to be another, of which version, and who says so.
#[derive(Debug)]
pub(crate) struct Changes {
    pub version: i32,
    pub by: String,
    pub members: Map<String, Value>,
}

varied!(CampaignPatch, |generator| {
    Varied::of::<CampaignRequest>(generator)
        .without(&["created_by", "test"])
        .partial()
        .with::<EditRequest>(generator)
});

shape! {
    /// What is to be another. What is left out stays as it is.
    pub(crate) struct EditRequest {
        /// The version that was seen.
        #[schemars(range(min = 1, max = i32::MAX))]
        version: i32,
        /// Who edits it; the key's name unless said.
        by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

pub(crate) const EDIT: Operation = Operation::new("editCampaign", "Edit a campaign that is scheduled")
    .telling("A `scheduled_at` of null sends it now.")
    .takes::<CampaignPatch>()
    .example(r#"{"version": 1, "subject": "Late start"}"#)
    .refuses(&[
        Kind::EditedMeanwhile,
        Kind::NotScheduled,
        Kind::IsATest,
        Kind::SecondPersonNeeded,
        Kind::NotCanceled,
        Kind::NobodyContacted,
    ]);

/// `PATCH /v1/campaigns/{id}`: members as of `POST /v1/campaigns`; those that are left out stay as they are.
pub(crate) async fn edit(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<DetailView>, Problem> {
    let id = campaign_id(id)?;
    existing(&tenant, id).await?;
    let changes = read_changes(json::required(&headers, body)?, tenant.acts_as())?;
    carry_out(&api, &tenant, id, changes).await?;
    Ok(Json(detail(&api, &tenant, id).await?))
}

/// The members `version` and `by`, which is `actor` unless said, and all others as they are.
pub(crate) fn read_changes(request: Value, actor: &str) -> Result<Changes, Problem> {
    const REMEDY: &str = "give the version that you saw, so that nobody else's edit is lost";
    let (own, members) = match request {
        Value::Object(mut members) => {
            let own = ["version", "by"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), members.remove(name)?)));
            (Value::Object(own.collect()), members)
        }
        other => (other, Map::new()),
    };
    let mut faults = Faults::default();
    if members.contains_key("created_by") {
        faults.add("created_by", "stays who made it: say in by who edits it");
    }
    let read = Field::root(own).object(&mut faults).and_then(|mut fields| {
        let version = fields
            .required("version", REMEDY, &mut faults)
            .and_then(|field| field.integer(1..=i32::MAX.unsigned_abs(), &mut faults));
        let by = fields.take("by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        let version = i32::try_from(version?).ok()?;
        Some(Changes { version, by: by.unwrap_or_else(|| actor.to_owned()), members })
    });
    faults.or(read).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))
}

/// The one command behind every place where a campaign is edited.
pub(crate) async fn carry_out(
    api: &Api,
    tenant: &Tenant,
    id: CampaignId,
    changes: Changes,
) -> Result<(), Problem> {
    let now = api.clock.now();
    let state = existing(tenant, id).await?.state;
    if state != CampaignState::Scheduled {
        return Err(not_scheduled(state));
    }
    let made = tenant.as_it_was_made(id).await?.ok_or_else(Problem::unknown_campaign)?;
    if made.test {
        return Err(Problem::new(Kind::IsATest, "a test is not edited: cancel it, and send another"));
    }
    let request = merged(request_of(&made), changes.members);
    let submission = valid(tenant, request, now).await?;
    needs::may_edit_to(tenant, &made.message_type, submission.message_type().as_str())?;
    if submission.is_test() {
        let reason = "is said when a message is made: send the test as a message of its own".to_owned();
        let fault = Fault { field: "test".to_owned(), reason };
        return Err(Problem::faulty(Kind::InvalidBody, vec![fault]));
    }
    second_person::refuse(tenant, submission.message_type().lane(), submission.audience()).await?;
    let new = submission.into_campaign(String::new(), Vec::new(), now);
    let edit = Edit { campaign: id, version: changes.version, by: &changes.by, at: now };
    match tenant.edit_campaign(edit, &new).await? {
        Edited::Made(version) => {
            tracing::info!(campaign.id = %id, version, "campaign edited");
            if new.scheduled_at <= now {
                announce::wake(api, &new.channels, new.lane == Lane::Emergency);
            }
            Ok(())
        }
        Edited::NotScheduled(state) => Err(not_scheduled(state)),
        Edited::Moved { version, by } => Err(Problem::edited_meanwhile(version, by.as_deref())),
        Edited::Unknown => Err(Problem::unknown_campaign()),
    }
}

/// The request that would make it.
pub(crate) fn request_of(campaign: &NewCampaign) -> Map<String, Value> {
    let mut members = written(WrittenCampaign {
        subject: &campaign.subject,
        message_type: &campaign.message_type,
        channels: &campaign.channels,
        mode: campaign.mode,
        audience: &campaign.audience,
        contents: &campaign.contents,
        redial: Some(&campaign.redial),
        calling_window: campaign.calling_window.as_ref(),
        limits: &campaign.limits,
        expires_in: (campaign.expires_at - campaign.scheduled_at).to_std().unwrap_or_default(),
    });
    members.insert("scheduled_at".to_owned(), json!(rfc3339(campaign.scheduled_at)));
    members
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

fn not_scheduled(state: CampaignState) -> Problem {
    let remedy = match state {
        CampaignState::Scheduled | CampaignState::Processing | CampaignState::Sending => {
            "it cannot be edited any more: cancel it, and send a correction to those whom it reached"
        }
        CampaignState::Canceling | CampaignState::Canceled | CampaignState::Discarded => {
            "make a new campaign, or send a correction to those whom it reached"
        }
        CampaignState::Sent
        | CampaignState::Errored
        | CampaignState::NoRecipients
        | CampaignState::Failed => "make a new campaign",
    };
    Problem::new(Kind::NotScheduled, format!("the campaign is {state}: {remedy}"))
}
