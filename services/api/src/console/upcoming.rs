//! `/upcoming`: what is scheduled, and what is in progress (requirements 2, 11, 13 and 29 to 36).

use std::collections::HashMap;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use tocsin_domain::recurrence::Recurrence;
use tocsin_domain::{CampaignId, CampaignState};
use tocsin_store::tenant::campaigns::lists::{Group, ListQuery, Listed, Sort};
use tocsin_store::tenant::progress::Progress;
use tocsin_store::tenant::upcoming::{Upcoming, UpcomingId, UpcomingQuery};
use uuid::Uuid;

use super::access::Visitor;
use super::bar::{Part, Results, parts, percent};
use super::page::{Count, Refused, Shell, answer};
use super::rows::{Choice, Schools, Whose, modes};
use super::when::{Stamp, Zone};
use super::words::{self, Tone};
use crate::fields::{Fault, Faults, Fields, named};
use crate::list_query::{page, read_filters};
use crate::page::{encode, read_cursor};
use crate::server::Api;

const ROWS_MAX: u32 = 25;
const TEXT_CHARS_MAX: usize = 255;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Scheduled,
    InProgress,
}

#[derive(Template)]
#[template(path = "upcoming.html")]
struct UpcomingPage {
    shell: Shell,
    tab: Tab,
    asked: Asked,
    schools: Vec<Choice>,
    rows: Vec<Row>,
    live: bool,
    further: bool,
    next: Option<String>,
}

/// What the query asks for.
#[derive(Debug, Clone)]
struct Asked {
    tab: Tab,
    whose: Whose,
    created_by: String,
    subject: String,
    school: String,
}

struct Row {
    link: String,
    subject: String,
    test: bool,
    number: String,
    /// Of a series, in words.
    recurrence: Option<String>,
    attachment: bool,
    modes: Vec<&'static str>,
    kind: String,
    urgent: bool,
    schools: String,
    by: String,
    modified: Option<(String, Option<Stamp>)>,
    verb: &'static str,
    at: Stamp,
    state: Option<(&'static str, Tone)>,
    progress: Option<Moving>,
    failure: Option<String>,
}

struct Moving {
    recipients: Count,
    devices: Count,
    percent: i64,
    parts: Vec<Part>,
}

impl Tab {
    const BOTH: [Self; 2] = [Self::Scheduled, Self::InProgress];

    fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::InProgress => "in-progress",
        }
    }
}

impl Asked {
    /// The query that leads to this tab and to these people's messages, with the same filters.
    fn query(&self, tab: Tab, whose: Whose) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("tab", tab.as_str()).append_pair("show", whose.as_str());
        let filters =
            [("created_by", &self.created_by), ("subject", &self.subject), ("school", &self.school)];
        for (name, value) in filters.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.finish()
    }

    fn filtered(&self) -> bool {
        !(self.created_by.is_empty() && self.subject.is_empty() && self.school.is_empty())
    }

    fn own(&self) -> bool {
        self.whose == Whose::Mine
    }
}

/// What is empty narrows nothing.
fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl UpcomingPage {
    fn tab(&self, tab: &str) -> String {
        let tab = if tab == "scheduled" { Tab::Scheduled } else { Tab::InProgress };
        self.asked.query(tab, self.asked.whose)
    }

    fn whose(&self, whose: &str) -> String {
        self.asked.query(self.tab, if whose == "mine" { Whose::Mine } else { Whose::All })
    }
}

/// `GET /upcoming?tab=&show=&created_by=&subject=&school=&cursor=`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let (asked, rest) = read_query(query.as_deref()).map_err(Refused::faulty)?;
    let now = api.clock.now();
    let schools = Schools::read(&visitor.tenant).await?;
    let (rows, next, live, further) = match asked.tab {
        Tab::Scheduled => scheduled(&visitor, &asked, rest, &schools, now).await?,
        Tab::InProgress => in_progress(&visitor, &asked, rest, &schools, now).await?,
    };
    let next = next.map(|cursor| format!("{}&cursor={cursor}", asked.query(asked.tab, asked.whose)));
    let shell = Shell::new("Upcoming messages", &visitor.who, "upcoming");
    let choices = schools.choices(&[&asked.school]);
    let page = UpcomingPage { shell, tab: asked.tab, asked, schools: choices, rows, live, further, next };
    Ok(answer(StatusCode::OK, &page))
}

type Found = (Vec<Row>, Option<String>, bool, bool);

async fn scheduled(
    visitor: &Visitor,
    asked: &Asked,
    mut rest: Fields,
    schools: &Schools,
    now: DateTime<Utc>,
) -> Result<Found, Refused> {
    let mut faults = Faults::default();
    let after = read_cursor(&mut rest, &mut faults, read_place);
    rest.finish(&mut faults);
    faults.or(Some(())).map_err(Refused::faulty)?;
    let query = UpcomingQuery {
        own: asked.own(),
        author: some(&asked.created_by),
        subject: some(&asked.subject),
        school: some(&asked.school),
        after,
        rows_max: ROWS_MAX + 1,
    };
    let mut found = visitor.tenant.upcoming(&query).await?;
    let more = found.len() > ROWS_MAX as usize;
    found.truncate(ROWS_MAX as usize);
    let next =
        found.last().filter(|_| more).map(|last| encode(&format!("{} {}", last.key(), last.at.to_rfc3339())));
    let rows = found.into_iter().map(|it| Row::scheduled(it, schools, visitor.zone, now)).collect();
    Ok((rows, next, false, after.is_some()))
}

fn read_place(text: &str) -> Option<(DateTime<Utc>, Uuid)> {
    let (id, at) = text.split_once(' ')?;
    Some((at.parse().ok()?, id.parse().ok()?))
}

async fn in_progress(
    visitor: &Visitor,
    asked: &Asked,
    mut rest: Fields,
    schools: &Schools,
    now: DateTime<Utc>,
) -> Result<Found, Refused> {
    let mut faults = Faults::default();
    let filters = read_filters(&mut rest, visitor.zone.zone(), &mut faults);
    rest.finish(&mut faults);
    faults.or(Some(())).map_err(Refused::faulty)?;
    let query = ListQuery {
        group: Some(Group::InProgress),
        own: asked.own(),
        author: some(&asked.created_by),
        subject: some(&asked.subject),
        school: some(&asked.school),
        sort: Sort::Created,
        campaigns_max: ROWS_MAX + 1,
        ..filters
    };
    let mut found = visitor.tenant.campaigns(&query, now).await?;
    let next = page(&query, &mut found, ROWS_MAX);
    let ids: Vec<CampaignId> = found.iter().map(|listed| listed.campaign.id).collect();
    let progress = visitor.tenant.progress(&ids).await?;
    let rows = found.into_iter().map(|it| Row::running(it, &progress, schools, visitor.zone, now)).collect();
    // New ones may come at any time, and those that are there move.
    Ok((rows, next, true, query.after.is_some()))
}

/// The filters, and what is left for the tab: its cursor.
fn read_query(query: Option<&str>) -> Result<(Asked, Fields), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let tab = match fields.take("tab") {
        None => Some(Tab::Scheduled),
        Some(field) => field.parsed(&mut faults, |text| named(text, &Tab::BOTH, Tab::as_str)),
    };
    let whose = match fields.take("show") {
        None => Some(Whose::Mine),
        Some(field) => field.parsed(&mut faults, |text| named(text, &Whose::BOTH, Whose::as_str)),
    };
    let mut text = |name| match fields.take(name) {
        None => Some(String::new()),
        Some(field) => field.parsed(&mut faults, |text| match text.chars().count() > TEXT_CHARS_MAX {
            true => Err(format!("is longer than {TEXT_CHARS_MAX} characters: give a part of it")),
            false => Ok(text.trim().to_owned()),
        }),
    };
    let (created_by, subject, school) = (text("created_by"), text("subject"), text("school"));
    let asked = (|| {
        let (tab, whose) = (tab?, whose?);
        Some(Asked { tab, whose, created_by: created_by?, subject: subject?, school: school? })
    })();
    faults.or(asked.map(|asked| (asked, fields)))
}

impl Row {
    fn scheduled(it: Upcoming, schools: &Schools, zone: Zone, now: DateTime<Utc>) -> Self {
        let (link, mark) = match it.id {
            UpcomingId::Campaign(id) => (format!("/campaigns/{id}"), "#"),
            UpcomingId::Series(id) => (format!("/series/{id}"), "Series "),
        };
        let recurrence = it.recurrence.map(|written| {
            serde_json::from_value::<Recurrence>(written)
                .map_or_else(|_| "recurs".to_owned(), |it| it.to_string())
        });
        let verb = if recurrence.is_some() { "next" } else { "for" };
        Self {
            link,
            number: format!("{mark}{}", it.number),
            recurrence,
            attachment: it.attachment,
            modes: modes(&it.channels),
            kind: words::message_type(&it.message_type),
            urgent: it.message_type == "emergency",
            schools: schools.named(it.schools.as_deref()),
            by: it.created_by,
            modified: it.modified_by.map(|by| (by, it.modified_at.map(|at| zone.stamp(at, now)))),
            verb,
            at: zone.stamp(it.at, now),
            state: None,
            progress: None,
            failure: None,
            test: it.test,
            subject: it.subject,
        }
    }

    fn running(
        it: Listed,
        progress: &HashMap<CampaignId, Progress>,
        schools: &Schools,
        zone: Zone,
        now: DateTime<Utc>,
    ) -> Self {
        let campaign = it.campaign;
        let moving = |it: &Progress| Moving {
            recipients: Count(it.recipients),
            devices: Count(it.devices),
            percent: percent(it.devices - it.open, it.devices),
            parts: parts(Results {
                successful: it.successful,
                error: it.error,
                canceled: it.canceled,
                not_sent: it.not_dispatched,
                open: it.open,
            }),
        };
        let (verb, at) = match (campaign.state, campaign.ended_at, campaign.started_at) {
            (CampaignState::Failed, Some(ended_at), _) => ("failed", ended_at),
            (_, _, Some(started_at)) => ("started", started_at),
            _ => ("created", campaign.created_at),
        };
        Self {
            link: format!("/campaigns/{}", campaign.id),
            number: format!("#{}", campaign.number),
            recurrence: campaign.series.map(|_| "part of a series".to_owned()),
            attachment: it.attachment,
            modes: modes(&campaign.channels),
            kind: words::message_type(&campaign.message_type),
            urgent: campaign.lane == tocsin_domain::Lane::Emergency,
            schools: schools.of_audience(&campaign.audience),
            by: campaign.created_by,
            modified: campaign.modified_by.map(|by| (by, campaign.modified_at.map(|at| zone.stamp(at, now)))),
            verb,
            at: zone.stamp(at, now),
            state: Some(words::state(campaign.state)),
            progress: progress.get(&campaign.id).filter(|it| it.devices > 0).map(moving),
            failure: campaign.failure_reason,
            test: campaign.test,
            subject: campaign.subject,
        }
    }
}
