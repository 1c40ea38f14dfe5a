//! A message as one recipient reads it: before it is sent, and as it was sent (requirement 172). Both are made by the
//! function that makes what is sent.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_domain::attachment::Attachment;
use tocsin_domain::content::{self, Content, Message};
use tocsin_domain::{CampaignId, CampaignState, Channel};
use tocsin_store::Tenant;
use tocsin_store::tenant::messages::{Addressee, Draft};

use crate::auth::Caller;
use crate::campaigns::{existing, validated};
use crate::directory::NAME_CHARS_MAX;
use crate::fields::{Fault, Faults, Field, Fields};
use crate::json;
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, Varied, shape, varied};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::CampaignRequest;

/// One message to one person.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RecipientMessages")]
pub(crate) struct RecipientView {
    pub recipient: String,
    pub student: Option<String>,
    pub messages: Vec<MessageView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Message")]
pub(crate) struct MessageView {
    pub channel: Channel,
    pub language: Option<String>,
    pub subject: Option<String>,
    /// Null: see `fault`.
    pub body: Option<String>,
    pub audio_url: Option<String>,
    /// Files that go along.
    pub attachments: Vec<Attachment>,
    /// Why nothing can be sent: a value that this recipient lacks.
    pub fault: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Preview")]
pub(crate) struct PreviewView {
    /// One or, in a message for each student, one for each of them. None: the person is not in the audience.
    previews: Vec<RecipientView>,
}

varied!(PreviewRequest, |generator| Varied::of::<CampaignRequest>(generator)
    .with::<PreviewOfPerson>(generator));

shape! {
    /// A campaign, and whose message is to be shown.
    struct PreviewOfPerson {
        /// The source id.
        person: Text<NAME_CHARS_MAX>,
    }
}

shape! {
    pub(crate) struct SentQuery {
        /// Only the message of this channel.
        channel: Option<Channel>,
    }
}

pub(crate) const PREVIEW: Operation =
    Operation::new("previewCampaign", "Show what a person would get of a campaign")
        .telling("Nothing is stored. There is no preview where the person is not in the audience.")
        .takes::<PreviewRequest>()
    .example(r#"{"subject": "Early dismissal", "channels": ["voice", "sms"], "audience": {"all": true}, "message_type": "priority", "body": "{{ school_name | School }} closes at noon today.", "person": "ana"}"#)
        .refuses(&[Kind::UnknownPerson, Kind::UnknownCampaign, Kind::NotCanceled, Kind::NobodyContacted]);

/// `POST /v1/campaigns/preview`: what `POST /v1/campaigns` takes, and `person`.
pub(crate) async fn preview(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PreviewView>, Problem> {
    let (person, request) =
        read(json::required(&headers, body)?).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let now = api.clock.now();
    // It is stored nowhere, and so needs no key.
    let campaign = validated(&tenant, request, now).await?.into_campaign(String::new(), Vec::new(), now);
    if campaign.audience.receipt.is_some() {
        let detail =
            "a correction goes to those of a receipt, with the names of then: preview it by its recipients";
        return Err(Problem::new(Kind::InvalidBody, detail));
    }
    let person = crate::directory::existing(&tenant, &person).await?;
    let draft = Draft {
        audience: &campaign.audience,
        channels: &campaign.channels,
        mode: campaign.mode,
        message_type: &campaign.message_type,
    };
    let addressees = tenant.addressees(&draft, person.id).await?;
    let previews =
        addressees.into_iter().map(|addressee| RecipientView::of(addressee, &campaign.contents, None));
    Ok(Json(PreviewView { previews: previews.collect() }))
}

pub(crate) const SENT: Operation = Operation::new("showRecipientMessage", "Show a message as it was sent")
    .asks::<SentQuery>()
    .refuses(&[Kind::UnknownRecipient]);

/// `GET /v1/campaigns/{id}/recipients/{recipient}/message?channel=`.
pub(crate) async fn sent(
    Caller(tenant): Caller,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<RecipientView>, Problem> {
    let (campaign, recipient) = path
        .ok()
        .and_then(|Path((campaign, recipient))| Some((campaign.parse().ok()?, recipient.parse().ok())))
        .ok_or_else(Problem::unknown_campaign)?;
    let channel =
        read_channel(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    Ok(Json(of_recipient(&tenant, campaign, recipient, channel).await?))
}

/// What a recipient of a campaign got, or is to get, by channel.
pub(crate) async fn of_recipient(
    tenant: &Tenant,
    campaign: CampaignId,
    recipient: Option<i32>,
    channel: Option<Channel>,
) -> Result<RecipientView, Problem> {
    let unknown = || Problem::new(Kind::UnknownRecipient, "this campaign has no recipient of that number");
    // Of a discarded campaign nothing left, and it is on no list.
    if existing(tenant, campaign).await?.state == CampaignState::Discarded {
        return Err(Problem::unknown_campaign());
    }
    // Where a recipient's devices end is told by the next: there is none behind the last number.
    let recipient = recipient.filter(|number| *number < i32::MAX).ok_or_else(unknown)?;
    let addressee = tenant.recipient(campaign, recipient).await?.ok_or_else(unknown)?;
    let contents = tenant.contents(campaign).await?;
    Ok(RecipientView::of(addressee, &contents, channel))
}

fn read(request: Value) -> Result<(String, Value), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut rest = request.clone();
    let members = rest.as_object_mut();
    let person = members.and_then(|members| members.remove("person"));
    let mut only = serde_json::Map::new();
    if let Some(person) = person {
        only.insert("person".to_owned(), person);
    }
    // Whatever else is wrong is told with the campaign.
    let read = Field::root(Value::Object(only)).object(&mut faults).and_then(|mut fields| {
        fields
            .required("person", "give the source id of the person whose message is to be shown", &mut faults)
            .and_then(|field| field.text(NAME_CHARS_MAX, &mut faults))
    });
    faults.or(read.map(|person| (person, rest)))
}

fn read_channel(query: Option<&str>) -> Result<Option<Channel>, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let channel =
        fields.take("channel").and_then(|field| field.one_of(&Channel::ALL, Channel::as_str, &mut faults));
    fields.finish(&mut faults);
    faults.or(Some(channel))
}

impl RecipientView {
    fn of(addressee: Addressee, contents: &[Content], only: Option<Channel>) -> Self {
        let Addressee { name, student, language, values, channels } = addressee;
        let wanted = channels.into_iter().filter(|channel| only.is_none_or(|only| only == *channel));
        let messages = wanted
            .map(|channel| {
                MessageView::of(channel, content::message(contents, channel, language.as_deref(), &values))
            })
            .collect();
        Self { recipient: name, student, messages }
    }
}

impl MessageView {
    fn of(channel: Channel, message: Result<Message, content::NoMessage>) -> Self {
        match message {
            Ok(Message { language, subject, body, audio_url, attachments }) => {
                Self { channel, language, subject, body: Some(body), audio_url, attachments, fault: None }
            }
            Err(fault) => {
                let fault = Some(fault.to_string());
                let attachments = Vec::new();
                Self {
                    channel,
                    language: None,
                    subject: None,
                    body: None,
                    audio_url: None,
                    attachments,
                    fault,
                }
            }
        }
    }
}
