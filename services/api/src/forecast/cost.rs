//! What one attempt costs in the unit that the provider counts.

use std::collections::BTreeMap;

use tocsin_domain::Channel;
use tocsin_domain::content::{self, Content};
use tocsin_domain::segments::{Segments, segments};
use tocsin_store::tenant::campaigns::NewCampaign;

/// Values of usual length for the merge fields: whose text has how many segments is known only once it is sent.
const USUAL: [(&str, &str); 7] = [
    ("recipient_name", "Alexandra Rodriguez"),
    ("given_name", "Alexandra"),
    ("family_name", "Rodriguez"),
    ("student_name", "Christopher Rodriguez"),
    ("student_given_name", "Christopher"),
    ("school_name", "Lincoln Elementary School"),
    ("grade", "03"),
];

/// Of a text its segments, of all else one.
pub(super) fn of(contents: &[Content], channel: Channel, language: Option<&str>) -> u32 {
    if channel != Channel::Sms {
        return 1;
    }
    let chosen = content::choose(contents, channel, language);
    chosen.map_or(1, |content| text_segments(&content.body).count)
}

/// Of a text with names of usual length. One that is no template yet is taken as it stands.
pub(crate) fn text_segments(body: &str) -> Segments {
    let values: BTreeMap<String, String> =
        USUAL.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    match content::render(body, &values) {
        Ok(text) => segments(&text),
        Err(_) => segments(body),
    }
}

/// What is assumed of the texts' length, if anything is.
pub(super) fn note(campaign: &NewCampaign) -> Option<String> {
    let has_fields = |content: &Content| {
        content.channel.is_none_or(|channel| channel == Channel::Sms)
            && content::fields(&content.body).is_ok_and(|fields| !fields.is_empty())
    };
    let assumed = campaign.channels.contains(&Channel::Sms) && campaign.contents.iter().any(has_fields);
    assumed.then(|| "sms: texts are taken to have as many segments as with names of usual length".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_costs_its_segments_and_all_else_one() {
        let content = |language: Option<&str>, body: &str| Content {
            language: language.map(str::to_owned),
            channel: None,
            subject: None,
            audio_url: None,
            attachments: Vec::new(),
            body: body.to_owned(),
        };
        let long = "a".repeat(161);
        let contents = [content(None, "School closes at noon."), content(Some("es"), &long)];
        assert_eq!(of(&contents, Channel::Sms, None), 1);
        assert_eq!(of(&contents, Channel::Sms, Some("es-MX")), 2);
        assert_eq!(of(&contents, Channel::Email, Some("es")), 1);
        let merged = [content(None, &format!("{{{{ student_name }}}}{}", "a".repeat(145)))];
        assert_eq!(of(&merged, Channel::Sms, None), 2);
    }

    #[test]
    fn every_merge_field_has_a_usual_value() {
        assert_eq!(USUAL.map(|(name, _)| name).as_slice(), content::KNOWN_FIELDS);
    }
}
