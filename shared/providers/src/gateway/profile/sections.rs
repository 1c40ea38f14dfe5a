//! The parts of a profile, each read whole.

use tocsin_domain::suppression::{AddressFact, SuppressionReason};
use tocsin_domain::{Channel, Outcome};

use super::reader::{Faults, Section, word};
use super::{Authentication, Callback, Inbound, LookUp, Profile, Recall, Reports, RequestTemplate, Send};
use crate::gateway::answer::{HttpMeanings, Meaning};
use crate::gateway::document::{Format, Pointer};
use crate::gateway::signature::{Scheme, SignedWith};
use crate::gateway::template::Field;

const SEND_FIELDS: [Field; 18] = [
    Field::Channel,
    Field::To,
    Field::ToDigits,
    Field::From,
    Field::FromDigits,
    Field::Body,
    Field::Subject,
    Field::Extension,
    Field::Language,
    Field::CallbackUrl,
    Field::Token,
    Field::Attempt,
    Field::ValidForSeconds,
    Field::User,
    Field::Secret,
    Field::FileName,
    Field::FileType,
    Field::FileBase64,
];
const RECALL_FIELDS: [Field; 4] = [Field::Channel, Field::Id, Field::User, Field::Secret];
const LOOK_UP_FIELDS: [Field; 11] = [
    Field::Channel,
    Field::Id,
    Field::To,
    Field::ToDigits,
    Field::From,
    Field::FromDigits,
    Field::CallbackUrl,
    Field::Token,
    Field::Attempt,
    Field::User,
    Field::Secret,
];

pub(super) fn read(mut root: Section, faults: &mut Faults) -> Option<Profile> {
    let channels = channels(&mut root, faults);
    let schemes = [
        ("basic", Authentication::Basic),
        ("bearer", Authentication::Bearer),
        ("none", Authentication::None),
    ];
    let authentication = root.one_of("authentication", &schemes, Authentication::Basic, faults);
    let statuses = root.words("statuses", faults, outcome);
    if statuses.is_empty() {
        faults.add("statuses", "holds no word", "map what the gateway says: \"busy\" = \"busy\"");
    }
    let addresses = root.words("addresses", faults, address_fact);
    let send = match root.section("send", faults) {
        Some(section) => send(section, faults),
        None => {
            faults.add("send", "missing", "describe the request that sends a message");
            None
        }
    };
    let callback = root.section("callback", faults).map(|section| callback(section, faults));
    let recall = root.section("recall", faults).map(|section| recall(section, faults));
    let look_up = root.section("look_up", faults).map(|section| look_up(section, faults));
    let inbound = root.section("inbound", faults).map(|section| inbound(section, faults));
    if let (Some(Some(texts)), Some(Some(callback))) = (&inbound, &callback) {
        let is_uncovered = match texts.format {
            Format::Query => callback.verify.covers_only_the_body(),
            Format::Json | Format::Form => callback.verify.covers_only_the_address(),
        };
        if is_uncovered {
            let remedy = "put {url} (query) or {body} (json, form) into callback.verify.signed";
            faults.add("inbound.format", "is not covered by the signature", remedy);
        }
    }
    if inbound.is_some() && callback.is_none() {
        faults.add("callback", "missing", "say under callback.verify how texts to us are signed");
    }
    root.finish(faults);
    Some(Profile {
        channels,
        authentication,
        send: send?,
        statuses,
        addresses,
        callback: whole(callback)?,
        recall: whole(recall)?,
        look_up: whole(look_up)?,
        inbound: whole(inbound)?,
    })
}

/// A part that is there and could not be read has told its faults.
fn whole<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

fn channels(root: &mut Section, faults: &mut Faults) -> Vec<Channel> {
    let remedy = "list what the gateway serves, as [\"voice\"]";
    let Some(value) = root.take("channels") else {
        faults.add("channels", "missing", remedy);
        return Vec::new();
    };
    let served = value.as_array().map(|names| {
        names
            .iter()
            .map(|name| name.as_str().and_then(|name| name.parse().ok()))
            .collect::<Option<Vec<Channel>>>()
    });
    match served.flatten() {
        Some(channels) if !channels.is_empty() && !channels.contains(&Channel::Inbox) => channels,
        Some(_) | None => {
            faults.add("channels", format!("is {value}"), "list some of voice, sms and email");
            Vec::new()
        }
    }
}

fn send(mut section: Section, faults: &mut Faults) -> Option<Send> {
    let request = RequestTemplate::read(&mut section, &SEND_FIELDS, faults);
    let http = http_meanings(&mut section, faults);
    let errors = section.words("errors", faults, meaning);
    let (mut id, mut status, mut code) = (None, None, None);
    if let Some(mut answer) = section.section("answer", faults) {
        id = answer.parsed("id", faults, Pointer::parse);
        status = answer.parsed("status", faults, Pointer::parse);
        code = answer.parsed("code", faults, Pointer::parse);
        answer.finish(faults);
    }
    if !errors.is_empty() && code.is_none() {
        let remedy = "say where an answer has the code that send.errors explains";
        faults.add("send.answer.code", "missing", remedy);
    }
    section.finish(faults);
    Some(Send { request: request?, id, status, code, http, errors })
}

fn http_meanings(section: &mut Section, faults: &mut Faults) -> HttpMeanings {
    let key = section.key("http");
    let words = section.words("http", faults, meaning);
    HttpMeanings::new(words).unwrap_or_else(|wrong| {
        let remedy = "name a status as \"404\", or all of its hundred as \"4xx\"";
        faults.add(format!("{key}.{wrong:?}"), "is no HTTP status", remedy);
        HttpMeanings::default()
    })
}

fn callback(mut section: Section, faults: &mut Faults) -> Option<Callback> {
    let format = section.one_of("format", &Format::ALL, Format::Json, faults);
    let reports = Reports::read(&mut section, faults);
    let verify = match section.section("verify", faults) {
        Some(verify) => signed_with(verify, faults),
        None => {
            let remedy = "say how its callbacks are signed; what is not signed anybody can post";
            faults.add(section.key("verify"), "missing", remedy);
            None
        }
    };
    if format == Format::Query && verify.as_ref().is_some_and(SignedWith::covers_only_the_body) {
        let remedy = "put {url} into verify.signed: the report stands in the address";
        faults.add(section.key("format"), "is not covered by the signature", remedy);
    }
    if format != Format::Query && verify.as_ref().is_some_and(SignedWith::covers_only_the_address) {
        let remedy = "put {body} into verify.signed: the report stands in the body";
        faults.add(section.key("format"), "is not covered by the signature", remedy);
    }
    section.finish(faults);
    Some(Callback { format, reports: reports?, verify: verify? })
}

fn signed_with(mut section: Section, faults: &mut Faults) -> Option<SignedWith> {
    let remedy = "set it to hmac-sha256, hmac-sha1, basic or bearer";
    let scheme = section.required("scheme", remedy, faults, |text| word(text, &Scheme::ALL));
    let signed = SignedWith::read(scheme?, &mut section, faults);
    section.finish(faults);
    signed
}

fn recall(mut section: Section, faults: &mut Faults) -> Option<Recall> {
    let request = RequestTemplate::read(&mut section, &RECALL_FIELDS, faults);
    let status = section.parsed("status", faults, Pointer::parse);
    let key = section.key("path");
    section.finish(faults);
    let request = request?;
    if !request.names(Field::Id) {
        faults.add(key, "does not say which message", "put {id} into the path or the body");
    }
    Some(Recall { request, status })
}

fn look_up(mut section: Section, faults: &mut Faults) -> Option<LookUp> {
    let request = RequestTemplate::read(&mut section, &LOOK_UP_FIELDS, faults);
    let reports = Reports::read(&mut section, faults);
    section.finish(faults);
    Some(LookUp { request: request?, reports: reports? })
}

fn inbound(mut section: Section, faults: &mut Faults) -> Option<Inbound> {
    let format = section.one_of("format", &Format::ALL, Format::Json, faults);
    let id = section.required("id", "say where a text has its id", faults, Pointer::parse);
    let from = section.required("from", "say where the number is that wrote", faults, Pointer::parse);
    let text = section.required("text", "say where the text is", faults, Pointer::parse);
    let answers = [("ignored", false), ("texted", true)];
    let answer_is_texted = section.one_of("answer", &answers, false, faults);
    section.finish(faults);
    Some(Inbound { format, id: id?, from: from?, text: text?, answer_is_texted })
}

fn outcome(text: &str) -> Result<Outcome, (String, String)> {
    Outcome::all().find(|outcome| outcome.code() == text).ok_or_else(|| {
        (format!("{text:?} is no outcome"), "use a code of docs/STATUS_CODES.md, as no_answer".to_owned())
    })
}

fn meaning(text: &str) -> Result<Meaning, (String, String)> {
    if let Some(meaning) = Meaning::of_word(text) {
        return Ok(meaning);
    }
    let ends = |outcome: &Outcome| outcome.terminal() && !outcome.contacted() && !outcome.is_not_taken();
    outcome(text).ok().filter(ends).map(Meaning::of_outcome).ok_or_else(|| {
        let remedy =
            format!("use {}, or the code of an outcome that a refused message ends with", Meaning::WORDS);
        (format!("{text:?} is no meaning of an answer"), remedy)
    })
}

fn address_fact(text: &str) -> Result<AddressFact, (String, String)> {
    if text == "opted_out" {
        return Ok(AddressFact::OptedOut);
    }
    let found = SuppressionReason::ALL.iter().find(|reason| reason.as_str() == text);
    found.map(|reason| AddressFact::Suppress(*reason)).ok_or_else(|| {
        let reasons: Vec<_> = SuppressionReason::ALL.iter().map(|reason| reason.as_str()).collect();
        (
            format!("{text:?} is nothing that is known of addresses"),
            format!("use opted_out, {}", reasons.join(", ")),
        )
    })
}
