//! "Why is this not sent yet?": what a waiting job waits for and until when, in one sentence (promise 9).

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

use crate::WaitReason;
use crate::window::{CallingWindow, Contact, Zone, contact, local};

/// A waiting job, and what its campaign says about it.
#[derive(Debug, Clone, Copy)]
pub struct Wait<'a> {
    pub reason: WaitReason,
    pub due_at: DateTime<Utc>,
    /// Attempts used up so far, and how many there may be.
    pub tries: i16,
    pub attempts_max: u8,
    pub calling_window: Option<&'a CallingWindow>,
    /// The recipient's, else the district's.
    pub zone: Option<Zone>,
    pub expires_at: DateTime<Utc>,
    /// Is the sending of its district stopped, and why?
    pub stopped: Option<&'a str>,
}

/// Whoever reads a sentence: when, and by which clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    pub now: DateTime<Utc>,
    pub dial: Dial,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    /// `2026-12-01 08:00 America/Chicago`: of the API and the command line.
    Hours24,
    /// `Dec 1, 8:00 AM America/Chicago`: of pages, whose other times are written so.
    Hours12,
}

impl Wait<'_> {
    /// Times are told as the clock shows them where the recipient is. What falls due while the calling window
    /// is closed is told to wait for its opening, though nobody looked at the job yet.
    pub fn sentence(&self, reader: Reader) -> String {
        // Before all else: nothing is sent until it goes on, whatever the job waits for beside that.
        if let Some(reason) = self.stopped {
            return format!("sending is stopped: {reason}");
        }
        let due_at = self.due_at.max(reader.now);
        match contact(self.calling_window, self.zone, due_at, self.expires_at) {
            Contact::ZoneUnknown => {
                "waits for its time zone: set one for the recipient or for the district".to_owned()
            }
            Contact::Never => format!(
                "not to be contacted any more: the calling window does not open before the message expires at {}",
                self.clock(self.expires_at, reader)
            ),
            Contact::Closed { opens_at } => self.held(opens_at, reader),
            Contact::Open { .. } => self.because(reader),
        }
    }

    fn held(&self, until: DateTime<Utc>, reader: Reader) -> String {
        let until = self.clock(until, reader);
        if self.tries > 0 {
            format!("{} held until {until}", self.redial())
        } else {
            format!("held until {until}")
        }
    }

    fn because(&self, reader: Reader) -> String {
        let due = self.due_at > reader.now;
        let when = if due { format!("at {}", self.clock(self.due_at, reader)) } else { "now".to_owned() };
        match self.reason {
            WaitReason::Window if due => self.held(self.due_at, reader),
            // Whatever it waited for last: it was tried before, and is due for the next try.
            WaitReason::Turn if self.tries > 0 => format!("{} {when}", self.redial()),
            WaitReason::Turn if due => format!("not tried yet: due {when}"),
            WaitReason::Turn => "not tried yet: waits for its turn".to_owned(),
            WaitReason::Redial => format!("{} {when}", self.redial()),
            WaitReason::ProviderBusy => format!("the provider is busy or down: tried again {when}"),
            WaitReason::Limiter => format!("others went first at the provider's limit: due again {when}"),
            WaitReason::NotAsked => format!("the last claim came too late to be sent: due again {when}"),
            WaitReason::Republish => format!("its message was lost on the queue: due again {when}"),
            WaitReason::Doubt => {
                format!("nobody knows what became of the last attempt: tried again {when}")
            }
            WaitReason::Window => "the calling window is open: waits for its turn".to_owned(),
            WaitReason::NoAccount => format!(
                "no provider account serves the channel: waits for one until the message expires at {}",
                self.clock(self.expires_at, reader)
            ),
            WaitReason::ZoneUnknown => format!("the time zone is known now: looked at again {when}"),
            WaitReason::Stopped => format!("sending was stopped: goes on {when}"),
        }
    }

    /// The attempt that is to come.
    fn redial(&self) -> String {
        format!("redial: attempt {} of {}", self.tries + 1, self.attempts_max)
    }

    fn clock(&self, at: DateTime<Utc>, reader: Reader) -> String {
        reader.clock(self.zone.unwrap_or(Zone::UTC), at)
    }
}

impl Reader {
    /// `08:00 America/Chicago`, with the date if it is not today's.
    pub(crate) fn clock(self, zone: Zone, at: DateTime<Utc>) -> String {
        let (there, today) = (local(zone, at), local(zone, self.now));
        let date = match self.dial {
            _ if there.date() == today.date() => "",
            Dial::Hours24 => "%Y-%m-%d ",
            Dial::Hours12 if there.year() == today.year() => "%b %-d, ",
            Dial::Hours12 => "%b %-d, %Y, ",
        };
        let seconds = if there.second() == 0 { "" } else { ":%S" };
        let time = match self.dial {
            Dial::Hours24 => format!("%H:%M{seconds}"),
            Dial::Hours12 => format!("%-I:%M{seconds} %p"),
        };
        format!("{} {zone}", there.format(&format!("{date}{time}")))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::window::{WrittenHours, WrittenWindow};

    /// Monday, 13:00 in Chicago.
    fn now() -> DateTime<Utc> {
        "2026-11-30T19:00:00Z".parse().unwrap()
    }

    /// Of the API's texts.
    fn reader() -> Reader {
        read_at(now())
    }

    fn read_at(now: DateTime<Utc>) -> Reader {
        Reader { now, dial: Dial::Hours24 }
    }

    fn window(opens: &str, closes: &str) -> CallingWindow {
        let days = ["monday", "tuesday"].map(str::to_owned).to_vec();
        let hours = vec![WrittenHours { days, opens: opens.to_owned(), closes: closes.to_owned() }];
        CallingWindow::read(&WrittenWindow { hours, holidays: Vec::new() }).unwrap()
    }

    fn wait(reason: WaitReason, minutes: i64) -> Wait<'static> {
        Wait {
            reason,
            due_at: now() + TimeDelta::minutes(minutes),
            tries: 0,
            attempts_max: 3,
            calling_window: None,
            zone: Some(Zone::America__Chicago),
            expires_at: now() + TimeDelta::days(1),
            stopped: None,
        }
    }

    #[test]
    fn a_window_says_until_when_it_holds_a_job_and_where() {
        let morning = window("08:00", "12:00");
        let held = Wait { calling_window: Some(&morning), ..wait(WaitReason::Turn, 0) };
        let tomorrow = "held until 2026-12-01 08:00 America/Chicago";
        assert_eq!(held.sentence(reader()), tomorrow);
        assert_eq!(Wait { reason: WaitReason::Window, ..held }.sentence(reader()), tomorrow);
        let opens_at = "2026-12-01T14:00:00Z".parse().unwrap();
        let known = Wait { reason: WaitReason::Window, due_at: opens_at, ..held };
        assert_eq!(known.sentence(reader()), tomorrow);
        assert_eq!(
            known.sentence(read_at(opens_at - TimeDelta::hours(1))),
            "held until 08:00 America/Chicago"
        );
        assert_eq!(known.sentence(read_at(opens_at)), "the calling window is open: waits for its turn");
        let redial =
            Wait { reason: WaitReason::Redial, tries: 1, due_at: now() + TimeDelta::minutes(5), ..held };
        assert_eq!(
            redial.sentence(reader()),
            "redial: attempt 2 of 3 held until 2026-12-01 08:00 America/Chicago"
        );
        let brief = Wait { expires_at: now() + TimeDelta::hours(2), ..held };
        assert_eq!(
            brief.sentence(reader()),
            "not to be contacted any more: the calling window does not open before the message expires at 15:00 America/Chicago"
        );
        let nowhere = Wait { zone: None, ..held };
        let remedy = "waits for its time zone: set one for the recipient or for the district";
        assert_eq!(nowhere.sentence(reader()), remedy);
    }

    #[test]
    fn a_page_has_its_times_by_twelve_hours_like_all_its_others() {
        let on_a_page = |hours, seconds| {
            let at = now() + TimeDelta::hours(hours) + TimeDelta::seconds(seconds);
            Reader { now: now(), dial: Dial::Hours12 }.clock(Zone::America__Chicago, at)
        };
        assert_eq!(on_a_page(1, 0), "2:00 PM America/Chicago");
        assert_eq!(on_a_page(-1, 5), "12:00:05 PM America/Chicago");
        assert_eq!(on_a_page(-13, 0), "12:00 AM America/Chicago");
        assert_eq!(on_a_page(19, 0), "Dec 1, 8:00 AM America/Chicago");
        assert_eq!(on_a_page(24 * 32, 90), "Jan 1, 2027, 1:01:30 PM America/Chicago");
        let morning = window("08:00", "12:00");
        let held = Wait { calling_window: Some(&morning), ..wait(WaitReason::Turn, 0) };
        let on_a_page = Reader { now: now(), dial: Dial::Hours12 };
        assert_eq!(held.sentence(on_a_page), "held until Dec 1, 8:00 AM America/Chicago");
    }

    #[test]
    fn every_reason_has_its_sentence() {
        let redial = Wait { tries: 1, ..wait(WaitReason::Redial, 5) };
        let odd = Wait { due_at: now() + TimeDelta::seconds(90), ..redial };
        let cases = [
            (wait(WaitReason::Turn, 0), "not tried yet: waits for its turn"),
            (wait(WaitReason::Turn, 90), "not tried yet: due at 14:30 America/Chicago"),
            (redial, "redial: attempt 2 of 3 at 13:05 America/Chicago"),
            (odd, "redial: attempt 2 of 3 at 13:01:30 America/Chicago"),
            (Wait { tries: 2, ..wait(WaitReason::Redial, 0) }, "redial: attempt 3 of 3 now"),
            (
                wait(WaitReason::ProviderBusy, 1),
                "the provider is busy or down: tried again at 13:01 America/Chicago",
            ),
            (Wait { tries: 2, ..wait(WaitReason::Turn, 0) }, "redial: attempt 3 of 3 now"),
            (wait(WaitReason::Limiter, 0), "others went first at the provider's limit: due again now"),
            (wait(WaitReason::NotAsked, 0), "the last claim came too late to be sent: due again now"),
            (wait(WaitReason::Republish, 0), "its message was lost on the queue: due again now"),
            (wait(WaitReason::Doubt, 0), "nobody knows what became of the last attempt: tried again now"),
            (
                Wait { zone: None, ..wait(WaitReason::NoAccount, 1) },
                "no provider account serves the channel: waits for one until the message expires at 2026-12-01 19:00 UTC",
            ),
            (
                wait(WaitReason::ZoneUnknown, 10),
                "the time zone is known now: looked at again at 13:10 America/Chicago",
            ),
            (wait(WaitReason::Stopped, 0), "sending was stopped: goes on now"),
            (
                Wait { stopped: Some("wrong list"), ..wait(WaitReason::Redial, 5) },
                "sending is stopped: wrong list",
            ),
        ];
        for (wait, sentence) in cases {
            assert_eq!(wait.sentence(reader()), sentence);
        }
    }
}
