//! How far the campaigns are: bars on a terminal, else a plain line now and then.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Result;
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use tocsin_domain::Channel;
use tocsin_runtime::Stopwatch;

use super::page::channel_name;
use crate::client::{ChannelDetail, Detail};
use crate::terminal::{in_colour_of, print};

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(3);
const BAR: &str = "  {prefix:<11} {bar:32} {human_pos:>6}/{human_len:<6} {msg}";

/// A device counts as done when it has its final outcome: one that waits to be redialed is not.
pub struct Board {
    since: Stopwatch,
    face: Face,
}

enum Face {
    Bars {
        all: MultiProgress,
        style: ProgressStyle,
        by_campaign: BTreeMap<i64, BTreeMap<Channel, ProgressBar>>,
    },
    Lines {
        last: Option<Duration>,
    },
}

impl Board {
    pub fn new() -> Result<Self> {
        let face = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template(BAR)?.progress_chars("=> ");
            Face::Bars { all: MultiProgress::new(), style, by_campaign: BTreeMap::new() }
        } else {
            Face::Lines { last: None }
        };
        Ok(Self { since: Stopwatch::start(), face })
    }

    /// A line of the story. It stays above the bars.
    pub fn say(&self, text: &str) -> Result<()> {
        let print = || print(format_args!("{text}\n"));
        match &self.face {
            Face::Bars { all, .. } => all.suspend(print),
            Face::Lines { .. } => print(),
        }
    }

    pub fn show(&mut self, details: &[Detail]) -> Result<()> {
        let elapsed = self.since.elapsed();
        match &mut self.face {
            Face::Bars { all, style, by_campaign } => {
                for detail in details {
                    let bars = by_campaign.entry(detail.number).or_default();
                    // A bar of no devices would be drawn as a full one.
                    for (channel, counted) in
                        detail.by_channel.iter().filter(|(_, counted)| counted.counters.devices > 0)
                    {
                        let bar = bars
                            .entry(*channel)
                            .or_insert_with(|| new_bar(all, style, detail.number, *channel));
                        let counters = counted.counters;
                        bar.set_length(counters.devices);
                        bar.set_position(done(counted));
                        bar.set_message(format!("{} attempts", HumanCount(counters.attempts)));
                    }
                }
            }
            Face::Lines { last } => {
                if last.is_none_or(|last| elapsed >= last + LINE_EVERY) {
                    *last = Some(elapsed);
                    for detail in details {
                        print(format_args!("  {:>3} s  {}\n", elapsed.as_secs(), line(detail)))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the bars away: what they came to is printed in full afterwards.
    pub fn clear(self) -> Result<()> {
        match self.face {
            Face::Bars { all, .. } => Ok(all.clear()?),
            Face::Lines { .. } => Ok(()),
        }
    }
}

fn new_bar(all: &MultiProgress, style: &ProgressStyle, number: i64, channel: Channel) -> ProgressBar {
    let bar = all.add(ProgressBar::new(0).with_style(style.clone()));
    bar.set_prefix(format!("#{number} {}", channel_name(channel)));
    bar
}

fn done(counted: &ChannelDetail) -> u64 {
    counted.counters.devices.saturating_sub(counted.counters.open)
}

/// `#1 sending   Voice 812/1,204  Text 1,010/1,010 …`
fn line(detail: &Detail) -> String {
    let state = in_colour_of(detail.state, &format!("{:<10}", detail.state.as_str()));
    let mut line = format!("#{} {state}", detail.number);
    for (channel, counted) in &detail.by_channel {
        let (done, devices) = (HumanCount(done(counted)), HumanCount(counted.counters.devices));
        // Writing to a string cannot fail.
        let _ = write!(line, "  {} {done}/{devices}", channel_name(*channel));
    }
    line
}
