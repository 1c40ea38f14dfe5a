//! What a compose form holds, field by field as it was typed, and the request that it makes.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};
use tocsin_domain::Channel;
use tocsin_domain::recurrence::instant;
use uuid::Uuid;

use crate::fields::Fault;

/// The field of a file, and that of those which are attached already, by their ids.
pub(super) const FILE: &str = "file";
pub(super) const ATTACHED: &str = "attachment";
/// Languages beside the one for all.
pub(super) const LANGUAGES_MAX: usize = 20;
/// Members of an audience that the form has fields for. Others travel along unseen.
const AUDIENCE: [&str; 7] = ["all", "schools", "grades", "roles", "people", "language", "include_inactive"];

/// Names and values as a browser sends them, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pairs: Vec<(String, String)>,
}

/// Of a template: its recipients are chosen when it is used.
pub(super) const WHO_LATER: &str = "later";

/// A request, and for each of its contents the language that it is of, counted from 0, and the channel.
#[derive(Debug)]
pub(super) struct Request {
    pub members: Map<String, Value>,
    pub texts: Vec<(usize, Option<Channel>)>,
    /// What no request can be made of: a time that is none.
    pub faults: Vec<Fault>,
}

/// When it is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Now,
    At,
    Recurring,
}

impl Draft {
    /// A form that nobody has filled in.
    pub fn new() -> Self {
        let mut draft = Self::default();
        draft.set("key", &Uuid::now_v7().to_string());
        for (name, value) in
            [("message_type", "general"), ("who", "all"), ("role", "guardian"), ("when", "now")]
        {
            draft.set(name, value);
        }
        for (name, value) in
            [("frequency", "weekly"), ("interval", "1"), ("monthly", "day"), ("ends", "never")]
        {
            draft.set(name, value);
        }
        draft
    }

    pub fn of_form(form: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(form)
            .map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n")))
            .collect();
        Self::of_pairs(pairs)
    }

    /// What a form held, but for the button that was pressed, and a file: it has its own place by then.
    pub fn of_pairs(mut pairs: Vec<(String, String)>) -> Self {
        pairs.retain(|(name, _)| name != "action" && name != FILE);
        let mut draft = Self { pairs };
        if Uuid::parse_str(draft.text("key")).is_err() {
            draft.set("key", &Uuid::now_v7().to_string());
        }
        draft
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.pairs.retain(|(is, _)| is != name);
        self.add(name, value);
    }

    pub fn add(&mut self, name: &str, value: &str) {
        self.pairs.push((name.to_owned(), value.to_owned()));
    }

    pub fn take_out(&mut self, name: &str, value: &str) {
        self.pairs.retain(|(is, of)| is != name || of != value);
    }

    /// All of it, for the form of the next step.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    pub fn text(&self, name: &str) -> &str {
        self.pairs.iter().find(|(is, _)| is == name).map_or("", |(_, value)| value)
    }

    /// Is this one of the values of a field that may have several?
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.pairs.iter().any(|(is, of)| is == name && of == value)
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.pairs.iter().filter(|(is, _)| is == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A field of a language: the one for all has plain names.
    pub fn of_language(&self, name: &str, at: usize) -> &str {
        self.text(&field_of(name, at))
    }

    /// How many languages there are beside the one for all.
    pub fn languages(&self) -> usize {
        self.text("languages").parse().unwrap_or(0).min(LANGUAGES_MAX)
    }

    pub fn add_language(&mut self) {
        let languages = (self.languages() + 1).min(LANGUAGES_MAX);
        self.set("languages", &languages.to_string());
    }

    /// Takes one out; those behind it move up.
    pub fn remove_language(&mut self, at: usize) {
        let languages = self.languages();
        if at == 0 || at > languages {
            return;
        }
        let moved = |name: &str| -> Option<String> {
            let (field, of) = name.rsplit_once('_')?;
            let of: usize = of.parse().ok()?;
            (of > at).then(|| field_of(field, of - 1))
        };
        self.pairs.retain(|(name, _)| !name.ends_with(&format!("_{at}")));
        for (name, _) in &mut self.pairs {
            if let Some(moved) = moved(name) {
                *name = moved;
            }
        }
        self.set("languages", &(languages - 1).to_string());
    }

    pub fn when(&self) -> When {
        match self.text("when") {
            "at" => When::At,
            "recurring" => When::Recurring,
            _ => When::Now,
        }
    }

    pub fn is_emergency(&self) -> bool {
        self.text("message_type") == "emergency"
    }

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
        let attached = self.all(ATTACHED);
        if !attached.is_empty() {
            members.insert("attachments".to_owned(), json!(attached));
        }
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
            let people: Vec<&str> = self.text("people").split([',', '\n']).map(str::trim).collect();
            let people: Vec<&str> = people.into_iter().filter(|id| !id.is_empty()).collect();
            for (name, list) in
                [("schools", self.all("school")), ("grades", self.all("grade")), ("people", people)]
            {
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

    /// The form that would make this request.
    pub fn of_request(members: &Map<String, Value>, zone: Tz) -> Self {
        let mut draft = Self::default();
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        draft.set("key", &Uuid::now_v7().to_string());
        draft.set("subject", &text(members.get("subject")));
        draft.set("message_type", &text(members.get("message_type")));
        for channel in strings(members.get("channels")) {
            draft.add("channel", &channel);
        }
        if members.get("mode").and_then(Value::as_str) == Some("per_device_and_student") {
            draft.set("each_student", "yes");
        }
        for file in strings(members.get("attachments")) {
            draft.add(ATTACHED, &file);
        }
        draft.read_audience(members.get("audience"));
        draft.read_contents(members.get("contents").and_then(Value::as_array).map_or(&[], Vec::as_slice));
        draft.read_time(members, zone);
        draft
    }

    fn read_audience(&mut self, audience: Option<&Value>) {
        let Some(audience) = audience.and_then(Value::as_object) else {
            self.set("who", "all");
            self.set("role", "guardian");
            return;
        };
        let all = audience.get("all").and_then(Value::as_bool).unwrap_or_default();
        self.set("who", if all { "all" } else { "some" });
        for (member, field) in [("roles", "role"), ("schools", "school"), ("grades", "grade")] {
            for entry in strings(audience.get(member)) {
                self.add(field, &entry);
            }
        }
        self.set("people", &strings(audience.get("people")).join("\n"));
        self.set("only_language", audience.get("language").and_then(Value::as_str).unwrap_or_default());
        if audience.get("include_inactive").and_then(Value::as_bool) == Some(true) {
            self.set("include_inactive", "yes");
        }
        let more: Map<String, Value> = audience
            .iter()
            .filter(|(name, value)| !AUDIENCE.contains(&name.as_str()) && !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !more.is_empty() {
            self.set("audience_more", &Value::Object(more).to_string());
        }
    }

    fn read_contents(&mut self, contents: &[Value]) {
        let mut languages: Vec<&str> = vec![""];
        for content in contents {
            let text = |name: &str| content.get(name).and_then(Value::as_str).unwrap_or_default();
            let language = text("language");
            let at = match languages.iter().position(|known| *known == language) {
                Some(at) => at,
                None => {
                    languages.push(language);
                    languages.len() - 1
                }
            };
            let name = if text("channel").is_empty() { "body" } else { text("channel") };
            self.set(&field_of(name, at), text("body"));
            if at > 0 {
                self.set(&field_of("language", at), language);
                if !text("subject").is_empty() {
                    self.set(&field_of("subject", at), text("subject"));
                }
            }
            if !text("audio_url").is_empty() {
                self.set(&field_of("audio_url", at), text("audio_url"));
            }
        }
        self.set("languages", &(languages.len() - 1).to_string());
    }

    fn read_time(&mut self, members: &Map<String, Value>, zone: Tz) {
        let at = members
            .get("scheduled_at")
            .and_then(Value::as_str)
            .and_then(|at| at.parse::<DateTime<Utc>>().ok());
        if let Some(at) = at {
            let there = at.with_timezone(&zone);
            self.set("when", "at");
            self.set("on_day", &there.format("%Y-%m-%d").to_string());
            self.set("at_time", &there.format("%H:%M").to_string());
        }
        for (name, value) in
            [("frequency", "weekly"), ("interval", "1"), ("monthly", "day"), ("ends", "never")]
        {
            self.set(name, value);
        }
        let Some(recurrence) = members.get("recurrence").and_then(Value::as_object) else {
            if at.is_none() {
                self.set("when", "now");
            }
            return;
        };
        self.set("when", "recurring");
        let text = |name: &str| match recurrence.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        for name in ["frequency", "interval", "month_day", "week", "starts_on", "ends_on", "count"] {
            self.set(name, &text(name));
        }
        self.set("series_time", &text("at"));
        let weekdays = strings(recurrence.get("weekdays"));
        if recurrence.contains_key("week") {
            self.set("monthly", "week");
            self.set("week_day", weekdays.first().map_or("mo", String::as_str));
        } else {
            weekdays.iter().for_each(|day| self.add("weekday", day));
        }
        let ends = match (recurrence.contains_key("ends_on"), recurrence.contains_key("count")) {
            (true, _) => "on",
            (_, true) => "after",
            _ => "never",
        };
        self.set("ends", ends);
        strings(recurrence.get("except")).iter().for_each(|day| self.add("except", day));
    }
}

/// The name of a language's field.
pub(super) fn field_of(name: &str, at: usize) -> String {
    if at == 0 { name.to_owned() } else { format!("{name}_{at}") }
}

/// What is left out is missing, not empty.
fn given(text: &str) -> Value {
    if text.trim().is_empty() { Value::Null } else { json!(text) }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let entries = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    entries.iter().filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
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
            &school=s1&school=s2&grade=03&people=p1%0D%0Ap2&only_language=es&each_student=yes&body=It+is+late.&sms=Late\
            &languages=1&language_1=es&subject_1=Autob%C3%BAs&body_1=Tarde&when=at&on_day=2026-11-01&at_time=01:30";
        let request = request(form);
        let expected = json!({
            "subject": "Bus 7", "message_type": "attendance", "channels": ["sms", "email"], "mode": "per_device_and_student",
            "audience": {"roles": ["guardian", "staff"], "schools": ["s1", "s2"], "grades": ["03"], "people": ["p1", "p2"], "language": "es"},
            "contents": [
                {"language": null, "subject": null, "body": "It is late."},
                {"language": null, "channel": "sms", "body": "Late"},
                {"language": "es", "subject": "Autobús", "body": "Tarde"},
            ],
            // Shown twice that night: the first.
            "scheduled_at": "2026-11-01T06:30:00+00:00",
        });
        assert_eq!(Value::Object(request), expected);
    }

    #[test]
    fn what_is_edited_comes_back_as_it_was() {
        let forms = [
            "subject=A&message_type=general&channel=email&who=all&role=staff&body=B&attachment=0190&attachment=0191&when=now",
            "subject=A&message_type=general&channel=voice&who=all&role=staff&body=B&audio_url=https://a.example/b.mp3&when=at\
             &on_day=2026-12-01&at_time=08:00",
            "subject=A&message_type=general&channel=email&who=some&role=guardian&school=s&body=B&languages=2&language_1=es\
             &body_1=C&email_1=D&language_2=vi&body_2=E&when=recurring&frequency=weekly&interval=2&weekday=mo&weekday=we\
             &starts_on=2026-09-01&series_time=08:00&ends=on&ends_on=2027-06-01&except=2026-12-23&except=2026-12-28",
            "subject=A&message_type=general&channel=email&who=all&role=guardian&body=B&when=recurring&frequency=monthly\
             &interval=1&monthly=week&week=-1&week_day=fr&starts_on=2026-09-01&series_time=08:00&ends=after&count=7",
            "subject=A&message_type=general&channel=email&who=all&role=guardian&body=B&when=recurring&frequency=monthly\
             &interval=1&monthly=day&month_day=-1&starts_on=2026-09-01&series_time=08:00&ends=never",
        ];
        for form in forms {
            let first = request(form);
            let again = Draft::of_request(&first, ZONE).request(ZONE);
            assert_eq!((&again.members, again.faults.len()), (&first, 0), "{form}");
        }
    }

    #[test]
    fn what_the_form_has_no_field_for_is_kept() {
        let members = json!({"subject": "A", "audience": {"all": true, "roles": ["staff"], "tag": "band"}});
        let draft = Draft::of_request(members.as_object().unwrap(), ZONE);
        assert_eq!(draft.request(ZONE).members["audience"], members["audience"]);
    }

    #[test]
    fn a_language_is_taken_out_with_all_its_texts() {
        let form =
            "languages=3&language_1=es&body_1=uno&language_2=vi&body_2=hai&sms_2=ba&language_3=so&body_3=x";
        let mut draft = Draft::of_form(form.as_bytes());
        draft.remove_language(1);
        assert_eq!((draft.languages(), draft.text("language_1"), draft.text("sms_1")), (2, "vi", "ba"));
        assert_eq!((draft.text("body_2"), draft.text("body_3")), ("x", ""));
        draft.remove_language(9);
        assert_eq!(draft.languages(), 2);
    }

    #[test]
    fn a_time_that_is_none_is_a_fault_of_its_field() {
        let draft = Draft::of_form(b"when=at&on_day=tomorrow&at_time=08:00");
        assert_eq!(draft.request(ZONE).faults[0].field, "on_day");
    }
}
