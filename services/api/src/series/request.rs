//! The body of `POST /v1/series`: a campaign's, with a recurrence in place of a time.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value, json};
use tocsin_domain::recurrence::{
    COUNT, EXCEPT_MAX, INTERVAL, LATE_MAX, Occurrence, Recurrence, WrittenRecurrence, default_late_max,
};
use tocsin_store::Tenant;
use tocsin_store::tenant::campaigns::NewCampaign;
use tocsin_store::tenant::series::SeriesContent;

use crate::campaigns::valid as valid_campaign;
use crate::fields::{Faults, Field, Fields, all_of, below};
use crate::openapi::shapes::{Clock, Day, Varied, shape, shapes, varied, words};
use crate::problem::{Kind, Problem};
use crate::submission::audience::AudienceRequest;
use crate::submission::{CampaignRequest, SCHEDULE_AHEAD_MAX};

const NO_ZONE: &str = "is told by the clocks of the district, whose time zone is not set: set it with \
                       `tocsin district time-zone`";

varied!(SeriesRequest, |generator| {
    Varied::of::<CampaignRequest>(generator).without(&["scheduled_at", "test"]).with::<Recurring>(generator)
});

shape! {
    /// A campaign that recurs. Where `redial` or `calling_window` is left out, each occurrence has what the district decides
    /// by then.
    struct Recurring {
        audience: AudienceRequest,
        recurrence: RecurrenceRequest,
        /// How late an occurrence may run that nothing ran in time; later it is skipped. 3600 unless said, of emergencies 43200.
        #[schemars(range(min = 0, max = LATE_MAX.as_secs()))]
        late_seconds_max: Option<u32>,
    }
}

shapes! {
    Frequency = words(["daily", "weekly", "monthly"]);
    Weekday = words(["mo", "tu", "we", "th", "fr", "sa", "su"]);
}

shape! {
    /// When it recurs: at most once on one day. A member that does not fit the frequency is a fault.
    struct RecurrenceRequest {
        frequency: Frequency,
        /// Every so many days, weeks or months; 1 unless said.
        #[schemars(range(min = *INTERVAL.start(), max = *INTERVAL.end()))]
        interval: Option<u32>,
        /// Of weekly ones all their days, of monthly ones the one that `week` counts.
        #[schemars(extend("uniqueItems" = true))]
        weekdays: Option<Vec<Weekday>>,
        /// Of monthly ones: 1 to 31, or -1 for the last.
        #[schemars(range(min = -1, max = 31))]
        month_day: Option<i32>,
        /// Of monthly ones: 1 to 4, or -1 for the last.
        #[schemars(range(min = -1, max = 4))]
        week: Option<i32>,
        /// From which day on.
        starts_on: Day,
        /// By the clocks of the district.
        at: Clock,
        /// The last day, within ten years.
        ends_on: Option<Day>,
        /// Instead of `ends_on`: so many occurrences from the start.
        #[schemars(range(min = *COUNT.start(), max = *COUNT.end()))]
        count: Option<u32>,
        /// Days that are left out, and count all the same.
        #[schemars(length(max = EXCEPT_MAX))]
        except: Option<Vec<Day>>,
    }
}

/// A series as its author wants it.
#[derive(Debug)]
pub(crate) struct Read {
    pub content: SeriesContent,
    pub next: Occurrence,
    pub created_by: String,
    /// As its first occurrence would be made today.
    first: NewCampaign,
}

impl Read {
    /// What its first occurrence would be, for a forecast.
    pub fn first(&self) -> NewCampaign {
        let expires_in = chrono::TimeDelta::from_std(self.content.expires_in).unwrap_or_default();
        let (scheduled_at, expires_at) = (self.next.at, self.next.at + expires_in);
        NewCampaign { scheduled_at, expires_at, ..self.first.clone() }
    }
}

/// What the request asks for, or all its faults. An occurrence comes after `made`, the last day that became a campaign.
pub(crate) async fn valid(
    tenant: &Tenant,
    request: Value,
    now: DateTime<Utc>,
    made: Option<NaiveDate>,
) -> Result<Read, Problem> {
    let mut faults = Faults::default();
    let mut members = match request {
        Value::Object(members) => members,
        other => {
            Field::root(other).object(&mut faults);
            return Err(refused(faults));
        }
    };
    let given = |members: &Map<String, Value>, name: &str| members.get(name).is_some_and(|it| !it.is_null());
    let (has_redial, has_window) = (given(&members, "redial"), given(&members, "calling_window"));
    if given(&members, "scheduled_at") {
        faults.add("scheduled_at", "is what recurrence says: leave it out");
    }
    if members.get("audience").is_some_and(|audience| audience.get("receipt").is_some()) {
        faults
            .add("audience.receipt", "is for one correction, which does not recur: choose another audience");
    }
    if members.get("test").and_then(Value::as_bool) == Some(true) {
        faults.add("test", "is for one message: send it by itself, and make the series without");
        members.remove("test");
    }
    let own = ["recurrence", "late_seconds_max"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), members.remove(name)?)));
    let own = Value::Object(own.collect());
    let (recurrence, late_seconds) = match Field::root(own).object(&mut faults) {
        None => (None, None),
        Some(mut fields) => {
            let recurrence = read_recurrence(&mut fields, &mut faults);
            let range = 0..=u32::try_from(LATE_MAX.as_secs()).unwrap_or(u32::MAX);
            (recurrence, fields.take("late_seconds_max").and_then(|field| field.integer(range, &mut faults)))
        }
    };
    let zone = tenant.time_zone().await?;
    if zone.is_none() {
        faults.add("recurrence", NO_ZONE);
    }
    let next = recurrence.as_ref().zip(zone).and_then(|(recurrence, zone)| {
        let next = recurrence.next(zone, now, first_day(recurrence, made));
        if next.is_none() {
            faults.add("recurrence", "has no occurrence left: give a later end, or another rule");
        }
        next
    });
    if recurrence.as_ref().is_some_and(|it| it.starts_on() > (now + SCHEDULE_AHEAD_MAX).date_naive()) {
        faults.add("recurrence.starts_on", "lies more than a year ahead: give an earlier day");
    }
    // Its calling window is held against the first occurrence, where that is near enough.
    if let Some(next) = next.filter(|next| next.at < now + SCHEDULE_AHEAD_MAX) {
        members.insert("scheduled_at".to_owned(), json!(next.at.to_rfc3339()));
    } else {
        members.remove("scheduled_at");
    }
    let campaign = match valid_campaign(tenant, Value::Object(members), now).await {
        Ok(submission) => Some(submission.into_campaign(String::new(), Vec::new(), now)),
        Err(problem) if !problem.errors().is_empty() => {
            faults.extend(problem.errors().to_vec());
            None
        }
        Err(problem) => return Err(problem),
    };
    let read = campaign.zip(recurrence).zip(zone.zip(next)).map(|((campaign, recurrence), (zone, next))| {
        let late_max = late_seconds
            .map_or_else(|| default_late_max(campaign.lane), |seconds| Duration::from_secs(seconds.into()));
        let first = campaign.clone();
        let content = SeriesContent {
            recurrence,
            zone,
            late_max,
            lane: campaign.lane,
            mode: campaign.mode,
            message_type: campaign.message_type,
            subject: campaign.subject,
            channels: campaign.channels,
            audience: campaign.audience,
            contents: campaign.contents,
            redial: has_redial.then_some(campaign.redial),
            calling_window: campaign.calling_window.filter(|_| has_window),
            limits: campaign.limits,
            expires_in: (campaign.expires_at - campaign.scheduled_at).to_std().unwrap_or_default(),
        };
        Read { content, next, created_by: campaign.created_by, first }
    });
    faults.or(read).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))
}

/// The day after the last that was made: a series sends once a day at most.
fn first_day(recurrence: &Recurrence, made: Option<NaiveDate>) -> NaiveDate {
    made.and_then(|made| made.succ_opt())
        .map_or(recurrence.starts_on(), |next| next.max(recurrence.starts_on()))
}

fn refused(faults: Faults) -> Problem {
    match faults.or(None::<()>) {
        Ok(()) => Problem::new(Kind::InvalidBody, "the request has faults"),
        Err(faults) => Problem::faulty(Kind::InvalidBody, faults),
    }
}

/// The member `recurrence`.
fn read_recurrence(fields: &mut Fields, faults: &mut Faults) -> Option<Recurrence> {
    const REMEDY: &str = "give frequency, starts_on and at";
    let field = fields.required("recurrence", REMEDY, faults)?;
    let path = field.path.clone();
    let mut fields = field.object(faults)?;
    let mut text = |name, faults: &mut Faults| fields.required(name, REMEDY, faults)?.string(faults);
    let frequency = text("frequency", faults);
    let (starts_on, at) = (text("starts_on", faults), text("at", faults));
    let ends_on = fields.take("ends_on").map(|field| field.string(faults));
    let weekdays = match fields.take("weekdays") {
        None => Some(Vec::new()),
        Some(field) => field.list(faults).and_then(|entries| all_of(entries, |entry| entry.string(faults))),
    };
    let except = match fields.take("except") {
        None => Some(Vec::new()),
        Some(field) => field.list(faults).and_then(|entries| all_of(entries, |entry| entry.string(faults))),
    };
    // What is out of range the domain refuses; what is no number is refused here.
    let interval = match fields.take("interval") {
        None => Some(1),
        Some(field) => field.integer(INTERVAL, faults),
    };
    let count = fields.take("count").map(|field| field.integer(0..=u32::MAX, faults));
    let mut signed = |name| fields.take(name).map(|field| field.signed(faults));
    let (month_day, week) = (signed("month_day"), signed("week"));
    fields.finish(faults);
    let written = WrittenRecurrence {
        frequency: frequency?,
        interval: interval?,
        weekdays: weekdays?,
        month_day: given(month_day)?,
        week: given(week)?,
        starts_on: starts_on?,
        at: at?,
        ends_on: given(ends_on)?,
        count: given(count)?,
        except: except?,
    };
    Recurrence::read(&written)
        .map_err(|found| found.into_iter().for_each(|it| faults.add(below(&path, it.field), it.reason)))
        .ok()
}

/// A member that may be left out but not be faulty.
fn given<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}
