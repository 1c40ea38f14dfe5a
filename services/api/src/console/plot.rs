//! How a campaign goes, over time: contacted addresses by channel as lines, what waits and why, and what its accounts have
//! left. Drawn here, so that the page needs no script for it; a table says the same to whoever sees no lines.
//!
//! What it costs does not grow with the campaign (docs/adr/0039-plots.md): samples that a tick of the planner took of the
//! tallies, and the first jobs in their turn.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::{CampaignId, Channel};
use tocsin_store::tenant::campaigns::Counts;
use tocsin_store::tenant::plot::{Headroom, Sample, WAITING_MAX, Waiting};
use tocsin_store::{StoreError, Tenant};

use super::page::Count;
use super::when::{Length, Stamp, Zone};
use super::words;

/// Points of a line.
const POINTS_MAX: i64 = 120;
/// Rows of the table beside it.
const TABLE_ROWS_MAX: usize = 12;
/// The drawing's own units, which the page stretches.
const WIDTH: i64 = 1000;
const HEIGHT: i64 = 200;

/// What is read for a plot, and kept for a few looks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Read {
    samples: Vec<Sample>,
    waiting: Vec<Waiting>,
    headroom: Vec<Headroom>,
}

/// When a campaign began and, once it is over, ended; and how far it is by now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course<'a> {
    pub began: DateTime<Utc>,
    pub ended: Option<DateTime<Utc>>,
    pub counts: &'a Counts,
    pub now: DateTime<Utc>,
}

#[derive(Debug, Clone)]
pub(crate) struct Plot {
    pub lines: Vec<Line>,
    /// What the top of the drawing stands for.
    pub most: Count,
    pub half: Count,
    pub from: Stamp,
    pub to: Stamp,
    pub length: Length,
    pub names: Vec<&'static str>,
    pub rows: Vec<Row>,
    pub waits: Vec<Wait>,
    pub accounts: Vec<Account>,
    /// Is nothing open any more?
    pub over: bool,
}

/// One channel.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub name: &'static str,
    pub class: &'static str,
    /// Of an SVG path: steps, for between two samples nothing is known but that it was between.
    pub path: String,
    pub contacted: Count,
    pub of: Count,
}

/// How far all channels were at one instant.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub at: Stamp,
    pub contacted: Vec<Count>,
}

#[derive(Debug, Clone)]
pub(crate) struct Wait {
    pub channel: &'static str,
    pub jobs: Count,
    /// Were no more than these looked at?
    pub or_more: bool,
    pub why: &'static str,
    pub next: Option<Stamp>,
}

#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub name: String,
    pub channel: &'static str,
    pub rate: String,
    pub places: String,
    pub held: bool,
}

/// Reads what a plot is drawn of. What waits, and what accounts have left, is no matter of a campaign that is over.
pub(crate) async fn read(
    tenant: &Tenant,
    campaign: CampaignId,
    is_over: bool,
    now: DateTime<Utc>,
) -> Result<Read, StoreError> {
    let samples = tenant.samples(campaign, POINTS_MAX).await?;
    if is_over {
        return Ok(Read { samples, ..Read::default() });
    }
    Ok(Read { samples, waiting: tenant.waiting(campaign, now).await?, headroom: tenant.headroom().await? })
}

impl Plot {
    /// None: nothing was sampled, for it has only begun, or is from before samples were taken.
    pub fn of(read: &Read, course: Course<'_>, zone: Zone) -> Option<Self> {
        if read.samples.is_empty() {
            return None;
        }
        let Course { began, ended, counts, now } = course;
        let end = ended.unwrap_or_else(|| coarse(began, now));
        let channels: Vec<Channel> = counts.channels.iter().map(|of| of.channel).collect();
        let now_contacted =
            counts.channels.iter().map(|of| (of.channel, of.addresses_contacted.max(0))).collect();
        let last = Sample { at: end, contacted: now_contacted };
        let earlier = read.samples.iter().filter(|sample| sample.at < end);
        let samples: Vec<&Sample> = earlier.chain([&last]).collect();
        let most = counts.channels.iter().map(|of| of.addresses).max().unwrap_or_default().max(1);
        let scale = Scale { began, end, most };
        let line = |channel: &Channel| {
            let of = counts.channels.iter().find(|of| of.channel == *channel);
            Line {
                name: words::channel(*channel),
                class: channel.as_str(),
                path: scale.path(&samples, *channel),
                contacted: Count(of.map_or(0, |of| of.addresses_contacted.max(0))),
                of: Count(of.map_or(0, |of| of.addresses)),
            }
        };
        let over = ended.is_some();
        let wait = |waiting: &Waiting| Wait::of(waiting, &read.waiting, zone, now);
        let serves = |account: &&Headroom| channels.contains(&account.channel);
        Some(Self {
            lines: channels.iter().map(line).collect(),
            most: Count(most),
            half: Count(most / 2),
            from: zone.exact(began, now),
            to: zone.exact(end, now),
            length: Length((end - began).as_seconds_f64()),
            names: channels.iter().map(|channel| words::channel(*channel)).collect(),
            rows: rows(&samples, &channels, zone, now),
            waits: if over { Vec::new() } else { read.waiting.iter().map(wait).collect() },
            accounts: if over {
                Vec::new()
            } else {
                read.headroom.iter().filter(serves).map(Account::of).collect()
            },
            over,
        })
    }
}

/// The end of what is drawn moves with each point that one can see, and not with each second: where nothing changes, the
/// page stays as it is.
fn coarse(began: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let age = (now - began).num_seconds().max(1);
    let step = (age / POINTS_MAX).max(1);
    began + TimeDelta::seconds(age / step * step)
}

/// From instants and counts to the drawing's units.
#[derive(Debug, Clone, Copy)]
struct Scale {
    began: DateTime<Utc>,
    end: DateTime<Utc>,
    most: i64,
}

impl Scale {
    fn x(self, at: DateTime<Utc>) -> i64 {
        let whole = (self.end - self.began).num_milliseconds().max(1);
        ((at - self.began).num_milliseconds().saturating_mul(WIDTH) / whole).clamp(0, WIDTH)
    }

    fn y(self, count: i64) -> i64 {
        HEIGHT - (count.saturating_mul(HEIGHT) / self.most).clamp(0, HEIGHT)
    }

    fn path(self, samples: &[&Sample], channel: Channel) -> String {
        let mut path = format!("M0 {HEIGHT}");
        for sample in samples {
            path.push_str(&format!("H{}V{}", self.x(sample.at), self.y(contacted(sample, channel))));
        }
        path
    }
}

fn contacted(sample: &Sample, channel: Channel) -> i64 {
    sample.contacted.iter().find(|(of, _)| *of == channel).map_or(0, |(_, count)| *count)
}

/// Samples that lie evenly among all, the last among them.
fn rows(samples: &[&Sample], channels: &[Channel], zone: Zone, now: DateTime<Utc>) -> Vec<Row> {
    let step = samples.len().div_ceil(TABLE_ROWS_MAX).max(1);
    let ends = (samples.len().saturating_sub(1)) % step;
    let row = |sample: &&Sample| Row {
        at: zone.exact(sample.at, now),
        contacted: channels.iter().map(|channel| Count(contacted(sample, *channel))).collect(),
    };
    samples.iter().skip(ends).step_by(step).map(row).collect()
}

impl Wait {
    fn of(waiting: &Waiting, all: &[Waiting], zone: Zone, now: DateTime<Utc>) -> Self {
        let of_channel = all.iter().filter(|other| other.channel == waiting.channel);
        Self {
            channel: words::channel(waiting.channel),
            jobs: Count(waiting.jobs),
            or_more: of_channel.map(|other| other.jobs).sum::<i64>() >= WAITING_MAX,
            why: words::waiting(waiting.reason),
            next: waiting.next_at.map(|at| zone.stamp(at, now)),
        }
    }
}

impl Account {
    fn of(headroom: &Headroom) -> Self {
        let used = headroom.used_per_second.max(0.0);
        Self {
            name: headroom.account.clone(),
            channel: words::channel(headroom.channel),
            rate: match headroom.rate_per_second {
                Some(rate) => format!("{} of {} a second", tenths(used), tenths(rate)),
                None => format!("{} a second, without a limit", tenths(used)),
            },
            places: match headroom.concurrency {
                Some(places) => format!("{} of {places}", headroom.holds.max(0)),
                None => format!("{}, without a limit", headroom.holds.max(0)),
            },
            held: headroom.held,
        }
    }
}

/// To a tenth, where there is one.
fn tenths(rate: f64) -> String {
    let text = format!("{rate:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn sample(seconds: i64, contacted: i64) -> Sample {
        Sample { at: at(seconds), contacted: vec![(Channel::Sms, contacted)] }
    }

    #[test]
    fn a_line_goes_in_steps_from_nothing_to_what_is_so_now() {
        let samples = [sample(0, 0), sample(50, 40), sample(100, 100)];
        let scale = Scale { began: at(0), end: at(100), most: 200 };
        let samples: Vec<_> = samples.iter().collect();
        assert_eq!(scale.path(&samples, Channel::Sms), "M0 200H0V200H500V160H1000V100");
        assert_eq!(scale.path(&samples, Channel::Voice), "M0 200H0V200H500V200H1000V200");
    }

    #[test]
    fn however_many_samples_there_are_the_table_has_few_rows_and_the_last_of_them() {
        for many in [1, 2, 11, 12, 13, 121, 1000] {
            let samples: Vec<_> = (0..many).map(|nth| sample(nth, nth)).collect();
            let samples: Vec<_> = samples.iter().collect();
            let rows = rows(&samples, &[Channel::Sms], Zone::of(None), at(2000));
            assert!(!rows.is_empty() && rows.len() <= TABLE_ROWS_MAX, "{many}: {}", rows.len());
            assert_eq!(rows.last().unwrap().contacted, [Count(many - 1)], "{many}");
        }
    }

    #[test]
    fn a_rate_has_a_tenth_only_where_it_says_something() {
        for (rate, text) in [(0.0, "0"), (0.04, "0"), (0.5, "0.5"), (250.0, "250"), (12.34, "12.3")] {
            assert_eq!(tenths(rate), text);
        }
    }

    #[test]
    fn where_nothing_changes_the_end_moves_seldom() {
        let ends: std::collections::BTreeSet<_> = (7200..7320).map(|now| coarse(at(0), at(now))).collect();
        assert!(ends.len() <= 4, "{ends:?}");
        assert_eq!(coarse(at(0), at(90)), at(90));
        assert!((0..100_000).step_by(7).all(|now| coarse(at(0), at(now)) <= at(now.max(1))));
    }
}
