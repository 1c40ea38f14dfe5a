//! `/campaigns/{id}`: one campaign, and what it says.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use tocsin_domain::CampaignId;
use tocsin_domain::attachment::{Attachment, size_in_words};
use tocsin_domain::content::Content;
use uuid::Uuid;

use super::access::Visitor;
use super::live::{Live, ReceiptFrom, read};
use super::page::{Refused, Shell, answer};
use super::plot;
use super::words;
use crate::cancel::REASON_CHARS_MAX;
use crate::problem::Problem;
use crate::server::Api;
use crate::{attachments, campaigns};

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
    /// Of emails and inbox messages.
    pub files: Vec<ShownFile>,
}

/// A file of a message.
pub(crate) struct ShownFile {
    pub id: Uuid,
    pub path: String,
    pub name: String,
    pub size: String,
}

impl ShownFile {
    pub fn of(file: &Attachment) -> Self {
        let path = format!("/attachments/{}", file.id);
        Self { id: file.id, path, name: file.name.clone(), size: size_in_words(file.bytes) }
    }
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
    let mut texts = Text::all(contents, &live.subject);
    // Whoever sees the message sees its files, without a right to send.
    for file in texts.iter_mut().flat_map(|text| &mut text.files) {
        file.path = format!("/campaigns/{id}/attachments/{}", file.id);
    }
    let shell = Shell::new(&live.subject, &visitor.who, "");
    let page = CampaignPage { shell, live, texts, reason_chars_max: REASON_CHARS_MAX };
    Ok(answer(StatusCode::OK, &page))
}

/// `GET /campaigns/{id}/attachments/{attachment}`: to be saved.
pub(crate) async fn attachment(
    visitor: Visitor,
    Path((id, file)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let id: CampaignId = id.parse().map_err(|_| Refused::unknown_campaign())?;
    campaigns::existing(&visitor.tenant, id).await?;
    Ok(attachments::download(&visitor.tenant, id, &file).await?)
}

/// `GET /attachments/{attachment}`: for whoever writes a message with it, or approves one.
pub(crate) async fn upload(visitor: Visitor, Path(file): Path<String>) -> Result<Response, Refused> {
    let id: Vec<Uuid> = file.parse().into_iter().collect();
    let found = visitor.tenant.attachments(&id).await.map_err(Problem::from)?;
    let file = found.into_iter().next().ok_or_else(attachments::unknown_attachment)?;
    Ok(attachments::respond(&visitor.tenant, file))
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
            files: content.attachments.iter().map(ShownFile::of).collect(),
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
