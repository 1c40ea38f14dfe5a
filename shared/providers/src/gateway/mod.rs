//! Any gateway that speaks HTTP, for any channel: what its API looks like stands in a profile (ADR 29).

mod answer;
mod document;
mod inbound;
mod look_up;
mod profile;
mod recall;
mod reports;
mod request;
mod signature;
mod template;
#[cfg(test)]
mod tests;

use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::HeaderValue;
use serde_json::Value;
use tocsin_domain::suppression::AddressFact;
use tocsin_domain::{Channel, Outcome};

use crate::account::is_this_machine;
use crate::file::Room;
use crate::http::Within;
use crate::{
    AccountClient, AccountSettings, Answer, CallbackReport, Capabilities, InboundText, LookUpAnswer,
    LookUpQuery, ParseError, Provider, ProvidersError, RawRequest, RecallAnswer, RefusalClass, Reply,
    SendRequest, VerifyError, VerifyFault,
};
pub use profile::ProfileFault;
use profile::{Authentication, Callback, Profile};
use request::Endpoint;
use signature::Verifier;
use template::Field;

/// What is wrong with a profile: all of it.
pub fn check_profile(text: &str) -> Result<(), Vec<ProfileFault>> {
    Profile::parse(text).map(drop)
}

/// One account at a gateway.
pub struct Gateway {
    endpoint: Endpoint,
    profile: Profile,
    /// None: nothing is ever posted for it.
    verifier: Option<Verifier>,
    room: Room,
}

/// Of files, while a request is written: in base64, as a value of the body, and in the body.
const COPIES: usize = 3;

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("channels", &self.profile.channels).finish_non_exhaustive()
    }
}

impl Gateway {
    pub fn new(settings: &AccountSettings, client: AccountClient) -> Result<Self, ProvidersError> {
        settings.check_names()?;
        let name = settings.profile.as_deref().unwrap_or_default();
        if name.is_empty() {
            return Err(settings.fault("profile", "is missing: name call-codes, or a file"));
        }
        let text = Profile::source(name).map_err(|_| {
            settings.fault("profile", "cannot be read: name call-codes, or a file that is there")
        })?;
        let profile = Profile::parse(&text).map_err(|faults| ProvidersError::Profile {
            account: settings.name.clone(),
            profile: name.to_owned(),
            faults,
        })?;
        if !profile.channels.contains(&settings.channel) {
            return Err(settings.fault("channel", "is none that the profile serves"));
        }
        if profile.callback.is_some() && settings.signing_keys.is_empty() {
            return Err(settings.fault("signing_keys", "needs what the gateway's callbacks are signed with"));
        }
        let verifier =
            profile.callback.as_ref().map(|callback| Verifier::new(&callback.verify, &settings.signing_keys));
        let endpoint = endpoint(settings, &profile, client)?;
        Ok(Self { endpoint, profile, verifier, room: Room::default() })
    }

    fn document(&self, raw: &RawRequest) -> Result<(&Callback, Value), ParseError> {
        let callback =
            self.profile.callback.as_ref().ok_or(ParseError::Missing("description in the profile"))?;
        let document = callback.format.document(&raw.url, &raw.body).map_err(ParseError::Json)?;
        Ok((callback, document))
    }
}

/// A mail without its files would be another mail.
const NO_PLACE_FOR_FILES: &str = "the gateway's profile has no place for files";

/// Can mails over this account have files? What is no gateway at all says so by its adapter.
pub fn carries_files(profile: &str) -> bool {
    let parsed = Profile::source(profile).ok().and_then(|text| Profile::parse(&text).ok());
    parsed.is_some_and(|profile| profile.send.request.carries_files())
}

fn endpoint(
    settings: &AccountSettings,
    profile: &Profile,
    client: AccountClient,
) -> Result<Endpoint, ProvidersError> {
    let url = settings.parse_base_url()?;
    match url.scheme() {
        "https" => {}
        "http" if is_this_machine(&url) => {}
        "http" => {
            return Err(settings.fault("base_url", "must be https: plain http is for this machine only"));
        }
        _ => return Err(settings.fault("base_url", "must be https")),
    }
    let (user, secret) = (settings.user.clone(), settings.secret.reveal().to_owned());
    let authentication = profile.authentication;
    if user.is_empty() && (authentication == Authentication::Basic || profile.names(Field::User)) {
        return Err(settings.fault("user", "is missing: the profile wants it"));
    }
    if secret.is_empty() && (authentication != Authentication::None || profile.names(Field::Secret)) {
        return Err(settings.fault("secret", "is missing: the profile wants it"));
    }
    let credentials = match authentication {
        Authentication::Basic => Some(format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))),
        Authentication::Bearer => Some(format!("Bearer {secret}")),
        Authentication::None => None,
    };
    let header = |text: String| {
        let header = HeaderValue::try_from(text);
        header.map_err(|_| settings.fault("secret", "does not fit a header"))
    };
    for (value, key) in [(&user, "user"), (&secret, "secret")] {
        if HeaderValue::try_from(value).is_err() {
            return Err(settings.fault(key, "does not fit a header"));
        }
    }
    let mut authorization = credentials.map(header).transpose()?;
    if let Some(authorization) = &mut authorization {
        authorization.set_sensitive(true);
    }
    let base_url = url.as_str().trim_end_matches('/').to_owned();
    let channel = settings.channel;
    Ok(Endpoint { client, channel, base_url, authorization, user, secret, sender: settings.sender.clone() })
}

#[async_trait]
impl Provider for Gateway {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn capabilities(&self) -> Capabilities {
        let Profile { recall, look_up, .. } = &self.profile;
        Capabilities { recall: recall.is_some(), look_up: look_up.is_some(), batch_max: 1 }
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        let template = &self.profile.send.request;
        if !request.files.is_empty() && !template.carries_files() {
            return Answer::Refused {
                outcome: Outcome::FailedToSend,
                provider_code: Some(NO_PLACE_FOR_FILES.to_owned()),
                class: RefusalClass::Permanent,
            };
        }
        let Some(_room) = self.room.take(&request.files, COPIES, request.start_within).await else {
            return Answer::NotStarted;
        };
        let built = self.endpoint.request_with(template, &self.endpoint.of_send(request), &request.files);
        match built {
            Ok(built) => {
                answer::answer(&self.profile, self.endpoint.exchange(built, Within::of([request])).await)
            }
            Err(unfit) => Answer::Refused {
                outcome: match self.endpoint.channel {
                    Channel::Voice | Channel::Sms => Outcome::InvalidNumber,
                    Channel::Email | Channel::Inbox => Outcome::InvalidAddress,
                },
                provider_code: Some(unfit.why().to_owned()),
                class: RefusalClass::Permanent,
            },
        }
    }

    async fn recall(&self, provider_id: &str) -> RecallAnswer {
        match &self.profile.recall {
            Some(described) => recall::recall(&self.endpoint, &self.profile, described, provider_id).await,
            None => RecallAnswer::Unsupported,
        }
    }

    async fn look_up(&self, query: &LookUpQuery) -> LookUpAnswer {
        match &self.profile.look_up {
            Some(described) => look_up::look_up(&self.endpoint, &self.profile, described, query).await,
            None => LookUpAnswer::Unsupported,
        }
    }

    fn verify(&self, raw: &RawRequest, now: DateTime<Utc>) -> Result<(), VerifyError> {
        match &self.verifier {
            Some(verifier) => verifier.verify(raw, now),
            None => Err(VerifyError { fault: VerifyFault::Missing, http_status: 404 }),
        }
    }

    fn parse(&self, raw: &RawRequest) -> Result<Vec<CallbackReport>, ParseError> {
        let (callback, document) = self.document(raw)?;
        reports::parse(&self.profile, &callback.reports, &document)
    }

    /// Where one report stands in a body, its attempt is the request's.
    fn token(&self, raw: &RawRequest) -> Option<String> {
        let (callback, document) = self.document(raw).ok()?;
        match callback.reports.list {
            None => reports::tokens(&callback.reports, &document).pop().flatten(),
            Some(_) => None,
        }
    }

    fn tokens(&self, raw: &RawRequest) -> Vec<Option<String>> {
        match self.document(raw) {
            Ok((callback, document)) if callback.reports.list.is_some() => {
                reports::tokens(&callback.reports, &document)
            }
            Ok(_) | Err(_) => Vec::new(),
        }
    }

    fn address_fact(&self, provider_code: &str) -> Option<AddressFact> {
        self.profile.addresses.get(&profile::normal(provider_code)).copied()
    }

    fn reply(&self, raw: &RawRequest) -> Option<Reply> {
        self.profile.inbound.as_ref().map(|described| inbound::reply(described, raw))
    }

    fn inbound(&self, raw: &RawRequest) -> Result<InboundText, ParseError> {
        let described = self.profile.inbound.as_ref().ok_or(ParseError::NotForTexts)?;
        inbound::parse(described, raw)
    }

    /// What the reports say, in words that the profile knows; everything else may tell of a person.
    fn redact(&self, raw: &RawRequest) -> String {
        let said = match self.parse(raw) {
            Ok(reports) => {
                let known = |report: &CallbackReport| {
                    let word = report.provider_code.as_deref()?;
                    self.profile.outcome(word).map(|_| word.to_owned())
                };
                let words =
                    reports.iter().map(|report| known(report).unwrap_or_else(|| "unknown".to_owned()));
                words.collect::<Vec<_>>().join(", ")
            }
            Err(_) => "not understood".to_owned(),
        };
        format!("[redacted: {} bytes, {said}]", raw.body.len())
    }
}
