//! `/campaigns/{id}`: one campaign, and what it says.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use tocsin_domain::CampaignId;
use tocsin_domain::content::Content;

use super::access::Visitor;
use super::live::{Live, ReceiptFrom, read};
use super::page::{Refused, Shell, answer};
use super::plot;
use super::words;
use crate::cancel::REASON_CHARS_MAX;
use crate::server::Api;

#[derive(Template)]
#[template(path = "campaign.html")]
struct CampaignPage {
    shell: Shell,
    live: Live,
    texts: Vec<Text>,
    reason_chars_max: usize,
}

/// One text of the message.
pub(crate) struct Text {
    pub language: String,
    pub channel: &'static str,
    /// Where it is another than the campaign's.
    pub subject: Option<String>,
    pub body: Vec<Piece>,
    /// Of calls: the recording that is played in place of the body.
    pub audio_url: Option<String>,
}

/// Text, or a field that is filled in for each recipient.
pub(crate) enum Piece {
    Plain(String),
    Field(String),
}

/// `GET /campaigns/{id}`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id: CampaignId = id.parse().map_err(|_| Refused::unknown_campaign())?;
    let now = api.clock.now();
    let seen = read(&visitor.tenant, id, ReceiptFrom::Store, visitor.zone, now).await?;
    let seen = seen.ok_or_else(Refused::unknown_campaign)?;
    let drawn_of = plot::read(&visitor.tenant, id, seen.live.over, now).await?;
    let live = seen.drawn(&drawn_of, visitor.zone, now);
    let contents = visitor.tenant.contents(id).await?;
    let texts = Text::all(contents, &live.subject);
    let shell = Shell::new(&live.subject, &visitor.who, "");
    let page = CampaignPage { shell, live, texts, reason_chars_max: REASON_CHARS_MAX };
    Ok(answer(StatusCode::OK, &page))
}

/// The visitor's campaign of that id, or the page that says that there is none.
pub(crate) async fn existing(visitor: &Visitor, api: &Api, id: &str) -> Result<(Live, CampaignId), Refused> {
    let id: CampaignId = id.parse().map_err(|_| Refused::unknown_campaign())?;
    let seen = read(&visitor.tenant, id, ReceiptFrom::Store, visitor.zone, api.clock.now()).await?;
    Ok((seen.ok_or_else(Refused::unknown_campaign)?.live, id))
}

impl Text {
    pub fn all(contents: Vec<Content>, subject: &str) -> Vec<Self> {
        let one_for_all = contents.iter().all(|content| content.channel.is_none());
        let rest = if one_for_all { "All channels" } else { "All other channels" };
        contents.into_iter().map(|content| Self::of(content, rest, subject)).collect()
    }

    fn of(content: Content, rest: &'static str, campaign_subject: &str) -> Self {
        Self {
            language: content.language.as_deref().map_or("Default language", words::language).to_owned(),
            channel: content.channel.map_or(rest, words::channel),
            subject: content.subject.filter(|subject| subject != campaign_subject),
            body: pieces(&content.body),
            audio_url: content.audio_url,
        }
    }
}

fn pieces(body: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = body;
    while let Some((before, (field, after))) =
        rest.split_once("{{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
    {
        pieces.extend([Piece::Plain(before.to_owned()), Piece::Field(field.trim().to_owned())]);
        rest = after;
    }
    pieces.push(Piece::Plain(rest.to_owned()));
    pieces
}
