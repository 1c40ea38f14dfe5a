//! Texts to our numbers, as the gateway passes them on.

use tocsin_domain::address::Phone;
use tocsin_domain::consent::keyword::Reading;

use super::profile::Inbound;
use crate::{InboundText, ParseError, RawRequest, Reply};

pub(super) fn parse(described: &Inbound, raw: &RawRequest) -> Result<InboundText, ParseError> {
    let document = described.format.document(&raw.url, &raw.body).map_err(ParseError::Json)?;
    let id = described.id.text(&document).ok_or(ParseError::Missing("id"))?;
    let from = described.from.text(&document).ok_or(ParseError::Missing("sender"))?;
    // Many gateways leave out the plus sign.
    let from =
        if from.starts_with(|c: char| c.is_ascii_digit()) { format!("+{from}") } else { from.into_owned() };
    let from = Phone::parse(&from).map_err(|_| ParseError::Malformed("sender"))?;
    Ok(InboundText {
        id: id.into_owned(),
        from: from.into(),
        body: described.text.text(&document).unwrap_or_default().into_owned(),
        taken_for: None,
    })
}

/// A keyword is confirmed where the gateway texts our answer back.
pub(super) fn reply(described: &Inbound, raw: &RawRequest) -> Reply {
    let text = parse(described, raw).ok().filter(|_| described.answer_is_texted);
    let body = match text.map(|text| Reading::of(&text.body)) {
        Some(Reading::Keyword(keyword)) => keyword.reply().to_owned(),
        Some(Reading::Review | Reading::Other) | None => String::new(),
    };
    Reply { content_type: "text/plain; charset=utf-8", body }
}
