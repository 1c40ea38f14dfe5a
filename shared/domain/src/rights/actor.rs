//! Whoever acts: a user, an API key, or whoever is at the machine of `tocsin up`.

use uuid::Uuid;

use super::{Grant, Right};
use crate::CampaignState;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    User,
    Key,
    /// At this machine, without sign-in.
    Nobody,
}

/// Who acts, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub kind: ActorKind,
    /// Of the user or the key; None where nobody signs in.
    pub id: Option<Uuid>,
    /// As it stands in logs beside what they did.
    pub name: String,
    pub grant: Grant,
}

/// Which messages somebody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    All,
    /// One's own.
    Own(Uuid),
    /// One's own, and all that are scheduled (requirement 30).
    OwnAndScheduled(Uuid),
    None,
}

impl Actor {
    pub fn may(&self, right: Right) -> bool {
        self.grant.may(right)
    }

    /// Is what `creator` made their own?
    pub fn made(&self, creator: Option<Uuid>) -> bool {
        self.id.is_some() && self.id == creator
    }

    pub fn outlook(&self) -> Outlook {
        if self.may(Right::AllMessages) {
            return Outlook::All;
        }
        match self.id {
            Some(id) if self.may(Right::ViewAllScheduled) => Outlook::OwnAndScheduled(id),
            Some(id) if self.may(Right::OwnMessages) => Outlook::Own(id),
            Some(_) | None => Outlook::None,
        }
    }

    /// Do they see a message that `creator` made and that is in `state`?
    pub fn sees(&self, creator: Option<Uuid>, state: CampaignState) -> bool {
        match self.outlook() {
            Outlook::All => true,
            Outlook::Own(_) => self.made(creator),
            Outlook::OwnAndScheduled(_) => self.made(creator) || state == CampaignState::Scheduled,
            Outlook::None => false,
        }
    }

    /// May they edit it while it is scheduled (requirement 30)? Else which right is missing. Only of one that they see is
    /// it asked.
    pub fn may_edit(&self, creator: Option<Uuid>) -> Result<(), Right> {
        let is_own = self.made(creator) && self.may(Right::OwnMessages);
        if is_own || self.may(Right::EditAllScheduled) { Ok(()) } else { Err(Right::EditAllScheduled) }
    }

    /// May they cancel it (decision D5)? Else which right is missing. Only of one that they see is it asked.
    pub fn may_cancel(&self, creator: Option<Uuid>, state: CampaignState) -> Result<(), Right> {
        let is_own = self.made(creator) && self.may(Right::OwnMessages);
        let may_edit = state == CampaignState::Scheduled && self.may(Right::EditAllScheduled);
        if is_own || may_edit || self.may(Right::CancelAll) {
            return Ok(());
        }
        Err(Right::CancelAll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::{MessageTypes, Role};

    const ME: Uuid = Uuid::from_u128(1);
    const OTHER: Option<Uuid> = Some(Uuid::from_u128(2));

    fn actor(rights: &[Right]) -> Actor {
        let types = MessageTypes::default();
        let role = Role { name: "own".to_owned(), rights: rights.iter().copied().collect(), types };
        let grant = Grant::of([&role]);
        Actor { kind: ActorKind::User, id: Some(ME), name: "Ana".to_owned(), grant }
    }

    #[test]
    fn own_messages_are_seen_and_others_by_right_only() {
        use CampaignState::{Scheduled, Sending};
        for (rights, own, others_sent, others_scheduled) in [
            (&[][..], false, false, false),
            (&[Right::OwnMessages][..], true, false, false),
            (&[Right::ViewAllScheduled], true, false, true),
            (&[Right::EditAllScheduled], true, false, true),
            (&[Right::AllMessages], true, true, true),
        ] {
            let actor = actor(rights);
            assert_eq!(actor.sees(Some(ME), Sending), own, "{rights:?}");
            assert_eq!(actor.sees(OTHER, Sending), others_sent, "{rights:?}");
            assert_eq!(actor.sees(OTHER, Scheduled), others_scheduled, "{rights:?}");
        }
    }

    #[test]
    fn what_nobody_made_is_nobodys_own() {
        let nobody = Actor { id: None, ..actor(&[Right::OwnMessages]) };
        assert!(!nobody.sees(None, CampaignState::Sending));
        assert!(!actor(&[Right::OwnMessages]).sees(None, CampaignState::Sending));
    }

    #[test]
    fn anothers_message_is_canceled_by_right_only() {
        use CampaignState::{Scheduled, Sending};
        let refused = Err(Right::CancelAll);
        for (rights, own, others_sending, others_scheduled) in [
            (&[][..], refused, refused, refused),
            (&[Right::OwnMessages][..], Ok(()), refused, refused),
            (&[Right::AllMessages], Ok(()), refused, refused),
            (&[Right::EditAllScheduled], refused, refused, Ok(())),
            (&[Right::CancelAll], Ok(()), Ok(()), Ok(())),
        ] {
            let actor = actor(rights);
            assert_eq!(actor.may_cancel(Some(ME), Sending), own, "{rights:?}");
            assert_eq!(actor.may_cancel(OTHER, Sending), others_sending, "{rights:?}");
            assert_eq!(actor.may_cancel(OTHER, Scheduled), others_scheduled, "{rights:?}");
        }
    }

    #[test]
    fn anothers_scheduled_message_is_edited_by_its_right_only() {
        let refused = Err(Right::EditAllScheduled);
        for (rights, own, others) in [
            (&[][..], refused, refused),
            (&[Right::OwnMessages][..], Ok(()), refused),
            (&[Right::AllMessages, Right::CancelAll], Ok(()), refused),
            (&[Right::EditAllScheduled], Ok(()), Ok(())),
        ] {
            let actor = actor(rights);
            assert_eq!((actor.may_edit(Some(ME)), actor.may_edit(OTHER)), (own, others), "{rights:?}");
        }
    }
}
