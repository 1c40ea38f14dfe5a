//! What Mailgun refuses: requests that lack something, or hold what it does not know (wire B.1).

use serde_json::Value;
use tocsin_providers::twilio::form::Form;

const RECIPIENTS_MAX: usize = 1000;
const TAGS_MAX: usize = 3;
/// Of all options, headers and variables together.
const OPTION_BYTES_MAX: usize = 16 * 1024;
const CONTENTS: [&str; 4] = ["text", "html", "amp-html", "template"];
const FIELDS: [&str; 11] = [
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "text",
    "html",
    "amp-html",
    "template",
    "attachment",
    "recipient-variables",
];
const OPTIONS: [&str; 9] = [
    "o:tag",
    "o:dkim",
    "o:deliverytime",
    "o:deliver-within",
    "o:testmode",
    "o:tracking",
    "o:tracking-clicks",
    "o:tracking-opens",
    "o:require-tls",
];

/// The message of an answer with HTTP status 400. None: the request is taken, if all addresses are some.
pub(super) fn of_request(form: &Form<'_>) -> Option<String> {
    let names = || form.pairs().iter().map(|(name, _)| &**name);
    let values = |name: &'static str| {
        form.pairs().iter().filter(move |(key, _)| key == name).map(|(_, value)| &**value)
    };
    if let Some(name) = names().find(|name| !is_known(name)) {
        return Some(format!("{name} is no parameter"));
    }
    if form.get("from").is_none() {
        return Some("from parameter is missing".to_owned());
    }
    if values("to").all(str::is_empty) {
        return Some("to parameter is missing".to_owned());
    }
    if CONTENTS.iter().all(|name| form.get(name).is_none()) {
        return Some(
            "Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified".to_owned(),
        );
    }
    let options = form.pairs().iter().filter(|(name, _)| is_option(name));
    if options.map(|(name, value)| name.len() + value.len()).sum::<usize>() > OPTION_BYTES_MAX {
        return Some(
            "Send options (parameters starting with o:, h:, or v:) are limited to 16KB total".to_owned(),
        );
    }
    if values("o:tag").count() > TAGS_MAX {
        return Some(format!("at most {TAGS_MAX} tags are taken"));
    }
    if let Some(within) = form.get("o:deliver-within").filter(|within| !is_window(within)) {
        return Some(format!("'o:deliver-within' parameter is not a valid window: {within}"));
    }
    of_variables(form, &values("to").collect::<Vec<_>>())
}

/// Mailgun takes several recipients without variables, and shows each of them all the others: nobody here may ask for that.
fn of_variables(form: &Form<'_>, to: &[&str]) -> Option<String> {
    if to.len() > RECIPIENTS_MAX {
        return Some(format!("at most {RECIPIENTS_MAX} recipients are taken"));
    }
    let Some(text) = form.get("recipient-variables") else {
        return (to.len() > 1).then(|| "every recipient would see all others".to_owned());
    };
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(variables)) => {
            let missing = to.iter().any(|to| !variables.get(*to).is_some_and(Value::is_object));
            missing.then(|| "'recipient-variables' lack a recipient".to_owned())
        }
        Ok(_) | Err(_) => Some("'recipient-variables' parameter is not a valid JSON".to_owned()),
    }
}

fn is_known(name: &str) -> bool {
    FIELDS.contains(&name) || OPTIONS.contains(&name) || is_own(name)
}

fn is_own(name: &str) -> bool {
    ["h:", "v:"].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()))
}

fn is_option(name: &str) -> bool {
    name.starts_with("o:") || is_own(name)
}

/// `1h30m`, from 5 minutes to a day.
fn is_window(text: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().ok();
    let Some((hours, minutes)) = text.strip_suffix('m').and_then(|text| text.split_once('h')) else {
        return false;
    };
    let whole = number(hours).zip(number(minutes)).map(|(hours, minutes)| hours * 60 + minutes);
    whole.is_some_and(|minutes| (5..=24 * 60).contains(&minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 4] =
        [("from", "office@example.org"), ("to", "ann@example.org"), ("subject", "Snow"), ("text", "x")];

    fn with(more: &[(&str, &str)]) -> Option<String> {
        let pairs: Vec<(&str, &str)> = GOOD.iter().chain(more).copied().collect();
        of_request(&Form::from_pairs(&pairs))
    }

    #[test]
    fn what_the_vendor_does_not_take_is_refused_in_its_words() {
        assert_eq!(with(&[("v:tocsin-token", "t"), ("h:List-Unsubscribe", "<https://x>")]), None);
        let long = "x".repeat(OPTION_BYTES_MAX);
        let table: [(&[(&str, &str)], &str); 10] = [
            (&[("o:tags", "x")], "o:tags is no parameter"),
            (&[("v:", "x")], "v: is no parameter"),
            (&[("v:x", &long)], "limited to 16KB"),
            (&[("o:tag", "a"), ("o:tag", "b"), ("o:tag", "c"), ("o:tag", "d")], "at most 3 tags"),
            (&[("o:deliver-within", "4m")], "not a valid window"),
            (&[("o:deliver-within", "25h0m")], "not a valid window"),
            (&[("to", "bob@example.org")], "every recipient would see all others"),
            (&[("recipient-variables", "{")], "not a valid JSON"),
            (&[("recipient-variables", "[]")], "not a valid JSON"),
            (
                &[("to", "bob@example.org"), ("recipient-variables", r#"{"ann@example.org":{}}"#)],
                "lack a recipient",
            ),
        ];
        for (more, says) in table {
            assert!(with(more).is_some_and(|message| message.contains(says)), "{says}");
        }
        for (lacking, says) in
            [("from", "from parameter"), ("to", "to parameter"), ("text", "at least one of 'text'")]
        {
            let pairs: Vec<(&str, &str)> =
                GOOD.iter().filter(|(name, _)| *name != lacking).copied().collect();
            assert!(of_request(&Form::from_pairs(&pairs)).is_some_and(|message| message.contains(says)));
        }
    }
}
