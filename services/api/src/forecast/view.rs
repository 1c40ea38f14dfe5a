//! What callers see of a forecast.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::forecast::{self, Forecast};
use tocsin_domain::{Channel, Outcome};
use tocsin_store::tenant::forecast::{Counted, Fate};

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Forecast")]
pub(crate) struct ForecastView {
    /// From when its seconds count.
    pub begins_at: DateTime<Utc>,
    pub recipients: u64,
    pub no_device: u64,
    pub devices: BTreeMap<Channel, u64>,
    #[serde(flatten)]
    pub totals: Totals,
    #[serde(flatten)]
    pub times: Times,
    pub by_channel: BTreeMap<Channel, ChannelView>,
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChannelForecast")]
pub(crate) struct ChannelView {
    pub devices: u64,
    #[serde(flatten)]
    pub totals: Totals,
    #[serde(flatten)]
    pub times: Times,
}

/// Duplicates are in none of the other numbers.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
#[schemars(rename = "ForecastTotals")]
pub(crate) struct Totals {
    pub to_be_tried: u64,
    pub duplicates: u64,
    pub opted_out: u64,
    pub not_opted_in: u64,
    pub suppressed: u64,
    pub waiting_for_window: u64,
}

/// Null: nothing is to be done, or nothing can be sent.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[schemars(rename = "ForecastTimes")]
pub(crate) struct Times {
    pub seconds_to_last_first_attempt: Option<Percentiles>,
    pub seconds_to_completion: Option<Percentiles>,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct Percentiles {
    pub p50: f64,
    pub p90: f64,
}

impl ForecastView {
    pub fn of(begins_at: DateTime<Utc>, counted: &Counted, found: Forecast) -> Self {
        let mut by_channel: BTreeMap<Channel, ChannelView> = found
            .channels
            .iter()
            .map(|(channel, of_channel)| {
                let waiting_for_window = of_channel.waiting_for_window;
                let view = ChannelView {
                    devices: 0,
                    totals: Totals { waiting_for_window, ..Totals::default() },
                    times: Times::of(of_channel.last_first_attempt, of_channel.completion),
                };
                (*channel, view)
            })
            .collect();
        for devices in &counted.devices {
            let Some(view) = by_channel.get_mut(&devices.channel) else { continue };
            *view.totals.of_fate(devices.fate) += devices.count;
            view.devices += if devices.fate == Fate::Duplicate { 0 } else { devices.count };
        }
        Self {
            begins_at,
            recipients: counted.recipients,
            no_device: counted.no_device,
            devices: by_channel.iter().map(|(channel, view)| (*channel, view.devices)).collect(),
            totals: by_channel.values().map(|view| view.totals).fold(Totals::default(), Totals::plus),
            times: Times::of(found.last_first_attempt, found.completion),
            by_channel,
            notes: found.notes,
        }
    }
}

impl Totals {
    fn of_fate(&mut self, fate: Fate) -> &mut u64 {
        match fate {
            Fate::ToBeTried => &mut self.to_be_tried,
            Fate::Duplicate => &mut self.duplicates,
            Fate::Barred(Outcome::OptOut) => &mut self.opted_out,
            Fate::Barred(Outcome::Ineligible) => &mut self.not_opted_in,
            Fate::Barred(_) => &mut self.suppressed,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            to_be_tried: self.to_be_tried + other.to_be_tried,
            duplicates: self.duplicates + other.duplicates,
            opted_out: self.opted_out + other.opted_out,
            not_opted_in: self.not_opted_in + other.not_opted_in,
            suppressed: self.suppressed + other.suppressed,
            waiting_for_window: self.waiting_for_window + other.waiting_for_window,
        }
    }
}

impl Times {
    fn of(first: Option<forecast::Percentiles>, all: Option<forecast::Percentiles>) -> Self {
        Self {
            seconds_to_last_first_attempt: first.map(Percentiles::of),
            seconds_to_completion: all.map(Percentiles::of),
        }
    }
}

impl Percentiles {
    /// To a tenth of a second: more than a forecast can know.
    fn of(found: forecast::Percentiles) -> Self {
        let tenths = |seconds: f64| (seconds * 10.0).round() / 10.0;
        Self { p50: tenths(found.p50), p90: tenths(found.p90) }
    }
}
