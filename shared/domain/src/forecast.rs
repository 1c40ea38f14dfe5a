//! How long a campaign that is not yet sent will take, from what is known now: its devices, the limits and windows, its
//! redial policy, and what earlier campaigns showed (docs/adr/0022-forecast.md).
//!
//! The course of the campaign is played several times in virtual time, each time with other draws of what became of
//! earlier attempts. The forecast are the percentiles of these runs. The same facts and seed give the same forecast.

mod capacity;
mod course;
mod history;
mod random;
mod rivals;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::policy::RedialPolicy;
use crate::wait::{Dial, Reader};
use crate::window::{CallingWindow, Contact, Zone, contact};
use crate::{Channel, Lane};

pub use capacity::{AccountState, Capacity, District, Unserved};
pub use history::{Earlier, History, Start, Started, Tried};
pub use rivals::{Rival, Rivals};

use course::{Course, End};
use random::Random;

/// How often the course is played: enough for a 90th percentile.
const RUNS: u64 = 25;
/// From the end of the last job to the campaign's end: half a tick of the planner.
const CLOSING_SECONDS: f64 = 0.15;
/// Zones of which a note tells when their window opens; the devices of others are counted without one.
const OPENINGS_TOLD_MAX: usize = 6;

/// A campaign as it is to be sent.
#[derive(Debug, Clone)]
pub struct Plan {
    /// When it is due; never before now.
    pub begins_at: DateTime<Utc>,
    /// From now until then: what is waiting now is served meanwhile.
    pub ahead_seconds: f64,
    pub expires_at: DateTime<Utc>,
    pub lane: Lane,
    pub redial: RedialPolicy,
    /// None: at any hour.
    pub calling_window: Option<CallingWindow>,
    pub start: Start,
    pub channels: BTreeMap<Channel, ChannelPlan>,
    /// By which clock notes tell times.
    pub dial: Dial,
}

/// What is to be done over one channel, and by what.
#[derive(Debug, Clone)]
pub struct ChannelPlan {
    pub groups: Vec<Group>,
    /// Err: nothing can be sent.
    pub capacity: Result<Capacity, Unserved>,
    pub rivals: Rivals,
    pub history: History,
}

/// Devices that are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// The recipients' zone, else their district's.
    pub zone: Option<Zone>,
    /// What one attempt costs in the unit that the provider counts: 1, or a text's segments.
    pub cost: u32,
    pub devices: u64,
}

/// Of the runs, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
}

/// Seconds count from the campaign's begin. None: nothing is to be done, or nothing can be sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forecast {
    pub channels: BTreeMap<Channel, ChannelForecast>,
    pub waiting_for_window: u64,
    pub last_first_attempt: Option<Percentiles>,
    pub completion: Option<Percentiles>,
    /// What the forecast assumes, and what stands in the campaign's way, in sentences.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ChannelForecast {
    /// Devices that may not be contacted at the campaign's begin.
    pub waiting_for_window: u64,
    pub last_first_attempt: Option<Percentiles>,
    pub completion: Option<Percentiles>,
}

/// Plays the campaign. `seed` decides the draws.
pub fn forecast(plan: &Plan, seed: u64) -> Forecast {
    let mut forecast = Forecast::default();
    let mut unserved = false;
    let devices: u64 = plan.channels.values().map(ChannelPlan::devices).sum();
    let start_seconds = plan.start.seconds(devices);
    let mut ends: Vec<Vec<End>> = Vec::new();
    for (channel, channel_plan) in &plan.channels {
        let waiting_for_window = closed(plan, channel_plan, *channel, &mut forecast.notes);
        let mut of_channel = ChannelForecast { waiting_for_window, ..ChannelForecast::default() };
        forecast.waiting_for_window += waiting_for_window;
        tell(*channel, channel_plan, &mut forecast.notes);
        match &channel_plan.capacity {
            Ok(capacity) if channel_plan.devices() > 0 => {
                let play = |run| {
                    let mut random =
                        Random::of(seed ^ (run << 8) ^ u64::from(channel.number().unsigned_abs()));
                    Course::new(plan, channel_plan, capacity, start_seconds, &mut random).play(&mut random)
                };
                let runs: Vec<End> = (0..RUNS).map(play).collect();
                of_channel.last_first_attempt =
                    percentiles(runs.iter().filter_map(|end| end.last_first_attempt));
                of_channel.completion = percentiles(runs.iter().map(|end| end.completion));
                ends.push(runs);
            }
            Ok(_) => {}
            Err(_) => unserved |= channel_plan.devices() > 0,
        }
        forecast.channels.insert(*channel, of_channel);
    }
    if !unserved {
        forecast.last_first_attempt = percentiles(latest(&ends, |end| end.last_first_attempt));
        let completion = percentiles(latest(&ends, |end| Some(end.completion)));
        forecast.completion = completion.map(|found| found.plus(CLOSING_SECONDS));
    }
    forecast
}

impl ChannelPlan {
    fn devices(&self) -> u64 {
        self.groups.iter().map(|group| group.devices).sum()
    }
}

impl Percentiles {
    fn plus(self, seconds: f64) -> Self {
        Self { p50: self.p50 + seconds, p90: self.p90 + seconds }
    }
}

/// The latest of the channels, run by run.
fn latest(ends: &[Vec<End>], of: impl Fn(&End) -> Option<f64>) -> impl Iterator<Item = f64> {
    let runs = ends.first().map_or(0, Vec::len);
    (0..runs).filter_map(move |run| ends.iter().filter_map(|channel| of(&channel[run])).reduce(f64::max))
}

fn percentiles(values: impl Iterator<Item = f64>) -> Option<Percentiles> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |part: f64| sorted.get((sorted.len().saturating_sub(1) as f64 * part).round() as usize).copied();
    Some(Percentiles { p50: at(0.5)?, p90: at(0.9)? })
}

/// Counts the devices that may not be contacted at the begin, and tells until when.
fn closed(plan: &Plan, channel_plan: &ChannelPlan, channel: Channel, notes: &mut Vec<String>) -> u64 {
    let (mut waiting, mut told) = (0, BTreeSet::new());
    let mut openings: BTreeMap<(DateTime<Utc>, String), u64> = BTreeMap::new();
    let reader = Reader { now: plan.begins_at, dial: plan.dial };
    let mut note = |devices: u64, what: &str| {
        if told.insert(what.to_owned()) {
            let devices =
                if devices == 1 { "1 device waits".to_owned() } else { format!("{devices} devices wait") };
            notes.push(format!("{channel}: {devices} {what}"));
        }
    };
    let (mut never, mut unknown) = (0, 0);
    for group in &channel_plan.groups {
        match contact(plan.calling_window.as_ref(), group.zone, plan.begins_at, plan.expires_at) {
            Contact::Open { .. } => continue,
            Contact::Closed { opens_at } => {
                let opening = reader.clock(group.zone.unwrap_or(Zone::UTC), opens_at);
                *openings.entry((opens_at, opening)).or_default() += group.devices;
            }
            Contact::Never => never += group.devices,
            Contact::ZoneUnknown => unknown += group.devices,
        }
        waiting += group.devices;
    }
    let untold: u64 = openings.values().skip(OPENINGS_TOLD_MAX).sum();
    for ((_, opening), devices) in openings.iter().take(OPENINGS_TOLD_MAX) {
        note(*devices, &format!("for {opening}"));
    }
    if untold > 0 {
        note(untold, "for later openings of the calling window");
    }
    if never > 0 {
        note(never, "for nothing: the calling window does not open before the message expires");
    }
    if unknown > 0 {
        note(unknown, "for a time zone to be known: set one for the district");
    }
    waiting
}

/// What the forecast of a channel stands on.
fn tell(channel: Channel, channel_plan: &ChannelPlan, notes: &mut Vec<String>) {
    if channel_plan.devices() == 0 {
        return;
    }
    let mut note = |what: String| notes.push(format!("{channel}: {what}"));
    let capacity = match &channel_plan.capacity {
        Ok(capacity) => capacity,
        Err(unserved) => return note(unserved.to_string()),
    };
    for what in &capacity.notes {
        note(what.clone());
    }
    if channel_plan.history.is_empty() {
        note(format!(
            "no earlier campaign shows what becomes of attempts: {}",
            history::assumed_in_words(channel)
        ));
    }
    if capacity.is_unlimited() {
        note(match channel_plan.history.reached() {
            Some(rate) => {
                format!("no limit is set: taken from what earlier campaigns reached, {rate:.0} a second")
            }
            None => {
                format!("no limit is set and none was reached: {:.0} a second assumed", history::RATE_ASSUMED)
            }
        });
    }
    let ahead = channel_plan.rivals.ahead();
    if ahead > 0 {
        note(format!("{ahead} jobs of other messages are waiting in the same lane or an earlier one"));
    }
}
