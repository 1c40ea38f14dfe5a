//! Faults of a request as faults of the form's fields.

use tocsin_domain::Channel;

use super::draft::field_of;
use crate::console::words;
use crate::fields::Fault;
use crate::problem::Problem;

/// What is wrong with a field.
#[derive(Debug, Clone)]
pub(super) struct Complaint {
    /// The field's name and id; empty: of the whole form.
    pub field: String,
    pub text: String,
}

impl Complaint {
    pub fn general(problem: &Problem) -> Self {
        let mut detail = problem.detail().to_owned();
        if let Some(first) = detail.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self { field: String::new(), text: format!("{}: {detail}.", problem.title()) }
    }

    pub fn name_taken() -> Self {
        let text = "The name is another template's of the district: give another one.".to_owned();
        Self { field: "name".to_owned(), text }
    }

    pub fn unsure() -> Self {
        let text = "Tick that this is an emergency: it is sent at once, at any hour.".to_owned();
        Self { field: "sure".to_owned(), text }
    }
}

/// `texts` says which of the form's texts the contents of the request are.
pub(super) fn complaints(faults: &[Fault], texts: &[(usize, Option<Channel>)]) -> Vec<Complaint> {
    faults.iter().map(|fault| complaint(fault, texts)).collect()
}

fn complaint(fault: &Fault, texts: &[(usize, Option<Channel>)]) -> Complaint {
    let (field, label) = match of_content(&fault.field, texts) {
        Some(found) => found,
        None => of_member(&fault.field),
    };
    let unnamed = ["the body ", "the subject ", "the audience ", "the language "];
    let reason = unnamed.iter().find_map(|part| fault.reason.strip_prefix(part)).unwrap_or(&fault.reason);
    Complaint { field, text: format!("{label} {reason}.") }
}

/// `contents[2].body` by the field that the text was typed into.
fn of_content(path: &str, texts: &[(usize, Option<Channel>)]) -> Option<(String, String)> {
    let (nth, member) = path.strip_prefix("contents[")?.split_once(']')?;
    let (at, channel) = *texts.get(nth.parse::<usize>().ok()?)?;
    let member = member.trim_start_matches('.');
    let name = match (member, channel) {
        ("subject" | "language" | "audio_url", _) => member,
        (_, None) => "body",
        (_, Some(channel)) => channel.as_str(),
    };
    let label = match (member, channel) {
        ("subject", _) => "The subject".to_owned(),
        ("language", _) => "The language".to_owned(),
        ("audio_url", _) => "The recording".to_owned(),
        (_, None) => "The message".to_owned(),
        (_, Some(channel)) => format!("The message for {}", words::channel(channel)),
    };
    Some((field_of(name, at), label))
}

fn of_member(path: &str) -> (String, String) {
    let bare = path.split('[').next().unwrap_or_default();
    let (field, label) = match bare {
        "name" => ("name", "The name"),
        "subject" => ("subject", "The subject"),
        "contents" => ("body", "The message"),
        "channels" => ("channel", "The delivery modes:"),
        "message_type" => ("message_type", "The message type"),
        "attachments" => ("file", "The attachments"),
        "audience" => ("who", "The recipients:"),
        "audience.schools" => ("school", "The schools:"),
        "audience.grades" => ("grade", "The grades:"),
        "audience.students" => ("students", "The students:"),
        "audience.people" => ("people", "The people:"),
        "audience.roles" => ("role", "The roles:"),
        "audience.language" => ("only_language", "The language"),
        "test" => ("", "A test"),
        "scheduled_at" | "on_day" => ("on_day", "The date"),
        "at_time" => ("at_time", "The time"),
        "recurrence" => ("when", "The recurrence"),
        "recurrence.frequency" => ("frequency", "How often it recurs"),
        "recurrence.interval" | "interval" => ("interval", "The interval"),
        "recurrence.weekdays" => ("weekday", "The days of the week:"),
        "recurrence.month_day" | "month_day" => ("month_day", "The day of the month"),
        "recurrence.week" | "week" => ("week", "The week of the month"),
        "recurrence.starts_on" => ("starts_on", "The start date"),
        "recurrence.at" => ("series_time", "The time"),
        "recurrence.ends_on" => ("ends_on", "The end date"),
        "recurrence.except" => ("except", "The days that are left out:"),
        "recurrence.count" | "count" => ("count", "The number of times"),
        other => return (String::new(), format!("The request: {other}")),
    };
    (field.to_owned(), label.to_owned())
}
