//! The form that would make a request: of a template, and of what is edited.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{ATTACHED, Draft, field_of};

/// Members of an audience that the form has fields for. Others travel along unseen.
const AUDIENCE: [&str; 8] =
    ["all", "schools", "grades", "students", "roles", "people", "language", "include_inactive"];

impl Draft {
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
        for list in ["students", "people"] {
            self.set(list, &strings(audience.get(list)).join("\n"));
        }
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

fn strings(value: Option<&Value>) -> Vec<String> {
    let entries = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    entries.iter().filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ZONE: Tz = chrono_tz::America::Chicago;

    fn request(form: &str) -> Map<String, Value> {
        Draft::of_form(form.as_bytes()).request(ZONE).members
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
            "subject=A&message_type=attendance&channel=email&who=some&role=guardian&students=st1%0D%0Ast2&people=p1&body=B&when=now",
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
}
