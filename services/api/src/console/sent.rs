//! `/people/{person}/communications/{campaign}/{recipient}`: a message as it was sent (requirement 172).

use askama::Template;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::response::Response;
use tocsin_domain::{CampaignId, Channel};

use super::access::Visitor;
use super::page::{Refused, Shell, answer};
use super::person::{Heading, existing};
use super::words;
use crate::fields::{Faults, Fields};
use crate::messages::{MessageView, of_recipient};
use crate::needs;

#[derive(Template)]
#[template(path = "sent.html")]
struct SentPage {
    shell: Shell,
    who: Heading,
    campaign: CampaignId,
    recipient: String,
    student: Option<String>,
    messages: Vec<Shown>,
}

struct Shown {
    channel: &'static str,
    language: Option<String>,
    message: MessageView,
}

/// `GET /people/{person}/communications/{campaign}/{recipient}?channel=`.
pub(crate) async fn show(
    visitor: Visitor,
    Path((source_id, campaign, recipient)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let person = existing(&visitor, &source_id).await?;
    let campaign: CampaignId = campaign.parse().map_err(|_| Refused::unknown_campaign())?;
    if !needs::sees(&visitor.tenant, campaign).await? {
        return Err(Refused::unknown_campaign());
    }
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query.as_deref(), &mut faults);
    let channel =
        fields.take("channel").and_then(|field| field.one_of(&Channel::ALL, Channel::as_str, &mut faults));
    fields.finish(&mut faults);
    let channel = faults.or(Some(channel)).map_err(Refused::faulty)?;
    let sent = of_recipient(&visitor.tenant, campaign, recipient.parse().ok(), channel).await?;
    let who = Heading::of(&person);
    let messages = sent.messages.into_iter().map(|message| Shown {
        channel: words::channel(message.channel),
        language: message.language.as_deref().map(|tag| words::language(tag).to_owned()),
        message,
    });
    let page = SentPage {
        shell: Shell::new(format!("Message to {}", sent.recipient), &visitor.who, "people"),
        who,
        campaign,
        recipient: sent.recipient,
        student: sent.student,
        messages: messages.collect(),
    };
    Ok(answer(StatusCode::OK, &page))
}
