//! The body of `POST /v1/campaigns`: read whole, checked whole, and refused with all its faults at once.

pub(crate) mod audience;
mod contents;
pub(crate) mod files;
mod testing;
mod written;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tocsin_domain::attachment::{Attachment, FILES_MAX};
use tocsin_domain::audience::Audience;
use tocsin_domain::consent::ConsentClass;
use tocsin_domain::content::{Content, EMAIL_BODY_BYTES_MAX, SUBJECT_CHARS_MAX};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::limits::CampaignLimits;
use tocsin_domain::policy::{MessagePolicy, RedialPolicy, default_expiry};
use tocsin_domain::window::{CallingWindow, Contact, Zone, contact};
use tocsin_domain::{CampaignId, Channel, Lane};
use tocsin_store::tenant::campaigns::{CampaignSummary, NewCampaign};
use tocsin_store::tenant::policies::KeptPolicy;
use tocsin_store::{StoreError, Tenant};
use uuid::{NoContext, Timestamp, Uuid};

use crate::MessageType;
use crate::correction;
use crate::fields::{Fault, Faults, Field, Fields, quoted};
use crate::limits::{CampaignLimitRequest, read_campaign};
use crate::openapi::shapes::{MessageTypeName, Text, shape};
use crate::policies::{RedialRequest, WindowRequest, read_redial, read_window};
use contents::CONTENTS_MAX;

pub(crate) use written::{WrittenCampaign, merged, written};

/// Characters of the name of who did something, where the caller says it.
pub(crate) const ACTOR_CHARS_MAX: usize = 255;
/// How far in the past a schedule may lie, for clocks that differ and requests that were tried again.
const SCHEDULE_PAST_MAX: TimeDelta = TimeDelta::seconds(60);
/// A schedule beyond it is taken for a slip of the year.
pub(crate) const SCHEDULE_AHEAD_MAX: TimeDelta = TimeDelta::days(366);
const EXPIRY_SECONDS: std::ops::RangeInclusive<u32> = 60..=7 * 24 * 3600;

shape! {
    /// A campaign. The text is `body`, one for all, or `contents`.
    #[schemars(extend("anyOf" = [{ "required": ["body"] }, { "required": ["contents"] }]))]
    pub(crate) struct CampaignRequest {
        /// The title, and the subject of emails and inbox messages.
        subject: Text<SUBJECT_CHARS_MAX>,
        /// Each once.
        #[schemars(length(min = 1), extend("uniqueItems" = true))]
        channels: Vec<Channel>,
        /// Whom it is for. Only a test may leave it out.
        audience: Option<audience::AudienceRequest>,
        /// True: it goes to the district's test people and to nobody else, whatever the audience. They are stored as its
        /// audience, and it is marked.
        test: Option<bool>,
        /// The text for every channel and language, with merge fields: `{{ field }}` or `{{ field | fallback }}`, of
        /// `recipient_name`, `given_name`, `family_name`, `student_name`, `student_given_name`, `school_name`, `grade`. At
        /// most 4000 characters by voice, 1600 by text, 1 MiB else.
        #[schemars(length(min = 1, max = EMAIL_BODY_BYTES_MAX))]
        body: Option<String>,
        /// Ids of files that were uploaded, each once, for the emails and inbox messages: 12 MiB together at most.
        #[schemars(length(max = FILES_MAX), extend("uniqueItems" = true))]
        attachments: Option<Vec<Uuid>>,
        /// Texts by channel and language, in place of `body`. Every channel needs one without language.
        #[schemars(length(min = 1, max = CONTENTS_MAX))]
        contents: Option<Vec<contents::ContentRequest>>,
        /// Decides lane, consent and policy; `general` unless said.
        message_type: Option<MessageTypeName>,
        /// `per_device` unless said.
        mode: Option<DedupeMode>,
        /// At once unless said; within a year, and not before the district's undo period is over.
        scheduled_at: Option<DateTime<Utc>>,
        /// From `scheduled_at`: a day unless said, of emergencies 12 hours.
        #[schemars(range(min = *EXPIRY_SECONDS.start(), max = *EXPIRY_SECONDS.end()))]
        expires_in_seconds: Option<u32>,
        /// What is left out is the policy's.
        redial: Option<RedialRequest>,
        /// What is left out is the policy's. Emergencies have none.
        calling_window: Option<WindowRequest>,
        /// By channel of the campaign.
        limits: Option<BTreeMap<Channel, Option<CampaignLimitRequest>>>,
        /// For whom the key makes it; its own name unless said.
        created_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

/// A campaign as its author wants it, every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Submission {
    subject: String,
    channels: Vec<Channel>,
    message_type: MessageType,
    consent_class: ConsentClass,
    audience: Audience,
    test: bool,
    contents: Vec<Content>,
    mode: DedupeMode,
    scheduled_at: DateTime<Utc>,
    expires_in: Duration,
    redial: RedialPolicy,
    calling_window: Option<CallingWindow>,
    limits: CampaignLimits,
    created_by: String,
}

/// What a request is read against: what the district decided for all its campaigns, and the campaign that is
/// corrected.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    policies: BTreeMap<String, KeptPolicy>,
    zone: Option<Zone>,
    /// Names of the message types whose texts need an opt-in.
    opt_in_needed: Vec<String>,
    /// So long what is no emergency can be taken back.
    undo: TimeDelta,
    /// Source ids of those whom tests go to.
    test_people: Vec<String>,
    /// Whose it is where the author does not say.
    actor: String,
    corrected: Option<CampaignSummary>,
    files: Files,
}

/// What is known of a request's files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    /// Of the uploads that it names those that there are.
    pub uploaded: Vec<Attachment>,
    /// What a correction has whose author says nothing of files: those of the campaign corrected.
    pub corrected: Vec<Attachment>,
    /// Accounts that its mails may go over, and that cannot carry files.
    pub refused_by: Vec<String>,
}

impl Standing {
    /// `corrected` gives what a correction's author leaves out.
    pub async fn of(tenant: &Tenant, corrected: Option<CampaignSummary>) -> Result<Self, StoreError> {
        let sending = tenant.sending_policy().await?;
        Ok(Self {
            policies: tenant.policies().await?,
            zone: tenant.time_zone().await?,
            opt_in_needed: tenant.consent_policy().await?.opt_in_needed,
            undo: TimeDelta::from_std(sending.undo).unwrap_or_default(),
            test_people: sending.test_people,
            actor: tenant.acts_as().to_owned(),
            corrected,
            files: Files::default(),
        })
    }

    pub fn with_files(self, files: Files) -> Self {
        Self { files, ..self }
    }

    fn consent_class(&self, message_type: MessageType) -> ConsentClass {
        message_type.consent_class_where(&self.opt_in_needed)
    }

    fn message_type(&self) -> MessageType {
        let corrected = self.corrected.as_ref().map(|campaign| campaign.message_type.as_str());
        corrected.and_then(MessageType::named).unwrap_or_default()
    }

    fn policy(&self, message_type: MessageType) -> MessagePolicy {
        match self.policies.get(message_type.as_str()) {
            Some(kept) => kept.policy.clone(),
            None => MessagePolicy::default_for(message_type.lane()),
        }
    }
}

impl Submission {
    /// `now` is when it was received: what has no schedule is due then.
    pub fn read(request: Value, standing: &Standing, now: DateTime<Utc>) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let read = Field::root(request)
            .object(&mut faults)
            .and_then(|fields| read(fields, standing, now, &mut faults));
        faults.or(read)
    }

    pub fn message_type(&self) -> MessageType {
        self.message_type
    }

    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    pub fn is_test(&self) -> bool {
        self.test
    }

    pub fn contents(&self) -> &[Content] {
        &self.contents
    }

    pub fn subject(&self) -> &str {
        &self.subject
    }

    pub fn created_by(&self) -> &str {
        &self.created_by
    }

    /// The row to store. Its id carries `now`, so that campaigns are partitioned and listed by age.
    pub fn into_campaign(self, client_key: String, request_hash: Vec<u8>, now: DateTime<Utc>) -> NewCampaign {
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let moment = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
        NewCampaign {
            id: CampaignId(Uuid::new_v7(moment)),
            client_key,
            request_hash,
            lane: self.message_type.lane(),
            mode: self.mode,
            consent_class: self.consent_class.number(),
            message_type: self.message_type.as_str().to_owned(),
            subject: self.subject,
            channels: self.channels,
            audience: self.audience,
            test: self.test,
            redial: self.redial,
            calling_window: self.calling_window,
            limits: self.limits,
            contents: self.contents,
            created_by: self.created_by,
            created_at: now,
            scheduled_at: self.scheduled_at,
            expires_at: self.scheduled_at + self.expires_in,
        }
    }
}

fn read(
    mut fields: Fields,
    standing: &Standing,
    now: DateTime<Utc>,
    faults: &mut Faults,
) -> Option<Submission> {
    let corrected = standing.corrected.as_ref();
    let default_subject = corrected.map(|campaign| correction::subject_for(&campaign.subject));
    let subject = contents::read_subject(&mut fields, default_subject, faults);
    let channels = read_channels(&mut fields, corrected, faults);
    let message_type = fields
        .take("message_type")
        .and_then(|field| field.one_of(&MessageType::ALL, MessageType::as_str, faults))
        .unwrap_or_else(|| standing.message_type());
    let lane = message_type.lane();
    let addressed = testing::read(&mut fields, standing, faults);
    let texts = contents::Wanted { subject: subject.as_deref(), channels: channels.as_deref() };
    let contents = contents::read(&mut fields, texts, faults);
    let attached = files::read(&mut fields, &standing.files, channels.as_deref(), faults);
    let contents = contents.zip(attached).map(|(mut contents, attached)| {
        files::attach(&mut contents, &attached);
        contents
    });
    let mode = fields.take("mode").and_then(|field| field.one_of(&DedupeMode::ALL, mode_name, faults));
    let scheduled_at = fields
        .take("scheduled_at")
        .and_then(|field| field.parsed(faults, |text| read_schedule(text, now)))
        .unwrap_or(now);
    let waits = lane != Lane::Emergency && !standing.undo.is_zero();
    let scheduled_at = if waits { scheduled_at.max(now + standing.undo) } else { scheduled_at };
    let expires_in = fields
        .take("expires_in_seconds")
        .and_then(|field| field.integer(EXPIRY_SECONDS, faults))
        .map_or_else(|| default_expiry(lane), |seconds| Duration::from_secs(seconds.into()));
    let policy = standing.policy(message_type);
    let redial = read_redial(&mut fields, policy.redial, faults);
    let calling_window = read_window(&mut fields, policy.calling_window, lane, faults);
    let limits = read_campaign(&mut fields, channels.as_deref(), faults);
    let expires_at = scheduled_at + expires_in;
    if let (Some(window), Some(zone)) = (&calling_window, standing.zone)
        && contact(Some(window), Some(zone), scheduled_at, expires_at) == Contact::Never
    {
        let reason = format!("ends before the calling window opens in {zone}: give more, or another window");
        faults.add("expires_in_seconds", reason);
    }
    let created_by = fields.take("created_by").and_then(|field| field.text(ACTOR_CHARS_MAX, faults));
    fields.finish(faults);
    let testing::Addressed { test, audience } = addressed?;
    Some(Submission {
        subject: subject?,
        channels: channels?,
        message_type,
        consent_class: standing.consent_class(message_type),
        audience,
        test,
        contents: contents?,
        mode: mode.or(corrected.map(|campaign| campaign.mode)).unwrap_or_default(),
        scheduled_at,
        expires_in,
        redial,
        calling_window,
        limits,
        created_by: created_by.unwrap_or_else(|| standing.actor.clone()),
    })
}

/// A correction goes over the channels of the campaign corrected, or over some of them.
pub(crate) fn read_channels(
    fields: &mut Fields,
    corrected: Option<&CampaignSummary>,
    faults: &mut Faults,
) -> Option<Vec<Channel>> {
    const REMEDY: &str = "list at least one of voice, sms, email, inbox";
    if let Some(campaign) = corrected
        && !fields.holds("channels")
    {
        fields.take("channels");
        return Some(campaign.channels.clone());
    }
    let field = fields.required("channels", REMEDY, faults)?;
    let path = field.path.clone();
    let entries = field.list(faults)?;
    if entries.is_empty() {
        faults.add(path, format!("is empty: {REMEDY}"));
        return None;
    }
    let mut seen = HashSet::new();
    let mut channels = Vec::new();
    for entry in entries {
        let path = entry.path.clone();
        match entry.one_of(&Channel::ALL, Channel::as_str, faults) {
            Some(channel) if corrected.is_some_and(|campaign| !campaign.channels.contains(&channel)) => {
                let reason =
                    "was not used by the campaign corrected, so nobody was contacted by it: leave it out";
                faults.add(path, format!("{channel} {reason}"));
            }
            Some(channel) if seen.insert(channel) => channels.push(channel),
            Some(channel) => faults.add(path, format!("repeats {channel}: list each channel once")),
            None => {}
        }
    }
    Some(channels)
}

pub(crate) fn mode_name(mode: DedupeMode) -> &'static str {
    match mode {
        DedupeMode::PerDevice => "per_device",
        DedupeMode::PerDeviceAndStudent => "per_device_and_student",
    }
}

fn read_schedule(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let at = DateTime::parse_from_rfc3339(text)
        .map_err(|_| format!("{} is no RFC 3339 time: write it as 2026-09-01T08:00:00-05:00", quoted(text)))?
        .to_utc();
    if at < now - SCHEDULE_PAST_MAX {
        return Err("lies in the past: give a time to come, or leave it out to send at once".to_owned());
    }
    if at > now + SCHEDULE_AHEAD_MAX {
        return Err("lies more than a year ahead: give an earlier time".to_owned());
    }
    Ok(at)
}
