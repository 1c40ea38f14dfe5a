//! What whoever asks for a report may choose (requirements 56 to 59).

use tocsin_domain::outcome::OutcomeSet;
use tocsin_domain::{AttemptResult, Channel, Outcome};

/// In what form it comes (57). PDF unless something else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Pdf,
    Csv,
    Docx,
}

/// How much of it (58, 59).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Everything.
    #[default]
    All,
    /// Header and delivery summary.
    Summary,
    /// Everything, of the recipients with at least one device that failed.
    Failed,
}

/// What a report shows of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub detail: Detail,
    /// Channels of the message, at least one, in the message's order.
    pub modes: Vec<Channel>,
    /// None: every status.
    pub statuses: Option<Statuses>,
    /// Also recipients without any device (50).
    pub no_device: bool,
}

/// Some of the statuses, and how they were called when they were chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses {
    names: Vec<&'static str>,
    open: bool,
    ended_as: OutcomeSet,
}

/// Statuses that belong together, by the first axis of decision D1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Open,
    Successful,
    Error,
    Canceled,
    NotSent,
    Duplicate,
}

impl Format {
    pub const ALL: [Self; 3] = [Self::Pdf, Self::Csv, Self::Docx];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Csv => "csv",
            Self::Docx => "docx",
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        }
    }
}

impl Detail {
    pub const ALL: [Self; 3] = [Self::All, Self::Summary, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Summary => "summary",
            Self::Failed => "failed",
        }
    }

    /// As a report says it.
    pub fn label(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Summary => "Summary",
            Self::Failed => "Failed Delivery",
        }
    }
}

impl Group {
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Successful, Self::Error, Self::Canceled, Self::NotSent, Self::Duplicate];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Successful => "successful",
            Self::Error => "error",
            Self::Canceled => "canceled",
            Self::NotSent => "not_sent",
            Self::Duplicate => "duplicate",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Open => "In-Progress",
            Self::Successful => "Successful",
            Self::Error => "Error",
            Self::Canceled => "Canceled",
            Self::NotSent => "Not sent",
            Self::Duplicate => "Duplicate",
        }
    }

    /// Does a device that ended so belong to it? Duplicates are in none of the totals, so they are no part of what was
    /// not sent either.
    fn holds(self, outcome: Outcome) -> bool {
        let result = |wanted| outcome.result() == wanted && outcome != Outcome::Duplicate;
        match self {
            Self::Open => false,
            Self::Successful => result(AttemptResult::Successful),
            Self::Error => result(AttemptResult::Error),
            Self::Canceled => result(AttemptResult::Canceled),
            Self::NotSent => result(AttemptResult::NotDispatched),
            Self::Duplicate => outcome == Outcome::Duplicate,
        }
    }
}

impl Statuses {
    /// Those that `names` name, each a group or the stable name of an outcome; Err: the first that names none.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut chosen = Self { names: Vec::new(), open: false, ended_as: OutcomeSet::from_iter([]) };
        let mut outcomes = Vec::new();
        for name in names {
            if let Some(group) = Group::ALL.into_iter().find(|group| group.as_str() == name) {
                chosen.names.push(group.label());
                chosen.open |= group == Group::Open;
                outcomes.extend(Outcome::all().filter(|outcome| group.holds(*outcome)));
            } else if let Some(outcome) = Outcome::all().find(|outcome| outcome.code() == name) {
                chosen.names.push(outcome.label());
                chosen.open |= outcome == Outcome::InProgress;
                outcomes.push(outcome);
            } else {
                return Err(name);
            }
        }
        chosen.ended_as = outcomes.into_iter().collect();
        Ok(chosen)
    }

    pub(crate) fn names(&self) -> String {
        self.names.join(", ")
    }

    /// `ended_as` None: it has not ended yet.
    pub(crate) fn hold(&self, ended_as: Option<Outcome>) -> bool {
        match ended_as {
            None => self.open,
            Some(outcome) => self.ended_as.contains(outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_final_outcome_is_in_one_group() {
        for outcome in Outcome::all().filter(|outcome| outcome.result() != AttemptResult::Open) {
            let groups = Group::ALL.into_iter().filter(|group| group.holds(outcome)).count();
            assert_eq!(groups, 1, "{outcome:?}");
        }
    }

    #[test]
    fn groups_and_single_statuses_may_be_chosen_together() {
        let chosen = Statuses::named(["error", "busy"]).unwrap();
        assert!(chosen.hold(Some(Outcome::Failed)) && chosen.hold(Some(Outcome::Busy)));
        assert!(!chosen.hold(Some(Outcome::NoAnswer)) && !chosen.hold(None));
        assert_eq!(chosen.names(), "Error, Busy");
        assert!(Statuses::named(["open"]).unwrap().hold(None));
        assert_eq!(Statuses::named(["busy", "lost"]), Err("lost"));
    }
}
