//! What a report's query asks for, or all its faults.

use tocsin_domain::{Channel, Outcome};
use tocsin_reports::{Choice, Detail, Format, Group, Statuses};

use crate::fields::{Fault, Faults, Field, Fields, named, quoted};
use crate::openapi::shapes::{shape, shapes, words};

shapes! {
    FormatName = words(Format::ALL.map(Format::as_str));
    DetailName = words(Detail::ALL.map(Detail::as_str));
    StatusName = words(Group::ALL.iter().map(|group| group.as_str()).chain(Outcome::all().map(|outcome| outcome.code())));
}

shape! {
    pub(crate) struct ReportQuery {
        /// `pdf` unless said.
        format: Option<FormatName>,
        /// `all` unless said; `summary`, without recipients; `failed`, the recipients of whom a device failed, of campaigns
        /// that are over.
        detail: Option<DetailName>,
        /// Channels of the campaign; all unless said.
        #[schemars(length(min = 1))]
        modes: Option<Vec<Channel>>,
        /// All unless said.
        #[schemars(length(min = 1))]
        statuses: Option<Vec<StatusName>>,
        /// Also recipients without any device, and their number.
        include_no_device: Option<bool>,
    }
}

/// `channels` are those of the message: others are not available (requirement 58).
pub(crate) fn read_query(query: Option<&str>, channels: &[Channel]) -> Result<(Format, Choice), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let format = match fields.take("format") {
        None => Some(Format::default()),
        Some(field) => field.one_of(&Format::ALL, Format::as_str, &mut faults),
    };
    let detail = match fields.take("detail") {
        None => Some(Detail::default()),
        Some(field) => field.one_of(&Detail::ALL, Detail::as_str, &mut faults),
    };
    let modes = match fields.take("modes") {
        None => Some(channels.to_vec()),
        Some(field) => field.parsed(&mut faults, |text| read_modes(text, channels)),
    };
    let statuses = match fields.take("statuses") {
        None => Some(None),
        Some(field) => field.parsed(&mut faults, read_statuses).map(Some),
    };
    let no_device = match fields.take("include_no_device") {
        None => Some(false),
        Some(field) => read_flag(field, &mut faults),
    };
    fields.finish(&mut faults);
    let read = || {
        let choice = Choice { detail: detail?, modes: modes?, statuses: statuses?, no_device: no_device? };
        Some((format?, choice))
    };
    faults.or(read())
}

fn read_modes(text: &str, channels: &[Channel]) -> Result<Vec<Channel>, String> {
    let mut chosen = Vec::new();
    for name in entries(text) {
        let mode = named(name, &Channel::ALL, Channel::as_str)?;
        if !channels.contains(&mode) {
            let names: Vec<&str> = channels.iter().map(|channel| channel.as_str()).collect();
            return Err(format!("{} is not in this message: use {}", quoted(name), names.join(", ")));
        }
        chosen.push(mode);
    }
    if chosen.is_empty() {
        return Err("is empty: choose at least one, or leave it out for all of the message".to_owned());
    }
    // In the message's order, each once.
    Ok(channels.iter().copied().filter(|channel| chosen.contains(channel)).collect())
}

fn read_statuses(text: &str) -> Result<Statuses, String> {
    let mut names = entries(text).peekable();
    if names.peek().is_none() {
        return Err("is empty: choose at least one, or leave it out for all".to_owned());
    }
    Statuses::named(names).map_err(|name| {
        let groups: Vec<&str> = Group::ALL.iter().map(|group| group.as_str()).collect();
        format!("{} is unknown: use {}, or the status_code of a status", quoted(name), groups.join(", "))
    })
}

fn read_flag(field: Field, faults: &mut Faults) -> Option<bool> {
    field.parsed(faults, |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("is {}: use true or false", quoted(other))),
    })
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|entry| !entry.is_empty())
}

/// A form's query, in which each box that is ticked comes by itself, as one with lists. A form always has `modes` and
/// `statuses`, empty where nothing is ticked.
pub(crate) fn folded(query: Option<&str>) -> String {
    let mut members: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let list = matches!(&*name, "modes" | "statuses");
        match members.iter_mut().find(|(known, _)| list && *known == name) {
            Some((_, values)) => {
                values.push(',');
                values.push_str(&value);
            }
            None => members.push((name.into_owned(), value.into_owned())),
        }
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(members).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNELS: [Channel; 2] = [Channel::Sms, Channel::Email];

    #[test]
    fn what_is_left_out_is_the_default() {
        let (format, choice) = read_query(None, &CHANNELS).unwrap();
        assert_eq!((format, choice.detail, choice.no_device), (Format::Pdf, Detail::All, false));
        assert_eq!((choice.modes, choice.statuses), (CHANNELS.to_vec(), None));
    }

    #[test]
    fn every_fault_is_named_by_its_parameter() {
        let query = "format=xls&detail=some&modes=voice&statuses=&include_no_device=1&page=2";
        let faults = read_query(Some(query), &CHANNELS).unwrap_err();
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["format", "detail", "modes", "statuses", "include_no_device", "page"]);
        let text = format!("{faults:?}");
        assert!(text.contains("not in this message: use sms, email"), "{text}");
    }

    #[test]
    fn a_form_is_read_as_a_list() {
        let query = folded(Some("modes=&modes=email&modes=sms&statuses=&format=csv&statuses=error"));
        let (format, choice) = read_query(Some(&query), &CHANNELS).unwrap();
        assert_eq!((format, choice.modes), (Format::Csv, CHANNELS.to_vec()));
        assert_eq!(choice.statuses, Some(Statuses::named(["error"]).unwrap()));
        let none = read_query(Some(&folded(Some("modes=&statuses=error"))), &CHANNELS).unwrap_err();
        assert_eq!((none.len(), none[0].field.as_str()), (1, "modes"));
    }
}
