//! `/log`: the Sent Message Log (requirements 16, 37 to 46).

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use tocsin_domain::CampaignState;
use tocsin_store::tenant::campaigns::lists::{Direction, Group, ListQuery, Listed, Sort};

use super::access::Visitor;
use super::page::{Refused, Shell, answer};
use super::rows::{Choice, Schools, Whose, message_types, modes};
use super::when::{Stamp, Zone};
use super::words::{self, Tone};
use crate::fields::{Fault, Faults, Fields, named};
use crate::list_query::{direction_name, page, read_filters};
use crate::server::Api;

const ROWS_MAX: u32 = 50;
/// The fields of the filter, by their names in the query.
const FILTERS: [&str; 7] = ["number", "from", "to", "school", "subject", "created_by", "message_type"];

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    shell: Shell,
    whose: Whose,
    typed: Typed,
    faults: Vec<Fault>,
    schools: Vec<Choice>,
    kinds: Vec<Choice>,
    columns: Vec<Column>,
    rows: Vec<Row>,
    further: bool,
    next: Option<String>,
}

/// What the filter's fields hold, as it was typed.
#[derive(Debug, Clone)]
struct Typed(Vec<(&'static str, String)>);

/// A header that sorts.
struct Column {
    name: &'static str,
    class: &'static str,
    /// None: it is not sorted by.
    link: Option<String>,
    /// `ascending`, `descending`, or empty.
    sorted: &'static str,
}

struct Row {
    link: String,
    number: i64,
    date: Stamp,
    calendars: String,
    subject: String,
    /// Did it go to the district's test people?
    test: bool,
    by: String,
    kind: String,
    urgent: bool,
    modes: Vec<&'static str>,
    attachment: bool,
    recurring: bool,
    status: (&'static str, Tone),
}

impl Typed {
    fn of(query: Option<&str>) -> Self {
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        let value = |name: &str| pairs.iter().find(|(is, _)| is == name).map(|(_, value)| value.clone());
        Self(FILTERS.map(|name| (name, value(name).unwrap_or_default())).into())
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(is, _)| *is == name).map_or("", |(_, value)| value)
    }

    fn any(&self) -> bool {
        self.0.iter().any(|(_, value)| !value.is_empty())
    }

    fn query(&self, whose: Whose, sort: Sort, direction: Direction) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("show", whose.as_str());
        for (name, value) in self.0.iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.append_pair("sort", sort.as_str()).append_pair("order", direction_name(direction));
        query.finish()
    }
}

impl LogPage {
    fn whose(&self, whose: &str) -> String {
        let whose = if whose == "mine" { Whose::Mine } else { Whose::All };
        self.typed.query(whose, Sort::Date, Direction::Descending)
    }

    fn fault_of(&self, field: &str) -> Option<String> {
        let fault = self.faults.iter().find(|fault| fault.field == field)?;
        Some(format!("This {}.", fault.reason))
    }
}

/// `GET /log?show=&number=&from=&to=&school=&subject=&created_by=&message_type=&sort=&order=&cursor=`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let now = api.clock.now();
    let typed = Typed::of(query.as_deref());
    let (whose, read) = read_query(query.as_deref(), &visitor);
    let schools = Schools::read(&visitor.tenant).await?;
    let (status, query, faults) = match read {
        Ok(query) => (StatusCode::OK, query, Vec::new()),
        // What was typed is shown with its faults, beside the log as it is without.
        Err(faults) => (StatusCode::UNPROCESSABLE_ENTITY, logged(whose), faults),
    };
    let mut found = visitor.tenant.campaigns(&query, now).await?;
    let cursor = page(&query, &mut found, ROWS_MAX);
    let own = typed.query(whose, query.sort, query.direction);
    let rows = found.into_iter().map(|listed| Row::of(listed, &schools, visitor.zone, now)).collect();
    let page = LogPage {
        shell: Shell::new("Sent message log", &visitor.who, "log"),
        columns: columns(&typed, whose, query.sort, query.direction),
        schools: schools.choices(&[typed.get("school")]),
        kinds: message_types(typed.get("message_type")),
        whose,
        typed,
        faults,
        rows,
        further: query.after.is_some(),
        next: cursor.map(|cursor| format!("{own}&cursor={cursor}")),
    };
    Ok(answer(status, &page))
}

/// The log without a filter.
fn logged(whose: Whose) -> ListQuery {
    ListQuery {
        group: Some(Group::Sent),
        own: whose == Whose::Mine,
        sort: Sort::Date,
        campaigns_max: ROWS_MAX + 1,
        ..ListQuery::default()
    }
}

fn read_query(query: Option<&str>, visitor: &Visitor) -> (Whose, Result<ListQuery, Vec<Fault>>) {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    fields.drop_empty();
    let whose = match fields.take("show") {
        None => Some(Whose::Mine),
        Some(field) => field.parsed(&mut faults, |text| named(text, &Whose::BOTH, Whose::as_str)),
    };
    let whose = whose.unwrap_or(Whose::Mine);
    let sorted = fields.holds("sort");
    let filters = read_filters(&mut fields, visitor.zone.zone(), &mut faults);
    fields.finish(&mut faults);
    let base = logged(whose);
    let sort = if sorted { filters.sort } else { base.sort };
    let query =
        ListQuery { group: base.group, own: base.own, campaigns_max: base.campaigns_max, sort, ..filters };
    (whose, faults.or(Some(query)))
}

/// Requirement 40's columns. A click sorts by one; another turns the order around.
fn columns(typed: &Typed, whose: Whose, sort: Sort, direction: Direction) -> Vec<Column> {
    let column = |name, class, of: Option<Sort>| {
        let is = of == Some(sort);
        let next = match (is, direction) {
            (true, Direction::Descending) => Direction::Ascending,
            (true, Direction::Ascending) => Direction::Descending,
            // Times begin with the newest, names with A.
            (false, _) if of == Some(Sort::Date) => Direction::Descending,
            (false, _) => Direction::Ascending,
        };
        let sorted = match (is, direction) {
            (false, _) => "",
            (true, Direction::Ascending) => "ascending",
            (true, Direction::Descending) => "descending",
        };
        Column { name, class, link: of.map(|of| typed.query(whose, of, next)), sorted }
    };
    vec![
        column("Date", "", Some(Sort::Date)),
        column("Calendars", "", None),
        column("Subject", "main", Some(Sort::Subject)),
        column("Created by", "", Some(Sort::Author)),
        column("Type", "", Some(Sort::MessageType)),
        column("Delivery mode", "", None),
        column("Attachment", "", None),
        column("Status", "", Some(Sort::State)),
    ]
}

impl Row {
    fn of(listed: Listed, schools: &Schools, zone: Zone, now: DateTime<Utc>) -> Self {
        let campaign = listed.campaign;
        Self {
            link: format!("/campaigns/{}", campaign.id),
            number: campaign.number,
            date: zone.stamp(campaign.started_at.unwrap_or(campaign.scheduled_at), now),
            calendars: schools.of_audience(&campaign.audience),
            by: campaign.created_by,
            kind: words::message_type(&campaign.message_type),
            urgent: campaign.lane == tocsin_domain::Lane::Emergency,
            modes: modes(&campaign.channels),
            attachment: listed.attachment,
            recurring: campaign.series.is_some(),
            status: status(campaign.state),
            test: campaign.test,
            subject: campaign.subject,
        }
    }
}

/// The words of requirement 16. What failed before it left stands here after its seven days among what is in progress.
fn status(state: CampaignState) -> (&'static str, Tone) {
    match state {
        CampaignState::Failed => ("Errored", Tone::Bad),
        other => words::state(other),
    }
}
