//! What became of a campaign, as events. Each follows from a fact on the campaign's row that never changes once it is
//! there, so that it makes no difference how often or how late somebody looks.

use chrono::{DateTime, Utc};

use super::EventType;
use crate::{CampaignId, CampaignState, DistrictId};

/// Bits of `told`: which facts were looked at.
const ACCEPTED: i16 = 1;
const STARTED: i16 = 2;
const CANCELED: i16 = 4;
const ENDED: i16 = 8;
const CLOSED: i16 = 16;
/// A campaign with this bit is told whole: being closed is its last fact.
pub const FACTS_ALL: i16 = CLOSED;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignFacts {
    pub campaign: CampaignId,
    pub district: DistrictId,
    /// The Message ID that users quote.
    pub number: i64,
    pub state: CampaignState,
    pub created_at: DateTime<Utc>,
    pub scheduled_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub canceled_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub closed_at: Option<DateTime<Utc>>,
    /// Which of these were looked at before.
    pub told: i16,
    /// Since when an endpoint of the district asks: what lies before is not told.
    pub since: DateTime<Utc>,
}

/// One event of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CampaignNews {
    pub event: EventType,
    pub at: DateTime<Utc>,
    /// As it was then.
    pub state: CampaignState,
}

impl CampaignFacts {
    /// The bits of the facts that there are.
    pub fn bits(&self) -> i16 {
        let bit = |there: bool, bit: i16| if there { bit } else { 0 };
        ACCEPTED
            | bit(self.started_at.is_some(), STARTED)
            | bit(self.canceled_at.is_some(), CANCELED)
            | bit(self.ended_at.is_some(), ENDED)
            | bit(self.closed_at.is_some(), CLOSED)
    }

    /// The events of facts that were not looked at before, in their order.
    pub fn news(&self) -> Vec<CampaignNews> {
        let news = |event, at, state| CampaignNews { event, at, state };
        let first = if self.scheduled_at > self.created_at {
            CampaignState::Scheduled
        } else {
            CampaignState::Processing
        };
        let started = self.started_at.filter(|at| self.ended_at.is_none_or(|ended| *at < ended));
        let all = [
            (ACCEPTED, Some(news(EventType::CampaignAccepted, self.created_at, first))),
            (STARTED, started.map(|at| news(EventType::CampaignSending, at, CampaignState::Sending))),
            (
                CANCELED,
                self.canceled_at.map(|at| news(EventType::CampaignCanceling, at, CampaignState::Canceling)),
            ),
            (ENDED, self.ended_at.and_then(|at| Some(news(self.end()?, at, self.state)))),
            (CLOSED, self.closed_at.map(|at| news(EventType::CampaignClosed, at, self.state))),
        ];
        all.into_iter()
            .filter(|(bit, _)| self.told & bit == 0)
            .filter_map(|(_, news)| news)
            .filter(|news| news.at >= self.since)
            .collect()
    }

    /// None: it has not ended.
    fn end(&self) -> Option<EventType> {
        match self.state {
            CampaignState::Scheduled
            | CampaignState::Processing
            | CampaignState::Sending
            | CampaignState::Canceling => None,
            CampaignState::Sent | CampaignState::Errored | CampaignState::NoRecipients => {
                Some(EventType::CampaignCompleted)
            }
            CampaignState::Canceled | CampaignState::Discarded => Some(EventType::CampaignCanceled),
            CampaignState::Failed => Some(EventType::CampaignFailed),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    fn facts() -> CampaignFacts {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        CampaignFacts {
            campaign: CampaignId(Uuid::nil()),
            district: DistrictId(Uuid::nil()),
            number: 1,
            state: CampaignState::Processing,
            created_at: at,
            scheduled_at: at,
            started_at: None,
            canceled_at: None,
            ended_at: None,
            closed_at: None,
            told: 0,
            since: at,
        }
    }

    fn names(facts: &CampaignFacts) -> Vec<(&'static str, &'static str)> {
        facts.news().iter().map(|news| (news.event.as_str(), news.state.as_str())).collect()
    }

    fn after(facts: &CampaignFacts, seconds: i64) -> Option<DateTime<Utc>> {
        Some(facts.created_at + TimeDelta::seconds(seconds))
    }

    #[test]
    fn all_that_happened_since_somebody_looked_is_told_in_its_order() {
        let new = facts();
        assert_eq!(names(&new), [("campaign.accepted", "processing")]);
        let looked = CampaignFacts { told: new.bits(), ..new.clone() };
        assert_eq!(names(&looked), []);
        let sent = CampaignFacts {
            state: CampaignState::Sent,
            started_at: after(&new, 1),
            ended_at: after(&new, 2),
            closed_at: after(&new, 2),
            ..looked
        };
        let rest =
            [("campaign.sending", "sending"), ("campaign.completed", "sent"), ("campaign.closed", "sent")];
        assert_eq!(names(&sent), rest);
        assert_eq!(names(&CampaignFacts { told: sent.bits(), ..sent.clone() }), []);
        assert!(sent.bits() & FACTS_ALL != 0 && new.bits() & FACTS_ALL == 0);
    }

    #[test]
    fn a_cancel_is_told_when_it_is_asked_for_when_it_is_through_and_when_the_last_call_has_ended() {
        let new = facts();
        let asked = CampaignFacts {
            state: CampaignState::Canceling,
            started_at: after(&new, 1),
            canceled_at: after(&new, 2),
            told: 3,
            ..new.clone()
        };
        assert_eq!(names(&asked), [("campaign.canceling", "canceling")]);
        let through = CampaignFacts {
            state: CampaignState::Canceled,
            ended_at: after(&new, 3),
            told: asked.bits(),
            ..asked
        };
        assert_eq!(names(&through), [("campaign.canceled", "canceled")]);
        let closed = CampaignFacts { closed_at: after(&new, 4), told: through.bits(), ..through };
        assert_eq!(names(&closed), [("campaign.closed", "canceled")]);
    }

    #[test]
    fn what_sent_nothing_is_not_said_to_be_sending() {
        let new = facts();
        let empty = CampaignFacts {
            state: CampaignState::NoRecipients,
            started_at: after(&new, 1),
            ended_at: after(&new, 1),
            closed_at: after(&new, 1),
            told: 1,
            ..new.clone()
        };
        assert_eq!(
            names(&empty),
            [("campaign.completed", "no_recipients"), ("campaign.closed", "no_recipients")]
        );
        let failed = CampaignFacts {
            state: CampaignState::Failed,
            ended_at: after(&new, 1),
            closed_at: after(&new, 1),
            told: 1,
            ..new
        };
        assert_eq!(names(&failed), [("campaign.failed", "failed"), ("campaign.closed", "failed")]);
    }

    #[test]
    fn what_lies_before_the_endpoint_is_not_told() {
        let new = facts();
        let since = new.created_at + TimeDelta::seconds(2);
        let later =
            CampaignFacts { state: CampaignState::Sending, started_at: after(&new, 2), since, ..new.clone() };
        assert_eq!(names(&later), [("campaign.sending", "sending")]);
        let scheduled = CampaignFacts { scheduled_at: since, ..new };
        assert_eq!(names(&scheduled), [("campaign.accepted", "scheduled")]);
    }
}
