//! `/compose`: who, how, what and when, then a review that says what the button will do. An emergency is one screen.
//!
//! What was typed travels from step to step within the form, so that nothing is lost and nothing is stored before it is
//! sent. The key is drawn with the form: pressing twice makes one campaign.

pub(in crate::console) mod attaching;
mod complaints;
pub(in crate::console) mod draft;
pub(crate) mod editing;
pub(crate) mod reach;
pub(super) mod review;
pub(crate) mod templating;
mod testing;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Value, json};
use tocsin_domain::rights::Right;
use tocsin_domain::segments::Encoding;
use tocsin_domain::{CampaignId, Channel, SeriesId};
use tocsin_store::Tenant;
use tocsin_store::tenant::templates::TemplateContent;
use uuid::Uuid;

pub(crate) use self::attaching::body_limit;
use self::complaints::{Complaint, complaints};
use self::draft::{Draft, When, field_of};
use self::review::{Counts, Look, counted, review};
use self::testing::TEST_KEY;
use super::access::Visitor;
use super::detail::ShownFile;
use super::page::{Refused, Shell, answer};
use super::rows::{Choice, Schools, message_types_of};
use super::sign_in::field;
use super::words;
use crate::campaigns::Submitted;
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::{WrittenCampaign, written};
use crate::{campaigns, forecast, series, templates};

/// Templates that the form offers.
const TEMPLATES_MAX: u32 = 200;

/// What the form is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    New,
    Campaign(CampaignId),
    Series(SeriesId),
    NewTemplate,
    Template(Uuid),
}

#[derive(Template)]
#[template(path = "compose.html")]
struct ComposePage {
    shell: Shell,
    target: Target,
    draft: Draft,
    faults: Vec<Complaint>,
    kinds: Vec<Choice>,
    /// May it be an emergency?
    may_alarm: bool,
    schools: Vec<Choice>,
    grades: Vec<Choice>,
    templates: Vec<Choice>,
    counts: Option<Counts>,
    /// Files that are attached.
    files: Vec<ShownFile>,
    zone: &'static str,
    /// Of an emergency on one screen: does one to the whole district wait for a second person?
    second_person: bool,
}

/// One language's fields: their names, what they hold, and how many segments its text has.
struct LanguageFields {
    at: usize,
    texts: Vec<ChannelField>,
}

struct ChannelField {
    name: String,
    label: String,
    value: String,
    /// Of the ones that texts are made of.
    segments: Option<String>,
}

impl Target {
    fn path(self) -> String {
        match self {
            Self::New => "/compose".to_owned(),
            Self::Campaign(id) => format!("/campaigns/{id}/edit"),
            Self::Series(id) => format!("/series/{id}/edit"),
            Self::NewTemplate => "/templates/new".to_owned(),
            Self::Template(id) => format!("/templates/{id}"),
        }
    }

    /// Where whoever gives up goes.
    fn back(self) -> String {
        match self {
            Self::New => "/upcoming".to_owned(),
            Self::Campaign(id) => format!("/campaigns/{id}"),
            Self::Series(id) => format!("/series/{id}"),
            Self::NewTemplate | Self::Template(_) => "/templates".to_owned(),
        }
    }

    fn is_template(self) -> bool {
        matches!(self, Self::NewTemplate | Self::Template(_))
    }

    fn title(self) -> &'static str {
        match self {
            Self::New => "Compose a message",
            Self::Campaign(_) => "Edit the message",
            Self::Series(_) => "Edit the series",
            Self::NewTemplate => "New template",
            Self::Template(_) => "Edit the template",
        }
    }
}

impl ComposePage {
    async fn new(visitor: &Visitor, target: Target, mut draft: Draft) -> Result<Self, Refused> {
        draft.set(TEST_KEY, &Uuid::now_v7().to_string());
        let schools = Schools::read(&visitor.tenant).await?;
        let grades = visitor.tenant.grades().await?;
        let templates = match target {
            Target::New => visitor.tenant.templates(None, TEMPLATES_MAX).await?,
            Target::Campaign(_) | Target::Series(_) | Target::NewTemplate | Target::Template(_) => Vec::new(),
        };
        let template = |it: tocsin_store::tenant::templates::Template| Choice {
            value: it.id.to_string(),
            chosen: draft.text("template") == it.id.to_string(),
            name: it.content.name,
        };
        let grade = |it: String| Choice { chosen: draft.has("grade", &it), name: it.clone(), value: it };
        let files = attaching::shown(visitor, &draft).await?;
        let second_person = draft.is_one_screen() && visitor.tenant.sending_policy().await?.second_person;
        let title = if draft.is_one_screen() { "Send an emergency" } else { target.title() };
        Ok(Self {
            shell: Shell::new(
                title,
                &visitor.who,
                if target.is_template() { "templates" } else { "compose" },
            ),
            target,
            kinds: message_types_of(&visitor.tenant, draft.text("message_type")),
            may_alarm: visitor.tenant.may(Right::SendEmergency),
            schools: schools.choices(&draft.all("school")),
            grades: grades.into_iter().map(grade).collect(),
            templates: templates.into_iter().map(template).collect(),
            draft,
            faults: Vec::new(),
            counts: None,
            files,
            zone: visitor.zone.name(),
            second_person,
        })
    }

    /// The ids of what is wrong with a field, for `aria-describedby`.
    fn described(&self, field: &str) -> Option<String> {
        let about = self.faults.iter().enumerate().filter(|(_, fault)| fault.field == field);
        let ids: Vec<_> = about.map(|(at, _)| format!("fault-{at}")).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }

    /// The faults of a field with their places, to stand beside it.
    fn faults_of(&self, field: &str) -> Vec<(usize, &Complaint)> {
        self.faults.iter().enumerate().filter(|(_, fault)| fault.field == field).collect()
    }

    fn channels(&self) -> Vec<(&'static str, &'static str)> {
        [Channel::Inbox, Channel::Email, Channel::Voice, Channel::Sms]
            .map(|channel| (channel.as_str(), words::channel(channel)))
            .into()
    }

    fn languages(&self) -> Vec<LanguageFields> {
        (0..=self.draft.languages()).map(|at| LanguageFields { at, texts: self.texts(at) }).collect()
    }

    fn texts(&self, at: usize) -> Vec<ChannelField> {
        let label = |name: &str, label: &str| {
            let value = self.draft.of_language(name, at).to_owned();
            let counts = matches!(name, "body" | "sms");
            let segments = (counts && !value.is_empty()).then(|| segments_in_words(&value));
            ChannelField { name: field_of(name, at), label: label.to_owned(), value, segments }
        };
        vec![
            label("sms", "Text"),
            label("voice", "Voice, as it is spoken"),
            label("email", "Email"),
            label("inbox", "Inbox"),
        ]
    }

    fn body_segments(&self, at: &usize) -> String {
        let body = self.draft.of_language("body", *at);
        if body.is_empty() { String::new() } else { segments_in_words(body) }
    }

    fn has_own_texts(&self, at: &usize) -> bool {
        let names = ["sms", "voice", "email", "inbox", "audio_url"];
        names.into_iter().any(|name| !self.draft.of_language(name, *at).is_empty())
    }

    fn field(&self, name: &str, at: usize) -> String {
        field_of(name, at)
    }

    fn is_series(&self) -> bool {
        matches!(self.target, Target::Series(_))
    }

    fn is_campaign(&self) -> bool {
        matches!(self.target, Target::Campaign(_))
    }

    fn language_names(&self) -> Vec<(&'static str, &'static str)> {
        words::LANGUAGES.map(|tag| (tag, words::language(tag))).into()
    }

    fn checked(&self, name: &str, value: &str) -> &'static str {
        if self.draft.has(name, value) { " checked" } else { "" }
    }

    fn selected(&self, name: &str, value: &str) -> &'static str {
        if self.draft.text(name) == value { " selected" } else { "" }
    }

    fn weekdays(&self) -> [(&'static str, &'static str); 7] {
        [
            ("mo", "Monday"),
            ("tu", "Tuesday"),
            ("we", "Wednesday"),
            ("th", "Thursday"),
            ("fr", "Friday"),
            ("sa", "Saturday"),
            ("su", "Sunday"),
        ]
    }
}

impl Draft {
    /// An emergency is chosen, written and sent on one screen.
    fn is_one_screen(&self) -> bool {
        self.has("one_screen", "yes")
    }

    fn emergency() -> Self {
        let mut draft = Self::new();
        draft.set("message_type", "emergency");
        draft.set("one_screen", "yes");
        draft.add("role", "staff");
        for channel in Channel::ALL {
            draft.add("channel", channel.as_str());
        }
        draft
    }
}

/// How many segments a text takes, and what kind they are: what it costs.
fn segments_in_words(body: &str) -> String {
    let found = forecast::text_segments(body);
    let (kind, alone, joined) = match found.encoding {
        Encoding::Gsm7 => ("plain letters", 160, 153),
        Encoding::Ucs2 => ("special letters", 70, 67),
    };
    match found.count {
        1 => format!("As a text: 1 segment ({kind}, up to {alone} characters)"),
        more => format!("As a text: {more} segments, each is paid ({kind}, {joined} characters each)"),
    }
}

/// `GET /compose?template=&emergency=`.
pub(crate) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Refused> {
    let query = query.unwrap_or_default();
    let mut draft = match field(query.as_bytes(), "emergency") {
        Some(_) => Draft::emergency(),
        None => Draft::new(),
    };
    if let Some(id) = field(query.as_bytes(), "template").and_then(|id| id.parse().ok()) {
        let template = templates::existing(&visitor.tenant, id).await?;
        draft = of_template(&template.content, &visitor);
        draft.set("template", &id.to_string());
    }
    Ok(answer(StatusCode::OK, &ComposePage::new(&visitor, Target::New, draft).await?))
}

/// A message of it, or the form of the template itself.
fn of_template(content: &TemplateContent, visitor: &Visitor) -> Draft {
    let everybody = tocsin_domain::audience::Audience { all: true, ..Default::default() };
    let mut members = written(WrittenCampaign {
        subject: &content.subject,
        message_type: &content.message_type,
        channels: &content.channels,
        mode: Default::default(),
        audience: content.audience.as_ref().unwrap_or(&everybody),
        contents: &content.contents,
        redial: None,
        calling_window: None,
        limits: &Default::default(),
        expires_in: Default::default(),
    });
    members.remove("expires_in_seconds");
    Draft::of_request(&members, visitor.zone.zone())
}

/// `POST /compose` with `action`.
pub(crate) async fn post(
    visitor: Visitor,
    State(api): State<Api>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    step(&visitor, &api, Target::New, &headers, &body).await
}

/// One step of the form, whatever it is for.
async fn step(
    visitor: &Visitor,
    api: &Api,
    target: Target,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Refused> {
    let (mut draft, action, file) = match attaching::read(headers, body) {
        Some(sent) => sent,
        None => (Draft::of_form(body), field(body, "action").unwrap_or_default(), None),
    };
    match action.as_str() {
        "attach" => return attaching::attach(visitor, api, target, draft, file).await,
        "send" => return send(visitor, api, target, draft).await,
        "review" => return review(visitor, api, Look { target, draft, test: None }).await,
        "test" if target == Target::New => return testing::send(visitor, api, draft).await,
        "count" => {
            let counts = match counted(visitor, api, target, &draft).await {
                Ok(counts) => counts,
                Err(problem) => return refused(visitor, target, draft, &problem).await,
            };
            let page =
                ComposePage { counts: Some(counts), ..ComposePage::new(visitor, target, draft).await? };
            return Ok(answer(StatusCode::OK, &page));
        }
        "add_language" => draft.add_language(),
        other => {
            if let Some(at) = other.strip_prefix("remove_language_").and_then(|at| at.parse().ok()) {
                draft.remove_language(at);
            }
            if let Some(file) = other.strip_prefix("detach_") {
                draft.take_out(draft::ATTACHED, file);
            }
        }
    }
    Ok(answer(StatusCode::OK, &ComposePage::new(visitor, target, draft).await?))
}

/// The form again with all that was typed, and its faults.
async fn refused(
    visitor: &Visitor,
    target: Target,
    draft: Draft,
    problem: &Problem,
) -> Result<Response, Refused> {
    let texts = draft.request(visitor.zone.zone()).texts;
    let faults = match problem.errors() {
        [] if problem.kind() == Kind::NameTaken => vec![Complaint::name_taken()],
        [] => vec![Complaint::general(problem)],
        faults => complaints(faults, &texts),
    };
    let page = ComposePage { faults, ..ComposePage::new(visitor, target, draft).await? };
    Ok(answer(problem.status(), &page))
}

/// Makes or changes what the form says, and leads there.
async fn send(visitor: &Visitor, api: &Api, target: Target, draft: Draft) -> Result<Response, Refused> {
    if draft.is_one_screen() && !draft.has("sure", "yes") {
        let faults = vec![Complaint::unsure()];
        let page = ComposePage { faults, ..ComposePage::new(visitor, target, draft).await? };
        return Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let made = match request(visitor, &draft) {
        Ok(members) => carry_out(visitor, api, target, &draft, members).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(path) => Ok(Redirect::to(&path).into_response()),
        Err(problem) if is_told(&problem) => refused(visitor, target, draft, &problem).await,
        Err(problem) => Err(problem.into()),
    }
}

/// Is it told on the form, where nothing that was typed is lost? Of what was away for a moment the form may be there again.
fn is_told(problem: &Problem) -> bool {
    problem.status().is_client_error() || problem.kind() == Kind::Unavailable
}

async fn carry_out(
    visitor: &Visitor,
    api: &Api,
    target: Target,
    draft: &Draft,
    mut members: serde_json::Map<String, Value>,
) -> Result<String, Problem> {
    let tenant: &Tenant = &visitor.tenant;
    let version = draft.text("version").parse().unwrap_or_default();
    match target {
        Target::New => {
            members.insert("created_by".to_owned(), json!(visitor.actor));
            let (key, request) = (draft.text("key").to_owned(), Value::Object(members));
            if draft.when() == When::Recurring {
                let (id, _) = series::submit(api, tenant, key, request).await?;
                return Ok(format!("/series/{id}"));
            }
            Ok(match campaigns::submit(api, tenant, key, request).await? {
                Submitted::Campaign(id, _) => format!("/campaigns/{id}"),
                Submitted::Asked(asked) => format!("/approvals/{}", asked.id),
            })
        }
        Target::Campaign(id) => {
            // Without a time it is sent now.
            members.entry("scheduled_at").or_insert(Value::Null);
            let by = visitor.actor.clone();
            let changes = crate::editing::Changes { version, by, members };
            crate::editing::carry_out(api, tenant, id, changes).await?;
            Ok(format!("/campaigns/{id}"))
        }
        Target::Series(id) => {
            let by = visitor.actor.clone();
            let changes = crate::editing::Changes { version, by, members };
            series::edit_order(api, tenant, id, &changes).await?;
            Ok(format!("/series/{id}"))
        }
        Target::NewTemplate => templating::make(api, tenant, draft, members).await,
        Target::Template(id) => templating::change(api, tenant, id, draft, members).await,
    }
}

/// The members of the request, or the faults that no request can be made of.
fn request(visitor: &Visitor, draft: &Draft) -> Result<serde_json::Map<String, Value>, Problem> {
    let request = draft.request(visitor.zone.zone());
    if request.faults.is_empty() {
        return Ok(request.members);
    }
    Err(Problem::faulty(Kind::InvalidBody, request.faults))
}

/// `POST /compose/segments` with `body`: what a text costs, while it is written.
pub(crate) async fn segments(_visitor: Visitor, body: Bytes) -> Response {
    let text = field(&body, "body").unwrap_or_default().replace("\r\n", "\n");
    let words = if text.is_empty() { String::new() } else { segments_in_words(&text) };
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], words).into_response()
}
