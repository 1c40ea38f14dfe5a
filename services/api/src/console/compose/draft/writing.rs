//! The request that a form makes.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};
use tocsin_domain::Channel;
use tocsin_domain::recurrence::instant;

use super::{ATTACHED, Draft, WHO_LATER, When};
use crate::fields::Fault;

/// A request, and for each of its contents the language that it is of, counted from 0, and the channel.
#[derive(Debug)]
pub(in crate::console::compose) struct Request {
    pub members: Map<String, Value>,
    pub texts: Vec<(usize, Option<Channel>)>,
    /// What no request can be made of: a time that is none.
    pub faults: Vec<Fault>,
}

impl Draft {
    /// The members of `POST /v1/campaigns`, or with a recurrence of `POST /v1/series`. Times are by the clocks of `zone`.
    pub fn request(&self, zone: Tz) -> Request {
        let mut members = Map::new();
        let mut faults = Vec::new();
        members.insert("subject".to_owned(), given(self.text("subject")));
        members.insert("message_type".to_owned(), given(self.text("message_type")));
        members.insert("channels".to_owned(), json!(self.all("channel")));
        if self.text("who") != WHO_LATER {
            members.insert("audience".to_owned(), self.audience());
        }
        let mode = if self.has("each_student", "yes") { "per_device_and_student" } else { "per_device" };
        members.insert("mode".to_owned(), json!(mode));
        let (contents, texts) = self.contents();
        members.insert("contents".to_owned(), Value::Array(contents));
        members.insert("attachments".to_owned(), json!(self.all(ATTACHED)));
        match self.when() {
            When::Now => {}
            When::At => match self.scheduled_at(zone) {
                Ok(at) => {
                    members.insert("scheduled_at".to_owned(), json!(at.to_rfc3339()));
                }
                Err(fault) => faults.push(fault),
            },
            When::Recurring => {
                members.insert("recurrence".to_owned(), self.recurrence(&mut faults));
            }
        }
        Request { members, texts, faults }
    }

    fn audience(&self) -> Value {
        let mut audience: Map<String, Value> =
            serde_json::from_str(self.text("audience_more")).unwrap_or_default();
        if audience.contains_key("receipt") {
            return Value::Object(audience);
        }
        audience.insert("roles".to_owned(), json!(self.all("role")));
        if self.text("who") == "some" {
            let ids = |field| -> Vec<&str> {
                self.text(field).split([',', '\n']).map(str::trim).filter(|id| !id.is_empty()).collect()
            };
            for (name, list) in [
                ("schools", self.all("school")),
                ("grades", self.all("grade")),
                ("students", ids("students")),
                ("people", ids("people")),
            ] {
                if !list.is_empty() {
                    audience.insert(name.to_owned(), json!(list));
                }
            }
        } else {
            audience.insert("all".to_owned(), json!(true));
        }
        if !self.text("only_language").is_empty() {
            audience.insert("language".to_owned(), json!(self.text("only_language")));
        }
        if self.has("include_inactive", "yes") {
            audience.insert("include_inactive".to_owned(), json!(true));
        }
        Value::Object(audience)
    }

    /// A text for all channels in each language, and those for one channel.
    fn contents(&self) -> (Vec<Value>, Vec<(usize, Option<Channel>)>) {
        let (mut contents, mut texts) = (Vec::new(), Vec::new());
        for at in 0..=self.languages() {
            let of = |name: &str| self.of_language(name, at);
            let language = if at == 0 { Value::Null } else { json!(of("language").trim()) };
            let subject = if at == 0 { Value::Null } else { given(of("subject")) };
            let any = |text: &str| !text.trim().is_empty();
            let own: Vec<Channel> = Channel::ALL.into_iter().filter(|it| any(of(it.as_str()))).collect();
            // Without a text for all there must be one for each; the check says which are missing.
            if any(of("body")) || own.is_empty() {
                contents.push(json!({ "language": language, "subject": subject, "body": of("body") }));
                texts.push((at, None));
            }
            let recording = of("audio_url").trim();
            for channel in Channel::ALL {
                let plays = channel == Channel::Voice && !recording.is_empty();
                if !own.contains(&channel) && !plays {
                    continue;
                }
                let body = if own.contains(&channel) { of(channel.as_str()) } else { of("body") };
                let mut content = json!({ "language": language, "channel": channel, "body": body });
                if matches!(channel, Channel::Email | Channel::Inbox) {
                    content["subject"] = subject.clone();
                }
                if plays {
                    content["audio_url"] = json!(recording);
                }
                contents.push(content);
                texts.push((at, Some(channel)));
            }
        }
        (contents, texts)
    }

    fn scheduled_at(&self, zone: Tz) -> Result<DateTime<Utc>, Fault> {
        let fault = |field: &str, reason: &str| Fault { field: field.to_owned(), reason: reason.to_owned() };
        let day = NaiveDate::parse_from_str(self.text("on_day").trim(), "%Y-%m-%d")
            .map_err(|_| fault("on_day", "is no date: write it as 2026-09-01"))?;
        let time = NaiveTime::parse_from_str(self.text("at_time").trim(), "%H:%M")
            .map_err(|_| fault("at_time", "is no time: write it as 08:00"))?;
        instant(zone, day.and_time(time)).ok_or_else(|| fault("on_day", "is a day that the clocks left out"))
    }

    fn recurrence(&self, faults: &mut Vec<Fault>) -> Value {
        let mut written = Map::new();
        let mut put = |name: &str, value: Value| written.insert(name.to_owned(), value);
        let mut number = |name: &str| match self.text(name).trim().parse::<i64>() {
            Ok(number) => json!(number),
            Err(_) => {
                let fault = Fault { field: name.to_owned(), reason: "is no number: write digits".to_owned() };
                faults.push(fault);
                Value::Null
            }
        };
        put("frequency", given(self.text("frequency")));
        put("interval", number("interval"));
        match (self.text("frequency"), self.text("monthly")) {
            ("weekly", _) => {
                put("weekdays", json!(self.all("weekday")));
            }
            ("monthly", "week") => {
                put("week", number("week"));
                put("weekdays", json!([self.text("week_day")]));
            }
            ("monthly", _) => {
                put("month_day", number("month_day"));
            }
            _ => {}
        }
        put("starts_on", json!(self.text("starts_on")));
        put("at", json!(self.text("series_time")));
        match self.text("ends") {
            "on" => {
                put("ends_on", json!(self.text("ends_on")));
            }
            "after" => {
                put("count", number("count"));
            }
            _ => {}
        }
        let except = self.all("except");
        if !except.is_empty() {
            put("except", json!(except));
        }
        Value::Object(written)
    }
}

/// What is left out is missing, not empty.
fn given(text: &str) -> Value {
    if text.trim().is_empty() { Value::Null } else { json!(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: Tz = chrono_tz::America::Chicago;

    fn request(form: &str) -> Map<String, Value> {
        Draft::of_form(form.as_bytes()).request(ZONE).members
    }

    #[test]
    fn a_form_makes_the_request_that_it_says() {
        let form = "key=x&subject=Bus+7&message_type=attendance&channel=sms&channel=email&who=some&role=guardian&role=staff\
            &school=s1&school=s2&grade=03&students=st1%0D%0A&people=p1%0D%0Ap2&only_language=es&each_student=yes&body=It+is+late.&sms=Late\
            &languages=1&language_1=es&subject_1=Autob%C3%BAs&body_1=Tarde&when=at&on_day=2026-11-01&at_time=01:30";
        let request = request(form);
        let expected = json!({
            "subject": "Bus 7", "message_type": "attendance", "channels": ["sms", "email"], "mode": "per_device_and_student",
            "audience": {"roles": ["guardian", "staff"], "schools": ["s1", "s2"], "grades": ["03"], "students": ["st1"], "people": ["p1", "p2"], "language": "es"},
            "contents": [
                {"language": null, "subject": null, "body": "It is late."},
                {"language": null, "channel": "sms", "body": "Late"},
                {"language": "es", "subject": "Autobús", "body": "Tarde"},
            ],
            "attachments": [],
            // Shown twice that night: the first.
            "scheduled_at": "2026-11-01T06:30:00+00:00",
        });
        assert_eq!(Value::Object(request), expected);
    }

    #[test]
    fn a_time_that_is_none_is_a_fault_of_its_field() {
        let draft = Draft::of_form(b"when=at&on_day=tomorrow&at_time=08:00");
        assert_eq!(draft.request(ZONE).faults[0].field, "on_day");
    }
}
