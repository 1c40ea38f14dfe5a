//! The last look before a message is sent: whom it reaches, how long that takes, what it says, and a button that says
//! what it will do.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use tocsin_domain::content::{Content, choose};
use tocsin_domain::recurrence::Recurrence;
use tocsin_domain::{CampaignId, Channel};
use tocsin_store::tenant::campaigns::NewCampaign;
use uuid::Uuid;

use super::draft::{Draft, When};
use super::testing::TEST_KEY;
use super::{Target, is_told, refused, request, segments_in_words};
use crate::campaigns::{valid, validated};
use crate::console::access::Visitor;
use crate::console::detail::Text;
use crate::console::page::{Count, Refused, Shell, answer};
use crate::console::rows::{Schools, modes};
use crate::console::when::{Length, reading};
use crate::console::words;
use crate::forecast::{self, ForecastView};
use crate::problem::Problem;
use crate::server::Api;
use crate::{second_person, series};

#[derive(Template)]
#[template(path = "review.html")]
struct ReviewPage {
    shell: Shell,
    target: Target,
    draft: Draft,
    subject: String,
    kind: String,
    urgent: bool,
    modes: Vec<&'static str>,
    calendars: String,
    whom: String,
    each_student: bool,
    when: String,
    zone: &'static str,
    counts: Counts,
    texts: Vec<Text>,
    /// A line for each text that goes out as one.
    segments: Vec<String>,
    button: String,
    /// It goes out only after another person has said yes.
    second_person: bool,
    /// How many people a test goes to; of what is edited none is offered.
    test_people: usize,
    /// That was just sent.
    test: Option<CampaignId>,
}

/// Whom a message would reach now, and how long it would take.
pub(in crate::console) struct Counts {
    pub recipients: Count,
    pub no_device: Count,
    pub channels: Vec<ChannelCount>,
    /// In words.
    pub time: Option<String>,
    pub notes: Vec<String>,
}

pub(in crate::console) struct ChannelCount {
    pub name: &'static str,
    pub devices: Count,
    pub to_be_tried: Count,
    pub duplicates: Count,
    /// Opted out, not opted in, suppressed.
    pub barred: Count,
    pub waiting: Count,
}

/// What a draft would send first, and its recurrence.
struct Planned {
    campaign: NewCampaign,
    recurrence: Option<Recurrence>,
}

/// What is looked at once more, and the test of it that was just sent.
pub(super) struct Look {
    pub target: Target,
    pub draft: Draft,
    pub test: Option<CampaignId>,
}

/// `POST …` with the action `review`: the review, or the form with its faults.
pub(super) async fn review(visitor: &Visitor, api: &Api, look: Look) -> Result<Response, Refused> {
    let Look { target, mut draft, test } = look;
    let planned = match planned(visitor, api, target, &draft).await {
        Ok(planned) => planned,
        Err(problem) if is_told(&problem) => return refused(visitor, target, draft, &problem).await,
        Err(problem) => return Err(problem.into()),
    };
    let campaign = &planned.campaign;
    let now = api.clock.now();
    let counts = Counts::of(&forecast::of(&visitor.tenant, campaign, reading(now)).await?);
    let schools = Schools::read(&visitor.tenant).await?;
    let at = visitor.zone.stamp(campaign.scheduled_at, now).text;
    let people = match counts.recipients {
        Count(1) => "1 person".to_owned(),
        many => format!("{many} people"),
    };
    let (when, button) = match (&planned.recurrence, draft.when()) {
        (Some(recurrence), _) => {
            let when = format!("{recurrence}. The first: {at}");
            (when, format!("Start the series, first to {people}"))
        }
        (None, When::At) => (at.clone(), format!("Schedule for {at}, to {people}")),
        (None, When::Now | When::Recurring) => ("Now".to_owned(), format!("Send to {people} now")),
    };
    let button = match (target, draft.when()) {
        (Target::New, _) => button,
        (Target::Campaign(_), When::At) => format!("Update: {at}, to {people}"),
        (Target::Campaign(_), When::Now | When::Recurring) => button,
        (Target::Series(_), _) => "Update the series".to_owned(),
        (Target::NewTemplate | Target::Template(_), _) => "Save the template".to_owned(),
    };
    let second_person = target == Target::New
        && planned.recurrence.is_none()
        && second_person::is_needed(&visitor.tenant, campaign.lane, &campaign.audience).await?;
    let button = if second_person { format!("Ask a second person to send to {people}") } else { button };
    let test_people = match target {
        Target::New => visitor.tenant.sending_policy().await?.test_people.len(),
        Target::Campaign(_) | Target::Series(_) | Target::NewTemplate | Target::Template(_) => 0,
    };
    draft.set(TEST_KEY, &Uuid::now_v7().to_string());
    let segments = text_segments(campaign);
    let page = ReviewPage {
        shell: Shell::new("Review", &visitor.who, "compose"),
        target,
        subject: campaign.subject.clone(),
        kind: words::message_type(&campaign.message_type),
        urgent: draft.is_emergency(),
        modes: modes(&campaign.channels),
        calendars: schools.of_audience(&campaign.audience),
        whom: words::audience(&campaign.audience),
        each_student: draft.has("each_student", "yes"),
        when,
        zone: visitor.zone.name(),
        counts,
        segments,
        texts: Text::all(campaign.contents.clone(), &campaign.subject),
        button,
        second_person,
        test_people,
        test,
        draft,
    };
    Ok(answer(StatusCode::OK, &page))
}

/// A line for each text that goes out as one: what is chosen for some language.
fn text_segments(campaign: &NewCampaign) -> Vec<String> {
    if !campaign.channels.contains(&Channel::Sms) {
        return Vec::new();
    }
    let spoken = campaign.contents.iter().filter_map(|content| content.language.as_deref());
    let mut chosen: Vec<&Content> = Vec::new();
    for language in std::iter::once(None).chain(spoken.map(Some)) {
        if let Some(found) = choose(&campaign.contents, Channel::Sms, language)
            && !chosen.iter().any(|known| std::ptr::eq(*known, found))
        {
            chosen.push(found);
        }
    }
    let line = |content: &&Content| {
        let language = content.language.as_deref().map_or("Default language", words::language);
        format!("{language}: {}", segments_in_words(&content.body))
    };
    chosen.iter().map(line).collect()
}

/// Whom the draft would reach now. What it says may still be missing.
pub(super) async fn counted(
    visitor: &Visitor,
    api: &Api,
    target: Target,
    draft: &Draft,
) -> Result<Counts, Problem> {
    let mut draft = draft.clone();
    for (name, stand_in) in [("subject", "–"), ("body", "–")] {
        if draft.text(name).trim().is_empty() {
            draft.set(name, stand_in);
        }
    }
    let planned = planned(visitor, api, target, &draft).await?;
    Ok(Counts::of(&forecast::of(&visitor.tenant, &planned.campaign, reading(api.clock.now())).await?))
}

/// What is edited keeps the right to its type; whether another may be chosen is said when it is sent.
async fn planned(visitor: &Visitor, api: &Api, target: Target, draft: &Draft) -> Result<Planned, Problem> {
    let (tenant, now) = (&visitor.tenant, api.clock.now());
    let members = request(visitor, draft)?;
    if draft.when() != When::Recurring {
        let campaign = match target {
            Target::Campaign(_) | Target::Series(_) => valid(tenant, Value::Object(members), now).await?,
            Target::New | Target::NewTemplate | Target::Template(_) => {
                validated(tenant, Value::Object(members), now).await?
            }
        };
        let campaign = campaign.into_campaign(String::new(), Vec::new(), now);
        return Ok(Planned { campaign, recurrence: None });
    }
    let read = match target {
        Target::Campaign(_) | Target::Series(_) => series::valid(tenant, Value::Object(members), now).await?,
        Target::New | Target::NewTemplate | Target::Template(_) => {
            series::validated(tenant, Value::Object(members), now).await?
        }
    };
    let campaign = read.first();
    Ok(Planned { campaign, recurrence: Some(read.content.recurrence) })
}

/// A note of a channel begins with its name, which the console has another word for.
fn in_words(note: &str) -> String {
    let of_channel = |channel: Channel| {
        let about = note.strip_prefix(channel.as_str())?.strip_prefix(": ")?;
        Some(format!("{}: {about}", words::channel(channel)))
    };
    Channel::ALL.into_iter().find_map(of_channel).unwrap_or_else(|| note.to_owned())
}

impl Counts {
    pub fn of(found: &ForecastView) -> Self {
        let count = |number: u64| Count(i64::try_from(number).unwrap_or(i64::MAX));
        let channel = |(channel, view): (&Channel, &forecast::ChannelView)| {
            let totals = view.totals;
            ChannelCount {
                name: words::channel(*channel),
                devices: count(view.devices),
                to_be_tried: count(totals.to_be_tried),
                duplicates: count(totals.duplicates),
                barred: count(totals.opted_out + totals.not_opted_in + totals.suppressed),
                waiting: count(totals.waiting_for_window),
            }
        };
        let about = |it: Option<forecast::Percentiles>| it.map(|it| (Length(it.p50), Length(it.p90)));
        let times =
            (about(found.times.seconds_to_last_first_attempt), about(found.times.seconds_to_completion));
        let time = match times {
            (Some((first, _)), Some((done, late))) => Some(format!(
                "Everybody is tried once in about {first}, and all is done in about {done}, at most likely {late}."
            )),
            (Some((first, late)), None) => {
                Some(format!("Everybody is tried once in about {first}, at most likely {late}."))
            }
            (None, _) => None,
        };
        Self {
            recipients: count(found.recipients),
            no_device: count(found.no_device),
            channels: found.by_channel.iter().map(channel).collect(),
            time,
            notes: found.notes.iter().map(|note| in_words(note)).collect(),
        }
    }
}
