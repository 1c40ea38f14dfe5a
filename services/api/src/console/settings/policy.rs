//! `/settings/policies/{message_type}`: redials, answering machines and calling hours of one message type (decision D6).

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Map, Value, json};
use tocsin_domain::policy::{ATTEMPTS, Machines, MessagePolicy, WAIT_SECONDS};
use tocsin_domain::window::CallingWindow;
use tocsin_domain::{Lane, MessageType, Outcome};

use super::number;
use crate::console::access::Visitor;
use crate::console::form::{Choice, Complaints, Form, capitalised};
use crate::console::page::{Refused, Shell, answer};
use crate::console::words;
use crate::fields::Fault;
use crate::policies::{named, replace};
use crate::server::Api;

/// As they are named in a window.
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage {
    shell: Shell,
    name: &'static str,
    /// Emergencies go out at any hour.
    has_hours: bool,
    typed: Typed,
    faults: Complaints,
    attempts_max: u32,
    wait_min: u32,
    wait_max: u32,
    zone: &'static str,
}

struct Typed {
    attempts_max: String,
    wait_seconds: String,
    machines: Vec<Choice>,
    confirm: bool,
    outcomes: Vec<Choice>,
    windowed: bool,
    days: Vec<Day>,
    holidays: String,
}

struct Day {
    name: &'static str,
    title: String,
    opens: String,
    closes: String,
    /// Its place among the hours of the request, by which faults name it.
    place: Option<usize>,
}

impl Typed {
    fn of_policy(policy: &MessagePolicy) -> Self {
        let redial = &policy.redial;
        let window = policy.calling_window.as_ref().map(CallingWindow::written);
        let hours_of = |day: &str| {
            let hours = window.as_ref()?.hours.iter().find(|hours| hours.days.iter().any(|it| it == day))?;
            Some((hours.opens.clone(), hours.closes.clone()))
        };
        Self {
            attempts_max: redial.attempts_max.to_string(),
            wait_seconds: redial.wait_seconds.to_string(),
            machines: machines(redial.machines.as_str()),
            confirm: redial.confirm,
            outcomes: outcomes(|outcome| redial.outcomes.contains(outcome)),
            windowed: window.is_some(),
            days: days(|day| {
                let (opens, closes) = hours_of(day).unwrap_or_default();
                (opens, if closes == "24:00" { "00:00".to_owned() } else { closes })
            }),
            holidays: window.map(|window| window.holidays.join("\n")).unwrap_or_default(),
        }
    }

    fn of_form(form: &Form) -> Self {
        let ticked = form.all("outcome");
        Self {
            attempts_max: form.text("attempts_max"),
            wait_seconds: form.text("wait_seconds"),
            machines: machines(&form.text("machines")),
            confirm: form.holds("confirm"),
            outcomes: outcomes(|outcome| ticked.iter().any(|ticked| ticked == outcome.code())),
            windowed: form.text("window") == "hours",
            days: days(|day| (form.text(&format!("opens_{day}")), form.text(&format!("closes_{day}")))),
            holidays: form.text("holidays"),
        }
    }

    /// As `PUT /v1/policies/{message_type}` takes it.
    fn request(&self, form: &Form) -> Result<Value, Vec<Fault>> {
        let mut faults = Vec::new();
        let outcomes: Vec<_> = self.outcomes.iter().filter(|it| it.ticked).map(|it| &it.value).collect();
        let machines = self.machines.iter().find(|it| it.ticked).map(|it| &it.value);
        let mut request = Map::new();
        let redial = json!({
            "attempts_max": number(form, "attempts_max", "redial.attempts_max", &mut faults),
            "wait_seconds": number(form, "wait_seconds", "redial.wait_seconds", &mut faults),
            "machines": machines,
            "confirm": self.confirm,
            "outcomes": outcomes,
        });
        request.insert("redial".to_owned(), redial);
        if self.windowed {
            let open = self.days.iter().filter(|day| day.place.is_some());
            let hours: Vec<_> = open
                .map(|day| {
                    // The last minute of a day is followed by the midnight that ends it.
                    let closes = if day.closes == "00:00" { "24:00" } else { &day.closes };
                    json!({ "days": [day.name], "opens": day.opens, "closes": closes })
                })
                .collect();
            let holidays: Vec<_> = self.holidays.split([',', '\n']).map(str::trim).collect();
            let holidays: Vec<_> = holidays.into_iter().filter(|date| !date.is_empty()).collect();
            request.insert("calling_window".to_owned(), json!({ "hours": hours, "holidays": holidays }));
        }
        if faults.is_empty() { Ok(Value::Object(request)) } else { Err(faults) }
    }
}

fn machines(chosen: &str) -> Vec<Choice> {
    let choice = |machines: Machines| {
        let (name, hint) = match machines {
            Machines::Ignored => ("Speak at once", "nobody finds out whether a machine answers"),
            Machines::LeaveMessage => ("Leave the message", "when the machine's greeting is over"),
            Machines::Redial => ("Call again", "and leave the message with the last call"),
        };
        let value = machines.as_str().to_owned();
        Choice { ticked: value == chosen, value, name: name.to_owned(), hint }
    };
    Machines::ALL.map(choice).into()
}

fn outcomes(ticked: impl Fn(Outcome) -> bool) -> Vec<Choice> {
    let choice = |outcome: Outcome| Choice {
        value: outcome.code().to_owned(),
        name: outcome.label().to_owned(),
        hint: words::reason(outcome),
        ticked: ticked(outcome),
    };
    Outcome::all().filter(|outcome| outcome.may_redial()).map(choice).collect()
}

/// Days of which something is filled in have hours.
fn days(hours: impl Fn(&str) -> (String, String)) -> Vec<Day> {
    let mut places = 0..;
    DAYS.into_iter()
        .map(|name| {
            let (opens, closes) = hours(name);
            let place = if opens.is_empty() && closes.is_empty() { None } else { places.next() };
            Day { name, title: capitalised(name), opens, closes, place }
        })
        .collect()
}

impl PolicyPage {
    fn new(visitor: &Visitor, kind: MessageType, typed: Typed) -> Self {
        Self {
            shell: Shell::new(words::message_type(kind.as_str()), &visitor.who, "settings"),
            name: kind.as_str(),
            has_hours: kind.lane() != Lane::Emergency,
            typed,
            faults: Complaints::default(),
            attempts_max: *ATTEMPTS.end(),
            wait_min: *WAIT_SECONDS.start(),
            wait_max: *WAIT_SECONDS.end(),
            zone: visitor.zone.name(),
        }
    }

    fn fault_of(&self, day: &Day) -> Option<String> {
        let path = format!("calling_window.hours[{}]", day.place?);
        let opens = self.faults.about(&format!("{path}.opens"), "The opening time");
        let closes = self.faults.about(&format!("{path}.closes"), "The closing time");
        match (opens, closes) {
            (Some(opens), Some(closes)) => Some(format!("{opens} {closes}")),
            (opens, closes) => opens.or(closes),
        }
    }
}

/// `GET /settings/policies/{message_type}`.
pub(crate) async fn ask(visitor: Visitor, Path(name): Path<String>) -> Result<Response, Refused> {
    let kind = named(Ok(Path(name)))?;
    let kept = visitor.tenant.policies().await?.remove(kind.as_str());
    let policy = kept.map_or_else(|| MessagePolicy::default_for(kind.lane()), |kept| kept.policy);
    Ok(answer(StatusCode::OK, &PolicyPage::new(&visitor, kind, Typed::of_policy(&policy))))
}

/// `POST /settings/policies/{message_type}`.
pub(crate) async fn put(
    visitor: Visitor,
    State(api): State<Api>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let kind = named(Ok(Path(name)))?;
    let form = Form::of(&body);
    let typed = Typed::of_form(&form);
    let faults = match typed.request(&form) {
        Ok(request) => super::complained(replace(&api, &visitor.tenant, kind, request).await)?,
        Err(faults) => Complaints::all(faults),
    };
    if faults.is_empty() {
        return Ok(Redirect::to("/settings#types").into_response());
    }
    let page = PolicyPage { faults, ..PolicyPage::new(&visitor, kind, typed) };
    Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &page))
}

#[cfg(test)]
mod tests {
    use tocsin_domain::window::WrittenWindow;

    use super::*;

    #[test]
    fn a_policy_comes_back_from_its_form_as_it_was() {
        let window: WrittenWindow = serde_json::from_value(json!({
            "hours": [
                { "days": ["monday", "friday"], "opens": "08:00", "closes": "24:00" },
                { "days": ["sunday"], "opens": "10:30", "closes": "12:00" },
            ],
            "holidays": ["2026-12-25", "2027-01-01"],
        }))
        .unwrap();
        let window = CallingWindow::read(&window).unwrap();
        let policy =
            MessagePolicy { calling_window: Some(window), ..MessagePolicy::default_for(Lane::General) };
        let typed = Typed::of_policy(&policy);
        let form = Form::of(b"attempts_max=3&wait_seconds=300");
        let request = typed.request(&form).unwrap();
        let days = request["calling_window"]["hours"].as_array().unwrap();
        assert_eq!(days.len(), 3, "{request}");
        assert_eq!(days[1], json!({ "days": ["friday"], "opens": "08:00", "closes": "24:00" }));
        assert_eq!(request["calling_window"]["holidays"], json!(["2026-12-25", "2027-01-01"]));
        let outcomes = request["redial"]["outcomes"].as_array().unwrap();
        assert!(!outcomes.is_empty() && outcomes.len() < typed.outcomes.len());
        assert_eq!(typed.days[6].place, Some(2));
    }
}
